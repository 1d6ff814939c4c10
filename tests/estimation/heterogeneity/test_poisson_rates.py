"""Counts at lognormal rates: likelihood by quadrature, recovery, scale, refusals."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate

from baimo.estimation.errors import DataError
from baimo.estimation.heterogeneity.poisson_rates import (
    fit_poisson_rates,
    rates_log_likelihood,
)
from baimo.simulation.heterogeneity.poisson_rates import PoissonRateParams, simulate_poisson_rates

Floats = NDArray[np.float64]


def log_pmf(k: float, level: float, sigma: float) -> float:
    """Return log P(L = k) by quadrature around the peak of the integrand."""

    def log_inner(u: float) -> float:
        poisson = k * u - math.exp(u) - math.lgamma(k + 1.0)
        return poisson - 0.5 * ((u - level) / sigma) ** 2 - math.log(sigma * math.sqrt(2 * math.pi))

    grid = np.linspace(level - 12 * sigma, level + 12 * sigma, 2_001)
    peak = float(grid[np.argmax([log_inner(u) for u in grid])])
    top = log_inner(peak)
    width = 1.0 / math.sqrt(sigma**-2 + max(math.exp(peak), 1e-12))
    value, _ = integrate.quad(
        lambda u: math.exp(log_inner(u) - top), peak - 14 * width, peak + 14 * width,
        points=[peak], epsabs=0, epsrel=1e-11, limit=400,
    )  # fmt: skip
    return top + math.log(value)


def test_the_likelihood_is_that_of_quadrature() -> None:
    ages = np.array([0.2, 0.2, 1.0, 1.0, 3.0, 3.0, 5.0])
    sizes = np.array([0.0, 4.0, 1.0, 9.0, 0.0, 60.0, 1_500.0])
    fit = fit_poisson_rates(ages, sizes)
    expected = sum(
        log_pmf(k, fit.mu + fit.phi * math.log(age), fit.sigma)
        for k, age in zip(sizes, ages, strict=True)
    )
    assert fit.log_likelihood == pytest.approx(expected, abs=1e-7)
    # and no set of parameters nearby is more likely
    rng = np.random.default_rng(1)
    for scale in (0.01, 0.3):
        for _ in range(3):
            mu, sigma, phi = np.array([fit.mu, fit.sigma, fit.phi]) + scale * rng.normal(size=3)
            other = sum(
                log_pmf(k, mu + phi * math.log(age), abs(sigma))
                for k, age in zip(sizes, ages, strict=True)
            )
            assert other <= expected + 1e-7


def sample(params: PoissonRateParams, n: int, seed: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    ages = rng.integers(1, 31, n) / 8.0
    return ages, simulate_poisson_rates(params, ages, rng).astype(float)


@pytest.mark.parametrize(
    "params",
    [
        PoissonRateParams(mu=0.5, sigma=1.5, phi=1.0),
        PoissonRateParams(mu=-1.0, sigma=2.5, phi=0.3),
        PoissonRateParams(mu=2.0, sigma=0.4, phi=1.6),
    ],
    ids=["constant", "early", "late"],
)
def test_recovery(params: PoissonRateParams) -> None:
    fit = fit_poisson_rates(*sample(params, 6_000, 2))
    assert fit.converged
    for name in ("mu", "sigma", "phi"):
        found = fit.estimates()[name]
        assert found.std_error is not None
        assert abs(getattr(fit, name) - getattr(params, name)) < 4 * found.std_error, name
        assert found.std_error < 0.15
    assert fit.params == PoissonRateParams(mu=fit.mu, sigma=fit.sigma, phi=fit.phi)
    assert fit.n_obs == fit.n_used == 6_000


def test_covariance_is_the_inverse_of_the_information() -> None:
    ages, sizes = sample(PoissonRateParams(mu=0.5, sigma=1.0), 250, 3)
    fit = fit_poisson_rates(ages, sizes)
    from baimo.estimation.distributions.densities import poisson_lognormal_log_pmf

    def cost(p: Floats) -> float:
        return -sum(
            float(
                poisson_lognormal_log_pmf(
                    sizes[ages == age], float(p[0] + p[2] * math.log(age)), float(p[1])
                ).sum()
            )
            for age in np.unique(ages)
        )

    theta, h = np.array([fit.mu, fit.sigma, fit.phi]), 1e-3
    steps = np.eye(3) * h
    hessian = np.array(
        [
            [
                (cost(theta + a + b) - cost(theta + a - b) - cost(theta - a + b)
                 + cost(theta - a - b)) / (4 * h * h)
                for b in steps
            ]
            for a in steps
        ]
    )  # fmt: skip
    assert fit.covariance == pytest.approx(np.linalg.inv(hessian), rel=2e-3, abs=1e-6)


def test_the_unit_of_age_moves_mu_only() -> None:
    ages, sizes = sample(PoissonRateParams(mu=0.5, sigma=1.2, phi=0.7), 800, 4)
    years, days = fit_poisson_rates(ages, sizes), fit_poisson_rates(ages * 365.25, sizes)
    assert days.phi == pytest.approx(years.phi, abs=1e-3)
    assert days.sigma == pytest.approx(years.sigma, abs=1e-3)
    assert days.mu == pytest.approx(years.mu - years.phi * math.log(365.25), abs=6e-3)
    assert days.log_likelihood == pytest.approx(years.log_likelihood, abs=1e-4)


def test_weights_are_repetitions_and_order_is_nothing() -> None:
    ages, sizes = sample(PoissonRateParams(mu=0.5, sigma=1.2), 300, 5)
    weights = np.random.default_rng(6).integers(1, 4, 300)
    a = fit_poisson_rates(ages, sizes, weights)
    order = np.random.default_rng(7).permutation(int(weights.sum()))
    b = fit_poisson_rates(np.repeat(ages, weights)[order], np.repeat(sizes, weights)[order])
    assert a.n_obs == b.n_obs == weights.sum()
    for name in ("mu", "sigma", "phi", "log_likelihood"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-8), name


def test_counts_without_luck_of_their_own_have_no_sigma() -> None:
    rng = np.random.default_rng(8)
    ages = np.tile([0.5, 1.0, 2.0, 4.0], 1_000)
    fit = fit_poisson_rates(ages, rng.poisson(3.0 * ages).astype(float))
    # the likelihood in sigma^2 is flat of order 1/sqrt(n): sigma itself errs by its fourth root
    assert fit.sigma < 0.15
    assert fit.mu == pytest.approx(math.log(3.0), abs=4 / math.sqrt(3.0 * ages.sum()) + 0.02)
    assert fit.phi == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("ages", "sizes", "says"),
    [
        ([1.0, 2.0], [1.0], "2 ages, 1 sizes"),
        ([0.0, 2.0], [1.0, 2.0], "ages must be positive and finite"),
        ([math.nan, 2.0], [1.0, 2.0], "leave items of unknown age out"),
        ([1.0, 2.0], [1.0, -2.0], "whole numbers, not negative"),
        ([1.0, 2.0], [1.0, 0.5], "whole numbers, not negative"),
        ([1.0, 2.0], [0.0, 0.0], "all sizes are zero"),
        ([], [], "all sizes are zero"),
        ([2.0, 2.0], [1.0, 3.0], "all ages are equal.*fit the sizes alone"),
    ],
    ids=["lengths", "age-zero", "age-nan", "negative", "fraction", "zeros", "empty", "one-age"],
)
def test_refusals(ages: list[float], sizes: list[float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_poisson_rates(ages, sizes)


def test_the_likelihood_of_every_item_adds_up_to_that_of_the_fit() -> None:
    ages, sizes = sample(PoissonRateParams(mu=0.5, sigma=1.2, phi=0.7), 400, 9)
    order = np.argsort(ages, kind="stable")
    fit = fit_poisson_rates(ages, sizes)
    parameters = np.array([fit.mu, fit.sigma, fit.phi])
    each = rates_log_likelihood(parameters, ages[order], sizes[order])
    assert each.shape == (400,)
    assert each.sum() == pytest.approx(fit.log_likelihood, rel=1e-12)
    level = fit.mu + fit.phi * math.log(ages[order][7])
    assert each[7] == pytest.approx(log_pmf(sizes[order][7], level, fit.sigma), rel=1e-8)
