"""A column of any type that is known gives the same values; of any other it has no reader."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.schema.table import UTC as MICROSECONDS
from baimo.pipeline.sources.hub.casts import READERS, emptied, parsed_times, whole_numbers

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def read(column: str, values: pl.Series) -> list[Any]:
    """Read a raw column of a file as a column of the table."""
    raw, _, make = READERS[column]
    reader = make(values.dtype)
    assert reader is not None
    return reader(pl.DataFrame({raw: values})).to_list()


def is_read(column: str, dtype: pl.DataType) -> bool:
    return READERS[column][2](dtype) is not None


# --- counts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([7, 0, None], dtype=pl.Int64),
        pl.Series([7, 0, None], dtype=pl.UInt8),
        pl.Series([7.0, 0.0, None]),
        pl.Series([Decimal("7.00"), Decimal("0.00"), None], dtype=pl.Decimal(10, 2)),
        pl.Series(["7", "0", None]),
        pl.Series(["7", "0", None], dtype=pl.Categorical),
    ],
    ids=["Int64", "UInt8", "Float64", "Decimal", "String", "Categorical"],
)
def test_whole_numbers_come_from_every_type_that_holds_them(values: pl.Series) -> None:
    found = whole_numbers(values)
    assert found.to_list() == [7, 0, None]
    assert found.dtype == pl.Int64
    assert read("downloads", values) == read("likes", values) == [7, 0, None]


def test_what_is_no_whole_number_is_null() -> None:
    odd = [0.5, float("nan"), float("inf"), -float("inf"), -3.0]
    assert whole_numbers(pl.Series(odd)).to_list() == [None, None, None, None, -3]
    assert whole_numbers(pl.Series(["1.5", "many", "", "4.0"])).to_list() == [None, None, None, 4]
    assert whole_numbers(pl.Series([2**64 - 1, 5], dtype=pl.UInt64)).to_list() == [None, 5]


def test_a_number_beyond_all_bounds_stays_beyond_them() -> None:
    assert whole_numbers(pl.Series([1e30, -1e30])).to_list() == [2**62, -(2**62)]


def test_values_are_emptied_where_they_are_bad_and_nowhere_else() -> None:
    values = pl.Series("x", [1, 2, None, 4])
    found = emptied(values, pl.Series([True, False, True, None]))
    assert found.to_list() == [None, 2, None, 4]
    assert found.name == "x"
    assert found.dtype == pl.Int64


# --- moments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-09-01T12:00:00.000Z",
        "2026-09-01T12:00:00Z",
        "2026-09-01T14:00:00+02:00",
        "2026-09-01 12:00:00.000000",
        "2026-09-01 12:00:00",
    ],
)
def test_a_moment_is_read_in_every_usual_form(text: str) -> None:
    found = parsed_times(pl.Series("t", [text, None, "soon"]))
    assert found.to_list() == [NOON, None, None]
    assert (found.dtype, found.name) == (MICROSECONDS, "t")


def test_forms_may_differ_from_row_to_row() -> None:
    texts = ["2026-09-01T12:00:00.000Z", "2026-09-01", "2026-09-01 12:00:00", "2026-13-01"]
    midnight = datetime(2026, 9, 1, tzinfo=UTC)
    assert parsed_times(pl.Series(texts)).to_list() == [NOON, midnight, NOON, None]
    assert parsed_times(pl.Series([], dtype=pl.String)).len() == 0


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([NOON], dtype=pl.Datetime("us", "UTC")),
        pl.Series([NOON], dtype=pl.Datetime("ns", "UTC")),
        pl.Series([NOON.replace(tzinfo=None)], dtype=pl.Datetime("ms")),
        pl.Series([NOON], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone("Asia/Tokyo"),
        pl.Series(["2026-09-01T12:00:00.000Z"]),
    ],
    ids=["us", "ns", "no zone", "Tokyo", "text"],
)
def test_a_moment_comes_from_every_type_that_holds_it(values: pl.Series) -> None:
    assert read("created_at", values) == read("last_modified", values) == [NOON]


def test_a_day_is_its_midnight() -> None:
    midnight = datetime(2026, 9, 1, tzinfo=UTC)
    assert read("created_at", pl.Series([date(2026, 9, 1)])) == [midnight]


# --- words ---------------------------------------------------------------------------------------


def test_access_is_one_of_three_words_or_false() -> None:
    texts = pl.Series(["False", "auto", "manual", "sometimes", None])
    assert read("gated", texts) == ["false", "auto", "manual", None, None]
    assert read("gated", pl.Series([False, True, None])) == ["false", None, None]


def test_truth_is_read_from_truth_and_from_its_words() -> None:
    assert read("private", pl.Series([True, False, None])) == [True, False, None]
    assert read("disabled", pl.Series(["True", "false", "no", None])) == [True, False, None, None]


def test_a_score_that_is_not_finite_is_null() -> None:
    scores = pl.Series([1.5, float("inf"), float("nan"), None])
    assert read("trending_score", scores) == [1.5, None, None, None]
    assert read("trending_score", pl.Series([3], dtype=pl.Int32)) == [3.0]


# --- what has parts ------------------------------------------------------------------------------


def test_derivatives_are_a_number_or_the_sum_of_their_kinds() -> None:
    assert read("n_children", pl.Series([9, None])) == [9, None]
    kinds = [{"adapter": 2, "merge": 1, "other": 99}, {"adapter": None, "merge": 4, "other": 1}]
    assert read("n_children", pl.Series([*kinds, None])) == [3, 4, None]


def test_parameters_are_the_total_of_a_struct_or_of_json() -> None:
    assert read("parameters", pl.Series([{"total": 7, "F32": 3}, {"total": None}])) == [7, None]
    texts = pl.Series(['{"total": 7, "x": 1}', '{"total":"8"}', "no JSON", '{"total": null}', None])
    assert read("parameters", texts) == [7, 8, None, None, None]


def test_spaces_are_counted_or_are_a_number() -> None:
    assert read("n_spaces", pl.Series([["a", "b"], [], None])) == [2, 0, None]
    assert read("n_spaces", pl.Series([2, None], dtype=pl.UInt32)) == [2, None]


PARENTS = [{"id": "a/b", "_id": "1"}, {"id": "c/d", "_id": "2"}]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([{"relation": "merge", "models": PARENTS}, {"relation": None, "models": []}]),
        pl.Series([{"relation": "merge", "models": ["a/b", "c/d"]}, {"models": []}]),
        pl.Series(
            ['{"relation": "merge", "models": [{"id": "a/b"}, {"_id": "2", "id": "c/d"}]}', "{}"]
        ),
    ],
    ids=["structs", "names", "JSON"],
)
def test_parents_are_joined_and_their_relation_is_read(values: pl.Series) -> None:
    assert read("base_model", values) == ["a/b,c/d", None]
    assert read("base_relation", values) == ["merge", None]


def test_tags_come_one_a_line() -> None:
    assert read("tags", pl.Series([["license:mit", "x"], [], None])) == ["license:mit\nx", "", None]
    assert read("tags", pl.Series(["['license:mit', \"x\"]", None])) == ["license:mit\nx", None]


# --- what has no reader --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        ("hub_id", pl.Int64()),
        ("model_id", pl.Boolean()),
        ("downloads", pl.Boolean()),
        ("likes", pl.List(pl.Int64)),
        ("created_at", pl.Int64()),
        ("last_modified", pl.Float64()),
        ("gated", pl.Int64()),
        ("private", pl.Int64()),
        ("trending_score", pl.String()),
        ("n_spaces", pl.Float64()),
        ("n_children", pl.Struct({"other": pl.Int64})),
        ("parameters", pl.Struct({"F32": pl.Int64})),
        ("parameters", pl.Int64()),
        ("base_model", pl.Struct({"models": pl.List(pl.Struct({"_id": pl.String}))})),
        ("base_model", pl.List(pl.String)),
        ("base_relation", pl.Struct({"models": pl.List(pl.String)})),
        ("tags", pl.List(pl.Int64)),
        ("license", pl.String()),
    ],
)
def test_a_type_that_nothing_is_known_of_has_no_reader(column: str, dtype: pl.DataType) -> None:
    assert not is_read(column, dtype)


def test_every_column_of_the_table_is_read_but_the_one_that_names_the_source() -> None:
    assert {*HUB_MODELS.names} - {*READERS} == {"source"}
    assert {*READERS} - {*HUB_MODELS.names} == {"tags"}
