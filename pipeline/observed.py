"""The data in the form in which mechanisms are drawn and judged: by age cohort."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date

import polars as pl

from baimo.estimation.distributions.fit import WholeSampleFit
from baimo.estimation.errors import DataError, EstimationError
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit, fit_poisson_rates
from baimo.estimation.tails.cohorts import CohortsFit, fit_cohorts
from baimo.pipeline.drawn import UNDATED, Drawn, Statistics, measure_drawn
from baimo.pipeline.fits import SizeFits
from baimo.pipeline.gains import KernelCalibration
from baimo.pipeline.measures import N_COHORTS, cohort_label, hub_ages
from baimo.pipeline.mechanisms import cohorts_of, observed_cohorts
from baimo.pipeline.models import AttachmentCalibration
from baimo.pipeline.movement import measure_movement, movement_errors, two_dates

BORN = {
    "lognormal": "discretised_lognormal",
    "dPlN": "discretised_double_pareto_lognormal",
}


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


def births(fits: Mapping[str, SizeFits]) -> dict[tuple[str, str], WholeSampleFit]:
    """Return the laws of a size settled at birth, where the whole sample has one."""
    return {
        (model, measure): law
        for measure, fit in fits.items()
        for model, name in BORN.items()
        for law in fit.whole.fits
        if law.model == name
    }


def fit_rates(frequency: pl.DataFrame, day: date) -> dict[str, PoissonRatesFit]:
    """Fit lognormal rates to downloads and likes over ages, where there is something to fit."""
    dated, _ = hub_ages(frequency, day)
    found = {}
    for name in ("downloads", "likes"):
        pairs = dated.group_by("age", name).agg(pl.col("n_models").sum()).sort("age", name)
        with suppress(EstimationError):
            found[name] = fit_poisson_rates(
                pairs["age"].to_numpy(), pairs[name].to_numpy(), pairs["n_models"].to_numpy()
            )
    return found


def observed_statistics(
    seen: Mapping[str, Drawn], fits: Mapping[str, SizeFits]
) -> dict[str, Statistics]:
    """Measure the data as every simulated sample is measured."""
    out = {}
    for name, fit in fits.items():
        drawn = seen.get(name, {UNDATED: fit.counts})
        out[name] = measure_drawn(drawn, discrete=fit.tail.discrete, x_min=fit.tail.x_min)
    return out


def seen_later(
    statistics: Mapping[str, Statistics],
    kernel: KernelCalibration | None,
    population: pl.DataFrame,
) -> dict[str, Statistics]:
    """Add what the data say of the following interval: gains of likes, growth of TVL."""
    later = {"tvl": measure_movement(*two_dates(population))}
    if kernel is not None and kernel.whole:
        later["likes"] = kernel.statistics()[0]
    return {name: found | later.get(name, {}) for name, found in statistics.items()}


def clustered_errors(
    cohorts: Mapping[str, CohortsFit],
    kernel: KernelCalibration | None,
    population: pl.DataFrame,
) -> dict[str, dict[str, float]]:
    """Return, by measure, errors clustered by author (Hub) or category (DeFi)."""
    found: dict[str, dict[str, float]] = {
        name: {"zeta_oldest": float(fit.std_error[-1])}
        for name, fit in cohorts.items()
        if fit.zeta.size == N_COHORTS  # else the oldest may be among those left out
    }
    if kernel is not None and kernel.whole:
        found["likes"] = found.get("likes", {}) | kernel.statistics()[1]
    return found | {"tvl": movement_errors(population)}


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
