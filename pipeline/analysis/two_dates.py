"""Protocols between two dates, in the data and under GBM: who grows, by how much, who stays ahead.

Gibrat's law, which a GBM obeys, has growth and its spread independent of size. Both are measured on
the protocols above the exit threshold on both dates; a simulated population loses its exits and is
cut at the same threshold.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.growth.on_size import (
    GrowthOnSize,
    fit_growth_on_size,
)
from baimo.estimation.growth.size_exponent import (
    SizeExponent,
    exponents_without,
    fit_size_exponent,
    jackknife_error,
)
from baimo.pipeline.analysis.summary_statistics import Statistics
from baimo.pipeline.analysis.tvl_statistics import measure_exit
from baimo.pipeline.datasets.defi import category_rows
from baimo.pipeline.statistics import AUTOCORRELATION, SIZE_SLOPE, SPREAD_SLOPE
from baimo.pipeline.variables import DAYS_PER_YEAR, EXIT_THRESHOLD, expand


def two_dates(population: pl.DataFrame) -> tuple[Floats, Floats, float]:
    """Return TVL on both dates of those positive on the first (NaN: gone), and years between."""
    rows = expand(population, "n_protocols").filter(pl.col("tvl_before") > 0)
    years = (rows["after_on"][0] - rows["before_on"][0]).days / DAYS_PER_YEAR
    after = rows["tvl_after"].fill_null(math.nan).to_numpy()
    return rows["tvl_before"].to_numpy(), after, years


def measure_growth(before: Floats, after: Floats, years: float) -> Statistics:
    """Measure growth against size: the one function that data and simulations go through.

    Returns
    -------
    dict
        size_slope: of yearly log growth on log size; spread_slope: of log |residual| on log size;
        autocorrelation: of log sizes. Empty with fewer than twenty protocols.
    """
    try:
        found = fit_growth_on_size(
            before, after, years=years, above=EXIT_THRESHOLD, floor=EXIT_THRESHOLD
        )
    except DataError:
        return {}
    return {
        SIZE_SLOPE.name: found.slope,
        SPREAD_SLOPE.name: found.spread_slope,
        AUTOCORRELATION.name: found.autocorrelation,
        **measure_exit(before, after),
    }


def size_exponent(population: pl.DataFrame) -> tuple[SizeExponent | None, float]:
    """Return the exponent of expected later size in earlier size, and its error.

    Of those above the exit threshold on the earlier date, the gone as zeros. The error is the
    larger of the robust one and a jackknife over categories: sums of TVL hang on few protocols, and
    the scores of one category can cancel. (None, NaN) with fewer than twenty.
    """
    rows = expand(population, "n_protocols").filter(pl.col("tvl_before") > 0)
    before, after, _ = two_dates(population)
    try:
        found = fit_size_exponent(before, after, above=EXIT_THRESHOLD)
    except DataError:
        return None, math.nan
    without = exponents_without(before, after, category_rows(rows), above=EXIT_THRESHOLD)
    return found, float(np.fmax(found.std_error, jackknife_error(without)))


def growth_of_the_large(population: pl.DataFrame, cutoff: float) -> GrowthOnSize | None:
    """Return growth against size of those above a cut-off on the first date (HC3 errors).

    Those below the exit threshold later are gone. None with fewer than twenty.
    """
    before, after, years = two_dates(population)
    try:
        return fit_growth_on_size(before, after, years=years, above=cutoff, floor=EXIT_THRESHOLD)
    except DataError:
        return None
