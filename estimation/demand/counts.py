"""Zeta of demand seen through counts: purchases are Poisson around a Pareto demand (eq 24).

Counts of a demand Q with P(Q > q) ~ q^-zeta follow no discrete power law: the fit that takes them
for one is biased by the scatter of small counts, where most of its sample lies, and its interval
covers half of what it says. Their own law above any x that rates near the lower end of Q hardly
reach is exact,

    P(D >= x) = c Gamma(x - zeta)/Gamma(x),   x > zeta,

a power law of exponent zeta for large x. The scan takes the x of the smallest Kolmogorov-Smirnov
distance, and the fit begins at twice that: what lies above hardly took part in the choice, so that
the interval need not know of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.clusters import refuse_few
from baimo.estimation.samples.counts import Counts, as_counts
from baimo.estimation.samples.labels import label_codes

CANDIDATES = 100
FEWEST_IN_TAIL = 50
BEYOND = 2.0  # times the x that fits best


@registered("DemandTail")
@dataclass(frozen=True, eq=False, kw_only=True)
class DemandTail(FitResult):
    """Tail of Poisson counts of a Pareto demand.

    Parameters
    ----------
    zeta, std_error
        CCDF exponent of demand, and its error with items as independent.
    std_error_clustered
        The same with clusters; equal to `std_error` without labels.
    x_min, n_tail
        Where the fitted tail begins, and how many items are in it.
    ks
        Kolmogorov-Smirnov distance above x_min.
    """

    zeta: float
    std_error: float
    std_error_clustered: float
    x_min: float
    n_tail: int
    ks: float

    title: ClassVar[str] = "Tail of demand (Poisson counts of Pareto rates)"

    def estimates(self) -> dict[str, Estimate]:
        """Return zeta."""
        return {"zeta": Estimate(value=self.zeta, std_error=self.std_error_clustered)}


def log_ccdf(x: ArrayLike, zeta: float) -> Floats:
    """Return log P(D >= x) up to a constant, for x > zeta."""
    k = np.asarray(x, dtype=np.float64)
    return np.asarray(special.gammaln(k - zeta) - special.gammaln(k))


def log_smallest_demand(zeta: float, x_min: float, share: float) -> float:
    """Return the log of the lower end of a Pareto demand whose tail of counts is the observed one.

    Of items with expectations Q, P(Q > q) = (q_0/q)^zeta, a share P(D >= x) of
    q_0^zeta Gamma(x - zeta)/Gamma(x) has counts of x and more, for x far above q_0. The total of
    demand would do for a scale too, but below zeta = 1 it has no expectation.

    Parameters
    ----------
    zeta
        CCDF exponent of demand, below x_min.
    x_min
        Where the tail begins.
    share
        Of all items, in the tail.
    """
    return (math.log(share) - float(log_ccdf(x_min, zeta))) / zeta


def fit_demand_tail(
    data: Counts | ArrayLike, *, x_min: float | None = None, clusters: ArrayLike | None = None
) -> DemandTail:
    """Fit the tail of counts whose expectations are Pareto.

    Parameters
    ----------
    data
        Whole numbers, not negative; zeros are in no tail.
    x_min
        Where the tail begins, at least 1; None chooses it.
    clusters : (n,), optional
        Labels for the error; needs `data` as an array.

    Raises
    ------
    DataError
        Fractions, fewer than fifty items in any tail (ten above a given x_min), one value only.

    Notes
    -----
    1,000 items and more, x_min chosen: 95 % intervals cover .94 to .97, zeta .8 to 2. More scatter
    than Poisson, the same for all, keeps the exponent and shows as an x_min further out.
    """
    counts = as_counts(data)
    if not counts.is_integer:
        raise DataError("counts of purchases are whole numbers: fit sizes with fit_tail")
    positive = counts.positive()
    values, items = positive.values, positive.multiplicities.astype(np.float64)
    if values.size < 2:
        raise DataError("fewer than two distinct positive counts: there is no tail to fit")
    chosen = _chosen(values, items) if x_min is None else float(x_min)
    if x_min is not None and (not chosen >= 1 or items[values >= chosen].sum() < 10):
        raise DataError(f"x_min = {chosen:g} must be at least 1 and leave ten items; lower it")
    kept = values >= chosen
    zeta = _zeta(values[kept], items[kept], chosen)
    n = float(items[kept].sum())
    information = _information(values[kept], items[kept], chosen, zeta)
    error = clustered = 1.0 / math.sqrt(information)
    if clusters is not None:
        sizes = np.asarray(data, dtype=np.float64)
        labels = label_codes(clusters, sizes.size)
        assert labels is not None
        tail = sizes >= chosen
        refuse_few(int(np.unique(labels[tail]).size), int(n), "the tail")
        sums = np.bincount(labels[tail], weights=_scores(sizes[tail], chosen, zeta))
        clustered = math.sqrt(float(sums @ sums)) / information
    return DemandTail(
        n_obs=counts.n_obs,
        n_used=int(n),
        zeta=zeta,
        std_error=error,
        std_error_clustered=clustered,
        x_min=chosen,
        n_tail=int(n),
        ks=_distance(values[kept], items[kept], chosen, zeta),
    )


def _chosen(values: Floats, items: Floats) -> float:
    """Return twice the x of the smallest distance, as far as fifty items lie above."""
    above = np.cumsum(items[::-1])[::-1]
    last = values[above >= FEWEST_IN_TAIL][-1:]
    if last.size == 0 or float(items[values > values[0]].sum()) < FEWEST_IN_TAIL:
        raise DataError(
            f"fewer than {FEWEST_IN_TAIL} items above the smallest count: give x_min, or more items"
        )
    limit = min(float(last[0]), float(values[-2]))
    candidates = np.unique(np.rint(np.geomspace(max(values[0], 1.0), limit, CANDIDATES)))
    distances = []
    for x in candidates:
        kept = values >= x
        zeta = _zeta(values[kept], items[kept], x)
        distances.append(_distance(values[kept], items[kept], x, zeta))
    return min(BEYOND * float(candidates[int(np.argmin(distances))]), limit)


def _scores(values: Floats, x_min: float, zeta: float) -> Floats:
    """Return the derivative of the log likelihood of each value in zeta."""
    level = 1.0 / zeta + float(special.digamma(x_min - zeta))
    return np.asarray(level - special.digamma(values - zeta))


def _zeta(values: Floats, items: Floats, x_min: float) -> float:
    """Return the maximum of the likelihood, whose derivative falls from +inf to -inf."""

    def slope(zeta: float) -> float:
        return float(items @ _scores(values, x_min, zeta))

    ends = 1e-6, x_min * (1.0 - 1e-9)
    if slope(ends[1]) >= 0:
        raise DataError(f"all items of the tail lie at x_min = {x_min:g}: zeta cannot be told")
    return float(optimize.brentq(slope, *ends, xtol=1e-12, rtol=1e-12))


def _information(values: Floats, items: Floats, x_min: float, zeta: float) -> float:
    n = float(items.sum())
    own = float(items @ special.polygamma(1, values - zeta))
    return n / zeta**2 + n * float(special.polygamma(1, x_min - zeta)) - own


def _distance(values: Floats, items: Floats, x_min: float, zeta: float) -> float:
    model = np.exp(log_ccdf(values, zeta) - log_ccdf(x_min, zeta))
    observed = np.cumsum(items[::-1])[::-1] / items.sum()
    return float(np.max(np.abs(model - observed)))


def demand_tail_influence(values: Floats, multiplicities: Floats, fit: DemandTail) -> Floats:
    """Return the influence of one item of each value on zeta, x_min as given.

    Parameters
    ----------
    values, multiplicities : (n,)
        Distinct counts, and items of each.
    """
    tail = values >= fit.x_min
    information = _information(values[tail], multiplicities[tail], fit.x_min, fit.zeta)
    scores = _scores(np.where(tail, values, fit.x_min), fit.x_min, fit.zeta)
    return np.where(tail, scores / information, 0.0)
