"""The environment says where things lie, and nothing but the settings reads it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from baimo.pipeline import settings
from baimo.pipeline.errors import SourceError
from tests.structure import ROOT

NAMES = (
    "BAIMO_LAKE", "DAGSTER_HOME", "HF_ENDPOINT", "BAIMO_DEFILLAMA_URL", "BAIMO_WEBHOOK", "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
)  # fmt: skip


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment that says nothing."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


# --- folders -------------------------------------------------------------------------------------


def test_everything_lies_under_data_of_the_checkout_unless_it_is_said_otherwise() -> None:
    data = ROOT / "data"
    assert settings.home_dir() == ROOT
    assert settings.lake_dir() == data / "lake"
    assert settings.dagster_home() == data / "dagster_home"
    assert settings.out_dir(date(2026, 9, 1)) == data / "out" / "2026-09-01"
    assert settings.out_dir(date(2026, 9, 2)) == data / "out" / "2026-09-02"
    assert settings.reference_dir() == data / "reference"


@pytest.mark.parametrize(
    ("name", "place"),
    [("BAIMO_LAKE", settings.lake_dir), ("DAGSTER_HOME", settings.dagster_home)],
    ids=["lake", "dagster"],
)
def test_a_folder_that_is_given_is_taken(
    name: str, place: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usual = place()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(name, "~/mine")
    assert place() == tmp_path / "mine"
    monkeypatch.setenv(name, "")
    assert place() == usual


def test_without_a_checkout_data_lies_in_the_current_folder_and_the_reference_in_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(settings, "_CHECKOUT", tmp_path / "site-packages" / "baimo")
    monkeypatch.chdir(tmp_path)
    assert settings.home_dir() == tmp_path
    assert settings.lake_dir() == tmp_path / "data" / "lake"
    assert settings.reference_dir() == tmp_path / "site-packages" / "baimo" / "_reference"


# --- addresses -----------------------------------------------------------------------------------

ADDRESSES = {
    "HF_ENDPOINT": (settings.hub_endpoint, "https://huggingface.co"),
    "BAIMO_DEFILLAMA_URL": (settings.defillama_url, "https://api.llama.fi"),
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_is_the_public_one_or_the_one_that_is_given(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, default = ADDRESSES[name]
    assert read() == default
    monkeypatch.setenv(name, "")
    assert read() == default
    for given in ("http://127.0.0.1:8000", "https://a.example/key/", "https://[::1]:81//"):
        monkeypatch.setenv(name, given)
        assert read() == given.rstrip("/")


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize(
    "given",
    ["hub.example", "ftp://a.example", "https://", "https:///path", "https://a.example:0",
     "https://a.example:x", "https://a.example:99999", "https://[::1"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_being_shown(
    name: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, default = ADDRESSES[name]
    monkeypatch.setenv(name, given)
    with pytest.raises(SourceError) as caught:
        read()
    assert str(caught.value) == f"{name} is no address; it looks like {default}"
    assert caught.value.__cause__ is None


# --- secrets -------------------------------------------------------------------------------------


def test_a_token_comes_from_its_usual_places(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY")
    login = tmp_path / "token"
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(login))
    assert settings.hub_token() is None
    login.write_text("hf_of_the_login\n")
    assert settings.hub_token() == "hf_of_the_login"
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_environment")
    assert settings.hub_token() == "hf_of_the_environment"
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_failed_runs_are_told_of_where_it_is_said_and_else_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings.webhook() is None
    monkeypatch.setenv("BAIMO_WEBHOOK", "")
    assert settings.webhook() is None
    monkeypatch.setenv("BAIMO_WEBHOOK", "https://hooks.example/1")
    assert settings.webhook() == "https://hooks.example/1"


# --- numbers -------------------------------------------------------------------------------------


def test_the_daily_job_starts_before_the_day_is_due() -> None:
    found = re.fullmatch(r"(\d+) (\d+) \* \* \*", settings.REFRESH_CRON)
    assert found is not None
    minute, hour = int(found[1]), int(found[2])
    assert 0 <= hour + minute / 60 < settings.DEADLINE_HOUR < 24
    # A source that is down at the start is tried again in time.
    assert (settings.DEADLINE_HOUR - hour) * 3600 / 2 > settings.RETRY_SECONDS


def test_the_day_of_the_reference_is_that_of_its_manifest() -> None:
    manifest = json.loads((settings.reference_dir() / "manifest.json").read_text("utf-8"))
    assert date.fromisoformat(manifest["day"]) == settings.REFERENCE_DAY
    assert settings.FIRST_DAY <= settings.REFERENCE_DAY


def test_a_p_value_is_known_to_a_hundredth() -> None:
    # The standard error of a share is largest at a half.
    assert (0.25 / settings.P_REPLICATIONS) ** 0.5 <= 0.01


def test_nothing_else_reads_the_environment() -> None:
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        if path.name != "settings.py":
            text = path.read_text("utf-8")
            assert not re.search(r"environ\.get\(|getenv|environ\[[^]]*\](?! = )", text), path.name
