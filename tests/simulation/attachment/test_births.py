"""Pure birth processes: closed forms at theta 0 and 1, the forward equations against draws."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from baimo.simulation.attachment.births import BirthParams, birth_chances, simulate_births
from baimo.simulation.attachment.simon_yule import YuleParams, simulate_yule
from baimo.simulation.errors import ParameterError

AGES = np.array([0.0, 0.02, 0.3, 1.0, 2.4])


@pytest.mark.parametrize("phi", [0.0, -0.6, 0.5])
def test_linear_births_are_negative_binomial_in_changed_time(phi: float) -> None:
    params = BirthParams(gamma=1.1, a=0.4, phi=phi)
    times = 1.1 * AGES ** (1 + phi) / (1 + phi)
    assert params.times(AGES) == pytest.approx(times, rel=1e-12)
    chances = birth_chances(params, AGES, 40)
    law = stats.nbinom(0.4, np.exp(-times)[:, None])
    assert chances[:, :-1] == pytest.approx(law.pmf(np.arange(40)), abs=2e-4)
    assert chances[:, -1] == pytest.approx(law.sf(39)[:, 0], abs=2e-4)
    assert chances.sum(axis=1) == pytest.approx(1.0, abs=1e-12)


def test_births_of_power_zero_are_poisson() -> None:
    chances = birth_chances(BirthParams(gamma=1.5, a=0.3, theta=0.0), AGES, 30)
    law = stats.poisson(1.5 * AGES[:, None])
    assert chances[:, :-1] == pytest.approx(law.pmf(np.arange(30)), abs=2e-4)


def test_without_ageing_and_at_theta_one_it_is_the_yule_process() -> None:
    n = 100_000
    ages = np.full(n, 1.3)
    ours = simulate_births(BirthParams(gamma=0.9, a=0.6), ages, np.random.default_rng(1))
    yule = YuleParams(entry_plus_exit=1.0, gamma=0.9, a=0.6)
    theirs = simulate_yule(yule, ages, np.random.default_rng(2))
    table = np.array([np.bincount(np.minimum(x, 12), minlength=13) for x in (ours, theirs)])
    assert stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("theta", [0.0, 0.5, 1.25, 2.0])
def test_draws_follow_the_forward_equations(theta: float) -> None:
    n, top = 200_000, 25
    params = BirthParams(gamma=1.2, a=0.5, theta=theta, phi=-0.3)
    sizes = simulate_births(params, np.full(n, 0.8), np.random.default_rng(3), largest=1_000)
    expected = n * birth_chances(params, [0.8], top)[0]
    observed = np.bincount(np.minimum(sizes, top), minlength=top + 1)
    kept = expected > 10
    rest = n - expected[kept].sum()
    chi = np.sum((observed[kept] - expected[kept]) ** 2 / expected[kept])
    chi += (n - observed[kept].sum() - rest) ** 2 / max(rest, 10.0)
    assert stats.chi2.sf(chi, kept.sum()) > 1e-3


def test_a_superlinear_kernel_explodes_and_is_stopped() -> None:
    # Rates (k + 1)^2: the time to explode is Sum E_k/k^2, of mean pi^2/6; far above it all have.
    params = BirthParams(gamma=1.0, a=1.0, theta=2.0)
    n = 4_000
    late = simulate_births(params, np.full(n, 30.0), np.random.default_rng(4), largest=500)
    assert np.all(late == 500)
    at = simulate_births(params, np.full(n, 1.5), np.random.default_rng(5), largest=500)
    share = np.mean(at == 500)
    passed = birth_chances(params, [1.5], 500)[0, -1]
    assert 0.2 < passed < 0.8
    assert abs(share - passed) < 4 * math.sqrt(passed * (1 - passed) / n) + 2e-4
    # P(T <= t) of the theta function, Prod 1/(1 + s/k^2): 1 - 2 Sum (-1)^(k+1) e^(-k^2 t)
    k = np.arange(1, 60)
    exploded = 1 - 2 * np.sum((-1.0) ** (k + 1) * np.exp(-(k**2) * 1.5))
    assert passed == pytest.approx(exploded, abs=3e-3)  # 500 states are left 1/500 earlier


def test_unequal_starts_without_attachment_are_poisson_at_lognormal_rates() -> None:
    rate, sigma, gamma, n = 0.3, 1.5, 1e-6, 400_000
    params = BirthParams(gamma=gamma, a=rate / gamma, sigma=sigma)
    sizes = simulate_births(params, np.ones(n), np.random.default_rng(6))
    z, w = np.polynomial.hermite_e.hermegauss(80)
    for k in range(4):
        pmf = np.exp(-rate * np.exp(sigma * z)) * (rate * np.exp(sigma * z)) ** k
        chance = np.sum(w * pmf) / w.sum() / special.factorial(k)
        assert abs(np.mean(sizes == k) - chance) < 4 * math.sqrt(chance * (1 - chance) / n)


def test_unequal_starts_spread_any_kernel() -> None:
    # At theta = 0 the start plays no part; at theta = 1.25 it is the mean over the starts.
    n = 200_000
    same = BirthParams(gamma=1.0, a=0.5, theta=0.0, sigma=2.0)
    drawn = simulate_births(same, np.full(n, 2.0), np.random.default_rng(7))
    assert abs(drawn.mean() - 2.0) < 4 * math.sqrt(2.0 / n)
    params = BirthParams(gamma=1.0, a=0.5, theta=1.25, sigma=2.0)
    z, w = np.polynomial.hermite_e.hermegauss(80)
    none = np.sum(w * np.exp(-((0.5 * np.exp(2.0 * z)) ** 1.25))) / w.sum()
    sizes = simulate_births(params, np.ones(n), np.random.default_rng(8), largest=50)
    assert abs(np.mean(sizes == 0) - none) < 4 * math.sqrt(none * (1 - none) / n) + 1e-3


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"gamma": 0.0}, "gamma = 0 must be finite and above 0"),
        ({"a": math.inf}, "a = inf"),
        ({"phi": -1.0}, "phi = -1 must be finite and above -1"),
        ({"theta": -0.1}, "theta = -0.1 must be finite and not negative"),
        ({"sigma": math.nan}, "sigma = nan"),
    ],
    ids=["gamma", "a", "phi", "theta", "sigma"],
)
def test_parameters_that_are_none(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        BirthParams(**{"gamma": 1.0, "a": 1.0, **wrong})


def test_refusals() -> None:
    params, rng = BirthParams(gamma=1.0, a=1.0), np.random.default_rng(1)
    with pytest.raises(ParameterError, match="ages must be finite"):
        simulate_births(params, [-1.0], rng)
    with pytest.raises(ParameterError, match="largest = 0"):
        simulate_births(params, [1.0], rng, largest=0)
    with pytest.raises(ParameterError, match="n_states = 0"):
        birth_chances(params, [1.0], 0)
    with pytest.raises(ParameterError, match="sigma must be 0"):
        birth_chances(BirthParams(gamma=1.0, a=1.0, sigma=0.1), [1.0], 5)
