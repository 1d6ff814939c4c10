"""The GBM calibrated on made-up protocols whose truth is known, and drawn over their ages."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from baimo.estimation.results import Estimate, encode
from baimo.pipeline.analysis.summary_statistics import UNDATED
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.base import Sampler
from baimo.pipeline.models.gbm import (
    Gbm,
    GbmSurvivors,
    GrowthCalibration,
    GrowthSampler,
    NextDate,
    calibrate_growth,
)
from baimo.pipeline.variables import ADAPTER_FLOOR, DEFI_START, LISTING_FLOOR, TVL, tvl_counts
from tests.pipeline.synthetic import BEFORE, listing, population, weekly


def test_drift_and_volatility_are_recovered() -> None:
    fit = calibrate_growth((table := population(4_000, 5)), listing(table), weekly(6))
    pop = fit.population
    assert abs(pop.m + 0.3) < 4 * pop.m_std_error
    assert abs(pop.sigma - 0.9) < 4 * pop.sigma_std_error
    assert abs(pop.mu - (-0.3 + 0.5 * 0.81)) < 4 * pop.mu_std_error


def test_without_resamples_nothing_else_is_missing() -> None:
    table = population(800, 7)
    whole, plain = (
        calibrate_growth(table, listing(table), weekly(6), resampled=resampled)
        for resampled in (True, False)
    )
    assert whole.zeta_bootstrap is not None
    assert plain.zeta_bootstrap is None
    assert encode(replace(whole, zeta_bootstrap=None)) == encode(plain)


def test_ages_come_from_quarters_of_listing_or_adapter_and_the_others_get_the_middle() -> None:
    table = population(800, 7)
    fit = calibrate_growth(table, listing(table), weekly(6))
    began, unlisted = table["adapter_on"], table["listed_on"].is_null()
    by_adapter = (began == date(2021, 4, 1)).fill_null(False).to_numpy()
    old = (began == ADAPTER_FLOOR).fill_null(False).to_numpy()
    unknown = (unlisted & began.is_null()).to_numpy()
    assert by_adapter.sum() == fit.n_age_by_adapter > 20
    assert old.sum() + unknown.sum() == fit.n_age_assumed > 40
    assert np.allclose(fit.ages[by_adapter], ((BEFORE - date(2021, 4, 1)).days - 45) / 365.25)
    for undated, end in ((old, ADAPTER_FLOOR), (unknown, LISTING_FLOOR)):
        middle = DEFI_START + (end - DEFI_START) / 2
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


def test_entry_knows_listing_dates_only() -> None:
    # adapters that began in the last quarters of the table would be entrants, had they been asked
    table = population(800, 7)
    began = pl.when(pl.col("listed_on").is_null()).then(pl.lit(date(2023, 4, 1)))
    late = table.with_columns(adapter_on=began)
    without = table.with_columns(adapter_on=pl.lit(None, dtype=pl.Date))
    found, expected = (calibrate_growth(t, listing(t), weekly(6)) for t in (late, without))
    assert found.entry is not None
    assert expected.entry is not None
    assert found.entry.estimates() == expected.entry.estimates()
    assert found.log_entry.tolist() == expected.log_entry.tolist()
    n = table["listed_on"].null_count()
    assert (found.n_age_by_adapter, found.n_age_assumed) == (n, 0)
    assert (expected.n_age_by_adapter, expected.n_age_assumed) == (0, n)
    assert (found.ages != expected.ages).sum() == n


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
    entry, ages, n = growth.log_entry, growth.ages, growth.ages.size
    expected = entry.mean() + growth.at_risk.m * ages.mean()
    # entry sizes are a sample of their own, of which each item draws; parameters do not scatter
    variance = entry.var() * (1 / entry.size + 1 / n) + growth.at_risk.sigma**2 * ages.sum() / n**2
    assert abs(logs.mean() - expected) < 4 * math.sqrt(variance / 60)
    assert abs(logs.var(ddof=1) / variance - 1) < 4 * math.sqrt(2 / 59)


def test_growth_is_drawn_at_the_parameters_that_are_given(
    day: Day, growth: GrowthCalibration
) -> None:
    population, survivors = Gbm().parameters(day, TVL), GbmSurvivors().parameters(day, TVL)
    fit = growth.at_risk
    assert population == {
        "gbm_m": Estimate(value=fit.m, std_error=fit.std_errors[0]),
        "gbm_sigma2": Estimate(value=fit.sigma**2, std_error=fit.std_errors[1]),
        "gbm_exit_rate": Estimate(value=fit.exit_rate, std_error=fit.std_errors[2]),
    }
    error = growth.panel.drift_survivors_std_error
    assert survivors == {"gbm_survivors_mu": Estimate(value=growth.survivors.mu, std_error=error)}
    given = {"gbm_m": 0.3, "gbm_sigma2": 0.25, "gbm_exit_rate": 0.2}
    one = Gbm().sampler(day, TVL, given)
    assert isinstance(one, GrowthSampler)
    assert one.params.m == pytest.approx(0.3)
    assert one.params.sigma == 0.5
    assert one.params.exit_rate == 0.2
    later = Gbm().increments(day, TVL, given)
    assert isinstance(later, NextDate)
    assert later.params == one.params
    other = GbmSurvivors().sampler(day, TVL, {"gbm_survivors_mu": 0.7})
    assert isinstance(other, GrowthSampler)
    assert (other.params.mu, other.params.sigma) == (0.7, growth.survivors.sigma)
    assert other.params.exit_rate == 0.0  # whoever exited is not among the survivors
