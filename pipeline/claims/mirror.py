"""The distribution of DeFi mirrors that of language models: it lies within the Hub's own spread."""

from __future__ import annotations

import math
from collections.abc import Mapping

from baimo.estimation.errors import TooFewError
from baimo.estimation.laws import normal_sf
from baimo.estimation.predictive.equivalence import LEVEL, holm, margin_tests
from baimo.estimation.shapes.compare import (
    DISTANCE_MARGIN,
    GAP_MARGIN,
    ShapeComparison,
    compare_shapes,
)
from baimo.estimation.shapes.curves import ShapeSample, shape_sample
from baimo.pipeline.analysis.populations import COMPANION_FITS, CompanionFits
from baimo.pipeline.analysis.sizes import TAILS, SizeFits, read_tails
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.figures.of_claims import VERDICTS
from baimo.pipeline.lake.results import Day
from baimo.pipeline.settings import SEED
from baimo.pipeline.text import bare, joined
from baimo.pipeline.variables import DOWNLOADS, HUB, LIKES, TVL

ZETA_MARGIN = 0.1
REPLICATIONS = 999
EQUAL, DIFFERENT = "equal", "different"
OTHER_PAIRS = (
    (DOWNLOADS.name, "datasets_downloads"),
    (LIKES.name, "datasets_likes"),
    ("datasets_downloads", TVL.name),
    ("chains_tvl", TVL.name),
)
Tests = dict[tuple[str, str], tuple[float, float]]
"""By size and test: p that the difference is at least its margin, and that it is at most."""


@claim(
    order=170,
    paper=Paper.RUAN,
    where="section 11.3",
    text="The distribution of DeFi mirrors that of language models.",
    statistic="zeta of TVL, and its shape up to a factor, against those of downloads and of likes",
    criterion=f"holds if zeta lies between those of downloads and likes or within "
    f"{bare(ZETA_MARGIN)} of one ({100 * LEVEL:g} %), in part if TVL yet differs from each in zeta "
    f"or shape ({bare(DISTANCE_MARGIN)}, tail ratios beyond {10**GAP_MARGIN:g}; Holm); fails if "
    "zeta lies beyond",
    needs=(*TAILS.values(), COMPANION_FITS),
    figure=VERDICTS,
)
def mirror(day: Day) -> Finding:
    """Whether TVL lies within the spread of the Hub's own sizes.

    Downloads and likes may differ by more than two margins: no third size is then equal to both.
    """
    fits = read_tails(day)
    tests, shown, numbers = mirror_tests(fits)
    gap, error = zeta_gap(fits[DOWNLOADS.name], fits[LIKES.name])
    inside, outside = within_spread(fits)
    pairs = verdicts_of_pairs(tests)
    best = ", ".join(f"{f.measure} {f.whole.best.model.replace('_', ' ')}" for f in fits.values())
    shown = joined(
        (
            f"zeta of TVL outside the Hub's spread p {inside:.2g}, inside p {outside:.2g}",
            *(f"TVL against {name}: {verdict}" for name, verdict in pairs.items()),
            shown,
            f"downloads and likes differ themselves by {gap:+.2f} ({error:.2f})",
            f"best law of the whole sample: {best}",
        )
    )
    others = other_ecosystems(fits, day.read(COMPANION_FITS))
    verdict = verdict_on(inside, outside, set(pairs.values()) == {DIFFERENT})
    return Finding(verdict, shown, others, numbers)


def verdict_on(inside: float, outside: float, like_neither: bool) -> Verdict:
    """Return the verdict from p of "zeta lies outside", p of "inside", and the pairs."""
    if outside < LEVEL:
        return Verdict.FAILS
    if inside < LEVEL:
        return Verdict.PART if like_neither else Verdict.HOLDS
    return Verdict.UNTOLD


def within_spread(fits: Mapping[str, SizeFits]) -> tuple[float, float]:
    """Return p of "zeta of TVL lies outside the spread of the Hub's two", and of "inside".

    The spread reaches a margin beyond the smaller and the larger. The first is an
    intersection-union test, the second has Bonferroni's correction for the two sides.
    """
    low, high = sorted((fits[v.name] for v in HUB), key=lambda f: f.tail.zeta)
    above, above_error = zeta_gap(fits[TVL.name], low)
    below, below_error = zeta_gap(high, fits[TVL.name])
    rooms = [(above + ZETA_MARGIN) / above_error, (below + ZETA_MARGIN) / below_error]
    inside = max(normal_sf(room) for room in rooms)
    return inside, min(1.0, 2.0 * min(normal_sf(-room) for room in rooms))


def verdicts_of_pairs(tests: Tests) -> dict[str, str]:
    """Return of each size of the Hub whether TVL is equal to it, different, or neither shown."""
    equal, different = decide(tests)
    return {
        v.name: EQUAL if same else DIFFERENT if other else Verdict.UNTOLD.value
        for v, same, other in zip(HUB, equal, different, strict=True)
    }


def mirror_tests(fits: Mapping[str, SizeFits]) -> tuple[Tests, str, tuple[Number, ...]]:
    """Hold TVL against downloads and against likes; return tests, words and numbers."""
    tests: Tests = {}
    words, numbers = [], []
    for name in (v.name for v in HUB):
        gap, error = zeta_gap(fits[name], fits[TVL.name])
        tests[name, "zeta"] = margin_tests(gap, ZETA_MARGIN, error)
        words.append(f"zeta of {name} less that of TVL {gap:+.2f} ({error:.2f})")
        what = f"zeta of {name} less that of TVL"
        numbers.append(Number(name=what, value=gap, std_error=error, held_against=0.0))
        found = compare_two(fits[name], fits[TVL.name])
        if found is None:
            words.append(f"shapes of {name} and TVL: too few items at an equal share")
            continue
        tests[name, "shape"] = (found.p_matches, found.p_misses)
        words.append(f"shapes of {name} and TVL {shape_words(found)}")
        distance = found.distance
        numbers.append(
            Number(
                name=f"distance of the shapes of {name} and TVL",
                value=distance.value,
                interval=distance.conf_int(),
                held_against=0.0,
            )
        )
    return tests, joined(words), tuple(numbers)


def decide(tests: Tests) -> tuple[list[bool], list[bool]]:
    """Return whether TVL equals, and whether it differs from, downloads and likes.

    Equal in zeta and shape, different in either; Holm's correction runs over all tests.
    """
    equal, different = (
        dict(zip(tests, holm([p[i] for p in tests.values()]), strict=True)) for i in (0, 1)
    )
    of = {v.name: [t for t in tests if t[0] == v.name] for v in HUB}
    return (
        [len(found) == 2 and all(equal[t] < LEVEL for t in found) for found in of.values()],
        [any(different[t] < LEVEL for t in found) for found in of.values()],
    )


def zeta_gap(one: SizeFits, other: SizeFits) -> tuple[float, float]:
    """Return the difference of two tail exponents, each above its x_min, and its error."""
    errors = (fit.tail.std_error_clustered for fit in (one, other))
    return one.tail.zeta - other.tail.zeta, math.hypot(*errors)


def compare_two(one: SizeFits, other: SizeFits) -> ShapeComparison | None:
    """Compare two samples up to a factor, None where too little can be compared."""
    try:
        return compare_shapes(
            _sample(one),
            _sample(other),
            names=(one.measure, other.measure),
            n_replications=REPLICATIONS,
            seed=SEED,
        )
    except TooFewError:
        return None


def _sample(fits: SizeFits) -> ShapeSample:
    return shape_sample(
        fits.counts, unit=1.0 if fits.tail.discrete else 0.0, design_effect=fits.tail.design_effect
    )


def shape_words(found: ShapeComparison) -> str:
    """Say distance, interval and what is compared."""
    low, high = found.distance.conf_int() or (math.nan, math.nan)
    text = (
        f"{found.distance.value:.3f} apart [{low:.3f}, {high:.3f}] over the top "
        f"{100 * found.share:.1f} %, up to a factor"
    )
    if found.gap is not None:
        text += f", ratios of tail quantiles by a factor of {10 ** (found.gap.value or 0.0):.1f}"
    return text


def other_ecosystems(fits: Mapping[str, SizeFits], populations: CompanionFits) -> str:
    """Say how datasets and chains compare, one pair at a time."""
    every = dict(fits) | populations.sizes
    parts = []
    for a, b in OTHER_PAIRS:
        if a not in every or b not in every:
            continue
        gap, error = zeta_gap(every[a], every[b])
        found = compare_two(every[a], every[b])
        said = "" if found is None else f", shapes {found.verdict} ({shape_words(found)})"
        parts.append(f"{_named(a)} and {_named(b)}: zeta {gap:+.2f} ({error:.2f}){said}")
    return joined(parts)


def _named(name: str) -> str:
    words = {TVL.name: "TVL of protocols", "chains_tvl": "TVL of chains"}
    return words.get(name, name.replace("_", "' "))
