"""Tests with authors as clusters: what the commands find, without whom, and when nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.alternatives import compare_tail
from baimo.estimation.tails.clustered import clustered_goodness_of_fit
from baimo.estimation.tails.power_law import fit_tail, tail_path
from baimo.estimation.tails.tail_index import pareto_lognormal_test
from baimo.estimation.tails.thresholds import clustered_spread
from baimo.pipeline.datasets.clustered_tests import (
    LEFT_OUT,
    N_THRESHOLDS,
    measure_clustered_tests,
    measure_threshold_spreads,
)
from baimo.pipeline.datasets.design_effects import FEWEST_CLUSTERS
from baimo.pipeline.schema.derived import HUB_CLUSTERED_TESTS, HUB_THRESHOLD_SPREADS
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.settings import reference_dir
from baimo.pipeline.sources.reference import load_ready

N = 900


@pytest.fixture(scope="module")
def models() -> pl.DataFrame:
    """Return models of which one author has sixty, as large as each other."""
    rng = np.random.default_rng(1)
    downloads = np.floor(5 * (1 - rng.random(N)) ** (-1 / 1.2)).astype(np.int64)
    downloads[:60] = 400 + np.arange(60)
    downloads[60] = 10**6
    return pl.DataFrame(
        {
            "hub_id": [f"id{i}" for i in range(N)],
            "author": ["big"] * 60 + [f"a{i // 2}" for i in range(N - 60)],
            "downloads": downloads,
            "likes": downloads[::-1] // 2,
        }
    )


@pytest.fixture(scope="module")
def table(models: pl.DataFrame) -> pl.DataFrame:
    return measure_clustered_tests(models)


def row(table: pl.DataFrame, left_out: str, test: str) -> dict[str, float]:
    chosen = (pl.col("measure") == "downloads") & (pl.col("left_out") == left_out)
    return table.row(by_predicate=chosen & (pl.col("test") == test), named=True)


def test_each_tail_is_tested_whole_and_without_the_largest(table: pl.DataFrame) -> None:
    assert validate(table, HUB_CLUSTERED_TESTS).quarantine.is_empty()
    assert set(table["left_out"]) == set(LEFT_OUT)
    assert set(table["test"]) == {
        "ks", "umpu", "vuong_lognormal", "vuong_exponential", "vuong_stretched_exponential",
        "vuong_truncated_power_law",
    }  # fmt: skip
    for measure in ("downloads", "likes"):
        assert table.filter(pl.col("measure") == measure)["x_min"].n_unique() == 1


@pytest.mark.parametrize("left_out", LEFT_OUT)
def test_a_row_is_what_the_estimators_say(
    models: pl.DataFrame, table: pl.DataFrame, left_out: str
) -> None:
    sizes = models["downloads"].to_numpy()
    x_min = fit_tail(sizes).x_min
    keep = {
        "none": np.ones(N, dtype=bool),
        "largest owner": models["author"].to_numpy() != "big",
        "largest item": np.arange(N) != 60,
    }[left_out]
    kept, owners = sizes[keep], models["author"].to_numpy()[keep]
    fit = fit_tail(kept, x_min=x_min, clusters=owners)
    ks = row(table, left_out, "ks")
    assert (ks["x_min"], ks["n_tail"], ks["n_clusters"]) == (x_min, fit.n_tail, fit.n_clusters)
    for name, value in {
        "zeta": fit.zeta,
        "std_error": fit.std_error_clustered,
        "effective_clusters": fit.effective_clusters,
    }.items():
        assert ks[name] == pytest.approx(value, rel=1e-5)
    known = clustered_goodness_of_fit(kept, fit, owners, n_replications=999)
    assert ks["statistic"] == pytest.approx(known.statistic, rel=1e-5)
    assert abs(ks["p_value"] - known.p_value) < 5 * known.mc_error
    umpu = pareto_lognormal_test(kept, discrete=True, threshold=x_min, clusters=owners)
    assert row(table, left_out, "umpu")["p_value"] == pytest.approx(umpu.p_value, rel=1e-5)
    (lognormal,) = compare_tail(kept, fit, ("lognormal",), clusters=owners)
    found = row(table, left_out, "vuong_lognormal")
    assert found["statistic"] == pytest.approx(lognormal.vuong, rel=1e-5)
    assert found["p_independent"] == pytest.approx(lognormal.p_independent, rel=1e-5)


def test_the_largest_owner_is_most_of_the_variance(table: pl.DataFrame) -> None:
    whole, rest = row(table, "none", "ks"), row(table, "largest owner", "ks")
    assert whole["effective_clusters"] < 2 < 10 < rest["effective_clusters"]
    assert rest["std_error"] < whole["std_error"] / 2


def test_too_few_authors_are_not_tested(models: pl.DataFrame) -> None:
    few = models.with_columns(
        author=pl.int_range(pl.len()).mod(FEWEST_CLUSTERS - 1).cast(pl.String)
    )
    assert measure_clustered_tests(few).is_empty()
    nobody = models.with_columns(author=pl.lit(None, dtype=pl.String))
    table = measure_clustered_tests(nobody)
    assert table.is_empty()
    assert table.schema == pl.Schema(HUB_CLUSTERED_TESTS.schema)


def test_one_author_above_the_fewest_is_tested_whole_but_not_without(models: pl.DataFrame) -> None:
    owners = pl.int_range(pl.len()).mod(FEWEST_CLUSTERS).cast(pl.String)
    table = measure_clustered_tests(models.with_columns(author=owners))
    assert set(table["left_out"]) == {"none", "largest item"}


# --- other x_min ---------------------------------------------------------------------------------


def test_spreads_are_those_of_the_estimator_where_enough_authors_are(models: pl.DataFrame) -> None:
    table = measure_threshold_spreads(models)
    assert validate(table, HUB_THRESHOLD_SPREADS).quarantine.is_empty()
    owners = models["author"].to_numpy()
    for measure in ("downloads", "likes"):
        sizes = models[measure].to_numpy()
        fit = fit_tail(sizes)
        path = tail_path(sizes, fit, n_points=N_THRESHOLDS)
        assert path.x_min.size <= N_THRESHOLDS + 1
        enough = [np.unique(owners[sizes >= x]).size >= FEWEST_CLUSTERS for x in path.x_min]
        assert 0 < sum(enough) < len(enough)
        rows = table.filter(pl.col("measure") == measure)
        assert rows["x_min"].to_list() == path.x_min[enough].tolist()
        assert rows["n_tail"].to_list() == path.n_tail[enough].tolist()
        assert fit.x_min in rows["x_min"]
        spread = clustered_spread(sizes, fit, owners, path)
        assert rows["spread"].to_numpy() == pytest.approx(spread[enough], rel=1e-5)


@pytest.mark.parametrize("author", [pl.lit("one"), pl.lit(None, dtype=pl.String)])
def test_too_few_authors_have_no_spread(models: pl.DataFrame, author: pl.Expr) -> None:
    table = measure_threshold_spreads(models.with_columns(author=author))
    assert table.is_empty()
    assert table.schema == pl.Schema(HUB_THRESHOLD_SPREADS.schema)


def test_a_fitted_tail_of_too_few_authors_leaves_none_of_the_longer_ones(
    models: pl.DataFrame,
) -> None:
    x_min = fit_tail(models["downloads"].to_numpy()).x_min
    tail = pl.col("downloads") >= x_min
    owners = pl.when(tail).then(pl.lit("one")).otherwise("author")
    table = measure_threshold_spreads(models.with_columns(author=owners))
    assert "downloads" not in table["measure"]


# --- the listing of 2024 -------------------------------------------------------------------------


@pytest.mark.full
def test_the_bundled_tables_are_those_of_the_listing(recording: Callable[[str], Path]) -> None:
    columns = ["hub_id", "author", "downloads", "likes"]
    listing = pl.read_parquet(recording("hub/models_2024-07-11.parquet"), columns=columns)
    for name, measure in {
        "hub_clustered_tests": measure_clustered_tests,
        "hub_threshold_spreads": measure_threshold_spreads,
    }.items():
        measured, bundled = measure(listing), load_ready()[name]
        exact = pl.exclude(pl.Float64)
        assert measured.select(exact).equals(bundled.select(exact))
        for column in measured.select(pl.col(pl.Float64)).columns:
            assert measured[column].to_numpy() == pytest.approx(
                bundled[column].to_numpy(), rel=1e-4
            ), column


def test_other_x_min_of_the_listing_of_2024() -> None:
    """Spreads at the x_min of the scan as 200 sets of other signs gave them."""
    frequency = pl.read_parquet(reference_dir() / "hub_frequency.parquet")
    table = load_ready()["hub_threshold_spreads"]
    for name, spread in (("downloads", 0.70), ("likes", 0.21)):
        rows = table.filter(pl.col("measure") == name).sort("n_tail")
        assert 50 < rows.height <= N_THRESHOLDS + 1
        fit = fit_tail(
            Counts.from_pairs(frequency[name].to_numpy(), frequency["n_models"].to_numpy())
        )
        found = rows.row(by_predicate=pl.col("x_min") == fit.x_min, named=True)
        assert found["n_tail"] == fit.n_tail
        error = (0.75 * (1 / 200 + 1 / 1_000)) ** 0.5
        assert found["spread"] == pytest.approx(spread, rel=4 * error)


def test_the_listing_of_2024() -> None:
    """Values found independently: p .87 and .004, without the largest owner .26 and .0045."""
    table = load_ready()["hub_clustered_tests"]
    found = {
        (measure, left_out, test): (statistic, p, alone)
        for measure, left_out, test, statistic, p, alone in table.select(
            "measure", "left_out", "test", "statistic", "p_value", "p_independent"
        ).iter_rows()
    }
    for (measure, left_out), p in {
        ("downloads", "none"): 0.87,
        ("downloads", "largest owner"): 0.26,
        ("likes", "none"): 0.004,
        ("likes", "largest owner"): 0.0045,
    }.items():
        # Their replications may have been as few as 1,000: five standard errors of both.
        error = (p * (1 - p) * (1 / 1_000 + 1 / 4_999)) ** 0.5
        assert abs(found[measure, left_out, "ks"][1] - p) < 5 * error
        assert found[measure, left_out, "ks"][2] < 0.01  # as if models were independent
    # Theirs, -2.87, -.33 and -1.67, have the sums' error; the jackknife's is larger.
    for (measure, left_out), (theirs, ours) in {
        ("likes", "none"): (-2.87, -2.84),
        ("downloads", "none"): (-0.33, -0.28),
        ("downloads", "largest owner"): (-1.67, -1.63),
    }.items():
        vuong = found[measure, left_out, "vuong_lognormal"][0]
        assert vuong == pytest.approx(ours, abs=0.006)
        assert 0.8 < vuong / theirs < 1.0
    ks = table.filter((pl.col("measure") == "downloads") & (pl.col("test") == "ks"))
    assert ks["zeta"].to_list()[:2] == pytest.approx([0.683, 0.618], abs=0.0005)
    assert ks["effective_clusters"].to_list()[0] == pytest.approx(1.51, abs=0.01)
    assert ks["n_tail"].to_list()[0] - ks["n_tail"].to_list()[1] == 652
