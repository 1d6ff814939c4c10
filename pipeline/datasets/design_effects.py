"""Design effects of authors, measured on a listing and kept as a table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import EstimationError
from baimo.estimation.samples.clusters import design_effect
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail, tail_design_effect
from baimo.estimation.tails.rank_size import fit_zipf, zipf_design_effect
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.variables import (
    DOWNLOADS,
    LIKES,
    Variable,
    cohort_edges,
    cohort_label,
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
    design_effect: float
    n_clusters: int


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
            "downloads",
            "likes",
            created_on=pl.col("created_at").dt.date(),
            author=pl.Series(authors),
        ),
        day,
    )
    for measure in (DOWNLOADS, LIKES):
        effects += _cohort_effects(models, dated, measure)
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


def _tail_effects(column: pl.Series, authors: Ints) -> Iterator[Effect]:
    """Yield the effects on the tail's alpha and on the slope of log size on log rank."""
    sizes, counts = column.to_numpy().astype(np.float64), Counts.from_sample(column.to_numpy())
    tail = fit_tail(counts)
    found = tail_design_effect(sizes, authors, tail)
    yield Effect(column.name, "alpha", "x_min", tail.n_tail, tail.x_min, *found)
    for label, k in cutoffs(counts).items():
        line = fit_zipf(counts, k=k)
        found = zipf_design_effect(sizes, authors, line)
        yield Effect(column.name, "slope", label, k, line.threshold, *found)


def _mean_age_effect(ages: Floats, owners: Ints) -> Iterator[Effect]:
    if ages.size > 1 and ages.std() > 0:
        found = design_effect(ages - ages.mean(), owners)
        yield Effect("age", "mean", "dated", ages.size, 0.0, found, int(np.unique(owners).size))


def _cohort_effects(
    models: pl.DataFrame, dated: pl.DataFrame, measure: Variable
) -> Iterator[Effect]:
    """Yield the effects on the alpha of each age cohort."""
    by_age = dated.group_by("age").len().sort("age")
    if by_age.height < 2:
        return
    edges = cohort_edges(by_age["age"].to_numpy(), by_age["len"].to_numpy())
    x_min = fit_tail(Counts.from_sample(models[measure.name].to_numpy())).x_min
    sizes, owners = dated[measure.name].to_numpy().astype(np.float64), dated["author"].to_numpy()
    where = np.searchsorted(edges, dated["age"].to_numpy(), side="right") - 1
    for c in range(edges.size - 1):
        inside = where == c
        tail = inside & (sizes >= x_min)
        if np.unique(sizes[tail]).size < 2 or np.unique(owners[tail]).size < FEWEST_CLUSTERS:
            continue
        fit = fit_tail(sizes[inside], x_min=x_min)
        found = tail_design_effect(sizes[inside], owners[inside], fit)
        yield Effect(measure.name, "cohort_alpha", cohort_label(c), fit.n_tail, x_min, *found)
