"""Steps of a long panel, their company, effects and variances, against the definitions."""

import math
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from baimo.estimation.errors import DataError
from baimo.estimation.growth.panel import (
    GrowthTable,
    SizedSteps,
    Steps,
    read_panel,
    recoded,
    sized_steps,
    two_way_effects,
)

Floats = NDArray[np.float64]
Panel = tuple[NDArray[np.str_], Floats, Floats]


def ragged(seed: int, n: int = 12, t: int = 15, seen: float = 0.6) -> Panel:
    """Return rows of a panel in no order: gaps, some values missing, some not positive."""
    rng = np.random.default_rng(seed)
    items, dates = (v.ravel() for v in np.indices((n, t)))
    years = np.sort(rng.uniform(0.0, 5.0, t))[dates]
    values = rng.lognormal(3.0, 1.0, n * t)
    values[rng.random(n * t) < 0.1] = 0.0
    values[rng.random(n * t) < 0.1] = math.nan
    kept = rng.permutation(n * t)[: int(seen * n * t)]
    return np.array([f"item {i:02d}" for i in items])[kept], years[kept], values[kept]


def balanced(n: int, t: int, seed: int) -> tuple[Steps, Floats]:
    """Return the steps of n items on t + 1 common dates, and a score of each."""
    rng = np.random.default_rng(seed)
    item, step = (v.ravel() for v in np.indices((n, t)))
    steps = Steps(
        item=item,
        start=step,
        end=step + 1,
        delta=np.full(n * t, 0.5),
        growth=rng.standard_normal(n * t),
        times=0.5 * np.arange(t + 1),
        n_items=n,
    )
    return steps, rng.standard_normal(n * t) + 2.0 * rng.standard_normal(t)[step]


# --- reading -----------------------------------------------------------------------------


def test_rows_come_into_order_and_missing_values_go() -> None:
    panel = read_panel(
        ["b", "a", "b", "a", "b"],
        [2.0, 1.0, 1.0, 3.0, 3.0],
        [20.0, 11.0, 0.0, math.nan, 23.0],
    )
    assert panel.labels.tolist() == ["a", "b"]
    assert panel.item.tolist() == [0, 1, 1, 1]
    assert panel.times[panel.time].tolist() == [1.0, 1.0, 2.0, 3.0]
    assert panel.value.tolist() == [11.0, 0.0, 20.0, 23.0]
    assert panel.notes == ("1 missing and 1 non-positive values are gaps",)
    assert read_panel([1, 1], [0.0, 1.0], [1.0, 2.0]).notes == ()


def test_times_of_one_second_are_one_time() -> None:
    second = 1.0 / (365.25 * 86_400)
    near = read_panel([1, 2, 1, 2], [0.0, 0.2 * second, 1.0, 1.0 + 0.2 * second], np.ones(4))
    assert near.times.tolist() == [0.0, 1.0]
    far = read_panel([1, 2, 1, 2], [0.0, second, 1.0, 1.0 + second], np.ones(4))
    assert far.times.size == 4


def test_the_order_of_rows_does_not_matter() -> None:
    items, years, values = ragged(1)
    order = np.random.default_rng(2).permutation(values.size)
    one, other = (
        read_panel(items, years, values),
        read_panel(items[order], years[order], values[order]),
    )
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(
    ("items", "years", "values", "says"),
    [
        ([1, 1], [0.0], [1.0, 2.0], "one length"),
        ([1, 1], ["2020", "2021"], [1.0, 2.0], "give numbers"),
        ([1, None], [0.0, 1.0], [1.0, 2.0], "labels of items are missing"),
        ([1.0, math.nan], [0.0, 1.0], [1.0, 2.0], "labels of items are missing"),
        ([1, 1], [0.0, math.inf], [1.0, 2.0], "years are missing or infinite"),
        ([1, 2, 1], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0], "two values at one time"),
    ],
    ids=["lengths", "text", "no-label", "nan-label", "no-year", "twice"],
)
def test_rows_that_make_no_panel_are_refused(
    items: list, years: list, values: list, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        read_panel(items, years, values)


# --- steps -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_steps_join_consecutive_positive_values_item_by_item(seed: int) -> None:
    items, years, values = ragged(seed)
    found = sized_steps(items, years, values)
    expected = []
    for name in sorted(set(items.tolist())):
        own = (items == name) & np.isfinite(values) & (values > 0)
        order = np.argsort(years[own])
        date, log = years[own][order], np.log(values[own][order])
        expected += [
            (name, date[i], date[i + 1], log[i + 1] - log[i], log[i]) for i in range(date.size - 1)
        ]
    steps = found.steps
    assert found.labels[steps.item].tolist() == [row[0] for row in expected]
    rows = np.array([row[1:] for row in expected])
    np.testing.assert_allclose(steps.times[steps.start], rows[:, 0], atol=1e-12)
    np.testing.assert_allclose(steps.times[steps.end], rows[:, 1], atol=1e-12)
    np.testing.assert_allclose(steps.delta, rows[:, 1] - rows[:, 0], atol=1e-12)
    np.testing.assert_allclose(steps.growth, rows[:, 2], atol=1e-12)
    np.testing.assert_allclose(found.size, rows[:, 3], atol=1e-12)
    assert found.n_obs == values.size
    # what is summed over an item
    for i in range(steps.n_items):
        own = steps.item == i
        assert steps.count[i] == own.sum()
        assert steps.span[i] == pytest.approx(steps.delta[own].sum())
        assert steps.sums(found.size)[i] == pytest.approx(found.size[own].sum())
        assert np.all(steps.last[own] == np.flatnonzero(own)[-1])


def test_company_is_counted_by_pairs_of_dates() -> None:
    found = sized_steps(*ragged(3))
    pairs = list(zip(found.steps.start.tolist(), found.steps.end.tolist(), strict=True))
    assert found.crowd.tolist() == [pairs.count(pair) for pair in pairs]
    means = found.mean(found.size)
    for k, pair in enumerate(pairs):
        same = [i for i, other in enumerate(pairs) if other == pair]
        assert means[k] == pytest.approx(found.size[same].mean())
        assert len({int(found.group[i]) for i in same}) == 1
    assert found.usual == np.median(found.steps.delta)


def rows_of(steps: SizedSteps) -> set[tuple[str, int, int]]:
    inner = steps.steps
    labels = steps.labels[inner.item].tolist()
    return set(zip(labels, inner.start.tolist(), inner.end.tolist(), strict=True))


@pytest.mark.parametrize(("min_items", "min_steps"), [(1, 3), (4, 2), (6, 8), (8, 5)])
def test_the_largest_set_in_company_is_what_single_removals_leave(
    min_items: int, min_steps: int
) -> None:
    found = sized_steps(*ragged(4, n=14, t=12, seen=0.95))
    left = rows_of(found)
    rng = np.random.default_rng(5)
    while True:  # one step at a time, in any order: the largest set is unique
        short = [
            row
            for row in sorted(left)
            if sum(r[1:] == row[1:] for r in left) < min_items
            or sum(r[0] == row[0] for r in left) < min_steps
        ]
        if not short:
            break
        left.remove(short[rng.integers(len(short))])
    if not left:
        with pytest.raises(DataError, match=f"no {min_items} items share {min_steps} steps"):
            found.together(min_items, min_steps)
        return
    kept = found.together(min_items, min_steps)
    assert rows_of(kept) == left
    lost = len(rows_of(found)) - len(left)
    assert (kept.notes != found.notes) == (lost > 0)
    if lost:
        assert kept.notes[-1].startswith(f"{lost} steps left out")
    assert kept.steps.n_items == kept.labels.size == len({row[0] for row in left})


@pytest.mark.parametrize(
    ("items", "values", "says"),
    [([1, 2, 3], [1.0, 2.0, 3.0], "ever changes"), ([1, 1, 1], [3.0, 3.0, 3.0], "ever changes")],
    ids=["no-pair", "constant"],
)
def test_a_panel_without_growth_is_refused(items: list, values: list, says: str) -> None:
    with pytest.raises(DataError, match=says):
        sized_steps(items, [0.0, 1.0, 2.0], values)


def test_codes_are_closed_up_in_order() -> None:
    assert recoded(np.array([4, 1, 4, 7])).tolist() == [1, 0, 1, 2]


# --- effects of items and of dates -------------------------------------------------------


def test_two_way_effects_equal_dummies_with_gaps() -> None:
    rng = np.random.default_rng(2)
    item, group = (v.ravel() for v in np.indices((9, 12)))
    kept = rng.random(item.size) < 0.5
    item, group = item[kept], group[kept]
    length = rng.uniform(0.2, 2.0, 12)[group]
    y = rng.standard_normal(item.size)
    design = np.column_stack(
        [(item == i) * length for i in range(9)] + [group == g for g in range(12)]
    ).astype(float)
    beta, _, rank, _ = np.linalg.lstsq(design, y)
    fit = two_way_effects(y, length, item, group)
    assert fit.rank == rank
    np.testing.assert_allclose(fit.residual, y - design @ beta, atol=1e-8)
    # two blocks that never meet: one free effect less
    apart = two_way_effects(y[:4], np.ones(4), np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3]))
    assert apart.rank == 4


# --- variances of sums that share time ---------------------------------------------------


def overlap_by_pairs(steps: Steps, score: Floats, ends: NDArray[np.intp]) -> float:
    """Return the sum of products of scores over all pairs of steps that overlap."""
    total = 0.0
    for a in range(score.size):
        for b in range(score.size):
            if steps.start[a] < ends[b] and steps.start[b] < ends[a]:
                total += score[a] * score[b]
    return total


def test_overlaps_and_risk_are_those_of_all_pairs() -> None:
    found = sized_steps(*ragged(6, n=8, t=10))
    steps, score = found.steps, np.random.default_rng(7).standard_normal(found.size.size)
    assert steps.overlapping(score) == pytest.approx(overlap_by_pairs(steps, score, steps.end))
    later = np.minimum(steps.end + 2, steps.times.size - 1)
    assert steps.overlapping(score, later) == pytest.approx(overlap_by_pairs(steps, score, later))
    risk = 0.0
    for low, high in zip(steps.times[:-1], steps.times[1:], strict=True):
        middle = 0.5 * (low + high)
        under_way = (steps.times[steps.start] < middle) & (middle < steps.times[steps.end])
        risk += np.sum(under_way) ** 2 * (high - low)
    assert steps.squared_risk == pytest.approx(risk)


def test_a_balanced_panel_has_as_many_periods_as_dates() -> None:
    assert balanced(7, 9, 1)[0].periods == pytest.approx(9.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_variance_of_a_balanced_panel_is_clustered_both_ways(seed: int) -> None:
    n, t = 6, 20
    steps, score = balanced(n, t, seed)
    table = score.reshape(n, t)
    by_time = np.sum(table.sum(axis=0) ** 2) * t / (t - 1)
    by_item = np.sum(table.sum(axis=1) ** 2) * n / (n - 1)
    both = by_time + by_item - np.sum(table**2)
    assert steps.variance(score) == pytest.approx(max(by_time, both), rel=1e-12)


def test_scores_that_reach_ahead_overlap_with_later_steps() -> None:
    n, t, reach = 5, 12, 1
    steps, score = balanced(n, t, 9)
    ends = np.minimum(steps.end + reach, t)
    by_time = overlap_by_pairs(steps, score, ends) * t / (t - 1 - reach)
    table = score.reshape(n, t)
    same = np.sum(table**2) + 2.0 * np.sum(table[:, 1:] * table[:, :-1])
    by_item = np.sum(table.sum(axis=1) ** 2) * n / (n - 1)
    assert by_time > 0
    expected = max(by_time, by_time + by_item - same)
    assert steps.variance(score, reach) == pytest.approx(expected, rel=1e-12)


def test_one_period_leaves_the_common_shock_without_spread() -> None:
    steps, score = balanced(40, 1, 3)
    assert steps.variance(score) is None
    steps, score = balanced(40, 2, 3)
    assert steps.variance(score) is not None


# --- the table of estimates --------------------------------------------------------------


def test_intervals_are_students_of_the_value_or_of_its_logarithm() -> None:
    table = GrowthTable()
    put = partial(table.put, variance=0.01, degrees=12)
    half = stats.t.ppf(0.975, 12) * 0.1
    put("mu", -0.3)
    assert table["mu"].interval == pytest.approx((-0.3 - half, -0.3 + half))
    put("sigma", 0.8, log=True)
    assert table["sigma"].interval == pytest.approx(
        (0.8 * math.exp(-half / 0.8), 0.8 * math.exp(half / 0.8))
    )
    put("sigma", 0.1, log=True)  # half a width beyond twice the value: of the square
    assert table["sigma"].interval == pytest.approx((0.0, math.sqrt(0.01 + 0.2 * half)))
    assert (table["mu"].unit, table["sigma"].unit) == ("1/yr", "yr^-1/2")
    assert table["sigma"].std_error == pytest.approx(0.1)
    table.put("mu", 0.2)
    assert (table["mu"].std_error, table["mu"].interval) == (None, None)
    table.put("mu", 0.2, 0.01, 0.5)  # less than one degree of freedom
    assert table["mu"].std_error is None


def test_the_root_of_a_variance_has_its_error_by_the_delta_method() -> None:
    table = GrowthTable()
    table.put_root("sigma", 0.64, 0.0004, 30)
    assert table["sigma"].value == pytest.approx(0.8)
    assert table["sigma"].std_error == pytest.approx(0.02 / (2 * 0.8))
    table.put_root("sigma", -0.1, 0.0004, 30)
    assert (table["sigma"].value, table["sigma"].std_error) == (0.0, None)
