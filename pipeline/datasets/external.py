"""Recordings beside the main ones: likes of two days, downloads of two windows, other sizes.

`read_companion` recognises a Parquet file by its columns and turns it into one row an item; the
`tabulate_` functions count such rows into the small tables that travel with the project:

- `hub_increments` from snapshots of one cohort of models (id, author, created_at, likes,
  snapshot_at): the first against the last;
- `hub_waves` from the downloads of matched models on two days (model_id and two columns
  downloads_YYYY_MM_DD);
- `tvl_growth_periods` from protocols of several dates by DeFiLlama's id (observed_on, id, name,
  category, listed_at, tvl_usd), with the fitted tables (`baimo.pipeline.datasets.growth_periods`);
- `other_sizes` from a listing of Hub datasets (dataset_id, downloads, likes), and from daily TVL
  of chains in million USD (Date, and a column for each chain).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path

import polars as pl

from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.derived import (
    HUB_INCREMENTS,
    HUB_WAVES,
    OTHER_SIZES,
    TVL_GROWTH_PERIODS,
)
from baimo.pipeline.schema.table import Table
from baimo.pipeline.variables import DAYS_PER_YEAR, HUB_FLOOR

Companion = tuple[str, pl.DataFrame]
"""Name of the table, and the rows that are counted into it."""

AGE_DIGITS = 4
MILLION = 1e6
SUMS = {"total", "sum", "all"}  # columns of a table of chains that are no chains
_WINDOW = re.compile(r"downloads_(\d{4})_(\d{2})_(\d{2})")
_DATE = re.compile(r"20\d\d-[01]\d-[0-3]\d")


def tabulate_increments(rows: pl.DataFrame) -> pl.DataFrame:
    """Count models by author, age and likes on two days (`hub_increments`).

    Parameters
    ----------
    rows
        One row a model: hub_id, author (null: none), age (years when first observed), likes_before
        and likes_after (null: not there), before_on, after_on.

    Raises
    ------
    SourceError
        A model has two rows, or rows are of several pairs of days.

    Notes
    -----
    Authors become numbers, those with most models first, then by the likes and ages of their
    models. Authors that these do not tell apart can be exchanged without changing the table, so
    that it is the same whatever the authors are called.
    """
    _one_row_each(rows, "hub_id")
    _one_pair(rows)
    rounded = rows.with_columns(pl.col("age").round_sig_figs(AGE_DIGITS))
    names = _numbered(rounded.drop_nulls("author"))
    known = rounded.join(names, on="author", how="left").drop("author")
    return _counted(known.rename({"code": "author"}), HUB_INCREMENTS)


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Return author -> code, in an order in which names have no part."""
    model = pl.concat_str(
        pl.col(n).cast(pl.String).fill_null("-") for n in ("likes_before", "likes_after", "age")
    )
    return (
        rows.group_by("author")
        .agg(n_models=pl.len(), models=model.sort().str.join(";"))
        .sort(["n_models", "models"], descending=True)
        .select("author", code=pl.int_range(pl.len(), dtype=pl.Int64))
    )


def tabulate_waves(rows: pl.DataFrame) -> pl.DataFrame:
    """Count models by their downloads in two windows (`hub_waves`).

    Parameters
    ----------
    rows
        One row a model: model_id, downloads_before, downloads_after, before_on, after_on.

    Raises
    ------
    SourceError
        A model has two rows, or rows are of several pairs of days.
    """
    _one_row_each(rows, "model_id")
    _one_pair(rows)
    return _counted(rows, HUB_WAVES)


def tabulate_sizes(rows: pl.DataFrame) -> pl.DataFrame:
    """Count items of other populations by size (`other_sizes`).

    Parameters
    ----------
    rows
        One row an item: population, size, taken_on.

    Raises
    ------
    SourceError
        A population is of several days.
    """
    days = rows.group_by("population").agg(pl.col("taken_on").n_unique()).sort("population")
    several = days.filter(pl.col("taken_on") > 1)["population"]
    if several.len():
        raise SourceError(f"{', '.join(several)}: sizes of several days; keep those of one")
    return _counted(rows, OTHER_SIZES)


_TABULATED: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    HUB_INCREMENTS.name: tabulate_increments,
    HUB_WAVES.name: tabulate_waves,
    OTHER_SIZES.name: tabulate_sizes,
    TVL_GROWTH_PERIODS.name: lambda rows: rows,
}


def tabulate_companions(found: Iterable[Companion]) -> dict[str, pl.DataFrame]:
    """Count what `read_companion` found into tables, by name; a table nobody gave has no entry.

    Protocols by id are not counted but measured, with tables that are not here: they come back as
    they are.

    Raises
    ------
    SourceError
        Two recordings tell the same.
    """
    parts: dict[str, list[pl.DataFrame]] = {}
    stated: set[str] = set()
    for name, rows in found:
        what = set(rows["population"].unique()) if name == OTHER_SIZES.name else {name}
        if what & stated:
            raise SourceError(f"two recordings of {', '.join(sorted(what & stated))}: give one")
        stated |= what
        parts.setdefault(name, []).append(rows)
    return {n: made(pl.concat(parts[n])) for n, made in _TABULATED.items() if n in parts}


def n_items(companion: Companion) -> int:
    """Return how many models, datasets or chains the rows stand for."""
    name, rows = companion
    if name == OTHER_SIZES.name:  # a dataset has a row for its downloads and one for its likes
        rows = rows.filter(pl.col("population") == rows["population"][0])
    return rows.height


_DAYS = {OTHER_SIZES.name: ["taken_on"], TVL_GROWTH_PERIODS.name: ["observed_on"]}


def days_of(companion: Companion) -> str:
    """Return the days of the rows, in words."""
    name, rows = companion
    columns = _DAYS.get(name, ["before_on", "after_on"])
    days = {str(day) for column in columns for day in rows[column].unique()}
    if len(days) > 2:
        return f"{min(days)} to {max(days)}, {len(days)} days"
    return " and ".join(sorted(days))


def _counted(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    *names, n = table.names
    counted = rows.group_by(names).agg(pl.len().alias(n)).sort(names, nulls_last=True)
    return counted.select(pl.col(c.name).cast(c.dtype) for c in table.columns)


def _one_row_each(rows: pl.DataFrame, column: str) -> None:
    twice = rows.filter(pl.col(column).is_duplicated())[column]
    if twice.len():
        raise SourceError(f"{twice.min()!r} has several rows: keep one row for each {column}")


def _one_pair(rows: pl.DataFrame) -> None:
    pairs = rows.select("before_on", "after_on").unique()
    if pairs.height != 1:
        raise SourceError(f"{pairs.height} pairs of days: give the rows of one pair")
    before, after = pairs.row(0)
    if before >= after:
        raise SourceError(f"the earlier day, {before}, is not before the later, {after}")


def read_companion(path: Path) -> Companion | None:
    """Return (table name, rows) of a Parquet file that is recognised by its columns, else None.

    Raises
    ------
    SourceError
        The file is recognised but cannot be used: columns, days or values are missing, an item
        occurs twice.
    """
    if path.suffix.lower() != ".parquet":
        return None
    try:
        scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        found = _recognised(set(scan.collect_schema().names()))
    except (OSError, pl.exceptions.PolarsError):
        return None  # whoever reads it as one of the main recordings says what is wrong
    if found is None:
        return None
    name, rows_of = found
    try:
        return name, rows_of(scan.collect(), path.name)
    except (OSError, SourceError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"{path.name}: {str(error).splitlines()[0]}") from error


def _recognised(names: set[str]) -> tuple[str, Callable[[pl.DataFrame, str], pl.DataFrame]] | None:
    if {"id", "snapshot_at"} <= names:
        return HUB_INCREMENTS.name, _of_panel
    if "model_id" in names and any(map(_WINDOW.fullmatch, names)):
        return HUB_WAVES.name, _of_waves
    if "dataset_id" in names:
        return OTHER_SIZES.name, _of_datasets
    if {"observed_on", "id", "category", "tvl_usd"} <= names:
        return TVL_GROWTH_PERIODS.name, _of_protocols
    if {"Date", "Ethereum"} <= names and "protocol" not in names:
        return OTHER_SIZES.name, _of_chains
    return None


def _of_panel(frame: pl.DataFrame, _: str) -> pl.DataFrame:
    """Return the models of the first and the last snapshot of a cohort.

    A model that a snapshot marks as `removed` is not there.
    """
    _require(frame, "author", "created_at", "likes")
    taken = frame.with_columns(
        at=_moment("snapshot_at", frame), created=_moment("created_at", frame)
    )
    first, last = taken["at"].min(), taken["at"].max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        raise SourceError("no usable snapshot_at; it looks like 2026-08-19T09:36:31+02:00")
    if "removed" in frame.columns:
        taken = taken.filter(~pl.col("removed").fill_null(False))
    sides = [taken.filter(pl.col("at") == at) for at in (first, last)]
    for side in sides:
        _check_counts(side, "likes")
        _one_row_each(side, "id")
    both = sides[0].join(sides[1], on="id", how="full", coalesce=True, suffix="_later")
    created = pl.coalesce("created", "created_later")
    rows = both.select(
        hub_id="id",
        author=pl.coalesce("author", "author_later"),
        age=_age(created, first),
        likes_before="likes",
        likes_after="likes_later",
        before_on=pl.lit(first.date()),
        after_on=pl.lit(last.date()),
    )
    _one_pair(rows)
    return rows


def _age(created: pl.Expr, seen: datetime) -> pl.Expr:
    """Return years from creation to the moment of observation, null where that is not known."""
    age = (pl.lit(seen) - created).dt.total_seconds() / (86400 * DAYS_PER_YEAR)
    return pl.when((created.dt.date() > HUB_FLOOR) & (age > 0)).then(age)


def _of_waves(frame: pl.DataFrame, _: str) -> pl.DataFrame:
    found = sorted(n for n in frame.columns if _WINDOW.fullmatch(n))
    if len(found) != 2:
        raise SourceError(f"{', '.join(found)}: downloads of two days are needed")
    _check_counts(frame, *found)
    _one_row_each(frame, "model_id")
    before_on, after_on = (_day(n.removeprefix("downloads_").replace("_", "-")) for n in found)
    return frame.select(
        "model_id",
        downloads_before=found[0],
        downloads_after=found[1],
        before_on=pl.lit(before_on),
        after_on=pl.lit(after_on),
    ).cast({"downloads_before": pl.Int64, "downloads_after": pl.Int64})


def _of_datasets(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    _require(frame, "downloads", "likes")
    _check_counts(frame, "downloads", "likes")
    _one_row_each(frame, "dataset_id")
    dated = _DATE.search(name)
    newest = frame["created_at"].cast(pl.String).max() if "created_at" in frame.columns else None
    if dated is None and newest is None:
        raise SourceError("datasets without a date: put YYYY-MM-DD in the file's name")
    taken_on = _day(dated[0] if dated else str(newest)[:10])
    return pl.concat(
        frame.select(
            population=pl.lit(f"datasets_{column}"),
            size=pl.col(column).cast(pl.Float64),
            taken_on=pl.lit(taken_on),
        )
        for column in ("downloads", "likes")
    )


def _of_protocols(frame: pl.DataFrame, _: str) -> pl.DataFrame:
    """Return protocols of several dates by id; those without a TVL have none."""
    _require(frame, "name", "listed_at")
    rows = frame.select(
        pl.col("observed_on").cast(pl.Date),
        pl.col("id", "name", "category").cast(pl.String),
        pl.col("listed_at").cast(pl.Date),
        pl.col("tvl_usd").cast(pl.Float64).fill_null(0.0).clip(0.0),
    )
    twice = rows.filter(pl.struct("observed_on", "id").is_duplicated())["id"]
    if twice.len():
        raise SourceError(f"{twice.min()!r} has several rows on one day: keep one")
    return rows


def _of_chains(frame: pl.DataFrame, _: str) -> pl.DataFrame:
    """Return the TVL (USD) of the chains with a positive one on the last day with values."""
    chains = [c for c in frame.columns if c != "Date" and c.strip().lower() not in SUMS]
    days = frame.select(
        pl.col("Date").cast(pl.String).str.slice(0, 10), pl.col(chains).cast(pl.Float64)
    ).sort("Date", nulls_last=True)
    filled = days.drop_nulls("Date").filter(pl.any_horizontal(pl.col(chains).is_not_null()))
    if filled.is_empty():
        raise SourceError("no day has a value; give the TVL of chains in million USD")
    last = filled.tail(1).unpivot(chains, variable_name="chain", value_name="tvl").drop_nulls()
    if last.filter(~pl.col("tvl").is_finite() | (pl.col("tvl") < 0)).height:
        raise SourceError(f"{filled['Date'][-1]}: values that are no sizes; correct them")
    return last.filter(pl.col("tvl") > 0).select(
        population=pl.lit("chains_tvl"),
        size=(pl.col("tvl") * MILLION).round(0),
        taken_on=pl.lit(_day(filled["Date"][-1])),
    )


def _moment(column: str, frame: pl.DataFrame) -> pl.Expr:
    """Return a moment in UTC, null where it cannot be read."""
    if frame.schema[column] == pl.String:
        return pl.col(column).str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    return pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SourceError(f"{text!r} is no day; days look like 2024-07-11") from None


def _require(frame: pl.DataFrame, *columns: str) -> None:
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise SourceError(f"column {', '.join(missing)} is missing; rename or add it")


def _check_counts(frame: pl.DataFrame, *columns: str) -> None:
    """Refuse counts that are missing, negative or not whole."""
    for column in columns:
        value = pl.col(column)
        if not frame.schema[column].is_integer():
            raise SourceError(f"{column} holds no whole numbers; convert it")
        bad = frame.filter(value.is_null() | (value < 0)).height
        if bad:
            raise SourceError(f"{column}: {bad:,} counts are missing or negative; correct them")
