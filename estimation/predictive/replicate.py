"""Fit, simulate, refit: one mechanism for all models.

A calibrated model is drawn many times at the observed size; every draw goes through the same
function that measured the data; the observed statistic is then held against the distribution
of the simulated ones. A tail exponent alone never tells mechanisms apart, so several
statistics are compared side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from baimo.estimation.arrays import Ints
from baimo.estimation.errors import DataError
from baimo.estimation.results import registered
from baimo.estimation.samples.concentration import measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.estimation.tails.tail_index import fit_hill

T = TypeVar("T")


@registered("Replicated")
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
    p_predictive
        Two-sided share of the replications as far out as the data, (1 + number)/(1 + n) at
        least: the smallest that n replications can show.
    """

    observed: float
    mean: float
    sd: float | None
    z: float | None
    n_replications: int
    p_predictive: float = math.nan


def measure_sizes(counts: Counts, *, discrete: bool) -> dict[str, float]:
    """Measure a sample: tail exponent at an x_min of its own, and concentration.

    An x_min chosen anew in each sample adds its own scatter to zeta, and differs from that of the
    data: what is held against the data is better measured at theirs. Concentration is that of the
    positive items, so that models with and without zeros can be compared.
    """
    tail = fit_tail(counts, discrete=discrete)
    positive = counts.positive()
    held = measure_concentration(positive)
    above = positive.exceedances()
    return {
        "zeta_scanned": tail.zeta,
        "x_min": tail.x_min,
        "n_tail": float(tail.n_tail),
        "gini": held.gini,
        "effective_number": 1.0 / held.hhi,
        **{
            label: _hill(_largest(positive, above, k), k, discrete)
            for label, k in _ranks(positive.n_obs).items()
        },
    }


def _ranks(n: int) -> dict[str, int]:
    """Return the cut-offs of the tail index: a hundred items, 1 % and 5 % of the positive."""
    return {"zeta_top100": 100, "zeta_top1pct": n // 100, "zeta_top5pct": n // 20}


def _largest(positive: Counts, above: Ints, k: int) -> Counts:
    """Return the k largest items, their ties, and the next value: all that an index looks at."""
    start = max(int(np.searchsorted(-above, -(k + 1), side="right")) - 1, 0)
    return Counts(values=positive.values[start:], multiplicities=positive.multiplicities[start:])


def _hill(counts: Counts, k: int, discrete: bool) -> float:
    """Return Hill's zeta of the k largest, NaN where the sample has none."""
    try:
        zeta = fit_hill(counts, k=k, discrete=discrete).zeta
    except DataError:
        return math.nan
    return math.nan if zeta is None else zeta


def replicate(
    draw: Callable[[np.random.Generator], T],
    *,
    n_replications: int,
    seed: Sequence[int],
    n_threads: int | None = None,
) -> tuple[T, ...]:
    """Draw a model `n_replications` times, replicate i from the i-th child of the seed.

    Replications run on several threads (as many as usual for None); their number changes nothing
    in what comes out. Whatever `draw` returns is kept: a sample, or what was measured on one.
    """
    if n_replications < 1:
        raise DataError(f"n_replications = {n_replications} must be at least 1")
    children = np.random.SeedSequence(tuple(seed)).spawn(n_replications)
    return replicate_seeds(draw, children, n_threads=n_threads)


def replicate_seeds(
    draw: Callable[[np.random.Generator], T],
    seeds: Sequence[np.random.SeedSequence],
    *,
    n_threads: int | None = None,
) -> tuple[T, ...]:
    """Return one draw for each seed, in order; the number of threads changes nothing."""
    with ThreadPoolExecutor(n_threads) as pool:
        return tuple(pool.map(lambda seed: draw(np.random.default_rng(seed)), seeds))


def compare_replicates(
    observed: dict[str, float], replicates: Sequence[dict[str, float]]
) -> dict[str, Replicated]:
    """Hold each observed statistic against its simulated distribution."""
    out: dict[str, Replicated] = {}
    for name, value in observed.items():
        if not math.isfinite(value):
            continue
        found = (r.get(name, math.nan) for r in replicates)
        drawn = np.array([v for v in found if math.isfinite(v)])
        if drawn.size == 0:
            continue  # the model never has what the statistic is of
        sd = float(drawn.std(ddof=1)) if drawn.size > 1 else None
        mean = float(drawn.mean())
        spread = sd is not None and sd > 1e-12 * abs(mean)
        z = (value - mean) / sd if spread and sd else None
        tail = 1 + min(int((drawn <= value).sum()), int((drawn >= value).sum()))
        out[name] = Replicated(
            observed=value,
            mean=mean,
            sd=sd,
            z=z,
            n_replications=drawn.size,
            p_predictive=min(1.0, 2.0 * tail / (drawn.size + 1)),
        )
    return out
