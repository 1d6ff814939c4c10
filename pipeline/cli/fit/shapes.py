"""`baimo fit shapes FILE OTHER`: whether two samples have one shape, whatever their units."""

from __future__ import annotations

from pathlib import Path

import click

from baimo.pipeline.console import JSON, one_line_errors, options, print_json


@click.command("shapes")
@options(
    click.argument("file", type=click.Path(path_type=Path, allow_dash=True)),
    click.argument("other", type=click.Path(path_type=Path)),
    click.option("--column", help="Column of FILE; not needed when there is one."),
    click.option("--other-column", help="Column of OTHER; default: the same name."),
    click.option("--weights", help="Column that says how often each value occurs, in both."),
    click.option("--clusters", help="Column with each item's cluster (its author), in both."),
    click.option("--power", is_flag=True, help="Allow a power too: does more than zeta differ?"),
    click.option(
        "--replications", type=click.IntRange(19, 100_000), default=999, show_default=True
    ),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    *JSON,
)
@one_line_errors
def fit_shapes_command(
    file: Path,
    other: Path,
    column: str | None,
    other_column: str | None,
    weights: str | None,
    clusters: str | None,
    power: bool,
    replications: int,
    seed: int,
    as_json: bool,
) -> None:
    """Two samples up to a factor: distance, tail ratios, p, equal or different (.05, factor 2).

    Zeros count as sizes too small to be seen; what is compared is the largest share of items
    for which both are fine enough (counts of 10 and more).
    """
    from baimo.estimation.shapes.compare import compare_shapes
    from baimo.estimation.shapes.curves import shape_sample
    from baimo.pipeline.cli.fit.read_columns import read_sample
    from baimo.pipeline.cli.fit.records import model_record

    samples = [
        read_sample(path, name, weights, clusters)
        for path, name in ((file, column), (other, other_column or column))
    ]
    found = compare_shapes(
        *(shape_sample(s.items, clusters=s.labels) for s in samples),
        names=(file.name, other.name),
        power=power,
        n_replications=replications,
        seed=seed,
    )
    if as_json:
        record = model_record("shape", [found])
        print_json(record | {"shape_verdict": found.verdict, "notes": list(found.notes)})
        return
    click.echo(found.summary())
