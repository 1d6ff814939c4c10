"""Weekly growth of items that are there throughout: survivors only (eq 36)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.results import Estimate, FitResult, registered

WEEKS_PER_YEAR = 365.25 / 7.0
MIN_OVERLAP = 26  # weeks that two items must have in common


@registered("PanelGrowthFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class PanelGrowthFit(FitResult):
    """Noise of weekly growth in a panel of survivors.

    Parameters
    ----------
    n_items, n_weeks
        Protocols and calendar weeks in the panel.
    sigma_total
        Root mean square over protocols of the exact per-protocol volatility, yr^-1/2.
    sigma_idiosyncratic
        The same after taking out each week's mean growth.
    factor_share
        Share of the first principal component in the correlation matrix.
    mean_correlation
        Mean pairwise correlation over at least 26 common weeks.
    excess_kurtosis
        Of the standardised weekly growth.
    drift_survivors, drift_survivors_std_error
        Mean log drift, 1/yr: of winners, so no estimate of the population's; its error knows that
        weeks are common to all and that items differ (clustered by both).
    items, item_drift, item_sigma : (n_items,)
        Number of each protocol with its exact maximum-likelihood m_i (1/yr) and sigma_i.
    """

    n_items: int
    n_weeks: int
    sigma_total: float
    sigma_idiosyncratic: float
    sigma_idiosyncratic_std_error: float
    factor_share: float
    mean_correlation: float
    excess_kurtosis: float
    drift_survivors: float
    drift_survivors_std_error: float
    items: NDArray[np.int64]
    item_drift: Floats
    item_sigma: Floats

    title: ClassVar[str] = "Growth of survivors (weekly panel)"

    @property
    def cd_at_least(self) -> float:
        """CD of [Pesaran2004] for independent growth, at the smallest overlap of a pair.

        Standard normal under independence; every pair has at least `MIN_OVERLAP` weeks.
        """
        pairs = self.n_items * (self.n_items - 1) / 2.0
        return self.mean_correlation * math.sqrt(MIN_OVERLAP * pairs)

    def estimates(self) -> dict[str, Estimate]:
        """Return volatility, its idiosyncratic part, and the common factor."""
        return {
            "sigma_total": Estimate(value=self.sigma_total, unit="yr^-1/2"),
            "sigma_idiosyncratic": Estimate(
                value=self.sigma_idiosyncratic,
                std_error=self.sigma_idiosyncratic_std_error,
                unit="yr^-1/2",
            ),
            "factor_share": Estimate(value=self.factor_share),
            "mean_correlation": Estimate(value=self.mean_correlation),
            "excess_kurtosis": Estimate(value=self.excess_kurtosis),
            "drift_survivors": Estimate(
                value=self.drift_survivors, std_error=self.drift_survivors_std_error, unit="1/yr"
            ),
        }


def fit_panel_growth(
    items: ArrayLike, weeks: ArrayLike, log_growth: ArrayLike, *, min_weeks: int = MIN_OVERLAP
) -> PanelGrowthFit:
    """Measure the noise of weekly growth: per item, common and idiosyncratic.

    Parameters
    ----------
    items, weeks : (n,) integers
        Item and calendar week of each observation, no pair twice.
    log_growth : (n,)
        Log growth over that week.
    min_weeks
        Items with fewer weeks are left out and counted in the notes.
    """
    from scipy.stats import kurtosis

    item, week = np.asarray(items, dtype=np.int64), np.asarray(weeks, dtype=np.int64)
    growth = np.asarray(log_growth, dtype=np.float64)
    if not item.size == week.size == growth.size:
        raise DataError("items, weeks and log_growth must have one length")
    names, rows = np.unique(item, return_inverse=True)
    dates, columns = np.unique(week, return_inverse=True)
    panel = np.full((names.size, dates.size), np.nan)
    if np.unique(rows * dates.size + columns).size != growth.size:
        raise DataError("an item has two growth rates in one week; give one a week")
    panel[rows, columns] = growth
    seen = np.isfinite(panel).sum(axis=1)
    kept = seen >= min_weeks
    if kept.sum() < 3:
        raise DataError(f"fewer than 3 items have {min_weeks} weeks of growth; lower min_weeks")
    panel, names = panel[kept], names[kept]
    panel = panel[:, np.isfinite(panel).sum(axis=0) >= 3]
    n_weeks = np.isfinite(panel).sum(axis=1)
    drift = np.nanmean(panel, axis=1) * WEEKS_PER_YEAR
    variance = np.nanvar(panel, axis=1, ddof=1) * WEEKS_PER_YEAR
    present = np.isfinite(panel).sum(axis=0)
    residual = (panel - np.nanmean(panel, axis=0)) * np.sqrt(present / (present - 1.0))
    own = np.nanvar(residual, axis=1, ddof=1) * WEEKS_PER_YEAR
    sigma_own = math.sqrt(float(own.mean()))
    standard = (panel - np.nanmean(panel, axis=1)[:, None]) / np.nanstd(panel, axis=1)[:, None]
    correlation = _correlation(standard, MIN_OVERLAP)
    off = ~np.eye(names.size, dtype=bool) & np.isfinite(correlation)
    filled = np.where(np.isfinite(correlation), correlation, 0.0)
    eigen = np.linalg.eigvalsh(filled)
    return PanelGrowthFit(
        n_obs=growth.size,
        n_used=int(n_weeks.sum()),
        notes=(
            f"{int((~kept).sum())} items with fewer than {min_weeks} weeks left out",
            "a panel of survivors: its drift says nothing about the population",
        ),
        n_items=names.size,
        n_weeks=panel.shape[1],
        sigma_total=math.sqrt(float(variance.mean())),
        sigma_idiosyncratic=sigma_own,
        sigma_idiosyncratic_std_error=float(own.std(ddof=1))
        / math.sqrt(names.size)
        / (2.0 * sigma_own),
        factor_share=float(eigen[-1]) / names.size,
        mean_correlation=float(correlation[off].mean()),
        excess_kurtosis=float(kurtosis(standard[np.isfinite(standard)])),
        drift_survivors=float(drift.mean()),
        drift_survivors_std_error=_drift_error(panel, n_weeks, float(drift.mean())),
        items=names,
        item_drift=drift,
        item_sigma=np.sqrt(variance),
    )


def _drift_error(panel: Floats, n_weeks: NDArray[np.int64], drift: float) -> float:
    """Return the error of the mean of the items' drifts, by item and by week at once."""
    share = np.where(np.isfinite(panel), panel, 0.0) * WEEKS_PER_YEAR - drift
    off = np.where(np.isfinite(panel), share, 0.0) / (n_weeks[:, None] * n_weeks.size)
    by_item, by_week = (float(np.sum(off.sum(axis=axis) ** 2)) for axis in (1, 0))
    alone = float(np.sum(off**2))
    return math.sqrt(max(by_item + by_week - alone, by_item, by_week))


def _correlation(standard: Floats, min_overlap: int) -> Floats:
    """Return pairwise correlations over common weeks, NaN below the overlap."""
    present = np.isfinite(standard)
    x = np.where(present, standard, 0.0)
    p = present.astype(np.float64)
    overlap = p @ p.T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x, mean_y = (x @ p.T) / overlap, (p @ x.T) / overlap
        cov = (x @ x.T) / overlap - mean_x * mean_y
        var_x = (x**2 @ p.T) / overlap - mean_x**2
        var_y = (p @ (x**2).T) / overlap - mean_y**2
        correlation: Floats = cov / np.sqrt(var_x * var_y)
    correlation[overlap < min_overlap] = np.nan
    return correlation
