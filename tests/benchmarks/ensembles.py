"""Time ensembles: every mechanism drawn and refitted, against NumPy and igraph in the same run.

    uv run python tests/benchmarks/ensembles.py [--replications 200] [--picture FILE.svg]

A replication draws a model of N items and sends it through the fits of the data (exact CSN scan,
three tail indices, concentration). "NumPy" draws with the same calls, sorts with numpy.unique and
scans a hundred candidates for x_min with the continuous approximation. igraph grows the same
urn by its Barabasi game.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from baimo.estimation.predictive.replicate import measure_sizes, replicate
from baimo.estimation.samples.counts import Counts
from baimo.simulation.attachment.kernel import KernelParams, simulate_kernel
from baimo.simulation.attachment.simon_yule import YuleParams, simulate_yule
from baimo.simulation.demand.ces import DemandParams, simulate_demand
from baimo.simulation.growth.gbm import GrowthParams, simulate_growth

N = 760_000
SIZES = (10_000, 100_000, 760_000, 3_000_000)
YULE = YuleParams(entry_plus_exit=1.2, gamma=1.1, a=0.1)
CES = DemandParams(alpha=0.68, rho=0.5)
GBM = GrowthParams(mu=0.2, sigma=1.0)
Draw = Callable[[np.random.Generator], Any]


def draws(n: int) -> dict[str, tuple[Draw, bool]]:
    """Return every model at n items: how it is drawn, and whether it gives counts."""
    rng = np.random.default_rng(0)
    ages = rng.exponential(0.8, n)
    entry = rng.normal(12.0, 3.0, 500)
    return {
        "PA-Yule": (lambda r: simulate_yule(YULE, ages, r), True),
        "CES": (lambda r: simulate_demand(CES, n, 2_400 * n, r), True),
        "GBM": (lambda r: simulate_growth(GBM, entry, ages, r), False),
    }


def ours(draw: Draw, discrete: bool) -> Callable[[np.random.Generator], dict[str, float]]:
    return lambda rng: measure_sizes(Counts.from_sample(draw(rng)), discrete=discrete)


def with_numpy(draw: Draw) -> Callable[[np.random.Generator], float]:
    """Draw, sort, and scan a hundred candidates for x_min."""

    def one(rng: np.random.Generator) -> float:
        values, n = np.unique(draw(rng), return_counts=True)
        n, values = n[values > 0], values[values > 0].astype(np.float64)
        above = np.cumsum(n[::-1])[::-1]
        log_sums = np.cumsum((n * np.log(values))[::-1])[::-1]
        best = (np.inf, 0.0)
        for i in np.unique(np.geomspace(1, values.size - 2, 100).astype(int)):
            zeta = above[i] / (log_sums[i] - above[i] * np.log(values[i] - 0.5 * (values[i] >= 1)))
            model = (values[i:] / values[i]) ** -zeta
            distance = float(np.max(np.abs(above[i:] / above[i] - model)))
            best = min(best, (distance, float(zeta)))
        return best[1]

    return one


def seconds(call: Callable[[], object], times: int) -> float:
    """Return the median time of a call, after one that does not count."""
    call()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return float(np.median(found))


def ensemble(n: int, n_replications: int) -> float:
    """Time all three models, `n_replications` each, on all processors."""
    start = time.perf_counter()
    for name, (draw, discrete) in draws(n).items():
        begun = time.perf_counter()
        replicate(ours(draw, discrete), n_replications=n_replications, seed=(1,))
        print(f"  {name:<10}{time.perf_counter() - begun:8.1f} s", flush=True)
    return time.perf_counter() - start


def one_replication() -> dict[str, list[tuple[int, float, float]]]:
    """Time one replication at every size: (n, ours, NumPy), on one processor."""
    found: dict[str, list[tuple[int, float, float]]] = {}
    for n in SIZES:
        for name, (draw, discrete) in draws(n).items():
            one, other = ours(draw, discrete), with_numpy(draw)
            rng = np.random.default_rng(1)
            times = 3 if n > 500_000 else 7
            mine = seconds(lambda one=one, rng=rng: one(rng), times)  # type: ignore[misc]
            theirs = seconds(lambda other=other, rng=rng: other(rng), times)  # type: ignore[misc]
            found.setdefault(name, []).append((n, mine, theirs))
            print(f"  {name:<10}{n:>10,}{mine:10.4f} s{theirs:10.4f} s{theirs / mine:8.1f}x")
    return found


def urns(n_events: int) -> None:
    """Time an urn against igraph: items of one attachment each, kernel (d + 1)^.8."""
    import igraph

    rng = np.random.default_rng(2)
    params = KernelParams(theta=0.8, offset=1.0)
    mine = seconds(lambda: simulate_kernel(params, 2 * n_events, 0.5, rng), 3)
    theirs = seconds(
        lambda: igraph.Graph.Barabasi(
            n_events, 1, power=0.8, zero_appeal=1.0, implementation="psumtree", directed=True,
            outpref=False,
        ),
        3,
    )  # fmt: skip
    print(f"  urn, kernel (d + 1)^.8, {n_events:,} items: {mine:.3f} s, igraph {theirs:.3f} s")


def draw_picture(found: dict[str, list[tuple[int, float, float]]], path: Path) -> None:
    import matplotlib
    from matplotlib.figure import Figure

    from baimo.pipeline.figures.style import MODEL_COLOURS, STYLE

    colours = MODEL_COLOURS | {"PA-Yule": MODEL_COLOURS["Yule"]}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6))
        axes = figure.add_axes((0.12, 0.16, 0.85, 0.80))
        for name, rows in found.items():
            n, mine, theirs = zip(*rows, strict=True)
            axes.loglog(n, mine, "o-", color=colours[name], label=name)
            axes.loglog(n, theirs, "--", color=colours[name], lw=1, label=f"{name}, NumPy")
        axes.set_xlabel("items")
        axes.set_ylabel("seconds for one sample and its fits")
        axes.legend(ncols=2)
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    print(f"{options.replications} replications of {N:,} items, {os.cpu_count()} processors")
    print(f"  together  {ensemble(N, options.replications):8.1f} s")
    print("one replication on one processor: ours, NumPy, ratio")
    found = one_replication()
    urns(300_000)
    if options.picture:
        draw_picture(found, options.picture)


if __name__ == "__main__":
    main()
