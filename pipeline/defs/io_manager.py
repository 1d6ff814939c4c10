"""The IO manager: tables as Parquet, results as JSON, one file per asset and day."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from baimo.pipeline.lake.results import read_result
from baimo.pipeline.lake.store import Lake


@dataclass(frozen=True)
class InLake:
    """A table that stands in the lake already."""

    path: str


class LakeIOManager(dg.ConfigurableIOManager):
    """Write every asset to the lake, atomically, and read it back by its name and day."""

    root: str

    def _lake(self) -> Lake:
        return Lake(Path(self.root))

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write a frame as Parquet, anything else as a result record."""
        from baimo.estimation.results import encode

        name, day = context.asset_key.path[-1], date.fromisoformat(context.partition_key)
        if isinstance(obj, InLake):
            context.add_output_metadata({"path": dg.MetadataValue.path(obj.path)})
            return
        if isinstance(obj, pl.DataFrame):
            path = self._lake().write_table(name, day, obj)
        else:
            path = self._lake().write_record(name, day, encode(obj))
        context.add_output_metadata({"path": dg.MetadataValue.path(str(path))})

    def load_input(self, context: dg.InputContext) -> Any:
        """Read what `handle_output` wrote."""
        name, day = context.asset_key.path[-1], date.fromisoformat(context.partition_key)
        lake = self._lake()
        if lake.path(name, day, "json").exists():
            return read_result(lake, name, day)
        return lake.read_table(name, day)
