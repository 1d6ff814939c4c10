"""Holm's correction against statsmodels, and tests with a margin against their nulls."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from baimo.estimation.errors import DataError
from baimo.estimation.predictive.equivalence import holm, margin_tests


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_holm_against_statsmodels(n: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(4):
        p = rng.random(n) ** 3
        assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.5]) == [1.0, 1.0]
    assert holm([0.0, 1.0]) == [0.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("p", [[-0.1], [1.1], [math.nan], [0.5, math.nan]])
def test_holm_refuses_what_is_no_p_value(p: list[float]) -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        holm(p)


@pytest.mark.parametrize("gap", [-0.5, -0.1, -0.02, 0.0, 0.07, 0.1, 0.3])
def test_margin_tests_are_two_one_sided_tests_and_the_interval_null(gap: float) -> None:
    margin, error = 0.1, 0.05
    matches, misses = margin_tests(gap, margin, error)
    lower = stats.norm.sf((gap + margin) / error)  # against a difference of -margin or less
    upper = stats.norm.cdf((gap - margin) / error)
    assert matches == pytest.approx(max(lower, upper), rel=1e-12)
    # largest probability of so large a gap over all differences within the margin
    within = np.linspace(-margin, margin, 401)
    chance = stats.norm.sf((abs(gap) - within) / error) + stats.norm.cdf(
        (-abs(gap) - within) / error
    )
    assert misses == pytest.approx(chance.max(), rel=1e-9)
    t = margin_tests(gap, margin, error, df=7)
    assert t[0] == pytest.approx(stats.t(7).cdf((abs(gap) - margin) / error), rel=1e-12)


def test_limits_of_the_margin_tests() -> None:
    assert margin_tests(0.05, 0.1, 0.0) == (0.0, 1.0)  # known exactly
    assert margin_tests(-0.15, 0.1, 0.0) == (1.0, 0.0)
    assert margin_tests(0.1, 0.1, 0.0) == (1.0, 0.0)
    matches, misses = margin_tests(0.0, 0.1, 1e6)  # nothing known
    assert matches == pytest.approx(0.5, abs=1e-6)
    assert misses == 1.0
    # a margin of nothing is the usual two-sided test
    assert margin_tests(0.3, 1e-12, 0.1)[1] == pytest.approx(2 * stats.norm.sf(3.0), rel=1e-6)
