"""Fit, simulate, refit: one mechanism for all models.

A calibrated model is drawn many times at the observed size; every draw goes through the same
function that measured the data; the observed statistic is then held against the distribution
of the simulated ones. A tail exponent alone never tells mechanisms apart, so several
statistics are compared side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from estimation.concentration import measure_concentration
from estimation.counts import Counts
from estimation.errors import DataError
from estimation.results import registered
from estimation.tails import fit_tail


@registered
@dataclass(frozen=True, kw_only=True)
class Replicated:
    """One statistic, observed and simulated.

    Parameters
    ----------
    observed
        In the data.
    mean, sd
        Over the replications; sd is None for a single one.
    z
        (observed - mean)/sd, None where sd is unknown or zero.
    n_replications
        Replications in which the statistic exists.
    """

    observed: float
    mean: float
    sd: float | None
    z: float | None
    n_replications: int


def measure_sizes(counts: Counts, *, discrete: bool) -> dict[str, float]:
    """Measure a sample: tail exponent at its own x_min, and concentration.

    The one function that observed and simulated samples both go through. Concentration is that
    of the positive items, so that models with and without zeros can be compared.
    """
    tail = fit_tail(counts, discrete=discrete)
    held = measure_concentration(counts.positive())
    return {
        "zeta": tail.zeta,
        "x_min": tail.x_min,
        "n_tail": float(tail.n_tail),
        "share_zero": counts.n_zero / counts.n_obs,
        "top_1pct": held.top_1pct,
        "gini": held.gini,
    }


def replicate(
    draw: Callable[[np.random.Generator], Counts], *, n_replications: int, seed: Sequence[int]
) -> tuple[Counts, ...]:
    """Draw a model `n_replications` times, replicate i from the i-th child of the seed."""
    if n_replications < 1:
        raise DataError(f"n_replications = {n_replications} must be at least 1")
    children = np.random.SeedSequence(tuple(seed)).spawn(n_replications)
    return tuple(draw(np.random.default_rng(child)) for child in children)


def compare_replicates(
    observed: dict[str, float], replicates: Sequence[dict[str, float]]
) -> dict[str, Replicated]:
    """Hold each observed statistic against its simulated distribution."""
    out: dict[str, Replicated] = {}
    for name, value in observed.items():
        drawn = np.array([r[name] for r in replicates if math.isfinite(r[name])])
        if drawn.size == 0:
            raise DataError(f"no replicate gave a value of {name!r}: nothing to compare")
        sd = float(drawn.std(ddof=1)) if drawn.size > 1 else None
        mean = float(drawn.mean())
        spread = sd is not None and sd > 1e-12 * abs(mean)
        z = (value - mean) / sd if spread and sd else None
        out[name] = Replicated(observed=value, mean=mean, sd=sd, z=z, n_replications=drawn.size)
    return out


def judge_equivalence(compared: Replicated, margin: float, std_error: float = 0.0) -> str:
    """Say whether the simulated statistic equals the observed one within a margin.

    "matches": closer than the margin, even at the ends of the 95 % interval of the difference;
    "misses": farther than the margin by the same measure; "cannot tell": in between.

    Parameters
    ----------
    compared
        Observed and simulated statistic; the spread of one simulated sample is sd.
    margin
        Largest difference that counts as none, fixed before looking.
    std_error
        Standard error of the observed statistic.
    """
    half = 1.96 * math.hypot(std_error, compared.sd or 0.0)
    gap = abs(compared.observed - compared.mean)
    if gap + half < margin:
        return "matches"
    if gap - half > margin:
        return "misses"
    return "cannot tell"
