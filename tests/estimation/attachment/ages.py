"""Ages of items that enter at a growing rate, for tests to draw."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def draw_ages(rate: float, horizon: float, n: int, rng: np.random.Generator) -> Floats:
    """Return ages with density proportional to exp(-rate age) on [0, horizon]."""
    u = rng.random(n)
    if rate == 0:
        return horizon * u
    return -np.log1p(u * np.expm1(-rate * horizon)) / rate
