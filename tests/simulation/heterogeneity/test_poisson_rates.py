"""Counts at rates drawn once: moments in closed form, the law by quadrature, refusals."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from baimo.simulation.errors import ParameterError
from baimo.simulation.heterogeneity.poisson_rates import PoissonRateParams, simulate_poisson_rates


def pmf(k: int, mu: float, sigma: float) -> float:
    """Return P(L = k) of a Poisson at a lognormal rate, by quadrature over the normal."""

    def inner(z: float) -> float:
        return float(stats.poisson(math.exp(mu + sigma * z)).pmf(k) * stats.norm.pdf(z))

    return float(integrate.quad(inner, -9.0, 9.0, points=[-2.0, 0.0, 2.0], epsabs=1e-12)[0])


@pytest.mark.parametrize("age", [0.25, 3.0])
def test_the_law_given_the_age(age: float) -> None:
    params = PoissonRateParams(mu=0.2, sigma=0.9, phi=1.3)
    n = 60_000
    drawn = simulate_poisson_rates(params, np.full(n, age), np.random.default_rng(91))
    level = 0.2 + 1.3 * math.log(age)
    cells = np.array([pmf(k, level, 0.9) for k in range(15)])
    observed = np.bincount(np.minimum(drawn, 15), minlength=16)
    expected = np.append(cells, 1.0 - cells.sum()) * n
    good = expected >= 5
    pooled = [np.append(v[good], v[~good].sum()) for v in (observed, expected)]
    keep = pooled[1] > 0
    assert stats.chisquare(pooled[0][keep], pooled[1][keep]).pvalue > 1e-3


def test_mean_and_variance_grow_with_age_as_said() -> None:
    # E L = m, Var L = m + m^2 (e^{sigma^2} - 1) with m = e^{mu + sigma^2/2} tau^phi.
    params = PoissonRateParams(mu=1.0, sigma=0.5, phi=0.7)
    n = 200_000
    for age in (0.5, 2.0, 8.0):
        drawn = simulate_poisson_rates(params, np.full(n, age), np.random.default_rng(92)).astype(
            float
        )
        m = math.exp(1.0 + 0.125) * age**0.7
        variance = m + m**2 * math.expm1(0.25)
        assert abs(drawn.mean() - m) < 4 * math.sqrt(variance / n)
        squares = (drawn - m) ** 2
        assert abs(squares.mean() - variance) < 4 * squares.std() / math.sqrt(n)


def test_without_spread_it_is_poisson() -> None:
    n = 50_000
    drawn = simulate_poisson_rates(
        PoissonRateParams(mu=math.log(2.0), sigma=0.0), np.full(n, 1.5), np.random.default_rng(93)
    )
    expected = stats.poisson(3.0).pmf(np.arange(12)) * n
    observed = np.bincount(drawn, minlength=12)[:12]
    tail = n - observed.sum(), n - expected.sum()
    assert stats.chisquare(
        np.append(observed, tail[0]), np.append(expected, tail[1])
    ).pvalue > 1e-3  # fmt: skip


def test_rates_beyond_all_counts_do_not_fail() -> None:
    drawn = simulate_poisson_rates(
        PoissonRateParams(mu=900.0, sigma=0.0), [1.0], np.random.default_rng(0)
    )
    assert abs(int(drawn[0]) - 2**53) < 8 * 2**26.5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mu": math.nan}, "mu and phi must be finite"),
        ({"phi": math.inf}, "mu and phi must be finite"),
        ({"sigma": -0.1}, "sigma = -0.1"),
        ({"sigma": math.nan}, "sigma = nan"),
    ],
    ids=["mu", "phi", "sigma", "nan"],
)
def test_parameter_refusals(options: dict[str, float], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        PoissonRateParams(**({"mu": 0.0, "sigma": 1.0} | options))


@pytest.mark.parametrize("ages", [[1.0, 0.0], [1.0, -2.0], [1.0, math.nan], [math.inf]])
def test_age_refusals(ages: list[float]) -> None:
    with pytest.raises(ParameterError, match="ages must be positive and finite"):
        simulate_poisson_rates(PoissonRateParams(mu=0.0, sigma=1.0), ages, np.random.default_rng(0))
