"""Does DeFi mirror language models (section 11.3)? Tail exponents and whole shapes, jointly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from baimo.estimation.errors import TooFewError
from baimo.estimation.predictive.equivalence import LEVEL, holm, margin_tests
from baimo.estimation.shapes.compare import ShapeComparison, compare_shapes
from baimo.estimation.shapes.curves import ShapeSample, shape_sample
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.settings import SEED
from baimo.pipeline.text import joined

if TYPE_CHECKING:
    from baimo.pipeline.analysis.populations import CompanionFits


ZETA_MARGIN = 0.1
REPLICATIONS = 999
HUB = ("downloads", "likes")
BESIDE = (
    ("downloads", "datasets_downloads"),
    ("likes", "datasets_likes"),
    ("datasets_downloads", "tvl"),
    ("chains_tvl", "tvl"),
)
Tests = dict[tuple[str, str], tuple[float, float]]
"""By size and test: p that the difference is at least its margin, and that it is at most."""


def mirror_tests(fits: Mapping[str, SizeFits]) -> tuple[Tests, str]:
    """Hold TVL against downloads and against likes; return the tests, and the numbers in words."""
    tests: Tests = {}
    words = []
    for name in HUB:
        gap, error = zeta_gap(fits[name], fits["tvl"])
        tests[name, "zeta"] = margin_tests(gap, ZETA_MARGIN, error)
        words.append(f"zeta of {name} less that of TVL {gap:+.2f} ({error:.2f})")
        found = shapes(fits[name], fits["tvl"])
        if found is None:
            words.append(f"shapes of {name} and TVL: too few items at an equal share")
            continue
        tests[name, "shape"] = (found.p_matches, found.p_misses)
        words.append(f"shapes of {name} and TVL {spoken(found)}")
    return tests, joined(words)


def decide(tests: Tests) -> tuple[list[bool], list[bool]]:
    """Return whether TVL equals, and whether it differs from, downloads and likes.

    Equal in zeta and shape, different in either; Holm's correction runs over all tests.
    """
    equal, different = (
        dict(zip(tests, holm([p[i] for p in tests.values()]), strict=True)) for i in (0, 1)
    )
    of = {name: [t for t in tests if t[0] == name] for name in HUB}
    return (
        [len(of[n]) == 2 and all(equal[t] < LEVEL for t in of[n]) for n in HUB],
        [any(different[t] < LEVEL for t in of[n]) for n in HUB],
    )


def zeta_gap(one: SizeFits, other: SizeFits) -> tuple[float, float]:
    """Return the difference of two tail exponents, each above its x_min, and its error."""
    errors = (fit.tail.std_error_clustered for fit in (one, other))
    return one.tail.zeta - other.tail.zeta, math.hypot(*errors)


def shapes(one: SizeFits, other: SizeFits) -> ShapeComparison | None:
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


def spoken(found: ShapeComparison) -> str:
    """Return distance, interval and what is compared, in words."""
    low, high = found.distance.conf_int() or (math.nan, math.nan)
    text = (
        f"{found.distance.value:.3f} apart [{low:.3f}, {high:.3f}] over the top "
        f"{100 * found.share:.1f} %, up to a factor"
    )
    if found.gap is not None:
        text += f", ratios of tail quantiles by a factor of {10 ** (found.gap.value or 0.0):.1f}"
    return text


def other_ecosystems(fits: Mapping[str, SizeFits], beside: CompanionFits | None) -> str:
    """Say how datasets and chains compare, one pair at a time."""
    every = dict(fits) | (beside.sizes if beside is not None else {})
    parts = []
    for a, b in BESIDE:
        if a not in every or b not in every:
            continue
        gap, error = zeta_gap(every[a], every[b])
        found = shapes(every[a], every[b])
        said = "" if found is None else f", shapes {found.verdict} ({spoken(found)})"
        parts.append(f"{_named(a)} and {_named(b)}: zeta {gap:+.2f} ({error:.2f}){said}")
    return joined(parts)


def _named(name: str) -> str:
    words = {"tvl": "TVL of protocols", "chains_tvl": "TVL of chains"}
    return words.get(name, name.replace("_", "' "))
