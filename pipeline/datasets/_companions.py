"""What all readers of recordings beside the main ones check, count and number alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

import polars as pl

from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.table import Table
from baimo.pipeline.variables import DAYS_PER_YEAR, HUB_FLOOR

AGE_DIGITS = 4


class Companion(NamedTuple):
    """A recording beside the main ones.

    Parameters
    ----------
    kind
        What it is; a table is made of one or several kinds.
    table
        Name of the table.
    rows
        One row an item (and population, or day).
    """

    kind: str
    table: str
    rows: pl.DataFrame


def owner_of(column: str) -> pl.Expr:
    """Return the owner of a repository's id, null without one: gpt2 has none, a/b has a."""
    parts = pl.col(column).str.splitn("/", 2).struct
    return pl.when(parts.field("field_1").is_not_null()).then(parts.field("field_0"))


def numbered(rows: pl.DataFrame, values: Sequence[str], within: Sequence[str] = ()) -> pl.DataFrame:
    """Replace authors by numbers in an order in which names have no part.

    Parameters
    ----------
    rows
        One row an item, with `author` (null: none).
    values
        Columns by which authors with equally many items are told apart; those that these do not
        tell apart can be exchanged without changing the table.
    within
        Columns whose values have numbers of their own, each from 0.
    """
    each = [pl.col(n).cast(pl.String).fill_null("-") for n in values]
    items = {
        name: pl.concat_str(each, separator=between).sort().str.join(";")
        for name, between in (("items", ""), ("told_apart", ","))  # 1, 11 is not 11, 1
    }
    names = (
        rows.drop_nulls("author")
        .group_by(*within, "author")
        .agg(n_items=pl.len(), **items)
        .sort(["n_items", *items], descending=True)
    )
    place = pl.int_range(pl.len(), dtype=pl.Int64)
    codes = names.select(*within, "author", code=place.over(within) if within else place)
    found = rows.join(codes, on=[*within, "author"], how="left")
    return found.drop("author").rename({"code": "author"})


def counted(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Count rows that are equal in all columns of a table but its last."""
    *names, n = table.names
    found = rows.group_by(names).agg(pl.len().alias(n)).sort(names, nulls_last=True)
    return found.select(pl.col(c.name).cast(c.dtype) for c in table.columns)


def age_at(created: pl.Expr, seen: datetime) -> pl.Expr:
    """Return years from creation to the moment of observation, null where that is not known."""
    age = (pl.lit(seen) - created).dt.total_seconds() / (86400 * DAYS_PER_YEAR)
    return pl.when((created.dt.date() > HUB_FLOOR) & (age > 0)).then(age)


def moment(column: str, frame: pl.DataFrame) -> pl.Expr:
    """Return a moment in UTC, null where it cannot be read."""
    if frame.schema[column] == pl.String:
        return pl.col(column).str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    return pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def day_of(text: str) -> date:
    """Return the day of an ISO date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SourceError(f"{text!r} is no day; days look like 2024-07-11") from None


def require(frame: pl.DataFrame, *columns: str) -> None:
    """Refuse a frame that lacks columns."""
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise SourceError(f"column {', '.join(missing)} is missing; rename or add it")


def check_counts(frame: pl.DataFrame, *columns: str) -> None:
    """Refuse counts that are missing, negative or not whole."""
    for column in columns:
        value = pl.col(column)
        if not frame.schema[column].is_integer():
            raise SourceError(f"{column} holds no whole numbers; convert it")
        bad = frame.filter(value.is_null() | (value < 0)).height
        if bad:
            raise SourceError(f"{column}: {bad:,} counts are missing or negative; correct them")


def one_row_each(rows: pl.DataFrame, column: str) -> None:
    """Refuse an item that has several rows."""
    twice = rows.filter(pl.col(column).is_duplicated())[column]
    if twice.len():
        raise SourceError(f"{twice.min()!r} has several rows: keep one row for each {column}")


def one_pair(rows: pl.DataFrame) -> None:
    """Refuse rows of several pairs of days, or of days in reverse."""
    pairs = rows.select("before_on", "after_on").unique()
    if pairs.height != 1:
        raise SourceError(f"{pairs.height} pairs of days: give the rows of one pair")
    before, after = pairs.row(0)
    if before >= after:
        raise SourceError(f"the earlier day, {before}, is not before the later, {after}")
