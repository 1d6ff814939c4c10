"""The data in the form in which mechanisms are drawn and judged: by age cohort."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from baimo.estimation.tails.cohorts import CohortsFit
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.analysis.summary_statistics import UNDATED, Drawn, Statistics, measure_drawn
from baimo.pipeline.analysis.two_dates import measure_movement, movement_errors, two_dates
from baimo.pipeline.variables import N_COHORTS


def observed_statistics(
    seen: Mapping[str, Drawn], fits: Mapping[str, SizeFits]
) -> dict[str, Statistics]:
    """Measure the data as every simulated sample is measured."""
    out = {}
    for name, fit in fits.items():
        drawn = seen.get(name, {UNDATED: fit.counts})
        out[name] = measure_drawn(drawn, discrete=fit.tail.discrete, x_min=fit.tail.x_min)
    return out


def seen_later(
    statistics: Mapping[str, Statistics],
    kernel: KernelCalibration | None,
    population: pl.DataFrame,
) -> dict[str, Statistics]:
    """Add what the data say of the following interval: gains of likes, growth of TVL."""
    later = {"tvl": measure_movement(*two_dates(population))}
    if kernel is not None and kernel.whole:
        later["likes"] = kernel.statistics()[0]
    return {name: found | later.get(name, {}) for name, found in statistics.items()}


def clustered_errors(
    cohorts: Mapping[str, CohortsFit],
    kernel: KernelCalibration | None,
    population: pl.DataFrame,
) -> dict[str, dict[str, float]]:
    """Return, by measure, errors clustered by author (Hub) or category (DeFi)."""
    found: dict[str, dict[str, float]] = {
        name: {"zeta_oldest": float(fit.std_error[-1])}
        for name, fit in cohorts.items()
        if fit.zeta.size == N_COHORTS  # else the oldest may be among those left out
    }
    if kernel is not None and kernel.whole:
        found["likes"] = found.get("likes", {}) | kernel.statistics()[1]
    return found | {"tvl": movement_errors(population)}
