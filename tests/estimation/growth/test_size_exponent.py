"""The exponent of expected later size: closed form, an independent fit, coverage of its errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm

from baimo.estimation.errors import DataError
from baimo.estimation.growth.size_exponent import (
    exponents_without,
    fit_size_exponent,
    jackknife_error,
)


def sizes(n: int, seed: int, b: float = 0.9, sigma: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """Return sizes on two dates with E[s'|s] = 3 s^b and a tenth of them gone."""
    rng = np.random.default_rng(seed)
    before = np.exp(rng.normal(8.0, 1.0, n))
    noise = np.exp(sigma * rng.standard_normal(n) - 0.5 * sigma**2)
    gone = rng.random(n) < 0.1
    return before, np.where(gone, math.nan, 3.0 * before**b * noise / 0.9)


def test_a_power_without_noise_is_found_exactly() -> None:
    before = np.geomspace(1.0, 1e9, 50)
    fit = fit_size_exponent(before, 7.0 * before**0.8)
    assert fit.exponent == pytest.approx(0.8, abs=1e-9)
    assert fit.level == pytest.approx(math.log(7.0), abs=1e-7)
    assert fit.std_error < 1e-9
    assert (fit.n_used, fit.n_gone) == (50, 0)


def test_it_is_the_poisson_fit_of_statsmodels_with_the_gone_as_zeros() -> None:
    before, after = sizes(300, 1)
    fit = fit_size_exponent(before, after)
    y = np.nan_to_num(after, nan=0.0)
    design = sm.add_constant(np.log(before))
    other = sm.GLM(y / y.mean(), design, family=sm.families.Poisson()).fit(
        cov_type="HC3", tol=1e-14, maxiter=100
    )
    assert fit.exponent == pytest.approx(other.params[1], rel=1e-7)
    assert fit.level == pytest.approx(other.params[0] + math.log(y.mean()), rel=1e-7)
    leverage = other.get_hat_matrix_diag()
    score = design * ((y / y.mean() - other.mu) / (1.0 - leverage))[:, None]
    bread = np.linalg.inv(design.T @ (other.mu[:, None] * design))
    expected = math.sqrt((bread @ (score.T @ score) @ bread)[1, 1])
    assert fit.std_error == pytest.approx(expected, rel=1e-6)
    assert fit.n_gone == np.isnan(after).sum()


def test_units_and_where_the_search_begins_do_not_matter() -> None:
    before, after = sizes(200, 2)
    fit = fit_size_exponent(before, after)
    for other in (
        fit_size_exponent(before, after, start=-1.0),
        fit_size_exponent(before * 1e6, after * 1e6),
        fit_size_exponent(before, after * 1e-9),
    ):
        assert other.exponent == pytest.approx(fit.exponent, abs=1e-8)
        assert other.std_error == pytest.approx(fit.std_error, rel=1e-6)


def test_gibrat_growth_with_a_spread_that_falls_with_size_has_exponent_one() -> None:
    """The mean of logs has a slope then, since a wide spread of logs lowers it."""
    rng = np.random.default_rng(3)
    before = np.exp(rng.normal(8.0, 1.0, 40_000))
    sigma = np.clip(1.6 - 0.15 * np.log(before), 0.1, None)
    after = before * np.exp(sigma * rng.standard_normal(before.size) - 0.5 * sigma**2)
    fit = fit_size_exponent(before, after)
    assert abs(fit.exponent - 1.0) < 4 * fit.std_error < 0.1
    slope = np.polyfit(np.log(before), np.log(after / before), 1)[0]
    assert slope > 0.04


def test_the_robust_interval_covers_the_truth() -> None:
    found = [fit_size_exponent(*sizes(250, seed)) for seed in range(400)]
    covered = np.mean([abs(f.exponent - 0.9) < 1.96 * f.std_error for f in found])
    # .95 with 400 draws has a standard error of .011; sums of lognormal sizes cost a little
    assert covered > 0.95 - 0.03 - 2 * 0.011
    errors = [f.std_error for f in found]
    spread = np.std([f.exponent for f in found], ddof=1)
    assert np.mean(errors) == pytest.approx(spread, rel=0.2)


def test_the_jackknife_knows_that_clusters_share_their_luck() -> None:
    found, errors = [], []
    for seed in range(150):
        rng = np.random.default_rng([5, seed])
        cluster = rng.integers(0, 40, 400)
        before = np.exp(rng.normal(8.0, 0.7, 400) + rng.normal(0, 0.7, 40)[cluster])
        shared = np.exp(0.7 * rng.standard_normal(40))[cluster]
        after = before * shared * np.exp(0.2 * rng.standard_normal(400))
        groups = [np.flatnonzero(cluster == c) for c in range(40)]
        found.append(fit_size_exponent(before, after))
        errors.append(jackknife_error(exponents_without(before, after, groups)))
    spread = np.std([f.exponent for f in found], ddof=1)
    robust = np.mean([f.std_error for f in found])
    assert np.mean(errors) > 0.9 * spread > 1.5 * robust


def test_without_each_group_it_is_the_fit_to_the_rest() -> None:
    before, after = sizes(120, 4)
    groups = [np.arange(10), np.arange(10, 60), np.arange(5)]
    found = exponents_without(before, after, groups)
    for rows, value in zip(groups, found, strict=True):
        kept = np.setdiff1d(np.arange(120), rows)
        assert value == fit_size_exponent(before[kept], after[kept]).exponent
    assert np.isnan(exponents_without(before, after, [np.arange(110)])).all()


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(6).normal(0, 2, 50)
    without = (values.sum() - values) / 49
    expected = values.std(ddof=1) / math.sqrt(50)
    assert jackknife_error(without) == pytest.approx(expected, rel=1e-12)
    assert jackknife_error(np.append(without, math.nan)) == pytest.approx(expected, rel=1e-12)
    assert math.isnan(jackknife_error(np.array([1.0, math.nan])))


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (np.ones(30), np.ones(29), "must match"),
        (np.arange(1.0, 20.0), np.ones(19), "19 items exceed 0"),
        (np.ones(30), np.ones(30), "are equal"),
        (np.arange(1.0, 31.0), np.full(30, math.nan), "every item is gone"),
        (np.arange(1.0, 31.0), np.full(30, -1.0), "not negative"),
    ],
)
def test_what_cannot_be_fitted_is_refused(before: np.ndarray, after: np.ndarray, why: str) -> None:
    with pytest.raises(DataError, match=why):
        fit_size_exponent(before, after)
