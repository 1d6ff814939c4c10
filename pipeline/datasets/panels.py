"""Panels: the same models on several days, joined by hub_id, as frames that stream.

Every function returns a LazyFrame. Nothing is read but the footers and the first ids of each
day until it is collected (`collect(engine="streaming")`) or written (`sink_parquet`). A day's
file is sorted by hub_id, so that two days are merged rather than hashed, pair after pair: memory
stays with a few blocks of rows.

Models are told apart by hub_id, which survives renames; a name may pass from one model to another.

`likes` and `downloads_all_time` are stocks, whose differences may be negative (unlikes, spam
removed, recounts). `downloads` is the flow of the last 30 days: it is not differenced, and only
windows that do not overlap are put side by side. `created_at` is left-censored: the Hub dates
everything older 2022-03-02, so the age of a model with that day is a lower bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from baimo.pipeline.errors import LakeError, TableError
from baimo.pipeline.lake.atomic import open_parquet, present, write_atomically
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.schema.table import Dtype
from baimo.pipeline.variables import DAYS_PER_YEAR, HUB_FLOOR

Step = int | None
Days = Iterable[date] | None
Names = Sequence[str]

MODELS = HUB_MODELS.name
WINDOW_DAYS = 30  # `downloads` counts so many days back
MOST_ROWS = 2**32 - 1  # of a slice
BREAKS = {
    date(2025, 7, 25): "other requests count as downloads from this day on: params.json",
    date(2026, 8, 6): "other requests count as downloads from this day on: diffusers",
}


def stored_days(lake: Lake, table: str, first: date, last: date) -> list[date]:
    """Return the days from `first` to `last` that the lake holds, ascending."""
    _check_order(first, last)
    found = (d for d in set(lake.days(table)) if first <= d <= last)
    return sorted(d for d in found if present(lake.path(table, d)))


def _check_order(first: date, last: date) -> None:
    if first > last:
        raise LakeError(f"the first day, {first}, lies after the last, {last}: exchange them")


def grid(first: date, last: date, step: Step) -> list[date]:
    """Return every `step`-th day from `first`, not beyond `last`; the two ends for None."""
    if step is None:
        return sorted({first, last})
    if step < 1:
        raise LakeError(f"a step of {step} days leads nowhere: give at least 1")
    return [first + timedelta(days=n) for n in range(0, (last - first).days + 1, step)]


def crosses_break(start: date, end: date) -> bool:
    """Return whether counts between two snapshots mix two counting rules.

    Both days count as crossing when a rule changed on them: the hour of the change is unknown.
    """
    return any(start <= day <= end for day in BREAKS)


def scan(
    lake: Lake, table: str, first: date, last: date, *, needed: Iterable[date] = ()
) -> pl.LazyFrame:
    """Return all rows of a table from `first` to `last`, day after day, with their `date` (Date).

    Days that the lake does not hold are passed over, except the `needed` ones. Columns that a
    day's file was written without are null.

    Raises
    ------
    LakeError
        A needed day is missing, or there is no day at all.
    """
    days = stored_days(lake, table, first, last)
    _require(lake, table, needed)
    if not days:
        raise LakeError(f"the lake holds no day of {table} from {first} to {last}: {_REMEDY}")
    return _scan([lake.path(table, d) for d in days], table, hive=True)


_REMEDY = "fetch it (baimo refresh, baimo backfill), or name the days there are"


def _require(lake: Lake, table: str, days: Iterable[date]) -> None:
    wanted = sorted(set(days))
    missing = [d for d in wanted if not present(lake.path(table, d))]
    if missing:
        raise LakeError(
            f"{table}: {len(missing)} of {len(wanted)} needed days not in the lake: "
            f"{_list_days(missing)}; {_REMEDY}"
        )


def _list_days(days: Sequence[date]) -> str:
    """Return days in words, runs of neighbours drawn together."""
    runs: list[list[date]] = []
    for day in days:
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]} to {r[-1]}" for r in runs)


def _scan(paths: list[Path], table: str, *, hive: bool = False) -> pl.LazyFrame:
    schema = TABLES[table].schema if table in TABLES else None
    return pl.scan_parquet(
        paths,
        schema=schema,
        hive_partitioning=hive,
        hive_schema={"date": pl.Date} if hive else None,
        missing_columns="insert" if schema else "raise",
        extra_columns="ignore" if schema else "raise",
    )


def _models(lake: Lake, days: Iterable[date]) -> dict[date, pl.LazyFrame]:
    """Return the models of each day by hub_id, ready for a merge; see `increments` for errors."""
    models, n_rows = {}, 0
    for day in days:
        path = lake.path(MODELS, day)
        models[day] = _scan([path], MODELS)
        with open_parquet(path) as file:
            n_rows += file.metadata.num_rows
            if not file.metadata.num_rows:
                continue
            head = file.read_row_group(0, columns=["hub_id", "model_id", "source"])
            first, name, source = (head.column(n)[0].as_py() for n in head.column_names)
            if source == "reference" or first == name:
                raise LakeError(
                    f"{MODELS} of {day} ({source}) tells its models by number or name, not by an "
                    "id that survives renames, and cannot be joined to other days: leave it out"
                )
            in_order = _is_sorted(file)
        models[day] = models[day].set_sorted("hub_id") if in_order else models[day].sort("hub_id")
    if n_rows > MOST_ROWS:
        raise LakeError(
            f"{n_rows:,} rows on {len(models)} days, a panel holds {MOST_ROWS:,}: take fewer days"
        )
    return models


def _is_sorted(file: Any) -> bool:
    """Say whether a file is sorted by hub_id: its footer declares it, or all ids are looked at.

    A merge of rows in disorder would lose models silently.
    """
    column = file.schema_arrow.get_field_index("hub_id")
    groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
    if all(g.sorting_columns and g.sorting_columns[0].column_index == column for g in groups):
        return True
    ids = pl.Series(file.read(columns=["hub_id"]).column("hub_id"))
    return ids.is_sorted()


def _pairs(
    lake: Lake, first: date, last: date, step: Step, days: Days
) -> tuple[list[tuple[date, date]], dict[date, pl.LazyFrame]]:
    """Return pairs of days and the models of each day."""
    _check_order(first, last)
    wanted = grid(first, last, step) if days is None else sorted(set(days))
    outside = [d for d in wanted if not first <= d <= last]
    if outside:
        raise LakeError(f"{_list_days(outside)} not from {first} to {last}: widen the range")
    _require(lake, MODELS, wanted)
    return list(pairwise(wanted)), _models(lake, wanted)


def _below(parts: list[pl.LazyFrame], schema: dict[str, Dtype]) -> pl.LazyFrame:
    """Put parts below each other; no part is an empty panel, not an error."""
    if not parts:
        return pl.LazyFrame(schema=schema)
    # A sum over parts would read all at once, each with its own buffers. A slice of everything
    # keeps their order, and memory does not grow with the number of days.
    return pl.concat(part.select(*schema) for part in parts).slice(0)


def _carried(names: Names) -> dict[str, Dtype]:
    unknown = [name for name in names if name not in HUB_MODELS.schema]
    if unknown:
        raise TableError(
            f"{MODELS} has no column {', '.join(unknown)}: see baimo.pipeline.schema.catalog"
        )
    return {name: HUB_MODELS.schema[name] for name in names}


def _day(day: date, name: str) -> pl.Expr:
    return pl.lit(day, dtype=pl.Date).alias(name)


_STOCKS = ("likes", "downloads_all_time")
INCREMENTS: dict[str, Dtype] = {
    "hub_id": pl.String, "from_date": pl.Date, "to_date": pl.Date, "elapsed_days": pl.Int32,
    "likes_from": pl.Int64, "likes_to": pl.Int64, "d_likes": pl.Int64,
    "downloads_all_time_from": pl.Int64, "downloads_all_time_to": pl.Int64,
    "d_downloads_all_time": pl.Int64, "crosses_break": pl.Boolean,
}  # fmt: skip
WINDOWS: dict[str, Dtype] = {
    "hub_id": pl.String, "window": pl.Int32, "starts_on": pl.Date, "ends_on": pl.Date,
    "downloads": pl.Int64, "counting_rule": pl.Int32, "crosses_break": pl.Boolean,
}  # fmt: skip


def increments(
    lake: Lake, first: date, last: date, *, step: Step = 1, days: Days = None, carry: Names = ()
) -> pl.LazyFrame:
    """Return how much the stocks of each model changed between one day and the next.

    Models that are not there on both days are left out: see `entries` and `removals`.

    Parameters
    ----------
    step
        Days between the two ends of a pair, from `first` on, not beyond `last`; None pairs
        `first` with `last` alone.
    days
        The days to pair, each with the next, instead of a step.
    carry
        Further columns as of the earlier day. `created_at` gives ages, but its first day,
        2022-03-02, stands for everything older: left-censored.

    Returns
    -------
    LazyFrame
        Columns of `INCREMENTS` and `carry`, by pair and hub_id. `d_downloads_all_time` is null
        where either end is, and negative where the Hub took downloads back.
        `crosses_break` marks pairs across a change of the counting rules (`BREAKS`), which
        touches downloads, not likes.

    Raises
    ------
    LakeError
        A needed day is missing, its models have no lasting ids, or the days are too many.
    """
    pairs, models = _pairs(lake, first, last, step, days)
    return _below([_growth(a, b, models, carry) for a, b in pairs], INCREMENTS | _carried(carry))


def _growth(start: date, end: date, models: dict[date, pl.LazyFrame], carry: Names) -> pl.LazyFrame:
    before = models[start].select(
        "hub_id", *(pl.col(s).alias(f"{s}_from") for s in _STOCKS), *carry
    )
    after = models[end].select("hub_id", *(pl.col(s).alias(f"{s}_to") for s in _STOCKS))
    both = before.join(after, on="hub_id", maintain_order="left_right")
    return both.with_columns(
        *((pl.col(f"{s}_to") - pl.col(f"{s}_from")).alias(f"d_{s}") for s in _STOCKS),
        _day(start, "from_date"),
        _day(end, "to_date"),
        pl.lit((end - start).days, dtype=pl.Int32).alias("elapsed_days"),
        pl.lit(crosses_break(start, end)).alias("crosses_break"),
    )


def write_increments(lake: Lake, first: date, last: date, out: Path) -> int:
    """Write both ends of every model's likes and downloads, with age and author; return how many.

    Parameters
    ----------
    out
        A Parquet file: hub_id, author, age (years at the end of the first day, null where the
        date of creation is the Hub's floor or later than that day), likes_from, likes_to,
        downloads_all_time_from, downloads_all_time_to; null where the model is not there.

    Raises
    ------
    LakeError
        As for `increments`, or the file cannot be written.
    """
    if out.suffix.lower() not in (".parquet", ".pq"):
        raise LakeError(f"{out}: what is written is Parquet; give a name that ends in .parquet")
    rows = both_ends(lake, first, last)
    write_atomically(out, lambda temporary: rows.sink_parquet(temporary, compression="zstd"))
    return int(pl.scan_parquet(out, glob=False).select(pl.len()).collect().item())


def both_ends(lake: Lake, first: date, last: date) -> pl.LazyFrame:
    """Return what `write_increments` writes, under the same conditions."""
    _check_order(first, last)
    if first == last:
        raise LakeError(f"{first} twice: give two different days")
    _require(lake, MODELS, [first, last])
    models = _models(lake, [first, last])
    before, after = (
        models[day].select(
            "hub_id", "author", "created_at", *(pl.col(s).alias(f"{s}_{end}") for s in _STOCKS)
        )
        for day, end in ((first, "from"), (last, "to"))
    )
    both = before.join(after, on="hub_id", how="full", coalesce=True, suffix="_later")
    created = pl.coalesce("created_at", "created_at_later")
    end = datetime.combine(first + timedelta(days=1), time(), UTC)
    age = (pl.lit(end) - created).dt.total_seconds() / (86400 * DAYS_PER_YEAR)
    dated = (created.dt.date() > HUB_FLOOR) & (age > 0)
    stocks = [f"{s}_{side}" for s in _STOCKS for side in ("from", "to")]
    return both.select(
        "hub_id",
        pl.coalesce("author", "author_later"),
        pl.when(dated).then(age).alias("age"),
        *stocks,
    ).sort("hub_id")


def window_days(lake: Lake, first: date, last: date, *, tolerance: int = 0) -> list[date]:
    """Return the days whose `downloads` cover windows that do not overlap.

    They are `first`, 30 days later, and so on up to `last`; with a tolerance each may be the
    nearest day of the range within so many days (of two, the earlier), at least 30 days after
    the one before.

    Raises
    ------
    LakeError
        There is no day for a window; the message lists all such windows.
    """
    stored = stored_days(lake, MODELS, first, last)
    if tolerance < 0:
        raise LakeError(f"a tolerance of {tolerance} days: give 0 or more")
    chosen: list[date] = []
    missing: list[date] = []
    for target in grid(first, last, WINDOW_DAYS):
        free = chosen[-1] + timedelta(days=WINDOW_DAYS) if chosen else first
        near = [d for d in stored if abs((d - target).days) <= tolerance and d >= free]
        if near:
            chosen.append(min(near, key=lambda d: (abs((d - target).days), d)))
        else:
            missing.append(target)
    if missing:
        raise LakeError(
            f"{MODELS}: no day for {len(missing)} of {len(missing) + len(chosen)} windows, "
            f"those that end on {_list_days(missing)} (tolerance {tolerance} days); {_REMEDY}, or "
            "allow a greater tolerance"
        )
    return chosen


def windows(
    lake: Lake, first: date, last: date, *, tolerance: int = 0, carry: Names = ()
) -> pl.LazyFrame:
    """Return the downloads of each model in disjoint windows of 30 days.

    `downloads` of a day counts the 30 days that end with it, so the first window begins before
    `first`. A model has a row in every window on whose last day it is listed; one created
    within it has had less time (`carry=["created_at"]` tells, left-censored at 2022-03-02).

    Days are chosen as in `window_days`; `carry` names further columns of a window's last day.

    Returns
    -------
    LazyFrame
        Columns of `WINDOWS` and `carry`, by window and hub_id. Two windows may be compared where
        neither has `crosses_break` and both have the same `counting_rule`, which numbers
        the stretches between `BREAKS` from 0.
    """
    days = window_days(lake, first, last, tolerance=tolerance)
    models = _models(lake, days)
    parts = [
        models[end].with_columns(
            pl.lit(n, dtype=pl.Int32).alias("window"),
            _day(end - timedelta(days=WINDOW_DAYS - 1), "starts_on"),
            _day(end, "ends_on"),
            pl.lit(sum(day <= end for day in BREAKS), dtype=pl.Int32).alias("counting_rule"),
            pl.lit(crosses_break(end - timedelta(days=WINDOW_DAYS), end)).alias("crosses_break"),
        )
        for n, end in enumerate(days)
    ]
    return _below(parts, WINDOWS | _carried(carry))


EVENTS: dict[str, Dtype] = {
    "hub_id": pl.String, "created_at": HUB_MODELS.schema["created_at"], "from_date": pl.Date,
    "to_date": pl.Date, "model_id_from": pl.String, "model_id_to": pl.String,
}  # fmt: skip


def entries(
    lake: Lake, first: date, last: date, *, step: Step = 1, days: Days = None
) -> pl.LazyFrame:
    """Return the models that are listed on a day and were not on the one before.

    Days are chosen as in `increments`. Models of the first day are no entries: nothing tells when
    they came.

    Returns
    -------
    LazyFrame
        hub_id, created_at, from_date (the last day without it), to_date (the first with it),
        model_id, last_seen_on and model_id_before (of one that comes back within the range, else
        null), by to_date and hub_id. created_at is left-censored at 2022-03-02, and lies
        between the two dates unless the model existed unlisted.
    """
    before = pl.col("earlier").struct
    return (
        _events(lake, first, last, step, days)
        .filter(pl.col("model_id_from").is_null())
        .with_columns(
            before.field("from_date").alias("last_seen_on"),
            before.field("model_id_from").alias("model_id_before"),
        )
        .rename({"model_id_to": "model_id"})
        .drop("model_id_from", "earlier", "later")
    )


def removals(
    lake: Lake, first: date, last: date, *, step: Step = 1, days: Days = None
) -> pl.LazyFrame:
    """Return the models that are listed on a day and are not on the next.

    Deleted, made private or taken down: the listing does not tell which. Days are chosen as in
    `increments`.

    Returns
    -------
    LazyFrame
        hub_id, created_at (left-censored at 2022-03-02), from_date (the last day with it),
        to_date (the first without it), model_id, back_on (the day on which it is listed again, null
        if not within the range), by to_date and hub_id.
    """
    return (
        _events(lake, first, last, step, days)
        .filter(pl.col("model_id_to").is_null())
        .with_columns(pl.col("later").struct.field("to_date").alias("back_on"))
        .rename({"model_id_from": "model_id"})
        .drop("model_id_to", "earlier", "later")
    )


def renames(
    lake: Lake, first: date, last: date, *, step: Step = 1, days: Days = None
) -> pl.LazyFrame:
    """Return the models that have another name on a day than when they were last seen.

    Days are chosen as in `increments`; a model that was away meanwhile is here too.

    Returns
    -------
    LazyFrame
        hub_id, model_id_from, model_id_to, from_date (the last day under the old name), to_date
        (the first under the new), by to_date and hub_id.
    """
    back, before = pl.col("model_id_from").is_null(), pl.col("earlier").struct
    last_seen = [
        pl.when(back).then(before.field(name)).otherwise(name).alias(name)
        for name in ("model_id_from", "from_date")
    ]
    return (
        _events(lake, first, last, step, days)
        .with_columns(last_seen)
        .filter(pl.col("model_id_from") != pl.col("model_id_to"))
        .select("hub_id", "model_id_from", "model_id_to", "from_date", "to_date")
    )


def _events(lake: Lake, first: date, last: date, step: Step, days: Days) -> pl.LazyFrame:
    """Return entries (no model_id_from), removals (no model_id_to) and renames.

    `earlier` and `later` are the events of the same model before and after: of a return the
    removal, of a removal the return.
    """
    pairs, models = _pairs(lake, first, last, step, days)
    event = pl.struct("from_date", "to_date", "model_id_from")
    return (
        _below([_changed(a, b, models) for a, b in pairs], EVENTS)
        .sort("hub_id", "to_date")
        .with_columns(
            event.shift(1).over("hub_id").alias("earlier"),
            event.shift(-1).over("hub_id").alias("later"),
        )
        .sort("to_date", "hub_id")
    )


def _changed(start: date, end: date, models: dict[date, pl.LazyFrame]) -> pl.LazyFrame:
    old = models[start].select("hub_id", "created_at", model_id_from="model_id")
    new = models[end].select("hub_id", created_later="created_at", model_id_to="model_id")
    both = old.join(new, on="hub_id", how="full", coalesce=True, maintain_order="left_right")
    return both.filter(pl.col("model_id_from").ne_missing(pl.col("model_id_to"))).with_columns(
        # Texts are views into whole blocks: copied, a few rows do not keep all the rest alive.
        pl.col("hub_id", "model_id_from", "model_id_to") + "",
        pl.coalesce("created_at", "created_later").alias("created_at"),
        _day(start, "from_date"),
        _day(end, "to_date"),
    )
