"""DeFiLlama through every fault: nothing wrong is published, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from baimo.pipeline.errors import BusyError, PipelineError
from baimo.pipeline.ingest.acceptance import RefusedSnapshotError
from baimo.pipeline.ingest.refresh import Refreshed, RefreshOutcome, refresh_defillama
from baimo.pipeline.lake.atomic import file_sha256
from baimo.pipeline.lake.lock import locked
from baimo.pipeline.lake.receipts import read_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.sources.http import Patience, RefusedError, UnreachableError
from tests.live.servers.defi import DefiServer, synthetic_protocols
from tests.live.servers.faults import (
    Chunked,
    CutConsistent,
    CutShort,
    DictBody,
    Drip,
    EditRows,
    Garbage,
    Gzip,
    Hang,
    NotJson,
    Redirect,
    Reset,
    Status,
    WrongContentType,
)
from tests.live.servers.server import Fault

PROTOCOLS = synthetic_protocols(300, seed=3)
NOW = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)
DAY = NOW.date()
NEXT = NOW + timedelta(days=1)
NAME = "defillama_protocols"


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch) -> Iterator[DefiServer]:
    with DefiServer(PROTOCOLS) as server:
        monkeypatch.setenv("BAIMO_DEFILLAMA_URL", server.url)
        yield server


def refresh(lake: Lake, patience: Patience, now: datetime = NOW) -> Refreshed:
    return refresh_defillama(lake, patience=patience, now=lambda: now)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    with DefiServer(PROTOCOLS) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAIMO_DEFILLAMA_URL", server.url)
        lake = Lake(tmp_path_factory.mktemp("undisturbed"))
        return refresh_defillama(lake, now=lambda: NOW).receipt.sha256


def test_the_snapshot_is_what_the_server_has(
    llama: DefiServer, lake: Lake, patience: Patience
) -> None:
    refresh(lake, patience)
    frame = lake.read_table(NAME, DAY)
    valid = {str(p["id"]): p for p in PROTOCOLS if (p["tvl"] or 0) >= 0}
    assert set(frame["protocol_id"]) == set(valid)
    for row in frame.iter_rows(named=True):
        truth = valid[row["protocol_id"]]
        assert row["tvl_usd"] == (truth["tvl"] or 0.0)
        assert row["tvl_is_null"] == (truth["tvl"] is None)
        assert row["category"] == truth["category"]
        assert (row["listed_at"] is None) == (truth.get("listedAt") is None)
    assert set(frame["category"]) & {"CEX", "Chain"}  # no row is lost: leaving out is a view
    assert lake.days("defillama_chains") == [DAY]


PASSING: dict[str, tuple[Fault, int]] = {
    "429 bare": (Status(429), 3),
    "429 with Retry-After": (Status(429, {"Retry-After": "3"}), 1),
    "Cloudflare's 403": (Status(403, body=b"<html>blocked</html>"), 2),
    "500 once": (Status(500), 1),
    "cut short": (CutShort(), 1),
    "cut short, consistent length": (CutConsistent(), 1),
    "not JSON": (NotJson(), 1),
    "a dict where a list is due": (DictBody(), 1),
    "an empty list": (EditRows(lambda rows: []), 1),
    "a hang": (Hang(), 1),
    "a slow drip": (Drip(bytes_per_step=200, pause=0.05), 1),
    "a dripping head": (Drip(bytes_per_step=1, pause=0.05, head_too=True), 1),
    "a reset": (Reset(part=0.3), 1),
    "not HTTP": (Garbage(), 1),
    "chunks that end early": (Chunked(), 1),
    "broken gzip": (Gzip(broken=True), 1),
    "cut gzip": (Gzip(cut=True), 1),
    "gzip": (Gzip(), 1),
    "another type": (WrongContentType(), 1),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_leaves_the_snapshot_as_it_would_have_been(
    fault: str, llama: DefiServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    damage, times = PASSING[fault]
    llama.inject("/protocols", damage, times)
    refresh(lake, patience)
    assert llama.pending() == 0
    assert file_sha256(lake.path(NAME, DAY)) == undisturbed


STAYING: dict[str, tuple[Fault, type[PipelineError], str]] = {
    "500": (Status(500), UnreachableError, "HTTP 500, 5 times"),
    "402": (Status(402), RefusedError, "a paid endpoint"),
    "404": (Status(404), RefusedError, "check the address"),
    "403": (Status(403), UnreachableError, "HTTP 403 .blocked for a while.*, 5 times"),
    "cut short": (CutShort(), UnreachableError, "the answer was cut short"),
    "not JSON": (NotJson(), UnreachableError, "the answer is not JSON"),
    "a dict": (DictBody(), UnreachableError, "the answer is no list"),
    "an empty list": (EditRows(lambda rows: []), UnreachableError, "the list is empty"),
    "a redirect": (Redirect("https://evil.example/"), PipelineError, "redirects to evil.example"),
    "a hang": (Hang(), UnreachableError, "no answer in time"),
    "a slow drip": (Drip(bytes_per_step=100, pause=0.1), UnreachableError, "no whole answer"),
}


@pytest.mark.parametrize("fault", STAYING)
def test_a_staying_fault_publishes_nothing(
    fault: str, llama: DefiServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    damage, error, message = STAYING[fault]
    llama.inject("/protocols", damage, None)
    with pytest.raises(error, match=message):
        refresh(lake, patience)
    assert lake.days(NAME) == []
    receipt = read_receipt(lake, NAME, DAY)
    assert receipt is not None
    assert receipt.outcome == "failed"
    llama.calm()
    refresh(lake, patience)
    assert file_sha256(lake.path(NAME, DAY)) == undisturbed


def test_protocols_do_not_wait_for_chains(
    llama: DefiServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    llama.inject("/v2/chains", Status(500), None)
    receipt = refresh(lake, patience).receipt
    assert receipt.sha256 == undisturbed
    assert lake.days("defillama_chains") == []
    assert "not fetched" in receipt.details["chains"]


def test_chains_that_are_mostly_odd_are_not_published(
    llama: DefiServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    llama.inject("/v2/chains", EditRows(lambda rows: [r | {"tvl": None} for r in rows]))
    receipt = refresh(lake, patience).receipt
    assert receipt.sha256 == undisturbed
    assert lake.days("defillama_chains") == []
    assert "rows are not valid" in receipt.details["chains"]
    assert lake.days("defillama_chains_quarantine") == [DAY]


def test_bad_rows_go_to_quarantine(llama: DefiServer, lake: Lake, patience: Patience) -> None:
    def spoil(rows: list[dict[str, object]]) -> None:
        rows[0]["tvl"] = "much"
        rows[1]["tvl"] = -1
        rows[2]["id"] = None
        rows[3]["listedAt"] = "soon"

    before = refresh(lake, patience).receipt
    llama.inject("/protocols", EditRows(spoil))
    receipt = refresh(lake, patience, NEXT).receipt
    assert before.rows - receipt.rows <= 3
    odd = lake.read_table(f"{NAME}_quarantine", NEXT.date())
    assert odd.filter(pl.col("reason").str.starts_with("listedAt"))["kept"].to_list() == [True]
    assert "tvl is not a number" in receipt.details["quarantined"]


def test_rows_that_come_twice_are_taken_once(
    llama: DefiServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    llama.inject("/protocols", EditRows(lambda rows: [*rows, *rows[:7]]))
    receipt = refresh(lake, patience).receipt
    assert receipt.sha256 == undisturbed
    assert receipt.details["repeated"] >= 6  # of the seven, one may stand in quarantine


def test_half_the_protocols_are_refused_and_yesterday_stays(
    llama: DefiServer, lake: Lake, patience: Patience
) -> None:
    refresh(lake, patience)
    llama.inject("/protocols", EditRows(lambda rows: rows[::2]), None)
    with pytest.raises(RefusedSnapshotError, match="nothing published, the last snapshot stays"):
        refresh(lake, patience, NEXT)
    assert lake.days(NAME) == [DAY]


def test_two_refreshes_at_once(llama: DefiServer, lake: Lake, patience: Patience) -> None:
    held = locked(lake.root / "crawling" / NAME)
    with held, pytest.raises(BusyError, match="another process"):
        refresh(lake, patience)


def test_a_second_refresh_of_the_day_asks_for_nothing(
    llama: DefiServer, lake: Lake, patience: Patience
) -> None:
    refresh(lake, patience)
    llama.clear()
    assert refresh(lake, patience).outcome is RefreshOutcome.ALREADY
    assert llama.requests == []
