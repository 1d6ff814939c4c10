"""Sizes settled at birth, against scipy's double Pareto-lognormal and its limits."""

import math

import numpy as np
import pytest
from scipy import stats

from baimo.estimation.distributions.fit import fit_whole_sample
from baimo.simulation.errors import ParameterError
from baimo.simulation.heterogeneity.static_sizes import (
    StaticSizeParams,
    simulate_static_counts,
    simulate_static_sizes,
)

N = 40_000


@pytest.mark.parametrize(
    ("mu", "sigma", "alpha", "beta"),
    [(1.0, 1.5, 1.1, 0.7), (0.0, 0.5, 3.0, 2.0), (-2.0, 2.0, 0.6, 5.0)],
    ids=["heavy", "light", "infinite-mean"],
)
def test_double_pareto_lognormal(mu: float, sigma: float, alpha: float, beta: float) -> None:
    # scipy: x = exp(u + s Z + E/a - E'/b), Hajargasht & Griffiths (2013).
    params = StaticSizeParams(mu=mu, sigma=sigma, alpha=alpha, beta=beta)
    drawn = simulate_static_sizes(params, N, np.random.default_rng(81))
    law = stats.dpareto_lognorm(u=mu, s=sigma, a=alpha, b=beta)
    assert stats.kstest(drawn, law.cdf).pvalue > 1e-3
    mean = mu + 1.0 / alpha - 1.0 / beta
    spread = math.sqrt(sigma**2 + alpha**-2 + beta**-2)
    assert abs(np.log(drawn).mean() - mean) < 4 * spread / math.sqrt(N)
    assert params.zeta == alpha


def test_without_exponentials_it_is_lognormal() -> None:
    drawn = simulate_static_sizes(StaticSizeParams(mu=0.5, sigma=1.2), N, np.random.default_rng(82))
    assert stats.kstest(np.log(drawn), stats.norm(0.5, 1.2).cdf).pvalue > 1e-3
    assert StaticSizeParams(mu=0.5, sigma=1.2).zeta == math.inf
    # one exponent alone: P(X > x) = x^-2 above one, and P(X < x) = x^3 below
    up = simulate_static_sizes(
        StaticSizeParams(mu=0, sigma=0, alpha=2.0), N, np.random.default_rng(83)
    )
    assert stats.kstest(up, stats.pareto(2.0).cdf).pvalue > 1e-3
    down = simulate_static_sizes(
        StaticSizeParams(mu=0, sigma=0, beta=3.0), N, np.random.default_rng(84)
    )
    assert stats.kstest(down, stats.powerlaw(3.0).cdf).pvalue > 1e-3
    # large exponents run into the lognormal: scale of the exponentials 1e-6
    near = StaticSizeParams(mu=0.5, sigma=1.2, alpha=1e6, beta=1e6)
    close = simulate_static_sizes(near, N, np.random.default_rng(82))
    assert np.log(close) == pytest.approx(np.log(drawn), abs=3e-5)


def test_no_spread_at_all() -> None:
    drawn = simulate_static_sizes(
        StaticSizeParams(mu=math.log(7.0), sigma=0.0), 5, np.random.default_rng(0)
    )
    assert drawn == pytest.approx(np.full(5, 7.0), rel=1e-15)


def test_counts_are_rounded_sizes() -> None:
    params = StaticSizeParams(mu=0.3, sigma=1.0, alpha=1.5, beta=2.0)
    counts = simulate_static_counts(params, N, np.random.default_rng(85))
    assert counts.dtype == np.int64
    assert np.array_equal(
        counts, np.rint(simulate_static_sizes(params, N, np.random.default_rng(85)))
    )
    law = stats.dpareto_lognorm(u=0.3, s=1.0, a=1.5, b=2.0)
    k = np.arange(12)
    cells = np.diff(law.cdf(np.append(np.maximum(k - 0.5, 0.0), 11.5)))
    observed = np.bincount(np.minimum(counts, 12), minlength=13)
    expected = np.append(cells, 1.0 - cells.sum()) * N
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    # the law that the data are fitted with has these probabilities
    fit = fit_whole_sample(counts, "discretised_double_pareto_lognormal")
    assert abs(fit.parameters["alpha"] - 1.5) < 0.1


def test_counts_end_where_numbers_are_no_longer_whole() -> None:
    counts = simulate_static_counts(
        StaticSizeParams(mu=60.0, sigma=0.0), 3, np.random.default_rng(0)
    )
    assert counts.tolist() == [2**53] * 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mu": math.nan}, "mu must be finite"),
        ({"mu": math.inf}, "mu must be finite"),
        ({"sigma": -1.0}, "sigma = -1"),
        ({"sigma": math.inf}, "sigma = inf"),
        ({"alpha": 0.0}, "alpha = 0 must be positive"),
        ({"alpha": math.nan}, "alpha = nan must be positive"),
        ({"beta": -2.0}, "beta = -2 must be positive"),
    ],
    ids=["mu-nan", "mu-inf", "sigma", "sigma-inf", "alpha", "alpha-nan", "beta"],
)
def test_refusals(options: dict[str, float], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        StaticSizeParams(**({"mu": 0.0, "sigma": 1.0} | options))


def test_no_items() -> None:
    with pytest.raises(ParameterError, match="n_items = 0 must be at least 1"):
        simulate_static_sizes(StaticSizeParams(mu=0.0, sigma=1.0), 0, np.random.default_rng(0))
