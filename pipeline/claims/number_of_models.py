"""The Hub holds about 700,000 open models."""

from __future__ import annotations

from datetime import date

from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.variables import DAYS_PER_YEAR

CLAIMED, MARGIN = 700_000, 0.1
PAPER_DATE = date(2024, 5, 7)  # on the paper's first page


@claim(
    order=40,
    paper=Paper.RUAN,
    where="section 1",
    text=f"The Hub holds about {CLAIMED:,} open models.",
    statistic="number of models by day of creation",
    criterion="holds if the snapshot's total or that of the paper's date is within "
    f"{100 * MARGIN:g} % of {CLAIMED:,}",
    needs=(ATTACHMENT_FIT,),
)
def number_of_models(day: Day) -> Finding:
    """Whether the Hub holds as many models as said."""
    fit = day.read(ATTACHMENT_FIT)
    total = fit.simon_likes.n_obs
    age_then = (day.date - PAPER_DATE).days / DAYS_PER_YEAR
    younger = int(fit.n_models[fit.ages < age_then].sum())
    then = total - younger
    shown = (
        f"{total:,} models on {day.date}, of which {then:,} were created by {PAPER_DATE}, the "
        "paper's date (deleted ones unseen)"
    )
    near = [abs(n / CLAIMED - 1.0) <= MARGIN for n in (total, then)]
    numbers = tuple(
        Number(name=name, value=float(n), held_against=float(CLAIMED))
        for name, n in ((f"models on {day.date}", total), (f"models by {PAPER_DATE}", then))
    )
    return Finding(Verdict.HOLDS if any(near) else Verdict.FAILS, shown, "", numbers)
