"""Observed against simulated: what each mechanism predicts, what the data say."""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

from baimo.estimation.predictive.joint import JointVerdict, judge_jointly
from baimo.estimation.predictive.replicate import Replicated, compare_replicates
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.analysis.summary_statistics import Refits, Statistics
from baimo.pipeline.analysis.two_dates import MOVED
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.variables import MEASURES

# Set before looking: differences that count as none, with the statistic's name in words.
MARGINS = {
    "zeta": ("zeta", 0.1),
    "share_zero": ("zeros", 0.05),
    "top_1pct": ("top 1 %", 0.05),
    "tail_items": ("size of the tail", 0.3),  # decimal logarithm: a factor of two
    "young_in_tail": ("age of the tail", 0.05),
    "zeta_oldest": ("zeta of the oldest", 0.1),
    # what happens next: gains of likes between two days, growth of TVL between two dates
    "theta": ("theta", 0.1),
    "phi": ("phi", 0.1),
    "psi": ("psi", 0.1),
    "size_slope": ("growth against size", 0.02),  # a year: a fifth of all gaps in a decade
    "spread_slope": ("spread of growth against size", 0.05),
    "autocorrelation": ("autocorrelation of sizes", 0.05),
}
TAIL = ("top_1pct", "tail_items", "young_in_tail", "zeta_oldest")
KERNEL = ("theta", "phi", "psi")
# What a model has something to say about: Simon's items begin at one and a GBM is never zero,
# the zeta of CES is tuned to the data, and so is that of the Yule process.
JUDGED = {
    "Simon": ("zeta", *TAIL, *KERNEL),
    "Yule": ("share_zero", *TAIL, *KERNEL),
    "CES": ("share_zero", *TAIL, *KERNEL),
    "lognormal": ("zeta", "share_zero", *TAIL),
    "dPlN": ("zeta", "share_zero", *TAIL),
    "fitness": ("zeta", "share_zero", *TAIL, *KERNEL),
    "GBM": ("zeta", "top_1pct", "tail_items", *MOVED),
    "GBM survivors": ("zeta", "top_1pct", "tail_items"),
}


def judge(
    model: str, compared: Mapping[str, Replicated], std_errors: Mapping[str, float]
) -> JointVerdict | None:
    """Return the joint verdict on one model of one size, None where nothing can be compared."""
    margins = {name: MARGINS[name][1] for name in JUDGED[model] if name in compared}
    return judge_jointly(compared, margins, std_errors) if margins else None


def compare_models(
    fits: dict[str, SizeFits],
    observed: Mapping[str, Statistics],
    refits: Refits,
    predicted: dict[tuple[str, str], tuple[float | None, str]],
    errors: Mapping[str, Mapping[str, float]],
) -> pl.DataFrame:
    """Return the headline table, one row per size and model.

    Parameters
    ----------
    fits
        By measure.
    observed
        By measure: the statistics of the data.
    refits
        By (model, measure): statistics of the simulated samples.
    predicted
        By (model, measure): the closed-form zeta, or None; and a remark.
    errors
        By measure and statistic: standard errors of the data that clusters enlarge, beside those
        of zeta and the age of the tail, which the fits tell.
    """
    rows = []
    for (model, measure), (zeta, remark) in predicted.items():
        fit = fits[measure]
        line = fit.zipf.get(MEASURES[measure].headline_cutoff)
        interval = fit.tail.conf_int()["zeta"] or (None, None)
        slope = (line.conf_int()["slope"] if line else None) or (None, None)
        drawn = refits.get((model, measure))
        compared = compare_replicates(observed[measure], drawn) if drawn else None
        verdict, evidence = "no prediction", f"could not be drawn ({remark})"
        if compared:
            known = {**_errors(fit, observed[measure]), **errors.get(measure, {})}
            joint = judge(model, compared, known)
            verdict = _spoken(joint) if joint else verdict
            evidence = _evidence(compared, remark)
        rows.append(
            {
                "measure": measure,
                "n_obs": fit.tail.n_obs,
                "x_min": fit.tail.x_min,
                "n_tail": fit.tail.n_tail,
                "zeta": fit.tail.zeta,
                "zeta_low": interval[0],
                "zeta_high": interval[1],
                "slope_cutoff": MEASURES[measure].headline_cutoff,
                "slope": line.slope if line else None,
                "slope_low": slope[0],
                "slope_high": slope[1],
                "model": model,
                "predicted_zeta": zeta,
                "simulated_zeta": compared["zeta"].mean if compared else None,
                "simulated_sd": compared["zeta"].sd if compared else None,
                "verdict": verdict,
                "evidence": evidence,
            }
        )
    return pl.DataFrame(rows, schema=COMPARISON.schema)


def _errors(fit: SizeFits, seen: Statistics) -> dict[str, float]:
    """Return the sampling errors of the data, where clusters make them larger than a draw's."""
    errors = {"zeta": fit.tail.std_error_clustered}
    share = seen.get("young_in_tail", math.nan)
    if math.isfinite(share):
        effect = fit.tail.design_effect or 1.0
        errors["young_in_tail"] = math.sqrt(effect * share * (1.0 - share) / fit.tail.n_tail)
    return errors


def _spoken(joint: JointVerdict) -> str:
    words = joint.verdict
    for name, (spoken, _) in sorted(MARGINS.items(), key=lambda item: -len(item[0])):
        words = words.replace(name, spoken)
    return words


def _evidence(compared: Mapping[str, Replicated], remark: str) -> str:
    parts = []
    for name, (words, _) in MARGINS.items():
        if name in compared:
            values = compared[name].observed, compared[name].mean
            if name == "tail_items":  # a decimal logarithm, shown as items
                parts.append(" / ".join(f"{10**v - 1:,.0f}" for v in values) + f" {words}")
            else:
                parts.append(f"{words} {values[0]:.3f} / {values[1]:.3f}")
    n = max(c.n_replications for c in compared.values())
    return f"{', '.join(parts)} (observed / mean of {n} simulated){'; ' * bool(remark)}{remark}"
