"""Bootstrap of growth: equal to the fits it resamples, errors once and not thrice, coverage."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from baimo.estimation.errors import DataError
from baimo.estimation.growth.bootstrap import GrowthBootstrap, bootstrap_growth
from baimo.estimation.growth.size_dependence import fit_size_dependence
from baimo.estimation.growth.volatility import fit_growth_paths
from baimo.simulation.growth.gbm import GrowthParams
from baimo.simulation.growth.paths import PathParams, simulate_paths

Floats = NDArray[np.float64]
Panel = tuple[NDArray[np.int64], Floats, Floats]
WEEK = 7 / 365.25
TRUTH = PathParams(mu=0.2, sigma_idiosyncratic=0.8, sigma_common=0.5, loading_sd=0.3)
ALONE = PathParams(mu=0.2, sigma_idiosyncratic=0.8)


def long(values: Floats, times: Floats) -> Panel:
    n, t = values.shape
    return np.repeat(np.arange(n), t), np.tile(times, n), values.ravel()


def draw(params: PathParams, rng: np.random.Generator, n: int = 60, t: int = 104) -> Panel:
    times = np.arange(t + 1) * WEEK
    return long(simulate_paths(params, times, rng.normal(15, 2, n), rng), times)


# --- against the fits --------------------------------------------------------------------


def test_estimates_are_those_of_the_fits() -> None:
    panel = draw(TRUTH, np.random.default_rng(1), 30, 60)
    boot = bootstrap_growth(*panel, n_replications=100).estimates()
    fit = fit_growth_paths(*panel).estimates()
    for name in ("mu", "sigma", "sigma_idiosyncratic"):
        assert boot[f"{name}_bootstrap"].value == pytest.approx(fit[name].value, rel=1e-8)
        assert boot[f"{name}_bootstrap"].unit == fit[name].unit
    logs = np.log(panel[2].reshape(30, 61))
    item, step = np.indices((30, 60))
    slope = fit_size_dependence(
        item.ravel(), step.ravel(), logs[:, :-1].ravel(), np.diff(logs, axis=1).ravel()
    )
    assert boot["size_slope_bootstrap"].value == pytest.approx(slope.b, rel=1e-8)


def test_gaps_and_irregular_dates_keep_the_estimates() -> None:
    rng = np.random.default_rng(2)
    times = np.sort(rng.uniform(0, 2, 80))
    values = simulate_paths(TRUTH, times, rng.normal(15, 2, 40), rng)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[:20, :30] = np.nan
    boot = bootstrap_growth(*long(values, times), n_replications=300).estimates()
    fit = fit_growth_paths(*long(values, times)).estimates()
    for name in ("mu", "sigma", "sigma_idiosyncratic"):
        e = boot[f"{name}_bootstrap"]
        assert e.value == pytest.approx(fit[name].value, rel=1e-8)
        assert e.interval[0] < e.value < e.interval[1]
        assert e.std_error == pytest.approx(fit[name].std_error, rel=0.35)


def test_noise_of_single_steps_counts_once() -> None:
    # Without a common shock all errors are known: sigma/sqrt(N T years), sigma/sqrt(2 N T), and
    # s/sqrt(sum x^2) of the slope; drawing items and dates at once would give sqrt(3) of each.
    rng, ratios = np.random.default_rng(3), []
    for seed in range(12):
        panel = draw(ALONE, rng, 60, 104)
        e = bootstrap_growth(*panel, n_replications=400, seed=seed).estimates()
        size = np.log(panel[2].reshape(60, 105))[:, :-1]
        square = np.sum((size - size.mean(axis=0)) ** 2)
        drift, noise = 0.8 / math.sqrt(60 * 104 * WEEK), 0.8 / math.sqrt(2 * 60 * 104)
        expected = (
            math.hypot(drift, 0.8 * noise),  # mu = m + sigma^2/2
            noise,
            noise,
            0.8 * math.sqrt(WEEK / square),
        )
        ratios.append([v.std_error / x for v, x in zip(e.values(), expected, strict=True)])
    assert np.mean(ratios, axis=0) == pytest.approx(1.0, abs=0.1)


def test_a_common_shock_counts_in_full() -> None:
    panel = draw(TRUTH, np.random.default_rng(4), 60, 208)
    e = bootstrap_growth(*panel, n_replications=1000).estimates()
    fit = fit_growth_paths(*panel).estimates()
    for name in ("mu", "sigma"):
        assert e[f"{name}_bootstrap"].std_error == pytest.approx(fit[name].std_error, rel=0.2)


def test_blocks_keep_what_dates_share_with_their_neighbours() -> None:
    # a market of which each week repeats half of the last: (1 + .5)/(1 - .5) of the variance
    rng = np.random.default_rng(5)
    shock = np.zeros(1041)
    for k in range(1, 1041):
        shock[k] = 0.5 * shock[k - 1] + 0.07 * rng.standard_normal()
    logs = np.cumsum(shock + 0.05 * rng.standard_normal((20, 1041)), axis=1)
    panel = long(np.exp(logs), np.arange(1041) * WEEK)
    single, blocks = (bootstrap_growth(*panel, n_replications=800, block_length=k) for k in (1, 20))
    ratio = (
        blocks.estimates()["mu_bootstrap"].std_error / single.estimates()["mu_bootstrap"].std_error
    )
    assert ratio == pytest.approx(math.sqrt(3), rel=0.15)
    assert any("blocks of 20 of 1040 dates" in note for note in blocks.notes)


def test_zeta_is_that_of_the_parameters_with_its_delta_error() -> None:
    panel = draw(ALONE, np.random.default_rng(6), 80, 104)
    boot = bootstrap_growth(*panel, exit_rate=0.4, entry_growth=0.2, entrant_size_growth=0.1)
    e = boot.estimates()
    fit = fit_growth_paths(*panel).estimates()
    m, own = fit["log_drift"].value, fit["sigma_idiosyncratic"].value
    params = GrowthParams(
        mu=m + own**2 / 2, sigma=own, exit_rate=0.4, entry_growth=0.2, entrant_size_growth=0.1
    )
    zeta = e["zeta_bootstrap"]
    assert zeta.value == pytest.approx(params.zeta, rel=1e-9)
    # sigma^2 z^2/2 + (m - g0) z - delta = 0: dz/dm = -z/F, dz/dsigma^2 = -z^2/(2 F)
    f = own**2 * params.zeta + m - 0.1
    gradient = np.array([-params.zeta, -(params.zeta**2) * own]) / f
    errors = np.array([fit[k].std_error for k in ("log_drift", "sigma_idiosyncratic")])
    assert zeta.std_error == pytest.approx(float(np.hypot(*(gradient * errors))), rel=0.2)
    assert any("takes the rates" in note for note in boot.notes)
    assert "zeta_bootstrap" not in bootstrap_growth(*panel, n_replications=100).estimates()


# --- coverage ----------------------------------------------------------------------------


@pytest.mark.full
@pytest.mark.parametrize("params", [TRUTH, ALONE], ids=["common", "alone"])
def test_full_coverage(params: PathParams) -> None:
    own = math.hypot(params.sigma_idiosyncratic, params.sigma_common * params.loading_sd)
    zeta = GrowthParams(mu=params.m + own**2 / 2, sigma=own, exit_rate=0.6).zeta
    truth = np.array([params.mu, params.sigma, own, 0.0, zeta])
    rng, rows = np.random.default_rng(7), []
    for seed in range(1000):
        panel = draw(params, rng, 80, 150)
        table = bootstrap_growth(*panel, n_replications=400, seed=seed, exit_rate=0.6).table
        rows.append([(e.value, *e.interval) for e in table.values()])
    value, low, high = np.moveaxis(np.array(rows), 2, 0)
    held = np.mean((low <= truth) & (truth <= high), axis=0)
    assert np.all(np.abs(held - 0.95) <= 0.03), held
    spread = value.std(axis=0, ddof=1)
    off = np.abs(value.mean(axis=0) - truth) / spread
    assert np.all(off[:4] <= 0.1), off
    assert off[4] <= 0.2, off  # zeta is convex in the drift


# --- protocol ----------------------------------------------------------------------------


def test_the_seed_decides_and_progress_is_told() -> None:
    panel = draw(TRUTH, np.random.default_rng(8), 15, 60)
    told: list[tuple[int, int]] = []
    one = bootstrap_growth(
        *panel, n_replications=250, seed=3, progress=lambda done, total: told.append((done, total))
    )
    again = bootstrap_growth(*panel, n_replications=250, seed=3)
    other = bootstrap_growth(*panel, n_replications=250, seed=4)
    assert again.to_dict() == one.to_dict()
    assert other.conf_int() != one.conf_int()
    assert told == [(100, 250), (200, 250), (250, 250)]
    assert GrowthBootstrap.from_dict(one.to_dict()).summary() == one.summary()
    assert (one.n_items, one.n_dates, one.block_length) == (15, 60, 4)


def test_order_and_labels_do_not_matter() -> None:
    rng = np.random.default_rng(9)
    items, years, values = draw(TRUTH, rng, 15, 60)
    order = rng.permutation(values.size)
    names = np.array([f"item {i:02d}" for i in items])
    one = bootstrap_growth(items, years, values, n_replications=100)
    again = bootstrap_growth(names[order], years[order], values[order], n_replications=100)
    assert again.conf_int() == one.conf_int()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n_replications": 50}, "at least 100"),
        ({"seed": -1}, "not negative"),
        ({"block_length": 0}, "at least 1"),
        ({"block_length": 7}, "too few for 10 blocks of 7"),
        ({"exit_rate": -0.1, "entry_growth": 0.5}, "exit not below 0"),
        ({"exit_rate": 0.1, "entry_growth": -0.5}, "must be positive"),
        ({"exit_rate": math.nan}, "finite"),
    ],
)
def test_refused_arguments(change: dict, says: str) -> None:
    panel = draw(TRUTH, np.random.default_rng(10), 12, 60)
    with pytest.raises(DataError, match=says):
        bootstrap_growth(*panel, **change)


def test_refused_panels() -> None:
    rng = np.random.default_rng(11)
    with pytest.raises(DataError, match="9 items are too few"):
        bootstrap_growth(*draw(TRUTH, rng, 9, 60))
    with pytest.raises(DataError, match="20 dates are too few"):
        bootstrap_growth(*draw(TRUTH, rng, 20, 20))
    items, years, values = draw(TRUTH, rng, 12, 60)
    with pytest.raises(DataError, match="share their dates"):
        bootstrap_growth(items, years + items * WEEK / 20, values)
    with pytest.raises(DataError, match="grow alike"):
        bootstrap_growth(items, years, np.tile(values[:61], 12) * (1 + items))
    with pytest.raises(DataError, match="ever changes"):
        bootstrap_growth(items, years, np.ones(values.size))
    with pytest.raises(DataError, match="two values at one time"):
        bootstrap_growth(items * 0, years, values)
