"""Size curves: the log size at every rank of a sample, how it is resampled and compared.

A sample is a list of cells from the largest value down. A count v stands for all sizes from
v - 1/2 to v + 1/2 (in its unit), a size measured exactly for itself; nothing is rounded twice,
and two counted samples need no common grid. Ranks are shares of all items, zeros included, over
the share that is compared: rank 1 is the lowest item compared.

Resampling is the Bayesian bootstrap [Rubin1981]: each item, or each cluster, gets an exponential
weight, so that a cell of m items gets a gamma(m) weight, whatever m is. A design effect of d makes
that gamma(m/d).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from baimo.estimation.arrays import Floats, Ints, Values
from baimo.estimation.errors import DataError
from baimo.estimation.samples.arguments import checked_effect
from baimo.estimation.samples.clusters import checked_labels, refuse_few
from baimo.estimation.samples.counts import Counts, as_counts
from baimo.estimation.shapes import _numba

BUFFER = 2.0  # ranks kept beyond 1, for resamples in which the lowest item moves up
_TINY = 1e-300
Draw = Callable[[np.random.Generator, Floats | None], Floats]


class Curve(NamedTuple):
    """Log sizes by rank: cell i falls from top[i] to low[i] over the ranks end[i-1] to end[i]."""

    top: Floats
    low: Floats
    end: Floats

    @property
    def start(self) -> Floats:
        """Rank at which each cell begins."""
        return np.concatenate([[0.0], self.end[:-1]])

    def at(self, rank: Floats, *, beyond: bool = False) -> Floats:
        """Return the log size at each rank; where it jumps the upper, or the lower if `beyond`."""
        i = np.searchsorted(self.end, rank, side="right" if beyond else "left")
        i = np.minimum(i, self.end.size - 1)
        start = self.start[i]
        within = np.clip((rank - start) / np.maximum(self.end[i] - start, _TINY), 0.0, 1.0)
        return np.asarray(self.top[i] + (self.low[i] - self.top[i]) * within)

    def times(self, factor: float) -> Curve:
        """Return the curve of the sizes to the power `factor`."""
        return Curve(self.top * factor, self.low * factor, self.end)

    def reaching(self, end: Floats) -> Curve:
        """Return the same cells with other ranks, the last of them 1 at least."""
        end = end.copy()
        end[-1] = max(end[-1], 1.0)
        return Curve(self.top, self.low, end)

    def spread(self) -> float:
        """Return the standard deviation of the log size over the ranks from 0 to 1."""
        lowest = float(self.at(np.array([1.0]))[0])
        width = np.clip(self.end, 0.0, 1.0) - np.clip(self.start, 0.0, 1.0)
        top, low = np.maximum(self.top, lowest), np.maximum(self.low, lowest)
        mean = float(np.sum(width * (top + low))) / 2.0
        top, low = top - mean, low - mean
        return math.sqrt(float(np.sum(width * (top * top + top * low + low * low))) / 3.0)


class Match(NamedTuple):
    """How two curves lie to each other: b = shift + power a in logs, at the distance given."""

    distance: float
    shift: float
    power: float
    one: Curve
    other: Curve


def match_curves(one: Curve, other: Curve, *, power: bool, halvings: int) -> Match:
    """Return the best shift, after making the spreads of the logs equal if `power`.

    `one` and `other` of the result are the curves as compared: with `power` each is brought to
    the geometric mean of the two spreads, so that neither comes first.
    """
    root = math.sqrt(other.spread() / one.spread()) if power else 1.0
    if power:
        one, other = one.times(root), other.times(1.0 / root)
    distance, shift = _numba.least_distance(*one, *other, halvings)
    return Match(float(distance), float(shift) * root, root * root, one, other)


def common_law(own: Curve, other: Curve, weight: float, shift: float) -> Curve:
    """Return the curve `own` moved onto the weighted mean of both: what equal shapes would give.

    Ranks and numbers of items stay, sizes move. The common law has the log sizes
    weight own(r) + (1 - weight) (other(r) - shift). A size measured exactly goes to the middle of
    its ranks. Beyond rank 1 the cells move along with rank 1.
    """

    def moved(log_size: Floats, rank: Floats, beyond: bool) -> Floats:
        rank = np.minimum(rank, 1.0)
        away = other.at(rank, beyond=beyond) - shift - own.at(rank, beyond=beyond)
        return np.asarray(log_size + (1.0 - weight) * away)

    exact = own.top == own.low
    middle = moved(own.top, 0.5 * (own.start + own.end), False)
    return Curve(
        np.where(exact, middle, moved(own.top, own.start, True)),
        np.where(exact, middle, moved(own.low, own.end, False)),
        own.end,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class ShapeSample:
    """A sample with what a comparison must know of it; made by `shape_sample`.

    Parameters
    ----------
    counts
        All items, zeros included.
    unit
        Step of the values, 0 for sizes measured exactly.
    design_effect
        Variance inflation by clusters where no labels are given.
    labels : (c,) or None
        Distinct labels of the clusters, ascending.
    cluster_sizes : (c,) float64 or None
        Items of each cluster.
    table : (u, c) or None
        Items of each cluster at each positive value, the largest value first.
    """

    counts: Counts
    unit: float
    design_effect: float = 1.0
    labels: Values | None = None
    cluster_sizes: Floats | None = None
    table: Any = None

    def fine_share(self, coarse: float) -> float:
        """Return the share of the items at `coarse` units or above; of all positive if exact."""
        values = self.counts.values
        fine = values >= coarse * self.unit * (1.0 - 1e-9) if self.unit > 0 else values > 0
        return int(self.counts.multiplicities[fine].sum()) / self.counts.n_obs

    def cells(self, share: float) -> tuple[Curve, Ints]:
        """Return the curve of the largest `share` of all items and a buffer, and its items."""
        positive = self.counts.positive()
        items = positive.multiplicities[::-1]
        end = np.cumsum(items) / (self.counts.n_obs * share)
        kept = min(int(np.searchsorted(end, BUFFER)) + 1, end.size)
        values, half = positive.values[::-1][:kept], 0.5 * self.unit
        curve = Curve(np.log(values + half), np.log(values - half), end[:kept])
        return curve.reaching(curve.end), items[:kept]

    def resampler(self, items: Ints, share: float) -> Draw:
        """Return what draws the ranks of the first cells anew; weights of the clusters if given."""
        if self.table is None or self.cluster_sizes is None:
            shape = items / self.design_effect
            rest = (self.counts.n_obs - int(items.sum())) / self.design_effect

            def draw(rng: np.random.Generator, weights: Floats | None) -> Floats:
                mass = np.cumsum(rng.standard_gamma(shape))
                total = mass[-1] + (rng.standard_gamma(rest) if rest > 0 else 0.0)
                return np.asarray(mass / (total * share))

            return draw
        table, sizes = self.table[: items.size], self.cluster_sizes

        def sample_clusters(rng: np.random.Generator, weights: Floats | None) -> Floats:
            if weights is None:
                weights = rng.standard_exponential(sizes.size)
            return np.asarray(np.cumsum(table @ weights) / (np.sum(sizes * weights) * share))

        return sample_clusters


def shape_sample(
    data: Counts | ArrayLike,
    *,
    unit: float | None = None,
    clusters: ArrayLike | None = None,
    design_effect: float | None = None,
) -> ShapeSample:
    """Prepare a sample for `compare_shapes`; once, however often it is compared.

    Parameters
    ----------
    data
        Counts, or a flat array of non-negative numbers, zeros included.
    unit
        Step of the values: 1 for counts, .01 for amounts with two decimals, 0 for sizes measured
        exactly. None: 1 where all values are whole numbers, else 0.
    clusters : (n,) or None
        Label of each item's cluster; whole clusters are resampled. Only with an array.
    design_effect
        Variance inflation by clusters, where it is known and the labels are not.

    Raises
    ------
    DataError
        Unusable values, none positive, values that are no multiples of the unit; labels that do
        not match the items, a single cluster, or labels beside a design effect.
    """
    counts = as_counts(data)
    checked_effect(design_effect, clusters)
    positive = counts.positive()
    if unit is None:
        unit = 1.0 if counts.is_integer else 0.0
    _refuse_other_units(positive.values, unit)
    if clusters is None:
        return ShapeSample(counts=counts, unit=float(unit), design_effect=design_effect or 1.0)
    labels, codes = np.unique(checked_labels(data, clusters), return_inverse=True)
    refuse_few(labels.size, codes.size, "the sample")
    sizes = np.asarray(data, dtype=np.float64)
    inside = sizes > 0
    place = positive.n_unique - 1 - np.searchsorted(positive.values, sizes[inside])
    table = sparse.csr_array(
        (np.ones(place.size), (place, codes[inside])), shape=(positive.n_unique, labels.size)
    )
    return ShapeSample(
        counts=counts,
        unit=float(unit),
        labels=labels,
        cluster_sizes=np.bincount(codes).astype(np.float64),
        table=table,
    )


def _refuse_other_units(values: Floats, unit: float) -> None:
    if not (math.isfinite(unit) and unit >= 0):
        raise DataError(f"unit = {unit!r} must be 0 (measured exactly) or the step of the values")
    if unit == 0:
        return
    steps = values / unit
    if np.any(np.abs(steps - np.rint(steps)) > 1e-6 + 1e-9 * steps) or steps[0] < 0.5:
        raise DataError(
            f"some values are no multiples of the unit {unit:g}: round them, give the unit they "
            "were rounded to, or 0 for sizes measured exactly"
        )
