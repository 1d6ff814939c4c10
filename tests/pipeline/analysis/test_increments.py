"""Likes of two days: the kernel in the data."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from baimo.estimation.attachment.kernel import kernel_point
from baimo.estimation.results import decode, encode
from baimo.pipeline.analysis.increments import KernelCalibration, fit_increments
from baimo.pipeline.schema.derived import HUB_INCREMENTS
from tests.pipeline.synthetic import (
    A_MONTH_BEFORE,
    DAY,
    N_INCREMENTS,
    hub_frequency,
    kernel_of,
    likes_of_two_days,
)


@pytest.fixture(scope="module")
def frequency() -> pl.DataFrame:
    return hub_frequency(N_INCREMENTS, 3)


@pytest.fixture(scope="module")
def proportional(frequency: pl.DataFrame) -> KernelCalibration:
    return kernel_of(likes_of_two_days(1.0, 0.0), frequency)


# --- the data ----------------------------------------------------------------------------


def test_the_kernel_of_the_data_is_found(proportional: KernelCalibration) -> None:
    found, errors = proportional.statistics()
    for name, truth in (("theta", 1.0), ("phi", 0.0), ("psi", 0.5)):
        assert abs(found[name] - truth) < 4.0 * errors[name], name
    assert proportional.whole
    assert (proportional.days, proportional.before_on) == (30, A_MONTH_BEFORE.isoformat())
    assert proportional.inflow.eta == pytest.approx(proportional.total_gain / 30, rel=1e-12)
    assert proportional.without_largest is not None
    assert proportional.without_largest.n_used < N_INCREMENTS


def test_cells_hold_every_model_once_and_give_the_fit_of_the_models(
    proportional: KernelCalibration,
) -> None:
    c = proportional
    assert c.items.sum() == N_INCREMENTS
    assert c.stock.size < N_INCREMENTS
    table = likes_of_two_days(1.0, 0.0)
    gain = (table["likes_after"] - table["likes_before"]).to_numpy()
    keys = {key: i for i, key in enumerate(zip(c.stock, c.age, strict=True))}
    small = table["likes_before"].to_numpy() < 10
    sums = np.zeros(c.stock.size)
    for key, g in zip(
        zip(table["likes_before"].to_numpy()[small], table["age"].to_numpy()[small], strict=True),
        gain[small],
        strict=True,
    ):
        sums[keys[key]] += g
    sums[c.stock >= 10] = gain[~small]  # one by one, in the order of the rows
    assert c.kernel is not None
    theta, offset, phi = kernel_point(c.stock, c.age, sums, c.items.astype(float))
    assert theta == pytest.approx(c.kernel.theta, abs=1e-7)
    assert phi == pytest.approx(c.kernel.phi, abs=1e-7)
    assert offset == pytest.approx(c.kernel.offset, rel=1e-6)


def test_models_without_author_or_age_or_second_day(frequency: pl.DataFrame) -> None:
    table = likes_of_two_days(1.0, 0.0).with_row_index()
    some = pl.col("index") % 10
    odd = table.with_columns(
        author=pl.when(some == 0).then(None).otherwise("author"),
        age=pl.when(some == 1).then(None).otherwise("age"),
        likes_after=pl.when(some == 2).then(None).otherwise("likes_after"),
        likes_before=pl.when(some == 3).then(None).otherwise("likes_before"),
    ).drop("index")
    found = kernel_of(odd, frequency)
    assert found.kernel is not None
    assert found.kernel.n_used == 0.7 * N_INCREMENTS
    assert (found.inflow.n_new, found.inflow.n_removed) == (0.1 * N_INCREMENTS, 0.1 * N_INCREMENTS)
    named = odd["author"].drop_nulls().n_unique()
    assert named < (found.kernel.n_clusters or 0) <= named + 0.1 * N_INCREMENTS


def test_another_population_is_not_the_whole(frequency: pl.DataFrame) -> None:
    assert not kernel_of(likes_of_two_days(1.0, 0.0, DAY + timedelta(days=700)), frequency).whole
    assert not kernel_of(likes_of_two_days(1.0, 0.0, n=N_INCREMENTS // 2), frequency).whole
    assert fit_increments(pl.DataFrame(schema=HUB_INCREMENTS.schema), frequency, DAY) is None


def test_what_the_data_refuse_is_said_and_stops_nothing(frequency: pl.DataFrame) -> None:
    table = likes_of_two_days(1.0, 0.0)
    still = table.with_columns(likes_after=pl.col("likes_before"))
    found = kernel_of(still, frequency)
    assert found.kernel is None
    assert any("gained nothing" in note for note in found.notes)
    assert found.statistics() == ({}, {})


def test_it_survives_the_lake(proportional: KernelCalibration) -> None:
    again = decode(encode(proportional))
    assert again.statistics() == proportional.statistics()
    np.testing.assert_array_equal(again.items, proportional.items)
