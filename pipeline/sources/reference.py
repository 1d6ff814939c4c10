"""The bundled reference: frequency tables written out as rows.

The tables under data/reference were measured by `baimo tabulate`; here they become a snapshot
again, with ids that say where they come from, and go through the same validation as live data.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TypedDict

import polars as pl

from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.settings import reference_dir
from baimo.pipeline.sources.snapshot import REFERENCE, Input, Snapshots
from baimo.pipeline.variables import expand

READY = (
    "hub_authors",
    "hub_design_effects",
    "hub_sampling",
    "hub_covariances",
    "hub_clustered_tests",
    "hub_threshold_spreads",
    "hub_derivatives",
    "hub_totals",
    "hub_top",
)
VARIANTS = "size_variants"
BUNDLED = ("hub_frequency", *READY, "defi_population", "tvl_weekly", VARIANTS)
HUB_TABLES = ("hub_frequency", *READY)
GAINS = "hub_increments"
COMPANIONS = (  # each may be missing
    GAINS,
    "other_increments",
    "hub_waves",
    "other_sizes",
    "other_design_effects",
    "hub_before_floor",
    "tvl_growth_periods",
)


class StatedTable(TypedDict):
    """What the manifest states of one bundled table; `taken_on` is an ISO day or two."""

    meaning: str
    taken_on: str
    rows: int
    sha256: str


class Manifest(TypedDict):
    """What the manifest states: the day of the model listing (ISO), and each table by name."""

    day: str
    tables: dict[str, StatedTable]


def read_manifest() -> Manifest:
    """Read the manifest of the bundled tables."""
    path = reference_dir() / "manifest.json"
    if not path.exists():
        raise SourceError(f"the bundled reference is missing ({path}); reinstall baimo")
    manifest: Manifest = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def load_reference() -> Snapshots:
    """Rebuild the reference snapshot from its frequency tables.

    The likes of two days are of newly made models, later than the snapshot; they are there where
    they are bundled.
    """
    manifest = read_manifest()
    tables = {name: _read(name) for name in BUNDLED}
    gains = {name: _checked(name) for name in (GAINS,) if name in manifest["tables"]}
    tables |= gains
    inputs = tuple(
        Input(
            table=name,
            name=f"reference/{name}.parquet",
            sha256=manifest["tables"][name]["sha256"],
            rows=tables[name].height,
            rows_used=tables[name].height,
            taken_on=manifest["tables"][name]["taken_on"],
        )
        for name in tables
    )
    protocols = _protocols(tables["defi_population"])
    return Snapshots(
        day=date.fromisoformat(manifest["day"]),
        source=REFERENCE,
        frames={
            "hub_models": _models(tables["hub_frequency"]),
            "defi_day": earliest(protocols),
            "defillama_protocols": protocols,
            "tvl_weekly": tables["tvl_weekly"],
            **gains,
        },
        inputs=inputs,
    )


def earliest(protocols: pl.DataFrame) -> pl.DataFrame:
    """Return the protocols of the earliest date: the cross-section that is fitted."""
    return protocols.filter(pl.col("observed_on") == pl.col("observed_on").min())


def latest(protocols: pl.DataFrame) -> pl.DataFrame:
    """Return the protocols of the latest date."""
    return protocols.filter(pl.col("observed_on") == pl.col("observed_on").max())


def load_ready() -> dict[str, pl.DataFrame]:
    """Read the Hub tables that rows without authors and names cannot give."""
    return {name: _read(name) for name in READY}


def load_variants() -> pl.DataFrame:
    """Read the sizes cut otherwise, which rows without base models and exchanges cannot give."""
    return _checked(VARIANTS)


def load_companions() -> dict[str, pl.DataFrame]:
    """Read the tables beside the snapshot (`COMPANIONS`) that the manifest names, by name.

    Raises
    ------
    SourceError
        A file that the manifest names is missing, or holds rows that do not fit its table.
    """
    stated = read_manifest()["tables"]
    return {name: _checked(name) for name in COMPANIONS if name in stated}


def _checked(name: str) -> pl.DataFrame:
    table = validate(_read(name), TABLES[name])
    if table.quarantine.height:
        why = table.quarantine["reason"][0]
        raise SourceError(f"the bundled table {name} is damaged ({why}); reinstall baimo")
    return table.good


def _read(name: str) -> pl.DataFrame:
    path: Path = reference_dir() / f"{name}.parquet"
    if not path.exists():
        raise SourceError(f"the bundled table {path} is missing; reinstall baimo")
    return pl.read_parquet(path)


def _models(frequency: pl.DataFrame) -> pl.DataFrame:
    rows = expand(frequency, "n_models")
    number = pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(7)
    return rows.select(
        hub_id=pl.concat_str(pl.lit("reference-"), number),
        model_id=pl.concat_str(pl.lit("reference/"), number),
        downloads="downloads",
        likes="likes",
        created_at=pl.col("created_on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        source=pl.lit(REFERENCE),
    )


def _protocols(population: pl.DataFrame) -> pl.DataFrame:
    rows = expand(population, "n_protocols").with_columns(
        name=pl.concat_str(
            pl.lit("reference-"), pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(5)
        )
    )
    unknown = pl.lit(None, dtype=pl.Date)
    sides = [
        rows.filter(~pl.col(absent)).select(
            observed_on=on,
            protocol_id="name",
            name="name",
            category="category",
            tvl_usd=size,
            listed_at=listed,
            adapter_at=began,
            source=pl.lit(REFERENCE),
        )
        for absent, on, size, listed, began in (
            ("entrant", "before_on", "tvl_before", pl.col("listed_on"), pl.col("adapter_on")),
            ("unmatched", "after_on", "tvl_after", unknown, unknown),
        )
    ]
    return pl.concat(sides)
