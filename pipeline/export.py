"""Estimated parameters as JSON and CSV, under names that say model and measure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from estimation.demand import DemandFit
from estimation.results import Estimate, FitResult
from pipeline.fits import SizeFits
from pipeline.lake import write_atomically, write_text
from pipeline.measures import MEASURES, SHARES
from pipeline.models import AttachmentCalibration, GrowthCalibration
from pipeline.tables import PARAMETERS

SCHEMA_VERSION = 1
DIGITS = 10  # what every machine and thread count agrees on

Row = dict[str, Any]


def collect_parameters(
    fits: dict[str, SizeFits],
    attachment: AttachmentCalibration,
    demand: dict[str, DemandFit],
    growth: GrowthCalibration,
) -> pl.DataFrame:
    """Return every exported parameter, one row each; unknown is null."""
    rows: list[Row] = []
    for name, fit in fits.items():
        rows += _tail_rows(MEASURES[name].prefix, fit)
        rows += _zipf_rows(MEASURES[name].prefix, fit)
    rows += _attachment_rows(attachment)
    for name, demand_fit in demand.items():
        rows += _demand_rows(name, demand_fit)
    rows += _growth_rows(growth)
    return pl.DataFrame(rows, schema=PARAMETERS.schema).with_columns(
        pl.col(pl.Float64).round_sig_figs(DIGITS)
    )


def export_parameters(
    out: Path, parameters: pl.DataFrame, provenance: dict[str, Any]
) -> tuple[Path, Path]:
    """Write parameters.json and parameters.csv and return their paths."""
    stated = {
        "baimo": version("baimo"),
        "source": provenance["source"],
        "day": provenance["day"],
        "inputs": [dict(i) for i in provenance["inputs"]],
    }
    document = {
        "schema_version": SCHEMA_VERSION,
        "provenance": stated,
        "parameters": parameters.to_dicts(),
    }
    as_json, as_csv = out / "parameters.json", out / "parameters.csv"
    write_text(as_json, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    write_atomically(as_csv, lambda path: parameters.write_csv(path))
    return as_json, as_csv


def _row(name: str, e: Estimate, fit: FitResult, method: str, equation: str, note: str = "") -> Row:
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


def _clustered(effect: float | None) -> str:
    if effect is None:
        return "items taken as independent"
    return f"author-clustered, design effect {effect:.3g}"


def _tail_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    kind = "discrete" if fit.tail.discrete else "continuous"
    method = f"CSN maximum likelihood, {kind}"
    for name, e in fit.tail.estimates().items():
        note = _clustered(fit.tail.design_effect) if e.std_error is not None else ""
        yield _row(f"tail_{prefix}_{name}", e, fit.tail, method, "18-19, 39", note)
    trimmed = fit.tail_without_largest
    yield _row(
        f"tail_{prefix}_zeta_without_largest",
        trimmed.estimates()["zeta"],
        trimmed,
        method,
        "18-19, 39",
        "the largest item left out; items taken as independent",
    )


def _zipf_rows(prefix: str, fit: SizeFits) -> Iterator[Row]:
    labels = [f"{s}_{base}" for s in SHARES for base in ("all", "positive")] + ["top100"]
    for label in labels:
        name = f"zipf_{prefix}_logrank_slope_{label}"
        line = fit.zipf.get(label)
        method = "OLS of log(rank - 1/2) on log(size), Gabaix-Ibragimov error"
        if line is None:
            note = "not defined here: the cut-off reaches the zeros or holds under 20 items"
            empty = Estimate(value=None)
            row = _row(name, empty, fit.tail, method, "section 1", note)
            yield {**row, "n_used": None, "converged": None, "notes": note}
        else:
            note = f"k = {line.k}, threshold {line.threshold:g}; {_clustered(line.design_effect)}"
            yield _row(name, line.estimates()["slope"], line, method, "section 1", note)


def _attachment_rows(fit: AttachmentCalibration) -> Iterator[Row]:
    yield _row(
        "pa_entry_growth_plus_exit",
        fit.entry.estimates()["entry_growth_plus_exit"],
        fit.entry,
        "truncated-exponential likelihood of ages, floor day left out",
        "19 with entry",
        _clustered(fit.entry.design_effect),
    )
    for name, e in fit.yule_likes.estimates().items():
        yield _row(
            f"pa_yule_likes_{name}", e, fit.yule_likes, "NB likelihood of likes over ages", "19"
        )
    for measure, simon in (("downloads", fit.simon_downloads), ("likes", fit.simon_likes)):
        for name, e in simon.estimates().items():
            yield _row(f"pa_simon_{measure}_{name}", e, simon, "items over total", "19 with entry")


def _demand_rows(measure: str, fit: DemandFit) -> Iterator[Row]:
    central = fit.params()
    method = "alpha = zeta rho/(1 - rho) from the CSN tail"
    prefix = "ces_" if measure == "downloads" else f"ces_{measure}_"
    alpha = fit.estimates()[f"alpha_rho_{central.rho:g}"]
    yield _row(f"{prefix}alpha", alpha, fit, method, "22, 24 corrected", f"rho = {central.rho:g}")
    assumed = Estimate(value=central.rho)
    yield _row(f"{prefix}rho", assumed, fit, "assumed", "20")
    for name, e in fit.estimates().items():
        yield _row(f"{prefix}{name}", e, fit, method, "22, 24 corrected")


def _growth_rows(fit: GrowthCalibration) -> Iterator[Row]:
    names = {
        "mu": "gbm_mu",
        "sigma": "gbm_sigma",
        "sigma_robust": "gbm_sigma_robust",
        "log_drift": "gbm_log_drift",
        "log_drift_median": "gbm_log_drift_median",
        "size_slope": "gbm_size_slope",
        "exit_rate": "gbm_exit_rate",
    }
    for name, e in fit.population.estimates().items():
        yield _row(names[name], e, fit.population, "matched population, two dates", "36-38")
    for name, e in fit.panel.estimates().items():
        yield _row(
            "gbm_sigma_idiosyncratic" if name == "sigma_idiosyncratic" else f"gbm_panel_{name}",
            e,
            fit.panel,
            "weekly panel of survivors",
            "36",
        )
    yield _row(
        "gbm_entry_growth", fit.entry_growth, fit.population, "Poisson trend of listings", "39"
    )
    yield _row(
        "gbm_zeta_asymptotic",
        fit.zeta,
        fit.population,
        "root of the corrected eq 39, delta method",
        "39 corrected",
        "holds only for a long history",
    )
