"""A lake in which something is damaged, forbidden or strange: later days do not suffer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from baimo.pipeline.cli.main import main
from baimo.pipeline.errors import LakeError
from baimo.pipeline.ingest.acceptance import RefusedSnapshotError
from baimo.pipeline.ingest.refresh import Refreshed, RefreshOutcome, refresh_defillama, refresh_hub
from baimo.pipeline.lake.receipts import (
    MISSING,
    Receipt,
    is_published,
    read_receipt,
    receipt_path,
    write_receipt,
)
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.lake.verify import holding, verify
from baimo.pipeline.sources.http import Patience
from tests.live.servers.defi import DefiServer, synthetic_protocols
from tests.live.servers.faults import Status
from tests.live.servers.hub import HubServer
from tests.live.servers.hub_models import synthetic_models

NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)
DAY = NOW.date()
MODELS = synthetic_models(400, seed=9)
PROTOCOLS = synthetic_protocols(200, seed=9)
TABLE = {"hub": "hub_models", "defillama": "defillama_protocols"}


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[HubServer, DefiServer]]:
    with HubServer(MODELS, page_cap=100) as hub, DefiServer(PROTOCOLS) as llama:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("BAIMO_DEFILLAMA_URL", llama.url)
        yield hub, llama


@pytest.fixture
def refresh(
    servers: tuple[HubServer, DefiServer], lake: Lake, patience: Patience
) -> Callable[..., Refreshed]:
    calls = {"hub": refresh_hub, "defillama": refresh_defillama}

    def call(source: str, days_on: int = 0, *, trust: bool = False) -> Refreshed:
        now = NOW + timedelta(days=days_on)
        return calls[source](lake, patience=patience, now=lambda: now, trust=trust)

    return call


@contextmanager
def without_rights() -> Iterator[None]:
    """Be a user who has no special rights."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("source", TABLE)
@pytest.mark.parametrize("what", ["file", "receipt"])
def test_a_damaged_day_does_not_stop_the_next(
    source: str, what: str, lake: Lake, refresh: Callable[..., Refreshed]
) -> None:
    table = TABLE[source]
    refresh(source)
    refresh(source, 1)
    path = lake.path(table, DAY + timedelta(days=1))
    if what == "receipt":
        path = receipt_path(lake, table, DAY + timedelta(days=1))
    path.write_bytes(b"{\xff\xfe" * 100)
    done = refresh(source, 2)
    assert done.outcome is RefreshOutcome.PUBLISHED
    assert done.receipt.details["compared_with"] == DAY.isoformat()
    damaged = done.receipt.details.get("could_not_be_compared", [])
    assert [str(path) in text for text in damaged] == [True] * (what == "file")
    faults = [fault for _, fault in verify(lake) if fault]
    assert [fault.path for fault in faults] == [path]
    assert "restore" in faults[0].what


def test_a_refused_walk_is_trusted_without_walking_again(
    servers: tuple[HubServer, DefiServer], lake: Lake, patience: Patience,
    refresh: Callable[..., Refreshed],
) -> None:  # fmt: skip
    with HubServer(synthetic_models(900, seed=9), page_cap=100) as larger:
        os.environ["HF_ENDPOINT"] = larger.url
        refresh("hub")
    os.environ["HF_ENDPOINT"] = servers[0].url
    with pytest.raises(RefusedSnapshotError):
        refresh("hub", 1)
    servers[0].clear()
    done = refresh("hub", 1, trust=True)
    assert (done.outcome, done.receipt.rows) == ("published", 400)
    assert servers[0].requests == []
    assert "as asked" in done.receipt.details["trusted"]


def test_a_refused_walk_that_is_not_trusted_is_walked_again(
    servers: tuple[HubServer, DefiServer], lake: Lake, refresh: Callable[..., Refreshed]
) -> None:
    with HubServer(synthetic_models(900, seed=9), page_cap=100) as larger:
        os.environ["HF_ENDPOINT"] = larger.url
        refresh("hub")
    os.environ["HF_ENDPOINT"] = servers[0].url
    for _ in range(2):
        servers[0].clear()
        with pytest.raises(RefusedSnapshotError):
            refresh("hub", 1)
        assert len(servers[0].requests) >= 4
    assert not is_published(lake, "hub_models", DAY + timedelta(days=1))


def test_chains_that_could_not_be_had_are_asked_for_again(
    servers: tuple[HubServer, DefiServer], lake: Lake, refresh: Callable[..., Refreshed]
) -> None:
    servers[1].inject("/v2/chains", Status(500), None)
    first = refresh("defillama")
    assert first.outcome is RefreshOutcome.PUBLISHED
    assert "HTTP 500" in first.receipt.details["chains"]
    assert not lake.path("defillama_chains", DAY).exists()
    servers[1].calm()
    again = refresh("defillama")
    assert again.outcome is RefreshOutcome.ALREADY
    assert lake.path("defillama_chains", DAY).exists()
    receipt = read_receipt(lake, "defillama_protocols", DAY)
    assert receipt == again.receipt
    assert isinstance(receipt.details["chains"], int)
    servers[1].clear()
    refresh("defillama")
    assert servers[1].requests == []


def test_a_path_with_brackets_is_no_pattern(
    tmp_path: Path, servers: tuple[HubServer, DefiServer], patience: Patience
) -> None:
    lake = Lake(tmp_path / "läke [x]* ?{a,b}")
    refresh_hub(lake, patience=patience, now=lambda: NOW)
    refresh_defillama(lake, patience=patience, now=lambda: NOW)
    assert [fault for _, fault in verify(lake) if fault] == []


@pytest.mark.parametrize("place", ["", "hub_models", "receipts/hub_models", "the file"])
def test_what_may_not_be_read_is_said_in_one_line(
    place: str, lake: Lake, refresh: Callable[..., Refreshed]
) -> None:
    refresh("hub")
    at = ["--lake", str(lake.root)]
    assert CliRunner().invoke(main, ["lake", "verify", *at]).exit_code == 0  # all imported
    path = lake.path("hub_models", DAY) if place == "the file" else lake.root / place
    for folder in lake.root.parents:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    path.chmod(0)
    try:
        with without_rights():
            done = CliRunner().invoke(main, ["lake", "verify", *at])
            seen = CliRunner().invoke(main, ["lake", "status", *at])
    finally:
        path.chmod(0o755)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert isinstance(seen.exception, SystemExit | None)
    assert "ermission denied" in done.output or "cannot be read" in done.output
    if place in ("", "receipts/hub_models"):
        assert "ask for the right to read it" in seen.output


def test_strange_names_do_no_harm_and_are_named(
    lake: Lake, refresh: Callable[..., Refreshed]
) -> None:
    refresh("hub")
    strange = lake.root / "hub_models" / "date=2026-13-45" / "hub_models.parquet"
    strange.parent.mkdir()
    strange.write_bytes(b"x")
    note = lake.root / "receipts" / "hub_models" / "notes.json"
    note.write_text("{}")
    assert refresh("hub", 1).outcome is RefreshOutcome.PUBLISHED
    assert {fault.path for _, fault in verify(lake) if fault} == {strange, note}


def test_a_day_that_the_source_lacks_is_not_one_to_fill(
    lake: Lake, refresh: Callable[..., Refreshed]
) -> None:
    for n in (0, 1, 4):
        refresh("hub", n)
    lacked = DAY + timedelta(days=2)
    write_receipt(lake, Receipt("hub_models", lacked.isoformat(), "hub-stats", MISSING, "nothing"))
    held = holding(lake, "hub_models")
    assert held.missing == (date(2026, 11, 23),)
    assert [r.day for r in held.lacking] == [lacked.isoformat()]
    lake.path("hub_models", DAY + timedelta(days=1)).unlink()
    assert [r.day for r in holding(lake, "hub_models").gone] == ["2026-11-21"]


def test_a_file_is_no_lake(tmp_path: Path) -> None:
    from baimo.pipeline.console import existing_lake

    (tmp_path / "afile").write_text("x")
    with pytest.raises(LakeError, match="is a file"):
        existing_lake(tmp_path / "afile")
