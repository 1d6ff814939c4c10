"""A sample by age cohort, and what is measured on it: data and simulations alike."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from baimo.estimation.errors import DataError
from baimo.estimation.predictive.replicate import measure_sizes
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.statistics import TAIL_ITEMS, YOUNG_IN_TAIL, ZETA_OLDEST

UNDATED = -1  # the cohort of items whose age is not known
FEWEST_IN_TAIL = 20
YOUNG_COHORTS = 2  # of five

CohortSample = dict[int, Counts]
"""By age cohort, 0 the youngest: the sizes of its items."""
Statistics = dict[str, float]
"""By the name of a `Statistic`."""
Refits = dict[tuple[str, str], tuple[Statistics, ...]]
"""By (label of the model, variable): the statistics of every simulated sample."""


def measure_sample(sample: CohortSample, *, discrete: bool, x_min: float) -> Statistics:
    """Measure a sample by cohorts: the one function that data and simulations both go through.

    Beside `measure_sizes` of all items: the decimal logarithm of the number of items of `x_min`
    and more (plus one), the share of these that belong to the younger two fifths of the dated
    items, and zeta of each cohort above that x_min (`zeta_oldest` again for the last).
    """
    every = pooled(sample)
    found = measure_sizes(every, discrete=discrete)
    found[TAIL_ITEMS.name] = math.log10(1.0 + _at_least(every, x_min))
    dated = {c: counts for c, counts in sample.items() if c != UNDATED}
    if not dated:
        return found
    large = {c: _at_least(counts, x_min) for c, counts in dated.items()}
    total = sum(large.values())
    young = sum(n for c, n in large.items() if c < YOUNG_COHORTS)
    found[YOUNG_IN_TAIL.name] = young / total if total else math.nan
    for c, counts in dated.items():
        found[zeta_of_cohort(c)] = _zeta(counts, x_min, discrete)
    found[ZETA_OLDEST.name] = found[zeta_of_cohort(max(dated))]
    return found


def zeta_of_cohort(cohort: int) -> str:
    """Return the name under which the zeta of a cohort is kept; 0 is the youngest."""
    return f"zeta_cohort_{cohort + 1}"


def _at_least(counts: Counts, x: float) -> int:
    return int(counts.multiplicities[counts.values >= x].sum())


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
