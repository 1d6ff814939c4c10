"""Tables that a run publishes."""

from __future__ import annotations

from typing import Any

import polars as pl

from baimo.estimation.results import Estimate, FitResult
from baimo.pipeline.schema.table import Column, Table

Row = dict[str, Any]
"""One row of a published table."""

COMPARISON = Table(
    "comparison",
    "The headline table: each size against each model, one row a pair.",
    ("measure", "model"),
    (
        Column("measure", pl.String, "downloads, likes or tvl"),
        Column("n_obs", pl.Int64, "items", low=1),
        Column("x_min", pl.Float64, "lower end of the fitted tail", unit="data"),
        Column("n_tail", pl.Int64, "items in the tail", low=1),
        Column("zeta", pl.Float64, "CCDF exponent of the tail"),
        Column("zeta_low", pl.Float64, "its 95 % interval, lower end", nullable=True),
        Column("zeta_high", pl.Float64, "its 95 % interval, upper end", nullable=True),
        Column("slope_cutoff", pl.String, "items of the rank-size regression"),
        Column("slope", pl.Float64, "slope of log(rank - 1/2) on log(size)", nullable=True),
        Column("slope_low", pl.Float64, "its 95 % interval, lower end", nullable=True),
        Column("slope_high", pl.Float64, "its 95 % interval, upper end", nullable=True),
        Column("model", pl.String, "label of the model"),
        Column("predicted_zeta", pl.Float64, "zeta in closed form", nullable=True),
        Column("simulated_zeta", pl.Float64, "mean zeta at the x_min of the data", nullable=True),
        Column("simulated_sd", pl.Float64, "its spread over samples", nullable=True),
        Column("scanned_zeta", pl.Float64, "at an x_min of each sample's own", nullable=True),
        Column("scanned_sd", pl.Float64, "its spread over samples", nullable=True),
        Column("verdict", pl.String, "what the model reproduces or misses"),
        Column("evidence", pl.String, "observed and simulated statistics"),
        Column(
            "outcome",
            pl.String,
            "explains, contradicted or cannot be told; null where nothing was simulated",
            nullable=True,
        ),
        Column("reasons", pl.List(pl.String), "the statistics on which the outcome rests"),
        Column("p_value", pl.Float64, "rank of the distance beyond the margins", nullable=True),
        Column("p_equal", pl.Float64, "rank of the distance from equality", nullable=True),
        Column("p_without_largest", pl.Float64, "without the largest cluster", nullable=True),
        Column("absent", pl.List(pl.String), "statistics that samples of the model lack"),
    ),
)

VERDICTS = Table(
    "verdicts",
    "Each model in each statistic: observed and simulated, margin, tests, one row a triple.",
    ("measure", "model", "statistic"),
    (
        Column("measure", pl.String, "downloads, likes or tvl"),
        Column("model", pl.String, "label of the model"),
        Column("statistic", pl.String, "what is compared"),
        Column("observed", pl.Float64, "in the data"),
        Column("simulated", pl.Float64, "mean over the simulated samples"),
        Column("simulated_sd", pl.Float64, "its spread over samples", nullable=True),
        Column("n_replications", pl.Int64, "samples that have the statistic", low=1),
        Column("judged", pl.Boolean, "whether it is among what the model is held to"),
        Column("in_sample", pl.Boolean, "whether the model was fitted or tuned to it"),
        Column("decides", pl.Boolean, "judged and out of sample: the outcome may rest on it"),
        Column("margin", pl.Float64, "largest difference that counts as none", nullable=True),
        Column("std_error", pl.Float64, "of observed less expected, clustered", nullable=True),
        Column("difference_low", pl.Float64, "90 % interval, lower end", nullable=True),
        Column("difference_high", pl.Float64, "90 % interval, upper end", nullable=True),
        Column("agrees", pl.String, "within the margin, beyond it, or unclear", nullable=True),
        Column("distance_share", pl.Float64, "of the squared distance", nullable=True),
        Column("detectable", pl.Float64, "difference seen 4 times in 5", nullable=True),
    ),
)

CLAIMS = Table(
    "claims",
    "The papers' claims: what is said, how it is tested, what came out; one row a claim.",
    ("claim",),
    (
        Column("claim", pl.String, "name of the claim"),
        Column("paper", pl.String, "which of the papers makes it"),
        Column("where", pl.String, "section or equation"),
        Column("text", pl.String, "what is said"),
        Column("statistic", pl.String, "what is measured"),
        Column("criterion", pl.String, "what was settled to follow from it"),
        Column("kind", pl.String, "measured, or algebra: of the paper's own equations"),
        Column("verdict", pl.String, "holds, holds in part, fails or cannot be told"),
        Column("evidence", pl.String, "the numbers in words"),
        Column("sensitivity", pl.String, "what it is when cut otherwise"),
    ),
)

CLAIM_NUMBERS = Table(
    "claim_numbers",
    "The numbers on which the verdict of each claim rests, one row a number.",
    ("claim", "number"),
    (
        Column("claim", pl.String, "name of the claim"),
        Column("number", pl.String, "what it is"),
        Column("value", pl.Float64, "measured", nullable=True),
        Column("std_error", pl.Float64, "its standard error, null when unknown", nullable=True),
        Column("ci_low", pl.Float64, "95 % interval, lower end", nullable=True),
        Column("ci_high", pl.Float64, "95 % interval, upper end", nullable=True),
        Column("held_against", pl.Float64, "what the criterion compares it with", nullable=True),
    ),
)

PARAMETERS = Table(
    "parameters",
    "Every estimate with error, interval, unit, method and equation; also parameters.json, .csv.",
    ("name",),
    (
        Column("name", pl.String, "model or statistic, measure, parameter"),
        Column("value", pl.Float64, "estimate, null when the data give none", nullable=True),
        Column("std_error", pl.Float64, "standard error, null when unknown", nullable=True),
        Column("ci_low", pl.Float64, "95 % interval, lower end", nullable=True),
        Column("ci_high", pl.Float64, "95 % interval, upper end", nullable=True),
        Column("unit", pl.String, "unit; 1 for a pure number"),
        Column("method", pl.String, "how it was estimated"),
        Column("equation", pl.String, "equation of the paper"),
        Column("n_obs", pl.Int64, "observations given", nullable=True),
        Column("n_used", pl.Int64, "observations used", nullable=True),
        Column("converged", pl.Boolean, "false marks a doubtful optimum", nullable=True),
        Column("notes", pl.String, "what to know before using it"),
    ),
)


def parameter_row(
    name: str, e: Estimate, fit: FitResult, method: str, equation: str, note: str = ""
) -> Row:
    """Return one estimate as a row of `PARAMETERS`, with what is known of the fit it is from."""
    interval = e.conf_int() or (None, None)
    return {
        "name": name,
        "value": e.value,
        "std_error": e.std_error,
        "ci_low": interval[0],
        "ci_high": interval[1],
        "unit": e.unit,
        "method": method,
        "equation": equation,
        "n_obs": fit.n_obs,
        "n_used": fit.n_used,
        "converged": fit.converged,
        "notes": "; ".join(part for part in (note, *fit.notes) if part),
    }
