"""Lists and files of a dataset through every fault; the token goes to the Hub alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.errors import PipelineError, SourceError
from baimo.pipeline.sources.http import Patience, RefusedError, UnreachableError
from baimo.pipeline.sources.hub.dumps import HubStats
from baimo.pipeline.sources.hub.parquet import DamagedError
from baimo.pipeline.sources.hub.repository import RepoFile, Repository
from tests.live.servers.faults import (
    Chunked,
    CutConsistent,
    CutShort,
    DictBody,
    Drip,
    EditBody,
    ForeignLink,
    Garbage,
    Hang,
    LoopLink,
    NoLink,
    NotJson,
    Redirect,
    Reset,
    Status,
)
from tests.live.servers.hub import HubDataset, HubServer
from tests.live.servers.hub_bulk import (
    DAY,
    HUB_STATS,
    MODELS,
    NEW,
    WEEKLY,
    daily,
    file_of,
    frame_of,
    make_parts_small,
    moment,
    read,
    revision,
    serve,
    truth,
)
from tests.live.servers.hub_models import synthetic_models
from tests.live.servers.server import Fault, Loopback, Reply, Request

TOKEN = "hf_secret_of_the_test"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


# --- the list of commits -------------------------------------------------------------------------


LISTS: dict[str, tuple[Fault, int]] = {
    "500 once": (Status(500), 1),
    "429": (Status(429, {"RateLimit": '"api";r=0;t=7'}), 1),
    "cut short": (CutShort(), 1),
    "cut short, consistent length": (CutConsistent(), 1),
    "not JSON": (NotJson(), 1),
    "a dict where a list is due": (DictBody(), 1),
    "no Link": (NoLink(), 1),
    "a looping Link": (LoopLink(), 1),
    "a Link to another host": (ForeignLink("http://evil.example/api/x"), 1),
    "a hang": (Hang(), 1),
    "a reset": (Reset(), 1),
    "chunks that end early": (Chunked(), 1),
    "not HTTP": (Garbage(), 1),
}


@pytest.mark.parametrize("fault", LISTS)
def test_a_passing_fault_of_the_list_of_commits(
    fault: str, hub: HubServer, patience: Patience, waits: list[float]
) -> None:
    start = date(2026, 8, 1)
    repo = daily({start + timedelta(days=n): b"%d" % n for n in range(9)}, per_page=4)
    hub.mount(repo)
    damage, times = LISTS[fault]
    hub.inject(f"{repo.api}/commits/main", damage, times)
    found = HubStats(patience).days(start, start + timedelta(days=9))
    assert len(found) == 9
    assert hub.pending() == 0
    assert len(waits) == times


@pytest.mark.parametrize("fault", ["a Link to another host", "a looping Link", "no Link"])
def test_a_staying_fault_of_the_list_is_told(
    fault: str, hub: HubServer, patience: Patience
) -> None:
    repo = daily({DAY + timedelta(days=n): b"%d" % n for n in range(9)}, per_page=4)
    hub.mount(repo)
    hub.inject(f"{repo.api}/commits/main", LISTS[fault][0], None)
    with pytest.raises(UnreachableError, match="5 times; try again later"):
        HubStats(patience).days(DAY, DAY + timedelta(days=9))


def test_a_list_in_another_form_is_named(hub: HubServer, patience: Patience) -> None:
    repo = daily({DAY: b"x"})
    hub.mount(repo)
    hub.inject(f"{repo.api}/commits/main", EditBody(lambda _: b'[{"sha": "1"}]'))
    with pytest.raises(SourceError, match="a commit is not in the known form"):
        HubStats(patience).days(DAY, DAY)


# --- faults of the file --------------------------------------------------------------------------


PARTS: dict[str, Fault] = {
    "500": Status(500),
    "503 with Retry-After": Status(503, {"Retry-After": "1"}),
    "429": Status(429, {"RateLimit": '"resolvers";r=0;t=7'}),
    "cut short": CutShort(),
    "cut short, consistent length": CutConsistent(),
    "a hang": Hang(),
    "a slow drip": Drip(bytes_per_step=200, pause=0.05),
    "a reset": Reset(),
    "a reset half way": Reset(part=0.5),
    "not HTTP": Garbage(),
    "chunks that end early": Chunked(),
    "a page of HTML": NotJson(),
}
LARGE = file_of(synthetic_models(3000, seed=6), group_rows=500)


@pytest.fixture(scope="module")
def large() -> pl.DataFrame:
    return truth(synthetic_models(3000, seed=6))


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    make_parts_small(monkeypatch)


@pytest.mark.parametrize("fault", PARTS)
@pytest.mark.usefixtures("small_parts")
def test_a_part_that_does_not_come_whole_is_fetched_again(
    fault: str, hub: HubServer, patience: Patience, waits: list[float], large: pl.DataFrame
) -> None:
    repo = serve(hub, LARGE)
    where = repo.cdn_path("models.parquet", revision(DAY))
    hub.inject(where, Chunked(early_end=False), 3)  # no fault
    hub.inject(where, PARTS[fault])
    rows = read(patience)[0]
    assert rows["hub_id"].equals(large["hub_id"])
    assert rows["downloads"].equals(large["downloads"])
    assert hub.pending() == 0
    assert len(waits) == 1


@pytest.mark.parametrize("fault", ["500", "cut short, consistent length", "a reset"])
def test_a_part_that_never_comes_is_told(fault: str, hub: HubServer, patience: Patience) -> None:
    repo = serve(hub, LARGE)
    hub.inject(repo.cdn_path("models.parquet", revision(DAY)), PARTS[fault], None)
    with pytest.raises(UnreachableError, match="5 times; try again later"):
        read(patience)


def test_a_signed_address_that_is_not_accepted_is_asked_for_anew(
    hub: HubServer, patience: Patience, waits: list[float]
) -> None:
    with HubServer() as cdn:
        repo = serve(hub, LARGE, redirects=cdn.url)
        cdn.mount(repo)
        where = repo.cdn_path("models.parquet", revision(DAY))
        cdn.inject(where, Status(403, body=b"Auth failed: invalid range"))
        assert read(patience)[0].height == 3000
        assert len(waits) == 1
        cdn.inject(where, Status(403), None)
        with pytest.raises(UnreachableError, match=r"the storage refused the part \(HTTP 403\)"):
            read(patience)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_file_that_is_refused_says_so(status: int, hub: HubServer, patience: Patience) -> None:
    repo = serve(hub, LARGE)
    hub.inject(repo.resolve_path("models.parquet", revision(DAY)), Status(status), None)
    with pytest.raises(RefusedError, match=f"HTTP {status}") as caught:
        read(patience)
    assert caught.value.status == status


class Swap:
    """The bytes of another part, or of another file, under the headers of this one."""

    def __init__(self, **headers: str) -> None:
        self.headers = headers

    def strike(self, wire: Any, reply: Reply) -> None:
        wire.send(reply.having(**self.headers))


def test_another_part_than_asked_for_is_not_taken(hub: HubServer, patience: Patience) -> None:
    repo = serve(hub, LARGE)
    where = repo.cdn_path("models.parquet", revision(DAY))
    hub.inject(where, Swap(Content_Range=f"bytes 0-99/{len(LARGE)}"))
    hub.inject(where, Swap(Content_Range=f"bytes 0-{len(LARGE) - 1}/{len(LARGE) + 5}"))
    hub.inject(
        repo.resolve_path("models.parquet", revision(DAY)), Swap(X_Linked_Etag=f'"{64 * "0"}"')
    )
    assert read(patience)[0].height == 3000
    assert hub.pending() == 0


class Unranged(HubServer):
    """A server that knows no ranges."""

    def answer(self, request: Request) -> Reply:
        bare = {k: v for k, v in request.headers.items() if k != "range"}
        return super().answer(Request(request.method, request.target, bare, request.body))


@pytest.mark.usefixtures("small_parts")
def test_a_server_without_ranges_does_not_send_the_whole_file_again_and_again(
    patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Unranged() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        serve(server, LARGE)
        with pytest.raises(UnreachableError, match="the whole file came instead of a part"):
            read(patience)


FILES: dict[str, bytes] = {
    "not Parquet": b"<html>" * 100,
    "cut": LARGE[: len(LARGE) // 2],
    "empty": b"",
    "damaged footer": LARGE[:-400] + bytes(380) + LARGE[-20:],
    "damaged data": LARGE[:4000] + bytes(4000) + LARGE[8000:],
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_parquet_is_named(case: str, hub: HubServer, patience: Patience) -> None:
    serve(hub, FILES[case])
    with pytest.raises(DamagedError, match=r"models\.parquet at 2026090105 cannot be read"):
        read(patience)


def test_text_that_is_no_utf8_is_damage(hub: HubServer, patience: Patience) -> None:
    import pyarrow as pa

    table = frame_of(MODELS, NEW).to_arrow()
    names = [b"\xff\xfe" if i == 7 else m["id"].encode() for i, m in enumerate(MODELS)]
    bad = pa.array(names, pa.binary()).view(pa.string())
    table = table.set_column(table.schema.get_field_index("id"), "id", bad)
    import io

    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out)
    serve(hub, out.getvalue())
    with pytest.raises(DamagedError, match="UTF"):
        read(patience)


def test_no_server(hub: HubServer, patience: Patience) -> None:
    serve(hub, LARGE)
    history = HubStats(patience)
    at = history.days(DAY, DAY)[DAY]
    hub.close()
    with pytest.raises(UnreachableError, match="connection refused, 5 times"):
        list(history.blocks(at))


# --- the token -----------------------------------------------------------------------------------


class Recorder(Loopback):
    """A host that should never be asked."""

    def answer(self, request: Request) -> Reply:
        return Reply.text("thanks")


def test_the_token_goes_to_the_hub_alone(
    patience: Patience, monkeypatch: pytest.MonkeyPatch, large: pl.DataFrame
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with HubServer(token=TOKEN) as hub, HubServer() as cdn:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        cdn.mount(serve(hub, LARGE, redirects=cdn.url))
        assert read(patience)[0].height == large.height
        assert {r.headers.get("authorization") for r in hub.requests} == {f"Bearer {TOKEN}"}
        assert cdn.requests
        assert not any(TOKEN in str(r.headers) + r.target for r in cdn.requests)


def test_links_and_redirects_of_the_api_to_another_host_are_not_followed(
    hub: HubServer, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    repo = serve(hub, LARGE)
    with Recorder() as other:
        for fault in (ForeignLink(f"{other.url}/api/x"), Redirect(f"{other.url}/x")):
            hub.calm()
            hub.inject(f"{repo.api}/commits/main", fault, None)
            with pytest.raises(PipelineError) as caught:
                HubStats(patience).days(date(2026, 1, 1), DAY)
            assert TOKEN not in str(caught.value)
        assert other.requests == []


def test_a_refusal_that_repeats_the_token_does_not_show_it(
    hub: HubServer, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    repo = serve(hub, LARGE)
    echo = Status(403, body=f"not for {TOKEN}".encode())
    hub.inject(repo.resolve_path("models.parquet", revision(DAY)), echo, None)
    with pytest.raises(RefusedError, match=r"not for \*\*\*"):
        read(patience)


# --- parts of a file -----------------------------------------------------------------------------


@pytest.mark.usefixtures("small_parts")
def test_any_part_of_a_file_is_what_it_is(hub: HubServer, patience: Patience) -> None:
    data = random.Random(3).randbytes(200_001)
    serve(hub, data)
    repository = Repository(HUB_STATS, patience)
    file = repository.files(revision(DAY))["models.parquet"]
    remote = repository.open(file)
    rng = random.Random(4)
    for _ in range(60):
        start, size = rng.randrange(200_010), rng.choice((1, 100, 16_384, 40_000, 300_000))
        remote.seek(start)
        assert remote.read(size) == data[start : start + size]
    assert remote.seek(-10, 2) == 199_991
    assert remote.read() == data[-10:]
    assert remote.read(5) == b""
    assert remote.tell() == 200_001


def test_a_folder_of_files_is_listed_below_it(hub: HubServer, patience: Patience) -> None:
    hub.mount(HubDataset(WEEKLY, [("a" * 40, moment(DAY), {"m/x/1.bin": b"1", "n/2": b"2"})]))
    found = Repository(WEEKLY, patience).files("a" * 40, "m")
    assert found == {"m/x/1.bin": RepoFile("a" * 40, "m/x/1.bin", 1, found["m/x/1.bin"].sha256)}
