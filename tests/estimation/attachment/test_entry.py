"""Entry from ages: the truncated exponential's likelihood equation, limits and its error."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize

from baimo.estimation.attachment.entry import age_variance, fit_entry
from baimo.estimation.errors import DataError
from tests.estimation.attachment.ages import draw_ages


@pytest.mark.parametrize("rate", [-0.8, 0.0, 0.05, 1.0, 4.0], ids=lambda v: f"rate={v:g}")
def test_entry_recovers_the_rate_with_its_error(rate: float) -> None:
    n, runs, horizon = 1500, 500, 3.0
    rng = np.random.default_rng(22)
    fits = [fit_entry(draw_ages(rate, horizon, n, rng), horizon=horizon) for _ in range(runs)]
    found = np.array([f.rate for f in fits])
    spread = found.std(ddof=1)
    stated = float(np.mean([f.std_error for f in fits]))
    # bias of the maximum, of order rate/n, is a hundredth of one error
    assert abs(found.mean() - rate) < 4 * spread / math.sqrt(runs) + 2 * max(abs(rate), 1 / 3) / n
    assert abs(spread / stated - 1) < 4 / math.sqrt(2 * (runs - 1))


@pytest.mark.parametrize("mean", [0.05, 0.4, 0.999, 1.0, 1.001, 1.3, 1.9])
def test_entry_solves_the_likelihood_equation(mean: float) -> None:
    # 1/r - T/(e^(rT) - 1) = mean age; oracle: maximise the likelihood numerically.
    horizon = 2.0
    fit = fit_entry([mean, mean], horizon=horizon)

    def cost(r: float) -> float:
        x = r * horizon
        if abs(x) < 1e-8:
            return math.log(horizon) + r * (mean - horizon / 2)
        return math.log(-math.expm1(-x) / r) + r * mean

    best = optimize.minimize_scalar(
        cost, bounds=(-60, 60), method="bounded", options={"xatol": 1e-10}
    ).x
    assert fit.rate == pytest.approx(best, abs=1e-5 * max(1.0, abs(best)))
    assert fit.mean_age == mean
    # the fitted law has that mean, by quadrature, and its variance is the information
    for power, expected in ((1, mean), (2, None)):
        weight = integrate.quad(lambda t: math.exp(-fit.rate * t), 0, horizon)[0]
        moment = integrate.quad(lambda t, p=power: t**p * math.exp(-fit.rate * t), 0, horizon)[0]
        if expected is not None:
            assert moment / weight == pytest.approx(expected, rel=1e-8)
        else:
            variance = moment / weight - mean**2
            assert fit.std_error == pytest.approx(1 / math.sqrt(2 * variance), rel=1e-6)


def test_entry_is_continuous_and_odd_about_uniform_ages() -> None:
    # Mean age T/2 + h gives -rate of T/2 - h; the series near rate 0 joins the closed form.
    horizon = 4.0
    for h in (1e-9, 1e-6, 1e-4, 3.3e-4, 3.4e-4, 1e-3, 0.1):
        low = fit_entry([2.0 - h, 2.0 - h], horizon=horizon)
        high = fit_entry([2.0 + h, 2.0 + h], horizon=horizon)
        assert low.rate == pytest.approx(-high.rate, abs=1e-9)
        assert low.rate == pytest.approx(12 * h / horizon**2, rel=0.01)
        assert low.std_error == pytest.approx(high.std_error, rel=1e-8)
        assert low.std_error == pytest.approx(math.sqrt(12 / 2) / horizon, rel=0.01)


def test_entry_with_a_long_history_is_one_over_the_mean_age() -> None:
    ages = np.random.default_rng(1).exponential(0.5, 400)
    fit = fit_entry(ages, horizon=200.0)
    assert fit.rate == pytest.approx(1 / ages.mean(), rel=1e-12)
    assert fit.std_error == pytest.approx(fit.rate / 20, rel=1e-9)


def test_entry_of_very_young_items() -> None:
    # All items entered in the last thousandth of the history: the rate is 1/mean age, as above.
    fit = fit_entry([0.0005, 0.0015], horizon=5.0)
    assert fit.rate == pytest.approx(1000.0, rel=1e-9)


def test_entry_weights_are_repetitions() -> None:
    ages, weights = np.array([0.2, 0.7, 1.4]), np.array([5, 1, 2])
    a = fit_entry(ages, weights, horizon=2.0)
    b = fit_entry(np.repeat(ages, weights), horizon=2.0)
    assert (a.n_obs, a.n_used) == (b.n_obs, b.n_used) == (8, 8)
    assert a.rate == pytest.approx(b.rate, rel=1e-12)
    assert a.std_error == pytest.approx(b.std_error, rel=1e-12)


def test_entry_design_effect_scales_the_error() -> None:
    plain = fit_entry([0.2, 0.7, 1.4], horizon=2.0)
    wide = fit_entry([0.2, 0.7, 1.4], horizon=2.0, design_effect=4.0)
    assert wide.std_error == pytest.approx(2 * plain.std_error, rel=1e-14)


@pytest.mark.parametrize(
    ("ages", "weights", "says"),
    [
        ([], None, "fewer than two"),
        ([0.5], None, "fewer than two"),
        ([0.5, -0.1], None, "between 0 and the horizon"),
        ([0.5, 2.1], None, "between 0 and the horizon"),
        ([0.5, math.nan], None, "between 0 and the horizon"),
        ([0.0, 0.0], None, "equal to a bound"),
        ([2.0, 2.0], None, "equal to a bound"),
        ([0.5, 1.0], [3], ""),
    ],
    ids=["empty", "one", "negative", "beyond", "nan", "all-zero", "all-at-horizon", "lengths"],
)
def test_entry_refusals(ages: list[float], weights: list[int] | None, says: str) -> None:
    with pytest.raises(DataError, match=says or None):
        fit_entry(ages, weights, horizon=2.0)


@pytest.mark.parametrize("rate", [-300.0, -2.0, 0.0, 1e-4, 0.7, 3.0, 400.0])
def test_the_variance_of_ages_is_that_of_the_truncated_exponential(rate: float) -> None:
    horizon = 2.0

    def moment(k: int) -> float:
        top = max(-rate * horizon, 0.0)
        where = 0.0 if rate > 0 else horizon
        return integrate.quad(
            lambda t: t**k * math.exp(-rate * t - top), 0, horizon, points=[where], limit=400
        )[0]

    mean = moment(1) / moment(0)
    assert age_variance(rate, horizon) == pytest.approx(
        moment(2) / moment(0) - mean**2, rel=1e-5, abs=1e-12
    )
