"""Sampling errors come from leaving out clusters: tables put together, protocols measured anew."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from baimo.estimation.arrays import Floats
from baimo.estimation.growth.censored import fit_censored_growth
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.analysis.sampling import (
    SAMPLING,
    Sampling,
    hub_errors,
    sampling_error,
    tvl_errors,
)
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import UNDATED, measure_sample
from baimo.pipeline.analysis.two_dates import measure_growth, two_dates
from baimo.pipeline.lake.results import Stored
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.schema.derived import (
    DEFI_LISTING,
    DEFI_POPULATION,
    HUB_COVARIANCES,
    HUB_SAMPLING,
)
from baimo.pipeline.schema.table import Table
from baimo.pipeline.variables import EXIT_THRESHOLD, TVL
from tests.pipeline.synthetic import (
    NO_OWNERS,
    day_of,
    fits_of,
    hub_frequency,
    kernel_of,
    likes_of_two_days,
    listing,
    population,
)

X_MIN = 1e7
N_CATEGORIES = 12


def sampling_table() -> pl.DataFrame:
    """Return three estimates of likes and one of downloads."""
    return pl.DataFrame(
        [("likes", "zeta", 1.2, 2.0, 4.0, 30.0, 1.5, 1.0),
         ("downloads", "zeta", 0.8, 9.0, 4.0, 30.0, 0.7, 8.0),
         ("likes", "simon_p", 0.3, 3.0, 4.0, 30.0, 0.2, 2.0),
         ("likes", "top_1pct", 0.5, 1.0, 1.0, 99.0, 0.5, 1.0)],
        schema=HUB_SAMPLING.schema, orient="row",
    )  # fmt: skip


def covariance_table() -> pl.DataFrame:
    """Return their covariances, each pair once and in any order."""
    return pl.DataFrame(
        [("likes", "zeta", "zeta", 4.0, 1.0, 1.0),
         ("likes", "simon_p", "zeta", -5.0, 0.5, -1.5),
         ("likes", "simon_p", "simon_p", 9.0, 2.25, 4.0),
         ("likes", "top_1pct", "top_1pct", 1.0, 1.0, 1.0),
         ("likes", "zeta", "top_1pct", 0.25, 0.125, 0.0625),
         ("likes", "simon_p", "top_1pct", 0.0, 0.0, 0.0),
         ("downloads", "zeta", "zeta", 81.0, 20.0, 64.0)],
        schema=HUB_COVARIANCES.schema, orient="row",
    )  # fmt: skip


@pytest.fixture
def likes() -> Sampling:
    return hub_errors(sampling_table(), covariance_table(), "likes")


class TestHub:
    def test_the_matrices_are_put_together_symmetrically(self, likes: Sampling) -> None:
        assert likes.names == ("zeta", "simon_p", "top_1pct")
        assert likes.clusters == "owners"
        assert likes.covariance.tolist() == [[4, -5, 0.25], [-5, 9, 0], [0.25, 0, 1]]
        assert likes.independent.tolist() == [[1, 0.5, 0.125], [0.5, 2.25, 0], [0.125, 0, 1]]
        assert likes.covariance_without is not None
        assert likes.covariance_without.tolist() == [
            [1, -1.5, 0.0625], [-1.5, 4, 0], [0.0625, 0, 1],
        ]  # fmt: skip
        assert likes.shift == pytest.approx([0.3, -0.1, 0.0])

    def test_variables_are_kept_apart(self) -> None:
        found = hub_errors(sampling_table(), covariance_table(), "downloads")
        assert (found.names, found.covariance.tolist()) == (("zeta",), [[81.0]])
        assert found.shift == pytest.approx([-0.1])

    def test_the_error_of_one_is_on_the_diagonal(self, likes: Sampling) -> None:
        assert [likes.std_error(name) for name in likes.names] == [2.0, 3.0, 1.0]
        assert likes.std_error("share_zero") is None
        table = sampling_table()
        assert sampling_error(table, "likes", "simon_p") == 3.0
        assert sampling_error(table, "downloads", "zeta") == 9.0
        assert sampling_error(table, "downloads", "simon_p") is None
        assert sampling_error(NO_OWNERS[HUB_SAMPLING], "likes", "zeta") is None


class TestWithIndependent:
    def test_what_is_added_is_independent_of_all_else(self, likes: Sampling) -> None:
        found = likes.with_independent({"theta": 0.5, "phi": 2.0})
        assert found.names == (*likes.names, "theta", "phi")
        assert likes.covariance_without is not None
        assert found.covariance_without is not None
        for one, other in (
            (likes.covariance, found.covariance),
            (likes.independent, found.independent),
            (likes.covariance_without, found.covariance_without),
        ):
            assert np.array_equal(other[:3, :3], one)
            assert np.array_equal(other[3:, 3:], np.diag([0.25, 4.0]))
            assert not other[:3, 3:].any()
            assert not other[3:, :3].any()
        # the largest cluster says nothing of it
        assert found.shift == pytest.approx([0.3, -0.1, 0.0, 0.0, 0.0])
        assert found.clusters == likes.clusters
        assert (found.std_error("theta"), found.std_error("phi")) == (0.5, 2.0)

    def test_nothing_added_changes_nothing(self, likes: Sampling) -> None:
        found = likes.with_independent({})
        assert found.names == likes.names
        assert np.array_equal(found.covariance, likes.covariance)

    def test_of_nothing_nothing_is_known(self) -> None:
        nothing = Sampling.nothing()
        assert nothing.names == ()
        assert nothing.covariance.shape == nothing.independent.shape == (0, 0)
        assert nothing.shift is nothing.covariance_without is None
        assert nothing.std_error("zeta") is None
        found = nothing.with_independent({"a": 3.0})
        assert (found.names, found.covariance.tolist()) == (("a",), [[9.0]])
        assert found.shift is found.covariance_without is None


@pytest.fixture(scope="module")
def protocols() -> pl.DataFrame:
    """Return 900 protocols of twelve categories that differ in size."""
    rng, table = np.random.default_rng(3), population(900, 7)
    kind = rng.choice(N_CATEGORIES, 900, p=np.arange(1, N_CATEGORIES + 1) / 78)
    larger = np.exp(rng.normal(0, 0.6, N_CATEGORIES))[kind]
    return table.with_columns(
        category=pl.Series([f"kind {k:02}" for k in kind]),
        tvl_before=pl.col("tvl_before") * larger,
        tvl_after=pl.col("tvl_after") * larger,
    )


@pytest.fixture(scope="module")
def errors(protocols: pl.DataFrame) -> Sampling:
    return tvl_errors(listing(protocols), protocols, X_MIN)


def measured(protocols: pl.DataFrame, n: int | None = None) -> dict[str, float]:
    """Return what is measured of some protocols, by the functions of the data.

    Numbers of protocols are those of n like them.
    """
    sizes = {UNDATED: Counts.from_sample(protocols["tvl_before"].to_numpy())}
    before, after, years = two_dates(protocols)
    growth = fit_censored_growth(before, after, years=years, floor=EXIT_THRESHOLD)
    every = n or protocols.height
    share = {
        name: np.mean(protocols["tvl_before"].to_numpy() >= cut)
        for name, cut in (("tail_items", X_MIN), ("items_1000000000", 1e9))
    }
    return {
        **measure_sample(sizes, TVL, X_MIN),
        **{name: math.log10(1 + every * part) for name, part in share.items()},
        **measure_growth(before, after, years),
        "gbm_m": growth.m,
        "gbm_sigma2": growth.sigma**2,
        "gbm_exit_rate": growth.exit_rate,
    }


def jackknife(rows: list[dict[str, float]], names: tuple[str, ...]) -> Floats:
    """Return (n - 1)/n times the sum of squares of what is left where each is left out."""
    table = np.array([[row[name] for name in names] for row in rows])
    return np.asarray((len(rows) - 1) * np.cov(table.T, ddof=0))


class TestTvl:
    def test_errors_are_those_of_leaving_out_each_category(
        self, protocols: pl.DataFrame, errors: Sampling
    ) -> None:
        kinds = protocols["category"].unique().sort().to_list()
        others = [protocols.filter(pl.col("category") != kind) for kind in kinds]
        rows = [measured(rest, protocols.height) for rest in others]
        whole = measured(protocols)
        assert errors.clusters == "categories"
        assert set(errors.names) == whole.keys()
        scale = np.sqrt(np.diag(errors.covariance))
        unit = np.outer(scale, scale) + 1e-30
        expected = jackknife(rows, errors.names)
        assert np.abs((errors.covariance - expected) / unit).max() < 1e-9
        # the one that moves zeta most, and what the others then say
        moved = [row["zeta"] - whole["zeta"] for row in rows]
        largest = int(np.argmax(np.abs(moved)))
        assert errors.shift == pytest.approx(
            [rows[largest][name] - whole[name] for name in errors.names], abs=1e-12
        )
        rest = rows[:largest] + rows[largest + 1 :]
        assert errors.covariance_without is not None
        gap = errors.covariance_without - jackknife(rest, errors.names)
        assert np.abs(gap / unit).max() < 1e-9

    def test_independent_errors_are_those_of_independent_protocols(self, errors: Sampling) -> None:
        # Of 900 lognormal sizes in no order: zeta has zeta/sqrt(n), gbm_m sigma/sqrt(n years), and
        # a hundred groups give an error to one part in fourteen.
        table = population(900, 7)
        found = tvl_errors(
            listing(table).with_columns(category=pl.Series([f"{i % 30}" for i in range(900)])),
            table.with_columns(category=pl.Series([f"{i % 30}" for i in range(900)])),
            X_MIN,
        )
        whole = measured(table)
        n_tail = 10 ** whole["tail_items"] - 1
        _, _, years = two_dates(table)
        expected = {
            "gbm_m": math.sqrt(whole["gbm_sigma2"] / (900 * years)),
            "gbm_sigma2": whole["gbm_sigma2"] * math.sqrt(2 / 900),
        }
        spread = np.sqrt(np.diag(found.independent))
        for name, error in expected.items():
            ratio = spread[found.names.index(name)] / error
            assert abs(ratio - 1) < 4 / math.sqrt(2 * 99), name
        # logs of sizes above x_min are lighter than exponential: less than zeta/sqrt(n)
        of_zeta = spread[found.names.index("zeta")]
        assert 0.5 < of_zeta / (whole["zeta"] / math.sqrt(n_tail)) < 1.2

    def test_categories_that_differ_in_size_enlarge_the_errors_of_sizes(
        self, errors: Sampling
    ) -> None:
        clustered, alone = (
            np.sqrt(np.diag(m))[errors.names.index("tail_items")]
            for m in (errors.covariance, errors.independent)
        )
        assert clustered > 2 * alone

    def test_a_category_left_out_takes_its_protocols_with_it(
        self, protocols: pl.DataFrame, errors: Sampling
    ) -> None:
        # thirty giants of a category of their own: without them all is as it was
        giants = protocols.head(30).with_columns(
            category=pl.lit("giants"), tvl_before=pl.lit(1e12), tvl_after=pl.lit(1e12)
        )
        table = pl.concat([protocols, giants])
        found = tvl_errors(listing(table), table, X_MIN)
        assert found.names == errors.names
        assert found.shift is not None
        assert found.covariance_without is not None
        before, without = measured(table), measured(protocols, table.height)
        assert found.shift == pytest.approx(
            [without[name] - before[name] for name in found.names], abs=1e-9
        )
        place = found.names.index("zeta")
        with_giants, rest = (m[place, place] for m in (found.covariance, found.covariance_without))
        assert with_giants > 4 * rest

    def test_protocols_without_a_category_make_one(self, protocols: pl.DataFrame) -> None:
        none = protocols.with_columns(
            category=pl.when(pl.col("category") == "kind 03").then(None).otherwise("category")
        )
        named = tvl_errors(listing(protocols), protocols, X_MIN)
        unnamed = tvl_errors(listing(none), none, X_MIN)
        scale = np.sqrt(np.diag(named.covariance)) + 1e-30
        gap = (named.covariance - unnamed.covariance) / np.outer(scale, scale)
        assert np.abs(gap).max() < 1e-9

    def test_two_categories_tell_nothing(self, protocols: pl.DataFrame) -> None:
        for categories in (["a"], ["a", "b"]):
            few = protocols.with_columns(
                category=pl.Series([categories[i % len(categories)] for i in range(900)])
            )
            assert tvl_errors(listing(few), few, X_MIN).names == ()


class TestAsset:
    def test_what_is_known_of_owners_and_categories_is_read_and_likes_have_their_kernel(
        self, protocols: pl.DataFrame
    ) -> None:
        calibration = next(c for c in CALIBRATIONS if c.stored is SAMPLING)
        kernel = kernel_of(likes_of_two_days(1.0, 0.0, n=4_000), hub_frequency(3_000, 3))
        tail = fits_of(protocols["tvl_before"].to_numpy(), TVL)
        given: dict[Stored[Any] | Table, Any] = {
            HUB_SAMPLING: sampling_table(),
            HUB_COVARIANCES: covariance_table(),
            DEFI_LISTING: listing(protocols),
            DEFI_POPULATION: protocols,
            KERNEL_FIT: kernel,
            TAILS[TVL.name]: tail,
        }
        found = calibration.fit(day_of(given))
        assert found.keys() == {"downloads", "likes", "tvl"}
        _, own = kernel.statistics()
        assert {name: found["likes"].std_error(name) for name in own} == pytest.approx(own)
        assert found["likes"].names[:3] == ("zeta", "simon_p", "top_1pct")
        assert found["downloads"].names == ("zeta",)
        expected = tvl_errors(listing(protocols), protocols, tail.tail.x_min)
        assert np.array_equal(found["tvl"].covariance, expected.covariance)
        shown = calibration.shown(found)
        assert (shown["likes_zeta"], shown["downloads_top_1pct"]) == (2.0, None)
        # without a table of owners nothing is said of the Hub
        empty = calibration.fit(day_of({**given, **NO_OWNERS}))
        assert empty.keys() == {"tvl"}
