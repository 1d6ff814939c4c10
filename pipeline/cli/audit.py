"""`baimo audit [CLAIM]`: the papers' claims and their verdicts."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from baimo.pipeline.claims.claim import Claim
from baimo.pipeline.lake.atomic import write_atomically
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.settings import SEED, lake_dir, out_dir

if TYPE_CHECKING:
    pass
import textwrap

import click

from baimo.pipeline.claims._figures import FIGURES
from baimo.pipeline.console import aligned, one_line_errors
from baimo.pipeline.errors import SourceError
from baimo.pipeline.settings import N_REPLICATIONS


def newest_audit(*, fresh: bool, n_replications: int) -> tuple[date, tuple[Claim, ...]]:
    """Return the newest day measured and its claims; measure the bundled reference if none is."""
    from baimo.pipeline.errors import LakeError
    from baimo.pipeline.lake.results import read_result
    from baimo.pipeline.run import run_graph

    lake = Lake(lake_dir())
    days = [] if fresh else lake.days("audit")
    if days:
        try:
            claims = read_result(lake, "audit", days[-1])
        except (LakeError, ValueError):
            days = []
        else:
            if all(isinstance(c, Claim) for c in claims):
                return days[-1], claims
    done = run_graph(
        "reference", None, seed=SEED, n_replications=n_replications, step=lambda *_: None
    )
    return done.day, done.claims


def plot_claim(name: str, day: date, out: Path | None) -> Path | None:
    """Draw the figure of a claim as SVG and return its path; None for a claim without one."""
    from baimo.pipeline.figures.style import STYLE

    draw = FIGURES.get(name)
    if draw is None:
        return None
    import matplotlib

    figure = draw(Lake(lake_dir()), day)
    if figure is None:
        return None
    path = (out or out_dir(day) / "audit") / f"{name}.svg"
    with matplotlib.rc_context(STYLE):
        write_atomically(path, lambda to: figure.savefig(to, format="svg", metadata={"Date": None}))
    return path


@click.command()
@click.argument("claim", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the figure of a claim.")
@click.option("--fresh", is_flag=True, help="Measure the bundled reference again.")
@one_line_errors
def audit(claim: str | None, out: Path | None, fresh: bool) -> None:
    """Print the papers' claims and their verdicts; or explain one CLAIM, with its figure.

    The verdicts are those of the newest day measured; without any the bundled reference is
    measured first (two minutes).
    """
    from baimo.pipeline.claims.claim import CLAIMS

    pass

    names = [entry.name for entry in CLAIMS]
    if claim is not None and claim not in names:
        raise SourceError(f"no claim is called {claim!r}; there are {', '.join(names)}")
    day, claims = newest_audit(fresh=fresh, n_replications=N_REPLICATIONS)
    if claim is None:
        click.echo(f"run of {day}")
        click.echo(aligned([(c.verdict, c.name, c.text) for c in claims], left=(0, 1, 2)))
        click.echo("explain one with: baimo audit NAME")
        return
    found = next(c for c in claims if c.name == claim)
    for title, text in (
        ("claim", f"{found.text} ({found.where})"),
        ("test", found.statistic),
        ("criterion", found.criterion),
        ("verdict", f"{found.verdict} (run of {day})"),
        ("evidence", found.evidence),
        ("sensitivity", found.sensitivity),
    ):
        if text:
            click.echo(textwrap.fill(f"{title:<13}{text}", 100, subsequent_indent=" " * 13))
    figure = plot_claim(claim, day, out)
    if figure is not None:
        click.echo(f"{'figure':<13}{figure}")
