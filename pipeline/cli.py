"""The command line: run, ui, tabulate, fit tail, fit zipf."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from estimation.errors import EstimationError
from pipeline.errors import PipelineError, SourceError
from pipeline.settings import N_REPLICATIONS, SEED
from simulation.errors import ParameterError

P = ParamSpec("P")
WRONG_INPUT = 2


def one_line_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what the project refuses into one line on stderr and exit code 2."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (EstimationError, PipelineError, ParameterError) as error:
            click.echo(f"baimo: {' '.join(str(error).split())}", err=True)
            sys.exit(WRONG_INPUT)

    return guarded


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="baimo")
def main() -> None:
    """Measure how open AI models and DeFi protocols grow, and test the theories that say why."""


@main.command()
@click.option(
    "--source",
    default="reference",
    show_default=True,
    help="The bundled reference, or a file or folder of recordings.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Default: data/out/<date>/.")
@click.option(
    "--seed",
    default=SEED,
    show_default=True,
    type=click.IntRange(min=0),
    help="Seed of every simulation.",
)
@click.option(
    "--replications",
    default=N_REPLICATIONS,
    show_default=True,
    type=click.IntRange(2, 10_000),
    help="Simulated samples of each model.",
)
@one_line_errors
def run(source: str, out: Path | None, seed: int, replications: int) -> None:
    """Fit, calibrate, simulate, refit, audit and report, in one go."""
    from pipeline.report.words import TABLE_HEADER, table_rows
    from pipeline.run import run_graph

    started = time.monotonic()
    finished = run_graph(source, out, seed=seed, n_replications=replications, step=_report_step)
    for line in _taken(finished.provenance):
        click.echo(line)
    click.echo()
    click.echo(aligned([TABLE_HEADER, *table_rows(finished.comparison)]))
    click.echo("slope: log(rank - 1/2) on log(size), top 1 % of all (* top 10 % of the positive)")
    click.echo()
    click.echo(aligned([(c.verdict, c.text) for c in finished.claims], left=(0, 1)))
    click.echo()
    click.echo(f"report      {finished.out / 'report.html'}")
    click.echo(f"parameters  {finished.out / 'parameters.json'}")
    click.echo(f"{time.monotonic() - started:.0f} s; look at the graph with: baimo ui")


def _report_step(name: str, seconds: float | None) -> None:
    if seconds is not None:
        click.echo(f"  {name.replace('_', ' '):<24}{seconds:6.1f} s", err=True)


def _taken(provenance: dict[str, Any]) -> list[str]:
    lines = [
        f"took     {i['name']} ({i['rows']:,} rows, {i['taken_on']})" for i in provenance["inputs"]
    ]
    lines += [f"ignored  {line}" for line in provenance["ignored"]]
    lines += [f"note     {line}" for line in provenance["notes"]]
    for name, q in provenance["quarantined"].items():
        if q["rows"]:
            reasons = ", ".join(f"{why}: {n}" for why, n in q["reasons"].items())
            lines.append(f"quarantined {q['rows']} rows of {name} ({reasons})")
    return lines


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


@main.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@one_line_errors
def ui(port: int) -> None:
    """Open the Dagster UI on localhost: graph, runs, metadata, Materialize all."""
    import os

    from pipeline.run import prepare_instance

    home = prepare_instance()
    os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command` is superseded")
    click.echo(f"Dagster UI on http://localhost:{port} (stop with Ctrl-C; state in {home})")
    click.echo("Run everything: Assets, Materialize all, Latest, Launch 1 run")
    os.execv(
        sys.executable,
        [
            sys.executable,
            "-m",
            "dagster",
            "dev",
            "-m",
            "pipeline.definitions",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
        ],
    )


@main.command()
@click.argument("snapshots", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write to.")
@click.option(
    "--about",
    type=click.Path(path_type=Path),
    help="JSON: file name -> source and licence, for the manifest.",
)
@one_line_errors
def tabulate(snapshots: tuple[str, ...], out: Path, about: Path | None) -> None:
    """Measure recordings into the small frequency tables that travel with the project."""
    from pipeline.bundle import bundle

    stated: dict[str, dict[str, str]] = {}
    if about is not None:
        try:
            stated = json.loads(about.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SourceError(f"{about}: cannot be read as JSON ({error})") from error
        if not isinstance(stated, dict) or not all(isinstance(v, dict) for v in stated.values()):
            raise SourceError(f"{about}: expected file name -> {{source, licence}}")
    for path in bundle(list(snapshots), out, stated):
        click.echo(f"{path.stat().st_size:>10,}  {path}")


@main.group()
def fit() -> None:
    """Fit one column of any CSV, Parquet, JSON(L) or one-number-a-line file."""


def _file_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.argument("file", type=click.Path(path_type=Path)),
        click.option("--column", help="Column to fit; not needed when there is one."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    ):
        command = option(command)
    return command


@fit.command("tail")
@_file_options
@click.option(
    "--discrete/--continuous",
    default=None,
    help="Counts or sizes; default: counts if all values are whole numbers.",
)
@click.option("--x-min", type=float, help="Lower end of the tail; default: scan.")
@click.option("--p-value", type=click.IntRange(1, 1_000_000), help="Bootstrap replications.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of the bootstrap."
)
@one_line_errors
def fit_tail_command(
    file: Path,
    column: str | None,
    as_json: bool,
    discrete: bool | None,
    x_min: float | None,
    p_value: int | None,
    seed: int,
) -> None:
    """Power law by Clauset, Shalizi and Newman: x_min, alpha, zeta, p-value."""
    from estimation.counts import Counts
    from estimation.tails import fit_tail, goodness_of_fit
    from pipeline.columns import read_numbers

    counts = Counts.from_sample(read_numbers(file, column))
    chosen = counts.is_integer if discrete is None else discrete
    found = fit_tail(counts, discrete=chosen, x_min=x_min)
    answer: dict[str, Any] = {
        "x_min": found.x_min,
        "alpha": found.alpha,
        "zeta": found.zeta,
        "std_error": found.std_error,
        "ks": found.ks,
        "n_tail": found.n_tail,
        "n_distinct": found.n_distinct,
        "n_obs": found.n_obs,
        "n_zero": found.n_zero,
        "discrete": found.discrete,
        "log_likelihood": found.log_likelihood,
    }
    if p_value is not None:
        with _Bar(p_value) as progress:
            goodness = goodness_of_fit(
                counts, found, n_replications=p_value, seed=seed, progress=progress
            )
        answer |= {
            "p_value": goodness.p_value,
            "p_value_mc_error": goodness.mc_error,
            "n_replications": p_value,
        }
    notes = list(found.notes)
    if discrete is None:
        kind = "whole numbers: fitted as counts (--continuous for sizes)"
        notes.append(kind if chosen else "not all whole numbers: fitted as sizes")
    _print_answer(answer, notes, as_json)


class _Bar:
    """A progress bar on stderr for `goodness_of_fit`, silent when not a terminal."""

    def __init__(self, total: int) -> None:
        hidden = not sys.stderr.isatty()
        self._bar = click.progressbar(
            length=total, label="bootstrap", file=sys.stderr, hidden=hidden
        )

    def __enter__(self) -> Callable[[int, int], None]:
        bar = self._bar.__enter__()
        return lambda done, total: bar.update(1)

    def __exit__(self, *error: Any) -> None:
        self._bar.__exit__(*error)


@fit.command("zipf")
@_file_options
@click.option("--top", "k", required=True, type=int, help="Number of largest items to use.")
@one_line_errors
def fit_zipf_command(file: Path, column: str | None, as_json: bool, k: int) -> None:
    """Rank-size regression: log(rank - 1/2) on log(size) over the largest items."""
    from estimation.counts import Counts
    from estimation.zipf import fit_zipf
    from pipeline.columns import read_numbers

    line = fit_zipf(Counts.from_sample(read_numbers(file, column)), k=k)
    answer = {
        "slope": line.slope,
        "zeta": -line.slope,
        "std_error": line.std_error,
        "k": line.k,
        "threshold": line.threshold,
        "r_squared": line.r_squared,
        "n_obs": line.n_obs,
    }
    _print_answer(answer, list(line.notes), as_json)


def _print_answer(answer: dict[str, Any], notes: list[str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer | {"notes": notes}, indent=1))
        return
    for name, value in answer.items():
        shown = f"{value:.6g}" if isinstance(value, float) else f"{value}"
        click.echo(f"{name:<18}{shown:>16}")
    for note in notes:
        click.echo(f"note: {note}")


if __name__ == "__main__":
    main()
