"""GBM with entry and exit: the root, the mixture over ages, and simulation against both."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from scipy import stats

from baimo.simulation.errors import ParameterError
from baimo.simulation.growth.gbm import GrowthParams, mixture_ccdf, simulate_growth

parameters = st.tuples(
    st.floats(-2, 2), st.floats(0.2, 4), st.floats(0, 1), st.floats(-0.5, 2), st.floats(-1, 1)
)


def quadratic(params: GrowthParams, zeta: float) -> float:
    """Return sigma^2 zeta^2/2 + (mu - g0 - sigma^2/2) zeta - delta'."""
    rate = params.exit_rate + params.entry_growth
    drift = params.mu - params.entrant_size_growth - params.sigma**2 / 2
    return params.sigma**2 * zeta**2 / 2 + drift * zeta - rate


def other_root(params: GrowthParams) -> float:
    """Return the exponent of the lower tail, minus the negative root."""
    drift = params.m - params.entrant_size_growth
    return 2 * drift / params.sigma**2 + params.zeta


@given(parameters)
@settings(deadline=None, derandomize=True)
def test_zeta_is_the_positive_root(drawn: tuple[float, float, float, float, float]) -> None:
    mu, sigma, exit_rate, entry_growth, g0 = drawn
    assume(exit_rate + entry_growth > 1e-3)
    params = GrowthParams(
        mu=mu,
        sigma=sigma,
        exit_rate=exit_rate,
        entry_growth=entry_growth,
        entrant_size_growth=g0,
    )
    zeta = params.zeta
    assert zeta > 0
    scale = sigma**2 * zeta**2 + abs(mu - g0 - sigma**2 / 2) * zeta + exit_rate + entry_growth
    assert abs(quadratic(params, zeta)) < 1e-9 * scale
    assert abs(quadratic(params, -other_root(params))) < 1e-9 * (
        scale + sigma**2 * other_root(params) ** 2 + 10 * other_root(params)
    )


@pytest.mark.parametrize("sigma", [0.2, 0.9, 3.0])
@pytest.mark.parametrize(
    ("mu", "exit_rate", "entry_growth", "g0"),
    [(0.3, 0.3, 0.0, 0.0), (0.5, 0.2, 0.3, 0.0), (1.4, 0.4, 0.5, 0.5), (0.1, 0.5, -0.1, -0.3)],
    ids=str,
)
def test_zipf_exactly_when_drift_equals_turnover(
    mu: float, exit_rate: float, entry_growth: float, g0: float, sigma: float
) -> None:
    params = GrowthParams(
        mu=mu,
        sigma=sigma,
        exit_rate=exit_rate,
        entry_growth=entry_growth,
        entrant_size_growth=g0,
    )
    assert params.zeta == pytest.approx(1.0, abs=1e-12)


def test_derivatives_of_zeta() -> None:
    # delta method: F = sigma^2 zeta + m - g0; d/dmu = -zeta/F, d/dg0 = zeta/F,
    # d/dsigma^2 = -(zeta^2 - zeta)/(2F), d/ddelta' = 1/F.
    base = {"mu": 0.2, "sigma": 0.9, "exit_rate": 0.4, "entry_growth": 0.3}
    base["entrant_size_growth"] = 0.1
    params = GrowthParams(**base)
    zeta = params.zeta
    f = params.sigma**2 * zeta + params.m - params.entrant_size_growth
    h = 1e-6

    def slope(name: str) -> float:
        up = GrowthParams(**{**base, name: base[name] + h}).zeta
        down = GrowthParams(**{**base, name: base[name] - h}).zeta
        return (up - down) / (2 * h)

    assert slope("mu") == pytest.approx(-zeta / f, rel=1e-6)
    assert slope("entrant_size_growth") == pytest.approx(zeta / f, rel=1e-6)
    assert slope("exit_rate") == pytest.approx(1 / f, rel=1e-6)
    assert slope("entry_growth") == pytest.approx(1 / f, rel=1e-6)
    assert slope("sigma") / (2 * params.sigma) == pytest.approx(
        -(zeta**2 - zeta) / (2 * f), rel=1e-6
    )


def test_limits_of_zeta() -> None:
    # sigma -> 0 with growth: Yule's (delta + n)/mu; larger turnover thins the tail.
    slow = GrowthParams(mu=0.5, sigma=1e-3, exit_rate=0.6, entry_growth=0.4)
    assert slow.zeta == pytest.approx(2.0, rel=1e-5)
    zetas = [GrowthParams(mu=0.1, sigma=1.0, exit_rate=d).zeta for d in (0.1, 0.5, 2.0)]
    assert zetas == sorted(zetas)


def test_m_is_the_drift_of_the_log() -> None:
    assert GrowthParams(mu=0.5, sigma=0.4).m == pytest.approx(0.42, rel=1e-14)


@pytest.mark.parametrize(
    ("mu", "sigma", "rate"), [(0.3, 0.8, 0.5), (-0.4, 1.2, 0.3), (0.8, 0.5, 0.9)], ids=str
)
def test_exponential_ages_make_the_predicted_tail(mu: float, sigma: float, rate: float) -> None:
    # Double Pareto: P(V > v) = b/(zeta + b) v^-zeta for v >= V0 = 1; above V0 exactly Pareto,
    # so that 1/mean(log v) estimates zeta with error zeta/sqrt(k). Within 3 of it.
    n = 1_000_000
    params = GrowthParams(mu=mu, sigma=sigma, exit_rate=rate)
    rng = np.random.default_rng(51)
    sizes = simulate_growth(params, [0.0], rng.exponential(1 / rate, n), rng)
    above = np.log(sizes[sizes > 1])
    zeta, b = params.zeta, other_root(params)
    p = b / (zeta + b)
    assert abs(above.size / n - p) < 3 * math.sqrt(p * (1 - p) / n)
    assert abs(1 / above.mean() - zeta) < 3 * zeta / math.sqrt(above.size)
    assert stats.kstest(above[:20_000], stats.expon(scale=1 / zeta).cdf).pvalue > 1e-3
    below = -np.log(sizes[sizes < 1])
    assert abs(1 / below.mean() - b) < 3 * b / math.sqrt(below.size)


def test_entrants_that_grow_shift_the_tail() -> None:
    # Entrants' log size grows at g0: an item of age tau started g0 tau lower, which is the
    # simulation with drift mu - g0. Its exponent is that of the parameters with g0.
    with_g0 = GrowthParams(mu=0.9, sigma=0.8, exit_rate=0.5, entrant_size_growth=0.6)
    n = 400_000
    rng = np.random.default_rng(52)
    ages = rng.exponential(2.0, n)
    plain = GrowthParams(mu=0.9, sigma=0.8, exit_rate=0.5)
    logs = np.log(simulate_growth(plain, [0.0], ages, rng)) - 0.6 * ages
    above = logs[logs > 0]
    zeta = with_g0.zeta
    assert abs(1 / above.mean() - zeta) < 3 * zeta / math.sqrt(above.size)


def test_simulated_logs_are_normal_given_age() -> None:
    params = GrowthParams(mu=0.2, sigma=0.7)
    logs = np.log(simulate_growth(params, [1.5], np.full(50_000, 2.0), np.random.default_rng(53)))
    law = stats.norm(1.5 + 2 * params.m, 0.7 * math.sqrt(2))
    assert stats.kstest(logs, law.cdf).pvalue > 1e-3


def test_simulation_at_age_zero_draws_entrants() -> None:
    params = GrowthParams(mu=0.2, sigma=0.7)
    entry = np.log([1.0, 2.0, 8.0])
    sizes = simulate_growth(params, entry, np.zeros(30_000), np.random.default_rng(54))
    values, times = np.unique(np.round(sizes, 9), return_counts=True)
    assert values.tolist() == [1.0, 2.0, 8.0]
    assert stats.chisquare(times).pvalue > 1e-3


def test_mean_grows_at_mu() -> None:
    # E V = V0 exp(mu tau), not exp(m tau).
    params = GrowthParams(mu=0.3, sigma=0.5)
    n = 200_000
    sizes = simulate_growth(params, [0.0], np.full(n, 2.0), np.random.default_rng(55))
    assert abs(sizes.mean() - math.exp(0.6)) < 4 * sizes.std() / math.sqrt(n)


def test_mixture_is_what_the_simulation_draws() -> None:
    # Brute force: every simulated size pairs an age with an entry size drawn at random.
    params = GrowthParams(mu=-0.2, sigma=1.1)
    rng = np.random.default_rng(56)
    entry, ages = rng.normal(3.0, 2.0, 40), np.round(rng.exponential(1.5, 60) + 0.02, 2)
    n_each = 5000
    sizes = simulate_growth(params, entry, np.repeat(ages, n_each), rng)
    v = np.quantile(sizes, [0.01, 0.2, 0.5, 0.9, 0.99, 0.999])
    predicted = mixture_ccdf(params, v, entry, ages)
    # ages are taken each n_each times, never at random: the binomial error is an upper bound
    error = np.sqrt(predicted * (1 - predicted) / sizes.size)
    observed = np.array([np.mean(sizes > x) for x in v])
    assert np.all(np.abs(observed - predicted) < 4 * error)


def test_mixture_by_hand() -> None:
    # Two entry sizes and three ages, one of them twice: mean of Phi((x + m tau - log v)/(s sqrt)).
    params = GrowthParams(mu=0.5, sigma=0.8)
    entry, ages, v = np.array([0.0, 1.0]), np.array([0.5, 2.0, 2.0]), 1.7
    expected = np.mean(
        [
            stats.norm.cdf((x + params.m * t - math.log(v)) / (0.8 * math.sqrt(t)))
            for x in entry
            for t in ages
        ]
    )
    assert mixture_ccdf(params, v, entry, ages) == pytest.approx([expected], rel=1e-12)
    assert mixture_ccdf(params, [v], entry, ages[::-1]) == pytest.approx([expected], rel=1e-12)


def test_mixture_is_a_survival_function() -> None:
    params = GrowthParams(mu=0.1, sigma=1.0)
    rng = np.random.default_rng(57)
    v = np.geomspace(1e-12, 1e15, 60)
    ccdf = mixture_ccdf(params, v, rng.normal(size=30), rng.exponential(1.0, 50) + 0.01)
    assert np.all(np.diff(ccdf) <= 0)
    assert ccdf[0] == pytest.approx(1, abs=1e-9)
    assert ccdf[-1] == pytest.approx(0, abs=1e-9)


def test_mixture_of_exponential_ages_approaches_the_power_law() -> None:
    # Local exponent of the mixture over quantiles of exponential ages near zeta; the double
    # Pareto value b/(zeta + b) v^-zeta holds to the accuracy of the 20,000-point age grid.
    params = GrowthParams(mu=0.3, sigma=0.8, exit_rate=0.5)
    grid = (np.arange(20_000) + 0.5) / 20_000
    ages = -np.log1p(-grid) / 0.5
    v = np.array([1.0, 3.0, 10.0, 30.0])
    zeta, b = params.zeta, other_root(params)
    expected = b / (zeta + b) * v**-zeta
    # the midpoint rule leaves out at most half a cell of probability at the oldest age
    assert np.abs(mixture_ccdf(params, v, [0.0], ages) - expected).max() < 1 / 20_000


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"sigma": 0.0}, "sigma"),
        ({"sigma": -1.0}, "sigma"),
        ({"sigma": math.nan}, "sigma"),
        ({"mu": math.inf}, "mu"),
        ({"exit_rate": -0.1}, "exit_rate"),
        ({"exit_rate": math.nan}, "exit_rate"),
        ({"entry_growth": math.nan}, "entry_growth"),
        ({"entrant_size_growth": -math.inf}, "entrant_size_growth"),
    ],
    ids=str,
)
def test_parameters_outside_their_domain(fields: dict[str, float], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        GrowthParams(**{"mu": 0.1, "sigma": 1.0, **fields})


def test_no_zeta_without_turnover() -> None:
    for entry_growth in (0.0, -0.5):
        with pytest.raises(ParameterError, match="must be positive"):
            _ = GrowthParams(mu=0.1, sigma=1.0, exit_rate=0.0, entry_growth=entry_growth).zeta


def test_ages_outside_their_domain() -> None:
    params = GrowthParams(mu=0.1, sigma=1.0)
    with pytest.raises(ParameterError, match="ages"):
        simulate_growth(params, [0.0], [1.0, -0.1], np.random.default_rng(0))
    for age in (0.0, -1.0):
        with pytest.raises(ParameterError, match="ages"):
            mixture_ccdf(params, 1.0, [0.0], [1.0, age])
