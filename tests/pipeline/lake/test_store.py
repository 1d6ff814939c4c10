"""The lake: whole files or none, same content same bytes, readable as hive partitions."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.errors import LakeError
from baimo.pipeline.lake.store import Lake

DAY = date(2024, 7, 11)
FRAME = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})


def test_a_table_comes_back_and_the_same_content_has_the_same_bytes(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    first = lake.write_table("t", DAY, FRAME).read_bytes()
    assert lake.read_table("t", DAY).equals(FRAME)
    assert lake.write_table("t", DAY, FRAME).read_bytes() == first
    assert lake.days("t") == [DAY]


def test_days_are_hive_partitions(tmp_path: Path) -> None:
    Lake(tmp_path).write_table("t", DAY, FRAME)
    Lake(tmp_path).write_table("t", date(2024, 7, 12), FRAME)
    scanned = pl.scan_parquet(tmp_path / "t" / "**" / "*.parquet", hive_partitioning=True)
    assert scanned.collect()["date"].unique().sort().to_list() == [DAY, date(2024, 7, 12)]


def test_folders_of_other_names_are_no_days(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.write_table("t", DAY, pl.DataFrame({"a": [1]}))
    (tmp_path / "t" / "date=2026-08-31.bak").mkdir()
    (tmp_path / "t" / "date=2026-08-31.bak" / "t.parquet").write_bytes(b"")
    assert lake.days("t") == [DAY]


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.write_table("t", DAY, pl.DataFrame({"a": [1]})).write_bytes(b"PAR1")
    with pytest.raises(LakeError, match=r"t\.parquet cannot be read"):
        lake.read_table("t", DAY)


def test_a_missing_table_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"t of 2024-07-11 is not in the lake .*baimo lake status"):
        Lake(tmp_path).read_table("t", DAY)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError, match="choose another folder"):
        Lake(tmp_path / "file").write_table("t", DAY, FRAME)
