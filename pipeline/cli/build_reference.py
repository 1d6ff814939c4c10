"""`baimo tabulate`: recordings measured into the bundled frequency tables."""

from __future__ import annotations

import json
from pathlib import Path

import click

from baimo.pipeline.console import one_line_errors
from baimo.pipeline.errors import SourceError


@click.command()
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
    of models (hub_increments), a leaderboard's panel and a registry's crawl (other_increments), the
    downloads of the same models on two days and an earlier listing of Hub datasets (hub_waves), a
    listing of Hub datasets and the daily TVL of chains (other_sizes, other_design_effects), dates
    of first commits (hub_before_floor), and protocols of several dates by id (tvl_growth_periods):
    a table that none of them gives is not written, and the manifest does not name it. First commits
    of DeFiLlama's adapters date the protocols that have no listing date.
    """
    from baimo.pipeline.datasets.build_reference import bundle

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
