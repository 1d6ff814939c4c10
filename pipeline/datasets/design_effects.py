"""Design effects of authors, measured on a listing and kept as a table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl

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


def measure_design_effects(models: pl.DataFrame, day: date) -> pl.DataFrame:
    """Measure how much authors inflate the variance of each tail statistic and of mean age."""
    if 2 * models["author"].null_count() > models.height:
        return pl.DataFrame(schema=TABLES["hub_design_effects"].schema)  # nothing to cluster by
    unnamed = pl.concat_str(pl.lit("no author: "), pl.col("hub_id"))
    known = models.with_columns(pl.coalesce("author", unnamed).alias("author"))
    authors = known["author"].rank("dense").to_numpy().astype(np.int64)
    rows: list[dict[str, object]] = []

    def add(
        measure: str,
        statistic: str,
        cutoff: str,
        k: int,
        threshold: float,
        effect: tuple[float, int],
    ) -> None:
        if effect[1] < FEWEST_CLUSTERS:
            return  # too few owners to learn a variance from
        rows.append(
            {
                "measure": measure,
                "statistic": statistic,
                "cutoff": cutoff,
                "k": k,
                "threshold": threshold,
                "design_effect": effect[0],
                "n_clusters": effect[1],
            }
        )

    for measure in (DOWNLOADS, LIKES):
        with naming(measure):
            sizes = known[measure.name].to_numpy().astype(np.float64)
            counts = Counts.from_sample(known[measure.name].to_numpy())
            tail = fit_tail(counts)
            add(
                measure.name,
                "alpha",
                "x_min",
                tail.n_tail,
                tail.x_min,
                tail_design_effect(sizes, authors, tail),
            )
            for label, k in cutoffs(counts).items():
                line = fit_zipf(counts, k=k)
                add(
                    measure.name,
                    "slope",
                    label,
                    k,
                    line.threshold,
                    zipf_design_effect(sizes, authors, line),
                )
    dated, _ = hub_ages(
        known.select(
            "downloads",
            "likes",
            created_on=pl.col("created_at").dt.date(),
            author=pl.Series(authors),
        ),
        day,
    )
    ages = dated["age"].to_numpy()
    owners = dated["author"].to_numpy()
    for measure in (DOWNLOADS, LIKES):
        for label, k, threshold, effect in _cohort_effects(known, dated, measure):
            add(measure.name, "cohort_alpha", label, k, threshold, effect)
    if ages.size > 1 and ages.std() > 0:
        add(
            "age",
            "mean",
            "dated",
            ages.size,
            0.0,
            (design_effect(ages - ages.mean(), owners), int(np.unique(owners).size)),
        )
    return pl.DataFrame(rows, schema=TABLES["hub_design_effects"].schema)


def _cohort_effects(
    known: pl.DataFrame, dated: pl.DataFrame, measure: Variable
) -> Iterator[tuple[str, int, float, tuple[float, int]]]:
    """Yield label, tail, x_min and (design effect, owners) of each age cohort's zeta."""
    by_age = dated.group_by("age").len().sort("age")
    if by_age.height < 2:
        return
    edges = cohort_edges(by_age["age"].to_numpy(), by_age["len"].to_numpy())
    x_min = fit_tail(Counts.from_sample(known[measure.name].to_numpy())).x_min
    sizes, owners = dated[measure.name].to_numpy().astype(np.float64), dated["author"].to_numpy()
    where = np.searchsorted(edges, dated["age"].to_numpy(), side="right") - 1
    for c in range(edges.size - 1):
        inside = where == c
        tail = inside & (sizes >= x_min)
        if np.unique(sizes[tail]).size < 2 or np.unique(owners[tail]).size < FEWEST_CLUSTERS:
            continue
        fit = fit_tail(sizes[inside], x_min=x_min)
        effect = tail_design_effect(sizes[inside], owners[inside], fit)
        yield cohort_label(c), fit.n_tail, x_min, effect
