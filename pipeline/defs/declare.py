"""What all asset modules use: partitions, groups, metadata."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg
import polars as pl

from baimo.pipeline.lake.results import Day, Named, names_of
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.settings import FIRST_DAY

SNAPSHOTS = "a_snapshots"
TABULATED = "b_tables"
TAILS = "c_tails"
CALIBRATION = "d_calibration"
SIMULATION = "e_simulation"
REFIT = "f_refit"
CONCLUSIONS = "g_conclusions"


def daily_partitions(last_day: date | None = None) -> dg.DailyPartitionsDefinition:
    """Return the calendar of snapshots, from the reference's day to today (UTC), or `last_day`."""
    end = None if last_day is None else (last_day + timedelta(days=1)).isoformat()
    return dg.DailyPartitionsDefinition(
        start_date=FIRST_DAY.isoformat(), end_date=end, end_offset=1
    )


PARTITIONS = daily_partitions()

Events = Iterator[dg.Output[Any] | dg.AssetMaterialization | dg.AssetCheckResult]
"""What an asset of several outputs yields."""


def checked(
    check: str, asset: str, *, passed: bool, why: str, **shown: int
) -> Iterator[dg.AssetCheckResult]:
    """Report a blocking check before anything is written; a failed one stops the step there.

    Raises
    ------
    dagster.Failure
        The check failed; nothing of this step has been published.
    """
    yield dg.AssetCheckResult(
        passed=passed,
        asset_key=asset,
        check_name=check,
        metadata={**numbers(shown), "verdict": "holds" if passed else why},
    )
    if not passed:
        raise dg.Failure(f"{why}; nothing was published, correct the source", allow_retries=False)


def blocking(check: str, asset: str, description: str) -> dg.AssetCheckSpec:
    """Declare a check that stops what is downstream when it fails."""
    return dg.AssetCheckSpec(check, asset=asset, blocking=True, description=description)


def reads(**inputs: str) -> dict[str, set[dg.AssetKey]]:
    """Say which assets each output of a step is made from: output="a b c"."""
    return {out: {dg.AssetKey(name) for name in names.split()} for out, names in inputs.items()}


IO_MANAGER = "io_manager"
READS_DAY = frozenset({IO_MANAGER})
"""Resource keys of an asset that takes a `Day`."""


def dep_keys(needs: Iterable[Named]) -> list[str]:
    """Return the assets that some needs are, each once: what an asset depends on."""
    return sorted(names_of(needs))


def day_for(context: dg.AssetExecutionContext, needs: Iterable[Named]) -> Day:
    """Return the reader of the run's day, of the lake that the IO manager writes to."""
    manager = getattr(context.resources, IO_MANAGER)
    reader: Day = manager.day(day_of(context), needs)
    return reader


def day_of(context: dg.AssetExecutionContext) -> date:
    """Return the day that the run is filed under."""
    return date.fromisoformat(context.partition_key)


def table_metadata(name: str) -> dict[str, object]:
    """Describe the columns of a table for the UI."""
    return {
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(
                    c.name,
                    type=str(c.dtype),
                    description=c.meaning + (f" [{c.unit}]" if c.unit else ""),
                    constraints=dg.TableColumnConstraints(
                        nullable=c.nullable, unique=(c.name,) == TABLES[name].key
                    ),
                )
                for c in TABLES[name].columns
            ]
        )
    }


def table_out(name: str, group: str, *, required: bool = True) -> dg.AssetOut:
    """Return the output of one described table."""
    return dg.AssetOut(
        description=TABLES[name].meaning,
        group_name=group,
        metadata=table_metadata(name),
        kinds={"parquet"},
        is_required=required,
    )


def record_out(description: str, group: str, *, is_required: bool = True) -> dg.AssetOut:
    """Return the output of one fitted result; one of several of a step may be asked for alone."""
    return dg.AssetOut(
        description=description, group_name=group, kinds={"json"}, is_required=is_required
    )


def rows(frame: pl.DataFrame) -> dict[str, int]:
    """Return the metadata of any frame."""
    return {"dagster/row_count": frame.height}


def numbers(values: Mapping[str, float | int | str | None]) -> dict[str, dg.MetadataValue]:
    """Return the numbers and words a person looks for as metadata, unknown ones left out."""
    return {key: _shown(value) for key, value in values.items() if value is not None}


def _shown(value: float | int | str) -> dg.MetadataValue:
    if isinstance(value, str):
        return dg.MetadataValue.md(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    return dg.MetadataValue.float(float(f"{value:.6g}"))


def markdown(frame: pl.DataFrame) -> dg.MetadataValue:
    """Return a small table as metadata."""
    head = "| " + " | ".join(frame.columns) + " |"
    rule = "|" + "---|" * frame.width
    body = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in frame.iter_rows()]
    return dg.MetadataValue.md("\n".join([head, rule, *body]))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def picture(png: bytes) -> dg.MetadataValue:
    """Return a picture as metadata."""
    return dg.MetadataValue.md(
        f"![picture](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"
    )
