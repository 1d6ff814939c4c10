"""Zeta through Poisson counts: the law by quadrature, the fit by a general optimiser, coverage."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, optimize, special, stats

from baimo.estimation.demand.counts import (
    demand_tail_influence,
    fit_demand_tail,
    log_ccdf,
    log_smallest_demand,
)
from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.simulation.demand.ces import (
    DemandParams,
    attraction,
    sample_log_tastes,
    simulate_arrivals,
)

Floats = NDArray[np.float64]
CELLS = ((0.8, 5_000), (1.2, 50_000), (2.0, 20_000), (1.5, 1_000))


def drawn(zeta: float, n: int, seed: list[int]) -> NDArray[np.int64]:
    """Return CES demand of a median of six purchases an item, Poisson around it."""
    rng = np.random.default_rng(seed)
    params = DemandParams(alpha=zeta, rho=0.5)
    weights = attraction(params, sample_log_tastes(params, n, rng))
    return rng.poisson(np.minimum(weights * (6.0 / np.median(weights)), 1e15))


@pytest.mark.parametrize(("zeta", "x"), [(0.7, 3), (1.3, 8), (2.2, 40)])
def test_the_law_is_that_of_poisson_counts_of_pareto_rates(zeta: float, x: int) -> None:
    # P(D >= k) of rates from q_min on, far below x: the ratio of two is free of q_min
    q_min = 1e-4 * x

    def beyond(k: int) -> float:
        value, _ = integrate.quad(
            lambda u: stats.poisson.sf(k - 1, math.exp(u)) * zeta * math.exp(-zeta * u),
            math.log(q_min), math.log(50.0 * k + 500.0), limit=1_000, points=[math.log(k)],
        )  # fmt: skip
        return float(value + math.exp(-zeta * math.log(50.0 * k + 500.0)))

    for k in (x + 1, 2 * x, 5 * x):
        expected = math.log(beyond(k) / beyond(x))
        found = float(log_ccdf(k, zeta) - log_ccdf(x, zeta))
        assert found == pytest.approx(expected, abs=2e-6)


def test_the_chances_of_all_counts_sum_to_one() -> None:
    k = np.arange(7, 2_000_000, dtype=float)
    ccdf = np.exp(log_ccdf(k, 1.4) - log_ccdf(7, 1.4))
    pmf = 1.4 * np.exp(special.gammaln(k - 1.4) - special.gammaln(k + 1) - log_ccdf(7, 1.4))
    assert pmf[:-1] == pytest.approx(ccdf[:-1] - ccdf[1:], abs=1e-12)
    assert pmf.sum() + ccdf[-1] == pytest.approx(1.0, abs=1e-6)
    far = np.array([1e6, 2e6])  # a power law in the end
    assert log_ccdf(far, 1.4)[0] - log_ccdf(far, 1.4)[1] == pytest.approx(
        1.4 * math.log(2), rel=1e-5
    )


def test_the_fit_is_the_maximum_and_its_error_the_curvature() -> None:
    sample = drawn(1.3, 5_000, [1])
    fit = fit_demand_tail(sample, x_min=20)
    tail = sample[sample >= 20].astype(float)

    def cost(zeta: float) -> float:
        return -float(
            np.sum(math.log(zeta) + special.gammaln(tail - zeta) - special.gammaln(tail + 1))
            - tail.size * log_ccdf(20, zeta)
        )

    found = optimize.minimize_scalar(
        cost, bounds=(0.1, 5), method="bounded", options={"xatol": 1e-10}
    )
    assert fit.zeta == pytest.approx(found.x, abs=1e-6)
    h = 1e-3
    curvature = (cost(fit.zeta + h) - 2 * cost(fit.zeta) + cost(fit.zeta - h)) / h**2
    assert fit.std_error == pytest.approx(1 / math.sqrt(curvature), rel=1e-4)
    assert (fit.n_tail, fit.n_obs, fit.x_min) == (tail.size, 5_000, 20.0)
    assert fit_demand_tail(Counts.from_sample(sample), x_min=20).zeta == fit.zeta


def test_large_counts_give_the_continuous_fit() -> None:
    rng = np.random.default_rng(2)
    sample = np.floor(1e6 * (1 - rng.random(3_000)) ** (-1 / 1.1))
    plain = fit_tail(sample, discrete=False, x_min=1e6)
    fit = fit_demand_tail(sample, x_min=1e6)
    assert fit.zeta == pytest.approx(plain.zeta, rel=1e-5)
    assert fit.std_error == pytest.approx(plain.std_error, rel=1e-3)


def test_an_author_who_copies_each_item_doubles_the_variance() -> None:
    sample = drawn(1.2, 4_000, [3])
    twice = np.repeat(sample, 2)
    fit = fit_demand_tail(twice, x_min=20, clusters=np.repeat(np.arange(4_000), 2))
    assert fit.std_error_clustered / fit.std_error == pytest.approx(math.sqrt(2), rel=0.06)
    alone = fit_demand_tail(sample, x_min=20, clusters=np.arange(4_000))
    assert alone.std_error_clustered == pytest.approx(alone.std_error, rel=0.06)
    assert fit.zeta == pytest.approx(alone.zeta, rel=1e-12)


def coverage(zeta: float, n: int, runs: int, seed: int) -> tuple[float, float]:
    """Return (bias in standard deviations, share of intervals that hold the truth), x_min free."""
    rows = []
    for i in range(runs):
        fit = fit_demand_tail(drawn(zeta, n, [seed, i]))
        rows.append((fit.zeta - zeta, fit.std_error))
    gap, error = np.array(rows).T
    return float(gap.mean() / gap.std(ddof=1)), float(np.mean(np.abs(gap) <= 1.959964 * error))


def test_coverage_with_x_min_free_in_a_cell_chosen_at_random() -> None:
    seed = int(np.random.SeedSequence().entropy) % 2**32  # type: ignore[arg-type]
    cell = CELLS[seed % len(CELLS)]
    bias, held = coverage(*cell, 40, seed)
    assert abs(bias) < 0.1 + 5.0 / math.sqrt(40), (cell, seed)
    assert held >= stats.binom(40, 0.92).ppf(1e-6) / 40, (cell, seed)


@pytest.mark.full
@pytest.mark.parametrize("cell", CELLS)
def test_full_coverage_with_x_min_free(cell: tuple[float, int]) -> None:
    bias, held = coverage(*cell, 1_000, 2026)
    print(f"\nzeta, n = {cell}: bias {bias:.3f} standard deviations, coverage {held:.3f}")
    assert abs(bias) <= 0.1
    assert 0.92 <= held <= 0.98


def test_a_discrete_power_law_would_cover_half() -> None:
    held = []
    for i in range(20):
        fit = fit_tail(drawn(1.2, 50_000, [4, i]))
        held.append(abs(fit.zeta - 1.2) <= 1.96 * fit.std_error)
    assert np.mean(held) < 0.7


@pytest.mark.parametrize(
    ("sample", "x_min", "said"),
    [
        ([1.5, 2.0, 3.0] * 40, None, "whole numbers"),
        ([3] * 100, None, "two distinct"),
        ([0, 0, 1, 2] * 5, None, "fewer than 50"),
        (list(range(1, 200)), 0.5, "at least 1"),
        (list(range(1, 200)), 195, "ten items"),
        ([1] * 60 + [7] * 60, 7, "cannot be told"),
    ],
)
def test_refusals(sample: list[float], x_min: float | None, said: str) -> None:
    with pytest.raises(DataError, match=said):
        fit_demand_tail(np.array(sample), x_min=x_min)


@pytest.mark.parametrize(("zeta", "log_smallest"), [(0.7, 1.0), (1.3, -2.0), (2.0, 0.0)])
def test_the_smallest_demand_is_found_from_the_tail(zeta: float, log_smallest: float) -> None:
    # Far above the lower end the share of the tail says where it is: to the error of the share.
    n, x = 400_000, 40
    params = DemandParams(alpha=zeta, rho=0.5)
    counts = simulate_arrivals(params, log_smallest, n, np.random.default_rng([9, int(10 * zeta)]))
    share = float(np.mean(counts >= x))
    found = log_smallest_demand(zeta, x, share)
    error = math.sqrt((1 - share) / (n * share)) / zeta
    assert abs(found - log_smallest) < 4 * error


def test_the_influence_is_that_of_the_clustered_error() -> None:
    sample = drawn(1.2, 20_000, [7, 0])
    clusters = np.random.default_rng(7).integers(0, 900, sample.size)
    fit = fit_demand_tail(sample, clusters=clusters)
    values, place = np.unique(sample, return_inverse=True)
    n = np.bincount(place).astype(float)
    influence = demand_tail_influence(values.astype(float), n, fit)
    assert influence @ n == pytest.approx(0.0, abs=1e-9)
    sums = np.bincount(clusters, weights=influence[place])
    assert math.sqrt(sums @ sums) == pytest.approx(fit.std_error_clustered, rel=1e-9)
    # and one item left out moves zeta by its influence
    for at in (values.size - 1, int(np.flatnonzero(values >= fit.x_min)[0])):
        rest = np.delete(sample, int(np.flatnonzero(place == at)[0]))
        moved = fit_demand_tail(rest, x_min=fit.x_min).zeta - fit.zeta
        assert -influence[at] == pytest.approx(moved, rel=0.02)
