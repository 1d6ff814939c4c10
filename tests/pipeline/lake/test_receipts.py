"""A day is published when its file and a receipt that says so are both there, and never unsaid."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.errors import LakeError
from baimo.pipeline.lake.receipts import (
    FAILED,
    MISSING,
    PUBLISHED,
    Receipt,
    is_published,
    last_sound,
    published_days,
    read_receipt,
    receipt_days,
    receipt_path,
    receipts,
    write_receipt,
)
from baimo.pipeline.lake.store import Lake

TABLE = "hub_models"
D1, D2, D3, D4 = (date(2026, 9, n) for n in range(1, 5))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def publish(lake: Lake, day: date, outcome: str = PUBLISHED) -> Receipt:
    if outcome == PUBLISHED:
        lake.write_table(TABLE, day, pl.DataFrame({"hub_id": [day.isoformat()], "likes": [1]}))
    receipt = Receipt(TABLE, day.isoformat(), "hub", outcome)
    write_receipt(lake, receipt)
    return receipt


def damage(lake: Lake, day: date, text: str = "{") -> None:
    receipt_path(lake, TABLE, day).write_text(text)


def test_a_receipt_comes_back_as_it_was_written(lake: Lake) -> None:
    receipt = Receipt(
        table=TABLE, day="2026-09-01", source="hub-stats", outcome=PUBLISHED, why="", rows=7,
        sha256="ab", details={"pages": 3, "who": "λ"}, lacks={"gated": "not in the file"},
        checks={"no_gap": {"longest": 2}},
    )  # fmt: skip
    write_receipt(lake, receipt)
    assert read_receipt(lake, TABLE, D1) == receipt
    path = lake.root / "receipts" / TABLE / "2026-09-01.json"
    assert receipt_path(lake, TABLE, D1) == path
    assert "λ" in path.read_text("utf-8")


def test_a_day_without_a_receipt_has_none(lake: Lake) -> None:
    assert read_receipt(lake, TABLE, D1) is None
    assert receipts(lake, TABLE) == []
    assert receipt_days(lake, TABLE) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"table": "x"}', '{"colour": "red"}'])
def test_a_damaged_receipt_is_named_with_the_remedy(lake: Lake, text: str) -> None:
    publish(lake, D1)
    damage(lake, D1, text)
    with pytest.raises(LakeError, match=r"2026-09-01\.json cannot be read .*restore it, or remove"):
        read_receipt(lake, TABLE, D1)


def test_a_failure_never_replaces_the_receipt_of_something_published(lake: Lake) -> None:
    kept = publish(lake, D1)
    publish(lake, D1, FAILED)
    assert read_receipt(lake, TABLE, D1) == kept
    lake.path(TABLE, D1).unlink()  # gone: nothing published is left to protect
    failed = publish(lake, D1, FAILED)
    assert read_receipt(lake, TABLE, D1) == failed
    assert publish(lake, D1) == read_receipt(lake, TABLE, D1)


def test_published_takes_the_file_and_the_receipt(lake: Lake) -> None:
    assert not is_published(lake, TABLE, D1)
    publish(lake, D1)
    assert is_published(lake, TABLE, D1)
    lake.path(TABLE, D1).unlink()
    assert not is_published(lake, TABLE, D1)
    lake.write_table(TABLE, D2, pl.DataFrame({"hub_id": ["a"]}))
    assert not is_published(lake, TABLE, D2)
    publish(lake, D2, MISSING)
    assert not is_published(lake, TABLE, D2)


def test_published_days_leave_out_failed_and_damaged_ones(lake: Lake) -> None:
    for day in (D3, D1, D4):
        publish(lake, day)
    publish(lake, D2, FAILED)
    assert published_days(lake, TABLE) == [D1, D3, D4]
    damage(lake, D3)
    assert published_days(lake, TABLE) == [D1, D4]
    with pytest.raises(LakeError):
        is_published(lake, TABLE, D3)


def test_receipts_are_those_that_can_be_read_by_day(lake: Lake) -> None:
    for day, outcome in ((D2, FAILED), (D1, PUBLISHED), (D3, MISSING)):
        publish(lake, day, outcome)
    damage(lake, D2)
    (lake.root / "receipts" / TABLE / "notes.json").write_text("{}")
    assert [(r.day, r.outcome) for r in receipts(lake, TABLE)] == [
        ("2026-09-01", PUBLISHED), ("2026-09-03", MISSING)
    ]  # fmt: skip
    assert receipt_days(lake, TABLE) == [D1, D2, D3]


def test_the_last_sound_day_is_taken_and_later_damage_is_said(lake: Lake) -> None:
    for day in (D1, D2, D3):
        publish(lake, day)
    days = [D1, D2, D3]
    last, frame, damaged = last_sound(lake, TABLE, days, ["hub_id"])
    assert frame is not None
    assert (last, frame.rows(), damaged) == (D3, [("2026-09-03",)], [])
    for broken in (D3, D2):
        lake.path(TABLE, broken).write_bytes(b"PAR1")
    last, frame, damaged = last_sound(lake, TABLE, days, ["hub_id"])
    assert frame is not None
    assert (last, frame.rows()) == (D1, [("2026-09-01",)])
    assert ["date=2026-09-03" in damaged[0], "date=2026-09-02" in damaged[1]] == [True, True]
    assert last_sound(lake, TABLE, [], ["hub_id"]) == (None, None, [])
