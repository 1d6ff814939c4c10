"""What the daily job does: today is fetched, last night's walk ended, a past day filled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from baimo.pipeline.errors import SourceError
from baimo.pipeline.ingest import daily
from baimo.pipeline.ingest.daily import publish_defillama, publish_hub
from baimo.pipeline.ingest.refresh import Refreshed, RefreshOutcome
from baimo.pipeline.lake.receipts import FAILED, MISSING, PUBLISHED, Receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.sources.hub.crawl import Progress
from tests.pipeline.ingest.listings import DAY, models, protocols, published

PAST = DAY - timedelta(days=5)
Asked = list[tuple[str, tuple[Any, ...], dict[str, Any]]]


def receipt(outcome: str = PUBLISHED, day: object = DAY, why: str = "") -> Receipt:
    return Receipt("t", str(day), "s", outcome, why, rows=3)


@pytest.fixture
def lake(own_home: Path) -> Lake:
    return Lake(own_home / "lake")


@pytest.fixture
def asked() -> Asked:
    return []


@pytest.fixture(autouse=True)
def work(lake: Lake, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let each kind of work answer; return how to let one answer otherwise."""

    def answering(name: str, answer: Any) -> None:
        def done(*given: Any, **more: Any) -> Any:
            asked.append((name, given, more))
            return answer

        monkeypatch.setattr(daily, name, done)

    for source in ("hub", "defillama"):
        answering(
            f"refresh_{source}", Refreshed(source, RefreshOutcome.PUBLISHED, receipt(), "/today")
        )
        answering(f"backfill_{source}", [receipt(day=PAST)])
    answering("finish_hub", None)
    monkeypatch.setattr(daily, "utc_now", lambda: datetime(2026, 9, 1, 9, tzinfo=UTC))
    return answering


def silent(_: str) -> None:
    pass


@pytest.mark.parametrize(
    ("publish", "name"), [(publish_hub, "refresh_hub"), (publish_defillama, "refresh_defillama")]
)
def test_today_is_fetched(publish: Any, name: str, asked: Asked, lake: Lake) -> None:
    assert publish(DAY, silent, trust=True) == (receipt(), "/today")
    ((called, given, more),) = asked
    assert (called, given, more["trust"]) == (name, (lake,), True)


@pytest.mark.parametrize(
    ("publish", "table"),
    [(publish_hub, "hub_models"), (publish_defillama, "defillama_protocols")],
)
def test_a_past_day_is_filled_from_history(
    publish: Any, table: str, asked: Asked, lake: Lake
) -> None:
    found, path = publish(PAST, silent)
    assert found == receipt(day=PAST)
    assert path == str(lake.path(table, PAST))
    called, given, _ = asked[-1]
    assert called.startswith("backfill_")
    assert given == (lake, PAST, PAST)


def test_a_walk_begun_on_that_day_is_ended_instead(asked: Asked, work: Callable[..., None]) -> None:
    ended = Refreshed("hub", RefreshOutcome.PUBLISHED, receipt(day=PAST), "/ended")
    work("finish_hub", ended)
    assert publish_hub(PAST, silent) == (receipt(day=PAST), "/ended")
    assert [name for name, _, _ in asked] == ["finish_hub"]


@pytest.mark.parametrize("outcome", [MISSING, FAILED])
def test_a_past_day_that_cannot_be_had_says_why(outcome: str, work: Callable[..., None]) -> None:
    work("backfill_hub", [receipt(outcome, PAST, "its file is stale")])
    with pytest.raises(SourceError, match=f"hub_models of {PAST} cannot be filled: its file is"):
        publish_hub(PAST, silent)


@pytest.mark.parametrize(
    ("publish", "table", "frame"),
    [
        (publish_hub, "hub_models", models([1, 2])),
        (publish_defillama, "defillama_protocols", protocols([1])),
    ],
)
@pytest.mark.parametrize("day", [DAY, PAST])
def test_a_day_that_is_published_is_taken_as_it_is(
    publish: Any, table: str, frame: Any, day: Any, asked: Asked, lake: Lake
) -> None:
    path = published(lake, table, day, frame)
    found, where = publish(day, silent)
    assert (found.rows, where) == (frame.height, str(path))
    assert asked == []


def test_a_refresh_that_ends_after_midnight_is_not_that_day(work: Callable[..., None]) -> None:
    tomorrow = DAY + timedelta(days=1)
    work(
        "refresh_hub",
        Refreshed("hub", RefreshOutcome.PUBLISHED, receipt(day=tomorrow), "/tomorrow"),
    )
    with pytest.raises(SourceError, match=f"midnight has passed: {tomorrow} is published"):
        publish_hub(DAY, silent)


def test_progress_is_said_every_hundred_pages(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refresh_hub(lake: Lake, **given: Any) -> Refreshed:
        for pages in (99, 100, 150, 200):
            left = None if pages == 200 else 1_234
            given["progress"](Progress(pages * 1_000, pages, left, 1.0, 0))
        return Refreshed("hub", RefreshOutcome.PUBLISHED, receipt(), "/today")

    monkeypatch.setattr(daily, "refresh_hub", refresh_hub)
    said: list[str] = []
    publish_hub(DAY, said.append)
    assert said == ["100,000 models, 100 pages, 1,234 requests left", "200,000 models, 200 pages"]
