"""The power law against its rivals on the same tail: Vuong's tests, AIC, BIC, a verdict.

By [Vuong1989] the normalised log-likelihood ratio is standard normal when two non-nested models fit
equally well and can be told apart; whether they can, his variance test says first (Theorem 4.4 and
5.4: n omega^2 is a weighted sum of chi-squares when they cannot). The power law lies on the
boundary of the truncated one, so that pair gets the p of the half chi-square mixture too
[SelfLiang1987]. Likelihoods stand in `baimo.estimation.tails._alternatives`.

Where items come in clusters (an author's models), the ratio is a sum over clusters and its error
that of leaving out one at a time: with the sums alone the test of equal fit rejects up to .09 at
.05 where one author holds a sixth of the tail, with the jackknife .05 to .08
(tests/benchmarks/clustered_size.py). Both p are told, the clustered first: it carries the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError
from baimo.estimation.laws import chi2_sf, normal_sf
from baimo.estimation.results import Estimate, Result, registered, shown
from baimo.estimation.samples.clusters import checked_labels, refuse_few, sum_clusters
from baimo.estimation.samples.counts import Counts, as_counts
from baimo.estimation.tails import _numba
from baimo.estimation.tails._alternatives import FittedRival, fit_rival
from baimo.estimation.tails.bootstrap import REJECTED_BELOW, GoodnessOfFit
from baimo.estimation.tails.power_law import TailFit

ALTERNATIVES = ("lognormal", "exponential", "stretched_exponential", "truncated_power_law")
SIGNIFICANT = 0.1  # CSN's level, for p of the fit and of the ratios
FEWEST = 50  # a smaller tail is weak evidence at best [BroidoClauset2019]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


@registered("Comparison")
@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison(Result):
    """A power law against one rival on one tail.

    Parameters
    ----------
    alternative
        Name of the rival.
    parameters, std_errors
        Its maximum-likelihood parameters and their standard errors, None where unknown.
    log_likelihood
        Of the rival on the tail.
    log_likelihood_ratio
        Log-likelihood of the power law less that of the rival; positive favours the power law.
    vuong
        The ratio over its standard error, standard normal under equal fit; None when nothing
        separates the two models item by item. The error is that of leaving out one cluster at a
        time where labels were given.
    p_value
        Two-sided p of `vuong`. Without clusters that of the truncated power law, which is nested,
        is of the plain chi-square: the mixture is too liberal (see p_nested). With clusters it is
        of `vuong` for every rival; on exact power laws that is conservative for those which hold
        the power law as a limit. The verdict rests on it.
    p_variance
        p of "the two cannot be told apart on these data" (Vuong's variance test); where it is
        large, neither the ratio nor its p means anything. None where `vuong` is None.
    p_nested
        Truncated power law only: p of "no cut-off", half chi-square with one degree, independent
        items. For alpha below 3 the score of the cut-off has infinite variance and p is too small:
        with alpha 2.3 and 1,000 items 15 % of exact power laws fall below .1.
    aic_difference, bic_difference
        Criterion of the rival less that of the power law; positive favours the power law.
    at_boundary
        The rival's optimum lies where it turns into the power law (for the truncated one: no
        cut-off; for lognormal and stretched exponential: the limit of their families).
    vuong_independent, p_independent
        As `vuong` and `p_value`, items taken as independent; None without clusters.
    n_clusters, effective_clusters
        Clusters in the tail, and the number of equal ones with shares of the variance of the ratio
        as uneven; None without clusters.
    """

    alternative: str
    parameters: dict[str, float]
    std_errors: dict[str, float | None]
    log_likelihood: float
    log_likelihood_ratio: float
    vuong: float | None
    p_value: float | None
    p_variance: float | None
    p_nested: float | None
    aic_difference: float
    bic_difference: float
    n_tail: int
    at_boundary: bool
    vuong_independent: float | None = None
    p_independent: float | None = None
    n_clusters: int | None = None
    effective_clusters: float | None = None

    title: ClassVar[str] = "Rival of the power law on the tail"

    def estimates(self) -> dict[str, Estimate]:
        """Return the parameters of the rival."""
        return {
            name: Estimate(value=value, std_error=self.std_errors[name])
            for name, value in self.parameters.items()
        }

    def summary(self) -> str:
        """Return the rival's parameters, the tests and the verdict."""
        name = self.alternative.replace("_", " ")
        rows = {
            "log-likelihood ratio": self.log_likelihood_ratio,
            "Vuong": self.vuong,
            "p": self.p_value,
            "p of the variance test": self.p_variance,
            "p of no cut-off": self.p_nested,
            "AIC less power law's": self.aic_difference,
            "BIC less power law's": self.bic_difference,
        }
        if self.n_clusters is not None:
            rows |= {
                "Vuong, items independent": self.vuong_independent,
                "p, items independent": self.p_independent,
                "clusters in the tail": self.n_clusters,
                "effective clusters": self.effective_clusters,
            }
        lines = [f"{self.title}: {name}", f"{'items in the tail':<26}{self.n_tail:>14,}"]
        lines += self._table()
        lines += [f"{label:<26}{shown(value, 4):>14}" for label, value in rows.items()]
        edge = "; at its boundary: imitates the power law" if self.at_boundary else ""
        return "\n".join([*lines, f"the tail prefers: {self.verdict}{edge}"])

    @property
    def verdict(self) -> str:
        """Say in words which of the two the tail prefers at the 10 % level, by `p_value`."""
        if self.p_value is None or self.p_value >= SIGNIFICANT or self.at_boundary:
            return "cannot tell"
        if self.p_nested is not None or self.log_likelihood_ratio < 0:
            return self.alternative.replace("_", " ")
        return "power law"


@registered("Support")
@dataclass(frozen=True, kw_only=True)
class Support:
    """What speaks for the power law, in the terms of [ClausetEtAl2009], Table 6.1.

    Parameters
    ----------
    level
        "with cut-off": the truncated power law is favoured over the pure one, and no rival has a
        lower AIC; whether it fits well by itself is not tested. "none": else, p < .1.
        "weak": p >= .1, but some rival fits better, or fewer than 50 items are in the tail.
        "moderate": p >= .1, and some rival is as plausible. "good": p >= .1 and no rival is.
        "cannot tell": the .1 lies within the Monte Carlo error of p, which comes before all of
        these but "with cut-off".
    reason
        One sentence.
    """

    level: str
    reason: str


def preferred_model(comparisons: Sequence[Comparison]) -> str:
    """Return the model with the lowest AIC on the tail: "power law" or the name of a rival."""
    best = min(comparisons, key=lambda c: c.aic_difference)
    return best.alternative.replace("_", " ") if best.aic_difference < 0 else "power law"


def judge_support(
    fit: TailFit, goodness: GoodnessOfFit, comparisons: Sequence[Comparison]
) -> Support:
    """Weigh the p-value and the rivals into one verdict.

    A rival at the boundary of its domain imitates the power law and does not count as one.
    """
    p, n = goodness.shown, goodness.n_replications
    lowest = min((c.aic_difference for c in comparisons), default=0.0)
    cut = [
        c
        for c in comparisons
        if c.p_nested is not None and c.verdict != "cannot tell" and c.aic_difference == lowest
    ]
    better = [
        c
        for c in comparisons
        if c.p_nested is None and c.verdict not in ("cannot tell", "power law")
    ]
    as_good = [
        c
        for c in comparisons
        if c.p_nested is None and c.verdict == "cannot tell" and not c.at_boundary
    ]

    def named(found: Sequence[Comparison]) -> str:
        return ", ".join(c.alternative.replace("_", " ") for c in found)

    if cut:
        return Support(
            level="with cut-off",
            reason=f"the cut-off improves the fit (p {cut[0].p_value:.2g}); power law p {p}",
        )
    if not goodness.decided:
        low, high = goodness.monte_carlo_interval()
        return Support(
            level="cannot tell",
            reason=f"p {p} of {n:,} replications may be {low:.2g} to {high:.2g}, which does not "
            f"settle whether it is below {REJECTED_BELOW:g}: ask for more replications",
        )
    if goodness.rejected:
        return Support(level="none", reason=f"the power law is rejected (p {p})")
    if better:
        return Support(level="weak", reason=f"p {p}, but better: {named(better)}")
    if fit.n_tail < FEWEST:
        return Support(level="weak", reason=f"p {p}, but only {fit.n_tail} items in the tail")
    if as_good:
        return Support(level="moderate", reason=f"p {p}; as plausible: {named(as_good)}")
    return Support(level="good", reason=f"p {p}, and no rival is plausible")


@dataclass(frozen=True, eq=False)
class _Labels:
    """The items of a tail: number of the cluster, place of the value among the distinct ones."""

    codes: Ints
    place: Ints

    def sums(self, by_value: Floats) -> Floats:
        """Return the sum over each cluster's items of what is given by distinct value."""
        return np.bincount(self.codes, weights=by_value[self.place]).astype(np.float64)


def _labels(data: Counts | ArrayLike, clusters: ArrayLike, tail: Counts) -> _Labels:
    labels, sizes = checked_labels(data, clusters), np.asarray(data, dtype=np.float64)
    inside = sizes >= tail.values[0]
    codes = np.unique(labels[inside], return_inverse=True)[1]
    refuse_few(int(codes.max()) + 1, codes.size, "the tail")
    return _Labels(codes=codes, place=np.searchsorted(tail.values, sizes[inside]))


def compare_tail(
    data: Counts | ArrayLike,
    fit: TailFit,
    alternatives: tuple[str, ...] = ALTERNATIVES,
    *,
    clusters: ArrayLike | None = None,
) -> tuple[Comparison, ...]:
    """Compare a fitted power law with its rivals on the same tail.

    Parameters
    ----------
    data
        The sample that `fit` was made from; the items one by one where clusters are given.
    fit
        Result of `baimo.estimation.tails.power_law.fit_tail`, without x_max.
    alternatives
        Names from `ALTERNATIVES`.
    clusters : (n,)
        Label of each item's cluster (its author), numbers or text. Without, items are taken as
        independent.

    Raises
    ------
    DataError
        Unknown names, a fit with an upper end, labels that do not match or a single cluster.
    """
    unknown = set(alternatives) - set(ALTERNATIVES)
    if unknown:
        raise DataError(f"unknown alternative {sorted(unknown)}; choose from {ALTERNATIVES}")
    if fit.x_max is not None:
        raise DataError("the rivals have no upper end: compare a fit without x_max")
    tail = as_counts(data).at_least(fit.x_min)
    if tail.n_obs != fit.n_tail:
        raise DataError("these are not the data of this fit: fit_tail them first")
    labels = None if clusters is None else _labels(data, clusters, tail)
    ours = _power_law(tail, fit)
    return tuple(
        _compare(tail, ours, name, fit_rival(name, tail, fit), labels) for name in alternatives
    )


def _power_law(tail: Counts, fit: TailFit) -> FittedRival:
    """Return the power law in the form of its rivals, theta = alpha."""
    constant = math.log((fit.alpha - 1.0) / fit.x_min)
    if fit.discrete:
        constant = -math.log(_numba.hurwitz_value(fit.alpha, fit.x_min, fit.x_min))
    logs = np.log(tail.values / fit.x_min)
    expected, variance = _numba.log_moments(fit.alpha, fit.x_min, math.inf, fit.discrete)
    return FittedRival(
        parameters={"alpha": fit.alpha},
        std_errors={"alpha": fit.std_error},
        log_density=constant - fit.alpha * logs,
        scores=(expected - logs)[:, None],
        curvature=np.array([[-variance]]),
        at_boundary=False,
    )


def _compare(
    tail: Counts, ours: FittedRival, name: str, theirs: FittedRival, labels: _Labels | None
) -> Comparison:
    n = tail.n_obs
    gaps = ours.log_density - theirs.log_density
    ratio = tail.sum(gaps)
    nested = name == "truncated_power_law"
    more = len(theirs.parameters) - 1
    alone = Comparison(
        alternative=name,
        parameters=theirs.parameters,
        std_errors=theirs.std_errors,
        log_likelihood=tail.sum(theirs.log_density),
        log_likelihood_ratio=ratio,
        vuong=None,
        p_value=chi2_sf(max(0.0, -2.0 * ratio), 1) if nested else None,
        p_variance=None,
        p_nested=(0.5 * chi2_sf(-2.0 * ratio, 1) if ratio < 0 else 1.0) if nested else None,
        aic_difference=2.0 * more + 2.0 * ratio,
        bic_difference=more * math.log(n) + 2.0 * ratio,
        n_tail=n,
        at_boundary=theirs.at_boundary,
    )
    apart = tail.sum((gaps - ratio / n) ** 2)
    if apart > 1e-12 * n:
        vuong = ratio / math.sqrt(apart)
        p_value = alone.p_value if nested else _two_sided(vuong)
        p_variance = _variance_test(tail, ours, theirs, apart, labels)
        alone = replace(alone, vuong=vuong, p_value=p_value, p_variance=p_variance)
    return alone if labels is None else _with_clusters(alone, labels, gaps - ratio / n)


def _with_clusters(alone: Comparison, labels: _Labels, centred: Floats) -> Comparison:
    """Return a comparison of independent items with the test that knows clusters before it."""
    found = sum_clusters(centred[labels.place], labels.codes, "the tail")
    there = alone.vuong is not None
    error = alone.n_tail * found.jackknife_error
    vuong = alone.log_likelihood_ratio / error if there else None
    return replace(
        alone,
        vuong=vuong,
        p_value=alone.p_value if vuong is None else _two_sided(vuong),
        vuong_independent=alone.vuong,
        p_independent=alone.p_value,
        n_clusters=found.n_clusters,
        effective_clusters=found.effective_clusters if there else None,
    )


def _two_sided(z: float) -> float:
    return 2.0 * normal_sf(abs(z))


def _variance_test(
    tail: Counts,
    ours: FittedRival,
    theirs: FittedRival,
    statistic: float,
    labels: _Labels | None,
) -> float | None:
    """Return the p of n omega^2 under "the models coincide" ([Vuong1989], eq. 4.6 and 5.8).

    The weights are the eigenvalues of B E V E, with E = diag(-A_f, A_g)^-1, A the mean second
    derivatives, B the mean products of scores and V the covariance of their sums, which is B where
    items are independent: then they are the squares of those of B E, which are Vuong's.
    """
    scores = np.hstack([ours.scores, theirs.scores])
    if not (np.all(np.isfinite(scores)) and np.all(np.isfinite(theirs.curvature))):
        return None
    weights = tail.multiplicities[:, None] / tail.n_obs
    products = np.einsum("ui,uj->ij", scores, scores * weights)
    spread = products
    if labels is not None:
        sums = np.stack([labels.sums(column) for column in scores.T], axis=1)
        spread = sums.T @ sums / tail.n_obs
    d = ours.scores.shape[1]
    inverse = np.zeros_like(products)
    inverse[:d, :d] = -np.linalg.pinv(ours.curvature, rcond=1e-8)
    inverse[d:, d:] = np.linalg.pinv(theirs.curvature, rcond=1e-8)
    squared = np.abs(np.linalg.eigvals(products @ inverse @ spread @ inverse))
    return chi_square_mixture_sf(statistic, squared[squared > 1e-10 * squared.max()])


def chi_square_mixture_sf(x: float, weights: Floats) -> float:
    """Return P(sum_j weights_j chi2_1 > x), by the integral of [Imhof1961].

    Parameters
    ----------
    x
        Point, > 0.
    weights : (d,)
        Positive.
    """
    scale = float(np.max(weights))
    w, point = weights / scale, x / scale

    def integrand(u: ArrayLike) -> Floats:
        v = np.asarray(u, dtype=float)[..., None] * w
        angle = 0.5 * np.sum(np.arctan(v), axis=-1) - 0.5 * point * np.asarray(u)
        size = np.prod((1.0 + v * v) ** 0.25, axis=-1)
        out: Floats = np.sin(angle) / (np.asarray(u) * size)
        return out

    # Half periods of sin(point u / 2): the first by itself, the rest, which alternate, at once.
    period = 2.0 * math.pi / max(point, 1e-3)
    first = float(integrate.quad(integrand, 0.0, period, limit=200)[0])
    panels = period * (np.arange(1, 400)[:, None] + 0.5 * (_NODES + 1.0))
    parts = 0.5 * period * integrand(panels) @ _WEIGHTS
    total = first + float(np.sum(parts)) - 0.5 * float(parts[-1])  # mean of the last two sums
    return min(1.0, max(0.0, 0.5 + total / math.pi))
