"""Tests and intervals that know clusters, with owners as uneven as the Hub's: size and coverage.

The table in `tests/benchmarks/README.md` is that of `tests/benchmarks/clustered_size.py`; these
tests hold it in fewer samples.
"""

import math

import numpy as np
import pytest
from scipy import special

from tests.benchmarks.clustered_size import (
    LEVEL,
    Tail,
    cohort_tests,
    covered,
    distances,
    equal_fit,
    index_tests,
    owners_of,
    ratios,
    tails,
    zeta_quantiles,
)

RUNS = 200
# The targets, and three Monte Carlo errors: size .03 to .07, coverage .93 to .97.
ERROR = 3 * math.sqrt(LEVEL * (1 - LEVEL) / RUNS)
LOWEST, HIGHEST = 0.03 - ERROR, 0.07 + ERROR
DOWNLOADS, _, LIKES = tails()
MEASURES = pytest.mark.parametrize("tail", [DOWNLOADS, LIKES], ids=["downloads", "likes"])


def test_the_owners_are_those_of_the_tails() -> None:
    for measure, items, owners, largest in (
        ("downloads", 3_926, 974, 652),
        ("likes", 5_095, 1_695, 402),
    ):
        found = owners_of(measure)
        assert (found.sum(), found.size, found.max()) == (items, owners, largest)


def test_counts_are_exact_quantiles() -> None:
    survival = np.array([1.0, 0.9, 0.5, 1e-3, 1e-5])
    found = zeta_quantiles(survival, 1.97, 23.0)
    for x, s in zip(found, survival, strict=True):
        above, beyond = (special.zeta(1.97, x + i) / special.zeta(1.97, 23.0) for i in (0, 1))
        assert beyond < s <= above


def test_power_law_and_exponential_fit_equally_well() -> None:
    x = equal_fit()((np.arange(10**6) + 0.5) / 10**6)
    log, mean = np.mean(np.log(x)), np.mean(x)
    # Both at their best: log zeta - (zeta + 1) E log x with zeta E log x = 1, and log rate - 1.
    assert -math.log(log) - 1 - log == pytest.approx(-math.log(mean - 1) - 1, abs=1e-4)


@pytest.mark.full
@MEASURES
def test_size_and_power_of_the_distance(tail: Tail) -> None:
    p = distances(tail, tail.counts, RUNS, 10)
    assert LOWEST < np.mean(p <= LEVEL) < HIGHEST
    power = np.mean(distances(tail, tail.lognormal, 100, 11) <= LEVEL)
    assert power > {"downloads": 0.35, "likes": 0.75}[tail.name]


@pytest.mark.full
@MEASURES
def test_size_of_the_other_tests(tail: Tail) -> None:
    p = index_tests(tail, RUNS, 12)
    assert LOWEST < np.mean(p[:, 0] <= LEVEL) < HIGHEST
    assert LOWEST < np.mean(p[:, 2] <= LEVEL) < HIGHEST
    z = np.abs(ratios(tail, equal_fit(), "exponential", False, RUNS, 13))
    assert LOWEST < np.mean(z[:, 0] > 1.96) < HIGHEST
    assert np.mean(z[:, 1] > 1.96) > 0.15  # as if items were independent


@pytest.mark.full
@MEASURES
def test_coverage(tail: Tail) -> None:
    own, _ = covered(tail, RUNS, 14)
    assert 0.93 - ERROR < own < min(1.0, 0.97 + ERROR)


@pytest.mark.full
def test_size_of_the_cohort_test() -> None:
    owners = np.repeat(np.arange(LIKES.owners.size), LIKES.owners)
    cohort = owners % 5  # an owner's models are of one age, the hardest case
    p, _ = cohort_tests(LIKES, owners, cohort, RUNS, 15)
    assert LOWEST < np.mean(p[:, 0] <= LEVEL) < HIGHEST
