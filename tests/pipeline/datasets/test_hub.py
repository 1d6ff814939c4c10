"""The Hub's rows as frequency tables: every model is counted once, no name is left but the top."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.datasets.hub import (
    N_LABELS,
    SMALLEST_GROUP,
    frequency_of_authors,
    frequency_of_derivatives,
    frequency_of_models,
    largest_models,
    licence_family,
    tabulate_hub,
    totals_by_group,
)
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.schema.validate import validate

DAY = date(2024, 7, 11)


def models(n: int = 60, **columns: list[Any]) -> pl.DataFrame:
    """Return models of seven authors; `columns` stand in place of what they would hold."""
    given: dict[str, Any] = {
        "hub_id": [f"id{i:03}" for i in range(n)],
        "model_id": [f"author{i % 7}/m{i}" for i in range(n)],
        "downloads": [i * i for i in range(n)],
        "likes": [i // 3 for i in range(n)],
        "created_at": [datetime(2024, 7, 1 + i % 9, 5, tzinfo=UTC) for i in range(n)],
        "author": [f"author{i % 7}" for i in range(n)],
        "pipeline_tag": ["text-generation"] * n,
        "license": [None] * n,
        "base_model": [None] * n,
    } | columns
    wanted = {name: HUB_MODELS.schema[name] for name in given}
    return pl.DataFrame(given, schema=wanted)


def test_counts_stand_for_all_models() -> None:
    tables = tabulate_hub(models(), DAY)
    assert tables["hub_frequency"]["n_models"].sum() == 60
    assert (tables["hub_authors"]["n_models"] * tables["hub_authors"]["n_authors"]).sum() == 60
    assert tables["hub_totals"].group_by("kind").agg(pl.col("n_models").sum())[
        "n_models"
    ].to_list() == [60, 60]
    assert tables["hub_top"].filter(pl.col("measure") == "likes")["size"].is_sorted(descending=True)


def test_every_table_has_the_columns_that_it_is_described_with() -> None:
    tables = tabulate_hub(models(license=["mit"] * 60, base_model=["author0/m0"] * 60), DAY)
    assert list(tables) == [
        "hub_frequency", "hub_authors", "hub_design_effects", "hub_sampling", "hub_covariances",
        "hub_clustered_tests", "hub_threshold_spreads",
        "hub_derivatives", "hub_totals", "hub_top",
    ]  # fmt: skip
    for name, table in tables.items():
        assert table.schema == pl.Schema(TABLES[name].schema), name
        if not table.is_empty():
            assert validate(table, TABLES[name]).quarantine.is_empty(), name


def test_models_of_one_day_and_the_same_counts_are_one_row() -> None:
    at = [datetime(2024, 7, 1, hour, tzinfo=UTC) for hour in (0, 23)]
    table = frequency_of_models(
        models(3, created_at=[*at, datetime(2024, 7, 2, tzinfo=UTC)], downloads=[5, 5, 5],
               likes=[1, 1, 1])
    )  # fmt: skip
    assert table.rows() == [(date(2024, 7, 1), 5, 1, 2), (date(2024, 7, 2), 5, 1, 1)]


def test_authors_by_the_number_of_their_models() -> None:
    table = frequency_of_authors(models(6, author=["a", "b", "b", "c", "c", None]))
    assert table.rows() == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("named", "rows"),
    [
        (["x/base", "x/base", "y/other"], [(1, 1), (2, 1)]),
        (["x/base, y/other", "['x/base']", None], [(1, 1), (2, 1)]),
        (["x/base,x/base", "", None], [(1, 1)]),  # named twice by one model
        ([None, None, None], []),
    ],
    ids=["one", "several", "twice", "none"],
)
def test_bases_by_the_number_of_models_that_name_them(
    named: list[str | None], rows: list[tuple[int, int]]
) -> None:
    assert frequency_of_derivatives(models(3, base_model=named)).rows() == rows


@pytest.mark.parametrize(
    ("declared", "family"),
    [
        (None, "none"),
        ("", "none"),
        ("Apache-2.0", "permissive"),
        ("mit", "permissive"),
        ("cc-by-4.0", "permissive"),
        ("cc-by-nc-4.0", "non-commercial"),
        ("cc-by-nc-sa-4.0", "non-commercial"),
        ("cc-by-sa-4.0", "copyleft"),
        ("agpl-3.0", "copyleft"),
        ("openrail", "openrail or community"),
        ("llama3.1", "openrail or community"),
        ("gemma", "openrail or community"),
        ("my own", "other"),
    ],
)
def test_a_licence_belongs_to_one_family(declared: str | None, family: str) -> None:
    frame = pl.DataFrame({"license": [declared]}, schema={"license": pl.String})
    assert frame.select(licence_family()).to_series().to_list() == [family]


def test_small_groups_stand_together_and_sums_stay() -> None:
    tags = ["large"] * SMALLEST_GROUP + ["small"] * (SMALLEST_GROUP - 1) + [None] * SMALLEST_GROUP
    n = len(tags)
    totals = totals_by_group(models(n, pipeline_tag=tags, license=["mit"] * n))
    of_tags = totals.filter(pl.col("kind") == "pipeline_tag")
    assert dict(of_tags.select("name", "n_models").iter_rows()) == {
        "large": SMALLEST_GROUP, "other": SMALLEST_GROUP - 1, "none": SMALLEST_GROUP
    }  # fmt: skip
    for column in ("downloads", "likes"):
        assert of_tags[column].sum() == models(n)[column].sum()
    licences = totals.filter(pl.col("kind") == "licence_family")
    assert licences.select("name", "n_models").rows() == [("permissive", n)]


def test_the_largest_are_ranked_ties_by_their_id() -> None:
    n = N_LABELS + 10
    top = largest_models(models(n, downloads=[7] * n))
    downloads = top.filter(pl.col("measure") == "downloads")
    assert downloads["rank"].to_list() == list(range(1, N_LABELS + 1))
    assert downloads["model_id"].to_list() == [f"author{i % 7}/m{i}" for i in range(N_LABELS)]
    likes = top.filter(pl.col("measure") == "likes")
    first = min(i for i in range(n) if i // 3 == (n - 1) // 3)
    assert likes["model_id"][0] == f"author{first % 7}/m{first}"
    assert likes["size"].to_list() == sorted((i // 3 for i in range(n)), reverse=True)[:N_LABELS]
