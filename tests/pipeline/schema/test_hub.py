"""Tables of the Hub hold counts up to 2^53 and moments in UTC; a wrong value is left out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.schema.hub import HUB_DOWNLOADS_DAILY, HUB_MODELS
from baimo.pipeline.schema.table import COUNT_MAX, Table
from tests.pipeline.schema.planted import Row, left_out, reads_back

MODEL: Row = {
    "hub_id": "66a0b0c0d0e0f00102030405",
    "model_id": "owner/model",
    "downloads": 12,
    "downloads_all_time": 40,
    "likes": 3,
    "created_at": datetime(2024, 7, 24, 1, 2, 3, tzinfo=UTC),
    "last_modified": datetime(2025, 7, 24, 1, 2, 3, 4000, tzinfo=UTC),
    "author": "owner",
    "pipeline_tag": "text-generation",
    "library_name": "transformers",
    "license": "mit",
    "base_model": "a/b,c/d",
    "base_relation": "merge",
    "n_children": 3,
    "gated": "auto",
    "private": False,
    "disabled": True,
    "inference": "warm",
    "parameters": 7_000_000_000,
    "n_spaces": 2,
    "trending_score": 1.5,
    "source": "hub",
}
MOVEMENT: Row = {"hub_id": "66a0", "day": date(2026, 8, 1), "downloads": -4}
ROWS: dict[str, tuple[Table, Row]] = {
    "hub_models": (HUB_MODELS, MODEL),
    "hub_downloads_daily": (HUB_DOWNLOADS_DAILY, MOVEMENT),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_comes_back_in_its_types(name: str) -> None:
    table, row = ROWS[name]
    assert table.name == name
    assert reads_back(table, row)


def test_a_model_is_known_by_its_id_and_a_movement_by_its_day_too() -> None:
    assert HUB_MODELS.key == ("hub_id",)
    assert HUB_DOWNLOADS_DAILY.key == ("day", "hub_id")


@pytest.mark.parametrize(
    ("column", "wrong", "reason"),
    [
        ("hub_id", None, "hub_id is missing"),
        ("model_id", None, "model_id is missing"),
        ("downloads", -1, "downloads is below 0"),
        ("downloads", COUNT_MAX + 1, "downloads is above 9.0072e+15"),
        ("downloads_all_time", -1, "downloads_all_time is below 0"),
        ("downloads_all_time", 2**60, "downloads_all_time is above 9.0072e+15"),
        ("likes", None, "likes is missing"),
        ("likes", -1, "likes is below 0"),
        ("likes", "many", "likes is not a whole number"),
        ("created_at", None, "created_at is missing"),
        ("created_at", "yesterday", "created_at is not a date"),
        ("last_modified", "soon", "last_modified is not a date"),
        ("n_children", -1, "n_children is below 0"),
        ("private", "perhaps", "private is not true or false"),
        ("parameters", -1, "parameters is below 0"),
        ("n_spaces", -1, "n_spaces is below 0"),
        ("trending_score", float("inf"), "trending_score is not finite"),
        ("source", None, "source is missing"),
    ],
)
def test_a_wrong_value_of_a_model_leaves_its_row_out(column: str, wrong: Any, reason: str) -> None:
    assert left_out(HUB_MODELS, MODEL, **{column: wrong}) == [reason]


@pytest.mark.parametrize(
    ("column", "wrong", "reason"),
    [
        ("hub_id", None, "hub_id is missing"),
        ("day", None, "day is missing"),
        ("day", "no day", "day is not a date"),
        ("downloads", None, "downloads is missing"),
        ("downloads", 2**60, "downloads is above 9.0072e+15"),
        ("downloads", -(2**60), "downloads is below -9.0072e+15"),
    ],
)
def test_a_wrong_value_of_a_day_leaves_its_row_out(column: str, wrong: Any, reason: str) -> None:
    assert left_out(HUB_DOWNLOADS_DAILY, MOVEMENT, **{column: wrong}) == [reason]


def test_what_the_hub_need_not_say_may_be_empty() -> None:
    required = {"hub_id", "model_id", "downloads", "likes", "created_at", "source"}
    optional = [name for name in HUB_MODELS.names if name not in required]
    assert left_out(HUB_MODELS, MODEL, **dict.fromkeys(optional)) == []


def test_the_largest_count_is_valid_and_a_counter_may_fall() -> None:
    assert left_out(HUB_MODELS, MODEL, downloads=COUNT_MAX, likes=COUNT_MAX) == []
    assert left_out(HUB_DOWNLOADS_DAILY, MOVEMENT, downloads=-COUNT_MAX) == []


def test_a_flow_and_a_stock_of_downloads_have_different_units() -> None:
    units = {c.name: c.unit for c in HUB_MODELS.columns}
    assert units["downloads"] == "downloads per 30 days"
    assert units["downloads_all_time"] == "downloads"
    assert {c.name: c.unit for c in HUB_DOWNLOADS_DAILY.columns}["downloads"] == "downloads per day"
    assert units["created_at"] == units["last_modified"] == "UTC"
    assert HUB_MODELS.schema["created_at"] == pl.Datetime("us", "UTC")
