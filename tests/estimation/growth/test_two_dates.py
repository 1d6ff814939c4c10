"""Growth, measured: recovery with honest errors, panels with a common factor, refusals."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from baimo.estimation.errors import DataError
from baimo.estimation.growth.entry import fit_entry_growth
from baimo.estimation.growth.survivors import WEEKS_PER_YEAR, fit_panel_growth
from baimo.estimation.growth.two_dates import fit_population_growth
from baimo.simulation.growth.gbm import GrowthParams, simulate_growth

Floats = NDArray[np.float64]


def check_recovery(found: Floats, stated: Floats, truth: float, bias: float = 0.0) -> None:
    """Mean within four Monte Carlo errors, spread equal to the stated error within four of its."""
    runs, spread = found.size, found.std(ddof=1)
    assert abs(found.mean() - truth) < 4 * spread / math.sqrt(runs) + bias
    assert abs(spread / stated.mean() - 1) < 4 / math.sqrt(2 * (runs - 1))


# --- two dates ---------------------------------------------------------------------------

YEARS, EXIT = 2.0, 0.3
TRUTH = GrowthParams(mu=0.25, sigma=0.6, exit_rate=EXIT)


def two_dates(n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Sizes far above the threshold, exact lognormal growth, independent exits."""
    log_before = rng.normal(20.0, 1.5, n)
    growth = simulate_growth(TRUTH, [0.0], np.full(n, YEARS), rng)
    after = np.exp(log_before) * growth
    after[rng.random(n) < -math.expm1(-EXIT * YEARS)] = np.nan
    return np.exp(log_before), after


@pytest.fixture(scope="module")
def population_runs() -> dict[str, tuple[Floats, Floats]]:
    rng = np.random.default_rng(61)
    rows = []
    for _ in range(300):
        fit = fit_population_growth(*two_dates(600, rng), years=YEARS)
        found = fit.estimates()
        names = ("mu", "sigma", "log_drift", "size_slope", "exit_rate")
        rows.append([(found[k].value, found[k].std_error) for k in names])
    table = np.array(rows, dtype=float)
    return {name: (table[:, i, 0], table[:, i, 1]) for i, name in enumerate(names)}


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("mu", TRUTH.mu),
        ("sigma", TRUTH.sigma),
        ("log_drift", TRUTH.m),
        ("size_slope", 0.0),
        ("exit_rate", EXIT),
    ],
)
def test_population_recovery(
    name: str, truth: float, population_runs: dict[str, tuple[Floats, Floats]]
) -> None:
    check_recovery(*population_runs[name], truth)


def test_population_by_hand() -> None:
    rng = np.random.default_rng(62)
    before, after = two_dates(200, rng)
    after[:5] = 0.0  # listed, but without value: gone
    after[5:9] = 50.0  # below the threshold: gone, though its growth is still measured
    fit = fit_population_growth(before, after, years=YEARS)
    both = after > 0
    growth = np.log(after[both] / before[both])
    assert fit.n_used == both.sum()
    assert fit.n_obs == 200
    assert fit.m == pytest.approx(growth.mean() / YEARS, rel=1e-12)
    assert fit.m_median == pytest.approx(np.median(growth) / YEARS, rel=1e-12)
    assert fit.sigma == pytest.approx(growth.std(ddof=1) / math.sqrt(YEARS), rel=1e-12)
    assert fit.m_std_error == pytest.approx(
        growth.std(ddof=1) / math.sqrt(growth.size) / YEARS, rel=1e-12
    )
    assert fit.mu == pytest.approx(fit.m + fit.sigma**2 / 2, rel=1e-12)
    slope = np.polyfit(np.log(before[both]), growth / YEARS, 1)[0]
    assert fit.size_slope == pytest.approx(slope, rel=1e-8)
    gone = np.mean(~(after >= 1e4))
    assert fit.n_at_risk == 200
    assert fit.exit_share == pytest.approx(gone, rel=1e-14)
    assert fit.exit_rate == pytest.approx(-math.log(1 - gone) / YEARS, rel=1e-12)
    # delta method: d rate/d share = 1/((1 - share) years)
    error = math.sqrt(gone * (1 - gone) / 200) / (1 - gone) / YEARS
    assert fit.exit_std_error == pytest.approx(error, rel=1e-12)


def test_population_robust_sigma_of_normal_growth() -> None:
    # The interquartile range of a normal is 1.349 sigma; its error is 1.36 sigma/sqrt(n)/1.349.
    before = np.full(100_000, 1e9) * np.exp(np.random.default_rng(1).normal(size=100_000))
    growth = np.random.default_rng(63).normal(0.1, 0.8, before.size)
    fit = fit_population_growth(before, before * np.exp(growth), years=1.0)
    assert abs(fit.sigma_robust - 0.8) < 4 * 1.1664 * 0.8 / math.sqrt(before.size)


def test_population_finds_size_dependence() -> None:
    # Growth falls by .1 a year for each unit of log size.
    rng = np.random.default_rng(64)
    found, stated = [], []
    for _ in range(200):
        log_before = rng.normal(20.0, 1.0, 1500)
        noise = rng.normal(size=1500) * np.exp(0.4 * (log_before - 20.0))  # heteroskedastic
        after = np.exp(log_before - 0.1 * YEARS * (log_before - 20.0) + 0.5 * noise)
        fit = fit_population_growth(np.exp(log_before), after, years=YEARS)
        found.append(fit.size_slope)
        stated.append(fit.size_slope_std_error)
    # the homoskedastic error would be a quarter too small; HC1's own bias is O(1/n)
    check_recovery(np.array(found), np.array(stated), -0.1)


def test_population_error_of_sigma_holds_under_heavy_tails() -> None:
    # Laplace growth, kurtosis 6: the Gaussian error would be too small by sqrt(2.5).
    rng = np.random.default_rng(65)
    found, stated = [], []
    for _ in range(400):
        before = np.exp(rng.normal(20, 1, 1500))
        after = before * np.exp(rng.laplace(0, 0.5, 1500))
        fit = fit_population_growth(before, after, years=1.0)
        found.append(fit.sigma)
        stated.append(fit.sigma_std_error)
    spread = np.std(found, ddof=1)
    assert spread > 1.3 * 0.5 * math.sqrt(2) / math.sqrt(2 * 1500)
    # the sample kurtosis falls short of 6 by O(1/n) times high moments: about 2 % here
    check_recovery(np.array(found), np.array(stated), 0.5 * math.sqrt(2), bias=0.5 / 1500)


def test_population_error_of_mu_holds_under_skewness() -> None:
    # mu = m + sigma^2/2: mean and variance of a skewed sample are correlated, Cov = kappa_3/n.
    # Growth = E - 1 with E exponential: Var(mu) = (1 + 8/4 + 2)/n, without the term only 3/n.
    rng = np.random.default_rng(66)
    found, stated = [], []
    for _ in range(400):
        before = np.exp(rng.normal(20, 1, 1500))
        after = before * np.exp(rng.exponential(1.0, 1500) - 1)
        fit = fit_population_growth(before, after, years=1.0)
        found.append(fit.mu)
        stated.append(fit.mu_std_error)
    # sample moments up to the fourth are biased by O(1/n) times cumulants: 2 % at n = 1,500
    check_recovery(np.array(found), np.array(stated), 0.5)


def test_population_parameters_feed_the_simulator() -> None:
    fit = fit_population_growth(*two_dates(300, np.random.default_rng(67)), years=YEARS)
    params = fit.params(entry_growth=0.4)
    assert (params.mu, params.sigma, params.exit_rate) == (fit.mu, fit.sigma, fit.exit_rate)
    assert params.entry_growth == 0.4
    assert params.m == pytest.approx(fit.m, rel=1e-12)


def test_population_of_one_size_has_no_size_slope_to_measure() -> None:
    # All start alike: the regression on log size has no slope; this must be said, not crash.
    after = 1e6 * np.exp(np.linspace(-1, 1, 20))
    with pytest.raises(DataError):
        fit_population_growth(np.full(20, 1e6), after, years=1.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"after": np.ones(7)}, "must match"),
        ({"before": np.ones((5, 4)), "after": np.ones((5, 4))}, "must match"),
        ({"years": 0.0}, "years"),
        ({"years": -1.0}, "years"),
        ({"before": np.array([0.0] + [1e6] * 19)}, "positive"),
        ({"before": np.array([-5.0] + [1e6] * 19)}, "positive"),
        ({"before": np.array([math.nan] + [1e6] * 19)}, "positive"),
        ({"after": np.array([1e6] * 9 + [math.nan] * 11)}, "only 9 items"),
        ({"before": np.array([]), "after": np.array([])}, "only 0 items"),
        ({"exit_threshold": 1e9}, "lower exit_threshold"),
        ({"after": np.linspace(1e3, 5e3, 20)}, "every item at risk is gone"),
    ],
    ids=[
        "lengths",
        "2-d",
        "same-date",
        "reversed",
        "zero",
        "negative",
        "nan",
        "too-few",
        "empty",
        "none-at-risk",
        "all-gone",
    ],
)
def test_population_refusals(change: dict, says: str) -> None:
    usual = {
        "before": np.full(20, 1e6),
        "after": 1e6 * np.exp(np.linspace(-1, 1, 20)),
        "years": 1.0,
    }
    given = {**usual, **change}
    with pytest.raises(DataError, match=says):
        fit_population_growth(given.pop("before"), given.pop("after"), **given)


# --- panel -------------------------------------------------------------------------------

ITEMS, WEEKS = 20, 150
SIGMA_OWN, SIGMA_COMMON, DRIFT = 0.9, 0.6, 0.3


def draw_panel(rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """One common factor with equal loadings, independent Gaussian noise of its own."""
    factor = SIGMA_COMMON * rng.standard_normal(WEEKS)
    own = SIGMA_OWN * rng.standard_normal((ITEMS, WEEKS))
    growth = (factor + own) / math.sqrt(WEEKS_PER_YEAR) + DRIFT / WEEKS_PER_YEAR
    items, weeks = np.meshgrid(np.arange(ITEMS), np.arange(WEEKS), indexing="ij")
    return items.ravel(), weeks.ravel(), growth.ravel()


@pytest.fixture(scope="module", params=["full", "gaps"])
def panel_runs(request: pytest.FixtureRequest) -> dict[str, Floats]:
    rng = np.random.default_rng(68)
    rows = []
    for _ in range(150):
        items, weeks, growth = draw_panel(rng)
        if request.param == "gaps":
            kept = rng.random(growth.size) < 0.7
            items, weeks, growth = items[kept], weeks[kept], growth[kept]
        fit = fit_panel_growth(items, weeks, growth)
        rows.append(
            (
                fit.sigma_idiosyncratic,
                fit.sigma_idiosyncratic_std_error,
                fit.sigma_total,
                fit.mean_correlation,
                fit.factor_share,
                fit.drift_survivors,
                fit.excess_kurtosis,
            )
        )
    names = ("own", "own_error", "total", "correlation", "share", "drift", "kurtosis")
    return dict(zip(names, np.array(rows).T, strict=True))


def test_panel_recovers_idiosyncratic_sigma(panel_runs: dict[str, Floats]) -> None:
    check_recovery(panel_runs["own"], panel_runs["own_error"], SIGMA_OWN)


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("total", math.hypot(SIGMA_OWN, SIGMA_COMMON)),
        ("correlation", SIGMA_COMMON**2 / (SIGMA_COMMON**2 + SIGMA_OWN**2)),
        ("drift", DRIFT),
        ("kurtosis", 0.0),
    ],
)
def test_panel_recovers(name: str, truth: float, panel_runs: dict[str, Floats]) -> None:
    # Ratios of moments over T weeks are biased by O(1/T): at most 6/(T + 1) for the kurtosis
    # (gaps: 70 % of T), 2/T for the others.
    weeks = 0.7 * WEEKS
    bias = {"kurtosis": 6 / weeks, "correlation": 1 / weeks, "total": 1 / weeks}.get(name, 0.0)
    found = panel_runs[name]
    assert abs(found.mean() - truth) < 4 * found.std(ddof=1) / math.sqrt(found.size) + bias


def test_panel_factor_share_is_the_first_eigenvalue(panel_runs: dict[str, Floats]) -> None:
    # Equal correlations r: the largest eigenvalue is 1 + (N - 1) r; sampling adds noise
    # eigenvalues of order N/T, so compare with the mean correlation of the same samples.
    r = panel_runs["correlation"].mean()
    assert panel_runs["share"].mean() == pytest.approx((1 + (ITEMS - 1) * r) / ITEMS, rel=0.05)
    assert np.all(panel_runs["share"] > panel_runs["correlation"])


def test_panel_by_brute_force() -> None:
    rng = np.random.default_rng(69)
    items, weeks, growth = draw_panel(rng)
    kept = rng.random(growth.size) < 0.8
    items, weeks, growth = items[kept] * 7 + 3, weeks[kept], growth[kept]
    shuffle = rng.permutation(growth.size)
    fit = fit_panel_growth(items[shuffle], weeks[shuffle], growth[shuffle])
    table = {i: dict(zip(weeks[items == i], growth[items == i], strict=True)) for i in set(items)}
    names = sorted(table)
    assert fit.items.tolist() == names
    own_variances = []
    for i, drift, sigma in zip(names, fit.item_drift, fit.item_sigma, strict=True):
        rates = np.array(list(table[i].values()))
        assert drift == pytest.approx(rates.mean() * WEEKS_PER_YEAR, rel=1e-10)
        assert sigma == pytest.approx(rates.std(ddof=1) * math.sqrt(WEEKS_PER_YEAR), rel=1e-10)
        residuals = []
        for w, rate in table[i].items():
            others = [table[j][w] for j in names if w in table[j]]
            p = len(others)
            residuals.append((rate - np.mean(others)) * math.sqrt(p / (p - 1)))
        own_variances.append(np.var(residuals, ddof=1) * WEEKS_PER_YEAR)
    assert fit.sigma_idiosyncratic == pytest.approx(math.sqrt(np.mean(own_variances)), rel=1e-10)
    correlations = []
    for a, i in enumerate(names):
        for j in names[:a]:
            common = sorted(set(table[i]) & set(table[j]))
            x, y = ([table[k][w] for w in common] for k in (i, j))
            correlations.append(np.corrcoef(x, y)[0, 1])
    assert fit.mean_correlation == pytest.approx(np.mean(correlations), rel=1e-8)
    assert (fit.n_items, fit.n_weeks) == (ITEMS, WEEKS)
    assert fit.drift_survivors == pytest.approx(np.mean(fit.item_drift), rel=1e-12)


def test_panel_without_a_factor_has_no_correlation() -> None:
    rng = np.random.default_rng(70)
    items, weeks = (v.ravel() for v in np.meshgrid(np.arange(30), np.arange(200), indexing="ij"))
    fit = fit_panel_growth(items, weeks, rng.standard_normal(items.size))
    # mean of 435 nearly independent correlations of error 1/sqrt(200)
    assert abs(fit.mean_correlation) < 4 / math.sqrt(200 * 435)


def test_panel_missing_rows_and_nan_are_the_same_gap() -> None:
    items, weeks, growth = draw_panel(np.random.default_rng(71))
    gap = np.random.default_rng(1).random(growth.size) < 0.2
    dropped = fit_panel_growth(items[~gap], weeks[~gap], growth[~gap])
    as_nan = fit_panel_growth(items, weeks, np.where(gap, np.nan, growth))
    assert as_nan.sigma_idiosyncratic == pytest.approx(dropped.sigma_idiosyncratic, rel=1e-12)
    assert as_nan.mean_correlation == pytest.approx(dropped.mean_correlation, rel=1e-12)
    assert as_nan.n_used == dropped.n_used


def test_panel_leaves_short_histories_out() -> None:
    items, weeks, growth = draw_panel(np.random.default_rng(72))
    short = (items < 4) & (weeks >= 20)
    fit = fit_panel_growth(items[~short], weeks[~short], growth[~short])
    assert fit.n_items == ITEMS - 4
    assert any(note.startswith("4 items with fewer than 26 weeks") for note in fit.notes)
    kept = fit_panel_growth(items[~short], weeks[~short], growth[~short], min_weeks=10)
    assert kept.n_items == ITEMS


@pytest.mark.parametrize(
    ("items", "weeks", "growth", "says"),
    [
        ([1, 2], [1, 1], [0.1], "one length"),
        ([1, 1], [5, 5], [0.1, 0.2], "two growth rates in one week"),
        ([1] * 30 + [2] * 30, list(range(30)) * 2, [0.1] * 60, "fewer than 3 items"),
        ([1, 2, 3], [1, 1, 1], [0.1, 0.2, 0.3], "fewer than 3 items"),
    ],
    ids=["lengths", "duplicate-week", "two-items", "short"],
)
def test_panel_refusals(items: list, weeks: list, growth: list, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_panel_growth(items, weeks, growth)


# --- entry -------------------------------------------------------------------------------


def test_entry_growth_recovery() -> None:
    # 24 months of Poisson entry growing at .8 a year from 30 a month.
    rng = np.random.default_rng(73)
    means = 30 * np.exp(0.8 * np.arange(24) / 12)
    fits = [fit_entry_growth(rng.poisson(means), step_years=1 / 12) for _ in range(400)]
    found = np.array([f.rate for f in fits])
    stated = np.array([f.std_error for f in fits], dtype=float)
    check_recovery(found, stated, 0.8)
    # Student's t with 22 degrees: 95 % of the intervals hold the truth, 3 binomial errors around.
    held = np.mean([f.interval[0] <= 0.8 <= f.interval[1] for f in fits])
    assert abs(held - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 400)


def test_entry_growth_error_widens_with_overdispersion() -> None:
    # Negative binomial entry with variance 5 times the mean: quasi-Poisson, scale Pearson's X2.
    rng = np.random.default_rng(74)
    means = 60 * np.exp(0.5 * np.arange(36) / 12)
    fits = [
        fit_entry_growth(rng.negative_binomial(means / 4, 0.2), step_years=1 / 12)
        for _ in range(400)
    ]
    found = np.array([f.rate for f in fits])
    stated = np.array([f.std_error for f in fits], dtype=float)
    check_recovery(found, stated, 0.5)


def test_entry_growth_of_an_exact_exponential() -> None:
    entries = 1000 * np.exp(0.3 * np.arange(8))
    found = fit_entry_growth(entries, step_years=0.5)
    assert found.rate == pytest.approx(0.6, rel=1e-8)


def test_entry_growth_scales_with_the_step() -> None:
    entries = [3, 5, 4, 9, 12, 11]
    month, year = (fit_entry_growth(entries, step_years=s) for s in (1 / 12, 1.0))
    assert month.rate == pytest.approx(12 * year.rate, rel=1e-6)
    assert month.std_error == pytest.approx(12 * year.std_error, rel=1e-6)


@pytest.mark.parametrize(
    "entries",
    [[], [5, 6, 7], [3, 4, -1, 6], [3, 4, math.nan, 6], [0, 0, 0, 0]],
    ids=["empty", "three", "negative", "nan", "zeros"],
)
def test_entry_growth_refusals(entries: list[float]) -> None:
    with pytest.raises(DataError):
        fit_entry_growth(entries, step_years=1.0)
