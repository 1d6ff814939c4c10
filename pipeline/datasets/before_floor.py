"""Models of the Hub's floor day by the year in which they were really made.

The Hub dates everything older than 2022-03-02 on that day. A recording of the dates of first
commits (model_id, created_at) tells the year of nearly all of them.
"""

from __future__ import annotations

import polars as pl

from baimo.pipeline.datasets._companions import (
    counted,
    moment,
    numbered,
    one_row_each,
    owner_of,
)
from baimo.pipeline.schema.derived import HUB_BEFORE_FLOOR
from baimo.pipeline.variables import HUB_FLOOR

BIRTHS = "births"  # kind of recording


def of_births(frame: pl.DataFrame, _: str) -> pl.DataFrame:
    """Return the moment of the first commit of each model."""
    one_row_each(frame, "model_id")
    return frame.select("model_id", born=moment("created_at", frame)).drop_nulls()


def tabulate_before_floor(births: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """Count the floor day's models by year, author, downloads and likes (`hub_before_floor`).

    Parameters
    ----------
    births
        What `of_births` gives.
    models
        The Hub's listing: model_id, downloads, likes, created_at.

    Notes
    -----
    Names first: the first models had no owner in theirs (gpt2) and got one later
    (openai-community/gpt2). A model of the floor day that no name tells is the old one without an
    owner whose name is its own after the slash, where there is one such model only.
    """
    floored = models.filter(pl.col("created_at").dt.date() == HUB_FLOOR)
    by_name = floored.join(births, on="model_id", how="left")
    old = births.filter(~pl.col("model_id").str.contains("/", literal=True))
    name = pl.col("model_id").str.split("/").list.last()
    unknown = by_name.filter(pl.col("born").is_null()).with_columns(name=name)
    renamed = unknown.filter(pl.col("name").is_unique()).join(
        old.select(name="model_id", later_told="born"), on="name"
    )
    told = by_name.join(renamed.select("model_id", "later_told"), on="model_id", how="left")
    rows = told.select(
        "downloads",
        "likes",
        author=owner_of("model_id"),
        born=pl.coalesce("born", "later_told"),
    ).filter(pl.col("born").is_null() | (pl.col("born").dt.date() < HUB_FLOOR))
    by_year = rows.with_columns(made_in=pl.col("born").dt.year().cast(pl.Int64))
    return counted(numbered(by_year, ("downloads", "likes", "made_in")), HUB_BEFORE_FLOOR)
