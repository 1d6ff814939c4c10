"""A sample by age cohort, and what is measured on it: data and simulations alike."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from baimo.estimation.errors import DataError
from baimo.estimation.predictive.replicate import measure_sizes
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail

UNDATED = -1  # the cohort of items whose age is not known
FEWEST_IN_TAIL = 20

Drawn = dict[int, Counts]
Statistics = dict[str, float]
Refits = dict[tuple[str, str], tuple[Statistics, ...]]
"""By (model, measure): the statistics of every simulated sample."""


def measure_drawn(drawn: Drawn, *, discrete: bool, x_min: float) -> Statistics:
    """Measure a sample by cohorts: the one function that data and simulations both go through.

    Beside `measure_sizes` of all items: the decimal logarithm of the number of items of `x_min`
    and more (plus one), the share of these that belong to the younger two fifths of the dated
    items, and zeta of each cohort above that x_min (`zeta_oldest` again for the last).
    """
    every = pooled(drawn)
    found = measure_sizes(every, discrete=discrete)
    found["tail_items"] = math.log10(1.0 + _at_least(every, x_min))
    dated = {c: counts for c, counts in drawn.items() if c != UNDATED}
    if not dated:
        return found
    large = {c: _at_least(counts, x_min) for c, counts in dated.items()}
    total = sum(large.values())
    young = sum(n for c, n in large.items() if c < 2)
    found["young_in_tail"] = young / total if total else math.nan
    for c, counts in dated.items():
        found[f"zeta_cohort_{c + 1}"] = _zeta(counts, x_min, discrete)
    found["zeta_oldest"] = found[f"zeta_cohort_{max(dated) + 1}"]
    return found


def _at_least(counts: Counts, x: float) -> int:
    return int(counts.multiplicities[counts.values >= x].sum())


def _zeta(counts: Counts, x_min: float, discrete: bool) -> float:
    if _at_least(counts, x_min) < FEWEST_IN_TAIL:
        return math.nan
    try:
        return fit_tail(counts, discrete=discrete, x_min=x_min).zeta
    except DataError:
        return math.nan


def pooled(drawn: Mapping[int, Counts]) -> Counts:
    """Return all cohorts together."""
    parts = list(drawn.values())
    if len(parts) == 1:
        return parts[0]
    return Counts.from_pairs(
        np.concatenate([c.values for c in parts]),
        np.concatenate([c.multiplicities for c in parts]),
    )
