"""What lognormal rates say of the kernel: no attachment, and yet theta near one, phi near minus."""

import polars as pl
import pytest

from baimo.pipeline.analysis.kernels import KERNELS, fit_kernels
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.models.rates_kernel import (
    BY_AGE,
    RATES_KERNEL,
    RatesKernel,
    kernels_of_rates,
    predict_kernels,
)
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.schema.derived import OTHER_INCREMENTS
from baimo.pipeline.sources.reference import load_companions
from tests.pipeline.synthetic import day_of, likes_of_two_days, rates_of


@pytest.fixture(scope="module")
def day() -> Day:
    others = pl.DataFrame(schema=OTHER_INCREMENTS.schema)
    kernels = fit_kernels(likes_of_two_days(1.0, 0.0, n=6_000), others)
    return day_of({KERNELS: kernels, RATES_FIT: {"likes": rates_of(0.5, 1.0, 1.0)}})


def test_constant_rates_look_like_attachment_that_ages(day: Day) -> None:
    """Of rates that do not change E[gain | L, age] rises with L and falls with age."""
    found = predict_kernels(day)
    assert set(found) <= set(BY_AGE)
    old = found["older"]
    assert 0.5 < old.theta < 1.3
    assert old.phi < -0.5
    assert old.theta_sd > 0


def test_without_rates_or_without_a_kernel_nothing_is_predicted(day: Day) -> None:
    assert predict_kernels(day_of({KERNELS: day.read(KERNELS), RATES_FIT: {}})) == {}
    assert predict_kernels(day_of({KERNELS: {}, RATES_FIT: day.read(RATES_FIT)})) == {}


def test_it_is_a_calibration_with_a_number_for_each_age(day: Day) -> None:
    calibration = next(c for c in CALIBRATIONS if c.stored is RATES_KERNEL)
    one = RatesKernel(n_obs=9, n_used=9, theta=1.0, phi=-1.0, theta_sd=0.1, phi_sd=0.1)
    assert calibration.shown({"older": one}) == {"older_theta": 1.0, "older_phi": -1.0}
    rows = {row["name"]: row["value"] for row in calibration.parameters({"older": one})}
    assert rows == {"fitness_kernel_older_theta": 1.0, "fitness_kernel_older_phi": -1.0}


def test_of_the_bundled_day_they_miss_the_older_models() -> None:
    """Observed .79 (.06) and -.60 (.12): without attachment gains would be as likes over age."""
    tables = load_companions()
    kernels = fit_kernels(tables["hub_increments"], tables["other_increments"])
    rates = rates_of(-5.2344, 3.4180, 0.3881)  # fitted to the likes of 2024-07-11
    older = kernels_of_rates(kernels, rates)["older"]
    assert older.theta == pytest.approx(1.01, abs=4 * older.theta_sd / 20**0.5 + 0.005)
    assert older.phi == pytest.approx(-0.98, abs=4 * older.phi_sd / 20**0.5 + 0.005)
    observed, errors = kernels["older"].statistics()
    assert older.theta - observed["theta"] > 3 * errors["theta"]
    assert observed["phi"] - older.phi > 3 * errors["phi"]
