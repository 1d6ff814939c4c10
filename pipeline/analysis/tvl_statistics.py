"""Statistics of TVL that data and simulated protocols go through alike, and their covariance.

Of two dates: the share above the exit threshold that is gone later, and the exponent of expected
later size in earlier size. Of one day: the distance of the sizes from a mixture that was
calibrated on the data. Their joint covariance in the data is a jackknife: every statistic without
each category of protocols, the mixture held.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError
from baimo.estimation.growth.size_exponent import fit_size_exponent
from baimo.estimation.samples.curves import ks_of_cdf
from baimo.pipeline.analysis.summary_statistics import Statistics
from baimo.pipeline.variables import EXIT_THRESHOLD
from baimo.simulation.growth.gbm import GrowthParams, mixture_ccdf

EXIT_SHARE, SIZE_EXPONENT, MIXTURE_KS = "exit_share", "size_exponent", "mixture_ks"
GRID = 2_000
MARGIN = 40.0  # log USD beyond the entry sizes


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
    return {EXIT_SHARE: share, SIZE_EXPONENT: exponent}


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
        entry = np.asarray(log_entry, dtype=np.float64)
        grid = np.linspace(float(entry.min()) - MARGIN, float(entry.max()) + MARGIN, GRID)
        return cls(grid, 1.0 - mixture_ccdf(params, np.exp(grid), entry, ages))

    def at(self, sizes: Floats) -> Floats:
        """Return the distribution function at positive sizes."""
        return np.asarray(np.interp(np.log(sizes), self.log_size, self.cdf))

    def measure(self, sizes: Floats) -> Statistics:
        """Return mixture_ks: the distance of the positive sizes from the mixture."""
        positive = np.sort(sizes[sizes > 0])
        return {MIXTURE_KS: ks_of_cdf(self.at(positive)) if positive.size else math.nan}


def without_each(
    measure: Callable[[Ints], Statistics], n: int, groups: Sequence[Ints]
) -> tuple[Statistics, ...]:
    """Return the statistics without each group of rows.

    Parameters
    ----------
    measure
        Measures the items whose rows are given.
    n
        Items.
    """
    rows = np.arange(n)
    return tuple(measure(np.delete(rows, group)) for group in groups)


def jackknife_covariance(without: Sequence[Statistics], names: Sequence[str]) -> Floats:
    """Return the covariance of statistics from those without each cluster: (k, k).

    Raises
    ------
    DataError
        Fewer than two clusters, or a statistic that is not known without one of them.
    """
    values = np.array([[one[name] for name in names] for one in without])
    n = len(without)
    if n < 2:
        raise DataError(f"{n} clusters say nothing of a variance; give at least two")
    if not np.all(np.isfinite(values)):
        lost = [
            name for name, ok in zip(names, np.isfinite(values).all(axis=0), strict=True) if not ok
        ]
        raise DataError(f"{', '.join(lost)}: not known without one of the clusters")
    off = values - values.mean(axis=0)
    return np.asarray((n - 1.0) / n * off.T @ off)
