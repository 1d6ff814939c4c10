"""Poisson counts at lognormal rates that differ from entry on and fade with age."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import EstimationError
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit, fit_poisson_rates
from baimo.pipeline.analysis.cohorts import (
    Cohorts,
    split_into_cohorts,
)
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.models.base import GRID, REACH, Draw, at_observed_total, normalised
from baimo.pipeline.variables import (
    hub_ages,
)
from baimo.simulation.heterogeneity.poisson_rates import simulate_poisson_rates


def sample_rate_increments(
    c: KernelCalibration, fit: PoissonRatesFit
) -> Callable[[np.random.Generator], Ints]:
    """Draw Poisson gains at lognormal rates, each drawn from what its likes and age leave of it."""
    prior = fit.mu + fit.phi * np.log(c.age)
    variance = max(fit.sigma, 1e-6) ** 2
    x = _mode(c.stock, prior, variance)
    sd = 1.0 / np.sqrt(np.exp(x) + 1.0 / variance)
    grid = x[:, None] + sd[:, None] * np.linspace(-REACH, REACH, GRID)
    log_density = c.stock[:, None] * grid - np.exp(grid)
    log_density -= (grid - prior[:, None]) ** 2 / (2.0 * variance)
    chances = normalised(log_density)
    onward = (1.0 + c.years / c.age) ** fit.phi - 1.0  # of the rate so far, in the years to come

    def draw(rng: np.random.Generator) -> Ints:
        numbers = rng.multinomial(c.items, chances)
        return rng.poisson(at_observed_total(c, onward * np.sum(numbers * np.exp(grid), axis=1)))

    return draw


def _mode(stock: Floats, prior: Floats, variance: float) -> Floats:
    """Return the mode of L x - e^x - (x - m)^2/(2 v) by Newton's method (concave)."""
    x = np.where(stock > 0, np.log(np.maximum(stock, 1.0)), np.minimum(prior, 0.0))
    for _ in range(50):
        slope = stock - np.exp(x) - (x - prior) / variance
        step = slope / (np.exp(x) + 1.0 / variance)
        x = x + np.clip(step, -2.0, 2.0)
        if np.max(np.abs(step)) < 1e-10:
            break
    return x


def fit_rates(frequency: pl.DataFrame, day: date) -> dict[str, PoissonRatesFit]:
    """Fit lognormal rates to downloads and likes over ages, where there is something to fit."""
    dated, _ = hub_ages(frequency, day)
    found = {}
    for name in ("downloads", "likes"):
        pairs = dated.group_by("age", name).agg(pl.col("n_models").sum()).sort("age", name)
        with suppress(EstimationError):
            found[name] = fit_poisson_rates(
                pairs["age"].to_numpy(), pairs[name].to_numpy(), pairs["n_models"].to_numpy()
            )
    return found


def sample_poisson_rates(
    fit: PoissonRatesFit, attachment: AttachmentCalibration, cohorts: Cohorts
) -> Draw:
    """Return a draw of Poisson counts at lognormal rates, by cohort."""
    ages = np.concatenate([np.full(cohorts.n_undated, attachment.entry.horizon), cohorts.ages])
    return lambda rng: split_into_cohorts(simulate_poisson_rates(fit.params, ages, rng), cohorts)
