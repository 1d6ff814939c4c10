"""A file of any age gives the rows of the table; what it lacks is said, what is odd is counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.schema.table import COUNT_MAX
from baimo.pipeline.sources.hub.columns import RAW_COLUMNS, Block, ColumnsError, plan, read_block

CREATED = datetime(2026, 8, 1, tzinfo=UTC)
LATEST = datetime(2026, 9, 3, tzinfo=UTC)
NEEDED = {
    "_id": ["1", "2", "3"],
    "id": ["a/x", "b/y", "bare"],
    "downloads": [1, 2, 3],
    "likes": [0, 5, 9],
    "createdAt": [CREATED] * 3,
}


TAGS = pl.Series([["x"], [], None], dtype=pl.List(pl.String))


def frame(**columns: list[Any] | pl.Series) -> pl.DataFrame:
    return pl.DataFrame({**NEEDED, "tags": TAGS, **columns})


def read(raw: pl.DataFrame) -> Block:
    how = plan(raw.columns, raw.schema, "hub-stats")
    return read_block(raw, how, LATEST)


def without(*names: str) -> pl.DataFrame:
    return frame().drop(names)


# --- the plan ------------------------------------------------------------------------------------


def test_what_a_file_lacks_is_said_by_column_of_the_table() -> None:
    raw = frame(private=[1, 0, 1], spaces=[1.5] * 3, inference=[None] * 3)
    how = plan(raw.columns, raw.schema, "hub-stats")
    assert how.lacks["gated"] == "the file of that day has no gated"
    assert how.lacks["inference"] == "the file of that day has no inference"
    assert how.lacks["private"] == "private of that day's file is Int64, not true or false"
    assert how.lacks["n_spaces"] == "spaces of that day's file is Float64, not a list"
    given = {"hub_id", "model_id", "downloads", "likes", "created_at"}
    assert set(how.readers) == given | {"tags"}
    # The tags tell licence and base models, the name tells the author.
    told = {"license", "base_model", "base_relation", "author", "source"}
    assert set(how.lacks) == {*HUB_MODELS.names} - given - told


def test_without_tags_licence_and_base_models_are_lacking() -> None:
    raw = without("tags")
    lacks = plan(raw.columns, raw.schema, "hub-stats").lacks
    assert {"license", "base_model", "base_relation"} <= set(lacks)
    assert "author" not in lacks
    assert "tags" not in lacks


@pytest.mark.parametrize("name", ["_id", "id", "downloads", "likes", "createdAt"])
def test_without_what_every_row_needs_the_day_cannot_be_read(name: str) -> None:
    raw = without(name)
    with pytest.raises(ColumnsError, match=rf"that day has no {name}; found .*take another"):
        plan(raw.columns, raw.schema, "hub-stats")


def test_all_that_is_missing_is_named_at_once_with_what_is_there() -> None:
    with pytest.raises(
        ColumnsError,
        match=r"downloads of that day's file is List\(String\), not a whole number; .* no likes; "
        r"found downloads, tags, safetensors: ",
    ):
        plan(
            ["downloads.list.element", "tags", "safetensors.total", "safetensors.F32"],
            frame(downloads=[["x"]] * 3).drop("likes").schema,
            "hub-stats",
        )


def test_only_the_leaves_that_are_used_are_read() -> None:
    leaves = [
        *NEEDED, "tags", "config", "safetensors.parameters.F32", "safetensors.total",
        "baseModels.relation", "baseModels.models.list.element._id",
        "baseModels.models.list.element.id", "gated",
    ]  # fmt: skip
    parents = pl.List(pl.Struct({"_id": pl.String, "id": pl.String}))
    schema = frame().schema
    schema["safetensors"] = pl.Struct(
        {"parameters": pl.Struct({"F32": pl.Int64}), "total": pl.Int64}
    )
    schema["baseModels"] = pl.Struct({"relation": pl.String, "models": parents})
    schema["gated"] = pl.Int64()  # of no known type: not read
    assert plan(leaves, schema, "hub-stats").leaves == [
        *NEEDED, "tags", "safetensors.total", "baseModels.relation",
        "baseModels.models.list.element.id",
    ]  # fmt: skip


def test_every_raw_column_is_looked_at_once() -> None:
    assert len(set(RAW_COLUMNS)) == len(RAW_COLUMNS) == 20
    assert set(NEEDED) <= set(RAW_COLUMNS)


# --- rows ----------------------------------------------------------------------------------------


def test_rows_come_in_their_order_under_the_columns_of_the_table() -> None:
    block = read(frame())
    assert block.good.schema == pl.Schema(HUB_MODELS.schema)
    assert block.good["hub_id"].to_list() == ["1", "2", "3"]
    assert block.good["likes"].to_list() == [0, 5, 9]
    assert block.good["author"].to_list() == ["a", "b", None]
    assert set(block.good["source"]) == {"hub-stats"}
    assert block.good["gated"].null_count() == 3
    assert (block.n_rows, block.emptied, block.odd.height) == (3, {}, 0)


def test_tags_fill_what_a_file_does_not_say_itself() -> None:
    tags = [
        ["license:mit", "base_model:x/y", "base_model:adapter:x/y"],
        ["base_model:merge:p/q", "license:other"],
        [],
    ]
    found = read(frame(tags=tags)).good
    columns = ("license", "base_model", "base_relation")
    assert found.select(columns).rows() == [
        ("mit", "x/y", "adapter"), ("other", "p/q", "merge"), (None, None, None)
    ]  # fmt: skip
    own = [{"relation": "finetune", "models": ["own/one"]}, None, None]
    found = read(frame(tags=tags, baseModels=own, author=["z", None, None])).good
    assert found["base_model"].to_list() == ["own/one", "p/q", None]
    assert found["base_relation"].to_list() == ["finetune", "merge", None]
    assert found["author"].to_list() == ["z", "b", None]


@pytest.mark.parametrize(
    ("name", "values", "reasons"),
    [
        ("_id", ["1", "", None], ["_id is missing"] * 2),
        ("id", [None, "b/y", ""], ["id is missing"] * 2),
        ("downloads", [None, -1, COUNT_MAX + 1],
         ["downloads is missing", "downloads is negative", "downloads is above 2^53"]),
        ("downloads", [0.5, 2.0, float("nan")], ["downloads is not a whole number"] * 2),
        ("likes", ["7", "many", ""], ["likes is not a whole number"] * 2),
        ("createdAt", [CREATED, None, datetime(2014, 12, 31, tzinfo=UTC)],
         ["createdAt is missing", "createdAt is out of range"]),
        ("createdAt", [CREATED, LATEST, datetime(2026, 9, 4, tzinfo=UTC)],
         ["createdAt is out of range"]),
        ("createdAt", ["2026-08-01T00:00:00.000Z", "soon", None],
         ["createdAt is not a date", "createdAt is missing"]),
    ],
)  # fmt: skip
def test_a_row_without_a_valid_core_goes_to_quarantine(
    name: str, values: list[Any], reasons: list[str]
) -> None:
    raw = frame(**{name: values})
    block = read(raw)
    assert block.odd["reason"].to_list() == reasons
    assert block.odd["kept"].to_list() == [False] * len(reasons)
    assert block.good.height == 3 - len(reasons)
    assert block.n_rows == 3
    assert all(f"'{name}': " in row for row in block.odd["row"])


def test_of_several_faults_the_first_is_named() -> None:
    block = read(frame(downloads=[-1, 1, 1], likes=[-1, -1, 1]))
    assert block.odd["reason"].to_list() == ["downloads is negative", "likes is negative"]


def test_an_odd_value_that_may_be_missing_is_left_empty_and_counted() -> None:
    block = read(
        frame(
            downloadsAllTime=[-1, COUNT_MAX + 1, 7],
            lastModified=["soon", "2026-08-01T00:00:00.000Z", None],
            trendingScore=[float("inf"), 1.5, None],
            gated=["sometimes", "auto", None],
        )
    )
    assert block.odd.is_empty()
    assert block.emptied == {
        "downloadsAllTime is negative: left empty": 1,
        "downloadsAllTime is above 2^53: left empty": 1,
        "lastModified is not a date: left empty": 1,
        "trendingScore is not a number: left empty": 1,
        "gated is neither false, auto nor manual: left empty": 1,
    }
    assert block.good["downloads_all_time"].to_list() == [None, None, 7]
    assert block.good["last_modified"].to_list() == [None, CREATED, None]
    assert block.good["trending_score"].to_list() == [None, 1.5, None]
    assert block.good["gated"].to_list() == [None, "auto", None]


def test_a_long_row_is_cut_in_quarantine() -> None:
    block = read(frame(_id=["1", "2", ""], id=["a/x", "b/y", "c/" + "z" * 9000]))
    assert block.odd["row"].str.len_chars().to_list() == [4000]


def test_a_part_without_rows_gives_none() -> None:
    block = read(frame().head(0))
    assert (block.good.height, block.odd.height, block.n_rows) == (0, 0, 0)
