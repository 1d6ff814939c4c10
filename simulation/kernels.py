"""Compiled loops of the simulators, and the one way in which this project compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile with numba, caching on disk where some folder can be written."""
    try:
        compiled: F = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no writable place for its cache
        compiled = numba.njit(nogil=True)(function)
    return compiled


@jit
def split_urn(
    births: NDArray[np.int64], n_events: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the final size of each item of a Simon urn, given the events at which they came.

    From the last item back: of the events that went to the first j items after item j came,
    item j holds a beta-binomial(m, 1, births[j] - 1) number, which is Pólya's urn exactly.
    """
    sizes = np.empty(births.size, dtype=np.int64)
    left = n_events
    for j in range(births.size - 1, 0, -1):
        before = births[j] - 1
        m = left - births[j]
        size = 1
        if m > 0:
            share = 1.0 - (1.0 - rng.random()) ** (1.0 / before)
            size += rng.binomial(m, share)
        sizes[j] = size
        left -= size
    sizes[0] = left
    return sizes
