"""Arguments of tail routines come back as plain values, or are refused by name."""

import math
from typing import Any

import numpy as np
import pytest

from baimo.estimation.errors import DataError
from baimo.estimation.samples.arguments import (
    checked_effect,
    checked_flag,
    checked_n_tail_min,
    checked_x_max,
    checked_x_min,
)


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_a_flag_is_a_plain_true_or_false(value: Any) -> None:
    found = checked_flag("discrete", value)
    assert type(found) is bool
    assert found == value


@pytest.mark.parametrize("value", ["no", "", 0, 1, 1.0, None, np.array([True])])
def test_what_only_looks_like_a_flag_is_refused(value: Any) -> None:
    with pytest.raises(DataError, match=r"^item_effects = .* must be True or False"):
        checked_flag("item_effects", value)


@pytest.mark.parametrize("value", [2, 50, np.int64(7), np.uint8(9)])
def test_a_smallest_tail_is_a_whole_number(value: Any) -> None:
    found = checked_n_tail_min(value)
    assert type(found) is int
    assert found == value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (1, "n_tail_min = 1 must be at least 2"),
        (0, "at least 2"),
        (-3, "at least 2"),
        (2.0, "n_tail_min = 2.0 must be a whole number"),
        ("5", "whole number"),
        (None, "whole number"),
        (True, "whole number"),
        (np.True_, "whole number"),
    ],
)
def test_no_tail_of_fewer_than_two_items(value: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        checked_n_tail_min(value)


@pytest.mark.parametrize(
    ("value", "discrete"),
    [(1, True), (30.0, True), (np.int64(4), True), (2.5, False), (np.float32(0.5), False)],
)
def test_a_lower_end_is_a_positive_number(value: Any, discrete: bool) -> None:
    found = checked_x_min(value, discrete)
    assert type(found) is float
    assert found == value


@pytest.mark.parametrize(
    ("value", "discrete", "says"),
    [
        (0, False, "x_min = 0 must be a positive number"),
        (-2.0, False, "positive"),
        (math.nan, False, "positive"),
        (math.inf, False, "positive"),
        (2.5, True, "x_min = 2.5 must be a whole number for counts"),
        ("3", True, "x_min = '3' must be a number"),
        (True, True, "must be a number"),
        (None, False, "must be a number"),
    ],
)
def test_lower_ends_that_are_none(value: Any, discrete: bool, says: str) -> None:
    with pytest.raises(DataError, match=says):
        checked_x_min(value, discrete)


@pytest.mark.parametrize(
    ("value", "discrete", "expected"),
    [
        (None, True, None),
        (math.inf, True, None),
        (math.inf, False, None),
        (100, True, 100),
        (100.9, True, 100),  # no count lies between 100 and 100.9
        (100.9, False, 100.9),
        (0.5, True, 0.5),
        (np.float64(7.25), False, 7.25),
    ],
)
def test_an_upper_end_of_counts_is_the_largest_count_below(
    value: Any, discrete: bool, expected: float | None
) -> None:
    assert checked_x_max(value, discrete) == expected


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (0.0, "x_max = 0 must be a positive number"),
        (-1, "positive"),
        (math.nan, "x_max = nan must be a positive number"),
        (-math.inf, "positive"),
        ("100", "x_max = '100' must be a number"),
        (False, "must be a number"),
    ],
)
@pytest.mark.parametrize("discrete", [True, False])
def test_upper_ends_that_are_none(value: Any, says: str, discrete: bool) -> None:
    with pytest.raises(DataError, match=says):
        checked_x_max(value, discrete)


@pytest.mark.parametrize(
    ("effect", "clusters", "says"),
    [
        (2.0, [1, 2], "not both"),
        (0.0, None, "design_effect = 0 must be a positive number"),
        (-4.0, None, "positive"),
        (math.nan, None, "positive"),
        (math.inf, None, "positive"),
    ],
    ids=["both", "zero", "negative", "nan", "infinite"],
)
def test_a_design_effect_is_a_factor_and_stands_alone(
    effect: float, clusters: list[int] | None, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        checked_effect(effect, clusters)
    checked_effect(None, clusters)
    checked_effect(0.8, None)
