"""What the models say of the likes gained between two days, measured as the data were.

A mechanism calibrated on one cross-section says what items of given likes and age gain next: Yule's
process and Simon's urn in proportion to likes (plus a); CES and rates that differ from entry on at
a rate of one's own, of which the likes so far are the evidence. All are brought to the observed
total, and refitted alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.attachment.kernel import kernel_point
from baimo.estimation.attachment.noise import fit_noise
from baimo.estimation.errors import DataError
from baimo.pipeline.analysis.increments import ALONE_FROM, KERNEL_FIT, KernelCalibration
from baimo.pipeline.analysis.summary_statistics import Statistics
from baimo.pipeline.lake.results import Day
from baimo.pipeline.statistics import PHI, PSI, THETA


def whole_hub_kernel(day: Day) -> KernelCalibration | None:
    """Return the attachment kernel calibrated on a day.

    None where there is none, where its repositories are a sample of the Hub, or where likes did
    not grow.
    """
    found = day.read(KERNEL_FIT)
    return found if found is not None and found.whole and found.total_gain > 0 else None


def at_observed_total(c: KernelCalibration, rates: Floats) -> Floats:
    """Bring rates to the observed total."""
    return rates * (c.total_gain / max(float(rates.sum()), 1e-300))


@dataclass(frozen=True, eq=False)
class MeasuredIncrements:
    """Draws increments of every cell, and measures them as the data were.

    Parameters
    ----------
    observed
        Stocks, ages and numbers of items, and the total.
    sample
        Returns the increment of each cell.
    """

    observed: KernelCalibration
    sample: Callable[[np.random.Generator], Ints]

    def __call__(self, rng: np.random.Generator) -> Statistics:
        """Return theta, phi and, where theta exists, psi."""
        c = self.observed
        items, alone = c.items.astype(np.float64), c.stock >= ALONE_FROM
        increments = self.sample(rng).astype(np.float64)
        theta, offset, phi = kernel_point(c.stock, c.age, increments, items)
        found = {THETA.name: theta, PHI.name: phi}
        if math.isfinite(theta):
            rates = items * (c.stock + offset) ** theta * c.age**phi
            expected = rates * (increments.sum() / rates.sum())
            stock = c.stock[alone]
            try:
                noise = fit_noise(stock, stock + increments[alone], expected[alone])
                found[PSI.name] = noise.psi
            except DataError:
                found[PSI.name] = math.nan
        return found
