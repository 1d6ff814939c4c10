"""The exponent that a long history of growth, exit and entry would give (eq 39, corrected).

zeta solves zeta m + zeta^2 sigma^2/2 = n + delta: the root exists only where the turnover of ages
n + delta is positive. `baimo.simulation.growth.gbm` has the equation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import EstimationError
from baimo.estimation.growth.censored import CensoredGrowthFit, fit_censored_growth
from baimo.estimation.growth.entry import EntryTrendFit
from baimo.estimation.results import Estimate, registered

N_REPLICATIONS, FEWEST_WITH_TAIL = 400, 100


@registered("ZetaBootstrap")
@dataclass(frozen=True, kw_only=True)
class ZetaBootstrap:
    """95 % interval of the asymptotic zeta over the resamples that have one.

    Parameters
    ----------
    low, high
        Ends, percentiles.
    without_tail
        Share of the resamples in which exit and growing entry sum to nothing: ages then have no
        stationary mixture, and sizes no tail.
    """

    low: float
    high: float
    without_tail: float


def asymptotic_zeta(growth: CensoredGrowthFit, entry: EntryTrendFit | None) -> Estimate:
    """Return the asymptotic zeta with its delta-method error, None where no tail exists."""
    params = growth.params(entry_growth=entry.rate if entry else 0.0)
    if params.exit_rate + params.entry_growth <= 0:
        return Estimate(value=None)
    zeta, s2 = params.zeta, params.sigma**2
    slope = s2 * zeta + params.m
    gradient = np.array([-zeta, -(zeta**2) / 2.0, 1.0]) / slope  # in (m, sigma^2, exit rate)
    of_entry = (entry.std_error if entry else 0.0) / slope
    variance = float(gradient @ growth.covariance @ gradient) + of_entry**2
    return Estimate(value=zeta, std_error=math.sqrt(variance))


def bootstrap_asymptotic_zeta(
    before: Floats,
    after: Floats,
    groups: Sequence[Ints],
    entry: EntryTrendFit | None,
    *,
    years: float,
    floor: float,
    rng: np.random.Generator,
) -> ZetaBootstrap | None:
    """Resample whole groups of items, and draw the trend of entry from its error.

    Parameters
    ----------
    before, after : (n,)
        Sizes on two dates, NaN for gone; below `floor` they are gone as well.
    groups
        Rows of each group of items that share shocks.

    Returns
    -------
    ZetaBootstrap or None
        None where fewer than a hundred of four hundred resamples have a tail, or one cannot be
        fitted.
    """
    found = []
    for _ in range(N_REPLICATIONS):
        rows = np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
        trend = 0.0 if entry is None else entry.rate + entry.std_error * rng.standard_normal()
        try:
            fit = fit_censored_growth(before[rows], after[rows], years=years, floor=floor)
        except EstimationError:
            return None
        params = fit.params(entry_growth=float(trend))
        if params.exit_rate + params.entry_growth > 0:
            found.append(params.zeta)
    if len(found) < FEWEST_WITH_TAIL:
        return None
    low, high = np.quantile(found, [0.025, 0.975])
    return ZetaBootstrap(
        low=float(low), high=float(high), without_tail=1.0 - len(found) / N_REPLICATIONS
    )
