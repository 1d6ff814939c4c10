"""Growth against size is least squares of logs: statsmodels, Gibrat's law and known spreads."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray

from baimo.estimation.errors import DataError
from baimo.estimation.growth.on_size import (
    Errors,
    bootstrap_growth_on_size,
    fit_growth_on_size,
)

Floats = NDArray[np.float64]
# Standard deviation of log |Z|, Z standard normal: half of a log chi-square of one degree.
LOG_ABS_NORMAL = math.pi / math.sqrt(8)


def sizes(n: int, seed: int, slope: float = 0.0, spread: float = 0.0) -> tuple[Floats, Floats]:
    """Return sizes on two dates a year apart; growth has a slope and a spread s^spread."""
    rng = np.random.default_rng(seed)
    logs = rng.normal(5.0, 2.0, n)
    noise = 0.5 * np.exp(spread * (logs - 5.0)) * rng.standard_normal(n)
    return np.exp(logs), np.exp(logs + 0.1 + slope * (logs - 5.0) + noise)


@pytest.mark.parametrize("errors", ["HC1", "HC3"])
@pytest.mark.parametrize("years", [0.5, 3.0])
def test_slope_and_error_are_those_of_statsmodels(years: float, errors: Errors) -> None:
    before, after = sizes(60, 1, slope=-0.2, spread=0.3)
    fit = fit_growth_on_size(before, after, years=years, errors=errors)
    x = sm.add_constant(np.log(before))
    oracle = sm.OLS(np.log(after / before) / years, x).fit(cov_type=errors)
    assert fit.slope == pytest.approx(oracle.params[1], rel=1e-9)
    assert fit.std_error == pytest.approx(oracle.bse[1], rel=1e-9)
    spread = sm.OLS(np.log(np.abs(oracle.resid)), x).fit()
    assert fit.spread_slope == pytest.approx(spread.params[1], rel=1e-7)
    logs = np.corrcoef(np.log(before), np.log(after))
    assert fit.autocorrelation == pytest.approx(logs[0, 1], rel=1e-12)
    assert fit.n_used == 60


def test_with_owners_the_error_is_the_jackknife_over_them() -> None:
    before, after = sizes(120, 4, spread=0.2)
    owners = np.random.default_rng(5).integers(0, 30, 120)
    fit = fit_growth_on_size(before, after, years=2.0, clusters=owners)
    without = [
        fit_growth_on_size(before[owners != o], after[owners != o], years=2.0).slope
        for o in np.unique(owners)
    ]
    g = len(without)
    assert fit.n_clusters == g
    jackknife = math.sqrt((g - 1) / g * np.sum((np.array(without) - fit.slope) ** 2))
    assert fit.std_error == pytest.approx(jackknife, rel=1e-9)
    assert fit.slope == fit_growth_on_size(before, after, years=2.0).slope


def test_items_are_chosen_by_both_sizes_and_the_missing_are_gone() -> None:
    before, after = sizes(400, 2)
    after[::9] = math.nan
    kept = (before > 50.0) & (np.nan_to_num(after) > 80.0)
    chosen = fit_growth_on_size(before, after, years=1.0, above=50.0, floor=80.0)
    assert chosen == fit_growth_on_size(before[kept], after[kept], years=1.0)
    assert 0 < kept.sum() == chosen.n_used < 400
    # a size of exactly the floor does not exceed it
    edge = fit_growth_on_size(before, after, years=1.0, above=float(before[kept].min()))
    assert edge.n_used == np.sum(np.isfinite(after) & (before > before[kept].min()))


@pytest.mark.parametrize("errors", ["HC1", "HC3"])
def test_a_slope_and_a_spread_that_depend_on_size_are_recovered(errors: Errors) -> None:
    n = 20_000
    fit = fit_growth_on_size(*sizes(n, 3, slope=-0.1, spread=-0.2), years=1.0, errors=errors)
    assert abs(fit.slope + 0.1) < 4 * fit.std_error
    assert abs(fit.spread_slope + 0.2) < 4 * LOG_ABS_NORMAL / (2.0 * math.sqrt(n))


def test_a_floor_on_the_later_date_lowers_the_slope_and_one_on_the_earlier_does_not() -> None:
    before, after = sizes(20_000, 4)  # Gibrat's law
    whole = fit_growth_on_size(before, after, years=1.0)
    earlier = fit_growth_on_size(before, after, years=1.0, above=100.0)
    both = fit_growth_on_size(before, after, years=1.0, above=100.0, floor=100.0)
    for fit in (whole, earlier):
        assert abs(fit.slope) < 4 * fit.std_error
        assert abs(fit.spread_slope) < 4 * LOG_ABS_NORMAL / math.sqrt(fit.n_used)
    assert both.slope < -4 * both.std_error


def test_errors_are_the_spread_of_the_slope() -> None:
    runs = 400
    fits = [fit_growth_on_size(*sizes(80, 100 + i, spread=0.3), years=1.0) for i in range(runs)]
    spread = float(np.std([f.slope for f in fits], ddof=1))
    # HC3 errs upwards by half of the leverage where the squared scores are: (1 + z^2)/80 with
    # weights z^2 exp(1.2 z), z standard normal, is 6.6/80.
    stated = float(np.sqrt(np.mean([f.std_error**2 for f in fits])))
    assert abs(spread / stated - 1) < 4 / math.sqrt(2 * (runs - 1)) + 0.04


@pytest.mark.parametrize(
    ("before", "after", "options", "says"),
    [
        (np.arange(1.0, 20.0), np.arange(1.0, 20.0), {}, "19 items exceed 0 before and 0 after"),
        (np.arange(1.0, 40.0), np.arange(1.0, 40.0), {"above": 25.0}, "14 items exceed 25"),
        (np.arange(1.0, 40.0), np.arange(1.0, 40.0), {"floor": 25.0}, "0 before and 25 after"),
        (np.arange(1.0, 40.0), np.full(39, math.nan), {}, "0 items"),
        (np.arange(1.0, 10.0), np.arange(1.0, 10.0), {"fewest": 10}, "at least 10 are needed"),
        (np.full(30, 5.0), np.arange(1.0, 31.0), {}, "all sizes before are equal"),
        (np.append(np.ones(25), 5.0), np.arange(1.0, 27.0), {}, "all sizes before but one"),
        (np.arange(1.0, 40.0), np.arange(1.0, 30.0), {}, r"shapes \(39,\), \(29,\)"),
        (np.arange(1.0, 40.0), np.arange(1.0, 40.0), {"years": -1.0}, "years = -1 must be"),
        (np.arange(1.0, 40.0), np.arange(1.0, 40.0), {"years": math.nan}, "years = nan must be"),
    ],
    ids=["few", "above", "floor", "gone", "fewest", "equal", "but-one", "shapes", "back", "nan"],
)
def test_refusals(before: Floats, after: Floats, options: dict, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_growth_on_size(before, after, **({"years": 1.0} | options))


def test_as_few_as_allowed_make_a_regression() -> None:
    before, after = sizes(10, 5)
    assert fit_growth_on_size(before, after, years=1.0, fewest=10).n_used == 10


# --- resamples ---------------------------------------------------------------------------


def test_bootstrap_errors_are_the_known_spreads() -> None:
    n, runs = 2_000, 400
    before, after = sizes(n, 6)
    groups = [np.array([i]) for i in range(n)]
    errors = bootstrap_growth_on_size(
        before, after, groups, years=1.0, floor=0.0, rng=np.random.default_rng(7)
    )
    correlation = 2.0 / math.hypot(2.0, 0.5)
    known = {
        "slope": 0.5 / (2.0 * math.sqrt(n)),
        "spread_slope": LOG_ABS_NORMAL / (2.0 * math.sqrt(n)),
        "autocorrelation": (1.0 - correlation**2) / math.sqrt(n),
    }
    assert errors.keys() == known.keys()
    # Of 400 resamples, and of one sample whose squared scores have a kurtosis of nine at most.
    within = 4 * math.sqrt(1 / (2 * runs) + 8 / (4 * n))
    for name, error in known.items():
        assert abs(errors[name] / error - 1) < within, name


def test_copies_in_a_group_tell_nothing_new() -> None:
    before, after = sizes(100, 8)
    options = {"years": 1.0, "floor": 1.0, "n_replications": 50}
    single = bootstrap_growth_on_size(
        before, after, [np.array([i]) for i in range(100)], rng=np.random.default_rng(9), **options
    )
    groups = [np.arange(4 * i, 4 * i + 4) for i in range(100)]
    copies = bootstrap_growth_on_size(
        np.repeat(before, 4), np.repeat(after, 4), groups, rng=np.random.default_rng(9), **options
    )
    assert copies == pytest.approx(single, rel=1e-8)
    alone = bootstrap_growth_on_size(
        np.repeat(before, 4),
        np.repeat(after, 4),
        [np.array([i]) for i in range(400)],
        rng=np.random.default_rng(9),
        **options,
    )
    # four copies taken for four items: half the error, within the noise of 50 resamples each
    assert abs(2 * alone["slope"] / single["slope"] - 1) < 4 * math.sqrt(2 / (2 * 50))


def test_resamples_that_cannot_be_fitted_leave_no_errors() -> None:
    before, after = sizes(100, 10)
    groups = [np.array([i]) for i in range(100)]
    floor = float(np.sort(np.minimum(before, after))[-12])  # eleven items are above on both dates
    rng = np.random.default_rng(11)
    found = bootstrap_growth_on_size(
        before, after, groups, years=1.0, floor=floor, rng=rng, n_replications=40
    )
    assert found == {}
