"""The kit itself: servers answer as the real ones, faults break what they say they break."""

import gzip
import http.client
import json
import os
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.live.servers import faults
from tests.live.servers.defi import DefiServer, synthetic_protocols
from tests.live.servers.hub import (
    BigHubServer,
    HubDataset,
    HubServer,
    synthetic_models,
    synthetic_pages,
)
from tests.live.servers.server import ANY, Fault, Loopback, Reply, Scripted

FIELDS = ("createdAt", "downloads", "gated", "baseModels")
DAY_ONE = datetime(2026, 8, 1, 6, tzinfo=UTC)
BODY = b'[{"a":1},{"a":2},{"a":3}]'


def first_page(server: Loopback, limit: int, *fields: str) -> str:
    query = [("sort", "createdAt"), ("limit", str(limit)), *(("expand", f) for f in fields)]
    return f"{server.url}/api/models?{urlencode(query)}"


def get(url: str, **headers: str) -> tuple[int, Any, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as r:
            return r.status, r.headers, r.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def walk(url: str | None) -> Iterator[list[dict[str, Any]]]:
    while url:
        status, headers, body = get(url)
        assert status == 200
        yield json.loads(body)
        link = headers.get("Link")
        assert link is None or link.endswith('; rel="next"')
        url = link and link[1 : link.index(">")]


def exchange(server: Loopback, path: str = "/x", timeout: float = 3.0) -> bytes:
    """Send one request on a plain socket and return all bytes up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: s.recv(65536), b""))


def broken(fault: Fault) -> tuple[bytes, bytes]:
    """Return head and body of a reply under a fault."""
    link = {"Content-Type": "application/json", "Link": '<http://127.0.0.1/2>; rel="next"'}
    with Scripted(lambda _: Reply(200, link, BODY)) as server:
        server.inject("/x", fault)
        head, _, body = exchange(server).partition(b"\r\n\r\n")
        assert server.pending() == 0
    return head, body


class TestListing:
    def test_a_walk_gives_each_row_once_newest_first(self) -> None:
        models = synthetic_models(2345, seed=1)
        with HubServer(models, page_cap=500) as hub:
            pages = list(walk(first_page(hub, 1000, *FIELDS)))
            assert [r.where[0] for r in hub.requests] == [0, 1, 2, 3, 4]
        rows = [row for page in pages for row in page]
        assert [len(page) for page in pages] == [500, 500, 500, 500, 345]
        keys = [(row["createdAt"], row["_id"]) for row in rows]
        assert keys == sorted(((m["createdAt"], m["_id"]) for m in models), reverse=True)
        assert set(rows[0]) <= {*FIELDS, "_id", "id", "modelId"}
        by_id = {m["_id"]: m for m in models}
        assert all(row["downloads"] == by_id[row["_id"]]["downloads"] for row in rows)

    def test_a_full_last_page_has_no_link(self) -> None:
        with HubServer(synthetic_models(20)) as hub:
            assert [len(page) for page in walk(first_page(hub, 10))] == [10, 10]

    def test_a_cursor_outlives_models_that_come_and_go(self) -> None:
        models = sorted(synthetic_models(30), key=lambda m: (m["createdAt"], m["_id"]))
        with HubServer(models[:25], page_cap=10) as hub:
            pages = walk(first_page(hub, 10))
            seen = [*next(pages)]
            hub.replace(models)  # five newer ones, in front of the walk
            seen += [row for page in pages for row in page]
        assert [row["_id"] for row in seen] == [m["_id"] for m in models[:25]][::-1]

    def test_tokens_cursors_and_limits(self) -> None:
        with HubServer(synthetic_models(5), token="hf_x", window=(4, 60.0)) as hub:
            url = first_page(hub, 2)
            assert get(url, Authorization="Bearer wrong")[0] == 401
            status, headers, _ = get(url, Authorization="Bearer hf_x")
            assert (status, headers["RateLimit-Policy"]) == (
                200,
                '"fixed window";"api";q=4;w=60',
            )
            assert headers["RateLimit"].startswith('"api";r=3;t=')
            status, _, body = get(url + "&cursor=nonsense")
            assert (status, list(json.loads(body))) == (400, ["error"])
            statuses = [get(url)[0] for _ in range(3)]
            assert statuses == [200, 200, 429]

    def test_rows_look_like_those_of_the_hub(self) -> None:
        models = synthetic_models(3000, seed=2)
        assert len({m["_id"] for m in models}) == 3000
        floor = [m for m in models if m["createdAt"] == "2022-03-02T23:29:04.000Z"]
        assert 30 < len(floor) < 300
        assert {m["_id"][:8] for m in floor} == {"621ffdc0"}
        zeros = sum(m["downloads"] == 0 for m in models) / 3000
        assert 0.45 < zeros < 0.55
        assert {m["gated"] for m in models} == {False, "auto", "manual"}
        assert synthetic_models(50, seed=2) == synthetic_models(50, seed=2)


class TestBulk:
    def test_pages_are_the_same_however_they_are_cut(self) -> None:
        def rows(page: int) -> list[dict[str, Any]]:
            return [row for body in synthetic_pages(3000, page, seed=3) for row in json.loads(body)]

        found = rows(1000)
        assert found == rows(777)
        keys = [(row["createdAt"], row["_id"]) for row in found]
        assert keys == sorted(set(keys), reverse=True)
        assert len({row["id"] for row in found}) == len(keys) == 3000

    @pytest.mark.parametrize("in_memory", [False, True])
    def test_a_big_server_is_walked_like_a_small_one(self, in_memory: bool) -> None:
        with BigHubServer(4500, in_memory=in_memory) as hub:
            pages = list(walk(first_page(hub, 1000)))
            shorter = json.loads(get(first_page(hub, 999) + "&cursor=1000")[2])
        assert [len(page) for page in pages] == [1000] * 4 + [500]
        assert len({row["_id"] for page in pages for row in page}) == 4500
        assert shorter == pages[1][:999]

    def test_rows_weigh_what_recorded_ones_weigh(self) -> None:
        size = sum(len(body) for body in synthetic_pages(20_000)) / 20_000
        assert 450 < size < 650  # about 500 bytes, tags included


class TestFaults:
    def test_whole_and_untouched_without_one(self) -> None:
        with Scripted(lambda _: Reply.json([1])) as server:
            assert exchange(server).endswith(b"Content-Length: 3\r\n\r\n[1]")

    def test_a_body_cut_short(self) -> None:
        head, body = broken(faults.CutShort())
        assert (b"Content-Length: 25" in head, body) == (True, BODY[:12])
        head, body = broken(faults.CutConsistent())
        assert (b"Content-Length: 12" in head, body) == (True, BODY[:12])

    def test_bodies_of_another_kind(self) -> None:
        head, body = broken(faults.NotJson())
        assert b"Content-Type: text/html" in head
        assert body.startswith(b"<!doctype")
        assert isinstance(json.loads(broken(faults.DictBody())[1]), dict)
        head, body = broken(faults.EmptyPage())
        assert (b"\r\nLink: " in head, body) == (True, b"[]")
        head, body = broken(faults.WrongContentType("application/pdf"))
        assert (b"application/pdf" in head, body) == (True, BODY)

    def test_links_and_redirects(self) -> None:
        head, body = broken(faults.NoLink())
        assert (b"Link" in head, body) == (False, BODY)
        assert b"/x>; rel" in broken(faults.LoopLink())[0]
        assert b"Link: <http://y/z>; rel" in broken(faults.ForeignLink("http://y/z"))[0]
        head, _ = broken(faults.Redirect("http://y/", 307))
        assert head.startswith(b"HTTP/1.1 307 ")
        assert b"Location: http://y/" in head

    def test_statuses(self) -> None:
        head, body = broken(faults.Status(429, {"RateLimit": '"api";r=0;t=7'}, b"slow"))
        assert (head.split(b"\r\n")[0], body) == (b"HTTP/1.1 429 Too Many Requests", b"slow")
        assert b'RateLimit: "api";r=0;t=7' in head

    def test_rows_changed(self) -> None:
        assert json.loads(broken(faults.EditRows(lambda rows: rows[:1]))[1]) == [{"a": 1}]
        odd = broken(faults.EditRows(lambda rows: rows[0].update(a=float("nan"))))[1]
        assert odd.startswith(b'[{"a":NaN}')
        assert broken(faults.EditBody(lambda b: b[::-1]))[1] == BODY[::-1]

    def test_encodings(self) -> None:
        assert gzip.decompress(broken(faults.Gzip())[1]) == BODY
        for fault in (faults.Gzip(broken=True), faults.Gzip(cut=True)):
            with pytest.raises((OSError, EOFError, zlib.error)):
                gzip.decompress(broken(fault)[1])
        assert broken(faults.Chunked(early_end=False))[1].endswith(b"\r\n0\r\n\r\n")
        head, body = broken(faults.Chunked())
        assert (b"Transfer-Encoding: chunked" in head, b"Content-Length" in head) == (True, False)
        assert body == b"c\r\n" + BODY[:12] + b"\r\n"

    def test_connections_broken(self) -> None:
        assert broken(faults.Garbage(b"%&"))[0] == b"%&"
        for fault in (faults.Reset(), faults.Reset(part=0.5)):
            with pytest.raises(ConnectionResetError):
                broken(fault)

    def test_a_drip_is_slow_and_whole(self) -> None:
        began = time.perf_counter()
        assert broken(faults.Drip(5, 0.02))[1] == BODY
        assert time.perf_counter() - began >= 0.1

    @pytest.mark.parametrize("fault", [faults.Hang(), faults.Drip(1, 60.0)])
    def test_a_hang_ends_with_the_server(self, fault: Fault) -> None:
        began = time.perf_counter()
        with Scripted(lambda _: Reply.json([1])) as server:
            server.inject(ANY, fault)
            with pytest.raises(TimeoutError):
                exchange(server, timeout=0.1)
        assert time.perf_counter() - began < 2

    def test_a_plan_is_used_up_in_order(self) -> None:
        with HubServer(synthetic_models(30), page_cap=10) as hub:
            hub.inject(1, faults.Status(500), times=2)
            hub.inject(1, faults.Status(503))
            hub.inject("/api/models", faults.Status(418), times=None)
            page_two = f"{first_page(hub, 10)}&cursor={hub.cursor(10)}"
            assert [get(page_two)[0] for _ in range(4)] == [500, 500, 503, 418]
            hub.calm()
            assert get(page_two)[0] == 200

    def test_connections_are_kept_and_end_with_the_server(self) -> None:
        with Scripted(lambda _: Reply.json([1])) as server:
            client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=3)
            for _ in range(2):
                client.request("GET", "/x")
                assert client.getresponse().read() == b"[1]"
            port = server.port
        with pytest.raises(ConnectionError):
            self.ask_again(client)
        client.close()
        with Scripted(lambda _: Reply.json([2]), port=port) as server:
            assert get(server.url)[2] == b"[2]"

    @staticmethod
    def ask_again(client: http.client.HTTPConnection) -> None:
        client.request("GET", "/x")
        client.getresponse()

    def test_an_error_of_the_kit_is_not_taken_for_a_fault(self) -> None:
        def script(_: object) -> Reply:
            raise RuntimeError("my own mistake")

        with pytest.raises(AssertionError, match="my own mistake"), Scripted(script) as server:
            exchange(server)


CLIENT = """
import json, os, sys
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.errors import RemoteEntryNotFoundError

api, repo, cache = HfApi(), "harbor/tides", sys.argv[1]
commits = api.list_repo_commits(repo, repo_type="dataset")
old = commits[-1].commit_id
info = api.get_paths_info(repo, ["a/big.parquet", "none"], repo_type="dataset", expand=True)
tree = list(api.list_repo_tree(repo, repo_type="dataset", recursive=True, revision=old))
def fetch(name, **more):
    return hf_hub_download(repo, name, repo_type="dataset", cache_dir=cache, **more)
paths = [fetch("a/big.parquet"), fetch("a/big.parquet", revision=old), fetch("README.md")]
fs = HfFileSystem()
with fs.open(f"datasets/{repo}@{old}/a/big.parquet", "rb", block_size=1000) as f:
    f.seek(50_000)
    part = f.read(10).decode()
refused = []
for call in (
    lambda: api.dataset_info("harbor/none"),
    lambda: api.list_repo_commits(repo, repo_type="dataset", revision="f" * 40),
    lambda: fetch("none"),
):
    try:
        call()
    except (RepositoryNotFoundError, RevisionNotFoundError, RemoteEntryNotFoundError) as error:
        refused.append(type(error).__name__)
print(json.dumps({
    "commits": [(c.commit_id, c.created_at.isoformat()) for c in commits],
    "info": [(i.path, i.size, i.lfs.sha256, i.last_commit.oid) for i in info],
    "tree": [(type(t).__name__, t.path) for t in tree],
    "files": [(os.path.getsize(p), open(p, "rb").read(8).decode()) for p in paths],
    "sha": api.dataset_info(repo, revision=old).sha,
    "part": part,
    "refused": refused,
}))
"""


class TestDatasets:
    def test_the_real_client_is_satisfied(self, tmp_path: Path) -> None:
        big = [b"".join(b"%08d%02d" % (i, k) for i in range(10_000)) for k in range(3)]
        ids = [f"{k:x}" * 40 for k in (1, 2, 3)]
        repo = HubDataset(
            "harbor/tides",
            [
                (ids[k], DAY_ONE + timedelta(days=k), {"README.md": b"# tides", "a/big.parquet": b})
                for k, b in enumerate(big)
            ],
            per_page=2,
        )
        with HubServer(datasets=[repo], token="hf_mine") as hub:
            hub.inject(f"GET {repo.cdn_path('a/big.parquet')}", faults.CutShort())
            clean = {k: v for k, v in os.environ.items() if not k.upper().startswith("HF_")}
            out = subprocess.run(
                [sys.executable, "-c", textwrap.dedent(CLIENT), str(tmp_path / "cache")],
                env=clean
                | {
                    "HF_ENDPOINT": hub.url,
                    "HF_HOME": str(tmp_path),
                    "HF_TOKEN": "hf_mine",
                    "HF_HUB_DISABLE_XET": "1",
                    "HF_HUB_DISABLE_TELEMETRY": "1",
                },
                capture_output=True,
                text=True,
                check=False,
            )
            assert out.returncode == 0, out.stderr
            assert hub.pending() == 0
            ranges = [r.headers["range"] for r in hub.requests if "range" in r.headers]
        found = json.loads(out.stdout)
        assert [c for c, _ in found["commits"]] == ids[::-1]
        assert datetime.fromisoformat(found["commits"][-1][1]) == DAY_ONE
        (info,) = found["info"]
        assert (info[0], info[1], info[3]) == ("a/big.parquet", 100_000, ids[2])
        assert found["tree"] == [
            ["RepoFile", "README.md"],
            ["RepoFolder", "a"],
            ["RepoFile", "a/big.parquet"],
        ]
        assert found["files"] == [[100_000, "00000000"], [100_000, "00000000"], [7, "# tides"]]
        assert (found["sha"], found["part"]) == (ids[0], "0000500000")
        assert found["refused"] == [
            "RepositoryNotFoundError",
            "RevisionNotFoundError",
            "RemoteEntryNotFoundError",
        ]
        assert any(r.startswith("bytes=50000-") for r in ranges)

    def test_ranges_beyond_the_end_are_refused(self) -> None:
        repo = HubDataset("a/b", [("e" * 40, DAY_ONE, {"x.txt": b"0123456789"})])
        with HubServer(datasets=[repo]) as hub:
            url = hub.url + repo.resolve_path("x.txt")
            assert get(url, Range="bytes=-3")[2] == b"789"
            status, headers, body = get(url, Range="bytes=8-99")
            assert (status, headers["Content-Range"], body) == (206, "bytes 8-9/10", b"89")
            assert get(url, Range="bytes=10-")[0] == 416


class TestDefi:
    def test_each_endpoint(self) -> None:
        rows = synthetic_protocols(150, seed=4)
        with DefiServer(rows, days=30) as llama:

            def ask(path: str) -> Any:
                return json.loads(get(llama.url + path)[2])

            assert ask("/protocols") == rows
            slug = next(row["slug"] for row in rows if row["category"] == "Dexes" and row["tvl"])
            protocol = ask(f"/protocol/{slug}")
            assert ask(f"/tvl/{slug}") == protocol["tvl"][-1]["totalLiquidityUSD"]
            assert sum(p["date"] % 86_400 != 0 for p in protocol["tvl"]) == 1
            chain = ask("/v2/chains")[0]["name"].replace(" ", "%20")
            assert len(ask(f"/v2/historicalChainTvl/{chain}")) == 30
            assert len(ask("/v2/historicalChainTvl")) == 30
            assert get(f"{llama.url}/protocol/none")[::2] == (400, b"Protocol not found")
            text = get(f"{llama.url}/simpleChainDataset/All.csv")[2].decode()
            llama.inject("/protocols", faults.Status(403))
            assert [get(f"{llama.url}/protocols")[0] for _ in range(2)] == [403, 200]
        head, total, *lines = [line.split(",") for line in text.split("\n")]
        assert (head[0], total[0], len(head)) == ("Protocol", "Total", 31)
        assert datetime.strptime(head[1], "%d/%m/%Y") < datetime.strptime(head[-1], "%d/%m/%Y")
        kinds = {row["name"]: row["category"] for row in rows}
        assert not {kinds[line[0]] for line in lines} & {"CEX", "Chain", "Liquid Staking"}

    def test_rows_have_the_traps(self) -> None:
        rows = synthetic_protocols(2000, seed=5)
        values = [row["tvl"] for row in rows]
        assert {None, 0} <= set(values)
        assert min(v for v in values if v is not None) < 0
        assert {"CEX", "Chain", "Canonical Bridge"} <= {row["category"] for row in rows}
        keys = {key for row in rows for key in row["chainTvls"]}
        assert {"borrowed", "staking", "pool2", "Ethereum-borrowed"} <= keys
        assert 0 < sum("listedAt" not in row for row in rows) < 1000
        assert len({row["slug"] for row in rows}) == 2000
        assert all(urlsplit(row["url"]).hostname for row in rows)
