"""Growth of protocols between two dates against size: found where it is, absent under GBM."""

import math

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm

from estimation.counts import Floats
from pipeline.measures import expand
from pipeline.models import EXIT_THRESHOLD, calibrate_growth
from pipeline.movement import draw_movement, measure_movement, two_dates
from tests.pipeline.made_up import listing, population, weekly

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
    found = [measure_movement(*moved(b, spread, seed), YEARS) for seed in range(30)]
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
    found = measure_movement(before, after, YEARS)
    assert found["size_slope"] == pytest.approx(fit.params[1], rel=1e-9)
    assert found["spread_slope"] == pytest.approx(spread.params[1], rel=1e-9)
    assert found["autocorrelation"] == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-12)


def test_few_protocols_tell_nothing() -> None:
    before, after = moved(0.0, 0.0, 1, 19)
    assert measure_movement(before, after, YEARS) == {}


def test_gbm_draws_have_growth_of_no_size_and_lose_their_exits() -> None:
    table = population(2_000, 7)
    growth = calibrate_growth(table, listing(table), weekly(6))
    before, after, years = two_dates(table)
    assert years == pytest.approx((table["after_on"][0] - table["before_on"][0]).days / 365.25)
    rows = expand(table, "n_protocols").filter(pl.col("tvl_before") > 0)
    assert before.size == rows.height
    assert np.isnan(after).sum() == rows["tvl_after"].null_count()
    draw = draw_movement(growth, table)
    found = [draw(np.random.default_rng([1, i])) for i in range(60)]
    slopes = np.array([f["size_slope"] for f in found])
    # The threshold keeps the small only when they grew: a slope below zero, the same in the data
    # of a GBM, and none among the large.
    assert -0.1 < slopes.mean() < 0.02
    seen = measure_movement(before, after, years)
    assert abs(seen["size_slope"] - slopes.mean()) < 5.0 * slopes.std(ddof=1)
