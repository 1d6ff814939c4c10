"""Where the recorded samples lie: beside the project, never inside it."""

from collections.abc import Callable
from pathlib import Path

import pytest

RECORDINGS = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def recording() -> Callable[[str], Path]:
    """Return the path of a recorded file, or skip the test and name what is missing."""

    def find(name: str) -> Path:
        path = RECORDINGS / name
        if not path.is_file():
            pytest.skip(f"needs the recorded file ../shared/data/{name}, which is not here")
        return path

    return find
