"""The IO manager: tables as Parquet, results as JSON, one file per asset and day."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from baimo.pipeline.lake import Lake


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


def read_result(lake: Lake, name: str, day: date) -> Any:
    """Restore a fitted result of one day from the lake."""
    from baimo.estimation.results import decode

    _register_results()
    return decode(lake.read_record(name, day))


def _register_results() -> None:
    """Import every module that defines a result, so that records can be restored."""
    import baimo.estimation.heterogeneity.poisson_rates
    import baimo.estimation.tails.cohorts
    import baimo.pipeline.audit
    import baimo.pipeline.companion_fits
    import baimo.pipeline.fits
    import baimo.pipeline.gains
    import baimo.pipeline.models  # noqa: F401
