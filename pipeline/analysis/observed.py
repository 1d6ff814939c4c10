"""The data as models are held against them: statistics by variable, and their errors."""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

from baimo.estimation.tails.cohorts import CohortsFit
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.analysis.summary_statistics import (
    UNDATED,
    CohortSample,
    Statistics,
    measure_sample,
)
from baimo.pipeline.analysis.two_dates import growth_errors, measure_growth, two_dates
from baimo.pipeline.statistics import YOUNG_IN_TAIL, ZETA, ZETA_OLDEST
from baimo.pipeline.variables import LIKES, N_COHORTS, TVL


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
        found = measure_sample(sample, discrete=fit.tail.discrete, x_min=fit.tail.x_min)
        out[name] = found | later.get(name, {})
    return out


def observed_errors(
    observed: Mapping[str, Statistics],
    fits: Mapping[str, SizeFits],
    cohorts: Mapping[str, CohortsFit],
    kernel: KernelCalibration | None,
    population: pl.DataFrame,
) -> dict[str, dict[str, float]]:
    """Return, by variable, the sampling errors of the data that clusters make larger than a draw's.

    Clusters are authors (Hub) or categories (DeFi).
    """
    found = {name: _tail_errors(fit, observed[name]) for name, fit in fits.items()}
    for name, fit in cohorts.items():
        if fit.zeta.size == N_COHORTS:  # else the oldest may be among those left out
            found[name][ZETA_OLDEST.name] = float(fit.std_error[-1])
    if kernel is not None and kernel.whole:
        found[LIKES.name] |= kernel.statistics()[1]
    found[TVL.name] |= growth_errors(population)
    return found


def _tail_errors(fit: SizeFits, seen: Statistics) -> dict[str, float]:
    errors = {ZETA.name: fit.tail.std_error_clustered}
    share = seen.get(YOUNG_IN_TAIL.name, math.nan)
    if math.isfinite(share):
        effect = fit.tail.design_effect or 1.0
        errors[YOUNG_IN_TAIL.name] = math.sqrt(effect * share * (1.0 - share) / fit.tail.n_tail)
    return errors
