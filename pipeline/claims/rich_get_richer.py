"""Inflow in proportion to TVL makes the rich richer."""

from __future__ import annotations

import math

import polars as pl

from baimo.estimation.laws import t_sf
from baimo.estimation.predictive.equivalence import margin_tests
from baimo.pipeline.analysis.populations import COMPANION_FITS
from baimo.pipeline.analysis.two_dates import growth_of_the_large
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.claims.robustness import growth_of_downloads
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.gbm import GROWTH_FIT, GrowthCalibration, slope_under_gbm
from baimo.pipeline.schema.derived import DEFI_POPULATION, TVL_GROWTH_PERIODS
from baimo.pipeline.text import joined
from baimo.pipeline.variables import EXIT_THRESHOLD, HEADLINE

LEVEL = 0.05
MARGIN = 0.1  # of an exponent, as for theta, phi and psi
LARGE = (1e6, 1e7)  # USD
ABOVE = f"above {EXIT_THRESHOLD:,.0f} USD"


@claim(
    order=160,
    paper=Paper.RUAN,
    where="section 11.2, eq 38",
    text="Inflow in proportion to TVL makes the rich richer.",
    statistic="exponent of expected later TVL in earlier TVL (Poisson PML), the gone as zeros, of "
    f"those {ABOVE} on the earlier date; 1 is growth in proportion",
    criterion=f"holds if it exceeds 1 by more than {MARGIN:g}, fails if it exceeds 1 by less "
    f"(one-sided tests, p < {LEVEL:g})",
    needs=(GROWTH_FIT, DEFI_POPULATION, COMPANION_FITS, TVL_GROWTH_PERIODS),
)
def rich_get_richer(day: Day) -> Finding:
    """Whether the large grow faster, as eq 38 is said to imply."""
    growth, population = day.read(GROWTH_FIT), day.table(DEFI_POPULATION)
    kept = joined(
        (
            _by_period(day.table(TVL_GROWTH_PERIODS)),
            _slopes(growth),
            _of_the_large(population),
            _floor_on_both_dates(growth, population),
            "a renamed protocol looks gone; a common shock is not in the errors",
            growth_of_downloads(day.read(COMPANION_FITS)),
        )
    )
    fit, error = growth.exponent, growth.exponent_error
    if fit is None:
        return Finding(Verdict.UNTOLD, f"too few protocols {ABOVE}", kept)
    excess = fit.exponent - 1.0
    p_less, p_more = (t_sf(side * (MARGIN - excess) / error, math.inf) for side in (1, -1))
    p_equal, _p_different = margin_tests(excess, MARGIN, error)
    shown = (
        f"exponent {fit.exponent:.2f} ({error:.2f}) over {fit.n_used:,} protocols, "
        f"{fit.n_gone:,} of them gone; above {1 + MARGIN:g}: p {p_more:.2f}, below it: p "
        f"{p_less:.2f}, within {MARGIN:g} of 1: p {p_equal:.2f}; inflow split by size gives every "
        "protocol the same lambda and moves no share"
    )
    number = Number(
        name="exponent of expected later size in earlier size",
        value=fit.exponent,
        std_error=error,
        held_against=1.0,
    )
    if p_more < LEVEL:
        return Finding(Verdict.HOLDS, shown, kept, (number,))
    verdict = Verdict.FAILS if p_less < LEVEL else Verdict.UNTOLD
    return Finding(verdict, shown, kept, (number,))


def _by_period(periods: pl.DataFrame) -> str:
    """Say the exponent of each period."""
    own = periods.filter(pl.col("population") == HEADLINE.name).sort("before_on")
    parts = [
        f"{b:.2f} ({s:.2f}) from {day}"
        for day, b, s in own.select(
            "before_on", "size_exponent", "size_exponent_std_error"
        ).iter_rows()
    ]
    return f"by period: {', '.join(parts)}" if parts else ""


def _slopes(growth: GrowthCalibration) -> str:
    """Say the slopes of log growth on log size of those that survive, which are not of means."""
    parts = [
        f"{title} {fit.size_slope:+.3f} ({fit.size_slope_std_error:.3f}) over {fit.n_used:,}"
        for title, fit in (("all", growth.population), (ABOVE, growth.alive))
    ]
    return f"slope of log growth on log size of survivors, a year: {', '.join(parts)}"


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
