"""A day's snapshots: published once, marked where it failed, last night's walk filed first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.errors import BusyError, IncompleteError, SourceError
from baimo.pipeline.ingest import refresh
from baimo.pipeline.ingest.acceptance import RefusedSnapshotError
from baimo.pipeline.ingest.refresh import (
    RefreshOutcome,
    finish_hub,
    listed_days,
    refresh_defillama,
    refresh_hub,
    utc_now,
)
from baimo.pipeline.lake.lock import locked
from baimo.pipeline.lake.receipts import (
    FAILED,
    PUBLISHED,
    published_days,
    read_receipt,
)
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.defillama import DEFILLAMA_CHAINS
from baimo.pipeline.sources.defillama.api import Listing
from baimo.pipeline.sources.hub.checkpoint import Checkpoint
from baimo.pipeline.sources.hub.crawl import Walk
from tests.pipeline.ingest.listings import DAY, filled, models, odd, protocols, published, walked

NOW = datetime(2026, 9, 1, 9, tzinfo=UTC)
BEFORE = DAY - timedelta(days=1)
Answer = Walk | Exception
Crawls = list[dict[str, Any]]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def spool(lake: Lake) -> Checkpoint:
    return Checkpoint(lake.root / "crawling" / "hub_models")


@pytest.fixture
def crawls() -> Crawls:
    return []


@pytest.fixture
def crawling(
    crawls: Crawls, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Sequence[Callable[[Path], Answer]]], None]:
    """Return how to let walks come to an end, one after the other."""

    def put(answers: Sequence[Callable[[Path], Answer]]) -> None:
        waiting = list(answers)

        def crawl(spool: Checkpoint, **given: Any) -> Walk:
            crawls.append(given)
            found = waiting.pop(0)(spool.folder)
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(refresh, "crawl_models", crawl)

    return put


def now() -> datetime:
    return NOW


def whole(folder: Path) -> Walk:
    return walked(folder, [models(range(60))], odd=odd(2))


def of_yesterday(folder: Path) -> Walk:
    return walked(folder, [models(range(50))], BEFORE)


def too_odd(folder: Path) -> Walk:
    return walked(folder, [models(range(10))], odd=odd(30))


class TestHub:
    def test_a_walk_is_published_under_its_day_and_its_pages_are_gone(
        self, lake: Lake, spool: Checkpoint, crawling: Any
    ) -> None:
        crawling([whole])
        done = refresh_hub(lake, now=now)
        assert (done.source, done.outcome, done.receipt.rows) == ("hub", "published", 60)
        assert done.path == str(lake.path("hub_models", DAY))
        assert lake.read_table("hub_models", DAY).height == 60
        assert lake.read_table("hub_models_quarantine", DAY)["reason"].len() == 2
        assert not spool.folder.exists()
        assert read_receipt(lake, "hub_models", DAY) == done.receipt

    def test_a_day_that_is_there_is_not_walked_again(
        self, lake: Lake, spool: Checkpoint, crawling: Any, crawls: Crawls
    ) -> None:
        published(lake, "hub_models", DAY, models([1]))
        whole(spool.folder)  # left by a process that was killed after the rename
        done = refresh_hub(lake, now=now)
        assert (done.outcome, done.receipt.rows) == (RefreshOutcome.ALREADY, 1)
        assert crawls == []
        assert not spool.folder.exists()

    def test_what_a_killed_process_left_half_written_is_swept(
        self, lake: Lake, crawling: Any
    ) -> None:
        folder = lake.path("hub_models", DAY).parent
        folder.mkdir(parents=True)
        (folder / ".hub_models.parquet.x.tmp").write_bytes(b"half")
        crawling([whole])
        refresh_hub(lake, now=now)
        assert [p.name for p in folder.iterdir()] == ["hub_models.parquet"]

    def test_a_sample_is_never_a_snapshot(self, lake: Lake, crawling: Any, crawls: Crawls) -> None:
        crawling([lambda folder: walked(folder, [models([3, 2, 1]), models([3, 0])])])
        done = refresh_hub(lake, limit=3, now=now)
        assert done.outcome is RefreshOutcome.SAMPLE
        assert crawls[0]["limit"] == 3
        assert done.path == str(lake.root / "samples" / "hub_models" / f"date={DAY}" /
                                "hub_models.parquet")  # fmt: skip
        rows = pl.read_parquet(done.path, hive_partitioning=False)
        assert rows["hub_id"].to_list() == ["00003", "00002", "00001"]
        assert published_days(lake, "hub_models") == []
        assert read_receipt(lake, "hub_models", DAY) is None

    def test_a_source_that_fails_marks_the_day_and_keeps_the_pages(
        self, lake: Lake, spool: Checkpoint, crawling: Any
    ) -> None:
        def broken(folder: Path) -> Exception:
            whole(folder)
            return SourceError("hub.example: HTTP 500")

        crawling([broken])
        with pytest.raises(SourceError, match="HTTP 500"):
            refresh_hub(lake, now=now)
        receipt = read_receipt(lake, "hub_models", DAY)
        assert receipt is not None
        assert (receipt.outcome, receipt.why) == (FAILED, "hub.example: HTTP 500")
        assert spool.pages()

    def test_a_refused_walk_says_which_check_and_waits_to_be_trusted(
        self, lake: Lake, spool: Checkpoint, crawling: Any
    ) -> None:
        crawling([too_odd, whole])
        with pytest.raises(RefusedSnapshotError):
            refresh_hub(lake, now=now)
        receipt = read_receipt(lake, "hub_models", DAY)
        assert receipt is not None
        assert receipt.outcome == FAILED
        failed = {name: c["why"] for name, c in receipt.checks.items() if "why" in c}
        assert list(failed) == ["few_in_quarantine"]
        assert spool.was_refused()
        assert refresh_hub(lake, now=now).outcome is RefreshOutcome.PUBLISHED  # begun anew

    @pytest.mark.parametrize("trust", [True, False])
    def test_only_trust_goes_on_with_a_refused_walk(
        self, trust: bool, lake: Lake, spool: Checkpoint, crawling: Any, crawls: Crawls
    ) -> None:
        whole(spool.folder)
        spool.mark_refused()
        kept: list[bool] = []

        def look(folder: Path) -> Walk:
            kept.append(bool(spool.pages()))
            return whole(folder)

        crawling([look])
        refresh_hub(lake, trust=trust, now=now)
        assert kept == [trust]

    def test_last_nights_walk_is_filed_under_its_day_then_todays_begins(
        self, lake: Lake, crawling: Any, crawls: Crawls
    ) -> None:
        crawling([of_yesterday, whole])
        said: list[str] = []
        done = refresh_hub(lake, now=now, notice=said.append)
        assert done.receipt.day == str(DAY)
        assert published_days(lake, "hub_models") == [BEFORE, DAY]
        assert said == [f"the walk begun on {BEFORE} is published; today's begins"]
        assert len(crawls) == 2

    def test_last_nights_walk_that_is_refused_does_not_hold_up_today(
        self, lake: Lake, crawling: Any
    ) -> None:
        crawling([lambda f: walked(f, [models(range(10))], BEFORE, odd=odd(30)), whole])
        said: list[str] = []
        done = refresh_hub(lake, now=now, notice=said.append)
        assert (done.outcome, done.receipt.day) == ("published", str(DAY))
        assert published_days(lake, "hub_models") == [DAY]
        assert said[0].startswith(f"the walk begun on {BEFORE} is refused (30 of 40 rows")
        receipt = read_receipt(lake, "hub_models", BEFORE)
        assert receipt is not None
        assert receipt.outcome == FAILED

    def test_one_process_at_a_time(self, lake: Lake, spool: Checkpoint, crawls: Crawls) -> None:
        with locked(spool.folder), pytest.raises(BusyError, match="wait for it to end"):
            refresh_hub(lake, now=now)
        assert crawls == []

    def test_what_it_is_given_reaches_the_walk(
        self, lake: Lake, crawling: Any, crawls: Crawls
    ) -> None:
        crawling([whole])
        refresh_hub(lake, now=now, notice=print)
        (given,) = crawls
        assert given["now"] is now
        assert given["notice"] is print


class TestFinish:
    def test_without_a_walk_of_that_day_there_is_nothing_to_finish(
        self, lake: Lake, spool: Checkpoint, crawls: Crawls
    ) -> None:
        assert finish_hub(lake, BEFORE, now=now) is None
        spool.begin({"url": "u", "limit": None}, NOW - timedelta(hours=1))
        assert finish_hub(lake, BEFORE, now=now) is None
        assert crawls == []

    def test_a_walk_begun_on_that_day_is_ended_and_published(
        self, lake: Lake, spool: Checkpoint, crawling: Any
    ) -> None:
        spool.begin({"url": "u", "limit": None}, NOW - timedelta(hours=10))  # before midnight
        crawling([of_yesterday])
        done = finish_hub(lake, BEFORE, now=now)
        assert done is not None
        assert (done.outcome, done.receipt.day) == ("published", str(BEFORE))
        assert published_days(lake, "hub_models") == [BEFORE]


class Llama:
    """DeFiLlama as it answers in these tests."""

    base = "https://llama.example/"
    listing: Listing | Exception
    chain_rows: Listing | Exception
    asked: list[str]

    def __init__(self, *_: Any) -> None:
        self.asked = []

    def protocols(self, day: date) -> Listing:
        Llama.asked.append(f"protocols of {day}")
        return self._given(Llama.listing)

    def chains(self) -> Listing:
        Llama.asked.append("chains")
        return self._given(Llama.chain_rows)

    @staticmethod
    def _given(answer: Listing | Exception) -> Listing:
        if isinstance(answer, Exception):
            raise answer
        return answer


def chains(n: int) -> Listing:
    frame = pl.DataFrame({"chain": [f"c{i}" for i in range(n)], "tvl_usd": [1.0] * n})
    return Listing(filled(frame, DEFILLAMA_CHAINS.name), [], n, 0)


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch) -> type[Llama]:
    good = protocols(range(40))
    Llama.listing = Listing(good, odd(1) + odd(2, "mcap is no number", kept=True), 42, 1)
    Llama.chain_rows = chains(7)
    Llama.asked = []

    class Fresh(Llama):
        def __init__(self, *_: Any) -> None:
            pass

    monkeypatch.setattr(refresh, "DefiLlama", Fresh)
    return Llama


class TestDefiLlama:
    def test_protocols_and_chains_are_published_with_totals_by_view(
        self, lake: Lake, llama: type[Llama]
    ) -> None:
        done = refresh_defillama(lake, now=now)
        assert (done.source, done.outcome) == ("defillama", RefreshOutcome.PUBLISHED)
        assert lake.read_table("defillama_protocols", DAY).height == done.receipt.rows == 40
        assert lake.read_table("defillama_chains", DAY).height == 7
        assert lake.read_table("defillama_protocols_quarantine", DAY).height == 3
        details = done.receipt.details
        assert details["endpoint"] == "https://llama.example"
        assert (details["rows_received"], details["repeated"], details["chains"]) == (42, 1, 7)
        assert details["quarantined"] == {"likes is negative": 1}
        assert details["values_left_empty"] == {"mcap is no number": 2}
        totals = details["tvl_usd_by_view"]
        assert totals["all"] == pytest.approx(protocols(range(40))["tvl_usd"].sum())
        assert totals["defi"] < totals["all"]  # exchanges are in the list, and no DeFi
        assert done.receipt.outcome == PUBLISHED

    def test_protocols_do_not_wait_for_chains_which_are_asked_for_again(
        self, lake: Lake, llama: type[Llama]
    ) -> None:
        llama.chain_rows = SourceError("HTTP 500")
        done = refresh_defillama(lake, now=now)
        assert done.receipt.details["chains"] == "not fetched: HTTP 500"
        assert not lake.path("defillama_chains", DAY).exists()
        llama.chain_rows, llama.asked = chains(3), []
        again = refresh_defillama(lake, now=now)
        assert (again.outcome, llama.asked) == (RefreshOutcome.ALREADY, ["chains"])
        assert again.receipt.details["chains"] == 3
        assert read_receipt(lake, "defillama_protocols", DAY) == again.receipt
        llama.asked = []
        assert refresh_defillama(lake, now=now).outcome is RefreshOutcome.ALREADY
        assert llama.asked == []

    def test_a_source_that_fails_marks_the_day(self, lake: Lake, llama: type[Llama]) -> None:
        llama.listing = IncompleteError("the list is cut short")
        with pytest.raises(IncompleteError):
            refresh_defillama(lake, now=now)
        receipt = read_receipt(lake, "defillama_protocols", DAY)
        assert receipt is not None
        assert (receipt.outcome, receipt.why) == (FAILED, "the list is cut short")
        assert published_days(lake, "defillama_protocols") == []

    def test_a_list_that_shrank_is_refused_unless_it_is_trusted(
        self, lake: Lake, llama: type[Llama]
    ) -> None:
        published(lake, "defillama_protocols", BEFORE, protocols(range(100)), "defillama")
        with pytest.raises(RefusedSnapshotError, match=f"40 rows, but 100 on {BEFORE}"):
            refresh_defillama(lake, now=now)
        assert not lake.path("defillama_protocols", DAY).exists()
        assert refresh_defillama(lake, trust=True, now=now).receipt.rows == 40

    def test_it_is_held_against_days_that_were_taken_live(
        self, lake: Lake, llama: type[Llama]
    ) -> None:
        two = BEFORE - timedelta(days=1)
        published(lake, "defillama_protocols", two, protocols(range(41)), "defillama")
        published(lake, "defillama_protocols", BEFORE, protocols(range(9)), "defillama_history")
        assert listed_days(lake) == [two]
        assert refresh_defillama(lake, now=now).receipt.details["compared_with"] == str(two)


def test_days_are_days_in_utc() -> None:
    assert utc_now().tzinfo is UTC
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(seconds=5)
