"""Past days of each table: a day is published once and whole, from what its source gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.errors import BusyError, LakeError, SourceError
from baimo.pipeline.ingest import backfill
from baimo.pipeline.ingest.backfill import (
    SURVIVORS,
    backfill_defillama,
    backfill_downloads,
    backfill_hub,
)
from baimo.pipeline.ingest.backfill_days import BackfillProgress, PastError
from baimo.pipeline.lake.atomic import file_sha256
from baimo.pipeline.lake.lock import locked
from baimo.pipeline.lake.receipts import FAILED, MISSING, PUBLISHED
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.defillama import DEFILLAMA_HISTORIES
from baimo.pipeline.schema.hub import HUB_DOWNLOADS_DAILY
from baimo.pipeline.sources.defillama.histories import LACKS, SOURCE as HISTORY
from baimo.pipeline.sources.defillama.store import State, Store
from baimo.pipeline.sources.hub.columns import Block
from baimo.pipeline.sources.hub.dumps import Available
from baimo.pipeline.sources.hub.repository import RepoFile
from tests.pipeline.ingest.listings import models, protocols, published

NOW = datetime(2026, 9, 1, 9, tzinfo=UTC)
DAYS = [date(2026, 8, 1) + timedelta(days=n) for n in range(4)]
FILE = RepoFile("rev1", "models.parquet", 4_321, "a" * 64)


def now() -> datetime:
    return NOW


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


class Dumps:
    """A source of past days that has two of the four."""

    repo_id, licence = "somebody/dumps", "Apache-2.0"
    has = (DAYS[0], DAYS[2])

    def __init__(self, name: str, asked: list[Any]) -> None:
        self.name, self.asked = name, asked

    def days(self, first: date, last: date) -> dict[date, Available]:
        self.asked.append((first, last))
        return {day: Available(day, FILE) for day in self.has if first <= day <= last}

    def lacks(self, available: Available) -> dict[str, str]:
        return {}

    def n_rows(self, available: Available) -> int:
        return 3

    def blocks(self, available: Available) -> Iterator[Block]:
        self.asked.append(available.day)
        born = datetime(available.day.year, available.day.month, available.day.day, tzinfo=UTC)
        rows = models([3, 1, 2], created_at=[born] * 3)
        yield Block(rows, pl.DataFrame(schema={"reason": pl.String}), {}, 3)


class TestHub:
    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        calls: list[Any] = []
        sources = {
            name: lambda patience, notice, name=name: Dumps(name, calls)
            for name in ("hub-stats", "weekly")
        }
        monkeypatch.setattr(backfill, "SOURCES", sources)
        return calls

    def test_days_that_the_source_has_are_published_and_gaps_stay_gaps(
        self, lake: Lake, asked: list[Any]
    ) -> None:
        said: list[str] = []
        shown: list[BackfillProgress] = []
        receipts = backfill_hub(
            lake, DAYS[0], DAYS[3], now=now, notice=said.append, progress=shown.append
        )
        assert [r.outcome for r in receipts] == [PUBLISHED, MISSING, PUBLISHED, MISSING]
        assert lake.days("hub_models") == [DAYS[0], DAYS[2]]
        assert lake.read_table("hub_models", DAYS[2])["hub_id"].to_list() == [
            "00001", "00002", "00003"
        ]  # fmt: skip
        assert receipts[1].why == "somebody/dumps: it has nothing for that day; try another source"
        assert said[0] == "looking for 4 days in somebody/dumps"
        assert shown == [BackfillProgress(DAYS[n], n, 4, 3, 3) for n in (0, 2)]

    def test_only_days_that_are_not_there_are_asked_for(self, lake: Lake, asked: list[Any]) -> None:
        backfill_hub(lake, DAYS[0], DAYS[0], now=now)
        asked.clear()
        receipts = backfill_hub(lake, DAYS[0], DAYS[2], source="weekly", now=now)
        assert asked == [(DAYS[1], DAYS[2]), DAYS[2]]
        assert [r.source for r in receipts] == ["hub-stats", "weekly", "weekly"]
        asked.clear()
        backfill_hub(lake, DAYS[2], DAYS[2], now=now)
        assert asked == []

    def test_a_source_that_is_none_and_days_that_are_not_over_are_refused(
        self, lake: Lake, asked: list[Any]
    ) -> None:
        with pytest.raises(SourceError, match="called kaggle; take hub-stats or weekly"):
            backfill_hub(lake, DAYS[0], DAYS[0], source="kaggle", now=now)
        with pytest.raises(PastError, match="today is for: baimo refresh"):
            backfill_hub(lake, DAYS[0], NOW.date(), now=now)
        assert asked == []

    def test_it_waits_for_nobody_who_fills_the_table(self, lake: Lake, asked: list[Any]) -> None:
        with (
            locked(lake.root / "crawling" / "hub_models"),
            pytest.raises(BusyError, match="another process is filling hub_models"),
        ):
            backfill_hub(lake, DAYS[0], DAYS[0], now=now)


class Panel:
    """The panel of daily downloads: two models on two days, one of them recounted."""

    name, repo_id, licence = "characterization", "somebody/panel", "CC-BY-4.0"
    path = "downloads.parquet"
    asked: list[tuple[date, date]]

    def __init__(self, *_: Any) -> None:
        self.dropped: Counter[str] = Counter({"not a model": 2, "none": 0})

    def file(self, path: str) -> RepoFile:
        return RepoFile("rev2", path, 99, "b" * 64)

    def daily_downloads(self, first: date, last: date) -> Iterator[pl.DataFrame]:
        Panel.asked.append((first, last))
        rows = [
            ("b", DAYS[2], 5), ("a", DAYS[0], -1), ("a", DAYS[2], 7), ("b", DAYS[2], 99)
        ]  # fmt: skip
        frame = pl.DataFrame(rows, schema=["hub_id", "date", "downloads"], orient="row")
        yield frame.filter(pl.col("date").is_between(first, last)).head(2)
        yield frame.filter(pl.col("date").is_between(first, last)).tail(-2)


class TestDownloads:
    @pytest.fixture(autouse=True)
    def panel(self, monkeypatch: pytest.MonkeyPatch) -> type[Panel]:
        Panel.asked = []
        monkeypatch.setattr(backfill, "Characterization", Panel)
        return Panel

    def test_the_panel_is_read_once_and_cut_into_days_by_model(self, lake: Lake) -> None:
        receipts = backfill_downloads(lake, DAYS[0], DAYS[2], now=now)
        assert [r.outcome for r in receipts] == [PUBLISHED, MISSING, PUBLISHED]
        table = lake.read_table(HUB_DOWNLOADS_DAILY.name, DAYS[2])
        assert table.select("hub_id", "downloads").rows() == [("a", 7), ("b", 5)]
        assert table["day"].unique().to_list() == [DAYS[2]]
        assert table.schema == pl.Schema(HUB_DOWNLOADS_DAILY.schema)
        assert Panel.asked == [(DAYS[0], DAYS[2])]
        assert receipts[1].why == ("somebody/panel: no counter moved on that day; take another day")

    def test_a_receipt_says_what_was_odd(self, lake: Lake) -> None:
        first, _, last = backfill_downloads(lake, DAYS[0], DAYS[2], now=now)
        assert (first.rows, first.details["negative"], first.details["repeated"]) == (1, 1, 0)
        assert (last.rows, last.details["negative"], last.details["repeated"]) == (2, 0, 1)
        assert last.details["left_out_in_all_days"] == {"not a model": 2}
        assert last.details["revision"] == "rev2"
        assert last.sha256 == file_sha256(lake.path(HUB_DOWNLOADS_DAILY.name, DAYS[2]))

    def test_nothing_wanted_is_nothing_read(self, lake: Lake) -> None:
        backfill_downloads(lake, DAYS[2], DAYS[2], now=now)
        Panel.asked.clear()
        (again,) = backfill_downloads(lake, DAYS[2], DAYS[2], now=now)
        assert (again.outcome, Panel.asked) == (PUBLISHED, [])


def stored(lake: Lake, points: dict[str, dict[date, float]]) -> None:
    """Put histories of protocols into the lake, all asked for today."""
    store = Store(lake.root / DEFILLAMA_HISTORIES.name)
    for protocol_id, values in points.items():
        rows = pl.DataFrame(
            {"protocol_id": protocol_id, "day": list(values), "tvl_usd": list(values.values()),
             "from_bulk": False},
            schema=DEFILLAMA_HISTORIES.schema,
        )  # fmt: skip
        state = State(protocol_id, f"slug-{int(protocol_id)}", fetched_on=NOW.date(),
                      last_day=max(values), n_points=len(values))  # fmt: skip
        store.save(state, rows, [])
    store.compact()


class TestDefiLlama:
    @pytest.fixture(autouse=True)
    def fetched(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        """Let what is to be fetched lie in the lake already; note what is asked for."""
        calls: list[dict[str, Any]] = []

        def fetch(lake: Lake, api: Any, listing: pl.DataFrame, **given: Any) -> None:
            calls.append({"listed": listing.height, **given})

        monkeypatch.setattr(backfill, "fetch_histories", fetch)
        return calls

    @pytest.fixture
    def filled(self, lake: Lake) -> Lake:
        published(lake, "defillama_protocols", NOW.date(), protocols(range(4)), "defillama")
        stored(
            lake,
            {f"{i:04}": {DAYS[0]: 10.0 + i, **({DAYS[2]: 20.0 + i} if i else {})}
             for i in range(4)},
        )  # fmt: skip
        return lake

    def test_a_day_holds_the_survivors_that_had_a_value_then(
        self, filled: Lake, fetched: list[dict[str, Any]]
    ) -> None:
        receipts = backfill_defillama(filled, DAYS[0], DAYS[2], now=now, bulk=True)
        assert [r.outcome for r in receipts] == [PUBLISHED, MISSING, PUBLISHED]
        first, last = (filled.read_table("defillama_protocols", DAYS[n]) for n in (0, 2))
        assert first["tvl_usd"].to_list() == [10.0, 11.0, 12.0, 13.0]
        assert last["protocol_id"].to_list() == ["0001", "0002", "0003"]
        assert last["observed_on"].unique().to_list() == [DAYS[2]]
        assert last["source"].unique().to_list() == [HISTORY]
        assert last["category"].to_list() == ["Dexs"] * 3  # as it is listed today
        ((given),) = fetched
        assert (given["listed"], given["until"], given["bulk"]) == (4, DAYS[2], True)

    def test_its_receipt_says_that_the_dead_are_missing(self, filled: Lake) -> None:
        (receipt,) = backfill_defillama(filled, DAYS[0], DAYS[0], now=now)
        assert receipt.source == HISTORY
        assert receipt.lacks == LACKS
        assert receipt.details["survivors"] == SURVIVORS
        assert receipt.details["listed_on"] == str(NOW.date())
        assert receipt.details["listed"] == 4
        assert receipt.sha256 == file_sha256(filled.path("defillama_protocols", DAYS[0]))

    def test_survivors_are_held_against_survivors_only(self, filled: Lake) -> None:
        published(filled, "defillama_protocols", DAYS[1], protocols(range(500)), "defillama")
        backfill_defillama(filled, DAYS[0], DAYS[0], now=now)
        (receipt,) = backfill_defillama(filled, DAYS[2], DAYS[2], now=now)
        assert receipt.outcome == PUBLISHED
        assert receipt.details["compared_with"] == str(DAYS[0])

    def test_a_day_on_which_many_are_missing_is_refused_and_noted(self, lake: Lake) -> None:
        published(lake, "defillama_protocols", NOW.date(), protocols(range(40)), "defillama")
        values = {f"{i:04}": {DAYS[0]: 1.0} | ({DAYS[1]: 1.0} if i < 5 else {}) for i in range(40)}
        stored(lake, values)
        receipts = backfill_defillama(lake, DAYS[0], DAYS[1], now=now)
        assert [r.outcome for r in receipts] == [PUBLISHED, FAILED]
        assert receipts[1].why.startswith(f"5 rows, but 40 on {DAYS[0]}")
        assert "size_against_the_last" in receipts[1].checks

    def test_without_a_listing_it_says_how_to_get_one(
        self, lake: Lake, fetched: list[dict[str, Any]]
    ) -> None:
        published(lake, "defillama_protocols", DAYS[3], protocols([1], source=HISTORY), HISTORY)
        with pytest.raises(LakeError, match=r"no listing of protocols .* baimo refresh"):
            backfill_defillama(lake, DAYS[0], DAYS[0], now=now)
        assert fetched == []

    def test_days_that_are_there_ask_for_nothing(
        self, filled: Lake, fetched: list[dict[str, Any]]
    ) -> None:
        backfill_defillama(filled, DAYS[0], DAYS[0], now=now)
        fetched.clear()
        (again,) = backfill_defillama(filled, DAYS[0], DAYS[0], now=now)
        assert again.outcome == PUBLISHED
        assert fetched == []
