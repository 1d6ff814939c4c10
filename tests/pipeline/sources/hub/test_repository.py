"""Commits and files are listed whole or not at all; a part of a file is exactly the part asked."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import httpx2
import pytest

from baimo.pipeline.errors import SourceError
from baimo.pipeline.sources.http import (
    ForeignHostError,
    Patience,
    RefusedError,
    UnreachableError,
)
from baimo.pipeline.sources.hub import repository
from baimo.pipeline.sources.hub.repository import Commit, RemoteFile, RepoFile, Repository
from tests.pipeline.sources.hub.wire import ENDPOINT, Answer, Wire, listed

TOKEN = "hf_never_to_be_seen"
API = "/api/datasets/owner/data"
DATA = bytes(range(256)) * 40
FILE = RepoFile("a" * 40, "models/x y.parquet", len(DATA), hashlib.sha256(DATA).hexdigest())
STORAGE = "https://storage.example/signed"


@pytest.fixture
def repo(wire: Wire, patience: Patience) -> Repository:
    return Repository("owner/data", patience)


def row(number: int) -> dict[str, Any]:
    """Return the commit of a day, newest of day 9."""
    return {"id": f"r{number}", "date": f"2026-08-{number:02d}T05:00:00.000Z", "title": "x"}


# --- commits -------------------------------------------------------------------------------------


def pages(*contents: list[dict[str, Any]], total: int | None = None) -> Answer:
    def answer(request: httpx2.Request) -> httpx2.Response:
        at = int(request.url.params.get("p", 0))
        onward = str(request.url.copy_set_param("p", at + 1)) if at + 1 < len(contents) else ""
        stated = {} if total is None else {"X_Total_Count": str(total)}
        return listed(contents[at], following=onward, **stated)

    return answer


def test_commits_come_newest_first_over_all_pages(repo: Repository, wire: Wire) -> None:
    wire.answer = pages([row(9), row(8)], [row(8), row(7)])  # one arrived meanwhile
    found = repo.commits(date(2026, 1, 1))
    assert [commit.revision for commit in found] == ["r9", "r8", "r7"]
    assert found[0] == Commit("r9", datetime(2026, 8, 9, 5, tzinfo=UTC))
    assert wire.paths == [f"{API}/commits/main"] * 2


def test_only_as_many_commits_are_read_as_are_needed(repo: Repository, wire: Wire) -> None:
    wire.answer = pages([row(9), row(8)], [row(7), row(6)], [row(5)])
    found = repo.commits(date(2026, 8, 8))
    assert [commit.revision for commit in found] == ["r9", "r8", "r7"]
    assert len(wire.requests) == 2


def test_a_moment_in_another_zone_is_of_its_utc_day(repo: Repository, wire: Wire) -> None:
    wire.answer = pages([row(9) | {"date": "2026-08-09T01:00:00+03:00"}])
    assert repo.commits(date.min)[0].at == datetime(2026, 8, 8, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "odd", [{"sha": "1"}, {"id": "1", "date": 7}, {"id": "1", "date": "soon"}, {"id": "1"}]
)
def test_a_commit_in_another_form_is_named(
    odd: dict[str, Any], repo: Repository, wire: Wire
) -> None:
    wire.answer = pages([odd])
    with pytest.raises(SourceError, match="a commit is not in the known form"):
        repo.commits(date.min)


def test_a_list_that_ends_before_its_announced_length_is_not_believed(
    repo: Repository, wire: Wire, waits: list[float]
) -> None:
    wire.answer = pages([row(9)], [row(8)], total=3)
    with pytest.raises(UnreachableError, match="the list ends early, 5 times"):
        repo.commits(date.min)
    assert len(waits) == 4


@pytest.mark.parametrize(
    ("following", "why"),
    [
        ("https://evil.example/x", "said to be on evil.example; nothing was sent there"),
        (f"{ENDPOINT}{API}/commits/main", "leads back to an earlier one"),
    ],
)
def test_a_link_elsewhere_or_in_a_circle_is_not_followed(
    following: str, why: str, repo: Repository, wire: Wire
) -> None:
    wire.answer = lambda _: listed([row(9)], following=following)
    with pytest.raises(UnreachableError, match=why):
        repo.commits(date.min)
    assert {request.url.host for request in wire.requests} == {"hub.example"}


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[1]", b"[" * 100_000])
def test_a_body_that_is_no_list_of_objects_is_fetched_again(
    body: bytes, repo: Repository, wire: Wire
) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body) if len(wire.requests) == 1 else listed([row(9)])

    wire.answer = answer
    assert len(repo.commits(date.min)) == 1
    assert len(wire.requests) == 2


# --- files ---------------------------------------------------------------------------------------


def test_files_have_the_identity_of_their_content(repo: Repository, wire: Wire) -> None:
    lfs = {"oid": "c" * 64, "size": 9, "pointerSize": 130}
    wire.answer = pages(
        [{"type": "file", "path": "a.parquet", "size": 9, "oid": "b" * 40, "lfs": lfs},
         {"type": "directory", "path": "models", "size": 0, "oid": "d" * 40}],
        [{"type": "file", "path": "README.md", "size": 3, "oid": "e" * 40}],
    )  # fmt: skip
    assert repo.files("r/9") == {
        "a.parquet": RepoFile("r/9", "a.parquet", 9, "c" * 64),
        "README.md": RepoFile("r/9", "README.md", 3, "e" * 40),
    }
    assert wire.requests[0].url.raw_path.startswith(f"{API}/tree/r%2F9".encode())


def test_the_files_of_a_folder_are_those_of_all_below_it(repo: Repository, wire: Wire) -> None:
    wire.answer = pages([])
    assert repo.files("r9", "models/of today") == {}
    assert wire.requests[0].url.raw_path == (
        f"{API}/tree/r9/models/of%20today?recursive=true".encode()
    )


@pytest.mark.parametrize(
    "odd",
    [{"size": 1, "oid": "x"}, {"path": "p", "oid": "x"}, {"path": "p", "size": "big", "oid": "x"},
     {"path": "p", "size": 1}],
)  # fmt: skip
def test_a_file_in_another_form_is_named(odd: dict[str, Any], repo: Repository, wire: Wire) -> None:
    wire.answer = pages([{"type": "file", **odd}])
    with pytest.raises(SourceError, match="a file is not in the known form"):
        repo.files("r9")


# --- parts of a file -----------------------------------------------------------------------------


def asked(request: httpx2.Request) -> tuple[int, int]:
    first, last = request.headers["range"].removeprefix("bytes=").split("-")
    return int(first), int(last) + 1


def streamed(status: int, body: bytes, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, content=iter([body[:100], body[100:]]), headers=named)


def part(request: httpx2.Request) -> httpx2.Response:
    """Answer as a storage does."""
    start, stop = asked(request)
    stated = f"bytes {start}-{stop - 1}/{len(DATA)}"
    return streamed(206, DATA[start:stop], Content_Range=stated)


def redirecting(location: str = STORAGE, **headers: str) -> Answer:
    """Answer as the Hub does, which leads to the storage."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "hub.example":
            return streamed(302, b"", Location=location, **headers)
        return part(request)

    return answer


@pytest.fixture
def remote(
    wire: Wire, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], RemoteFile]:
    """Return what opens the file, in blocks of a kilobyte and parts of four."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(repository, "BLOCK_BYTES", 1 << 10)
    monkeypatch.setattr(repository, "PART_BYTES", 1 << 12)
    wire.answer = redirecting()
    return lambda: Repository("owner/data", patience).open(FILE)


Opened = Callable[[], RemoteFile]


def test_a_file_read_in_any_way_is_the_file(remote: Opened) -> None:
    file = remote()
    assert (file.readable(), file.seekable(), file.tell()) == (True, True, 0)
    assert file.read(10) == DATA[:10]
    assert file.read(2000) == DATA[10:2010]
    assert file.tell() == 2010
    assert file.seek(-5, io.SEEK_END) == len(DATA) - 5
    assert file.read() == DATA[-5:]
    assert (file.read(9), file.read()) == (b"", b"")
    assert file.seek(4000) == 4000
    assert file.seek(90, io.SEEK_CUR) == 4090
    assert file.read(20) == DATA[4090:4110]  # over the edge of a block
    assert file.seek(-9) == 0
    assert file.read(-1) == DATA


def test_the_address_is_that_of_the_revision(remote: Opened, wire: Wire) -> None:
    remote().read(1)
    assert wire.requests[0].url.raw_path == (
        f"/datasets/owner/data/resolve/{'a' * 40}/models/x%20y.parquet".encode()
    )


def test_small_reads_share_a_block_and_large_ones_come_in_parts(remote: Opened, wire: Wire) -> None:
    file = remote()
    for _ in range(3):
        file.read(100)
    parts = [asked(r) for r in wire.requests if r.url.host == "storage.example"]
    assert parts == [(0, 1024)]
    file.seek(0)
    file.read()
    parts = [asked(r) for r in wire.requests if r.url.host == "storage.example"]
    assert parts[1:] == [(0, 4096), (4096, 8192), (8192, len(DATA))]


def test_blocks_are_kept_for_a_while_and_not_for_ever(remote: Opened, wire: Wire) -> None:
    file = remote()
    for start in range(0, len(DATA), 1024):
        file.seek(start)
        file.read(1)
    n_requests = len(wire.requests)
    file.seek(len(DATA) - 1024)
    file.read(1)
    assert len(wire.requests) == n_requests
    file.seek(0)  # long ago
    file.read(1)
    assert len(wire.requests) == n_requests + 2


def test_the_token_goes_to_the_hub_and_not_to_the_storage(remote: Opened, wire: Wire) -> None:
    remote().read(1)
    hub, storage = wire.requests
    assert hub.headers["authorization"] == f"Bearer {TOKEN}"
    assert storage.url.host == "storage.example"
    assert TOKEN not in str(storage.headers.raw)
    assert hub.headers["accept-encoding"] == storage.headers["accept-encoding"] == "identity"


FAULTS: dict[str, tuple[Answer, str]] = {
    "short": (
        lambda r: streamed(206, DATA[:500], Content_Range=f"bytes 0-1023/{len(DATA)}"),
        "the part came short",
    ),
    "long": (
        lambda r: streamed(206, DATA[:2000], Content_Range=f"bytes 0-1023/{len(DATA)}"),
        "more came than was asked for",
    ),
    "another part": (
        lambda r: streamed(206, DATA[:1024], Content_Range=f"bytes 1-1024/{len(DATA)}"),
        f"the part that came is bytes 1-1024/{len(DATA)}, not 0-1023 of {len(DATA)}",
    ),
    "another file": (
        lambda r: streamed(206, DATA[:1024], Content_Range=f"bytes 0-1023/{len(DATA) + 1}"),
        f"not 0-1023 of {len(DATA)}",
    ),
    "no range named": (
        lambda r: streamed(206, DATA[:1024]),
        f"the part that came is not named, not 0-1023 of {len(DATA)}",
    ),
    "the whole": (lambda r: streamed(200, DATA), "the whole file came instead of a part"),
    "an error": (lambda r: streamed(503, b"busy"), "HTTP 503"),
    "a signature that expired": (
        lambda r: (
            redirecting()(r) if r.url.host == "hub.example" else streamed(403, b"expired")
        ),
        r"the storage refused the part \(HTTP 403\)",
    ),
    "circles": (lambda r: streamed(302, b"", Location="/again"), "redirected in circles"),
    "another identity": (
        redirecting(X_Linked_Etag=f'"{"0" * 64}"'), "the server names another file"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_part_that_is_not_the_one_asked_for_is_fetched_again(
    fault: str, remote: Opened, wire: Wire, waits: list[float]
) -> None:
    broken, why = FAULTS[fault]
    wire.answer = broken
    with pytest.raises(UnreachableError, match=f"{why}, 5 times; try again later"):
        remote().read(10)

    def passing(request: httpx2.Request) -> httpx2.Response:
        return (redirecting() if waits else broken)(request)

    waits.clear()
    wire.answer = passing
    assert remote().read(10) == DATA[:10]
    assert len(waits) == 1


def test_an_identity_that_is_the_right_one_or_of_another_kind_is_fine(
    remote: Opened, wire: Wire
) -> None:
    for etag in (f'W/"{FILE.sha256}"', '"short"', ""):
        wire.answer = redirecting(X_Linked_Etag=etag)
        assert remote().read(10) == DATA[:10]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_file_that_the_hub_refuses_is_refused(status: int, remote: Opened, wire: Wire) -> None:
    wire.answer = lambda _: streamed(status, f"no {TOKEN}".encode())
    with pytest.raises(RefusedError, match=rf"HTTP {status} \(no \*\*\*\)") as caught:
        remote().read(1)
    assert caught.value.status == status
    assert len(wire.requests) == 1


@pytest.mark.parametrize("location", ["http://storage.example/x", "ftp://storage.example/x"])
def test_a_storage_without_encryption_is_not_asked(
    location: str, remote: Opened, wire: Wire
) -> None:
    wire.answer = redirecting(location)
    with pytest.raises(ForeignHostError, match=r"which is not encrypted; nothing was sent there"):
        remote().read(1)
    assert len(wire.requests) == 1


def test_an_empty_file_is_read_without_a_request(wire: Wire, repo: Repository) -> None:
    assert repo.open(RepoFile("a" * 40, "x", 0, "")).read() == b""
    assert wire.requests == []
