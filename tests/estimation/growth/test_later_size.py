"""The later size as a power of the earlier: statsmodels, simulated powers, and whole owners."""

import math
import re

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray

from baimo.estimation.errors import DataError
from baimo.estimation.growth.later_size import fit_later_size
from baimo.estimation.growth.on_size import fit_growth_on_size

Floats = NDArray[np.float64]


def sizes(n: int, seed: int, power: float = 1.0, exits: float = 0.0) -> tuple[Floats, Floats]:
    """Return Pareto sizes and what becomes of them: lognormal noise of mean one, some vanish."""
    rng = np.random.default_rng(seed)
    before = 10.0 * (1.0 - rng.random(n)) ** (-1.0 / 2.5)
    noise = rng.lognormal(-0.18, 0.6, n) * (rng.random(n) >= exits)
    return before, 3.0 * before**power * noise


@pytest.mark.parametrize("power", [0.5, 1.0, 1.3])
def test_it_is_the_poisson_regression_of_statsmodels(power: float) -> None:
    before, after = sizes(300, 1, power, exits=0.2)
    fit = fit_later_size(before, after)
    design = sm.add_constant(np.log(before))
    oracle = sm.GLM(after, design, family=sm.families.Poisson()).fit(tol=1e-12)
    assert fit.exponent == pytest.approx(oracle.params[1], abs=1e-7)
    assert (fit.n_used, fit.n_gone) == (300, int((after == 0).sum()))
    assert fit.n_clusters is None


def test_its_error_is_the_jackknife_over_owners() -> None:
    before, after = sizes(200, 2)
    owners = np.random.default_rng(3).integers(0, 60, 200)
    fit = fit_later_size(before, after, clusters=owners)
    without = np.array(
        [
            fit_later_size(before[owners != o], after[owners != o]).exponent
            for o in np.unique(owners)
        ]
    )
    g = without.size
    jackknife = math.sqrt((g - 1) / g * np.sum((without - fit.exponent) ** 2))
    assert fit.n_clusters == g
    assert fit.std_error == pytest.approx(jackknife, rel=0.05)  # one step of Newton for each


def test_the_power_is_recovered_within_its_error_and_the_error_covers() -> None:
    runs, power = 200, 0.8
    fits = []
    for i in range(runs):
        rng = np.random.default_rng(100 + i)
        before = np.exp(rng.normal(3.0, 0.5, 400))
        noise = rng.lognormal(-0.18, 0.6, 400) * (rng.random(400) >= 0.1)
        fits.append(fit_later_size(before, 3.0 * before**power * noise))
    z = np.array([(f.exponent - power) / f.std_error for f in fits])
    covered = np.mean(np.abs(z) < 1.96)
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / runs)
    found = np.array([f.exponent for f in fits])
    assert abs(found.mean() - power) < 4 * found.std(ddof=1) / math.sqrt(runs)


def test_growth_in_proportion_in_the_mean_is_none_of_survivors_logs() -> None:
    # The spread of growth falls with size: E[s'|s] = 3 s exactly, but log growth rises with s.
    rng = np.random.default_rng(5)
    before = np.exp(rng.normal(5.0, 1.0, 40_000))
    spread = np.clip(1.6 - 0.2 * np.log(before), 0.1, 1.5)
    after = 3.0 * before * np.exp(spread * rng.standard_normal(before.size) - spread**2 / 2.0)
    fit = fit_later_size(before, after)
    logs = fit_growth_on_size(before, after, years=1.0)
    assert abs(fit.exponent - 1.0) < 4 * fit.std_error
    assert logs.slope > 10 * logs.std_error


def test_items_are_chosen_by_the_earlier_size_alone() -> None:
    before, after = sizes(500, 6, exits=0.3)
    after[3::10] = math.nan  # gone as well as zero
    fit = fit_later_size(before, after, above=20.0)
    kept = before > 20.0
    again = fit_later_size(before[kept], np.nan_to_num(after[kept]))
    assert fit == again
    assert fit.n_used == kept.sum()
    assert fit.n_gone == np.sum(np.nan_to_num(after[kept]) == 0)


def test_units_do_not_matter() -> None:
    before, after = sizes(100, 7)
    one, other = fit_later_size(before, after), fit_later_size(1e6 * before, 1e-3 * after)
    assert other.exponent == pytest.approx(one.exponent, rel=1e-9)
    assert other.std_error == pytest.approx(one.std_error, rel=1e-7)


UP = np.arange(1.0, 41.0)


@pytest.mark.parametrize(
    ("before", "after", "options", "says"),
    [
        (UP, UP[:-1], {}, "shapes (40,), (39,)"),
        (-UP, UP, {}, "not negative"),
        (UP, -UP, {}, "not negative"),
        (np.where(UP == 3, np.nan, UP), UP, {}, "must be finite"),
        (UP, UP, {"above": -1.0}, "not negative"),
        (UP, UP, {"above": 25.0}, "15 items exceed 25 before; at least 20"),
        (np.full(40, 2.0), UP, {}, "all sizes before are equal"),
        (UP, np.zeros(40), {}, "all items are gone"),
        (UP, UP, {"clusters": np.zeros(40)}, "in one cluster"),
        (UP, UP, {"clusters": np.zeros(3)}, "40 items but 3 cluster labels"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    before: Floats, after: Floats, options: dict[str, object], says: str
) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        fit_later_size(before, after, **options)  # type: ignore[arg-type]
