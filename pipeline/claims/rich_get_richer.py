"""Inflow in proportion to TVL makes the rich richer."""

from __future__ import annotations

import math

import polars as pl

from baimo.pipeline.analysis.populations import COMPANION_FITS
from baimo.pipeline.analysis.two_dates import growth_of_the_large
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.claims.robustness import growth_of_downloads
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.gbm import GROWTH_FIT, GrowthCalibration, slope_under_gbm
from baimo.pipeline.schema.derived import DEFI_POPULATION
from baimo.pipeline.text import joined
from baimo.pipeline.variables import EXIT_THRESHOLD

SIGNIFICANT = 1.96  # z
LARGE = (1e6, 1e7)  # USD
ABOVE = f"above {EXIT_THRESHOLD:,.0f} USD"


@claim(
    order=160,
    paper=Paper.RUAN,
    where="section 11.2, eq 38",
    text="Inflow in proportion to TVL makes the rich richer.",
    statistic="slope of log growth on log size over the population",
    criterion=f"holds if positive (z > {SIGNIFICANT:g}) for all and for those {ABOVE}; fails if "
    "for neither",
    needs=(GROWTH_FIT, DEFI_POPULATION, COMPANION_FITS),
)
def rich_get_richer(day: Day) -> Finding:
    """Whether the large grow faster, as eq 38 is said to imply."""
    growth, population = day.read(GROWTH_FIT), day.table(DEFI_POPULATION)
    parts, signs, numbers = [], [], []
    for title, fit in (("all", growth.population), (ABOVE, growth.alive)):
        z = fit.size_slope / fit.size_slope_std_error
        signs.append(0 if abs(z) < SIGNIFICANT else int(math.copysign(1, z)))
        parts.append(
            f"{title}: {fit.size_slope:+.3f} a year per log USD ({fit.size_slope_std_error:.3f}) "
            f"over {fit.n_used:,} protocols"
        )
        numbers.append(
            Number(
                name=f"slope of growth on size, {title}",
                value=fit.size_slope,
                std_error=fit.size_slope_std_error,
                held_against=0.0,
            )
        )
    if all(s > 0 for s in signs):
        verdict = Verdict.HOLDS
    else:
        verdict = Verdict.FAILS if all(s <= 0 for s in signs) else Verdict.PART
    return Finding(
        verdict,
        "slope of log growth on log size: " + "; ".join(parts) + "; inflow split by size gives "
        "every protocol the same lambda and moves no share",
        joined(
            (
                _of_the_large(population),
                _floor_on_both_dates(growth, population),
                "survivors of one interval; a common shock is not in the errors",
                growth_of_downloads(day.read(COMPANION_FITS)),
            )
        ),
        tuple(numbers),
    )


def _of_the_large(population: pl.DataFrame) -> str:
    """Say the slope of growth on size among protocols above a size on the earlier date."""
    if population.is_empty():
        return ""
    found = [(c, growth_of_the_large(population, c)) for c in LARGE]
    parts = [
        f"{s.slope:+.3f} ({s.std_error:.3f}) above {c / 1e6:,.0f} million USD ({s.n_used:,})"
        for c, s in found
        if s is not None
    ]
    return f"chosen by the earlier size alone: {', '.join(parts)}" if parts else ""


def _floor_on_both_dates(calibration: GrowthCalibration, population: pl.DataFrame) -> str:
    """Say what a floor on both dates does to the slope of a process that has none."""
    if population.is_empty():
        return ""
    slope = slope_under_gbm(calibration, population)
    if math.isnan(slope):
        return ""
    return f"the floor on both dates alone gives a GBM {slope:+.3f}"
