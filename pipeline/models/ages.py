"""Models whose items grow over their ages: sampled over observed ages, or over drawn ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from baimo.estimation.arrays import Floats, Ints
from baimo.pipeline.analysis.cohorts import Cohorts
from baimo.pipeline.analysis.summary_statistics import CohortSample
from baimo.pipeline.errors import SourceError

P = TypeVar("P")

AGES = {"entry_growth_plus_exit": 1.2, "horizon": 4.0}
AGES_MEANING = {
    "entry_growth_plus_exit": "n + delta, 1/yr",
    "horizon": "length of history, yr",
}


@dataclass(frozen=True, eq=False)
class AgedSampler(Generic[P]):
    """Draws sizes over the observed ages.

    Parameters
    ----------
    simulate
        Gives a size for each age, from the parameters.
    params
        Of the model.
    cohorts
        Ages of the items.
    horizon
        Age of those whose age is not known, in years.
    """

    simulate: Callable[[P, Floats, np.random.Generator], Ints]
    params: P
    cohorts: Cohorts
    horizon: float

    def __call__(self, rng: np.random.Generator) -> CohortSample:
        """Return one sample by cohort."""
        ages = self.cohorts.age_of_each(self.horizon)
        return self.cohorts.split(self.simulate(self.params, ages, rng))


def sample_ages(rate: float, horizon: float, n: int, rng: np.random.Generator) -> Floats:
    """Return ages of items that entered at a growing rate over the horizon (truncated exponential).

    Raises
    ------
    SourceError
        The horizon is no positive number.
    """
    if not (math.isfinite(horizon) and horizon > 0):
        raise SourceError(f"horizon = {horizon:g} must be a positive number of years")
    u = rng.random(n)
    if abs(rate * horizon) < 1e-9:
        return horizon * u
    ages: Floats = -np.log1p(u * np.expm1(-rate * horizon)) / rate
    return ages
