"""`baimo lake`: what the lake holds, and whether it is whole.

Exit code 0: published, or already there; 1: nothing published, and why; 2: wrong call.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from baimo.pipeline.console import (
    NOTHING_PUBLISHED,
    aligned,
    existing_lake,
    lake_option,
    one_line_errors,
    open_lake,
    refusing_with,
)

if TYPE_CHECKING:
    from baimo.pipeline.lake.receipts import Receipt


@click.group()
def lake() -> None:
    """Look at the lake: what it holds, whether it is sound, where it lies."""


@lake.command()
@lake_option
@one_line_errors
def path(lake_path: Path | None) -> None:
    """Print the folder of the lake."""
    click.echo(open_lake(lake_path).root.resolve())


@lake.command()
@lake_option
@click.option("--days", default=10, show_default=True, type=click.IntRange(1, 10_000))
@refusing_with(NOTHING_PUBLISHED)
def status(lake_path: Path | None, days: int) -> None:
    """Show which days are published, failed, missing or lacking, and what is under way.

    Missing days may be filled; the source was asked for lacking ones, and has nothing.
    """
    from baimo.pipeline.lake.verify import SNAPSHOTS, holding, under_way

    lake = existing_lake(lake_path)
    held = {name: holding(lake, name) for name in SNAPSHOTS}
    rows: list[tuple[str, ...]] = [
        ("table", "days", "first", "last", "rows", "MB", "missing", "lacking", "failed")
    ]
    rows += [
        (
            name,
            f"{len(h.published):,}",
            h.first or "-",
            h.last or "-",
            f"{h.published[-1].rows:,}" if h.published else "-",
            f"{h.n_bytes / 1e6:,.1f}",
            f"{len(h.missing):,}",
            f"{len(h.lacking):,}",
            f"{len(h.failed):,}",
        )
        for name, h in held.items()
    ]
    click.echo(aligned(rows, left=(0,)))
    stated = sorted(
        (r for h in held.values() for r in (*h.published, *h.failed, *h.lacking)), key=_when
    )[-days:]
    if stated:
        click.echo()
        shown: list[tuple[str, ...]] = [
            (r.day, r.table, r.outcome, r.why or f"{r.rows:,} rows, {r.source}") for r in stated
        ]
        click.echo(aligned(shown, left=(0, 1, 2, 3)))
    for name, h in held.items():
        if h.missing:
            some = ", ".join(map(str, h.missing[:5])) + (" ..." if len(h.missing) > 5 else "")
            click.echo(f"missing days of {name}: {some}; fill them with: baimo backfill")
        for receipt in h.gone:
            click.echo(f"gone       {name} of {receipt.day}: its receipt is there, its file not")
    for line in under_way(lake):
        click.echo(f"under way  {line}; baimo refresh goes on")


def _when(receipt: Receipt) -> tuple[str, str]:
    return receipt.day, receipt.table


_DAY = click.DateTime(["%Y-%m-%d"])


@lake.command()
@lake_option
@click.option("--from", "first", required=True, type=_DAY, help="Earlier day.")
@click.option("--to", "last", required=True, type=_DAY, help="Later day.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Parquet file.")
@one_line_errors
def increments(lake_path: Path | None, first: datetime, last: datetime, out: Path) -> None:
    """Write what each model gained between two days, for baimo fit attachment.

    Models of one day alone have an empty cell for the other. Age is in years on the earlier day,
    empty where the Hub's first date stands for everything older.
    """
    from baimo.pipeline.datasets.panels import write_increments

    since, until = first.date(), last.date()
    n = write_increments(existing_lake(lake_path), since, until, out)
    click.echo(f"{n:,} models, {since} to {until}: {out}")
    days = (until - since).days
    click.echo(
        f"fit them with: baimo fit attachment {out} --before likes_from --after likes_to "
        f"--age age --author author --days {days}"
    )


@lake.command()
@lake_option
@refusing_with(NOTHING_PUBLISHED)
def verify(lake_path: Path | None) -> None:
    """Check every published file against its receipt: hash, schema, rows, key, order."""
    from baimo.pipeline.lake.verify import verify as look

    n_sound, faults = 0, []
    for path, fault in look(existing_lake(lake_path)):
        if fault is None:
            n_sound += 1
        else:
            faults.append(fault)
            click.echo(f"{path} {fault.what}", err=True)
    click.echo(f"{n_sound:,} files are sound, {len(faults):,} are not")
    if faults:
        sys.exit(NOTHING_PUBLISHED)
