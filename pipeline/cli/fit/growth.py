"""`baimo fit growth`: GBM growth on a long panel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from baimo.pipeline.cli.fit._output import FILE_ARGUMENT, print_results, quietly
from baimo.pipeline.console import JSON, Bar, one_line_errors, options
from baimo.pipeline.errors import SourceError

if TYPE_CHECKING:
    from baimo.estimation.arrays import Values
    from baimo.estimation.results import Result


@click.command("growth")
@options(
    FILE_ARGUMENT,
    click.option("--item", required=True, help="Column with the item (protocol)."),
    click.option("--date", required=True, help="Column with the date, or the time in years."),
    click.option("--value", required=True, help="Column with the size on that date."),
    click.option(
        "--exit-floor",
        type=click.FloatRange(min=0, min_open=True),
        help="Size below which an item is gone; gives the exit hazard.",
    ),
    click.option(
        "--loadings",
        is_flag=True,
        help="Add how unequally items follow the common shock, and the size slope net of it.",
    ),
    click.option(
        "--bootstrap",
        type=click.IntRange(min=100),
        metavar="N",
        help="Add intervals from N resamples of items and blocks of dates (1000 are usual).",
    ),
    click.option("--seed", type=click.IntRange(min=0), help="Of the bootstrap.  [default: 0]"),
    *JSON,
)
@one_line_errors
def fit_growth_command(
    file: Path,
    item: str,
    date: str,
    value: str,
    exit_floor: float | None,
    loadings: bool,
    bootstrap: int | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """GBM growth on a long panel: mu, sigma, its common part, exit, and whether size matters."""
    from baimo.estimation.errors import EstimationError
    from baimo.estimation.growth.volatility import fit_growth_paths

    pass
    from baimo.pipeline.cli.fit.read_columns import read_table

    if seed is not None and bootstrap is None:
        raise SourceError("--seed is of the bootstrap: give --bootstrap N too")
    table = read_table(file)
    items, years = table.labels(item), table.dates(date)
    values = table.numbers(value, missing=True)
    notes: list[str] = []
    with quietly():
        found: list[Result] = [fit_growth_paths(items, years, values, exit_floor=exit_floor)]
        found += _size_dependence(items, years, values, notes)
        if loadings:
            found += loading_results(items, years, values, notes)
        if bootstrap is not None:
            try:
                found.append(resampled(items, years, values, bootstrap, seed or 0))
            except EstimationError as error:
                notes.append(f"no bootstrap: {error}")
    print_results("gbm", found, notes, as_json)


def _size_dependence(
    items: Values, years: Values, values: Values, notes: list[str]
) -> list[Result]:
    """Regress growth between neighbouring dates on log size before, where the panel allows it."""
    import numpy as np

    from baimo.estimation.errors import EstimationError
    from baimo.estimation.growth.size_dependence import fit_size_dependence

    order = np.lexsort((years, items))
    item, period = items[order], np.unique(years, return_inverse=True)[1][order]
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.where(values[order] > 0, values[order], np.nan))
    follows = (item[1:] == item[:-1]) & (period[1:] == period[:-1] + 1)
    try:
        fit = fit_size_dependence(
            item[1:][follows],
            period[1:][follows],
            logs[:-1][follows],
            np.diff(logs)[follows],
        )
    except EstimationError as error:
        notes.append(f"size dependence: {error}")
        return []
    return [fit]


def loading_results(items: Values, years: Values, values: Values, notes: list[str]) -> list[Result]:
    """Return the loadings on the common shock, and the size slope net of it."""
    from baimo.estimation.errors import EstimationError
    from baimo.estimation.growth.cce import fit_size_slope_cce
    from baimo.estimation.growth.loadings import fit_loadings

    found: list[Result] = []
    try:
        found.append(fit_loadings(items, years, values))
        found.append(fit_size_slope_cce(items, years, values))
    except EstimationError as error:
        notes.append(f"loadings: {error}")
    return found


def resampled(
    items: Values, years: Values, values: Values, n_replications: int, seed: int
) -> Result:
    """Return growth with intervals from resampled items and blocks of dates."""
    from baimo.estimation.growth.bootstrap import bootstrap_growth

    with Bar(n_replications, "bootstrap") as progress:
        return bootstrap_growth(
            items, years, values, n_replications=n_replications, seed=seed, progress=progress
        )
