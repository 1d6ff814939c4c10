"""Whether two samples of sizes have one shape, whatever their units and scales.

Downloads are counted and half of them zero, dollars are not; neither has the unit of the other.
Two samples have one shape if y is distributed as c x for some factor c, and, with `power`, as
c x^k. Zeros are items below the smallest size that could be seen, so ranks are shares of all
items, and only ranks at which both samples are fine enough are compared: with the counts from 10
up, the common share is the smaller of the two shares of items at 10 or more. Where zeros are
something else, items that were never alive, leave them out of both samples.

Two distances, each with a margin fixed beforehand:

- `distance`: largest vertical distance of the two rank functions P(X > x) over the share compared,
  at the factor that makes it smallest; .05 is five of a hundred items on the wrong side;
- `gap`: largest difference of log10 between the ratios of two tail quantiles, over the ranks from
  the upper half of the n items compared of the smaller sample to where 25 or 2 sqrt(n) are left;
  log10 2 means that no ratio differs by more than a factor of two. It needs no factor, and sees
  the tail, of which the first sees little; the very largest are left to the tail exponents.

At hundreds of thousands of items equality is always rejected, at two hundred never. So the verdict
is on the margins: equal where both distances lie below, different where one lies above.

Inference. The distance is N(A - B), N the sup norm less what a shift can undo; N is a seminorm, so
that an estimate is off by no more than N of its errors, and that is what it is where the two laws
are one. Their common law is the mean of the two log sizes at each rank. Cells are moved there,
resampled, and matched again (factor and power included), which gives the law of N(errors), and
with it p of equality, p of "at most the margin" and the lower end of the interval; tabulated
Kolmogorov-Smirnov p-values are wrong once a factor is estimated. The upper end and p of "at least
the margin" take the standard deviation over resamples of the data as they are: the estimate of a
largest distance errs upwards, which makes them safe.

Calibration (sizes, rounded counts and both; Pareto and lognormal; 60 to 3,000 items). At 5 % one
shape is rejected in .027 to .052 of 600 pairs that have it, with clusters of four in .033 (.46 when
they are ignored), and in .975 or more of 200 pairs of Paretos .8 and 1 or of a lognormal and a
Pareto, 1,000 items or more. With both distances at their margins neither verdict is reached in more
than .017 of 300 pairs, and the interval of the distance misses in at most .010: they are careful.
Equal samples are found equal within the margins in .69, .98 and 1 of all pairs of 1,000, 2,000 and
6,000 items compared; Paretos .5 and 1 are found different in .97 at 300.

Limits. Counts cut off to whole numbers instead of rounded lie half a unit too low: at 20,000 items
one shape is rejected in .11. With `power` the spreads of the logs are made equal, which need not
be the smallest distance. Sizes measured exactly, far above 10^4 of them, take long.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError, TooFewError
from baimo.estimation.laws import normal_ppf
from baimo.estimation.predictive.equivalence import LEVEL, holm, margin_tests
from baimo.estimation.results import Estimate, FitResult, Result, registered, shown
from baimo.estimation.samples.counts import Counts
from baimo.estimation.shapes._pairs import (
    COARSE,
    EXACT,
    ShapePair,
    sample_replicates,
    tail_gap,
    tail_ranks,
)
from baimo.estimation.shapes.curves import ShapeSample, match_curves, shape_sample

DISTANCE_MARGIN = 0.05
GAP_MARGIN = math.log10(2.0)
EQUAL, DIFFERENT, OPEN = "equal within the margin", "different", "cannot be told"
Sample = ShapeSample | Counts | ArrayLike


@registered("ShapeComparison")
@dataclass(frozen=True, eq=False, kw_only=True)
class ShapeComparison(FitResult):
    """Two samples held against each other, up to a factor or up to a factor and a power.

    Parameters
    ----------
    names
        Of the two samples.
    share
        Of all items of each that is compared, from the largest down.
    items, compared
        Items of each sample, and those of them that are compared.
    levels
        Lowest value compared in each sample, in its own unit.
    scale
        c in y = c x^power, in units of the other per unit of the one.
    power
        Ratio of the standard deviations of the logs; None where only a factor is allowed.
    distance, gap
        See the module; gap is None where fewer than 100 items of one sample are compared.
    top_rank
        Smallest share of the items compared at which quantiles enter the gap.
    p_value
        Of one shape exactly, by the bootstrap of the distance.
    p_matches, p_misses
        Of (one distance is at least its margin, both are at most their margins).
    n_tests
        Comparisons over which Holm corrected the three p-values; 1: not corrected.
    """

    names: tuple[str, str]
    share: float
    items: tuple[int, int]
    compared: tuple[int, int]
    levels: tuple[float, float]
    scale: Estimate
    power: Estimate | None
    distance: Estimate
    gap: Estimate | None
    top_rank: float
    distance_margin: float
    gap_margin: float
    p_value: float
    p_matches: float
    p_misses: float
    n_replications: int
    n_tests: int = 1
    level: float = LEVEL

    title: ClassVar[str] = "Shapes of two samples"

    @property
    def verdict(self) -> str:
        """Return equal within the margin, different, or cannot be told."""
        if self.p_misses < self.level:
            return DIFFERENT
        return EQUAL if self.p_matches < self.level else OPEN

    def estimates(self) -> dict[str, Estimate]:
        """Return the scale, the power if one was allowed, the two distances and p of equality."""
        found = {"scale": self.scale}
        if self.power is not None:
            found["power"] = self.power
        found["distance"] = self.distance
        found["gap"] = self.gap or Estimate(value=None)
        found["p_value"] = Estimate(value=self.p_value)
        return found

    def summary(self) -> str:
        """Return the table, the p-values and the verdict."""
        lines = super().summary().split("\n")
        lines[0] = f"{self.title}: {self.names[0]}, {self.names[1]}"
        corrected = f", Holm over {self.n_tests}" if self.n_tests > 1 else ""
        tests = (
            f"p of one shape {self.p_value:.2g}, of a margin reached {self.p_matches:.2g}, "
            f"of none passed {self.p_misses:.2g}{corrected}"
        )
        margins = f"margins: distance {self.distance_margin:g}, gap {self.gap_margin:.3g}"
        return "\n".join([*lines, tests, margins, f"verdict: {self.verdict}{self._besides()}"])

    def _besides(self) -> str:
        """Return what a rejected equality adds to a verdict on the margins."""
        if self.p_value >= self.level or self.verdict == DIFFERENT:
            return ""
        return (
            ", though not exactly" if self.verdict == EQUAL else " by how much; one shape it is not"
        )


@registered("ShapeComparisons")
@dataclass(frozen=True, eq=False, kw_only=True)
class ShapeComparisons(Result):
    """Several samples, every two compared; p-values corrected by Holm over the pairs.

    Parameters
    ----------
    pairs
        In the order of the samples.
    notes
        The pairs that could not be compared, and why.
    """

    pairs: tuple[ShapeComparison, ...]
    notes: tuple[str, ...] = ()

    title: ClassVar[str] = "Shapes of samples, by pairs"

    def estimates(self) -> dict[str, Estimate]:
        """Return the distance of each pair."""
        return {" / ".join(pair.names): pair.distance for pair in self.pairs}

    def summary(self) -> str:
        """Return one line for each pair."""
        wide = max(24, *(len(" / ".join(pair.names)) for pair in self.pairs))
        head = f"{'':<{wide}}{'share':>8}{'scale':>12}{'power':>8}{'distance [95 %]':>22}"
        lines = [self.title, f"{head}{'gap [95 %]':>22}{'p':>8}  verdict"]
        for pair in self.pairs:
            power = shown(pair.power.value, 3) if pair.power else "-"
            lines.append(
                f"{' / '.join(pair.names):<{wide}}{pair.share:>8.3g}{pair.scale.value:>12.4g}"
                f"{power:>8}{_with_interval(pair.distance):>22}{_with_interval(pair.gap):>22}"
                f"{pair.p_value:>8.2g}  {pair.verdict}"
            )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def compare_shapes(
    one: Sample,
    other: Sample,
    *,
    names: tuple[str, str] = ("one", "other"),
    power: bool = False,
    share: float = 1.0,
    coarse: float = COARSE,
    joint: bool = False,
    distance_margin: float = DISTANCE_MARGIN,
    gap_margin: float = GAP_MARGIN,
    n_replications: int = 999,
    seed: int = 0,
    n_threads: int | None = None,
) -> ShapeComparison:
    """Compare the shapes of two samples in units and scales of their own.

    Parameters
    ----------
    one, other
        Counts, flat arrays, or what `shape_sample` made of them (unit, clusters).
    names
        For the reader.
    power
        Allow a factor and a power: whether anything beyond the exponent differs.
    share
        Compare at most this share of all items, from the largest down, in (0, 1].
    coarse
        Smallest count compared, in units; sizes measured exactly have no such limit.
    joint
        A label that both samples have is one cluster (models and data sets of one author,
        downloads and likes of one model): its weight is drawn once for both.
    distance_margin, gap_margin
        Largest distances that count as none; to be fixed before looking.
    n_replications
        At least 19; p is at least 1 / (n_replications + 1).
    seed
        Of the replicates; the same numbers on any number of threads.
    n_threads
        None: as many as usual.

    Raises
    ------
    DataError
        Fewer than 20 items or 3 distinct values of a sample to compare, arguments out of range,
        `joint` without labels on both sides.
    """
    _check(share, coarse, distance_margin, gap_margin, n_replications, seed)
    pair = ShapePair(
        (_prepared(one), _prepared(other)), names, share=share, coarse=coarse, joint=joint
    )
    found = match_curves(*pair.curves, power=power, halvings=EXACT)
    ranks = tail_ranks(min(pair.compared))
    drawn = sample_replicates(
        pair,
        found,
        ranks,
        power=power,
        n_replications=n_replications,
        seed=seed,
        n_threads=n_threads,
    )
    distance, apart, within = _judged(found.distance, drawn.distance, distance_margin)
    gap = None
    if ranks.size:
        gap, gap_apart, gap_within = _judged(tail_gap(found, ranks), drawn.gap, gap_margin)
        apart, within = min(1.0, 2.0 * min(apart, gap_apart)), max(within, gap_within)
    else:
        within = 1.0
    return ShapeComparison(
        n_obs=sum(pair.items),
        n_used=sum(pair.compared),
        names=names,
        share=pair.share,
        items=pair.items,
        compared=pair.compared,
        levels=pair.levels,
        scale=_on_logs(found.shift, drawn.shift, unit=f"{names[1]} per {names[0]}"),
        power=_on_logs(math.log(found.power), np.log(drawn.power)) if power else None,
        distance=distance,
        gap=gap,
        top_rank=float(ranks[0]) if ranks.size else math.nan,
        distance_margin=distance_margin,
        gap_margin=gap_margin,
        p_value=_share_beyond(drawn.distance[:, 0], found.distance),
        p_matches=within,
        p_misses=apart,
        n_replications=n_replications,
        notes=pair.notes(coarse),
    )


def compare_many(
    samples: Mapping[str, Sample],
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    joint: bool = False,
    level: float = LEVEL,
    n_replications: int = 999,
    **options: Any,
) -> ShapeComparisons:
    """Compare several samples by pairs; Holm's correction runs over all of them.

    A pair of which too little can be compared is left out and named in the notes.

    Parameters
    ----------
    samples
        By name, at least two.
    pairs
        Names of the samples to compare, chosen before looking: fewer tests, more power. None:
        every two.
    joint
        As in `compare_shapes`, for the pairs in which both samples have labels.
    level
        Of the verdicts after the correction.
    n_replications
        Of each pair; at least 2 pairs/level, or the correction leaves no verdict to reach.
    options
        Of `compare_shapes`, the same for every pair.

    Raises
    ------
    DataError
        Fewer than two samples, unknown names, no pair that can be compared, or too few
        replications for any verdict after the correction.
    """
    if len(samples) < 2:
        raise DataError("give at least two samples: there is nothing to compare")
    ready = {name: _prepared(sample) for name, sample in samples.items()}
    chosen = _chosen(ready, pairs)
    _refuse_unable(len(chosen), level, n_replications)
    found, left_out = [], []
    for a, b in chosen:
        shared = joint and ready[a].labels is not None and ready[b].labels is not None
        try:
            pair = compare_shapes(
                ready[a],
                ready[b],
                names=(a, b),
                joint=shared,
                n_replications=n_replications,
                **options,
            )
        except TooFewError as error:
            left_out.append(f"{a} / {b} not compared: {error}")
        else:
            found.append(pair)
    if not found:
        raise DataError("; ".join(left_out))
    p_values = holm([pair.p_value for pair in found])
    matches = holm([pair.p_matches for pair in found])
    misses = holm([pair.p_misses for pair in found])
    corrected = (
        replace(pair, p_value=p, p_matches=near, p_misses=far, n_tests=len(found), level=level)
        for pair, p, near, far in zip(found, p_values, matches, misses, strict=True)
    )
    return ShapeComparisons(pairs=tuple(corrected), notes=tuple(left_out))


def _chosen(
    samples: Mapping[str, ShapeSample], pairs: Sequence[tuple[str, str]] | None
) -> list[tuple[str, str]]:
    if pairs is None:
        return list(itertools.combinations(samples, 2))
    unknown = sorted({name for pair in pairs for name in pair} - set(samples))
    if unknown:
        raise DataError(f"no sample is named {', '.join(unknown)}: choose from {list(samples)}")
    if not pairs:
        raise DataError("pairs is empty: name at least two samples to compare")
    return list(pairs)


def _refuse_unable(n_pairs: int, level: float, n_replications: int) -> None:
    if not 0 < level < 1:
        raise DataError(f"level = {level:g} must lie between 0 and 1, 0.05 for 5 %")
    least = math.ceil(2 * n_pairs / level)
    if n_replications < least:
        raise DataError(
            f"{n_replications} replications cannot reach p < {level:g} after a correction for "
            f"{n_pairs} pairs: choose n_replications = {least} or more, or fewer pairs"
        )


def _judged(value: float, drawn: Floats, margin: float) -> tuple[Estimate, float, float]:
    """Return (a distance with its interval, p of at most the margin, p of at least the margin)."""
    error, spread = drawn[:, 0], float(drawn[:, 1].std(ddof=1))
    low = max(0.0, value - float(np.quantile(error, 0.975)))
    high = value + normal_ppf(0.975) * spread
    within, _ = margin_tests(value, margin, spread)
    estimate = Estimate(value=value, std_error=spread, interval=(low, high))
    return estimate, _share_beyond(error, value - margin), within


def _share_beyond(drawn: Floats, value: float) -> float:
    """Return the share of replicates at `value` or beyond, the data counted as one of them."""
    hits = int(np.count_nonzero(drawn >= value - 1e-12))
    return (1 + hits) / (1 + drawn.size)


def _on_logs(value: float, drawn: Floats, unit: str = "1") -> Estimate:
    spread = float(drawn.std(ddof=1))
    half = normal_ppf(0.975) * spread
    return Estimate(
        value=math.exp(value),
        std_error=math.exp(value) * spread,
        interval=(math.exp(value - half), math.exp(value + half)),
        unit=unit,
    )


def _prepared(sample: Sample) -> ShapeSample:
    return sample if isinstance(sample, ShapeSample) else shape_sample(sample)


def _check(
    share: float,
    coarse: float,
    distance_margin: float,
    gap_margin: float,
    n_replications: int,
    seed: int,
) -> None:
    if not 0 < share <= 1:
        raise DataError(f"share = {share:g} must lie in (0, 1]")
    if not coarse >= 1:
        raise DataError(f"coarse = {coarse:g} must be at least 1, in units of the counts")
    if not (0 < distance_margin < 1 and 0 < gap_margin < math.inf):
        raise DataError("a margin must be positive, and that of the distance below 1")
    if n_replications < 19:
        raise DataError(f"n_replications = {n_replications} must be at least 19, for p below .05")
    if seed < 0:
        raise DataError(f"seed = {seed} must not be negative")


def _with_interval(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None or estimate.interval is None:
        return "-"
    return f"{estimate.value:.3f} [{estimate.interval[0]:.3f}, {estimate.interval[1]:.3f}]"
