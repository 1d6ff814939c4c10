"""Paths: exact moments for any times, the shared factor, exits, both barriers in closed form."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtr

from baimo.simulation.errors import ParameterError
from baimo.simulation.growth.paths import PathParams, barrier_zeta, simulate_paths

Floats = NDArray[np.float64]
TIMES = [1.0, 1.1, 1.7, 3.0]  # irregular on purpose


def paths(n: int, seed: int, times: object = TIMES, x0: float = 0.0, **params: object) -> Floats:
    usual = {"mu": 0.2, "sigma_idiosyncratic": 0.8}
    given = PathParams(**{**usual, **params})
    return simulate_paths(given, times, np.full(n, x0), np.random.default_rng(seed))


# --- free paths --------------------------------------------------------------------------


def test_moments_are_lognormal_at_irregular_times() -> None:
    n = 200_000
    logs = np.log(paths(n, 1))
    m, sigma = 0.2 - 0.32, 0.8
    for k, t in enumerate(np.subtract(TIMES, TIMES[0])):
        spread = sigma * math.sqrt(t)
        assert abs(logs[:, k].mean() - m * t) <= 4 * spread / math.sqrt(n)
        assert abs(logs[:, k].std() - spread) <= 4 * spread / math.sqrt(2 * n)
    values = np.exp(logs[:, -1])  # E V = e^{mu t}
    assert abs(values.mean() - math.exp(0.4)) < 4 * values.std() / math.sqrt(n)
    steps = np.diff(logs, axis=1)
    assert abs(np.corrcoef(steps.T)[0, 1]) < 4 / math.sqrt(n)


def test_m_and_sigma_of_the_parameters() -> None:
    params = PathParams(mu=0.1, sigma_idiosyncratic=0.6, sigma_common=0.8, loading_sd=0.5)
    assert params.sigma**2 == pytest.approx(0.36 + 0.64 * 1.25, rel=1e-14)
    assert params.m == pytest.approx(0.1 - 0.5 * params.sigma**2, rel=1e-14)


def test_one_factor_moves_all() -> None:
    # Growth of two items correlates by c^2/(s^2 + c^2) = .2 over the same interval.
    grid = np.arange(4001) / 52
    logs = np.log(paths(60, 2, grid, sigma_common=0.4))
    steps = np.diff(logs, axis=1)
    r = np.corrcoef(steps)[np.triu_indices(60, 1)].mean()
    # the mean over pairs hangs on the factor: its error is near sqrt(2/T) r (1 - r)
    assert abs(r - 0.2) < 4 * math.sqrt(2 / 4000) * 0.2 * 0.8 + 0.2 / 4000


def test_factor_of_a_late_entrant_is_the_same_factor() -> None:
    # Almost no noise of their own: from the entry on, both follow F.
    params = PathParams(mu=0.0, sigma_idiosyncratic=1e-9, sigma_common=0.7)
    grid = np.arange(20) / 10
    out = simulate_paths(
        params, grid, [0.0, 3.0], np.random.default_rng(3), entry_times=[0.0, 0.55]
    )
    assert np.isnan(out[1, :6]).all()
    steps = np.diff(np.log(out), axis=1)[:, 6:]
    np.testing.assert_allclose(steps[0], steps[1], atol=1e-6)


def test_loadings_and_drifts_differ_by_their_dispersion() -> None:
    n, grid = 20_000, [0.0, 1.0]
    wide = paths(n, 4, grid, sigma_idiosyncratic=1e-6, drift_sd=0.3)
    growth = np.log(wide[:, 1])
    assert abs(growth.std() - 0.3) < 4 * 0.3 / math.sqrt(2 * n)
    assert abs(growth.mean() - 0.2) < 4 * 0.3 / math.sqrt(n)
    loaded = paths(n, 5, grid, mu=0.0, sigma_idiosyncratic=1e-6, sigma_common=0.05, loading_sd=2.0)
    # all growth is beta f - beta^2 c^2/2, so mu = 0 holds for each: E V = 1 over factors, and
    # given f its spread is near 2 |f|
    again = paths(n, 5, grid, mu=0.0, sigma_idiosyncratic=1e-6, sigma_common=0.05)
    f = np.log(again[0, 1]) + 0.05**2 / 2
    assert np.log(loaded[:, 1]).std() == pytest.approx(2 * abs(f), rel=0.25)


def test_step_from_an_entry_between_two_dates_is_the_shorter_one() -> None:
    params = PathParams(mu=0.0, sigma_idiosyncratic=0.5)
    out = simulate_paths(
        params, [0.0, 1.0], np.zeros(50_000), np.random.default_rng(6), entry_times=[0.75] * 50_000
    )
    spread = np.log(out[:, 1]).std()
    assert abs(spread - 0.25) < 4 * 0.25 / math.sqrt(2 * 50_000)


def test_noise_is_in_what_is_seen_and_not_in_the_path() -> None:
    # Var(first difference) = sigma^2 dt + 2 nu^2, and neighbours covary by -nu^2.
    grid = np.arange(3) / 52
    steps = np.diff(np.log(paths(200_000, 7, grid, noise_sd=0.2)), axis=1)
    sigma2 = 0.64 / 52
    assert steps[:, 0].var() == pytest.approx(sigma2 + 0.08, rel=0.02)
    assert np.cov(steps.T)[0, 1] == pytest.approx(-0.04, rel=0.03)


# --- exit --------------------------------------------------------------------------------


def test_survivors_fall_exponentially_and_none_comes_back() -> None:
    n, rate = 100_000, 0.4
    alive = np.isfinite(paths(n, 8, exit_rate=rate))
    assert np.all(np.diff(alive.astype(int), axis=1) <= 0)
    for k, t in enumerate(np.subtract(TIMES, TIMES[0])):
        p = math.exp(-rate * t)
        assert abs(alive[:, k].mean() - p) <= 4 * math.sqrt(p * (1 - p) / n)


# --- barriers ----------------------------------------------------------------------------


def test_barrier_zeta() -> None:
    assert barrier_zeta(-0.2 * 0.9**2, 0.9) == pytest.approx(1.4, abs=1e-14)
    assert barrier_zeta(0.0, 0.5) == 1.0  # Gabaix: no drift of the level gives Zipf
    with pytest.raises(ParameterError, match="drift towards"):
        barrier_zeta(0.125, 0.5)
    with pytest.raises(ParameterError, match="sigma"):
        barrier_zeta(-0.1, 0.0)


def reflected_cdf(y: Floats, x0: float, m: float, sigma: float, t: float) -> Floats:
    """P(X_t <= y) of Brownian motion reflected at 0 (Harrison 1985)."""
    root = sigma * math.sqrt(t)
    return np.asarray(
        ndtr((y - x0 - m * t) / root)
        - np.exp(2 * m * y / sigma**2) * ndtr((-y - x0 - m * t) / root)
    )


@pytest.mark.parametrize("times", [[0.0, 2.0], [0.0, 0.3, 1.6, 2.0]], ids=["one-step", "three"])
def test_reflection_has_the_exact_distribution_for_any_steps(times: list[float]) -> None:
    n, x0, sigma, mu = 60_000, 0.5, 0.8, 0.1
    logs = np.log(paths(n, 9, times, x0 - 2.0, mu=mu, reflecting_at=-2.0))[:, -1] + 2.0
    assert logs.min() >= 0
    d = stats.kstest(logs, lambda y: reflected_cdf(y, x0, mu - sigma**2 / 2, sigma, 2.0)).statistic
    assert d < 1.95 / math.sqrt(n)  # 0.1 % point of Kolmogorov


def test_reflection_leads_to_the_pareto_with_zeta() -> None:
    # From the stationary law (mean excess 1/zeta = 1/1.4) it stays there.
    n, sigma = 50_000, 0.9
    params = PathParams(mu=-0.2 * sigma**2, sigma_idiosyncratic=sigma, reflecting_at=0.0)
    rng = np.random.default_rng(10)
    start = rng.exponential(1 / 1.4, n)
    out = np.log(simulate_paths(params, [0.0, 1.0, 4.0], start, rng))
    for k in (1, 2):
        assert stats.kstest(out[:, k], "expon", args=(0, 1 / 1.4)).statistic < 1.95 / math.sqrt(n)
    # and from one point it gets there
    late = np.log(simulate_paths(params, np.arange(0, 101, 20.0), np.zeros(n), rng))[:, -1]
    assert abs(1 / late.mean() - 1.4) < 4 * 1.4 / math.sqrt(n)


@pytest.mark.parametrize("times", [[0.0, 2.0], [0.0, 0.3, 1.6, 2.0]], ids=["one-step", "three"])
def test_absorption_has_the_exact_survival_for_any_steps(times: list[float]) -> None:
    # P(min > 0) = Phi((x + m t)/(s sqrt t)) - e^{-2 m x/s^2} Phi((-x + m t)/(s sqrt t))
    n, x0, sigma, mu, t = 100_000, 0.7, 0.8, 0.3, 2.0
    m, root = mu - sigma**2 / 2, sigma * math.sqrt(t)
    p = ndtr((x0 + m * t) / root) - math.exp(-2 * m * x0 / sigma**2) * ndtr((-x0 + m * t) / root)
    out = paths(n, 11, times, x0 + 3.0, mu=mu, absorbing_at=3.0)
    alive = np.isfinite(out)
    assert np.all(np.diff(alive.astype(int), axis=1) <= 0)
    assert abs(alive[:, -1].mean() - p) < 4 * math.sqrt(p * (1 - p) / n)
    ends = np.log(out[alive[:, -1], -1])
    assert ends.min() > 3.0
    # density of the survivors: free density times 1 - exp(-2 x0 x/(s^2 t)), so P(X > 1 | alive)
    y = 1.0
    above = ndtr((x0 + m * t - y) / root) - math.exp(-2 * m * x0 / sigma**2) * ndtr(
        (-x0 + m * t - y) / root
    )
    share = above / p
    assert abs(np.mean(ends - 3.0 > y) - share) < 4 * math.sqrt(share * (1 - share) / ends.size)


# --- protocol ----------------------------------------------------------------------------


def test_same_seed_same_paths_and_shape() -> None:
    kinds = {"sigma_common": 0.3, "exit_rate": 0.2, "noise_sd": 0.1}
    a, b = paths(7, 12, **kinds), paths(7, 12, **kinds)
    assert a.shape == (7, 4)
    np.testing.assert_array_equal(a, b)
    assert paths(0, 1).shape == (0, 4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mu": math.nan}, "mu"),
        ({"sigma_idiosyncratic": 0.0}, "sigma_idiosyncratic"),
        ({"sigma_common": -0.1}, "sigma_common"),
        ({"exit_rate": math.inf}, "exit_rate"),
        ({"loading_sd": -1.0}, "loading_sd"),
        ({"reflecting_at": 0.0, "absorbing_at": 0.0}, "exclude"),
        ({"absorbing_at": math.inf}, "absorbing_at"),
        ({"absorbing_at": 1.0}, "below the barrier"),
    ],
)
def test_parameter_refusals(change: dict, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        paths(3, 1, **change)


@pytest.mark.parametrize(
    ("times", "log_entry", "entry", "says"),
    [
        ([], [0.0], None, "at least one"),
        ([0.0, math.nan], [0.0], None, "finite year"),
        ([0.0, 1.0, 1.0], [0.0], None, "increase strictly"),
        ([0.0, 1.0], [math.nan], None, "log_entry"),
        ([0.0, 1.0], [0.0, 1.0], [0.5], "give one each"),
        ([0.0, 1.0], [0.0], [-0.5], "not before"),
        ([0.0, 1.0], [0.0], [math.nan], "not before"),
    ],
)
def test_input_refusals(times: list, log_entry: list, entry: list | None, says: str) -> None:
    params = PathParams(mu=0.0, sigma_idiosyncratic=1.0)
    with pytest.raises(ParameterError, match=says):
        simulate_paths(params, times, log_entry, np.random.default_rng(1), entry_times=entry)
