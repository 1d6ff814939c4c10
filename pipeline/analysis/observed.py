"""The data as models are held against them: statistics by variable."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.analysis.summary_statistics import (
    UNDATED,
    CohortSample,
    Statistics,
    measure_sample,
)
from baimo.pipeline.analysis.two_dates import measure_growth, two_dates
from baimo.pipeline.variables import LIKES, TVL, VARIABLES


def observed_statistics(
    by_cohort: Mapping[str, CohortSample],
    fits: Mapping[str, SizeFits],
    kernel: KernelCalibration | None,
    population: pl.DataFrame,
) -> dict[str, Statistics]:
    """Measure the data as every simulated sample is measured, and what came next.

    Parameters
    ----------
    by_cohort
        By variable; without cohorts the whole sample is measured.
    kernel, population
        Of the following interval: increments of likes between two days, TVL on two dates.
    """
    later = {TVL.name: measure_growth(*two_dates(population))}
    if kernel is not None and kernel.whole:
        later[LIKES.name] = kernel.statistics()[0]
    out = {}
    for name, fit in fits.items():
        sample = by_cohort.get(name, {UNDATED: fit.counts})
        found = measure_sample(sample, VARIABLES[name], fit.tail.x_min, scanned=True)
        out[name] = found | later.get(name, {})
    return out
