"""Rank-size regression of [GabaixIbragimov2011].

log(rank - 1/2) = a - zeta log(size) over the k largest items, standard error |b| sqrt(2/k)
(their eq. 1.2 and Theorem 1). The slope reported is that of log rank on log size, -zeta; the
slope of log size on log rank would be -1/zeta. Ties get consecutive ranks. The 95 % interval covers
.938 to .950 of exact Pareto tails (k = n/4, n 500 and 2,000, 1,000 samples).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats, Values
from baimo.estimation.errors import DataError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.arguments import checked_effect
from baimo.estimation.samples.clusters import (
    ClusterSums,
    checked_labels,
    refitted_error,
    sum_clusters,
)
from baimo.estimation.samples.counts import Counts, as_counts


@registered("ZipfFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class ZipfFit(FitResult):
    """A rank-size regression over the k largest items.

    Parameters
    ----------
    slope
        Of log(rank - 1/2) on log(size), -zeta.
    std_error
        |slope| sqrt(2/k), valid for independent items from an exact Pareto tail; the ordinary
        least-squares error is far too small because ranks are correlated.
    k, threshold
        Number of items used and the smallest of them.
    r_squared
        Of the regression; near 1 for almost any heavy tail, so no evidence by itself.
    design_effect
        Variance inflation by clusters, None where unknown. Without `cluster_error` intervals use it
        where it exceeds 1.
    cluster_error
        Standard error with one cluster left out at a time, None without labels.
    n_clusters, effective_clusters
        Clusters among the items used, and the number of equal ones whose shares of the slope's
        variance are as uneven; None without labels.
    """

    slope: float
    intercept: float
    std_error: float
    k: int
    threshold: float
    r_squared: float
    design_effect: float | None = None
    cluster_error: float | None = None
    n_clusters: int | None = None
    effective_clusters: float | None = None

    title: ClassVar[str] = "Rank-size regression (Gabaix-Ibragimov)"

    @property
    def std_error_clustered(self) -> float:
        """Standard error of the slope that knows the clusters, at least `std_error`.

        With labels the delete-a-cluster jackknife; without, `std_error` times the square root of
        the design effect.
        """
        if self.cluster_error is not None:
            return max(self.std_error, self.cluster_error)
        return self.std_error * math.sqrt(max(1.0, self.design_effect or 1.0))

    def estimates(self) -> dict[str, Estimate]:
        """Return the slope, zeta and the threshold."""
        return {
            "slope": Estimate(value=self.slope, std_error=self.std_error_clustered),
            "zeta": Estimate(value=-self.slope, std_error=self.std_error_clustered),
            "threshold": Estimate(value=self.threshold, unit="data"),
        }


def fit_zipf(
    data: Counts | ArrayLike,
    *,
    k: int,
    clusters: ArrayLike | None = None,
    design_effect: float | None = None,
) -> ZipfFit:
    """Regress log(rank - 1/2) on log(size) over the k largest items.

    Parameters
    ----------
    data
        Counts, or a flat array of non-negative numbers.
    k
        Number of items used, at least 3 and all of them positive.
    clusters : (n,)
        Label of each item's cluster; needs `data` as an array.
    design_effect
        Variance inflation by clusters where it is known without labels.

    Raises
    ------
    DataError
        k outside its range, zeros among the k largest, or all of them equal.
    """
    from statsmodels.api import OLS, add_constant

    counts = as_counts(data)
    labels = None if clusters is None else checked_labels(data, clusters)
    checked_effect(design_effect, clusters)
    if k < 3:
        raise DataError(f"k = {k}: the regression needs at least 3 items")
    sizes = counts.largest(k)
    if sizes[-1] <= 0:
        positive = counts.n_obs - counts.n_zero
        raise DataError(f"only {positive} items are positive: choose k at most {positive}")
    if sizes[0] == sizes[-1]:
        raise DataError(f"the {k} largest items all equal {sizes[0]:g}: choose a larger k")
    ranks = np.arange(1, k + 1)
    fitted = OLS(np.log(ranks - 0.5), add_constant(np.log(sizes))).fit()
    slope = float(fitted.params[1])
    fit = ZipfFit(
        n_obs=counts.n_obs,
        n_used=k,
        slope=slope,
        intercept=float(fitted.params[0]),
        std_error=abs(slope) * math.sqrt(2.0 / k),
        k=k,
        threshold=float(sizes[-1]),
        r_squared=float(fitted.rsquared),
        design_effect=design_effect,
    )
    if labels is None:
        return fit
    found, error = zipf_cluster_error(np.asarray(data, dtype=np.float64), labels, fit)
    return replace(
        fit,
        design_effect=found.design_effect,
        cluster_error=error,
        n_clusters=found.n_clusters,
        effective_clusters=found.effective_clusters,
        notes=found.notes,
    )


def share_to_k(n: int, share: float) -> int:
    """Return how many items the top `share` of n items are, rounded to the nearest."""
    if not 0 < share <= 1:
        raise DataError(f"share = {share:g} must lie in (0, 1]")
    return max(1, round(n * share))


def zipf_cluster_error(sizes: Values, clusters: Values, fit: ZipfFit) -> tuple[ClusterSums, float]:
    """Return `zipf_cluster_sums`, and the standard error by leaving out one cluster at a time."""
    found = zipf_cluster_sums(sizes, clusters, fit)
    order = np.argsort(-sizes, kind="stable")[: fit.k]
    largest, labels = np.log(sizes[order]), clusters[order]

    def again(label: object) -> float:
        return _slope(largest[labels != label])

    return found, refitted_error(found, fit.slope, again)


def _slope(logs: Floats) -> float:
    """Return the slope of log(rank - 1/2) on log sizes, given from the largest on."""
    centred = logs - logs.mean()
    spread = float(centred @ centred)
    if spread == 0:
        return math.nan
    return float(np.log(np.arange(1, logs.size + 1) - 0.5) @ centred) / spread


def zipf_cluster_sums(sizes: Values, clusters: Values, fit: ZipfFit) -> ClusterSums:
    """Return the influence of the k largest items on the slope, summed within clusters.

    The slope is Cov(log R, Y) / Var(Y) with R the empirical survival of Y = log size; its
    influence function has the usual regression part and the part that comes through the
    ranks, (1/k) sum_{y_i <= z} (y_i - mean) / R_i.
    """
    order = np.argsort(-sizes, kind="stable")[: fit.k]
    y = np.log(sizes[order])
    rank = np.arange(1, fit.k + 1) - 0.5
    centred = y - y.mean()
    residual = np.log(rank) - np.log(rank).mean() - fit.slope * centred
    through_ranks = np.cumsum((centred / rank)[::-1])[::-1]
    influence = residual * centred + through_ranks
    influence = (influence - influence.mean()) / float(np.mean(centred**2))
    return sum_clusters(influence, clusters[order], "the tail")
