"""Every mechanism on equal terms: drawn at the observed size, ages and total, cohort by cohort.

Parameters are drawn from their sampling distribution anew in each replication, so that the spread
of the replications holds what is not known of them. What comes out is a histogram for each age
cohort, which goes through the same fits as the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from baimo.estimation.predictive.replicate import replicate
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.summary_statistics import (
    Refits,
    Statistics,
    measure_drawn,
)
from baimo.pipeline.models.base import Draw
from baimo.pipeline.variables import MEASURES

MOST_LATER = 50  # samples whose following interval is drawn too


def simulate_models(
    draws: Mapping[tuple[str, str], Draw], *, n_replications: int, seed: int
) -> pl.DataFrame:
    """Draw every model and return histograms: model, measure, replicate, cohort, value, n_items."""
    parts = []
    for key, draw in draws.items():
        samples = replicate(draw, n_replications=n_replications, seed=seed_of(seed, key))
        for i, drawn in enumerate(samples):
            parts += [_histogram(*key, i, cohort, counts) for cohort, counts in drawn.items()]
    return pl.concat(parts)


def refit_models(
    draws: Mapping[tuple[str, str], Draw],
    x_min: Mapping[str, float],
    *,
    n_replications: int,
    seed: int,
) -> Refits:
    """Draw every model and send each sample through the fits of the data; `x_min` by measure.

    The samples are those of `simulate_models` with the same seed, and are not kept.
    """

    def measured(draw: Draw, measure: str) -> Callable[[np.random.Generator], Statistics]:
        discrete = MEASURES[measure].discrete
        return lambda rng: measure_drawn(draw(rng), discrete=discrete, x_min=x_min[measure])

    return {
        key: replicate(
            measured(draw, key[1]), n_replications=n_replications, seed=seed_of(seed, key)
        )
        for key, draw in draws.items()
    }


def refit_later(
    refits: Refits,
    draws: Mapping[tuple[str, str], Callable[[np.random.Generator], Statistics]],
    *,
    seed: int,
) -> Refits:
    """Add to simulated samples what the same model gives over the following interval.

    To the first fifty: over a whole Hub theta, phi and psi hardly differ between draws.
    """

    def added(key: tuple[str, str]) -> tuple[Statistics, ...]:
        before = refits[key]
        n, seeds = min(len(before), MOST_LATER), seed_of(seed, (*key, "later"))
        later = replicate(draws[key], n_replications=n, seed=seeds)
        together = (sizes | moves for sizes, moves in zip(before[:n], later, strict=True))
        return (*together, *before[n:])

    return refits | {key: added(key) for key in draws if key in refits}


def seed_of(seed: int, key: Sequence[str]) -> list[int]:
    """Return the seed of one model: its name moves no other's draws."""
    return [seed, *"/".join(key).encode()]


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
