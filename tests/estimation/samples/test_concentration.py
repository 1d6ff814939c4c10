"""Gini, top shares and Herfindahl: closed forms, brute force, the Pareto limit."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from baimo.estimation.errors import DataError
from baimo.estimation.samples.concentration import measure_concentration
from baimo.estimation.samples.counts import Counts

samples = st.lists(st.integers(0, 1000), min_size=1, max_size=60).filter(lambda x: sum(x) > 0)


def brute_gini(x: np.ndarray) -> float:
    return float(np.abs(x[:, None] - x[None, :]).sum() / (2 * x.size**2 * x.mean()))


@given(samples)
@settings(deadline=None, derandomize=True)
def test_against_sums_over_all_pairs(sample: list[int]) -> None:
    x = np.array(sample, dtype=float)
    held = measure_concentration(sample)
    assert held.gini == pytest.approx(brute_gini(x), abs=1e-12)
    assert held.hhi == pytest.approx(float(np.sum((x / x.sum()) ** 2)), rel=1e-12)
    assert held.effective_number == pytest.approx(1 / held.hhi, rel=1e-15)
    assert held.largest_share == pytest.approx(x.max() / x.sum(), rel=1e-15)
    assert held.share_zero == float(np.mean(x == 0))


@pytest.mark.parametrize("n", [1, 2, 17, 1000])
def test_all_equal(n: int) -> None:
    held = measure_concentration(Counts.from_pairs([3.0], [n]))
    assert held.gini == pytest.approx(0, abs=1e-15)
    assert held.hhi == pytest.approx(1 / n, rel=1e-14)
    assert held.top_1pct == pytest.approx(max(1, round(n / 100)) / n, rel=1e-14)


@pytest.mark.parametrize("n", [2, 10, 1000])
def test_one_holds_all(n: int) -> None:
    held = measure_concentration(Counts.from_pairs([0.0, 8.0], [n - 1, 1]))
    assert held.gini == pytest.approx(1 - 1 / n, rel=1e-14)
    assert (held.hhi, held.top_1pct, held.top_01pct, held.largest_share) == (1, 1, 1, 1)
    assert held.share_zero == (n - 1) / n


@pytest.mark.parametrize("zeta", [1.5, 2.0, 3.0, 6.0])
def test_pareto_limit(zeta: float) -> None:
    # Quantiles of a Pareto law: Gini -> 1/(2 zeta - 1), top-p share -> p^(1 - 1/zeta). The
    # midpoint rule misses the last cell; its mass, n^(1/zeta - 1), bounds the error.
    n = 400_000
    x = ((np.arange(n) + 0.5) / n) ** (-1 / zeta)
    held = measure_concentration(x)
    bound = 2 * n ** (1 / zeta - 1)
    assert abs(held.gini - 1 / (2 * zeta - 1)) < bound
    assert abs(held.top_1pct - 0.01 ** (1 - 1 / zeta)) < bound
    assert abs(held.top_01pct - 0.001 ** (1 - 1 / zeta)) < bound


@pytest.mark.parametrize(
    ("n", "k1", "k01"), [(50, 1, 1), (200, 2, 1), (1000, 10, 1), (5000, 50, 5)]
)
def test_top_shares_cut_through_ties(n: int, k1: int, k01: int) -> None:
    # The boundary falls inside a block of equal values: only part of the block counts.
    x = np.concatenate([[9.0], np.full(n // 2, 4.0), np.ones(n - 1 - n // 2)])
    held = measure_concentration(x)
    ordered = np.sort(x)[::-1]
    assert held.top_1pct == pytest.approx(ordered[:k1].sum() / x.sum(), rel=1e-14)
    assert held.top_01pct == pytest.approx(ordered[:k01].sum() / x.sum(), rel=1e-14)


@given(samples, st.floats(1e-6, 1e6))
@settings(deadline=None, derandomize=True)
def test_unit_of_measure_does_not_matter(sample: list[int], unit: float) -> None:
    x = np.array(sample, dtype=float)
    a, b = measure_concentration(x), measure_concentration(x * unit)
    for name in ("gini", "top_1pct", "hhi", "share_zero", "largest_share"):
        assert getattr(b, name) == pytest.approx(getattr(a, name), rel=1e-9, abs=1e-12)


@given(samples, st.integers(2, 5))
@settings(deadline=None, derandomize=True)
def test_replicating_the_population(sample: list[int], times: int) -> None:
    once = measure_concentration(sample)
    often = measure_concentration(np.tile(sample, times))
    assert often.gini == pytest.approx(once.gini, abs=1e-12)
    assert often.hhi == pytest.approx(once.hhi / times, rel=1e-12)


def test_nothing_to_share_out() -> None:
    with pytest.raises(DataError, match="all values are zero"):
        measure_concentration([0, 0, 0])
