"""The trend of entry is a Poisson regression whose error holds under overdispersion."""

import math

import numpy as np
import pytest

from baimo.estimation.errors import DataError
from baimo.estimation.growth.entry import fit_entry_growth
from tests.estimation.recovery import check_recovery


def test_entry_growth_recovery() -> None:
    # 24 months of Poisson entry growing at .8 a year from 30 a month.
    rng = np.random.default_rng(73)
    means = 30 * np.exp(0.8 * np.arange(24) / 12)
    fits = [fit_entry_growth(rng.poisson(means), step_years=1 / 12) for _ in range(400)]
    found = np.array([f.rate for f in fits])
    stated = np.array([f.std_error for f in fits], dtype=float)
    check_recovery(found, stated, 0.8)
    # Student's t with 22 degrees: 95 % of the intervals hold the truth, 3 binomial errors around.
    held = np.mean([f.interval[0] <= 0.8 <= f.interval[1] for f in fits])
    assert abs(held - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 400)


def test_entry_growth_error_widens_with_overdispersion() -> None:
    # Negative binomial entry with variance 5 times the mean: quasi-Poisson, scale Pearson's X2.
    rng = np.random.default_rng(74)
    means = 60 * np.exp(0.5 * np.arange(36) / 12)
    fits = [
        fit_entry_growth(rng.negative_binomial(means / 4, 0.2), step_years=1 / 12)
        for _ in range(400)
    ]
    found = np.array([f.rate for f in fits])
    stated = np.array([f.std_error for f in fits], dtype=float)
    check_recovery(found, stated, 0.5)


def test_entry_growth_of_an_exact_exponential() -> None:
    entries = 1000 * np.exp(0.3 * np.arange(8))
    found = fit_entry_growth(entries, step_years=0.5)
    assert found.rate == pytest.approx(0.6, rel=1e-8)


def test_entry_growth_scales_with_the_step() -> None:
    entries = [3, 5, 4, 9, 12, 11]
    month, year = (fit_entry_growth(entries, step_years=s) for s in (1 / 12, 1.0))
    assert month.rate == pytest.approx(12 * year.rate, rel=1e-6)
    assert month.std_error == pytest.approx(12 * year.std_error, rel=1e-6)


@pytest.mark.parametrize(
    "entries",
    [[], [5, 6, 7], [3, 4, -1, 6], [3, 4, math.nan, 6], [0, 0, 0, 0]],
    ids=["empty", "three", "negative", "nan", "zeros"],
)
def test_entry_growth_refusals(entries: list[float]) -> None:
    with pytest.raises(DataError):
        fit_entry_growth(entries, step_years=1.0)
