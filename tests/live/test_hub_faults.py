"""A crawl of the Hub through every fault: nothing wrong is published, nothing is lost.

For each fault: what was published, what was kept for going on, what the user is told. The truth
is the snapshot that an undisturbed crawl of the same models gives, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.errors import BusyError, IncompleteError, PipelineError
from baimo.pipeline.ingest.acceptance import RefusedSnapshotError
from baimo.pipeline.ingest.refresh import Refreshed, RefreshOutcome, refresh_hub
from baimo.pipeline.lake.atomic import file_sha256
from baimo.pipeline.lake.lock import locked
from baimo.pipeline.lake.receipts import read_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.sources.http import Patience, RefusedError, UnreachableError
from baimo.pipeline.sources.hub.checkpoint import Checkpoint
from tests.live.servers.faults import (
    Chunked,
    CutConsistent,
    CutShort,
    DictBody,
    Drip,
    EditRows,
    EmptyPage,
    ForeignLink,
    Garbage,
    Gzip,
    Hang,
    LoopLink,
    NoLink,
    NotJson,
    Redirect,
    Reset,
    Status,
    WrongContentType,
)
from tests.live.servers.hub import HubServer
from tests.live.servers.hub_models import synthetic_models
from tests.live.servers.server import Fault, Loopback, Reply, Request, Scripted

N, PAGE = 430, 100
MODELS = synthetic_models(N, seed=5)
NOW = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)
DAY = NOW.date()
NAME = "hub_models"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer(MODELS, page_cap=PAGE) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The sha256 of the snapshot without any fault."""
    lake = Lake(tmp_path_factory.mktemp("undisturbed"))
    with HubServer(MODELS, page_cap=PAGE) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", server.url)
        patch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nowhere")
        return refresh_hub(lake, now=lambda: NOW).receipt.sha256


def crawl(lake: Lake, patience: Patience, now: datetime = NOW, told: list[str] | None = None,
          limit: int | None = None) -> Refreshed:  # fmt: skip
    notice = told.append if told is not None else lambda _: None
    return refresh_hub(lake, patience=patience, now=lambda: now, notice=notice, limit=limit)


def kept_pages(lake: Lake) -> int:
    return len(Checkpoint(lake.root / "crawling" / NAME).pages())


def published(lake: Lake) -> list[date]:
    return lake.days(NAME)


def test_the_snapshot_is_what_the_server_has(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    refreshed = crawl(lake, patience)
    frame = lake.read_table(NAME, DAY)
    truth = {m["_id"]: m for m in MODELS}
    assert frame["hub_id"].to_list() == sorted(truth)
    for row in frame.iter_rows(named=True):
        model = truth[row["hub_id"]]
        assert row["model_id"] == model["id"]
        assert row["downloads"] == model["downloads"]
        assert row["downloads_all_time"] == model["downloadsAllTime"]
        assert row["likes"] == model["likes"]
        assert row["gated"] == str(model["gated"]).lower()
        assert row["parameters"] == (model.get("safetensors") or {}).get("total")
    assert refreshed.receipt.rows == N
    assert not (lake.root / "crawling" / NAME).exists()
    receipt = read_receipt(lake, NAME, DAY)
    assert receipt is not None
    assert receipt.sha256 == file_sha256(lake.path(NAME, DAY))
    assert receipt.details["end_confirmed"] is True


def test_a_second_refresh_of_the_day_asks_for_nothing(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    crawl(lake, patience)
    hub.clear()
    assert crawl(lake, patience).outcome is RefreshOutcome.ALREADY
    assert hub.requests == []


# --- faults that pass ------------------------------------------------------------------------

LIMIT = {"RateLimit": '"api";r=0;t=7', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
PASSING: dict[str, tuple[Fault, int, list[float] | None]] = {
    "429 with RateLimit": (Status(429, LIMIT), 1, [8.0]),
    "429 with Retry-After": (Status(429, {"Retry-After": "11"}), 1, [12.0]),
    "429 bare": (Status(429), 1, [1.0]),
    "429 six in a row": (Status(429), 6, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]),
    "500 once": (Status(500), 1, None),
    "502 three times": (Status(502, body=b"<html>"), 3, None),
    "408": (Status(408), 1, None),
    "403 in the middle": (Status(403), 2, None),
    "cut short": (CutShort(), 1, None),
    "cut short, consistent length": (CutConsistent(), 1, None),
    "not JSON": (NotJson(), 1, None),
    "a dict where a list is due": (DictBody(), 1, None),
    "an empty page with a Link": (EmptyPage(), 1, None),
    "a looping Link": (LoopLink(), 1, None),
    "a Link to the first page": (LoopLink(to_first=True), 1, None),
    "a Link to another host": (ForeignLink("http://evil.example/api/models?cursor=x"), 1, None),
    "no Link": (NoLink(), 1, None),
    "a hang": (Hang(), 1, None),
    "a slow drip": (Drip(bytes_per_step=200, pause=0.05), 1, None),
    "a dripping head": (Drip(bytes_per_step=1, pause=0.05, head_too=True), 1, None),
    "a reset": (Reset(), 1, None),
    "a reset half way": (Reset(part=0.5), 1, None),
    "not HTTP": (Garbage(), 1, None),
    "chunks that end early": (Chunked(), 1, None),
    "broken gzip": (Gzip(broken=True), 1, None),
    "cut gzip": (Gzip(cut=True), 1, None),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_leaves_the_snapshot_as_it_would_have_been(
    fault: str, hub: HubServer, lake: Lake, patience: Patience, waits: list[float],
    undisturbed: str,
) -> None:  # fmt: skip
    damage, times, pauses = PASSING[fault]
    hub.inject(2, damage, times)
    crawl(lake, patience)
    assert hub.pending() == 0
    assert file_sha256(lake.path(NAME, DAY)) == undisturbed
    if pauses is not None:
        assert waits == pauses
    elif fault != "no Link":  # asked for again at once, one row shorter
        assert len(waits) == times


@pytest.mark.parametrize("harmless", [Gzip(), Chunked(early_end=False), WrongContentType()])
def test_what_is_no_fault_costs_nothing(
    harmless: Fault, hub: HubServer, lake: Lake, patience: Patience, waits: list[float],
    undisturbed: str,
) -> None:  # fmt: skip
    hub.inject(1, harmless)
    crawl(lake, patience)
    assert waits == []
    assert file_sha256(lake.path(NAME, DAY)) == undisturbed


# --- faults that stay ------------------------------------------------------------------------

STAYING: dict[str, tuple[Fault, type[PipelineError], str]] = {
    "500 for ever": (Status(500), UnreachableError, "HTTP 500, 5 times; try again later"),
    "429 for ever": (Status(429, LIMIT | {"RateLimit": '"api";r=0;t=299'}), UnreachableError,
                     "told to wait for more than 1800 s"),
    "401": (Status(401, body=b'{"error":"Invalid credentials"}'), RefusedError,
            "HTTP 401 .*Invalid credentials.*; check the token"),
    "403": (Status(403), UnreachableError, "HTTP 403 .blocked for a while.*, 5 times"),
    "404": (Status(404), RefusedError, "HTTP 404 .*check the address"),
    "cut short": (CutShort(), UnreachableError, "the answer was cut short, 5 times"),
    "cut short, consistent length": (CutConsistent(), UnreachableError, "the page is not JSON"),
    "not JSON": (NotJson(), UnreachableError, "the page is not JSON, 5 times"),
    "a dict where a list is due": (DictBody(), UnreachableError, "an object, not a list of models"),
    "a looping Link": (LoopLink(), UnreachableError, "leads back to an earlier one"),
    "a Link to the first page": (LoopLink(to_first=True), UnreachableError, "leads back"),
    "a Link to another host": (ForeignLink("https://evil.example/x"), UnreachableError,
                               "said to be on evil.example; nothing was sent there"),
    "no Link": (NoLink(), IncompleteError, "whose link to the next is missing"),
    "a redirect to another host": (Redirect("https://evil.example/x"), PipelineError,
                                   "redirects to evil.example; nothing was sent there"),
    "a redirect in circles": (Redirect("", keep_target=True), UnreachableError,
                              "redirected in circles"),
    "a hang": (Hang(), UnreachableError, "no answer in time, 5 times"),
    "a slow drip": (Drip(bytes_per_step=100, pause=0.1), UnreachableError,
                    "no whole answer within 1 s"),
    "a reset": (Reset(), UnreachableError, "the connection broke"),
    "not HTTP": (Garbage(), UnreachableError, "connection"),
}  # fmt: skip


@pytest.mark.parametrize("fault", STAYING)
def test_a_staying_fault_publishes_nothing_and_the_crawl_goes_on_later(
    fault: str, hub: HubServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    damage, error, message = STAYING[fault]
    hub.inject(2, damage, None)
    with pytest.raises(error, match=message):
        crawl(lake, patience)
    assert published(lake) == []
    assert kept_pages(lake) == 2
    receipt = read_receipt(lake, NAME, DAY)
    assert receipt is not None
    assert receipt.outcome == "failed"
    hub.calm()
    hub.clear()
    crawl(lake, patience, NOW + timedelta(hours=2))
    assert file_sha256(lake.path(NAME, DAY)) == undisturbed
    assert all(r.ask("cursor") for r in hub.requests)  # it went on, it did not begin again


def test_a_403_for_the_first_page_is_a_refusal(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    hub.inject(0, Status(403), None)
    with pytest.raises(RefusedError, match=r"HTTP 403 .*no reason given.*may not read this"):
        crawl(lake, patience)
    assert len(hub.requests) == 1


def test_waiting_for_the_limit_is_no_failed_try(
    hub: HubServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    hub.inject(2, Status(429), 6)
    hub.inject(2, Status(500), 4)
    crawl(lake, patience)
    assert file_sha256(lake.path(NAME, DAY)) == undisturbed


def test_a_busy_server_is_given_the_time_it_asks_for(
    hub: HubServer, lake: Lake, patience: Patience, waits: list[float]
) -> None:
    hub.inject(2, Status(503, {"Retry-After": "20"}))
    crawl(lake, patience)
    assert waits == [21.0]


def test_an_empty_page_for_ever_is_no_first_snapshot(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    hub.inject(2, EmptyPage(), None)
    with pytest.raises(RefusedSnapshotError, match="behind which models may be hidden"):
        crawl(lake, patience)
    assert published(lake) == []


def test_connection_refused(hub: HubServer, lake: Lake, patience: Patience) -> None:
    hub.close()
    with pytest.raises(UnreachableError, match="connection refused, 5 times"):
        crawl(lake, patience)
    assert published(lake) == []


def test_a_server_that_goes_down_and_comes_back(
    hub: HubServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    hub.inject(2, Status(500), None)
    with pytest.raises(UnreachableError):
        crawl(lake, patience)
    hub.close()
    with pytest.raises(UnreachableError, match="connection refused"):
        crawl(lake, patience)
    assert kept_pages(lake) == 2
    hub.calm()
    hub.start()
    crawl(lake, patience)
    assert file_sha256(lake.path(NAME, DAY)) == undisturbed


def test_an_unknown_host(lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://no-such-host.invalid")
    with pytest.raises(UnreachableError, match="the name of the host cannot be resolved"):
        crawl(lake, patience)


@pytest.mark.parametrize("address", ["nonsense", "http://", "http://[::1", "ftp://x.example"])
def test_an_address_that_is_none(
    address: str, lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(PipelineError):
        crawl(lake, patience)
    assert published(lake) == []


# --- the cursor ------------------------------------------------------------------------------


def test_a_cursor_that_is_no_longer_accepted_begins_again_by_itself(
    hub: HubServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    told: list[str] = []
    hub.inject(3, Status(400, body=b'{"error":"Invalid cursor"}'))
    crawl(lake, patience, told=told)
    assert file_sha256(lake.path(NAME, DAY)) == undisturbed
    assert any("starting again from the first page" in line for line in told)


def test_a_cursor_that_is_never_accepted_is_told(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    hub.inject(3, Status(400, body=b'{"error":"Invalid cursor"}'), None)
    with pytest.raises(RefusedError, match="Invalid cursor"):
        crawl(lake, patience)
    assert published(lake) == []


# --- rows ------------------------------------------------------------------------------------


def test_bad_rows_go_to_quarantine_and_the_others_are_published(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    def spoil(rows: list[dict[str, object]]) -> None:
        rows[0]["downloads"] = None
        rows[1]["downloads"] = -3
        rows[2]["likes"] = "many"
        rows[3]["createdAt"] = "soon"
        rows[4]["downloads"] = 2**70
        rows[5]["gated"] = 7
        del rows[6]["likes"]

    hub.inject(1, EditRows(spoil))
    receipt = crawl(lake, patience).receipt
    assert receipt.rows == N - 6
    assert sum(receipt.details["quarantined"].values()) == 6
    odd = lake.read_table(f"{NAME}_quarantine", DAY)
    assert odd.filter("kept")["reason"].to_list() == [
        "gated is neither false, auto nor manual: left empty"
    ]
    assert odd.filter(~pl.col("kept")).height == 6


def test_too_many_bad_rows_publish_nothing_and_stand_in_quarantine(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    hub.inject(1, EditRows(lambda rows: [r | {"downloads": None} for r in rows]))
    with pytest.raises(RefusedSnapshotError, match=r"100 of 430 rows are not valid"):
        crawl(lake, patience)
    assert published(lake) == []
    assert lake.read_table(f"{NAME}_quarantine", DAY).height == 100


def test_rows_that_come_twice_are_taken_once(
    hub: HubServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    seen: list[dict[str, object]] = []
    hub.inject(1, EditRows(lambda rows: seen.extend(rows[-5:])))
    hub.inject(2, EditRows(lambda rows: [rows[0], *seen, *rows[1:]]))
    receipt = crawl(lake, patience).receipt
    assert receipt.details["repeated"] == 5
    assert file_sha256(lake.path(NAME, DAY)) == undisturbed


def test_models_created_during_the_walk_fall_outside_it(
    hub: HubServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    from tests.live.servers.faults import Do

    newer = synthetic_models(3, seed=77, end_day=date(2026, 9, 30))
    late = [m | {"createdAt": "2026-09-01T07:00:00.000Z"} for m in newer]
    hub.inject(1, Do(lambda: hub.replace([*MODELS, *late])))
    crawl(lake, patience)
    assert file_sha256(lake.path(NAME, DAY)) == undisturbed


def test_a_listing_without_models_is_refused(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    hub.replace([])
    with pytest.raises(IncompleteError, match="lists no model at all"):
        crawl(lake, patience)


# --- against the day before ------------------------------------------------------------------

NEXT = NOW + timedelta(days=1)


def test_a_gap_is_seen_against_the_day_before(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    crawl(lake, patience)
    hub.inject(2, EditRows(lambda rows: rows[:40]))
    with pytest.raises(RefusedSnapshotError, match=r"60 models in a row .* a page was lost"):
        crawl(lake, patience, NEXT)
    assert published(lake) == [DAY]


def test_a_much_shorter_listing_is_refused_and_yesterday_stays(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    crawl(lake, patience)
    before = file_sha256(lake.path(NAME, DAY))
    hub.replace(MODELS[::2])
    with pytest.raises(RefusedSnapshotError, match=r"215 rows, but 430 on 2026-09-01"):
        crawl(lake, patience, NEXT)
    assert published(lake) == [DAY]
    assert file_sha256(lake.path(NAME, DAY)) == before
    receipt = read_receipt(lake, NAME, NEXT.date())
    assert receipt is not None
    assert "why" in receipt.checks["size_against_the_last"]


def test_some_removals_and_entries_are_fine(hub: HubServer, lake: Lake, patience: Patience) -> None:
    crawl(lake, patience)
    hub.replace([*MODELS[4:], *synthetic_models(6, seed=9)])
    receipt = crawl(lake, patience, NEXT).receipt
    assert receipt.rows == N + 2
    assert receipt.checks["no_gap"]["gone"] == 4


# --- time ------------------------------------------------------------------------------------


def test_a_walk_belongs_to_the_day_on_which_it_began(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    late = datetime(2026, 9, 1, 23, 50, tzinfo=UTC)
    hub.inject(2, Status(500), None)
    with pytest.raises(UnreachableError):
        crawl(lake, patience, late)
    hub.calm()
    told: list[str] = []
    receipt = crawl(lake, patience, late + timedelta(hours=6), told).receipt
    assert receipt.day == "2026-09-02"  # what was asked for is today
    assert published(lake) == [date(2026, 9, 1), date(2026, 9, 2)]
    assert "the walk begun on 2026-09-01 is published; today's begins" in told


def test_a_walk_of_long_ago_is_not_gone_on_with(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    hub.inject(2, Status(500), None)
    with pytest.raises(UnreachableError):
        crawl(lake, patience)
    hub.calm()
    hub.clear()
    assert crawl(lake, patience, NOW + timedelta(hours=13)).receipt.day == "2026-09-01"
    assert hub.requests[0].ask("cursor") is None


def test_pacing_waits_for_the_next_window(
    hub: HubServer, lake: Lake, patience: Patience, waits: list[float]
) -> None:
    hub.inject(1, EditHeaders(RateLimit='"api";r=0;t=41'))
    told: list[str] = []
    crawl(lake, patience, told=told)
    assert waits == [42.0]
    assert told == ["requests of this window used up, waiting 42 s"]


class EditHeaders:
    """The good reply with other headers."""

    def __init__(self, **headers: str) -> None:
        self.headers = headers

    def strike(self, wire: object, reply: object) -> None:
        wire.send(reply.having(**self.headers))  # type: ignore[attr-defined]


# --- the end of the listing ------------------------------------------------------------------


class Paged(Scripted):
    """A server of its own habits: pages of a fixed size, or uneven, and Links of any spelling."""

    def __init__(self, size: int, rel: str = 'rel="next"', lose: int = -1, once: bool = False,
                 honours: bool = False, uneven: bool = False, trails: bool = False,
                 ) -> None:  # fmt: skip
        super().__init__(self._reply)
        rows = sorted(MODELS, key=lambda m: (m["createdAt"], m["_id"]), reverse=True)
        self.rows, self.size, self.rel = rows, size, rel
        self.lose, self.once, self.honours, self.uneven = lose, once, honours, uneven
        self.trails = trails

    def _reply(self, request: Request) -> Reply:
        start = int(request.ask("at") or 0)
        size = self.size - (1 if self.uneven and start else 0)
        if self.honours:
            size = min(size, int(request.ask("limit") or size))
        stop = start + size
        reply = Reply.json(self.rows[start:stop])
        if stop >= len(self.rows) and not (self.trails and start < len(self.rows)):
            return reply
        if start == self.lose:
            if self.once:
                self.lose = -1
            return reply
        return reply.having(Link=f"</api/models?at={stop}>; {self.rel}")


@pytest.mark.parametrize(
    "server",
    [
        Paged(100),
        Paged(43),  # the last page is full
        Paged(43, honours=True),
        Paged(100, rel='rel="NEXT"'),
        Paged(100, rel="rel=next"),
        Paged(100, rel='REL="next nofollow"'),
        Paged(100, lose=0, once=True),
        Paged(100, lose=200, once=True),
        Paged(100, lose=200, once=True, honours=True),
        Paged(100, uneven=True, honours=True),
        Paged(100, trails=True),  # the last page is empty
        Paged(43, trails=True),
        Paged(43, trails=True, honours=True),
    ],
)
def test_servers_of_other_habits_are_walked_to_the_end(
    server: Paged, lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch,
    undisturbed: str,
) -> None:  # fmt: skip
    with server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert crawl(lake, patience).receipt.sha256 == undisturbed


@pytest.mark.parametrize(
    "server",
    [
        Paged(100, lose=0, honours=True),
        Paged(100, lose=200, honours=True),
        Paged(100, lose=199, honours=True, uneven=True),
    ],
)
def test_a_link_lost_for_ever_is_seen_where_the_limit_is_honoured(
    server: Paged, lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with pytest.raises(IncompleteError, match="whose link to the next is missing"):
            crawl(lake, patience)
    assert published(lake) == []


def test_an_end_that_the_server_cannot_confirm_is_said(
    lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Paged(100) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert crawl(lake, patience).receipt.details["end_confirmed"] is False


def test_an_empty_last_page_is_believed_only_when_it_stays(
    hub: HubServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    hub.inject(2, Both(NoLink(), EmptyPage()))
    assert crawl(lake, patience).receipt.sha256 == undisturbed


def test_an_empty_page_for_ever_is_no_end(hub: HubServer, lake: Lake, patience: Patience) -> None:
    hub.inject(2, Both(NoLink(), EmptyPage()), None)
    with pytest.raises(IncompleteError, match="the next page is empty"):
        crawl(lake, patience)
    assert published(lake) == []


class Both:
    """A page without rows and without a Link."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults

    def strike(self, wire: object, reply: Reply) -> None:
        wire.send(reply.having(body=b"[]", Link=None))  # type: ignore[attr-defined]


def test_an_empty_page_in_the_middle_is_refused_on_later_days_too(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    crawl(lake, patience)
    hub.replace([*MODELS, *synthetic_models(8, seed=9)])
    hub.inject(0, EmptyPage(), None)
    with pytest.raises(RefusedSnapshotError, match="models may be hidden"):
        crawl(lake, patience, NEXT)


def test_resuming_does_not_make_an_end_proven(
    lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    from baimo.pipeline.errors import LakeError

    def broken(*_: object, **__: object) -> None:
        raise LakeError("the disk is full")

    with Paged(100) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with monkeypatch.context() as patch:
            patch.setattr("baimo.pipeline.ingest.refresh.publish_models", broken)
            with pytest.raises(LakeError):
                crawl(lake, patience)
        assert crawl(lake, patience).receipt.details["end_confirmed"] is False


def test_a_password_in_the_address_stands_in_no_receipt(
    hub: HubServer, lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("http://", "http://user:s3cret@"))
    receipt = crawl(lake, patience).receipt
    assert receipt.details["endpoint"] == hub.url


@pytest.mark.parametrize("where", ["http://a..b", "http://h\u00e4\u00df.invalid"])
def test_an_odd_address_is_no_traceback(
    where: str, lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", where)
    with pytest.raises(PipelineError):
        crawl(lake, patience)


def test_what_is_right_after_all_can_be_published(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    crawl(lake, patience)
    hub.replace(MODELS[::2])
    with pytest.raises(RefusedSnapshotError, match="if it is right: baimo refresh --trust"):
        crawl(lake, patience, NEXT)
    refreshed = refresh_hub(lake, patience=patience, now=lambda: NEXT, trust=True)
    assert refreshed.receipt.rows == len(MODELS[::2])


def test_a_file_without_a_receipt_is_of_no_day_and_written_anew(
    hub: HubServer, lake: Lake, patience: Patience, undisturbed: str
) -> None:
    lake.write_table(NAME, DAY, pl.DataFrame({"left": ["by a process that was killed"]}))
    assert crawl(lake, patience).receipt.sha256 == undisturbed


@pytest.mark.parametrize("n", [1, 2, 99, 100, 101, 200, 300])
def test_the_end_is_found_wherever_it_lies(
    n: int, hub: HubServer, lake: Lake, patience: Patience
) -> None:
    hub.replace(MODELS[:n])
    refreshed = crawl(lake, patience)
    assert refreshed.receipt.rows == n
    assert refreshed.receipt.details["end_confirmed"] is True


# --- others ----------------------------------------------------------------------------------


def test_two_refreshes_at_once(hub: HubServer, lake: Lake, patience: Patience) -> None:
    held = locked(lake.root / "crawling" / NAME)
    with held, pytest.raises(BusyError, match="another process is filling hub_models"):
        crawl(lake, patience)
    assert crawl(lake, patience).outcome is RefreshOutcome.PUBLISHED


def test_a_sample_is_never_a_snapshot(hub: HubServer, lake: Lake, patience: Patience) -> None:
    refreshed = crawl(lake, patience, limit=150)
    assert refreshed.outcome is RefreshOutcome.SAMPLE
    assert refreshed.receipt.rows == 150
    assert published(lake) == []
    assert Path(refreshed.path).is_relative_to(lake.root / "samples")
    assert len(hub.requests) == 2
    newest = sorted(MODELS, key=lambda m: (m["createdAt"], m["_id"]), reverse=True)[:150]
    assert set(pl.read_parquet(refreshed.path)["hub_id"]) == {m["_id"] for m in newest}


def test_nothing_goes_to_another_host(
    hub: HubServer, lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_the_test")
    with Recorder() as other:
        for fault in (ForeignLink(f"{other.url}/api/models?cursor=x"), Redirect(other.url + "/x")):
            hub.calm()
            hub.inject(1, fault, None)
            with pytest.raises(PipelineError):
                crawl(lake, patience)
        assert other.requests == []
    assert all(r.headers["authorization"] == "Bearer hf_secret_of_the_test" for r in hub.requests)


class Recorder(Loopback):
    """A host that should never be asked."""
