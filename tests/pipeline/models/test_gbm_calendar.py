"""The GBM by period: its path and entries from the table, its draws, the drift asked for."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import polars as pl
import pytest

from baimo.estimation.results import decode, encode
from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.curves import ks_of_cdf
from baimo.pipeline.analysis.summary_statistics import UNDATED
from baimo.pipeline.datasets.defi import list_protocols
from baimo.pipeline.models.gbm import GrowthCalibration, calibrate_growth
from baimo.pipeline.models.gbm_calendar import (
    ALL,
    BY_ADAPTER,
    LISTED,
    NOT_DATED,
    CalendarGrowth,
    GbmCalendar,
    calibrate_calendar,
)
from baimo.pipeline.schema.derived import DEFI_POPULATION, TVL_GROWTH_PERIODS
from baimo.pipeline.settings import reference_dir
from baimo.pipeline.sources.reference import load_companions, load_reference
from baimo.pipeline.variables import BROAD, TVL, tvl_counts
from baimo.simulation.growth.calendar import lives_ccdf, simulate_lives
from baimo.simulation.growth.gbm import GrowthParams, mixture_ccdf
from tests.pipeline.synthetic import (
    BEFORE,
    calendar,
    day_of,
    listing,
    periods,
    population,
    results_of_a_day,
    weekly,
)

YEAR = 365.25


@pytest.fixture(scope="module")
def growth() -> GrowthCalibration:
    table = population(800, 7)
    return calibrate_growth(table, listing(table), weekly(6))


def test_the_path_is_that_of_survivors_before_the_first_date_by_id() -> None:
    fit = calendar()
    assert fit.first_days == ("2021-01-01", "2022-01-10", "2023-06-27")
    assert fit.drifts.tolist() == [2.0, -1.0, -0.3]
    assert fit.drift_errors.tolist() == [0.5, 0.2, 0.2]  # clustered
    lives = fit.lives(fit.drifts)
    oldest = int(np.argmax(fit.ages))
    born = BEFORE.toordinal() - fit.ages[oldest] * YEAR
    expected = (
        2.0 * (date(2022, 1, 10).toordinal() - born)
        - 1.0 * (BEFORE.toordinal() - date(2022, 1, 10).toordinal())
    ) / YEAR
    assert lives.drift[oldest] == pytest.approx(expected, abs=1e-9)


def test_sizes_at_entry_are_those_of_the_time_of_entry(growth: GrowthCalibration) -> None:
    fit = calendar()
    now_mean, now_sd = growth.log_entry.mean(), growth.log_entry.std()
    share = np.clip((BEFORE - date(2022, 1, 10)).days - fit.ages * YEAR, 0, None)
    share /= (BEFORE - date(2022, 1, 10)).days
    assert fit.entry_mean == pytest.approx(17.0 + share * (now_mean - 17.0), abs=1e-9)
    assert fit.entry_sd == pytest.approx(1.0 + share * (now_sd - 1.0), abs=1e-9)
    assert fit.shape.mean() == pytest.approx(0.0, abs=1e-12)
    assert fit.shape.std() == pytest.approx(1.0, abs=1e-12)


def test_a_path_of_one_drift_and_one_entry_is_the_gbm(growth: GrowthCalibration) -> None:
    table = population(800, 7)
    mean, sd = float(growth.log_entry.mean()), float(growth.log_entry.std())
    flat = periods().with_columns(
        log_drift=pl.lit(growth.at_risk.m),
        gbm_log_drift=pl.lit(growth.at_risk.m),
        log_entry_mean=pl.when(pl.col("n_entrants").is_not_null()).then(mean),
        log_entry_sd=pl.when(pl.col("n_entrants").is_not_null()).then(sd),
    )
    fit = calibrate_calendar(growth, listing(table), flat)
    assert fit.ks == pytest.approx(growth.ks_growth, abs=1e-9)


def test_draws_are_at_given_drifts_and_errors_are_those_of_each_period() -> None:
    fit = calendar()
    day = day_of({**results_of_a_day(), GbmCalendar.needs[0]: fit})  # type: ignore[dict-item]
    found = GbmCalendar().parameters(day, TVL)
    assert found is not None
    assert [e.value for e in found.values()] == fit.drifts.tolist()
    assert [e.std_error for e in found.values()] == fit.drift_errors.tolist()
    rng = np.random.default_rng(1)
    for shift in (0.0, 0.5):
        values = {name: (e.value or 0.0) + shift for name, e in found.items()}
        sampler = GbmCalendar().sampler(day, TVL, values)
        drawn = [sampler(rng) for _ in range(200)]
        assert all(set(one) == {UNDATED} for one in drawn)
        means = np.array([
            np.average(np.log(one[UNDATED].values), weights=one[UNDATED].multiplicities)
            for one in drawn
        ])  # fmt: skip
        expected = np.mean(fit.lives(fit.drifts + shift).drift + fit.entry_mean)
        assert abs(means.mean() - expected) < 4 * means.std(ddof=1) / math.sqrt(200)


def test_the_distance_is_that_from_the_mixture_along_the_path() -> None:
    fit = calendar()
    day = day_of({**results_of_a_day(), GbmCalendar.needs[0]: fit})  # type: ignore[dict-item]
    rng = np.random.default_rng(2)
    sizes = simulate_lives(fit.lives(fit.drifts), fit.shape, fit.sigma, rng)
    measured = GbmCalendar().yardstick(day, TVL)({UNDATED: Counts.from_sample(sizes)})
    cdf = 1.0 - lives_ccdf(fit.lives(fit.drifts), fit.shape, fit.sigma, np.sort(sizes))
    assert measured["mixture_ks"] == pytest.approx(ks_of_cdf(cdf), abs=1e-3)


def test_sizes_that_grew_at_one_drift_ask_for_it() -> None:
    rng = np.random.default_rng(4)
    table = population(3_000, 8)
    ages = calibrate_growth(table, listing(table), weekly(6)).ages
    newest = (table["listed_on"] == date(2023, 4, 1)).fill_null(False).to_numpy()
    grown = rng.normal(16.0, 2.0, 3_000) - 0.7 * ages + 0.9 * np.sqrt(ages) * rng.normal(size=3_000)
    # those of the last quarter stand for sizes at entry
    sizes = np.exp(np.where(newest, rng.normal(16.0, 2.0, 3_000), grown))
    moved = table.with_columns(tvl_before=sizes, tvl_after=pl.col("tvl_after"))
    growth = calibrate_growth(table, listing(table), weekly(6))
    fit = calibrate_calendar(growth, listing(moved), periods())
    assert set(fit.asked) == {ALL, LISTED, BY_ADAPTER, NOT_DATED}
    assert sum(fit.asked[who].n_obs for who in (LISTED, BY_ADAPTER, NOT_DATED)) == 3_000
    assert fit.asked[BY_ADAPTER].n_obs == growth.n_age_by_adapter
    assert fit.asked[NOT_DATED].n_obs == growth.n_age_assumed
    for asked in fit.asked.values():
        assert abs(asked.m + 0.7) < 4 * asked.std_error < 0.6


def test_without_the_table_of_periods_there_is_no_such_model(growth: GrowthCalibration) -> None:
    nothing = pl.DataFrame(schema=TVL_GROWTH_PERIODS.schema)
    fit = calibrate_calendar(growth, listing(population(800, 7)), nothing)
    assert fit.ks is None
    assert ALL in fit.asked  # this needs no periods
    day = day_of({**results_of_a_day(), GbmCalendar.needs[0]: fit})  # type: ignore[dict-item]
    assert GbmCalendar().parameters(day, TVL) is None
    assert GbmCalendar().predicted_ccdf(day, TVL) is None
    assert encode(decode(encode(fit))) == encode(fit)


# --- what was found on the bundled tables, for all but exchanges, chains and their bridges -------


@pytest.fixture(scope="module")
def sizes() -> pl.DataFrame:
    return list_protocols(load_reference().frames["defi_day"], BROAD)


def calibrated(sizes: pl.DataFrame) -> GrowthCalibration:
    table = pl.read_parquet(reference_dir() / f"{DEFI_POPULATION.name}.parquet")
    weekly_ = pl.read_parquet(reference_dir() / "tvl_weekly.parquet")
    return calibrate_growth(table, sizes, weekly_)


@pytest.fixture(scope="module")
def measured(sizes: pl.DataFrame) -> GrowthCalibration:
    return calibrated(sizes)


@pytest.fixture(scope="module")
def assumed(sizes: pl.DataFrame) -> GrowthCalibration:
    """Return the calibration as if nothing dated those without a listing date."""
    return calibrated(sizes.with_columns(adapter_on=pl.lit(None, dtype=pl.Date)))


@pytest.fixture(scope="module")
def fit(measured: GrowthCalibration, sizes: pl.DataFrame) -> CalendarGrowth:
    return calibrate_calendar(measured, sizes, load_companions()["tvl_growth_periods"], BROAD)


def test_no_drift_and_sigma_of_1_2_lie_near_the_sizes(
    measured: GrowthCalibration, assumed: GrowthCalibration, sizes: pl.DataFrame
) -> None:
    found = tvl_counts(sizes).positive()
    tvl = np.repeat(found.values, found.multiplicities)
    params = GrowthParams(mu=0.5 * 1.2**2, sigma=1.2)
    found = {}
    for ages, growth in (("assumed", assumed), ("by adapter", measured)):
        ks = ks_of_cdf(1.0 - mixture_ccdf(params, tvl, growth.log_entry, growth.ages))
        above = mixture_ccdf(params, [21_216_824.0], growth.log_entry, growth.ages)[0] * tvl.size
        found[ages] = (round(ks, 3), round(above))  # the expectation; draws gave 212 to 215
    assert found == {"assumed": (0.017, 211), "by adapter": (0.02, 204)}
    luckier = GrowthParams(mu=assumed.alive.mu, sigma=assumed.alive.sigma)
    of_both = 1.0 - mixture_ccdf(luckier, tvl, assumed.log_entry, assumed.ages)
    assert ks_of_cdf(of_both) == pytest.approx(0.0756, abs=5e-5)
    # those that fell below the threshold are in the drift that is used
    assert assumed.ks_growth == pytest.approx(0.0904, abs=5e-5)
    assert measured.ks_growth == pytest.approx(0.0818, abs=5e-5)
    assert (measured.at_risk.m, measured.at_risk.sigma) == pytest.approx((-0.574, 1.238), abs=5e-4)


def test_ages_of_adapters_stand_in_for_most_that_were_assumed(
    measured: GrowthCalibration, assumed: GrowthCalibration
) -> None:
    assert (assumed.n_age_by_adapter, assumed.n_age_assumed) == (0, 500)
    assert (measured.n_age_by_adapter, measured.n_age_assumed) == (442, 58)
    assert measured.entry is not None
    assert assumed.entry is not None
    assert measured.entry.estimates() == assumed.entry.estimates()
    assert measured.log_entry.tolist() == assumed.log_entry.tolist()


def test_the_sizes_ask_for_none_the_listed_for_a_drift_like_the_measured_the_older_for_growth(
    fit: CalendarGrowth, measured: GrowthCalibration
) -> None:
    published = {
        ALL: (0.038, 0.233), LISTED: (-0.476, 0.307), BY_ADAPTER: (0.732, 0.146),
        NOT_DATED: (0.923, 0.224),
    }  # fmt: skip
    for who, expected in published.items():
        asked = fit.asked[who]
        assert (asked.m, asked.std_error) == pytest.approx(expected, abs=6e-4)
    for found in (measured.alive.m, measured.at_risk.m):
        assert abs(fit.asked[LISTED].m - found) < 0.5 * fit.asked[LISTED].std_error
    assert fit.asked[LISTED].ks < 0.03 < 0.1 < fit.asked[BY_ADAPTER].ks


def test_the_drift_that_was_measured_period_by_period_comes_nearer_and_not_near(
    fit: CalendarGrowth, measured: GrowthCalibration, assumed: GrowthCalibration
) -> None:
    assert fit.ks == pytest.approx(0.0396, abs=5e-5)
    assert fit.asked[ALL].ks < 0.02 < fit.ks < measured.ks_growth
    undated = list_protocols(load_reference().frames["defi_day"], BROAD).with_columns(
        adapter_on=pl.lit(None, dtype=pl.Date)
    )
    before = calibrate_calendar(assumed, undated, load_companions()["tvl_growth_periods"], BROAD).ks
    assert before == pytest.approx(0.0591, abs=5e-5)
