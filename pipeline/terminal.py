"""What every command does on a terminal: aligned tables, one-line errors, progress."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import click

from estimation.errors import EstimationError
from pipeline.errors import PipelineError
from simulation.errors import ParameterError

P = ParamSpec("P")
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

    def __exit__(self, *error: Any) -> None:
        self._bar.__exit__(*error)
