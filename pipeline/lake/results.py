"""What a run stores of a day under which name, and the reader that is handed to those who use it.

A `Stored` is declared beside the class of the result, so that whoever reads it has imported what it
holds. A `Day` reads what was declared beforehand (`needs`), each thing once, and only when asked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import polars as pl

from baimo.estimation.results import decode
from baimo.pipeline.errors import LakeError, PipelineError
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.table import Table

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_TYPES: dict[str, tuple[type[Any], ...]] = {}


class UndeclaredError(PipelineError):
    """Something was read that was not declared: the graph would not know of it."""


class Named(Protocol):
    """An asset of a day: a described table, or a stored result."""

    @property
    def name(self) -> str:
        """Its name in the lake and in the graph."""
        ...


@dataclass(frozen=True)
class Stored(Generic[T_co]):
    """A result of a day: its name in the lake, and the classes it may be of.

    Parameters
    ----------
    name
        Of the asset.
    types
        What comes back is one of these.

    Raises
    ------
    ValueError
        Something else is stored under this name.
    """

    name: str
    types: tuple[type[Any], ...]

    def __init__(self, name: str, *types: type[Any]) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "types", types)
        if _TYPES.setdefault(name, types) != types:
            raise ValueError(f"{name} is stored as {_TYPES[name]}: give {types} another name")


@dataclass(frozen=True, eq=False)
class Day:
    """The results of one day, read when they are asked for.

    Parameters
    ----------
    date
        The day.
    load
        Returns what is stored under a name.
    needs
        The names that may be read.
    """

    date: dt.date
    load: Callable[[str], Any]
    needs: frozenset[str]

    @classmethod
    def of_lake(cls, lake: Lake, day: dt.date, needs: Iterable[Named]) -> Day:
        """Return a reader of the lake; nothing is read yet."""
        return cls(day, _once(lambda name: load_stored(lake, name, day)), names_of(needs))

    @classmethod
    def of_values(cls, day: dt.date, values: Mapping[str, Any]) -> Day:
        """Return a reader of values by name: for tests, and for what is in memory."""
        return cls(day, values.__getitem__, frozenset(values))

    def only(self, needs: Iterable[Named]) -> Day:
        """Return a reader of less, which shares what has been read."""
        return Day(self.date, self.load, names_of(needs) & self.needs)

    def read(self, stored: Stored[T]) -> T:
        """Return a result.

        Raises
        ------
        UndeclaredError
            It is not among `needs`.
        LakeError
            It is not there, or of another class.
        """
        value = self._loaded(stored.name)
        if not isinstance(value, stored.types):
            raise LakeError(
                f"{stored.name} of {self.date} holds a {type(value).__name__}: measure the day "
                "again with this version (baimo run)"
            )
        found: T = value
        return found

    def table(self, table: Table) -> pl.DataFrame:
        """Return a described table; errors as in `read`."""
        frame: pl.DataFrame = self._loaded(table.name)
        return frame

    def _loaded(self, name: str) -> Any:
        if name not in self.needs:
            raise UndeclaredError(
                f"{name} is read but not declared; add it to `needs`, of which there are "
                f"{', '.join(sorted(self.needs)) or 'none'}"
            )
        return self.load(name)


def names_of(needs: Iterable[Named]) -> frozenset[str]:
    """Return the names of assets."""
    return frozenset(need.name for need in needs)


def load_stored(lake: Lake, name: str, day: dt.date) -> Any:
    """Return what lies in the lake under a name: a result where there is a record, else a table."""
    if lake.path(name, day, "json").exists():
        return decode(lake.read_record(name, day))
    return lake.read_table(name, day)


def _once(load: Callable[[str], Any]) -> Callable[[str], Any]:
    found: dict[str, Any] = {}

    def loaded(name: str) -> Any:
        if name not in found:
            found[name] = load(name)
        return found[name]

    return loaded
