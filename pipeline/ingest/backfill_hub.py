"""One past day of the Hub, from a bulk file to a published snapshot.

The file is read once, in its order; its rows go through sorted runs on disk into the order of
hub_id (`lake/external_sort`), so that memory stays with a run whatever the size of the Hub, and
the same file gives the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import polars as pl

from baimo.pipeline.errors import IncompleteError
from baimo.pipeline.ingest.acceptance import (
    Check,
    few_in_quarantine,
    no_absurd_total,
    refuse_if_failed,
    size_against_the_last,
    zeros_share,
)
from baimo.pipeline.ingest.backfill_days import NothingError, last_before
from baimo.pipeline.ingest.publish import BLOCK_ROWS, write_blocks
from baimo.pipeline.lake.atomic import read_file
from baimo.pipeline.lake.external_sort import Runs
from baimo.pipeline.lake.quarantine import quarantined, write_quarantine
from baimo.pipeline.lake.receipts import PUBLISHED, Receipt, published_days
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.raw import RawRow
from baimo.pipeline.sources.hub.columns import Block
from baimo.pipeline.sources.hub.dumps import Available, History

NAME = "hub_models"
LONGEST_LAG = 3  # days by which the newest model of a file may be older than its day
NEAR_DAYS = 60  # farther apart, shares of zeros and sums are not compared
MOST_KEPT_ODD = 10_000  # rows in the quarantine of one day; all are counted


def publish_past_models(
    lake: Lake,
    history: History,
    day: date,
    available: Available | None,
    scratch: Path,
    show: Callable[[int, int], None] = lambda rows, of_rows: None,
) -> Receipt:
    """Read a day of a source, check it and publish it; its receipt is not written yet.

    Parameters
    ----------
    scratch
        A folder for sorting, removed at the end.
    show
        Called with the rows read so far and those that the file declares.

    Raises
    ------
    NothingError
        The source has nothing for that day.
    RefusedSnapshotError, IncompleteError
        What it has does not stand for that day.
    SourceError
        It cannot be read.
    LakeError
        The lake cannot be written, or holds another file of that day.
    """
    if available is None or available.refused:
        why = available.refused if available else "it has nothing for that day"
        raise NothingError(f"{history.repo_id}: {why}; try another source")
    lacks, declared = history.lacks(available), history.n_rows(available)
    read = _Read()
    with Runs(scratch, "hub_id") as runs:
        for block in history.blocks(available):
            read.add(block)
            runs.add(block.good)
            show(read.rows, declared)
        runs.flush()
        write_quarantine(lake, NAME, day, pl.concat([quarantined([]), *read.odd]))
        if read.rows != declared or not read.rows:
            raise IncompleteError(
                f"{available.file.path} of {day} has {read.rows:,} rows and declares "
                f"{declared:,}; take another source"
            )
        kept, repeated = _first_of_each(read.keys)
        last = last_before(published_days(lake, NAME), day)
        checks = refuse_if_failed(_checks(lake, day, last, read, kept))
        cuts = kept["hub_id"].gather_every(BLOCK_ROWS, BLOCK_ROWS).to_list()
        sha256 = write_blocks(lake.path(NAME, day), NAME, map(first_rows, runs.ranges(cuts)))
    return Receipt(
        NAME,
        day.isoformat(),
        history.name,
        PUBLISHED,
        rows=kept.height,
        sha256=sha256,
        lacks=lacks,
        details=_origin(history, available)
        | {
            "rows_received": read.rows,
            "repeated": repeated,
            "quarantined": dict(sorted(read.dropped.items())),
            "values_left_empty": dict(sorted(read.emptied.items())),
            "newest_creation": read.newest.isoformat(timespec="seconds") if read.newest else None,
            "compared_with": last.isoformat() if last else None,
        },
        checks={c.name: dict(c.numbers) for c in checks},
    )


def first_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Keep the first of the rows that share a hub_id; these stand side by side."""
    return rows.filter(pl.col("hub_id").ne_missing(pl.col("hub_id").shift()))


@dataclass(eq=False)
class _Read:
    """What was read of a file: all but the good rows themselves."""

    rows: int = 0
    keys: list[pl.DataFrame] = field(default_factory=list)
    odd: list[pl.DataFrame] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    emptied: Counter[str] = field(default_factory=Counter)
    newest: datetime | None = None

    def add(self, block: Block) -> None:
        self.rows += block.n_rows
        self.keys.append(block.good.select("hub_id", "downloads", "likes"))
        self.emptied.update(block.emptied)
        if block.odd.height:
            self.dropped.update(block.odd["reason"].to_list())
            room = MOST_KEPT_ODD - sum(part.height for part in self.odd)
            self.odd.append(block.odd.head(max(0, room)))
        created = block.good["created_at"].max()
        if isinstance(created, datetime):
            self.newest = max(created, self.newest or created)


def _first_of_each(keys: list[pl.DataFrame]) -> tuple[pl.DataFrame, int]:
    """Return the first row of each hub_id, by hub_id, and how many others there are."""
    rows = pl.concat(keys)
    keys.clear()
    kept = first_rows(rows.sort("hub_id", maintain_order=True))
    return kept, rows.height - kept.height


def _checks(
    lake: Lake, day: date, last: date | None, read: _Read, kept: pl.DataFrame
) -> Iterator[Check]:
    names = ("downloads", "likes")
    earlier = read_file(lake.path(NAME, last), list(names)) if last else None
    apart = (day - last).days if last else 0
    n_before = earlier.height if earlier is not None else None
    yield few_in_quarantine(read.dropped, read.rows)
    yield size_against_the_last(kept.height, n_before, apart, str(last))
    yield _content_of_the_day(read.newest, day)
    for name in names:
        before = earlier[name] if earlier is not None and apart <= NEAR_DAYS else None
        yield zeros_share(kept[name], before)
        yield no_absurd_total(kept[name], before)


def _content_of_the_day(newest: datetime | None, day: date) -> Check:
    """Check that the newest model is of about that day: an old file under a new name is refused."""
    if newest is None:
        return Check("content_of_the_day", "no row has a date of creation", {})
    behind = (day - newest.date()).days
    why = ""
    if behind > LONGEST_LAG:
        why = f"the newest model is of {newest.date()}: these are not the rows of {day}"
    return Check("content_of_the_day", why, {"days_behind": behind})


def _origin(history: History, available: Available) -> RawRow:
    file = available.file
    said: RawRow = {
        "dataset": history.repo_id,
        "licence": history.licence,
        "revision": file.revision,
        "path": file.path,
        "bytes": file.size,
        "source_sha256": file.sha256,
    }
    if available.committed_at is not None:
        said["committed_at"] = available.committed_at.isoformat(timespec="seconds")
    if available.label:
        said["label"] = available.label
        said["dated_by"] = "the newest model or change in the file: the label is another day"
    return said
