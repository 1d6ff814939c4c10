"""Size dependence: statsmodels oracles, the -3/(T+1) bias, measurement error, coverage."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from statsmodels.sandbox.regression.gmm import IV2SLS

from baimo.estimation.errors import DataError
from baimo.estimation.growth.size_dependence import (
    SizeDependenceFit,
    fit_gibrat,
    fit_size_dependence,
)
from tests.estimation.recovery import recovery

Floats = NDArray[np.float64]
Rows = tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats, Floats]


def panel(
    rng: np.random.Generator,
    n: int = 60,
    t: int = 60,
    b: float = 0.0,
    loading_sd: float = 0.4,
    noise: float = 0.0,
) -> Rows:
    """Items, periods, log size before, growth, and size before that; a factor of .15 a month."""
    size = [rng.normal(0, 2, n)]
    loading = 1 + loading_sd * rng.standard_normal(n)
    for _ in range(t):
        shock = loading * 0.15 * rng.standard_normal() + 0.23 * rng.standard_normal(n)
        size.append((1 + b) * size[-1] + shock)
    seen = np.array(size).T
    seen = seen + noise * rng.standard_normal(seen.shape)
    items, periods = np.indices((n, t))
    earlier = np.hstack([np.full((n, 1), np.nan), seen[:, :-2]])
    before, growth = seen[:, :-1], np.diff(seen, axis=1)
    return items.ravel(), periods.ravel(), before.ravel(), growth.ravel(), earlier.ravel()


# --- oracles -----------------------------------------------------------------------------


@pytest.mark.parametrize("effects", [False, True], ids=["period", "item-and-period"])
def test_slope_equals_dummies_with_gaps_and_controls(effects: bool) -> None:
    rng = np.random.default_rng(1)
    items, periods, x, y, _ = panel(rng, 12, 15)
    k = rng.standard_normal(x.size)
    y = y + 0.3 * k
    kept = rng.random(x.size) < 0.8
    items, periods, x, y, k = (v[kept] for v in (items, periods, x, y, k))
    fit = fit_size_dependence(items, periods, x, y, controls={"chains": k}, item_effects=effects)
    dummies = [periods == p for p in range(15)] + [items == i for i in range(1, 12)] * effects
    design = np.column_stack([x, k, *dummies]).astype(float)
    oracle = sm.OLS(y, design).fit()
    assert fit.b_uncorrected == pytest.approx(oracle.params[0], rel=1e-7)
    assert fit.estimates()["control_chains"].value == pytest.approx(oracle.params[1], rel=1e-7)
    assert fit.b_std_error_naive == pytest.approx(oracle.bse[0], rel=1e-7)
    # with item effects it would cover 83 %: not given
    assert (fit.b_std_error_driscoll_kraay is None) == effects
    assert (fit.conf_int()["size_slope_driscoll_kraay"] is None) == effects


def test_errors_equal_statsmodels() -> None:
    items, periods, x, y, _ = panel(np.random.default_rng(2), 40, 30)
    fit = fit_size_dependence(items, periods, x, y)
    period_mean = lambda v: (np.bincount(periods, weights=v) / 40)[periods]  # noqa: E731
    ols = sm.OLS(y - period_mean(y), x - period_mean(x))
    both = ols.fit(cov_type="cluster", cov_kwds={"groups": np.column_stack([items, periods])})
    one = ols.fit(cov_type="cluster", cov_kwds={"groups": items})
    assert fit.b_std_error == pytest.approx(max(both.bse[0], one.bse[0]), rel=1e-9)
    assert fit.lag == math.floor(4 * 0.3 ** (2 / 9))
    dk = ols.fit(
        cov_type="hac-groupsum",
        cov_kwds={"time": periods, "maxlags": fit.lag, "use_correction": "cluster"},
    )
    assert fit.b_std_error_driscoll_kraay == pytest.approx(dk.bse[0], rel=1e-9)
    mean = sm.OLS(y, np.ones(y.size)).fit(
        cov_type="cluster", cov_kwds={"groups": np.column_stack([items, periods])}
    )
    assert fit.mean_growth == pytest.approx(mean.params[0])
    assert fit.mean_growth_std_error == pytest.approx(mean.bse[0], rel=1e-9)


def test_instrumented_slope_equals_statsmodels() -> None:
    rng = np.random.default_rng(3)
    items, periods, x, y, z = panel(rng, 30, 20, noise=0.3)
    k = rng.standard_normal(x.size)
    fit = fit_gibrat(items, periods, x, y, instrument=z, controls=k)
    use = np.isfinite(z)
    dummies = np.column_stack([periods[use] == p for p in range(1, 20)]).astype(float)
    oracle = IV2SLS(
        y[use],
        np.column_stack([x[use], k[use], dummies]),
        np.column_stack([z[use], k[use], dummies]),
    ).fit()
    assert fit.b == pytest.approx(oracle.params[0], rel=1e-8)
    assert fit.estimates()["control_k1"].value == pytest.approx(oracle.params[1], rel=1e-8)
    assert fit.n_used == use.sum()
    assert any("30 rows with a missing number" in note for note in fit.notes)
    assert fit.first_stage_f > 1000
    assert fit.converged


# --- what goes wrong ---------------------------------------------------------------------


@pytest.mark.parametrize("t", [5, 10, 40])
def test_item_effects_bias_a_random_walk_by_three_over_t_plus_one(t: int) -> None:
    rng = np.random.default_rng(4)
    fits = [
        fit_size_dependence(*panel(rng, 150, t, loading_sd=0.0)[:4], item_effects=True)
        for _ in range(40)
    ]
    raw = np.array([f.b_uncorrected for f in fits])
    # Nickell's ratio is exact for many items; with 150 the ratio of means adds O(1/N)
    error = raw.std(ddof=1) / math.sqrt(40)
    assert abs(raw.mean() + 3 / (t + 1)) < 4 * error + 3 / (t + 1) / 150
    assert fits[0].bias == pytest.approx(-3 / (t + 1), rel=1e-12)
    assert any("under b = 0 only" in note for note in fits[0].notes)
    without = [fit_size_dependence(*panel(rng, 150, t, loading_sd=0.0)[:4]).b for _ in range(40)]
    assert abs(np.mean(without)) < 4 * np.std(without, ddof=1) / math.sqrt(40)


def test_bias_of_unequal_histories() -> None:
    rng = np.random.default_rng(5)
    raw, stated = [], set()
    for _ in range(60):
        items, periods, x, y, _ = panel(rng, 150, 20, loading_sd=0.0)
        kept = periods < 5 + items % 16
        fit = fit_size_dependence(*(v[kept] for v in (items, periods, x, y)), item_effects=True)
        raw.append(fit.b_uncorrected)
        stated.add(round(fit.bias, 12))
    assert len(stated) == 1
    assert abs(np.mean(raw) - stated.pop()) < 4 * np.std(raw, ddof=1) / math.sqrt(60) + 0.003


def test_measurement_error_looks_like_reversion_and_the_instrument_removes_it() -> None:
    # b -> -nu^2/Var(size seen): about -.25/(4 + ...) under Gibrat's law.
    rng = np.random.default_rng(6)
    plain, instrumented = [], []
    for _ in range(60):
        items, periods, x, y, z = panel(rng, noise=0.5)
        plain.append(fit_size_dependence(items, periods, x, y).b)
        instrumented.append(fit_gibrat(items, periods, x, y, instrument=z).b)
    variance = 4 + 0.23**2 * 30 + 0.25 + 0.4**2 * 0.15**2 * 30
    assert np.mean(plain) == pytest.approx(-0.25 / variance, rel=0.1)
    spread = np.std(instrumented, ddof=1)
    assert abs(np.mean(instrumented)) < 4 * spread / math.sqrt(60)


def test_a_weak_instrument_marks_the_fit() -> None:
    rng = np.random.default_rng(7)
    items, periods, x, y, _ = panel(rng, 20, 20)
    fit = fit_gibrat(items, periods, x, y, instrument=rng.standard_normal(x.size))
    assert not fit.converged
    assert "DID NOT CONVERGE" in fit.summary().splitlines()[0]
    assert any("instrument is weak" in note for note in fit.notes)


# --- coverage ----------------------------------------------------------------------------


def replicate(runs: int, seed: int, b: float, kind: str, **shape: float) -> Floats:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(runs):
        *data, z = panel(rng, b=b, **shape)
        if kind == "iv":
            fit = fit_gibrat(*data, instrument=z)
        else:
            fit = fit_size_dependence(*data, item_effects=kind == "item")
        e = fit.estimates()
        kraay = e["size_slope_driscoll_kraay"].interval or (math.nan, math.nan)
        rows.append((fit.b, *e["size_slope"].interval, *kraay))
    return np.array(rows)


@pytest.mark.parametrize("b", [0.0, -0.02])
def test_recovery_and_coverage(b: float) -> None:
    rows = replicate(250, 8, b, "pooled")
    assert recovery(rows, b, 0.03 + 2 * math.sqrt(0.95 * 0.05 / 250)).holds


@pytest.mark.full
@pytest.mark.parametrize("b", [0.0, -0.02])
def test_full_recovery_and_coverage(b: float) -> None:
    rows = replicate(1000, 9, b, "pooled")
    assert recovery(rows, b, 0.03).holds
    held = np.mean((rows[:, 3] <= b) & (b <= rows[:, 4]))
    assert 0.90 <= held <= 0.98  # Driscoll-Kraay: its lags cost a little at T = 60


@pytest.mark.full
def test_full_coverage_with_item_effects_and_with_an_instrument() -> None:
    rows = replicate(1000, 10, 0.0, "item", n=100, t=20, loading_sd=0.0)
    held = np.mean((rows[:, 1] <= 0) & (rows[:, 2] >= 0))
    assert 0.92 <= held <= 0.99  # errs on the wide side
    rows = replicate(1000, 11, 0.0, "iv", noise=0.5)
    held = np.mean((rows[:, 1] <= 0) & (rows[:, 2] >= 0))
    assert 0.92 <= held <= 0.99


# --- protocol ----------------------------------------------------------------------------


def test_rows_with_gaps_are_left_out_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(12)
    items, periods, x, y, _ = panel(rng, 15, 15)
    y[::7] = np.nan
    x[::11] = np.inf
    fit = fit_size_dependence(items, periods, x, y)
    kept = np.isfinite(x) & np.isfinite(y)
    order = rng.permutation(np.flatnonzero(kept))
    names = np.array([f"p{i:03d}" for i in items])
    again = fit_size_dependence(names[order], periods[order], x[order], y[order])
    assert again.b == pytest.approx(fit.b, rel=1e-10)
    assert again.b_std_error == pytest.approx(fit.b_std_error, rel=1e-10)
    assert fit.n_obs == 225
    assert fit.n_used == kept.sum()


def test_result_comes_back() -> None:
    fit = fit_size_dependence(*panel(np.random.default_rng(13), 12, 12)[:4])
    again = SizeDependenceFit.from_dict(fit.to_dict())
    assert again.to_dict() == fit.to_dict()
    assert "size_slope" in fit.summary()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"growth": np.ones(3)}, "one length"),
        ({"periods": np.zeros(100)}, "two rows in one period"),
        ({"items": np.arange(100), "periods": np.arange(100) % 2}, "too few"),
        ({"log_size_before": np.tile(np.arange(10.0), 10)}, "does not vary within periods"),
        ({"controls": {"one": np.ones(100)}}, "one does not vary"),
        ({"controls": np.ones((100, 2)) * np.arange(100.0)[:, None]}, "collinear"),
        ({"item_effects": "no"}, "item_effects"),
    ],
    ids=["lengths", "twice", "few", "constant", "constant-control", "collinear", "flag"],
)
def test_refusals(change: dict, says: str) -> None:
    rng = np.random.default_rng(14)
    usual = {
        "items": np.repeat(np.arange(10), 10),
        "periods": np.tile(np.arange(10), 10),
        "log_size_before": rng.standard_normal(100),
        "growth": rng.standard_normal(100),
    }
    given = {**usual, **change}
    names = ("items", "periods", "log_size_before", "growth")
    data = [given.pop(k) for k in names]
    with pytest.raises(DataError, match=says):
        fit_size_dependence(*data, **given)
