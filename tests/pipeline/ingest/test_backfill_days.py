"""A walk over past days: what is published stays, what cannot be is noted, the next day follows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.errors import IncompleteError, LakeError, PipelineError
from baimo.pipeline.ingest.acceptance import Check, RefusedSnapshotError
from baimo.pipeline.ingest.backfill_days import (
    OF_THE_DAY_ALONE,
    BackfillProgress,
    NothingError,
    PastError,
    Walk,
    last_before,
    past_days,
)
from baimo.pipeline.lake.receipts import FAILED, MISSING, PUBLISHED, Receipt, read_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.sources.http import RefusedError, UnreachableError
from baimo.pipeline.sources.hub.columns import ColumnsError
from baimo.pipeline.sources.hub.parquet import DamagedError
from tests.pipeline.ingest.listings import models, published

FIRST = date(2026, 8, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(3)]


def now() -> datetime:
    return datetime(2026, 9, 1, 0, 30, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


class TestPastDays:
    def test_both_ends_are_included(self) -> None:
        assert past_days(FIRST, DAYS[-1], now) == DAYS
        assert past_days(FIRST, FIRST, now) == [FIRST]

    def test_yesterday_is_the_last_that_is_over(self) -> None:
        yesterday = date(2026, 8, 31)
        assert past_days(yesterday, yesterday, now) == [yesterday]
        with pytest.raises(
            PastError, match=r"2026-09-01 is not over in UTC; fill up to 2026-08-31"
        ):
            past_days(yesterday, date(2026, 9, 1), now)

    def test_the_earlier_day_comes_first(self) -> None:
        with pytest.raises(PastError, match="give the earlier day first"):
            past_days(DAYS[1], FIRST, now)

    def test_the_nearest_before(self) -> None:
        assert last_before(DAYS, DAYS[2]) == DAYS[1]
        assert last_before([*DAYS[::-1]], DAYS[2]) == DAYS[1]
        assert last_before(DAYS, FIRST) is None


def walk(lake: Lake, said: list[str] | None = None) -> Walk:
    return Walk(lake, "hub_models", "weekly", DAYS, said.append if said is not None else silent)


def silent(_: str) -> None:
    pass


def publishing(lake: Lake) -> Callable[[date], Receipt]:
    """Return what publishes a small table of any day."""

    def publish(day: date) -> Receipt:
        lake.write_table("hub_models", day, pl.DataFrame({"a": [1, 2]}))
        return Receipt("hub_models", day.isoformat(), "weekly", PUBLISHED, rows=2)

    return publish


def failing_on(day: date, error: Exception, lake: Lake) -> Callable[[date], Receipt]:
    def publish(wanted: date) -> Receipt:
        if wanted == day:
            raise error
        return publishing(lake)(wanted)

    return publish


class TestWalk:
    def test_each_wanted_day_is_published_with_its_receipt(self, lake: Lake) -> None:
        said: list[str] = []
        receipts = walk(lake, said).go(publishing(lake))
        assert [(r.day, r.outcome) for r in receipts] == [(str(d), PUBLISHED) for d in DAYS]
        assert [read_receipt(lake, "hub_models", d) for d in DAYS] == receipts
        assert said == [f"{d}: published, 2 rows" for d in DAYS]

    def test_a_day_that_is_there_is_kept_and_not_asked_for(self, lake: Lake) -> None:
        published(lake, "hub_models", DAYS[1], models([1]), "hub")
        asked: list[date] = []

        def publish(day: date) -> Receipt:
            asked.append(day)
            return publishing(lake)(day)

        said: list[str] = []
        receipts = walk(lake, said).go(publish)
        assert asked == [DAYS[0], DAYS[2]]
        assert [r.source for r in receipts] == ["weekly", "hub", "weekly"]
        assert f"{DAYS[1]}: kept, published before from hub" in said
        assert walk(lake).wanted == []

    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (NothingError("no file of that day"), MISSING),
            (IncompleteError("the file is cut short"), FAILED),
            (DamagedError("the footer is damaged"), FAILED),
            (ColumnsError("no likes"), FAILED),
            *((RefusedError(f"HTTP {code}", code), FAILED) for code in OF_THE_DAY_ALONE),
        ],
        ids=lambda v: v if isinstance(v, str) else f"{type(v).__name__} {v}",
    )
    def test_what_is_of_one_day_alone_is_noted_and_the_next_follows(
        self, error: PipelineError, outcome: str, lake: Lake
    ) -> None:
        receipts = walk(lake).go(failing_on(DAYS[1], error, lake))
        assert [r.outcome for r in receipts] == [PUBLISHED, outcome, PUBLISHED]
        assert receipts[1].why == str(error)
        assert read_receipt(lake, "hub_models", DAYS[1]) == receipts[1]

    @pytest.mark.parametrize(
        "error",
        [RefusedError("HTTP 403", 403), UnreachableError("no answer"), LakeError("no room")],
        ids=lambda e: type(e).__name__,
    )
    def test_what_hits_every_day_stops_it_and_what_was_done_stays(
        self, error: PipelineError, lake: Lake
    ) -> None:
        with pytest.raises(type(error), match=str(error)):
            walk(lake).go(failing_on(DAYS[1], error, lake))
        assert walk(lake).wanted == DAYS[1:]
        receipt = read_receipt(lake, "hub_models", DAYS[1])
        assert receipt is not None
        assert (receipt.outcome, receipt.why) == (FAILED, str(error))
        assert read_receipt(lake, "hub_models", DAYS[2]) is None
        receipts = walk(lake).go(publishing(lake))  # the same call goes on
        assert [r.outcome for r in receipts] == [PUBLISHED] * 3

    def test_a_file_without_a_receipt_that_differs_is_left_and_the_next_follows(
        self, lake: Lake
    ) -> None:
        stood = lake.write_table("hub_models", DAYS[1], pl.DataFrame({"other": [9]}))
        before = stood.read_bytes()
        receipts = walk(lake).go(failing_on(DAYS[1], LakeError("differs; remove it"), lake))
        assert [r.outcome for r in receipts] == [PUBLISHED, FAILED, PUBLISHED]
        assert stood.read_bytes() == before

    def test_a_refused_day_keeps_the_numbers_of_its_checks(self, lake: Lake) -> None:
        checks = [Check("a", "", {"rows": 3}), Check("b", "too few", {"rows": 1})]
        error = RefusedSnapshotError(checks)
        receipts = walk(lake).go(failing_on(FIRST, error, lake))
        assert receipts[0].outcome == FAILED
        assert receipts[0].checks == {"a": {"rows": 3}, "b": {"rows": 1, "why": "too few"}}

    def test_what_a_killed_process_left_is_swept(self, lake: Lake) -> None:
        folder = lake.path("hub_models", FIRST).parent
        folder.mkdir(parents=True)
        (folder / ".hub_models.parquet.x.tmp").write_bytes(b"half")
        walk(lake).go(publishing(lake))
        assert [p.name for p in folder.iterdir()] == ["hub_models.parquet"]

    def test_progress_tells_the_day_among_days(self, lake: Lake) -> None:
        shown: list[BackfillProgress] = []
        going = Walk(lake, "hub_models", "weekly", DAYS, silent, shown.append)

        def publish(day: date) -> Receipt:
            going.show(day, 5, 10)
            return publishing(lake)(day)

        going.go(publish)
        assert shown == [BackfillProgress(day, n, 3, 5, 10) for n, day in enumerate(DAYS)]
        assert going.scratch.parent == lake.root / "crawling"
