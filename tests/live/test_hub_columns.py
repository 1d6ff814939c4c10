"""Bulk files of every age give the rows of the API; what they lack, and odd rows, are said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.sources.http import Patience
from baimo.pipeline.sources.hub.columns import ColumnsError
from tests.live.servers.hub import HubServer
from tests.live.servers.hub_bulk import (
    MODELS,
    NEW,
    OLD,
    file_of,
    frame_of,
    parquet,
    read,
    serve,
    truth,
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


# --- files of all ages ---------------------------------------------------------------------------


def test_a_file_of_today_gives_what_the_api_gives(hub: HubServer, patience: Patience) -> None:
    serve(hub, file_of(MODELS))
    rows, lacks, emptied, odd = read(patience)
    assert set(lacks) == {"gated"}
    assert lacks["gated"] == "the file of that day has no gated"
    expected = truth().with_columns(
        gated=pl.lit(None, pl.String), source=pl.lit("hub-stats", pl.String)
    )
    assert rows.equals(expected)
    assert rows.schema == pl.Schema(HUB_MODELS.schema)
    assert (emptied, odd) == ({}, [])


def test_a_file_of_2024_says_what_it_lacks(hub: HubServer, patience: Patience) -> None:
    serve(hub, file_of(MODELS, OLD))
    rows, lacks, _, odd = read(patience)
    assert set(lacks) == {
        "downloads_all_time", "n_children", "gated", "private", "disabled", "inference",
        "parameters", "n_spaces", "trending_score",
    }  # fmt: skip
    same = [c.name for c in HUB_MODELS.columns if c.name not in {*lacks, "source"}]
    assert rows.select(same).equals(truth().select(same))  # the tags name the base models too
    assert rows.select(list(lacks)).null_count().row(0) == (len(MODELS),) * len(lacks)
    assert odd == []


VARIANTS: dict[str, tuple[pl.Expr, str]] = {
    "counts of 32 bits": (pl.col("downloads").clip(0, 10**6).cast(pl.UInt32), "downloads"),
    "counts as fractions": (pl.col("likes").cast(pl.Float64), "likes"),
    "counts as text": (pl.col("downloads").cast(pl.String), "downloads"),
    "counts as decimals": (pl.col("likes").cast(pl.Decimal(18, 2)), "likes"),
    "moments without a zone": (pl.col("createdAt").dt.replace_time_zone(None), "created_at"),
    "moments in another zone": (
        pl.col("createdAt").dt.convert_time_zone("Asia/Tokyo"),
        "created_at",
    ),
    "nanoseconds": (pl.col("createdAt").dt.cast_time_unit("ns"), "created_at"),
    "text with an offset": (
        pl.col("createdAt").dt.strftime("%Y-%m-%d %H:%M:%S%.6f%:z"),
        "created_at",
    ),
    "text without a zone": (
        pl.col("lastModified").dt.strftime("%Y-%m-%d %H:%M:%S%.3f"),
        "last_modified",
    ),
    "categories": (pl.col("pipeline_tag").cast(pl.Categorical), "pipeline_tag"),
    "truth as text": (pl.col("private").cast(pl.String), "private"),
    "base models as JSON": (pl.col("baseModels").struct.json_encode(), "base_model"),
    "relation as JSON": (pl.col("baseModels").struct.json_encode(), "base_relation"),
    "base models by name": (
        pl.struct(
            relation=pl.col("baseModels").struct.field("relation"),
            models=pl.col("baseModels")
            .struct.field("models")
            .list.eval(pl.element().struct.field("id")),
        ).alias("baseModels"),
        "base_model",
    ),
    "parameters as JSON": (pl.col("safetensors").struct.json_encode(), "parameters"),
    "children by kind": (
        pl.struct(
            adapter=pl.col("childrenModelCount") - 1,
            merge=pl.lit(1),
            other=pl.lit(99),
        ).alias("childrenModelCount"),
        "n_children",
    ),
    "number of spaces": (pl.col("spaces").list.len(), "n_spaces"),
    "tags as text": (
        pl.format("['{}']", pl.col("tags").list.join("', '")).alias("tags"),
        "license",
    ),
    "whole trending scores": (pl.col("trendingScore").cast(pl.Int32), "trending_score"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_another_type_of_a_column_gives_the_same_values(
    variant: str, hub: HubServer, patience: Patience
) -> None:
    change, column = VARIANTS[variant]
    frame = frame_of(MODELS, NEW).with_columns(change)
    serve(hub, parquet(frame))
    rows, lacks, emptied, odd = read(patience)
    expected = truth()[column]
    if variant == "counts of 32 bits":
        expected = expected.clip(0, 10**6)
    assert rows[column].equals(expected)
    assert set(lacks) == {"gated"}
    assert (emptied, odd) == ({}, [])


@pytest.mark.parametrize(
    ("values", "good"),
    [
        (pl.Series(["false", "auto", "manual", "True", None]), 3),
        (pl.Series([False, False, False, True, None]), 3),
    ],
)
def test_gated_is_read_where_it_is(
    values: pl.Series, good: int, hub: HubServer, patience: Patience
) -> None:
    frame = frame_of(MODELS[:5], NEW).with_columns(gated=values)
    serve(hub, parquet(frame))
    rows, lacks, emptied, _ = read(patience)
    assert rows["gated"].drop_nulls().len() == good
    assert "gated" not in lacks
    assert emptied == {"gated is neither false, auto nor manual: left empty": 1}


USELESS: dict[str, tuple[str, pl.Expr, str]] = {
    "a column of nulls": ("inference", pl.lit(None), "no inference"),
    "a moment as a number": ("last_modified", pl.lit(1.5).alias("lastModified"), "not a date"),
    "a struct for text": ("author", pl.struct(a=pl.lit(1)).alias("author"), ""),
    "a number for text": ("library_name", pl.lit(3).alias("library_name"), "not text"),
    "another struct": ("parameters", pl.struct(x=pl.lit(1)).alias("safetensors"), "known shape"),
}


@pytest.mark.parametrize("case", USELESS)
def test_a_useless_column_is_lacking_and_why_is_said(
    case: str, hub: HubServer, patience: Patience
) -> None:
    column, change, why = USELESS[case]
    if case == "a column of nulls":
        change = change.alias("inference")
    serve(hub, parquet(frame_of(MODELS, NEW).with_columns(change)))
    rows, lacks, _, _ = read(patience)
    if column == "author":  # it stands in the name
        assert rows["author"].equals(truth()["author"])
        return
    assert why in lacks[column]
    assert rows[column].null_count() == rows.height


@pytest.mark.parametrize("needed", ["_id", "id", "downloads", "likes", "createdAt"])
def test_a_file_without_a_needed_column_is_refused_with_what_it_has(
    needed: str, hub: HubServer, patience: Patience
) -> None:
    serve(hub, parquet(frame_of(MODELS, NEW).drop(needed)))
    with pytest.raises(ColumnsError, match=rf"has no {needed}; found .*tags.*: the day cannot"):
        read(patience)


def test_a_needed_column_of_a_useless_type_is_refused(hub: HubServer, patience: Patience) -> None:
    frame = frame_of(MODELS, NEW).with_columns(pl.lit(["x"]).alias("downloads"))
    serve(hub, parquet(frame))
    with pytest.raises(ColumnsError, match=r"downloads of that day's file is List"):
        read(patience)


# --- rows ----------------------------------------------------------------------------------------


def spoilt(name: str, values: dict[int, Any], dtype: Any = None) -> pl.DataFrame:
    frame = frame_of(MODELS, NEW)
    column = frame[name].cast(dtype) if dtype else frame[name]
    listed = column.to_list()
    for i, value in values.items():
        listed[i] = value
    return frame.with_columns(pl.Series(name, listed, dtype=column.dtype))


ODD_ROWS: dict[str, tuple[pl.DataFrame, list[str]]] = {
    "downloads": (
        spoilt("downloads", {0: None, 1: -3, 2: 0.5, 3: float("nan"), 4: 2.0**70}, pl.Float64),
        ["downloads is missing", "downloads is negative", "downloads is not a whole number",
         "downloads is not a whole number", "downloads is above 2^53"],
    ),
    "likes as text": (
        spoilt("likes", {7: "many", 220: ""}, pl.String),
        ["likes is not a whole number"] * 2,
    ),
    "dates": (
        spoilt("createdAt", {0: None, 229: datetime(2031, 1, 1, tzinfo=UTC),
                             5: datetime(2014, 1, 1, tzinfo=UTC)}),
        ["createdAt is missing", "createdAt is out of range", "createdAt is out of range"],
    ),
    "ids": (spoilt("_id", {3: "", 4: None}), ["_id is missing"] * 2),
    "names": (spoilt("id", {3: "", 4: None}), ["id is missing"] * 2),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD_ROWS)
def test_odd_rows_go_to_quarantine_with_a_reason(
    case: str, hub: HubServer, patience: Patience
) -> None:
    frame, reasons = ODD_ROWS[case]
    serve(hub, parquet(frame))
    rows, _, _, odd = read(patience)
    assert sorted(odd) == sorted(reasons)
    assert rows.height == len(MODELS) - len(reasons)
    assert set(rows["hub_id"]) <= {m["_id"] for m in MODELS}


def test_a_row_that_is_odd_twice_is_named_for_the_first(hub: HubServer, patience: Patience) -> None:
    frame = spoilt("downloads", {0: -1}).with_columns(spoilt("likes", {0: -1})["likes"])
    serve(hub, parquet(frame))
    assert read(patience)[3] == ["downloads is negative"]


def test_odd_values_that_may_be_missing_are_left_empty_and_counted(
    hub: HubServer, patience: Patience
) -> None:
    frame = spoilt("downloadsAllTime", {0: -1, 1: 2**60, 2: None})
    frame = frame.with_columns(spoilt("lastModified", {5: "soon"}, pl.String)["lastModified"])
    frame = frame.with_columns(spoilt("trendingScore", {6: float("inf")})["trendingScore"])
    serve(hub, parquet(frame))
    rows, _, emptied, odd = read(patience)
    assert odd == []
    assert rows.height == len(MODELS)
    assert emptied == {
        "downloadsAllTime is negative: left empty": 1,
        "downloadsAllTime is above 2^53: left empty": 1,
        "lastModified is not a date: left empty": 1,
        "trendingScore is not a number: left empty": 1,
    }
