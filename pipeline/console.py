"""What every command does on a terminal: aligned tables, one-line errors, progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from baimo.estimation.errors import EstimationError
from baimo.pipeline.errors import LakeError, PipelineError
from baimo.pipeline.settings import lake_dir
from baimo.simulation.errors import ParameterError

if TYPE_CHECKING:
    from baimo.pipeline.lake.store import Lake
    from baimo.pipeline.sources.hub.crawl import Progress


P = ParamSpec("P")
T = TypeVar("T")
WRONG_INPUT = 2


def refusing_with(code: int) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Return a decorator that turns a refusal into one line on stderr and an exit code."""

    def guard(command: Callable[P, None]) -> Callable[P, None]:
        @wraps(command)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                command(*args, **kwargs)
            except (EstimationError, PipelineError, ParameterError) as error:
                click.echo(f"baimo: {' '.join(str(error).split())}", err=True)
                sys.exit(code)

        return guarded

    return guard


def one_line_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what the project refuses into one line on stderr and exit code 2."""
    return refusing_with(WRONG_INPUT)(command)


def aligned(rows: list[tuple[str, ...]], left: tuple[int, ...] = (0, 8, 11)) -> str:
    """Align text cells in columns; those in `left` to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


class Bar:
    """A progress bar on stderr for routines that report (done, total); silent in a pipe."""

    def __init__(self, total: int, label: str) -> None:
        hidden = not sys.stderr.isatty()
        self._bar = click.progressbar(length=total, label=label, file=sys.stderr, hidden=hidden)
        self._done = 0

    def __enter__(self) -> Callable[[int, int], None]:
        bar = self._bar.__enter__()

        def advance(done: int, total: int) -> None:
            bar.update(done - self._done)
            self._done = done

        return advance

    def __exit__(self, *error: object) -> None:
        self._bar.__exit__(None, None, None)


def options(*added: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command several arguments and options, in this order."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(added):
            command = option(command)
        return command

    return decorate


JSON = (click.option("--json", "as_json", is_flag=True, help="Print JSON."),)


def shown_number(value: float | None, digits: int = 6) -> str:
    """Return a number for a reader, a dash where there is none."""
    from baimo.estimation.results import shown

    return shown(value, digits)


def shown_interval(interval: tuple[float, float] | None, digits: int = 6) -> str:
    """Return an interval for a reader, a dash where there is none."""
    if interval is None:
        return "-"
    return f"[{shown_number(interval[0], digits)}, {shown_number(interval[1], digits)}]"


def print_json(record: Mapping[str, object]) -> None:
    """Print strict JSON: null where a value is unknown or infinite."""
    from baimo.estimation.results import plain

    click.echo(json.dumps(plain(record), indent=1, allow_nan=False))


def print_notes(notes: list[str]) -> None:
    """Print what a reader must know beside the numbers."""
    for note in notes:
        click.echo(f"note: {note}")


NOTHING_PUBLISHED = 1
NAME_WIDTH = 12  # of a source's name before what is said of it


lake_option = click.option(
    "--lake",
    "lake_path",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the lake; default: BAIMO_LAKE, else data/lake.",
)


def open_lake(given: Path | None) -> Lake:
    """Return the lake at a path, or the default one."""
    from baimo.pipeline.lake.store import Lake

    return Lake(given.expanduser() if given else lake_dir())


def existing_lake(given: Path | None) -> Lake:
    """Return the lake at a path that must be there.

    Raises
    ------
    LakeError
        There is no such folder.
    """
    from baimo.pipeline.lake.atomic import listed, present

    lake = open_lake(given)
    if present(lake.root) and not lake.root.is_dir():
        raise LakeError(f"{lake.root} is a file; give the folder of the lake")
    listed(lake.root, "*")  # say at once that it may not be read
    if not lake.root.is_dir():
        raise LakeError(f"there is no lake at {lake.root} yet; make one: baimo refresh")
    return lake


class ProgressLine:
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

    def every(self, tell: Callable[[T], str]) -> Callable[[T], None]:
        """Return a callback that shows what `tell` says of a state, now and then in a pipe."""

        def show(at: T) -> None:
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


def report_step(name: str, seconds: float | None) -> None:
    """Say on stderr that a step of the graph is done."""
    if seconds is not None:
        click.echo(f"  {name.replace('_', ' '):<24}{seconds:6.1f} s", err=True)
