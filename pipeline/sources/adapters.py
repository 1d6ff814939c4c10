"""First commits of DeFiLlama's adapters: they date protocols that have no listing date.

A protocol names its `module`: the path of its adapter in DeFiLlama's repository, whose first commit
is within a week of listing for nine protocols in ten that have both. Two kinds of first commits are
no births. The repository's history begins on 2020-11-14, and what was filed in its first fortnight
is older: such a protocol was born before. And what has no listing date was mostly listed before
2021-10-12: a later first commit may be that of a folder that was renamed, and dates nothing.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from baimo.pipeline.variables import ADAPTER_FLOOR, LISTING_FLOOR

ADAPTERS = "defillama_adapters"  # kind of recording
COLUMNS = {"adapter", "first_commit"}
FILED = timedelta(days=14)


def read_adapters(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the day of the first commit (`first_commit`) of each adapter, where it is known."""
    day = pl.col("first_commit").cast(pl.String).str.slice(0, 10)
    dated = frame.select(
        pl.col("adapter").cast(pl.String), day.str.to_date("%Y-%m-%d", strict=False)
    )
    return dated.drop_nulls().group_by("adapter").agg(pl.col("first_commit").min()).sort("adapter")


def date_by_adapter(protocols: pl.DataFrame, adapters: pl.DataFrame) -> pl.DataFrame:
    """Give protocols without a listing date the day of their adapter's first commit.

    Parameters
    ----------
    protocols
        Protocols with `module`; `listed_at` where it is known.
    adapters
        What `read_adapters` gives.

    Returns
    -------
    DataFrame
        The protocols with `adapter_at`: 2020-11-14 where they are older than that day; null where
        they have a listing date, or the adapter says nothing.
    """
    if "listed_at" not in protocols.columns:
        protocols = protocols.with_columns(listed_at=pl.lit(None, dtype=pl.Date))
    folder = pl.col("module").cast(pl.String).str.split("/").list.first().str.strip_suffix(".js")
    told = protocols.with_columns(adapter=folder).join(
        adapters, on="adapter", how="left", maintain_order="left"
    )
    first = pl.col("first_commit")
    kept = (
        pl.when(pl.col("listed_at").is_not_null() | (first >= LISTING_FLOOR))
        .then(None)
        .when(first < ADAPTER_FLOOR + FILED)
        .then(pl.lit(ADAPTER_FLOOR))
        .otherwise(first)
    )
    return told.with_columns(adapter_at=kept).drop("adapter", "first_commit")
