"""Observed against simulated: what each model predicts, what the data say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from baimo.estimation.predictive.joint import Contrast, JointVerdict, judge_jointly
from baimo.estimation.predictive.replicate import Replicated, compare_replicates
from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.cohorts import observed_by_cohort
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.analysis.observed import observed_statistics
from baimo.pipeline.analysis.sampling import SAMPLING, Sampling
from baimo.pipeline.analysis.sizes import TAILS, SizeFits, read_tails
from baimo.pipeline.analysis.summary_statistics import UNDATED, Refits, Simulated, Statistics
from baimo.pipeline.lake.results import Day, Named
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import FittedModel, Prediction
from baimo.pipeline.models.registry import MODELS, pairs
from baimo.pipeline.predictive.simulate import REFITS, errors_of, read_refits
from baimo.pipeline.schema.derived import DEFI_POPULATION, HUB_FREQUENCY
from baimo.pipeline.schema.results import COMPARISON, VERDICTS, Row
from baimo.pipeline.statistics import ZETA
from baimo.pipeline.text import comparison_words, joined, joint_words, outcome_words
from baimo.pipeline.variables import Variable

NEEDS: tuple[Named, ...] = (
    *TAILS.values(),
    *REFITS.values(),
    ATTACHMENT_FIT,
    SAMPLING,
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
    predictions, parameters, own_measures = {}, {}, {}
    for model, variable in pairs():
        key, own = (model.label, variable.name), day.only(model.needs)
        predictions[key] = model.predict(own, variable)
        parameters[key] = model.parameters(own, variable) or {}
        yardstick = model.yardstick(own, variable) if parameters[key] else None
        sample = by_cohort.get(variable.name, {UNDATED: fits[variable.name].counts})
        own_measures[key] = yardstick(sample) if yardstick else {}
    return judge_models(
        read_refits(day), predictions, parameters, observed, day.read(SAMPLING), own_measures
    )


def judge_models(
    refits: Refits,
    predictions: Mapping[tuple[str, str], Prediction],
    parameters: Mapping[tuple[str, str], Mapping[str, Estimate]],
    observed: Mapping[str, Statistics],
    sampling: Mapping[str, Sampling],
    own_measures: Mapping[tuple[str, str], Statistics] | None = None,
) -> tuple[ModelVerdict, ...]:
    """Judge every model by what was simulated of it.

    Parameters
    ----------
    refits, predictions, parameters
        By (label, variable).
    observed, sampling
        By variable: the data, and how surely they and the parameters are known.
    own_measures
        By (label, variable): the data by what only this model is measured by.
    """
    found = []
    for model, variable in pairs():
        key = (model.label, variable.name)
        simulated = refits.get(key)
        seen = observed[variable.name] | (own_measures or {}).get(key, {})
        compared: Mapping[str, Replicated] = {}
        joint = None
        if simulated is not None:
            compared = compare_replicates(seen, simulated.samples)
            known = sampling.get(variable.name)
            contrast = contrast_of(model, simulated, seen, parameters[key], known)
            joint = judge(model, contrast) if contrast.names else None
        found.append(
            ModelVerdict(
                model=model,
                variable=variable,
                prediction=predictions[key],
                compared=compared,
                joint=joint,
            )
        )
    return tuple(found)


def judge(model: FittedModel, contrast: Contrast) -> JointVerdict:
    """Return the joint verdict on one model of one variable."""
    margins = {s.name: s.margin for s in model.judged if s.name in contrast.names}
    return judge_jointly(contrast, margins, in_sample={s.name for s in model.tuned})


def contrast_of(
    model: FittedModel,
    simulated: Simulated,
    observed: Statistics,
    parameters: Mapping[str, Estimate],
    sampling: Sampling | None,
) -> Contrast:
    """Return observed less expected, with the covariance that parameters from the same data leave.

    What the model's draws hold already, the scatter of independent items, is taken off: the draws
    have it as it is under the model. A parameter whose error is not known with clusters has its
    own, independent of the data.
    """
    names = tuple(s.name for s in model.judged if math.isfinite(observed.get(s.name, math.nan)))
    draws = [[sample.get(name, math.nan) for name in names] for sample in simulated.samples]
    errors = errors_of(parameters, sampling)
    own = {p: e for p, e in errors.items() if sampling is None or p not in sampling.names}
    every = (sampling or Sampling.nothing()).with_independent(own)
    direct = np.array([[float(name == other) for other in every.names] for name in names])
    weights = direct.reshape(len(names), len(every.names)).copy()
    for p, slope in simulated.slopes.items():
        moves = np.array([slope.get(name, math.nan) for name in names])
        weights[:, every.names.index(p)] -= np.where(np.isfinite(moves), moves, 0.0)
    drawn = direct @ every.independent @ direct.T if names else np.zeros((0, 0))
    without = every.covariance_without
    return Contrast(
        names=names,
        observed=np.array([observed[name] for name in names]),
        draws=np.array(draws, dtype=np.float64).reshape(len(draws), len(names)),
        covariance=weights @ every.covariance @ weights.T - drawn,
        shift=None if every.shift is None else weights @ every.shift,
        covariance_without=None if without is None else weights @ without @ weights.T - drawn,
    )


def comparison_table(
    verdicts: Sequence[ModelVerdict], fits: Mapping[str, SizeFits]
) -> pl.DataFrame:
    """Return the headline table, one row per variable and model."""
    rows = [_fit_cells(v.variable, fits[v.variable.name]) | _model_cells(v) for v in verdicts]
    return pl.DataFrame(rows, schema=COMPARISON.schema)


def finite(value: float | None) -> float | None:
    """Return a number for a table, None where it is not finite."""
    return value if value is not None and math.isfinite(value) else None


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
    zeta, scanned, joint = v.compared.get(ZETA.name), v.compared.get("zeta_scanned"), v.joint
    return {
        "model": v.model.label,
        "predicted_zeta": v.prediction.zeta,
        "simulated_zeta": zeta.mean if zeta else None,
        "simulated_sd": zeta.sd if zeta else None,
        "scanned_zeta": scanned.mean if scanned else None,
        "scanned_sd": scanned.sd if scanned else None,
        "verdict": outcome_words(joint),
        "evidence": joined((joint_words(joint), comparison_words(v.compared, v.prediction.remark))),
        "outcome": joint.outcome.value if joint else None,
        "reasons": list(joint.reasons) if joint else [],
        "p_value": finite(joint.p_value) if joint else None,
        "p_equal": finite(joint.p_equal) if joint else None,
        "p_without_largest": finite(joint.p_without_largest) if joint else None,
        "absent": list(joint.absent) if joint else [],
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
                "decides": a is not None and a.decides,
                "margin": a.margin if a else None,
                "std_error": a.std_error if a else None,
                "difference_low": finite(a.interval[0]) if a else None,
                "difference_high": finite(a.interval[1]) if a else None,
                "agrees": a.agrees.value if a else None,
                "distance_share": a.distance_share if a else None,
                "detectable": finite(a.detectable) if a else None,
            }
        )
    return rows
