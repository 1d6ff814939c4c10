"""Errors that know authors, measured on a listing and kept as a table.

Beside each stands the statistic without the author who moves it most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import EstimationError
from baimo.estimation.samples.clusters import ClusterSums, sum_clusters
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import (
    TailFit,
    fit_tail,
    tail_cluster_sums,
    tail_information,
)
from baimo.estimation.tails.rank_size import fit_zipf, zipf_cluster_error
from baimo.estimation.tails.tail_index import (
    IndexFit,
    fit_hill,
    fit_kernel,
    fit_moment,
    index_cluster_error,
)
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.variables import (
    DOWNLOADS,
    LIKES,
    cutoffs,
    hub_ages,
    naming,
)

FEWEST_CLUSTERS = 10


class Effect(NamedTuple):
    """A row of hub_design_effects."""

    measure: str
    statistic: str
    cutoff: str
    k: int
    threshold: float
    value: float
    std_error: float
    design_effect: float
    n_clusters: int
    effective_clusters: float
    without_largest: float | None


def measure_design_effects(models: pl.DataFrame, day: date) -> pl.DataFrame:
    """Measure how much authors inflate the variance of each tail statistic and of mean age."""
    authors = owner_numbers(models)
    if authors is None:
        return pl.DataFrame(schema=TABLES["hub_design_effects"].schema)
    effects: list[Effect] = []
    for measure in (DOWNLOADS, LIKES):
        with naming(measure):
            effects += _tail_effects(models[measure.name], authors)
    dated, _ = hub_ages(
        models.select(
            created_on=pl.col("created_at").dt.date(),
            author=pl.Series(authors),
        ),
        day,
    )
    effects += _mean_age_effect(dated["age"].to_numpy(), dated["author"].to_numpy())
    # Fewer owners are too few to learn a variance from.
    rows = [effect for effect in effects if effect.n_clusters >= FEWEST_CLUSTERS]
    return pl.DataFrame(rows, schema=TABLES["hub_design_effects"].schema, orient="row")


def owner_numbers(models: pl.DataFrame) -> Ints | None:
    """Return a number for the author of each model; one without an author is an author itself.

    None where most have none: there is nothing to cluster by.
    """
    if 2 * models["author"].null_count() > models.height:
        return None
    unnamed = pl.concat_str(pl.lit("no author: "), pl.col("hub_id"))
    named = models.select(pl.coalesce("author", unnamed).rank("dense"))
    return named.to_series().to_numpy().astype(np.int64)


def measure_size_effects(rows: pl.DataFrame) -> pl.DataFrame:
    """Measure the same on the tails of other populations (`other_design_effects`).

    Parameters
    ----------
    rows
        One row an item of each population: population, item_id, author (null: none), size.
    """
    effects: list[Effect] = []
    for (population,), part in rows.group_by("population", maintain_order=True):
        unnamed = pl.concat_str(pl.lit("no author: "), pl.col("item_id"))
        owners = part.select(pl.coalesce("author", unnamed).rank("dense")).to_series()
        column = part["size"].alias(str(population))
        with suppress(EstimationError):  # no tail, or one owner: its errors stay as they are
            effects += _tail_effects(column, owners.to_numpy().astype(np.int64))
    rows_kept = [effect for effect in effects if effect.n_clusters >= FEWEST_CLUSTERS]
    return pl.DataFrame(rows_kept, schema=TABLES["hub_design_effects"].schema, orient="row")


@dataclass(frozen=True, eq=False)
class _Sizes:
    """Sizes of one measure, their authors, and the sizes without one of them.

    Parameters
    ----------
    measure
        What they are of.
    sizes, authors : (n,)
        Of each item.
    """

    measure: str
    sizes: Floats
    authors: Ints

    @cached_property
    def counts(self) -> Counts:
        """All of them."""
        return Counts.from_sample(self.sizes)

    @cached_property
    def _rest(self) -> dict[int, Counts]:
        return {}

    def without(self, author: int) -> Counts:
        """Return the sizes of all other authors."""
        if author not in self._rest:
            self._rest[author] = Counts.from_sample(self.sizes[self.authors != author])
        return self._rest[author]

    def effect(
        self,
        statistic: str,
        cutoff: str,
        at: tuple[int, float, float],
        sums: ClusterSums,
        std_error: float,
        again: Callable[[Counts, int], float | None],
    ) -> Effect:
        """Return the row of a statistic.

        Parameters
        ----------
        at
            Items used, smallest of them, value.
        sums, std_error
            Influence by author, and the error that knows authors.
        again
            Measures the sizes without an author, of whom so many were used.
        """
        largest = sums.largest
        try:
            without = again(self.without(int(sums.labels[largest])), int(sums.sizes[largest]))
        except EstimationError:
            without = None
        return Effect(
            self.measure,
            statistic,
            cutoff,
            *at,
            std_error,
            sums.design_effect,
            sums.n_clusters,
            sums.effective_clusters,
            without,
        )


INDICES: dict[str, Callable[[Counts, int, bool], IndexFit]] = {
    "hill": lambda counts, k, discrete: fit_hill(counts, k=k, discrete=discrete),
    "hill_corrected": lambda counts, k, discrete: fit_hill(
        counts, k=k, discrete=discrete, bias_corrected=True
    ),
    "moment": lambda counts, k, discrete: fit_moment(counts, k=k, discrete=discrete),
    "kernel": lambda counts, k, discrete: fit_kernel(counts, k=k, discrete=discrete),
}
"""The tail indices that are measured, by method."""


def _tail_effects(column: pl.Series, authors: Ints) -> Iterator[Effect]:
    """Yield the effects on the tail's alpha, on the rank-size slope and on the tail indices."""
    held = _Sizes(column.name, column.to_numpy().astype(np.float64), authors)
    yield _alpha_effect(held, fit_tail(held.counts))
    for label, k in cutoffs(held.counts).items():
        yield _slope_effect(held, label, k)
        for name, index in INDICES.items():
            with suppress(EstimationError):  # where it does not exist it has no error
                found = index(held.counts, k, True)
                if found.zeta is not None:
                    yield _index_effect(held, name, label, found)


def _slope_effect(held: _Sizes, label: str, k: int) -> Effect:
    line = fit_zipf(held.counts, k=k)
    sums, error = zipf_cluster_error(held.sizes, held.authors, line)

    def again(rest: Counts, n: int) -> float:
        return fit_zipf(rest, k=k - n).slope

    return held.effect("slope", label, (k, line.threshold, line.slope), sums, error, again)


def _index_effect(held: _Sizes, name: str, label: str, found: IndexFit) -> Effect:
    sums, error = index_cluster_error(held.sizes, held.authors, found)
    zeta = found.zeta or math.nan

    def again(rest: Counts, n: int) -> float | None:
        return INDICES[name](rest, found.k - n, True).zeta

    return held.effect(name, label, (found.k, found.threshold, zeta), sums, error or 0.0, again)


def _alpha_effect(held: _Sizes, tail: TailFit) -> Effect:
    sums = tail_cluster_sums(held.sizes, held.authors, tail)
    return held.effect(
        "alpha",
        "x_min",
        (tail.n_tail, tail.x_min, tail.alpha),
        sums,
        sums.jackknife_error / tail_information(tail),
        lambda rest, _: fit_tail(rest, x_min=tail.x_min).alpha,
    )


def _mean_age_effect(ages: Floats, owners: Ints) -> Iterator[Effect]:
    if ages.size > 1 and ages.std() > 0:
        held, mean = _Sizes("age", ages, owners), float(ages.mean())
        sums = sum_clusters(ages - mean, owners, "the dated models")
        at = (ages.size, 0.0, mean)
        yield held.effect("mean", "dated", at, sums, sums.jackknife_error, lambda c, _: _mean(c))


def _mean(counts: Counts) -> float:
    return counts.sum(counts.values) / counts.n_obs
