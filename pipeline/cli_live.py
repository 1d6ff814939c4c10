"""`baimo refresh` and `baimo lake`: the daily work without the UI.

Exit code 0: published, or already there; 1: nothing published, and why; 2: wrong call.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from baimo.pipeline.errors import LakeError, PipelineError
from baimo.pipeline.settings import lake_dir
from baimo.pipeline.terminal import aligned, one_line_errors, refusing_with

if TYPE_CHECKING:
    from baimo.pipeline.receipts import Receipt
    from baimo.pipeline.refresh import Refreshed
    from baimo.pipeline.sources.hub import Progress

NOTHING_PUBLISHED = 1
_WIDTH = 12

lake_option = click.option(
    "--lake",
    "lake_path",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the lake; default: BAIMO_LAKE, else data/lake.",
)


def open_lake(given: Path | None) -> Any:
    """Return the lake at a path, or the default one."""
    from baimo.pipeline.lake import Lake

    return Lake(given.expanduser() if given else lake_dir())


def existing_lake(given: Path | None) -> Any:
    """Return the lake at a path that must be there.

    Raises
    ------
    LakeError
        There is no such folder.
    """
    from baimo.pipeline.lake import listed, present

    lake = open_lake(given)
    if present(lake.root) and not lake.root.is_dir():
        raise LakeError(f"{lake.root} is a file; give the folder of the lake")
    listed(lake.root, "*")  # say at once that it may not be read
    if not lake.root.is_dir():
        raise LakeError(f"there is no lake at {lake.root} yet; make one: baimo refresh")
    return lake


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
    from baimo.pipeline.refresh import refresh_defillama, refresh_hub

    lake = open_lake(lake_path)
    shown = Line()
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
            click.echo(f"{name:<{_WIDTH}}failed: {' '.join(str(error).split())}", err=True)
            failed = True
            continue
        except KeyboardInterrupt:
            shown.end()
            click.echo(f"{name:<{_WIDTH}}interrupted; the same command goes on", err=True)
            sys.exit(NOTHING_PUBLISHED)
        shown.end()
        for line in _told(refreshed):
            click.echo(line)
    if failed:
        sys.exit(NOTHING_PUBLISHED)


def _rows_before(lake: Any) -> int | None:
    """Return the size of the last snapshot, to tell the time to go."""
    from baimo.pipeline.receipts import published_days, read_receipt

    try:
        days = published_days(lake, "hub_models")
        receipt = read_receipt(lake, "hub_models", days[-1]) if days else None
    except PipelineError:
        return None
    return receipt.rows if receipt and receipt.rows else None


def _told(refreshed: Refreshed) -> list[str]:
    receipt = refreshed.receipt
    what = "models" if receipt.table == "hub_models" else "protocols"
    done = {"already": "already there", "sample": "a sample, no snapshot"}
    outcome = done.get(refreshed.outcome, refreshed.outcome)
    lines = [f"{refreshed.source:<{_WIDTH}}{receipt.rows:,} {what} of {receipt.day}, {outcome}"]
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
    if refreshed.outcome == "published" and details.get("end_confirmed") is False:
        notes.append("the server does not confirm that the listing ended here")
    lines += [" " * _WIDTH + note for note in notes]
    return [*lines, " " * _WIDTH + refreshed.path]


class Line:
    """Progress on stderr: one line that is written over on a terminal, else one now and then."""

    _EVERY = 30.0

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._last = time.monotonic()
        self._open = False

    def progress(self, expected: int | None) -> Callable[[Progress], None]:
        """Return a callback that shows where a walk of about `expected` rows stands."""

        def tell(at: Progress) -> str:
            text = f"hub: {at.rows:,} rows, {at.pages:,} pages"
            if at.requests_left is not None:
                text += f", {at.requests_left:,} requests left in this window"
            new = at.rows - at.resumed_rows
            if expected and new and at.rows < expected:
                to_go = at.seconds / new * (expected - at.rows)
                text += f", about {to_go / 60:.0f} min to go"
            return text

        return self.every(tell)

    def every(self, tell: Callable[[Any], str]) -> Callable[[Any], None]:
        """Return a callback that shows what `tell` says of a state, now and then in a pipe."""

        def show(at: Any) -> None:
            if not self._live and time.monotonic() - self._last < self._EVERY:
                return
            self._last = time.monotonic()
            self._write(tell(at))

        return show

    def notice(self, text: str) -> None:
        """Show a line that stays."""
        self.end()
        click.echo(text, err=True)

    def end(self) -> None:
        """Leave the line that is written over."""
        if self._open:
            click.echo(err=True)
            self._open = False

    def _write(self, text: str) -> None:
        if self._live:
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)
            self._open = True
        else:
            click.echo(text, err=True)


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
    from baimo.pipeline.inspection import SNAPSHOTS, holding, under_way

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
    told = sorted(
        (r for h in held.values() for r in (*h.published, *h.failed, *h.lacking)), key=_when
    )[-days:]
    if told:
        click.echo()
        shown: list[tuple[str, ...]] = [
            (r.day, r.table, r.outcome, r.why or f"{r.rows:,} rows, {r.source}") for r in told
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
    from baimo.pipeline.panels import write_increments

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
    from baimo.pipeline.inspection import verify as look

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
