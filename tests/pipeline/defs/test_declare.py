"""What all steps declare with: partitions, outputs with their meaning, checks that stop."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import polars as pl
import pytest

from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.defs import declare
from baimo.pipeline.defs.declare import checked
from baimo.pipeline.defs.io_manager import LakeIOManager
from baimo.pipeline.lake.results import UndeclaredError
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.derived import HUB_FREQUENCY, HUB_TOTALS
from baimo.pipeline.settings import FIRST_DAY

DAY = date(2024, 7, 20)


def context(**resources: Any) -> dg.AssetExecutionContext:
    """Return what a step is told of its run."""
    told = SimpleNamespace(partition_key=DAY.isoformat(), resources=SimpleNamespace(**resources))
    return cast("dg.AssetExecutionContext", told)


def test_a_failed_check_is_recorded_and_stops_before_anything_is_written() -> None:
    steps = checked("c", "a", passed=False, why="7 rows are bad", rows=7)
    report = next(steps)
    assert not report.passed
    assert report.metadata["verdict"].value == "7 rows are bad"
    with pytest.raises(dg.Failure, match="7 rows are bad; nothing was published"):
        next(steps)


def test_a_check_that_holds_is_recorded_with_its_numbers_and_the_step_goes_on() -> None:
    (report,) = checked("c", "a", passed=True, why="never said", rows=7)
    assert report.passed
    assert (report.check_name, report.asset_key) == ("c", dg.AssetKey("a"))
    assert {name: value.value for name, value in report.metadata.items()} == {
        "rows": 7, "verdict": "holds"
    }  # fmt: skip


def test_a_blocking_check_stops_what_is_downstream() -> None:
    spec = declare.blocking("c", "a", "says why")
    assert (spec.name, spec.asset_key, spec.blocking) == ("c", dg.AssetKey("a"), True)
    assert spec.description == "says why"


def test_the_calendar_ends_with_a_day_or_with_today() -> None:
    until = declare.daily_partitions(DAY).get_partition_keys()
    assert until[0] == FIRST_DAY.isoformat()
    assert until[-1] == DAY.isoformat()
    assert len(until) == (DAY - FIRST_DAY).days + 1
    today = datetime.now(UTC).date()
    assert declare.daily_partitions().get_partition_keys()[-1] in (
        today.isoformat(), (today - timedelta(days=1)).isoformat()  # midnight passed meanwhile
    )  # fmt: skip


def test_groups_sort_as_the_graph_is_read() -> None:
    groups = [
        declare.SNAPSHOTS, declare.TABULATED, declare.TAILS, declare.CALIBRATION,
        declare.SIMULATION, declare.REFIT, declare.CONCLUSIONS,
    ]  # fmt: skip
    assert groups == sorted(set(groups))


def test_needs_become_dependencies_each_once_in_order() -> None:
    needs = (TAILS["likes"], HUB_FREQUENCY, TAILS["likes"])
    assert declare.dep_keys(needs) == ["hub_frequency", "likes_tail"]
    assert declare.reads(x="a b", y="b") == {
        "x": {dg.AssetKey("a"), dg.AssetKey("b")}, "y": {dg.AssetKey("b")}
    }  # fmt: skip


def test_a_step_reads_its_day_from_the_lake_of_the_io_manager(tmp_path: Path) -> None:
    manager = LakeIOManager(root=str(tmp_path))
    frame = pl.DataFrame({"a": [1]})
    manager.lake().write_table(HUB_FREQUENCY.name, DAY, frame)
    day = declare.day_for(context(io_manager=manager), [HUB_FREQUENCY])
    assert day.date == declare.day_of(context()) == DAY
    assert day.table(HUB_FREQUENCY).equals(frame)
    with pytest.raises(UndeclaredError, match="hub_totals is read but not declared"):
        day.table(HUB_TOTALS)


@pytest.mark.parametrize("name", ["hub_frequency", "defillama_protocols"])
def test_a_table_is_described_column_by_column(name: str) -> None:
    out = declare.table_out(name, "group", required=False)
    table = TABLES[name]
    assert (out.description, out.group_name, out.is_required) == (table.meaning, "group", False)
    assert out.kinds == {"parquet"}
    schema = declare.table_metadata(name)["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    columns = schema.columns
    assert [c.name for c in columns] == list(table.names)
    for shown, column in zip(columns, table.columns, strict=True):
        words = shown.description or ""
        assert words.startswith(column.meaning)
        assert words.endswith(f"[{column.unit}]" if column.unit else column.meaning)
        assert shown.constraints.nullable is column.nullable
        assert shown.constraints.unique is ((column.name,) == table.key)


def test_a_result_is_described_as_a_record() -> None:
    out = declare.record_out("what it is", "group")
    assert (out.description, out.group_name, out.kinds) == ("what it is", "group", {"json"})


def test_metadata_holds_what_is_known_in_six_digits() -> None:
    found = declare.numbers({"n": 3, "x": 0.123456789, "word": "two", "none": None})
    assert {name: value.value for name, value in found.items()} == {
        "n": 3, "x": 0.123457, "word": "two"
    }  # fmt: skip
    assert isinstance(found["n"], dg.IntMetadataValue)
    assert isinstance(found["word"], dg.MarkdownMetadataValue)
    assert declare.rows(pl.DataFrame({"a": [1, 2]})) == {"dagster/row_count": 2}


def test_a_small_table_is_shown_with_a_dash_where_nothing_is_known() -> None:
    frame = pl.DataFrame({"model": ["CES", None], "zeta": [0.98765, None], "n": [3, 4]})
    assert declare.markdown(frame).value == (
        "| model | zeta | n |\n|---|---|---|\n| CES | 0.988 | 3 |\n| - | - | 4 |"
    )


def test_a_picture_is_its_bytes() -> None:
    text = str(declare.picture(b"\x89PNG bytes").value)
    head = "![picture](data:image/png;base64,"
    assert text.startswith(head)
    assert base64.b64decode(text[len(head) : -1]) == b"\x89PNG bytes"
