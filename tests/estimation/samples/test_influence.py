"""Influences are what an estimate moves by, and their sums over clusters what a jackknife finds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from baimo.estimation.errors import DataError
from baimo.estimation.samples.concentration import measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.influence import (
    cluster_moves,
    likelihood_influence,
    log10_number_influence,
    share_influence,
    top_share_influence,
    zeta_influence,
)
from baimo.estimation.tails.power_law import fit_tail

RNG = np.random.default_rng(1)
SIZES = np.floor(9.5 * (1 - RNG.random(5_000)) ** (-1 / 1.3) + 0.5) * (RNG.random(5_000) < 0.7)
VALUES, MULTIPLICITIES = np.unique(SIZES, return_counts=True)
N = MULTIPLICITIES.astype(np.float64)


def moved(statistic: Callable[[np.ndarray], float], place: int, mass: float) -> float:
    """Return the derivative of a statistic in the number of items of one value."""
    up, down = N.copy(), N.copy()
    up[place] += mass
    down[place] -= mass
    return (statistic(up) - statistic(down)) / (2 * mass)


PLACES = [0, 1, 5, VALUES.size // 2, VALUES.size - 1]


@pytest.mark.parametrize("place", PLACES)
def test_a_share_and_a_number(place: int) -> None:
    within, inside = (VALUES > 0).astype(float), (VALUES >= 50).astype(float)
    share, influence = share_influence(inside, within, N)
    assert share == np.mean(SIZES[SIZES > 0] >= 50)
    expected = moved(lambda n: share_influence(inside, within, n)[0], place, 1e-4)
    assert influence[place] == pytest.approx(expected, rel=1e-6, abs=1e-12)
    number, influence = log10_number_influence(inside, N)
    assert number == np.log10(1 + np.sum(SIZES >= 50))
    # a number of items of a sample of given size: what is added inside is taken from all
    n = N.sum()
    at = np.sum(SIZES >= 50)
    assert influence[place] == pytest.approx((inside[place] - at / n) / ((1 + at) * np.log(10)))


@pytest.mark.parametrize("place", PLACES)
def test_the_share_of_the_largest(place: int) -> None:
    held, influence = top_share_influence(VALUES, N, 0.01)
    counts = Counts.from_sample(SIZES).positive()
    assert held == pytest.approx(measure_concentration(counts).top_1pct, rel=1e-12)

    def share(n: np.ndarray) -> float:  # by hand, a fraction of an item at the edge
        k, above = 0.01 * n[VALUES > 0].sum(), 0.0
        held = 0.0
        for value, items in zip(VALUES[::-1], n[::-1], strict=True):
            taken = min(items, k - above)
            held, above = held + taken * value, above + taken
        return held / float(VALUES @ n)

    scale = np.max(np.abs(influence))
    # the number of the largest is a whole one: at most half an item's worth of the edge away
    assert influence[place] == pytest.approx(moved(share, place, 1e-4), rel=1e-2, abs=1e-3 * scale)


@pytest.mark.parametrize("discrete", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_the_exponent_of_a_tail(discrete: bool, place: int) -> None:
    x_min = 20.0
    values = VALUES if discrete else VALUES + 0.25 * (VALUES > 0)
    tail = fit_tail(Counts.from_pairs(values, MULTIPLICITIES), x_min=x_min, discrete=discrete)
    influence = zeta_influence(values, N, x_min, alpha=tail.alpha, discrete=discrete)
    inside = values >= x_min
    assert influence @ N == pytest.approx(0.0, abs=1e-7)
    assert np.all(influence[~inside] == 0)
    # the variance of independent items is the inverse information where the law is true
    assert np.sqrt(N @ influence**2) == pytest.approx(tail.std_error, rel=0.1)

    def zeta(extra: int) -> float:
        more = MULTIPLICITIES.copy() * 1000
        more[place] += extra
        found = fit_tail(Counts.from_pairs(values, more), x_min=x_min, discrete=discrete)
        return found.zeta

    expected = (zeta(100) - zeta(-100)) / 0.2
    assert influence[place] == pytest.approx(expected, rel=2e-3, abs=1e-8)


def test_a_likelihood() -> None:
    # a normal law: the influence on mean and sd is (x - mean)/n and ((x - mean)^2/sd^2 - 1)sd/2n
    x = RNG.normal(3.0, 2.0, 400)
    weights = RNG.integers(1, 4, 400).astype(float)
    n = weights.sum()
    mean = float(x @ weights) / n
    sd = float(np.sqrt((x - mean) ** 2 @ weights / n))
    influence = likelihood_influence(
        lambda p: -np.log(p[1]) - 0.5 * ((x - p[0]) / p[1]) ** 2,
        np.array([mean, sd]),
        np.array([0.01, 0.01]),
        weights,
    )
    assert influence[:, 0] == pytest.approx((x - mean) / n, rel=1e-3, abs=1e-7)
    expected = 0.5 * sd * (((x - mean) / sd) ** 2 - 1) / n
    assert influence[:, 1] == pytest.approx(expected, rel=1e-3, abs=1e-7)
    assert weights @ influence == pytest.approx([0.0, 0.0], abs=1e-12)


def test_no_maximum_is_refused() -> None:
    x = np.arange(5.0)
    with pytest.raises(DataError, match="no maximum"):
        likelihood_influence(lambda p: p[0] ** 2 * x, np.array([1.0]), np.array([0.1]), np.ones(5))


def test_moves_are_the_jackknife_of_a_mean() -> None:
    # Clusters of 1 to 11 of 66 items: exact, whatever the share of a cluster is.
    x = RNG.normal(size=66)
    clusters = np.repeat(np.arange(11), np.arange(1, 12))
    influence = (x - x.mean()) / 66
    moves = cluster_moves(influence, np.arange(66), clusters, np.ones(66))
    without = [x[clusters != c].mean() - x.mean() for c in range(11)]
    assert -moves == pytest.approx(without, abs=1e-15)
    plain = cluster_moves(influence, np.arange(66), clusters)
    by_hand = [(x[clusters == c] - x.mean()).sum() / 66 for c in range(11)]
    assert plain == pytest.approx(by_hand, abs=1e-15)


def test_a_cluster_that_is_all_moves_without_bound() -> None:
    influence, base = np.array([0.5, -0.5, 0.0]), np.array([1.0, 1.0, 0.0])
    moves = cluster_moves(influence, np.arange(3), np.array([0, 0, 1]), base)
    assert moves.tolist() == [math.inf, 0.0]


def test_an_empty_share_is_refused() -> None:
    with pytest.raises(DataError, match="no item"):
        share_influence(np.ones(3), np.zeros(3), np.ones(3))
    with pytest.raises(DataError, match="all values are zero"):
        top_share_influence(np.zeros(1), np.ones(1), 0.01)
