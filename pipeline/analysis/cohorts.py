"""Age cohorts of the Hub's models: how they are cut, and the tail of each."""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING

from baimo.pipeline.analysis.summary_statistics import Refits
from baimo.pipeline.variables import N_COHORTS

if TYPE_CHECKING:
    pass
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.cohorts import CohortsFit, fit_cohorts
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.analysis.summary_statistics import UNDATED, Drawn
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.variables import cohort_edges, cohort_label, hub_ages


def cohort_zetas(refits: Refits) -> dict[tuple[str, str], tuple[float, ...]]:
    """Return the mean zeta of each cohort over the simulated samples of every model."""
    out = {}
    for key, samples in refits.items():
        means = []
        for c in range(N_COHORTS):
            found = [s.get(f"zeta_cohort_{c + 1}", math.nan) for s in samples]
            finite = [z for z in found if math.isfinite(z)]
            means.append(sum(finite) / len(finite) if 2 * len(finite) > len(found) else math.nan)
        if any(math.isfinite(z) for z in means):
            out[key] = tuple(means)
    return out


def cohort_data(
    frequency: pl.DataFrame, attachment: AttachmentCalibration, day: date
) -> dict[str, Drawn]:
    """Return downloads and likes by age cohort: by measure, then by cohort."""
    dated, _ = hub_ages(frequency, day)
    key = ["created_on", "downloads", "likes", "n_models"]
    undated = frequency.join(dated.select(key[0]).unique(), on=key[0], how="anti")
    every = pl.concat(
        [dated.select(*key, "age"), undated.select(*key, pl.lit(None, pl.Float64).alias("age"))]
    )
    cohorts = cohorts_of(attachment)
    return {name: observed_cohorts(every, name, cohorts) for name in ("downloads", "likes")}


def positive_by_cohort(seen: Mapping[str, Drawn]) -> dict[str, dict[int, int]]:
    """Return how many items of each cohort have at least one."""
    return {
        name: {c: counts.n_obs - counts.n_zero for c, counts in drawn.items()}
        for name, drawn in seen.items()
    }


def measure_cohorts(
    frequency: pl.DataFrame,
    effects: pl.DataFrame,
    attachment: AttachmentCalibration,
    fits: Mapping[str, SizeFits],
    day: date,
) -> dict[str, CohortsFit]:
    """Fit the tail of every age cohort above the x_min of all, where enough items are dated."""
    dated, _ = hub_ages(frequency, day)
    edges = cohorts_of(attachment).edges
    found = {}
    for name in ("downloads", "likes"):
        inflation = [_effect(effects, name, c) for c in range(edges.size - 1)]
        known = [e for e in inflation if e is not None]
        try:
            fit = fit_cohorts(
                dated[name].to_numpy(),
                dated["age"].to_numpy(),
                dated["n_models"].to_numpy(),
                edges=edges.tolist(),
                x_min=fits[name].tail.x_min,
                design_effects=[e or 1.0 for e in inflation],
            )
        except DataError:
            continue  # too few items of known age in the tail; the audit says it cannot be told
        how = f"errors of {len(known)} of {len(inflation)} cohorts clustered by author"
        found[name] = replace(fit, notes=(*fit.notes, how))
    return found


def _effect(effects: pl.DataFrame, measure: str, cohort: int) -> float | None:
    """Look up the design effect of one cohort's zeta, None where none was measured."""
    row = effects.filter(
        (pl.col("measure") == measure)
        & (pl.col("statistic") == "cohort_alpha")
        & (pl.col("cutoff") == cohort_label(cohort))
    )
    return float(row["design_effect"][0]) if row.height else None


@dataclass(frozen=True, eq=False)
class Cohorts:
    """Age cohorts of the items of a cross-section, from young (0) to old.

    Parameters
    ----------
    edges : (c + 1,)
        Ages in years at which cohorts begin, and the end of the last.
    ages, cohort : (dated items,)
        Age and cohort of each dated item, young to old.
    n_undated
        Items whose age is not known; they make a cohort of their own, -1.
    """

    edges: Floats
    ages: Floats
    cohort: Ints
    n_undated: int

    @property
    def n_items(self) -> int:
        """Return the number of items, undated ones included."""
        return self.ages.size + self.n_undated


def cohorts_of(attachment: AttachmentCalibration) -> Cohorts:
    """Cut the dated items into cohorts of about equal numbers."""
    ages, n = attachment.ages, attachment.n_models
    edges = cohort_edges(ages, n)
    every = np.repeat(ages, n)
    return Cohorts(
        edges=edges,
        ages=every,
        cohort=np.searchsorted(edges, every, side="right") - 1,
        n_undated=attachment.simon_likes.n_obs - every.size,
    )


def observed_cohorts(frequency: pl.DataFrame, measure: str, cohorts: Cohorts) -> Drawn:
    """Return the data in the form in which models are drawn; `frequency` has `age` (null: none)."""
    where = np.searchsorted(cohorts.edges, frequency["age"].fill_null(-1.0), side="right") - 1
    table = frequency.with_columns(cohort=pl.Series(where, dtype=pl.Int64))
    sums = table.group_by("cohort", measure).agg(pl.col("n_models").sum()).sort("cohort", measure)
    return {
        int(str(c)): Counts.from_pairs(rows[measure].to_numpy(), rows["n_models"].to_numpy())
        for (c,), rows in sums.group_by("cohort", maintain_order=True)
    }


def split_into_cohorts(sizes: Ints, cohorts: Cohorts) -> Drawn:
    """Cut sizes, undated items first and the others young to old, into cohorts."""
    ends = np.searchsorted(cohorts.cohort, np.arange(cohorts.edges.size)) + cohorts.n_undated
    out = {UNDATED: sizes[: cohorts.n_undated]} if cohorts.n_undated else {}
    out |= {c: sizes[ends[c] : ends[c + 1]] for c in range(ends.size - 1)}
    return {c: Counts.from_sample(part) for c, part in out.items() if part.size}
