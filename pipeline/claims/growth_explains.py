"""Geometric Brownian growth gives TVL its power law."""

from __future__ import annotations

from baimo.estimation.growth.censored import CensoredGrowthFit
from baimo.pipeline.claims._models import verdict_on
from baimo.pipeline.claims.claim import Finding, Number, Paper, claim
from baimo.pipeline.figures.of_claims import VERDICTS
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.gbm import GROWTH_FIT, Gbm, GbmSurvivors, GrowthCalibration
from baimo.pipeline.models.gbm_calendar import (
    ALL,
    BY_ADAPTER,
    CALENDAR_FIT,
    LISTED,
    NOT_DATED,
    CalendarGrowth,
    GbmCalendar,
)
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.text import joined

WHO = {
    ALL: "all",
    LISTED: "those with a listing date",
    BY_ADAPTER: "those dated by their adapter",
    NOT_DATED: "those of assumed age",
}


@claim(
    order=140,
    paper=Paper.RUAN,
    where="section 11.2, eq 36-39",
    text="Geometric Brownian growth gives TVL its power law.",
    statistic="GBM over observed ages and entry sizes, with the drift of the interval that follows "
    "or of each period lived through: zeta, top 1 %, numbers from fixed sizes on, "
    "distance of the distributions; growth over the next dates, its spread and persistence against "
    "size, exits and means; in one joint test a drift",
    criterion="fails if both are contradicted; holds if one explains all",
    needs=(COMPARISON, GROWTH_FIT, CALENDAR_FIT),
    figure=VERDICTS,
)
def growth_explains(day: Day) -> Finding:
    """Whether GBM with entry and exit gives the TVL."""
    comparison, fit = day.table(COMPARISON), day.read(GROWTH_FIT)
    calendar = day.read(CALENDAR_FIT)
    verdict, shown, numbers = verdict_on((Gbm(), GbmCalendar()), comparison)
    along = "" if calendar.ks is None else f", along the drift of each period {calendar.ks:.3f}"
    evidence = joined(
        (
            f"{shown}; Kolmogorov-Smirnov distance of the mixture {fit.ks_growth:.3f}{along}, of "
            f"the entry sizes as if nothing had grown {fit.ks_entry_only:.3f}",
            _asked_for(calendar),
            _measured(calendar, fit.at_risk),
        )
    )
    kept = joined(
        (
            "growth is that of the interval after the snapshot, or that of each period; before "
            "2022 it is known of survivors only, an upper bound",
            ages_known(fit),
            verdict_on((GbmSurvivors(),), comparison)[1],
        )
    )
    distance = Number(
        name="Kolmogorov-Smirnov distance of the mixture",
        value=fit.ks_growth,
        held_against=fit.ks_entry_only,
    )
    asked = (
        Number(
            name=f"drift of the log that the sizes of {WHO[who]} ask for, a year",
            value=found.m,
            std_error=found.std_error,
            held_against=fit.at_risk.m,
        )
        for who, found in calendar.asked.items()
    )
    return Finding(verdict, evidence, kept, (*numbers, distance, *asked))


def ages_known(fit: GrowthCalibration) -> str:
    """Say of how many protocols the age is that of the adapter, and of how many it is assumed."""
    n = fit.n_age_by_adapter
    by_adapter = f"that of the first commit of their adapter for {n:,} and " if n else ""
    return (
        f"of {fit.ages.size:,} protocols the age is {by_adapter}assumed for {fit.n_age_assumed:,}"
    )


def _asked_for(calendar: CalendarGrowth) -> str:
    """Say the constant drift that the sizes of the day ask for."""
    parts = [
        f"{found.m:+.2f} ({found.std_error:.2f}) a year of {WHO[who]} (distance {found.ks:.3f})"
        for who, found in calendar.asked.items()
    ]
    return f"the sizes ask for a constant drift of {', '.join(parts)}" if parts else ""


def _measured(calendar: CalendarGrowth, after: CensoredGrowthFit) -> str:
    """Say the drifts that were measured: of the interval that follows, and of each period."""
    periods = [
        f"{drift:+.2f} ({error:.2f}) from {day}"
        for day, drift, error in zip(
            calendar.first_days, calendar.drifts, calendar.drift_errors, strict=True
        )
    ]
    by_period = f"; by period {', '.join(periods)}" if periods else ""
    own = f"{after.m:+.2f} ({after.std_errors[0]:.2f})"
    return f"measured after the snapshot, the gone included, {own}{by_period}"
