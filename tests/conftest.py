"""Fixtures for all tests: a home of their own, the recordings where they exist."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: the live tests, then the run of the whole graph."""
    items.sort(key=lambda item: (item.path.parent.name != "live", item.path.name != "test_run.py"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file on one worker, and all live tests on a single one: their waits are real."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "live" if file.startswith("tests/live/") else file

    return ByFile(config, log)


@pytest.fixture
def recording() -> Callable[[str], Path]:
    """Return the path of a recording, or skip with its name where it is not there."""

    def find(name: str) -> Path:
        path = RECORDINGS / name
        if not path.exists():
            pytest.skip(f"the recording {name} is not beside the project")
        return path

    return find


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a test its own lake and DAGSTER_HOME."""
    monkeypatch.setenv("BAIMO_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster_home"))
    return tmp_path
