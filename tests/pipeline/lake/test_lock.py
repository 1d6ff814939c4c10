"""A folder of the lake is filled by one process at a time, and is free again when that one ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from baimo.pipeline.errors import BusyError, LakeError
from baimo.pipeline.lake.lock import locked

HOLD = """
import sys
from pathlib import Path
from baimo.pipeline.lake.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_comes_second_is_refused_and_what_is_held_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "lake" / "hub_models"
    with (
        locked(folder),
        pytest.raises(BusyError, match=r"another process is filling hub_models .*wait"),
        locked(folder),
    ):
        pass


def test_it_is_free_again_after_the_end_and_after_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "hub_models"
    entered = 0
    with locked(folder):
        entered += 1
    with pytest.raises(KeyError), locked(folder):
        raise KeyError
    with locked(folder):
        entered += 1
    assert entered == 2


def test_two_folders_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with locked(tmp_path / "hub_models"), locked(tmp_path / "defillama_protocols"):
        assert {p.name for p in tmp_path.iterdir()} == {
            ".hub_models.lock", ".defillama_protocols.lock"
        }  # fmt: skip


def test_the_folder_itself_is_not_made(tmp_path: Path) -> None:
    with locked(tmp_path / "lake" / "hub_models"):
        assert not (tmp_path / "lake" / "hub_models").exists()


def test_a_lake_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(LakeError, match=r"cannot lock .*\.t\.lock: .*choose another lake"),
        locked(tmp_path / "file" / "t"),
    ):
        pass


def test_another_process_holds_it_and_a_killed_one_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "hub_models"
    command = [sys.executable, "-c", HOLD, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BusyError), locked(folder):
            pass
        other.kill()
        other.wait()
        with locked(folder):
            assert other.returncode != 0
