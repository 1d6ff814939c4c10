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
from baimo.pipeline.analysis.summary_statistics import Statistics
from baimo.pipeline.datasets.defi import category_rows
from baimo.pipeline.settings import SEED
from baimo.pipeline.variables import DAYS_PER_YEAR, EXIT_THRESHOLD, expand

FEWEST = 20


MOVED = ("size_slope", "spread_slope", "autocorrelation")


def two_dates(population: pl.DataFrame) -> tuple[Floats, Floats, float]:
    """Return TVL on both dates of those positive on the first (NaN: gone), and years between."""
    rows = expand(population, "n_protocols").filter(pl.col("tvl_before") > 0)
    years = (rows["after_on"][0] - rows["before_on"][0]).days / DAYS_PER_YEAR
    after = rows["tvl_after"].fill_null(math.nan).to_numpy()
    return rows["tvl_before"].to_numpy(), after, years


def measure_movement(before: Floats, after: Floats, years: float) -> Statistics:
    """Measure growth against size: the one function that data and simulations go through.

    Returns
    -------
    dict
        size_slope: of yearly log growth on log size; spread_slope: of log |residual| on log size;
        autocorrelation: of log sizes. Empty with fewer than twenty protocols.
    """
    both = (before > EXIT_THRESHOLD) & (after > EXIT_THRESHOLD)
    if both.sum() < FEWEST:
        return {}
    x, y = np.log(before[both]), np.log(after[both])
    growth = (y - x) / years
    slope, level = np.polyfit(x, growth, 1)
    residual = np.abs(growth - slope * x - level)
    moved = residual > 0
    spread = np.polyfit(x[moved], np.log(residual[moved]), 1)[0]
    values = (float(slope), float(spread), float(np.corrcoef(x, y)[0, 1]))
    return dict(zip(MOVED, values, strict=True))


def movement_errors(population: pl.DataFrame, *, n_replications: int = 400) -> Statistics:
    """Return standard errors of `measure_movement`, categories of protocols resampled whole.

    Protocols of one category (lending, bridges) share shocks; a null category is one of its own.
    """
    rows = expand(population, "n_protocols").filter(pl.col("tvl_before") > 0)
    before, after, years = two_dates(population)
    parts = category_rows(rows)
    rng = np.random.default_rng([SEED, 36])
    found = []
    for _ in range(n_replications):
        chosen = np.concatenate([parts[i] for i in rng.integers(0, len(parts), len(parts))])
        drawn = measure_movement(before[chosen], after[chosen], years)
        if drawn:
            found.append(list(drawn.values()))
    if len(found) < FEWEST:
        return {}
    return dict(zip(MOVED, np.std(found, axis=0, ddof=1).tolist(), strict=True))


def slope_above(
    before: Floats, after: Floats, years: float, cutoff: float
) -> tuple[float, float, int] | None:
    """Return slope on log size, its error (HC3) and n of those above a cut-off on the first date.

    Choosing by the earlier size alone leaves the slope as it is; a floor on both dates lowers it,
    for the small that fell are left out. Those below the exit threshold later are gone. None with
    fewer than twenty.
    """
    from statsmodels.api import OLS, add_constant

    kept = (before > cutoff) & (after > EXIT_THRESHOLD)
    if kept.sum() < FEWEST:
        return None
    x = np.log(before[kept])
    fit = OLS((np.log(after[kept]) - x) / years, add_constant(x)).fit(cov_type="HC3")
    return float(fit.params[1]), float(fit.bse[1]), int(kept.sum())
