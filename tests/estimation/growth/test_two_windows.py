"""Counts in two windows: slopes of least squares, correlations, and tastes that stay or change."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from scipy import stats

from baimo.estimation.errors import DataError
from baimo.estimation.growth.later_size import fit_later_size
from baimo.estimation.growth.on_size import fit_growth_on_size
from baimo.estimation.growth.two_windows import fit_two_windows

Counts = NDArray[np.int64]
YEARS = 1.5


def windows(n: int, seed: int) -> tuple[Counts, Counts]:
    """Return counts of heavy tail in two windows, the later ones with noise and regression."""
    rng = np.random.default_rng(seed)
    before = np.floor(10.0 * rng.pareto(0.8, n)).astype(np.int64)
    after = np.floor(2.0 * before**0.9 * rng.lognormal(0.0, 0.8, n)).astype(np.int64)
    return before, after


def pareto_tastes(n: int, zeta: float, rng: np.random.Generator) -> NDArray[np.float64]:
    return 3.0 * (1.0 - rng.random(n)) ** (-1.0 / zeta)


# --- slopes and correlations -------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_slopes_and_their_errors_are_those_of_statsmodels(seed: int) -> None:
    before, after = windows(800, seed)
    fit = fit_two_windows(before, after, years=YEARS, seed=seed)
    chosen = {
        "positive": (before > 0) & (after > 0),
        "above_100_earlier": (before > 100) & (after > 0),
        "above_100_both": (before > 100) & (after > 100),
    }
    assert fit.slopes.keys() - {"above_1000_earlier"} == chosen.keys()
    for name, kept in chosen.items():
        design = sm.add_constant(np.log(before[kept]))
        growth = np.log(after[kept] / before[kept]) / YEARS
        oracle = sm.OLS(growth, design).fit(cov_type="HC3")
        slope = fit.slopes[name]
        assert slope.value == pytest.approx(oracle.params[1], rel=1e-9)
        assert slope.std_error == pytest.approx(oracle.bse[1], rel=1e-9)
        assert slope.n_models == kept.sum()
        shown = fit.estimates()[f"size_slope_{name}"]
        assert (shown.value, shown.std_error) == (slope.value, slope.std_error)
    assert (fit.n_obs, fit.n_used) == (800, chosen["positive"].sum())


def test_owners_make_the_errors_and_a_power_stands_beside_every_slope() -> None:
    before, after = windows(3_000, 11)
    owners = np.random.default_rng(12).integers(0, 300, before.size)
    fit = fit_two_windows(before, after, years=YEARS, seed=1, clusters=owners)
    alone = fit_two_windows(before, after, years=YEARS, seed=1)
    both = (before > 0) & (after > 0)
    assert fit.n_clusters == np.unique(owners[both]).size
    assert alone.n_clusters is None
    assert any("owners are not known" in note for note in alone.notes)
    assert not any("owners are not known" in note for note in fit.notes)
    assert {"positive", "above_100_earlier", "above_1000_earlier"} < fit.slopes.keys()
    for name, above in (("positive", 0), ("above_100_earlier", 100), ("above_1000_earlier", 1000)):
        slope, kept = fit.slopes[name], (before > above) & (after > 0)
        by_size = fit_growth_on_size(before[kept], after[kept], years=YEARS, clusters=owners[kept])
        assert (slope.value, slope.std_error) == (by_size.slope, by_size.std_error)
        assert slope.value == alone.slopes[name].value
        assert slope.later == fit_later_size(before, after, above=above, clusters=owners)
        shown = fit.estimates()[f"later_on_earlier_{name}"]
        assert slope.later is not None
        assert (shown.value, shown.std_error) == (slope.later.exponent, slope.later.std_error)


@pytest.mark.parametrize("tail", [False, True])
def test_noise_of_the_earlier_window_is_taken_off(tail: bool) -> None:
    # Rates grow in proportion; the counts of the earlier window are blurred, which looks like
    # growth that falls with size over all, and changes nothing in a Pareto tail.
    n, noise = 40_000, 0.8
    rng = np.random.default_rng(13)
    logs = rng.exponential(1.5, n) + 1.0 if tail else rng.normal(9.0, 1.5, n)
    before = np.exp(logs + noise * rng.standard_normal(n)).astype(np.int64) + 1
    after = np.exp(logs + 0.3).astype(np.int64) + 1
    fit = fit_two_windows(before, after, years=1.0, seed=1)
    name = "above_100_earlier" if tail else "positive"
    slope = fit.slopes[name]
    corrected = fit.without_noise(name, noise)
    error = slope.std_error / (1.0 - noise**2 * slope.attenuation)
    if tail:
        assert abs(slope.value) < 4 * slope.std_error + 0.01
    else:
        assert slope.value < -20 * slope.std_error
        assert slope.attenuation == pytest.approx(1 / np.log(before).var(), rel=1e-9)
    assert abs(corrected) < 4 * error + 0.01  # counts are whole numbers
    assert math.isnan(fit.without_noise(name, 100.0)) or tail
    assert fit.without_noise(name, 0.0) == pytest.approx(slope.value, rel=1e-12)


def test_noise_that_parts_rates_that_stay_is_found_again() -> None:
    n, noise = 40_000, 1.1
    rng = np.random.default_rng(14)
    rates = rng.normal(8.0, 2.0, n)
    before, after = (
        np.exp(rates + noise * rng.standard_normal(n)).astype(np.int64) for _ in range(2)
    )
    fit = fit_two_windows(before, after, years=1.0, seed=1)
    # a correlation of 40,000 is known to (1 - r^2)/sqrt(n), small beside the rounding of counts
    assert fit.lasting_noise == pytest.approx(noise, rel=0.02)
    assert fit_two_windows(before, before, years=1.0, seed=1).lasting_noise < 1e-6


def test_a_choice_of_few_models_has_no_slope() -> None:
    before = np.arange(1, 121)
    fit = fit_two_windows(before, before[::-1], years=1.0, seed=0)
    assert fit.slopes.keys() == {"positive", "above_100_earlier"}  # none exceeds 100 in both


def test_correlations_are_of_all_models_zeros_included() -> None:
    before, after = windows(700, 3)
    fit = fit_two_windows(before, after, years=YEARS, seed=3)
    assert np.any((before == 0) & (after > 0)) or np.any((before > 0) & (after == 0))
    ranks = np.corrcoef(stats.rankdata(before), stats.rankdata(after))[0, 1]
    assert fit.rank_correlation == pytest.approx(ranks, rel=1e-12)
    logs = np.corrcoef(np.log(1.0 + before), np.log(1.0 + after))[0, 1]
    assert fit.log_correlation == pytest.approx(logs, rel=1e-12)


def test_growth_alike_has_no_slope_no_spread_and_lasting_ranks() -> None:
    before = np.arange(1, 501)
    fit = fit_two_windows(before, 8 * before, years=3.0, seed=0)
    assert fit.rank_correlation == pytest.approx(1.0, rel=1e-12)
    assert fit.decile_mean == pytest.approx([math.log(2.0)] * 10, rel=1e-12)
    assert fit.decile_sd == pytest.approx([0.0] * 10, abs=1e-12)
    assert [s.value for s in fit.slopes.values()] == pytest.approx([0.0] * 3, abs=1e-12)


# --- tastes ------------------------------------------------------------------------------


@pytest.mark.parametrize("zeta", [1.5, 2.5])
def test_tastes_that_stay_are_told_from_tastes_that_change(zeta: float) -> None:
    n = 4_000
    rng = np.random.default_rng(5)
    tastes = pareto_tastes(n, zeta, rng)
    before, after = rng.poisson(tastes), rng.poisson(1.5 * tastes)
    fit = fit_two_windows(before, after, years=YEARS, seed=1)
    assert fit.fixed_tastes_correlation is not None
    # one sample about the law, (1 - r^2)/sqrt(n), and as much again for the fitted zeta
    spread = math.sqrt(2.0) * (1.0 - fit.log_correlation**2) / math.sqrt(n)
    assert abs(fit.log_correlation - fit.fixed_tastes_correlation) < 4 * spread
    changed = rng.poisson(1.5 * rng.permutation(tastes))
    fit = fit_two_windows(before, changed, years=YEARS, seed=1)
    assert fit.fixed_tastes_correlation is not None
    assert abs(fit.log_correlation) < 4 / math.sqrt(n)
    assert fit.fixed_tastes_correlation > 0.4


def test_the_seed_draws_the_tastes_and_nothing_else() -> None:
    before, after = windows(300, 6)
    one, same, other = (fit_two_windows(before, after, years=1.0, seed=s) for s in (4, 4, 5))
    assert one.to_dict() == same.to_dict()
    assert one.fixed_tastes_correlation != other.fixed_tastes_correlation
    assert one.log_correlation == other.log_correlation


def test_an_earlier_window_without_a_tail_has_no_fixed_tastes() -> None:
    # Two counts that all but agree: an exponent beyond all bounds.
    before = np.tile([1000, 1001], 15)
    fit = fit_two_windows(before, np.arange(1, 31), years=1.0, seed=0)
    assert fit.fixed_tastes_correlation is None
    assert fit.estimates()["fixed_tastes_correlation"].value is None


# --- tenths ------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 12), min_size=20, max_size=150))
@settings(deadline=None, derandomize=True, max_examples=25)
def test_equal_counts_are_never_parted(sample: list[int]) -> None:
    before = np.array([*sample, 2, 3, 3, 7, 7, 7])
    after = np.random.default_rng(len(sample)).integers(1, 50, before.size)
    fit = fit_two_windows(before, after, years=1.0, seed=0)
    ordered = np.sort(before)
    ends = np.cumsum(fit.decile_models)
    assert ends[-1] == before.size
    assert 1 <= ends.size <= 10
    starts = np.append(0, ends[:-1])
    assert fit.decile_low.tolist() == ordered[starts].tolist()
    assert np.all(ordered[ends[:-1] - 1] < ordered[ends[:-1]])  # the last of one, first of next
    growth = np.log(after / before)
    for low, high, n, mean in zip(
        fit.decile_low,
        np.append(fit.decile_low[1:], np.inf),
        fit.decile_models,
        fit.decile_mean,
        strict=True,
    ):
        inside = (before >= low) & (before < high)
        assert n == inside.sum()
        assert mean == pytest.approx(growth[inside].mean(), rel=1e-9, abs=1e-12)


def test_different_counts_make_ten_groups_of_equal_size() -> None:
    before = np.random.default_rng(7).permutation(np.arange(1, 201))
    fit = fit_two_windows(before, before[::-1], years=1.0, seed=0)
    assert fit.decile_models.tolist() == [20] * 10
    assert fit.decile_low.tolist() == list(range(1, 201, 20))
    assert "growth_sd_from_181" in fit.estimates()


def test_the_error_of_the_spread_is_the_jackknife() -> None:
    rng = np.random.default_rng(8)
    before = np.repeat([10**6, 10**7], 400)
    after = np.round(before * np.exp(rng.laplace(0.0, 0.5, 800))).astype(np.int64)
    fit = fit_two_windows(before, after, years=YEARS, seed=0)
    growth = np.log(after / before) / YEARS
    for g, sd, error in zip(
        (growth[:400], growth[400:]), fit.decile_sd, fit.decile_sd_std_error, strict=True
    ):
        assert sd == pytest.approx(g.std(ddof=1), rel=1e-12)
        without = np.array([np.delete(g, i).std(ddof=1) for i in range(400)])
        jackknife = math.sqrt(399 / 400 * np.sum((without - without.mean()) ** 2))
        assert error == pytest.approx(jackknife, rel=0.02)  # they differ by terms of order 1/n


def test_a_group_of_one_model_has_no_spread() -> None:
    before = np.array([3] * 10 + [5] * 9 + [7])
    after = np.random.default_rng(9).integers(1, 40, 20)
    fit = fit_two_windows(before, after, years=1.0, seed=0)
    assert fit.decile_models.tolist() == [10, 9, 1]
    assert math.isnan(fit.decile_sd[2])
    assert fit.decile_sd[0] > 0


# --- refusals ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ([1, 2, 3, 0], [1, 2, 3, 4], "3 models have downloads in both windows"),
        ([*range(1, 20), 0, 50], [*range(1, 20), 50, 0], "19 models.*at least 20"),
        ([5] * 30, list(range(1, 31)), "of different size are needed"),
        ([2, *[1] * 19], list(range(1, 21)), "one item's growth alone"),
        (list(range(40)), list(range(30)), r"shapes \(40,\), \(30,\)"),
        ([-5, *range(1, 40)], list(range(40)), "not negative"),
        ([math.nan, *range(1, 40)], list(range(40)), "must be numbers"),
    ],
    ids=["three", "zeros", "equal", "all-but-one", "shapes", "negative", "nan"],
)
def test_too_few_models_are_refused(before: list[int], after: list[int], says: str) -> None:
    with pytest.raises(DataError, match=says):
        fit_two_windows(before, after, years=1.0, seed=0)


def test_models_that_vanish_are_said() -> None:
    before, after = windows(400, 10)
    after[before > 100] = 0
    after[before <= 100] += 1
    notes = fit_two_windows(before, after, years=1.0, seed=0).notes
    gone, there = np.sum(before > 100), np.sum(before > 0)
    assert notes[0].startswith(f"{gone} of {there} models with downloads in the earlier window")
    assert f"({gone} of the {gone} above 100)" in notes[0]
