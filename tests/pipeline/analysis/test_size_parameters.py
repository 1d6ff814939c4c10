"""Every number measured on a size is exported once, under its name, as the fit has it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from baimo.estimation.tails.power_law import tail_path
from baimo.pipeline.analysis.size_parameters import (
    index_rows,
    shape_rows,
    size_rows,
    tail_rows,
    verdict_rows,
    zipf_rows,
)
from baimo.pipeline.analysis.sizes import SizeFits, TailWithoutOwner
from baimo.pipeline.schema.results import PARAMETERS, Row
from baimo.pipeline.variables import TVL
from tests.pipeline.synthetic import fits_of

PREFIX = "hub_likes"


def by_name(rows: object) -> dict[str, Row]:
    listed = list(rows)  # type: ignore[call-overload]
    found = {row["name"]: row for row in listed}
    assert len(found) == len(listed)
    return found


def test_everything_is_exported_under_a_name_of_its_own(likes: SizeFits) -> None:
    found = by_name(size_rows(PREFIX, likes))
    parts = [make(PREFIX, likes) for make in (tail_rows, verdict_rows, zipf_rows, index_rows,
                                              shape_rows)]  # fmt: skip
    assert list(found) == [row["name"] for rows in parts for row in rows]
    table = pl.DataFrame(list(found.values()), schema=PARAMETERS.schema)
    assert table["notes"].null_count() == 0
    kinds = {"tail", "zipf", "index", "whole", "shape"}
    assert {name.partition("_")[0] for name in found} == kinds
    assert all(name.split("_", 1)[1].startswith(PREFIX) for name in found)


def test_the_tail_is_the_fit_with_its_clustered_errors(likes: SizeFits) -> None:
    rows, tail = by_name(tail_rows(PREFIX, likes)), likes.tail
    names = ("alpha", "zeta", "x_min", "n_tail", "n_distinct", "ks", "zeta_without_largest")
    near = ("zeta_near_lowest", "zeta_near_highest")
    assert list(rows) == [f"tail_hub_likes_{name}" for name in (*names, *near)]
    for name in names[:-1]:
        row = rows[f"tail_hub_likes_{name}"]
        assert row["value"] == float(getattr(tail, name))
        assert (row["n_obs"], row["n_used"]) == (4_000, tail.n_tail)
        assert row["method"] == "CSN maximum likelihood, discrete"
    zeta = rows["tail_hub_likes_zeta"]
    assert zeta["std_error"] == tail.cluster_error == pytest.approx(0.4)
    assert (zeta["ci_low"], zeta["ci_high"]) == tail.conf_int()["zeta"]
    assert zeta["notes"].startswith("author-clustered, design effect 4; ")
    assert "clustered" not in rows["tail_hub_likes_x_min"]["notes"]
    trimmed = rows["tail_hub_likes_zeta_without_largest"]
    assert trimmed["value"] == likes.tail_without_largest.zeta != zeta["value"]
    assert trimmed["n_obs"] == 3_999
    assert trimmed["notes"].startswith("the largest item left out; author-clustered")


def test_zeta_over_near_minimal_thresholds_is_a_range_without_error(likes: SizeFits) -> None:
    rows, near = by_name(tail_rows(PREFIX, likes)), likes.thresholds
    for end, value in (("lowest", near.zeta_lowest), ("highest", near.zeta_highest)):
        row = rows[f"tail_hub_likes_zeta_near_{end}"]
        assert row["value"] == value
        assert (row["std_error"], row["ci_low"], row["ci_high"]) == (None, None, None)
        assert row["notes"].startswith(f"zeta {near.zeta_lowest:.3f} to {near.zeta_highest:.3f} ")
        assert "items as independent" in row["notes"]
    assert near.zeta_lowest <= likes.tail.zeta <= near.zeta_highest
    spread = np.ones(tail_path(likes.counts, likes.tail).x_min.size)
    clustered = by_name(tail_rows(PREFIX, replace(likes, threshold_spread=spread)))
    assert "owners as clusters" in clustered["tail_hub_likes_zeta_near_lowest"]["notes"]


def test_pareto_or_lognormal_at_x_min_is_exported_by_owners_first(likes: SizeFits) -> None:
    umpu = likes.judged.umpu
    assert umpu is not None
    alone = by_name(verdict_rows(PREFIX, likes))["tail_hub_likes_umpu_p"]
    assert (alone["value"], alone["std_error"]) == (umpu.p_value, None)
    assert alone["notes"].startswith("items taken as independent")
    known = replace(umpu, p_value=0.3, p_independent=0.01, n_clusters=974, effective_clusters=1.648)
    found = replace(likes, judged=replace(likes.judged, umpu=known))
    rows = by_name(verdict_rows(PREFIX, found))
    first, beside = (rows[f"tail_hub_likes_umpu_p{s}"] for s in ("", "_independent"))
    assert (first["value"], beside["value"]) == (0.3, 0.01)
    assert first["notes"].startswith("items of one owner as a cluster, 1.65 effective of 974")
    assert beside["notes"].startswith("items taken as independent")
    assert "tail_hub_likes_umpu_p_without_largest_independent" not in rows
    none = replace(likes, judged=replace(likes.judged, umpu=None))
    assert "tail_hub_likes_umpu_p" not in by_name(verdict_rows(PREFIX, none))


def test_p_values_have_their_monte_carlo_error_and_no_interval(likes: SizeFits) -> None:
    rows = by_name(verdict_rows(PREFIX, likes))
    views = {"": likes.judged, "_without_largest": likes.judged_without_largest}
    assert list(rows) == [
        f"tail_hub_likes_{name}{suffix}" for suffix in views for name in ("p_value", "umpu_p")
    ]
    for suffix, judged in views.items():
        row = rows[f"tail_hub_likes_p_value{suffix}"]
        assert (row["value"], row["std_error"]) == (
            judged.goodness.p_value, judged.goodness.mc_error,
        )  # fmt: skip
        assert (row["ci_low"], row["ci_high"]) == (None, None)
        assert f"{judged.goodness.n_replications} replications" in row["method"]
        assert row["notes"].startswith(f"support: {judged.support.level} (")


def whole(rows: dict[str, Row]) -> dict[str, Row]:
    """Return the rows that nothing is left out of."""
    return {name: row for name, row in rows.items() if "_without_largest" not in name}


def test_what_is_left_without_one_owner_and_without_one_item(likes: SizeFits) -> None:
    slopes, indices = by_name(zipf_rows(PREFIX, likes)), by_name(index_rows(PREFIX, likes))
    for suffix, known, words in (
        ("_without_largest_owner", likes.without_owner, "the owner who moves it most left out"),
        ("_without_largest", likes.without_item, "the largest item left out"),
    ):
        for label, found in known.items():
            if "slope" in found and label in likes.zipf:
                row = slopes[f"zipf_hub_likes_logrank_slope_{label}{suffix}"]
                assert (row["value"], row["std_error"]) == (found["slope"], None)
                assert row["notes"] == words
            if "hill" in found:
                row = indices[f"index_hub_likes_hill_{label}{suffix}"]
                assert (row["value"], row["notes"]) == (found["hill"], words)
    rest = TailWithoutOwner(
        zeta=0.6, std_error=0.03, n_tail=900, p_value=0.26, p_independent=0.001, umpu_p=0.2,
        umpu_p_independent=0.01,
    )  # fmt: skip
    rows = by_name(tail_rows(PREFIX, replace(likes, tail_without_owner=rest)))
    name = "tail_hub_likes_zeta_without_largest_owner"
    assert (rows[name]["value"], rows[name]["std_error"], rows[name]["n_used"]) == (0.6, 0.03, 900)
    assert rows["tail_hub_likes_p_value_without_largest_owner"]["value"] == 0.26
    assert rows["tail_hub_likes_p_value_without_largest_owner_independent"]["value"] == 0.001
    assert rows["tail_hub_likes_umpu_p_without_largest_owner"]["value"] == 0.2
    assert name not in by_name(tail_rows(PREFIX, likes))


def test_slopes_are_at_every_cut_off_and_null_where_there_is_none(likes: SizeFits) -> None:
    rows = whole(by_name(zipf_rows(PREFIX, likes)))
    labels = [name.removeprefix("zipf_hub_likes_logrank_slope_") for name in rows]
    assert labels == [
        "top10pct_all", "top10pct_positive", "top1pct_all", "top1pct_positive",
        "top0.1pct_all", "top0.1pct_positive", "top100",
    ]  # fmt: skip
    for label, row in zip(labels, rows.values(), strict=True):
        line = likes.zipf.get(label)
        if line is None:
            empty = ("value", "std_error", "ci_low", "ci_high", "n_used", "converged")
            assert [row[name] for name in empty] == [None] * 6
            assert "not defined here" in row["notes"]
        else:
            assert (row["value"], row["n_used"]) == (line.slope, line.k)
            assert row["std_error"] == line.std_error_clustered
            assert f"k = {line.k}, threshold {line.threshold:g}; " in row["notes"]
    assert sum(row["value"] is None for row in rows.values()) == 3
    assert "design effect 9" in rows["zipf_hub_likes_logrank_slope_top100"]["notes"]
    assert "independent" in rows["zipf_hub_likes_logrank_slope_top1pct_all"]["notes"]


def test_indices_are_by_method_and_cut_off_and_laws_by_name(likes: SizeFits) -> None:
    rows = whole(by_name(index_rows(PREFIX, likes)))
    expected = {
        f"index_hub_likes_{method}_{label}": fit.zeta
        for label, methods in likes.index.items()
        for method, fit in methods.items()
    }
    expected |= {
        f"whole_hub_likes_{law.model}_{name}": e.value
        for law in likes.whole.fits
        for name, e in law.estimates().items()
    }
    assert {name: row["value"] for name, row in rows.items()} == expected
    assert len(expected) > 4 * 4 + 4 * 2
    hill = rows["index_hub_likes_hill_corrected_top100"]
    assert hill["method"] == "tail index, hill corrected"
    assert hill["n_used"] == likes.index["top100"]["hill_corrected"].k
    law = rows["whole_hub_likes_discretised_lognormal_mu"]
    assert (law["n_used"], law["method"]) == (4_000, "maximum likelihood, all items")


def test_shapes_are_of_all_items_and_rivals_of_the_tail(likes: SizeFits) -> None:
    rows, held = by_name(shape_rows(PREFIX, likes)), likes.concentration
    values = {
        "shape_hub_likes_share_zero": held.share_zero,
        "shape_hub_likes_gini": held.gini,
        "shape_hub_likes_top1pct_share": held.top_1pct,
        "shape_hub_likes_hhi": held.hhi,
        "shape_hub_likes_largest_share": held.largest_share,
    }
    rivals = {f"tail_hub_likes_vuong_{r.alternative}": r.vuong for r in likes.comparisons}
    assert {name: row["value"] for name, row in rows.items()} == values | rivals
    assert {rows[name]["n_used"] for name in values} == {4_000}
    assert {rows[name]["n_used"] for name in rivals} == {likes.tail.n_tail}
    assert len(rivals) == 4
    for rival in likes.comparisons:
        note = rows[f"tail_hub_likes_vuong_{rival.alternative}"]["notes"]
        assert ("rival at its boundary" in note) is rival.at_boundary


def test_sizes_in_money_are_exported_alike_under_their_prefix() -> None:
    sizes = np.exp(np.random.default_rng(3).normal(12.0, 3.0, 400))
    tvl = fits_of(np.append(sizes, [0.0] * 100), TVL)
    found = by_name(size_rows("defi_tvl", tvl))
    assert all(name.split("_", 1)[1].startswith("defi_tvl_") for name in found)
    zeta = found["tail_defi_tvl_zeta"]
    assert (zeta["value"], zeta["n_obs"]) == (tvl.tail.zeta, 500)
    assert zeta["method"] == "CSN maximum likelihood, continuous"
    assert zeta["notes"].startswith("items taken as independent")
    assert found["tail_defi_tvl_p_value"]["value"] == tvl.judged.goodness.p_value
    slope = found["zipf_defi_tvl_logrank_slope_top10pct_positive"]
    assert (slope["value"], slope["n_used"]) == (tvl.zipf["top10pct_positive"].slope, 40)
    hill = found["index_defi_tvl_hill_top100"]
    assert hill["value"] == tvl.index["top100"]["hill"].zeta
    assert found["shape_defi_tvl_share_zero"]["value"] == 0.2
    (lognormal,) = (law for law in tvl.whole.fits if law.model == "lognormal")
    assert found["whole_defi_tvl_lognormal_mu"]["value"] == lognormal.parameters["mu"]
