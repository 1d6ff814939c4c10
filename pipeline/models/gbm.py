"""Geometric Brownian growth of TVL (eq 36-39): calibrated, sampled, and what it predicts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.growth.entry import EntryTrendFit, fit_entry_growth
from baimo.estimation.growth.survivors import PanelGrowthFit, fit_panel_growth
from baimo.estimation.growth.two_dates import PopulationGrowthFit, fit_population_growth
from baimo.estimation.results import Estimate, registered
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.summary_statistics import (
    UNDATED,
    Drawn,
    Statistics,
)
from baimo.pipeline.analysis.two_dates import measure_movement, two_dates
from baimo.pipeline.datasets.defi import category_rows
from baimo.pipeline.models.base import Draw
from baimo.pipeline.settings import SEED
from baimo.pipeline.variables import (
    BIRTH_TRANSIENT_WEEKS,
    DAYS_PER_YEAR,
    DEFI_START,
    EXIT_THRESHOLD,
    LISTING_FLOOR,
    expand,
)
from baimo.simulation.growth.gbm import GrowthParams, mixture_ccdf, simulate_growth

SLOPE_DRAWS = 100


def slope_under_gbm(calibration: GrowthCalibration, population: pl.DataFrame) -> float:
    """Return the mean slope of a GBM, which has none, measured with the floor on both dates."""
    draw = sample_movement(calibration, population)
    drawn = (draw(np.random.default_rng([SEED, 38, i])) for i in range(SLOPE_DRAWS))
    found = [d["size_slope"] for d in drawn if d]
    return float(np.mean(found)) if found else math.nan


def sample_movement(
    calibration: GrowthCalibration, population: pl.DataFrame
) -> Callable[[np.random.Generator], Statistics]:
    """Return a draw of growth over the interval from the observed sizes, measured alike."""
    before, _, years = two_dates(population)

    def draw(rng: np.random.Generator) -> Statistics:
        p = sample_growth_params(calibration, rng)
        growth = p.m * years + p.sigma * math.sqrt(years) * rng.standard_normal(before.size)
        gone = rng.random(before.size) < -math.expm1(-p.exit_rate * years)
        return measure_movement(before, np.where(gone, math.nan, before * np.exp(growth)), years)

    return draw


def sample_growth_params(calibration: GrowthCalibration, rng: np.random.Generator) -> GrowthParams:
    """Draw drift and volatility from their sampling distribution."""
    fit = calibration.alive
    spread = np.linalg.cholesky(fit.covariance + 1e-15 * np.eye(2))
    m, s2 = np.array([fit.m, fit.sigma**2]) + spread @ rng.standard_normal(2)
    s2 = max(float(s2), 1e-6)
    return GrowthParams(
        mu=float(m) + 0.5 * s2, sigma=math.sqrt(s2), exit_rate=calibration.params.exit_rate
    )


def sample_survivor_params(
    calibration: GrowthCalibration, rng: np.random.Generator
) -> GrowthParams:
    """Draw what the panel of today's largest says of growth: winners only, and none exits.

    Beside the population it shows what the choice of survivors does.
    """
    p, panel = calibration.survivors, calibration.panel
    shift = panel.drift_survivors_std_error * float(rng.standard_normal())
    return GrowthParams(mu=p.mu + shift, sigma=p.sigma)


def sample_growth(
    calibration: GrowthCalibration,
    params: Callable[[GrowthCalibration, np.random.Generator], GrowthParams],
) -> Draw:
    """Return a draw of sizes grown from the observed entry sizes over the observed ages."""

    def draw(rng: np.random.Generator) -> Drawn:
        drawn = params(calibration, rng)
        sizes = simulate_growth(drawn, calibration.log_entry, calibration.ages, rng)
        return {UNDATED: Counts.from_sample(sizes)}

    return draw


QUARTER_MIDDLE_DAYS = 45
N_BOOTSTRAP, FEWEST_WITH_TAIL = 400, 100


@registered("ZetaBootstrap")
@dataclass(frozen=True, kw_only=True)
class ZetaBootstrap:
    """95 % interval of the asymptotic zeta over the resamples that have one.

    Parameters
    ----------
    low, high
        Ends, percentiles.
    without_tail
        Share of the resamples in which exit and growing entry sum to nothing: ages then have no
        stationary mixture, and sizes no tail.
    """

    low: float
    high: float
    without_tail: float


@registered("GrowthCalibration")
@dataclass(frozen=True, eq=False, kw_only=True)
class GrowthCalibration:
    """GBM on DeFi: population, survivors' panel, entry, and the start of every path.

    Parameters
    ----------
    population, alive
        Growth of all protocols positive on both dates, and of those above the exit threshold
        on both: the second, with the exit hazard, is what the simulations use.
    entry
        Trend of listings, None with fewer than four whole quarters.
    log_entry : (e,)
        Log TVL of protocols listed in the last quarter: observed entry sizes.
    ages : (n,)
        Age of each protocol with a positive TVL on the earlier date, in years.
    n_age_assumed
        How many of them have no listing date and got the middle of the time before listing
        dates began.
    ks_growth, ks_entry_only
        Kolmogorov-Smirnov distance of the positive sizes from the lognormal mixture, and from
        the entry sizes alone, as if nothing had grown.
    zeta_bootstrap
        The asymptotic zeta over resamples of whole categories of protocols; None where fewer
        than a hundred of four hundred have a tail, or one cannot be measured.
    """

    population: PopulationGrowthFit
    alive: PopulationGrowthFit
    panel: PanelGrowthFit
    entry: EntryTrendFit | None
    log_entry: Floats
    ages: Floats
    n_age_assumed: int
    ks_growth: float = math.nan
    ks_entry_only: float = math.nan
    zeta_bootstrap: ZetaBootstrap | None = None

    @property
    def params(self) -> GrowthParams:
        """Return the calibrated GBM, entry growth included."""
        return self.alive.params(entry_growth=self.entry.rate if self.entry else 0.0)

    @property
    def survivors(self) -> GrowthParams:
        """Return the GBM that the survivors' panel alone would give: no exit, winners' drift."""
        sigma = self.panel.sigma_total
        return GrowthParams(
            mu=self.panel.drift_survivors + 0.5 * sigma**2,
            sigma=sigma,
            entry_growth=self.entry.rate if self.entry else 0.0,
        )

    @property
    def zeta(self) -> Estimate:
        """Return the asymptotic zeta with its delta-method error, None where none exists."""
        p = self.params
        rate = p.exit_rate + p.entry_growth
        if rate <= 0:
            return Estimate(value=None)
        zeta, s2 = p.zeta, p.sigma**2
        slope = s2 * zeta + p.m
        gradient = np.array([-zeta, -(zeta**2) / 2.0]) / slope  # in (m, sigma^2)
        errors = (self.alive.exit_std_error, self.entry.std_error if self.entry else None)
        turnover = sum((error or 0.0) ** 2 for error in errors)
        variance = float(gradient @ self.alive.covariance @ gradient) + turnover / slope**2
        return Estimate(value=zeta, std_error=math.sqrt(variance))


def calibrate_growth(
    population: pl.DataFrame, listing: pl.DataFrame, weekly: pl.DataFrame
) -> GrowthCalibration:
    """Calibrate the GBM from two dates of the population, one day's ages and a weekly panel."""
    pair = expand(population, "n_protocols")
    before_on, after_on = pair["before_on"][0], pair["after_on"][0]
    moved = pair.filter(pl.col("tvl_before") > 0)
    before, after = moved["tvl_before"].to_numpy(), moved["tvl_after"].fill_null(np.nan).to_numpy()
    years = (after_on - before_on).days / DAYS_PER_YEAR
    grown = weekly.filter(pl.col("age_weeks") >= BIRTH_TRANSIENT_WEEKS)
    panel = fit_panel_growth(
        grown["protocol_number"].to_numpy(),
        (grown["week"].cast(pl.Int32) // 7).to_numpy(),
        grown["log_growth"].to_numpy(),
    )
    rows = expand(listing, "n_protocols")
    observed_on = rows["observed_on"][0]
    alive = rows.filter(pl.col("tvl_usd") > 0)
    assumed = (observed_on - (DEFI_START + (LISTING_FLOOR - DEFI_START) / 2)).days
    listed = (pl.lit(observed_on) - pl.col("listed_on")).dt.total_days() - QUARTER_MIDDLE_DAYS
    ages = alive.select(
        pl.max_horizontal(listed, pl.lit(1)).fill_null(assumed) / DAYS_PER_YEAR
    ).to_series()
    listings = rows.drop_nulls("listed_on")
    newest = listings["listed_on"].max()
    entry_sizes = alive.filter(pl.col("listed_on") == newest)["tvl_usd"].log()
    calibration = GrowthCalibration(
        population=fit_population_growth(before, after, years=years),
        alive=fit_population_growth(
            before, after, years=years, exit_threshold=EXIT_THRESHOLD, floor=EXIT_THRESHOLD
        ),
        panel=panel,
        entry=_entry_growth(listings, observed_on),
        log_entry=entry_sizes.sort().to_numpy(),
        ages=np.where(alive["listed_on"].is_null(), assumed / DAYS_PER_YEAR, ages.to_numpy()),
        n_age_assumed=alive["listed_on"].null_count(),
    )
    sizes = alive["tvl_usd"].sort().to_numpy()
    mixture = 1.0 - mixture_ccdf(calibration.params, sizes, calibration.log_entry, calibration.ages)
    entry = np.searchsorted(calibration.log_entry, np.log(sizes), side="right")
    return replace(
        calibration,
        ks_growth=_ks(mixture),
        ks_entry_only=_ks(entry / calibration.log_entry.size),
        zeta_bootstrap=_bootstrap_zeta(calibration, moved, before, after, years),
    )


def _bootstrap_zeta(
    calibration: GrowthCalibration,
    moved: pl.DataFrame,
    before: Floats,
    after: Floats,
    years: float,
) -> ZetaBootstrap | None:
    """Resample protocols by category, and draw the trend of entry from its error."""
    rng = np.random.default_rng([SEED, 39])
    parts = category_rows(moved)
    entry, found = calibration.entry, []
    for _ in range(N_BOOTSTRAP):
        chosen = np.concatenate([parts[i] for i in rng.integers(0, len(parts), len(parts))])
        trend = 0.0 if entry is None else entry.rate + entry.std_error * rng.standard_normal()
        try:
            fit = fit_population_growth(
                before[chosen],
                after[chosen],
                years=years,
                exit_threshold=EXIT_THRESHOLD,
                floor=EXIT_THRESHOLD,
            )
        except DataError:
            return None
        params = fit.params(entry_growth=float(trend))
        if params.exit_rate + params.entry_growth > 0:
            found.append(params.zeta)
    if len(found) < FEWEST_WITH_TAIL:
        return None
    low, high = np.quantile(found, [0.025, 0.975])
    return ZetaBootstrap(
        low=float(low), high=float(high), without_tail=1.0 - len(found) / N_BOOTSTRAP
    )


def _ks(model_cdf: Floats) -> float:
    """Return the distance of a model's CDF, taken at the sorted sample, from the sample's."""
    n = model_cdf.size
    steps = np.arange(n + 1) / n
    return float(max(np.max(model_cdf - steps[:-1]), np.max(steps[1:] - model_cdf)))


def _entry_growth(listings: pl.DataFrame, until: date) -> EntryTrendFit | None:
    """Fit the Poisson trend of listings over whole quarters, None with fewer than four."""
    whole = listings.filter(
        (pl.col("listed_on") > LISTING_FLOOR)
        & (pl.col("listed_on").dt.offset_by("1q") <= pl.lit(until).dt.offset_by("7d"))
    )
    per_quarter = whole.group_by("listed_on").len().sort("listed_on")["len"].to_numpy()
    if per_quarter.size < 4:
        return None
    return fit_entry_growth(per_quarter, step_years=0.25)
