"""CES demand against a numerical optimiser, and its Pareto tail against exact limits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats

from baimo.simulation.demand.ces import (
    CountLaw,
    DemandParams,
    attraction,
    ces_demand,
    demand_share_above,
    expected_hhi,
    sample_log_tastes,
    simulate_arrivals,
    simulate_counts,
    simulate_demand,
)
from baimo.simulation.demand.printed import printed_tail_index
from baimo.simulation.errors import ParameterError
from tests.simulation.demand.problems import problem, problems, utility

Floats = NDArray[np.float64]


def optimal_shares(tastes: Floats, prices: Floats, income: float, rho: float) -> Floats:
    """Maximise log utility over budget shares, written as a softmax, with its gradient."""

    def cost(x: Floats) -> tuple[float, Floats]:
        share = np.exp(x - x.max())
        share /= share.sum()
        terms = (tastes * income * share / prices) ** rho
        return -math.log(terms.sum()) / rho, share - terms / terms.sum()

    start = np.zeros(tastes.size)
    found = optimize.minimize(cost, start, jac=True, method="BFGS", options={"gtol": 1e-11})
    share = np.exp(found.x - found.x.max())
    return share / share.sum()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("rho", [0.2, 0.5, 0.8])
def test_demand_is_the_optimum(rho: float, seed: int) -> None:
    # Demand against an optimiser to 1e-6.
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    tastes, prices = np.exp(rng.normal(0, 0.6, n)), np.exp(rng.normal(0, 0.6, n))
    income = float(rng.uniform(0.5, 20))
    demand, reached = ces_demand(tastes, prices, income, rho)
    shares = demand * prices / income
    assert shares == pytest.approx(optimal_shares(tastes, prices, income, rho), abs=1e-6)
    assert reached == pytest.approx(utility(demand, tastes, rho), rel=1e-10)


@given(problems)
@settings(deadline=None, derandomize=True)
def test_budget_and_indirect_utility(drawn: tuple[int, int, float, float]) -> None:
    seed, n, rho, income = drawn
    tastes, prices = problem(seed, n)
    demand, reached = ces_demand(tastes, prices, income, rho)
    assert float(prices @ demand) == pytest.approx(income, rel=1e-10)
    kappa = rho / (1 - rho)
    index = float(np.sum((prices / tastes) ** -kappa)) ** (-1 / kappa)
    assert reached == pytest.approx(income / index, rel=1e-10)
    assert reached == pytest.approx(utility(demand, tastes, rho), rel=1e-9)


@given(problems, st.floats(0.01, 100))
@settings(deadline=None, derandomize=True)
def test_homogeneity(drawn: tuple[int, int, float, float], factor: float) -> None:
    seed, n, rho, income = drawn
    tastes, prices = problem(seed, n)
    demand, reached = ces_demand(tastes, prices, income, rho)
    # degree 0 in prices and income
    inflated, same = ces_demand(tastes, factor * prices, factor * income, rho)
    assert inflated == pytest.approx(demand, rel=1e-9)
    assert same == pytest.approx(reached, rel=1e-9)
    # degree 1 in income
    richer, more = ces_demand(tastes, prices, factor * income, rho)
    assert richer == pytest.approx(factor * demand, rel=1e-9)
    assert more == pytest.approx(factor * reached, rel=1e-9)
    # the unit of taste moves utility only
    keener, happier = ces_demand(factor * tastes, prices, income, rho)
    assert keener == pytest.approx(demand, rel=1e-8)
    assert happier == pytest.approx(factor * reached, rel=1e-8)


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.9, 0.99])
def test_the_unit_of_taste_does_not_matter_at_high_substitutability(rho: float) -> None:
    # kappa = 99 at rho = .99: tastes of ten thousand must not overflow.
    tastes, prices = np.array([1.0, 1.1, 0.9]), np.array([1.0, 2.0, 1.5])
    demand, reached = ces_demand(tastes, prices, 5.0, rho)
    scaled, happier = ces_demand(1e4 * tastes, prices, 5.0, rho)
    assert scaled == pytest.approx(demand, rel=1e-8)
    assert happier == pytest.approx(1e4 * reached, rel=1e-8)


def test_elasticity_of_substitution_rises_with_rho() -> None:
    # d log(c1/c2) / d log(p1/p2) = -sigma = -1/(1 - rho): closer substitutes as rho rises.
    tastes, h = np.array([1.0, 1.3]), 1e-5
    sigmas = []
    for rho in (0.1, 0.3, 0.5, 0.7, 0.9):
        up, _ = ces_demand(tastes, [1.0 + h, 1.0], 1.0, rho)
        down, _ = ces_demand(tastes, [1.0 - h, 1.0], 1.0, rho)
        slope = math.log(up[0] / up[1]) - math.log(down[0] / down[1])
        sigmas.append(-slope / (math.log1p(h) - math.log1p(-h)))
        assert sigmas[-1] == pytest.approx(1 / (1 - rho), rel=1e-6)
        assert DemandParams(alpha=1.0, rho=rho).sigma == pytest.approx(sigmas[-1], rel=1e-6)
    assert sigmas == sorted(sigmas)


def test_demand_rises_with_the_kappa_of_taste() -> None:
    # c1/c2 = (beta1/beta2)^kappa at equal prices, kappa = rho/(1 - rho).
    for rho in (0.25, 0.5, 0.8):
        demand, _ = ces_demand([3.0, 1.0], [2.0, 2.0], 1.0, rho)
        assert demand[0] / demand[1] == pytest.approx(3.0 ** (rho / (1 - rho)), rel=1e-12)


@pytest.mark.parametrize(
    ("alpha", "rho", "zeta"), [(1.0, 0.5, 1.0), (2.0, 0.5, 2.0), (1.5, 0.6, 1.0), (3.0, 0.75, 1.0)]
)
def test_zeta_by_hand(alpha: float, rho: float, zeta: float) -> None:
    params = DemandParams(alpha=alpha, rho=rho)
    assert params.zeta == pytest.approx(zeta, rel=1e-14)
    assert params.zeta == pytest.approx(alpha * (1 - rho) / rho, rel=1e-14)


@pytest.mark.parametrize(("alpha", "rho"), [(0.8, 0.5), (3.0, 0.6667), (1.0, 0.3)])
def test_tail_of_simulated_demand(alpha: float, rho: float) -> None:
    # Hill with n = 4e5, k = 2e4 within 3 zeta/sqrt(k); so many purchases that the
    # multinomial noise of the items counted is below a thousandth of their size.
    n, k = 400_000, 20_000
    params = DemandParams(alpha=alpha, rho=rho)
    demand = simulate_demand(params, n, 10**16, np.random.default_rng(33))
    top = np.sort(demand)[::-1][: k + 1].astype(float)
    assert top[-1] > 1e6
    hill = 1 / np.mean(np.log(top[:k] / top[k]))
    assert abs(hill - params.zeta) < 3 * params.zeta / math.sqrt(k)
    # all items, relative to the smallest: an exact Pareto sample, error zeta/sqrt(n)
    whole = 1 / np.mean(np.log(demand / demand.min()))
    assert abs(whole - params.zeta) < 4 * params.zeta / math.sqrt(n)
    # the printed index would be rejected by the same rule
    printed = printed_tail_index(alpha, rho)
    assert abs(hill - printed) > 3 * params.zeta / math.sqrt(k)


@pytest.mark.parametrize("zeta", [0.3, 0.5, 0.7])
def test_concentration_below_zeta_one(zeta: float) -> None:
    # Normalised Pareto weights with zeta < 1 tend to the Poisson-Dirichlet law: E[HHI] = 1 - zeta
    # (N = 2e4, within 3 Monte Carlo errors).
    runs, n = 250, 20_000
    params = DemandParams(alpha=zeta, rho=0.5)
    rng = np.random.default_rng(34)
    hhi = np.array(
        [np.sum((simulate_demand(params, n, 10**12, rng) / 1e12) ** 2) for _ in range(runs)]
    )
    assert abs(hhi.mean() - (1 - zeta)) < 3 * hhi.std(ddof=1) / math.sqrt(runs)


@pytest.mark.parametrize("n_purchases", [0, 1, 1000, 10**12])
def test_every_purchase_falls_on_an_item(n_purchases: int) -> None:
    params = DemandParams(alpha=1.2, rho=0.4)
    demand = simulate_demand(params, 50, n_purchases, np.random.default_rng(1))
    assert demand.shape == (50,)
    assert demand.sum() == n_purchases
    assert demand.min() >= 0


def test_items_are_exchangeable() -> None:
    # Which item comes out on top is uniform: chi-square over five items.
    params = DemandParams(alpha=1.0, rho=0.5)
    rng = np.random.default_rng(35)
    winners = [int(np.argmax(simulate_demand(params, 5, 10**6, rng))) for _ in range(5000)]
    assert stats.chisquare(np.bincount(winners, minlength=5)).pvalue > 1e-3


def test_many_purchases_show_the_tastes() -> None:
    # With N -> infinity the ratio of two items is (q1/q2)^kappa, whose log is a difference of two
    # exponentials over zeta: Laplace with scale 1/zeta.
    params = DemandParams(alpha=1.8, rho=0.6)
    rng = np.random.default_rng(36)
    logs = []
    for _ in range(4000):
        a, b = simulate_demand(params, 2, 10**15, rng)
        logs.append(math.log(a / b))
    assert stats.kstest(logs, stats.laplace(scale=1 / params.zeta).cdf).pvalue > 1e-3


def test_extreme_concentration_stays_finite() -> None:
    params = DemandParams(alpha=0.01, rho=0.99)
    demand = simulate_demand(params, 1000, 10**9, np.random.default_rng(2))
    assert demand.sum() == 10**9


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"alpha": 0.0, "rho": 0.5}, "alpha"),
        ({"alpha": -1.0, "rho": 0.5}, "alpha"),
        ({"alpha": math.inf, "rho": 0.5}, "alpha"),
        ({"alpha": math.nan, "rho": 0.5}, "alpha"),
        ({"alpha": 1.0, "rho": 0.0}, "rho"),
        ({"alpha": 1.0, "rho": 1.0}, "rho"),
        ({"alpha": 1.0, "rho": -0.5}, "rho"),
        ({"alpha": 1.0, "rho": math.nan}, "rho"),
    ],
    ids=str,
)
def test_parameters_outside_their_domain(fields: dict[str, float], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        DemandParams(**fields)


@pytest.mark.parametrize(
    ("tastes", "prices", "income", "rho"),
    [
        ([1.0, 0.0], [1.0, 1.0], 1.0, 0.5),
        ([1.0, 1.0], [1.0, 0.0], 1.0, 0.5),
        ([1.0, 1.0], [1.0, -1.0], 1.0, 0.5),
        ([1.0, 1.0], [1.0, 1.0], 0.0, 0.5),
        ([1.0, 1.0], [1.0, 1.0], 1.0, 1.0),
        ([1.0, 1.0], [1.0, 1.0], 1.0, 0.0),
    ],
    ids=["taste", "free", "negative-price", "income", "rho-1", "rho-0"],
)
def test_demand_outside_its_domain(
    tastes: list[float], prices: list[float], income: float, rho: float
) -> None:
    with pytest.raises(ParameterError):
        ces_demand(tastes, prices, income, rho)


@pytest.mark.parametrize(("n_items", "n_purchases"), [(0, 10), (-1, 10), (5, -1)])
def test_simulation_outside_its_domain(n_items: int, n_purchases: int) -> None:
    with pytest.raises(ParameterError, match="n_items"):
        simulate_demand(
            DemandParams(alpha=1.0, rho=0.5), n_items, n_purchases, np.random.default_rng(0)
        )


# --- shares of demand ----------------------------------------------------------------------------


def test_printed_index_is_the_exponent_of_a_share_of_demand() -> None:
    # The share of Sum beta^sigma with beta > x falls as x^-(alpha - sigma).
    alpha, rho = 4.0, 0.5
    q = np.exp(
        sample_log_tastes(DemandParams(alpha=alpha, rho=rho), 400_000, np.random.default_rng(7))
    )
    weight = q**2.0
    for x in (1.5, 3.0):
        above = weight[q > x].sum() / weight.sum()
        exact = demand_share_above(x, alpha, 2.0)
        assert exact == pytest.approx(x ** -printed_tail_index(alpha, rho), rel=1e-12)
        # beta^2 has exponent 2, so its sample mean has no finite variance: 5 % of the share
        assert above == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize(("taste", "alpha", "power"), [(0.5, 3.0, 2.0), (2.0, 2.0, 2.0)])
def test_share_above_outside_its_domain(taste: float, alpha: float, power: float) -> None:
    with pytest.raises(ParameterError, match="taste"):
        demand_share_above(taste, alpha, power)


@pytest.mark.parametrize(("zeta", "hhi"), [(0.3, 0.7), (1.0, 0.0), (2.0, 0.0)])
def test_expected_hhi(zeta: float, hhi: float) -> None:
    assert expected_hhi(zeta) == pytest.approx(hhi, abs=1e-15)


# --- costs and laws of counts --------------------------------------------------------------------


def test_attraction_is_a_power_of_taste_and_cost() -> None:
    params = DemandParams(alpha=1.5, rho=0.6)  # kappa 1.5, sigma 2.5
    q, tau = np.array([1.0, 2.0, 5.0]), np.array([3.0, 0.5, 8.0])
    found = attraction(params, np.log(q), tau)
    exact = q**1.5 * tau**-2.5
    assert found == pytest.approx(exact / exact.max(), rel=1e-12)
    # it is demand of a consumer who shares these tastes
    demand, _ = ces_demand(q, tau, 1.0, 0.6)
    assert demand / demand.sum() == pytest.approx(found / found.sum(), rel=1e-12)
    assert attraction(params, np.log(q), np.full(3, 7.0)) == pytest.approx(
        attraction(params, np.log(q)), rel=1e-12
    )


def test_costs_do_not_move_the_tail() -> None:
    # Breiman: independent costs leave zeta; only the level of the tail changes.
    n, k = 400_000, 4000
    params = DemandParams(alpha=1.2, rho=0.5)
    rng = np.random.default_rng(8)
    demand = simulate_demand(params, n, 10**16, rng, costs=np.exp(rng.normal(0, 0.3, n)))
    top = np.sort(demand)[::-1][: k + 1].astype(float)
    assert abs(1 / np.mean(np.log(top[:k] / top[k])) - params.zeta) < 3 * params.zeta / math.sqrt(k)


@pytest.mark.parametrize(
    ("law", "phi"), [("multinomial", 0.0), ("poisson", 0.0), ("negative_binomial", 0.7)]
)
def test_moments_of_the_counts(law: CountLaw, phi: float) -> None:
    weights, total, runs = np.array([5.0, 3.0, 2.0, 0.0]), 200, 20_000
    rng = np.random.default_rng(9)
    drawn = np.array(
        [simulate_counts(weights, total, rng, law=law, overdispersion=phi) for _ in range(runs)]
    )
    mean = total * weights / 10
    exact = {
        "multinomial": mean * (1 - weights / 10),
        "poisson": mean,
        "negative_binomial": mean + phi * mean**2,
    }[law]
    assert np.all(np.abs(drawn.mean(axis=0) - mean) <= 4 * np.sqrt(exact / runs))
    # the variance of a sample variance, gamma mixtures included, is below 8 var^2/runs
    assert np.all(np.abs(drawn.var(axis=0) - exact) <= 4 * exact * math.sqrt(8 / runs))
    if law == "multinomial":
        assert np.all(drawn.sum(axis=1) == total)


@pytest.mark.parametrize(
    ("weights", "n", "options", "says"),
    [
        ([1.0, -1.0], 5, {}, "weights"),
        ([0.0, 0.0], 5, {}, "weights"),
        ([[1.0]], 5, {}, "weights"),
        ([1.0], -1, {}, "n_purchases"),
        ([1.0], 2**63, {}, "n_purchases"),
        ([1.0], 5, {"law": "geometric"}, "law"),
        ([1.0], 5, {"law": "negative_binomial"}, "overdispersion"),
        ([1.0], 5, {"overdispersion": 0.5}, "overdispersion"),
    ],
    ids=str,
)
def test_counts_outside_their_domain(
    weights: list[float], n: int, options: dict[str, CountLaw], says: str
) -> None:
    with pytest.raises(ParameterError, match=says):
        simulate_counts(weights, n, np.random.default_rng(0), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("costs", [[1.0, 0.0], [1.0, -1.0], [1.0], [1.0, math.nan]], ids=str)
def test_costs_outside_their_domain(costs: list[float]) -> None:
    with pytest.raises(ParameterError, match="costs"):
        simulate_demand(
            DemandParams(alpha=1.0, rho=0.5), 2, 10, np.random.default_rng(0), costs=costs
        )


@pytest.mark.parametrize(("alpha", "log_smallest"), [(3.0, 0.5), (2.5, -1.0)])
def test_arrivals_have_the_moments_of_poisson_counts_of_pareto_rates(
    alpha: float, log_smallest: float
) -> None:
    # rho = .5: demand has zeta = alpha, mean q alpha/(alpha - 1); zeros by quadrature
    from scipy import integrate

    n, q = 200_000, math.exp(log_smallest)
    params = DemandParams(alpha=alpha, rho=0.5)
    drawn = simulate_arrivals(params, log_smallest, n, np.random.default_rng(5))
    mean = q * alpha / (alpha - 1.0)
    second = q**2 * alpha / (alpha - 2.0)
    assert abs(drawn.mean() - mean) < 5 * math.sqrt((mean + second - mean**2) / n)
    zeros, _ = integrate.quad(lambda u: math.exp(-q * u ** (-1.0 / alpha)), 0.0, 1.0)
    assert abs(np.mean(drawn == 0) - zeros) < 4 * math.sqrt(zeros * (1 - zeros) / n)
    with pytest.raises(ParameterError, match="log_smallest"):
        simulate_arrivals(params, math.nan, 3, np.random.default_rng(5))


def test_arrivals_beyond_what_a_count_holds_are_cut() -> None:
    params = DemandParams(alpha=0.02, rho=0.5)
    drawn = simulate_arrivals(params, 0.0, 1_000, np.random.default_rng(6))
    assert drawn.min() >= 0
    assert drawn.max() <= 2**53 * (1 + 1e-6)
