"""Growth with a floor: recovery with honest errors, limit cases, an oracle, refusals."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from baimo.estimation.errors import DataError
from baimo.estimation.growth.censored import CensoredGrowthFit, fit_censored_growth
from baimo.estimation.growth.two_dates import fit_population_growth
from tests.estimation.recovery import check_recovery

Floats = NDArray[np.float64]
YEARS, FLOOR = 2.0, 1e4
M, SIGMA, EXIT = -0.5, 1.2, 0.15


def two_dates(n: int, rng: np.random.Generator, m: float = M) -> tuple[Floats, Floats]:
    """Sizes from the floor up over six decades, so that many fall below it; some vanish."""
    before = FLOOR * np.exp(rng.uniform(0.0, 14.0, n))
    after = before * np.exp(m * YEARS + SIGMA * math.sqrt(YEARS) * rng.standard_normal(n))
    after[rng.random(n) < -math.expm1(-EXIT * YEARS)] = np.nan
    return before, after


def fitted(before: Floats, after: Floats) -> CensoredGrowthFit:
    return fit_censored_growth(before, after, years=YEARS, floor=FLOOR)


@pytest.fixture(scope="module")
def runs() -> dict[str, tuple[Floats, Floats]]:
    rng = np.random.default_rng(71)
    rows = []
    for _ in range(300):
        found = fitted(*two_dates(800, rng)).estimates()
        rows.append([(found[k].value, found[k].std_error) for k in NAMES])
    table = np.array(rows, dtype=float)
    return {name: (table[:, i, 0], table[:, i, 1]) for i, name in enumerate(NAMES)}


NAMES = ("mu", "sigma", "log_drift", "exit_rate")
TRUTH = {"mu": M + SIGMA**2 / 2, "sigma": SIGMA, "log_drift": M, "exit_rate": EXIT}


@pytest.mark.parametrize("name", NAMES)
def test_what_was_simulated_comes_back(name: str, runs: dict[str, tuple[Floats, Floats]]) -> None:
    check_recovery(*runs[name], TRUTH[name])


def test_those_on_both_dates_alone_say_something_else() -> None:
    before, after = two_dates(200_000, np.random.default_rng(72))
    luckier = fit_population_growth(before, after, years=YEARS, exit_threshold=FLOOR, floor=FLOOR)
    # The mean of growth that stays above the floor, and the share that does not, by integration.
    x = np.linspace(0.0, 14.0, 4_001)
    reach, spread = -(x + M * YEARS), SIGMA * math.sqrt(YEARS)
    stays = stats.norm.sf(reach / spread)
    mean = M * YEARS + spread * stats.norm.pdf(reach / spread).mean() / stays.mean()
    assert abs(luckier.m - mean / YEARS) < 4 * luckier.m_std_error
    assert luckier.m > M + 0.05
    gone = 1.0 - math.exp(-EXIT * YEARS) * stays.mean()
    assert abs(luckier.exit_share - gone) < 4 * math.sqrt(gone * (1 - gone) / 200_000)
    assert luckier.exit_rate > EXIT + 0.04
    fit = fitted(before, after)
    assert fit.gone == luckier.exit_share
    # both are functions of the same fit: off by no more than the errors of its parameters
    assert abs(fit.gone_expected - gone) < 0.005
    assert abs(fit.fallen_expected - (1.0 - stays.mean())) < 0.005


def test_far_above_the_floor_it_is_mean_variance_and_share() -> None:
    rng = np.random.default_rng(73)
    before = np.exp(rng.normal(40.0, 1.0, 500))
    after = before * np.exp(rng.normal(0.3, 0.8, 500))
    after[:100] = np.nan
    fit, plain = fitted(before, after), fit_population_growth(before, after, years=YEARS)
    assert fit.m == pytest.approx(plain.m, rel=1e-9)
    assert fit.sigma**2 == pytest.approx(plain.sigma**2 * 399 / 400, rel=1e-9)
    assert fit.exit_rate == pytest.approx(plain.exit_rate, rel=1e-9)
    # the sandwich of an exponential law and of a mean, items independent: n/(n - 1) apart
    errors = fit.std_errors
    assert errors[0] == pytest.approx(plain.m_std_error, rel=5e-3)
    assert errors[2] == pytest.approx(plain.exit_std_error, rel=5e-3)


def test_the_optimum_is_that_of_a_general_optimiser() -> None:
    before, after = two_dates(400, np.random.default_rng(74))
    fit = fitted(before, after)
    there = after >= FLOOR
    growth, x = np.log(after[there] / before[there]), np.log(before / FLOOR)

    def cost(at: Floats) -> float:
        drift, spread, hazard = at[0] * YEARS, at[1] * math.sqrt(YEARS), at[2] * YEARS
        stays = np.exp(-hazard) * stats.norm.sf(-(x[~there] + drift) / spread)
        seen = stats.norm.logpdf(growth, drift, spread) - hazard
        return -float(seen.sum() + np.log(1.0 - stays).sum())

    found = optimize.minimize(
        cost, [0.0, 1.0, 0.3], method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-10, "maxiter": 4_000},
    )  # fmt: skip
    assert [fit.m, fit.sigma, fit.exit_rate] == pytest.approx(found.x.tolist(), abs=1e-5)


def test_where_falls_explain_all_that_are_gone_nothing_vanishes() -> None:
    rng = np.random.default_rng(75)
    before = FLOOR * np.exp(rng.uniform(0.0, 6.0, 400))
    growth = M * YEARS + SIGMA * math.sqrt(YEARS) * rng.standard_normal(400)
    after = before * np.exp(growth)
    far = np.log(before / FLOOR) > 1.0
    after[far] = np.maximum(after[far], FLOOR)  # fewer fall than a normal law would have
    fit = fitted(before, after)
    assert fit.exit_rate == 0.0
    assert fit.std_errors[2] is None
    assert not fit.covariance[2].any()
    assert fit.gone_expected == pytest.approx(fit.fallen_expected)


def test_copies_in_a_cluster_carry_no_news() -> None:
    before, after = two_dates(300, np.random.default_rng(76))
    once = fit_censored_growth(before, after, years=YEARS, floor=FLOOR, clusters=np.arange(300))
    copies = fit_censored_growth(
        np.repeat(before, 3), np.repeat(after, 3), years=YEARS, floor=FLOOR,
        clusters=np.repeat(np.arange(300), 3),
    )  # fmt: skip
    np.testing.assert_allclose(copies.covariance, once.covariance, rtol=1e-6)
    assert copies.n_clusters == 300
    alone = fitted(np.repeat(before, 3), np.repeat(after, 3))
    np.testing.assert_allclose(
        alone.covariance * (899 / 900) * (300 / 299), once.covariance / 3, rtol=1e-6
    )


def test_items_at_or_below_the_floor_are_not_at_risk() -> None:
    before, after = two_dates(200, np.random.default_rng(77))
    fit = fitted(before, after)
    more = fitted(np.append(before, [FLOOR, 1.0]), np.append(after, [1e9, 1e9]))
    assert (more.m, more.n_used, more.n_obs) == (fit.m, 200, 202)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"years": 0.0}, "years = 0 must be positive"),
        ({"floor": 0.0}, "floor = 0 must be positive"),
        ({"after": np.full(200, np.nan)}, "only 0 items exceed"),
        ({"clusters": np.zeros(200)}, "all 200 items of the population are in one cluster"),
        ({"clusters": np.zeros(3)}, "3 cluster labels for 200 items"),
        ({"before": np.zeros(200)}, "must be positive"),
    ],
)
def test_refusals(change: dict[str, object], message: str) -> None:
    before, after = two_dates(200, np.random.default_rng(78))
    given = {"before": before, "after": after, "years": YEARS, "floor": FLOOR} | change
    with pytest.raises(DataError, match=message):
        fit_censored_growth(**given)  # type: ignore[arg-type]


def test_one_growth_for_all_has_no_dispersion() -> None:
    before = np.full(50, 1e6)
    with pytest.raises(DataError, match="no dispersion"):
        fitted(before, before * 2.0)
