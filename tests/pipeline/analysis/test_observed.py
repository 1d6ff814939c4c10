"""The data are measured as every simulated sample is, with errors that know of clusters."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from baimo.estimation.tails.cohorts import fit_cohorts
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.observed import observed_errors, observed_statistics
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.analysis.summary_statistics import UNDATED, CohortSample, measure_sample
from baimo.pipeline.analysis.two_dates import growth_errors, measure_growth, two_dates
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
    expected = measure_sample(seen["likes"], discrete=True, x_min=likes.tail.x_min)
    assert found == pytest.approx(expected, nan_ok=True)
    assert found["zeta"] == likes.tail.zeta
    assert found["tail_items"] == pytest.approx(math.log10(1 + likes.tail.n_tail))


def test_without_cohorts_the_whole_sample_is_measured_with_the_growth_that_followed(
    fits: dict[str, SizeFits],
) -> None:
    table, tvl = population(800, 7), fits["tvl"]
    found = observed_statistics({}, fits, None, table)
    sizes = measure_sample({UNDATED: tvl.counts}, discrete=False, x_min=tvl.tail.x_min)
    growth = measure_growth(*two_dates(table))
    assert growth.keys() == {"size_slope", "spread_slope", "autocorrelation"}
    assert found["tvl"] == pytest.approx(sizes | growth, nan_ok=True)
    assert not found["likes"].keys() & {*growth, "young_in_tail", "theta"}


def test_likes_of_two_days_count_where_they_are_of_the_whole_hub(
    seen: dict[str, CohortSample], fits: dict[str, SizeFits], kernel: KernelCalibration
) -> None:
    table = population(800, 7)
    whole = observed_statistics(seen, fits, kernel, table)
    values, errors = kernel.statistics()
    assert {name: whole["likes"][name] for name in values} == values
    assert values.keys() == {"theta", "phi", "psi"}
    part = replace(kernel, whole=False)
    assert not observed_statistics(seen, fits, part, table)["likes"].keys() & values.keys()
    found = observed_errors(whole, fits, {}, kernel, table)["likes"]
    assert {name: found[name] for name in errors} == errors
    assert not observed_errors(whole, fits, {}, part, table)["likes"].keys() & errors.keys()


def test_errors_are_those_of_clusters(
    seen: dict[str, CohortSample], fits: dict[str, SizeFits]
) -> None:
    table, likes = population(800, 7), fits["likes"]
    tail = fit_tail(likes.counts, x_min=2.0)
    independent, clustered = (
        {**fits, "likes": replace(likes, judged=replace(likes.judged, tail=t))}
        for t in (tail, replace(tail, design_effect=4.0))
    )
    statistics = observed_statistics(seen, independent, None, table)
    plain = observed_errors(statistics, independent, {}, None, table)
    wide = observed_errors(statistics, clustered, {}, None, table)
    share = statistics["likes"]["young_in_tail"]
    assert 0.05 < share < 0.95
    binomial = math.sqrt(share * (1 - share) / tail.n_tail)
    assert plain["likes"] == pytest.approx({"zeta": tail.std_error, "young_in_tail": binomial})
    assert wide["likes"] == pytest.approx({k: 2 * v for k, v in plain["likes"].items()})
    assert plain["tvl"] == {"zeta": fits["tvl"].tail.std_error, **growth_errors(table)}
    assert wide["tvl"] == plain["tvl"]


def test_the_oldest_cohort_has_an_error_where_all_cohorts_were_fitted(
    seen: dict[str, CohortSample], fits: dict[str, SizeFits]
) -> None:
    table, rng = population(800, 7), np.random.default_rng(1)
    statistics = observed_statistics(seen, fits, None, table)
    sizes, ages = rng.zipf(2.0, 2_000), rng.random(2_000)
    five = fit_cohorts(sizes, ages, x_min=1.0, n_cohorts=5)
    errors = observed_errors(statistics, fits, {"likes": five}, None, table)["likes"]
    assert errors["zeta_oldest"] == five.std_error[-1]
    four = fit_cohorts(sizes, ages, x_min=1.0, n_cohorts=4)
    errors = observed_errors(statistics, fits, {"likes": four}, None, table)["likes"]
    assert "zeta_oldest" not in errors
