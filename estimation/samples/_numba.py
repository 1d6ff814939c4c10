"""Compiled loops over raw samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baimo.estimation.arrays import Ints
from baimo.simulation.numba_kernels import jit

DENSE = 1 << 12  # counts below it are tallied, the few above it sorted


@jit
def tally(x: NDArray[np.generic], table: Ints, rest: NDArray[np.generic]) -> int:
    """Count the whole numbers below DENSE in `table` (4 * DENSE), copy all else to `rest`.

    Returns the number of elements copied: large, negative, fractional or missing ones. Four
    interleaved tables, because runs of equal counts would wait for one another.
    """
    n_rest = 0
    for i in range(x.size):
        v = x[i]
        if v >= 0 and v < DENSE:
            k = int(v)
            if k == v:
                table[(i & 3) * DENSE + k] += 1
                continue
        rest[n_rest] = v
        n_rest += 1
    return n_rest
