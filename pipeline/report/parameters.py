"""Estimated parameters as JSON and CSV, under names that say model and variable."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import polars as pl

from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.size_parameters import size_rows
from baimo.pipeline.analysis.sizes import SizeFits, read_tails
from baimo.pipeline.datasets.load import Provenance
from baimo.pipeline.errors import SourceError
from baimo.pipeline.lake.atomic import write_atomically, write_text
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.schema.results import COMPARISON, PARAMETERS, Row, parameter_row
from baimo.pipeline.variables import VARIABLES

SCHEMA_VERSION = 1
PARAMETERS_JSON = "parameters.json"
DIGITS = 10  # what every machine and thread count agrees on


def collect_parameters(day: Day) -> pl.DataFrame:
    """Return every exported parameter, one row each; unknown is null."""
    fits = read_tails(day)
    rows: list[Row] = []
    for name, fit in fits.items():
        rows += size_rows(VARIABLES[name].prefix, fit)
    for calibration in CALIBRATIONS:
        rows += calibration.parameters(day.read(calibration.stored))
    rows += _simulated_rows(day.table(COMPARISON), fits)
    return pl.DataFrame(rows, schema=PARAMETERS.schema).with_columns(
        pl.col(pl.Float64).round_sig_figs(DIGITS)
    )


def export_parameters(
    out: Path, parameters: pl.DataFrame, provenance: Provenance
) -> tuple[Path, Path]:
    """Write parameters.json and parameters.csv, what is not finite empty; return their paths."""
    parameters = parameters.with_columns(
        pl.when(pl.col(name).is_finite()).then(name).alias(name)
        for name in parameters.select(pl.col(pl.Float64)).columns
    )
    stated = {
        "baimo": version("baimo"),
        "source": provenance["source"],
        "day": provenance["day"],
        "seed": provenance["seed"],
        "n_replications": provenance["n_replications"],
        "inputs": [dict(i) for i in provenance["inputs"]],
    }
    document = {
        "schema_version": SCHEMA_VERSION,
        "provenance": stated,
        "parameters": parameters.to_dicts(),
    }
    as_json, as_csv = out / PARAMETERS_JSON, out / "parameters.csv"
    write_text(as_json, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    write_atomically(as_csv, lambda path: parameters.write_csv(path))
    return as_json, as_csv


def _simulated_rows(comparison: pl.DataFrame, fits: Mapping[str, SizeFits]) -> Iterator[Row]:
    for r in comparison.drop_nulls("simulated_zeta").iter_rows(named=True):
        model, prefix = r["model"].lower().replace(" ", "_"), VARIABLES[r["measure"]].prefix
        name = f"simulated_{model}_{prefix}_zeta"
        spread = "-" if r["simulated_sd"] is None else f"{r['simulated_sd']:.3g}"
        note = f"mean over refitted samples, spread of one {spread}; {r['verdict']}"
        row = parameter_row(
            name,
            Estimate(value=r["simulated_zeta"]),
            fits[r["measure"]].tail,
            "simulated at full size, refitted by the code of the data",
            "",
            note,
        )
        yield row | {"n_used": None, "notes": note}


def load_parameters(path: str | Path) -> dict[str, Estimate]:
    """Read exported parameters by name, from parameters.json of a run or its folder.

    Returns
    -------
    dict
        Name -> estimate with value, std_error, 95 % interval and unit; None where unknown.

    Raises
    ------
    SourceError
        The file cannot be read, or is no export of parameters of this version.
    """
    given = Path(path)
    file = given / PARAMETERS_JSON if given.is_dir() else given
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema {document['schema_version']}, not {SCHEMA_VERSION}")
        return {row["name"]: _estimate(row) for row in document["parameters"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{file} holds no exported parameters ({error}); give parameters.json of baimo run"
        ) from None


def _estimate(row: Row) -> Estimate:
    low, high = row["ci_low"], row["ci_high"]
    interval = None if low is None or high is None else (low, high)
    return Estimate(
        value=row["value"], std_error=row["std_error"], interval=interval, unit=row["unit"]
    )
