"""`baimo ui`: the Dagster UI on this machine only, its state where DAGSTER_HOME says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.pipeline.command import baimo

Calls = list[tuple[str, list[str]]]


@pytest.fixture
def started(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Note what would take the place of this process."""
    calls: Calls = []
    monkeypatch.setattr(os, "execv", lambda path, argv: calls.append((path, argv)))
    return calls


@pytest.mark.parametrize(("options", "port"), [((), 3000), (("--port", 4123), 4123)])
def test_it_becomes_dagster_on_localhost(
    options: tuple[object, ...], port: int, started: Calls, own_home: Path
) -> None:
    told = baimo("ui", *options)
    assert told.exit_code == 0, told.output
    home = own_home / "dagster_home"
    assert told.stdout.startswith(f"Dagster UI on http://localhost:{port} ")
    assert f"state in {home}" in told.stdout
    ((path, argv),) = started
    assert path == sys.executable
    assert argv == [
        sys.executable, "-m", "dagster", "dev", "-m", "baimo.pipeline.definitions",
        "-h", "127.0.0.1", "-p", str(port),
    ]  # fmt: skip


def test_the_state_is_made_without_telemetry_and_what_is_there_stays(
    started: Calls, own_home: Path
) -> None:
    baimo("ui")
    config = own_home / "dagster_home" / "dagster.yaml"
    assert "telemetry:\n  enabled: false" in config.read_text()
    config.write_text("# mine\n")
    baimo("ui")
    assert config.read_text() == "# mine\n"
    assert os.environ["DAGSTER_HOME"] == str(own_home / "dagster_home")


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_port_that_is_none_starts_nothing(port: str, started: Calls) -> None:
    assert baimo("ui", "--port", port).exit_code == 2
    assert started == []
