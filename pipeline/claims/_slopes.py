"""Whether a rank-size slope is -1: what the two claims of Zipf's law have in common.

Every concave curve has slope -1 somewhere. So the slope is measured at cut-offs over decades of
ranks, and is to be within a margin of -1 throughout: two one-sided tests at each cut-off (an
intersection-union test, Berger 1982, needs no correction), Holm's correction over the decades.
A decade is contradicted by the largest deviation in it, held against the largest of as many
deviations of the margin. Slopes of nested tails with n and m > n items are taken to correlate as
sqrt(n/m), as Hill's do; those of the rank-size regression correlate more (.69 for .32 over a
decade), so that p errs on the safe side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from baimo.estimation.errors import EstimationError
from baimo.estimation.laws import normal_ppf
from baimo.estimation.predictive.equivalence import LEVEL, holm, margin_tests
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.rank_size import ZipfFit, fit_zipf
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims.claim import Number, Verdict
from baimo.pipeline.settings import SEED
from baimo.pipeline.text import bare, cutoff_words, joined

CUTOFFS = ("top10pct_all", "top1pct_all", "top0.1pct_all", "top100")
ZIPF, MARGIN = -1.0, 0.1
STEPS = 5  # cut-offs a decade
SMALLEST = 100  # items
FEWEST = math.ceil(2.0 * (normal_ppf(1.0 - LEVEL) * ZIPF / MARGIN) ** 2)
"""Independent items of an exact Zipf law that a test can tell to have it."""
DRAWS = 40_000
STATISTIC = (
    f"slope of log(rank - 1/2) on log({{}}) at {STEPS} cut-offs a decade of ranks, from the top "
    f"{SMALLEST} to the top 10 % (1 % where that reaches the zeros), author-clustered "
    "errors, design effects between those measured interpolated"
)
CRITERION = (
    f"holds if within {bare(MARGIN)} of {ZIPF:g} ({100 * LEVEL:g} %) at every cut-off from "
    f"{FEWEST} items on and in no decade beyond; in part if throughout a decade of ranks; fails if "
    "beyond in every decade"
)


def slope_is_one(fits: SizeFits) -> tuple[Verdict, str, tuple[Number, ...]]:
    """Return whether the slope is -1 over a decade of ranks, in words and numbers.

    The verdict is that of all items; where it hangs on the largest, that is said.
    """
    lines = {label: fits.zipf[label] for label in CUTOFFS if label in fits.zipf}
    words = [_line_words(label, line) for label, line in lines.items()]
    ks = ranks(max((line.k for line in lines.values()), default=0))
    numbers = tuple(_number(cutoff_words(label), line) for label, line in lines.items())
    if len(ks) <= STEPS:
        return Verdict.UNTOLD, joined((*words, "less than a decade of ranks")), numbers
    whole = curve(fits.counts, ks, lines)
    verdict, found = judge(whole)
    without, found_without = judge(curve(fits.counts.without_largest(), ks, lines))
    said = {line.k for line in lines.values()}
    numbers += tuple(_number(f"top {x.k:,}", x) for x in reversed(whole) if x.k not in said)
    largest = (
        f"so without its largest item: {found_without}"
        if verdict is without
        else f"{verdict}, and {without} without its largest item: {found_without}"
    )
    return verdict, joined((*words, found, largest)), numbers


def ranks(largest: int) -> list[int]:
    """Return the cut-offs, ascending, `STEPS` a decade down from the largest."""
    if largest < SMALLEST:
        return []
    n = math.floor(STEPS * math.log10(largest / SMALLEST) + 1e-9) + 1
    return [round(largest * 10.0 ** (-i / STEPS)) for i in reversed(range(n))]


def curve(counts: Counts, ks: Sequence[int], known: Mapping[str, ZipfFit]) -> list[ZipfFit]:
    """Return the slope at each cut-off that has one, with its design effect.

    Design effects were measured at the cut-offs `known`. Between them they are interpolated in
    the logarithms of both: of the models of 2024-07-11 errors are then off by a factor of .88 to
    1.36 (downloads) and .90 to 1.00 (likes, upwards of 760) from those measured at each.
    """
    effects = sorted((x.k, max(1.0, x.design_effect)) for x in known.values() if x.design_effect)
    at, effect = np.log(np.array(effects or [(1, 1.0)], dtype=np.float64)).T
    between = {k: float(np.exp(np.interp(math.log(k), at, effect))) for k in ks}
    found = []
    for k, measured in between.items():
        with suppress(EstimationError):  # too few positive items, or all of one size
            found.append(fit_zipf(counts, k=k, design_effect=measured if effects else None))
    return found


def judge(lines: Sequence[ZipfFit]) -> tuple[Verdict, str]:
    """Return what slopes at ascending cut-offs say, and the decade that says it."""
    tests = [margin_tests(x.slope - ZIPF, MARGIN, x.std_error_clustered) for x in lines]
    decades = [lines[i : i + STEPS + 1] for i in range(len(lines) - STEPS)]
    if not decades:
        return Verdict.UNTOLD, "less than a decade of ranks"
    told = [p for x, (p, _) in zip(lines, tests, strict=True) if x.k >= FEWEST]
    first = len(lines) - len(told)  # the smaller cut-offs can only be found beyond
    within = holm([max(told[i : i + STEPS + 1]) for i in range(len(told) - STEPS)])
    beyond = [any_beyond(decade) for decade in decades]
    if within and max(told) < LEVEL and min(beyond) >= LEVEL:
        return Verdict.HOLDS, f"within the margin at every cut-off from {FEWEST} items on"
    if within and min(within) < LEVEL:
        best = decades[first + int(np.argmin(within))]
        return Verdict.PART, f"within the margin throughout {_span(best)}"
    last = int(np.argmax(beyond))
    if beyond[last] < LEVEL:
        return Verdict.FAILS, (
            f"beyond the margin in every decade of ranks, least clearly in {_span(decades[last])} "
            f"(p {beyond[last]:.2g})"
        )
    return Verdict.UNTOLD, (
        f"no decade of ranks is shown to be within the margin, nor {_span(decades[last])} to be "
        f"beyond (p {beyond[last]:.2g})"
    )


def any_beyond(decade: Sequence[ZipfFit]) -> float:
    """Return p of "no slope of the decade lies beyond the margin"."""
    alone = min(margin_tests(x.slope - ZIPF, MARGIN, x.std_error_clustered)[1] for x in decade)
    n = np.maximum.accumulate([x.k / max(1.0, x.design_effect or 1.0) for x in decade])
    steps = np.random.default_rng(SEED).standard_normal((DRAWS, n.size))
    paths = np.cumsum(steps * np.sqrt(np.diff(n, prepend=0.0)), axis=1) / np.sqrt(n)
    return float(np.mean(paths.max(axis=1) >= normal_ppf(1.0 - min(max(alone, 1e-15), 0.5))))


def _span(decade: Sequence[ZipfFit]) -> str:
    slopes = [f"{decade[i].slope:.3f}" for i in (0, -1)]
    return f"the top {decade[0].k:,} to {decade[-1].k:,} ({slopes[0]} to {slopes[1]})"


def _line_words(label: str, line: ZipfFit) -> str:
    low, high = line.conf_int()["slope"] or (math.nan, math.nan)
    return f"{cutoff_words(label)} ({line.k:,}) {line.slope:.3f} [{low:.2f}, {high:.2f}]"


def _number(where: str, line: ZipfFit) -> Number:
    return Number(
        name=f"slope, {where}",
        value=line.slope,
        std_error=line.std_error_clustered,
        interval=line.conf_int()["slope"],
        held_against=ZIPF,
    )
