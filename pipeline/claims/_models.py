"""What claims that a model explains the data have in common."""

from __future__ import annotations

import polars as pl

from baimo.estimation.predictive.joint import Outcome
from baimo.estimation.tails.cohorts import CohortsFit
from baimo.pipeline.claims.claim import Number, Verdict
from baimo.pipeline.models.base import FittedModel


def verdict_on(
    models: tuple[FittedModel, ...], comparison: pl.DataFrame
) -> tuple[Verdict, str, tuple[Number, ...]]:
    """Return the verdict on models, what each is contradicted by, and its zetas.

    It fails if every model is contradicted for every variable, holds if one model explains all of
    its variables, and holds in part if one explains one of several.

    Parameters
    ----------
    models
        Each is judged on the variables that it is a model of.
    comparison
        Table `comparison`.
    """
    labels = [model.label for model in models]
    rows = comparison.filter(pl.col("model").is_in(labels))
    if rows.is_empty():
        return Verdict.UNTOLD, "no model was simulated", ()
    found = list(rows.iter_rows(named=True))
    words = "; ".join(
        f"{r['model']} of {r['measure']}: {r['verdict']} ({r['evidence']})" for r in found
    )
    outcomes = [r["outcome"] for r in found]
    numbers = tuple(
        Number(
            name=f"zeta of {r['measure']} under {r['model']}",
            value=r["simulated_zeta"],
            std_error=r["simulated_sd"],
            held_against=r["zeta"],
        )
        for r in found
    )
    if all(outcome == Outcome.CONTRADICTED for outcome in outcomes):
        return Verdict.FAILS, words, numbers
    for label in labels:
        its = [r["outcome"] for r in found if r["model"] == label]
        if its and all(outcome == Outcome.EXPLAINS for outcome in its):
            return Verdict.HOLDS, words, numbers
    some = any(outcome == Outcome.EXPLAINS for outcome in outcomes)
    return (Verdict.PART if some else Verdict.UNTOLD), words, numbers


def cohort_words(cohorts: dict[str, CohortsFit]) -> str:
    """Say the exponents of the age cohorts, and whether they are equal."""
    parts = []
    for name, fit in cohorts.items():
        zetas = ", ".join(
            f"{z:.2f} ({s:.2f})" for z, s in zip(fit.zeta, fit.std_error, strict=True)
        )
        parts.append(
            f"{name} from {fit.x_min:,.0f} on, cohorts from young to old: zeta {zetas}; equal with "
            f"p = {fit.p_value:.2g}"
        )
    return "; ".join(parts) or "too few dated items in the tails for cohorts"
