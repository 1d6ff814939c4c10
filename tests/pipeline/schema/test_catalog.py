"""Every table of the project is in the catalogue once, with a meaning for each of its columns."""

from __future__ import annotations

from collections import Counter
from types import ModuleType

import polars as pl
import pytest

from baimo.pipeline.schema import defillama, derived, hub, results
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.table import COUNT_MAX, UTC, Table

MODULES = (hub, defillama, derived, results)


def tables_of(module: ModuleType) -> list[Table]:
    return [value for value in vars(module).values() if isinstance(value, Table)]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_every_column_is_described(table) -> None:  # type: ignore[no-untyped-def]
    assert set(table.key) <= set(table.names)
    assert all(column.meaning for column in table.columns)


def test_every_table_that_is_described_is_in_the_catalogue_under_its_name() -> None:
    described = [table for module in MODULES for table in tables_of(module)]
    assert len(described) == len(TABLES) == 31
    assert {id(t) for t in described} == {id(t) for t in TABLES.values()}
    assert all(name == table.name for name, table in TABLES.items())


def test_no_two_tables_have_one_name_and_no_two_columns_of_a_table() -> None:
    names = Counter(table.name for module in MODULES for table in tables_of(module))
    assert [name for name, times in names.items() if times > 1] == []
    for table in TABLES.values():
        assert len(set(table.names)) == len(table.columns), table.name


def test_no_two_tables_say_the_same_of_themselves() -> None:
    assert len({table.meaning for table in TABLES.values()}) == len(TABLES)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_types_are_those_that_parquet_and_the_checks_know(table: Table) -> None:
    known = {pl.String, pl.Boolean, pl.Int32, pl.Int64, pl.Float64, pl.Date, UTC}
    others = {c.name: c.dtype for c in table.columns if c.dtype not in known}
    assert others in ({}, dict.fromkeys(("reasons", "absent"), pl.List(pl.String)))


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_bounds_are_of_numbers_and_in_order(table: Table) -> None:
    for c in table.columns:
        bounds = [b for b in (c.low, c.high) if b is not None]
        assert not bounds or c.dtype in (pl.Int32, pl.Int64, pl.Float64), c.name
        assert bounds == sorted(bounds), c.name
        assert all(abs(b) <= COUNT_MAX for b in bounds), c.name  # else a fraction loses units


@pytest.mark.parametrize("unit", ["USD", "UTC"])
def test_names_and_units_do_not_contradict_each_other(unit: str) -> None:
    for table in TABLES.values():
        for c in table.columns:
            if unit == "USD" and c.name.endswith("_usd"):
                assert (c.unit, c.dtype) == ("USD", pl.Float64), (table.name, c.name)
            if unit == "UTC" and c.dtype == UTC:
                assert c.unit == "UTC", (table.name, c.name)
