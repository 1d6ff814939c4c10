"""The lake: one file per table and day, written whole or not at all.

`<root>/<table>/date=YYYY-MM-DD/<table>.parquet` holds tables (hive partitions that Polars,
DuckDB and pandas read as they are), `….json` holds fitted results. A write goes to a temporary
file in the same folder, is flushed to disk and renamed, so a reader never sees half a file and
the same content gives the same bytes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from baimo.pipeline.errors import LakeError
from baimo.pipeline.lake.atomic import listed, present, read_file, write_parquet, write_text

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day_named(text: str) -> date | None:
    """Return the day YYYY-MM-DD, None for any other text."""
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


@dataclass(frozen=True)
class Lake:
    """Tables and results of every day under one root."""

    root: Path

    def path(self, name: str, day: date, suffix: str = "parquet") -> Path:
        """Return where `name` of `day` lies."""
        return self.root / name / f"date={day.isoformat()}" / f"{name}.{suffix}"

    def write_table(self, name: str, day: date, frame: pl.DataFrame) -> Path:
        """Write one table of one day and return its path."""
        path = self.path(name, day)
        write_parquet(path, frame)
        return path

    def read_table(self, name: str, day: date) -> pl.DataFrame:
        """Read one table of one day."""
        return read_file(self._existing(name, day, "parquet"))

    def write_record(self, name: str, day: date, record: Any) -> Path:
        """Write plain JSON values and return the path."""
        path = self.path(name, day, "json")
        write_text(path, json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
        return path

    def read_record(self, name: str, day: date) -> Any:
        """Read what `write_record` wrote."""
        return json.loads(self._existing(name, day, "json").read_text(encoding="utf-8"))

    def days(self, name: str) -> list[date]:
        """Return the days for which `name` has been written, ascending."""
        folders = listed(self.root / name, "date=*")
        named = ((day_named(f.name.removeprefix("date=")), f) for f in folders)
        return [day for day, f in named if day and listed(f, f"{name}.*")]

    def _existing(self, name: str, day: date, suffix: str) -> Path:
        path = self.path(name, day, suffix)
        if not present(path):
            raise LakeError(
                f"{name} of {day} is not in the lake ({path}); baimo lake status tells what is"
            )
        return path
