"""Power-law tails by [ClausetEtAl2009].

For every candidate x_min the exact maximum-likelihood alpha (discrete: Hurwitz zeta, their eq. 3.5;
continuous: their eq. 3.1), then the x_min with the smallest Kolmogorov-Smirnov distance, which
tends to be too high [DreesEtAl2020]. `baimo.estimation.tails.bootstrap` has the p-value and the
intervals that account for the choice of x_min, `baimo.estimation.tails.alternatives` the rivals.
alpha is the exponent of the density, zeta = alpha - 1 that of the CCDF.

The KS convention decides the answer on tied data:

- "csn" (the default; it gives back the fits they published): for counts
  |P(X <= x) - ECDF(x)| at the distinct values; for sizes per item, i/n with i from 0, ties not
  collapsed;
- "two-sided": the supremum over the distinct values and their left limits;
- "left": left limits at the distinct values only (what plfit and igraph do with counts).

With x_max the tail ends there: the law is normalised on [x_min, x_max] and larger items are
left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from baimo.estimation.arrays import Floats, Ints, Values
from baimo.estimation.errors import DataError
from baimo.estimation.laws import chi2_ppf, normal_ppf
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.arguments import (
    checked_effect,
    checked_flag,
    checked_n_tail_min,
    checked_x_max,
    checked_x_min,
)
from baimo.estimation.samples.clusters import (
    ClusterSums,
    checked_labels,
    sum_clusters,
)
from baimo.estimation.samples.counts import Counts, as_counts
from baimo.estimation.tails import _numba, _numba_sampling

KS_KINDS = {"csn": _numba.CSN, "two-sided": _numba.TWO_SIDED, "left": _numba.LEFT}


@registered("TailFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class TailFit(FitResult):
    """A fitted power-law tail.

    Parameters
    ----------
    alpha
        Exponent of the density, > 1.
    std_error
        Standard error of alpha (and of zeta) from the information at fixed x_min, items taken
        as independent; the choice of x_min is not in it.
    x_min, n_tail
        Lower end of the tail and number of items at or above it.
    ks
        Kolmogorov-Smirnov distance above x_min.
    log_likelihood
        Of the tail items.
    discrete
        Whether the exact discrete likelihood was used.
    n_zero
        Items that are zero: counted in n_obs, outside every tail.
    n_distinct
        Distinct values in the tail, None where unknown; the other items are ties.
    design_effect, n_clusters
        Variance inflation by clusters (authors) and their number in the tail, None where
        unknown. Where no labels were given, intervals use the inflation where it exceeds 1: a
        value below 1 is luck of few clusters and narrows nothing.
    cluster_error
        Standard error of alpha with one cluster left out at a time, None without labels.
    effective_clusters
        Number of equal clusters whose shares of the variance of alpha are as uneven, None without
        labels: where one author is most of the variance it is near 1, whatever n_clusters is.
    x_max
        Upper end of the tail, None where it has none.
    ks_kind, n_tail_min, x_min_given
        How x_min was chosen: KS convention, smallest tail allowed, or given by the caller.
    """

    alpha: float
    std_error: float
    x_min: float
    n_tail: int
    ks: float
    log_likelihood: float
    discrete: bool
    n_zero: int
    n_distinct: int | None = None
    design_effect: float | None = None
    n_clusters: int | None = None
    cluster_error: float | None = None
    effective_clusters: float | None = None
    x_max: float | None = None
    ks_kind: str = "csn"
    n_tail_min: int = 2
    x_min_given: bool = False

    title: ClassVar[str] = "Power-law tail (Clauset-Shalizi-Newman)"

    @property
    def zeta(self) -> float:
        """Exponent of the CCDF, alpha - 1."""
        return self.alpha - 1.0

    @property
    def top(self) -> float:
        """Upper end of the tail, infinite where it has none."""
        return math.inf if self.x_max is None else self.x_max

    @property
    def variance_inflation(self) -> float:
        """Design effect where it is known and above 1, else 1."""
        return max(1.0, self.design_effect or 1.0)

    @property
    def std_error_clustered(self) -> float:
        """Standard error of alpha and zeta that knows the clusters, at least `std_error`.

        With labels the delete-a-cluster jackknife; without, `std_error` times the square root of
        the design effect.
        """
        if self.cluster_error is not None:
            return max(self.std_error, self.cluster_error)
        return self.std_error * math.sqrt(self.variance_inflation)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of alpha at fixed x_min.

        With labels of clusters, normal quantiles times the jackknife error (at 95 % it covers
        .94 to .95 with the models of real owners, tests/benchmarks/clustered_size.py); else
        `profile_interval`.
        """
        if self.cluster_error is None:
            return self.profile_interval(level)
        half = normal_ppf(0.5 + _checked_level(level) / 2) * self.std_error_clustered
        return max(1.0, self.alpha - half), self.alpha + half

    def profile_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the likelihood-ratio interval of alpha at fixed x_min.

        At 95 % it covers .944 to .961 where x_min is given, and .893 to .926 where the scan chose
        it (1,000 samples, see `baimo.estimation.tails.bootstrap`, whose interval contains that
        choice).

        The alphas whose log-likelihood lies within chi2_1(level)/2 of the maximum, times the
        design effect where items come in clusters.
        """
        drop = 0.5 * chi2_ppf(_checked_level(level), 1) * self.variance_inflation / self.n_tail
        mean_log = _expected_log(self)

        def excess(alpha: float) -> float:
            return _cost(alpha, mean_log, self) - _cost(self.alpha, mean_log, self) - drop

        step = max(self.std_error_clustered, 1e-9)
        low, high = self.alpha, self.alpha
        while low > 1.0 + 1e-9 and excess(low) < 0:
            low, step = max(low - step, 1.0 + 1e-9), 2 * step
        step = max(self.std_error_clustered, 1e-9)
        while excess(high) < 0:
            high, step = high + step, 2 * step
        left = low if excess(low) < 0 else optimize.brentq(excess, low, self.alpha, xtol=1e-13)
        return float(left), float(optimize.brentq(excess, self.alpha, high, xtol=1e-13))

    def conf_int(self, level: float = 0.95) -> dict[str, tuple[float, float] | None]:
        """Return the `interval` of alpha and zeta at `level`, x_min fixed."""
        low, high = self.interval(level)
        unknown = dict.fromkeys(self.estimates())
        return unknown | {"alpha": (low, high), "zeta": (low - 1.0, high - 1.0)}

    def estimates(self) -> dict[str, Estimate]:
        """Return alpha, zeta, x_min, n_tail and ks."""
        low, high = self.interval()
        error = self.std_error_clustered
        return {
            "alpha": Estimate(value=self.alpha, std_error=error, interval=(low, high)),
            "zeta": Estimate(value=self.zeta, std_error=error, interval=(low - 1.0, high - 1.0)),
            "x_min": Estimate(value=self.x_min, unit="data"),
            "n_tail": Estimate(value=float(self.n_tail), unit="items"),
            "n_distinct": Estimate(
                value=None if self.n_distinct is None else float(self.n_distinct), unit="values"
            ),
            "ks": Estimate(value=self.ks),
        }


def _checked_level(level: float) -> float:
    if not 0 < level < 1:
        raise DataError(f"level = {level:g} must lie between 0 and 1, 0.95 for 95 %")
    return level


def _cost(alpha: float, mean_log: float, fit: TailFit) -> float:
    """Return minus the log-likelihood per item, up to a constant."""
    _, x_min, _, mass, _ = _numba.law_at(alpha, fit.x_min, fit.top, fit.discrete)
    if not fit.discrete:
        mass *= x_min / (alpha - 1.0)
    return math.log(mass) + alpha * mean_log


def _expected_log(fit: TailFit) -> float:
    """Return E[log(X / x_min)] under the fit, which is the sample's mean at the optimum."""
    return float(_numba.log_moments(fit.alpha, fit.x_min, fit.top, fit.discrete)[0])


def fit_tail(
    data: Counts | ArrayLike,
    *,
    discrete: bool = True,
    x_min: float | None = None,
    x_max: float | None = None,
    n_tail_min: int = 2,
    ks: str = "csn",
    clusters: ArrayLike | None = None,
    design_effect: float | None = None,
) -> TailFit:
    """Fit a power law to the upper tail.

    Parameters
    ----------
    data
        Counts, or a flat array of non-negative numbers. Zeros are reported, never in the tail.
    discrete
        Exact likelihood for counts (True) or for continuous sizes (False).
    x_min
        Lower end of the tail; None scans every distinct value for the smallest KS distance.
    x_max
        Upper end of the tail; larger items are left out and the law is normalised below it.
    n_tail_min
        Smallest tail the scan considers, at least 2.
    ks
        Convention of the KS distance: "csn", "two-sided" or "left" (see the module).
    clusters : (n,)
        Label of each item's cluster (its author), numbers or text; needs `data` as an array.
        The errors then come from leaving out one cluster at a time.
    design_effect
        Variance inflation by clusters where it is known without labels.

    Raises
    ------
    DataError
        All zeros, fewer than two distinct positive values, fractions given as counts, options
        outside their range.

    Notes
    -----
    The scan is exact: no grid of candidates, no limit on x_min. Its cost is in distinct values.
    """
    counts = as_counts(data)
    labels = None if clusters is None else checked_labels(data, clusters)
    checked_effect(design_effect, clusters)
    discrete = checked_flag("discrete", discrete)
    n_tail_min = checked_n_tail_min(n_tail_min)
    x_max = checked_x_max(x_max, discrete)
    notes: list[str] = []
    tail = _usable(counts, discrete, x_max, notes)
    kind = _checked_kind(ks)
    if x_min is None:
        index, _, _ = _scan(tail, discrete, kind, n_tail_min, _top(x_max))
        if index < 0:
            raise DataError(
                f"no x_min leaves a tail of {n_tail_min} items with two distinct values"
                f"{'' if x_max is None else ' and an alpha above 1'}; lower n_tail_min"
            )
        tail = Counts(values=tail.values[index:], multiplicities=tail.multiplicities[index:])
    else:
        tail = tail.at_least(checked_x_min(x_min, discrete))
    start = float(tail.values[0]) if x_min is None else float(x_min)
    alpha, std_error, log_likelihood = _maximum(tail, start, discrete, x_max)
    if tail.n_obs < 50:
        notes.append(f"only {tail.n_obs} items in the tail: the exponent is hardly determined")
    if counts.n_zero:
        notes.append(f"{counts.n_zero:,} of {counts.n_obs:,} items are zero, outside any tail")
    fit = TailFit(
        n_obs=counts.n_obs,
        n_used=tail.n_obs,
        notes=tuple(notes),
        alpha=alpha,
        std_error=std_error,
        x_min=start,
        n_tail=tail.n_obs,
        ks=_ks_at(tail, start, alpha, discrete, kind, x_max),
        log_likelihood=log_likelihood,
        discrete=discrete,
        n_zero=counts.n_zero,
        n_distinct=tail.n_unique,
        design_effect=design_effect,
        x_max=None if x_max is None else float(x_max),
        ks_kind=ks,
        n_tail_min=n_tail_min,
        x_min_given=x_min is not None,
    )
    return fit if labels is None else _clustered(fit, np.asarray(data), labels)


def _usable(counts: Counts, discrete: bool, x_max: float | None, notes: list[str]) -> Counts:
    """Return the positive items up to x_max, refusing what no tail can be fitted to."""
    tail = counts.positive()
    if discrete:
        tail.refuse_fractions()
    if x_max is not None:
        n_before = tail.n_obs
        tail = tail.at_most(x_max)
        if tail.n_obs < n_before:
            notes.append(f"{n_before - tail.n_obs:,} items above x_max = {x_max:g} left out")
    if tail.n_unique < 2:
        only = f"the only positive value is {tail.values[0]:g}"
        if tail.n_obs > 1:
            only = f"all {tail.n_obs:,} positive values equal {tail.values[0]:g}"
        raise DataError(f"{only}: a tail needs at least two distinct values; give more data")
    return tail


def _checked_kind(ks: str) -> int:
    if ks not in KS_KINDS:
        raise DataError(f"ks = {ks!r} is not a convention; choose from {sorted(KS_KINDS)}")
    return KS_KINDS[ks]


def _top(x_max: float | None) -> float:
    return math.inf if x_max is None else float(x_max)


def suffix_sums(tail: Counts) -> tuple[_numba.Sample, Floats]:
    """Return the sample as the kernels take it, and the sum of log(value) from each value on."""
    kept, logs, above, log_sums = _numba_sampling.compressed(tail.values, tail.multiplicities)
    return (kept, logs, above), log_sums


def _scan(
    tail: Counts, discrete: bool, kind: int, n_tail_min: int, top: float
) -> tuple[int, float, float]:
    sample, log_sums = suffix_sums(tail)
    found: tuple[int, float, float] = _numba.scan_x_min(
        sample, log_sums, top, discrete, kind, n_tail_min, -1.0, 0
    )
    return found


def _maximum(
    tail: Counts, x_min: float, discrete: bool, x_max: float | None
) -> tuple[float, float, float]:
    """Return (alpha, its standard error, log-likelihood) of a tail with fixed ends."""
    n, top = tail.n_obs, _top(x_max)
    mean_log = tail.sum(np.log(tail.values / x_min)) / n
    if mean_log <= 0:
        raise DataError(f"all {n} values from x_min = {x_min:g} on are equal: choose a lower x_min")
    alpha, exists = _numba.mle_at(mean_log, x_min, 0.0, top, discrete)
    if not exists:
        why = (
            "alpha lies beyond 1000: almost all values equal x_min, this is no power law"
            if alpha > 1.5
            else f"no alpha above 1 fits between x_min and x_max = {top:g}"
        )
        raise DataError(f"x_min = {x_min:g}: {why}; choose another x_min")
    _, variance = _numba.log_moments(alpha, x_min, top, discrete)
    _, _, _, mass, _ = _numba.law_at(alpha, x_min, top, discrete)
    if not discrete:
        mass *= x_min / (alpha - 1.0)
    log_likelihood = -n * (math.log(mass) + alpha * mean_log)
    return float(alpha), 1.0 / math.sqrt(n * variance), log_likelihood


def _ks_at(
    tail: Counts, x_min: float, alpha: float, discrete: bool, kind: int, x_max: float | None
) -> float:
    sample, _ = suffix_sums(tail)
    law = _numba.law_at(alpha, x_min, _top(x_max), discrete)
    distance, _ = _numba.ks_distance(
        sample, 0, law, discrete, kind, math.inf, -1, np.empty((64, 6))
    )
    return float(distance)


def _clustered(fit: TailFit, sizes: NDArray[np.generic], labels: NDArray[np.generic]) -> TailFit:
    found = tail_cluster_sums(sizes, labels, fit)
    return replace(
        fit,
        design_effect=found.design_effect,
        n_clusters=found.n_clusters,
        cluster_error=found.jackknife_error / tail_information(fit),
        effective_clusters=found.effective_clusters,
        notes=fit.notes + found.notes,
    )


def tail_ccdf(fit: TailFit, x: ArrayLike) -> Floats:
    """Return the fitted P(X >= x | X >= x_min) at the points x >= x_min."""
    points = np.asarray(x, dtype=np.float64)
    if fit.discrete:
        points = np.ceil(points)
    law = _numba.law_at(fit.alpha, fit.x_min, fit.top, fit.discrete)
    values: Floats = _numba.ccdf(points, law, fit.discrete)
    return np.clip(values, 0.0, 1.0)  # below x_min and beyond x_max


def sample_tail(fit: TailFit, size: int, rng: np.random.Generator) -> Floats:
    """Draw `size` independent items from the fitted tail, exactly and in random order."""
    return sample_power_law(fit.alpha, fit.x_min, size, rng, discrete=fit.discrete, x_max=fit.x_max)


def sample_power_law(
    alpha: float,
    x_min: float,
    size: int,
    rng: np.random.Generator,
    *,
    discrete: bool = True,
    x_max: float | None = None,
) -> Floats:
    """Draw independent items of P(X = x) ~ x^-alpha on x_min .. x_max, exactly.

    Parameters
    ----------
    alpha
        Exponent of the probabilities (counts) or of the density (sizes), > 1; zeta + 1.
    x_min, x_max
        Ends of the support, > 0; whole numbers for counts; no upper end where x_max is None.
    size
        Number of items.
    rng
        Gives the state of the compiled generator: one draw of it per call.

    Returns
    -------
    (size,) float64

    Raises
    ------
    DataError
        A parameter outside its range.
    """
    top = math.inf if x_max is None else x_max
    if not 1.0 < alpha < math.inf:
        raise DataError(f"alpha = {alpha:g} must be above 1: the law has no finite sum otherwise")
    if not 0.0 < x_min < top:
        raise DataError(f"x_min = {x_min:g} must be positive and below x_max = {top:g}")
    if discrete and (x_min % 1.0 or (math.isfinite(top) and top % 1.0)):
        raise DataError("the ends of a law of counts must be whole numbers; or discrete=False")
    if size < 0:
        raise DataError(f"size = {size} must not be negative")
    state = rng.integers(0, 2**64, 4, dtype=np.uint64)
    draws: Floats = _numba_sampling.sample_items(size, alpha, x_min, top, discrete, state)
    return draws


@registered("TailPath")
@dataclass(frozen=True, eq=False, kw_only=True)
class TailPath:
    """How the fit depends on x_min: the picture that shows whether a tail is one.

    Parameters
    ----------
    x_min, alpha, std_error, ks : (m,) float64
        Candidates ascending; alpha, its standard error and the KS distance at each.
    n_tail : (m,) int64
        Items at or above each candidate.
    """

    x_min: Floats
    alpha: Floats
    std_error: Floats
    ks: Floats
    n_tail: Ints


def tail_path(data: Counts | ArrayLike, fit: TailFit, *, n_points: int = 400) -> TailPath:
    """Return alpha and ks over x_min, at no more than n_points candidates.

    The candidates are distinct values, log-evenly spaced in n_tail (all of them where they are
    few), each tail of at least ten items and of `n_tail_min` of the fit; its x_min is among them.
    """
    tail = _usable(as_counts(data), fit.discrete, fit.x_max, [])
    sample, log_sums = suffix_sums(tail)
    above = sample[2][:-1]
    last = max(int(np.searchsorted(-above, -max(10, fit.n_tail_min), side="right")), 2)
    wanted = np.geomspace(above[0], above[min(last, above.size) - 1], n_points)
    chosen = np.searchsorted(-above, -wanted, side="left")
    chosen = np.append(chosen, np.searchsorted(tail.values, fit.x_min))
    chosen = np.unique(chosen[chosen < tail.n_unique - 1])
    alpha, std_error, ks = _numba.tail_path(
        sample, log_sums, fit.top, fit.discrete, KS_KINDS[fit.ks_kind], chosen
    )
    there = np.isfinite(alpha)
    return TailPath(
        x_min=tail.values[chosen][there],
        alpha=alpha[there],
        std_error=std_error[there],
        ks=ks[there],
        n_tail=above[chosen][there],
    )


def tail_scores(logs: Floats, fit: TailFit) -> Floats:
    """Return the scores of tail items for alpha, E[log x] - log x, given log(x / x_min) of each."""
    return np.asarray(_expected_log(fit) - logs)


def tail_information(fit: TailFit) -> float:
    """Return the information of an item on alpha: alpha is off by the mean score over it."""
    return float(_numba.log_moments(fit.alpha, fit.x_min, fit.top, fit.discrete)[1])


def tail_cluster_sums(sizes: Values, clusters: Values, fit: TailFit) -> ClusterSums:
    """Return the scores for alpha at fixed x_min, summed within the clusters of the tail."""
    inside = (sizes >= fit.x_min) & (sizes <= fit.top)
    scores = tail_scores(np.log(sizes[inside] / fit.x_min), fit)
    return sum_clusters(scores, clusters[inside], "the tail")
