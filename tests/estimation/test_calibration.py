"""Calibration: size and power of the goodness-of-fit test, coverage of every interval of a tail.

The figures in `estimation/README.md` are those of `tests/benchmarks/calibration.py`; these tests
hold them.
"""

import math

import pytest

from tests.benchmarks.calibration import (
    ALPHAS,
    POWER_SIZES,
    SIZES,
    WAYS,
    covered_share,
    power,
    rejected_share,
)


def test_size_is_at_most_nominal_quick() -> None:
    share = rejected_share(400, 2.5, True, 120, seed=1)
    assert share <= 0.1 + 3 * math.sqrt(0.09 / 120)


def test_power_against_a_lognormal_quick() -> None:
    # .99 or more in the full test; fewer than 16 of 20 then happen once in 10^7.
    assert power(10_000, True, "x_min = 15", 20) >= 0.8


@pytest.mark.full
@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("n", SIZES)
def test_size(n: int, alpha: float, discrete: bool) -> None:
    runs = 1000
    share = rejected_share(n, alpha, discrete, runs, seed=2)
    print(f"\nsize at nominal .1: n {n}, alpha {alpha}, discrete {discrete}: {share:.3f}")
    assert share <= 0.1 + 3 * math.sqrt(0.09 / runs)


@pytest.mark.full
@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
def test_power(discrete: bool) -> None:
    shares = {way: [power(n, discrete, way, 200) for n in POWER_SIZES] for way in WAYS}
    print(f"\npower against a lognormal, discrete {discrete}, n {POWER_SIZES}: {shares}")
    assert shares["x_min = 15"][3] >= 0.9
    assert shares["n_tail_min = n/10"][4] >= 0.9


@pytest.mark.full
@pytest.mark.parametrize("discrete", [True, False], ids=["discrete", "continuous"])
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("n", SIZES)
def test_coverage(n: int, alpha: float, discrete: bool) -> None:
    runs = 1000
    shares = covered_share(n, alpha, discrete, runs)
    print(f"\ncoverage of 95 %: n {n}, alpha {alpha}, discrete {discrete}: {shares}")
    error = math.sqrt(0.95 * 0.05 / runs)
    for name in ("Wald, x_min given", "profile, x_min given", "clustered, x_min given"):
        assert abs(shares[name] - 0.95) < 3 * error, name
