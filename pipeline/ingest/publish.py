"""From a finished walk to a snapshot: whole, without repeats, in one rename.

The rows are written by hub_id, block after block, so that memory stays with one block whatever
the size of the listing, and the same rows give the same bytes however the walk was cut up.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from baimo.pipeline.errors import LakeError
from baimo.pipeline.ingest.acceptance import (
    TRUST,
    Check,
    few_in_quarantine,
    fits_the_table,
    no_absurd_total,
    no_gap,
    refuse_if_failed,
    size_against_the_last,
    zeros_share,
)
from baimo.pipeline.lake.atomic import file_sha256, read_file, write_atomically
from baimo.pipeline.lake.quarantine import by_reason
from baimo.pipeline.lake.receipts import (
    PUBLISHED,
    Receipt,
    last_sound,
    published_days,
    write_receipt,
)
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.raw import RawRow
from baimo.pipeline.sources.http import shown
from baimo.pipeline.sources.hub.checkpoint import SavedPage
from baimo.pipeline.sources.hub.crawl import Walk

BLOCK_ROWS = 100_000
NAME = "hub_models"


def publish_models(lake: Lake, walk: Walk, odd: pl.DataFrame, *, trust: bool = False) -> Receipt:
    """Check a walk and publish it as the snapshot of its day.

    With `trust` it is not held against the last snapshot.

    Raises
    ------
    RefusedSnapshotError
        The walk does not stand for the whole Hub; nothing is published.
    LakeError
        The day holds another snapshot already, or the lake cannot be written.
    """
    day = date.fromisoformat(walk.day)
    rows = _counts_of(walk.pages)
    first = rows.select(pl.col("hub_id").is_first_distinct()).to_series()
    kept = rows.filter(first).sort("hub_id")
    dropped = by_reason(odd, kept=False)
    before = [d for d in published_days(lake, NAME) if d < day and not trust]
    last, earlier, damaged = last_sound(lake, NAME, before, ["hub_id", "downloads", "likes"])
    checks = refuse_if_failed(_checks(walk, kept, dropped, (last, earlier), day, trust))
    sha256 = _write_sorted(lake.path(NAME, day), walk.pages, kept)
    receipt = Receipt(
        NAME,
        walk.day,
        "hub",
        PUBLISHED,
        rows=kept.height,
        sha256=sha256,
        details={
            "endpoint": shown(walk.pages[0].url).split("/api/")[0],
            "started_at": walk.started_at.isoformat(timespec="seconds"),
            "pages": len(walk.pages),
            "rows_received": sum(p.n_rows for p in walk.pages),
            "repeated": int((~first).sum()),
            "quarantined": dropped,
            "values_left_empty": by_reason(odd, kept=True),
            "end_confirmed": walk.proven_end,
            **compared_with(last, damaged, trust),
        },
        checks={c.name: dict(c.numbers) for c in checks},
    )
    write_receipt(lake, receipt)
    return receipt


def compared_with(last: date | None, damaged: list[str], trust: bool) -> RawRow:
    """Return for a receipt which day a snapshot was held against, and which it could not be."""
    said: RawRow = {"compared_with": last.isoformat() if last else None}
    if trust:
        said["trusted"] = "published without being held against the last snapshot, as asked"
    if damaged:
        said["could_not_be_compared"] = damaged
    return said


def _checks(
    walk: Walk,
    kept: pl.DataFrame,
    dropped: dict[str, int],
    compared: tuple[date | None, pl.DataFrame | None],
    day: date,
    trust: bool,
) -> Iterator[Check]:
    last, frame = compared
    earlier: dict[str, pl.Series | None] = {"hub_id": None, "downloads": None, "likes": None}
    if frame is not None:
        earlier = {s.name: s for s in frame}
    ids, when = earlier["hub_id"], str(last)
    hidden = 0 if trust else walk.empty_pages
    why = f"{hidden} pages before the end are empty, behind which models may be hidden ({TRUST})"
    yield Check("walked_to_the_end", why if hidden else "", {"pages": len(walk.pages)})
    yield fits_the_table(kept.select("hub_id", "downloads", "likes"), TABLES[NAME])
    yield few_in_quarantine(dropped, sum(p.n_rows for p in walk.pages))
    n_before = None if ids is None else len(ids)
    days = (day - last).days if last else 0
    yield size_against_the_last(kept.height, n_before, days, when)
    yield no_gap(kept["hub_id"], ids, max(p.n_rows for p in walk.pages), when)
    for name in ("downloads", "likes"):
        yield zeros_share(kept[name], earlier[name])
        yield no_absurd_total(kept[name], earlier[name])


def _counts_of(pages: list[SavedPage]) -> pl.DataFrame:
    """Return hub_id, downloads and likes of every row with its page and its place there."""
    parts = []
    for page in pages:
        rows = read_file(page.path, ["hub_id", "downloads", "likes"])
        place = pl.int_range(pl.len(), dtype=pl.UInt32).alias("place")
        parts.append(rows.with_columns(pl.lit(page.number, pl.UInt32).alias("page"), place))
    return pl.concat(parts)


def _write_sorted(path: Path, pages: list[SavedPage], kept: pl.DataFrame) -> str:
    """Write the kept rows by hub_id, block after block, and return the file's sha256."""

    def blocks() -> Iterator[pl.DataFrame]:
        for start in range(0, kept.height, BLOCK_ROWS):
            wanted = kept.slice(start, BLOCK_ROWS)
            parts = []
            for (number,), rows in wanted.group_by("page", maintain_order=True):
                page = read_file(pages[int(str(number))].path)
                parts.append(page[rows["place"].sort()])
            yield pl.concat(parts).sort("hub_id")

    return write_blocks(path, NAME, blocks(), replace=True)


def write_blocks(
    path: Path, name: str, blocks: Iterator[pl.DataFrame], *, replace: bool = False
) -> str:
    """Write a table block after block, atomically, and return the file's sha256.

    `replace` is for a day without a receipt: what a process left that was killed before it wrote
    one is of no published day.

    Raises
    ------
    LakeError
        `path` holds other bytes already: a published day is never changed silently.
    """
    found: dict[str, str] = {}

    def write(temporary: Path) -> None:
        _write_parquet(temporary, name, blocks)
        found["new"] = file_sha256(temporary)
        if not replace and path.exists() and file_sha256(path) != found["new"]:
            raise LakeError(
                f"{path} is published already and differs; remove it to publish the day anew"
            )

    write_atomically(path, write)
    return found["new"]


def _write_parquet(path: Path, name: str, blocks: Iterator[pl.DataFrame]) -> None:
    import pyarrow.parquet as pq

    columns = list(TABLES[name].names)
    writer: Any = None
    try:
        for block in blocks:
            table = block.select(columns).to_arrow(compat_level=pl.CompatLevel.oldest())
            if writer is None:
                writer = pq.ParquetWriter(
                    path,
                    table.schema,
                    compression="zstd",
                    compression_level=3,
                    sorting_columns=_order(table.schema) if name == NAME else None,
                )
            writer.write_table(table, row_group_size=BLOCK_ROWS)
    finally:
        if writer is not None:
            writer.close()


def _order(schema: Any) -> Any:
    """Declare in the file that its rows stand by hub_id, so that readers need not look."""
    import pyarrow.parquet as pq

    return pq.SortingColumn.from_ordering(schema, [("hub_id", "ascending")])
