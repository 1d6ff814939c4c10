"""What the lake holds, and whether it is sound."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from baimo.pipeline.errors import LakeError
from baimo.pipeline.lake.atomic import file_sha256, listed, present, read_file
from baimo.pipeline.lake.receipts import (
    FAILED,
    MISSING,
    PUBLISHED,
    Receipt,
    read_receipt,
    receipt_days,
    receipt_path,
    receipts,
)
from baimo.pipeline.lake.store import Lake, day_named
from baimo.pipeline.schema.catalog import TABLES

SNAPSHOTS = ("hub_models", "defillama_protocols", "hub_downloads_daily")


@dataclass(frozen=True)
class Holding:
    """What the lake holds of one table.

    Parameters
    ----------
    published, failed, lacking, gone
        Receipts of the days that are there, that failed, that the source has not, and whose file
        is no longer there.
    missing
        Days between the first and the last published that are not there, and might be had.
    """

    table: str
    published: tuple[Receipt, ...]
    failed: tuple[Receipt, ...]
    lacking: tuple[Receipt, ...]
    gone: tuple[Receipt, ...]
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
    stated = [r for r in found if r.outcome == PUBLISHED]
    published = tuple(r for r in stated if present(lake.path(table, date.fromisoformat(r.day))))
    lacking = tuple(r for r in found if r.outcome == MISSING)
    not_had = {date.fromisoformat(r.day) for r in lacking}
    days = [date.fromisoformat(r.day) for r in published]
    span = (days[-1] - days[0]).days if days else 0
    return Holding(
        table=table,
        published=published,
        failed=tuple(r for r in found if r.outcome == FAILED),
        lacking=lacking,
        gone=tuple(r for r in stated if r not in published),
        missing=tuple(
            d for d in (days[0] + timedelta(i) for i in range(span)) if d not in {*days, *not_had}
        ),
        n_bytes=sum(lake.path(table, d).stat().st_size for d in days),
    )


def under_way(lake: Lake) -> list[str]:
    """Describe the walks that wait to be gone on with."""
    lines = []
    found = listed(lake.root / "crawling", "*")
    for state in (folder / "crawl.json" for folder in found):
        try:
            began = json.loads(state.read_text("utf-8"))["started_at"]
        except (OSError, ValueError, KeyError):
            continue
        pages = len(listed(state.parent, "page-*.parquet"))
        refused = ", refused" if present(state.parent / "refused") else ""
        lines.append(f"{state.parent.name}: {pages:,} pages of a walk begun {began}{refused}")
    return lines


@dataclass(frozen=True)
class Fault:
    """Something in the lake that is not as it should be."""

    path: Path
    what: str


def verify(lake: Lake) -> Iterator[tuple[Path, Fault | None]]:
    """Look at every published file and yield it with what is wrong with it, or None.

    Checked of snapshots are the hash against the receipt, the schema against its table, the
    number of rows, the key (unique and not null), the order, and that nothing half done lies
    about; every other Parquet file (chains, quarantine, histories, results) is read through.
    """
    for table in SNAPSHOTS:
        yield from _verify_snapshots(lake, table)
    for path in _files(lake.root):
        top, *rest = path.relative_to(lake.root).parts
        if rest and path.suffix == ".parquet" and top not in (*SNAPSHOTS, "crawling"):
            yield path, None if _readable(path) else Fault(path, "cannot be read; restore it")


def _verify_snapshots(lake: Lake, table: str) -> Iterator[tuple[Path, Fault | None]]:
    known: set[Path] = set()
    for stray in listed(lake.root / "receipts" / table, "*"):
        if stray.suffix == ".json" and day_named(stray.stem) is None:
            yield stray, Fault(stray, "is no receipt: its name is no day; take it away")
    for day in receipt_days(lake, table):
        path = lake.path(table, day)
        try:
            receipt = read_receipt(lake, table, day)
        except LakeError as error:
            known.add(path)
            damaged = receipt_path(lake, table, day)
            yield damaged, Fault(damaged, f"({error.__cause__}) is damaged; restore it")
            continue
        if receipt is not None and receipt.outcome == PUBLISHED:
            known.add(path)
            what = _fault(path, receipt)
            yield path, Fault(path, what) if what else None
    for folder in listed(lake.root / table, "date=*"):
        for path in listed(folder, "*"):
            if path not in known:
                yield (
                    path,
                    Fault(
                        path,
                        "has no receipt, so it is of no published day; restore its receipt, or "
                        "take it away and fill that day again",
                    ),
                )


def _files(root: Path) -> Iterator[Path]:
    """Walk all files; a folder that may not be read is an error, not empty."""

    def refuse(error: OSError) -> None:
        raise LakeError(f"{error.filename}: {error.strerror}; ask for the right to read it")

    for folder, folders, names in os.walk(root, onerror=refuse):
        folders.sort()
        yield from (Path(folder) / name for name in sorted(names))


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
    if not present(path):
        return "is gone; restore it, or remove its receipt and fill that day again"
    table = TABLES[receipt.table]
    try:
        if file_sha256(path) != receipt.sha256:
            return "differs from its receipt: it was changed or damaged; restore it"
        schema = pl.scan_parquet(path, glob=False, hive_partitioning=False).collect_schema()
        keys = read_file(path, list(table.key))
    except (OSError, pl.exceptions.PolarsError, LakeError) as error:
        return f"cannot be read ({type(error).__name__}); restore it"
    if dict(schema) != dict(pl.Schema(table.schema)):
        return "has other columns than this version of baimo writes"
    if keys.height != receipt.rows:
        return f"has {keys.height:,} rows, its receipt says {receipt.rows:,}"
    if keys.is_duplicated().any() or any(c.null_count() for c in keys):
        return f"repeats a {', '.join(table.key)}"
    if not keys[table.key[-1]].is_sorted():
        return f"is not sorted by {table.key[-1]}"
    return ""
