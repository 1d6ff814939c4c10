"""Take a snapshot to study: load a source, validate its rows, tabulate, remember the origin."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from baimo.pipeline.datasets.defi import join_population, list_protocols
from baimo.pipeline.datasets.from_lake import load_published
from baimo.pipeline.datasets.hub import frequency_of_models, tabulate_hub
from baimo.pipeline.datasets.variants import (
    definition_variants,
    model_variants,
    protocol_variants,
)
from baimo.pipeline.errors import SourceError
from baimo.pipeline.lake.results import Stored
from baimo.pipeline.schema.defillama import DEFILLAMA_PROTOCOLS
from baimo.pipeline.schema.derived import HUB_INCREMENTS, TVL_WEEKLY
from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.schema.table import Column, Table
from baimo.pipeline.schema.validate import Validated, validate
from baimo.pipeline.sources.recordings import load_recordings
from baimo.pipeline.sources.reference import load_ready, load_reference, load_variants
from baimo.pipeline.sources.snapshot import LAKE, RECORDINGS, REFERENCE, Input, Snapshots

Provenance = dict[str, Any]
"""Source, day, inputs, what was left out and what is in quarantine, as plain values."""
PROVENANCE: Stored[Provenance] = Stored("provenance", dict)
"""Which files went in, what was ignored and why, what was quarantined."""

DATED_PROTOCOLS = replace(  # what is published, and what a recording of adapters tells beside it
    DEFILLAMA_PROTOCOLS,
    columns=(
        *DEFILLAMA_PROTOCOLS.columns,
        Column(
            "adapter_at",
            pl.Date,
            "first commit of its adapter, where it has no listing date; 2020-11-14: before",
            nullable=True,
        ),
    ),
)
ROWS_OF = {
    "hub_models": HUB_MODELS,
    "defi_day": DATED_PROTOCOLS,
    "defillama_protocols": DATED_PROTOCOLS,
    "tvl_weekly": TVL_WEEKLY,
    "hub_increments": HUB_INCREMENTS,
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Validated rows of one source with their provenance; frames as in `Snapshots`."""

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
            if name != "defi_day"  # its rows are among those of both dates
        ]
        return pl.concat(parts)

    def provenance(self) -> Provenance:
        """Return where the rows came from as plain values."""
        return {
            "source": self.source,
            "day": self.day.isoformat(),
            "inputs": [asdict(i) for i in self.inputs],
            "ignored": list(self.ignored),
            "notes": self._notes(),
            "quarantined": {
                name: {
                    "rows": table.quarantine.height,
                    "reasons": dict(
                        table.quarantine.group_by("reason").len().sort("reason").iter_rows()
                    ),
                }
                for name, table in self.tables.items()
                if name != "defi_day"
            },
        }

    def _notes(self) -> list[str]:
        """Return what recordings lack; of the other sources it is known."""
        found = (note for table in self.tables.values() for note in table.notes)
        return list(dict.fromkeys(found)) if self.source == RECORDINGS else []

    def tabulated(self) -> dict[str, pl.DataFrame]:
        """Return the tables that are fitted: of the Hub, of DeFi, and the weekly panel."""
        rows = {name: table.good for name, table in self.tables.items()}
        gains = rows.get("hub_increments", pl.DataFrame(schema=HUB_INCREMENTS.schema))
        return {
            **hub_frequency_tables(rows["hub_models"], self.day),
            "defi_population": join_population(rows["defillama_protocols"]),
            "defi_listing": list_protocols(rows["defi_day"]),
            "tvl_weekly": rows["tvl_weekly"],
            "hub_increments": gains,
            "size_variants": self._variants(),
        }

    def _variants(self) -> pl.DataFrame:
        """Return the sizes cut otherwise: from the rows, or, of the reference, the bundled ones."""
        models, protocols, dates = (
            self.tables[name].good for name in ("hub_models", "defi_day", "defillama_protocols")
        )
        ready = load_variants()
        of_tvl = pl.col("population").str.starts_with("tvl")
        return pl.concat(
            [
                ready.filter(~of_tvl) if _bundled(models) else model_variants(models),
                ready.filter(of_tvl) if _bundled(protocols) else protocol_variants(protocols),
                definition_variants(protocols, dates),
            ]
        )


def load_dataset(source: str, day: date) -> Dataset:
    """Load and validate a source that must be of `day`.

    Raises
    ------
    SourceError
        The source is of another day: its figures would be filed under the wrong date.
    TableError
        Columns missing, key repeated, no valid row.
    """
    loaded = load_snapshots(source, day)
    if loaded.day != day:
        raise SourceError(
            f"the {source} snapshot is of {loaded.day}, not of {day}: choose the partition "
            f"{loaded.day}, or give a source of {day}"
        )
    return Dataset(
        source=loaded.source,
        day=day,
        tables={
            name: _validated(frame, ROWS_OF[name], loaded.source)
            for name, frame in loaded.frames.items()
        },
        inputs=loaded.inputs,
        ignored=loaded.ignored,
    )


def _validated(frame: pl.DataFrame, table: Table, source: str) -> Validated:
    """Validate rows; those of the lake were when they were published."""
    if source == LAKE and table is HUB_MODELS:
        return Validated(frame, frame.clear().with_columns(reason=pl.lit("")), ())
    return validate(frame, table)


def hub_frequency_tables(models: pl.DataFrame, day: date) -> dict[str, pl.DataFrame]:
    """Return the Hub's frequency tables: measured on the rows, or the bundled ones.

    Rows of the reference carry no authors and names, so what those give comes from the bundle;
    the joint frequency is counted from the rows in either case.
    """
    if not _bundled(models):
        return tabulate_hub(models, day)
    return {"hub_frequency": frequency_of_models(models), **load_ready()}


def _bundled(rows: pl.DataFrame) -> bool:
    return bool(rows["source"][0] == REFERENCE)


def load_snapshots(source: str, day: date | None = None) -> Snapshots:
    """Load the bundled reference ("reference"), the lake's `day` ("lake"), or recordings."""
    if source == LAKE:
        return load_published(day)
    return load_reference() if source == REFERENCE else load_recordings(source)
