"""Preferential attachment explains the skew of popularity."""

from __future__ import annotations

from baimo.pipeline.analysis.cohorts import COHORTS
from baimo.pipeline.claims._models import cohort_words, verdict_on
from baimo.pipeline.claims.claim import Finding, Paper, claim
from baimo.pipeline.figures.of_claims import AGE_COHORTS
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.attachment_variants import (
    ATTACHMENT_VARIANTS,
    N_DRAWS,
    AttachmentVariant,
    AttachmentVariants,
)
from baimo.pipeline.models.base import ATTACHMENT
from baimo.pipeline.models.registry import of_family
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.statistics import Statistic
from baimo.pipeline.text import joined


@claim(
    order=90,
    paper=Paper.RUAN,
    where="section 7.3",
    text="Preferential attachment explains the skew of popularity.",
    statistic="Simon's urn and the Yule process at full size: linear kernels, equal starts, no "
    "ageing; all that they predict out of sample, in one joint test; otherwise: sensitivity",
    criterion="fails if every one is contradicted for every variable; holds if one explains all "
    "of its variables",
    needs=(COMPARISON, COHORTS, ATTACHMENT_VARIANTS),
    figure=AGE_COHORTS,
)
def attachment_explains(day: Day) -> Finding:
    """Whether an attachment process gives the data in all that it speaks of."""
    verdict, shown, numbers = verdict_on(of_family(ATTACHMENT), day.table(COMPARISON))
    evidence = f"{shown}; {cohort_words(day.read(COHORTS))}"
    variants = day.read(ATTACHMENT_VARIANTS)
    return Finding(verdict, evidence, "" if variants is None else _sensitivity(variants), numbers)


def _sensitivity(found: AttachmentVariants) -> str:
    """Say what other kernels and starts give for likes, and what they miss."""
    observed = ", ".join(_value(s, found.observed[s.name]) for s in found.compared)
    return joined(
        (
            "likes under other kernels and starts, by likelihood but for what is chosen, "
            f"mean of {N_DRAWS} draws, sizes to {found.largest:,} (a superlinear kernel can pass "
            f"any), not tested, for {observed} observed",
            *(_variant_words(found, v) for v in found.variants),
        )
    )


def _variant_words(found: AttachmentVariants, v: AttachmentVariant) -> str:
    fit = v.fit
    parts = [f"theta {fit.theta:.2f}", f"gamma {fit.gamma:.2f}", f"phi {fit.phi:.2f}"]
    if fit.sigma > 0:
        parts.append(f"sd of log starts {fit.sigma:.2f}")
        if found.without_attachment is not None:
            less = found.without_attachment - fit.log_likelihood
            parts.append(f"log likelihood {less:,.0f} below that of such starts and no attachment")
    if not fit.converged:
        parts.append("not converged")
    values = ", ".join(_value(s, v.statistics[s.name]) for s in found.compared)
    beyond = ", ".join(s.words for s in found.beyond(v))
    judged = f"beyond the margins of {beyond}" if beyond else "within all margins"
    return f"{v.words} ({', '.join(parts)}): {values}: {judged}"


def _value(statistic: Statistic, value: float) -> str:
    if statistic.is_log10:
        return f"{10**value - 1:,.0f} {statistic.words}"
    return f"{statistic.words} {value:.3f}"
