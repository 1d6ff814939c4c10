"""Births with ageing: closed forms, recovery of each parameter, and the law without attachment."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from baimo.estimation.attachment.births import (
    TOP,
    BirthsFit,
    fit_births,
    fit_unequal_births,
)
from baimo.estimation.attachment.cross_section import fit_yule
from baimo.estimation.attachment.entry import fit_entry
from baimo.estimation.errors import DataError
from baimo.estimation.heterogeneity.poisson_rates import fit_poisson_rates
from baimo.simulation.attachment.births import BirthParams, simulate_births
from tests.estimation.attachment.ages import draw_ages
from tests.estimation.recovery import check_recovery

Floats = NDArray[np.float64]
HORIZON = 4.0


def draw(params: BirthParams, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return ages, of which there are forty, and sizes."""
    ages = (np.floor(draw_ages(1.0, HORIZON, n, rng) * 10) + 0.5) / 10
    return ages, simulate_births(params, ages, rng, largest=5_000).astype(float)


def test_a_linear_kernel_with_ageing_is_the_yule_likelihood_in_changed_time() -> None:
    ages, sizes = draw(BirthParams(gamma=1.0, a=0.5, phi=-0.4), 3_000, np.random.default_rng(1))
    assert sizes.max() < TOP

    (age, size), n = np.unique(np.stack([ages, sizes]), axis=1, return_counts=True)

    def cost(v: Floats) -> float:
        growth = np.exp(-math.exp(v[0]) * age ** math.exp(v[2]))
        return -float(n @ stats.nbinom.logpmf(size, math.exp(v[1]), growth))

    best = optimize.minimize(cost, [0.5, -0.7, -0.5], method="Nelder-Mead", tol=1e-6)
    power = math.exp(best.x[2])
    fit = fit_births(ages, sizes, theta=1.0)
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=0.1)
    expected = (math.exp(best.x[0]) * power, math.exp(best.x[1]), power - 1)
    errors = np.sqrt(np.diag(fit.covariance))
    assert np.all(np.abs(np.array([fit.gamma, fit.a, fit.phi]) - expected) < 0.05 * errors)


def test_without_ageing_it_gives_back_the_yule_fit() -> None:
    ages, sizes = draw(BirthParams(gamma=0.8, a=0.6), 6_000, np.random.default_rng(2))
    fit = fit_births(ages, sizes, theta=1.0)
    yule = fit_yule(ages, sizes, entry=fit_entry(ages, horizon=HORIZON))
    errors = np.sqrt(np.diag(fit.covariance))
    assert abs(fit.phi) < 4 * errors[2]
    assert abs(fit.gamma - yule.gamma) < 4 * errors[0]
    assert abs(fit.a - yule.a) < 4 * errors[1]
    # one parameter more: twice the gain is chi-square of one degree of freedom
    assert -0.2 < 2 * (fit.log_likelihood - yule.log_likelihood) < stats.chi2(1).ppf(1 - 1e-4)


def errors_of(fits: list[BirthsFit], name: str) -> tuple[Floats, Floats]:
    """Return the estimates of one parameter and their stated errors."""
    found = np.array([getattr(fit, name) for fit in fits])
    return found, np.array([fit.estimates()[name].std_error for fit in fits], dtype=float)


# The bias of a maximum, of order 1/n, as a fraction of the error.
BIAS = 0.15


@pytest.mark.parametrize(
    ("truth", "given"),
    [
        (BirthParams(gamma=0.9, a=0.5, phi=-0.5), 1.0),
        (BirthParams(gamma=0.6, a=0.5, theta=1.2, phi=-0.6), 1.2),
        (BirthParams(gamma=0.7, a=0.5, theta=1.15, phi=-0.5), None),
    ],
    ids=["linear", "given", "free"],
)
def test_parameters_are_recovered_with_their_errors(
    truth: BirthParams, given: float | None
) -> None:
    rng = np.random.default_rng(3)
    fits = [fit_births(*draw(truth, 2_000, rng), theta=given) for _ in range(40)]
    assert all(fit.converged for fit in fits)
    assert ("theta" in fits[0].free) == (given is None)
    for name in fits[0].free:
        found, stated = errors_of(fits, name)
        check_recovery(found, stated, getattr(truth, name), BIAS * float(found.std(ddof=1)))


def test_unequal_starts_are_recovered_with_their_errors() -> None:
    truth, rng = BirthParams(gamma=0.5, a=0.1, phi=-0.5, sigma=1.5), np.random.default_rng(4)
    fits = [fit_unequal_births(*draw(truth, 2_000, rng), growth=1.0) for _ in range(40)]
    assert all(fit.converged for fit in fits)
    assert set(fits[0].free) == {"a", "sigma", "phi"}
    for name in fits[0].free:
        found, stated = errors_of(fits, name)
        check_recovery(found, stated, getattr(truth, name), BIAS * float(found.std(ddof=1)))


def test_likelihood_of_unequal_starts_is_the_mean_over_them() -> None:
    ages, sizes = draw(
        BirthParams(gamma=0.5, a=0.1, phi=-0.5, sigma=1.5), 400, np.random.default_rng(5)
    )
    fit = fit_unequal_births(ages, sizes, growth=1.0)
    z = np.linspace(-10, 10, 4_001)
    start = fit.a * np.exp(fit.sigma * z)
    prior = stats.norm.pdf(z) * (z[1] - z[0])
    pairs, n = np.unique(np.stack([fit.params.times(ages), sizes]), axis=1, return_counts=True)
    by_grid = sum(
        m * math.log(np.sum(prior * stats.nbinom(start, math.exp(-s)).pmf(x)))
        for (s, x), m in zip(pairs.T, n, strict=True)
    )
    assert fit.log_likelihood == pytest.approx(by_grid, abs=0.05)


def test_unequal_starts_that_hardly_attract_are_lognormal_rates() -> None:
    ages, sizes = draw(
        BirthParams(gamma=1e-6, a=3e5, phi=-0.4, sigma=1.5), 4_000, np.random.default_rng(6)
    )
    ours, rates = fit_unequal_births(ages, sizes, growth=1e-4), fit_poisson_rates(ages, sizes)
    errors = {name: e.std_error or math.nan for name, e in rates.estimates().items()}
    assert ours.log_likelihood == pytest.approx(rates.log_likelihood, abs=0.5)
    assert abs(ours.sigma - rates.sigma) < 0.1 * errors["sigma"]
    assert abs(1 + ours.phi - rates.phi) < 0.1 * errors["phi"]
    assert abs(math.log(1e-4 * ours.a) - rates.mu) < 0.1 * errors["mu"]


def test_weights_are_repetitions() -> None:
    rng = np.random.default_rng(7)
    ages, sizes = draw(BirthParams(gamma=0.9, a=0.5, phi=-0.5), 300, rng)
    weights = rng.integers(1, 4, size=300)
    long = np.repeat(ages, weights), np.repeat(sizes, weights)
    for a, b in (
        (fit_births(ages, sizes, weights, theta=1.0), fit_births(*long, theta=1.0)),
        (
            fit_unequal_births(ages, sizes, weights, growth=0.5),
            fit_unequal_births(*long, growth=0.5),
        ),
    ):
        assert a.n_obs == b.n_obs == weights.sum()
        assert a.log_likelihood == pytest.approx(b.log_likelihood, abs=1e-3)
        assert a.phi == pytest.approx(b.phi, abs=0.02 * (a.estimates()["phi"].std_error or 1.0))


def test_what_is_free_is_stated() -> None:
    ages, sizes = draw(BirthParams(gamma=0.9, a=0.5), 500, np.random.default_rng(8))
    assert list(fit_births(ages, sizes).estimates()) == ["gamma", "a", "phi", "theta"]
    given = fit_births(ages, sizes, theta=1.1)
    assert list(given.estimates()) == ["gamma", "a", "phi"]
    assert given.params.theta == 1.1
    faded = fit_births(ages, sizes, theta=1.1, phi=-0.3)
    assert list(faded.estimates()) == ["gamma", "a"]
    assert faded.phi == pytest.approx(-0.3)
    assert faded.log_likelihood < given.log_likelihood
    aged = fit_births(ages, sizes, phi=given.phi)
    assert list(aged.estimates()) == ["gamma", "a", "theta"]
    assert aged.log_likelihood > given.log_likelihood  # theta is free, at the best phi of 1.1
    unequal = fit_unequal_births(ages, sizes, growth=0.4)
    assert list(unequal.estimates()) == ["a", "sigma", "phi"]
    assert unequal.gamma / (1 + unequal.phi) == pytest.approx(0.4)
    assert BirthsFit.from_dict(given.to_dict()).params == given.params


@pytest.mark.parametrize(
    ("ages", "sizes", "says"),
    [
        ([1.0, 2.0], [1.0], "2 ages, 1 sizes"),
        ([0.0, 2.0], [0.0, 1.0], "ages must be positive"),
        ([1.0, 2.0], [1.0, 0.5], "whole numbers"),
        ([1.0, 2.0], [0.0, 0.0], "all sizes are zero"),
        ([1.0, 1.0], [0.0, 3.0], "all ages are equal"),
    ],
    ids=["lengths", "newborn", "fraction", "zeros", "one age"],
)
def test_refusals(ages: list[float], sizes: list[float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_births(ages, sizes)
    with pytest.raises(DataError, match=says):
        fit_unequal_births(ages, sizes, growth=1.0)


def test_no_growth_is_another_law() -> None:
    with pytest.raises(DataError, match="see fit_poisson_rates"):
        fit_unequal_births([1.0, 2.0], [0.0, 1.0], growth=0.0)
