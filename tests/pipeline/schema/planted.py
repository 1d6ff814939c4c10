"""A good row of a described table, and the same with a wrong value planted in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.errors import TableError
from baimo.pipeline.schema.table import Table
from baimo.pipeline.schema.validate import validate

Row = Mapping[str, Any]


def reads_back(table: Table, row: Row) -> bool:
    """Say whether a row with every column is valid, and each value comes back in its own type."""
    assert list(row) == list(table.names)
    read = validate(pl.DataFrame([row]), table).good
    (again,) = read.rows(named=True)
    same = {name: type(value) for name, value in again.items()} == {
        name: type(value) for name, value in row.items()
    }
    return same and again == dict(row) and read.schema == pl.Schema(table.schema)


def assert_key_holds(table: Table, row: Row, key: tuple[str, ...]) -> None:
    """Check the key: two rows that share all of it are refused, two that share less are not."""
    assert table.key == key
    with pytest.raises(TableError, match=f"{', '.join(key)} must be unique, but 2 rows share one"):
        validate(pl.DataFrame([row, row]), table)
    assert left_out(table, row) == []


def left_out(table: Table, row: Row, **wrong: Any) -> list[str]:
    """Validate a good row beside one with wrong values; return why the second was left out."""
    last = table.key[-1]
    other = {**row, last: _another(row[last]), **wrong}
    columns = {name: _column(value, other[name]) for name, value in row.items()}
    found = validate(pl.DataFrame(columns), table)
    assert found.good.height == 2 - found.quarantine.height
    assert found.good[last][0] == row[last]
    return found.quarantine["reason"].to_list()


def _another(key: Any) -> Any:
    if isinstance(key, bool):
        return not key
    if isinstance(key, date):
        return key + timedelta(days=1)
    return key + ("-" if isinstance(key, str) else 1)


def _column(good: Any, other: Any) -> pl.Series:
    """Return both values as a JSON reader hands them over: mixed types are text."""
    if isinstance(other, str) and not isinstance(good, str):
        return pl.Series([str(good), other])
    return pl.Series([good, other], strict=False)
