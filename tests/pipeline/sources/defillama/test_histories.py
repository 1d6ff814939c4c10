"""Histories of DeFiLlama's protocols, fetched from a real server on loopback."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
import pytest

from baimo.pipeline.errors import BusyError, IncompleteError, LakeError
from baimo.pipeline.lake.lock import locked
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.sources.defillama import (
    api as defillama,
    histories as defillama_history,
    store as history_store,
)
from baimo.pipeline.sources.defillama.api import DefiLlama
from baimo.pipeline.sources.defillama.histories import (
    DEFILLAMA_HISTORIES,
    LACKS,
    HistoriesProgress,
    HistoriesReport,
    StoppedError,
    fetch_histories,
    protocols_of_day,
    scan_histories,
)
from baimo.pipeline.sources.defillama.points import OddError, read_grid
from baimo.pipeline.sources.http import Patience, silent
from tests.pipeline.sources.defillama.responses import (
    DAY_OF_LISTING,
    FIRST,
    TODAY,
    YESTERDAY,
    grid,
    history,
    point,
    seconds,
)
from tests.structure import ROOT

Fault = Callable[["Handler", bytes], None]


# --- the server and its faults ---------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    server: "Server"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

    def do_GET(self) -> None:
        path = unquote(self.path).split("?")[0]
        with self.server.lock:
            self.server.asked.append(path)
            faults = self.server.faults.get(path, [])
            fault = faults.pop(0) if len(faults) > 1 else (faults or [None])[0]
        slug = path.removeprefix("/protocol/")
        if path in self.server.files:
            body = self.server.files[path]
        elif slug in self.server.histories:
            tvl = self.server.histories[slug]
            body = json.dumps({"id": self.server.ids.get(slug, slug), "tvl": tvl}).encode()
        else:
            return self.answer(400, b"Protocol not found")
        return fault(self, body) if fault else self.answer(200, body)

    def answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.asked: list[str] = []
        self.histories: dict[str, list[Any]] = {}
        self.ids: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault | None]] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"

    def fail(self, slug: str, *faults: Fault | None) -> None:
        """Answer with these one after another; the last for ever."""
        self.faults[f"/protocol/{slug}"] = list(faults)

    def handle_error(self, *_: object) -> None:
        pass


def status(number: int, body: bytes = b"no") -> Fault:
    return lambda handler, _: handler.answer(number, body)


def not_json(handler: Handler, _: bytes) -> None:
    handler.answer(200, b"<html>busy</html>")


def cut(handler: Handler, body: bytes) -> None:
    handler.answer(200, body[: len(body) // 2], len(body))
    handler.close_connection = True


def cut_with_right_length(handler: Handler, body: bytes) -> None:
    handler.answer(200, body[: len(body) // 2])


def hang(handler: Handler, _: bytes) -> None:
    time.sleep(0.6)
    handler.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        server.histories = {f"p{n}": history(n + 1.0) for n in range(12)}
        monkeypatch.setenv("BAIMO_DEFILLAMA_URL", server.url)
        monkeypatch.setattr(defillama, "PACE_SECONDS", 0.0)
        yield server
        server.shutdown()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def listing(slugs: Any, usd: float = 1.0, day: date = DAY_OF_LISTING) -> pl.DataFrame:
    rows = [
        {
            "observed_on": day, "protocol_id": s, "slug": s, "name": s.upper(), "tvl_usd": usd,
            "tvl_is_null": False, "category": "Dexes", "chains": "Ethereum", "change_1d": 1.0,
            "mcap_usd": 5.0, "source": "defillama",
        }
        for s in slugs
    ]  # fmt: skip
    schema = TABLES["defillama_protocols"].schema
    return pl.DataFrame(rows, schema=schema)


def fetch(lake: Lake, server: Server, **options: Any) -> HistoriesReport:
    slugs = options.pop("slugs", sorted(server.histories))
    frame = options.pop("protocols", listing(slugs))
    moment = options.pop("moment", TODAY)
    until = options.pop("until", YESTERDAY)
    patience = Patience(attempts=3, first_wait=0.01, longest_wait=0.02, whole=0.3)
    api = DefiLlama(patience, options.pop("notice", silent))
    return fetch_histories(lake, api, frame, until=until, now=lambda: moment, **options)


def stored(lake: Lake, protocol_id: str) -> dict[date, float]:
    rows = scan_histories(lake).filter(pl.col("protocol_id") == protocol_id).collect()
    return dict(rows.select("day", "tvl_usd").iter_rows())


def contents(lake: Lake) -> dict[str, bytes]:
    folder = lake.root / "defillama_histories"
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


# --- the plain course ------------------------------------------------------------------------


def test_every_history_is_stored_sorted_and_valid(tmp_path: Path, server: Server) -> None:
    lake = Lake(tmp_path / "lake [1]")  # brackets must not be read as a pattern
    seen: list[HistoriesProgress] = []
    report = fetch(lake, server, progress=seen.append)
    assert (report.fetched, report.requests, report.up_to_date) == (12, 12, 0)
    assert report.points_new == 12 * 68
    assert report.failed == {}
    assert [p.done for p in seen] == list(range(1, 13))
    assert seen[-1].points == 12 * 68
    assert {p.slug for p in seen} == set(server.histories)
    frame = scan_histories(lake).collect()
    assert validate(frame, DEFILLAMA_HISTORIES).quarantine.is_empty()
    for part in frame.partition_by("protocol_id"):
        assert part["day"].is_sorted()
    assert stored(lake, "p3")[FIRST] == 400.0
    assert not list((lake.root / "defillama_histories" / "fresh").iterdir())


def test_a_second_run_asks_nothing_and_changes_nothing(lake: Lake, server: Server) -> None:
    fetch(lake, server)
    before = contents(lake)
    report = fetch(lake, server)
    assert (report.requests, report.up_to_date) == (0, 12)
    assert contents(lake) == before
    # Today is not over, so wanting it changes nothing either.
    assert fetch(lake, server, until=TODAY.date()).requests == 0


def test_a_day_later_only_new_points_come(lake: Lake, server: Server) -> None:
    fetch(lake, server)
    server.histories = {s: history(int(s[1:]) + 1.0, TODAY.date()) for s in server.histories}
    tomorrow = TODAY + timedelta(days=1)
    assert fetch(lake, server, moment=tomorrow).requests == 0  # nothing new is wanted
    report = fetch(lake, server, moment=tomorrow, until=TODAY.date())
    assert (report.fetched, report.points_new, report.points_revised) == (12, 12, 0)
    # What was fetched in two goes equals what is fetched in one.
    other = Lake(lake.root.parent / "other")
    fetch(other, server, moment=tomorrow, until=TODAY.date())
    assert contents(other) == contents(lake)


def test_a_history_without_news_is_asked_for_once_a_day(lake: Lake, server: Server) -> None:
    server.histories = {"slow": history(until=YESTERDAY - timedelta(days=3))}
    assert fetch(lake, server).requests == 1
    assert fetch(lake, server).requests == 0
    later = TODAY + timedelta(days=1)
    assert fetch(lake, server, moment=later, until=later.date()).requests == 1
    assert fetch(lake, server, moment=later, until=later.date()).requests == 0


@pytest.mark.parametrize("kind", ["worthless", "ended", "empty"])
def test_the_dead_are_asked_every_thirty_days(lake: Lake, server: Server, kind: str) -> None:
    long = [point(YESTERDAY - timedelta(days=n), 0.0) for n in range(1, 100)]
    ended = [point(date(2025, 11, 1), 7.0)]
    server.histories = {"x": {"worthless": long, "ended": ended, "empty": []}[kind]}
    frame = listing(["x"], usd=7.0 if kind == "ended" else 0.0)
    asked = []
    for days in (0, 1, 29, 30, 31):
        moment = TODAY + timedelta(days=days)
        report = fetch(lake, server, protocols=frame, moment=moment, until=moment.date())
        asked.append(report.requests)
    assert asked == [1, 0, 0, 1, 0]


def test_a_dead_one_that_is_listed_with_value_again_is_asked(lake: Lake, server: Server) -> None:
    server.histories = {"x": [point(YESTERDAY - timedelta(days=n), 0.0) for n in range(100)]}
    fetch(lake, server, protocols=listing(["x"], usd=0.0))
    later = TODAY + timedelta(days=1)
    report = fetch(lake, server, protocols=listing(["x"]), moment=later, until=later.date())
    assert report.requests == 1


def test_a_young_one_that_is_still_zero_is_not_dead(lake: Lake, server: Server) -> None:
    server.histories = {"x": [point(YESTERDAY, 0.0)]}
    fetch(lake, server, protocols=listing(["x"], usd=0.0))
    later = TODAY + timedelta(days=1)
    frame = listing(["x"], usd=0.0)
    assert fetch(lake, server, protocols=frame, moment=later, until=later.date()).requests == 1


def test_rows_without_a_slug_and_repeated_rows_are_not_asked(lake: Lake, server: Server) -> None:
    frame = listing(["p0", "p0", "p1"])
    frame = frame.with_columns(
        slug=pl.when(pl.col("protocol_id") == "p1").then(None).otherwise("slug")
    )
    report = fetch(lake, server, protocols=frame)
    assert (report.requests, report.without_slug) == (1, 1)


# --- points ----------------------------------------------------------------------------------


def test_odd_points_are_in_quarantine_with_their_reason(lake: Lake, server: Server) -> None:
    odd = [
        (point(FIRST, None), "missing"), (point(FIRST, -1.0), "negative"),
        (point(FIRST, 1e16), "quadrillion"), (point(FIRST, 10**400), "quadrillion"),
        (point(FIRST, "12"), "not a number"), (point(FIRST, True), "not a number"),
        (point(FIRST, float("nan")), "not finite"), (point(FIRST, float("inf")), "not finite"),
        ({"date": "2026-01-01", "totalLiquidityUSD": 1}, "not a number of seconds"),
        ({"date": seconds(FIRST) * 1000, "totalLiquidityUSD": 1}, "not a date"),
        ({"date": float("nan"), "totalLiquidityUSD": 1}, "not a date"),
        ({"date": 0, "totalLiquidityUSD": 1}, "before"),
        (point(date(2027, 1, 1), 1.0), "future"), (["x"], "no object"), (None, "no object"),
        ({"totalLiquidityUSD": 1}, "not a number of seconds"),
    ]  # fmt: skip
    server.histories = {"x": [*history(), *(p for p, _ in odd)], "good": history()}
    report = fetch(lake, server)
    assert (report.fetched, report.points_odd) == (2, len(odd))
    assert stored(lake, "x") == stored(lake, "good")
    bad = pl.read_parquet(lake.root / "defillama_histories" / "quarantine.parquet", glob=False)
    assert bad["protocol_id"].unique().to_list() == ["x"]
    for (_, reason), found in zip(odd, bad["reason"].to_list(), strict=True):
        assert reason in found
    # A later, clean answer empties it.
    server.histories["x"] = history()
    fetch(lake, server, refetch=True)
    assert not pl.read_parquet(
        lake.root / "defillama_histories" / "quarantine.parquet", glob=False
    ).height


def test_an_answer_of_nothing_but_odd_points_fails(lake: Lake, server: Server) -> None:
    server.histories["p0"] = [{"date": seconds(FIRST), "tvl": 1}] * 30
    report = fetch(lake, server)
    assert "none of 30 points" in report.failed["p0"]
    assert report.fetched == 11


def test_revised_and_withdrawn_points_are_counted(lake: Lake, server: Server) -> None:
    fetch(lake, server)
    tvl = history()
    server.histories["p0"] = [point(FIRST, 55.0), *tvl[1:10], *tvl[12:]]
    report = fetch(lake, server, refetch=True)
    assert report.fetched == 12
    assert (report.points_revised, report.points_withdrawn, report.points_new) == (1, 2, 0)
    assert stored(lake, "p0")[FIRST] == 55.0
    assert len(stored(lake, "p0")) == 68


def test_gaps_stay_gaps(lake: Lake, server: Server) -> None:
    server.histories = {"x": [p for n, p in enumerate(history()) if n % 5]}
    fetch(lake, server)
    assert len(stored(lake, "x")) == len(server.histories["x"])


# --- faults ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [status(500), status(403), status(429), not_json, cut, cut_with_right_length, hang,
     status(200, b'{"tvl": {}}'), status(200, b"[]"), status(200, b"")],
    ids=["500", "403", "429", "html", "cut", "cut-length", "hang", "dict", "list", "empty"],
)  # fmt: skip
def test_a_passing_fault_leaves_no_trace(lake: Lake, server: Server, fault: Fault) -> None:
    server.fail("p4", fault, None)
    report = fetch(lake, server, slugs=["p3", "p4"])
    assert (report.failed, report.fetched, report.requests) == ({}, 2, 3)
    assert len(stored(lake, "p4")) == 68


@pytest.mark.parametrize(
    ("fault", "said"),
    [(status(500), "HTTP 500"), (status(402), "paid"), (not_json, "not JSON"), (cut, "cut short"),
     (status(400, b"bad"), "HTTP 400"), (hang, "no whole answer")],
    ids=["500", "402", "html", "cut", "400", "hang"],
)  # fmt: skip
def test_a_lasting_fault_of_one_protocol_is_noted(
    lake: Lake, server: Server, fault: Fault, said: str
) -> None:
    server.fail("p4", fault)
    lines: list[str] = []
    report = fetch(lake, server, notice=lines.append)
    assert report.fetched == 11
    assert said in report.failed["p4"]
    assert any(line.startswith("p4: ") for line in lines)
    server.faults.clear()
    again = fetch(lake, server)
    assert (again.requests, again.fetched, again.failed) == (1, 1, {})


def test_unknown_slugs_are_noted_and_left_alone_for_a_month(lake: Lake, server: Server) -> None:
    server.files["/protocol/gone"] = b""
    server.fail("gone", status(404))
    slugs = ["p0", "p1", "gone", "never"]
    report = fetch(lake, server, slugs=slugs)
    assert (report.unknown, report.fetched, report.failed) == (("gone", "never"), 2, {})
    assert fetch(lake, server, slugs=slugs).requests == 0
    server.histories["new name"] = history()
    server.ids["new name"] = "never"
    renamed = listing(slugs).with_columns(slug=pl.col("slug").replace({"never": "new name"}))
    assert fetch(lake, server, protocols=renamed).fetched == 1
    month = TODAY + timedelta(days=30)
    assert fetch(lake, server, slugs=["gone"], moment=month).unknown == ("gone",)


def test_a_known_history_survives_that_its_slug_is_unknown(lake: Lake, server: Server) -> None:
    fetch(lake, server)
    before = stored(lake, "p1")
    tvl = server.histories.pop("p1")
    report = fetch(lake, server, slugs=["p0", "p1"], refetch=True)
    assert report.unknown == ("p1",)
    assert stored(lake, "p1") == before
    server.histories["p1"] = tvl


def test_an_answer_of_another_protocol_is_refused(lake: Lake, server: Server) -> None:
    server.ids = {"p1": 77, "p2": "p2"}
    report = fetch(lake, server)
    assert "another protocol (77)" in report.failed["p1"]
    assert report.fetched == 11


@pytest.mark.parametrize("kind", ["failing", "unknown", "nobody there"])
def test_twenty_in_a_row_stop_the_run(lake: Lake, server: Server, kind: str) -> None:
    fetch(lake, server, slugs=["p0"])
    slugs = [f"q{n}" for n in range(30)]
    if kind == "failing":
        server.histories |= {s: history() for s in slugs}
        for slug in slugs:
            server.fail(slug, status(402))
    if kind == "nobody there":
        server.shutdown()
        server.server_close()
    with pytest.raises(StoppedError, match=r"20 protocols in a row .* run the same again"):
        fetch(lake, server, slugs=["p0", *slugs])
    assert len(stored(lake, "p0")) == 68
    if kind == "unknown":  # perhaps the address is wrong: nothing was noted as unknown
        server.histories |= {s: history() for s in slugs}
        assert fetch(lake, server, slugs=slugs).fetched == 30


def test_three_that_fail_for_ten_minutes_stop_the_run(
    lake: Lake, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slug in server.histories:
        server.fail(slug, status(402))
    monkeypatch.setattr(defillama_history, "LONGEST_FAILURE", 0.0)
    with pytest.raises(StoppedError, match="3 protocols in a row"):
        fetch(lake, server)


def test_what_came_before_the_stop_is_kept(lake: Lake, server: Server) -> None:
    slugs = sorted((f"q{n}" for n in range(40)), key=history_store.digest)
    server.histories = {s: history() for s in slugs}
    for slug in slugs[10:]:
        server.fail(slug, status(402))
    with pytest.raises(StoppedError):
        fetch(lake, server)
    assert scan_histories(lake).select(pl.col("protocol_id").n_unique()).collect().item() == 10
    server.faults.clear()
    assert fetch(lake, server).requests == 30


def test_two_at_once(lake: Lake, server: Server) -> None:
    with (
        locked(lake.root / "defillama_histories"),
        pytest.raises(BusyError, match="another process is filling defillama_histories"),
    ):
        fetch(lake, server)
    assert server.asked == []


def test_a_damaged_large_file_is_named_and_a_missing_one_fetched_again(
    lake: Lake, server: Server
) -> None:
    fetch(lake, server)
    whole = contents(lake)
    shard = next((lake.root / "defillama_histories").glob("histories-?.parquet"))
    shard.write_bytes(b"PAR1 nonsense")
    with pytest.raises(LakeError, match=f"{shard.name}.*remove it"):
        fetch(lake, server, refetch=True)
    shard.unlink()
    for fresh in (lake.root / "defillama_histories" / "fresh").iterdir():
        fresh.unlink()
    assert 0 < fetch(lake, server).requests < 12
    assert contents(lake) == whole


# --- kills -----------------------------------------------------------------------------------

RUN = """
import os, sys
from datetime import UTC, date, datetime
from pathlib import Path
import polars as pl
import requests
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.sources.defillama import api as defillama
from baimo.pipeline.sources.defillama.histories import fetch_histories

defillama.PACE_SECONDS = 0.0
for _ in sys.stdin:  # a new process for each line: imports take longer than the run
    child = os.fork()
    if child:
        print(child, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)
    else:
        fetch_histories(
            Lake(Path(sys.argv[1])),
            defillama.DefiLlama(),
            pl.DataFrame({"protocol_id": sys.argv[2:], "slug": sys.argv[2:]}),
            until=date(2026, 3, 9),
            now=lambda: datetime(2026, 3, 10, 12, 30, tzinfo=UTC),
        )
        os._exit(0)
"""


def test_killed_at_any_moment_it_goes_on(lake: Lake, server: Server, tmp_path: Path) -> None:
    slugs = [f"p{n}" for n in range(80)]
    server.histories = {s: [*history(n + 1.0), [n]] for n, s in enumerate(slugs)}
    undisturbed = Lake(tmp_path / "undisturbed")
    fetch(undisturbed, server, protocols=listing(slugs).select("protocol_id", "slug"))
    server.asked.clear()
    dice = random.Random(5)
    root = ROOT
    command = [sys.executable, "-c", RUN, str(lake.root), *slugs]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for _ in range(5):
            wanted = len(server.asked) + dice.randrange(1, 8)
            print(file=nursery.stdin, flush=True)
            child = int(nursery.stdout.readline())
            deadline = time.monotonic() + 10
            while len(server.asked) < wanted and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(dice.uniform(0.0, 0.02))
            os.kill(child, signal.SIGKILL)
            assert nursery.stdout.readline() == "gone\n"
        nursery.stdin.close()
    assert 5 <= len(server.asked) < 80
    fetch(lake, server, slugs=slugs)
    assert contents(lake) == contents(undisturbed)
    twice = [path for path, n in Counter(server.asked).items() if n > 1]
    assert len(twice) <= 5  # each kill costs at most the answer under way
    assert fetch(lake, server, slugs=slugs).requests == 0


class Killed(BaseException):
    pass


def test_a_compaction_killed_anywhere_is_done_again(
    lake: Lake, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.histories = {s: server.histories[s] for s in ("p0", "p1", "p5")}
    server.histories["p5"].append("odd")
    undisturbed = Lake(tmp_path / "undisturbed")
    fetch(undisturbed, server)
    expected = contents(undisturbed)
    write = history_store.write_parquet
    n_files = len(expected)
    for n_allowed in range(n_files):
        broken = Lake(tmp_path / f"broken-{n_allowed}")
        left = [n_allowed]

        def write_some(path: Path, frame: pl.DataFrame, left: list[int] = left) -> None:
            if not left[0]:
                raise Killed
            left[0] -= 1
            write(path, frame)

        monkeypatch.setattr(history_store, "write_parquet", write_some)
        with pytest.raises(Killed):
            fetch(broken, server)
        monkeypatch.setattr(history_store, "write_parquet", write)
        # Some fresh files may be gone already, too.
        report = fetch(broken, server)
        assert (report.requests, report.up_to_date) == (0, 3)
        assert contents(broken) == expected


def test_asking_for_all_again_goes_on_after_a_kill(
    lake: Lake, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(lake, server)

    def killed(progress: HistoriesProgress) -> None:
        if progress.done == 5:
            raise Killed

    with pytest.raises(Killed):
        fetch(lake, server, refetch=True, progress=killed)
    report = fetch(lake, server, refetch=True)
    assert (report.fetched, report.up_to_date) == (7, 5)
    assert fetch(lake, server, refetch=True).fetched == 12


def test_a_damaged_fresh_file_is_fetched_again(lake: Lake, server: Server) -> None:
    def killed(progress: HistoriesProgress) -> None:
        raise Killed

    with pytest.raises(Killed):
        fetch(lake, server, progress=killed)
    fresh = lake.root / "defillama_histories" / "fresh"
    next(fresh.iterdir()).write_bytes(b"PAR1")
    (fresh / ".half.tmp").write_bytes(b"")
    assert fetch(lake, server).requests == 12
    assert not list(fresh.iterdir())


# --- the file of all protocols ---------------------------------------------------------------

BULK = "/simpleChainDataset/All.csv"


def test_bulk_serves_whom_it_names_and_the_rest_is_asked(lake: Lake, server: Server) -> None:
    server.files[BULK] = grid(
        {
            "P0": ["", *range(1, 10)],
            "P1": [1, 2, 3, 4, 4, 4, 4, 4, 4, 4],  # ended: repeated to the end
            "P2, the second": range(10),
            "P3": [1, 2, "three", 4, 5, 6, 7, 8, 9, 10],
            "P4": [1, -2, "nan", 4, 5, 6, 7, 8, 9, 10],
            "Nobody": range(10),
        }
    )
    frame = listing(server.histories).with_columns(
        name=pl.col("name").replace({"P6": "P5", "P2": "P2, the second"})
    )
    report = fetch(lake, server, protocols=frame, bulk=True)
    assert (report.from_bulk, report.fetched, report.requests) == (3, 9, 10)
    assert report.points_odd == 2
    first = date(2026, 3, 1)
    assert stored(lake, "p0") == {first + timedelta(days=n): float(n) for n in range(1, 9)}
    assert stored(lake, "p1") == {first + timedelta(days=n): n + 1.0 for n in range(4)}
    assert len(stored(lake, "p3")) == 68
    assert any("leaves out zeros" in note for note in report.notes)
    assert fetch(lake, server, protocols=frame, bulk=True).requests == 0
    # One by one, the protocol's own points take over, and no bulk point replaces them.
    own = fetch(lake, server, protocols=frame)
    assert (own.fetched, own.points_revised) == (3, 0)
    assert len(stored(lake, "p0")) == 68
    before = contents(lake)
    fetch(lake, server, protocols=frame, bulk=True, refetch=True)
    after = scan_histories(lake).collect()
    assert not after["from_bulk"].any()
    assert stored(lake, "p0")[first] == server.histories["p0"][59]["totalLiquidityUSD"]
    changed = [name for name, content in contents(lake).items() if before[name] != content]
    assert changed == ["quarantine.parquet"]  # what was odd in the last answer for p4


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"Protocol,2026-01-01,2026-01-02\nP0,1,2", b"Protocol,02/01/2026,01/01/2026",
     b"Name,01/01/2026,02/01/2026\nP0,1,2", b"\xff\xfe", b"Protocol,01/13/2026,01/14/2026\nP0,1,2"],
)  # fmt: skip
def test_bulk_of_an_odd_shape_falls_back(lake: Lake, server: Server, body: bytes) -> None:
    with pytest.raises(OddError):
        read_grid(body)
    server.files[BULK] = body
    report = fetch(lake, server, bulk=True, slugs=["p0", "p1"])
    assert (report.fetched, report.from_bulk) == (2, 0)
    assert "asking for each protocol" in report.notes[0]


@pytest.mark.parametrize("fault", [None, status(402), status(500), cut])
def test_bulk_that_is_not_there_falls_back(lake: Lake, server: Server, fault: Fault | None) -> None:
    if fault:
        server.files[BULK] = grid({"P0": range(10)})
        server.faults[BULK] = [fault]
    report = fetch(lake, server, bulk=True, slugs=["p0", "p1"])
    assert (report.fetched, report.from_bulk) == (2, 0)


# --- past days -------------------------------------------------------------------------------


def test_the_protocols_of_a_past_day(lake: Lake, server: Server) -> None:
    day = date(2026, 2, 1)
    server.histories["young"] = [point(YESTERDAY, 5.0)]
    server.histories["zero"] = [point(day, 0.0)]
    frame = listing([*server.histories, "unlisted slug"])
    lake.write_table("defillama_protocols", TODAY.date(), frame)
    fetch(lake, server, protocols=frame)
    found = protocols_of_day(lake, day)
    assert validate(found, TABLES["defillama_protocols"]).quarantine.is_empty()
    assert found.columns == list(TABLES["defillama_protocols"].names)
    assert found["protocol_id"].to_list() == sorted([f"p{n}" for n in range(12)] + ["zero"])
    row = found.row(by_predicate=pl.col("protocol_id") == "p2", named=True)
    assert row["tvl_usd"] == 3.0 * (100 + 31)
    assert (row["observed_on"], row["name"], row["category"]) == (day, "P2", "Dexes")
    assert {row["source"] for row in found.to_dicts()} == {"defillama_history"}
    for column in LACKS:
        assert found[column].null_count() == found.height
    # A listing that was made from histories is no listing.
    lake.write_table("defillama_protocols", TODAY.date() + timedelta(days=1), found)
    assert protocols_of_day(lake, day).height == found.height
    with pytest.raises(IncompleteError, match="no stored history has a point on 2025-12-01"):
        protocols_of_day(lake, date(2025, 12, 1))


def test_a_past_day_waits_until_nearly_all_were_asked(lake: Lake, server: Server) -> None:
    frame = listing(server.histories)
    with pytest.raises(LakeError, match="no listing"):
        protocols_of_day(lake, YESTERDAY)
    with pytest.raises(LakeError, match="fetch them first"):
        protocols_of_day(lake, YESTERDAY, frame)
    fetch(lake, server, slugs=["p0", "p1"])
    with pytest.raises(IncompleteError, match=r"of 12 listed protocols only 2"):
        protocols_of_day(lake, YESTERDAY, frame)
    fetch(lake, server)
    assert protocols_of_day(lake, YESTERDAY, frame).height == 12
    with pytest.raises(IncompleteError, match="only 0 were asked"):
        protocols_of_day(lake, TODAY.date(), frame)
