"""Eq 19 as printed is Gaussian around proportional growth: no tail, shares that freeze."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from baimo.estimation.tails.power_law import fit_tail
from baimo.simulation.attachment.printed import (
    PrintedAttachmentParams,
    simulate_printed,
    simulate_printed_steps,
)
from baimo.simulation.errors import ParameterError


def euler_maruyama(
    start: NDArray[np.float64],
    eta: float,
    sigma: float,
    days: float,
    steps: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Integrate dd_i = eta d_i/D dt + sigma dW_i with D the running sum."""
    d, dt = start.copy(), days / steps
    for _ in range(steps):
        d += eta * d / d.sum() * dt + sigma * math.sqrt(dt) * rng.standard_normal(d.size)
    return d


def four_errors(x: NDArray[np.float64], mean: float, variance: float) -> None:
    """Check the four moments of a Gaussian sample, each within four of its standard errors."""
    n = x.size
    assert abs(x.mean() - mean) < 4 * math.sqrt(variance / n)
    assert abs(x.var() / variance - 1) < 4 * math.sqrt(2 / n)
    assert abs(stats.skew(x)) < 4 * math.sqrt(6 / n)
    assert abs(stats.kurtosis(x)) < 4 * math.sqrt(24 / n)


def test_printed_equation_is_gaussian() -> None:
    # E = d0 (1 + eta t/D0), Var = sigma^2 t (1 + eta t/D0), no skew, no kurtosis.
    n, eta_share, sigma, days = 50_000, 0.2, 0.05, 10.0
    start = np.ones(n)
    growth = 1 + eta_share * days
    params = PrintedAttachmentParams(eta=eta_share * n, sigma=sigma)
    drawn = simulate_printed(params, start, days, np.random.default_rng(9))
    four_errors(drawn, growth, sigma**2 * days * growth)


def test_printed_equation_by_brute_force() -> None:
    # 300 Euler steps: discretisation moves mean and variance by less than .4 %, a third of the
    # standard error of the variance at 16,000 items.
    n, eta_share, sigma, days = 16_000, 0.2, 0.05, 10.0
    growth = 1 + eta_share * days
    d = euler_maruyama(np.ones(n), eta_share * n, sigma, days, 300, np.random.default_rng(10))
    four_errors(d, growth, sigma**2 * days * growth)
    exact = simulate_printed(
        PrintedAttachmentParams(eta=eta_share * n, sigma=sigma),
        np.ones(n),
        days,
        np.random.default_rng(11),
    )
    assert stats.ks_2samp(d, exact).pvalue > 1e-3


def test_printed_equation_inherits_the_start() -> None:
    # Each item keeps its share: standardised by its own mean the draw is standard normal.
    start = np.random.default_rng(1).pareto(1.5, 20_000) + 1
    params = PrintedAttachmentParams(eta=3.0 * start.sum(), sigma=0.1)
    drawn = simulate_printed(params, start, 2.0, np.random.default_rng(2))
    z = (drawn - 7.0 * start) / (0.1 * math.sqrt(2.0 * 7.0))
    assert stats.kstest(z, "norm").pvalue > 1e-3


def test_without_noise_the_printed_equation_is_proportional_growth() -> None:
    start = np.array([1.0, 2.0, 5.0])
    params = PrintedAttachmentParams(eta=4.0, sigma=0.0)
    grown = simulate_printed(params, start, 6.0, np.random.default_rng(0))
    assert grown == pytest.approx(start * (1 + 4.0 * 6.0 / 8.0), rel=1e-15)


def test_printed_equation_makes_no_heavy_tail() -> None:
    # The top 1 % of a Gaussian with mean 3 and sd .27: 1/E[log(X/q)] above the 99 % quantile,
    # by numerical integration, is an exponent near 40, not near 1.
    n, growth, sigma, days = 50_000, 3.0, 0.05, 10.0
    sd = sigma * math.sqrt(days * growth)
    params = PrintedAttachmentParams(eta=0.2 * n, sigma=sigma)
    drawn = simulate_printed(params, np.ones(n), days, np.random.default_rng(13))
    law = stats.norm(growth, sd)
    q = law.ppf(0.99)
    mean_log = integrate.quad(lambda x: math.log(x / q) * law.pdf(x), q, growth + 12 * sd)[0] / 0.01
    fit = fit_tail(drawn, discrete=False, x_min=float(q))
    second = integrate.quad(lambda x: math.log(x / q) ** 2 * law.pdf(x), q, growth + 12 * sd)[0]
    error = math.sqrt((second / 0.01 - mean_log**2) / fit.n_tail) / mean_log**2
    assert abs(fit.zeta - 1 / mean_log) < 4 * error
    assert fit.zeta > 15


def test_printed_sizes_may_turn_negative() -> None:
    # P(d < 0) = Phi(-d0 growth/sd): no floor is built into the printed equation.
    n, sigma, days = 50_000, 1.0, 4.0
    params = PrintedAttachmentParams(eta=0.1 * n, sigma=sigma)
    drawn = simulate_printed(params, np.ones(n), days, np.random.default_rng(14))
    p = stats.norm.cdf(-1.4 / (sigma * math.sqrt(days * 1.4)))
    assert abs(np.mean(drawn < 0) - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_printed_equation_refuses_parameters() -> None:
    with pytest.raises(ParameterError, match="eta"):
        PrintedAttachmentParams(eta=0.0, sigma=1.0)
    with pytest.raises(ParameterError, match="sigma"):
        PrintedAttachmentParams(eta=1.0, sigma=-1.0)
    with pytest.raises(ParameterError, match="start"):
        simulate_printed(
            PrintedAttachmentParams(eta=1.0, sigma=1.0), [1.0, 0.0], 1.0, np.random.default_rng(0)
        )


# --- by steps ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [1, 3, 200])
def test_steps_without_noise_are_proportional_growth_however_many(n_steps: int) -> None:
    # The total grows by eta dt in every step, whatever the shares: 1 + eta t/D0 is their product.
    start = np.array([1.0, 2.0, 5.0])
    params = PrintedAttachmentParams(eta=4.0, sigma=0.0)
    grown = simulate_printed_steps(params, start, 6.0, n_steps, np.random.default_rng(0))
    assert grown == pytest.approx(start * 4.0, rel=1e-12)
    assert start.tolist() == [1.0, 2.0, 5.0]  # the caller's sizes stay


@pytest.mark.parametrize("n_steps", [1, 4, 60])
def test_steps_have_the_moments_of_their_recursion(n_steps: int) -> None:
    # Noise of a step is multiplied by what the total grows by after it; many items: D is known.
    n, sigma, days = 50_000, 0.05, 10.0
    params = PrintedAttachmentParams(eta=0.2 * n, sigma=sigma)
    drawn = simulate_printed_steps(params, np.ones(n), days, n_steps, np.random.default_rng(15))
    total = 1 + 2.0 * np.arange(1, n_steps + 1) / n_steps
    variance = sigma**2 * days / n_steps * np.sum((3.0 / total) ** 2)
    four_errors(drawn, 3.0, float(variance))


def test_many_steps_have_the_law_of_the_exact_solution() -> None:
    n, sigma, days = 20_000, 0.1, 10.0
    start = np.random.default_rng(16).pareto(1.5, n) + 1
    params = PrintedAttachmentParams(eta=0.2 * start.sum(), sigma=sigma)
    drawn = simulate_printed_steps(params, start, days, 300, np.random.default_rng(17))
    z = (drawn - 3.0 * start) / (sigma * math.sqrt(days * 3.0))
    assert stats.kstest(z, "norm").pvalue > 1e-3


@pytest.mark.parametrize(
    ("start", "n_steps", "says"),
    [([1.0, 0.0], 5, "start sizes must be positive"), ([1.0, 2.0], 0, "n_steps = 0")],
    ids=["start", "steps"],
)
def test_steps_that_cannot_be_taken_are_refused(
    start: list[float], n_steps: int, says: str
) -> None:
    params = PrintedAttachmentParams(eta=1.0, sigma=1.0)
    with pytest.raises(ParameterError, match=says):
        simulate_printed_steps(params, start, 1.0, n_steps, np.random.default_rng(0))
