"""Growth of protocols between two dates against size: found where it is, absent under GBM."""

import math
from datetime import date

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

from baimo.estimation.arrays import Floats
from baimo.estimation.growth.size_exponent import (
    exponents_without,
    fit_size_exponent,
    jackknife_error,
)
from baimo.pipeline.analysis.two_dates import (
    measure_growth,
    size_exponent,
    two_dates,
)
from baimo.pipeline.models.gbm import calibrate_growth, next_date, slope_under_gbm
from baimo.pipeline.variables import EXIT_THRESHOLD, expand
from tests.pipeline.synthetic import listing, population, weekly

YEARS = 2.5


def moved(b: float, spread: float, seed: int, n: int = 3_000) -> tuple[Floats, Floats]:
    """Return sizes far above the threshold on two dates."""
    rng = np.random.default_rng(seed)
    x = rng.normal(17.0, 1.5, n)
    noise = 0.8 * np.exp(spread * (x - 17.0)) * rng.standard_normal(n)
    growth = -0.3 + b * (x - 17.0) + noise
    return np.exp(x), np.exp(np.clip(x + YEARS * growth, math.log(EXIT_THRESHOLD) + 0.1, None))


@pytest.mark.parametrize(("b", "spread"), [(0.0, 0.0), (-0.05, 0.0), (0.03, -0.1)])
def test_slopes_are_found(b: float, spread: float) -> None:
    found = [measure_growth(*moved(b, spread, seed), YEARS) for seed in range(30)]
    for name, truth in (("size_slope", b), ("spread_slope", spread)):
        values = np.array([f[name] for f in found])
        assert abs(values.mean() - truth) < 4.0 * values.std(ddof=1) / math.sqrt(30), name


def test_the_numbers_are_those_of_statsmodels() -> None:
    before, after = moved(-0.05, -0.1, 1, 200)
    before[:5], after[5:10] = EXIT_THRESHOLD / 2, math.nan
    both = (before > EXIT_THRESHOLD) & (after > EXIT_THRESHOLD)
    x, y = np.log(before[both]), np.log(after[both])
    fit = sm.OLS((y - x) / YEARS, sm.add_constant(x)).fit()
    spread = sm.OLS(np.log(np.abs(fit.resid)), sm.add_constant(x)).fit()
    found = measure_growth(before, after, YEARS)
    assert found["size_slope"] == pytest.approx(fit.params[1], rel=1e-9)
    assert found["spread_slope"] == pytest.approx(spread.params[1], rel=1e-9)
    assert found["autocorrelation"] == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-12)


def test_few_protocols_tell_nothing() -> None:
    before, after = moved(0.0, 0.0, 1, 19)
    assert measure_growth(before, after, YEARS) == {}


def test_gbm_draws_have_growth_of_no_size_and_lose_their_exits() -> None:
    table = population(2_000, 7)
    growth = calibrate_growth(table, listing(table), weekly(6))
    before, after, years = two_dates(table)
    assert years == pytest.approx((table["after_on"][0] - table["before_on"][0]).days / 365.25)
    rows = expand(table, "n_protocols").filter(pl.col("tvl_before") > 0)
    assert before.size == rows.height
    assert np.isnan(after).sum() == rows["tvl_after"].null_count()
    draw = next_date(growth.params, table)
    found = [draw(np.random.default_rng([1, i])) for i in range(60)]
    slopes = np.array([f["size_slope"] for f in found])
    # The threshold keeps the small only when they grew: a slope below zero, the same in the data
    # of a GBM, and none among the large.
    assert -0.1 < slopes.mean() < 0.02
    seen = measure_growth(before, after, years)
    assert abs(seen["size_slope"] - slopes.mean()) < 5.0 * slopes.std(ddof=1)


def test_a_floor_on_both_dates_bends_a_gbm_and_is_measured_on_it() -> None:
    table = population(2_000, 7)
    growth = calibrate_growth(table, listing(table), weekly(6))
    draw = next_date(growth.params, table)
    slopes = np.array([draw(np.random.default_rng([4, i]))["size_slope"] for i in range(100)])
    error = slopes.std(ddof=1) * math.sqrt(2 / 100)
    assert abs(slope_under_gbm(growth, table) - slopes.mean()) < 4 * error
    high = table.with_columns(pl.col("tvl_before", "tvl_after") * 1e6)  # no floor in reach
    far = calibrate_growth(high, listing(high), weekly(6))
    assert abs(slope_under_gbm(far, high)) < 4 * slopes.std(ddof=1) / math.sqrt(100)


def test_zeta_resampled_agrees_with_the_delta_method_where_turnover_is_sure() -> None:
    table = population(2_000, 7).with_row_index()
    gone = pl.col("index") % 2 == 0  # half exit: a hazard known to a few per cent
    table = table.with_columns(tvl_after=pl.when(gone).then(0.0).otherwise("tvl_after"))
    growth = calibrate_growth(table.drop("index"), listing(table), weekly(6))
    drawn = growth.zeta_bootstrap
    assert drawn is not None
    width = (drawn.high - drawn.low) / 3.92
    assert drawn.low < float(growth.zeta.value or 0) < drawn.high
    # a normal 2.5 % quantile of 400 draws errs by 2.67/20 standard deviations, a width of two by
    # sqrt(2) of it over 3.92
    within = 4.0 * math.sqrt(2.0) * 2.67 / 20.0 / 3.92
    assert width == pytest.approx(float(growth.zeta.std_error or 0), rel=within)
    assert drawn.without_tail < 0.05


def test_the_error_of_the_exponent_is_the_larger_of_two() -> None:
    rng = np.random.default_rng(12)
    n, n_groups = 600, 24
    group = rng.integers(0, n_groups, n)
    before = np.exp(rng.normal(15.0, 1.0, n) + rng.normal(0.0, 1.0, n_groups)[group])
    larger = set()
    for shared, own in ((0.8, 0.1), (0.0, 0.8)):
        luck = np.exp(shared * rng.standard_normal(n_groups))[group]
        after = before * luck * np.exp(own * rng.standard_normal(n))
        table = pl.DataFrame(
            {
                "category": [f"c{g}" for g in group], "tvl_before": before, "tvl_after": after,
                "before_on": date(2023, 6, 27), "after_on": date(2025, 12, 17), "n_protocols": 1,
            }
        )  # fmt: skip
        fit = fit_size_exponent(before, after, above=EXIT_THRESHOLD)
        rows = [np.flatnonzero(group == g) for g in range(n_groups)]
        clustered = jackknife_error(exponents_without(before, after, rows, above=EXIT_THRESHOLD))
        found, error = size_exponent(table)
        assert found == fit
        assert error == pytest.approx(max(fit.std_error, clustered), rel=1e-9)
        larger.add(clustered > fit.std_error)
    assert larger == {True, False}  # each is the larger once
    few, nan = size_exponent(table[:10])
    assert few is None
    assert math.isnan(nan)
