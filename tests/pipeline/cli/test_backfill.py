"""`baimo backfill`: which work it asks for, what it says of each day, and its exit codes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from baimo.pipeline.errors import BusyError
from baimo.pipeline.ingest.backfill_days import BackfillProgress
from baimo.pipeline.lake.receipts import FAILED, MISSING, PUBLISHED, Receipt
from baimo.pipeline.lake.store import Lake
from tests.pipeline.command import baimo

DAY = date(2026, 8, 1)
Asked = list[tuple[str, Lake, date, date, dict[str, Any]]]
Answer = Callable[[date, date, dict[str, Any]], list[Receipt]]
DONE = Receipt("hub_models", DAY.isoformat(), "hub-stats", PUBLISHED, rows=1_234_567)


@pytest.fixture
def asked() -> Asked:
    return []


@pytest.fixture
def answering(
    asked: Asked, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Answer], None]:
    """Return how to let the three kinds of work answer; what they are asked for is noted."""

    def put(answer: Answer) -> None:
        for name in ("backfill_hub", "backfill_downloads", "backfill_defillama"):

            def work(
                lake: Lake, first: date, last: date, *, name: str = name, **more: Any
            ) -> list[Receipt]:
                asked.append((name, lake, first, last, more))
                return answer(first, last, more)

            monkeypatch.setattr(f"baimo.pipeline.ingest.backfill.{name}", work)

    return put


@pytest.mark.parametrize(
    ("options", "name", "more"),
    [
        ((), "backfill_hub", {"source": "hub-stats"}),
        (("--source", "weekly"), "backfill_hub", {"source": "weekly"}),
        (("--source", "downloads"), "backfill_downloads", {}),
        (("--source", "defillama"), "backfill_defillama", {"bulk": False}),
        (("--source", "defillama", "--bulk"), "backfill_defillama", {"bulk": True}),
    ],
)
def test_each_source_has_its_work(
    options: tuple[str, ...], name: str, more: dict[str, Any], asked: Asked,
    answering: Callable[[Answer], None], own_home: Path,
) -> None:  # fmt: skip
    answering(lambda *_: [DONE])
    told = baimo("backfill", "--from", DAY, *options)
    assert told.exit_code == 0, told.output
    ((called, lake, first, last, given),) = asked
    assert (called, lake.root, first, last) == (name, own_home / "lake", DAY, DAY)
    assert {key: given[key] for key in given if key not in ("notice", "progress")} == more


def test_both_days_and_the_lake_are_passed_on(
    asked: Asked, answering: Callable[[Answer], None], tmp_path: Path
) -> None:
    answering(lambda *_: [DONE])
    baimo("backfill", "--from", DAY, "--to", DAY + timedelta(days=3), "--lake", tmp_path / "other")
    ((_, lake, first, last, _),) = asked
    assert (lake.root, first, last) == (tmp_path / "other", DAY, DAY + timedelta(days=3))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--to", DAY), "Missing option '--from'"),
        (("--from", "01/08/2026"), "does not match the format"),
        (("--from", DAY, "--source", "kaggle"), "'kaggle' is not one of"),
        (("--from", DAY, "--bulk"), "--bulk goes with --source defillama"),
        (("--from", DAY, "--to", DAY - timedelta(days=1)), "give the earlier day first"),
        (("--from", datetime.now(UTC).date()), "today is for: baimo refresh"),
    ],
)
def test_a_wrong_call_is_two_and_asks_for_nothing(
    options: tuple[object, ...], words: str, asked: Asked, answering: Callable[[Answer], None]
) -> None:
    answering(lambda *_: [DONE])
    told = baimo("backfill", *options)
    assert told.exit_code == 2
    assert words in told.stderr
    assert asked == []


def test_a_line_a_day_then_once_what_the_source_lacks(
    answering: Callable[[Answer], None],
) -> None:
    lacks = {"author": "the file of that day has no author"}
    history = {"survivors": "survivors only"}
    receipts = [
        Receipt("t", "2026-08-01", "weekly", PUBLISHED, rows=12_000, lacks=lacks, details=history),
        Receipt("t", "2026-08-02", "weekly", MISSING, "it has nothing for that day"),
        Receipt("t", "2026-08-03", "weekly", FAILED, "HTTP 404"),
        Receipt("t", "2026-08-04", "weekly", PUBLISHED, rows=7, lacks=lacks, details=history),
    ]
    answering(lambda *_: receipts)
    told = baimo("backfill", "--from", DAY, "--to", "2026-08-04", "--source", "weekly")
    assert told.exit_code == 0
    assert told.stdout.splitlines() == [
        "2026-08-01  published  12,000 rows from weekly",
        "2026-08-02  missing    it has nothing for that day",
        "2026-08-03  failed     HTTP 404",
        "2026-08-04  published  7 rows from weekly",
        "",
        "left empty, because the source does not have it:",
        "author  the file of that day has no author",
        "survivors only",
    ]


@pytest.mark.parametrize("outcome", [MISSING, FAILED])
def test_nothing_published_is_one_with_the_reason(
    outcome: str, answering: Callable[[Answer], None]
) -> None:
    answering(lambda *_: [Receipt("t", "2026-08-01", "weekly", outcome, "none there")])
    told = baimo("backfill", "--from", DAY)
    assert told.exit_code == 1
    assert told.stdout == f"2026-08-01  {outcome}  none there\n"


def test_what_stops_the_walk_is_one_line_and_one(answering: Callable[[Answer], None]) -> None:
    def busy(*_: Any) -> list[Receipt]:
        raise BusyError("another process\nis at it")

    answering(busy)
    told = baimo("backfill", "--from", DAY)
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == "baimo: another process is at it\n"


def test_an_interrupt_says_that_the_same_command_goes_on(
    answering: Callable[[Answer], None],
) -> None:
    def interrupted(*_: Any) -> list[Receipt]:
        raise KeyboardInterrupt

    answering(interrupted)
    told = baimo("backfill", "--from", DAY)
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == "backfill interrupted; the same command goes on\n"


def test_notices_and_now_and_then_progress_go_to_stderr(
    answering: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baimo.pipeline.console.ProgressLine._EVERY", 0.0)

    def work(first: date, last: date, given: dict[str, Any]) -> list[Receipt]:
        given["notice"]("looking for 1 day")
        given["progress"](BackfillProgress(first, 0, 1, 2_000, 5_000))
        return [DONE]

    answering(work)
    told = baimo("backfill", "--from", DAY)
    assert told.stdout == "2026-08-01  published  1,234,567 rows from hub-stats\n"
    assert told.stderr.splitlines() == [
        "looking for 1 day", "2026-08-01: day 1 of 1, 2,000 of 5,000 rows"
    ]  # fmt: skip
