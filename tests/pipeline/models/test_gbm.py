"""The GBM calibrated on made-up protocols whose truth is known, and drawn over their ages."""

import math
from datetime import date

import numpy as np
import polars as pl
import pytest

from baimo.pipeline.analysis.summary_statistics import UNDATED
from baimo.pipeline.models.base import Sampler
from baimo.pipeline.models.gbm import GrowthCalibration, calibrate_growth
from baimo.pipeline.variables import DEFI_START, LISTING_FLOOR, tvl_counts
from tests.pipeline.synthetic import BEFORE, listing, population, weekly


def test_drift_and_volatility_are_recovered() -> None:
    fit = calibrate_growth((table := population(4_000, 5)), listing(table), weekly(6))
    pop = fit.population
    assert abs(pop.m + 0.3) < 4 * pop.m_std_error
    assert abs(pop.sigma - 0.9) < 4 * pop.sigma_std_error
    assert abs(pop.mu - (-0.3 + 0.5 * 0.81)) < 4 * pop.mu_std_error


def test_ages_come_from_quarters_and_the_undated_get_the_middle() -> None:
    table = population(800, 7)
    fit = calibrate_growth(table, listing(table), weekly(6))
    undated = table["listed_on"].is_null().to_numpy()
    assert fit.n_age_assumed == undated.sum()
    middle = DEFI_START + (LISTING_FLOOR - DEFI_START) / 2
    assert np.allclose(fit.ages[undated], (BEFORE - middle).days / 365.25)
    newest = (table["listed_on"] == date(2023, 4, 1)).fill_null(False).to_numpy()
    assert np.allclose(fit.ages[newest], (87 - 45) / 365.25)
    assert fit.log_entry.size == newest.sum()
    assert fit.ages.min() > 0


def test_whole_quarters_only_enter_the_trend() -> None:
    fit = calibrate_growth((table := population(800, 7)), listing(table), weekly(6))
    assert fit.entry is not None
    # 2021-10-01 lies before listing dates began; 2023-04-01 ends within a week of the table.
    assert fit.entry.n_used == 6


def test_distance_from_entry_sizes_is_that_of_two_samples() -> None:
    from scipy import stats

    table = population(600, 8)
    fit = calibrate_growth(table, listing(table), weekly(6))
    sizes = np.log(table["tvl_before"].to_numpy())
    newest = (table["listed_on"] == date(2023, 4, 1)).fill_null(False).to_numpy()
    expected = stats.ks_2samp(sizes, sizes[newest]).statistic
    # Entry sizes are part of the sample; the step of one observation is all that may differ.
    assert fit.ks_entry_only == pytest.approx(expected, abs=1 / 600 + 1e-12)


def test_zeros_stay_in_the_sample() -> None:
    table = population(100, 9).with_columns(
        tvl_before=pl.when(pl.int_range(pl.len()) < 30).then(0.0).otherwise("tvl_before")
    )
    counts = tvl_counts(listing(table))
    assert counts.n_obs == 100
    assert counts.n_zero == 30
    assert calibrate_growth(table, listing(table), weekly(6)).ages.size == 70


def test_growth_is_drawn_over_the_observed_ages(
    draws: dict[tuple[str, str], Sampler], growth: GrowthCalibration
) -> None:
    rng = np.random.default_rng(5)
    drawn = [draws["GBM", "tvl"](rng) for _ in range(60)]
    assert all(set(one) == {UNDATED} for one in drawn)
    assert {one[UNDATED].n_obs for one in drawn} == {growth.ages.size}
    logs = np.array([
        np.average(np.log(one[UNDATED].values), weights=one[UNDATED].multiplicities)
        for one in drawn
    ])  # fmt: skip
    expected = growth.log_entry.mean() + growth.alive.m * growth.ages.mean()
    assert abs(logs.mean() - expected) < 4 * logs.std(ddof=1) / math.sqrt(60)
    # the drift's own error is in the spread
    assert logs.std(ddof=1) > 0.7 * growth.alive.m_std_error * growth.ages.mean()
