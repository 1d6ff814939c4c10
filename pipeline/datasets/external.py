"""Recordings beside the main ones: likes of two days, downloads of two windows, other sizes.

`read_companion` recognises a Parquet file by its columns and turns it into one row an item; the
`tabulate_` functions count such rows into the small tables that travel with the project:

- `hub_increments` from snapshots of one cohort of models (id, author, created_at, likes,
  snapshot_at): the first against the last;
- `other_increments` from a leaderboard's panel (observed_at, board, model_id, likes) and a
  registry's crawl (model_id, downloads_all_time, ...), joined to the Hub's listing;
- `hub_waves` from the downloads of matched models on two days (model_id and two columns
  downloads_YYYY_MM_DD), and of two listings of Hub datasets;
- `hub_before_floor` from the dates of first commits (model_id, created_at), joined to the listing;
- `tvl_growth_periods` from protocols of several dates by DeFiLlama's id (observed_on, id, name,
  category, listed_at, tvl_usd), with the main recordings of TVL;
- `other_sizes` from a listing of Hub datasets (dataset_id, downloads, likes), and from daily TVL
  of chains in million USD (Date, and a column for each chain);
- `other_design_effects` from the owners of these datasets.

Owners become numbers, those with most items first, then by the values of their items: owners that
these do not tell apart can be exchanged without changing a table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path

import polars as pl

from baimo.pipeline.datasets._companions import (
    AGE_DIGITS,
    Companion,
    age_at,
    check_counts,
    counted,
    day_of,
    moment,
    numbered,
    one_pair,
    one_row_each,
    owner_of,
    require,
)
from baimo.pipeline.datasets.before_floor import BIRTHS, of_births, tabulate_before_floor
from baimo.pipeline.datasets.design_effects import measure_size_effects
from baimo.pipeline.datasets.growth_periods import PROTOCOLS, of_protocols, tabulate_periods
from baimo.pipeline.datasets.picked import (
    LEADERBOARD,
    REGISTRY,
    days_of_picked,
    of_leaderboard,
    of_registry,
    tabulate_picked,
)
from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.derived import (
    HUB_BEFORE_FLOOR,
    HUB_INCREMENTS,
    HUB_WAVES,
    OTHER_DESIGN_EFFECTS,
    OTHER_INCREMENTS,
    OTHER_SIZES,
    TVL_GROWTH_PERIODS,
)
from baimo.pipeline.sources.reference import latest

MILLION = 1e6
SUMS = {"total", "sum", "all"}  # columns of a table of chains that are no chains
Reader = Callable[[pl.DataFrame, str], pl.DataFrame]
WAVE_COLUMNS = ("item_id", *(n for n in HUB_WAVES.names if n != "n_items"))
PANEL, WAVES, CHAINS = "panel", "waves", "chains"  # kinds of recordings
DATASETS, EARLIER = "datasets", "earlier datasets"
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
    """
    one_row_each(rows, "hub_id")
    one_pair(rows)
    rounded = rows.with_columns(pl.col("age").round_sig_figs(AGE_DIGITS))
    return counted(numbered(rounded, ("likes_before", "likes_after", "age")), HUB_INCREMENTS)


def tabulate_waves(rows: pl.DataFrame) -> pl.DataFrame:
    """Count models and datasets by owner and downloads in two windows (`hub_waves`).

    Parameters
    ----------
    rows
        One row an item: population, item_id, author (null: none), downloads_before,
        downloads_after, before_on, after_on.

    Raises
    ------
    SourceError
        An item of a population has two rows, or rows are of several pairs of days.
    """
    for _, part in rows.group_by("population"):
        one_row_each(part, "item_id")
        one_pair(part)
    values = ("downloads_before", "downloads_after")
    return counted(numbered(rows, values, within=("population",)), HUB_WAVES)


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
    return counted(rows, OTHER_SIZES)


def tabulate_companions(
    found: Iterable[Companion], main: Mapping[str, pl.DataFrame], day: date
) -> dict[str, pl.DataFrame]:
    """Count what `read_companion` found into tables, by name; a table nobody gave has no entry.

    Parameters
    ----------
    found
        Recordings.
    main
        The main recordings by table: hub_models, the Hub's listing of `day`; for protocols by id
        also defillama_protocols and tvl_weekly.

    Raises
    ------
    SourceError
        Two recordings tell the same.
    """
    by_kind: dict[str, pl.DataFrame] = {}
    for kind, _, rows in found:
        if kind in by_kind:
            raise SourceError(f"two recordings of {kind}: give one")
        by_kind[kind] = rows
    models = main["hub_models"]
    tables = {}
    if PANEL in by_kind:
        tables[HUB_INCREMENTS.name] = tabulate_increments(by_kind[PANEL])
    picked = tabulate_picked(by_kind.get(LEADERBOARD), by_kind.get(REGISTRY), models, day)
    if not picked.is_empty():
        tables[OTHER_INCREMENTS.name] = picked
    waves = [*_given(by_kind, WAVES), *_of_two_listings(by_kind)]
    if waves:
        tables[HUB_WAVES.name] = tabulate_waves(pl.concat(waves))
    sizes = [*_given(by_kind, DATASETS), *_given(by_kind, CHAINS)]
    if sizes:
        tables[OTHER_SIZES.name] = tabulate_sizes(pl.concat(sizes, how="diagonal"))
    if BIRTHS in by_kind:
        tables[HUB_BEFORE_FLOOR.name] = tabulate_before_floor(by_kind[BIRTHS], models)
    if DATASETS in by_kind:
        effects = measure_size_effects(by_kind[DATASETS])
        if not effects.is_empty():
            tables[OTHER_DESIGN_EFFECTS.name] = effects
    if PROTOCOLS in by_kind:
        tables[TVL_GROWTH_PERIODS.name] = tabulate_periods(
            by_kind[PROTOCOLS], latest(main["defillama_protocols"]), main["tvl_weekly"]
        )
    return tables


def _given(by_kind: dict[str, pl.DataFrame], kind: str) -> list[pl.DataFrame]:
    return [by_kind[kind]] if kind in by_kind else []


def _of_two_listings(by_kind: dict[str, pl.DataFrame]) -> list[pl.DataFrame]:
    """Return the downloads of the datasets that are in both listings, as rows of waves."""
    if not {DATASETS, EARLIER} <= set(by_kind):
        return []
    later = by_kind[DATASETS].filter(pl.col("population") == "datasets_downloads")
    second = later.select(
        "item_id", downloads_after=pl.col("size").cast(pl.Int64), after_on="taken_on"
    )
    both = by_kind[EARLIER].join(second, on="item_id")
    return [both.select(*WAVE_COLUMNS)]


def n_items(companion: Companion) -> int:
    """Return how many models, datasets or chains the rows stand for."""
    kind, _, rows = companion
    column = {LEADERBOARD: "model_id", DATASETS: "item_id"}.get(kind)  # several rows an item
    return rows.height if column is None else rows[column].n_unique()


def days_of(companion: Companion) -> str:
    """Return the day or the days of the rows, in words."""
    kind, _, rows = companion
    if kind == BIRTHS:
        return str(rows["born"].dt.date().max())
    if kind in (LEADERBOARD, REGISTRY):
        return " and ".join(sorted(map(str, days_of_picked(companion))))
    if kind == PROTOCOLS:
        dates = sorted(map(str, rows["observed_on"].unique()))
        return f"{dates[0]} to {dates[-1]}, {len(dates)} days"
    columns = {PANEL: ["before_on", "after_on"], WAVES: ["before_on", "after_on"],
               EARLIER: ["before_on"]}.get(kind, ["taken_on"])  # fmt: skip
    days = {str(day) for column in columns for day in rows[column].unique()}
    return " and ".join(sorted(days))


def read_companion(path: Path) -> Companion | None:
    """Return what a Parquet file holds that is recognised by its columns, else None.

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
    kind, table, rows_of = found
    try:
        return Companion(kind, table, rows_of(scan.collect(), path.name))
    except (OSError, SourceError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"{path.name}: {str(error).splitlines()[0]}") from error


def _recognised(names: set[str]) -> tuple[str, str, Reader] | None:
    if {"id", "snapshot_at"} <= names:
        return PANEL, HUB_INCREMENTS.name, _of_panel
    if {"model_id", "board", "observed_at"} <= names:
        return LEADERBOARD, OTHER_INCREMENTS.name, of_leaderboard
    if {"model_id", "downloads_all_time", "trending_score"} <= names and "hub_id" not in names:
        return REGISTRY, OTHER_INCREMENTS.name, of_registry
    if "model_id" in names and any(map(_WINDOW.fullmatch, names)):
        return WAVES, HUB_WAVES.name, _of_waves
    if names == {"model_id", "created_at"}:
        return BIRTHS, HUB_BEFORE_FLOOR.name, of_births
    if {"dataset_id", "has_card"} <= names:
        return EARLIER, HUB_WAVES.name, _of_earlier_datasets
    if "dataset_id" in names:
        return DATASETS, OTHER_SIZES.name, _of_datasets
    if {"observed_on", "id", "category", "tvl_usd"} <= names:
        return PROTOCOLS, TVL_GROWTH_PERIODS.name, of_protocols
    if {"Date", "Ethereum"} <= names and "protocol" not in names:
        return CHAINS, OTHER_SIZES.name, _of_chains
    return None


def _of_panel(frame: pl.DataFrame, _: str) -> pl.DataFrame:
    """Return the models of the first and the last snapshot of a cohort.

    A model that a snapshot marks as `removed` is not there.
    """
    require(frame, "author", "created_at", "likes")
    taken = frame.with_columns(at=moment("snapshot_at", frame), created=moment("created_at", frame))
    first, last = taken["at"].min(), taken["at"].max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        raise SourceError("no usable snapshot_at; it looks like 2026-08-19T09:36:31+02:00")
    if "removed" in frame.columns:
        taken = taken.filter(~pl.col("removed").fill_null(False))
    sides = [taken.filter(pl.col("at") == at) for at in (first, last)]
    for side in sides:
        check_counts(side, "likes")
        one_row_each(side, "id")
    both = sides[0].join(sides[1], on="id", how="full", coalesce=True, suffix="_later")
    created = pl.coalesce("created", "created_later")
    rows = both.select(
        hub_id="id",
        author=pl.coalesce("author", "author_later"),
        age=age_at(created, first),
        likes_before="likes",
        likes_after="likes_later",
        before_on=pl.lit(first.date()),
        after_on=pl.lit(last.date()),
    )
    one_pair(rows)
    return rows


def _of_waves(frame: pl.DataFrame, _: str) -> pl.DataFrame:
    found = sorted(n for n in frame.columns if _WINDOW.fullmatch(n))
    if len(found) != 2:
        raise SourceError(f"{', '.join(found)}: downloads of two days are needed")
    check_counts(frame, *found)
    one_row_each(frame, "model_id")
    before_on, after_on = (day_of(n.removeprefix("downloads_").replace("_", "-")) for n in found)
    return (
        frame.select(
            population=pl.lit("models"),
            item_id="model_id",
            author=owner_of("model_id"),
            downloads_before=found[0],
            downloads_after=found[1],
            before_on=pl.lit(before_on),
            after_on=pl.lit(after_on),
        )
        .cast({"downloads_before": pl.Int64, "downloads_after": pl.Int64})
        .select(*WAVE_COLUMNS)
    )


def _of_earlier_datasets(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the downloads of datasets of a listing without likes, the earlier of two waves."""
    require(frame, "downloads")
    check_counts(frame, "downloads")
    one_row_each(frame, "dataset_id")
    dated = _DATE.search(name)
    if dated is None:
        raise SourceError("datasets without a date: put YYYY-MM-DD in the file's name")
    return frame.select(
        population=pl.lit("datasets"),
        item_id="dataset_id",
        author=owner_of("dataset_id"),
        downloads_before=pl.col("downloads").cast(pl.Int64),
        before_on=pl.lit(day_of(dated[0])),
    )


def _of_datasets(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    require(frame, "downloads", "likes")
    check_counts(frame, "downloads", "likes")
    one_row_each(frame, "dataset_id")
    dated = _DATE.search(name)
    newest = frame["created_at"].cast(pl.String).max() if "created_at" in frame.columns else None
    if dated is None and newest is None:
        raise SourceError("datasets without a date: put YYYY-MM-DD in the file's name")
    taken_on = day_of(dated[0] if dated else str(newest)[:10])
    return pl.concat(
        frame.select(
            population=pl.lit(f"datasets_{column}"),
            item_id="dataset_id",
            author=owner_of("dataset_id"),
            size=pl.col(column).cast(pl.Float64),
            taken_on=pl.lit(taken_on),
        )
        for column in ("downloads", "likes")
    )


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
        taken_on=pl.lit(day_of(filled["Date"][-1])),
    )
