"""What the tests against live servers share: a lake of their own, and waits that do not wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from baimo.pipeline.lake.store import Lake
from baimo.pipeline.sources.http import Patience


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def waits() -> list[float]:
    """Every pause that the code under test asked for."""
    return []


@pytest.fixture
def patience(waits: list[float]) -> Patience:
    """The usual patience, but for pauses that only take notes and a short deadline."""
    return Patience(whole=1.0, sleep=waits.append)


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the tokens of the machine out of the tests."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "BAIMO_DEFILLAMA_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no_token"))
    monkeypatch.setattr("baimo.pipeline.sources.hub.crawl.READ_SECONDS", 0.5)
    monkeypatch.setattr("baimo.pipeline.sources.http.READ_SECONDS", 0.5)
    monkeypatch.setattr("baimo.pipeline.sources.defillama.api.PACE_SECONDS", 0.0)
