"""`baimo simulate MODEL`: a sample of a model as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from baimo.pipeline.console import aligned, one_line_errors
from baimo.pipeline.errors import SourceError
from baimo.pipeline.settings import SEED

if TYPE_CHECKING:
    from baimo.pipeline.models.base import FileModel


@click.command()
@click.argument("model")
@click.option(
    "--params",
    type=click.Path(path_type=Path),
    help="JSON: parameters.json of a run, the output of baimo fit --json, or name: value.",
)
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="One parameter.")
@click.option("--n", default=10_000, show_default=True, type=click.IntRange(1), help="Items.")
@click.option("--seed", default=SEED, show_default=True, type=click.IntRange(min=0))
@click.option("--out", type=click.Path(path_type=Path), help="CSV or Parquet file to write.")
@one_line_errors
def simulate(
    model: str, params: Path | None, settings: tuple[str, ...], n: int, seed: int, out: Path | None
) -> None:
    """Simulate a model into a file that baimo fit reads.

    MODEL is simon, yule (attachment), kernel, printed (eq 19), ces (demand), gbm (growth), birth or
    fitness; MODEL --set help lists its parameters. The same seed gives the same file.
    """
    import numpy as np

    from baimo.pipeline.predictive.simulated_files import (
        LARGEST_N,
        choose_parameters,
        find_model,
        read_parameters,
        write_simulated,
    )
    from baimo.simulation.errors import ParameterError

    chosen = find_model(model)
    if settings == ("help",):
        _list_parameters(chosen)
        return
    if out is None:
        raise SourceError("say where to write: --out FILE.csv or FILE.parquet")
    if n > LARGEST_N:
        raise SourceError(f"--n {n:,} is more than fits into memory; at most {LARGEST_N:,}")
    files = read_parameters(params) if params is not None else {}
    values, taken = choose_parameters(chosen, files, settings)
    try:
        frame = chosen.sample(values, n, np.random.default_rng(seed))
    except ParameterError as error:
        raise SourceError(f"{chosen.name} cannot be drawn with these parameters: {error}") from None
    except (ArithmeticError, MemoryError, ValueError) as error:
        raise SourceError(
            f"{chosen.name} cannot be drawn with these parameters ({error}): sizes or their number "
            "go beyond what is held; lower rates, horizon or --n"
        ) from error
    write_simulated(frame, out)
    for name, value in values.items():
        origin = "" if name in taken else "  (default)"
        click.echo(f"{name:<26}{value:>12g}{origin}")
    click.echo(f"{frame.height:,} rows of {', '.join(frame.columns)}, seed {seed}: {out}")
    click.echo(f"fit it with: {chosen.refit.replace('FILE', str(out))}")


def _list_parameters(model: FileModel) -> None:
    rows: list[tuple[str, ...]] = [("parameter", "default", "meaning")]
    rows += [(name, f"{v:g}", model.meaning.get(name, "")) for name, v in model.defaults.items()]
    click.echo(aligned(rows, left=(0, 2)))
