"""Tail index without a power law assumed from some x_min on: Hill and kin, choice of k, tests.

zeta is the exponent of the CCDF, gamma = 1/zeta the extreme value index, k the number of items
in the tail, u the threshold, X_(1) >= X_(2) >= ... the items, M_j the mean of log(X/u)^j over
the tail.

Ties. No estimate may depend on an order within ties, so all exist only at k where a group of
ties ends: k = number of items >= v for a distinct value v. A k inside a group is moved to the
nearest end, and `notes` says so. For sizes u is the next lower value, the classical X_(k+1).
For counts u = v - 1/2, because a count v stands for [v - 1/2, v + 1/2).
On zeta-distributed counts from v on, Hill is then off by -.03 % (v = 20), -.1 % (10), -.6 %
(5), -21 % (1) at zeta = 1, by -.1, -.5, -2.0 and -42 % at zeta = 2; without the half by 2.6 to
75 % and 5 to 203 %. A tail that reaches below v = 10 gets a note.

All work is on distinct values. Standard errors take items as independent; a design effect
widens the intervals. Coverage of the 95 % interval of zeta, k = n/10, 2,000 samples (no
interval counts as a miss; Monte Carlo error .005 to .009):

    n, true zeta      hill   corrected  moment  kernel  pickands
    Pareto 1,000, 1   .957   .949       .974    .959    .919
    Pareto 1,000, 2   .952   .949       .971    .949    .784
    Pareto 10,000, 1  .956   .956       .947    .951    .955
    Pareto 10,000, 2  .945   .956       .950    .943    .926
    Frechet 1,000, 1  .936   .934       .954    .935    .917
    Frechet 1,000, 2  .936   .934       .973    .948    .779
    Frechet 10,000, 1 .862   .938       .946    .929    .955
    Frechet 10,000, 2 .874   .938       .957    .936    .932
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats, Ints, Values
from baimo.estimation.errors import DataError
from baimo.estimation.laws import chi2_sf, normal_cdf
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.arguments import checked_effect
from baimo.estimation.samples.clusters import (
    ClusterSums,
    checked_labels,
    effective_number,
    refitted_error,
    refuse_few,
    sum_clusters,
)
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails import _tail_index
from baimo.estimation.tails._tail_index import TieEnds

N_TEST_MIN = 10


@registered("IndexFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class IndexFit(FitResult):
    """Tail index from the k largest items.

    Parameters
    ----------
    method
        "hill", "hill_corrected", "moment", "pickands" or "kernel".
    zeta
        Exponent of the CCDF, > 0; None where gamma <= 0 (the tail is not of power type).
    gamma
        Extreme value index, 1/zeta.
    std_error
        Of zeta, by the delta method from gamma at fixed k, items independent; None with zeta.
    k, threshold
        Items in the tail, at the end of a group of ties, and the threshold u below them.
    design_effect
        Variance inflation by clusters, None where unknown. Without `cluster_error` intervals use it
        where it exceeds 1.
    cluster_error
        Standard error of zeta with one cluster left out at a time, None without labels.
    n_clusters, effective_clusters
        Clusters in the tail, and the number of equal ones whose shares of the variance are as
        uneven; None without labels.
    """

    method: str
    zeta: float | None
    gamma: float
    std_error: float | None
    k: int
    threshold: float
    design_effect: float | None = None
    cluster_error: float | None = None
    n_clusters: int | None = None
    effective_clusters: float | None = None

    title: ClassVar[str] = "Tail index"

    @property
    def std_error_clustered(self) -> float | None:
        """Standard error of zeta that knows the clusters, at least `std_error`.

        With labels the delete-a-cluster jackknife; without, `std_error` times the square root of
        the design effect.
        """
        if self.std_error is None:
            return None
        if self.cluster_error is not None:
            return max(self.std_error, self.cluster_error)
        return self.std_error * math.sqrt(max(1.0, self.design_effect or 1.0))

    def estimates(self) -> dict[str, Estimate]:
        """Return zeta, gamma and the threshold."""
        error = self.std_error_clustered
        of_gamma = None if error is None else error * self.gamma**2
        return {
            "zeta": Estimate(value=self.zeta, std_error=error),
            "gamma": Estimate(value=self.gamma, std_error=of_gamma),
            "threshold": Estimate(value=self.threshold, unit="data"),
        }


@registered("IndexPath")
@dataclass(frozen=True, eq=False, kw_only=True)
class IndexPath:
    """Estimates over k (the Hill plot), at ends of ties, about evenly spaced in log k.

    All arrays are (p,), k ascending; zeta and std_error are NaN where gamma <= 0.
    """

    method: str
    n_obs: int
    k: Ints
    threshold: Floats
    zeta: Floats
    std_error: Floats


@registered("IndexTest")
@dataclass(frozen=True, kw_only=True)
class IndexTest:
    """A test on the k largest items; null is "Pareto" (against lognormal) or "Zipf" (zeta = 1).

    Small p rejects it. `parts` is what the statistic is made of: "cv", or "z1" and "z2".
    With clusters p_value knows them, p_independent takes items as independent, and
    `effective_clusters` is the number of equal clusters with shares of the statistic's variance as
    uneven; without, the last three are None.
    """

    null: str
    statistic: float
    p_value: float
    parts: dict[str, float]
    k: int
    threshold: float
    n_obs: int
    notes: tuple[str, ...] = field(default=())
    p_independent: float | None = None
    n_clusters: int | None = None
    effective_clusters: float | None = None


@registered("LognormalPath")
@dataclass(frozen=True, eq=False, kw_only=True)
class LognormalPath:
    """The test of Pareto against lognormal over thresholds.

    The arrays are (p,), k ascending. From `lowest_threshold`, with `lowest_k` items above it, on
    up no p_value (of all thresholds, shown or not) lies below `level`; None when the highest
    threshold is already rejected.
    """

    k: Ints
    threshold: Floats
    cv: Floats
    p_value: Floats
    level: float
    lowest_threshold: float | None
    lowest_k: int | None
    n_obs: int


def _fit(
    data: Counts | ArrayLike,
    method: str,
    k: int,
    discrete: bool,
    clusters: ArrayLike | None,
    design_effect: float | None,
) -> IndexFit:
    labels = None if clusters is None else checked_labels(data, clusters)
    checked_effect(design_effect, clusters)
    ends = TieEnds(data, discrete)
    j, notes = ends.index(k)
    gamma, relative = _tail_index.INDEX[method](ends, j)
    if not math.isfinite(gamma):
        raise DataError(f"the {ends.k[j]} largest items vary too little; choose a larger k")
    power = gamma > 0
    if not power:
        notes += (f"gamma = {gamma:.4g} is not positive: the tail is not of power type",)
    if method == "hill_corrected":
        notes += _tail_index.second_order_notes(ends, j)
    fit = IndexFit(
        n_used=int(ends.k[j]),
        method=method,
        zeta=1 / gamma if power else None,
        gamma=gamma,
        std_error=relative / gamma if power else None,
        design_effect=design_effect,
        notes=notes,
        **ends.place(j),
    )
    if labels is None:
        return fit
    found, error = index_cluster_error(np.asarray(data, dtype=np.float64), labels, fit)
    return replace(
        fit,
        design_effect=found.design_effect,
        cluster_error=error,
        n_clusters=found.n_clusters,
        effective_clusters=found.effective_clusters,
        notes=fit.notes + found.notes,
    )


def fit_hill(
    data: Counts | ArrayLike,
    *,
    k: int,
    discrete: bool = True,
    bias_corrected: bool = False,
    clusters: ArrayLike | None = None,
    design_effect: float | None = None,
) -> IndexFit:
    """Return the estimate of [Hill1975]: gamma = M_1, standard error zeta/sqrt(k).

    Parameters
    ----------
    data
        Counts, or a flat array of non-negative numbers; zeros are in no tail.
    k
        Items in the tail, at least 3 with two distinct values; moved to an end of ties.
    discrete
        True: whole numbers, threshold v - 1/2. False: sizes, threshold X_(k+1).
    bias_corrected
        Minimum-variance reduced-bias Hill of [CaeiroEtAl2005]:
        M_1 (1 - beta/(1 - rho) (n/k)^rho), n the positive items, beta and rho from the n^0.999
        largest. It helps on smooth laws such as Frechet and on no other: on exact Pareto, or
        where the body is unlike the tail, rho is not identified. An estimate above -1/2 is
        therefore replaced by rho = -1, as many do throughout [DreesKaufmann1998], and a note calls
        the result doubtful: no sample of 300 from Frechet, Burr (rho -1, -1/2, -1/4) and Student's
        t (3 df) gave more than -.7, of exact Pareto samples 2 in 5 did. rho below -10 corrects
        nothing, and a note says so. The standard error contains that of beta (theirs is Hill's,
        right for k far below n only), not that of rho: 1.03 times Hill's at k = n/10, 1.5 at n/2,
        rho = -1.
    clusters : (n,)
        Label of each item's cluster; needs `data` as an array.
    design_effect
        Variance inflation by clusters where it is known without labels.

    Raises
    ------
    DataError
        Sizes with discrete=True; k outside its range; beta or rho not estimable.
    """
    method = "hill_corrected" if bias_corrected else "hill"
    return _fit(data, method, k, discrete, clusters, design_effect)


def fit_moment(
    data: Counts | ArrayLike,
    *,
    k: int,
    discrete: bool = True,
    clusters: ArrayLike | None = None,
    design_effect: float | None = None,
) -> IndexFit:
    """Return the moment estimate of [DekkersEtAl1989], eq. 1.7.

    gamma = M_1 + 1 - 1/2 / (1 - M_1^2/M_2), any sign; for gamma > 0 its standard error is
    sqrt((1 + gamma^2)/k). Parameters and errors as `fit_hill`.
    """
    return _fit(data, "moment", k, discrete, clusters, design_effect)


def fit_pickands(
    data: Counts | ArrayLike, *, k: int, discrete: bool = True, design_effect: float | None = None
) -> IndexFit:
    """Return the estimate of [Pickands1975] from the order statistics at k/4, k/2 and k.

    With m = floor(k/4), gamma = log2[(X_(m) - X_(2m)) / (X_(2m) - X_(4m))] and standard error
    gamma sqrt(2^(2 gamma + 1) + 1) / (2 (2^gamma - 1) log 2 sqrt(m))
    ([DekkersDeHaan1989], Theorem 2.3). Equal counts are spread evenly over their unit interval.
    Parameters and errors as `fit_hill`, with k at least 4 and no clusters: their influence on it is
    not known.
    """
    return _fit(data, "pickands", k, discrete, None, design_effect)


def fit_kernel(
    data: Counts | ArrayLike,
    *,
    k: int,
    discrete: bool = True,
    clusters: ArrayLike | None = None,
    design_effect: float | None = None,
) -> IndexFit:
    """Return the kernel estimate of [CsorgoEtAl1985].

    gamma = sum_i (i/k) K(i/k) log(X_(i)/X_(i+1)) / [(1/k) sum_i K(i/k)] with the biweight
    K(s) = 15/8 (1 - s^2)^2; standard error gamma sqrt(int K^2 / k), int K^2 = 10/7.
    Parameters and errors as `fit_hill`.
    """
    return _fit(data, "kernel", k, discrete, clusters, design_effect)


def index_path(
    data: Counts | ArrayLike, *, discrete: bool, method: str = "hill", n_points: int = 400
) -> IndexPath:
    """Return the estimates of "hill", "moment" or "hill_corrected" over k, for a plot.

    n_points is about how many k, at least 2; fewer where there are fewer ends of ties. Other
    parameters and errors as `fit_hill`; DataError for an unknown method.
    """
    if method not in ("hill", "moment", "hill_corrected"):
        raise DataError(f"method {method!r}: choose hill, moment or hill_corrected")
    ends = TieEnds(data, discrete)
    at = ends.thin(ends.first, n_points)
    gamma = _tail_index.moment_gamma(ends) if method == "moment" else ends.moment(1)
    k = ends.k[at]
    relative = 1 / np.sqrt(k)
    if method == "hill_corrected":
        found = _tail_index.second_order(ends)
        gamma = gamma * _tail_index.bias_factor(ends, found)
        relative = _tail_index.corrected_error(found, k)
    gamma = gamma[at]
    zeta = 1 / np.where(gamma > 0, gamma, np.nan)
    if method == "moment":
        relative = np.sqrt((1 + zeta**2) / k)
    return IndexPath(
        method=method,
        n_obs=ends.n_obs,
        k=k,
        threshold=ends.threshold[at],
        zeta=zeta,
        std_error=zeta * relative,
    )


def pareto_lognormal_test(
    data: Counts | ArrayLike,
    *,
    discrete: bool,
    k: int | None = None,
    threshold: float | None = None,
    clusters: ArrayLike | None = None,
) -> IndexTest:
    """Uniformly most powerful unbiased test of Pareto against lognormal above a threshold.

    In logs: exponential against truncated normal [DelCastilloPuig1999] [MalevergneEtAl2011]. Small
    coefficients of variation of log(x/u) favour the lognormal. p comes from a shifted lognormal
    with the exact first three moments of Greenwood's statistic (cv^2 + 1)/k.
    Share rejected of 400,000 true nulls at nominal 1, 5, 10 %: 1.2, 5.0, 9.9 (10 items), 1.7,
    5.7, 10.4 (50), 1.1, 5.1, 10.0 (500). `statistic` is min(cv, 1); p is of the cv unclipped,
    near 1 where the tail is heavier than Pareto.

    With `clusters` (n,), a label for each item, p comes from Greenwood's statistic linearised
    under the null, sum_i (y_i^2 - 4 y_i + 2) with y_i = log(x_i/u)/M_1, over the root of its
    squared sums by cluster: standard normal, small values for the lognormal.

    Give k as in `fit_hill`, or a threshold: all counts >= it, or all sizes above the lowest
    observed size >= it. DataError for both or none, fewer than 10 items, or k out of range.
    """
    if (k is None) == (threshold is None):
        raise DataError("k and threshold exclude each other; give exactly one")
    ends = TieEnds(data, discrete)
    if threshold is not None:  # u = v - 1/2 lies below the counts v >= threshold
        above = int(np.sum(ends.threshold >= threshold - (0.5 if discrete else 0.0)))
        if not above:
            raise DataError(f"nothing lies above threshold = {threshold:g}; choose a lower one")
        k = int(ends.k[above - 1])
    j, notes = ends.index(int(k or 0))
    if ends.k[j] < N_TEST_MIN:
        raise DataError(f"{ends.k[j]} items in the tail; choose at least {N_TEST_MIN}")
    cv, p = _tail_index.cv_test(ends, np.array([j]))
    found = IndexTest(
        null="Pareto",
        statistic=min(float(cv[0]), 1.0),
        p_value=float(p[0]),
        parts={"cv": float(cv[0])},
        notes=notes,
        **ends.place(j),
    )
    if clusters is None:
        return found
    sums = _score_sums(data, clusters, found.threshold, _greenwood_scores)
    z = float(np.sum(sums) / np.sqrt(np.sum(sums**2)))
    return _with_clusters(found, normal_cdf(z), sums[:, 0])


def pareto_lognormal_path(
    data: Counts | ArrayLike, *, discrete: bool, level: float = 0.1, n_points: int = 400
) -> LognormalPath:
    """Return `pareto_lognormal_test` over all thresholds with at least 10 items above.

    The tests are many: of 1,000 exact Pareto samples of 1,000 items only 36 % are rejected
    nowhere at 10 %, and half have lowest_k below 112. A low k here is no proof of a lognormal.
    `level`, in (0, 1), is the p below which a threshold is rejected; other parameters and errors
    as `index_path`; DataError where fewer than 10 items are usable.
    """
    if not 0 < level < 1:
        raise DataError(f"level = {level:g}: choose one between 0 and 1")
    ends = TieEnds(data, discrete)
    first = max(ends.first, int(np.searchsorted(ends.k, N_TEST_MIN)))
    if first >= ends.k.size:
        raise DataError(f"no threshold has {N_TEST_MIN} items above it; give more data")
    cv, p = _tail_index.cv_test(ends, np.arange(first, ends.k.size))
    rejected = np.flatnonzero(p < level)
    lowest = first + (int(rejected[0]) if rejected.size else p.size) - 1
    found = lowest >= first
    at = ends.thin(first, n_points)
    return LognormalPath(
        k=ends.k[at],
        threshold=ends.threshold[at],
        cv=cv[at - first],
        p_value=p[at - first],
        level=level,
        lowest_threshold=float(ends.threshold[lowest]) if found else None,
        lowest_k=int(ends.k[lowest]) if found else None,
        n_obs=ends.n_obs,
    )


def zipf_lm_test(
    data: Counts | ArrayLike, *, k: int, discrete: bool, clusters: ArrayLike | None = None
) -> IndexTest:
    """Test Zipf's law (zeta = 1) by the LM test of [Urzua2000].

    LM = 4 k (z1^2 + 6 z1 z2 + 12 z2^2), z1 = 1 - mean(log(x/u)), z2 = 1/2 - mean(u/x),
    chi-square with 2 degrees of freedom: under zeta = 1, log(x/u) is standard exponential and
    u/x uniform, with variances 1 and 1/12 and covariance -1/4, and LM is k (z1, z2) times the
    inverse of that matrix. It is the score test in the Pareto II family with scale u, shape 1.
    Size at nominal 5 %: .051 (30 items), .049 (100), .049 (1,000).
    With `clusters` (n,), a label for each item, k times the inverse of that matrix gives way to
    the inverse of the products of the scores' sums by cluster; `statistic` stays that of
    independent items, z1 and z2 are the same. Parameters and errors as `fit_hill`.
    """
    ends = TieEnds(data, discrete)
    j, notes = ends.index(k)
    n = int(ends.k[j])
    z1, z2 = _tail_index.zipf_scores(ends, j)
    statistic = 4 * n * (z1**2 + 6 * z1 * z2 + 12 * z2**2)
    found = IndexTest(
        null="Zipf",
        statistic=statistic,
        p_value=chi2_sf(statistic, 2),
        parts={"z1": z1, "z2": z2},
        notes=notes,
        **ends.place(j),
    )
    if clusters is None:
        return found
    sums = _score_sums(data, clusters, found.threshold, _zipf_scores)
    total = sums.sum(axis=0)
    direction = np.linalg.lstsq(sums.T @ sums, total, rcond=None)[0]
    return _with_clusters(found, chi2_sf(float(total @ direction), 2), sums @ direction)


def _greenwood_scores(logs: Floats) -> Floats:
    y = logs / logs.mean()
    return np.asarray((y**2 - 4.0 * y + 2.0)[:, None])


def _zipf_scores(logs: Floats) -> Floats:
    return np.column_stack([1.0 - logs, 0.5 - np.exp(-logs)])


def _score_sums(
    data: Counts | ArrayLike,
    clusters: ArrayLike,
    threshold: float,
    scores: Callable[[Floats], Floats],
) -> Floats:
    """Return the scores of the items above a threshold, summed within clusters: (g, d)."""
    labels, sizes = checked_labels(data, clusters), np.asarray(data, dtype=np.float64)
    inside = sizes > threshold
    _, codes = np.unique(labels[inside], return_inverse=True)
    refuse_few(int(codes.max()) + 1, codes.size, "the tail")
    by_item = scores(np.log(sizes[inside] / threshold))
    return np.stack([np.bincount(codes, weights=s) for s in by_item.T], axis=1).astype(np.float64)


def _with_clusters(found: IndexTest, p_value: float, sums: Floats) -> IndexTest:
    """Return a test of independent items with the p that knows clusters before its own."""
    return replace(
        found,
        p_value=p_value,
        p_independent=found.p_value,
        n_clusters=sums.size,
        effective_clusters=effective_number(sums),
    )


def index_cluster_error(
    sizes: Values, clusters: Values, fit: IndexFit
) -> tuple[ClusterSums, float | None]:
    """Return `index_cluster_sums`, and the standard error of zeta by leaving out one cluster.

    None where there is no zeta. The factor of the corrected Hill is taken as given.
    """
    found = index_cluster_sums(sizes, clusters, fit)
    if fit.zeta is None:
        return found, None
    inside = sizes > fit.threshold
    logs, labels = np.log(sizes[inside] / fit.threshold), clusters[inside]
    method = fit.method.removesuffix("_corrected")
    factor = fit.gamma / _gamma(logs, method)

    def again(label: object) -> float:
        return factor * _gamma(logs[labels != label], method)

    return found, refitted_error(found, fit.gamma, again) / fit.gamma**2


def _gamma(logs: Floats, method: str) -> float:
    """Return Hill's, the moment or the kernel estimate of gamma from log excesses."""
    if not logs.size or logs.max() == logs.min():
        return math.nan
    m1 = float(np.mean(logs))
    if method == "hill":
        return m1
    if method == "moment":
        return m1 + 1.0 - 0.5 / (1.0 - m1**2 / float(np.mean(logs**2)))
    share = np.arange(1, logs.size + 1) / logs.size
    kernel = 15.0 / 8.0 * (1.0 - share**2) ** 2
    gaps = -np.diff(np.sort(logs)[::-1], append=0.0)
    return float((share * kernel) @ gaps / kernel.mean())


def index_cluster_sums(sizes: Values, clusters: Values, fit: IndexFit) -> ClusterSums:
    """Return the influence of the items in the tail on gamma, summed within clusters.

    Raises
    ------
    DataError
        One cluster, or a method without a known influence function (Pickands).
    """
    inside = sizes > fit.threshold
    logs = np.log(sizes[inside] / fit.threshold)
    influence = index_influence(logs, fit.method)
    if fit.method == "hill_corrected":
        influence = influence * (fit.gamma / float(logs.mean()))
    return sum_clusters(influence, clusters[inside], "the tail")


def index_influence(logs: Floats, method: str) -> Floats:
    """Return each item's influence on gamma, given its log excess over the threshold.

    Hill (and the corrected one, whose factor is taken as given): y - M_1. Moment: the delta
    method on M_1 and M_2. Kernel: with phi(s) = s K(s) gamma is int phi(S(z)) dz, S(z) the share
    of the tail above z, so that the influence of y is int_0^y phi'(S(z)) dz less its mean.
    """
    m1, m2 = float(np.mean(logs)), float(np.mean(logs**2))
    if method in ("hill", "hill_corrected"):
        influence = logs.copy()
    elif method == "moment":
        bend = 0.5 / (1.0 - m1**2 / m2) ** 2
        influence = (1.0 - bend * 2.0 * m1 / m2) * logs + bend * (m1 / m2) ** 2 * logs**2
    elif method == "kernel":
        order = np.argsort(-logs, kind="stable")
        gaps = -np.diff(logs[order], append=0.0)
        share = np.arange(1, logs.size + 1) / logs.size
        slope = 15.0 / 8.0 * (1.0 - share**2) * (1.0 - 5.0 * share**2)
        influence = np.empty_like(logs)
        influence[order] = np.cumsum((slope * gaps)[::-1])[::-1]
    else:
        raise DataError(f"no design effect is known for {method!r}: take its items as independent")
    centred: Floats = influence - influence.mean()
    return centred
