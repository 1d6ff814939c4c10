"""Receipts: what happened to each table and day, published or not, and why.

`<lake>/receipts/<table>/<day>.json`. A day is *published* when its file stands in the lake and its
receipt says so; only such days are compared with, joined across days and measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from baimo.pipeline.errors import LakeError
from baimo.pipeline.lake.atomic import listed, present, read_file, write_text
from baimo.pipeline.lake.store import Lake, day_named

PUBLISHED = "published"
FAILED = "failed"
MISSING = "missing"  # the source has nothing for that day


@dataclass(frozen=True)
class Receipt:
    """What was published for one table and day, or why nothing was.

    Parameters
    ----------
    outcome
        published, failed or missing.
    source
        hub, defillama, or the dataset of a backfill.
    lacks
        Columns that the source does not have: name -> reason.
    checks
        Name -> numbers of every check, with `why` where it failed.
    """

    table: str
    day: str
    source: str
    outcome: str
    why: str = ""
    rows: int = 0
    sha256: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    lacks: dict[str, str] = field(default_factory=dict)
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)


def receipt_path(lake: Lake, table: str, day: date) -> Path:
    """Return where the receipt of one table and day lies."""
    return lake.root / "receipts" / table / f"{day.isoformat()}.json"


def write_receipt(lake: Lake, receipt: Receipt) -> None:
    """Write a receipt; a failure never replaces the receipt of something published."""
    day = date.fromisoformat(receipt.day)
    if receipt.outcome != PUBLISHED and is_published(lake, receipt.table, day):
        return
    text = json.dumps(asdict(receipt), indent=1, ensure_ascii=False)
    write_text(receipt_path(lake, receipt.table, day), text + "\n")


def read_receipt(lake: Lake, table: str, day: date) -> Receipt | None:
    """Return the receipt of one table and day, None where there is none.

    Raises
    ------
    LakeError
        It cannot be read.
    """
    path = receipt_path(lake, table, day)
    try:
        return Receipt(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise LakeError(
            f"{path} cannot be read ({error}); restore it, or remove it to publish the day anew"
        ) from error


def is_published(lake: Lake, table: str, day: date) -> bool:
    """Return whether a table of a day is published."""
    if not present(lake.path(table, day)):
        return False
    receipt = read_receipt(lake, table, day)
    return receipt is not None and receipt.outcome == PUBLISHED


def published_days(lake: Lake, table: str) -> list[date]:
    """Return the published days of a table, ascending; one whose receipt is damaged is none."""
    return [day for day in lake.days(table) if _is_surely_published(lake, table, day)]


def _is_surely_published(lake: Lake, table: str, day: date) -> bool:
    try:
        return is_published(lake, table, day)
    except LakeError:
        return False  # baimo lake verify names it


def last_sound(
    lake: Lake, table: str, days: Sequence[date], columns: list[str]
) -> tuple[date | None, pl.DataFrame | None, list[str]]:
    """Return the last of the days whose file can be read, its columns, and why later ones not."""
    damaged: list[str] = []
    for day in reversed(days):
        try:
            return day, read_file(lake.path(table, day), columns), damaged
        except LakeError as error:
            damaged.append(str(error))
    return None, None, damaged


def receipts(lake: Lake, table: str) -> list[Receipt]:
    """Return every receipt of a table that can be read, by day."""
    found = []
    for day in receipt_days(lake, table):
        with suppress(LakeError):
            found.append(read_receipt(lake, table, day))
    return [receipt for receipt in found if receipt is not None]


def receipt_days(lake: Lake, table: str) -> list[date]:
    """Return the days that have a receipt, sound or not."""
    stems = (path.stem for path in listed(lake.root / "receipts" / table, "*.json"))
    return [day for stem in stems if (day := day_named(stem))]
