"""How often the zetas of near-minimal x_min hold the true one, and how far they lie apart.

    uv run python -m tests.benchmarks.thresholds [--runs 1000] [--recording FILE]

Exact power laws above a uniform body (half of the items each, `calibration.half_body_half_tail`),
and Frechet and Burr samples of zeta 1, whose tail bends. Prints the table of
tests/benchmarks/README.md: shares of the samples in which the truth lies between the lowest and the
highest zeta, the same with two standard deviations of the distance in place of one, between the
lowest and the highest end of the 95 % intervals of the near-minimal tails, and in the interval of
the scan alone; medians of both ranges in standard errors of the scan, of the share of the
candidates, and of the shortest near-minimal tail over that of the scan. Beside it `KS_SPREAD`, from
exponentials and from power laws of counts, and with a recording of a listing of the Hub, a Parquet
file with hub_id, author, downloads and likes, the near-minimal x_min of both, with items as
independent and owners as clusters.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from baimo.estimation.tails.power_law import fit_tail, sample_power_law, tail_path
from baimo.estimation.tails.thresholds import (
    KS_SPREAD,
    clustered_spread,
    near_minimal,
    threshold_range,
)
from baimo.pipeline.datasets.design_effects import owner_numbers
from tests.benchmarks.calibration import half_body_half_tail
from tests.estimation.tails.laws import LAWS

Floats = NDArray[np.float64]
SIZES, BENT_SIZES, ZETAS = (500, 2_000, 20_000), (1_000, 10_000), (1.0, 2.0)
NORMAL = 1.959964


@dataclass(frozen=True)
class Cell:
    """A law to draw samples of."""

    name: str
    zeta: float
    discrete: bool
    draw: Callable[[np.random.Generator], Floats]


def cells() -> Iterator[Cell]:
    """Return the laws of the table."""
    for discrete in (True, False):
        for zeta in ZETAS:
            for n in SIZES:
                kind = "counts" if discrete else "sizes"
                yield Cell(
                    f"Pareto of zeta {zeta:g} above a body, {n:,} {kind}", zeta, discrete,
                    lambda rng, n=n, z=zeta, d=discrete: half_body_half_tail(n, z + 1, d, rng),
                )  # fmt: skip
    for law in ("frechet", "burr"):
        zeta, draw = LAWS[law]
        for n in BENT_SIZES:
            yield Cell(
                f"{law.title()}, {n:,} sizes", zeta, False, lambda rng, n=n, draw=draw: draw(rng, n)
            )
    n = BENT_SIZES[-1]
    burr = LAWS["burr"][1]
    yield Cell(f"Burr, {n:,} counts", 1.0, True, lambda rng: np.floor(5.0 * burr(rng, n)))


def measure(cell: Cell, runs: int, seed: int = 7) -> dict[str, float]:
    """Return the columns of the table for one law."""
    rng = np.random.default_rng((seed, *cell.name.encode()))
    rows = []
    for _ in range(runs):
        sample = cell.draw(rng)
        fit = fit_tail(sample, discrete=cell.discrete)
        path = tail_path(sample, fit)
        near, found = near_minimal(path), threshold_range(path)
        wide = threshold_range(path, spread=2.0 * KS_SPREAD)
        zeta, half = path.alpha[near] - 1.0, NORMAL * path.std_error[near]
        low, high = fit.conf_int()["zeta"] or (math.nan, math.nan)
        rows.append(
            (
                found.zeta_lowest <= cell.zeta <= found.zeta_highest,
                wide.zeta_lowest <= cell.zeta <= wide.zeta_highest,
                (zeta - half).min() <= cell.zeta <= (zeta + half).max(),
                low <= cell.zeta <= high,
                (found.zeta_highest - found.zeta_lowest) / fit.std_error,
                (wide.zeta_highest - wide.zeta_lowest) / fit.std_error,
                found.share,
                found.n_tail_lowest / fit.n_tail,
            )
        )
    table = np.array(rows, dtype=np.float64)
    holds, middle = table[:, :4].mean(axis=0), np.median(table[:, 4:], axis=0)
    names = ("range", "of two", "intervals", "scan", "width", "width of two", "share", "shortest")
    return dict(zip(names, (*holds.tolist(), *middle.tolist()), strict=True))


def ks_spread(n: int, runs: int, seed: int = 1) -> tuple[float, float]:
    """Return sd of sqrt(n) KS of n exponentials, per item from 0 ("csn") and two-sided."""
    rng = np.random.default_rng((seed, n))
    x = np.sort(rng.standard_exponential((runs, n)), axis=1)
    law = -np.expm1(-x / x.mean(axis=1, keepdims=True))
    below = np.abs(law - np.arange(n) / n).max(axis=1)
    above = np.abs(law - np.arange(1, n + 1) / n).max(axis=1)
    root = math.sqrt(n)
    return float(root * below.std()), float(root * np.maximum(below, above).std())


def ks_spread_of_counts(x_min: float, alpha: float, runs: int, n: int = 1_000) -> float:
    """Return sd of sqrt(n) KS of n counts of an exact power law."""
    rng = np.random.default_rng((2, int(x_min), int(10 * alpha)))
    drawn = [fit_tail(sample_power_law(alpha, x_min, n, rng), x_min=x_min).ks for _ in range(runs)]
    return float(math.sqrt(n) * np.std(drawn))


def print_hub(recording: Path) -> None:
    """Print the near-minimal x_min of the Hub's listing."""
    listing = pl.read_parquet(recording, columns=["hub_id", "author", "downloads", "likes"])
    owners = owner_numbers(listing)
    assert owners is not None
    for name in ("downloads", "likes"):
        sizes = listing[name].to_numpy().astype(np.float64)
        fit = fit_tail(sizes)
        path = tail_path(sizes, fit)
        spread = clustered_spread(sizes, fit, owners, path)
        at = float(spread[path.x_min == fit.x_min][0])
        print(f"{name}: {threshold_range(path)}")
        print(f"  owners as clusters, spread {at:.3f} at x_min {fit.x_min:g}: ", end="")
        print(threshold_range(path, spread=spread), flush=True)


def main() -> None:
    """Print everything; a few minutes on one processor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--recording", type=Path, help="listing of models with their authors")
    options = parser.parse_args()
    runs = options.runs
    if options.recording is not None:
        print_hub(options.recording)
    else:
        print("no --recording: nothing of the Hub")
    for n in (10, 30, 100, 300, 1_000, 3_000):
        one, two = ks_spread(n, min(20_000, 30_000_000 // n))
        print(f"sd of sqrt(n) KS, n {n:,}: {one:.4f} as csn, {two:.4f} two-sided", flush=True)
    for x_min in (1, 2, 5, 10, 100):
        shown = (f"{ks_spread_of_counts(x_min, a, 2 * runs):.3f} ({a:g})" for a in (1.7, 2.0, 3.0))
        print(f"counts from {x_min} on (alpha): {', '.join(shown)}", flush=True)
    for cell in cells():
        found = ", ".join(f"{name} {value:.3f}" for name, value in measure(cell, runs).items())
        print(f"{cell.name}: {found}", flush=True)


if __name__ == "__main__":
    main()
