"""The command line: run, ui, tabulate; `fit` in `cli_fit`, refresh and lake in `cli_live`."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from baimo.pipeline.cli_backfill import backfill
from baimo.pipeline.cli_fit import fit
from baimo.pipeline.cli_live import lake, refresh
from baimo.pipeline.cli_models import fit_attachment_command, fit_demand_command, fit_growth_command
from baimo.pipeline.cli_shapes import fit_shapes_command
from baimo.pipeline.cli_simulate import audit, simulate
from baimo.pipeline.errors import SourceError
from baimo.pipeline.settings import N_REPLICATIONS, SEED
from baimo.pipeline.terminal import aligned, one_line_errors


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="baimo")
def main() -> None:
    """Measure how open AI models and DeFi protocols grow, and test the theories that say why."""


@main.command()
@click.option(
    "--source",
    default="reference",
    show_default=True,
    help="reference (bundled), lake (published snapshots), or a file or folder of recordings.",
)
@click.option(
    "--day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Which day of the lake; default: the newest with both sources.",
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
def run(source: str, day: datetime | None, out: Path | None, seed: int, replications: int) -> None:
    """Fit, calibrate, simulate, refit, audit and report, in one go."""
    from baimo.pipeline.report.words import TABLE_HEADER, TAIL_HEADER, table_rows, tail_rows
    from baimo.pipeline.run import run_graph

    started = time.monotonic()
    finished = run_graph(
        source,
        out,
        seed=seed,
        n_replications=replications,
        step=_report_step,
        day=day.date() if day else None,
    )
    for line in _taken(finished.provenance):
        click.echo(line)
    click.echo()
    click.echo(aligned([TABLE_HEADER, *table_rows(finished.comparison)]))
    click.echo("slope: log(rank - 1/2) on log(size), top 1 % of all (* top 10 % of the positive)")
    click.echo()
    click.echo(aligned([TAIL_HEADER, *tail_rows(finished.fits)], left=(0, 2, 3)))
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


@main.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@one_line_errors
def ui(port: int) -> None:
    """Open the Dagster UI on localhost: graph, runs, metadata, Materialize all."""
    import os

    from baimo.pipeline.run import prepare_instance

    home = prepare_instance()
    os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command` is superseded")
    click.echo(f"Dagster UI on http://localhost:{port} (stop with Ctrl-C; state in {home})")
    click.echo("Fetch and measure today: Lineage, Materialize all, Latest, Launch 1 run")
    click.echo("Measure a day of the lake or the bundled reference: Jobs, measure_and_audit")
    os.execv(
        sys.executable,
        [
            sys.executable,
            "-m",
            "dagster",
            "dev",
            "-m",
            "baimo.pipeline.definitions",
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
    """Measure recordings into the small frequency tables that travel with the project.

    SNAPSHOTS are files or folders: a full model listing with authors, DeFiLlama's protocols of two
    dates and a TVL history must be among them. Optional, and Parquet, are snapshots of one cohort
    of models (hub_increments), the downloads of the same models on two days (hub_waves), a listing
    of Hub datasets and the daily TVL of chains (other_sizes): a table that none of them gives is
    not written, and the manifest does not name it.
    """
    from baimo.pipeline.bundle import bundle

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


fit.add_command(fit_attachment_command)
fit.add_command(fit_demand_command)
fit.add_command(fit_growth_command)
fit.add_command(fit_shapes_command)
main.add_command(fit)
main.add_command(refresh)
main.add_command(backfill)
main.add_command(lake)
main.add_command(simulate)
main.add_command(audit)


if __name__ == "__main__":
    main()
