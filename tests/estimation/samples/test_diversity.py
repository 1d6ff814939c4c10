"""Hill numbers count equal kinds, fall with the order, and meet Shannon's and Herfindahl's."""

import math

import numpy as np
import pytest

from baimo.estimation.errors import DataError
from baimo.estimation.samples.concentration import measure_concentration
from baimo.estimation.samples.diversity import hill_number

AMOUNTS = np.array([50.0, 30.0, 20.0, 0.0])


@pytest.mark.parametrize("order", [0, 0.5, 1, 2, 7])
def test_equal_kinds_count_as_many_at_every_order(order: float) -> None:
    assert hill_number(np.full(9, 3.5), order) == pytest.approx(9.0)


def test_orders_nought_one_and_two_are_number_entropy_and_herfindahl() -> None:
    assert hill_number(AMOUNTS, 0) == 3.0
    entropy = -sum(p * math.log(p) for p in (0.5, 0.3, 0.2))
    assert hill_number(AMOUNTS, 1) == pytest.approx(math.exp(entropy))
    assert hill_number(AMOUNTS, 2) == pytest.approx(measure_concentration(AMOUNTS).effective_number)
    assert hill_number(AMOUNTS, 1) == pytest.approx(hill_number(AMOUNTS, 1 + 1e-7), rel=1e-6)


def test_it_falls_with_the_order_and_knows_no_unit() -> None:
    found = [hill_number(AMOUNTS, q) for q in (0, 0.5, 1, 2, 5)]
    assert found == sorted(found, reverse=True)
    assert [hill_number(1e-9 * AMOUNTS, q) for q in (0, 0.5, 1, 2, 5)] == pytest.approx(found)


def test_twice_as_many_kinds_of_half_the_amount_are_twice_as_diverse() -> None:
    for q in (0, 1, 2):
        doubled = hill_number(np.tile(AMOUNTS / 2, 2), q)
        assert doubled == pytest.approx(2 * hill_number(AMOUNTS, q))


@pytest.mark.parametrize(("amounts", "order"), [([], 1), ([0.0], 1), ([1.0, -1.0], 1), ([1.0], -1)])
def test_what_is_no_amount_is_refused(amounts: list[float], order: float) -> None:
    with pytest.raises(DataError, match="some amount positive"):
        hill_number(amounts, order)
