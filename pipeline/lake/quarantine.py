"""Rows and values that are not what their table holds: each with its reason, none lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import polars as pl

from baimo.pipeline.lake.atomic import write_parquet
from baimo.pipeline.lake.store import Lake

SCHEMA = {"reason": pl.String, "kept": pl.Boolean, "row": pl.String}


def quarantined(records: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return records as a frame: reason, kept (the row is in the table, a value is not), row."""
    return pl.DataFrame(
        [(r["reason"], r["kept"], r["row"]) for r in records], schema=SCHEMA, orient="row"
    )


def by_reason(odd: pl.DataFrame, *, kept: bool) -> dict[str, int]:
    """Count the reasons of the rows left out, or (kept) of the values left empty."""
    counts = odd.filter(pl.col("kept") == kept).group_by("reason").len().sort("reason")
    return dict(counts.iter_rows())


def write_quarantine(lake: Lake, name: str, day: date, odd: pl.DataFrame) -> None:
    """Write the odd rows beside their table; without any, no file, nor that of an earlier try."""
    path = lake.path(f"{name}_quarantine", day)
    if odd.is_empty():
        path.unlink(missing_ok=True)
    else:
        write_parquet(path, odd)
