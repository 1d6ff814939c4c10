"""What a model is, and what several samplers share."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.attachment.kernel import kernel_point
from baimo.estimation.attachment.noise import fit_noise
from baimo.estimation.errors import DataError
from baimo.pipeline.analysis.increments import ALONE_FROM, KernelCalibration
from baimo.pipeline.analysis.summary_statistics import (
    Drawn,
    Statistics,
)

# Of a log rate: points, and standard deviations on either side of its mode.
GRID, REACH = 96, 7.0

DrawGains = Callable[[np.random.Generator], Statistics]


def at_observed_total(c: KernelCalibration, rates: Floats) -> Floats:
    """Bring rates to the observed total."""
    return rates * (c.total_gain / max(float(rates.sum()), 1e-300))


def measured_increments(
    c: KernelCalibration, draw: Callable[[np.random.Generator], Ints]
) -> DrawGains:
    """Return a draw of increments that is measured as the data were."""
    items, alone = c.items.astype(np.float64), c.stock >= ALONE_FROM

    def statistics(rng: np.random.Generator) -> Statistics:
        gains = draw(rng).astype(np.float64)
        theta, offset, phi = kernel_point(c.stock, c.age, gains, items)
        found = {"theta": theta, "phi": phi}
        if math.isfinite(theta):
            rates = items * (c.stock + offset) ** theta * c.age**phi
            expected = rates * (gains.sum() / rates.sum())
            stock = c.stock[alone]
            try:
                found["psi"] = fit_noise(stock, stock + gains[alone], expected[alone]).psi
            except DataError:
                found["psi"] = math.nan
        return found

    return statistics


def normalised(log_density: Floats) -> Floats:
    """Return the densities of each row as chances that sum to one, or hardly less."""
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    chances = density / density.sum(axis=1, keepdims=True)
    return np.asarray(chances * (1.0 - 1e-12))  # rounding must not exceed one


Draw = Callable[[np.random.Generator], Drawn]
