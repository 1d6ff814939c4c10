"""DeFi mirrors language models where it lies within the spread of the Hub's own sizes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from baimo.estimation.predictive.equivalence import margin_tests
from baimo.estimation.samples.counts import Counts
from baimo.estimation.shapes.compare import DISTANCE_MARGIN, GAP_MARGIN
from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims import mirror as module
from baimo.pipeline.claims.claim import Finding, Verdict
from baimo.pipeline.claims.mirror import (
    ZETA_MARGIN,
    compare_two,
    decide,
    mirror_tests,
    other_ecosystems,
    shape_words,
    verdict_on,
    within_spread,
    zeta_gap,
)
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.text import bare
from tests.pipeline.claims.evidence import (
    FAILS,
    HOLDS,
    PART,
    UNTOLD,
    decided,
    numbers_in,
)
from tests.pipeline.synthetic import NO_POPULATIONS

CLAIM = "mirror"
# Tests are pairs of p: at least the margin, at most the margin.
SAME, APART, OPEN = (1e-6, 1.0), (1.0, 1e-6), (0.6, 0.7)
Pair = tuple[float, float]
Both = tuple[Pair, Pair | None]


@pytest.fixture
def _few_replications(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests of shapes rest on few replications: the least p is one in two hundred."""
    monkeypatch.setattr(module, "REPLICATIONS", 199)


def pairs_of_p(downloads: Both, likes: Both) -> dict[tuple[str, str], Pair]:
    """Return tests of zeta and shape; None: the shapes could not be compared."""
    return {
        (size, kind): p
        for size, both in (("downloads", downloads), ("likes", likes))
        for kind, p in zip(("zeta", "shape"), both, strict=True)
        if p is not None
    }


def test_the_criterion_quotes_the_margins_of_the_rule() -> None:
    criterion = ALL_CLAIMS[CLAIM].criterion
    wanted = [bare(ZETA_MARGIN), "5", bare(DISTANCE_MARGIN), f"{10**GAP_MARGIN:g}"]
    assert numbers_in(criterion) == wanted
    assert wanted == [".1", "5", ".05", "2"]


@pytest.mark.parametrize(
    ("inside", "outside", "like_neither", "verdict"),
    [
        (0.04, 1.0, False, HOLDS),
        (0.04, 1.0, True, PART),
        (0.06, 0.9, False, UNTOLD),
        (0.06, 0.9, True, UNTOLD),
        (1.0, 0.04, True, FAILS),
    ],
)
def test_the_verdict_follows_the_tests(
    inside: float, outside: float, like_neither: bool, verdict: Verdict
) -> None:
    assert verdict_on(inside, outside, like_neither) is verdict


def at(fits: SizeFits, zeta: float, error: float) -> SizeFits:
    """Return fits with another exponent of the tail."""
    tail = replace(fits.tail, alpha=1.0 + zeta, std_error=error, design_effect=None)
    return replace(fits, judged=replace(fits.judged, tail=tail))


@pytest.mark.parametrize(
    ("tvl", "error", "inside", "outside"),
    [
        (0.8, 0.01, True, False),  # between the two
        (0.55, 0.01, True, False),  # within a margin below the smaller
        (1.05, 0.01, True, False),
        (0.5, 0.01, False, False),  # at the margin
        (0.45, 0.01, False, True),
        (1.15, 0.01, False, True),
        (0.8, 0.3, False, False),  # anywhere
        (0.45, 0.1, False, False),
    ],
)
def test_the_spread_reaches_a_margin_beyond_the_two(
    pareto_tvl: SizeFits, tvl: float, error: float, inside: bool, outside: bool
) -> None:
    hub = {"downloads": at(pareto_tvl, 0.6, 0.01), "likes": at(pareto_tvl, 1.0, 0.01)}
    p_outside, p_inside = within_spread({**hub, "tvl": at(pareto_tvl, tvl, error)})
    assert (p_outside < 0.05, p_inside < 0.05) == (inside, outside)
    turned = {"downloads": hub["likes"], "likes": hub["downloads"]}
    assert within_spread({**turned, "tvl": at(pareto_tvl, tvl, error)}) == (p_outside, p_inside)


@pytest.mark.parametrize("tvl", [0.5, 1.1])
def test_at_the_edge_of_the_spread_one_in_twenty_is_found_inside(
    pareto_tvl: SizeFits, tvl: float
) -> None:
    rng, runs, error = np.random.default_rng(7), 2_000, 0.03
    found = np.empty((runs, 2))
    for i in range(runs):
        drawn = {"downloads": 0.6, "likes": 1.0, "tvl": tvl}
        found[i] = within_spread(
            {k: at(pareto_tvl, z + error * rng.standard_normal(), error) for k, z in drawn.items()}
        )
    width = 4 * math.sqrt(0.05 * 0.95 / runs)
    assert abs(float(np.mean(found[:, 0] < 0.05)) - 0.05) < width
    assert float(np.mean(found[:, 1] < 0.05)) < 0.025 + width


@pytest.mark.usefixtures("_few_replications")
def test_paretos_of_one_exponent_mirror_each_other_and_those_of_two_do_not(
    zipf_downloads: SizeFits,
    thin_downloads: SizeFits,
    zipf_likes: SizeFits,
    thin_likes: SizeFits,
    pareto_tvl: SizeFits,
) -> None:
    def found(downloads: SizeFits, likes: SizeFits, tvl: SizeFits) -> Finding:
        return decided(CLAIM, downloads=downloads, likes=likes, tvl=tvl)

    assert found(zipf_downloads, zipf_likes, pareto_tvl).verdict is HOLDS
    assert found(thin_downloads, thin_likes, pareto_tvl).verdict is FAILS
    one = found(zipf_downloads, thin_likes, pareto_tvl)  # as the one, not as the other
    assert one.verdict is HOLDS
    assert "TVL against downloads: equal; TVL against likes: different" in one.evidence
    neither = at(replace(pareto_tvl, counts=thin_likes.counts), 1.5, 0.01)
    between = found(zipf_downloads, thin_likes, neither)
    assert between.verdict is PART
    assert "TVL against downloads: different; TVL against likes: different" in between.evidence


def test_holms_correction_runs_over_all_four_tests() -> None:
    # Of four, the smallest p is multiplied by four: .02 is not enough, .01 is.
    def at(p: float) -> tuple[list[bool], list[bool]]:
        return decide(pairs_of_p(((1.0, p), OPEN), (OPEN, OPEN)))

    assert at(0.02) == ([False, False], [False, False])
    assert at(0.01) == ([False, False], [True, False])
    one_open = pairs_of_p((SAME, SAME), (SAME, OPEN))
    assert decide(one_open) == ([True, False], [False, False])


def test_noise_alone_contradicts_at_most_once_in_twenty() -> None:
    # Equal exponents, errors far beyond the margin: a difference "beyond" is a false alarm.
    rng = np.random.default_rng(6)
    runs = 4_000
    alarms = 0
    for _ in range(runs):
        gaps = 0.28 * rng.standard_normal(2)
        tests = {
            (name, "zeta"): margin_tests(float(gap), 0.1, 0.28)
            for name, gap in zip(("downloads", "likes"), gaps, strict=True)
        }
        alarms += any(decide(tests)[1])
    assert alarms / runs <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.usefixtures("_few_replications")
def test_the_same_sample_has_one_tail_and_one_shape(thin_likes: SizeFits) -> None:
    likes = thin_likes
    tests, shown, numbers = mirror_tests({"downloads": likes, "likes": likes, "tvl": likes})
    assert all(p_misses > 0.99 for _, p_misses in tests.values())
    assert "zeta of likes less that of TVL +0.00" in shown
    assert "0.000 apart" in shown
    assert [n.value for n in numbers] == pytest.approx([0.0] * 4, abs=1e-12)


@pytest.mark.usefixtures("_few_replications")
def test_numbers_and_words_are_those_of_the_comparisons(
    zipf_downloads: SizeFits, thin_likes: SizeFits, pareto_tvl: SizeFits
) -> None:
    fits = {"downloads": zipf_downloads, "likes": thin_likes, "tvl": pareto_tvl}
    tests, shown, numbers = mirror_tests(fits)
    assert list(tests) == [(n, k) for n in ("downloads", "likes") for k in ("zeta", "shape")]
    assert [n.name for n in numbers] == [
        "zeta of downloads less that of TVL",
        "distance of the shapes of downloads and TVL",
        "zeta of likes less that of TVL",
        "distance of the shapes of likes and TVL",
    ]
    parts = shown.split("; ")
    for i, name in enumerate(("downloads", "likes")):
        gap, error = zeta_gap(fits[name], pareto_tvl)
        assert tests[name, "zeta"] == margin_tests(gap, ZETA_MARGIN, error)
        assert parts[2 * i] == f"zeta of {name} less that of TVL {gap:+.2f} ({error:.2f})"
        zeta, distance = numbers[2 * i : 2 * i + 2]
        assert (zeta.value, zeta.std_error, zeta.held_against) == (gap, error, 0.0)
        found = compare_two(fits[name], pareto_tvl)
        assert found is not None
        assert tests[name, "shape"] == (found.p_matches, found.p_misses)
        assert distance.value == found.distance.value
        assert distance.interval == found.distance.conf_int()
        assert (distance.std_error, distance.held_against) == (None, 0.0)
        assert parts[2 * i + 1] == f"shapes of {name} and TVL {shape_words(found)}"
    assert numbers[2].value == pytest.approx(1.0, abs=0.05)
    assert numbers[3].value is not None
    assert numbers[3].value > DISTANCE_MARGIN


def test_the_gap_of_two_exponents_has_the_errors_of_both(
    zipf_downloads: SizeFits, thin_likes: SizeFits
) -> None:
    gap, error = zeta_gap(zipf_downloads, thin_likes)
    assert gap == zipf_downloads.tail.zeta - thin_likes.tail.zeta
    a, b = zipf_downloads.tail.std_error, thin_likes.tail.std_error
    assert error == pytest.approx(math.sqrt(a**2 + b**2))
    tail = replace(zipf_downloads.tail, design_effect=9.0)
    clustered = replace(zipf_downloads, judged=replace(zipf_downloads.judged, tail=tail))
    assert zeta_gap(clustered, thin_likes)[1] == pytest.approx(math.sqrt(9 * a**2 + b**2))


def test_shapes_of_too_few_items_are_not_compared(
    zipf_downloads: SizeFits, zipf_likes: SizeFits, pareto_tvl: SizeFits
) -> None:
    few = replace(pareto_tvl, counts=Counts.from_sample(np.arange(1.0, 11.0)))
    assert compare_two(zipf_downloads, few) is None
    fits = {"downloads": zipf_downloads, "likes": zipf_likes, "tvl": few}
    tests, shown, numbers = mirror_tests(fits)
    assert list(tests) == [("downloads", "zeta"), ("likes", "zeta")]
    assert "shapes of downloads and TVL: too few items at an equal share" in shown
    assert len(numbers) == 2


@pytest.mark.usefixtures("_few_replications")
def test_shapes_are_said_with_interval_share_and_tail(
    zipf_downloads: SizeFits, pareto_tvl: SizeFits
) -> None:
    found = compare_two(zipf_downloads, pareto_tvl)
    assert found is not None
    assert found.share == pytest.approx(0.1)  # of the downloads so many are ten or more
    interval = found.distance.conf_int()
    assert interval is not None
    assert found.gap is not None
    assert found.gap.value is not None
    assert shape_words(found) == (
        f"{found.distance.value:.3f} apart [{interval[0]:.3f}, {interval[1]:.3f}] over the top "
        f"{100 * found.share:.1f} %, up to a factor, ratios of tail quantiles by a factor of "
        f"{10**found.gap.value:.1f}"
    )
    few = replace(pareto_tvl, counts=Counts.from_sample(np.geomspace(1, 9, 60)))
    small = compare_two(pareto_tvl, few)
    assert small is not None
    assert small.gap is None
    assert shape_words(small).endswith("up to a factor")


@pytest.mark.usefixtures("_few_replications")
def test_datasets_and_chains_are_held_beside_one_pair_at_a_time(
    zipf_downloads: SizeFits,
    zipf_likes: SizeFits,
    pareto_tvl: SizeFits,
    companions: CompanionFits,
) -> None:
    fits = {"downloads": zipf_downloads, "likes": zipf_likes, "tvl": pareto_tvl}
    assert other_ecosystems(fits, NO_POPULATIONS) == ""
    datasets = {"datasets_likes": companions.sizes["datasets_likes"]}
    one = other_ecosystems(fits, replace(companions, sizes=datasets))
    found = compare_two(zipf_likes, datasets["datasets_likes"])
    assert found is not None
    gap, error = zeta_gap(zipf_likes, datasets["datasets_likes"])
    assert one == (
        f"likes and datasets' likes: zeta {gap:+.2f} ({error:.2f}), shapes equal within the margin "
        f"({shape_words(found)})"
    )
    every = other_ecosystems(fits, companions)
    assert "downloads and datasets' downloads: zeta -1.00" in every
    assert "datasets' downloads and TVL of protocols: zeta +1.00" in every
    assert "TVL of chains and TVL of protocols: zeta -0.07" in every
    chains = {"chains_tvl": companions.sizes["chains_tvl"]}
    said = decided(
        CLAIM,
        downloads=zipf_downloads,
        likes=zipf_likes,
        tvl=pareto_tvl,
        populations=replace(companions, sizes=chains),
    )
    assert said.sensitivity == other_ecosystems(fits, replace(companions, sizes=chains))


@pytest.mark.usefixtures("_few_replications")
def test_how_downloads_and_likes_differ_themselves_is_said(
    zipf_downloads: SizeFits, thin_likes: SizeFits, pareto_tvl: SizeFits
) -> None:
    found = decided(CLAIM, downloads=zipf_downloads, likes=thin_likes, tvl=pareto_tvl)
    gap, error = zeta_gap(zipf_downloads, thin_likes)
    assert f"; downloads and likes differ themselves by {gap:+.2f} ({error:.2f})" in found.evidence
    best = ", ".join(
        f"{f.measure} {f.whole.best.model.replace('_', ' ')}"
        for f in (zipf_downloads, thin_likes, pareto_tvl)
    )
    assert found.evidence.endswith(f"; best law of the whole sample: {best}")
