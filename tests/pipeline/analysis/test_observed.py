"""The data are measured as every simulated sample is, and what came next is added."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.observed import observed_statistics
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.analysis.summary_statistics import UNDATED, CohortSample, measure_sample
from baimo.pipeline.analysis.two_dates import measure_growth, two_dates
from baimo.pipeline.statistics import GROWTH
from baimo.pipeline.variables import LIKES, TVL, hub_counts
from tests.pipeline.synthetic import fits_of, kernel_of, likes_of_two_days, population


@pytest.fixture(scope="module")
def fits(frequency: pl.DataFrame) -> dict[str, SizeFits]:
    counts = hub_counts(frequency, LIKES)
    tvl = population(800, 7)["tvl_before"].to_numpy()
    return {
        "likes": fits_of(np.repeat(counts.values, counts.multiplicities)),
        "tvl": fits_of(tvl, TVL),
    }


@pytest.fixture(scope="module")
def kernel(frequency: pl.DataFrame) -> KernelCalibration:
    return kernel_of(likes_of_two_days(1.0, 0.0, n=6_000), frequency)


def test_the_data_go_through_the_same_function(
    seen: dict[str, CohortSample], fits: dict[str, SizeFits]
) -> None:
    likes = fits["likes"]
    table = population(800, 7)
    found = observed_statistics(seen, {"likes": likes}, None, table)["likes"]
    expected = measure_sample(seen["likes"], LIKES, likes.tail.x_min, scanned=True)
    assert found == pytest.approx(expected, nan_ok=True)
    # the x_min of the data is the one that was scanned for
    assert found["zeta"] == found["zeta_scanned"] == likes.tail.zeta
    assert found["x_min"] == likes.tail.x_min
    assert found["tail_items"] == pytest.approx(math.log10(1 + likes.tail.n_tail))


def test_without_cohorts_the_whole_sample_is_measured_with_the_growth_that_followed(
    fits: dict[str, SizeFits],
) -> None:
    table, tvl = population(800, 7), fits["tvl"]
    found = observed_statistics({}, fits, None, table)
    sizes = measure_sample({UNDATED: tvl.counts}, TVL, tvl.tail.x_min, scanned=True)
    growth = measure_growth(*two_dates(table))
    assert growth.keys() == {s.name for s in GROWTH}
    assert found["tvl"] == pytest.approx(sizes | growth, nan_ok=True)
    assert not found["likes"].keys() & {*growth, "young_in_tail", "theta"}


def test_likes_of_two_days_count_where_they_are_of_the_whole_hub(
    seen: dict[str, CohortSample], fits: dict[str, SizeFits], kernel: KernelCalibration
) -> None:
    table = population(800, 7)
    whole = observed_statistics(seen, fits, kernel, table)
    values, _ = kernel.statistics()
    assert {name: whole["likes"][name] for name in values} == values
    assert values.keys() == {"theta", "phi", "psi"}
    part = replace(kernel, whole=False)
    assert not observed_statistics(seen, fits, part, table)["likes"].keys() & values.keys()
