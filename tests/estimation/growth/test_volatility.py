"""Growth on long panels: formulas by hand, oracles, recovery, coverage, gaps and refusals."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from baimo.estimation.errors import DataError
from baimo.estimation.growth.volatility import GrowthPathsFit, fit_growth_paths
from baimo.simulation.growth.paths import PathParams, simulate_paths
from tests.estimation.recovery import recovery

Floats = NDArray[np.float64]
WEEKLY = np.arange(105) * 7 / 365.25
TRUTH = PathParams(mu=0.2, sigma_idiosyncratic=0.8, sigma_common=0.5, exit_rate=0.3)


def long(values: Floats, times: Floats) -> tuple[Floats, Floats, Floats]:
    n, t = values.shape
    return np.repeat(np.arange(n), t), np.tile(times, n), values.ravel()


def draw(
    n: int, seed: int, times: Floats = WEEKLY, params: PathParams = TRUTH
) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    return long(simulate_paths(params, times, rng.normal(15, 2, n), rng), times)


def plain(**change: float) -> PathParams:
    return PathParams(**{"mu": 0.2, "sigma_idiosyncratic": 0.8, **change})


# --- by hand -----------------------------------------------------------------------------


def test_one_item_at_irregular_times_is_exact_maximum_likelihood() -> None:
    t = np.array([0.0, 0.1, 0.4, 1.0, 1.3])
    x = np.array([0.0, 0.3, 0.1, 0.9, 0.7])
    fit = fit_growth_paths(["a"] * 5, t, np.exp(x))
    m = 0.7 / 1.3
    r, d = np.diff(x), np.diff(t)
    sigma2 = np.sum((r - m * d) ** 2 / d) / 3
    e = fit.estimates()
    assert e["log_drift"].value == pytest.approx(m, rel=1e-12)
    assert e["sigma"].value == pytest.approx(math.sqrt(sigma2), rel=1e-12)
    assert e["mu"].value == pytest.approx(m + sigma2 / 2, rel=1e-12)
    assert fit.items.tolist() == ["a"]
    assert e["sigma_idiosyncratic"].value is None
    assert e["sigma_common"].value is None
    assert fit.effective_periods == pytest.approx(4)


def test_pooled_values_and_clustered_error_equal_statsmodels() -> None:
    # Equal steps: m is a regression on a constant; two-way sandwich with G/(G-1) of each way.
    n, k = 8, 60
    values = draw(n, 1, np.arange(k + 1) / 52, plain(sigma_common=0.5))
    fit = fit_growth_paths(*values)
    r = np.diff(np.log(values[2].reshape(n, k + 1)), axis=1) * 52
    items, dates = np.indices(r.shape)
    ols = sm.OLS(r.ravel(), np.ones(r.size)).fit()
    _, by_item, by_date = cov_cluster_2groups(
        ols, items.ravel(), dates.ravel(), use_correction=False
    )
    white = np.sum(ols.resid**2) / r.size**2
    by_date = by_date[0, 0] * k / (k - 1)
    both = by_date + by_item[0, 0] * n / (n - 1) - white
    e = fit.estimates()
    assert e["log_drift"].value == pytest.approx(ols.params[0], rel=1e-10)
    assert e["log_drift"].std_error == pytest.approx(math.sqrt(max(both, by_date)), rel=1e-9)
    within = r.var(axis=1, ddof=1).mean() / 52
    assert e["sigma"].value == pytest.approx(math.sqrt(within), rel=1e-10)
    # idiosyncratic: two-way analysis of variance with (n - 1)(k - 1) degrees
    left = r - r.mean(axis=0) - r.mean(axis=1)[:, None] + r.mean()
    own = np.sum(left**2) / 52 / ((n - 1) * (k - 1))
    assert e["sigma_idiosyncratic"].value == pytest.approx(math.sqrt(own), rel=1e-9)
    assert e["sigma_common"].value == pytest.approx(math.sqrt(within - own), rel=1e-8)
    assert e["factor_share"].value == pytest.approx(1 - own / within, rel=1e-8)
    # CD = sqrt(2/(N (N-1))) sum sqrt(T) r_ij
    c = np.corrcoef(r)[np.triu_indices(n, 1)]
    cd = math.sqrt(2 / (n * (n - 1))) * math.sqrt(k) * c.sum()
    assert e["cd_statistic"].value == pytest.approx(cd, rel=1e-9)
    assert e["cd_p_value"].value == pytest.approx(2 * stats.norm.sf(abs(cd)), rel=1e-6)
    assert e["mean_correlation"].value == pytest.approx(c.mean(), rel=1e-9)
    kurtosis = stats.kurtosis(r, axis=1, bias=False).mean()
    assert e["excess_kurtosis"].value == pytest.approx(kurtosis, rel=1e-8)
    z = (r - r.mean(axis=1)[:, None]).ravel() / math.sqrt(52 * (1 - 1 / k))
    heavy = math.sqrt((np.mean(z**4) / np.mean(z**2) - np.mean(z**2)) / z.size) / 2
    assert e["sigma_error_independent"].value == pytest.approx(heavy, rel=1e-8)


def test_shrinkage_is_paule_mandel_and_empirical_bayes() -> None:
    params = plain(sigma_common=0.5, drift_sd=0.6)
    found, raw, shrunk = [], [], []
    for seed in range(20):
        values = draw(60, 100 + seed, params=params)
        fit = fit_growth_paths(*values)
        found.append(fit.estimates()["drift_sd"].value)
        again = np.random.default_rng(100 + seed)  # the simulator's own drifts, drawn once more
        again.normal(15, 2, 60)
        again.standard_normal(60)
        true = params.drift_sd * again.standard_normal(60)
        true -= true.mean()
        raw.append(np.mean((fit.item_drift - fit.item_drift.mean() - true) ** 2))
        shrunk.append(np.mean((fit.item_drift_shrunk - fit.item_drift_shrunk.mean() - true) ** 2))
    # the spread of drifts is .6, of their errors .8/sqrt(2) = .57
    assert abs(np.mean(found) - 0.6) < 4 * np.std(found, ddof=1) / math.sqrt(20) + 0.02
    assert np.mean(raw) == pytest.approx(0.32, rel=0.15)
    # B = .36/(.36 + .32): the mean squared error falls to B x .32
    assert np.mean(shrunk) == pytest.approx(0.32 * 0.36 / 0.68, rel=0.2)
    assert np.ptp(fit.item_drift_shrunk) < np.ptp(fit.item_drift)
    # Paule & Mandel's equation: Q(tau^2) = N - 1
    t2 = fit.estimates()["drift_sd"].value ** 2
    r = np.diff(np.log(values[2].reshape(60, -1)), axis=1) * 365.25 / 7
    left = r - r.mean(axis=0) - r.mean(axis=1)[:, None] + r.mean()
    own = np.sum(left**2, axis=1) * 7 / 365.25 / (103 * 59 / 60)
    error2 = own * 103 / 101 / WEEKLY[-1]  # (n - 1)/(n - 3) for an estimated variance
    weight = 1 / (error2 + t2)
    centre = fit.item_drift @ weight / weight.sum()
    assert weight @ (fit.item_drift - centre) ** 2 == pytest.approx(59, rel=1e-6)
    expected = centre + t2 * weight * (fit.item_drift - centre)
    np.testing.assert_allclose(fit.item_drift_shrunk, expected, rtol=1e-6, atol=1e-9)


def test_equal_drifts_are_said_not_to_be_estimable() -> None:
    zero = 0
    for seed in range(30):
        fit = fit_growth_paths(*draw(40, seed, params=plain(sigma_common=0.5)))
        if fit.estimates()["drift_sd"].value == 0:
            zero += 1
            assert any("individual mu are not estimable" in note for note in fit.notes)
            assert np.ptp(fit.item_drift_shrunk) < 1e-12
    assert 5 <= zero <= 27  # half of all, up to four binomial errors


def test_exit_by_hand() -> None:
    # floor 10, dates 0..4. a lives; b falls at 2 (half-way 1.5); c is last seen at 1 (1.5);
    # d starts below (from 1 on), falls at 3 by a zero; e is seen once, at 2 (2.5).
    t = np.arange(5.0)
    nan = math.nan
    values = np.array(
        [
            [20, 21, 22, 25, 26],
            [20, 15, 9, 12, 30],
            [20, 22, nan, nan, nan],
            [5, 20, 22, 0, nan],
            [nan, nan, 20, nan, nan],
        ]
    )
    fit = fit_growth_paths(*long(values, t), exit_floor=10)
    exposure = 4 + 1.5 + 1.5 + 1.5 + 0.5
    assert fit.n_exits == 4
    assert fit.exposure == pytest.approx(exposure)
    e = fit.estimates()["exit_rate"]
    assert e.value == pytest.approx(4 / exposure)
    assert e.std_error == pytest.approx(4 / exposure / 2)
    # growth: b up to the fall included, d's two values above; e has no step
    assert fit.n_items == 4
    assert fit.n_used == 5 + 3 + 2 + 2
    assert any("1 items with fewer than 2 values" in note for note in fit.notes)
    nobody = fit_growth_paths(*long(values[:1], t), exit_floor=10)
    none = nobody.estimates()["exit_rate"]
    assert (none.value, none.std_error) == (0.0, None)
    # nobody in 4 years: exp(-4 x) = 2.5 %
    assert none.interval == (0.0, pytest.approx(-math.log(0.025) / 4))


def test_variance_ratio_of_price_noise() -> None:
    # VR(4) = (4 s^2 dt + 2 nu^2)/(4 (s^2 dt + 2 nu^2))
    params = plain(noise_sd=0.1)
    found = [fit_growth_paths(*draw(30, s, params=params)) for s in range(40)]
    ratios = np.array([f.estimates()["variance_ratio"].value for f in found])
    s2 = 0.64 * 7 / 365.25
    truth = (4 * s2 + 0.02) / (4 * (s2 + 0.02))
    assert abs(ratios.mean() - truth) < 4 * ratios.std(ddof=1) / math.sqrt(40)
    assert all(f.estimates()["variance_ratio"].conf_int()[1] < 1 for f in found)


def test_bipower_and_quartiles_ignore_rare_jumps() -> None:
    rng = np.random.default_rng(4)
    values = simulate_paths(plain(), WEEKLY, np.zeros(100), rng)
    jumps = np.cumsum((rng.random(values.shape) < 0.01) * rng.normal(0, 1.0, values.shape), axis=1)
    e = fit_growth_paths(*long(values * np.exp(jumps), WEEKLY)).estimates()
    assert e["sigma"].value > 1.0  # sqrt(.64 + .01 x 52)
    # what is left is of the order of the jump probability: 1 % of pairs, each E|jump|/E|step| = 7
    assert 0.8 < e["sigma_jump_robust"].value < 0.8 * math.sqrt(1 + 2 * 0.01 * 7.5)
    assert 0.8 < e["sigma_robust"].value < 0.8 * 1.03
    assert e["excess_kurtosis"].value > 5


def test_asynchronous_dates_give_the_common_shock_from_overlaps() -> None:
    # Every item has dates of its own: Hayashi-Yoshida, checked over samples.
    grid = np.sort(np.random.default_rng(5).uniform(0, 2, 2000))
    found, held = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        values = simulate_paths(plain(sigma_common=0.6), grid, np.zeros(20), rng)
        keep = np.arange(2000) % 20 == np.arange(20)[:, None]
        fit = fit_growth_paths(*long(np.where(keep, values, np.nan), grid))
        e = fit.estimates()
        found.append((e["sigma_common"].value ** 2, e["sigma_idiosyncratic"].value ** 2))
        low, high = e["mu"].interval
        held.append(low <= 0.2 <= high)
    for truth, sample in zip((0.36, 0.64), np.array(found).T, strict=True):
        assert abs(sample.mean() - truth) < 4 * sample.std(ddof=1) / math.sqrt(60)
    assert any("few dates are shared" in note for note in fit.notes)
    assert np.mean(held) > 0.95 - 4 * math.sqrt(0.95 * 0.05 / 60)


# --- recovery and coverage ---------------------------------------------------------------

# events/exposure is biased by about .45/sqrt(events) of its error: 18 events would show
CASES = {
    "common-shock-and-exit": (TRUTH, WEEKLY, 60),
    "independent": (plain(exit_rate=0.3), WEEKLY, 120),
    "a-year": (TRUTH, WEEKLY[:53], 120),
    "irregular-dates": (TRUTH, np.sort(np.random.default_rng(6).uniform(0, 2, 80)), 120),
}
CHECKED = ("mu", "log_drift", "sigma", "sigma_idiosyncratic", "exit_rate")


def truth_of(params: PathParams) -> dict[str, float]:
    return {
        "mu": params.mu,
        "log_drift": params.m,
        "sigma": params.sigma,
        "sigma_idiosyncratic": params.sigma_idiosyncratic,
        "exit_rate": params.exit_rate,
        "sigma_common": params.sigma_common,
        "sigma_robust": params.sigma,
        "sigma_jump_robust": params.sigma,
        "variance_ratio": 1.0,
        "factor_share": params.sigma_common**2 / params.sigma**2,
    }


def replicate(case: str, runs: int, seed: int) -> dict[str, Floats]:
    """Rows of (value, error, low, high) by name."""
    params, times, n = CASES[case]
    rng = np.random.default_rng(seed)
    rows: dict[str, list] = {name: [] for name in truth_of(params)}
    for _ in range(runs):
        values = simulate_paths(params, times, rng.normal(15, 2, n), rng)
        estimates = fit_growth_paths(*long(values, times), exit_floor=1e-9).estimates()
        for name, row in rows.items():
            e = estimates[name]
            row.append((e.value, e.std_error, *(e.interval or (math.nan, math.nan))))
    return {name: np.array(row, dtype=float) for name, row in rows.items()}


@pytest.fixture(scope="module")
def quick() -> dict[str, Floats]:
    return replicate("common-shock-and-exit", 250, 7)


@pytest.mark.parametrize("name", CHECKED)
def test_recovery_and_coverage(name: str, quick: dict[str, Floats]) -> None:
    assert recovery(
        quick[name], truth_of(TRUTH)[name], 0.03 + 2 * math.sqrt(0.95 * 0.05 / 250)
    ).holds


def test_naive_errors_would_not_cover(quick: dict[str, Floats]) -> None:
    # sigma/sqrt(N T) against the truth: most of the error is the common shock's.
    rows = quick["mu"]
    assert np.mean(np.abs(rows[:, 0] - 0.2) < 1.96 * 0.943 / math.sqrt(60 * 2)) < 0.5


@pytest.mark.full
@pytest.mark.parametrize("case", CASES)
def test_full_recovery_and_coverage(case: str) -> None:
    params = CASES[case][0]
    rows = replicate(case, 1000, 8)
    for name in CHECKED:
        assert recovery(rows[name], truth_of(params)[name], 0.03).holds
    assert recovery(rows["variance_ratio"], 1.0, 0.03).holds
    for name in ("sigma_robust", "sigma_jump_robust"):  # biased by O(1/T)
        assert recovery(rows[name], truth_of(params)[name], 0.035).holds


@pytest.mark.full
def test_cd_holds_its_size_and_finds_a_factor() -> None:
    rejected = []
    for seed in range(1000):
        e = fit_growth_paths(*draw(15, seed, np.arange(60) / 52, plain())).estimates()
        rejected.append(e["cd_p_value"].value < 0.05)
    assert abs(np.mean(rejected) - 0.05) < 0.02
    e = fit_growth_paths(*draw(15, 1, np.arange(60) / 52, plain(sigma_common=0.5))).estimates()
    assert e["cd_p_value"].value < 1e-6


# --- what a stranger brings --------------------------------------------------------------


def same(a: GrowthPathsFit, b: GrowthPathsFit) -> None:
    for (name, x), y in zip(a.estimates().items(), b.estimates().values(), strict=True):
        for u, v in ((x.value, y.value), (x.std_error, y.std_error)):
            assert (u is None) == (v is None), name
            assert u is None or u == pytest.approx(v, rel=1e-6, abs=1e-12), name


def test_order_labels_and_gaps_do_not_matter() -> None:
    items, years, values = draw(12, 10)
    values = values.copy()
    rng = np.random.default_rng(11)
    values[rng.random(values.size) < 0.1] = 0.0
    values[rng.random(values.size) < 0.05] = math.inf
    fit = fit_growth_paths(items, years, values)
    assert any("non-positive values are gaps" in note for note in fit.notes)
    kept = np.isfinite(values) & (values > 0)
    same(fit, fit_growth_paths(items[kept], years[kept], values[kept]))
    order = rng.permutation(values.size)
    names = np.array([f"protocol {i:02d}" for i in items], dtype=object)
    shuffled = fit_growth_paths(names[order], years[order], values[order])
    same(fit, shuffled)
    assert shuffled.items[3] == "protocol 03"
    jitter = years + 1e-10 * rng.standard_normal(years.size)
    same(fit, fit_growth_paths(items, jitter, values))


def test_units_of_value_and_time() -> None:
    items, years, values = draw(12, 12)
    a = fit_growth_paths(items, years, values).estimates()
    b = fit_growth_paths(items, years * 4, values * 1e6).estimates()
    assert b["mu"].value == pytest.approx(a["mu"].value / 4, rel=1e-8)
    assert b["sigma"].value == pytest.approx(a["sigma"].value / 2, rel=1e-8)
    assert b["variance_ratio"].value == pytest.approx(a["variance_ratio"].value, rel=1e-8)


def test_two_dates_give_what_two_dates_can() -> None:
    rng = np.random.default_rng(13)
    values = np.exp(rng.normal(0, 0.5, (200, 2)) * [0, 1])
    fit = fit_growth_paths(*long(values, np.array([0.0, 1.0])))
    e = fit.estimates()
    assert e["sigma_idiosyncratic"].value == pytest.approx(np.log(values[:, 1]).std(ddof=1))
    assert e["mu"].value is None
    assert e["sigma"].value is None
    assert e["log_drift"].std_error is None
    assert any("only 1 periods" in note for note in fit.notes)
    with pytest.raises(DataError, match="more dates"):
        fit.params()


def test_a_constant_series_among_others_is_kept_and_said() -> None:
    items, years, values = draw(5, 14, params=plain())
    values = np.where(items == 2, 7.0, values)
    fit = fit_growth_paths(items, years, values)
    assert fit.item_sigma[2] == 0
    assert any(note.startswith("1 items grow at one rate") for note in fit.notes)


def test_result_comes_back_and_feeds_the_simulator() -> None:
    fit = fit_growth_paths(*draw(12, 15), exit_floor=1e-9)
    again = GrowthPathsFit.from_dict(fit.to_dict())
    assert again.to_dict() == fit.to_dict()
    assert again.summary() == fit.summary()
    params = fit.params()
    e = fit.estimates()
    assert (params.mu, params.sigma_common) == (e["mu"].value, e["sigma_common"].value)
    assert params.exit_rate == e["exit_rate"].value > 0
    simulate_paths(params, WEEKLY, [10.0, 11.0], np.random.default_rng(16))


@pytest.mark.parametrize(
    ("items", "years", "values", "options", "says"),
    [
        ([1, 1], [0.0], [1.0, 2.0], {}, "one length"),
        ([], [], [], {}, "numbers|no item"),
        ([1, 1], [0.0, 0.0], [1.0, 2.0], {}, "two values at one time"),
        ([1, 1], [0.0, math.nan], [1.0, 2.0], {}, "years are missing"),
        ([1, 1], ["2020", "2021"], [1.0, 2.0], {}, "give numbers"),
        ([1, 2, 3], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0], {}, "more dates"),
        ([1, 2], [0.0, 1.0], [1.0, 2.0], {}, "more dates"),
        ([1, 1], [0.0, 1.0], [-1.0, 0.0], {}, "more dates"),
        ([1, 1, 2, 2], [0.0, 1.0] * 2, [3.0] * 4, {}, "ever changes"),
        ([1, None], [0.0, 1.0], [1.0, 2.0], {}, "labels of items are missing"),
        ([1.0, math.nan], [0.0, 1.0], [1.0, 2.0], {}, "labels of items are missing"),
        ([1, 1], [0.0, 1.0], [1.0, 2.0], {"min_observations": 1}, "at least 2"),
        ([1, 1], [0.0, 1.0], [1.0, 2.0], {"exit_floor": -1.0}, "exit_floor"),
        ([1, 1], [0.0, 1.0], [1.0, 2.0], {"exit_floor": 50.0}, "lower exit_floor"),
    ],
)
def test_refusals(items: list, years: list, values: list, options: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_growth_paths(items, years, values, **options)
