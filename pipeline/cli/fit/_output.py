"""`baimo fit attachment|demand|growth FILE`: the mechanisms, measured on a stranger's file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from baimo.pipeline.console import aligned, print_json, print_notes, shown_interval, shown_number

if TYPE_CHECKING:
    from baimo.estimation.results import Result


FILE_ARGUMENT = click.argument("file", type=click.Path(path_type=Path, allow_dash=True))


@contextmanager
def quietly() -> Iterator[None]:
    """Keep warnings out of the terminal: the notes of each fit, which are printed, say the same."""
    from baimo.estimation.errors import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def print_results(prefix: str, results: list[Result], notes: list[str], as_json: bool) -> None:
    """Print the estimates of all results under their exported names."""
    from baimo.pipeline.cli.fit.records import model_record

    said = [note for result in results for note in getattr(result, "notes", ())]
    notes = list(dict.fromkeys([*said, *notes]))
    if as_json:
        print_json(model_record(prefix, results) | {"notes": notes})
        return
    for result in results:
        if not getattr(result, "converged", True):
            click.echo(f"{result.title}: DID NOT CONVERGE")
    click.echo(aligned(_rows(prefix, results), left=(0,)))
    print_notes(notes)


def _rows(prefix: str, results: list[Result]) -> list[tuple[str, ...]]:
    from baimo.pipeline.cli.fit.records import exported_name

    rows: list[tuple[str, ...]] = [("", "estimate", "std error", "95 %", "unit")]
    for result in results:
        for name, e in result.estimates().items():
            if any(row[0] == exported_name(prefix, result, name) for row in rows):
                continue
            rows.append(
                (
                    exported_name(prefix, result, name),
                    shown_number(e.value),
                    shown_number(e.std_error, 3),
                    shown_interval(e.conf_int(), 5),
                    "" if e.unit == "1" else e.unit,
                )
            )
    return rows
