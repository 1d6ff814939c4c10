"""Other kernels and starts: on made-up likes whose kernel is known, and on none."""

from dataclasses import replace

import polars as pl
import pytest

from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.attachment_variants import (
    ATTACHMENT_VARIANTS,
    COMPARED,
    FADING,
    GROWTH,
    SUPERLINEAR,
    AttachmentVariants,
    calibrate_variants,
)
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from baimo.pipeline.statistics import SHARE_ZERO, TOP_1PCT
from baimo.pipeline.variables import LIKES, expand
from tests.pipeline.synthetic import day_of, fits_of, hub_frequency, rates_of


def day_with(frequency: pl.DataFrame) -> Day:
    fits = fits_of(expand(hub_frequency(6_000, 3), "n_models")["likes"].to_numpy(), LIKES)
    rates = rates_of(0.5, 1.0, 1.2)
    return day_of({HUB_FREQUENCY: frequency, TAILS["likes"]: fits, RATES_FIT: {"likes": rates}})


@pytest.fixture(scope="module")
def found() -> AttachmentVariants:
    variants = calibrate_variants(day_with(hub_frequency(6_000, 3)))
    assert variants is not None
    return variants


def test_likes_of_a_linear_kernel_without_ageing_are_seen_as_such(
    found: AttachmentVariants,
) -> None:
    linear, power, superlinear, unequal = found.variants
    assert [v.name for v in found.variants] == ["linear", "power", "superlinear", "unequal"]
    assert linear.fit.theta == 1.0
    assert (superlinear.fit.theta, superlinear.fit.phi) == (SUPERLINEAR, pytest.approx(FADING))
    assert superlinear.fit.log_likelihood < linear.fit.log_likelihood < power.fit.log_likelihood
    for name, truth in (("gamma", 0.8), ("a", 2.0), ("phi", 0.0)):
        e = linear.fit.estimates()[name]
        assert abs((e.value or 0.0) - truth) < 4 * (e.std_error or 0.0)
    theta = power.fit.estimates()["theta"]
    assert abs((theta.value or 0.0) - 1.0) < 4 * (theta.std_error or 0.0)
    assert found.beyond(linear) == []
    # the kernel has equal starts: a spread of them takes likelihood
    assert unequal.fit.gamma / (1 + unequal.fit.phi) == pytest.approx(GROWTH)
    assert unequal.fit.log_likelihood < linear.fit.log_likelihood


def test_no_size_passes_the_largest_observed(found: AttachmentVariants) -> None:
    assert found.largest == hub_frequency(6_000, 3)["likes"].max()


def test_beyond_is_what_differs_by_more_than_the_margin_or_is_not_there(
    found: AttachmentVariants,
) -> None:
    data = {s.name: found.observed[s.name] for s in found.compared}
    near = data | {SHARE_ZERO.name: data[SHARE_ZERO.name] + 0.99 * SHARE_ZERO.margin}
    far = data | {SHARE_ZERO.name: data[SHARE_ZERO.name] - 1.01 * SHARE_ZERO.margin}
    lacking = {name: value for name, value in data.items() if name != TOP_1PCT.name}
    one = found.variants[0]
    assert found.beyond(replace(one, statistics=near)) == []
    assert found.beyond(replace(one, statistics=far)) == [SHARE_ZERO]
    assert found.beyond(replace(one, statistics=lacking)) == [TOP_1PCT]
    assert set(found.compared) <= set(COMPARED)


def test_without_likes_there_is_none() -> None:
    none = hub_frequency(500, 1).with_columns(likes=pl.lit(0, pl.Int64))
    assert calibrate_variants(day_with(none)) is None


def test_it_exports_what_was_estimated(found: AttachmentVariants) -> None:
    calibration = next(c for c in CALIBRATIONS if c.stored is ATTACHMENT_VARIANTS)
    rows = {row["name"]: row for row in calibration.parameters(found)}
    assert rows["pa_births_likes_power_theta"]["value"] == found.variants[1].fit.theta
    assert len(rows) == 3 + 4 + 2 + 3
    shown = calibration.shown(found)
    assert shown["linear"] == "within all margins"
    assert calibration.shown(None) == {"variants": "no likes of items of known age"}
    assert list(calibration.parameters(None)) == []
