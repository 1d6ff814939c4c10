"""Shapes: exact invariances, brute force, closed forms, and how often the tests err."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from baimo.estimation.errors import DataError
from baimo.estimation.predictive.equivalence import holm
from baimo.estimation.results import from_dict
from baimo.estimation.samples.counts import Counts
from baimo.estimation.shapes._pairs import tail_ranks
from baimo.estimation.shapes.compare import (
    DIFFERENT,
    EQUAL,
    OPEN,
    ShapeComparison,
    ShapeComparisons,
    compare_many,
    compare_shapes,
)
from baimo.estimation.shapes.curves import shape_sample

Floats = NDArray[np.float64]
Quantile = Callable[[Floats], Floats]  # log size at an upper share

LAWS: dict[str, Quantile] = {
    "pareto .5": lambda p: -np.log(p) / 0.5,
    "pareto .8": lambda p: -np.log(p) / 0.8,
    "pareto 1": lambda p: -np.log(p),
    "lognormal 2.5": lambda p: 2.5 * stats.norm.isf(p),
    "lognormal 3": lambda p: 3.0 * stats.norm.isf(p),
}


def drawn(law: str, n: int, rng: np.random.Generator, scale: float = 1.0) -> Floats:
    return scale * np.exp(LAWS[law](1.0 - rng.random(n)))


def even(law: str, n: int, scale: float = 1.0) -> Floats:
    """Return a sample without chance: the quantiles at (i - 1/2)/n."""
    return scale * np.exp(LAWS[law]((np.arange(n) + 0.5) / n))


def counted(sizes: Floats) -> Floats:
    return np.floor(sizes + 0.5)


def compare(one: Any, other: Any, **options: Any) -> ShapeComparison:
    return compare_shapes(one, other, **{"n_replications": 19, **options})


def value(result: ShapeComparison, name: str) -> float:
    found = result.estimates()[name].value
    assert found is not None
    return found


# --- exact: nothing depends on units, order or repetition ----------------------------------------


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("factor", [1e-9, 1.0, math.pi, 7e11])
def test_a_sample_has_the_shape_of_itself_in_another_unit(factor: float, power: bool) -> None:
    x = drawn("lognormal 2.5", 400, np.random.default_rng(1))
    found = compare(x, factor * x, power=power)
    assert value(found, "distance") == 0.0
    assert value(found, "gap") == pytest.approx(0.0, abs=1e-12)
    assert value(found, "scale") == pytest.approx(factor, rel=1e-12)
    assert found.p_value == 1.0
    if power:
        assert value(found, "power") == pytest.approx(1.0, rel=1e-12)


def test_counts_have_the_shape_of_themselves_in_another_unit() -> None:
    x = counted(drawn("pareto .8", 3000, np.random.default_rng(2), scale=3.0))
    found = compare(x, shape_sample(x * 0.01, unit=0.01))
    assert value(found, "distance") == 0.0
    assert value(found, "scale") == pytest.approx(0.01, rel=1e-12)


@pytest.mark.parametrize("times", [2, 3])
def test_repeating_every_item_changes_no_shape(times: int) -> None:
    x = drawn("pareto 1", 300, np.random.default_rng(3))
    assert value(compare(x, np.repeat(x, times)), "distance") == 0.0


@pytest.mark.parametrize("power", [False, True])
def test_units_change_nothing_but_the_scale(power: bool) -> None:
    rng = np.random.default_rng(4)
    x, y = drawn("pareto .8", 300, rng), drawn("lognormal 3", 500, rng)
    here = compare(x, y, power=power, n_replications=49)
    there = compare(x * 3.7e5, y * 2.1e-4, power=power, n_replications=49)
    for name in ("distance", "gap"):
        one, other = here.estimates()[name], there.estimates()[name]
        assert one.value == pytest.approx(other.value, abs=1e-12)
        assert one.interval == pytest.approx(other.interval, abs=1e-5)  # replicates: 18 halvings
    assert here.p_value == there.p_value
    assert here.p_misses == there.p_misses
    k = value(here, "power") if power else 1.0
    assert value(there, "scale") / value(here, "scale") == pytest.approx(
        2.1e-4 / 3.7e5**k, rel=1e-10
    )


@pytest.mark.parametrize("power", [False, True])
def test_neither_sample_comes_first(power: bool) -> None:
    rng = np.random.default_rng(5)
    x, y = drawn("pareto .8", 400, rng), counted(drawn("lognormal 2.5", 2000, rng, scale=5.0))
    here = compare(x, y, power=power, n_replications=99)
    there = compare(y, x, power=power, n_replications=99)
    assert (here.p_value, here.p_misses) == (there.p_value, there.p_misses)
    assert here.p_matches == pytest.approx(there.p_matches, rel=1e-6)
    assert value(here, "distance") == pytest.approx(value(there, "distance"), abs=1e-12)
    assert value(here, "gap") == pytest.approx(value(there, "gap"), abs=1e-9)
    k = value(here, "power") if power else 1.0
    assert value(there, "scale") == pytest.approx(value(here, "scale") ** (-1 / k), rel=1e-9)
    assert here.compared == there.compared[::-1]
    if power:
        assert value(there, "power") == pytest.approx(1 / k, rel=1e-12)


def test_counts_and_arrays_give_the_same() -> None:
    rng = np.random.default_rng(6)
    x, y = counted(drawn("pareto 1", 1000, rng, 5.0)), drawn("pareto 1", 200, rng)
    assert compare(x, y).to_dict() == compare(Counts.from_sample(x), y).to_dict()


def test_the_seed_decides_and_threads_do_not() -> None:
    rng = np.random.default_rng(7)
    x, y = drawn("pareto 1", 200, rng), drawn("pareto .8", 300, rng)
    first = compare(x, y, n_replications=60, seed=3, n_threads=1)
    assert first.to_dict() == compare(x, y, n_replications=60, seed=3, n_threads=4).to_dict()
    assert first.distance.interval != compare(x, y, n_replications=60, seed=4).distance.interval


# --- the distance: brute force and closed forms --------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_the_distance_against_every_shift(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 200, 40) / 8.0  # log sizes on a grid: all shifts can be tried
    b = rng.integers(0, 260, 25 + seed) / 8.0
    shifts = np.arange(-600, 601) / 16.0
    every = [stats.ks_2samp(a + shift, b).statistic for shift in shifts]
    found = compare(shape_sample(np.exp(a), unit=0.0), shape_sample(np.exp(b), unit=0.0))
    assert value(found, "distance") == pytest.approx(min(every), abs=1e-9)
    at_it = shifts[np.isclose(every, min(every), atol=1e-12)]
    assert at_it.min() - 0.1 <= math.log(value(found, "scale")) <= at_it.max() + 0.1


def test_the_distance_of_two_exponents() -> None:
    # The log sizes are exponential with rates .8 and 1, shifted freely.
    def largest(shift: float) -> float:
        x = np.linspace(-3.0, 25.0, 28_001)
        one = np.minimum(1.0, np.exp(-0.8 * x))
        return float(np.max(np.abs(one - np.minimum(1.0, np.exp(-(x + shift))))))

    shifts = np.linspace(-1.0, 1.0, 201)
    near = shifts[np.argmin([largest(t) for t in shifts])]
    best = optimize.minimize_scalar(largest, bounds=(near - 0.01, near + 0.01), method="bounded")
    found = compare(even("pareto .8", 20_000), even("pareto 1", 20_000))
    assert value(found, "distance") == pytest.approx(best.fun, abs=2e-4)
    assert math.log(value(found, "scale")) == pytest.approx(best.x, abs=0.01)
    ranks = tail_ranks(20_000)
    assert ranks[0] == pytest.approx(2 / math.sqrt(20_000))
    assert tail_ranks(120)[0] == pytest.approx(25 / 120)
    assert ranks[-1] == 0.5
    gap = (1 / 0.8 - 1.0) * math.log10(ranks[-1] / ranks[0])
    assert value(found, "gap") == pytest.approx(gap, rel=0.01)


def test_a_power_takes_out_the_exponent() -> None:
    x = drawn("lognormal 2.5", 500, np.random.default_rng(8))
    found = compare(x, 40.0 * x**1.7, power=True)
    assert value(found, "power") == pytest.approx(1.7, rel=1e-12)
    assert value(found, "scale") == pytest.approx(40.0, rel=1e-9)
    assert value(found, "distance") == 0.0
    assert value(found, "gap") == pytest.approx(0.0, abs=1e-9)
    assert value(compare(x, 40.0 * x**1.7), "distance") > 0.1


def test_a_power_does_not_make_a_lognormal_of_a_pareto() -> None:
    found = compare(even("pareto 1", 5000), even("lognormal 2.5", 5000), power=True)
    assert value(found, "distance") > 0.08


@pytest.mark.parametrize("scales", [(1.0, 3.0), (1.3, 1.7), (20.0, 2.0)])
def test_rounding_to_counts_is_no_difference(scales: tuple[float, float]) -> None:
    sizes = [even("lognormal 2.5", 40_000, s) for s in scales]
    exact = shape_sample(sizes[0], unit=0.0)
    assert value(compare(exact, counted(sizes[1])), "distance") < 0.004
    found = compare(counted(sizes[0]), counted(sizes[1]))
    assert value(found, "distance") < 0.004
    assert value(found, "scale") == pytest.approx(scales[1] / scales[0], rel=0.02)
    assert found.share == pytest.approx(min(np.mean(counted(x) >= 10) for x in sizes))


def test_what_lies_below_the_common_share_is_not_compared() -> None:
    rng = np.random.default_rng(9)
    x = counted(drawn("pareto 1", 4000, rng, 2.0))
    y = drawn("pareto 1", 1000, rng)
    share = float(np.mean(x >= 10))
    other = y.copy()
    low = np.argsort(other)[: int((1 - share) * y.size * 0.7)]
    other[low] *= 1e-3  # ranks stay, sizes change
    one = compare(x, y)
    assert one.share == share
    assert one.distance.value == compare(x, other).distance.value
    assert one.compared == (round(4000 * share), round(1000 * share))
    assert compare(x, y, share=0.1).share == 0.1
    assert compare(x, y, coarse=20.0).share == np.mean(x >= 20)


def test_zeros_are_items() -> None:
    rng = np.random.default_rng(10)
    x, y = drawn("pareto 1", 500, rng), drawn("pareto .8", 500, rng)
    padded = compare(np.concatenate([np.zeros(500), x]), y)
    assert padded.share == 0.5  # all that is seen of the one against the upper half of the other
    assert padded.compared == (500, 250)
    half = compare(x, np.sort(y)[250:])
    assert padded.distance.value == pytest.approx(value(half, "distance"), abs=1e-12)
    assert padded.levels == half.levels


# --- how often the tests err ---------------------------------------------------------------------

# (law, items, counted, scale) of both samples, and whether a power is allowed
NULLS: dict[str, tuple[tuple[str, int, bool, float], tuple[str, int, bool, float], bool]] = {
    "sizes": (("pareto .8", 300, False, 1.0), ("pareto .8", 500, False, 7e4), False),
    "small": (("lognormal 2.5", 60, False, 1.0), ("lognormal 2.5", 300, False, 7e4), False),
    "size-count": (("pareto .8", 400, False, 1e5), ("pareto .8", 3000, True, 3.0), False),
    "lognormal": (("lognormal 2.5", 600, False, 1e5), ("lognormal 2.5", 3000, True, 1.0), False),
    "counts": (("lognormal 2.5", 2000, True, 1.0), ("lognormal 2.5", 2000, True, 3.0), False),
    "power": (("pareto .8", 400, False, 1.0), ("pareto 1", 3000, True, 5.0), True),
}
POWERS = {
    "exponents": (("pareto .8", 1000, False, 1.0), ("pareto 1", 1000, False, 7e4), False),
    "exponents, count": (("pareto .8", 1000, False, 1.0), ("pareto 1", 3000, True, 7.0), False),
    "law": (("lognormal 2.5", 1000, False, 1.0), ("pareto .5", 1000, False, 7e4), False),
    "law, count": (("lognormal 2.5", 2500, False, 1.0), ("pareto .5", 3000, True, 2.0), False),
    "law, power": (("lognormal 2.5", 1000, False, 1.0), ("pareto .8", 1000, False, 9.0), True),
}


def rejected(case: str, runs: int, n_replications: int = 99) -> float:
    """Return the share of samples in which one shape is rejected at 5 %."""
    one, other, power = (NULLS | POWERS)[case]
    rng = np.random.default_rng([len(case), runs])
    low = 0
    for i in range(runs):
        samples = []
        for law, n, is_count, scale in (one, other):
            x = drawn(law, n, rng, scale)
            samples.append(shape_sample(counted(x) if is_count else x, unit=float(is_count)))
        found = compare_shapes(*samples, power=power, n_replications=n_replications, seed=i)
        low += found.p_value <= 0.05
    return low / runs


def most(nominal: float, runs: int) -> float:
    return nominal + 3 * math.sqrt(nominal * (1 - nominal) / runs)


@pytest.mark.parametrize("case", ["small", "size-count"])
def test_size_quick(case: str) -> None:
    assert rejected(case, 60, 39) <= most(0.05, 60)


@pytest.mark.parametrize("case", ["exponents, count", "law"])
def test_power_quick(case: str) -> None:
    # .97 or more in the full test; fewer than 5 of 8 then happen once in 10^5
    assert rejected(case, 8, 39) >= 5 / 8


@pytest.mark.full
@pytest.mark.parametrize("case", NULLS)
def test_size(case: str) -> None:
    runs = 600
    share = rejected(case, runs)
    print(f"\nsize at nominal .05, {case}: {share:.3f}")
    assert share <= most(0.05, runs)
    assert share >= 0.015


@pytest.mark.full
@pytest.mark.parametrize("case", POWERS)
def test_power(case: str) -> None:
    share = rejected(case, 200)
    print(f"\npower at .05, {case}: {share:.3f}")
    assert share >= 0.9


@pytest.mark.full
@pytest.mark.parametrize("n", [100, 300, 1000])
@pytest.mark.parametrize(
    "laws", [("pareto .8", "pareto 1"), ("pareto .8", "lognormal 2.5")], ids=["exponents", "law"]
)
def test_at_the_margin_neither_verdict_is_reached_too_often(laws: tuple[str, str], n: int) -> None:
    truth = compare(even(laws[0], 20_000), even(laws[1], 20_000), share=0.5)
    share = tail_ranks(n // 2) * 0.5
    ratio = LAWS[laws[0]](share) - LAWS[laws[1]](share)
    margins = {
        "distance_margin": value(truth, "distance"),
        "gap_margin": float(np.ptp(ratio)) / math.log(10.0) if ratio.size else 1.0,
    }
    rng = np.random.default_rng(n)
    runs = 300
    equal = different = outside = 0
    for i in range(runs):
        x, y = (drawn(law, n, rng) for law in laws)
        found = compare_shapes(x, y, share=0.5, n_replications=199, seed=i, **margins)
        equal += found.p_matches < 0.05
        different += found.p_misses < 0.05
        low, high = found.distance.interval or (0.0, 0.0)
        outside += not low <= margins["distance_margin"] <= high
    print(f"\n{laws}, n {n}: equal {equal / runs:.3f}, different {different / runs:.3f}")
    print(f"interval of the distance misses the truth in {outside / runs:.3f}")
    assert equal / runs <= most(0.05, runs)
    assert different / runs <= most(0.05, runs)
    assert outside / runs <= most(0.05, runs)


@pytest.mark.full
def test_size_with_clusters() -> None:
    rng = np.random.default_rng(11)
    runs, plain, clustered = 300, 0, 0
    for i in range(runs):
        x = np.repeat(drawn("pareto 1", 200, rng), 4)
        y = drawn("pareto 1", 1000, rng, 9.0)
        labelled = shape_sample(x, clusters=np.repeat(np.arange(200), 4))
        clustered += compare_shapes(labelled, y, n_replications=99, seed=i).p_value <= 0.05
        plain += compare_shapes(x, y, n_replications=99, seed=i).p_value <= 0.05
    print(f"\nsize with clusters of four {clustered / runs:.3f}, without labels {plain / runs:.3f}")
    assert clustered / runs <= most(0.05, runs)
    assert plain / runs > 0.2


# --- verdicts ------------------------------------------------------------------------------------


def test_verdicts_of_plain_cases() -> None:
    rng = np.random.default_rng(22)
    x, y = drawn("pareto 1", 2000, rng), drawn("pareto 1", 2000, rng, 8.0)
    same = compare_shapes(x, y, n_replications=99)
    assert same.verdict == EQUAL
    assert same.p_matches < 0.05 < same.p_value
    other = compare_shapes(x, drawn("pareto .5", 2000, rng), n_replications=99)
    assert other.verdict == DIFFERENT
    assert other.p_value == other.p_misses / 2 == 1 / 100
    assert (other.distance.interval or (0, 0))[0] > other.distance_margin
    few = compare_shapes(x[:60], y[:60], n_replications=99)
    assert few.verdict == OPEN
    assert few.gap is None  # fewer than 100 items: nothing is said of the far tail
    assert few.p_matches == 1.0
    assert any("only 60 items" in note for note in few.notes)


def test_a_rejected_equality_may_be_equal_within_the_margin() -> None:
    x, y = even("pareto 1", 5000), even("pareto 1", 5000) ** 1.1
    found = compare_shapes(x, y, n_replications=39)
    assert found.p_value == 1 / 40
    assert found.verdict == EQUAL
    assert found.summary().endswith("verdict: equal within the margin, though not exactly")
    small = compare_shapes(even("pareto 1", 700), even("pareto .8", 700), n_replications=99)
    assert small.p_value < 0.05
    assert small.verdict == OPEN
    assert small.summary().endswith("verdict: cannot be told by how much; one shape it is not")


def test_the_interval_holds_the_estimate() -> None:
    rng = np.random.default_rng(13)
    found = compare_shapes(drawn("pareto 1", 300, rng), drawn("pareto .8", 300, rng))
    for name in ("scale", "distance", "gap"):
        estimate = found.estimates()[name]
        low, high = estimate.interval or (math.nan, math.nan)
        assert low <= (estimate.value or 0.0) <= high
        assert low >= 0
        assert estimate.std_error is not None
        assert estimate.std_error > 0


def test_record_and_summary() -> None:
    rng = np.random.default_rng(14)
    x, y = drawn("pareto 1", 300, rng), counted(drawn("pareto .8", 2000, rng, 5.0))
    found = compare(x, y, names=("tvl", "downloads"), power=True)
    restored = ShapeComparison.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert restored.to_dict() == found.to_dict()
    assert restored.summary() == found.summary()
    assert restored.verdict == found.verdict
    text = found.summary()
    assert text.startswith("Shapes of two samples: tvl, downloads\n")
    assert text.endswith(f"verdict: {found.verdict}")
    assert found.scale.unit == "downloads per tvl"
    assert list(found.estimates()) == ["scale", "power", "distance", "gap", "p_value"]
    assert found.n_obs == 2300
    assert found.n_used == sum(found.compared)
    assert f"downloads: {found.compared[1]:,} of 2,000 items compared, 10 and above" in text
    assert "counts below 10 units" in text


# --- clusters ------------------------------------------------------------------------------------


def test_clusters_and_their_design_effect_widen_alike() -> None:
    rng = np.random.default_rng(15)
    x = np.repeat(drawn("pareto 1", 500, rng), 4)
    y = drawn("pareto .8", 3000, rng)
    labels = np.repeat([f"author {i}" for i in range(500)], 4)
    samples = {
        "alone": shape_sample(x),
        "labels": shape_sample(x, clusters=labels),
        "effect": shape_sample(x, design_effect=4.0),
    }
    errors = {
        name: compare_shapes(s, y, n_replications=200, seed=1).distance.std_error or math.nan
        for name, s in samples.items()
    }
    ratio = math.sqrt((4 / 2000 + 1 / 3000) / (1 / 2000 + 1 / 3000))
    assert errors["labels"] / errors["alone"] == pytest.approx(ratio, rel=0.2)
    assert errors["effect"] / errors["labels"] == pytest.approx(1.0, rel=0.2)


def test_labels_of_single_items_are_none() -> None:
    rng = np.random.default_rng(16)
    x, y = drawn("pareto 1", 400, rng), drawn("pareto .8", 2000, rng)
    plain = compare(x, y, n_replications=250).distance.std_error or math.nan
    single = compare(shape_sample(x, clusters=np.arange(400)), y, n_replications=250)
    assert (single.distance.std_error or math.nan) / plain == pytest.approx(1.0, rel=0.2)


def test_joint_draws_know_that_two_samples_go_together() -> None:
    rng = np.random.default_rng(17)
    x = drawn("pareto 1", 800, rng)
    y = x * np.exp(rng.normal(0.0, 0.2, 800))
    one, other = (shape_sample(v, clusters=np.arange(800)) for v in (x, y))
    apart = compare(one, other, n_replications=200)
    joint = compare(one, other, n_replications=200, joint=True)
    assert joint.distance.value == apart.distance.value
    widths = [
        np.log((r.scale.interval or (1, 1))[1] / (r.scale.interval or (1, 1))[0])
        for r in (joint, apart)
    ]
    assert widths[0] < 0.6 * widths[1]


def test_a_cluster_that_outweighs_the_rest_is_named() -> None:
    rng = np.random.default_rng(18)
    x = drawn("pareto 1", 600, rng)
    labels = np.where(np.arange(600) < 300, 0, np.arange(600))
    found = compare(shape_sample(x, clusters=labels), x)
    assert any("as in 4 equal clusters, the largest with 50% of them" in n for n in found.notes)


# --- many ----------------------------------------------------------------------------------------


def test_many_are_corrected_together() -> None:
    rng = np.random.default_rng(19)
    samples = {
        "a": drawn("pareto 1", 300, rng),
        "b": drawn("pareto .8", 300, rng),
        "c": drawn("lognormal 3", 300, rng),
    }
    many = compare_many(samples, n_replications=120)
    assert [pair.names for pair in many.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    alone = [
        compare_shapes(samples[p.names[0]], samples[p.names[1]], names=p.names, n_replications=120)
        for p in many.pairs
    ]
    for name in ("p_value", "p_matches", "p_misses"):
        assert [getattr(p, name) for p in many.pairs] == holm([getattr(p, name) for p in alone])
    assert [p.distance for p in many.pairs] == [p.distance for p in alone]
    assert all(p.n_tests == 3 for p in many.pairs)
    assert many.pairs[0].summary().count("Holm over 3") == 1
    assert list(many.estimates()) == ["a / b", "a / c", "b / c"]
    text = many.summary()
    assert all(p.verdict in text for p in many.pairs)
    restored = from_dict(json.loads(json.dumps(many.to_dict(), allow_nan=False)))
    assert isinstance(restored, ShapeComparisons)
    assert restored.summary() == text


def test_chosen_pairs_and_pairs_that_cannot_be_compared() -> None:
    rng = np.random.default_rng(20)
    samples = {
        "a": drawn("pareto 1", 200, rng),
        "b": drawn("pareto 1", 200, rng),
        "rare": np.concatenate([np.zeros(5000), np.arange(10.0, 60.0)]),
    }
    many = compare_many(samples, n_replications=120)
    assert [pair.names for pair in many.pairs] == [("a", "b")]
    assert many.pairs[0].n_tests == 1
    assert len(many.notes) == 2
    assert many.notes[0].startswith("a / rare not compared: only 2 items of 'a'")
    assert "note: b / rare" in many.summary()
    one = compare_many(samples, pairs=[("b", "a")], n_replications=60)
    assert [pair.names for pair in one.pairs] == [("b", "a")]
    with pytest.raises(DataError, match="a / rare not compared"):
        compare_many(samples, pairs=[("a", "rare")], n_replications=60)


# --- refusals ------------------------------------------------------------------------------------

GOOD = np.arange(1.5, 61.5)


@pytest.mark.parametrize(
    ("one", "other", "match"),
    [
        ([], GOOD, "empty"),
        (np.zeros(50), GOOD, "all values are zero"),
        ([1.0, math.nan, 2.0], GOOD, "NaN"),
        ([-1.0, 2.0, 3.0], GOOD, "negative"),
        (GOOD[:19], GOOD, "only 19 items of 'one'"),
        (GOOD, np.arange(20), "only 10 items of 'other'"),
        (np.arange(9), GOOD, "only 0 items of 'one'"),
        (np.full(50, 12.5), GOOD, "all but equal"),
        (np.ones((2, 3)), GOOD, "flat array"),
    ],
)
def test_samples_that_cannot_be_compared(one: Any, other: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        compare(one, other)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"share": 0.0}, "share"),
        ({"share": 1.1}, "share"),
        ({"share": math.nan}, "share"),
        ({"coarse": 0.5}, "coarse"),
        ({"distance_margin": 0.0}, "margin"),
        ({"distance_margin": 1.0}, "margin"),
        ({"gap_margin": -1.0}, "margin"),
        ({"n_replications": 18}, "at least 19"),
        ({"seed": -1}, "seed"),
        ({"joint": True}, "joint needs the clusters"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        compare(GOOD, GOOD, **options)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"pairs": [("a", "z")]}, "no sample is named z"),
        ({"pairs": []}, "empty"),
        ({"level": 0.0}, "level"),
        ({"n_replications": 39}, "cannot reach p < 0.05"),
    ],
)
def test_many_refuses(options: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        compare_many({"a": GOOD, "b": GOOD}, **options)


def test_many_needs_two() -> None:
    with pytest.raises(DataError, match="at least two"):
        compare_many({"a": GOOD})
