"""Observed against simulated: what each model predicts, what the data say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from baimo.estimation.predictive.joint import JointVerdict, judge_jointly
from baimo.estimation.predictive.replicate import Replicated, compare_replicates
from baimo.pipeline.analysis.cohorts import COHORTS, observed_by_cohort
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.analysis.observed import observed_errors, observed_statistics
from baimo.pipeline.analysis.sizes import TAILS, SizeFits, read_tails
from baimo.pipeline.analysis.summary_statistics import Refits, Statistics
from baimo.pipeline.lake.results import Day, Named
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import FittedModel, Prediction
from baimo.pipeline.models.registry import MODELS, pairs
from baimo.pipeline.predictive.simulate import REFITS, read_refits
from baimo.pipeline.schema.derived import DEFI_POPULATION, HUB_FREQUENCY
from baimo.pipeline.schema.results import COMPARISON, VERDICTS, Row
from baimo.pipeline.statistics import ZETA
from baimo.pipeline.text import comparison_words, outcome_words
from baimo.pipeline.variables import Variable

NEEDS: tuple[Named, ...] = (
    *TAILS.values(),
    *REFITS.values(),
    ATTACHMENT_FIT,
    COHORTS,
    KERNEL_FIT,
    HUB_FREQUENCY,
    DEFI_POPULATION,
    *(need for model in MODELS for need in model.needs),
)
"""What a comparison reads of a day."""


@dataclass(frozen=True, kw_only=True)
class ModelVerdict:
    """One model of one variable, held against the data.

    Parameters
    ----------
    model, variable
        Which.
    prediction
        In closed form.
    compared
        By statistic: observed and simulated, empty where nothing was simulated.
    joint
        What the judged statistics say together, None where there is none to judge by.
    """

    model: FittedModel
    variable: Variable
    prediction: Prediction
    compared: Mapping[str, Replicated]
    joint: JointVerdict | None


def compare_models(day: Day) -> tuple[ModelVerdict, ...]:
    """Hold every model against the data, by variable."""
    fits, population = read_tails(day), day.table(DEFI_POPULATION)
    kernel, cohorts = day.read(KERNEL_FIT), day.read(ATTACHMENT_FIT).cohorts
    by_cohort = observed_by_cohort(day.table(HUB_FREQUENCY), cohorts, day.date)
    observed = observed_statistics(by_cohort, fits, kernel, population)
    errors = observed_errors(observed, fits, day.read(COHORTS), kernel, population)
    predictions = {
        (model.label, variable.name): model.predict(day.only(model.needs), variable)
        for model, variable in pairs()
    }
    return judge_models(read_refits(day), predictions, observed, errors)


def judge_models(
    refits: Refits,
    predictions: Mapping[tuple[str, str], Prediction],
    observed: Mapping[str, Statistics],
    errors: Mapping[str, Mapping[str, float]],
) -> tuple[ModelVerdict, ...]:
    """Judge every model by what was simulated of it.

    Parameters
    ----------
    refits, predictions
        By (label, variable).
    observed, errors
        By variable and statistic: the data, and the errors that clusters enlarge.
    """
    found = []
    for model, variable in pairs():
        key = (model.label, variable.name)
        samples = refits.get(key)
        compared = compare_replicates(observed[variable.name], samples) if samples else {}
        found.append(
            ModelVerdict(
                model=model,
                variable=variable,
                prediction=predictions[key],
                compared=compared,
                joint=judge(model, compared, errors.get(variable.name, {})),
            )
        )
    return tuple(found)


def judge(
    model: FittedModel, compared: Mapping[str, Replicated], std_errors: Mapping[str, float]
) -> JointVerdict | None:
    """Return the joint verdict on one model of one variable, None where nothing is compared."""
    margins = {s.name: s.margin for s in model.judged if s.name in compared}
    return judge_jointly(compared, margins, std_errors) if margins else None


def comparison_table(
    verdicts: Sequence[ModelVerdict], fits: Mapping[str, SizeFits]
) -> pl.DataFrame:
    """Return the headline table, one row per variable and model."""
    rows = [_fit_cells(v.variable, fits[v.variable.name]) | _model_cells(v) for v in verdicts]
    return pl.DataFrame(rows, schema=COMPARISON.schema)


def _fit_cells(variable: Variable, fit: SizeFits) -> Row:
    line = fit.zipf.get(variable.headline_cutoff)
    interval = fit.tail.conf_int()["zeta"] or (None, None)
    slope = (line.conf_int()["slope"] if line else None) or (None, None)
    return {
        "measure": variable.name,
        "n_obs": fit.tail.n_obs,
        "x_min": fit.tail.x_min,
        "n_tail": fit.tail.n_tail,
        "zeta": fit.tail.zeta,
        "zeta_low": interval[0],
        "zeta_high": interval[1],
        "slope_cutoff": variable.headline_cutoff,
        "slope": line.slope if line else None,
        "slope_low": slope[0],
        "slope_high": slope[1],
    }


def _model_cells(v: ModelVerdict) -> Row:
    zeta, joint = v.compared.get(ZETA.name), v.joint
    return {
        "model": v.model.label,
        "predicted_zeta": v.prediction.zeta,
        "simulated_zeta": zeta.mean if zeta else None,
        "simulated_sd": zeta.sd if zeta else None,
        "verdict": outcome_words(joint),
        "evidence": comparison_words(v.compared, v.prediction.remark),
        "outcome": joint.outcome.value if joint else None,
        "reasons": list(joint.reasons) if joint else [],
    }


def verdicts_table(verdicts: Sequence[ModelVerdict]) -> pl.DataFrame:
    """Return each model in each statistic, one row a triple."""
    rows = [row for v in verdicts for row in _statistic_rows(v)]
    return pl.DataFrame(rows, schema=VERDICTS.schema)


def _statistic_rows(v: ModelVerdict) -> list[Row]:
    judged = {a.name: a for a in v.joint.agreements} if v.joint else {}
    tuned = {s.name for s in v.model.tuned}
    rows: list[Row] = []
    for name, c in v.compared.items():
        a = judged.get(name)
        rows.append(
            {
                "measure": v.variable.name,
                "model": v.model.label,
                "statistic": name,
                "observed": c.observed,
                "simulated": c.mean,
                "simulated_sd": c.sd,
                "n_replications": c.n_replications,
                "judged": a is not None,
                "in_sample": name in tuned,
                "margin": a.margin if a else None,
                "std_error": a.std_error if a else None,
                "p_matches_alone": a.p_matches_alone if a else None,
                "p_misses_alone": a.p_misses_alone if a else None,
                "p_matches": a.p_matches if a else None,
                "p_misses": a.p_misses if a else None,
                "agrees": a.agrees.value if a else None,
            }
        )
    return rows
