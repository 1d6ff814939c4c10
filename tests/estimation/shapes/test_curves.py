"""Size curves: cells, spreads, shifts and resamples by hand and by their closed forms."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.shapes.curves import BUFFER, Curve, common_law, match_curves, shape_sample

Floats = NDArray[np.float64]
GOOD = np.arange(1.5, 61.5)


def test_cells_and_spread_of_a_curve() -> None:
    curve, items = shape_sample([0, 10, 10, 20, 40]).cells(0.8)
    assert items.tolist() == [1, 1, 2]
    assert np.exp(curve.top) == pytest.approx([40.5, 20.5, 10.5])
    assert np.exp(curve.low) == pytest.approx([39.5, 19.5, 9.5])
    assert curve.end == pytest.approx([0.25, 0.5, 1.0])
    steps = Curve(np.array([2.0, 0.0]), np.array([2.0, 0.0]), np.array([0.5, 1.0]))
    assert steps.spread() == pytest.approx(1.0)
    ramp = Curve(np.array([1.0]), np.array([-1.0]), np.array([2.0]))  # half of it is compared
    assert ramp.spread() == pytest.approx(1.0 / math.sqrt(12.0))
    assert ramp.at(np.array([0.0, 0.5, 2.0])) == pytest.approx([1.0, 0.5, -1.0])
    assert steps.at(np.array([0.5])) == 2.0
    assert steps.at(np.array([0.5]), beyond=True) == 0.0
    assert match_curves(steps, steps.times(2.0), power=False, halvings=40).distance == 0.5


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"unit": 1.0}, "no multiples of the unit 1"),
        ({"unit": -1.0}, "unit = -1.0"),
        ({"unit": math.inf}, "unit = inf"),
        ({"clusters": [1, 2]}, "60 items but 2 cluster labels"),
        ({"clusters": np.zeros(60)}, "in one cluster"),
        ({"clusters": np.arange(60), "design_effect": 2.0}, "not both"),
        ({"design_effect": 0.0}, "design_effect"),
    ],
)
def test_samples_that_cannot_be_prepared(options: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        shape_sample(GOOD, **options)


def test_units_are_found_or_given() -> None:
    assert shape_sample(GOOD).unit == 0.0
    assert shape_sample(np.arange(60)).unit == 1.0
    assert shape_sample(np.arange(60), unit=0.0).unit == 0.0
    assert shape_sample(np.arange(1, 60) * 0.01, unit=0.01).unit == 0.01


def curve_of(seed: int, n: int = 60, unit: float = 0.0) -> Curve:
    sizes = np.random.default_rng(seed).pareto(1.0, n) * 20.0 + 10.0
    return shape_sample(np.round(sizes) if unit else sizes, unit=unit).cells(1.0)[0]


# --- curves ------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [0.0, 1.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_spread_is_the_standard_deviation_over_even_ranks(seed: int, unit: float) -> None:
    curve = curve_of(seed, unit=unit)
    ranks = (np.arange(600_000) + 0.5) / 600_000
    assert curve.spread() == pytest.approx(curve.at(ranks).std(), rel=1e-6)
    # in powers of the sizes the spread is a multiple
    assert curve.times(2.5).spread() == pytest.approx(2.5 * curve.spread(), rel=1e-12)


def test_ranks_are_shares_of_all_items_over_the_share_compared() -> None:
    sizes = np.arange(1.0, 101.0) + 0.25
    sample = np.append(np.zeros(100), sizes)  # zeros are items
    curve, items = shape_sample(sample).cells(0.1)
    assert curve.end == pytest.approx(np.arange(1, curve.end.size + 1) / (200 * 0.1))
    assert np.exp(curve.top) == pytest.approx(sizes[::-1][: curve.end.size])
    assert items.tolist() == [1] * curve.end.size
    assert curve.end[-2] < BUFFER <= curve.end[-1]  # and a buffer beyond rank 1
    whole, _ = shape_sample(sample).cells(0.5)
    assert whole.end[-1] == 1.0  # there are no more
    assert curve.start[0] == 0.0
    assert curve.start[1:] == pytest.approx(curve.end[:-1])


def test_the_share_of_fine_items_counts_from_the_coarse_on() -> None:
    counted = shape_sample([0, 3, 9, 10, 11, 40])
    assert counted.fine_share(10.0) == pytest.approx(3 / 6)
    assert shape_sample([0.0, 0.03, 0.1, 0.25], unit=0.01).fine_share(10.0) == pytest.approx(2 / 4)
    assert shape_sample([0.0, 0.5, 12.5]).fine_share(10.0) == pytest.approx(2 / 3)  # exact sizes


def test_counts_and_arrays_make_the_same_cells() -> None:
    x = np.random.default_rng(3).integers(0, 30, 200)
    one, other = (shape_sample(v).cells(0.7)[0] for v in (x, Counts.from_sample(x)))
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a, b)


# --- matches -----------------------------------------------------------------------------


@pytest.mark.parametrize(("shift", "power"), [(0.0, 1.0), (3.7, 1.0), (-1.2, 0.6), (2.0, 1.8)])
def test_a_match_finds_the_shift_and_the_power_of_a_moved_curve(shift: float, power: float) -> None:
    one = curve_of(4)
    other = Curve(shift + power * one.top, shift + power * one.low, one.end)
    found = match_curves(one, other, power=True, halvings=60)
    assert found.distance == pytest.approx(0.0, abs=1e-9)
    assert found.power == pytest.approx(power, rel=1e-12)
    assert found.shift == pytest.approx(shift, abs=1e-8)
    back = match_curves(other, one, power=True, halvings=60)
    assert back.power == pytest.approx(1 / power, rel=1e-12)
    assert back.shift == pytest.approx(-shift / power, abs=1e-8)
    # both as compared have the geometric mean of the spreads
    middle = math.sqrt(one.spread() * other.spread())
    assert [found.one.spread(), found.other.spread()] == pytest.approx([middle] * 2, rel=1e-12)
    plain = match_curves(one, other, power=False, halvings=60)
    assert plain.power == 1.0
    assert (plain.distance < 1e-9) == (power == 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_distance_is_the_smallest_over_all_shifts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 80, 25) / 4.0, rng.integers(0, 100, 31) / 4.0  # on a grid of logs
    shifts = np.arange(-240, 241) / 8.0
    every = [stats.ks_2samp(a + shift, b).statistic for shift in shifts]
    one, other = (shape_sample(np.exp(v), unit=0.0).cells(1.0)[0] for v in (a, b))
    found = match_curves(one, other, power=False, halvings=60)
    assert found.distance == pytest.approx(min(every), abs=1e-9)


# --- the law common to two curves ----------------------------------------------------------


def test_the_common_law_lies_between_two_curves_by_their_weights() -> None:
    ramp = Curve(np.array([4.0]), np.array([0.0]), np.array([1.0]))  # 4 - 4 r
    ends = np.array([0.25, 0.5, 1.0])
    exact = Curve(np.array([9.0, 5.0, 1.0]), np.array([9.0, 5.0, 1.0]), ends)
    middles = np.array([0.125, 0.375, 0.75])
    moved = common_law(exact, ramp, 0.3, 2.0)
    expected = 0.3 * exact.top + 0.7 * (4.0 - 4.0 * middles - 2.0)
    assert moved.top == pytest.approx(expected)
    assert moved.low == pytest.approx(expected)
    counted = Curve(np.array([9.0, 5.0, 1.0]), np.array([8.0, 4.0, 0.5]), ends)
    moved = common_law(counted, ramp, 0.3, 2.0)
    starts = np.array([0.0, 0.25, 0.5])
    assert moved.top == pytest.approx(0.3 * counted.top + 0.7 * (2.0 - 4.0 * starts))
    assert moved.low == pytest.approx(0.3 * counted.low + 0.7 * (2.0 - 4.0 * ends))
    assert np.array_equal(moved.end, ends)


def test_a_curve_of_all_the_weight_or_of_the_same_law_stays() -> None:
    one, other = curve_of(5, unit=1.0), curve_of(6, unit=1.0)
    alone = common_law(one, other, 1.0, 0.3)
    assert np.array_equal(alone.top, one.top)
    assert np.array_equal(alone.low, one.low)
    same = common_law(one, Curve(one.top + 2.0, one.low + 2.0, one.end), 0.4, 2.0)
    assert same.top == pytest.approx(one.top, abs=1e-12)
    assert same.low == pytest.approx(one.low, abs=1e-12)


def test_cells_beyond_the_lowest_rank_move_along_with_it() -> None:
    ramp = Curve(np.array([4.0]), np.array([0.0]), np.array([1.0]))
    own = Curve(np.array([6.0, 3.0]), np.array([4.0, 2.0]), np.array([1.0, 1.5]))
    moved = common_law(own, ramp, 0.5, 0.0)
    # at rank 1 the other lies at 0: 3 below the top of the second cell there, 4 below the first
    assert moved.top == pytest.approx([5.0, 1.5])
    assert moved.low == pytest.approx([2.0, 0.0])


# --- resamples ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["items", "effect", "clusters"])
def test_resampled_ranks_have_the_law_of_the_bayesian_bootstrap(kind: str) -> None:
    # m of n items have a beta(m, n - m) share of the weight; in clusters of g, (m, n - m)/g.
    n, g, share = 240, 4, 0.5
    sizes = np.repeat(np.arange(1.0, n // g + 1) * 1.5, g)
    options: dict[str, dict[str, Any]] = {
        "items": {},
        "effect": {"design_effect": float(g)},
        "clusters": {"clusters": np.repeat(np.arange(n // g), g)},
    }
    sample = shape_sample(sizes, unit=0.0, **options[kind])
    curve, items = sample.cells(share)
    draw = sample.resampler(items, share)
    rng = np.random.default_rng(7)
    drawn = np.array([draw(rng, None) for _ in range(2_000)])
    assert drawn.shape == (2_000, curve.end.size)
    assert np.all(np.diff(drawn, axis=1) > 0)
    size = 1 if kind == "items" else g
    for cell in (0, 9, curve.end.size - 1):
        m = int(items[: cell + 1].sum())
        mass = drawn[:, cell] * share
        if m == n:
            assert mass == pytest.approx(np.ones(2_000))
        else:
            law = stats.beta(m / size, (n - m) / size)
            assert stats.kstest(mass, law.cdf).pvalue > 1e-3


def test_equal_weights_of_clusters_draw_the_sample_itself() -> None:
    x = np.random.default_rng(8).pareto(1.0, 90) + 1.0
    labels = np.random.default_rng(9).integers(0, 12, 90)
    sample = shape_sample(x, clusters=labels)
    curve, items = sample.cells(0.5)
    draw = sample.resampler(items, 0.5)
    rng = np.random.default_rng(0)
    assert draw(rng, np.ones(12)) == pytest.approx(curve.end, rel=1e-12)
    # one cluster of all the weight: its items alone
    only = draw(rng, (np.arange(12) == 3).astype(float))
    top = np.sort(x)[::-1][: curve.end.size]
    own = np.sort(x[labels == 3])
    assert only == pytest.approx([np.sum(own >= v) / own.size / 0.5 for v in top], rel=1e-12)
