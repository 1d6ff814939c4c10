"""Verification names every file of the lake that is not as its receipt says, and only those."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.errors import LakeError
from baimo.pipeline.lake.atomic import file_sha256
from baimo.pipeline.lake.receipts import (
    FAILED,
    MISSING,
    PUBLISHED,
    Receipt,
    receipt_path,
    write_receipt,
)
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.lake.verify import Fault, holding, under_way, verify

TABLE = "hub_downloads_daily"
D1, D2, D3, D4, D5 = (date(2026, 9, n) for n in range(1, 6))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def rows(day: date, n: int = 4) -> pl.DataFrame:
    return pl.DataFrame(
        {"hub_id": [f"id{i}" for i in range(n)], "day": [day] * n, "downloads": range(n)}
    ).cast({"downloads": pl.Int64})


def publish(lake: Lake, day: date, frame: pl.DataFrame | None = None, n_rows: int = 4) -> Path:
    path = lake.write_table(TABLE, day, rows(day) if frame is None else frame)
    state(lake, day, PUBLISHED, rows=n_rows, sha256=file_sha256(path))
    return path


def state(lake: Lake, day: date, outcome: str, rows: int = 0, sha256: str = "") -> None:
    receipt = Receipt(TABLE, day.isoformat(), "panel", outcome, rows=rows, sha256=sha256)
    write_receipt(lake, receipt)


def faults(lake: Lake) -> list[Fault]:
    return [fault for _, fault in verify(lake) if fault is not None]


# --- verification --------------------------------------------------------------------------------


def test_a_sound_lake_has_each_file_looked_at_and_no_fault(lake: Lake) -> None:
    paths = [publish(lake, day) for day in (D1, D2)]
    state(lake, D3, MISSING)
    paths.append(lake.write_table("zipf", D1, pl.DataFrame({"a": [1]})))
    assert list(verify(lake)) == [(path, None) for path in paths]


def test_a_lake_that_is_not_there_is_not_called_sound(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"lake: No such file or directory"):
        list(verify(lake))


FRAMES: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "a type": (lambda f: f.cast({"downloads": pl.Int32}), "has other columns than this version"),
    "a column more": (lambda f: f.with_columns(x=1), "has other columns than this version"),
    "a row less": (lambda f: f.head(3), "has 3 rows, its receipt says 4"),
    "a key twice": (
        lambda f: f.with_columns(hub_id=pl.lit("id1")),
        "repeats a day, hub_id",
    ),
    "an empty key": (
        lambda f: f.with_columns(hub_id=pl.col("hub_id").replace("id2", None)),
        "repeats a day, hub_id",
    ),
    "the order": (lambda f: f.reverse(), "is not sorted by hub_id"),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_what_is_wrong_with_the_rows_is_said(lake: Lake, kind: str) -> None:
    change, why = FRAMES[kind]
    path = publish(lake, D1, change(rows(D1)))
    publish(lake, D2)
    (fault,) = faults(lake)
    assert fault.path == path
    assert fault.what.startswith(why)


def test_a_changed_byte_is_seen_before_anything_is_read(lake: Lake) -> None:
    path = publish(lake, D1)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert faults(lake) == [
        Fault(path, "differs from its receipt: it was changed or damaged; restore it")
    ]


def test_a_file_that_is_no_parquet_though_its_digest_fits_cannot_be_read(lake: Lake) -> None:
    path = publish(lake, D1)
    path.write_bytes(b"PAR1")
    state(lake, D1, PUBLISHED, rows=4, sha256=file_sha256(path))
    (fault,) = faults(lake)
    assert fault.what.startswith("cannot be read (")


def test_a_published_file_that_is_gone_is_named(lake: Lake) -> None:
    path = publish(lake, D1)
    path.unlink()
    assert faults(lake) == [
        Fault(path, "is gone; restore it, or remove its receipt and fill that day again")
    ]


def test_a_damaged_receipt_and_one_of_no_day_are_named(lake: Lake) -> None:
    path = publish(lake, D1)
    receipt = receipt_path(lake, TABLE, D1)
    receipt.write_text("{")
    stray = receipt.with_name("notes.json")
    stray.write_text("{}")
    found = faults(lake)
    assert [fault.path for fault in found] == [stray, receipt]
    assert found[0].what == "is no receipt: its name is no day; take it away"
    assert found[1].what.endswith("is damaged; restore it")
    assert path not in [p for p, _ in verify(lake)]  # nothing tells what it should be


def test_a_file_of_no_published_day_is_named(lake: Lake) -> None:
    publish(lake, D1)
    stray = lake.write_table(TABLE, D2, rows(D2))
    state(lake, D3, FAILED)
    beside = lake.path(TABLE, D1).with_name("notes.txt")
    beside.write_text("")
    found = faults(lake)
    assert {fault.path for fault in found} == {stray, beside}
    assert all(fault.what.startswith("has no receipt") for fault in found)


def test_results_without_receipts_are_read_through(lake: Lake) -> None:
    sound = lake.write_table("zipf", D1, pl.DataFrame({"a": [1]}))
    broken = lake.write_table("tails", D1, pl.DataFrame({"a": [1]}))
    broken.write_bytes(b"PAR1")
    page = lake.root / "crawling" / TABLE / "page-000000.parquet"  # a walk looks at its own
    page.parent.mkdir(parents=True)
    page.write_bytes(b"PAR1")
    assert dict(verify(lake)) == {sound: None, broken: Fault(broken, "cannot be read; restore it")}


# --- what there is -------------------------------------------------------------------------------


def test_holdings_tell_what_is_there_what_failed_and_what_might_be_had(lake: Lake) -> None:
    sizes = [publish(lake, day).stat().st_size for day in (D1, D5)]
    state(lake, D2, MISSING)
    state(lake, D3, FAILED)
    found = holding(lake, TABLE)
    assert [r.day for r in found.published] == ["2026-09-01", "2026-09-05"]
    assert (found.first, found.last) == ("2026-09-01", "2026-09-05")
    assert [r.day for r in found.failed] == ["2026-09-03"]
    assert [r.day for r in found.lacking] == ["2026-09-02"]
    assert found.missing == (D3, D4)
    assert found.n_bytes == sum(sizes)
    assert found.gone == ()


def test_a_published_day_whose_file_is_gone_is_missing_again(lake: Lake) -> None:
    for day in (D1, D2, D3):
        publish(lake, day)
    lake.path(TABLE, D2).unlink()
    found = holding(lake, TABLE)
    assert [r.day for r in found.gone] == ["2026-09-02"]
    assert found.missing == (D2,)


def test_an_empty_table_has_neither_a_first_nor_a_last_day(lake: Lake) -> None:
    found = holding(lake, TABLE)
    assert (found.first, found.last, found.missing, found.n_bytes) == ("", "", (), 0)


def test_walks_under_way_are_told_with_their_pages(lake: Lake) -> None:
    assert under_way(lake) == []
    for name, n_pages in (("hub_models", 2), ("other", 0)):
        folder = lake.root / "crawling" / name
        folder.mkdir(parents=True)
        (folder / "crawl.json").write_text(json.dumps({"started_at": "2026-09-01T06:00"}))
        for n in range(n_pages):
            (folder / f"page-{n:06d}.parquet").write_bytes(b"")
    (lake.root / "crawling" / "other" / "refused").write_text("")
    (lake.root / "crawling" / "broken").mkdir()
    (lake.root / "crawling" / "broken" / "crawl.json").write_text("{")
    assert under_way(lake) == [
        "hub_models: 2 pages of a walk begun 2026-09-01T06:00",
        "other: 0 pages of a walk begun 2026-09-01T06:00, refused",
    ]
