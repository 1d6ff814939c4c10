"""Take a snapshot: load a source, validate its rows, remember where they came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import polars as pl

from pipeline.errors import SourceError
from pipeline.sources import REFERENCE, Input, load_snapshots
from pipeline.sources.reference import load_ready
from pipeline.tables import TABLES, Validated, validate
from pipeline.tabulate import frequency_of_models, tabulate_hub


@dataclass(frozen=True, eq=False)
class Taken:
    """Validated tables of one source with their provenance."""

    source: str
    day: date
    tables: dict[str, Validated]
    inputs: tuple[Input, ...]
    ignored: tuple[str, ...]

    def quarantine(self) -> pl.DataFrame:
        """Return every row that did not fit its table, as JSON text, with the reason."""
        parts = [
            table.quarantine.select(
                pl.lit(name).alias("table"),
                "reason",
                row=pl.struct(pl.exclude("reason")).struct.json_encode(),
            )
            for name, table in self.tables.items()
        ]
        return pl.concat(parts)

    def provenance(self) -> dict[str, Any]:
        """Return where the rows came from as plain values."""
        return {
            "source": REFERENCE if self.source == REFERENCE else "recordings",
            "day": self.day.isoformat(),
            "inputs": [asdict(i) for i in self.inputs],
            "ignored": list(self.ignored),
            "notes": [note for table in self.tables.values() for note in table.notes],
            "quarantined": {
                name: {
                    "rows": table.quarantine.height,
                    "reasons": dict(
                        table.quarantine.group_by("reason").len().sort("reason").iter_rows()
                    ),
                }
                for name, table in self.tables.items()
            },
        }


def take_snapshots(source: str, day: date) -> Taken:
    """Load and validate a source that must be of `day`.

    Raises
    ------
    SourceError
        The source is of another day: its figures would be filed under the wrong date.
    TableError
        Columns missing, key repeated, no valid row.
    """
    loaded = load_snapshots(source)
    if loaded.day != day:
        raise SourceError(
            f"the {source} snapshot is of {loaded.day}, not of {day}: choose the partition "
            f"{loaded.day}, or give a source of {day}"
        )
    return Taken(
        source=source,
        day=day,
        tables={name: validate(frame, TABLES[name]) for name, frame in loaded.frames.items()},
        inputs=loaded.inputs,
        ignored=loaded.ignored,
    )


def hub_frequency_tables(models: pl.DataFrame, day: date) -> dict[str, pl.DataFrame]:
    """Return the Hub's frequency tables: measured on the rows, or the bundled ones.

    Rows of the reference carry no authors and names, so what those give comes from the bundle;
    the joint frequency is counted from the rows in either case.
    """
    if models["source"][0] != REFERENCE:
        return tabulate_hub(models, day)
    return {"hub_frequency": frequency_of_models(models), **load_ready()}
