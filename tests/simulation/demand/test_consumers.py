"""Many consumers: against an optimiser, identities, and what averages out."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize

from baimo.simulation.demand.ces import DemandParams, ces_demand, sample_log_tastes
from baimo.simulation.demand.consumers import (
    TasteNoise,
    aggregate_demand,
    breiman_factor,
    consumer_demand,
    price_index,
    printed_aggregate_demand,
    simulate_market,
    tail_index,
    variation_of_demand,
    variation_rate,
)
from baimo.simulation.errors import ParameterError

Floats = NDArray[np.float64]


def market(seed: int, consumers: int = 4, goods: int = 5) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    return (
        np.exp(rng.normal(0, 0.6, (consumers, goods))),
        np.exp(rng.normal(0, 0.6, goods)),
        rng.uniform(0.5, 20, consumers),
    )


def optimum(tastes: Floats, prices: Floats, income: float, rho: float) -> Floats:
    """Maximise eq 20 under eq 21 by a general method: logs of budget shares, constrained."""

    def cost(share: Floats) -> tuple[float, Floats]:
        terms = (tastes * income * share / prices) ** rho
        return -math.log(terms.sum()) / rho, -terms / terms.sum() / share

    n = tastes.size
    found = optimize.minimize(
        cost,
        np.full(n, 1 / n),
        jac=True,
        method="SLSQP",
        bounds=[(1e-9, 1)] * n,
        constraints={"type": "eq", "fun": lambda s: s.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    shares: Floats = found.x
    return income * shares / prices


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rho", [0.25, 0.5, 0.75])
def test_every_consumer_and_their_sum_against_an_optimiser(rho: float, seed: int) -> None:
    tastes, prices, incomes = market(seed)
    best = np.array([optimum(b, prices, y, rho) for b, y in zip(tastes, incomes, strict=True)])
    demand, _ = consumer_demand(tastes, prices, incomes, rho)
    scale = incomes[:, None] / prices
    assert demand / scale == pytest.approx(best / scale, abs=1e-6)
    total = aggregate_demand(tastes, prices, incomes, rho)
    assert total / scale.sum(0) == pytest.approx(best.sum(0) / scale.sum(0), abs=1e-6)


@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9, 0.98])
def test_identities(rho: float) -> None:
    # spending and U = y/P to 1e-10, and eq 23 written out.
    tastes, prices, incomes = market(11, 7, 9)
    kappa, sigma = rho / (1 - rho), 1 / (1 - rho)
    demand, reached = consumer_demand(tastes, prices, incomes, rho)
    index = price_index(tastes, prices, rho)
    assert demand @ prices == pytest.approx(incomes, rel=1e-10)
    assert reached == pytest.approx(incomes / index, rel=1e-10)
    direct = np.sum((tastes * demand) ** rho, axis=1) ** (1 / rho)
    assert reached == pytest.approx(direct, rel=1e-10)
    written = prices**-sigma * np.sum(tastes**kappa * (incomes * index**kappa)[:, None], axis=0)
    total = aggregate_demand(tastes, prices, incomes, rho)
    assert total == pytest.approx(written, rel=1e-10)
    assert total == pytest.approx(demand.sum(axis=0), rel=1e-12)
    assert prices @ total == pytest.approx(incomes.sum(), rel=1e-12)


def test_one_consumer_is_the_single_demand() -> None:
    tastes, prices, _ = market(12, 1)
    demand, reached = consumer_demand(tastes, prices, [3.0], 0.6)
    single, alone = ces_demand(tastes[0], prices, 3.0, 0.6)
    assert demand[0] == pytest.approx(single, rel=1e-12)
    assert reached[0] == pytest.approx(alone, rel=1e-12)


def test_index_has_degree_one_where_the_printed_has_another() -> None:
    tastes, prices, incomes = market(13)
    rho = 0.5
    assert price_index(tastes, 3 * prices, rho) == pytest.approx(
        3 * price_index(tastes, prices, rho), rel=1e-12
    )
    total = aggregate_demand(tastes, prices, incomes, rho)
    assert aggregate_demand(tastes, 3 * prices, 3 * incomes, rho) == pytest.approx(total, rel=1e-12)
    # as printed: money illusion of 3^(1 - sigma - rho), and spending that does not add up
    printed = printed_aggregate_demand(tastes, prices, incomes, rho)
    inflated = printed_aggregate_demand(tastes, 3 * prices, 3 * incomes, rho)
    assert inflated == pytest.approx(3 ** (1 - 2 - 0.5) * printed, rel=1e-12)
    assert abs(prices @ printed / incomes.sum() - 1) > 0.1


# --- which tastes make a tail --------------------------------------------------------------------


def test_continuum_of_consumers_shows_the_common_tastes_alone() -> None:
    rng = np.random.default_rng(14)
    log_q, tau = rng.exponential(0.5, 40), np.exp(rng.normal(size=40))
    demand = simulate_market(
        log_q, TasteNoise(kind="lognormal", spread=1.0), None, 0.6, rng, costs=tau
    )
    exact = np.exp(1.5 * log_q) * tau**-2.5
    assert demand / demand.sum() == pytest.approx(exact / exact.sum(), rel=1e-12)
    assert tau @ demand == pytest.approx(1.0, rel=1e-12)


def test_finite_markets_approach_the_continuum() -> None:
    # Relative error of each item falls as I^-1/2 (E[eps^2 kappa] < inf); 4,000 goods share P.
    rng = np.random.default_rng(15)
    noise, rho = TasteNoise(kind="lognormal", spread=0.5), 0.5
    log_q = np.minimum(rng.exponential(0.3, 4000), 1.0)
    limit = simulate_market(log_q, noise, None, rho, rng)
    errors = [float(np.std(simulate_market(log_q, noise, i, rho, rng) / limit)) for i in (10, 1000)]
    spread = math.sqrt(math.exp(0.25) - 1)  # CV of eps^kappa at kappa = 1
    assert errors[0] == pytest.approx(spread / math.sqrt(10), rel=0.1)
    assert errors[1] == pytest.approx(spread / math.sqrt(1000), rel=0.1)


def test_spending_adds_up_in_any_market() -> None:
    rng = np.random.default_rng(16)
    tau = np.exp(rng.normal(size=30))
    noise = TasteNoise(kind="pareto", spread=0.7)
    demand = simulate_market(rng.exponential(1, 30), noise, 7, 0.4, rng, costs=tau)
    assert tau @ demand == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    ("zeta", "stated"), [(3.0, (0.52, 0.18, 0.06, 0.02)), (1.5, (1.96, 1.29, 0.50, 0.16))]
)
def test_idiosyncratic_tastes_average_out(zeta: float, stated: tuple[float, ...]) -> None:
    # CV of C_j at I = 1, 10, 100, 1000, of one market each. The variance (zeta = 1.5)
    # or its error (zeta = 3) has no finite value, so the numbers are looked for among 25 of 2,000
    # products (below zeta = 2 the CV of a sample grows with their number, which is not given).
    rng = np.random.default_rng(17)
    noise = TasteNoise(kind="pareto", spread=zeta)  # kappa = 1 at rho = 1/2
    middle = []
    for consumers, said in zip((1, 10, 100, 1000), stated, strict=True):
        draws = np.array(
            [simulate_market(np.zeros(2000), noise, consumers, 0.5, rng) for _ in range(25)]
        )
        cv = draws.std(axis=1) / draws.mean(axis=1)
        middle.append(float(np.median(cv)))
        assert cv.min() - 0.005 < said < cv.max() + 0.005  # stated to two digits
        if zeta > 2 and consumers > 1:
            assert middle[-1] == pytest.approx(variation_of_demand(zeta, consumers), rel=0.1)
    assert math.log10(middle[0] / middle[-1]) / 3 == pytest.approx(variation_rate(zeta), abs=0.1)


def test_breiman_level_and_exponent() -> None:
    # One consumer: P(q eps > x) x^alpha -> E[eps^alpha]; count above x within 4 Poisson errors.
    params, noise = DemandParams(alpha=1.5, rho=0.5), TasteNoise(kind="lognormal", spread=0.4)
    n, x = 400_000, 60.0
    rng = np.random.default_rng(18)
    beta = np.exp(sample_log_tastes(params, n, rng) + noise.sample_logs((n,), rng))
    expected = n * x**-params.alpha * breiman_factor(params, noise)
    assert breiman_factor(params, noise) == pytest.approx(math.exp(0.5 * 0.36), rel=1e-12)
    assert abs(int((beta > x).sum()) - expected) < 4 * math.sqrt(expected)
    # ten consumers: the exponent of demand is unmoved
    k = 2000
    demand = simulate_market(sample_log_tastes(params, n, rng), noise, 10, params.rho, rng)
    top = np.sort(demand)[::-1][: k + 1]
    hill = 1 / np.mean(np.log(top[:k] / top[k]))
    assert abs(hill - tail_index(params, noise, 10)) < 3 * params.zeta / math.sqrt(k)


def test_the_heavier_tail_decides_in_a_finite_market() -> None:
    params, noise = DemandParams(alpha=3.0, rho=0.5), TasteNoise(kind="pareto", spread=1.2)
    assert tail_index(params, noise) == pytest.approx(3.0)
    assert tail_index(params, noise, 5) == pytest.approx(1.2)
    assert breiman_factor(params, noise) == math.inf
    n, k = 200_000, 1000
    rng = np.random.default_rng(19)
    demand = simulate_market(sample_log_tastes(params, n, rng), noise, 5, 0.5, rng)
    top = np.sort(demand)[::-1][: k + 1]
    hill = 1 / np.mean(np.log(top[:k] / top[k]))
    assert abs(hill - 1.2) < 4 * 1.2 / math.sqrt(k)


@pytest.mark.parametrize(
    ("noise", "power"),
    [
        (TasteNoise(), 2.0),
        (TasteNoise(kind="lognormal", spread=0.6), 1.4),
        (TasteNoise(kind="pareto", spread=5.0), 1.3),
    ],
    ids=["none", "lognormal", "pareto"],
)
def test_moments_of_noise(noise: TasteNoise, power: float) -> None:
    n = 200_000
    drawn = np.exp(power * noise.sample_logs((n,), np.random.default_rng(20)))
    assert abs(drawn.mean() - noise.moment(power)) <= 4 * drawn.std() / math.sqrt(n)
    assert TasteNoise(kind="pareto", spread=2.0).moment(2.0) == math.inf


@pytest.mark.parametrize(("zeta", "rate"), [(5.0, 0.5), (2.0, 0.5), (1.5, 1 / 3), (0.8, 0.0)])
def test_rates(zeta: float, rate: float) -> None:
    assert variation_rate(zeta) == pytest.approx(rate, abs=1e-12)


def test_refusals() -> None:
    rng = np.random.default_rng(0)
    heavy = TasteNoise(kind="pareto", spread=0.9)
    good = np.ones((2, 3))
    with pytest.raises(ParameterError, match="kind"):
        TasteNoise(kind="normal", spread=1.0)  # type: ignore[arg-type]
    for kind, spread in (("none", 1.0), ("lognormal", 0.0), ("pareto", math.inf)):
        with pytest.raises(ParameterError, match="spread"):
            TasteNoise(kind=kind, spread=spread)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="no mean"):
        simulate_market(np.zeros(3), heavy, None, 0.5, rng)
    with pytest.raises(ParameterError, match="no mean"):
        tail_index(DemandParams(alpha=1.0, rho=0.5), heavy)
    with pytest.raises(ParameterError, match="equal exponents"):
        tail_index(DemandParams(alpha=0.9, rho=0.5), heavy, 3)
    with pytest.raises(ParameterError, match="n_consumers"):
        simulate_market(np.zeros(3), heavy, 0, 0.5, rng)
    with pytest.raises(ParameterError, match="one of each"):
        simulate_market(np.zeros(3), heavy, 2, 0.5, rng, costs=[1.0])
    with pytest.raises(ParameterError, match="finite"):
        simulate_market([0.0, -math.inf], heavy, 2, 0.5, rng)
    with pytest.raises(ParameterError, match="prices must be positive"):
        simulate_market(np.zeros(2), heavy, 2, 0.5, rng, costs=[1.0, 0.0])
    with pytest.raises(ParameterError, match="variation_rate"):
        variation_of_demand(2.0, 10)
    with pytest.raises(ParameterError, match="zeta"):
        variation_rate(0.0)
    with pytest.raises(ParameterError, match="rho"):
        aggregate_demand(good, np.ones(3), np.ones(2), 1.0)
    with pytest.raises(ParameterError, match="do not fit"):
        aggregate_demand(good, np.ones(2), np.ones(2), 0.5)
    with pytest.raises(ParameterError, match="consumers by goods"):
        aggregate_demand(np.ones(3), np.ones(3), np.ones(1), 0.5)
    with pytest.raises(ParameterError, match="incomes must be positive"):
        aggregate_demand(good, np.ones(3), [1.0, 0.0], 0.5)
