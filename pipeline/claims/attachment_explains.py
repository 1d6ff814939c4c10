"""Preferential attachment explains the skew of popularity."""

from __future__ import annotations

from baimo.pipeline.analysis.cohorts import COHORTS
from baimo.pipeline.claims._models import cohort_words, verdict_on
from baimo.pipeline.claims.claim import Finding, Paper, claim
from baimo.pipeline.figures.of_claims import AGE_COHORTS
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.base import ATTACHMENT
from baimo.pipeline.models.registry import of_family
from baimo.pipeline.schema.results import COMPARISON


@claim(
    order=90,
    paper=Paper.RUAN,
    where="section 7.3",
    text="Preferential attachment explains the skew of popularity.",
    statistic="Simon's urn and the Yule process at full size: linear kernels, equal starts, no "
    "ageing; all that they predict out of sample, in one joint test",
    criterion="fails if every one is contradicted for every variable; holds if one explains all "
    "of its variables",
    needs=(COMPARISON, COHORTS),
    figure=AGE_COHORTS,
)
def attachment_explains(day: Day) -> Finding:
    """Whether an attachment process gives the data in all that it speaks of."""
    verdict, shown, numbers = verdict_on(of_family(ATTACHMENT), day.table(COMPARISON))
    return Finding(verdict, f"{shown}; {cohort_words(day.read(COHORTS))}", "", numbers)
