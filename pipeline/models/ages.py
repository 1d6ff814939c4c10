"""Ages of items that entered at a growing rate, for models that are simulated into a file."""

from __future__ import annotations

import math

import numpy as np

from baimo.estimation.arrays import Floats
from baimo.pipeline.errors import SourceError

AGES = {"entry_growth_plus_exit": 1.2, "horizon": 4.0}
AGES_MEANING = {
    "entry_growth_plus_exit": "n + delta, 1/yr",
    "horizon": "length of history, yr",
}


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
