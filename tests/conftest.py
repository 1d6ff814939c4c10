"""Fixtures for all tests: a home of their own, the recordings where they exist."""

from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT.parent / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests on one worker, and the live ones on a single one: their waits are real.

    What takes longest begins first: the live tests, then the run of the whole graph.
    """
    for item in items:
        folder, *rest = item.path.relative_to(ROOT / "tests").parts
        group = "live" if folder == "live" else "/".join((folder, *rest))
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (item.path.parent.name != "live", item.path.name != "test_run.py"))


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
