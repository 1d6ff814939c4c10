"""Age cohorts of the Hub's models: how they are cut, and the tail of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.cohorts import CohortsFit, fit_cohorts
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.sizes import TAILS, SizeFits, read_tails
from baimo.pipeline.analysis.summary_statistics import UNDATED, CohortSample, Refits
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.schema.derived import HUB_COVARIANCES, HUB_FREQUENCY
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.statistics import zeta_of_cohort
from baimo.pipeline.text import joined
from baimo.pipeline.variables import HUB, N_COHORTS, cohort_edges, hub_ages

COHORTS: Stored[dict[str, CohortsFit]] = Stored("cohorts", dict)
"""By variable: the tail of every age cohort above the x_min of all."""


@dataclass(frozen=True, eq=False)
class Cohorts:
    """Age cohorts of the items of a cross-section, from young (0) to old.

    Parameters
    ----------
    edges : (c + 1,)
        Ages in years at which cohorts begin, and the end of the last.
    ages, n_items : (a,)
        Distinct ages of the dated items, ascending, and how many have each.
    n_undated
        Items whose age is not known; they make a cohort of their own, -1.
    """

    edges: Floats
    ages: Floats
    n_items: Ints
    n_undated: int

    @classmethod
    def cut(cls, ages: Floats, n_items: Ints, n_undated: int) -> Cohorts:
        """Cut the dated items into cohorts of about equal numbers."""
        return cls(cohort_edges(ages, n_items), ages, n_items, n_undated)

    @property
    def n_all(self) -> int:
        """Return the number of items, undated ones included."""
        return int(self.n_items.sum()) + self.n_undated

    def age_of_each(self, undated: float) -> Floats:
        """Return the age of every item, the undated first with an age given for them."""
        return np.concatenate(
            [np.full(self.n_undated, undated), np.repeat(self.ages, self.n_items)]
        )

    def split(self, sizes: Ints) -> CohortSample:
        """Cut sizes, undated items first and the others young to old, into cohorts."""
        cohort = np.searchsorted(self.edges, self.ages, side="right") - 1
        below = [int(self.n_items[cohort < c].sum()) for c in range(self.edges.size)]
        ends = [self.n_undated + n for n in below]
        parts = {UNDATED: sizes[: self.n_undated]} if self.n_undated else {}
        parts |= {c: sizes[ends[c] : ends[c + 1]] for c in range(len(ends) - 1)}
        return {c: Counts.from_sample(part) for c, part in parts.items() if part.size}


def cut_cohorts(frequency: pl.DataFrame, day: date) -> Cohorts:
    """Cut the dated models of a day into cohorts of about equal numbers."""
    dated, _ = hub_ages(frequency, day)
    by_age = dated.group_by("age").agg(pl.col("n_models").sum()).sort("age")
    ages, n_items = by_age["age"].to_numpy(), by_age["n_models"].to_numpy()
    return Cohorts.cut(ages, n_items, int(frequency["n_models"].sum() - n_items.sum()))


def observed_by_cohort(
    frequency: pl.DataFrame, cohorts: Cohorts, day: date
) -> dict[str, CohortSample]:
    """Return downloads and likes by age cohort, in the form in which models are simulated."""
    dated, _ = hub_ages(frequency, day)
    key = ["created_on", *(v.name for v in HUB), "n_models"]
    undated = frequency.join(dated.select(key[0]).unique(), on=key[0], how="anti")
    every = pl.concat(
        [dated.select(*key, "age"), undated.select(*key, pl.lit(None, pl.Float64).alias("age"))]
    )
    return {v.name: count_by_cohort(every, v.name, cohorts) for v in HUB}


def count_by_cohort(frequency: pl.DataFrame, variable: str, cohorts: Cohorts) -> CohortSample:
    """Return one variable by cohort; `frequency` has `age` (null: not known)."""
    where = np.searchsorted(cohorts.edges, frequency["age"].fill_null(-1.0), side="right") - 1
    table = frequency.with_columns(cohort=pl.Series(where, dtype=pl.Int64))
    sums = table.group_by("cohort", variable).agg(pl.col("n_models").sum())
    sums = sums.sort("cohort", variable)
    return {
        int(str(c)): Counts.from_pairs(rows[variable].to_numpy(), rows["n_models"].to_numpy())
        for (c,), rows in sums.group_by("cohort", maintain_order=True)
    }


def _shown(found: dict[str, CohortsFit]) -> dict[str, float | None]:
    shown: dict[str, float | None] = {}
    for name, fit in found.items():
        shown |= {f"{name}_zeta_{i + 1}": float(z) for i, z in enumerate(fit.zeta)}
        shown[f"{name}_homogeneity_p"] = fit.p_value
    return shown


def _parameters(found: dict[str, CohortsFit]) -> Iterator[Row]:
    for variable, fit in found.items():
        note = joined(("disjoint cohorts above the x_min of all, young to old", *fit.notes))
        for name, e in fit.estimates().items():
            full = f"cohorts_hub_{variable}_{name}"
            yield parameter_row(full, e, fit, "CSN by age cohort", "") | {"notes": note}


@calibration(
    COHORTS,
    order=35,
    description="Tails of five age cohorts above the x_min of all: one exponent, or light tails "
    "that only their mixture makes heavy?",
    needs=(HUB_FREQUENCY, HUB_COVARIANCES, *(TAILS[v.name] for v in HUB)),
    shown=_shown,
    parameters=_parameters,
)
def measure_cohorts_of(day: Day) -> dict[str, CohortsFit]:
    """Fit the tail of every age cohort of downloads and likes."""
    frequency = day.table(HUB_FREQUENCY)
    fits = read_tails(day, (v.name for v in HUB))
    edges = cut_cohorts(frequency, day.date).edges
    return measure_cohorts(frequency, day.table(HUB_COVARIANCES), edges, fits, day.date)


def measure_cohorts(
    frequency: pl.DataFrame,
    covariances: pl.DataFrame,
    edges: Floats,
    fits: Mapping[str, SizeFits],
    day: date,
) -> dict[str, CohortsFit]:
    """Fit the tail of every age cohort above the x_min of all, where enough items are dated."""
    dated, _ = hub_ages(frequency, day)
    found = {}
    for name in (v.name for v in HUB):
        covariance = _covariance(covariances, name, edges.size - 1)
        try:
            fit = fit_cohorts(
                dated[name].to_numpy(),
                dated["age"].to_numpy(),
                dated["n_models"].to_numpy(),
                edges=edges.tolist(),
                x_min=fits[name].tail.x_min,
                covariance=covariance,
            )
        except DataError:
            continue  # too few items of known age in the tail; the audit says it cannot be told
        known = int(np.isfinite(np.diag(covariance)).sum())
        how = f"errors of {known} of {edges.size - 1} cohorts clustered by author"
        found[name] = replace(fit, notes=(*fit.notes, how))
    return found


def _covariance(covariances: pl.DataFrame, variable: str, n_cohorts: int) -> Floats:
    """Return the joint covariance of the cohorts' exponents, NaN where it is not known.

    Parameters
    ----------
    covariances
        Table hub_covariances.
    """
    place = {zeta_of_cohort(c): c for c in range(n_cohorts)}
    found = np.full((n_cohorts, n_cohorts), np.nan)
    of_cohorts = covariances.filter(
        (pl.col("measure") == variable)
        & pl.col("first").is_in(list(place))
        & pl.col("second").is_in(list(place))
    )
    for first, second, value in of_cohorts.select("first", "second", "covariance").iter_rows():
        i, j = place[first], place[second]
        found[i, j] = found[j, i] = value
    return found


def cohort_zetas(refits: Refits) -> dict[tuple[str, str], tuple[float, ...]]:
    """Return the mean zeta of each cohort over the simulated samples of every model."""
    out = {}
    for key, simulated in refits.items():
        means = []
        for c in range(N_COHORTS):
            found = [s.get(zeta_of_cohort(c), math.nan) for s in simulated.samples]
            finite = [z for z in found if math.isfinite(z)]
            means.append(sum(finite) / len(finite) if 2 * len(finite) > len(found) else math.nan)
        if any(math.isfinite(z) for z in means):
            out[key] = tuple(means)
    return out
