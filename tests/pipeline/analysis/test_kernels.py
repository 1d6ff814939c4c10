"""The kernel by age and of picked models: known kernels, and what the bundled tables give."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from baimo.estimation.attachment.kernel import fit_attachment_kernel
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.kernels import (
    FIRST_DAYS,
    KERNEL_POPULATIONS,
    KERNELS,
    calibrate_kernels,
    fit_kernels,
)
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.schema.derived import HUB_INCREMENTS, OTHER_INCREMENTS
from baimo.pipeline.sources.reference import load_companions
from baimo.pipeline.variables import DAYS_PER_YEAR, own_labels
from tests.pipeline.synthetic import day_of, likes_of_two_days

NO_HUB = pl.DataFrame(schema=HUB_INCREMENTS.schema)
NO_OTHERS = pl.DataFrame(schema=OTHER_INCREMENTS.schema)


def picked(population: str, theta: float, phi: float) -> pl.DataFrame:
    made = likes_of_two_days(theta, phi, n=6_000)
    renamed = made.rename({"likes_before": "before", "likes_after": "after"})
    return renamed.with_columns(population=pl.lit(population)).select(OTHER_INCREMENTS.names)


def test_each_population_has_its_own_kernel() -> None:
    others = pl.concat(
        [picked("leaderboard_2024", 1.0, 0.0), picked("registry_downloads", 0.7, -0.5)]
    )
    found = fit_kernels(NO_HUB, others)
    assert list(found) == ["leaderboard_2024", "registry_downloads"]
    for name, truth in (
        ("leaderboard_2024", {"theta": 1.0, "phi": 0.0}),
        ("registry_downloads", {"theta": 0.7, "phi": -0.5}),
    ):
        values, errors = found[name].statistics()
        for parameter, value in truth.items():
            assert abs(values[parameter] - value) < 4 * errors[parameter], (name, parameter)
        assert not found[name].whole


def test_models_are_parted_at_two_weeks_and_those_without_age_left_out() -> None:
    made = likes_of_two_days(1.0, 0.0, n=20_000).with_row_index()
    aged = made.with_columns(
        age=pl.when(pl.col("index") % 10 == 0).then(None).otherwise(pl.col("age") / 20)
    ).drop("index")
    found = fit_kernels(aged, NO_OTHERS)
    assert set(found) == {"first_days", "older"}
    old = (aged["age"] > FIRST_DAYS / DAYS_PER_YEAR).sum()
    young = aged["age"].count() - old
    for name, n in (("first_days", young), ("older", old)):
        kernel = found[name].kernel
        assert kernel is not None
        assert kernel.n_used == n
    assert found["first_days"].median_age_days < FIRST_DAYS < found["older"].median_age_days


def test_what_is_not_there_or_too_small_is_left_out() -> None:
    assert fit_kernels(NO_HUB, NO_OTHERS) == {}
    assert fit_kernels(likes_of_two_days(1.0, 0.0, n=50).head(1), NO_OTHERS) == {}


def test_it_is_a_calibration_that_exports_every_population() -> None:
    others = picked("leaderboard_2024", 1.0, 0.0)
    day = day_of({HUB_INCREMENTS: NO_HUB, OTHER_INCREMENTS: others})
    found = calibrate_kernels(day)
    calibration = next(c for c in CALIBRATIONS if c.stored is KERNELS)
    rows = {row["name"]: row for row in calibration.parameters(found)}
    kernel, small = found["leaderboard_2024"].kernel, found["leaderboard_2024"].without_largest
    assert kernel is not None
    assert small is not None
    assert rows["kernel_leaderboard_2024_theta"]["value"] == kernel.theta
    assert rows["kernel_leaderboard_2024_phi_without_largest"]["value"] == small.phi
    assert all("not the whole Hub" in row["notes"] for row in rows.values())
    assert calibration.shown(found)["leaderboard_2024_theta"] == kernel.theta


@pytest.fixture(scope="module")
def kernels() -> dict[str, KernelCalibration]:
    tables = load_companions()
    return fit_kernels(tables["hub_increments"], tables["other_increments"])


class TestMeasured:
    """What the bundled tables say; values of the recordings."""

    def test_theta_and_phi_of_every_population(self, kernels: dict[str, KernelCalibration]) -> None:
        found = {}
        for name, c in kernels.items():
            assert c.kernel is not None
            values, errors = c.statistics()
            pair = [(round(values[p], 2), round(errors[p], 2)) for p in ("theta", "phi")]
            found[name] = (c.kernel.n_used, *pair)
        assert found == {
            "first_days": (8_055, (1.05, 0.07), (-1.21, 0.18)),
            "older": (1_603, (0.79, 0.06), (-0.60, 0.12)),
            "leaderboard_2024": (5_451, (1.12, 0.11), (-1.36, 0.13)),
            "leaderboard_2025": (2_387, (0.99, 0.07), (-1.03, 0.13)),
            "leaderboard_to_2026": (3_466, (1.02, 0.12), (-0.50, 0.24)),
            "registry_downloads": (4_147, (1.08, 0.06), (-1.01, 0.14)),
        }
        assert list(found) == list(KERNEL_POPULATIONS)

    def test_without_the_ten_authors_of_the_largest_gains(
        self, kernels: dict[str, KernelCalibration]
    ) -> None:
        found = {}
        for name, c in kernels.items():
            small = c.without_largest
            assert small is not None
            assert small.phi is not None
            found[name] = (round(small.theta, 2), round(small.phi, 2))
        assert found == {
            "first_days": (0.86, -0.63),
            "older": (0.69, -0.39),
            "leaderboard_2024": (0.92, -1.04),
            "leaderboard_2025": (0.76, -0.77),
            "leaderboard_to_2026": (0.86, -0.60),
            "registry_downloads": (0.99, -0.93),
        }

    def test_the_recording_of_2026_is_of_first_days(
        self, kernels: dict[str, KernelCalibration]
    ) -> None:
        table = load_companions()["hub_increments"].drop_nulls(["age", "likes_before"])
        known = table.filter(pl.col("likes_after").is_not_null())
        ages = np.repeat(known["age"].to_numpy(), known["n_models"].to_numpy())
        zero = known.filter(pl.col("likes_before") == 0)["n_models"].sum()
        assert round(float(np.median(ages)) * DAYS_PER_YEAR, 1) == 3.1
        assert round(zero / ages.size, 2) == 0.79
        assert ages.size == sum(
            c.kernel.n_used for n in ("first_days", "older") if (c := kernels[n]).kernel
        )

    def test_the_floor_taken_for_a_date_makes_the_ages_of_the_first_list_shorter(self) -> None:
        """The Hub's floor, 2022-03-02, as if it were a birth: phi -1.25 for -1.36, 5,480 models."""
        rows = load_companions()["other_increments"].filter(
            pl.col("population") == "leaderboard_2024"
        )
        floor = (date(2024, 6, 19) - date(2022, 3, 2)).days / DAYS_PER_YEAR
        rows = rows.select(pl.all().repeat_by("n_models").explode())
        fit = fit_attachment_kernel(
            rows["before"].to_numpy(),
            rows["after"].to_numpy(),
            ages=rows["age"].fill_null(floor).to_numpy(),
            days=22,
            clusters=own_labels(rows["author"]),
        )
        assert fit.n_used == 5_480
        e = fit.estimates()
        assert e["theta"].value == pytest.approx(1.12, abs=0.005)
        assert e["theta"].std_error == pytest.approx(0.11, abs=0.005)
        assert e["phi"].value == pytest.approx(-1.25, abs=0.005)
        assert e["phi"].std_error == pytest.approx(0.16, abs=0.005)
