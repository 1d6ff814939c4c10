"""Every model on equal terms: simulated at the observed size and ages, and measured as the data.

Samples are drawn at the estimated parameters. That these are estimates too is said by the slopes:
how far the mean of each statistic moves with each parameter, from samples a standard error to both
sides. What comes out of a draw is a histogram for each age cohort.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle

import numpy as np
import polars as pl

from baimo.estimation.predictive.replicate import replicate, replicate_seeds
from baimo.estimation.results import Estimate
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.sampling import SAMPLING, Sampling
from baimo.pipeline.analysis.summary_statistics import (
    Refits,
    Simulated,
    Statistics,
    measure_sample,
)
from baimo.pipeline.lake.results import Day, Named, Stored
from baimo.pipeline.models.base import (
    FAMILIES,
    Family,
    IncrementSampler,
    Sampler,
    Values,
    Yardstick,
    values_of,
)
from baimo.pipeline.models.registry import MODELS, of_family, pairs
from baimo.pipeline.variables import VARIABLES, Variable

MOST_LATER = 50  # draws of the following interval
MOST_SCANNED = 50  # samples that are fitted at an x_min of their own too
SLOPE_SAMPLES = 8  # on either side of a parameter

SIMULATIONS: dict[str, Stored[pl.DataFrame]] = {
    f.name: Stored(f"{f.name}_simulation", pl.DataFrame) for f in FAMILIES
}
REFITS: dict[str, Stored[Refits]] = {f.name: Stored(f"{f.name}_refit", dict) for f in FAMILIES}
"""By family: histograms of the first samples, and the statistics of all."""

Key = tuple[str, str]
"""Label of a model, name of a variable."""


def needs_of(family: Family) -> tuple[Named, ...]:
    """Return what the models of a family, and their errors, read of a day."""
    return (SAMPLING, *(need for model in of_family(family) for need in model.needs))


def _nothing(_: Values) -> None:
    return None


@dataclass(frozen=True, eq=False)
class Drawn:
    """A model of a variable, ready to be drawn at its estimate and beside it.

    Parameters
    ----------
    values
        Parameters at the estimate.
    steps
        Standard errors of those that are estimated with one.
    sampler_at
        Returns the sampler at given parameters.
    later_at
        Returns what draws the following interval, None where the model says nothing of it.
    yardstick
        What only this model is measured by.
    """

    values: Values
    steps: Values
    sampler_at: Callable[[Values], Sampler]
    later_at: Callable[[Values], IncrementSampler | None] = _nothing
    yardstick: Yardstick | None = None

    @property
    def sampler(self) -> Sampler:
        """The sampler at the estimate."""
        return self.sampler_at(self.values)


def samplers_of(day: Day, family: Family) -> dict[Key, Drawn]:
    """Return each model of a family for each of its variables; what cannot be fitted left out."""
    found = {}
    for model, variable in pairs(family):
        own = day.only(model.needs)
        estimates = model.parameters(own, variable)
        if estimates is None:
            continue
        errors = errors_of(estimates, day.read(SAMPLING).get(variable.name))
        found[model.label, variable.name] = Drawn(
            values=values_of(estimates),
            steps=steps_of(values_of(estimates), errors),
            sampler_at=partial(model.sampler, own, variable),
            later_at=partial(model.increments, own, variable),
            yardstick=model.yardstick(own, variable),
        )
    return found


def steps_of(values: Values, errors: Mapping[str, float]) -> dict[str, float]:
    """Return steps to both sides of parameters: an error, half of the value at most.

    A positive parameter then stays positive; what has no error has no step.
    """
    found = {}
    for name, error in errors.items():
        most = 0.5 * abs(values[name])
        if error > 0:
            found[name] = min(error, most) if most > 0 else error
    return found


def errors_of(estimates: Mapping[str, Estimate], sampling: Sampling | None) -> dict[str, float]:
    """Return the error of each parameter: with clusters where that is known, else its own, else 0.

    A parameter without a value has none.
    """
    found = {}
    for name, estimate in estimates.items():
        if estimate.value is None:
            continue
        clustered = sampling.std_error(name) if sampling else None
        found[name] = (estimate.std_error or 0.0) if clustered is None else clustered
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


def simulate_models(models: Mapping[Key, Drawn], *, n_replications: int, seed: int) -> pl.DataFrame:
    """Draw every model and return histograms: model, measure, replicate, cohort, value, n_items."""
    parts = []
    for key, drawn in models.items():
        samples = replicate(drawn.sampler, n_replications=n_replications, seed=seed_of(seed, key))
        for i, sample in enumerate(samples):
            parts += [_histogram(*key, i, cohort, counts) for cohort, counts in sample.items()]
    return pl.concat(parts)


@dataclass(frozen=True)
class Measured:
    """Draws a sample and measures it as the data were.

    Parameters
    ----------
    sampler
        Draws.
    variable, x_min
        What is drawn, and the lower end of the tail of the data.
    yardstick
        What only this model is measured by.
    scanned
        Whether the tail is fitted at an x_min of the sample's own too.
    """

    sampler: Sampler
    variable: Variable
    x_min: float
    yardstick: Yardstick | None = None
    scanned: bool = False

    def __call__(self, rng: np.random.Generator) -> Statistics:
        """Return the statistics of one sample."""
        sample = self.sampler(rng)
        found = measure_sample(sample, self.variable, self.x_min, scanned=self.scanned)
        return found if self.yardstick is None else found | self.yardstick(sample)


def refit_models(
    models: Mapping[Key, Drawn],
    x_min: Mapping[str, float],
    *,
    n_replications: int,
    seed: int,
    n_scanned: int = MOST_SCANNED,
) -> Refits:
    """Draw every model and measure each sample as the data; `x_min` by variable.

    The samples are those of `simulate_models` with the same seed, and are not kept; the first
    `n_scanned` are fitted at an x_min of their own too, by which nothing is judged. Each is joined
    by what the same model gives over the following interval, where it says something of it: that
    begins with the observed sizes, not with the simulated ones, so that it is drawn fifty times and
    these are gone through again and again.
    """
    return {
        key: _followed(
            _simulated(
                Measured(drawn.sampler, VARIABLES[key[1]], x_min[key[1]], drawn.yardstick),
                drawn,
                np.random.SeedSequence(seed_of(seed, key)).spawn(n_replications),
                n_scanned,
            ),
            drawn,
            seed_of(seed, (*key, "later")),
        )
        for key, drawn in models.items()
    }


def _simulated(
    plain: Measured, drawn: Drawn, seeds: Sequence[np.random.SeedSequence], n_scanned: int
) -> Simulated:
    """Return the statistics of samples at the estimate, and how they move with the parameters."""
    samples = (
        *replicate_seeds(replace(plain, scanned=True), seeds[:n_scanned]),
        *replicate_seeds(plain, seeds[n_scanned:]),
    )
    few = seeds[:SLOPE_SAMPLES]

    def at(values: Values) -> Measured:
        return replace(plain, sampler=drawn.sampler_at(values))

    slopes = {name: _slope(drawn, name, step, at, few) for name, step in drawn.steps.items()}
    return Simulated(samples=samples, slopes=slopes)


def _followed(before: Simulated, drawn: Drawn, seed: list[int]) -> Simulated:
    """Add what comes next to samples, and how it moves with the parameters to the slopes."""
    sampler, n = drawn.later_at(drawn.values), min(len(before.samples), MOST_LATER)
    if sampler is None:
        return before
    seeds = np.random.SeedSequence(seed).spawn(n)
    later = replicate_seeds(sampler, seeds)

    def at(values: Values) -> IncrementSampler:
        return drawn.later_at(values) or sampler

    slopes = {
        name: before.slopes[name] | _slope(drawn, name, step, at, seeds[:SLOPE_SAMPLES])
        for name, step in drawn.steps.items()
    }
    samples = zip(before.samples, cycle(later), strict=False)
    return Simulated(samples=tuple(sizes | moves for sizes, moves in samples), slopes=slopes)


def _slope(
    drawn: Drawn,
    name: str,
    step: float,
    measured: Callable[[Values], Callable[[np.random.Generator], Statistics]],
    seeds: Sequence[np.random.SeedSequence],
) -> Statistics:
    """Return the derivative of mean statistics in a parameter, the same seeds on both sides.

    NaN for a statistic that the samples of one side do not have.
    """
    ends = [
        replicate_seeds(measured({**drawn.values, name: drawn.values[name] + sign * step}), seeds)
        for sign in (-1.0, 1.0)
    ]
    return {
        statistic: (mean_of(ends[1], statistic) - mean_of(ends[0], statistic)) / (2.0 * step)
        for statistic in ends[0][0]
    }


def mean_of(samples: Sequence[Statistics], statistic: str) -> float:
    """Return the mean over the samples that have the statistic, NaN where none has."""
    found = [s.get(statistic, math.nan) for s in samples]
    finite = [v for v in found if math.isfinite(v)]
    return math.fsum(finite) / len(finite) if finite else math.nan


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
