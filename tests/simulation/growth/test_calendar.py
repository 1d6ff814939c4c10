"""Drift by calendar: the integral against quadrature, one period against the GBM, draws."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from baimo.simulation.errors import ParameterError
from baimo.simulation.growth.calendar import DriftPath, Lives, lives_ccdf, simulate_lives
from baimo.simulation.growth.gbm import GrowthParams, mixture_ccdf

PATH = DriftPath(starts=np.array([2020.0, 2021.0, 2022.5]), drifts=np.array([4.0, -1.5, 0.25]))


def drift_at(t: float) -> float:
    return 4.0 if t < 2021.0 else -1.5 if t < 2022.5 else 0.25


@pytest.mark.parametrize(
    ("start", "end"),
    [(2019.0, 2019.5), (2019.2, 2020.7), (2020.3, 2023.9), (2021.0, 2022.5), (2023.0, 2030.0)],
)
def test_the_drift_gathered_is_the_integral(start: float, end: float) -> None:
    expected, _ = quad(drift_at, start, end, points=[2021.0, 2022.5], limit=200)
    assert PATH.between(start, end) == pytest.approx(expected, abs=1e-7)
    assert PATH.between(end, start) == pytest.approx(-expected, abs=1e-7)


def test_what_is_gathered_adds_up_over_a_life() -> None:
    times = np.linspace(2018.0, 2026.0, 41)
    parts = PATH.between(times[:-1], times[1:])
    assert parts.sum() == pytest.approx(float(PATH.between(2018.0, 2026.0)), abs=1e-9)


def lives_of(ages: np.ndarray, m: float, mean: float, sd: float) -> Lives:
    one = np.ones(ages.size)
    return Lives(ages=ages, drift=m * ages, entry_mean=mean * one, entry_sd=sd * one)


def test_one_period_and_one_entry_are_the_gbm() -> None:
    rng = np.random.default_rng(1)
    log_entry, ages = rng.normal(12.0, 4.0, 40), rng.choice([0.2, 1.1, 2.5], 60)
    params = GrowthParams(mu=-0.4 + 0.5 * 1.2**2, sigma=1.2)
    v = np.exp(np.linspace(-5.0, 30.0, 50))
    shape = (log_entry - log_entry.mean()) / log_entry.std()
    lives = lives_of(ages, -0.4, float(log_entry.mean()), float(log_entry.std()))
    expected = mixture_ccdf(params, v, log_entry, ages)
    assert lives_ccdf(lives, shape, 1.2, v) == pytest.approx(expected, abs=1e-12)


def test_draws_follow_the_mixture() -> None:
    rng = np.random.default_rng(2)
    n = 40_000
    ages = rng.choice([0.3, 1.0, 3.0], n)
    lives = Lives(
        ages=ages,
        drift=PATH.between(2023.5 - ages, 2023.5),
        entry_mean=np.where(ages > 2.0, 14.0, 12.0),
        entry_sd=np.where(ages > 2.0, 1.0, 3.0),
    )
    shape = np.array([-1.5, 0.0, 0.25, 1.25])
    drawn = simulate_lives(lives, shape, 0.8, rng)
    v = np.exp(np.array([8.0, 11.0, 13.0, 15.0, 18.0]))
    expected = lives_ccdf(lives, shape, 0.8, v)
    found = (drawn[:, None] > v).mean(axis=0)
    assert np.all(np.abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / n))


def test_without_spread_at_birth_it_is_a_lognormal() -> None:
    lives = lives_of(np.array([2.0]), 0.5, 10.0, 0.0)
    v = np.exp(np.array([9.0, 11.0, 12.0]))
    expected = ndtr((11.0 - np.log(v)) / (0.7 * np.sqrt(2.0)))
    assert lives_ccdf(lives, [0.0], 0.7, v) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize(
    ("starts", "drifts"),
    [
        ([], []),
        ([1.0, 1.0], [0.0, 0.0]),
        ([1.0], [0.0, 1.0]),
        ([1.0, np.nan], [0.0, 0.0]),
        ([1.0], [np.inf]),
    ],
)
def test_what_is_no_path_is_refused(starts: list[float], drifts: list[float]) -> None:
    with pytest.raises(ParameterError):
        DriftPath(starts=np.array(starts, dtype=float), drifts=np.array(drifts, dtype=float))


def test_what_is_no_life_is_refused() -> None:
    with pytest.raises(ParameterError, match="ages"):
        lives_of(np.array([0.0]), 0.0, 1.0, 1.0)
    with pytest.raises(ParameterError, match="entry_sd"):
        lives_of(np.array([1.0]), 0.0, 1.0, -1.0)
