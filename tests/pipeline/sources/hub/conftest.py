"""A Hub without a network: requests go through the real client to a function of the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from baimo.pipeline.sources.http import Patience
from tests.pipeline.sources.hub.wire import ENDPOINT, Wire


@pytest.fixture
def waits() -> list[float]:
    """Every pause that the code under test asked for."""
    return []


@pytest.fixture
def patience(waits: list[float]) -> Patience:
    """The usual patience, but for pauses that only take notes."""
    return Patience(sleep=waits.append)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Wire:
    """Answer every request to the Hub, and keep the tokens of the machine out of it."""
    found = Wire()
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", ENDPOINT)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no_token"))
    monkeypatch.setattr("huggingface_hub.utils.get_session", lambda: found.client)
    return found
