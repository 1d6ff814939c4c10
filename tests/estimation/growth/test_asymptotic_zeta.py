"""The asymptotic zeta is a root with its delta-method error, and exists with turnover alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from baimo.estimation.growth.asymptotic_zeta import (
    ZetaBootstrap,
    asymptotic_zeta,
    bootstrap_asymptotic_zeta,
)
from baimo.estimation.growth.censored import CensoredGrowthFit, fit_censored_growth
from baimo.estimation.growth.entry import EntryTrendFit

Floats = NDArray[np.float64]
YEARS = 2.0


def trend(rate: float, std_error: float) -> EntryTrendFit:
    return EntryTrendFit(
        n_obs=24, n_used=24, rate=rate, std_error=std_error, interval=(rate - 1.0, rate + 1.0)
    )


def population(n: int, seed: int, exit_share: float = 0.3) -> tuple[Floats, Floats]:
    """Return sizes far above the threshold whose growth is skewed; some are gone."""
    rng = np.random.default_rng(seed)
    before = np.exp(rng.normal(18.0, 1.5, n))
    growth = 0.1 + 0.6 * rng.standard_normal(n) + 0.3 * (rng.exponential(1.0, n) - 1.0)
    after = before * np.exp(growth)
    after[: int(exit_share * n)] = math.nan
    return before, after


def fitted(exit_share: float = 0.3) -> CensoredGrowthFit:
    return fit_censored_growth(*population(500, 1, exit_share), years=YEARS, floor=1.0)


def root(m: float, s2: float, turnover: float) -> float:
    """Solve zeta m + zeta^2 s2/2 = turnover for zeta > 0."""
    return float(
        optimize.brentq(lambda z: z * m + z * z * s2 / 2 - turnover, 1e-9, 1e6, xtol=1e-14)
    )


@pytest.mark.parametrize("entry", [None, trend(0.4, 0.1), trend(-0.1, 0.05), trend(3.0, 0.3)])
def test_zeta_solves_its_equation(entry: EntryTrendFit | None) -> None:
    growth = fitted()
    zeta = asymptotic_zeta(growth, entry).value
    turnover = growth.exit_rate + (entry.rate if entry else 0.0)
    assert zeta == pytest.approx(root(growth.m, growth.sigma**2, turnover), rel=1e-9)


@pytest.mark.parametrize("entry", [None, trend(0.4, 0.1), trend(-0.1, 0.05)])
@pytest.mark.parametrize("exit_share", [0.0, 0.3])
def test_its_error_is_the_delta_method_by_numerical_derivatives(
    exit_share: float, entry: EntryTrendFit | None
) -> None:
    growth = fitted(exit_share)
    rate = entry.rate if entry else 0.0
    if growth.exit_rate + rate <= 0:
        assert asymptotic_zeta(growth, entry).value is None
        return
    at = np.array([growth.m, growth.sigma**2, growth.exit_rate + rate])
    h = 1e-5
    gradient = np.array([(root(*(at + h * e)) - root(*(at - h * e))) / (2 * h) for e in np.eye(3)])
    covariance = growth.covariance.copy()
    assert (covariance[2, 2] == 0.0) == (exit_share == 0.0)
    covariance[2, 2] += (entry.std_error if entry else 0.0) ** 2
    expected = math.sqrt(gradient @ covariance @ gradient)
    assert asymptotic_zeta(growth, entry).std_error == pytest.approx(expected, rel=1e-6)


def test_zipf_is_where_the_drift_of_the_level_is_the_turnover() -> None:
    growth = fitted()
    growth = replace(growth, exit_rate=0.5 * growth.mu)
    assert asymptotic_zeta(growth, trend(0.5 * growth.mu, 0.1)).value == pytest.approx(1.0)
    # more turnover leaves fewer the time to grow: a thinner tail
    assert (asymptotic_zeta(growth, trend(growth.mu, 0.1)).value or 0.0) > 1.0


@pytest.mark.parametrize("rate", [0.0, -0.3, -5.0])
def test_without_turnover_there_is_no_zeta(rate: float) -> None:
    growth = fitted(0.0)
    assert growth.exit_rate == 0.0
    found = asymptotic_zeta(growth, trend(rate, 0.1))
    assert (found.value, found.std_error) == (None, None)
    assert asymptotic_zeta(growth, None).value is None
    assert asymptotic_zeta(growth, trend(0.2, 0.1)).value is not None


# --- resamples ---------------------------------------------------------------------------


def bootstrap(
    before: Floats, after: Floats, groups: list[NDArray[np.int64]], entry: EntryTrendFit | None,
    seed: int = 3,
) -> ZetaBootstrap | None:  # fmt: skip
    return bootstrap_asymptotic_zeta(
        before, after, groups, entry, years=YEARS, floor=1.0, rng=np.random.default_rng(seed)
    )


def singles(n: int) -> list[NDArray[np.int64]]:
    return [np.array([i]) for i in range(n)]


def test_the_interval_is_that_of_the_delta_method() -> None:
    before, after = population(500, 1)
    entry = trend(0.4, 0.05)
    stated = asymptotic_zeta(fit_censored_growth(before, after, years=YEARS, floor=1.0), entry)
    found = bootstrap(before, after, singles(500), entry)
    assert found is not None
    assert found.low < (stated.value or 0.0) < found.high
    # A percentile of 400 draws errs by sqrt(p (1 - p)/400)/density = .134 standard deviations.
    within = 4 * 0.134 * math.sqrt(2) / (2 * 1.96)
    width = (found.high - found.low) / (2 * 1.96)
    assert abs(width / (stated.std_error or 0.0) - 1) < within
    assert found.without_tail == 0.0


def test_an_unsure_trend_widens_the_interval_and_may_leave_no_tail() -> None:
    before, after = population(400, 2)
    growth = fit_censored_growth(before, after, years=YEARS, floor=1.0)
    entry = trend(-0.15, 0.1)
    found = bootstrap(before, after, singles(400), entry)
    assert found is not None
    error = math.hypot(growth.std_errors[2] or 0.0, entry.std_error)
    share = stats.norm.cdf(-(growth.exit_rate + entry.rate) / error)
    assert 0.1 < share < 0.75
    assert abs(found.without_tail - share) < 4 * math.sqrt(share * (1 - share) / 400)
    sure = bootstrap(before, after, singles(400), trend(-0.15, 0.0))
    assert sure is not None
    assert found.without_tail > sure.without_tail
    assert found.high - found.low > sure.high - sure.low


def test_copies_in_a_group_leave_the_interval_as_it_is() -> None:
    before, after = population(120, 4)
    single = bootstrap(before, after, singles(120), None)
    groups = [np.arange(3 * i, 3 * i + 3) for i in range(120)]
    copies = bootstrap(np.repeat(before, 3), np.repeat(after, 3), groups, None)
    assert single is not None
    assert copies is not None
    # up to n - 1 against n in the variance
    assert (copies.low, copies.high) == pytest.approx((single.low, single.high), rel=0.01)
    alone = bootstrap(np.repeat(before, 3), np.repeat(after, 3), singles(360), None)
    assert alone is not None
    assert (alone.high - alone.low) < 0.75 * (single.high - single.low)


def test_too_few_resamples_with_a_tail_leave_no_interval() -> None:
    before, after = population(200, 5)
    assert bootstrap(before, after, singles(200), trend(-2.0, 0.1)) is None


def test_a_population_that_cannot_be_fitted_has_no_interval() -> None:
    before, after = population(12, 6)  # a resample of few groups may hold too few survivors
    assert bootstrap(before, after, singles(12), None) is None
