"""The IO manager: tables as Parquet, results as JSON, one file per asset and day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from baimo.pipeline.lake.results import Day, Named, load_stored
from baimo.pipeline.lake.store import Lake


@dataclass(frozen=True)
class InLake:
    """A table that stands in the lake already."""

    path: str


class LakeIOManager(dg.ConfigurableIOManager):
    """Write every asset to the lake, atomically, and read it back by its name and day."""

    root: str

    def lake(self) -> Lake:
        """Return the lake that is written to."""
        return Lake(Path(self.root))

    def day(self, day: date, needs: Iterable[Named]) -> Day:
        """Return a reader of what is needed of a day; nothing is read yet."""
        return Day.of_lake(self.lake(), day, needs)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write a frame as Parquet, anything else as a result record."""
        from baimo.estimation.results import encode

        name, day = context.asset_key.path[-1], date.fromisoformat(context.partition_key)
        if isinstance(obj, InLake):
            context.add_output_metadata({"path": dg.MetadataValue.path(obj.path)})
            return
        if isinstance(obj, pl.DataFrame):
            path = self.lake().write_table(name, day, obj)
        else:
            path = self.lake().write_record(name, day, encode(obj))
        context.add_output_metadata({"path": dg.MetadataValue.path(str(path))})

    def load_input(self, context: dg.InputContext) -> Any:
        """Read what `handle_output` wrote."""
        name, day = context.asset_key.path[-1], date.fromisoformat(context.partition_key)
        return load_stored(self.lake(), name, day)
