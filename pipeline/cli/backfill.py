"""`baimo backfill`: past days from public histories."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from baimo.pipeline.console import (
    NOTHING_PUBLISHED,
    ProgressLine,
    aligned,
    lake_option,
    open_lake,
    refusing_with,
)

if TYPE_CHECKING:
    from baimo.pipeline.lake.receipts import Receipt


_DAY = click.DateTime(["%Y-%m-%d"])
SOURCES = ("hub-stats", "weekly", "downloads", "defillama")


@click.command()
@click.option("--from", "first", required=True, type=_DAY, help="First day (UTC).")
@click.option("--to", "last", type=_DAY, help="Last day, included; default: the first.")
@click.option(
    "--source",
    default="hub-stats",
    show_default=True,
    type=click.Choice(SOURCES),
    help="hub-stats: daily copies of the Hub's listing since 2024-07-24; weekly: an archive of "
    "them; downloads: daily downloads of each model since 2025-02-28; defillama: TVL histories.",
)
@click.option(
    "--bulk",
    is_flag=True,
    help="With defillama: first one file with all histories instead of thousands of requests.",
)
@lake_option
@refusing_with(NOTHING_PUBLISHED)
def backfill(
    first: datetime, last: datetime | None, source: str, bulk: bool, lake_path: Path | None
) -> None:
    """Publish past days from public histories; days that are there stay, gaps stay gaps.

    Exit code 0: at least one of the days is published; 1: none, and why; 2: wrong call.
    """
    from baimo.pipeline.ingest.backfill_days import PastError, past_days
    from baimo.pipeline.ingest.refresh import utc_now
    from baimo.pipeline.lake.receipts import PUBLISHED

    if bulk and source != "defillama":
        raise click.UsageError("--bulk goes with --source defillama")
    begin, end = first.date(), (last or first).date()
    try:
        past_days(begin, end, utc_now)
    except PastError as error:
        raise click.UsageError(str(error)) from None
    shown = ProgressLine()
    try:
        receipts = _work(source, bulk, shown)(open_lake(lake_path), begin, end)
    except KeyboardInterrupt:
        shown.end()
        click.echo("backfill interrupted; the same command goes on", err=True)
        sys.exit(NOTHING_PUBLISHED)
    finally:
        shown.end()
    for line in _summary_lines(receipts):
        click.echo(line)
    if not any(r.outcome == PUBLISHED for r in receipts):
        sys.exit(NOTHING_PUBLISHED)


def _work(source: str, bulk: bool, shown: ProgressLine) -> Callable[..., list[Receipt]]:
    from baimo.pipeline.ingest import backfill as work

    stated: dict[str, Any] = {"notice": shown.notice}
    if source == "defillama":
        return lambda *given: work.backfill_defillama(
            *given,
            bulk=bulk,
            progress=shown.every(
                lambda at: (
                    f"{at.done:,} of {at.due:,} protocols, {at.points:,} points, "
                    f"{at.failed:,} failed"
                )
            ),
            **stated,
        )
    stated["progress"] = shown.every(
        lambda at: f"{at.day}: day {at.done + 1} of {at.days}, {at.rows:,} of {at.of_rows:,} rows"
    )
    if source == "downloads":
        return lambda *given: work.backfill_downloads(*given, **stated)
    return lambda *given: work.backfill_hub(*given, source=source, **stated)


def _summary_lines(receipts: list[Receipt]) -> list[str]:
    """Return a line a day, then once what the source lacks."""
    rows: list[tuple[str, ...]] = [
        (r.day, r.outcome, r.why or f"{r.rows:,} rows from {r.source}") for r in receipts
    ]
    lines = [aligned(rows, left=(0, 1, 2))]
    lacks = {name: why for r in receipts for name, why in r.lacks.items()}
    if lacks:
        lines += ["", "left empty, because the source does not have it:"]
        lines.append(aligned(sorted(lacks.items()), left=(0, 1)))
    notes = {str(r.details["survivors"]) for r in receipts if r.details.get("survivors")}
    return lines + sorted(notes)
