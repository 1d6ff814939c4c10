"""Benchmark of the tail engine against its peers, in one run on one machine.

    uv run python tests/benchmarks/tail_engine.py [--pictures FOLDER] [--recording FILE] [--quick]

Times are medians over several runs, shown beside one read of the raw array and the peer's time.
Where a peer would not finish, its time is extrapolated and marked.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.bootstrap import goodness_of_fit
from baimo.estimation.tails.power_law import fit_tail, sample_power_law

PEER_REPLICATIONS = 20
REPLICATIONS = 2500


def sample(n: int) -> NDArray[np.int64]:
    """Return n counts, a fifth of them an exact zeta tail (alpha 2) from 50 on, seeded.

    The body is a lognormal cut to 1..49; the order is random.
    """
    rng = np.random.default_rng(1)
    tail = sample_power_law(2.0, 50.0, n // 5, rng)
    body = np.floor(rng.lognormal(1.5, 1.2, 2 * n))
    body = body[(body >= 1) & (body < 50)][: n - tail.size]
    x = np.concatenate([np.minimum(tail, 2.0**53), body])
    rng.shuffle(x)
    return x.astype(np.int64)


def median_time(work: Callable[[], object], runs: int = 7) -> float:
    """Return the median wall time in seconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peer_time(x: NDArray[np.generic], discrete: bool, replications: int) -> float:
    """Return the time of igraph (plfit's C code): one fit with its scan, then replications of p.

    It has no fit without p; it draws .25 / p_precision^2 replications, at least one.
    """
    import igraph

    data = x.tolist()
    method = "discrete" if discrete else "continuous"
    precision = min(0.49, (0.25 / replications) ** 0.5)
    start = time.perf_counter()
    igraph.power_law_fit(data, method=method, p_precision=precision)
    return time.perf_counter() - start


def peer_times(x: NDArray[np.generic], discrete: bool, replications: int) -> tuple[float, float]:
    """Return igraph's time of a fit alone and of one replication, from two runs of it."""
    one = peer_time(x, discrete, 1)
    each = (peer_time(x, discrete, replications) - one) / (replications - 1)
    return max(one - each, 0.0), each


def powerlaw_fit(x: NDArray[np.generic]) -> float:
    """Return the time of the powerlaw package, exact discrete likelihood, once."""
    import powerlaw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        found = powerlaw.Fit(x, discrete=True, estimate_discrete=False, verbose=0)
        float(found.alpha)
        return time.perf_counter() - start


def report_counts(sizes: list[int]) -> dict[str, list[float]]:
    """Print one fit and one p for each size; return what the picture of the cost needs."""
    print(
        f"{'counts':>12}{'read':>10}{'compress':>10}{'fit':>10}{'reads':>7}{'igraph':>10}{'ratio':>8}"
        f"{'powerlaw':>10}{'ratio':>8}{'p 2,500':>10}{'igraph':>10}{'ratio':>8}"
    )
    series: dict[str, list[float]] = {"n": [], "compress": [], "scan": [], "igraph": []}
    for n in sizes:
        x = sample(n)
        counts = Counts.from_sample(x)
        found = fit_tail(x)
        read, compress = median_time(x.sum), median_time(partial(Counts.from_sample, x))
        fit, scan = median_time(partial(fit_tail, x)), median_time(partial(fit_tail, counts))
        goodness_of_fit(counts, found, n_replications=2)
        p = median_time(partial(goodness_of_fit, x, found, n_replications=REPLICATIONS), 3)
        peer = each = math.nan
        if n <= 1_000_000:
            peer, each = peer_times(x, True, PEER_REPLICATIONS)
        elif n <= 2_500_000:  # a fit and one replication, which is a fit of its own
            peer = peer_time(x, True, 1) / 2
        other = powerlaw_fit(x) if n <= 100_000 else math.nan
        print(
            f"{n:>12,}{read:>10.5f}{compress:>10.5f}{fit:>10.5f}{fit / read:>7.1f}{peer:>10.3f}"
            f"{peer / fit:>8.0f}{other:>10.2f}{other / fit:>8.0f}{p:>10.2f}"
            f"{REPLICATIONS * each:>10,.0f}{REPLICATIONS * each / p:>8.0f}",
            flush=True,
        )
        for name, value in (("n", n), ("compress", compress), ("scan", scan), ("igraph", peer)):
            series[name].append(value)
    print(
        f"seconds; igraph's p extrapolated from {PEER_REPLICATIONS} replications; beyond a million "
        "its fit is half of a fit with one replication; powerlaw run up to 10^5"
    )
    return series


def report_sizes() -> None:
    rng = np.random.default_rng(2)
    x = (1.0 - rng.random(7000)) ** (-1 / 1.5)
    fit = fit_tail(x, discrete=False)
    one = median_time(partial(fit_tail, x, discrete=False))
    start = time.perf_counter()
    goodness_of_fit(x, fit, n_replications=REPLICATIONS)
    many = time.perf_counter() - start
    peer, each = peer_times(x, False, PEER_REPLICATIONS)
    print(
        f"\ncontinuous, n = 7,000: fit {one:.5f} s (igraph {peer:.3f} s, {peer / one:.0f}), "
        f""
        f"2,500 replications {many:.2f} s (igraph {REPLICATIONS * each:.0f} s, "
        f"{REPLICATIONS * each / many:.0f})"
    )


def report_real_data(recording: Path) -> None:
    import polars as pl

    table = pl.read_parquet(recording, columns=["downloads", "likes"])
    for name in ("downloads", "likes"):
        counts = Counts.from_sample(table[name].to_numpy())
        took = median_time(partial(fit_tail, counts), 21)
        print(f"\nreal {name}: {took * 1e3:.2f} ms from counts ({counts.n_unique:,} values)")


def report_memory(n: int) -> None:
    """Print the largest allocation of a fit over the size of the raw array."""
    import tracemalloc

    x = sample(n)
    fit_tail(x[:1000])
    tracemalloc.start()
    fit_tail(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"memory at {n:,} counts: the raw array and {peak / x.nbytes:.3f} times its size\n")


def draw_cost(series: dict[str, list[float]], folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for name, label in (
        ("igraph", "igraph (plfit), whole fit"),
        ("compress", "compression: linear in n"),
        ("scan", "everything else: in distinct values"),
    ):
        axes.loglog(series["n"], series[name], "o-", label=label)
    axes.set_xlabel("counts")
    axes.set_ylabel("seconds")
    axes.legend()
    figure.savefig(folder / "tail_cost.svg", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--recording", type=Path, help="Parquet file with downloads and likes")
    parser.add_argument("--quick", action="store_true", help="up to 10^5 counts")
    options = parser.parse_args()
    sizes = [10_000, 100_000] if options.quick else [10_000, 100_000, 1_000_000, 2_500_000]
    report_memory(10_000_000 if not options.quick else 1_000_000)
    series = report_counts([*sizes, 10_000_000] if not options.quick else sizes)
    report_sizes()
    if options.recording:
        report_real_data(options.recording)
    if options.pictures:
        draw_cost(series, options.pictures)


if __name__ == "__main__":
    main()
