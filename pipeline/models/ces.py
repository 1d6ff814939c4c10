"""CES demand with common Pareto tastes (eq 20-24)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from baimo.estimation.arrays import Ints
from baimo.estimation.demand.ces import DemandFit
from baimo.pipeline.analysis.cohorts import Cohorts, split_into_cohorts
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.summary_statistics import (
    Drawn,
)
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.models.base import GRID, REACH, Draw, at_observed_total, normalised
from baimo.simulation.demand.ces import DemandParams, simulate_demand


def sample_demand_increments(
    c: KernelCalibration, fit: DemandFit, attachment: AttachmentCalibration
) -> Callable[[np.random.Generator], Ints]:
    """Draw Poisson gains at Pareto rates of no age, given the likes so far."""
    stocks, where = np.unique(c.stock, return_inverse=True)
    n, total = attachment.simon_likes.n_obs, attachment.simon_likes.total

    def draw(rng: np.random.Generator) -> Ints:
        zeta = max(rng.normal(fit.zeta, fit.std_error), 0.05)
        tastes = float(np.sum(np.exp(rng.standard_exponential(n) / zeta)))
        least = math.log(total / tastes)  # smallest rate: the observed total, shared by tastes
        top = np.log(stocks + REACH**2 + 4.0 * REACH * np.sqrt(stocks + 1.0))
        low = np.log(np.maximum(stocks - REACH * np.sqrt(stocks + 1.0), 1e-300))
        low, top = np.maximum(low, least), np.maximum(top, least + 1.0)
        grid = low[:, None] + (top - low)[:, None] * (np.arange(GRID) + 0.5) / GRID
        chances = normalised((stocks - zeta)[:, None] * grid - np.exp(grid))
        numbers = rng.multinomial(c.items, chances[where])
        return rng.poisson(at_observed_total(c, np.sum(numbers * np.exp(grid)[where], axis=1)))

    return draw


def sample_demand(fit: DemandFit, cohorts: Cohorts) -> Draw:
    """Return a draw of CES demand by cohort, zeta anew each time."""
    rho = fit.params().rho

    def draw(rng: np.random.Generator) -> Drawn:
        zeta = max(rng.normal(fit.zeta, fit.std_error), 0.05)
        params = DemandParams(alpha=zeta * rho / (1.0 - rho), rho=rho)
        return split_into_cohorts(simulate_demand(params, cohorts.n_items, fit.total, rng), cohorts)

    return draw
