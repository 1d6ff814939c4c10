"""The listing is walked to a proven end, page by page, and a walk that was killed goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx2
import polars as pl
import pytest

from baimo.pipeline.errors import IncompleteError, SourceError
from baimo.pipeline.sources.http import AttemptError, Patience, RefusedError, UnreachableError
from baimo.pipeline.sources.hub.checkpoint import Checkpoint
from baimo.pipeline.sources.hub.crawl import Progress, Walk, crawl_models, first_url, hub_sender
from baimo.pipeline.sources.hub.rows import EXPAND
from tests.pipeline.sources.hub.wire import ENDPOINT, Answer, Listing, Wire, listed, model

NOW = datetime(2026, 9, 1, 6, tzinfo=UTC)
MODELS = [model(n) for n in range(8)]  # pages of 3, 3 and 2
TOKEN = "hf_never_to_be_seen"


@pytest.fixture
def spool(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "crawling" / "hub_models")


@pytest.fixture(autouse=True)
def models(wire: Wire) -> Wire:
    wire.answer = Listing(MODELS)
    return wire


def walk(spool: Checkpoint, patience: Patience, **options: object) -> Walk:
    return crawl_models(spool, patience=patience, now=lambda: NOW, **options)  # type: ignore[arg-type]


def ids(found: Walk) -> list[str]:
    rows = pl.concat([pl.read_parquet(page.path) for page in found.pages])
    return rows["hub_id"].to_list()


def cursors(wire: Wire) -> list[str]:
    return [request.url.params.get("cursor", "0") for request in wire.requests]


def on_cursor(cursor: str, answer: Answer) -> Answer:
    """Answer one page otherwise, every time it is asked for."""
    usual = Listing(MODELS)

    def answered(request: httpx2.Request) -> httpx2.Response:
        here = request.url.params.get("cursor", "0") == cursor
        return answer(request) if here else usual(request)

    return answered


ALL = [row["_id"] for row in MODELS]


# --- a walk --------------------------------------------------------------------------------------


def test_the_first_address_asks_for_every_field_by_date_of_creation() -> None:
    parts = urlsplit(first_url(ENDPOINT, 250))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://hub.example/api/models"
    assert parse_qsl(parts.query) == [
        ("sort", "createdAt"), ("limit", "250"), *(("expand", field) for field in EXPAND)
    ]  # fmt: skip


def test_every_model_comes_once_and_the_end_is_proven(
    spool: Checkpoint, patience: Patience, wire: Wire, waits: list[float]
) -> None:
    found = walk(spool, patience)
    assert ids(found) == ALL
    assert [page.n_rows for page in found.pages] == [3, 3, 2]
    assert (found.day, found.started_at) == ("2026-09-01", NOW)
    assert (found.proven_end, found.empty_pages, waits) == (True, 0, [])
    # The last page once more, one row shorter, and what follows that.
    assert cursors(wire) == ["0", "3", "6", "6", "7"]
    assert wire.requests[3].url.params["limit"] == "1"


def test_progress_is_told_after_each_page(spool: Checkpoint, patience: Patience) -> None:
    told: list[Progress] = []
    walk(spool, patience, progress=told.append)
    assert [(at.rows, at.pages, at.resumed_rows) for at in told] == [
        (3, 1, 0),
        (6, 2, 0),
        (8, 3, 0),
    ]
    assert told[0].requests_left is None


def test_a_limit_stops_it_and_proves_no_end(
    spool: Checkpoint, patience: Patience, wire: Wire
) -> None:
    found = walk(spool, patience, limit=4)
    assert len(found.pages) == 2
    assert not found.proven_end
    assert cursors(wire) == ["0", "3"]


class Killed(BaseException):
    pass


def test_a_killed_walk_goes_on_where_it_was(
    spool: Checkpoint, patience: Patience, wire: Wire
) -> None:
    def kill(at: Progress) -> None:
        if at.pages == 2:
            raise Killed

    with pytest.raises(Killed):
        walk(spool, patience, progress=kill)
    wire.requests.clear()
    notices: list[str] = []
    found = walk(spool, patience, notice=notices.append)
    assert ids(found) == ALL
    assert cursors(wire)[0] == "6"
    assert notices == ["going on after 6 rows of the walk begun 2026-09-01T06:00:00+00:00"]


def test_a_whole_walk_is_not_walked_again(
    spool: Checkpoint, patience: Patience, wire: Wire
) -> None:
    first = walk(spool, patience)
    wire.requests.clear()
    assert walk(spool, patience) == first
    assert wire.requests == []


def test_a_cursor_that_is_no_longer_accepted_starts_anew_once(
    spool: Checkpoint, patience: Patience, wire: Wire
) -> None:
    wire.answer = on_cursor("6", lambda _: httpx2.Response(400, content=b"invalid cursor"))
    notices: list[str] = []
    with pytest.raises(RefusedError, match="HTTP 400"):
        walk(spool, patience, notice=notices.append)
    assert notices == [
        "the Hub no longer accepts the saved cursor; starting again from the first page"
    ]
    assert cursors(wire) == ["0", "3", "6"] * 2
    wire.answer = Listing(MODELS)
    assert ids(walk(spool, patience)) == ALL


# --- links that lead nowhere ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("following", "why"),
    [
        (
            "https://evil.example/api/models?cursor=6",
            "said to be on evil.example; nothing was sent",
        ),
        ("http://hub.example/api/models?cursor=6", "said to be on hub.example; nothing was sent"),
        ("https://[::1/api/models", "the link to the next page is no address"),
        (first_url(ENDPOINT), "leads back to an earlier one"),
    ],
    ids=["another host", "not encrypted", "no address", "a loop"],
)
def test_a_link_that_may_not_be_followed_is_not(
    following: str, why: str, spool: Checkpoint, patience: Patience, wire: Wire
) -> None:
    wire.answer = on_cursor("3", lambda _: listed(MODELS[3:6], following=following))
    with pytest.raises(UnreachableError, match=why):
        walk(spool, patience)
    assert {request.url.host for request in wire.requests} == {"hub.example"}
    assert {request.url.scheme for request in wire.requests} == {"https"}
    assert len(spool.pages()) == 1  # kept


def test_rows_of_an_earlier_page_are_not_taken_again(
    spool: Checkpoint, patience: Patience, wire: Wire
) -> None:
    onward = f"{ENDPOINT}/api/models?limit=3&cursor=6"
    wire.answer = on_cursor("3", lambda _: listed(MODELS[:3], following=onward))
    with pytest.raises(UnreachableError, match="rows of an earlier page come again, 5 times"):
        walk(spool, patience)


def test_a_page_whose_link_is_lost_is_not_the_end(
    spool: Checkpoint, patience: Patience, wire: Wire, waits: list[float]
) -> None:
    usual = Listing(MODELS)

    def without_links(request: httpx2.Request) -> httpx2.Response:
        answer = usual(request)
        del answer.headers["Link"]
        return answer

    wire.answer = without_links
    with pytest.raises(IncompleteError, match=r"stops after 3 rows .* is missing; .*try again"):
        walk(spool, patience)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_an_empty_page_in_the_middle_is_asked_for_again(
    spool: Checkpoint, patience: Patience, wire: Wire, waits: list[float]
) -> None:
    onward = f"{ENDPOINT}/api/models?limit=3&cursor=6"
    empty = [False, True, True]  # from the end

    def sometimes(request: httpx2.Request) -> httpx2.Response:
        return listed([] if empty.pop() else MODELS[3:6], following=onward)

    wire.answer = on_cursor("3", sometimes)
    found = walk(spool, patience)
    assert (ids(found), found.empty_pages) == (ALL, 0)
    assert len(waits) == 2


def test_a_listing_of_nothing_is_refused(spool: Checkpoint, patience: Patience, wire: Wire) -> None:
    wire.answer = Listing([])
    with pytest.raises(IncompleteError, match=r"api/models lists no model at all; check HF_ENDPOI"):
        walk(spool, patience)


def test_a_window_that_is_used_up_is_waited_for_before_the_next_page(
    spool: Checkpoint, patience: Patience, wire: Wire, waits: list[float]
) -> None:
    onward = f"{ENDPOINT}/api/models?limit=3&cursor=3"
    wire.answer = on_cursor(
        "0", lambda _: listed(MODELS[:3], following=onward, RateLimit='"api";r=0;t=30')
    )
    told: list[Progress] = []
    walk(spool, patience, progress=told.append)
    assert waits == [31.0]
    assert told[0].requests_left == 0


# --- one attempt ---------------------------------------------------------------------------------


def test_the_token_is_sent_and_never_comes_back(wire: Wire) -> None:
    wire.answer = lambda request: httpx2.Response(
        403, content=f"no such token {request.headers['authorization']}".encode()
    )
    answer = hub_sender(TOKEN)(f"{ENDPOINT}/api/models", 5.0)
    assert wire.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert (answer.status, answer.body) == (403, b"no such token Bearer ***")


def test_without_a_token_none_is_sent(wire: Wire) -> None:
    answer = hub_sender(None)(first_url(ENDPOINT), 5.0)
    request = wire.requests[0]
    assert "authorization" not in request.headers
    assert request.headers["user-agent"].startswith("baimo/")
    assert answer.status == 200
    assert "link" in answer.headers  # in lower case, whatever the server writes


def test_redirects_are_left_to_the_policy(wire: Wire) -> None:
    wire.answer = lambda _: httpx2.Response(302, headers={"Location": "https://evil.example/"})
    assert hub_sender(TOKEN)(f"{ENDPOINT}/x", 5.0).status == 302
    assert len(wire.requests) == 1


def test_a_failure_is_said_in_words(wire: Wire) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("[Errno 111] Connection refused")

    wire.answer = fail
    with pytest.raises(AttemptError, match=r"^connection refused$"):
        hub_sender(None)(f"{ENDPOINT}/x", 5.0)
    with pytest.raises(SourceError, match=r"no request can be made to .*check HF_ENDPOINT"):
        hub_sender(None)("https://hub.example:x/", 5.0)
