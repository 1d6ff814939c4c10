"""A day is late when it is not published by its deadline; until then yesterday is the newest."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.lake.freshness import Freshness, freshness
from baimo.pipeline.lake.receipts import FAILED, PUBLISHED, Receipt, write_receipt
from baimo.pipeline.lake.store import Lake

TABLE = "hub_models"
TODAY = date(2026, 9, 20)
AFTER = datetime(2026, 9, 20, 9, tzinfo=UTC)
BEFORE = datetime(2026, 9, 20, 8, 59, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def publish(lake: Lake, *days: date) -> None:
    for day in days:
        lake.write_table(TABLE, day, pl.DataFrame({"hub_id": ["a"]}))
        write_receipt(lake, Receipt(TABLE, day.isoformat(), "hub", PUBLISHED))


def days_back(*numbers: int) -> list[date]:
    return [TODAY - timedelta(days=n) for n in numbers]


def test_a_day_that_is_there_by_its_deadline_is_not_late(lake: Lake) -> None:
    publish(lake, *days_back(1, 0))
    assert freshness(lake, TABLE, AFTER) == Freshness(TODAY, (), False, "holds")


def test_today_is_due_from_nine_on_and_not_before(lake: Lake) -> None:
    publish(lake, *days_back(2, 1))
    yesterday = TODAY - timedelta(days=1)
    assert freshness(lake, TABLE, BEFORE) == Freshness(yesterday, (), False, "holds")
    late = freshness(lake, TABLE, AFTER)
    assert (late.last, late.missing, late.late) == (yesterday, (TODAY,), True)
    assert late.verdict == "2026-09-20 is not published: no refresh was tried"


def test_a_failed_try_says_why_the_day_is_not_there(lake: Lake) -> None:
    publish(lake, *days_back(1))
    write_receipt(lake, Receipt(TABLE, TODAY.isoformat(), "hub", FAILED, "the Hub was down"))
    assert freshness(lake, TABLE, AFTER).verdict == (
        "2026-09-20 is not published: the Hub was down"
    )


def test_a_gap_behind_is_named_and_does_not_make_today_late(lake: Lake) -> None:
    publish(lake, *days_back(5, 4, 2, 0))
    found = freshness(lake, TABLE, AFTER)
    assert found.missing == tuple(days_back(3, 1))
    assert (found.late, found.verdict) == (False, "holds")


def test_gaps_are_looked_for_in_thirty_days(lake: Lake) -> None:
    publish(lake, *days_back(40, 30, 0))
    found = freshness(lake, TABLE, AFTER)
    assert found.missing == tuple(days_back(*range(29, 0, -1)))


def test_a_table_without_a_day_is_late_by_the_day_that_is_due(lake: Lake) -> None:
    found = freshness(lake, TABLE, AFTER)
    assert (found.last, found.missing, found.late) == (None, (TODAY,), True)


def test_a_file_without_a_receipt_is_no_published_day(lake: Lake) -> None:
    publish(lake, *days_back(1))
    lake.write_table(TABLE, TODAY, pl.DataFrame({"hub_id": ["a"]}))
    assert freshness(lake, TABLE, AFTER).late
