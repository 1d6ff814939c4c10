"""`baimo fit demand`: CES demand."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from baimo.pipeline.cli.fit._output import FILE_ARGUMENT, print_results, quietly
from baimo.pipeline.console import JSON, one_line_errors, options
from baimo.pipeline.errors import SourceError

if TYPE_CHECKING:
    from baimo.estimation.results import Result


@click.command("demand")
@options(
    FILE_ARGUMENT,
    click.option("--demand", required=True, help="Column with the demand of each item."),
    click.option("--cost", help="Column with its cost (bytes, memory, price): gives sigma."),
    click.option("--family", help="Column with what shares one quality (base model by task)."),
    *JSON,
)
@one_line_errors
def fit_demand_command(
    file: Path, demand: str, cost: str | None, family: str | None, as_json: bool
) -> None:
    """CES demand: the exponent zeta; with costs within families sigma and the tastes' alpha."""
    import numpy as np

    from baimo.estimation.demand.ces import fit_demand
    from baimo.estimation.demand.cost_elasticity import fit_cost_elasticity
    from baimo.estimation.samples.counts import LARGEST_EXACT
    from baimo.pipeline.cli.fit.read_columns import read_table

    if bool(cost) != bool(family):
        raise SourceError("sigma comes from costs within families: give --cost and --family")
    table = read_table(file)
    sizes = table.numbers(demand)
    if np.any(sizes < 0):
        row = int((sizes < 0).argmax()) + 1
        raise SourceError(f"negative demand, the first in row {row}: correct or remove it")
    if np.any(sizes > LARGEST_EXACT):
        raise SourceError("demand beyond 2^53 is no count: rescale it")
    notes: list[str] = []
    found: list[Result] = []
    with quietly():
        elasticity, families = None, None
        if cost is not None and family is not None:
            families = table.labels(family)
            elasticity = fit_cost_elasticity(sizes, table.numbers(cost), families)
            found.append(elasticity)
        tail, how = _demand_tail(sizes, families)
        found.insert(0, fit_demand(sizes, tail, cost_elasticity=elasticity))
    notes.append(
        f"zeta above x_min = {tail.x_min:g} ({tail.n_tail:,} of {tail.n_obs:,} items), {how}"
    )
    print_results("ces", found, notes, as_json)


def _demand_tail(sizes: Any, families: Any) -> tuple[Any, str]:
    """Return the tail of demand, and how it was fitted."""
    from baimo.estimation.demand.counts import fit_demand_tail
    from baimo.estimation.errors import DataError
    from baimo.estimation.samples.counts import Counts
    from baimo.estimation.tails.power_law import fit_tail

    counted = Counts.from_sample(sizes).is_integer
    if counted:
        with suppress(DataError):  # too few for a law of counts
            tail = fit_demand_tail(sizes, clusters=families)
            return tail, "as Poisson counts of Pareto demand"
    return (
        fit_tail(sizes, discrete=counted, clusters=families),
        "which its error takes as given",
    )
