"""Measure recordings into the small tables that travel with the project (`baimo tabulate`)."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from baimo.pipeline.datasets._companions import AGE_DIGITS, Companion
from baimo.pipeline.datasets.defi import join_population
from baimo.pipeline.datasets.external import (
    days_of,
    n_items,
    read_companion,
    tabulate_companions,
)
from baimo.pipeline.datasets.hub import tabulate_hub
from baimo.pipeline.datasets.load import ROWS_OF
from baimo.pipeline.datasets.variants import model_variants, protocol_variants
from baimo.pipeline.errors import SourceError, TableError
from baimo.pipeline.lake.atomic import write_parquet, write_text
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.derived import (
    HUB_BEFORE_FLOOR,
    OTHER_DESIGN_EFFECTS,
    OTHER_SIZES,
    TVL_GROWTH_PERIODS,
)
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.sources.recordings import load_recordings
from baimo.pipeline.sources.reference import BUNDLED, COMPANIONS, HUB_TABLES, VARIANTS, earliest
from baimo.pipeline.sources.snapshot import REFERENCE, Input
from baimo.pipeline.variables import BROAD

TVL_DIGITS = 4
GROWTH_DECIMALS = 3
KEEPS = (
    "The joint frequency table keeps every marginal, cohort and joint statistic of creation day, "
    "downloads and likes, and the population table those of TVL on two dates."
)
DROPS = (
    "It drops identity and tags: names, owners, tasks and licences survive only as totals, and "
    "owners of the models and datasets of two days as numbers in no order of names."
)


def bundle(snapshots: list[str], out: Path, about: dict[str, dict[str, str]]) -> list[Path]:
    """Measure recordings and write the frequency tables with their manifest.

    Parameters
    ----------
    snapshots
        Files or folders, as for `baimo run --source`; together they must hold a full model
        listing with authors, protocol tables of two dates and a TVL history. The tables beside
        these (`COMPANIONS`) are optional: of what no file tells, nothing is written, and the
        manifest does not name it.
    out
        Folder for the tables.
    about
        File name -> {"source", "licence"}: what the recordings' publishers state.
    """
    loaded = load_recordings(*snapshots)
    beside = _companions(snapshots)
    if any(i.name.startswith(f"{REFERENCE}/") for i in loaded.inputs):
        lacking = [line for line in loaded.ignored if "stands in" in line]
        raise SourceError(f"cannot tabulate: {'; '.join(lacking)}; add the missing recording")
    clean = {
        name: validate(frame, ROWS_OF[name]).good
        for name, frame in loaded.frames.items()
        if name != "defi_day"  # the day's protocols are among those of both dates
    }
    if clean["hub_models"]["author"].null_count() == clean["hub_models"].height:
        raise TableError("cannot tabulate: the model listing has no authors; add the column")
    tables = {
        **tabulate_hub(clean["hub_models"], loaded.day),
        # all that any definition of DeFi counts: a run takes its own from it
        "defi_population": _rounded_population(
            join_population(clean["defillama_protocols"], BROAD)
        ),
        "tvl_weekly": clean["tvl_weekly"].with_columns(
            pl.col("log_growth", "log_size").round(GROWTH_DECIMALS)
        ),
        VARIANTS: _variants(clean["hub_models"], earliest(clean["defillama_protocols"])),
        **tabulate_companions(beside.values(), clean, loaded.day),
    }
    names = [name for name in (*BUNDLED, *COMPANIONS) if name in tables]
    paths = [out / f"{name}.parquet" for name in names]
    for name, path in zip(names, paths, strict=True):
        write_parquet(path, tables[name].select(TABLES[name].names), level=19)
    inputs = (*loaded.inputs, *(_input(path, found) for path, found in beside.items()))
    manifest = {
        "schema_version": 1,
        "day": loaded.day.isoformat(),
        "measured_with": f"baimo {version('baimo')}",
        "keeps": KEEPS,
        "drops": DROPS,
        "rounding": f"TVL to {TVL_DIGITS} significant digits, logs to {GROWTH_DECIMALS} decimals, "
        f"ages to {AGE_DIGITS} significant digits",
        "recordings": [_recording(i, about) for i in inputs],
        "tables": {
            name: _described(name, path, _taken_on(name, tables, inputs))
            for name, path in zip(names, paths, strict=True)
        },
    }
    write_text(out / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return [*paths, out / "manifest.json"]


def _companions(snapshots: list[str]) -> dict[Path, Companion]:
    """Return the recordings beside the main ones, among files and folders."""
    files: list[Path] = []
    for path in (Path(s).expanduser() for s in snapshots):
        files += sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    read = {path: read_companion(path) for path in files}
    return {path: found for path, found in read.items() if found is not None}


def _input(path: Path, found: Companion) -> Input:
    return Input(
        table=found.table,
        name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        rows=pl.scan_parquet(path, glob=False).select(pl.len()).collect().item(),
        rows_used=n_items(found),
        taken_on=days_of(found),
    )


def _variants(models: pl.DataFrame, protocols: pl.DataFrame) -> pl.DataFrame:
    table = pl.concat([model_variants(models), protocol_variants(protocols)])
    rounded = table.with_columns(pl.col("size").round_sig_figs(TVL_DIGITS)).filter(
        pl.col("population").str.starts_with("tvl")
    )
    kept = table.filter(~pl.col("population").str.starts_with("tvl"))
    key = ["population", "size"]
    merged = rounded.group_by(key).agg(pl.col("n_items").sum())
    return pl.concat([kept, merged.sort(key)])


def _rounded_population(population: pl.DataFrame) -> pl.DataFrame:
    names = [n for n in TABLES["defi_population"].names if n != "n_protocols"]
    rounded = population.with_columns(pl.col("tvl_before", "tvl_after").round_sig_figs(TVL_DIGITS))
    return rounded.group_by(names).agg(pl.col("n_protocols").sum()).sort(names, nulls_last=True)


def _recording(taken: Input, about: dict[str, dict[str, str]]) -> dict[str, Any]:
    stated = about.get(Path(taken.name).name, {})
    return {
        "file": Path(taken.name).name,
        "table": taken.table,
        "taken_on": taken.taken_on,
        "rows": taken.rows,
        "rows_used": taken.rows_used,
        "sha256": taken.sha256,
        "source": stated.get("source", "not stated"),
        "licence": stated.get("licence", "not stated"),
    }


def _taken_on(name: str, tables: dict[str, pl.DataFrame], inputs: tuple[Input, ...]) -> str:
    """Return the days of a table: those that its rows state, else those of its recordings."""
    if name in COMPANIONS and name not in (HUB_BEFORE_FLOOR.name, TVL_GROWTH_PERIODS.name):
        table = tables[name]
        if name == OTHER_DESIGN_EFFECTS.name:  # of the datasets, whose rows state their day
            sizes = tables[OTHER_SIZES.name]
            table = sizes.filter(pl.col("population").is_in(table["measure"].unique().to_list()))
        stated = [n for n in ("before_on", "after_on", "taken_on") if n in table.columns]
        return " and ".join(sorted({str(day) for n in stated for day in table[n].unique()}))
    origins = {
        **dict.fromkeys((*HUB_TABLES, VARIANTS), "hub_models"),
        "defi_population": "defillama_protocols",
        HUB_BEFORE_FLOOR.name: "hub_models",
    }
    return " and ".join(sorted(i.taken_on for i in inputs if i.table == origins.get(name, name)))


def _described(name: str, path: Path, taken_on: str) -> dict[str, object]:
    return {
        "meaning": TABLES[name].meaning,
        "taken_on": taken_on,
        "rows": pl.scan_parquet(path).select(pl.len()).collect().item(),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
