"""What the lake holds, and whether it is sound."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from pipeline.lake import Lake, read_file
from pipeline.publish import file_sha256
from pipeline.receipts import PUBLISHED, Receipt, receipts
from pipeline.tables import TABLES

SNAPSHOTS = ("hub_models", "defillama_protocols", "hub_downloads_daily")


@dataclass(frozen=True)
class Holding:
    """What the lake holds of one table; `missing` are days between first and last."""

    table: str
    published: tuple[Receipt, ...]
    failed: tuple[Receipt, ...]
    missing: tuple[date, ...]
    n_bytes: int

    @property
    def first(self) -> str:
        """Return the first published day, empty without one."""
        return self.published[0].day if self.published else ""

    @property
    def last(self) -> str:
        """Return the last published day, empty without one."""
        return self.published[-1].day if self.published else ""


def holding(lake: Lake, table: str) -> Holding:
    """Look up what the lake holds of a table."""
    found = receipts(lake, table)
    published = tuple(
        r
        for r in found
        if r.outcome == PUBLISHED and lake.path(table, date.fromisoformat(r.day)).exists()
    )
    days = [date.fromisoformat(r.day) for r in published]
    span = (days[-1] - days[0]).days if days else 0
    return Holding(
        table=table,
        published=published,
        failed=tuple(r for r in found if r.outcome != PUBLISHED),
        missing=tuple(
            d for d in (days[0] + timedelta(i) for i in range(span)) if d not in set(days)
        ),
        n_bytes=sum(lake.path(table, d).stat().st_size for d in days),
    )


def under_way(lake: Lake) -> list[str]:
    """Describe the walks that wait to be gone on with."""
    lines = []
    for state in sorted((lake.root / "crawling").glob("*/crawl.json")):
        try:
            began = json.loads(state.read_text("utf-8"))["started_at"]
        except (OSError, ValueError, KeyError):
            continue
        pages = len(list(state.parent.glob("page-*.parquet")))
        lines.append(f"{state.parent.name}: {pages:,} pages of a walk begun {began}")
    return lines


@dataclass(frozen=True)
class Fault:
    """Something in the lake that is not as it should be."""

    path: Path
    what: str


def verify(lake: Lake) -> Iterator[tuple[Path, Fault | None]]:
    """Look at every published file and yield it with what is wrong with it, or None.

    Checked of snapshots are the hash against the receipt, the schema against `tables.py`, the
    number of rows, the key (unique and not null), the order, and that nothing half done lies
    about; every other Parquet file (chains, quarantine, histories, results) is read through.
    """
    for table in SNAPSHOTS:
        for receipt in receipts(lake, table):
            if receipt.outcome == PUBLISHED:
                path = lake.path(table, date.fromisoformat(receipt.day))
                what = _fault(path, receipt)
                yield path, Fault(path, what) if what else None
        known = {
            lake.path(table, date.fromisoformat(r.day))
            for r in receipts(lake, table)
            if r.outcome == PUBLISHED
        }
        for path in sorted((lake.root / table).glob("date=*/*")):
            if path not in known:
                yield path, Fault(path, "is of no published day; remove it, or refresh that day")
    for path in sorted(lake.root.glob("*/**/*.parquet")):
        if path.relative_to(lake.root).parts[0] not in (*SNAPSHOTS, "crawling"):
            yield path, None if _readable(path) else Fault(path, "cannot be read; remove it")


def _readable(path: Path) -> bool:
    """Read a file that has no receipt from its first row to its last."""
    try:
        pl.scan_parquet(path, glob=False, hive_partitioning=False).select(
            pl.all().null_count()
        ).collect(engine="streaming")
    except (OSError, pl.exceptions.PolarsError):
        return False
    return True


def _fault(path: Path, receipt: Receipt) -> str:
    """Say what is wrong with one published file, empty when nothing is."""
    if not path.exists():
        return "is gone; remove its receipt, or restore it"
    if file_sha256(path) != receipt.sha256:
        return "differs from its receipt: it was changed or damaged; restore or remove it"
    table = TABLES[receipt.table]
    try:
        schema = pl.read_parquet_schema(path)
        keys = read_file(path, list(table.key))
    except (OSError, pl.exceptions.PolarsError) as error:
        return f"cannot be read ({type(error).__name__}); restore or remove it"
    if dict(schema) != dict(pl.Schema(table.schema)):
        return "has other columns than this version of baimo writes"
    if keys.height != receipt.rows:
        return f"has {keys.height:,} rows, its receipt says {receipt.rows:,}"
    if keys.is_duplicated().any() or any(c.null_count() for c in keys):
        return f"repeats a {', '.join(table.key)}"
    if not keys[table.key[-1]].is_sorted():
        return f"is not sorted by {table.key[-1]}"
    return ""
