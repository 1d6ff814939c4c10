"""Tables that a run publishes."""

from __future__ import annotations

import polars as pl

from baimo.pipeline.schema.table import Column, Table

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
        Column("model", pl.String, "Simon, Yule, CES or GBM"),
        Column("predicted_zeta", pl.Float64, "zeta in closed form", nullable=True),
        Column("simulated_zeta", pl.Float64, "mean zeta of refitted samples", nullable=True),
        Column("simulated_sd", pl.Float64, "its spread over samples", nullable=True),
        Column("verdict", pl.String, "what the model reproduces or misses"),
        Column("evidence", pl.String, "observed and simulated statistics"),
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
