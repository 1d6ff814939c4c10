"""`baimo ui`: the Dagster UI on localhost."""

from __future__ import annotations

import os
import sys

import click

from baimo.pipeline.console import one_line_errors


@click.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
@one_line_errors
def ui(port: int) -> None:
    """Open the Dagster UI on localhost: graph, runs, metadata, Materialize all."""
    from baimo.pipeline.run import prepare_instance

    home = prepare_instance()
    os.environ.setdefault("PYTHONWARNINGS", "ignore:Function `dev_command` is superseded")
    click.echo(f"Dagster UI on http://localhost:{port} (stop with Ctrl-C; state in {home})")
    click.echo("Fetch and measure today: Lineage, Materialize all, Latest, Launch 1 run")
    click.echo("Measure a day of the lake or the bundled reference: Jobs, measure_and_audit")
    serve = ["dev", "-m", "baimo.pipeline.definitions", "-h", "127.0.0.1", "-p", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "dagster", *serve])
