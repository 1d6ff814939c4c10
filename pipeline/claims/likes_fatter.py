"""Likes have an even fatter tail than downloads."""

from __future__ import annotations

import math
from typing import NamedTuple

from baimo.estimation.laws import normal_sf
from baimo.estimation.predictive.equivalence import LEVEL, holm
from baimo.estimation.tails.rank_size import ZipfFit
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.claims.robustness import CUTOFFS
from baimo.pipeline.figures.of_claims import index_path_of
from baimo.pipeline.lake.results import Day
from baimo.pipeline.text import bare, cutoff_words, joined, list_cutoffs
from baimo.pipeline.variables import DOWNLOADS, HUB, LIKES


class Gap(NamedTuple):
    """Zeta of likes less that of downloads at one cut-off, and its error."""

    label: str
    value: float
    std_error: float

    @property
    def p_smaller(self) -> float:
        """Return p of "likes' zeta is no smaller"."""
        return normal_sf(-self.value / self.std_error)

    @property
    def p_larger(self) -> float:
        """Return p of "likes' zeta is no larger"."""
        return normal_sf(self.value / self.std_error)


@claim(
    order=30,
    paper=Paper.RUAN,
    where="section 1",
    text="Likes have an even fatter tail than downloads.",
    statistic="difference of the rank-size exponents at equal cut-offs, clustered errors, n_eff "
    "the items over the design effect",
    criterion=f"holds if likes' zeta is smaller (p < {bare(LEVEL / 2)}) at the "
    f"{list_cutoffs(CUTOFFS)}, in part if at some (Holm), fails if larger at some and smaller at "
    "none; a cut-off that a size lacks leaves it open",
    needs=tuple(TAILS[v.name] for v in HUB),
    figure=index_path_of(LIKES),
)
def likes_fatter(day: Day) -> Finding:
    """Whether likes have the smaller exponent."""
    downloads, likes = (day.read(TAILS[v.name]) for v in (DOWNLOADS, LIKES))
    parts, gaps = [], []
    for label in CUTOFFS:
        d, k = downloads.zipf.get(label), likes.zipf.get(label)
        if d is None or k is None:
            lacking = [f.measure for f, line in ((downloads, d), (likes, k)) if line is None]
            parts.append(f"{cutoff_words(label)}: too few positive {' and '.join(lacking)}")
            continue
        gap = Gap(
            label, d.slope - k.slope, math.hypot(d.std_error_clustered, k.std_error_clustered)
        )
        gaps.append(gap)
        parts.append(
            f"{cutoff_words(label)}: zeta likes {-k.slope:.2f} (n_eff {_effective(k):,.0f}), "
            f"downloads {-d.slope:.2f} ({_effective(d):,.0f}), z = {gap.value / gap.std_error:.1f}"
        )
    trimmed = (
        f"zeta of the CSN tails without the largest item: likes "
        f"{likes.tail_without_largest.zeta:.2f}, downloads "
        f"{downloads.tail_without_largest.zeta:.2f}"
    )
    numbers = tuple(
        Number(
            name=f"zeta of likes less that of downloads, {cutoff_words(g.label)}",
            value=g.value,
            std_error=g.std_error,
            held_against=0.0,
        )
        for g in gaps
    )
    return Finding(verdict_on(gaps), joined(parts), trimmed, numbers)


def verdict_on(gaps: list[Gap]) -> Verdict:
    """Return what the differences say; to hold they must be known at every cut-off."""
    level = LEVEL / 2
    if len(gaps) == len(CUTOFFS) and all(g.p_smaller < level for g in gaps):
        return Verdict.HOLDS
    smaller, larger = (
        [p < level for p in holm([getattr(g, side) for g in gaps])]
        for side in ("p_smaller", "p_larger")
    )
    if any(smaller):
        return Verdict.PART
    return Verdict.FAILS if any(larger) else Verdict.UNTOLD


def _effective(line: ZipfFit) -> float:
    """Return the number of independent items that would have the same error."""
    return line.k / max(1.0, line.design_effect or 1.0)
