"""`baimo audit [CLAIM]`: the papers' claims and their verdicts."""

from __future__ import annotations

import textwrap
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from baimo.pipeline.console import aligned, one_line_errors, report_step
from baimo.pipeline.errors import LakeError, SourceError
from baimo.pipeline.settings import N_REPLICATIONS, SEED, lake_dir, out_dir

if TYPE_CHECKING:
    from baimo.pipeline.claims.claim import Claim, TestedClaim

WIDTH = 100


@click.command()
@click.argument("claim", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the figure of a claim.")
@click.option("--fresh", is_flag=True, help="Measure the bundled reference first (two minutes).")
@one_line_errors
def audit(claim: str | None, out: Path | None, fresh: bool) -> None:
    """Print the papers' claims and their verdicts; or explain one CLAIM, with its figure.

    The verdicts are those of the newest day measured (baimo run).
    """
    from baimo.pipeline.claims.registry import ALL_CLAIMS

    if claim is not None and claim not in ALL_CLAIMS:
        raise SourceError(f"no claim is called {claim!r}; there are {', '.join(ALL_CLAIMS)}")
    day, claims = _measured_now() if fresh else _newest()
    if claim is None:
        click.echo(f"run of {day}")
        rows: list[tuple[str, ...]] = [(c.verdict, c.kind, c.name, c.text) for c in claims]
        click.echo(aligned(rows, left=(0, 1, 2, 3)))
        click.echo("explain one with: baimo audit NAME")
        return
    _explain(next(c for c in claims if c.name == claim), day)
    figure = _write_figure(ALL_CLAIMS[claim], day, out)
    if figure is not None:
        click.echo(f"{'figure':<13}{figure}")


def _newest() -> tuple[date, tuple[TestedClaim, ...]]:
    """Return the newest day measured, and its claims."""
    from baimo.pipeline.claims.claim import AUDIT
    from baimo.pipeline.lake.results import Day
    from baimo.pipeline.lake.store import Lake

    lake = Lake(lake_dir())
    days = lake.days(AUDIT.name)
    remedy = "measure one with baimo run (two minutes), or baimo audit --fresh"
    if not days:
        raise LakeError(f"no day has been measured in {lake.root} yet; {remedy}")
    try:
        return days[-1], Day.of_lake(lake, days[-1], [AUDIT]).read(AUDIT)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise LakeError(
            f"the audit of {days[-1]} is not of this version ({error}); {remedy}"
        ) from None


def _measured_now() -> tuple[date, tuple[TestedClaim, ...]]:
    """Measure the bundled reference, and return its day and claims."""
    from baimo.pipeline.claims.claim import AUDIT
    from baimo.pipeline.run import run_graph
    from baimo.pipeline.sources.snapshot import REFERENCE

    done = run_graph(REFERENCE, None, seed=SEED, n_replications=N_REPLICATIONS, step=report_step)
    return done.day, done.results.read(AUDIT)


def _explain(found: TestedClaim, day: date) -> None:
    for title, text in (
        ("claim", f"{found.text} ({found.where})"),
        ("test", found.statistic),
        ("criterion", found.criterion),
        ("kind", found.kind),
        ("verdict", f"{found.verdict} (run of {day})"),
        ("evidence", found.evidence),
        ("sensitivity", found.sensitivity),
    ):
        if text:
            click.echo(textwrap.fill(f"{title:<13}{text}", WIDTH, subsequent_indent=" " * 13))


def _write_figure(claim: Claim, day: date, out: Path | None) -> Path | None:
    """Draw the figure of a claim as SVG and return its path; None for a claim without one."""
    if claim.figure is None:
        return None
    import matplotlib

    from baimo.pipeline.figures.style import STYLE
    from baimo.pipeline.lake.atomic import write_atomically
    from baimo.pipeline.lake.results import Day
    from baimo.pipeline.lake.store import Lake

    figure = claim.figure.plot(Day.of_lake(Lake(lake_dir()), day, claim.figure.needs))
    if figure is None:
        return None
    path = (out or out_dir(day) / "audit") / f"{claim.name}.svg"
    with matplotlib.rc_context(STYLE):
        write_atomically(path, lambda to: figure.savefig(to, format="svg", metadata={"Date": None}))
    return path
