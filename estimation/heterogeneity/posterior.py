"""What the counts of items so far say of their rates, as weights on a grid of log rates.

    lognormal rates   p(x | L) ~ exp(L x - e^x - (x - m)^2 / (2 s^2))
    Pareto rates      p(x | L) ~ exp((L - zeta) x - e^x),  x >= the smallest log rate

with x the log of the expected count and L the count. Whoever has been liked often is likely to have
a high rate: the increments to come are drawn at rates that are drawn from these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from baimo.estimation.arrays import Floats, Ints

# Of a log rate: points, and standard deviations on either side of its mode.
GRID, REACH = 96, 7.0


@dataclass(frozen=True, eq=False)
class RatePosterior:
    """Weights on grids of log rates.

    Parameters
    ----------
    log_rates, chances : (cells, points)
        Log of the expected count so far, and the probability of each.
    """

    log_rates: Floats
    chances: Floats

    def sample(self, items: Ints, rng: np.random.Generator, cells: Ints | None = None) -> Floats:
        """Return the sum of the rates of the items of each cell, each item's rate drawn.

        Parameters
        ----------
        items : (c,)
            Items of each cell.
        cells : (c,)
            Which grid each uses; None: one each, in order.
        """
        chances = self.chances if cells is None else self.chances[cells]
        rates = np.exp(self.log_rates)
        numbers = rng.multinomial(items, chances)
        total: Floats = np.sum(numbers * (rates if cells is None else rates[cells]), axis=1)
        return total


def lognormal_rate_posterior(counts: Floats, mean: Floats, sd: float) -> RatePosterior:
    """Return the posterior under lognormal rates.

    Parameters
    ----------
    counts, mean : (cells,)
        Counts so far, and the prior mean of the log of the expected count.
    sd
        Prior standard deviation of the log rate, >= 0.
    """
    variance = max(sd, 1e-6) ** 2
    x = _mode(counts, mean, variance)
    width = 1.0 / np.sqrt(np.exp(x) + 1.0 / variance)
    grid = x[:, None] + width[:, None] * np.linspace(-REACH, REACH, GRID)
    log_density = counts[:, None] * grid - np.exp(grid)
    log_density -= (grid - mean[:, None]) ** 2 / (2.0 * variance)
    return RatePosterior(grid, _normalised(log_density))


def pareto_rate_posterior(counts: Floats, zeta: float, log_least: float) -> RatePosterior:
    """Return the posterior under Pareto rates of exponent zeta.

    Parameters
    ----------
    counts : (cells,)
        Counts so far.
    log_least
        Log of the smallest expected count.
    """
    top = np.log(counts + REACH**2 + 4.0 * REACH * np.sqrt(counts + 1.0))
    low = np.log(np.maximum(counts - REACH * np.sqrt(counts + 1.0), 1e-300))
    low, top = np.maximum(low, log_least), np.maximum(top, log_least + 1.0)
    grid = low[:, None] + (top - low)[:, None] * (np.arange(GRID) + 0.5) / GRID
    return RatePosterior(grid, _normalised((counts - zeta)[:, None] * grid - np.exp(grid)))


def _mode(counts: Floats, mean: Floats, variance: float) -> Floats:
    """Return the mode of L x - e^x - (x - m)^2/(2 v) by Newton's method (concave)."""
    x = np.where(counts > 0, np.log(np.maximum(counts, 1.0)), np.minimum(mean, 0.0))
    for _ in range(50):
        slope = counts - np.exp(x) - (x - mean) / variance
        step = slope / (np.exp(x) + 1.0 / variance)
        x = x + np.clip(step, -2.0, 2.0)
        if np.max(np.abs(step)) < 1e-10:
            break
    return x


def _normalised(log_density: Floats) -> Floats:
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    chances = density / density.sum(axis=1, keepdims=True)
    return np.asarray(chances * (1.0 - 1e-12))  # rounding must not exceed one
