"""`baimo run`: the whole graph in process, and its tables on the terminal."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from baimo.pipeline.console import aligned, one_line_errors, report_step
from baimo.pipeline.settings import N_REPLICATIONS, SEED

if TYPE_CHECKING:
    from baimo.pipeline.datasets.load import Provenance


@click.command()
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
    from baimo.pipeline.analysis.sizes import read_tails
    from baimo.pipeline.claims.claim import AUDIT
    from baimo.pipeline.datasets.load import PROVENANCE
    from baimo.pipeline.report.tables import TABLE_HEADER, TAIL_HEADER, table_rows, tail_rows
    from baimo.pipeline.run import run_graph
    from baimo.pipeline.schema.results import COMPARISON

    started = time.monotonic()
    finished = run_graph(
        source,
        out,
        seed=seed,
        n_replications=replications,
        step=report_step,
        day=day.date() if day else None,
    )
    results = finished.results
    for line in _taken(results.read(PROVENANCE)):
        click.echo(line)
    click.echo()
    click.echo(aligned([TABLE_HEADER, *table_rows(results.table(COMPARISON))]))
    click.echo("slope: log(rank - 1/2) on log(size), top 1 % of all (* top 10 % of the positive)")
    click.echo()
    click.echo(aligned([TAIL_HEADER, *tail_rows(read_tails(results))], left=(0, 4, 5)))
    click.echo("p: items of one owner as a cluster; p indep.: as if every item were independent")
    click.echo(
        "UMPU: Pareto against lognormal above x_min, small p for the lognormal; "
        "open (indep.): no test tells among these"
    )
    click.echo()
    click.echo(aligned([(c.verdict, c.text) for c in results.read(AUDIT)], left=(0, 1)))
    click.echo()
    click.echo(f"report      {finished.out / 'report.html'}")
    click.echo(f"parameters  {finished.out / 'parameters.json'}")
    click.echo(f"{time.monotonic() - started:.0f} s; look at the graph with: baimo ui")


def _taken(provenance: Provenance) -> list[str]:
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
