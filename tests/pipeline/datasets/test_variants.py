"""Sizes cut otherwise: families of models and of protocols, exchanges, DeFi as others count it."""

from datetime import date

import polars as pl
import pytest

from baimo.pipeline.datasets.variants import (
    definition_variants,
    model_families,
    model_variants,
    protocol_variants,
)
from baimo.pipeline.schema.derived import SIZE_VARIANTS
from baimo.pipeline.schema.validate import validate


def models(rows: list[tuple[str, int, int, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["model_id", "downloads", "likes", "base_model"], orient="row")


def test_a_family_is_a_root_and_all_below_it() -> None:
    found = model_families(
        models(
            [
                ("a/root", 10, 1, None),
                ("b/child", 5, 2, "a/root"),
                ("c/grandchild", 3, 4, "b/child, z/other"),  # the first of several counts
                ("d/alone", 7, 8, ""),
                ("e/own", 1, 1, "e/own"),  # names itself: a root
                ("f/orphan", 2, 0, "gone/base"),  # of a base that is not listed
                ("g/orphan", 4, 0, "gone/base"),
            ]
        )
    )
    assert sorted(found.rows()) == [
        ("a/root", 18, 7),
        ("d/alone", 7, 8),
        ("e/own", 1, 1),
        ("gone/base", 6, 0),
    ]


def test_models_that_name_each_other_end() -> None:
    found = model_families(
        models([("a/x", 1, 0, "b/y"), ("b/y", 2, 0, "a/x"), ("c/z", 4, 0, "a/x")])
    )
    assert found["downloads"].sum() == 7


def test_totals_stay_and_rows_fit_the_table() -> None:
    table = models([("a/root", 10, 1, None), ("b/child", 5, 0, "a/root"), ("c/x", 15, 0, None)])
    found = model_variants(table)
    downloads = found.filter(population="downloads_families")
    assert downloads.select("size", "n_items").rows() == [(15.0, 2)]
    assert (found["size"] * found["n_items"]).sum() == 31.0
    assert validate(found, SIZE_VARIANTS).quarantine.is_empty()


def test_without_base_models_there_are_no_families() -> None:
    assert model_variants(models([("a/x", 1, 1, None)])).is_empty()


@pytest.mark.parametrize("parents", [True, False])
def test_protocols_with_exchanges_and_by_parent(parents: bool) -> None:
    protocols = pl.DataFrame(
        {
            "protocol_id": ["1", "2", "3", "4", "5"],
            "category": ["Dexes", "Lending", None, "CEX", "Chain"],
            "tvl_usd": [1.0, 2.0, 4.0, 8.0, 16.0],
            "parent_protocol": ["p", "p", None, None, None] if parents else [None] * 5,
        },
        schema_overrides={"parent_protocol": pl.String},
    )
    found = protocol_variants(protocols)
    with_exchanges = found.filter(population="tvl_with_exchanges")
    assert with_exchanges["size"].to_list() == [1.0, 2.0, 4.0, 8.0]  # a chain is no protocol
    merged = found.filter(population="tvl_families")
    assert merged.select("size", "n_items").rows() == ([(3.0, 1), (4.0, 1)] if parents else [])


def test_defi_by_each_definition_on_both_dates() -> None:
    early, late = date(2023, 1, 1), date(2025, 1, 1)
    dates = pl.DataFrame(
        {
            "observed_on": [early] * 3 + [late] * 3,
            "category": ["Bridge", "Dexs", "CEX", "RWA", None, "Chain"],
            "tvl_usd": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
        }
    )
    day = dates.filter(observed_on=early)
    found = definition_variants(day, dates)
    totals = dict(found.group_by("population").agg(pl.col("size").sum()).iter_rows())
    assert totals == {
        "tvl_defillama": 2.0, "tvl_broad": 3.0, "tvl_later_defillama": 16.0, "tvl_later_broad": 24.0
    }  # fmt: skip
    assert validate(found, SIZE_VARIANTS).quarantine.is_empty()
    # where the day that is fitted is the later one it is not told twice
    alone = definition_variants(dates.filter(observed_on=late), dates)
    assert set(alone["population"]) == {"tvl_defillama", "tvl_broad"}
