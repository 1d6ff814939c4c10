"""Growth between two dates: by hand, recovery with honest errors, refusals."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from baimo.estimation.errors import DataError
from baimo.estimation.growth.two_dates import fit_population_growth
from baimo.simulation.growth.gbm import GrowthParams, simulate_growth
from tests.estimation.recovery import check_recovery

Floats = NDArray[np.float64]
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
