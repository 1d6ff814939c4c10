"""Size slope net of the common shock: statsmodels and scipy oracles, null means, recovery."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import optimize

from baimo.estimation.errors import DataError
from baimo.estimation.growth.cce import SizeSlopeFit, fit_size_slope_cce
from baimo.estimation.growth.size_dependence import fit_size_dependence
from tests.estimation.recovery import recovery

Floats = NDArray[np.float64]
Panel = tuple[NDArray[np.int64], Floats, Floats]
WEEK = 7 / 365.25
SHOCK, NOISE = 0.5 * math.sqrt(WEEK), 0.8 * math.sqrt(WEEK)


def draw(
    rng: np.random.Generator,
    n: int = 60,
    t: int = 104,
    b: float = 0.0,
    loading_sd: float = 0.5,
    trend: float = 0.0,
    gaps: bool = False,
) -> Panel:
    """Weekly paths that return to a log size of 15 at rate -b; sizes differ by 2 at first."""
    loading = 1 + loading_sd * rng.standard_normal(n)
    logs = [15 + 2 * rng.standard_normal(n)]
    for _ in range(t):
        shock = loading * (SHOCK * rng.standard_normal() + trend * WEEK)
        logs.append(logs[-1] + b * (logs[-1] - 15) + shock + NOISE * rng.standard_normal(n))
    items, dates = np.indices((n, t + 1))
    values = np.exp(np.array(logs).T)
    if gaps:
        late = dates < rng.integers(0, t // 2, n)[:, None]
        values = np.where(late | (rng.random(values.shape) < 0.02), np.nan, values)
    return items.ravel(), dates.ravel() * WEEK, values.ravel()


def grid(panel: Panel, n: int) -> tuple[Floats, Floats]:
    """Return (log size before, growth) of a balanced panel, items by steps."""
    logs = np.log(panel[2].reshape(n, -1))
    return logs[:, :-1], np.diff(logs, axis=1)


# --- oracles -----------------------------------------------------------------------------


def test_slopes_by_item_equal_ols_with_the_averages() -> None:
    panel = draw(np.random.default_rng(1), 12, 40)
    fit = fit_size_slope_cce(*panel)
    size, growth = grid(panel, 12)
    proxies = np.column_stack([np.ones(40), growth.mean(axis=0), size.mean(axis=0)])
    slopes = [
        sm.OLS(g, np.column_stack([s, proxies])).fit().params[0]
        for s, g in zip(size, growth, strict=True)
    ]
    np.testing.assert_allclose(fit.item_slope, slopes, rtol=1e-10, atol=1e-10)
    corrected = fit.item_slope - fit.item_bias
    assert fit.b_mean_group == pytest.approx(corrected.mean(), rel=1e-12)
    assert fit.b_mean_group_std_error == pytest.approx(corrected.std(ddof=1) / math.sqrt(12))
    # all items have the same regressors
    assert np.ptp(fit.item_bias) == 0.0


def test_slopes_by_item_at_irregular_dates_equal_weighted_least_squares() -> None:
    rng = np.random.default_rng(2)
    items, years, values = draw(rng, 12, 40)
    times = np.sort(rng.uniform(0, 1, 41))
    fit = fit_size_slope_cce(items, np.tile(times, 12), values)
    length = np.diff(times) / np.median(np.diff(times))
    size, growth = grid((items, years, values), 12)
    design = np.column_stack([length, growth.mean(axis=0), size.mean(axis=0) * length])
    slopes = [
        sm.WLS(g, np.column_stack([s * length, design]), weights=1 / length).fit().params[0]
        for s, g in zip(size, growth, strict=True)
    ]
    np.testing.assert_allclose(fit.item_slope, slopes, rtol=1e-8)
    assert fit.period_years == pytest.approx(np.median(np.diff(times)))


def test_pooled_slope_minimises_the_sum_of_squares() -> None:
    n, t = 10, 30
    panel = draw(np.random.default_rng(3), n, t)
    fit = fit_size_slope_cce(*panel)
    size, growth = grid(panel, n)
    size = size - size.mean()
    market, mean_size = growth.mean(axis=0), size.mean(axis=0)

    def factor(p: Floats) -> Floats:
        return np.asarray(market - p[1] - p[0] * mean_size)

    def residual(p: Floats, weight: float) -> Floats:
        own = growth - market - p[0] * (size - mean_size) - p[2:, None] * factor(p)
        return np.append(own.ravel(), math.sqrt(weight) * factor(p).mean())

    p, weight = np.zeros(2 + n), 1.0
    for _ in range(30):
        p = optimize.least_squares(residual, p, args=(weight,), xtol=1e-14, ftol=1e-14).x
        own = residual(p, 0.0)
        weight = own @ own / (n * t) * t / np.mean(factor(p) ** 2)
    assert fit.b == pytest.approx(p[0], rel=1e-4)


def test_item_slopes_average_their_stated_mean_under_a_random_walk() -> None:
    # unequal histories with gaps: the regressors of every item are its own
    rng = np.random.default_rng(4)
    fits = [fit_size_slope_cce(*draw(rng, 15, 40, gaps=True), min_items=5) for _ in range(25)]
    off = np.array([(f.item_slope - f.item_bias).mean() for f in fits])
    assert np.mean([f.item_bias.mean() for f in fits]) < -0.15
    assert abs(off.mean()) < 4 * off.std(ddof=1) / math.sqrt(25)


@pytest.mark.parametrize("t", [30, 100])
def test_bias_of_item_effects_is_beyond_three_over_t_plus_one(t: int) -> None:
    # the intercept alone gives -3/(T+1); two more regressors that move with size give more
    fit = fit_size_slope_cce(*draw(np.random.default_rng(5), 60, t), item_effects=True)
    assert -10 / t < fit.bias < -3 / (t + 1)
    assert fit.b == pytest.approx(fit.b_uncorrected - fit.bias, rel=1e-12)
    assert fit.summary().startswith("Size slope net of the common shock (item effects and mean")
    assert any("the pooled slope and the mean group" in note for note in fit.notes)


# --- where the plain slope fails ---------------------------------------------------------


def plain(panel: Panel, n: int) -> float:
    size, growth = grid(panel, n)
    item, step = np.indices(size.shape)
    return fit_size_dependence(item.ravel(), step.ravel(), size.ravel(), growth.ravel()).b


def test_a_market_with_a_trend_biases_the_plain_slope_only() -> None:
    rng, found = np.random.default_rng(6), []
    for _ in range(30):
        panel = draw(rng, trend=1.0)
        found.append((plain(panel, 60), fit_size_slope_cce(*panel).b))
    rows = np.array(found)
    error = rows.std(axis=0, ddof=1) / math.sqrt(30)
    assert rows[:, 0].mean() > 4 * error[0]
    assert abs(rows[:, 1].mean()) < 4 * error[1]


def test_unequal_loadings_widen_the_plain_slope_only() -> None:
    rng, found = np.random.default_rng(7), []
    for _ in range(40):
        panel = draw(rng, 80, 60, loading_sd=1.2)
        found.append((plain(panel, 80), fit_size_slope_cce(*panel).b))
    spread = np.array(found).std(axis=0, ddof=1)
    assert spread[1] < 0.7 * spread[0]


# --- recovery and coverage ---------------------------------------------------------------


def replicate(runs: int, seed: int, item_effects: bool, **shape: float) -> dict[str, Floats]:
    """Rows of (value, low, high) by name."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list] = {"size_slope_cce": [], "size_slope_cce_mean_group": []}
    for _ in range(runs):
        estimates = fit_size_slope_cce(*draw(rng, **shape), item_effects=item_effects).estimates()
        for name, row in rows.items():
            row.append((estimates[name].value, *estimates[name].interval))
    return {name: np.array(row) for name, row in rows.items()}


@pytest.mark.parametrize("b", [0.0, -0.02])
def test_recovery_and_coverage(b: float) -> None:
    rows = replicate(80, 8, False, t=80, b=b)
    assert recovery(rows["size_slope_cce"], b, 0.03 + 2 * math.sqrt(0.95 * 0.05 / 80)).holds
    if b == 0:
        assert recovery(
            rows["size_slope_cce_mean_group"], b, 0.03 + 2 * math.sqrt(0.95 * 0.05 / 80)
        ).holds


@pytest.mark.full
@pytest.mark.parametrize("b", [0.0, -0.02])
@pytest.mark.parametrize("loading_sd", [0.0, 0.5])
def test_full_recovery_and_coverage(b: float, loading_sd: float) -> None:
    rows = replicate(1000, 9, False, n=100, t=150, b=b, loading_sd=loading_sd)
    assert recovery(rows["size_slope_cce"], b, 0.03).holds
    if b == 0:
        assert recovery(rows["size_slope_cce_mean_group"], b, 0.03).holds


@pytest.mark.full
def test_full_coverage_with_item_effects() -> None:
    assert recovery(replicate(1000, 10, True, n=100, t=150)["size_slope_cce"], 0.0, 0.03).holds


# --- what a stranger brings --------------------------------------------------------------


def test_order_labels_and_units_do_not_matter() -> None:
    rng = np.random.default_rng(11)
    items, years, values = draw(rng, 20, 60, gaps=True)
    fit = fit_size_slope_cce(items, years, values)
    order = rng.permutation(values.size)
    names = np.array([f"item {i:02d}" for i in items])
    again = fit_size_slope_cce(names[order], 4 * years[order], 1e6 * values[order])
    assert again.b == pytest.approx(fit.b, rel=1e-4)
    assert again.b_mean_group == pytest.approx(fit.b_mean_group, rel=1e-6)
    assert again.period_years == pytest.approx(4 * fit.period_years)


def test_long_histories_are_thinned_for_the_null_mean_only() -> None:
    panel = draw(np.random.default_rng(12), 10, 420)
    fit = fit_size_slope_cce(*panel)
    half = fit_size_slope_cce(*(v.reshape(10, 421)[:, ::3].ravel() for v in panel))
    # the same path seen every third week: three times the slope of a week
    assert fit.item_bias[0] == pytest.approx(half.item_bias[0] / 3, rel=0.05)


def test_result_comes_back() -> None:
    fit = fit_size_slope_cce(*draw(np.random.default_rng(13), 12, 30))
    again = SizeSlopeFit.from_dict(fit.to_dict())
    assert again.to_dict() == fit.to_dict()
    assert "test of b = 0" in fit.summary().splitlines()[0]


def test_refusals() -> None:
    items, years, values = draw(np.random.default_rng(14), 12, 30)
    with pytest.raises(DataError, match="item_effects"):
        fit_size_slope_cce(items, years, values, item_effects="no")
    with pytest.raises(DataError, match="at least 5 and 10"):
        fit_size_slope_cce(items, years, values, min_steps=9)
    with pytest.raises(DataError, match="common dates"):
        fit_size_slope_cce(items, years + items, values)
    with pytest.raises(DataError, match="do not differ"):
        fit_size_slope_cce(items, years, np.tile(values[:31], 12))
    with pytest.raises(DataError, match="one length"):
        fit_size_slope_cce(items, years, values[:5])
