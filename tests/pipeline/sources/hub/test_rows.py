"""Pages of the Hub: every row is in the table with the right type, or in quarantine.

The oracle is the generator: it knows which rows it spoilt, and how.
"""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.schema.table import COUNT_MAX
from baimo.pipeline.sources.http import UnreadableError
from baimo.pipeline.sources.hub.rows import _read_carefully, _read_quickly, read_page

NOW = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)
LATEST = NOW + timedelta(days=1)
GOOD = {
    "_id": "66a0b0c0d0e0f00102030405",
    "id": "owner/model",
    "author": "owner",
    "downloads": 12,
    "downloadsAllTime": 40,
    "likes": 3,
    "createdAt": "2024-07-24T01:02:03.000Z",
    "lastModified": "2025-07-24T01:02:03.000Z",
    "pipeline_tag": "text-generation",
    "library_name": "transformers",
    "gated": False,
    "private": False,
    "disabled": False,
    "inference": "warm",
    "tags": ["transformers", "license:mit", "base_model:finetune:a/b", "base_model:a/b"],
    "baseModels": {"relation": "finetune", "models": [{"_id": "1", "id": "a/b"}]},
    "childrenModelCount": {"adapter": 2, "finetune": 1},
    "safetensors": {"parameters": {"BF16": 7}, "total": 7},
    "spaces": ["a/s", "b/s"],
    "trendingScore": 1.5,
}


def page(*rows: Any) -> bytes:
    return json.dumps(list(rows)).encode()


def test_a_row_in_order_is_read_column_by_column() -> None:
    read = read_page(page(GOOD), NOW)
    assert read.odd == []
    assert read.good.schema == pl.Schema(HUB_MODELS.schema)
    assert read.good.row(0, named=True) == {
        "hub_id": "66a0b0c0d0e0f00102030405",
        "model_id": "owner/model",
        "downloads": 12,
        "downloads_all_time": 40,
        "likes": 3,
        "created_at": datetime(2024, 7, 24, 1, 2, 3, tzinfo=UTC),
        "last_modified": datetime(2025, 7, 24, 1, 2, 3, tzinfo=UTC),
        "author": "owner",
        "pipeline_tag": "text-generation",
        "library_name": "transformers",
        "license": "mit",
        "base_model": "a/b",
        "base_relation": "finetune",
        "n_children": 3,
        "gated": "false",
        "private": False,
        "disabled": False,
        "inference": "warm",
        "parameters": 7,
        "n_spaces": 2,
        "trending_score": 1.5,
        "source": "hub",
    }


def test_what_a_row_does_not_have_is_null_and_the_owner_comes_from_the_name() -> None:
    bare = {k: GOOD[k] for k in ("_id", "id", "downloads", "likes", "createdAt")}
    row = read_page(page(bare), NOW).good.row(0, named=True)
    assert row["author"] == "owner"
    known = {"hub_id", "model_id", "downloads", "likes", "created_at", "author", "source"}
    assert {name for name, value in row.items() if value is not None} == known


def test_base_and_licence_come_from_the_tags_when_the_api_gives_no_more() -> None:
    row = {k: v for k, v in GOOD.items() if k != "baseModels"}
    read = read_page(page(row | {"tags": ["base_model:quantized:x/y", "license:apache-2.0"]}), NOW)
    found = read.good.select("base_model", "base_relation", "license").row(0)
    assert found == ("x/y", "quantized", "apache-2.0")


def test_the_relation_comes_from_whichever_tag_has_it() -> None:
    row = {k: v for k, v in GOOD.items() if k != "baseModels"}
    for tags in (["base_model:x/y", "base_model:adapter:x/y"],
                 ["base_model:adapter:x/y", "base_model:x/y"]):  # fmt: skip
        for more in ({}, {"likes": 2.0}):  # the quick reader and the careful one
            read = read_page(page(row | {"tags": tags} | more), NOW)
            assert read.good.select("base_model", "base_relation").row(0) == ("x/y", "adapter")


def test_several_parents_are_joined() -> None:
    merged = GOOD | {"baseModels": {"relation": "merge", "models": [{"id": "a/b"}, {"id": "c/d"}]}}
    assert read_page(page(merged), NOW).good["base_model"].to_list() == ["a/b,c/d"]


def test_a_number_of_children_is_taken_as_it_is() -> None:
    read = read_page(page(GOOD | {"childrenModelCount": 9}), NOW)
    assert read.good["n_children"].to_list() == [9]
    assert read.odd == []


SPOILT = [
    ("downloads", None, "downloads is missing"),
    ("downloads", -1, "downloads is negative"),
    ("downloads", 2**60, "downloads is above 2^53"),
    ("downloads", 10**400, "downloads is above 2^53"),
    ("downloads", math.nan, "downloads is not a whole number"),
    ("downloads", math.inf, "downloads is not a whole number"),
    ("downloads", 1.5, "downloads is not a whole number"),
    ("downloads", "12", "downloads is text, not a whole number"),
    ("downloads", True, "downloads is true or false, not a whole number"),
    ("downloads", [1], "downloads is a list, not a whole number"),
    ("downloads", {"n": 1}, "downloads is an object, not a whole number"),
    ("likes", None, "likes is missing"),
    ("likes", False, "likes is true or false, not a whole number"),
    ("likes", "many", "likes is text, not a whole number"),
    ("_id", None, "_id is missing"),
    ("_id", "", "_id is missing"),
    ("_id", 7, "_id is a number, not text"),
    ("_id", "\ud800", "_id is not valid Unicode"),
    ("id", None, "id is missing"),
    ("id", True, "id is true or false, not text"),
    ("createdAt", None, "createdAt is missing"),
    ("createdAt", "yesterday", "createdAt is not a date"),
    ("createdAt", "2024-13-01T00:00:00.000Z", "createdAt is not a date"),
    ("createdAt", 1721783000, "createdAt is a number, not text"),
    ("createdAt", "1970-01-01T00:00:00.000Z", "createdAt is out of range (1970-01-01)"),
    ("createdAt", "2999-01-01T00:00:00.000Z", "createdAt is out of range (2999-01-01)"),
]


@pytest.mark.parametrize(("name", "value", "reason"), SPOILT)
def test_a_spoilt_row_goes_to_quarantine_alone(name: str, value: Any, reason: str) -> None:
    spoilt = GOOD | {name: value}
    read = read_page(page(GOOD, spoilt, GOOD), NOW)
    assert read.good.height == 2
    assert [(r["reason"], r["kept"]) for r in read.odd] == [(reason, False)]
    if value == value:
        assert json.loads(read.odd[0]["row"]) == spoilt


ODD_VALUES = [
    ("gated", 7, "gated"),
    ("gated", True, "gated"),
    ("gated", "sometimes", "gated"),
    ("private", "no", "private"),
    ("downloadsAllTime", -4, "downloads_all_time"),
    ("downloadsAllTime", True, "downloads_all_time"),
    ("trendingScore", "hot", "trending_score"),
    ("author", 5, "author"),
    ("library_name", True, "library_name"),
    ("lastModified", "soon", "last_modified"),
    ("safetensors", 7, "parameters"),
    ("safetensors", {"total": "7"}, "parameters"),
    ("childrenModelCount", {"adapter": -1}, "n_children"),
    ("spaces", [{}], "n_spaces"),
    ("baseModels", ["a/b"], None),
    ("tags", [["x"]], "license"),
]


@pytest.mark.parametrize(("name", "value", "column"), ODD_VALUES)
def test_an_odd_value_costs_the_value_and_not_the_row(
    name: str, value: Any, column: str | None
) -> None:
    read = read_page(page(GOOD, GOOD | {"_id": "x", name: value}), NOW)
    assert read.good["hub_id"].to_list() == [GOOD["_id"], "x"]
    if column in ("author",):
        assert read.good[column][1] == "owner"  # the name of the repository still tells it
    elif column is not None:
        assert read.good[column][1] is None
    assert len(read.odd) == 1
    assert read.odd[0]["kept"]
    assert read.odd[0]["reason"].startswith(f"{name} ")


@pytest.mark.parametrize("gated", [False, "auto", "manual", None])
def test_gated_is_of_mixed_type_and_fine(gated: Any) -> None:
    read = read_page(page(GOOD | {"gated": gated}), NOW)
    assert read.odd == []
    assert read.good["gated"].to_list() == ["false" if gated is False else gated]


def test_the_largest_count_and_whole_fractions_are_fine() -> None:
    read = read_page(page(GOOD | {"downloads": COUNT_MAX}, GOOD | {"likes": 4.0}), NOW)
    assert read.odd == []
    assert read.good["downloads"].to_list() == [COUNT_MAX, 12]
    assert read.good["likes"].to_list() == [3, 4]


@pytest.mark.parametrize("row", [None, 7, "x", [GOOD], True])
def test_a_row_that_is_no_object_goes_to_quarantine(row: Any) -> None:
    read = read_page(page(GOOD, row), NOW)
    assert read.good.height == 1
    assert read.odd[0]["reason"].startswith("the row is ")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1", b"<html>busy</html>", b"null", b"{}", b'{"error": "x"}', b"12", b'"x"',
     page(GOOD)[:-20], page(GOOD) + b"]", b"\xff\xfe", b"[" * 5000],
)  # fmt: skip
def test_a_page_that_is_no_list_is_fetched_again(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_page(body, NOW)


def test_an_empty_page_has_no_rows() -> None:
    read = read_page(b" [] ", NOW)
    assert read.n_rows == 0
    assert read.good.schema == pl.Schema(HUB_MODELS.schema)


# --- fuzz ------------------------------------------------------------------------------------

counts = st.integers(0, COUNT_MAX)
names = st.text(min_size=1, max_size=12).filter(
    lambda s: not any("\ud800" <= c <= "\udfff" for c in s)
)
moments = st.datetimes(datetime(2015, 1, 2), datetime(2026, 9, 1)).map(
    lambda t: t.strftime("%Y-%m-%dT%H:%M:%S.") + f"{t.microsecond // 1000:03d}Z"
)
extras = {
    "author": st.none() | names,
    "downloadsAllTime": st.none() | counts,
    "lastModified": st.none() | moments,
    "pipeline_tag": st.none() | names,
    "library_name": st.none() | names,
    "gated": st.sampled_from([None, False, "auto", "manual"]),
    "private": st.sampled_from([None, False, True]),
    "disabled": st.sampled_from([None, False, True]),
    "tags": st.none() | st.lists(names, max_size=3),
    "safetensors": st.none() | st.fixed_dictionaries({"total": counts}),
    "spaces": st.none() | st.lists(names, max_size=3),
    "trendingScore": st.none() | st.integers(0, 500) | st.floats(-1e6, 1e6),
    "childrenModelCount": st.none()
    | st.fixed_dictionaries({}, optional={"adapter": counts, "merge": counts}),
    "baseModels": st.none()
    | st.fixed_dictionaries(
        {"relation": names, "models": st.lists(st.fixed_dictionaries({"id": names}), max_size=2)}
    ),
    "unknown": st.none() | st.booleans() | names,
}
good_rows = st.fixed_dictionaries(
    {"_id": names, "id": names, "downloads": counts, "likes": counts, "createdAt": moments},
    optional=extras,
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
spoilt_rows = st.builds(
    lambda row, how: {**row, how[0]: how[1]},
    good_rows,
    st.sampled_from([(name, value) for name, value, _ in SPOILT]),
) | anything.filter(lambda v: not isinstance(v, dict) or "_id" not in v)
odd_rows = st.builds(
    lambda row, how: {**row, how[0]: how[1]},
    good_rows,
    st.sampled_from([(name, value) for name, value, _ in ODD_VALUES]),
)


def _fuzz(rows: list[tuple[str, Any]]) -> None:
    body = json.dumps([row for _, row in rows]).encode()
    read = read_page(body, NOW)
    expected = [row for kind, row in rows if kind != "spoilt"]
    dropped = [record for record in read.odd if not record["kept"]]
    assert read.n_rows == len(rows)
    assert read.good["hub_id"].to_list() == [row["_id"] for row in expected]
    assert read.good["downloads"].to_list() == [row["downloads"] for row in expected]
    assert read.good["likes"].to_list() == [row["likes"] for row in expected]
    assert len(dropped) == sum(kind == "spoilt" for kind, _ in rows)
    assert sum(r["kept"] for r in read.odd) >= sum(kind == "odd" for kind, _ in rows)
    assert all(r["reason"] for r in read.odd)
    assert read.good.schema == pl.Schema(HUB_MODELS.schema)


mixed = st.lists(
    st.tuples(st.just("good"), good_rows)
    | st.tuples(st.just("spoilt"), spoilt_rows)
    | st.tuples(st.just("odd"), odd_rows),
    max_size=6,
)


@settings(max_examples=1000, deadline=None)
@given(mixed)
def test_no_row_is_lost_and_no_valid_row_is_quarantined(rows: list[tuple[str, Any]]) -> None:
    _fuzz(rows)


@pytest.mark.full
@settings(max_examples=50_000, deadline=None)
@given(mixed)
def test_no_row_is_lost_in_fifty_thousand_pages(rows: list[tuple[str, Any]]) -> None:
    _fuzz(rows)


@settings(max_examples=300, deadline=None)
@given(st.lists(good_rows, min_size=1, max_size=6))
def test_both_readers_agree_on_pages_in_order(rows: list[dict[str, Any]]) -> None:
    body = json.dumps(rows).encode()
    careful = _read_carefully(body, LATEST)
    assert careful.odd == []
    quick = _read_quickly(body, LATEST)
    if quick is not None:
        assert quick.equals(careful.good)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | anything.map(lambda v: json.dumps(v).encode()))
def test_nothing_but_the_named_error_escapes(body: bytes) -> None:
    try:
        read = read_page(body, NOW)
    except UnreadableError:
        return
    assert read.good.height + sum(not r["kept"] for r in read.odd) == read.n_rows


def test_the_quick_reader_is_the_one_that_reads_pages_in_order() -> None:
    assert _read_quickly(page(*[GOOD] * 50), LATEST) is not None
