"""Likes and downloads gained by picked models: a leaderboard's panel and a registry's crawl.

They are not the Hub: somebody sent these models to a leaderboard, or entered them in a registry.

- likes of the leaderboard's entries on one day, and of the same models in the Hub's listing;
- likes of its entries on two days;
- likes of its entries on its last day, and of the same models in the registry;
- downloads of the registry's models: all so far less those of the last 30 days, against all.

Ages are those of `created_at` in the listing or the registry; the leaderboard dates submissions
only. A model whose creation neither tells has no age, nor has one on the Hub's floor day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from baimo.pipeline.datasets._companions import (
    AGE_DIGITS,
    Companion,
    age_at,
    check_counts,
    counted,
    moment,
    numbered,
    one_row_each,
    owner_of,
    require,
)
from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.derived import OTHER_INCREMENTS

LEADERBOARD, REGISTRY = "leaderboard", "registry"  # kinds of recordings
WINDOW_DAYS = 30  # of a registry's downloads


@dataclass(frozen=True)
class Pair:
    """Two days of the leaderboard's entries.

    Parameters
    ----------
    board
        Which of its lists.
    before_on
        The earlier day.
    after
        The later day; or the kind of the recording that has the later likes.
    """

    board: str
    before_on: date
    after: date | str


LISTING = "listing"
PAIRS = {
    # the later days of the first board repeat this one
    "leaderboard_2024": Pair("v1", date(2024, 6, 19), LISTING),
    # from when most entries are there, to the last day before likes were cleaned up
    "leaderboard_2025": Pair("v2", date(2025, 1, 13), date(2025, 3, 15)),
    "leaderboard_to_2026": Pair("v2", date(2025, 3, 21), REGISTRY),
}


def of_leaderboard(frame: pl.DataFrame, _: str) -> pl.DataFrame:
    """Return the likes of each entry by board and day, the last of a day."""
    require(frame, "board", "likes")
    check_counts(frame, "likes")
    taken = frame.select("model_id", "board", "likes", at=moment("observed_at", frame))
    last = taken.sort("at").group_by("board", "model_id", pl.col("at").dt.date().alias("day"))
    return last.agg(pl.col("likes", "at").last()).sort("board", "day", "model_id")


def of_registry(frame: pl.DataFrame, _: str) -> pl.DataFrame:
    """Return the models of a crawl; its moment is that of the newest change it knows."""
    require(frame, "created_at", "last_modified", "downloads", "likes")
    check_counts(frame, "downloads", "downloads_all_time", "likes")
    one_row_each(frame, "model_id")
    made, changed = moment("created_at", frame), moment("last_modified", frame)
    rows = frame.with_columns(created=made, changed=changed)
    at = rows["changed"].max()
    if not isinstance(at, datetime):
        raise SourceError("no usable last_modified, which tells when the registry was crawled")
    columns = ("model_id", "downloads", "downloads_all_time", "likes", "created")
    return rows.select(*columns, at=pl.lit(at))


def days_of_picked(companion: Companion) -> set[date]:
    """Return the days of a leaderboard that are used, or the day of the registry."""
    days = set(companion.rows["at"].dt.date().unique())
    if companion.kind == REGISTRY:
        return days
    used = {day for p in PAIRS.values() for day in (p.before_on, p.after) if isinstance(day, date)}
    return days & used


def tabulate_picked(
    leaderboard: pl.DataFrame | None,
    registry: pl.DataFrame | None,
    models: pl.DataFrame,
    day: date,
) -> pl.DataFrame:
    """Count picked models by author, age and what they had on two days (`other_increments`).

    Parameters
    ----------
    leaderboard, registry
        What `of_leaderboard` and `of_registry` give, None without.
    models
        The Hub's listing of `day`: model_id, likes, created_at.
    """
    listing = models.select("model_id", "likes", created="created_at")
    listed_at = datetime.combine(day, time(), UTC)
    later = {LISTING: listing.with_columns(at=pl.lit(listed_at))}
    if registry is not None:
        later[REGISTRY] = registry
    parts = []
    if leaderboard is not None:
        for name, pair in PAIRS.items():
            found = _two_days(leaderboard, pair, later)
            if found is not None:
                parts.append(_aged(name, found, listing, registry))
    if registry is not None:
        parts.append(_aged("registry_downloads", _one_crawl(registry), listing, registry))
    if not parts:
        return pl.DataFrame(schema=OTHER_INCREMENTS.schema)
    rows = pl.concat(parts).with_columns(pl.col("age").round_sig_figs(AGE_DIGITS))
    known = numbered(rows, ("before", "after", "age"), within=("population",))
    return counted(known, OTHER_INCREMENTS)


def _two_days(
    leaderboard: pl.DataFrame, pair: Pair, later: dict[str, pl.DataFrame]
) -> pl.DataFrame | None:
    """Return what entries had on both days, None where one day is not there."""
    of_board = leaderboard.filter(pl.col("board") == pair.board)
    first = of_board.filter(pl.col("day") == pair.before_on)
    if isinstance(pair.after, date):
        second = of_board.filter(pl.col("day") == pair.after)
    else:
        second = later.get(pair.after, first.clear())
    if first.is_empty() or second.is_empty():
        return None
    return first.select("model_id", before="likes", before_at="at").join(
        second.select("model_id", after="likes", after_at="at"), on="model_id"
    )


def _one_crawl(registry: pl.DataFrame) -> pl.DataFrame:
    """Return all downloads before the last 30 days and now, of counters that were not reset."""
    stock = pl.col("downloads_all_time") - pl.col("downloads")
    return registry.filter(stock >= 0).select(
        "model_id",
        before=stock,
        before_at=pl.col("at") - timedelta(days=WINDOW_DAYS),
        after="downloads_all_time",
        after_at="at",
    )


def _aged(
    name: str, rows: pl.DataFrame, listing: pl.DataFrame, registry: pl.DataFrame | None
) -> pl.DataFrame:
    """Add owners and ages when first seen."""
    dated = rows.join(listing.select("model_id", "created"), on="model_id", how="left")
    if registry is not None:
        more = registry.select("model_id", also="created")
        dated = dated.join(more, on="model_id", how="left").with_columns(
            created=pl.coalesce("created", "also")
        )
    seen = dated["before_at"].max()
    if not isinstance(seen, datetime):
        raise SourceError(f"{name}: no moment of observation")
    return dated.select(
        population=pl.lit(name),
        author=owner_of("model_id"),
        age=age_at(pl.col("created"), seen),
        before=pl.col("before").cast(pl.Int64),
        after=pl.col("after").cast(pl.Int64),
        before_on=pl.col("before_at").dt.date(),
        after_on=pl.col("after_at").dt.date(),
    )
