"""Which other x_min fit about as well as the one that the scan chose, and what zeta they give.

The x_min with the smallest Kolmogorov-Smirnov distance is a noisy choice [DreesEtAl2020], and
where a slowly varying factor bends the tail, zeta drifts with it [VoitalovEtAl2019].
`threshold_range` is the curve of `baimo.estimation.tails.power_law.tail_path` in a few numbers: it
applies the one-standard-error rule of [BreimanEtAl1984] to the distance. Near-minimal is every
x_min whose distance exceeds the smallest by no more than the sampling standard deviation of the
distance of a power law that was fitted to as many items, `KS_SPREAD` / sqrt(n_tail).

`KS_SPREAD` is simulated (tests/benchmarks/thresholds.py). Under the law log(x / x_min) zeta is
standard exponential, so that the distance has one distribution for all zeta. The standard deviation
of sqrt(n) times the distance of n exponentials from the exponential of their mean is .194 (n = 10),
.196 (30), .195 (100), .194 (300), .193 (1,000), .193 (3,000); two-sided .184 to .194. Exact power
laws of counts have .18 to .20 from x_min = 5 on (alpha 1.7 to 3) and less below, .09 to .18 at
x_min = 1 and 2, where few values hold most items: there the rule is generous.

Where items come in clusters the distance spreads more. With the labels, `clustered_spread` measures
by how much at each x_min.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError
from baimo.estimation.results import registered
from baimo.estimation.samples.clusters import checked_labels
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.bootstrap import Seed
from baimo.estimation.tails.clustered import process_points
from baimo.estimation.tails.power_law import TailFit, TailPath, fit_tail, tail_scores

KS_SPREAD = 0.19
"""Standard deviation of sqrt(n_tail) times the KS distance of a fitted power law."""
_BLOCK = 4_000_000  # signs held at a time


@registered("ThresholdRange")
@dataclass(frozen=True, kw_only=True)
class ThresholdRange:
    """The near-minimal x_min of a scan, and between which values n_tail and zeta lie over them.

    Parameters
    ----------
    x_min_lowest, x_min_highest
        Lowest and highest near-minimal x_min; between them may lie some that fit worse.
    n_tail_lowest, n_tail_highest
        Items in the shortest and in the longest of these tails.
    zeta_lowest, zeta_highest
        Smallest and largest zeta of these tails.
    share
        Share of the candidates of the path, about evenly spaced in log n_tail, in [0, 1].
    """

    x_min_lowest: float
    x_min_highest: float
    n_tail_lowest: int
    n_tail_highest: int
    zeta_lowest: float
    zeta_highest: float
    share: float


def near_minimal(path: TailPath, *, spread: float | Floats = KS_SPREAD) -> NDArray[np.bool_]:
    """Return which candidates of a path have a near-minimal KS distance: (m,) bool.

    Parameters
    ----------
    path
        What `tail_path` returns of the fit.
    spread
        Standard deviation of sqrt(n_tail) times the distance, or one for each candidate, (m,);
        a candidate for which it is NaN is not near.
    """
    near: NDArray[np.bool_] = path.ks - path.ks.min() <= spread / np.sqrt(path.n_tail)
    return near


def threshold_range(path: TailPath, *, spread: float | Floats = KS_SPREAD) -> ThresholdRange:
    """Return between which values x_min, n_tail and zeta lie where the distance is near-minimal.

    A range of estimates, no interval: it holds the true zeta in .35 to .47 of samples, of exact
    power laws above a uniform body (500 to 20,000 items) as of Frechet and Burr laws, whose tail
    bends (1,000 and 10,000 items). From the lowest to the highest end of the 95 % intervals of the
    near-minimal tails it lies in .97 to 1 of the exact ones and .85 to .92 of the bent ones, where
    the interval at the x_min of the scan covers .87 to .94 and .51 to .62
    (tests/benchmarks/README.md). Parameters as `near_minimal`.
    """
    near = near_minimal(path, spread=spread)
    x_min, n_tail, zeta = path.x_min[near], path.n_tail[near], path.alpha[near] - 1.0
    return ThresholdRange(
        x_min_lowest=float(x_min.min()),
        x_min_highest=float(x_min.max()),
        n_tail_lowest=int(n_tail.min()),
        n_tail_highest=int(n_tail.max()),
        zeta_lowest=float(zeta.min()),
        zeta_highest=float(zeta.max()),
        share=float(near.mean()),
    )


def clustered_spread(
    data: ArrayLike,
    fit: TailFit,
    clusters: ArrayLike,
    path: TailPath,
    *,
    fewest: int = 2,
    n_replications: int = 1000,
    seed: Seed = 0,
) -> Floats:
    """Return the spread of the KS distance where items come in clusters: (m,), for `near_minimal`.

    At each candidate of `path` the standard deviation of sqrt(n_tail) times the distances of
    `baimo.estimation.tails.clustered`; 1,000 replications give it to a fortieth. All candidates
    share the signs of the clusters, so that neighbours differ by their items only.

    Parameters
    ----------
    data : (n,)
        The sample that `fit` was made from, item by item.
    clusters : (n,)
        Label of each item's cluster (its author), numbers or text.
    fewest
        NaN for a tail of fewer clusters, at least 2.
    n_replications, seed
        Sets of signs, and what they are drawn from.

    Raises
    ------
    DataError
        Labels that do not match or are missing, fewer than 2 as `fewest`.

    Notes
    -----
    The cost is in distinct values times candidates times replications: 3 s for the 384,000
    downloaded models of the Hub's listing with 331 candidates.
    """
    if fewest < 2:
        raise DataError(f"fewest = {fewest} must be at least 2")
    labels, sizes = checked_labels(data, clusters), np.asarray(data, dtype=np.float64)
    inside = (sizes >= path.x_min.min()) & (sizes <= fit.top)
    values, place, n_of = np.unique(sizes[inside], return_inverse=True, return_counts=True)
    codes = np.unique(labels[inside], return_inverse=True)[1]
    largest = np.zeros(int(codes.max()) + 1)
    np.maximum.at(largest, codes, sizes[inside])
    n_clusters = np.array([np.count_nonzero(largest >= x_min) for x_min in path.x_min])
    enough = np.flatnonzero(n_clusters >= fewest)
    tails = [_Tail.of(values, n_of, fit, float(path.x_min[i])) for i in enough]
    blocks = []
    for signed in _signed_items(place, codes, n_replications, seed):
        below = np.concatenate([np.zeros((1, signed.shape[1])), np.cumsum(signed, axis=0)])
        blocks.append([tail.distances(signed, below) for tail in tails])
    found = np.full(path.x_min.size, np.nan)
    if tails:
        spread = np.concatenate(blocks, axis=1).std(axis=1)
        found[enough] = spread * np.sqrt(path.n_tail[enough])
    return found


@dataclass(frozen=True, eq=False)
class _Tail:
    """One candidate: the items from the value number `first` on.

    The process at each point is the items below it, less those before the tail and what is expected
    of the number of all by the law, and of their scores by its slope: the columns of `expected`.
    """

    first: int
    n_items: int
    n_values: Ints
    expected: Floats
    scores: Floats

    @classmethod
    def of(cls, values: Floats, n_of: Ints, fit: TailFit, x_min: float) -> _Tail:
        first = int(np.searchsorted(values, x_min))
        values, n_of = values[first:], n_of[first:]
        tail = fit_tail(
            Counts.from_pairs(values, n_of),
            discrete=fit.discrete,
            x_min=x_min,
            x_max=fit.x_max,
            ks=fit.ks_kind,
        )
        points = process_points(values, n_of, tail)
        return cls(
            first=first,
            n_items=tail.n_tail,
            n_values=points.n_values,
            expected=np.stack([np.ones(points.cdf.size), points.cdf, points.slope], axis=1),
            scores=tail_scores(np.log(values / x_min), tail),
        )

    def distances(self, signed: Floats, below: Floats) -> Floats:
        """Return the distance for each set of signs.

        Parameters
        ----------
        signed, below : (values, sets), (values + 1, sets)
            Items at each value with their signs, and all below it, at last those of all values.
        """
        before = below[self.first]
        sums = np.stack([before, below[-1] - before, self.scores @ signed[self.first :]])
        process = below[self.first + self.n_values]
        process -= self.expected @ sums
        return np.asarray(np.maximum(process.max(axis=0), -process.min(axis=0)) / self.n_items)


def _signed_items(place: Ints, codes: Ints, n_sets: int, seed: Seed) -> Iterator[Floats]:
    """Yield the items at each value with the signs of their clusters: (values, some of the sets).

    Parameters
    ----------
    place, codes : (n,)
        Number of each item's value and of its cluster, from 0.
    """
    rng = np.random.default_rng(seed)
    n_of = sparse.coo_array((np.ones(place.size), (place, codes))).tocsr()
    n_clusters, block = n_of.shape[1], max(1, _BLOCK // max(n_of.shape))
    for first in range(0, n_sets, block):
        sets = range(first, min(first + block, n_sets))
        heads = np.stack([rng.integers(0, 2, n_clusters, dtype=np.int8) for _ in sets], axis=1)
        yield n_of @ (2.0 * heads - 1.0)
