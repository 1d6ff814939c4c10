"""Dated items are cut into fifths by age; the tail of each is measured above the x_min of all."""

import math
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.cohorts import (
    COHORTS,
    Cohorts,
    cohort_zetas,
    count_by_cohort,
    cut_cohorts,
    measure_cohorts,
    observed_by_cohort,
)
from baimo.pipeline.analysis.sizes import TAILS, SizeFits
from baimo.pipeline.analysis.summary_statistics import UNDATED, CohortSample, Simulated, pooled
from baimo.pipeline.lake.results import Stored
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.schema.derived import HUB_COVARIANCES, HUB_FREQUENCY
from baimo.pipeline.schema.table import Table
from baimo.pipeline.variables import (
    DOWNLOADS,
    LIKES,
    N_COHORTS,
    hub_ages,
    hub_counts,
)
from tests.pipeline.synthetic import (
    DAY,
    N_OLD,
    calibrated,
    day_of,
    fits_of,
    hub_frequency,
)

NO_COVARIANCES = pl.DataFrame(schema=HUB_COVARIANCES.schema)


class TestCohorts:
    def test_dated_items_are_cut_into_fifths(
        self, frequency: pl.DataFrame, attachment: AttachmentCalibration
    ) -> None:
        cut = attachment.cohorts
        n = int(frequency["n_models"].sum())
        assert cut.n_all == n
        assert cut.n_undated == N_OLD
        ages = cut.age_of_each(-1.0)
        assert np.all(ages[:N_OLD] == -1.0)
        assert np.all(np.diff(ages) >= 0)
        assert ages.size == n
        parts = cut.split(np.arange(n))  # every item with its place: undated first, then by age
        assert list(parts) == [UNDATED, *range(N_COHORTS)]
        places = {c: part.values.astype(int) for c, part in parts.items()}
        assert np.array_equal(np.concatenate(list(places.values())), np.arange(n))
        largest_day = cut.n_items.max()
        for c in range(N_COHORTS):  # each age is in one cohort: from its edge on, below the next
            assert abs(places[c].size - (n - N_OLD) / N_COHORTS) <= largest_day
            inside = ages[places[c]]
            assert cut.edges[c] <= inside.min() <= inside.max() < cut.edges[c + 1]

    def test_the_data_by_cohort_are_the_data(
        self,
        frequency: pl.DataFrame,
        attachment: AttachmentCalibration,
        seen: dict[str, CohortSample],
    ) -> None:
        cut = attachment.cohorts
        for measure in (DOWNLOADS, LIKES):
            drawn = seen[measure.name]
            assert set(drawn) == {UNDATED, *range(N_COHORTS)}
            whole, again = hub_counts(frequency, measure), pooled(drawn)
            assert np.array_equal(again.values, whole.values)
            assert np.array_equal(again.multiplicities, whole.multiplicities)
            cut_alike = cut.split(np.zeros(cut.n_all, dtype=int))
            assert {c: k.n_obs for c, k in drawn.items()} == {
                c: k.n_obs for c, k in cut_alike.items()
            }
            assert drawn[UNDATED].n_obs == N_OLD
        assert seen["likes"][UNDATED].values.tolist() == [0, 40]
        assert seen["likes"][UNDATED].multiplicities.tolist() == [N_OLD - 300, 300]

    def test_a_cohort_by_hand(self, attachment: AttachmentCalibration) -> None:
        cut = attachment.cohorts
        table = pl.DataFrame(
            {
                "age": [None, float(cut.edges[1]), float(cut.edges[1]) - 1e-9, float(cut.ages[-1])],
                "likes": [9, 2, 2, 5],
                "n_models": [1, 2, 3, 4],
            }
        )
        found = count_by_cohort(table, "likes", cut)
        assert {c: (k.values.tolist(), k.multiplicities.tolist()) for c, k in found.items()} == {
            UNDATED: ([9], [1]), 0: ([2], [3]), 1: ([2], [2]), 4: ([5], [4]),
        }  # fmt: skip

    def test_the_cut_of_a_table_is_that_of_its_calibration(
        self, frequency: pl.DataFrame, attachment: AttachmentCalibration
    ) -> None:
        small = hub_frequency(500, 12)
        for table, fit, n_old in ((frequency, attachment, N_OLD), (small, calibrated(small), 0)):
            found, other = cut_cohorts(table, DAY), fit.cohorts
            assert np.array_equal(found.edges, other.edges)
            assert np.array_equal(found.ages, other.ages)
            assert np.array_equal(found.n_items, other.n_items)
            assert found.n_undated == other.n_undated == n_old

    def test_sizes_are_split_by_hand(self) -> None:
        ages, n_items = np.array([0.5, 1.0, 2.0]), np.array([2, 1, 2])
        cut = Cohorts(np.array([0.0, 0.8, 3.0]), ages, n_items, 1)
        assert cut.n_all == 6
        assert cut.age_of_each(9.0).tolist() == [9.0, 0.5, 0.5, 1.0, 2.0, 2.0]
        for sizes in ([7, 1, 2, 3, 4, 5], [0, 0, 0, 8, 8, 9]):
            parts = cut.split(np.array(sizes))
            items = {c: np.repeat(k.values, k.multiplicities).tolist() for c, k in parts.items()}
            assert items == {UNDATED: sizes[:1], 0: sizes[1:3], 1: sizes[3:]}
        dated = Cohorts(cut.edges, ages, n_items, 0)
        assert dated.n_all == 5
        assert list(dated.split(np.arange(5))) == [0, 1]


def test_the_day_of_the_data_is_the_last_on_which_models_have_an_age() -> None:
    # Models created after the day are no items of a known age; they count as undated.
    table = hub_frequency(500, 12)
    future = table[:3].with_columns(created_on=pl.lit(date(2025, 1, 1)))
    n_future = int(future["n_models"].sum())
    both = pl.concat([table, future])
    fit = calibrated(both)
    assert fit.cohorts.n_undated == n_future
    assert observed_by_cohort(both, fit.cohorts, DAY)["likes"][UNDATED].n_obs == n_future


@pytest.fixture(scope="module")
def given(frequency: pl.DataFrame) -> dict[str, SizeFits]:
    """Return fits whose tails begin at two likes (and so for downloads)."""
    counts = hub_counts(frequency, LIKES)
    likes = fits_of(np.repeat(counts.values, counts.multiplicities))
    low = replace(likes, judged=replace(likes.judged, tail=fit_tail(counts, x_min=2.0)))
    return {"likes": low, "downloads": replace(low, measure="downloads")}


class TestTails:
    def test_cohorts_of_the_data_carry_the_errors_of_owners(
        self,
        frequency: pl.DataFrame,
        attachment: AttachmentCalibration,
        given: dict[str, SizeFits],
    ) -> None:
        edges = attachment.cohorts.edges
        plain = measure_cohorts(frequency, NO_COVARIANCES, edges, given, DAY)["likes"]
        assert plain.x_min == 2.0
        assert plain.n_obs == frequency["n_models"].sum() - N_OLD
        assert plain.n_items.size == N_COHORTS - 1  # hardly any of the youngest has two likes
        rows = [
            ("likes", "zeta_cohort_5", "zeta_cohort_5", 0.09),
            ("likes", "zeta_cohort_4", "zeta_cohort_5", 0.01),
            ("downloads", "zeta_cohort_4", "zeta_cohort_4", 9.0),
            ("likes", "zeta", "zeta_cohort_4", 9.0),
        ]
        known = pl.DataFrame(
            [(*row, 0.0, 0.0) for row in rows], schema=HUB_COVARIANCES.schema, orient="row"
        )
        wide = measure_cohorts(frequency, known, edges, given, DAY)["likes"]
        assert wide.std_error[-1] == pytest.approx(0.3)
        assert wide.std_error[:-1] == pytest.approx(plain.std_error[:-1])
        assert wide.covariance[-1, -2] == wide.covariance[-2, -1] == 0.01
        assert "errors of 0 of 5 cohorts clustered by author" in plain.notes
        assert "errors of 1 of 5 cohorts clustered by author" in wide.notes

    def test_each_tail_is_that_of_the_items_of_these_ages(
        self,
        frequency: pl.DataFrame,
        attachment: AttachmentCalibration,
        given: dict[str, SizeFits],
    ) -> None:
        edges = attachment.cohorts.edges
        fit = measure_cohorts(frequency, NO_COVARIANCES, edges, given, DAY)["downloads"]
        dated, _ = hub_ages(frequency, DAY)
        assert fit.zeta.size == N_COHORTS
        for zeta, low, high in zip(fit.zeta, edges[:-1], edges[1:], strict=True):
            inside = dated.filter((pl.col("age") >= low) & (pl.col("age") < high))
            counts = hub_counts(inside, DOWNLOADS)
            assert zeta == pytest.approx(fit_tail(counts, x_min=2.0).zeta, rel=1e-9)

    def test_a_variable_whose_cohorts_have_no_tails_is_left_out(
        self, frequency: pl.DataFrame, attachment: AttachmentCalibration, given: dict[str, SizeFits]
    ) -> None:
        top = replace(given["likes"].judged, tail=replace(given["likes"].tail, x_min=1e6))
        high = {**given, "likes": replace(given["likes"], judged=top)}
        found = measure_cohorts(frequency, NO_COVARIANCES, attachment.cohorts.edges, high, DAY)
        assert set(found) == {"downloads"}

    def test_the_asset_cuts_the_days_table_and_exports_its_exponents(
        self, frequency: pl.DataFrame, given: dict[str, SizeFits]
    ) -> None:
        calibration = next(c for c in CALIBRATIONS if c.stored is COHORTS)
        values: dict[Stored[Any] | Table, Any] = {
            HUB_FREQUENCY: frequency,
            HUB_COVARIANCES: NO_COVARIANCES,
            TAILS["likes"]: given["likes"],
            TAILS["downloads"]: given["downloads"],
        }
        found = calibration.fit(day_of(values).only(calibration.needs))
        edges = cut_cohorts(frequency, DAY).edges
        direct = measure_cohorts(frequency, NO_COVARIANCES, edges, given, DAY)
        assert list(found) == list(direct) == ["downloads", "likes"]
        rows = {row["name"]: row for row in calibration.parameters(found)}
        for variable, fit in direct.items():
            for i, zeta, error in zip(fit.number, fit.zeta, fit.std_error, strict=True):
                row = rows[f"cohorts_hub_{variable}_zeta_cohort_{i}"]
                assert (row["value"], row["std_error"]) == (zeta, error)
            p = rows[f"cohorts_hub_{variable}_homogeneity_p_value"]
            assert p["value"] == calibration.shown(found)[f"{variable}_homogeneity_p"]
            assert "above the x_min of all, young to old; " in p["notes"]
            assert "errors of 0 of 5 cohorts" in p["notes"]


def test_the_zeta_of_a_cohort_is_the_mean_over_the_samples_that_have_it() -> None:
    nan = math.nan
    samples = ({"zeta_cohort_1": 1.0, "zeta_cohort_5": nan},
               {"zeta_cohort_1": 2.0, "zeta_cohort_5": nan},
               {"zeta_cohort_1": nan, "zeta_cohort_5": 4.0})  # fmt: skip
    a, b, last = (Simulated(samples=s, slopes={}) for s in (samples, ({"zeta": 1.0},), samples[2:]))
    found = cohort_zetas({("A", "likes"): a, ("B", "tvl"): b})
    assert set(found) == {("A", "likes")}  # the other has no cohorts
    assert found["A", "likes"] == pytest.approx((1.5, nan, nan, nan, nan), nan_ok=True)
    assert cohort_zetas({("A", "likes"): last})["A", "likes"][4] == 4.0
    assert cohort_zetas({}) == {}
