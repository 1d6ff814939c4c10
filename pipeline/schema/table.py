"""What a described table is: columns with type, unit, bounds and meaning, and a key."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

Dtype = type[pl.DataType] | pl.DataType

UTC = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Column:
    """One column: bounds are inclusive, None means unbounded."""

    name: str
    dtype: Dtype
    meaning: str
    unit: str = ""
    nullable: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Table:
    """One table; `key` columns are unique together.

    A repeated key is refused (nothing tells which row is right), or, with
    `quarantine_repeats`, all rows that share one go to quarantine.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    quarantine_repeats: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Return the column names in order."""
        return tuple(c.name for c in self.columns)

    @property
    def schema(self) -> dict[str, Dtype]:
        """Return name -> Polars type."""
        return {c.name: c.dtype for c in self.columns}


COUNT_MAX = 2**53
