"""A token never appears where it does not belong: every way of giving it, every way of failing."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from baimo.pipeline.errors import PipelineError
from baimo.pipeline.ingest.refresh import RefreshOutcome, refresh_hub
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.sources.http import Patience
from tests.live.servers.faults import ForeignLink, NotJson, Redirect, Status
from tests.live.servers.hub import HubServer
from tests.live.servers.hub_models import synthetic_models
from tests.live.servers.server import Fault, Loopback, Reply, Request

TOKEN = "hf_neverToBeSeen0123456789"
ROOT = Path(__file__).resolve().parents[2]


class Other(Loopback):
    """Another host, which answers as if it were the Hub."""

    def answer(self, request: Request) -> Reply:
        return Reply.json([])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer(synthetic_models(120, seed=1), page_cap=50, token=TOKEN) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def everything_under(root: Path) -> bytes:
    return b"".join(p.read_bytes() for p in root.rglob("*") if p.is_file())


FAULTS: dict[str, Fault | None] = {
    "none": None,
    "an error that echoes the token": Status(500, body=f"Bearer {TOKEN}".encode()),
    "a refusal that echoes the token": Status(403, body=f"no such token {TOKEN}".encode()),
    "an echo in the headers": Status(401, {"X-Error-Message": TOKEN, "WWW-Authenticate": TOKEN}),
    "no JSON": NotJson(TOKEN.encode()),
    "a link to another host": ForeignLink("{other}/api/models?cursor=1"),
    "a redirect to another host": Redirect("{other}/api/models"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_goes_to_the_hub_alone(
    fault: str, hub: HubServer, lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    caplog.set_level(logging.DEBUG)
    out, told = io.StringIO(), [""]
    with Other() as other:
        damage = FAULTS[fault]
        if isinstance(damage, ForeignLink | Redirect):
            damage = type(damage)(damage.url.format(other=other.url))
        if damage is not None:
            hub.inject(1, damage, None)
        with redirect_stdout(out), redirect_stderr(out):
            try:
                refresh_hub(lake, patience=patience, notice=told.append)
            except PipelineError as error:
                told += [str(error), repr(error), str(error.__cause__), str(error.__context__)]
        assert other.requests == []
    assert all(r.headers.get("authorization") == f"Bearer {TOKEN}" for r in hub.requests)
    assert TOKEN not in "".join(told)
    assert TOKEN not in out.getvalue()
    assert TOKEN not in caplog.text
    assert TOKEN.encode() not in everything_under(lake.root)


def test_without_a_token_none_is_sent(hub: HubServer, lake: Lake, patience: Patience) -> None:
    refresh_hub(lake, patience=patience)
    assert all("authorization" not in r.headers for r in hub.requests)


def test_a_wrong_token_is_refused_and_not_repeated(
    hub: HubServer, lake: Lake, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrongAndStillSecret")
    with pytest.raises(PipelineError, match=r"HTTP 401 .*check the token") as caught:
        refresh_hub(lake, patience=patience)
    assert "hf_wrong" not in str(caught.value)
    assert len(hub.requests) == 1


WAYS = {
    "HF_TOKEN": lambda home: {"HF_TOKEN": TOKEN},
    "HUGGING_FACE_HUB_TOKEN": lambda home: {"HUGGING_FACE_HUB_TOKEN": TOKEN},
    "the file of a login": lambda home: _logged_in(home / "hf" / "token", {}),
    "HF_TOKEN_PATH": lambda home: _logged_in(home / "t", {"HF_TOKEN_PATH": str(home / "t")}),
}


def _logged_in(path: Path, environment: dict[str, str]) -> dict[str, str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TOKEN + "\n")
    return environment


@pytest.mark.parametrize("damage", [None, Status(403, body=f"bad {TOKEN}".encode())])
def test_every_usual_place_of_a_token(damage: Fault | None, hub: HubServer, tmp_path: Path) -> None:
    """Each in a process of its own, all at once: the client reads its places at import."""
    if damage is not None:
        hub.inject(1, damage, None)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    started = {}
    for number, (way, environment) in enumerate(WAYS.items()):
        home = tmp_path / str(number)
        places = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "hf"), "HF_DEBUG": "1"}
        started[way] = home / "lake", subprocess.Popen(
            [sys.executable, "-m", "baimo.pipeline.cli", "refresh", "--source", "hub", "--lake",
            home / "lake"], cwd=ROOT, env=kept | places | environment(home), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    for way, (lake, process) in started.items():
        out, err = process.communicate(timeout=120)
        assert process.returncode == (0 if damage is None else 1), (way, err)
        assert TOKEN not in out + err, way
        assert TOKEN.encode() not in everything_under(lake), way
    assert len(hub.requests) >= len(WAYS)
    assert {r.headers.get("authorization") for r in hub.requests} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("answers", [True, False])
def test_the_key_of_the_paid_api_in_its_address_is_never_shown(
    answers: bool, monkeypatch: pytest.MonkeyPatch, lake: Lake, patience: Patience
) -> None:
    from baimo.pipeline.errors import SourceError
    from baimo.pipeline.ingest.refresh import refresh_defillama
    from tests.live.servers.defi import DefiServer, synthetic_protocols

    with DefiServer(synthetic_protocols(50, seed=2)) as llama:
        base = llama.url if answers else "http://127.0.0.1:9"
        monkeypatch.setenv("BAIMO_DEFILLAMA_URL", f"{base}/{TOKEN}/api")
        with pytest.raises(SourceError) as refused:
            refresh_defillama(lake, patience=patience)
        assert "/***/protocols" in str(refused.value)
    assert TOKEN not in str(refused.value)
    assert TOKEN.encode() not in everything_under(lake.root)


def test_a_wrong_address_of_one_source_does_not_touch_the_other(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, lake: Lake
) -> None:
    monkeypatch.setenv("BAIMO_DEFILLAMA_URL", "no address")
    assert refresh_hub(lake).outcome is RefreshOutcome.PUBLISHED


def test_defillama_never_sees_it(monkeypatch: pytest.MonkeyPatch, lake: Lake) -> None:
    from baimo.pipeline.ingest.refresh import refresh_defillama
    from tests.live.servers.defi import DefiServer, synthetic_protocols

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with DefiServer(synthetic_protocols(50, seed=2)) as llama:
        monkeypatch.setenv("BAIMO_DEFILLAMA_URL", llama.url)
        refresh_defillama(lake)
        assert llama.requests
        assert all(TOKEN not in str(r.headers) + r.target for r in llama.requests)
