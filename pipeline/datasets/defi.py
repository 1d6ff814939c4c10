"""DeFi: from listings of protocols to a cross-section and to a population on two dates."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.pipeline.errors import SourceError
from baimo.pipeline.variables import (
    ADAPTER_FLOOR,
    DAYS_PER_YEAR,
    DEFI_START,
    HEADLINE,
    LISTING_FLOOR,
    Definition,
)

QUARTER_MIDDLE = timedelta(days=45)


def list_protocols(protocols: pl.DataFrame, definition: Definition = HEADLINE) -> pl.DataFrame:
    """Count the DeFi protocols of one day by category, quarter of listing or adapter, and TVL."""
    key = ["category", "listed_on", "adapter_on", "tvl_usd", "observed_on"]
    return (
        protocols.filter(definition.holds())
        .with_columns(_quarters())
        .group_by(key)
        .agg(n_protocols=pl.len().cast(pl.Int64))
        .sort(key, nulls_last=True)
    )


def join_population(protocols: pl.DataFrame, definition: Definition = HEADLINE) -> pl.DataFrame:
    """Join the earliest and the latest date of DeFi protocols.

    They are joined by DeFiLlama's id, or by name where a recording has no ids; a name that two
    protocols of one date share is left out then. Categories that are not DeFi are left out on both
    sides; dates of listing and of adapters are cut to the quarter.
    """
    dates = protocols["observed_on"].unique().sort()
    if dates.len() < 2:
        raise SourceError("DeFi growth needs protocol tables of two dates; add a second one")
    has_ids = not (protocols["protocol_id"] == protocols["name"]).any()
    on = "protocol_id" if has_ids else "name"
    kept = protocols.filter(definition.holds()).unique(
        ["observed_on", on], keep="none", maintain_order=True
    )
    sides = [
        kept.filter(pl.col("observed_on") == dates[i]).select(
            pl.col(on).alias("key"), "category", *_quarters(), "tvl_usd"
        )
        for i in (0, -1)
    ]
    joined = sides[0].join(sides[1], on="key", how="full", suffix="_later")
    key = ["category", "listed_on", "adapter_on", "tvl_before", "tvl_after", "entrant", "unmatched"]
    return (
        joined.select(
            category=pl.coalesce("category", "category_later"),
            listed_on="listed_on",
            adapter_on="adapter_on",
            tvl_before=pl.col("tvl_usd"),
            tvl_after=pl.col("tvl_usd_later"),
            entrant=pl.col("key").is_null(),
            unmatched=pl.col("key_later").is_null(),
            before_on=pl.lit(dates[0]),
            after_on=pl.lit(dates[-1]),
        )
        .group_by([*key, "before_on", "after_on"])
        .agg(n_protocols=pl.len().cast(pl.Int64))
        .sort(key, nulls_last=True)
    )


def _quarters() -> tuple[pl.Expr, pl.Expr]:
    """Return the quarters of listing and of the adapter; the floor is none and stays as it is."""
    began = pl.col("adapter_at")
    on_floor = pl.when(began == ADAPTER_FLOOR).then(began)
    return (
        pl.col("listed_at").dt.truncate("1q").alias("listed_on"),
        on_floor.otherwise(began.dt.truncate("1q")).alias("adapter_on"),
    )


def is_listed() -> pl.Expr:
    """Return whether a protocol has a listing date."""
    return pl.col("listed_on").is_not_null()


def is_dated_by_adapter() -> pl.Expr:
    """Return whether a protocol without a listing date has that of its adapter."""
    return ~is_listed() & (pl.col("adapter_on") != ADAPTER_FLOOR).fill_null(False)


def protocol_ages(rows: pl.DataFrame) -> Floats:
    """Return ages in years.

    They are reckoned from the middle of the quarter of listing, else of the adapter's first commit.
    Where neither is known, a protocol is taken to be born in the middle of the time in which it can
    have been: before adapters' history begins, or, without an adapter, before listing dates do.

    Parameters
    ----------
    rows
        One row a protocol: listed_on, adapter_on, observed_on.
    """
    middle_of_old, middle = (
        DEFI_START + (end - DEFI_START) / 2 for end in (ADAPTER_FLOOR, LISTING_FLOOR)
    )
    born = (
        pl.when(is_listed())
        .then(pl.col("listed_on") + QUARTER_MIDDLE)
        .when(is_dated_by_adapter())
        .then(pl.col("adapter_on") + QUARTER_MIDDLE)
        .when(pl.col("adapter_on").is_not_null())
        .then(pl.lit(middle_of_old))
        .otherwise(pl.lit(middle))
    )
    days = (pl.col("observed_on") - born).dt.total_days().clip(1)
    return rows.select(days / DAYS_PER_YEAR).to_series().to_numpy()


FEWEST_CATEGORIES = 10


def category_codes(protocols: pl.DataFrame) -> Ints:
    """Return the category of each protocol as a number from 0; those without one share one.

    Fewer than ten categories say little of what they share: each protocol is then its own.
    """
    codes = protocols["category"].fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
    return codes if codes.max(initial=0) + 1 >= FEWEST_CATEGORIES else np.arange(codes.size)


def category_rows(protocols: pl.DataFrame) -> list[Ints]:
    """Return the rows of each category of `category_codes`."""
    codes = category_codes(protocols)
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes))[:-1])
