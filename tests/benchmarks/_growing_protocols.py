"""DeFi drawn whole from a model of growth: a cross-section, a later date, a panel, periods.

Protocols are as many, as old and as listed as in the bundled cross-section. Each grew from an entry
size drawn as the newest quarter has them; those of the newest quarter are at their entry sizes, as
the calibration takes them. From there all grow to the later date by the same growth, and are gone
at the same hazard. Categories are dealt out anew; growth may have a part in common within them. The
weekly panel of survivors is that of its own fit, with its common factor, whatever the truth: how
survivors are chosen is no part of it. Drifts and entries of the periods before the cross-section
are the truth's, each with its stated error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats
from baimo.estimation.growth.survivors import WEEKS_PER_YEAR
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.summary_statistics import UNDATED, Statistics, measure_sample
from baimo.pipeline.analysis.two_dates import measure_growth, two_dates
from baimo.pipeline.datasets.defi import category_codes, join_population, list_protocols
from baimo.pipeline.datasets.growth_periods import SURVIVORS
from baimo.pipeline.models.gbm import GrowthCalibration, calibrate_growth
from baimo.pipeline.models.gbm_calendar import CalendarGrowth, calibrate_calendar
from baimo.pipeline.sources.reference import load_companions, load_reference
from baimo.pipeline.variables import DAYS_PER_YEAR, HEADLINE, TVL, expand
from baimo.simulation.growth.calendar import DriftPath, Lives
from baimo.simulation.growth.gbm import GrowthParams
from tests.benchmarks.clustered_size import dependent_scores

GBM, BY_PERIOD, OF_SURVIVORS = "GBM", "GBM by period", "GBM survivors"
LABELS = (GBM, BY_PERIOD, OF_SURVIVORS)


@dataclass(frozen=True, eq=False)
class DeFi:
    """The tables of DeFi that the growth models are calibrated on.

    Parameters
    ----------
    listing, population, weekly, periods
        defi_listing, defi_population, tvl_weekly, tvl_growth_periods.
    """

    listing: pl.DataFrame
    population: pl.DataFrame
    weekly: pl.DataFrame
    periods: pl.DataFrame

    @property
    def counts(self) -> Counts:
        """The sizes of the cross-section."""
        rows = self.listing
        return Counts.from_pairs(rows["tvl_usd"].to_numpy(), rows["n_protocols"].to_numpy())

    def measured(self, x_min: float) -> Statistics:
        """Return the statistics of sizes and of growth."""
        sizes = measure_sample({UNDATED: self.counts}, TVL, x_min)
        return sizes | measure_growth(*two_dates(self.population))

    def calibrated(self) -> tuple[GrowthCalibration, CalendarGrowth]:
        """Return the calibrations of both growths."""
        growth = calibrate_growth(self.population, self.listing, self.weekly, resampled=False)
        return growth, calibrate_calendar(growth, self.listing, self.periods)


@dataclass(frozen=True, eq=False)
class GrowthTruth:
    """A model of growth at what the reference says of it.

    Parameters
    ----------
    lives
        Of every protocol with a positive TVL.
    shape
        Log entry sizes, standardised.
    sigma
        yr^-1/2.
    onward
        Growth to the later date.
    drift
        Of every period, 1/yr; None for those of the reference.
    """

    lives: Lives
    shape: Floats
    sigma: float
    onward: GrowthParams
    drift: float | None


@cache
def reference_defi() -> tuple[DeFi, GrowthCalibration, CalendarGrowth]:
    """Return the bundled tables and what is calibrated on them."""
    frames = load_reference().frames
    tables = DeFi(
        listing=list_protocols(frames["defi_day"]),
        population=join_population(frames["defillama_protocols"]),
        weekly=frames["tvl_weekly"],
        periods=load_companions()["tvl_growth_periods"],
    )
    return tables, *tables.calibrated()


@cache
def growth_truth(label: str) -> GrowthTruth:
    """Return a model of growth at the reference's calibration."""
    tables, growth, calendar = reference_defi()
    if label == BY_PERIOD:
        lives, drift = calendar.lives(calendar.drifts), None
        onward = _growth(_drift_onward(tables, calendar), calendar.sigma, growth.at_risk.exit_rate)
    else:
        onward = growth.params if label == GBM else growth.survivors
        drift = onward.m
        mean, sd = growth.log_entry.mean(), growth.log_entry.std()
        lives = Lives(
            ages=growth.ages,
            drift=drift * growth.ages,
            entry_mean=np.full(growth.ages.size, mean),
            entry_sd=np.full(growth.ages.size, sd),
        )
    return GrowthTruth(lives, calendar.shape, onward.sigma, onward, drift)


def _growth(m: float, sigma: float, exit_rate: float) -> GrowthParams:
    return GrowthParams(mu=m + 0.5 * sigma**2, sigma=sigma, exit_rate=exit_rate)


def _drift_onward(tables: DeFi, calendar: CalendarGrowth) -> float:
    """Return the mean drift of the path between the two dates."""
    years = two_dates(tables.population)[2]
    path = DriftPath(starts=calendar.starts, drifts=calendar.drifts)
    return float(path.between(calendar.now, calendar.now + years)) / years


def draw_defi(label: str, rng: np.random.Generator, rho: float = 0.0) -> DeFi:
    """Draw all tables from a truth; growth has within categories the correlation rho."""
    tables, growth, calendar = reference_defi()
    truth = growth_truth(label)
    rows = expand(tables.listing, "n_protocols")
    rows = rows.with_columns(category=rows["category"].gather(rng.permutation(rows.height)))
    alive = rows.filter(pl.col("tvl_usd") > 0)
    codes = category_codes(alive)
    sizes = _sizes(truth, alive, dependent_scores(codes, rho, rng), rng)
    alive = alive.with_columns(tvl_usd=pl.Series(sizes))
    later = _later(truth.onward, tables, sizes, dependent_scores(codes, rho, rng), rng)
    return DeFi(
        listing=_counted(pl.concat([alive, rows.filter(~(pl.col("tvl_usd") > 0))])),
        population=_population(tables.population, alive, later),
        weekly=_weekly(tables.weekly, growth, rng),
        periods=_periods(tables.periods, truth, calendar.now, rng),
    )


def _counted(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(n_protocols=pl.lit(1, dtype=pl.Int64))


def _sizes(
    truth: GrowthTruth, alive: pl.DataFrame, scores: Floats, rng: np.random.Generator
) -> Floats:
    lives = truth.lives
    entry = lives.entry_mean + lives.entry_sd * rng.choice(truth.shape, lives.ages.size)
    grown = entry + lives.drift + truth.sigma * np.sqrt(lives.ages) * scores
    newest = (alive["listed_on"] == alive["listed_on"].max()).fill_null(False).to_numpy()
    return np.asarray(np.exp(np.where(newest, entry, grown)))


def _later(
    onward: GrowthParams, tables: DeFi, sizes: Floats, scores: Floats, rng: np.random.Generator
) -> Floats:
    """Return sizes on the later date, NaN for those that are gone."""
    years = two_dates(tables.population)[2]
    growth = onward.m * years + onward.sigma * math.sqrt(years) * scores
    gone = rng.random(sizes.size) < -math.expm1(-onward.exit_rate * years)
    return np.where(gone, math.nan, sizes * np.exp(growth))


def _population(observed: pl.DataFrame, alive: pl.DataFrame, later: Floats) -> pl.DataFrame:
    after = pl.Series(later).fill_nan(None)
    rows = alive.select(
        "category",
        "listed_on",
        "adapter_on",
        tvl_before=pl.col("tvl_usd"),
        tvl_after=after,
        entrant=pl.lit(False),
        unmatched=after.is_null(),
        before_on=pl.lit(observed["before_on"][0]),
        after_on=pl.lit(observed["after_on"][0]),
    )
    return _counted(rows)


def _weekly(
    observed: pl.DataFrame, growth: GrowthCalibration, rng: np.random.Generator
) -> pl.DataFrame:
    """Return weekly growth of the panel's protocols with a factor of each week."""
    panel = growth.panel
    common = math.sqrt(max(panel.sigma_total**2 - panel.sigma_idiosyncratic**2, 0.0))
    week = (observed["week"].rank("dense").to_numpy() - 1).astype(np.int64)
    factor = rng.standard_normal(int(week.max()) + 1)[week]
    own = rng.standard_normal(week.size)
    noise = (common * factor + panel.sigma_idiosyncratic * own) / math.sqrt(WEEKS_PER_YEAR)
    drawn = panel.drift_survivors / WEEKS_PER_YEAR + noise
    return observed.with_columns(log_growth=pl.Series(drawn))


def _periods(
    observed: pl.DataFrame, truth: GrowthTruth, now: float, rng: np.random.Generator
) -> pl.DataFrame:
    """Return drifts and entries of the periods, measured with their stated errors.

    Those that begin after the cross-section say nothing of it and stay.
    """
    of_path = (pl.col("population") == SURVIVORS) | (pl.col("population") == HEADLINE.name)
    began = (pl.col("before_on") - pl.lit(date(1970, 1, 1))).dt.total_days() / DAYS_PER_YEAR
    by_gbm = pl.col("gbm_log_drift").is_not_null()
    error = pl.coalesce("gbm_log_drift_std_error", "log_drift_std_error_clustered")
    known = pl.coalesce("gbm_log_drift", "log_drift")
    of_each = pl.lit(truth.drift) if truth.drift is not None else known
    z = pl.Series(rng.standard_normal(observed.height))
    drawn = of_each + error * z
    before = of_path & (began < now)
    table = observed.with_columns(
        gbm_log_drift=pl.when(before & by_gbm).then(drawn).otherwise("gbm_log_drift"),
        log_drift=pl.when(before & ~by_gbm).then(drawn).otherwise("log_drift"),
    )
    return _entries(table, before, truth, rng)


def _entries(
    table: pl.DataFrame, before: pl.Expr, truth: GrowthTruth, rng: np.random.Generator
) -> pl.DataFrame:
    """Return entries of each period: as in the table, or today's where the truth has one law."""
    if truth.drift is None:
        mean, sd = pl.col("log_entry_mean"), pl.col("log_entry_sd")
    else:
        mean, sd = pl.lit(truth.lives.entry_mean[0]), pl.lit(truth.lives.entry_sd[0])
    of_mean, of_sd = (pl.Series(rng.standard_normal(table.height)) for _ in range(2))
    root = pl.col("n_entrants").sqrt()
    known = before & pl.col("n_entrants").is_not_null()
    return table.with_columns(
        log_entry_mean=pl.when(known).then(mean + sd / root * of_mean).otherwise("log_entry_mean"),
        log_entry_sd=pl.when(known)
        .then(sd * (1.0 + of_sd / (math.sqrt(2.0) * root)))
        .otherwise("log_entry_sd"),
    )
