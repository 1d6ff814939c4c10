"""Every model on equal terms: simulated at the observed size, ages and total, and refitted.

Parameters are drawn from their sampling distribution anew in each replication where the model's
file says so. What comes out is a histogram for each age cohort, which goes through the same fits as
the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from baimo.estimation.predictive.replicate import replicate
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.summary_statistics import Refits, Statistics, measure_sample
from baimo.pipeline.lake.results import Day, Named, Stored
from baimo.pipeline.models.base import FAMILIES, Family, IncrementSampler, Sampler
from baimo.pipeline.models.registry import MODELS, of_family, pairs
from baimo.pipeline.variables import VARIABLES

MOST_LATER = 50  # samples whose following interval is drawn too

SIMULATIONS: dict[str, Stored[pl.DataFrame]] = {
    f.name: Stored(f"{f.name}_simulation", pl.DataFrame) for f in FAMILIES
}
REFITS: dict[str, Stored[Refits]] = {f.name: Stored(f"{f.name}_refit", dict) for f in FAMILIES}
"""By family: histograms of the first samples, and the statistics of all."""

Key = tuple[str, str]
"""Label of a model, name of a variable."""


def needs_of(family: Family) -> tuple[Named, ...]:
    """Return what the models of a family read of a day."""
    return tuple(need for model in of_family(family) for need in model.needs)


def samplers_of(day: Day, family: Family) -> dict[Key, Sampler]:
    """Return a draw of each model of a family and each of its variables."""
    found = {}
    for model, variable in pairs(family):
        sampler = model.sampler(day.only(model.needs), variable)
        if sampler is not None:
            found[model.label, variable.name] = sampler
    return found


def increments_of(day: Day, family: Family) -> dict[Key, IncrementSampler]:
    """Return by model and variable what draws the next increments; models without one left out."""
    found = {}
    for model, variable in pairs(family):
        increments = model.increments(day.only(model.needs), variable)
        if increments is not None:
            found[model.label, variable.name] = increments
    return found


def read_refits(day: Day, families: Sequence[Family] = FAMILIES) -> Refits:
    """Return the statistics of the simulated samples of all models of some families."""
    found: Refits = {}
    for family in families:
        found |= day.read(REFITS[family.name])
    return found


def read_simulations(day: Day) -> pl.DataFrame:
    """Return the histograms of the first simulated samples of all models, one below the other."""
    return pl.concat([day.read(stored) for stored in SIMULATIONS.values()])


def simulate_models(
    samplers: Mapping[Key, Sampler], *, n_replications: int, seed: int
) -> pl.DataFrame:
    """Draw every model and return histograms: model, measure, replicate, cohort, value, n_items."""
    parts = []
    for key, sampler in samplers.items():
        samples = replicate(sampler, n_replications=n_replications, seed=seed_of(seed, key))
        for i, sample in enumerate(samples):
            parts += [_histogram(*key, i, cohort, counts) for cohort, counts in sample.items()]
    return pl.concat(parts)


@dataclass(frozen=True)
class Refit:
    """Draws a sample and sends it through the fits of the data.

    Parameters
    ----------
    sampler
        Draws.
    discrete, x_min
        Of the variable: counts or sizes, and the lower end of the tail of the data.
    """

    sampler: Sampler
    discrete: bool
    x_min: float

    def __call__(self, rng: np.random.Generator) -> Statistics:
        """Return the statistics of one sample."""
        return measure_sample(self.sampler(rng), discrete=self.discrete, x_min=self.x_min)


def refit_models(
    samplers: Mapping[Key, Sampler],
    x_min: Mapping[str, float],
    *,
    n_replications: int,
    seed: int,
) -> Refits:
    """Draw every model and send each sample through the fits of the data; `x_min` by variable.

    The samples are those of `simulate_models` with the same seed, and are not kept.
    """
    return {
        key: replicate(
            Refit(sampler, VARIABLES[key[1]].discrete, x_min[key[1]]),
            n_replications=n_replications,
            seed=seed_of(seed, key),
        )
        for key, sampler in samplers.items()
    }


def refit_increments(
    refits: Refits, increments: Mapping[Key, IncrementSampler], *, seed: int
) -> Refits:
    """Add to simulated samples what the same model gives over the following interval.

    To the first fifty: over a whole Hub theta, phi and psi hardly differ between draws.
    """

    def added(key: Key) -> tuple[Statistics, ...]:
        before = refits[key]
        n, seeds = min(len(before), MOST_LATER), seed_of(seed, (*key, "later"))
        later = replicate(increments[key], n_replications=n, seed=seeds)
        together = (sizes | moves for sizes, moves in zip(before[:n], later, strict=True))
        return (*together, *before[n:])

    return refits | {key: added(key) for key in increments if key in refits}


def seed_of(seed: int, key: Sequence[str]) -> list[int]:
    """Return the seed of one model: its name moves no other's draws."""
    return [seed, *"/".join(key).encode()]


def first_samples(simulated: pl.DataFrame, variable: str) -> dict[str, Counts]:
    """Return the first simulated sample of every model of one variable, by label."""
    rows = simulated.filter((pl.col("measure") == variable) & (pl.col("replicate") == 0))
    return {
        str(model): Counts.from_pairs(part["value"].to_numpy(), part["n_items"].to_numpy())
        for (model,), part in rows.group_by("model", maintain_order=True)
    }


def in_overview() -> frozenset[str]:
    """Return the labels of the models that the overview shows."""
    return frozenset(model.label for model in MODELS if model.in_overview)


def _histogram(model: str, measure: str, i: int, cohort: int, counts: Counts) -> pl.DataFrame:
    frame = pl.DataFrame({"value": counts.values, "n_items": counts.multiplicities})
    return frame.select(
        pl.lit(model).alias("model"),
        pl.lit(measure).alias("measure"),
        pl.lit(i, dtype=pl.Int32).alias("replicate"),
        pl.lit(cohort, dtype=pl.Int8).alias("cohort"),
        "value",
        "n_items",
    )
