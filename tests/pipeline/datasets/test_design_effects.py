"""Design effects of authors: copies multiply the variance, lone owners do not, few say nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from baimo.estimation.samples.clusters import sum_clusters
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail, tail_cluster_sums
from baimo.estimation.tails.rank_size import fit_zipf, zipf_cluster_sums
from baimo.estimation.tails.tail_index import fit_hill
from baimo.pipeline.datasets.design_effects import (
    FEWEST_CLUSTERS,
    measure_design_effects,
    measure_size_effects,
)
from baimo.pipeline.schema.derived import HUB_DESIGN_EFFECTS
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.variables import DAYS_PER_YEAR

DAY = date(2024, 7, 11)
N = 4_000


def models(owners: np.ndarray, sizes: np.ndarray, days: np.ndarray) -> pl.DataFrame:
    born = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    return pl.DataFrame(
        {
            "hub_id": [f"id{i}" for i in range(owners.size)],
            "author": [f"a{i}" for i in owners],
            "downloads": sizes,
            "likes": sizes[::-1],
            "created_at": [born - timedelta(days=int(d)) for d in days],
        }
    )


@pytest.fixture(scope="module")
def lone() -> pl.DataFrame:
    """Return models each of whose owners has no other."""
    rng = np.random.default_rng(1)
    return models(np.arange(N), rng.zipf(2.0, N), rng.integers(1, 800, N))


@pytest.fixture(scope="module")
def copied() -> pl.DataFrame:
    """Return models of which each owner has four that are alike."""
    rng = np.random.default_rng(1)
    each = (np.arange(N), rng.zipf(2.0, N), rng.integers(1, 800, N))
    owners, sizes, days = (np.repeat(values, 4) for values in each)
    return models(owners, sizes, days).with_columns(likes="downloads")


def effects(table: pl.DataFrame, measure: str, statistic: str) -> dict[str, float]:
    rows = table.filter((pl.col("measure") == measure) & (pl.col("statistic") == statistic))
    return dict(rows.select("cutoff", "design_effect").iter_rows())


def test_four_copies_of_each_model_multiply_the_variance_by_four(copied: pl.DataFrame) -> None:
    table = measure_design_effects(copied, DAY)
    assert validate(table, HUB_DESIGN_EFFECTS).quarantine.is_empty()
    for measure in ("downloads", "likes"):
        assert effects(table, measure, "alpha") == pytest.approx({"x_min": 4.0})
        slopes = effects(table, measure, "slope")
        assert slopes["top10pct_all"] == pytest.approx(4.0, rel=0.02)  # a cut splits one owner
        hill = effects(table, measure, "hill")
        assert hill["top10pct_all"] == pytest.approx(4.0, rel=0.02)
    assert effects(table, "age", "mean") == pytest.approx({"dated": 4.0})


def test_lone_owners_change_nothing(lone: pl.DataFrame) -> None:
    table = measure_design_effects(lone, DAY)
    assert table["design_effect"].to_list() == pytest.approx([1.0] * table.height)
    assert (table["n_clusters"] == table["k"]).all()


def test_each_number_is_that_of_the_estimator_on_these_items(lone: pl.DataFrame) -> None:
    owners = np.random.default_rng(2).integers(0, 300, N)
    frame = lone.with_columns(author=pl.Series([f"a{i:03}" for i in owners]))
    table = measure_design_effects(frame, DAY)
    sizes = frame["downloads"].to_numpy().astype(float)
    tail = fit_tail(Counts.from_sample(sizes))
    row = table.row(0, named=True)
    assert (row["measure"], row["statistic"], row["cutoff"]) == ("downloads", "alpha", "x_min")
    assert (row["k"], row["threshold"]) == (tail.n_tail, tail.x_min)
    of_alpha = tail_cluster_sums(sizes, owners, tail)
    assert row["design_effect"] == pytest.approx(of_alpha.design_effect)
    assert row["n_clusters"] == of_alpha.n_clusters
    line = fit_zipf(Counts.from_sample(sizes), k=100)
    assert effects(table, "downloads", "slope")["top100"] == pytest.approx(
        zipf_cluster_sums(sizes, owners, line).design_effect
    )
    by_name = {(r["statistic"], r["cutoff"]): r for r in table.iter_rows(named=True)
               if r["measure"] == "downloads"}  # fmt: skip
    clustered = fit_zipf(sizes, k=100, clusters=owners)
    slope = by_name["slope", "top100"]
    assert (slope["value"], slope["std_error"]) == (line.slope, clustered.cluster_error)
    assert slope["effective_clusters"] == clustered.effective_clusters
    sums = zipf_cluster_sums(sizes, owners, line)
    rest, n_left_out = sizes[owners != sums.labels[sums.largest]], sums.sizes[sums.largest]
    assert slope["without_largest"] == fit_zipf(rest, k=100 - n_left_out).slope
    hill = fit_hill(sizes, k=100, clusters=owners)
    found = by_name["hill", "top100"]
    assert (found["k"], found["value"], found["std_error"]) == (
        hill.k, hill.zeta, pytest.approx(hill.cluster_error),
    )  # fmt: skip
    alpha = fit_tail(sizes, clusters=owners)
    assert row["std_error"] == pytest.approx(alpha.cluster_error)
    sums = tail_cluster_sums(sizes, owners, tail)
    rest = sizes[owners != sums.labels[sums.largest]]
    assert row["without_largest"] == fit_tail(rest, x_min=tail.x_min).alpha
    days = [(DAY - d.date()).days + 0.5 for d in frame["created_at"]]
    ages = np.array(days) / DAYS_PER_YEAR
    assert effects(table, "age", "mean")["dated"] == pytest.approx(
        sum_clusters(ages - ages.mean(), owners, "the dated").design_effect
    )


def test_a_model_without_an_author_is_its_own(lone: pl.DataFrame) -> None:
    some = pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise("author")
    table = measure_design_effects(lone.with_columns(author=some), DAY)
    assert table["design_effect"].to_list() == pytest.approx([1.0] * table.height)


def test_a_listing_without_authors_has_none(lone: pl.DataFrame) -> None:
    none = lone.with_columns(author=pl.lit(None, pl.String))
    table = measure_design_effects(none, DAY)
    assert table.is_empty()
    assert table.schema == pl.Schema(HUB_DESIGN_EFFECTS.schema)


def test_too_few_owners_say_nothing_of_a_variance(lone: pl.DataFrame) -> None:
    few = pl.Series([f"a{i % (FEWEST_CLUSTERS - 1)}" for i in range(N)])
    assert measure_design_effects(lone.with_columns(author=few), DAY).is_empty()


def test_other_populations_are_measured_as_models_are() -> None:
    rng = np.random.default_rng(9)
    owners, sizes = rng.integers(0, 400, N), rng.zipf(2.0, N)
    rows = pl.DataFrame(
        {
            "population": "datasets_likes",
            "item_id": [f"d{i}" for i in range(N)],
            "author": [None if o % 7 == 0 else f"a{o}" for o in owners],
            "size": sizes.astype(float),
        }
    )
    table = measure_size_effects(rows)
    # without an owner each is a cluster of its own
    labels = np.where(owners % 7 == 0, 400 + np.arange(N), owners)
    fit = fit_tail(Counts.from_sample(sizes))
    found = tail_cluster_sums(sizes.astype(float), labels, fit)
    effect, n_clusters = found.design_effect, found.n_clusters
    alpha = table.row(by_predicate=pl.col("statistic") == "alpha", named=True)
    assert (alpha["measure"], alpha["cutoff"]) == ("datasets_likes", "x_min")
    assert (alpha["k"], alpha["n_clusters"]) == (fit.n_tail, n_clusters)
    assert alpha["design_effect"] == pytest.approx(effect, rel=1e-9)
    assert validate(table, HUB_DESIGN_EFFECTS).good.equals(table)
    assert measure_size_effects(rows.with_columns(size=pl.lit(3.0))).is_empty()
