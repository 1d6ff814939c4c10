"""What a source hands over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

REFERENCE = "reference"
LAKE = "lake"
RECORDINGS = "recordings"


@dataclass(frozen=True)
class Input:
    """One file that went into a run: every number can be traced to these.

    `rows` are those of the file, `rows_used` those that became rows of the table (a history
    becomes weeks, of several snapshots in one file the latest is used).
    """

    table: str
    name: str
    sha256: str
    rows: int
    rows_used: int
    taken_on: str


@dataclass(frozen=True, eq=False)
class Snapshots:
    """Raw tables of one source.

    Parameters
    ----------
    day
        Day of the Hub listing, under which the run is filed.
    source
        reference, recordings or lake.
    frames
        hub_models; defi_day (protocols on the day whose TVL is fitted); defillama_protocols (two
        dates, for growth); tvl_weekly. Raw rows, not yet validated, except those of the lake.
    inputs, ignored
        Files taken, and what was passed over with the reason.
    """

    day: date
    source: str
    frames: dict[str, pl.DataFrame]
    inputs: tuple[Input, ...] = ()
    ignored: tuple[str, ...] = ()
