"""Normal, Student and chi-square laws have the very bits of scipy.stats."""

import math

import numpy as np
import pytest
from scipy import stats

from baimo.estimation.laws import (
    chi2_ppf,
    chi2_sf,
    normal_cdf,
    normal_pdf,
    normal_ppf,
    normal_sf,
    t_cdf,
    t_ppf,
    t_sf,
)

VALUES = [-30.0, -4.2, -1.0, 0.0, 0.3, 1.96, 7.5, 30.0, math.inf, -math.inf]
SHARES = [1e-300, 1e-8, 0.025, 0.5, 0.75, 0.975, 0.999]
DEGREES = [0.7, 1.0, 3.2, 19.0, 400.0, math.inf]


@pytest.mark.parametrize("x", VALUES)
def test_the_normal_law(x: float) -> None:
    assert normal_cdf(x) == stats.norm.cdf(x)
    assert normal_sf(x) == stats.norm.sf(x)
    assert normal_pdf(x) == stats.norm.pdf(x)


def test_the_normal_law_of_an_array() -> None:
    x = np.array(VALUES)
    np.testing.assert_array_equal(normal_cdf(x), stats.norm.cdf(x))


@pytest.mark.parametrize("p", SHARES)
def test_the_normal_quantile(p: float) -> None:
    assert normal_ppf(p) == stats.norm.ppf(p)


@pytest.mark.parametrize("df", DEGREES)
def test_students_law(df: float) -> None:
    for x in VALUES:
        assert t_cdf(x, df) == stats.t.cdf(x, df)
        assert t_sf(x, df) == stats.t.sf(x, df)
    for p in SHARES:
        assert t_ppf(p, df) == stats.t.ppf(p, df)


@pytest.mark.parametrize("df", [d for d in DEGREES if math.isfinite(d)])
def test_the_chi_square_law(df: float) -> None:
    for x in [0.0, 1e-9, 0.4, 3.84, 60.0, 1500.0]:
        assert chi2_sf(x, df) == stats.chi2.sf(x, df)
    for p in SHARES[1:]:
        assert chi2_ppf(p, df) == stats.chi2.ppf(p, df)
