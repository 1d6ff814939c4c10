"""The distribution of DeFi mirrors that of language models: exponents and whole shapes, jointly."""

from __future__ import annotations

import math
from collections.abc import Mapping

from baimo.estimation.errors import TooFewError
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
    statistic="TVL against downloads and likes: zeta above each x_min, shapes up to a factor "
    "(Holm)",
    criterion=f"holds if zeta (±{bare(ZETA_MARGIN)}) and shape ({bare(DISTANCE_MARGIN)}, tail "
    f"ratios within {10**GAP_MARGIN:g}) agree with both; fails if with each of them one lies "
    "beyond; in part if with one",
    needs=(*TAILS.values(), COMPANION_FITS),
    figure=VERDICTS,
)
def mirror(day: Day) -> Finding:
    """Whether TVL has the tail and the shape of downloads and likes."""
    fits = read_tails(day)
    tests, shown, numbers = mirror_tests(fits)
    gap, error = zeta_gap(fits[DOWNLOADS.name], fits[LIKES.name])
    best = ", ".join(f"{f.measure} {f.whole.best.model.replace('_', ' ')}" for f in fits.values())
    shown += (
        f"; downloads and likes differ themselves by {gap:+.2f} ({error:.2f}); best law of the "
        f"whole sample: {best}"
    )
    others = other_ecosystems(fits, day.read(COMPANION_FITS))
    equal, different = decide(tests)
    if all(equal):
        verdict = Verdict.HOLDS
    elif all(different):
        verdict = Verdict.FAILS
    else:
        verdict = Verdict.PART if any(different) or any(equal) else Verdict.UNTOLD
    return Finding(verdict, shown, others, numbers)


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
