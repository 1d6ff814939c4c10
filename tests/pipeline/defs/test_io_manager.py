"""The IO manager: what a step gives is written by name and day, and comes back as it was."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from baimo.estimation.results import Estimate
from baimo.pipeline.defs.io_manager import InLake, LakeIOManager
from baimo.pipeline.lake.results import Stored
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.derived import HUB_FREQUENCY

DAY = date(2024, 7, 12)
PARTITIONS = dg.DailyPartitionsDefinition(start_date="2024-07-11")


def handed_over(given: Any, root: Path) -> tuple[Any, dg.ExecuteInProcessResult]:
    """Return what a step downstream gets of what one upstream gave."""
    got: list[Any] = []

    @dg.asset(partitions_def=PARTITIONS)
    def above() -> Any:
        return given

    @dg.asset(partitions_def=PARTITIONS)
    def below(above: Any) -> None:
        got.append(above)

    done = dg.materialize(
        [above, below], partition_key=DAY.isoformat(),
        resources={"io_manager": LakeIOManager(root=str(root))},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )  # fmt: skip
    return got[0], done


def path_shown(done: dg.ExecuteInProcessResult) -> str:
    (event,) = done.asset_materializations_for_node("above")
    return str(event.metadata["path"].value)


def test_a_frame_is_a_parquet_file_that_comes_back_equal(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
    got, done = handed_over(frame, tmp_path)
    assert got.equals(frame)
    path = tmp_path / "above" / f"date={DAY}" / "above.parquet"
    assert path_shown(done) == str(path)
    assert pl.read_parquet(path, hive_partitioning=False).equals(frame)


@pytest.mark.parametrize(
    "given",
    [
        Estimate(value=1.5, std_error=0.25, unit="1/yr"),
        {"likes": (Estimate(value=None), Estimate(value=2.0))},
        None,
    ],
    ids=["result", "container", "nothing"],
)
def test_a_result_is_a_record_that_comes_back_equal(given: Any, tmp_path: Path) -> None:
    got, done = handed_over(given, tmp_path)
    assert got == given
    assert path_shown(done) == str(tmp_path / "above" / f"date={DAY}" / "above.json")


def test_what_stands_in_the_lake_already_is_only_shown(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1]})
    there = Lake(tmp_path).write_table("above", DAY, frame)
    before = there.stat()
    got, done = handed_over(InLake(str(there)), tmp_path)
    assert got.equals(frame)
    assert path_shown(done) == str(there)
    assert (there.stat().st_mtime_ns, there.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_it_gives_a_reader_of_the_lake_that_it_writes_to(tmp_path: Path) -> None:
    manager = LakeIOManager(root=str(tmp_path))
    number: Stored[Estimate] = Stored("a_number", Estimate)
    manager.lake().write_record("a_number", DAY, {"type": "Estimate", "schema_version": 1,
                                                  "value": 3.0})  # fmt: skip
    manager.lake().write_table(HUB_FREQUENCY.name, DAY, pl.DataFrame({"a": [1]}))
    day = manager.day(DAY, [number, HUB_FREQUENCY])
    assert day.read(number) == Estimate(value=3.0)
    assert day.table(HUB_FREQUENCY)["a"].to_list() == [1]
