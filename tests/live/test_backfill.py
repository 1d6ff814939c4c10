"""Past days of the Hub into the lake: whole or not at all, each with its receipt."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from baimo.pipeline.errors import BusyError, LakeError, PipelineError, SourceError
from baimo.pipeline.ingest.backfill import backfill_defillama, backfill_downloads, backfill_hub
from baimo.pipeline.ingest.backfill_days import BackfillProgress, PastError
from baimo.pipeline.ingest.refresh import refresh_hub
from baimo.pipeline.lake.atomic import file_sha256
from baimo.pipeline.lake.lock import locked
from baimo.pipeline.lake.receipts import (
    Receipt,
    is_published,
    published_days,
    read_receipt,
    receipt_path,
)
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.lake.verify import verify
from baimo.pipeline.sources.http import Patience, RefusedError, UnreachableError
from tests.live.servers.faults import CutConsistent, Do, Garbage, Hang, Reset, Status
from tests.live.servers.hub import HubDataset, HubServer
from tests.live.servers.hub_bulk import (
    NEW,
    OLD,
    WEEKLY,
    daily,
    days_from,
    file_of,
    frame_of,
    growing,
    moment,
    parquet,
    revision,
)
from tests.live.servers.server import Fault

FIRST = date(2026, 9, 1)
DAYS = days_from(FIRST, 4)
LAST = DAYS[-1]
NOW = datetime(2026, 9, 10, 6, tzinfo=UTC)
NAME = "hub_models"
MODELS = growing(FIRST, 4)
FILES = {day: file_of(models, OLD if day == FIRST else NEW) for day, models in MODELS.items()}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def fill(
    lake: Lake, patience: Patience, first: date = FIRST, last: date = LAST, **options: Any
) -> list[Receipt]:
    return backfill_hub(lake, first, last, patience=patience, now=lambda: NOW, **options)


def outcomes(receipts: list[Receipt]) -> list[str]:
    return [r.outcome for r in receipts]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The sha256 of each day without any fault."""
    lake = Lake(tmp_path_factory.mktemp("undisturbed"))
    with HubServer(datasets=[daily(FILES)]) as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nowhere")
        return [r.sha256 for r in fill(lake, Patience())]


# --- what is published ---------------------------------------------------------------------------


def test_each_day_is_published_with_its_receipt(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    hub.mount(daily(FILES))
    told: list[str] = []
    seen: list[BackfillProgress] = []
    receipts = fill(lake, patience, notice=told.append, progress=seen.append)
    assert outcomes(receipts) == ["published"] * 4
    for day, receipt in zip(DAYS, receipts, strict=True):
        frame = lake.read_table(NAME, day)
        wanted = {m["_id"]: m for m in MODELS[day]}
        assert frame["hub_id"].to_list() == sorted(wanted)
        assert frame["downloads"].to_list() == [wanted[i]["downloads"] for i in frame["hub_id"]]
        assert set(frame["source"]) == {"hub-stats"}
        assert receipt == read_receipt(lake, NAME, day)
        assert receipt.sha256 == file_sha256(lake.path(NAME, day))
        assert receipt.rows == len(wanted) == receipt.details["rows_received"]
        assert receipt.details["revision"] == revision(day)
        assert receipt.details["committed_at"] == moment(day).isoformat()
        assert len(receipt.details["source_sha256"]) == 64
        assert receipt.source == "hub-stats"
    assert receipts[0].lacks["downloads_all_time"] == "the file of that day has no downloadsAllTime"
    assert set(receipts[1].lacks) == {"gated"}
    assert receipts[1].details["compared_with"] == FIRST.isoformat()
    assert told[0] == "looking for 4 days in cfahlgren1/hub-stats"
    assert told[1:] == [f"{d}: published, {len(MODELS[d])} rows" for d in DAYS]
    assert [(p.day, p.done, p.days) for p in seen] == [(d, i, 4) for i, d in enumerate(DAYS)]
    assert seen[-1].rows == seen[-1].of_rows == len(MODELS[LAST])
    assert [what for _, what in verify(lake) if what] == []
    assert not (lake.root / "crawling" / f"{NAME}_backfill").exists()


def test_a_second_call_asks_for_nothing(hub: HubServer, lake: Lake, patience: Patience) -> None:
    hub.mount(daily(FILES))
    first = fill(lake, patience)
    hub.clear()
    told: list[str] = []
    assert fill(lake, patience, notice=told.append) == first
    assert hub.requests == []
    assert told[0] == f"{FIRST}: kept, published before from hub-stats"


def test_the_same_day_gives_the_same_bytes_in_whatever_order_its_file_is(
    hub: HubServer, lake: Lake, patience: Patience, tmp_path: Path, undisturbed: list[str]
) -> None:
    order = list(MODELS[LAST])
    random.Random(1).shuffle(order)
    hub.mount(daily({LAST: file_of(order, NEW, group_rows=7)}))
    (receipt,) = fill(lake, patience, LAST, LAST)
    assert receipt.sha256 == undisturbed[-1]


def test_missing_stale_and_refused_days_are_noted_and_the_next_follows(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    days = days_from(FIRST, 7)
    made = growing(FIRST, 7)
    files = {
        days[0]: file_of(made[days[0]]),
        # days[1]: no commit
        days[2]: file_of(made[days[0]]),  # stale
        days[3]: file_of(made[days[3]][::2]),  # half is gone
        days[4]: b"no Parquet",
        days[5]: parquet(frame_of(made[days[5]], NEW).drop("likes")),
        days[6]: file_of(made[days[6]]),
    }
    hub.mount(daily(files))
    receipts = fill(lake, patience, days[0], days[6])
    assert outcomes(receipts) == [
        "published", "missing", "missing", "failed", "failed", "failed", "published",
    ]  # fmt: skip
    assert "nothing for that day" in receipts[1].why
    assert f"its file is still that of {days[0]}" in receipts[2].why
    assert "but 402 on 2026-09-01" in receipts[3].why
    assert "why" in receipts[3].checks["size_against_the_last"]
    assert "cannot be read as Parquet" in receipts[4].why
    assert "has no likes; found" in receipts[5].why
    assert receipts[6].details["compared_with"] == days[0].isoformat()
    assert published_days(lake, NAME) == [days[0], days[6]]
    assert [r for d in days if (r := read_receipt(lake, NAME, d))] == receipts
    hub.clear()
    assert outcomes(fill(lake, patience, days[0], days[6])) == outcomes(receipts)
    assert not any(revision(days[0]) in r.path for r in hub.requests if "resolve" in r.path)


def test_an_old_file_under_a_new_commit_is_refused(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    later = FIRST + timedelta(days=5)
    hub.mount(daily({later: FILES[FIRST]}))
    (receipt,) = fill(lake, patience, later, later)
    assert receipt.outcome == "failed"
    assert "the newest model is of 2026-09-01: these are not the rows of 2026-09-06" in receipt.why


def test_a_file_without_rows_is_refused(hub: HubServer, lake: Lake, patience: Patience) -> None:
    hub.mount(daily({FIRST: file_of([])}))
    (receipt,) = fill(lake, patience, FIRST, FIRST)
    assert receipt.outcome == "failed"
    assert "has 0 rows and declares 0" in receipt.why


def test_repeated_rows_are_taken_once(
    hub: HubServer, lake: Lake, patience: Patience, undisturbed: list[str]
) -> None:
    rows = MODELS[LAST]
    twice = [m | {"downloads": 1} for m in rows[:9]]
    hub.mount(daily({LAST: file_of([*rows, *twice], group_rows=50)}))
    (receipt,) = fill(lake, patience, LAST, LAST)
    assert receipt.details["repeated"] == 9
    assert receipt.sha256 == undisturbed[-1]


def test_bad_rows_go_to_quarantine_and_too_many_refuse_the_day(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    few = [m | {"downloads": -1} if i < 5 else m for i, m in enumerate(MODELS[FIRST])]
    many = [m | {"likes": None} if i < 50 else m for i, m in enumerate(MODELS[DAYS[1]])]
    hub.mount(daily({FIRST: file_of(few), DAYS[1]: file_of(many)}))
    first, second = fill(lake, patience, FIRST, DAYS[1])
    assert (first.outcome, first.rows) == ("published", len(few) - 5)
    assert first.details["quarantined"] == {"downloads is negative": 5}
    odd = lake.read_table(f"{NAME}_quarantine", FIRST)
    assert set(odd["reason"]) == {"downloads is negative"}
    assert few[0]["_id"] in odd["row"][0]
    assert second.outcome == "failed"
    assert "50 of 404 rows are not valid (most often: likes is missing)" in second.why
    assert lake.read_table(f"{NAME}_quarantine", DAYS[1]).height == 50


def test_shares_and_sums_are_held_against_a_near_day_only(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    near = growing(FIRST, 2, n=1500)
    idle = [m | {"downloads": 0} if i % 2 else m for i, m in enumerate(near[DAYS[1]])]
    old = FIRST - timedelta(days=90)
    busy = [m | {"downloads": 5} for m in growing(old, 1, n=1400)[old]]
    hub.mount(daily({old: file_of(busy), FIRST: file_of(near[FIRST]), DAYS[1]: file_of(idle)}))
    assert outcomes(fill(lake, patience, old, old)) == ["published"]
    first, second = fill(lake, patience, FIRST, DAYS[1])
    assert first.outcome == "published"
    assert first.details["compared_with"] == old.isoformat()
    assert "zeros_before" not in first.checks["zeros_share_of_downloads"]
    assert second.outcome == "failed"
    assert "of downloads are zero" in second.why


def test_a_refresh_after_a_backfill_is_compared_with_it(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    hub.mount(daily(FILES))
    fill(lake, patience)
    hub.replace(MODELS[LAST])
    today = moment(LAST + timedelta(days=1))
    receipt = refresh_hub(lake, patience=patience, now=lambda: today).receipt
    assert receipt.details["compared_with"] == LAST.isoformat()


def test_weekly_copies_are_published_under_the_day_of_their_content(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    files = {"README.md": b"#", "models/2026-08-31/models.parquet": FILES[DAYS[2]]}
    hub.mount(HubDataset(WEEKLY, [("e" * 40, moment(LAST), files)]))
    receipts = fill(lake, patience, source="weekly")
    assert outcomes(receipts) == ["missing", "missing", "published", "missing"]
    details = receipts[2].details
    assert details["label"] == "2026-08-31"
    assert "label is another day" in details["dated_by"]
    assert details["licence"] == "ODbL"
    assert set(lake.read_table(NAME, DAYS[2])["source"]) == {"weekly"}


# --- which days may be asked for -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (FIRST, NOW.date(), "2026-09-10 is not over in UTC; fill up to 2026-09-09"),
        (FIRST, date(2027, 1, 1), "today is for: baimo refresh"),
        (LAST, FIRST, "give the earlier day first"),
    ],
)
def test_only_past_days_are_filled(
    first: date, last: date, message: str, hub: HubServer, lake: Lake, patience: Patience
) -> None:
    with pytest.raises(PastError, match=message):
        fill(lake, patience, first, last)
    with pytest.raises(PastError, match=message):
        backfill_defillama(lake, first, last, now=lambda: NOW)
    with pytest.raises(PastError, match=message):
        backfill_downloads(lake, first, last, now=lambda: NOW)
    assert hub.requests == []


def test_an_unknown_source(lake: Lake, patience: Patience) -> None:
    with pytest.raises(SourceError, match="is called kaggle; take hub-stats or weekly"):
        fill(lake, patience, source="kaggle")


def test_never_beside_a_refresh(hub: HubServer, lake: Lake, patience: Patience) -> None:
    hub.mount(daily(FILES))
    held = locked(lake.root / "crawling" / NAME)
    with held, pytest.raises(BusyError, match="another process is filling hub_models"):
        fill(lake, patience)
    assert outcomes(fill(lake, patience)) == ["published"] * 4


# --- faults --------------------------------------------------------------------------------------


STOPPING: dict[str, tuple[Fault, type[PipelineError]]] = {
    "500 for ever": (Status(500), UnreachableError),
    "cut short, consistent length": (CutConsistent(), UnreachableError),
    "a hang": (Hang(), UnreachableError),
    "a reset": (Reset(part=0.5), UnreachableError),
    "not HTTP": (Garbage(), UnreachableError),
    "403": (Status(403), RefusedError),
}


@pytest.mark.parametrize("fault", STOPPING)
def test_a_network_that_is_down_stops_and_what_was_done_stays(
    fault: str, hub: HubServer, lake: Lake, patience: Patience, undisturbed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("baimo.pipeline.sources.http.READ_SECONDS", 0.2)
    repo = daily(FILES)
    hub.mount(repo)
    damage, error = STOPPING[fault]
    hub.inject(repo.cdn_path("models.parquet", revision(DAYS[2])), damage, None)
    with pytest.raises(error):
        fill(lake, patience)
    assert published_days(lake, NAME) == DAYS[:2]
    assert lake.days(NAME) == DAYS[:2]
    failed = read_receipt(lake, NAME, DAYS[2])
    assert failed is not None
    assert failed.outcome == "failed"
    assert read_receipt(lake, NAME, LAST) is None
    hub.calm()
    hub.clear()
    assert [r.sha256 for r in fill(lake, patience)] == undisturbed
    read = {r.path for r in hub.requests if "/resolve/" in r.path}
    assert read == {repo.resolve_path("models.parquet", revision(d)) for d in DAYS[2:]}


def test_a_file_that_is_gone_fails_its_day_alone(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    repo = daily(FILES)
    hub.mount(repo)
    hub.inject(repo.resolve_path("models.parquet", revision(DAYS[1])), Status(404), None)
    hub.inject(f"{repo.api}/tree/{revision(DAYS[2])}", Status(404), None)
    receipts = fill(lake, patience)
    assert outcomes(receipts) == ["published", "failed", "missing", "published"]
    assert "HTTP 404" in receipts[1].why
    assert "HTTP 404" in receipts[2].why


def test_a_dataset_that_is_not_there_stops(hub: HubServer, lake: Lake, patience: Patience) -> None:
    with pytest.raises(RefusedError, match=r"HTTP 404 .*Repository not found"):
        fill(lake, patience)
    assert lake.days(NAME) == []


def test_a_file_of_unknown_origin_is_left_alone_and_said(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    lake.path(NAME, DAYS[1]).parent.mkdir(parents=True)
    lake.path(NAME, DAYS[1]).write_bytes(b"mine")
    hub.mount(daily(FILES))
    receipts = fill(lake, patience)
    assert outcomes(receipts) == ["published", "failed", "published", "published"]
    assert "is published already and differs; remove it" in receipts[1].why
    assert lake.path(NAME, DAYS[1]).read_bytes() == b"mine"


def test_a_lake_that_cannot_be_written_stops(
    hub: HubServer, lake: Lake, patience: Patience
) -> None:
    hub.mount(daily(FILES))
    lake.root.mkdir()
    (lake.root / NAME).write_text("a file where a folder is due")
    with pytest.raises(LakeError, match="cannot write"):
        fill(lake, patience)


def start(lake: Path, hub: HubServer) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.live.servers.backfill_process",
            str(lake),
            str(FIRST),
            str(LAST),
        ],
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first == "ready\n", first + process.stdout.read()
    return process


def assert_finishes(process: subprocess.Popen[str], lake: Lake, undisturbed: list[str]) -> None:
    """Let a process end and see that all is as if nothing had been."""
    assert process.stdout is not None
    assert process.stdout.read().split() == [f"published:{sha256}" for sha256 in undisturbed]
    assert process.wait(timeout=60) == 0
    assert_nothing_is_left(lake)


def assert_nothing_is_left(lake: Lake) -> None:
    assert all(is_published(lake, NAME, day) for day in DAYS)
    assert [fault for _, fault in verify(lake) if fault] == []
    assert [p for p in (lake.root / "crawling").glob("*") if p.name[0] != "."] == []
    assert list(lake.root.rglob("*.tmp")) == []


def test_a_kill_in_the_middle_of_a_file(
    hub: HubServer, lake: Lake, patience: Patience, undisturbed: list[str]
) -> None:
    repo = daily(FILES)
    hub.mount(repo)
    process = start(lake.root, hub)
    where = repo.cdn_path("models.parquet", revision(DAYS[2]))
    hub.inject(where, Do(process.kill, half_way=True))
    assert process.wait(timeout=60) != 0
    assert published_days(lake, NAME) == DAYS[:2]
    assert [r.sha256 for r in fill(lake, patience)] == undisturbed
    assert_nothing_is_left(lake)


@pytest.mark.full
def test_fifty_kills(hub: HubServer, tmp_path: Path, undisturbed: list[str]) -> None:
    hub.mount(daily(FILES))
    process = start(tmp_path / "whole", hub)
    began = time.monotonic()
    assert_finishes(process, Lake(tmp_path / "whole"), undisturbed)
    duration = time.monotonic() - began
    rng = random.Random(20260901)
    for i in range(50):
        root = tmp_path / f"killed-{i}"
        process = start(root, hub)
        time.sleep(rng.uniform(0.0, duration))
        process.kill()
        process.wait()
        assert_finishes(start(root, hub), Lake(root), undisturbed)


def test_a_kill_between_file_and_receipt(
    hub: HubServer, lake: Lake, patience: Patience, undisturbed: list[str]
) -> None:
    hub.mount(daily(FILES))
    fill(lake, patience)
    receipt_path(lake, NAME, DAYS[1]).unlink()
    assert published_days(lake, NAME) == [DAYS[0], *DAYS[2:]]
    assert [r.sha256 for r in fill(lake, patience)] == undisturbed
