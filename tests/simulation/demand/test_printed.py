"""Demand as printed leaves income unspent, and its tail index is another number."""

import numpy as np
import pytest
from hypothesis import given, settings

from baimo.simulation.demand.ces import DemandParams, ces_demand
from baimo.simulation.demand.printed import (
    printed_condition,
    printed_demand,
    printed_price_index,
    printed_tail_index,
)
from baimo.simulation.errors import ParameterError
from tests.simulation.demand.problems import problem, problems, utility


@pytest.mark.parametrize(("alpha", "rho"), [(3.0, 0.5), (5.0, 0.7), (1.5, 0.3), (1.0, 0.5)])
def test_the_printed_index_is_another_number(alpha: float, rho: float) -> None:
    # What is printed for the tail equals alpha - sigma, which is no tail of demand.
    printed = printed_tail_index(alpha, rho)
    params = DemandParams(alpha=alpha, rho=rho)
    assert printed == pytest.approx(alpha - params.sigma, rel=1e-12)
    assert abs(printed - params.zeta) > 0.1


@pytest.mark.parametrize(("n", "share"), [(2, 0.5), (10, 0.1)])
def test_printed_demand_leaves_income_unspent(n: int, share: float) -> None:
    # Spending of .50y and .10y: n goods alike at rho = 1/2 spend n^-kappa = 1/n.
    demand = printed_demand(np.full(n, 1.7), np.full(n, 0.6), 3.0, 0.5)
    assert 0.6 * demand.sum() == pytest.approx(share * 3.0, rel=1e-12)


@given(problems)
@settings(deadline=None, derandomize=True)
def test_printed_demand_spends_a_ratio_of_norms(drawn: tuple[int, int, float, float]) -> None:
    seed, n, rho, income = drawn
    tastes, prices = problem(seed, n)
    sigma = 1 / (1 - rho)
    a = tastes * prices**-rho
    spent = float(prices @ printed_demand(tastes, prices, income, rho)) / income
    assert spent == pytest.approx(np.sum(a**sigma) / np.sum(a) ** sigma, rel=1e-9)
    assert spent <= 1 + 1e-12


@pytest.mark.parametrize("rho", [0.3, 0.5, 0.8])
def test_printed_demand_is_worse_than_the_optimum(rho: float) -> None:
    tastes, prices = problem(4, 5)
    best, reached = ces_demand(tastes, prices, 2.0, rho)
    assert utility(printed_demand(tastes, prices, 2.0, rho), tastes, rho) < 0.99 * reached
    assert utility(best, tastes, rho) == pytest.approx(reached, rel=1e-10)


@pytest.mark.parametrize("rho", [0.3, 0.5, 0.8])
def test_printed_price_index_has_degree_minus_kappa(rho: float) -> None:
    tastes, prices = problem(5, 6)
    ratio = printed_price_index(tastes, 2 * prices, rho) / printed_price_index(tastes, prices, rho)
    assert ratio == pytest.approx(2 ** (-rho / (1 - rho)), rel=1e-12)


def test_the_power_printed_belongs_to_another_utility() -> None:
    # beta^sigma is optimal for (Sum beta c^rho)^(1/rho), whose tastes are beta^(1/rho) in eq 20.
    rho = 0.6
    tastes, prices = problem(6, 4)
    demand, _ = ces_demand(tastes ** (1 / rho), prices, 1.0, rho)
    printed = printed_demand(tastes, prices, 1.0, rho)
    assert demand / demand[0] == pytest.approx(printed / printed[0], rel=1e-12)


@pytest.mark.parametrize(
    ("alpha", "rho", "holds"), [(2.0, 0.4, True), (2.0, 0.5, False), (1.5, 0.6, False)]
)
def test_printed_condition_is_alpha_above_sigma(alpha: float, rho: float, holds: bool) -> None:
    assert printed_condition(alpha, rho) is holds
    assert printed_condition(alpha, rho) == (printed_tail_index(alpha, rho) > 0)


def test_printed_index_and_demand_by_hand() -> None:
    # rho = 1/2: P = (Sum beta/sqrt(p))^2 = (2/1 + 3/2)^2, demand (beta/p)^2 y/P.
    tastes, prices = np.array([2.0, 3.0]), np.array([1.0, 4.0])
    assert printed_price_index(tastes, prices, 0.5) == pytest.approx(3.5**2, rel=1e-14)
    demand = printed_demand(tastes, prices, 49.0, 0.5)
    assert demand == pytest.approx([4.0 * 4.0, 0.5625 * 4.0], rel=1e-14)


@pytest.mark.parametrize(
    ("tastes", "prices", "income", "rho"),
    [
        ([1.0, 0.0], [1.0, 1.0], 1.0, 0.5),
        ([1.0, 1.0], [1.0, -1.0], 1.0, 0.5),
        ([1.0, 1.0], [1.0, 1.0], 0.0, 0.5),
        ([1.0, 1.0], [1.0, 1.0], 1.0, 1.0),
    ],
    ids=["taste", "price", "income", "rho"],
)
def test_printed_demand_outside_its_domain(
    tastes: list[float], prices: list[float], income: float, rho: float
) -> None:
    with pytest.raises(ParameterError):
        printed_demand(tastes, prices, income, rho)
