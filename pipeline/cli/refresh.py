"""`baimo refresh`: today's snapshots.

Exit code 0: published, or already there; 1: nothing published, and why; 2: wrong call.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from baimo.pipeline.console import (
    NAME_WIDTH,
    NOTHING_PUBLISHED,
    ProgressLine,
    lake_option,
    open_lake,
)
from baimo.pipeline.errors import PipelineError

if TYPE_CHECKING:
    from baimo.pipeline.ingest.refresh import Refreshed
    from baimo.pipeline.lake.store import Lake


@click.command()
@click.option(
    "--source",
    default="all",
    show_default=True,
    type=click.Choice(["hub", "defillama", "all"]),
    help="Which source to refresh.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Only so many of the newest models: a sample in samples/, never a snapshot.",
)
@click.option(
    "--trust",
    is_flag=True,
    help="Do not hold today against the last snapshot: after a refusal that was no fault.",
)
@lake_option
def refresh(source: str, limit: int | None, trust: bool, lake_path: Path | None) -> None:
    """Publish today's snapshots of the Hub and of DeFiLlama; what was begun goes on.

    Exit code 0: published, or already there; 1: nothing published, and why; 2: wrong call.
    """
    if limit is not None and source == "defillama":
        raise click.UsageError("--limit is for the Hub; DeFiLlama comes in one answer")
    from baimo.pipeline.ingest.refresh import refresh_defillama, refresh_hub

    lake = open_lake(lake_path)
    shown = ProgressLine()
    work: dict[str, Callable[[], Refreshed]] = {
        "hub": lambda: refresh_hub(
            lake,
            limit=limit,
            trust=trust,
            progress=shown.progress(_rows_before(lake)),
            notice=lambda text: shown.notice(f"hub: {text}"),
        ),
        "defillama": lambda: refresh_defillama(
            lake, trust=trust, notice=lambda text: shown.notice(f"defillama: {text}")
        ),
    }
    wanted = [source] if source != "all" else ["hub"] if limit is not None else list(work)
    failed = False
    for name in wanted:
        try:
            refreshed = work[name]()
        except PipelineError as error:
            shown.end()
            click.echo(f"{name:<{NAME_WIDTH}}failed: {' '.join(str(error).split())}", err=True)
            failed = True
            continue
        except KeyboardInterrupt:
            shown.end()
            click.echo(f"{name:<{NAME_WIDTH}}interrupted; the same command goes on", err=True)
            sys.exit(NOTHING_PUBLISHED)
        shown.end()
        for line in _summary_lines(refreshed):
            click.echo(line)
    if failed:
        sys.exit(NOTHING_PUBLISHED)


def _rows_before(lake: Lake) -> int | None:
    """Return the size of the last snapshot, to tell the time to go."""
    from baimo.pipeline.lake.receipts import published_days, read_receipt

    try:
        days = published_days(lake, "hub_models")
        receipt = read_receipt(lake, "hub_models", days[-1]) if days else None
    except PipelineError:
        return None
    return receipt.rows if receipt and receipt.rows else None


def _summary_lines(refreshed: Refreshed) -> list[str]:
    from baimo.pipeline.ingest.refresh import RefreshOutcome

    receipt = refreshed.receipt
    what = "models" if receipt.table == "hub_models" else "protocols"
    outcome = refreshed.words()
    lines = [f"{refreshed.source:<{NAME_WIDTH}}{receipt.rows:,} {what} of {receipt.day}, {outcome}"]
    details = receipt.details
    notes = []
    if isinstance(details.get("chains"), str):
        notes.append(f"chains {details['chains']}; the same command asks for them again")
    notes += [f"not held against {why}" for why in details.get("could_not_be_compared", ())]
    if details.get("repeated"):
        notes.append(f"{details['repeated']:,} repeated rows removed")
    dropped = details.get("quarantined")
    if isinstance(dropped, dict) and dropped:
        reasons = ", ".join(f"{why}: {n}" for why, n in list(dropped.items())[:3])
        notes.append(f"{sum(dropped.values()):,} rows in quarantine ({reasons})")
    elif isinstance(dropped, int) and dropped:
        notes.append(f"{dropped:,} rows in quarantine")
    if refreshed.outcome is RefreshOutcome.PUBLISHED and details.get("end_confirmed") is False:
        notes.append("the server does not confirm that the listing ended here")
    lines += [" " * NAME_WIDTH + note for note in notes]
    return [*lines, " " * NAME_WIDTH + refreshed.path]
