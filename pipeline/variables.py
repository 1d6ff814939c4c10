"""What is measured: the three sizes, the cut-offs of their tails, and the views on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.rank_size import share_to_k

DAYS_PER_YEAR = 365.25
HUB_FLOOR = date(2022, 3, 2)  # created_at of everything older: left-censored
LISTING_FLOOR = date(2021, 10, 12)  # DeFiLlama dates no listing before
ADAPTER_FLOOR = date(2020, 11, 14)  # its repository of adapters has no history before
DEFI_START = date(2018, 11, 3)  # first day of the TVL histories


@dataclass(frozen=True)
class Definition:
    """What counts as a DeFi protocol: all that DeFiLlama lists but some of its categories.

    Parameters
    ----------
    name
        In tables.
    words
        For a reader.
    without
        Categories that do not count, as DeFiLlama spells them.
    read_on
        Day on which a list that is not ours was read; it moves.
    """

    name: str
    words: str
    without: tuple[str, ...]
    read_on: date | None = None

    def holds(self) -> pl.Expr:
        """Return whether a row, by its `category`, counts; a row without one does."""
        return outside(self.without)


def outside(categories: Iterable[str]) -> pl.Expr:
    """Return whether `category` is none of these; capitals and blanks around do not matter."""
    plain = [name.strip().lower() for name in categories]
    return ~pl.col("category").str.strip_chars().str.to_lowercase().is_in(plain).fill_null(False)


BROAD = Definition(
    "broad", "all but exchanges, chains and their own bridges", ("CEX", "Chain", "Canonical Bridge")
)
AS_DEFILLAMA = Definition(
    "defillama",
    "DeFi as DeFiLlama counts it",
    # What its own total leaves out (defillama-server, excludeProtocols).
    (
        *BROAD.without,
        "Bridge",
        "Infrastructure",
        "Staking Pool",
        "RWA",
        "Basis Trading",
        "CeDeFi",
    ),
    read_on=date(2026, 11, 28),
)
DEFINITIONS = (AS_DEFILLAMA, BROAD)
HEADLINE = AS_DEFILLAMA  # what is fitted; the other is measured beside it


@dataclass(frozen=True)
class Variable:
    """A size whose distribution is fitted."""

    name: str
    title: str
    unit: str
    discrete: bool
    headline_cutoff: str

    @property
    def prefix(self) -> str:
        """Return the part of exported names: hub_downloads, hub_likes, defi_tvl."""
        return ("hub_" if self.discrete else "defi_") + self.name


@contextmanager
def naming(measure: Variable) -> Iterator[None]:
    """Put the measure's title before whatever the estimators refuse inside."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{measure.title}: {error}") from error


DOWNLOADS = Variable("downloads", "Hub downloads (30 days)", "downloads", True, "top1pct_all")
LIKES = Variable("likes", "Hub likes", "likes", True, "top1pct_all")
TVL = Variable("tvl", "DeFi TVL", "USD", False, "top10pct_positive")
HUB = (DOWNLOADS, LIKES)
VARIABLES = {v.name: v for v in (*HUB, TVL)}

SHARES = {"top10pct": 0.1, "top1pct": 0.01, "top0.1pct": 0.001}
SMALLEST_K = 20
N_COHORTS = 5  # by age
BIRTH_TRANSIENT_WEEKS = 9  # the first 60 days of a protocol are its launch, not its growth


def cutoffs(counts: Counts) -> dict[str, int]:
    """Return the cut-offs of the rank-size regression: label -> number of items.

    Shares are of all items (`_all`) and of the positive ones (`_positive`); cut-offs that reach
    into the zeros, or hold fewer than 20 items, do not exist for this sample.
    """
    n, n_positive = counts.n_obs, counts.n_obs - counts.n_zero
    found = {}
    for label, share in SHARES.items():
        found[f"{label}_all"] = share_to_k(n, share)
        found[f"{label}_positive"] = share_to_k(n_positive, share)
    found["top100"] = 100
    return {label: k for label, k in found.items() if SMALLEST_K <= k <= n_positive}


def hub_counts(frequency: pl.DataFrame, measure: Variable) -> Counts:
    """Return one measure of the Hub from the joint frequency table."""
    table = frequency.group_by(measure.name).agg(pl.col("n_models").sum())
    return Counts.from_pairs(table[measure.name].to_numpy(), table["n_models"].to_numpy())


def hub_ages(frequency: pl.DataFrame, day: date) -> tuple[pl.DataFrame, float]:
    """Return (dated models with `age` in years, length of history in years).

    Models of the floor day, which stands for everything older, are left out. A model counts as
    half a day old on the day it was created.
    """
    horizon = ((day - HUB_FLOOR).days + 0.5) / DAYS_PER_YEAR
    dated = frequency.filter((pl.col("created_on") > HUB_FLOOR) & (pl.col("created_on") <= day))
    age = (pl.lit(day) - pl.col("created_on")).dt.total_days()
    return dated.with_columns(age=(age + 0.5) / DAYS_PER_YEAR), horizon


def cohort_edges(ages: Floats, n_items: Ints) -> Floats:
    """Return the ages (years) that cut dated items into cohorts of about equal numbers.

    Parameters
    ----------
    ages : (a,)
        Distinct ages, ascending.
    n_items : (a,)
        Items of each.
    """
    shares = np.arange(1, N_COHORTS) / N_COHORTS * n_items.sum()
    inner = ages[np.searchsorted(np.cumsum(n_items), shares)]
    return np.unique(np.concatenate([[0.0], inner, [np.nextafter(ages[-1], np.inf)]]))


def tvl_counts(listing: pl.DataFrame) -> Counts:
    """Return the TVL of all protocols of the day, zeros included."""
    return Counts.from_pairs(listing["tvl_usd"].to_numpy(), listing["n_protocols"].to_numpy())


def expand(table: pl.DataFrame, weight: str) -> pl.DataFrame:
    """Write out a frequency table: one row per item, the weight column dropped."""
    rows = np.repeat(np.arange(table.height, dtype=np.uint32), table[weight].to_numpy())
    return table.drop(weight)[rows]


def own_labels(authors: pl.Series) -> Ints:
    """Return author codes; an item without an author is a cluster of its own."""
    codes = authors.fill_null(-1).to_numpy().astype(np.int64)
    own = codes < 0
    return np.where(own, codes.max(initial=0) + 1 + np.cumsum(own), codes)


def observed_sizes(frequency: pl.DataFrame, listing: pl.DataFrame) -> dict[str, Counts]:
    """Return the three observed samples by name."""
    hub = {variable.name: hub_counts(frequency, variable) for variable in HUB}
    return {**hub, TVL.name: tvl_counts(listing)}


EXIT_THRESHOLD = 1e4  # USD; below it a protocol counts as gone
