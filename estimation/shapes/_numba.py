"""The compiled loops of `shapes`: how far two size curves are apart at the best shift.

A curve gives the log size at every rank, from the largest item down: cell i spans the ranks
end[i-1] to end[i], and the log size falls linearly from top[i] to low[i] within it. Ranks beyond
1 are not compared.
"""

from __future__ import annotations

import numpy as np

from baimo.estimation.arrays import Floats
from baimo.simulation.numba_kernels import jit

_SLIVER = 1e-13  # of rank: what lies between closer ones is rounding
_SAME = 1e-9  # of log size: less is no difference


@jit
def lead(
    ahead: float,
    a_top: Floats, a_low: Floats, a_end: Floats,
    b_top: Floats, b_low: Floats, b_end: Floats,
    enough: float,
) -> float:  # fmt: skip
    """Return the largest b(r + ahead) - a(r) over the ranks r, or the first beyond `enough`."""
    most: float = -np.inf
    i, a_from = 0, 0.0
    j = np.searchsorted(b_end, ahead, side="right")
    b_from = b_end[j - 1] if j > 0 else 0.0
    r = 0.0
    while r < 1.0 - ahead - _SLIVER and i < a_end.size and j < b_end.size:
        stop = max(r, min(a_end[i], b_end[j] - ahead, 1.0 - ahead))
        if stop - r > _SLIVER:
            a_slope = (a_low[i] - a_top[i]) / (a_end[i] - a_from)
            b_slope = (b_low[j] - b_top[j]) / (b_end[j] - b_from)
            gap = b_top[j] + b_slope * (r + ahead - b_from) - a_top[i] - a_slope * (r - a_from)
            most = max(most, gap, gap + (b_slope - a_slope) * (stop - r))
            if most > enough:
                return most
        r = stop
        if a_end[i] <= stop:
            a_from = a_end[i]
            i += 1
        if b_end[j] - ahead <= stop:
            b_from = b_end[j]
            j += 1
    return most


@jit
def least_distance(
    a_top: Floats, a_low: Floats, a_end: Floats,
    b_top: Floats, b_low: Floats, b_end: Floats,
    halvings: int,
) -> tuple[float, float]:  # fmt: skip
    """Return (least d, shift t) with |A(x) - B(x + t)| <= d at every x; A, B rank by log size.

    That is b(r + d) - t <= a(r) and a(r + d) <= b(r) - t at every rank r: the shifts from one
    lead to minus the other will do, and there are some where the two leads add up to no more
    than nothing. d is exact to 2^-halvings, t the middle of its shifts.
    """
    near, far, d = 0.0, 1.0, 0.0
    for _ in range(halvings + 1):
        one = lead(d, a_top, a_low, a_end, b_top, b_low, b_end, np.inf)
        other = lead(d, b_top, b_low, b_end, a_top, a_low, a_end, _SAME - one)
        if one + other <= _SAME:
            far = d
        else:
            near = d
        if far == 0.0:
            break
        d = 0.5 * (near + far)
    one = lead(far, a_top, a_low, a_end, b_top, b_low, b_end, np.inf)
    other = lead(far, b_top, b_low, b_end, a_top, a_low, a_end, np.inf)
    return far, 0.5 * (one - other)
