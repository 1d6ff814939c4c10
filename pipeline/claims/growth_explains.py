"""Geometric Brownian growth gives TVL its power law."""

from __future__ import annotations

from baimo.pipeline.claims._models import verdict_on
from baimo.pipeline.claims.claim import Finding, Number, Paper, claim
from baimo.pipeline.figures.of_claims import VERDICTS
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.gbm import GROWTH_FIT, Gbm, GbmSurvivors
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.text import joined


@claim(
    order=140,
    paper=Paper.RUAN,
    where="section 11.2, eq 36-39",
    text="Geometric Brownian growth gives TVL its power law.",
    statistic="GBM over observed ages and entry sizes: zeta, top 1 %, size of the tail; growth "
    "over the next dates, its spread and persistence against size; jointly (Holm)",
    criterion="fails if one lies beyond its margin; holds if all lie within",
    needs=(COMPARISON, GROWTH_FIT),
    figure=VERDICTS,
)
def growth_explains(day: Day) -> Finding:
    """Whether GBM with entry and exit gives the TVL."""
    comparison, fit = day.table(COMPARISON), day.read(GROWTH_FIT)
    verdict, shown, numbers = verdict_on((Gbm(),), comparison)
    evidence = (
        f"{shown}; Kolmogorov-Smirnov distance of the mixture {fit.ks_growth:.3f}, of the entry "
        f"sizes as if nothing had grown {fit.ks_entry_only:.3f}"
    )
    kept = joined(
        (
            "growth is that of the interval after the snapshot",
            verdict_on((GbmSurvivors(),), comparison)[1],
        )
    )
    distance = Number(
        name="Kolmogorov-Smirnov distance of the mixture",
        value=fit.ks_growth,
        held_against=fit.ks_entry_only,
    )
    return Finding(verdict, evidence, kept, (*numbers, distance))
