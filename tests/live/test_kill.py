"""kill -9 at random moments of a crawl, a write, a commit: the end is as if nothing had been."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from baimo.pipeline.lake.receipts import is_published
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.lake.verify import verify
from tests.live.servers.defi import DefiServer, synthetic_protocols
from tests.live.servers.hub import HubServer
from tests.live.servers.hub_models import synthetic_models
from tests.live.servers.server import Loopback

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 9, 1)
TABLE = {"hub": "hub_models", "defillama": "defillama_protocols"}


@pytest.fixture(params=["hub", "defillama"])
def source(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def server(source: str) -> Iterator[Loopback]:
    made: Loopback
    if source == "hub":
        made = HubServer(synthetic_models(430, seed=5), page_cap=20)
    else:
        made = DefiServer(synthetic_protocols(2000, seed=3))
    with made:
        yield made


def start(lake: Path, source: str, server: Loopback) -> subprocess.Popen[str]:
    environment = os.environ | {
        "HF_ENDPOINT": server.url,
        "BAIMO_DEFILLAMA_URL": server.url,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.live.servers.crawl_process", str(lake), source],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first == "ready\n", first + process.stdout.read()
    return process


def finish(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    out = process.stdout.read()
    assert process.wait(timeout=60) == 0, out
    return out.split()


def assert_kills_leave_no_trace(tmp_path: Path, source: str, server: Loopback, times: int) -> None:
    began = time.monotonic()
    process = start(tmp_path / "undisturbed", source, server)
    ready = time.monotonic()
    _, truth = finish(process)
    duration = time.monotonic() - ready
    rng = random.Random(20260901)
    states = {"published": 0, "going on": 0, "nothing yet": 0}
    for i in range(times):
        root = tmp_path / f"killed-{i}"
        lake = Lake(root)
        process = start(root, source, server)
        time.sleep(rng.uniform(0.0, 1.05 * duration))
        process.kill()
        process.wait()
        name = TABLE[source]
        path = lake.path(name, DAY)
        if is_published(lake, name, DAY):
            states["published"] += 1
        elif list((root / "crawling").glob("*/page-*")):
            states["going on"] += 1
        else:
            states["nothing yet"] += 1
        outcome, sha256 = finish(start(root, source, server))
        assert outcome in ("published", "already")
        assert sha256 == truth
        assert path.exists()
        assert [fault for _, fault in verify(lake) if fault] == []
        assert list(root.rglob("*.tmp")) == []
        assert list((root / "crawling").glob("*/page-*")) == []
    print(f"{source}: {times} kills within {duration:.2f} s, found {states}")
    print(f"{time.monotonic() - began:.0f} s")


def test_ten_kills(tmp_path: Path, source: str, server: Loopback) -> None:
    assert_kills_leave_no_trace(tmp_path, source, server, 5)


@pytest.mark.full
def test_a_hundred_kills(tmp_path: Path, source: str, server: Loopback) -> None:
    assert_kills_leave_no_trace(tmp_path, source, server, 50)
