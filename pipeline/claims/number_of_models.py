"""The Hub holds about 700,000 open models."""

from __future__ import annotations

from datetime import date

import polars as pl

from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.lake.results import Day
from baimo.pipeline.schema.derived import HUB_FREQUENCY

CLAIMED, MARGIN_PERCENT = 700_000, 10
PAPER_DATE = date(2024, 5, 7)  # on the paper's first page


@claim(
    order=40,
    paper=Paper.RUAN,
    where="section 1",
    text=f"The Hub holds about {CLAIMED:,} open models.",
    statistic=f"number of models created by {PAPER_DATE:%-d %B %Y}, the paper's date",
    criterion=f"holds if within {MARGIN_PERCENT} % of {CLAIMED:,}, else fails",
    needs=(HUB_FREQUENCY,),
)
def number_of_models(day: Day) -> Finding:
    """Whether the Hub held as many models as said on the paper's date."""
    if day.date < PAPER_DATE:
        return Finding(Verdict.UNTOLD, f"{day.date} is before the paper's date")
    models = day.table(HUB_FREQUENCY)
    then = int(models.filter(pl.col("created_on") <= PAPER_DATE)["n_models"].sum())
    total = int(models["n_models"].sum())
    near = 100 * abs(then - CLAIMED) <= MARGIN_PERCENT * CLAIMED
    number = Number(name=f"models by {PAPER_DATE}", value=float(then), held_against=float(CLAIMED))
    return Finding(
        Verdict.HOLDS if near else Verdict.FAILS,
        f"{then:,} of the models of {day.date} were created by {PAPER_DATE}, the paper's date; "
        "those deleted in between are not seen",
        f"{total:,} models in all on {day.date}",
        (number,),
    )
