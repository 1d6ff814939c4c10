"""Equivalence tests with a margin, and Holm's correction.

A difference within the margin counts as none. Two hypotheses are tested: that the difference is at
least the margin (rejected: equal, the two one-sided tests of [Schuirmann1987]) and that it is at
most the margin (rejected: different). That all of several are equal may be said, without a
correction, where each is found equal at the level by itself [Berger1982].
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from baimo.estimation.errors import DataError
from baimo.estimation.laws import t_cdf, t_sf

LEVEL = 0.05


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected by [Holm1979], in the same order."""
    p = np.asarray(p_values, dtype=np.float64)
    if p.size and not np.all((p >= 0) & (p <= 1)):
        raise DataError("p-values must lie between 0 and 1")
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * (p.size - np.arange(p.size)))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(steps, 1.0)
    return [float(value) for value in corrected]


def margin_tests(
    gap: float, margin: float, std_error: float, *, df: float = math.inf
) -> tuple[float, float]:
    """Return p of (a difference is at least the margin, it is at most the margin).

    The first is the larger p of two one-sided tests [Schuirmann1987]. For the second a
    difference of exactly the margin is the least favourable, counting both tails.
    """
    size = abs(gap)
    if std_error == 0.0:
        return (0.0, 1.0) if size < margin else (1.0, 0.0)
    near, far = (margin - size) / std_error, (margin + size) / std_error
    p_matches, other = t_sf(near, df), t_sf(far, df)
    return p_matches, min(1.0, t_cdf(near, df) + other)
