"""Rows that fit a described table, and rows in quarantine with a reason.

For frames that are there whole. Rows of the Hub are checked as they come, in
`baimo.pipeline.sources.hub.rows`, those of DeFiLlama in `baimo.pipeline.sources.defillama.api`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from baimo.pipeline.errors import TableError
from baimo.pipeline.schema.table import UTC, Column, Dtype, Table


@dataclass(frozen=True, eq=False)
class Validated:
    """Rows that fit a table, rows that do not (with `reason`), and notes on columns."""

    good: pl.DataFrame
    quarantine: pl.DataFrame
    notes: tuple[str, ...]


def validate(frame: pl.DataFrame, table: Table) -> Validated:
    """Split `frame` into rows that fit `table` and rows in quarantine.

    Unknown columns are ignored with a note; nullable columns that are missing are filled with
    null.

    Raises
    ------
    TableError
        A required column is missing, no row is valid, or the key repeats.
    """
    missing = [c.name for c in table.columns if not c.nullable and c.name not in frame.columns]
    if missing:
        raise TableError(
            f"{table.name}: column {', '.join(missing)} is missing; found "
            f"{', '.join(frame.columns)}: rename or add it"
        )
    notes = []
    unknown = [name for name in frame.columns if name not in table.schema]
    if unknown:
        notes.append(f"{table.name}: ignored columns {', '.join(sorted(unknown))}")
    filled = [c.name for c in table.columns if c.name not in frame.columns]
    if filled:
        notes.append(f"{table.name}: not in the source, left empty: {', '.join(filled)}")
    raw = frame.select(
        pl.col(c.name) if c.name in frame.columns else pl.lit(None).alias(c.name)
        for c in table.columns
    )
    typed = raw.select(_cast(c, raw.schema[c.name]) for c in table.columns)
    both = typed.hstack(raw.rename({name: f"raw_{name}" for name in raw.columns}))
    faults = _faults(table.columns)
    if table.quarantine_repeats:
        repeated = pl.struct(table.key).is_duplicated()
        faults.append(pl.when(repeated).then(pl.lit(f"{', '.join(table.key)} occurs twice")))
    reason = both.select(reason=pl.coalesce(faults))["reason"]
    bad = reason.is_not_null()
    good = typed.filter(~bad)
    if good.height == 0:
        why = str(reason.drop_nulls().first()) if frame.height else "the table is empty"
        raise TableError(f"{table.name}: no valid row ({why}); correct the source")
    _check_key(good, table)
    quarantine = raw.filter(bad).select(_as_text(name, dtype) for name, dtype in raw.schema.items())
    return Validated(
        good=good,
        quarantine=quarantine.with_columns(reason.filter(bad)),
        notes=tuple(notes),
    )


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    if dtype.is_nested():
        return pl.when(pl.col(name).is_not_null()).then(pl.struct(name).struct.json_encode())
    return pl.col(name).cast(pl.String, strict=False)


def _cast(column: Column, dtype: pl.DataType) -> pl.Expr:
    value = pl.col(column.name)
    if dtype == pl.String and column.dtype == UTC:
        return value.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    if dtype == pl.String and column.dtype == pl.Date:
        return value.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    if dtype == pl.String and column.dtype == pl.Boolean:
        return value.str.to_lowercase().replace_strict(
            ["true", "false"], [True, False], default=None, return_dtype=pl.Boolean
        )
    if isinstance(dtype, pl.Datetime) and column.dtype == UTC and dtype.time_zone is None:
        return value.dt.replace_time_zone("UTC").dt.cast_time_unit("us")
    if dtype in (pl.Float32, pl.Float64) and column.dtype in (pl.Int64, pl.Int32):
        whole = value.is_finite() & (value == value.floor())
        return pl.when(whole).then(value).cast(column.dtype, strict=False)
    return value.cast(column.dtype, strict=False)


def _faults(columns: Iterable[Column]) -> list[pl.Expr]:
    faults: list[pl.Expr] = [pl.lit(None, dtype=pl.String)]
    for c in columns:
        value, given = pl.col(c.name), pl.col(f"raw_{c.name}")
        lost = value.is_null() & given.is_not_null()
        faults.append(pl.when(lost).then(pl.lit(f"{c.name} is not {_type_words(c.dtype)}")))
        if not c.nullable:
            faults.append(pl.when(value.is_null()).then(pl.lit(f"{c.name} is missing")))
        if c.dtype == pl.Float64:
            faults.append(pl.when(~value.is_finite()).then(pl.lit(f"{c.name} is not finite")))
        if c.low is not None:
            faults.append(pl.when(value < c.low).then(pl.lit(f"{c.name} is below {c.low:g}")))
        if c.high is not None:
            faults.append(pl.when(value > c.high).then(pl.lit(f"{c.name} is above {c.high:g}")))
    return faults


def _type_words(dtype: Dtype) -> str:
    if dtype in (pl.Int64, pl.Int32):
        return "a whole number"
    if dtype == pl.Float64:
        return "a number"
    if dtype == UTC or dtype == pl.Date:
        return "a date"
    return "text" if dtype == pl.String else "true or false"


def _check_key(frame: pl.DataFrame, table: Table) -> None:
    repeated = frame.select(table.key).is_duplicated()
    if repeated.any():
        first = ", ".join(map(repr, frame.filter(repeated).select(table.key).row(0)))
        raise TableError(
            f"{table.name}: {', '.join(table.key)} must be unique, but {repeated.sum()} rows "
            f"share one, the first {first}: remove the duplicates"
        )
