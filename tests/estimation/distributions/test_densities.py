"""Probabilities of whole-sample models: sums, limits, scipy and many digits."""

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from baimo.estimation.distributions import densities as law

Sample = NDArray[np.float64]


Pair = tuple[Callable[[Sample], Sample], Callable[[Sample], Sample]]


def pairs() -> dict[str, Pair]:
    dpln = law.DoubleParetoLognormal(0.5, 0.7, 1.4, 0.6)
    plain = law.DoubleParetoLognormal(-1.0, 1.5)
    return {
        "nb": (
            lambda x: law.negative_binomial_log_pmf(x, 6.0, 3.0),
            lambda x: law.negative_binomial_cdf(x, 6.0, 3.0),
        ),
        "poisson": (
            lambda x: law.negative_binomial_log_pmf(x, 6.0, 0.0),
            lambda x: law.negative_binomial_cdf(x, 6.0, 0.0),
        ),
        "pln-narrow": (
            lambda x: law.poisson_lognormal_log_pmf(x, 1.0, 0.05),
            lambda x: law.poisson_lognormal_cdf(x, 1.0, 0.05),
        ),
        "pln-wide": (
            lambda x: law.poisson_lognormal_log_pmf(x, -2.0, 2.5),
            lambda x: law.poisson_lognormal_cdf(x, -2.0, 2.5),
        ),
        "dln": (plain.log_rounded, lambda x: plain.cdf(x + 0.5)),
        "dpln": (dpln.log_rounded, lambda x: dpln.cdf(x + 0.5)),
    }


@pytest.mark.parametrize("name", sorted(pairs()))
def test_probabilities_add_up_to_the_distribution_function_and_to_one(name: str) -> None:
    log_pmf, cdf = pairs()[name]
    x = np.arange(20_000.0)
    upto = np.cumsum(np.exp(log_pmf(x)))
    np.testing.assert_allclose(cdf(x), upto, rtol=0, atol=1e-11)
    assert upto[-1] + (1 - float(cdf(x[-1:])[0])) == pytest.approx(1, abs=1e-11)
    assert float(cdf(np.array([1e12]))[0]) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("mean", "dispersion"), [(2, 0.5), (0.3, 1e-3), (2000, 15), (1e5, 30)])
def test_negative_binomial_is_scipys(mean: float, dispersion: float) -> None:
    x = np.array([0, 1, 2, 5, 17, 100, 1e4, 1e5])
    oracle = stats.nbinom(1 / dispersion, 1 / (1 + mean * dispersion))
    ours = law.negative_binomial_log_pmf(x, mean, dispersion)
    np.testing.assert_allclose(ours, oracle.logpmf(x), rtol=1e-9, atol=1e-11)
    cdf = law.negative_binomial_cdf(x, mean, dispersion)
    np.testing.assert_allclose(cdf, oracle.cdf(x), rtol=1e-12)


@pytest.mark.parametrize(("mean", "dispersion"), [(2000, 15), (1e5, 30), (3, 1e-9)])
def test_negative_binomial_keeps_its_digits_at_a_billion(mean: float, dispersion: float) -> None:
    # Differences of log-gamma functions of 1e9 lose six digits; the saddle-point form none.
    x = 10**9 if dispersion > 1 else 40
    with mp.workdps(50):
        r = 1 / mp.mpf(dispersion)
        truth = mp.loggamma(x + r) - mp.loggamma(r) - mp.loggamma(x + 1)
        truth += r * mp.log(r / (r + mean)) + x * mp.log(mean / (r + mean))
    ours = law.negative_binomial_log_pmf(np.array([float(x)]), mean, dispersion)[0]
    assert ours == pytest.approx(float(truth), rel=1e-13)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0, 6.0])
@pytest.mark.parametrize("mu", [-3.0, 8.0])
def test_poisson_lognormal_is_its_integral(mu: float, sigma: float) -> None:
    counts = [0, 1, 7, 100, 10**5, 10**9]
    ours = law.poisson_lognormal_log_pmf(np.array(counts, dtype=float), mu, sigma)
    for x, value in zip(counts, ours, strict=True):
        with mp.workdps(25):
            precision = 1 / mp.mpf(sigma) ** 2

            def log_f(u: mp.mpf, x: int = x, precision: mp.mpf = precision) -> mp.mpf:
                return x * u - mp.exp(u) - precision * (u - mu) ** 2 / 2

            low, high = mp.mpf(-400), mp.mpf(60)
            for _ in range(120):  # the mode, by bisection of the slope
                middle = (low + high) / 2
                up = x - mp.exp(middle) - precision * (middle - mu) > 0
                low, high = (middle, high) if up else (low, middle)
            width = 1 / mp.sqrt(mp.exp(low) + precision)
            points = [low + k * width for k in (-40, -20, -10, -5, -2, 0, 2, 5, 10, 20)]
            top = log_f(low)
            integral = mp.quad(lambda u, top=top: mp.exp(log_f(u) - top), points)
            truth = top + mp.log(integral) - mp.loggamma(x + 1)
            truth -= mp.log(sigma * mp.sqrt(2 * mp.pi))
            assert abs(float(truth - mp.mpf(float(value)))) < 1e-10, x  # relative, on the pmf


def test_limits() -> None:
    x = np.array([0.0, 1, 3, 10, 40])
    poisson = stats.poisson.logpmf(x, 5.0)
    near = law.negative_binomial_log_pmf(x, 5.0, 1e-10)
    np.testing.assert_allclose(near, poisson, atol=1e-7)
    np.testing.assert_allclose(law.negative_binomial_log_pmf(x, 5.0, 0.0), poisson, atol=1e-12)
    near = law.poisson_lognormal_log_pmf(x, math.log(5.0), 1e-5)
    np.testing.assert_allclose(near, poisson, atol=1e-7)
    y = np.linspace(-6, 8, 15)
    tails = law.DoubleParetoLognormal(1.0, 1.2, 1e6, 1e6)
    plain = law.DoubleParetoLognormal(1.0, 1.2)
    np.testing.assert_allclose(tails.log_density(y), plain.log_density(y), atol=1e-10)
    for one, other in zip(tails.log_tails(y), plain.log_tails(y), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
    counts = np.array([0.0, 1, 5, 100, 1e6])
    np.testing.assert_allclose(tails.log_rounded(counts), plain.log_rounded(counts), atol=1e-9)
    # far out the laws are Pareto: the slope of log P(X > x) on log x is -alpha, below it is beta
    far = law.DoubleParetoLognormal(0.0, 1.0, 1.3, 0.4)
    assert np.diff(far.log_tails(np.array([300.0, 301.0]))[1])[0] == pytest.approx(-1.3, rel=1e-12)
    assert np.diff(far.log_tails(np.array([-301.0, -300.0]))[0])[0] == pytest.approx(0.4, rel=1e-12)


@pytest.mark.parametrize("theta", [(1.0, 0.7, 1.3, 0.8), (-2.0, 2.0, 3.0, 0.5), (0, 0.3, 5, 9)])
def test_double_pareto_lognormal_is_scipys(theta: tuple[float, float, float, float]) -> None:
    x = np.exp(np.linspace(-7, 8, 40) * theta[1] + theta[0])
    ours, oracle = law.DoubleParetoLognormal(*theta), stats.dpareto_lognorm(*theta)
    y = np.log(x)
    np.testing.assert_allclose(np.exp(ours.log_density(y) - y), oracle.pdf(x), rtol=1e-10)
    np.testing.assert_allclose(ours.cdf(x), oracle.cdf(x), rtol=1e-10)
    np.testing.assert_allclose(np.exp(ours.log_tails(y)[1]), oracle.sf(x), rtol=1e-10)


@pytest.mark.parametrize(
    "theta", [(1, 0.7, 1.3, 0.8), (-3, 2, 1.1, 0.4), (5, 0.01, 2, 3), (0.6, 1e-4, 0.5, 0.25)]
)
def test_rounded_double_pareto_lognormal_in_eighty_digits(theta: tuple[float, ...]) -> None:
    # Reed & Jorgensen's distribution function as they print it, where 80 digits survive it.
    mu, sigma, a, b = (mp.mpf(t) for t in theta)

    def cdf(x: mp.mpf) -> mp.mpf:
        z = (mp.log(x) - mu) / sigma
        phi = mp.npdf(z)

        def mills(t: mp.mpf) -> mp.mpf:
            return mp.erfc(t / mp.sqrt(2)) / 2 / mp.npdf(t)

        return mp.ncdf(z) - phi * (b * mills(a * sigma - z) - a * mills(b * sigma + z)) / (a + b)

    counts = [0, 1, 2, 3, 20, 55, 148, 149, 1000, 12_345, 10**6, 10**9]
    ours = law.DoubleParetoLognormal(*theta).log_rounded(np.array(counts, dtype=float))
    with mp.workdps(80):
        half = mp.mpf(1) / 2
        truth = [mp.log(cdf(x + half) - (cdf(x - half) if x else 0)) for x in counts]
    np.testing.assert_allclose(ours, np.array(truth, dtype=float), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("mu", "sigma"), [(-30.0, 2.0), (-3.0, 0.3), (2.0, 1.5), (-8.0, 5.0)])
def test_share_of_positive_counts_is_its_integral(mu: float, sigma: float) -> None:
    def positive(u: mp.mpf) -> mp.mpf:
        return -mp.expm1(-mp.exp(u)) if u < 6 else mp.mpf(1)

    with mp.workdps(30):
        ends = sorted({mu + k * sigma for k in (-12, -4, 0, 4, 12)} | {mu + sigma**2, 0.0, 6.0})
        last = max(mu, mu + sigma**2) + 14 * sigma
        points = [e for e in ends if e < last] + [last]
        share = mp.quad(lambda u: positive(u) * mp.npdf(u, mu, sigma), points)
    ours = law.poisson_lognormal_log_positive(mu, sigma)
    assert ours == pytest.approx(float(mp.log(share)), abs=1e-10)
