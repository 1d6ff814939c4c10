"""`baimo refresh` and `baimo lake` as scripts see them: output, exit codes, files."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from tests.live.servers.defi import DefiServer, synthetic_protocols
from tests.live.servers.faults import Hang, Status
from tests.live.servers.hub import HubServer
from tests.live.servers.hub_models import synthetic_models

ROOT = Path(__file__).resolve().parents[2]
Baimo = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[HubServer, DefiServer]]:
    models = synthetic_models(250, seed=1)
    with HubServer(models, page_cap=100) as hub, DefiServer(synthetic_protocols(80)) as llama:
        yield hub, llama


@pytest.fixture
def baimo(servers: tuple[HubServer, DefiServer], tmp_path: Path) -> Baimo:
    hub, llama = servers
    hub.calm()
    llama.calm()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "BAIMO_"))}
    environment = kept | {
        "HF_ENDPOINT": hub.url,
        "BAIMO_DEFILLAMA_URL": llama.url,
        "BAIMO_LAKE": str(tmp_path / "lake"),
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_HOME": str(tmp_path / "hf"),
    }

    def run(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "baimo.pipeline.cli", *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
            **more,  # type: ignore[call-overload]
        )  # fmt: skip

    return run


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def test_both_sources_are_published_where_scripts_expect_them(baimo: Baimo, tmp_path: Path) -> None:
    done = baimo("refresh")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    hub = tmp_path / "lake" / "hub_models" / f"date={today()}"
    llama = tmp_path / "lake" / "defillama_protocols" / f"date={today()}"
    assert done.stdout.splitlines() == [
        f"hub         250 models of {today()}, published",
        f"            {hub}/hub_models.parquet",
        f"defillama   {pl.read_parquet(llama)['protocol_id'].len()} protocols of {today()}, "
        "published",
        *[line for line in done.stdout.splitlines() if "in quarantine" in line],
        f"            {llama}/defillama_protocols.parquet",
    ]
    models = pl.read_parquet(hub / "*.parquet")
    assert {"hub_id", "model_id", "downloads", "likes", "created_at"} <= set(models.columns)
    protocols = pl.read_parquet(llama / "*.parquet")
    assert {"protocol_id", "slug", "name", "category", "tvl_usd"} <= set(protocols.columns)
    again = baimo("refresh")
    assert again.returncode == 0
    assert again.stdout.count("already there") == 2

    status = baimo("lake", "status")
    assert status.returncode == 0
    assert f"{today()}  hub_models           published  250 rows, hub" in status.stdout
    assert baimo("lake", "verify").stdout == "4 files are sound, 0 are not\n"
    assert baimo("lake", "path").stdout == f"{tmp_path / 'lake'}\n"

    (hub / "hub_models.parquet").write_bytes((llama / "defillama_protocols.parquet").read_bytes())
    damaged = baimo("lake", "verify")
    assert damaged.returncode == 1
    assert "differs from its receipt" in damaged.stderr


def test_one_source_that_fails_does_not_hold_up_the_other(
    baimo: Baimo, servers: tuple[HubServer, DefiServer], tmp_path: Path
) -> None:
    servers[0].inject("/api/models", Status(403, body=b"no"), None)
    done = baimo("refresh")
    assert done.returncode == 1
    assert done.stdout.startswith("defillama   ")
    assert done.stderr.startswith("hub         failed: ")
    assert "HTTP 403 (no)" in done.stderr
    status = baimo("lake", "status").stdout
    assert f"{today()}  hub_models           failed     " in status
    assert list((tmp_path / "lake" / "hub_models").rglob("*.parquet")) == []


def test_the_lake_option_goes_before_the_environment(baimo: Baimo, tmp_path: Path) -> None:
    done = baimo("refresh", "--source", "defillama", "--lake", str(tmp_path / "other [1]"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "other [1]" / "defillama_protocols" / f"date={today()}").is_dir()
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("refresh", "--source", "kaggle"), "'kaggle' is not one of"),
        (("refresh", "--limit", "0"), "0 is not in the range"),
        (("refresh", "--source", "defillama", "--limit", "5"), "--limit is for the Hub"),
        (("refresh", "extra"), "unexpected extra argument"),
        (("lake", "burn"), "No such command"),
    ],
)
def test_a_wrong_call_is_two(baimo: Baimo, arguments: tuple[str, ...], message: str) -> None:
    done = baimo(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_lake_that_cannot_be_written(baimo: Baimo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = baimo("refresh", "--source", "hub", "--lake", str(tmp_path / "file" / "lake"))
    assert done.returncode == 1
    assert "choose another" in done.stderr


def test_a_full_disk_publishes_nothing_and_the_next_call_goes_on(
    baimo: Baimo, tmp_path: Path
) -> None:
    """No file may grow beyond a few kilobytes, which fails as a full disk does."""

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))

    done = baimo("refresh", "--source", "hub", preexec_fn=small)
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "make room" in done.stderr
    assert list((tmp_path / "lake" / "hub_models").rglob("*.parquet")) == []
    done = baimo("refresh", "--source", "hub")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "lake").rglob("*.tmp")) == []


def test_an_interrupt_is_said_in_a_line(
    baimo: Baimo, servers: tuple[HubServer, DefiServer], tmp_path: Path
) -> None:
    import signal
    import time

    hub, _ = servers
    hub.inject(1, Hang(), None)
    environment = os.environ | {"HF_ENDPOINT": hub.url, "BAIMO_LAKE": str(tmp_path / "lake")}
    process = subprocess.Popen(
        [sys.executable, "-m", "baimo.pipeline.cli", "refresh", "--source", "hub"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    pages = tmp_path / "lake" / "crawling" / "hub_models"
    while not list(pages.glob("page-*.parquet")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert out == ""
    assert err == "hub         interrupted; the same command goes on\n"


def test_a_sample_is_named_as_one(baimo: Baimo, tmp_path: Path) -> None:
    done = baimo("refresh", "--limit", "30")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"hub         30 models of {today()}, a sample, no snapshot\n")
    assert not (tmp_path / "lake" / "hub_models").exists()
