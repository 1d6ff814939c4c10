"""The constant drift that a cross-section of sizes asks for, ages and entry sizes given (eq 39).

One day's sizes are a lognormal mixture over ages tau_i and entry sizes x_e,

    F(q; m) = mean_i H(q; tau_i, m),   H = mean_e Phi((q - x_e - m tau_i)/(sigma sqrt(tau_i))),

in logs. With sigma given from growth between two dates, m is what brings F nearest to the sample:
the least sum of squared gaps at the sample's quantiles (Cramer-von Mises). Likelihood would hang on
dust: of TVL one protocol in a hundred is worth less than a dollar, forty standard deviations away.

The error is that of the linearised optimum. Item i moves the gap at q by
(1{x_i <= q} - H(q; tau_i))/n and entry size e by (G_e - F)/n_e, G_e the mixture from it alone; both
are summed by cluster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import ndtr

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.clusters import refuse_few
from baimo.estimation.samples.curves import ks_of_cdf

QUANTILES = 200
WIDEST = 20.0  # 1/yr either way
FEWEST = 20


@registered("MixtureDriftFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class MixtureDriftFit(FitResult):
    """The constant drift of the log nearest to a cross-section.

    Parameters
    ----------
    m, std_error
        1/yr, and its clustered error.
    sigma
        Volatility that was given, yr^-1/2.
    ks
        Kolmogorov-Smirnov distance of the sample from the mixture at m.
    n_clusters
        Clusters of items and entry sizes.
    """

    m: float
    std_error: float
    sigma: float
    ks: float
    n_clusters: int

    title: ClassVar[str] = "Drift that a cross-section asks for"

    def estimates(self) -> dict[str, Estimate]:
        """Return the drift."""
        return {"log_drift": Estimate(value=self.m, std_error=self.std_error, unit="1/yr")}


def fit_mixture_drift(
    sizes: ArrayLike,
    ages: ArrayLike,
    log_entry: ArrayLike,
    *,
    sigma: float,
    clusters: ArrayLike,
    entry_clusters: ArrayLike,
) -> MixtureDriftFit:
    """Fit the drift by minimum distance.

    Parameters
    ----------
    sizes, ages, clusters : (n,)
        Positive sizes, ages in years (> 0), and the cluster of each item.
    log_entry, entry_clusters : (e,)
        Log sizes at entry and their clusters, in the labels of `clusters`: an item that is in both
        samples counts in both.
    sigma
        Volatility, yr^-1/2, > 0.

    Raises
    ------
    DataError
        Lists of different length, fewer than twenty items, values out of range, one cluster only.
    """
    x, tau, entry = _checked(sizes, ages, log_entry, sigma)
    q = np.quantile(np.sort(x), (np.arange(QUANTILES) + 0.5) / QUANTILES)
    kinds, which = np.unique(tau, return_inverse=True)
    weight = np.bincount(which) / x.size
    sample = np.searchsorted(np.sort(x), q, side="right") / x.size

    def loss(m: float) -> float:
        return float(np.sum((sample - weight @ _mixtures(m, sigma, q, kinds, entry)[0]) ** 2))

    found = minimize_scalar(
        loss, bounds=(-WIDEST, WIDEST), method="bounded", options={"xatol": 1e-6}
    )
    m = float(found.x)
    by_age, by_entry, slope = _mixtures(m, sigma, q, kinds, entry, weight)
    pull = slope / float(slope @ slope)
    ranks = (x[:, None] <= q) @ pull
    of_items = (ranks - (by_age @ pull)[which]) / x.size
    of_entries = -(by_entry @ pull) / entry.size
    influence = np.concatenate([of_items - of_items.mean(), of_entries - of_entries.mean()])
    labels = np.concatenate([np.asarray(clusters), np.asarray(entry_clusters)])
    if labels.size != influence.size:
        raise DataError(f"{labels.size} cluster labels for {influence.size} items and entry sizes")
    _, codes = np.unique(labels, return_inverse=True)
    sums = np.bincount(codes, weights=influence)
    refuse_few(sums.size, x.size, "the cross-section")
    cdf = weight @ _mixtures(m, sigma, np.sort(x), kinds, entry)[0]
    return MixtureDriftFit(
        n_obs=x.size,
        n_used=x.size,
        notes=("ages and sigma are taken as known",),
        m=m,
        std_error=math.sqrt(float(sums @ sums) * sums.size / (sums.size - 1.0)),
        sigma=sigma,
        ks=ks_of_cdf(cdf),
        n_clusters=int(sums.size),
    )


def _checked(
    sizes: ArrayLike, ages: ArrayLike, log_entry: ArrayLike, sigma: float
) -> tuple[Floats, Floats, Floats]:
    given, tau = np.asarray(sizes, dtype=np.float64), np.asarray(ages, dtype=np.float64)
    entry = np.asarray(log_entry, dtype=np.float64)
    if given.ndim != 1 or given.shape != tau.shape:
        raise DataError(f"sizes and ages must match; got shapes {given.shape}, {tau.shape}")
    if given.size < FEWEST or entry.size < 2:
        raise DataError(
            f"{given.size} items and {entry.size} entry sizes are too few: {FEWEST} and 2 needed"
        )
    if not (np.all(given > 0) and np.all(tau > 0) and np.all(np.isfinite(entry)) and sigma > 0):
        raise DataError("sizes, ages and sigma must be positive and entry sizes finite")
    return np.log(given), tau, entry


def _mixtures(
    m: float, sigma: float, q: Floats, kinds: Floats, entry: Floats, weight: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return the mixture at q by age, and, with weights of ages, by entry size and its slope in m.

    Shapes (ages, q), (entries, q), (q,).
    """
    by_age = np.empty((kinds.size, q.size))
    by_entry, slope = np.zeros((entry.size, q.size)), np.zeros(q.size)
    for k, age in enumerate(kinds):
        spread = sigma * math.sqrt(age)
        reach = (q - entry[:, None] - m * age) / spread
        each = ndtr(reach)
        by_age[k] = each.mean(axis=0)
        if weight is not None:
            by_entry += weight[k] * each
            density = np.exp(-0.5 * reach**2).mean(axis=0) / math.sqrt(2.0 * math.pi)
            slope -= weight[k] * density * age / spread
    return by_age, by_entry, slope
