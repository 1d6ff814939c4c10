"""What lognormal rates say of the kernel: no attachment, and yet theta near one, phi near minus."""

from dataclasses import replace

import polars as pl
import pytest

from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.kernels import fit_kernels
from baimo.pipeline.models.rates_kernel import BY_AGE, kernels_of_rates
from baimo.pipeline.schema.derived import OTHER_INCREMENTS
from baimo.pipeline.sources.reference import load_companions
from tests.pipeline.synthetic import likes_of_two_days, rates_of


@pytest.fixture(scope="module")
def kernels() -> dict[str, KernelCalibration]:
    others = pl.DataFrame(schema=OTHER_INCREMENTS.schema)
    return fit_kernels(likes_of_two_days(1.0, 0.0, n=6_000), others)


def test_constant_rates_look_like_attachment_that_ages(
    kernels: dict[str, KernelCalibration],
) -> None:
    """Of rates that do not change E[gain | L, age] rises with L and falls with age."""
    found = kernels_of_rates(kernels, rates_of(0.5, 1.0, 1.0))
    assert set(found) <= set(BY_AGE)
    old = found["older"]
    assert 0.5 < old.theta < 1.3
    assert old.phi < -0.5
    assert old.theta_sd > 0


def test_of_a_population_without_a_kernel_or_gains_nothing_is_predicted(
    kernels: dict[str, KernelCalibration],
) -> None:
    rates = rates_of(0.5, 1.0, 1.0)
    assert kernels_of_rates({}, rates) == {}
    old = kernels["older"]
    assert kernels_of_rates({"leaderboard_2024": old}, rates) == {}
    assert kernels_of_rates({"older": replace(old, kernel=None)}, rates) == {}
    assert kernels_of_rates({"older": replace(old, total_gain=0.0)}, rates) == {}


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
