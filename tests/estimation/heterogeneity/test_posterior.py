"""Posteriors of rates have the moments of their densities, by quadrature and in closed form."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate

from baimo.estimation.heterogeneity.posterior import (
    RatePosterior,
    lognormal_rate_posterior,
    pareto_rate_posterior,
)


def moment(posterior: RatePosterior, power: int, cell: int = 0) -> float:
    """Return the mean of a power of the rate."""
    rates = np.exp(posterior.log_rates[cell])
    return float(np.sum(posterior.chances[cell] * rates**power))


def by_quadrature(log_density: Callable[[float], float], low: float, power: int) -> float:
    """Return the mean of a power of e^x under an unnormalised log density on x >= low."""
    grid = np.linspace(low, 25.0, 40_001)
    logs = np.array([log_density(x) for x in grid])
    peak, top = float(grid[np.argmax(logs)]), float(logs.max())
    near = grid[logs > top - 40.0]  # beyond, the density is below 1e-17 of its peak
    ends = (float(near[0]), float(near[-1]))
    mass, total = (
        integrate.quad(
            lambda x, p=p: math.exp(log_density(x) - top + p * (x - peak)),
            *ends, points=[peak] if ends[0] < peak < ends[1] else None,
            epsabs=0, epsrel=1e-11, limit=400,
        )[0]
        for p in (0, power)
    )  # fmt: skip
    return total / mass * math.exp(power * peak)


# --- lognormal rates ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "mean", "sd", "within"),
    [
        (0, 0.0, 1.0, 1e-8),
        (0, -3.0, 2.0, 1e-8),
        (3, 4.0, 0.3, 1e-8),
        (5, 0.0, 1.0, 1e-6),
        (100, 0.0, 2.0, 1e-8),
        (100_000, 2.0, 3.0, 1e-8),
        (0, 0.0, 3.0, 1e-5),
        (0, 2.0, 6.0, 1e-3),
    ],
)
def test_lognormal_rates_have_the_moments_of_their_density(
    count: int, mean: float, sd: float, within: float
) -> None:
    posterior = lognormal_rate_posterior(np.array([float(count)]), np.array([mean]), sd)

    def log_density(x: float) -> float:
        return count * x - math.exp(x) - (x - mean) ** 2 / (2.0 * sd**2)

    for power in (1, 2):
        truth = by_quadrature(log_density, -60.0, power)
        assert moment(posterior, power) == pytest.approx(truth, rel=within)


def test_without_spread_the_rate_is_known_whatever_was_counted() -> None:
    counts, means = np.array([0.0, 4.0, 1000.0]), np.array([1.0, -2.0, 3.0])
    posterior = lognormal_rate_posterior(counts, means, 0.0)
    for cell, mean in enumerate(means):
        assert moment(posterior, 1, cell) == pytest.approx(math.exp(mean), rel=1e-5)


def test_without_knowledge_beforehand_the_rate_is_gamma_of_the_count() -> None:
    # A flat prior of the log rate leaves the gamma law of L: mean L, variance L.
    posterior = lognormal_rate_posterior(np.array([7.0]), np.array([0.0]), 1e4)
    assert moment(posterior, 1) == pytest.approx(7.0, rel=1e-6)
    assert moment(posterior, 2) - moment(posterior, 1) ** 2 == pytest.approx(7.0, rel=1e-5)


def test_whoever_was_liked_more_often_has_the_higher_rate() -> None:
    counts = np.arange(50.0)
    posterior = lognormal_rate_posterior(counts, np.zeros(50), 1.5)
    means = [moment(posterior, 1, cell) for cell in range(50)]
    assert np.all(np.diff(means) > 0)
    # shrunk from the count towards the prior, from either side
    assert means[0] > 0
    assert np.all(np.array(means[5:]) < counts[5:])


# --- Pareto rates ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "zeta", "log_least"),
    [(0, 1.2, -3.0), (1, 1.2, -3.0), (0, 0.8, -8.0), (3, 1.0, -2.0), (0, 1.5, 2.0), (2, 1.5, 3.0)],
)
def test_pareto_rates_have_the_moments_of_their_density(
    count: int, zeta: float, log_least: float
) -> None:
    posterior = pareto_rate_posterior(np.array([float(count)]), zeta, log_least)
    assert posterior.log_rates.min() >= log_least

    def log_density(x: float) -> float:
        return (count - zeta) * x - math.exp(x)

    for power in (1, 2):
        # cells of equal width, each at its middle: a thousandth where the law ends at the least
        truth = by_quadrature(log_density, log_least, power)
        assert moment(posterior, power) == pytest.approx(truth, rel=1e-3)


@pytest.mark.parametrize("count", [60, 1_000, 10**6])
def test_a_count_far_above_the_least_rate_leaves_a_gamma_law(count: int) -> None:
    # p(x) ~ exp((L - zeta) x - e^x): gamma of L - zeta, mean and variance L - zeta.
    posterior = pareto_rate_posterior(np.array([float(count)]), 1.3, -4.0)
    mean = moment(posterior, 1)
    assert mean == pytest.approx(count - 1.3, rel=1e-9)
    rates = np.exp(posterior.log_rates[0])
    variance = float(np.sum(posterior.chances[0] * (rates - mean) ** 2))
    assert variance == pytest.approx(count - 1.3, rel=1e-6)


# --- draws -------------------------------------------------------------------------------


@pytest.mark.parametrize("indexed", [False, True])
def test_sums_of_drawn_rates_have_their_mean_and_variance(indexed: bool) -> None:
    counts = np.array([0.0, 3.0, 40.0])
    posterior = pareto_rate_posterior(counts, 1.1, -2.0)
    cells = np.array([2, 0, 2, 1]) if indexed else None
    which = cells if cells is not None else np.arange(3)
    items = np.array([5, 1, 200, 40])[: which.size]
    rng, runs = np.random.default_rng(1), 4_000
    drawn = np.array([posterior.sample(items, rng, cells) for _ in range(runs)])
    assert drawn.shape == (runs, which.size)
    for column, cell in enumerate(which):
        mean = moment(posterior, 1, cell)
        variance = moment(posterior, 2, cell) - mean**2
        n, found = items[column], drawn[:, column]
        assert abs(found.mean() - n * mean) < 4 * math.sqrt(n * variance / runs)
        fourth = float(np.mean((found - found.mean()) ** 4)) / found.var() ** 2
        assert abs(found.var() / (n * variance) - 1) < 4 * math.sqrt((fourth - 1) / runs)


def test_no_items_draw_nothing_and_chances_never_exceed_one() -> None:
    posterior = lognormal_rate_posterior(np.array([0.0, 9.0]), np.array([0.0, 5.0]), 2.0)
    none = posterior.sample(np.array([0, 0]), np.random.default_rng(0))
    assert none.tolist() == [0.0, 0.0]
    sums = posterior.chances.sum(axis=1)
    assert np.all(sums <= 1.0)
    assert sums == pytest.approx([1.0, 1.0], abs=1e-11)
