"""Rank-size regression of [GabaixIbragimov2011].

log(rank - 1/2) = a - zeta log(size) over the k largest items, standard error |b| sqrt(2/k)
(their eq. 1.2 and Theorem 1). The slope reported is that of log rank on log size, -zeta; the
slope of log size on log rank would be -1/zeta. Ties get consecutive ranks. The 95 % interval covers
.938 to .950 of exact Pareto tails (k = n/4, n 500 and 2,000, 1,000 samples).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Values
from baimo.estimation.errors import DataError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.clusters import clustered_effect
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
        Variance inflation by clusters, None where unknown. Intervals use it where it exceeds 1.
    """

    slope: float
    intercept: float
    std_error: float
    k: int
    threshold: float
    r_squared: float
    design_effect: float | None = None

    title: ClassVar[str] = "Rank-size regression (Gabaix-Ibragimov)"

    @property
    def std_error_clustered(self) -> float:
        """Standard error of the slope times the square root of the design effect."""
        return self.std_error * math.sqrt(max(1.0, self.design_effect or 1.0))

    def estimates(self) -> dict[str, Estimate]:
        """Return the slope, zeta and the threshold."""
        return {
            "slope": Estimate(value=self.slope, std_error=self.std_error_clustered),
            "zeta": Estimate(value=-self.slope, std_error=self.std_error_clustered),
            "threshold": Estimate(value=self.threshold, unit="data"),
        }


def fit_zipf(data: Counts | ArrayLike, *, k: int, design_effect: float | None = None) -> ZipfFit:
    """Regress log(rank - 1/2) on log(size) over the k largest items.

    Parameters
    ----------
    data
        Counts, or a flat array of non-negative numbers.
    k
        Number of items used, at least 3 and all of them positive.
    design_effect
        Variance inflation by clusters, if known.

    Raises
    ------
    DataError
        k outside its range, zeros among the k largest, or all of them equal.
    """
    from statsmodels.api import OLS, add_constant

    counts = as_counts(data)
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
    return ZipfFit(
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


def share_to_k(n: int, share: float) -> int:
    """Return how many items the top `share` of n items are, rounded to the nearest."""
    if not 0 < share <= 1:
        raise DataError(f"share = {share:g} must lie in (0, 1]")
    return max(1, round(n * share))


def zipf_design_effect(sizes: Values, clusters: Values, fit: ZipfFit) -> tuple[float, int]:
    """Return (design effect of the rank-size slope, number of clusters among the k largest).

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
    return clustered_effect(influence - influence.mean(), clusters[order], "the tail")
