"""Two size curves made comparable, and their replicates: the inner side of `shapes`.

What is compared and what is assumed stands in `shapes`; how a curve is made and resampled in
`shape_curves`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError, TooFewError
from baimo.estimation.predictive.replicate import replicate
from baimo.estimation.results import shown
from baimo.estimation.samples.clusters import FEW as FEW_CLUSTERS
from baimo.estimation.shapes.curves import Curve, Draw, Match, ShapeSample, common_law, match_curves

COARSE = 10.0  # units; below, v +- 1/2 moves a size by more than a twentieth
FEWEST = 20  # items compared, of either sample
FEWEST_GAP = 100
FEW = 100
TOPMOST = 25  # items above the highest quantile of the gap, and at least
TOPMOST_ROOTS = 2.0  # so many roots of the items compared, or no sample would be large enough
STEPS_A_DECADE = 4
EXACT, ROUGH = 40, 18  # halvings for the data and for a replicate


class ShapePair:
    """Two samples and the share of each that is compared."""

    def __init__(
        self,
        samples: tuple[ShapeSample, ShapeSample],
        names: tuple[str, str],
        *,
        share: float,
        coarse: float,
        joint: bool,
    ) -> None:
        one, other = samples
        self.samples, self.names = samples, names
        self.share = min(share, one.fine_share(coarse), other.fine_share(coarse))
        self.items = (one.counts.n_obs, other.counts.n_obs)
        self.compared = (round(self.items[0] * self.share), round(self.items[1] * self.share))
        for name, sample, k in zip(names, self.samples, self.compared, strict=True):
            _refuse_few(name, sample, k)
        cells = [sample.cells(self.share) for sample in self.samples]
        self.curves: tuple[Curve, Curve] = (cells[0][0], cells[1][0])
        self.draws: tuple[Draw, Draw] = (
            one.resampler(cells[0][1], self.share),
            other.resampler(cells[1][1], self.share),
        )
        self.levels = (self._level(0), self._level(1))
        self.common = _common_labels(one, other) if joint else None
        # the same random numbers for each sample, whichever is named first
        self.order = (0, 1) if _key(one) <= _key(other) else (1, 0)

    def _level(self, i: int) -> float:
        return float(self.samples[i].counts.largest(max(1, self.compared[i]))[-1])

    def law_weight(self) -> float:
        """Return the weight of the one in the common law: its share of the independent items."""
        n = [k / s.design_effect for k, s in zip(self.compared, self.samples, strict=True)]
        return n[0] / (n[0] + n[1])

    def resample(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return the ranks of the cells of both samples, drawn anew."""
        weights: list[Floats | None] = [None, None]
        if self.common is not None:
            shared = rng.standard_exponential(self.common[2])
            weights = [shared[self.common[0]], shared[self.common[1]]]
        ends = {i: self.draws[i](rng, weights[i]) for i in self.order}
        return ends[0], ends[1]

    def notes(self, coarse: float) -> tuple[str, ...]:
        """Return what a reader must know before using the numbers."""
        notes = tuple(
            f"{name}: {k:,} of {n:,} items compared, {shown(level, 4)} and above"
            for name, k, n, level in zip(
                self.names, self.compared, self.items, self.levels, strict=True
            )
        )
        if any(sample.unit > 0 for sample in self.samples):
            notes += (f"counts below {coarse:g} units are too coarse to compare",)
        if min(self.compared) < FEW:
            notes += (f"only {min(self.compared)} items of one sample: little can be told",)
        for name, sample, curve in zip(self.names, self.samples, self.curves, strict=True):
            notes += _cluster_notes(name, sample, int(np.searchsorted(curve.end, 1.0)) + 1)
        return notes


class Replicates(NamedTuple):
    """Replicates: distances and gaps under one shape (column 0) and as they are (column 1)."""

    distance: Floats
    gap: Floats
    shift: Floats
    power: Floats


def sample_replicates(
    pair: ShapePair,
    found: Match,
    ranks: Floats,
    *,
    power: bool,
    n_replications: int,
    seed: int,
    n_threads: int | None,
) -> Replicates:
    """Resample the pair as it is, and moved to the law common to both."""
    weight, shift = pair.law_weight(), found.shift / math.sqrt(found.power)
    equal = (
        common_law(found.one, found.other, weight, shift),
        common_law(found.other, found.one, 1.0 - weight, -shift),
    )

    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        ends = pair.resample(rng)
        null, real = (
            match_curves(
                curves[0].reaching(ends[0]),
                curves[1].reaching(ends[1]),
                power=power,
                halvings=ROUGH,
            )
            for curves in (equal, pair.curves)
        )
        gaps = (tail_gap(null, ranks), tail_gap(real, ranks))
        return null.distance, real.distance, *gaps, real.shift, real.power

    rows = replicate(draw, n_replications=n_replications, seed=(seed,), n_threads=n_threads)
    table = np.array(rows)
    return Replicates(table[:, :2], table[:, 2:4], table[:, 4], table[:, 5])


def tail_ranks(compared: int) -> Floats:
    """Return the ranks of the tail quantiles, from the highest well measured to the upper half."""
    if compared < FEWEST_GAP:
        return np.empty(0)
    top = max(TOPMOST, TOPMOST_ROOTS * math.sqrt(compared)) / compared
    return np.geomspace(top, 0.5, 1 + math.ceil(STEPS_A_DECADE * math.log10(0.5 / top)))


def tail_gap(found: Match, ranks: Floats) -> float:
    """Return the largest difference of log10 between the ratios of two quantiles."""
    if ranks.size == 0:
        return 0.0
    return float(np.ptp(found.other.at(ranks) - found.one.at(ranks))) / math.log(10.0)


def _key(sample: ShapeSample) -> tuple[int, int, float]:
    positive = sample.counts.positive()
    logs = np.log(positive.values / positive.values[-1])
    return sample.counts.n_obs, positive.n_unique, positive.sum(logs)


def _common_labels(one: ShapeSample, other: ShapeSample) -> tuple[Any, Any, int]:
    """Return the place of each sample's labels among those of both, and their number."""
    if one.labels is None or other.labels is None:
        raise DataError("joint needs the clusters of both samples: give both to shape_sample")
    labels = np.concatenate([one.labels, other.labels])
    union, place = np.unique(labels, return_inverse=True)
    return place[: one.labels.size], place[one.labels.size :], int(union.size)


def _refuse_few(name: str, sample: ShapeSample, compared: int) -> None:
    if compared < FEWEST:
        raise TooFewError(
            f"only {compared} items of {name!r} can be compared, fewer than {FEWEST}: give more "
            "data, or a lower `coarse` if the counts allow it"
        )
    if np.unique(sample.counts.largest(compared)).size < 3:
        raise TooFewError(f"the {compared:,} items of {name!r} to compare are all but equal")


def _cluster_notes(name: str, sample: ShapeSample, n_cells: int) -> tuple[str, ...]:
    """Say so where a few clusters hold most of what is compared."""
    if sample.table is None:
        return ()
    items = np.asarray(sample.table[:n_cells].sum(axis=0), dtype=np.float64)
    effective = float(items.sum() ** 2 / np.sum(items**2))
    if effective >= FEW_CLUSTERS:
        return ()
    return (
        f"{name}: the items compared are as concentrated as in {effective:.0f} equal clusters, the "
        f"largest with {items.max() / items.sum():.0%} of them: errors are uncertain",
    )
