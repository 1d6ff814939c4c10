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
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.growth.on_size import fit_growth_on_size
from baimo.estimation.results import Estimate, FitResult, registered

FEWEST = 10


@registered("PopulationGrowthFit")
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
        fell to dust dominate sigma.

    Notes
    -----
    Log growth needs positive sizes on both dates, so drift is that of survivors over this one
    interval; `baimo.estimation.growth.censored` has drift, spread and hazard of all at risk. Errors
    take the market of the interval as given: its common shock is not in them. Renamed items look
    like exits.
    """
    start, end = checked_dates(before, after, years)
    both = (end > floor) & (start > floor)
    n = int(both.sum())
    if n < FEWEST:
        raise DataError(
            f"only {n} items exceed {floor:g} on both dates; at least {FEWEST} are needed"
        )
    growth = np.log(end[both] / start[both])
    sigma2 = float(growth.var(ddof=1)) / years
    if sigma2 == 0:
        raise DataError("every item grew by the same factor: no dispersion; check the two dates")
    m = float(growth.mean()) / years
    covariance = _covariance(growth, sigma2, years)
    to_mu = np.array([1.0, 0.5])
    sigma = math.sqrt(sigma2)
    quartiles = np.quantile(growth, [0.25, 0.75])
    at_risk = start > exit_threshold
    share, rate, rate_error = _exit(end[at_risk], exit_threshold, years)
    on_size = fit_growth_on_size(
        start, end, years=years, above=floor, floor=floor, errors="HC1", fewest=FEWEST
    )
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
        size_slope=on_size.slope,
        size_slope_std_error=on_size.std_error,
        exit_rate=rate,
        exit_std_error=rate_error,
        exit_share=share,
        exit_threshold=exit_threshold,
        n_at_risk=int(at_risk.sum()),
    )


def checked_dates(before: ArrayLike, after: ArrayLike, years: float) -> tuple[Floats, Floats]:
    """Return sizes on two dates as arrays.

    Raises
    ------
    DataError
        Shapes that differ, no time between the dates, sizes before that are not positive.
    """
    start, end = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if start.shape != end.shape or start.ndim != 1:
        raise DataError(f"before and after must match; got shapes {start.shape}, {end.shape}")
    if years <= 0:
        raise DataError(f"years = {years:g} must be positive: give two different dates")
    if start.size and not np.all(start > 0):
        raise DataError("sizes before must be positive; leave out the others")
    return start, end


def _covariance(growth: Floats, sigma2: float, years: float) -> Floats:
    """Return that of (m, sigma^2): skewed growth makes mean and variance move together."""
    from scipy.stats import kurtosis, moment

    n, third = growth.size, float(moment(growth, 3))
    fourth_standardised = float(kurtosis(growth, fisher=False))
    return np.array(
        [
            [sigma2 / (n * years), third / (n * years**2)],
            [third / (n * years**2), (fourth_standardised - 1.0) * sigma2**2 / n],
        ]
    )


def _exit(end: Floats, threshold: float, years: float) -> tuple[float, float, float | None]:
    if end.size == 0:
        raise DataError(f"no item above {threshold:g} at the first date: lower exit_threshold")
    share = float(np.mean(~(end >= threshold)))
    if share >= 1.0:
        raise DataError("every item at risk is gone: no finite exit rate; check the matching")
    error = math.sqrt(share / (1.0 - share) / end.size) / years if share > 0 else None
    return share, -math.log1p(-share) / years, error
