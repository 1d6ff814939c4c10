"""Growth of protocols, measured (eq 36-39; equations in `baimo.simulation.growth.gbm`).

Two views that must not be mixed. The population view matches all protocols of one date with a
later one: drift, dispersion, exit and size dependence, deaths included. The panel view follows
today's winners week by week: its drift is survivorship, but it shows how much of the noise is
common, which eq 36 with independent W_i rules out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from baimo.estimation.counts import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.simulation.growth.gbm import GrowthParams

WEEKS_PER_YEAR = 365.25 / 7.0


@registered
@dataclass(frozen=True, eq=False, kw_only=True)
class PopulationGrowthFit(FitResult):
    """Growth, exit and size dependence from two dates of one population.

    Parameters
    ----------
    years
        Time between the two dates.
    m, m_std_error, m_median
        Mean and median log growth of those positive on both dates, 1/yr.
    sigma, sigma_std_error
        Standard deviation of log growth over the square root of years: dispersion across
        protocols, so the common shock is not in it; error allows for heavy tails.
    sigma_robust
        The same from the interquartile range.
    mu, mu_std_error
        m + sigma^2/2.
    covariance : (2, 2)
        Of (m, sigma^2), heavy tails and skewness allowed for.
    size_slope, size_slope_std_error
        Slope of annual log growth on log size (heteroskedasticity-robust): 0 is Gibrat's law.
    exit_rate, exit_std_error, exit_share
        Hazard (1/yr) and share of those above `exit_threshold` that fell below it or vanished;
        the error is None where nobody did.
    """

    years: float
    m: float
    m_std_error: float
    m_median: float
    sigma: float
    sigma_std_error: float
    sigma_robust: float
    mu: float
    mu_std_error: float
    covariance: Floats
    size_slope: float
    size_slope_std_error: float
    exit_rate: float
    exit_std_error: float | None
    exit_share: float
    exit_threshold: float
    n_at_risk: int

    title: ClassVar[str] = "Growth of the population (two matched dates)"

    def params(self, *, entry_growth: float = 0.0) -> GrowthParams:
        """Return the parameters for `baimo.simulation.growth.gbm`."""
        return GrowthParams(
            mu=self.mu, sigma=self.sigma, exit_rate=self.exit_rate, entry_growth=entry_growth
        )

    def estimates(self) -> dict[str, Estimate]:
        """Return mu, sigma, m, exit and size slope."""
        return {
            "mu": Estimate(value=self.mu, std_error=self.mu_std_error, unit="1/yr"),
            "sigma": Estimate(value=self.sigma, std_error=self.sigma_std_error, unit="yr^-1/2"),
            "sigma_robust": Estimate(value=self.sigma_robust, unit="yr^-1/2"),
            "log_drift": Estimate(value=self.m, std_error=self.m_std_error, unit="1/yr"),
            "log_drift_median": Estimate(value=self.m_median, unit="1/yr"),
            "size_slope": Estimate(
                value=self.size_slope, std_error=self.size_slope_std_error, unit="1/yr"
            ),
            "exit_rate": Estimate(value=self.exit_rate, std_error=self.exit_std_error, unit="1/yr"),
        }


@registered
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
    drift_survivors
        Mean log drift, 1/yr: of winners, so no estimate of the population's.
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


def fit_population_growth(
    before: ArrayLike,
    after: ArrayLike,
    *,
    years: float,
    exit_threshold: float = 1e4,
    floor: float = 0.0,
) -> PopulationGrowthFit:
    """Measure growth, exit and size dependence between two dates.

    Parameters
    ----------
    before, after : (n,)
        Size on the two dates; NaN in `after` means that the item is gone. Items with
        non-positive `before` are not at risk and must be left out.
    years
        Time between the dates, > 0.
    exit_threshold
        Size below which an item counts as gone.
    floor
        Growth is measured on items above the floor on both dates. With 0 a few items that
        fell to dust dominate sigma; the exit threshold is the floor that agrees with the exit
        hazard.

    Notes
    -----
    Log growth needs positive sizes on both dates, so drift is that of survivors over this one
    interval; the exit hazard carries the rest. Errors take the market of the interval as given:
    its common shock is not in them. Renamed items look like exits.
    """
    from statsmodels.api import OLS, add_constant

    start, end = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if start.shape != end.shape or start.ndim != 1:
        raise DataError(f"before and after must match; got shapes {start.shape}, {end.shape}")
    if years <= 0:
        raise DataError(f"years = {years:g} must be positive: give two different dates")
    if start.size and not np.all(start > 0):
        raise DataError("sizes before must be positive; leave out the others")
    both = (end > floor) & (start > floor)
    n = int(both.sum())
    if n < 10:
        raise DataError(f"only {n} items exceed {floor:g} on both dates; at least 10 are needed")
    growth = np.log(end[both] / start[both])
    sigma2 = float(growth.var(ddof=1)) / years
    if sigma2 == 0:
        raise DataError("every item grew by the same factor: no dispersion; check the two dates")
    m = float(growth.mean()) / years
    kurtosis = float(stats.kurtosis(growth, fisher=False))
    third = float(stats.moment(growth, 3))
    # Of (m, sigma^2): skewed growth makes mean and variance move together.
    covariance = np.array(
        [
            [sigma2 / (n * years), third / (n * years**2)],
            [third / (n * years**2), (kurtosis - 1.0) * sigma2**2 / n],
        ]
    )
    to_mu = np.array([1.0, 0.5])
    sigma = math.sqrt(sigma2)
    quartiles = np.quantile(growth, [0.25, 0.75])
    at_risk = start > exit_threshold
    share, rate, rate_error = _exit(end[at_risk], exit_threshold, years)
    if np.ptp(start[both]) == 0:
        raise DataError("all sizes before are equal: growth cannot depend on size; check the data")
    slope = OLS(growth / years, add_constant(np.log(start[both]))).fit(cov_type="HC1")
    return PopulationGrowthFit(
        n_obs=start.size,
        n_used=n,
        notes=(
            f"{start.size - n} of {start.size} items do not exceed {floor:g} on both dates",
            "errors are conditional on the market of this one interval: no common shock in them",
            "an item renamed between the dates looks like an exit",
        ),
        years=years,
        m=m,
        m_std_error=math.sqrt(covariance[0, 0]),
        m_median=float(np.median(growth)) / years,
        sigma=sigma,
        sigma_std_error=math.sqrt(covariance[1, 1]) / (2.0 * sigma),
        sigma_robust=float(quartiles[1] - quartiles[0]) / 1.3489795 / math.sqrt(years),
        mu=m + 0.5 * sigma2,
        mu_std_error=math.sqrt(float(to_mu @ covariance @ to_mu)),
        covariance=covariance,
        size_slope=float(slope.params[1]),
        size_slope_std_error=float(slope.bse[1]),
        exit_rate=rate,
        exit_std_error=rate_error,
        exit_share=share,
        exit_threshold=exit_threshold,
        n_at_risk=int(at_risk.sum()),
    )


def _exit(end: Floats, threshold: float, years: float) -> tuple[float, float, float | None]:
    if end.size == 0:
        raise DataError(f"no item above {threshold:g} at the first date: lower exit_threshold")
    share = float(np.mean(~(end >= threshold)))
    if share >= 1.0:
        raise DataError("every item at risk is gone: no finite exit rate; check the matching")
    error = math.sqrt(share / (1.0 - share) / end.size) / years if share > 0 else None
    return share, -math.log1p(-share) / years, error


def fit_panel_growth(
    items: ArrayLike, weeks: ArrayLike, log_growth: ArrayLike, *, min_weeks: int = 26
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
    correlation = _correlation(standard, 26)
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
        excess_kurtosis=float(stats.kurtosis(standard[np.isfinite(standard)])),
        drift_survivors=float(drift.mean()),
        drift_survivors_std_error=float(drift.std(ddof=1)) / math.sqrt(names.size),
        items=names,
        item_drift=drift,
        item_sigma=np.sqrt(variance),
    )


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


@registered
@dataclass(frozen=True, eq=False, kw_only=True)
class EntryTrendFit(FitResult):
    """Growth rate of entry, from a Poisson trend over equal periods.

    Parameters
    ----------
    rate, std_error
        1/yr; the error is scaled for overdispersion.
    interval
        95 % interval with Student's t of n_used - 2 degrees.
    """

    rate: float
    std_error: float
    interval: tuple[float, float]

    title: ClassVar[str] = "Growth of entry (Poisson trend)"

    def estimates(self) -> dict[str, Estimate]:
        """Return the growth rate of entry."""
        return {
            "entry_growth": Estimate(
                value=self.rate, std_error=self.std_error, interval=self.interval, unit="1/yr"
            )
        }


def fit_entry_growth(entries: ArrayLike, *, step_years: float) -> EntryTrendFit:
    """Estimate the growth rate of entry by a Poisson trend over equal periods.

    Parameters
    ----------
    entries : (t,) integers
        Number of entrants in each period, oldest first.
    step_years
        Length of a period.
    """
    from statsmodels.api import GLM, add_constant
    from statsmodels.genmod.families import Poisson

    y = np.asarray(entries, dtype=np.float64)
    if y.size < 4:
        raise DataError(f"{y.size} periods of entry are too few for a trend; at least 4 needed")
    if not np.all(np.isfinite(y)) or np.any(y < 0) or not np.any(y > 0):
        raise DataError("entries must be counts, not negative, and not all zero")
    time = np.arange(y.size) * step_years
    fitted = GLM(y, add_constant(time), family=Poisson()).fit(scale="X2")
    rate, error = float(fitted.params[1]), float(fitted.bse[1])
    half = float(stats.t.ppf(0.975, y.size - 2)) * error
    return EntryTrendFit(
        n_obs=y.size,
        n_used=y.size,
        notes=(f"a trend over {y.size} periods only",),
        rate=rate,
        std_error=error,
        interval=(rate - half, rate + half),
    )
