"""Calibration of the tail engine: size and power of its test, coverage of its intervals.

    uv run python tests/benchmarks/calibration.py [--pictures FOLDER] [--runs 1000]

Prints the figures of `estimation/README.md`; `pytest -m full` holds them
(tests/estimation/test_calibration).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baimo.estimation.results import Estimate
from baimo.estimation.tails.bootstrap import bootstrap_tail, goodness_of_fit
from baimo.estimation.tails.power_law import fit_tail, sample_power_law
from baimo.estimation.tails.rank_size import fit_zipf

Floats = NDArray[np.float64]
SIZES, ALPHAS = (500, 2000), (2.0, 3.0)
POWER_SIZES = (300, 1000, 3000, 10_000, 30_000)
BODY_BELOW = 10.0


def half_body_half_tail(n: int, alpha: float, discrete: bool, rng: np.random.Generator) -> Floats:
    """Return n items, half of them (binomial) an exact power law from 10 on.

    The body is uniform below 10: its mass just below x_min is about that of the tail just
    above, so that x_min is neither obvious nor without a trace.
    """
    n_tail = int(rng.binomial(n, 0.5))
    body = rng.uniform(1.0, BODY_BELOW, n - n_tail)
    tail = sample_power_law(alpha, BODY_BELOW, n_tail, rng, discrete=discrete)
    return np.concatenate([np.floor(body) if discrete else body, tail])


def rejected_share(n: int, alpha: float, discrete: bool, runs: int, seed: int) -> float:
    """Return the share of null samples with p < .1, 250 replications each."""
    rng = np.random.default_rng((seed, n, int(10 * alpha), discrete))
    low = 0
    for i in range(runs):
        sample = half_body_half_tail(n, alpha, discrete, rng)
        fit = fit_tail(sample, discrete=discrete)
        low += goodness_of_fit(sample, fit, n_replications=250, seed=i).rejected
    return low / runs


WAYS = ("x_min free", "n_tail_min = n/10", "x_min = 15")


def power(n: int, discrete: bool, way: str, runs: int, seed: int = 0) -> float:
    """Return the share of p < .1 for n items of a lognormal (mu .3, sigma 2; counts rounded up).

    The example of Clauset, Shalizi & Newman (2009, section 4.2, x_min = 15). With x_min free the
    scan flees to a tail so short that nothing can be told there.
    """
    rng = np.random.default_rng((seed, n, discrete))
    low = 0
    for i in range(runs):
        sample = rng.lognormal(0.3, 2.0, n)
        sample = np.ceil(sample) if discrete else sample
        fit = fit_tail(
            sample,
            discrete=discrete,
            x_min=15.0 if way == WAYS[2] else None,
            n_tail_min=n // 10 if way == WAYS[1] else 2,
        )
        low += goodness_of_fit(sample, fit, n_replications=200, seed=i, stop_early=True).rejected
    return low / runs


def covered_share(n: int, alpha: float, discrete: bool, runs: int) -> dict[str, float]:
    """Return the share of 95 % intervals that hold the truth, x_min given and chosen.

    Of zeta unless named otherwise; the truth of x_min is 10, that of n_tail n/2. Clustered
    intervals are those of samples in which every item comes four times, with one label for the
    four.
    """
    rng = np.random.default_rng((7, n, int(10 * alpha), discrete))
    hits: dict[str, list[bool]] = {}

    def note(name: str, interval: tuple[float, float] | None, truth: float = alpha - 1.0) -> None:
        assert interval is not None
        hits.setdefault(name, []).append(interval[0] <= truth <= interval[1])

    for i in range(runs):
        sample = half_body_half_tail(n, alpha, discrete, rng)
        given = fit_tail(sample, discrete=discrete, x_min=BODY_BELOW)
        wald = Estimate(value=given.zeta, std_error=given.std_error)
        note("Wald, x_min given", wald.conf_int())
        note("profile, x_min given", given.conf_int()["zeta"])
        copies, owner = np.repeat(sample, 4), np.repeat(np.arange(n), 4)
        clustered = fit_tail(copies, discrete=discrete, x_min=BODY_BELOW, clusters=owner)
        note("clustered, x_min given", clustered.conf_int()["zeta"])
        note("rank - 1/2, k = n/4", fit_zipf(sample, k=n // 4).conf_int()["zeta"])
        chosen = fit_tail(sample, discrete=discrete)
        note("profile, x_min chosen", chosen.conf_int()["zeta"])
        resampled = bootstrap_tail(sample, chosen, n_replications=200, seed=i)
        note("bootstrap, x_min chosen", resampled.conf_int()["zeta"])
        note("bootstrap of x_min", resampled.conf_int()["x_min"], BODY_BELOW)
        note("bootstrap of n_tail", resampled.conf_int()["n_tail"], n / 2)
        whole = fit_tail(copies, discrete=discrete)
        resampled = bootstrap_tail(copies, whole, clusters=owner, n_replications=200, seed=i)
        note("cluster bootstrap, x_min chosen", resampled.conf_int()["zeta"])
    return {name: float(np.mean(h)) for name, h in hits.items()}


def draw_power(shares: dict[str, list[float]], folder: Path) -> None:
    """Draw the power against the number of items."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for way, values in shares.items():
        axes.semilogx(POWER_SIZES, values, "o-", label=way)
    axes.axhline(0.9, color="#9aa5b1", lw=1, ls=":")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("counts (lognormal, mu .3, sigma 2, rounded up)")
    axes.set_ylabel("share of samples with p < .1")
    axes.legend()
    figure.savefig(folder / "tail_power.svg", metadata={"Date": None})


def main() -> None:
    """Print everything; half an hour on one processor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    shares = {way: [power(n, True, way, 200) for n in POWER_SIZES] for way in WAYS}
    print(f"power at n {POWER_SIZES}: {shares}", flush=True)
    if options.pictures:
        draw_power(shares, options.pictures)
    for discrete in (True, False):
        for alpha in ALPHAS:
            for n in SIZES:
                size = rejected_share(n, alpha, discrete, options.runs, seed=2)
                covered = covered_share(n, alpha, discrete, options.runs)
                kind = "counts" if discrete else "sizes"
                print(
                    f"{kind}, n {n}, alpha {alpha}: p < .1 {size:.3f}; coverage {covered}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
