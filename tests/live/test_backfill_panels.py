"""Past days of downloads and of DeFi protocols into the lake, each with its receipt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import polars as pl
import pytest

from baimo.pipeline.errors import BusyError, LakeError
from baimo.pipeline.ingest.backfill import backfill_defillama, backfill_downloads
from baimo.pipeline.ingest.refresh import refresh_defillama
from baimo.pipeline.lake.lock import locked
from baimo.pipeline.lake.receipts import Receipt, read_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.lake.verify import verify
from baimo.pipeline.sources.defillama.histories import LACKS, StoppedError, protocols_of_day
from baimo.pipeline.sources.defillama.store import digest
from baimo.pipeline.sources.http import Patience, UnreachableError
from tests.live.servers.defi import DefiServer, synthetic_protocols
from tests.live.servers.faults import Status
from tests.live.servers.hub import HubDataset, HubServer
from tests.live.servers.hub_bulk import (
    PANEL,
    days_from,
    moment,
    parquet,
)

FIRST = date(2026, 9, 1)
NOW = datetime(2026, 9, 10, 6, tzinfo=UTC)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def outcomes(receipts: list[Receipt]) -> list[str]:
    return [r.outcome for r in receipts]


# --- daily downloads -----------------------------------------------------------------------------

PANEL_DAYS = days_from(date(2026, 8, 1), 5)
PANEL_NAME = "hub_downloads_daily"


def panel() -> HubDataset:
    rows = [
        (f"id{i:03d}", day, i - 3)
        for i in range(60)
        for k, day in enumerate(PANEL_DAYS)
        if k != 3 and (i + k) % 3
    ]
    rows.append(("id001", PANEL_DAYS[0], 77))  # twice
    schema = {"hub_id": pl.String, "date": pl.Date, "downloads": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    ids = pl.DataFrame({"hub_id": [f"id{i:03d}" for i in range(0, 60, 2)] + ["id001"]})
    files = {"downloads.parquet": parquet(frame, 30), "models.parquet": parquet(ids)}
    return HubDataset(PANEL, [("d" * 40, moment(FIRST), files)])


def fill_downloads(lake: Lake, patience: Patience, last: date = PANEL_DAYS[-1]) -> list[Receipt]:
    return backfill_downloads(lake, PANEL_DAYS[0], last, patience=patience, now=lambda: NOW)


def test_the_panel_is_published_by_day(hub: HubServer, lake: Lake, patience: Patience) -> None:
    hub.mount(panel())
    receipts = fill_downloads(lake, patience)
    assert outcomes(receipts) == ["published"] * 3 + ["missing", "published"]
    for k, day in enumerate(PANEL_DAYS):
        if k == 3:
            continue
        frame = lake.read_table(PANEL_NAME, day)
        ids = [i for i in sorted({*range(0, 60, 2), 1}) if (i + k) % 3]
        assert frame.columns == ["hub_id", "day", "downloads"]
        assert frame["hub_id"].to_list() == [f"id{i:03d}" for i in ids]
        assert frame["downloads"].to_list() == [i - 3 for i in ids]
        assert set(frame["day"]) == {day}
    whole = pytest.importorskip("pandas").read_parquet(lake.root / PANEL_NAME)
    assert [str(d) for d in whole["date"]] == [str(d) for d in whole["day"]]
    assert receipts[0].details["repeated"] == 1
    assert receipts[0].details["negative"] > 0
    assert receipts[0].details["licence"] == "CC-BY-4.0"
    assert read_receipt(lake, PANEL_NAME, PANEL_DAYS[0]) == receipts[0]
    hub.clear()
    fill_downloads(lake, patience, PANEL_DAYS[2])
    assert hub.requests == []


def test_a_panel_that_breaks_off_publishes_nothing(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    repo = panel()
    hub.mount(repo)
    hub.inject(repo.resolve_path("downloads.parquet", "d" * 40), Status(500), None)
    with pytest.raises(UnreachableError):
        fill_downloads(lake, patience)
    assert lake.days(PANEL_NAME) == []
    hub.calm()
    assert "published" in outcomes(fill_downloads(lake, patience))


# --- DeFiLlama -----------------------------------------------------------------------------------

PROTOCOLS = "defillama_protocols"
TODAY = datetime(2026, 9, 1, 10, 37, tzinfo=UTC)
BEFORE = days_from(date(2026, 8, 28), 4)


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch) -> Iterator[DefiServer]:
    with DefiServer(synthetic_protocols(60, seed=3), days=30) as server:
        monkeypatch.setenv("BAIMO_DEFILLAMA_URL", server.url)
        yield server


def fill_protocols(lake: Lake, patience: Patience, first: date = BEFORE[0]) -> list[Receipt]:
    return backfill_defillama(lake, first, BEFORE[-1], patience=patience, now=lambda: TODAY)


def test_past_protocols_are_survivors_and_say_so(
    llama: DefiServer, lake: Lake, patience: Patience
) -> None:
    refresh_defillama(lake, patience=patience, now=lambda: TODAY)
    receipts = fill_protocols(lake, patience)
    assert outcomes(receipts) == ["published"] * 4
    for day, receipt in zip(BEFORE, receipts, strict=True):
        frame = lake.read_table(PROTOCOLS, day)
        assert frame.equals(protocols_of_day(lake, day, lake.read_table(PROTOCOLS, TODAY.date())))
        assert receipt.source == "defillama_history"
        assert "survivors only" in receipt.details["survivors"]
        assert receipt.details["listed_on"] == "2026-09-01"
        assert receipt.lacks == LACKS
    assert receipts[1].details["compared_with"] == BEFORE[0].isoformat()
    assert [what for _, what in verify(lake) if what] == []
    llama.clear()
    assert fill_protocols(lake, patience) == receipts
    assert llama.requests == []


def test_days_before_all_histories_are_missing(
    llama: DefiServer, lake: Lake, patience: Patience
) -> None:
    refresh_defillama(lake, patience=patience, now=lambda: TODAY)
    early = date(2026, 5, 1)
    (receipt,) = backfill_defillama(lake, early, early, patience=patience, now=lambda: TODAY)
    assert receipt.outcome == "missing"
    assert "no protocol's history has a value on 2026-05-01" in receipt.why


def test_without_a_listing_there_is_nothing_to_fill_from(lake: Lake, patience: Patience) -> None:
    with pytest.raises(LakeError, match="fetch one first: baimo refresh"):
        fill_protocols(lake, patience)


def test_defillama_down_stops_and_what_was_fetched_stays(
    llama: DefiServer, lake: Lake, patience: Patience
) -> None:
    refresh_defillama(lake, patience=patience, now=lambda: TODAY)
    in_turn = sorted(llama.protocols, key=lambda row: digest(str(row["id"])))
    for row in in_turn[10:]:
        llama.inject(f"/protocol/{row['slug']}", Status(500), None)
    with pytest.raises(StoppedError):
        fill_protocols(lake, patience)
    llama.calm()
    asked = len(llama.requests)
    assert outcomes(fill_protocols(lake, patience)) == ["published"] * 4
    assert len(llama.requests) - asked < len(in_turn)


def test_protocols_never_beside_a_refresh(lake: Lake, patience: Patience) -> None:
    with locked(lake.root / "crawling" / PROTOCOLS), pytest.raises(BusyError):
        fill_protocols(lake, patience)
