"""A sample by age cohort, and what is measured on it: data and simulations alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from baimo.estimation.errors import DataError
from baimo.estimation.predictive.replicate import measure_sizes
from baimo.estimation.results import registered
from baimo.estimation.samples.concentration import measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.statistics import (
    SHARE_ZERO,
    TAIL_ITEMS,
    TOP_1PCT,
    UPPER,
    YOUNG_COHORTS,
    YOUNG_IN_TAIL,
    ZETA,
    ZETA_GAP,
    zeta_of_cohort,
)
from baimo.pipeline.variables import N_COHORTS, Variable

UNDATED = -1  # the cohort of items whose age is not known
FEWEST_IN_TAIL = 20

CohortSample = dict[int, Counts]
"""By age cohort, 0 the youngest: the sizes of its items."""
Statistics = dict[str, float]
"""By the name of a `Statistic`."""


@registered("Simulated")
@dataclass(frozen=True, eq=False, kw_only=True)
class Simulated:
    """What was measured on the samples of one model of one variable.

    Parameters
    ----------
    samples
        Statistics of every sample at the estimated parameters.
    slopes
        By parameter: derivative of the mean of each statistic.
    """

    samples: tuple[Statistics, ...]
    slopes: Mapping[str, Statistics]


Refits = dict[tuple[str, str], Simulated]
"""By (label of the model, variable)."""


def measure_sample(
    sample: CohortSample, variable: Variable, x_min: float, *, scanned: bool = False
) -> Statistics:
    """Measure a sample by cohorts: the one function that data and simulations both go through.

    Every tail statistic is taken at the x_min of the data or at fixed sizes: zeta, decimal
    logarithms of numbers of items (plus one), the share of the largest that belong to the younger
    two fifths of the dated items, zeta of each cohort, and zeta of the oldest less that of the
    youngest; with the share of zeros, and that of the total held by the top 1 % of the positive.
    Scanned, what `measure_sizes` finds at an x_min of the sample's own is added.
    """
    every, discrete = pooled(sample), variable.discrete
    found = {
        ZETA.name: _zeta(every, x_min, discrete),
        SHARE_ZERO.name: every.n_zero / every.n_obs,
        TOP_1PCT.name: _top_share(every),
        TAIL_ITEMS.name: _log10_number(every, x_min),
    }
    found |= {s.name: _log10_number(every, cut) for s, cut in UPPER[variable.name]}
    if scanned:
        found |= measure_sizes(every, discrete=discrete)
    dated = {c: counts for c, counts in sample.items() if c != UNDATED}
    if not dated:
        return found
    large = {c: _at_least(counts, x_min) for c, counts in dated.items()}
    total = sum(large.values())
    young = sum(n for c, n in large.items() if c < YOUNG_COHORTS)
    found[YOUNG_IN_TAIL.name] = young / total if total else math.nan
    for c, counts in dated.items():
        found[zeta_of_cohort(c)] = _zeta(counts, x_min, discrete)
    ends = (found.get(zeta_of_cohort(c), math.nan) for c in (N_COHORTS - 1, 0))
    found[ZETA_GAP.name] = next(ends) - next(ends)
    return found


def _top_share(counts: Counts) -> float:
    if counts.n_zero == counts.n_obs:
        return math.nan
    return measure_concentration(counts.positive()).top_1pct


def _at_least(counts: Counts, x: float) -> int:
    return int(counts.multiplicities[counts.values >= x].sum())


def _log10_number(counts: Counts, x: float) -> float:
    return math.log10(1.0 + _at_least(counts, x))


def _zeta(counts: Counts, x_min: float, discrete: bool) -> float:
    if _at_least(counts, x_min) < FEWEST_IN_TAIL:
        return math.nan
    try:
        return fit_tail(counts, discrete=discrete, x_min=x_min).zeta
    except DataError:
        return math.nan


def pooled(sample: Mapping[int, Counts]) -> Counts:
    """Return all cohorts together."""
    parts = list(sample.values())
    if len(parts) == 1:
        return parts[0]
    return Counts.from_pairs(
        np.concatenate([c.values for c in parts]),
        np.concatenate([c.multiplicities for c in parts]),
    )
