"""Loadings on the common shock: known ones, Paule-Mandel by hand, recovery, coverage, refusals."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats

from baimo.estimation.errors import DataError
from baimo.estimation.growth.loadings import LoadingsFit, fit_loadings
from baimo.estimation.growth.volatility import fit_growth_paths
from baimo.simulation.growth.paths import PathParams, simulate_paths
from tests.estimation.recovery import recovery

Floats = NDArray[np.float64]
Panel = tuple[NDArray[np.int64], Floats, Floats]
WEEK = 7 / 365.25
TRUTH = PathParams(mu=0.2, sigma_idiosyncratic=0.8, sigma_common=0.5, loading_sd=0.4)
EQUAL = PathParams(mu=0.2, sigma_idiosyncratic=0.8, sigma_common=0.5)
SHARE = 0.25 * 1.16 / (0.64 + 0.25 * 1.16)  # c^2 (1 + .4^2) of the variance


def long(values: Floats, times: Floats) -> Panel:
    n, t = values.shape
    return np.repeat(np.arange(n), t), np.tile(times, n), values.ravel()


def draw(params: PathParams, rng: np.random.Generator, n: int = 60, t: int = 104) -> Panel:
    times = np.arange(t + 1) * WEEK
    return long(simulate_paths(params, times, rng.normal(15, 2, n), rng), times)


def one_factor(loading: Floats, noise: float, rng: np.random.Generator, t: int = 80) -> Panel:
    """Weekly paths with given loadings on a shock of .07 a week."""
    shock = 0.07 * rng.standard_normal(t)
    growth = loading[:, None] * shock + noise * rng.standard_normal((loading.size, t))
    logs = np.hstack([np.zeros((loading.size, 1)), np.cumsum(growth, axis=1)])
    return long(np.exp(logs), np.arange(t + 1) * WEEK)


# --- by hand -----------------------------------------------------------------------------


def test_known_loadings_with_little_noise() -> None:
    loading = np.linspace(-0.5, 3.0, 40)
    fit = fit_loadings(*one_factor(loading, 0.0005, np.random.default_rng(1)))
    np.testing.assert_allclose(fit.loadings, loading / loading.mean(), atol=0.01)
    e = fit.estimates()
    assert e["loading_sd"].value == pytest.approx(loading.std(ddof=1) / loading.mean(), rel=0.01)
    assert e["loading_p_value"].value == 0.0
    assert e["factor_share_loadings"].value == pytest.approx(1.0, abs=0.001)
    assert fit.strength > 1000


def test_loadings_are_slopes_on_the_mean_of_the_others() -> None:
    # 300 items: what the mean's own noise changes is below 1/300 of a slope.
    rng = np.random.default_rng(2)
    items, years, values = draw(TRUTH, rng, 300, 60)
    fit = fit_loadings(items, years, values)
    growth = np.diff(np.log(values.reshape(300, 61)), axis=1)
    slope = np.array(
        [
            sm.OLS(growth[i], sm.add_constant(np.delete(growth, i, axis=0).mean(axis=0))).fit()
            for i in range(300)
        ]
    )
    ols = np.array([f.params[1] for f in slope])
    errors = np.array([f.bse[1] for f in slope])
    np.testing.assert_allclose(fit.loadings / fit.loadings.mean(), ols / ols.mean(), rtol=0.01)
    # its own error, less the factor (n - 2)/(n - 4) and one for noise that moves with the market
    ratio = fit.loadings_std_error / errors / math.sqrt(58 / 56)
    assert np.ptp(ratio) < 0.02
    assert np.median(ratio) == pytest.approx(1.0, abs=0.03)


def test_spread_is_paule_mandel_and_the_test_is_cochrans() -> None:
    fit = fit_loadings(*draw(TRUTH, np.random.default_rng(3)))
    e = fit.estimates()
    error2 = fit.loadings_std_error**2
    weight = 1 / (error2 + e["loading_sd"].value ** 2)
    assert weight @ fit.loadings / weight.sum() == pytest.approx(1.0, rel=1e-6)
    assert weight @ (fit.loadings - 1) ** 2 == pytest.approx(59, rel=1e-5)
    centre = np.sum(fit.loadings / error2) / np.sum(1 / error2)
    q = np.sum((fit.loadings - centre) ** 2 / error2)
    assert e["loading_p_value"].value == pytest.approx(stats.chi2.sf(q, 59), rel=1e-6)


def test_variances_add_up() -> None:
    # balanced: own + c^2 (1 + spread) is the sigma^2 of fit_growth_paths
    panel = draw(TRUTH, np.random.default_rng(4))
    fit, paths = fit_loadings(*panel), fit_growth_paths(*panel)
    params = fit.params(paths)
    assert params.sigma == pytest.approx(paths.estimates()["sigma"].value, rel=1e-9)
    e = fit.estimates()
    assert params.loading_sd == e["loading_sd"].value > 0
    assert params.mu == paths.estimates()["mu"].value
    around_mean = paths.estimates()["sigma_idiosyncratic"].value
    assert e["sigma_idiosyncratic_loadings"].value < around_mean
    simulate_paths(params, np.arange(5) * WEEK, [10.0, 11.0], np.random.default_rng(5))


def test_equal_loadings() -> None:
    rng, zero, rejected = np.random.default_rng(6), 0, 0
    for _ in range(100):
        fit = fit_loadings(*draw(EQUAL, rng, 40, 60))
        e = fit.estimates()["loading_sd"]
        rejected += fit.estimates()["loading_p_value"].value < 0.05
        if e.value == 0:
            zero += 1
            assert e.std_error is None
            assert any("no more than noise" in note for note in fit.notes)
        assert e.interval[0] <= e.value <= e.interval[1]
    assert 30 <= zero <= 75  # about half, up to four binomial errors
    assert rejected <= 5 + 4 * math.sqrt(100 * 0.05 * 0.95)


def test_noise_that_grows_with_the_market_is_no_spread_of_loadings() -> None:
    rng, rejected = np.random.default_rng(7), 0
    for _ in range(60):
        shock = 0.07 * rng.standard_normal(120)
        growth = shock + 1.5 * np.abs(shock) * rng.standard_normal((50, 120))
        logs = np.cumsum(growth, axis=1)
        fit = fit_loadings(*long(np.exp(logs), np.arange(120) * WEEK))
        rejected += fit.estimates()["loading_p_value"].value < 0.05
    assert rejected <= 3 + 4 * math.sqrt(60 * 0.05 * 0.95)


# --- recovery and coverage ---------------------------------------------------------------

TRUE = {
    "loading_sd": 0.4,
    "sigma_idiosyncratic_loadings": 0.8,
    "sigma_common_loadings": 0.5,
    "factor_share_loadings": SHARE,
}


def replicate(runs: int, seed: int, n: int, t: int, gaps: bool = False) -> dict[str, Floats]:
    """Rows of (value, low, high) by name; with gaps items enter late and miss 3 % of dates."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list] = {name: [] for name in TRUE}
    for _ in range(runs):
        items, years, values = draw(TRUTH, rng, n, t)
        if gaps:
            late = years < rng.uniform(0, t * WEEK / 2, n)[items]
            values = np.where(late | (rng.random(values.size) < 0.03), np.nan, values)
        estimates = fit_loadings(items, years, values).estimates()
        for name, row in rows.items():
            row.append((estimates[name].value, *estimates[name].interval))
    return {name: np.array(row) for name, row in rows.items()}


@pytest.mark.parametrize("gaps", [False, True], ids=["balanced", "gaps"])
def test_recovery_and_coverage(gaps: bool) -> None:
    rows = replicate(150, 8, 60, 104, gaps)
    for name, truth in TRUE.items():
        assert recovery(rows[name], truth, 0.03 + 2 * math.sqrt(0.95 * 0.05 / 150)).holds


@pytest.mark.full
@pytest.mark.parametrize("gaps", [False, True], ids=["balanced", "gaps"])
def test_full_recovery_and_coverage(gaps: bool) -> None:
    rows = replicate(1000, 9, 100, 150, gaps)
    for name, truth in TRUE.items():
        assert recovery(rows[name], truth, 0.03).holds


@pytest.mark.full
def test_full_size_of_the_test() -> None:
    rng = np.random.default_rng(10)
    p = [
        fit_loadings(*draw(EQUAL, rng, 80, 150)).estimates()["loading_p_value"].value
        for _ in range(1000)
    ]
    assert abs(np.mean(np.array(p) < 0.05) - 0.05) < 0.03


# --- what a stranger brings --------------------------------------------------------------


def test_order_labels_and_units_do_not_matter() -> None:
    rng = np.random.default_rng(11)
    items, years, values = draw(TRUTH, rng, 20, 60)
    values[rng.random(values.size) < 0.03] = 0.0
    fit = fit_loadings(items, years, values)
    order = rng.permutation(values.size)
    names = np.array([f"item {i:02d}" for i in items])
    again = fit_loadings(names[order], 4 * years[order], 1e6 * values[order])
    np.testing.assert_allclose(again.loadings, fit.loadings, rtol=1e-8)
    assert again.items[3] == "item 03"
    a, b = fit.estimates(), again.estimates()
    assert b["loading_sd"].value == pytest.approx(a["loading_sd"].value, rel=1e-7)
    half = a["sigma_common_loadings"].value / 2
    assert b["sigma_common_loadings"].value == pytest.approx(half, rel=1e-8)


def test_irregular_dates_and_short_histories() -> None:
    rng = np.random.default_rng(12)
    times = np.sort(rng.uniform(0, 3, 150))
    values = simulate_paths(TRUTH, times, rng.normal(15, 2, 60), rng)
    values[:5, :140] = np.nan  # nine steps: left out
    fit = fit_loadings(*long(values, times))
    assert fit.n_items == 55
    assert any(note.startswith("45 steps left out") for note in fit.notes)
    low, high = fit.estimates()["loading_sd"].interval
    assert low < 0.4 < high


def test_a_constant_series_among_others_has_no_loading() -> None:
    items, years, values = draw(TRUTH, np.random.default_rng(15), 20, 60)
    fit = fit_loadings(items, years, np.where(items == 3, 7.0, values))
    assert fit.loadings[3] == 0.0
    assert 0.05 < fit.loadings_std_error[3] < 0.5


def test_result_comes_back() -> None:
    fit = fit_loadings(*draw(TRUTH, np.random.default_rng(13), 12, 30))
    again = LoadingsFit.from_dict(fit.to_dict())
    assert again.to_dict() == fit.to_dict()
    assert "loading_sd" in fit.summary()


def test_refusals() -> None:
    rng = np.random.default_rng(14)
    none = PathParams(mu=0.2, sigma_idiosyncratic=0.8)
    with pytest.raises(DataError, match="no common shock"):
        fit_loadings(*draw(none, rng, 20, 60))
    items, years, values = draw(TRUTH, rng, 20, 40)
    with pytest.raises(DataError, match="common dates"):
        fit_loadings(items, years + items, values)
    with pytest.raises(DataError, match="common dates"):
        fit_loadings(items, years, values, min_steps=41)
    with pytest.raises(DataError, match="at least 5"):
        fit_loadings(items, years, values, min_items=2)
    with pytest.raises(DataError, match="one length"):
        fit_loadings(items, years, values[:5])
    with pytest.raises(DataError, match="two values at one time"):
        fit_loadings(items * 0, years, values)
    with pytest.raises(DataError, match="ever changes"):
        fit_loadings(items, years, np.ones(values.size))
    copies = np.tile(values[:41], 20)
    with pytest.raises(DataError, match="grow alike"):
        fit_loadings(items, years, copies)
