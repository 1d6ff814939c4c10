"""A described table gives its columns' names and types in order, and refuses nothing by itself."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import polars as pl
import pytest

from baimo.pipeline.errors import TableError
from baimo.pipeline.schema.table import COUNT_MAX, UTC, Column, Table
from baimo.pipeline.schema.validate import validate

THINGS = Table(
    "things",
    "One row a thing.",
    ("name",),
    (
        Column("name", pl.String, "what it is called"),
        Column("made_at", UTC, "when it was made", nullable=True),
        Column("weight", pl.Float64, "what it weighs", "kg", low=0, high=10),
    ),
)


def test_names_and_types_come_in_the_order_of_the_columns() -> None:
    assert THINGS.names == ("name", "made_at", "weight")
    assert THINGS.schema == {"name": pl.String, "made_at": UTC, "weight": pl.Float64}
    assert list(THINGS.schema) == list(THINGS.names)
    backwards = replace(THINGS, columns=THINGS.columns[::-1])
    assert backwards.names == ("weight", "made_at", "name")


def test_a_moment_is_of_microseconds_in_utc() -> None:
    empty = pl.DataFrame(schema=THINGS.schema)
    assert empty.schema["made_at"] == pl.Datetime("us", "UTC")
    assert empty.schema["made_at"] != pl.Datetime("ms", "UTC")


def test_a_column_is_required_and_unbounded_unless_it_says_otherwise() -> None:
    plain = Column("x", pl.Int64, "x")
    assert (plain.unit, plain.nullable, plain.low, plain.high) == ("", False, None, None)


def test_bounds_are_inclusive() -> None:
    rows = pl.DataFrame({"name": list("abcd"), "weight": [0.0, 10.0, -1e-9, 10.0 + 1e-9]})
    found = validate(rows, THINGS)
    assert found.good["name"].to_list() == ["a", "b"]
    assert found.quarantine["reason"].to_list() == ["weight is below 0", "weight is above 10"]


def test_a_repeated_key_is_refused_or_set_aside_as_the_table_says() -> None:
    rows = pl.DataFrame({"name": ["a", "a", "b"], "weight": [1.0, 2.0, 3.0]})
    with pytest.raises(TableError, match="name must be unique"):
        validate(rows, THINGS)
    found = validate(rows, replace(THINGS, quarantine_repeats=True))
    assert found.good["name"].to_list() == ["b"]


def test_the_largest_count_is_the_last_that_a_fraction_holds() -> None:
    assert float(COUNT_MAX) == COUNT_MAX
    assert float(COUNT_MAX + 1) != COUNT_MAX + 1


def test_a_description_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        THINGS.name = "others"  # type: ignore[misc]
    assert hash(THINGS) == hash(replace(THINGS))
