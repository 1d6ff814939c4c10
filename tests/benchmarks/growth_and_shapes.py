"""Time the panel of growth and the comparison of shapes, each against a peer in the same run.

    uv run python tests/benchmarks/growth_and_shapes.py

Growth: 2,000 items on 1,000 days with a common shock; the peer is the loop over items that one
would write in NumPy, drift and volatility only. Shapes: 760,000 counts against 2,400 sizes, 500
replications; the peer is as many two-sample Kolmogorov-Smirnov tests of SciPy on resamples.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy import stats

from baimo.estimation.growth.volatility import fit_growth_paths
from baimo.estimation.samples.counts import Counts
from baimo.estimation.shapes.compare import compare_shapes
from baimo.simulation.growth.paths import PathParams, simulate_paths

ITEMS, DAYS = 2_000, 1_000
REPLICATIONS = 500
ROUNDS = 5


def seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the shortest time of some rounds."""
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return min(took)


def loop(item: np.ndarray, times: np.ndarray, sizes: np.ndarray) -> list[tuple[float, float]]:
    """Return log drift and volatility of each item, one after the other."""
    found = []
    for i in range(ITEMS):
        at = item == i
        r, d = np.diff(np.log(sizes[at])), np.diff(times[at])
        m = r.sum() / d.sum()
        found.append((m, float(np.sqrt(np.sum((r - m * d) ** 2 / d) / (r.size - 1)))))
    return found


def growth() -> tuple[float, float]:
    """Return seconds of the panel, ours and the loop."""
    rng = np.random.default_rng(9)
    times = np.arange(DAYS) / 365.25
    params = PathParams(mu=0.2, sigma_idiosyncratic=0.8, sigma_common=0.5)
    paths = np.asarray(simulate_paths(params, times, rng.normal(15, 2, ITEMS), rng))
    item, when = (a.ravel() for a in np.indices(paths.shape))
    panel = item, times[when], paths.ravel()
    return seconds(lambda: fit_growth_paths(*panel, exit_floor=1e-9)), seconds(
        lambda: loop(*panel), 1
    )


def shapes() -> tuple[float, float]:
    """Return seconds of a comparison of shapes, ours and SciPy's resamples."""
    rng = np.random.default_rng(4)
    counts = np.floor((1.0 - rng.random(760_000)) ** -2.0)
    sizes = np.exp(3.0 * rng.standard_normal(2_400))
    hub = Counts.from_sample(counts)
    compare_shapes(hub, sizes, n_replications=19)  # compile
    log_counts, log_sizes = np.log(counts), np.log(sizes)

    def peer() -> None:
        for _ in range(20):
            one = rng.choice(log_counts, log_counts.size)
            stats.ks_2samp(one, rng.choice(log_sizes, log_sizes.size), method="asymp")

    ours = seconds(lambda: compare_shapes(hub, sizes, n_replications=REPLICATIONS), 1)
    return ours, seconds(peer, 1) * REPLICATIONS / 20


def main() -> None:
    print(f"{'':<46}{'ours':>10}{'peer':>10}{'ratio':>8}")
    for name, work in (
        (f"growth, {ITEMS:,} items by {DAYS:,} days", growth),
        (f"shapes, 760,000 by 2,400, {REPLICATIONS} replications", shapes),
    ):
        ours, peer = work()
        print(f"{name:<46}{ours:>8.2f} s{peer:>8.2f} s{peer / ours:>8.1f}")


if __name__ == "__main__":
    main()
