"""Named views on `defillama_protocols`: which rows belong to a question.

The lake keeps every row of DeFiLlama. What counts as DeFi, and what is counted only once, is for
the reader to choose, so results are shown under each view. What DeFiLlama marks on a row (counted
elsewhere too, outside its parent, dead, given up, rugged) is used where it is there.

TVL is not netted across protocols: the same coin staked through one, restaked through a second
and lent through a third is in all three. No row says how much of it is counted elsewhere, so
"netted" leaves out whole categories. It is a lower view, not an exact one: a lending market
still counts the receipt tokens that are deposited there, and "Yield", which mixes protocols with
deposits of their own and others that pass them on, stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from baimo.pipeline.variables import AS_DEFILLAMA, BROAD, outside

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)

_RECEIPT = "the receipt token is deposited with other protocols, which count it too"
_BRIDGED = "the coins stay locked here while their copies are deposited elsewhere"
_PASSED_ON = "the deposits are passed on to other protocols, which count them too"

# Names as DeFiLlama gave them in 2023-06 and 2025-12; spelling and capitals have changed between.
COUNTED_TWICE: dict[str, str] = {
    "Liquid Staking": _RECEIPT,
    "Liquid Restaking": _RECEIPT,
    "Anchor BTC": _RECEIPT,
    "Decentralized BTC": _BRIDGED,
    "Bridge": _BRIDGED,
    "Cross Chain": _BRIDGED,
    "Cross Chain Bridge": _BRIDGED,
    "Bridge Aggregator": _BRIDGED,
    "Bridge Aggregators": _BRIDGED,
    "Restaking": "what is restaked is the receipt of a stake that is counted where it was issued",
    "Restaked BTC": "what is restaked is a receipt that is counted where it was issued",
    "Risk Curators": _PASSED_ON,
    "Onchain Capital Allocator": _PASSED_ON,
    "Yield Aggregator": _PASSED_ON,
    "Liquidity Manager": _PASSED_ON,
    "Liquidity Automation": _PASSED_ON,
    "CDP Manager": _PASSED_ON,
}


@dataclass(frozen=True)
class View:
    """A choice of rows, with its meaning in a line; call it on a frame.

    Parameters
    ----------
    without
        Categories left out; rows without a category stay.
    unless
        What DeFiLlama says of a row that leaves it out; where it says nothing, the row stays.
    """

    meaning: str
    without: tuple[str, ...]
    unless: tuple[pl.Expr, ...] = ()

    def __call__(self, frame: Frame) -> Frame:
        """Return the rows of the view."""
        names = frame.collect_schema().names()
        said = [mark for mark in self.unless if set(mark.meta.root_names()) <= set(names)]
        return frame.filter(outside(self.without), *(~mark.fill_null(False) for mark in said))


_DEAD = pl.col("dead_from") <= pl.col("observed_on")

VIEWS: dict[str, View] = {
    "all": View("every protocol that DeFiLlama lists", ()),
    "broad": View(BROAD.words, BROAD.without),
    "defi": View(f"{AS_DEFILLAMA.words} (list read on {AS_DEFILLAMA.read_on})",
                 AS_DEFILLAMA.without),
    "alive": View(
        "defi without protocols marked as dead, given up or fled with the deposits",
        AS_DEFILLAMA.without,
        (_DEAD, pl.col("deprecated"), pl.col("rugged")),
    ),
    "netted": View(
        "defi without deposits that are counted again elsewhere, by category or by mark",
        (*AS_DEFILLAMA.without, *COUNTED_TWICE),
        (pl.col("doublecounted"),),
    ),
}  # fmt: skip


def family(frame: Frame) -> pl.Expr:
    """Return the id under which a row is merged: its parent's, or its own.

    A child that DeFiLlama keeps out of its parent's TVL stands alone.
    """
    parent = pl.col("parent_protocol").replace("", None)
    names = frame.collect_schema().names()
    if "outside_parent" in names:
        parent = pl.when(~pl.col("outside_parent").fill_null(False)).then(parent)
    return pl.coalesce(parent, "protocol_id").alias("family")


def merge_parents(frame: Frame) -> Frame:
    """Return one row for each family of protocols (`family`): children merged.

    Choose a view before merging: the children of one parent are of several categories.

    Returns
    -------
    Frame
        observed_on, protocol_id (the parent's, or its own), name and category (of the largest
        child), tvl_usd (sum), tvl_is_null (no child has a TVL), listed_at (the earliest; null
        where a child's is, which means before 2021-10-12: left-censored), n_children (0 for a
        protocol without parent), by date and id.
    """
    dated = pl.col("listed_at").is_not_null().all()
    merged = (
        frame.with_columns(family(frame))
        .group_by("observed_on", "family")
        .agg(
            pl.col("name", "category")
            .sort_by("tvl_usd", "protocol_id", descending=[True, False])
            .first(),
            pl.col("tvl_usd").sum(),
            pl.col("tvl_is_null").all(ignore_nulls=False),
            pl.when(dated).then(pl.col("listed_at").min()).alias("listed_at"),
            (pl.col("family") != pl.col("protocol_id")).sum().cast(pl.Int64).alias("n_children"),
        )
    )
    return merged.rename({"family": "protocol_id"}).sort("observed_on", "protocol_id")


def totals(frame: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Return the number of protocols and their TVL by view and date of observation.

    Returns
    -------
    DataFrame
        view, observed_on, n_protocols, n_positive (with TVL above zero), n_families (children
        merged), tvl_usd; views in the order of `VIEWS`, those without rows left out.
    """
    parts = [_total(name, view(frame.lazy())) for name, view in VIEWS.items()]
    return pl.concat(parts).collect()


def _total(name: str, frame: pl.LazyFrame) -> pl.LazyFrame:
    return (
        frame.group_by("observed_on")
        .agg(
            pl.len().cast(pl.Int64).alias("n_protocols"),
            (pl.col("tvl_usd") > 0).sum().cast(pl.Int64).alias("n_positive"),
            family(frame).n_unique().cast(pl.Int64).alias("n_families"),
            pl.col("tvl_usd").sum(),
        )
        .sort("observed_on")
        .select(pl.lit(name).alias("view"), pl.all())
    )
