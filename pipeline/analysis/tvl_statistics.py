"""Statistics of TVL that data and simulated protocols go through alike.

Of two dates: the share above the exit threshold that is gone later, and the exponent of expected
later size in earlier size. Of one day: the distance of the sizes from a mixture that was
calibrated on the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.growth.size_exponent import fit_size_exponent
from baimo.estimation.samples.curves import ks_of_cdf
from baimo.pipeline.analysis.summary_statistics import CohortSample, Statistics, pooled
from baimo.pipeline.statistics import EXIT_SHARE, MIXTURE_KS, SIZE_EXPONENT
from baimo.pipeline.variables import EXIT_THRESHOLD
from baimo.simulation.growth.gbm import GrowthParams, mixture_ccdf

GRID = 2_000
LOWEST, HIGHEST = -40.0, 60.0  # log USD


def measure_exit(before: Floats, after: Floats) -> Statistics:
    """Return exit_share and size_exponent of those above the exit threshold at first.

    Parameters
    ----------
    before, after : (n,)
        Sizes on two dates, USD; NaN in `after`: gone. NaN where too few are left to measure.
    """
    at_risk = before > EXIT_THRESHOLD
    share = float(np.mean(~(after[at_risk] >= EXIT_THRESHOLD))) if at_risk.any() else math.nan
    try:
        exponent = fit_size_exponent(before, after, above=EXIT_THRESHOLD).exponent
    except DataError:
        exponent = math.nan
    return {EXIT_SHARE.name: share, SIZE_EXPONENT.name: exponent}


@dataclass(frozen=True, eq=False)
class Mixture:
    """Distribution function of log size on a grid, to hold many samples against.

    Parameters
    ----------
    log_size, cdf : (g,)
        Between the points of the grid it is linear.
    """

    log_size: Floats
    cdf: Floats

    @classmethod
    def of(cls, params: GrowthParams, log_entry: ArrayLike, ages: ArrayLike) -> Mixture:
        """Return the lognormal mixture over entry sizes and ages."""
        return cls.of_law(lambda x: mixture_ccdf(params, x, log_entry, ages))

    @classmethod
    def of_law(cls, ccdf: Callable[[Floats], Floats]) -> Mixture:
        """Return a law of sizes in USD, given P(X > x)."""
        grid = np.linspace(LOWEST, HIGHEST, GRID)
        return cls(grid, 1.0 - ccdf(np.exp(grid)))

    def at(self, sizes: Floats) -> Floats:
        """Return the distribution function at positive sizes."""
        return np.asarray(np.interp(np.log(sizes), self.log_size, self.cdf))

    def __call__(self, sample: CohortSample) -> Statistics:
        """Return mixture_ks: the distance of the positive sizes from the mixture."""
        counts = pooled(sample).positive()
        sizes = np.repeat(counts.values, counts.multiplicities)
        return {MIXTURE_KS.name: ks_of_cdf(self.at(sizes))}
