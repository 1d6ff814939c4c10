"""A file of the lake stands whole under its name or not at all, and its faults name it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.errors import LakeError
from baimo.pipeline.lake.atomic import (
    check_writable,
    file_sha256,
    listed,
    open_parquet,
    present,
    read_file,
    staged,
    sweep,
    write_atomically,
    write_parquet,
    write_text,
)

FRAME = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def endless(folder: Path) -> Path:
    """Return a path that nobody may follow to its end, whatever their rights."""
    loop = folder / "loop"
    loop.symlink_to(loop)
    return loop


# --- writing -------------------------------------------------------------------------------------


def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    write_text(target, "old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(LakeError, match="No space left on device"):
        write_atomically(target, fail)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_the_file_under_the_name_is_the_old_one_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    write_text(target, "old")
    seen: list[str] = []

    def write(path: Path) -> None:
        path.write_text("new")
        seen.append(target.read_text())
        assert path.parent == target.parent  # a rename between disks would be a copy

    write_atomically(target, write)
    assert (seen, target.read_text()) == (["old"], "new")


def test_folders_are_made_and_everyone_may_read_the_file(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "x.txt"
    write_text(target, "λόγος\n")
    assert target.read_bytes() == "λόγος\n".encode()
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_a_full_disk_under_another_name_is_named_too(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise pl.exceptions.ComputeError("disk is full\nand a long trace")

    with pytest.raises(LakeError, match=r"x: disk is full; choose another folder or make room"):
        write_atomically(tmp_path / "x", fail)


def test_a_mistake_of_the_writer_passes_through_and_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise KeyError("no such column")

    with pytest.raises(KeyError, match="no such column"):
        write_atomically(tmp_path / "x", fail)
    assert names(tmp_path) == []


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (".x.parquet.abc.tmp", ".y.tmp", "x.parquet", "z.tmp", ".lock"):
        (tmp_path / name).write_text("")
    assert sweep(tmp_path) == 2
    assert names(tmp_path) == [".lock", "x.parquet", "z.tmp"]
    assert sweep(tmp_path) == 0
    assert sweep(tmp_path / "nowhere") == 0


def test_a_folder_is_tried_before_a_long_run_and_left_as_it_was(tmp_path: Path) -> None:
    check_writable(tmp_path / "out")
    assert names(tmp_path) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError, match=r"cannot write .*file/.*choose another folder"):
        check_writable(tmp_path / "file")


# --- a folder of results -------------------------------------------------------------------------


def test_staged_files_move_only_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    (tmp_path / "a.txt").write_text("old")
    with staged(tmp_path) as stage:
        (stage / "a.txt").write_text("new")
        (stage / "figures").mkdir()
        (stage / "figures" / "b.txt").write_text("b")
        assert (tmp_path / "a.txt").read_text() == "old"
        assert stage.name.startswith(".")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt", "figures/b.txt", "kept.txt"]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_failure_inside_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def fill(stage: Path) -> None:
        (stage / "a.txt").write_text("new")
        raise LakeError("half way")

    with pytest.raises(LakeError, match="half way"), staged(tmp_path) as stage:
        fill(stage)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


# --- reading -------------------------------------------------------------------------------------


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(b"abd")
    assert not file_sha256(path).startswith("ba78")


def test_a_path_is_no_pattern_and_adds_no_column(tmp_path: Path) -> None:
    path = tmp_path / "lake [1]" / "date=2024-07-11" / "t*.parquet"
    write_parquet(path, FRAME)
    assert read_file(path).equals(FRAME)
    assert read_file(path, ["b"]).equals(FRAME.select("b"))
    assert open_parquet(path).metadata.num_rows == 3
    assert open_parquet(path).metadata.row_group(0).column(0).compression == "ZSTD"
    write_parquet(path, FRAME.head(1))
    assert read_file(path).height == 1


@pytest.mark.parametrize("read", [read_file, open_parquet])
@pytest.mark.parametrize("data", [None, b"", b"PAR1", b"PAR1" + bytes(99) + b"PAR1"])
def test_a_file_that_cannot_be_read_is_named_with_what_tells_more(
    tmp_path: Path, read: Callable[[Path], object], data: bytes | None
) -> None:
    path = tmp_path / "t.parquet"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(LakeError, match=r"t\.parquet cannot be read \(.*baimo lake verify"):
        read(path)


# --- looking -------------------------------------------------------------------------------------


def test_what_is_there_is_present_and_what_is_not_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert present(tmp_path)
    assert present(tmp_path / "file")
    assert not present(tmp_path / "nothing")
    assert not present(tmp_path / "file" / "below")


def test_names_are_listed_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.csv", "a.txt.tmp"):
        (tmp_path / name).write_text("")
    assert listed(tmp_path, "*.txt") == [tmp_path / "a.txt", tmp_path / "b.txt"]
    assert listed(tmp_path / "nothing", "*") == []
    assert listed(tmp_path / "a.txt", "*") == []


def test_what_one_may_not_look_at_is_not_taken_for_missing(tmp_path: Path) -> None:
    loop = endless(tmp_path)
    with pytest.raises(LakeError, match=r"loop: .*; ask for the right to read it"):
        present(loop)
    with pytest.raises(LakeError, match=r"loop: .*; ask for the right to read it"):
        listed(loop, "*")
