"""Size, coverage and power where items come in clusters as uneven as the Hub's owners.

    uv run python -m tests.benchmarks.clustered_size [--runs 1000] [--tail 0] [--recording FILE]

Tails of as many items as the Hub's listing of 2024-07-11 has above x_min, owned as they are there
(`OWNERS`, a count of owners by number of models). Items of one owner are alike: the normal scores
of their ranks have a common part, a share rho of their variance. In the listing that share is .30
for downloads and .19 for likes (analysis of variance of the scores under the fitted law). Exact
power laws give size and coverage, lognormals power. The test of age cohorts needs the cohorts of
each owner's models. They come from a recording of that listing, a Parquet file with the columns
author, created_at, downloads and likes, a row a model; without it that part is left out, and said.
The table of tests/benchmarks/README.md is this output; `pytest -m full` holds a shorter one
(tests/estimation/test_clustered_size).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import optimize, special

from baimo.estimation.samples.counts import LARGEST_EXACT
from baimo.estimation.tails.alternatives import compare_tail
from baimo.estimation.tails.bootstrap import goodness_of_fit
from baimo.estimation.tails.clustered import clustered_goodness_of_fit
from baimo.estimation.tails.cohorts import fit_cohorts
from baimo.estimation.tails.power_law import fit_tail
from baimo.estimation.tails.tail_index import pareto_lognormal_test, zipf_lm_test
from baimo.pipeline.variables import cohort_edges, hub_ages

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Quantile = Callable[[Floats], Floats]
LEVEL = 0.05
N_SIGNS = 499
RHO: Mapping[str, float] = {"downloads": 0.30, "likes": 0.19}
"""Correlation of the normal scores of one owner's models."""

# Models above x_min -> owners with that many, 2024-07-11 (downloads from 9,326, likes from 23 on).
OWNERS: Mapping[str, Mapping[int, int]] = {
    "downloads": {
        1: 603, 2: 139, 3: 66, 4: 41, 5: 33, 6: 21, 7: 6, 8: 3, 9: 8, 10: 7, 11: 5, 12: 6, 13: 2,
        14: 1, 16: 5, 17: 2, 19: 2, 20: 3, 22: 3, 26: 1, 29: 1, 31: 1, 32: 1, 35: 1, 36: 1, 39: 1,
        43: 1, 46: 1, 48: 1, 49: 1, 55: 1, 88: 1, 90: 1, 111: 1, 147: 1, 182: 1, 652: 1,
    },
    "likes": {
        1: 1015, 2: 275, 3: 125, 4: 82, 5: 45, 6: 37, 7: 17, 8: 11, 9: 12, 10: 12, 11: 8, 12: 8,
        13: 4, 14: 5, 15: 4, 16: 2, 17: 1, 18: 1, 19: 5, 20: 5, 21: 2, 24: 3, 25: 1, 26: 1, 29: 1,
        31: 1, 34: 1, 35: 1, 37: 1, 42: 1, 50: 1, 60: 1, 67: 1, 70: 1, 81: 1, 92: 1, 122: 1, 402: 1,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Tail:
    """A tail as one of the Hub's: who owns how many, how alike they are, and its laws."""

    name: str
    owners: Ints
    rho: float
    zeta: float
    x_min: float
    mu: float
    sigma: float

    @property
    def labels(self) -> Ints:
        """Owner of each item."""
        return np.repeat(np.arange(self.owners.size), self.owners)

    def ranks(self, rng: np.random.Generator) -> Floats:
        """Return P(X > x) of each item."""
        return dependent_ranks(self.labels, self.rho, rng)

    def power_law(self, survival: Floats) -> Floats:
        """Return sizes of an exact power law."""
        return self.x_min * survival ** (-1.0 / self.zeta)

    def counts(self, survival: Floats) -> Floats:
        """Return counts of an exact power law."""
        return zeta_quantiles(survival, self.zeta + 1.0, self.x_min)

    def lognormal(self, survival: Floats) -> Floats:
        """Return counts of the lognormal fitted to the listing's tail, largest owner left out."""
        beyond = special.ndtr((self.mu - math.log(self.x_min - 0.5)) / self.sigma)
        logs = self.mu - self.sigma * special.ndtri(survival * beyond)
        return np.maximum(self.x_min, np.floor(np.exp(logs) + 0.5))


def owners_of(measure: str) -> Ints:
    """Return the number of items of each owner, ascending."""
    table = OWNERS[measure]
    return np.repeat(np.array(list(table)), np.array(list(table.values())))


def tails() -> list[Tail]:
    """Return the tails of downloads, of downloads without their largest owner, and of likes."""
    downloads, likes = owners_of("downloads"), owners_of("likes")
    return [
        Tail("downloads", downloads, RHO["downloads"], 0.683, 9326.0, 0.0, 4.42),
        Tail("downloads, largest owner left out", downloads[:-1], RHO["downloads"], 0.618, 9326.0,
             0.0, 4.42),
        Tail("likes", likes, RHO["likes"], 0.971, 23.0, -3.57, 2.97),
    ]  # fmt: skip


def dependent_scores(labels: Ints, rho: float, rng: np.random.Generator) -> Floats:
    """Return standard normal scores that have within labels the correlation rho."""
    common = rng.standard_normal(int(labels.max()) + 1)[labels]
    own = rng.standard_normal(labels.size)
    return np.asarray(math.sqrt(rho) * common + math.sqrt(1.0 - rho) * own)


def dependent_ranks(labels: Ints, rho: float, rng: np.random.Generator) -> Floats:
    """Return uniform ranks whose normal scores have within labels the correlation rho."""
    return np.asarray(special.ndtr(dependent_scores(labels, rho, rng)))


def zeta_quantiles(survival: Floats, alpha: float, x_min: float) -> Floats:
    """Return the largest counts x with P(X >= x) at least `survival`, exactly.

    Up to 10^5 from a table; beyond, P(X >= x) is (x - 1/2)^-zeta to a part in 10^10. A count in
    10^8 lies beyond 2^53 and is set to it, where counts end.
    """
    table = np.arange(x_min, 1e5)
    reach = special.zeta(alpha, table) / special.zeta(alpha, x_min)
    out = x_min + np.searchsorted(-reach, -survival, side="right") - 1.0
    far = survival < reach[-1]
    ratio = survival[far] * special.zeta(alpha, x_min) * (alpha - 1.0)
    out[far] = np.floor(ratio ** (-1.0 / (alpha - 1.0)) + 0.5)
    return np.minimum(out, LARGEST_EXACT)


def equal_fit() -> Quantile:
    """Return quantiles of sizes on which power law and exponential have equal likelihood.

    A stretched exponential from 1 on, P(X > x) = exp(1 - x^beta), its beta such that both rivals,
    each at its best, have the same expected log-likelihood: Vuong's null hypothesis.
    """
    nodes, weights = np.polynomial.legendre.leggauss(2_000)
    v = 30.0 * (nodes + 1.0)  # minus the log of P(X > x), to where nothing is left
    mass = 30.0 * weights * np.exp(-v)

    def gap(beta: float) -> float:
        x = (1.0 + v) ** (1.0 / beta)
        log, mean = float(mass @ np.log(x)), float(mass @ x)
        return math.log(mean - 1.0) - math.log(log) - log

    beta = float(optimize.brentq(gap, 0.2, 1.5))
    return lambda survival: np.asarray((1.0 - np.log(survival)) ** (1.0 / beta))


def with_error(share: float, runs: int) -> str:
    """Return a share with its Monte Carlo error."""
    return f"{share:.3f} ({math.sqrt(max(share * (1 - share), 1 / runs) / runs):.3f})"


def distances(tail: Tail, quantile: Quantile, runs: int, seed: int) -> Floats:
    """Return p of the distance with clusters, of each run: (runs,)."""
    rng = np.random.default_rng((seed, 1))
    out = np.empty(runs)
    for i in range(runs):
        x = quantile(tail.ranks(rng))
        fit = fit_tail(x, x_min=tail.x_min)
        out[i] = clustered_goodness_of_fit(
            x, fit, tail.labels, n_replications=N_SIGNS, seed=i
        ).p_value
    return out


def independent_distances(tail: Tail, runs: int, seed: int) -> Floats:
    """Return p of the distance as if items were independent, on exact power laws: (runs,)."""
    rng = np.random.default_rng((seed, 1))
    out = np.empty(runs)
    for i in range(runs):
        x = tail.counts(tail.ranks(rng))
        fit = fit_tail(x, x_min=tail.x_min)
        out[i] = goodness_of_fit(x, fit, n_replications=99, seed=i, n_threads=1).p_value
    return out


def scanned(tail: Tail, runs: int, seed: int) -> Floats:
    """Return p of the distance with clusters where a scan chose x_min: (runs,).

    As many items again lie uniformly below the tail, each of an owner of its own.
    """
    rng = np.random.default_rng((seed, 2))
    n = tail.labels.size
    labels = np.append(tail.labels, tail.labels.max() + 1 + np.arange(n))
    out = np.empty(runs)
    for i in range(runs):
        body = rng.integers(1, int(tail.x_min), n)
        x = np.append(tail.counts(tail.ranks(rng)), body)
        fit = fit_tail(x, n_tail_min=n // 4)
        out[i] = clustered_goodness_of_fit(x, fit, labels, n_replications=N_SIGNS, seed=i).p_value
    return out


def covered(tail: Tail, runs: int, seed: int) -> tuple[float, float]:
    """Return coverage of zeta's 95 % intervals: jackknife, profile times design effect."""
    rng = np.random.default_rng((seed, 3))
    hits = np.zeros(2)
    for _ in range(runs):
        x = tail.counts(tail.ranks(rng))
        fit = fit_tail(x, x_min=tail.x_min, clusters=tail.labels)
        for j, (low, high) in enumerate((fit.interval(), fit.profile_interval())):
            hits[j] += low - 1.0 <= tail.zeta <= high - 1.0
    return float(hits[0] / runs), float(hits[1] / runs)


def index_tests(tail: Tail, runs: int, seed: int) -> Floats:
    """Return p of UMPU with clusters and without, of Zipf's LM with and without: (runs, 4)."""
    rng = np.random.default_rng((seed, 4))
    labels = np.append(tail.labels, tail.labels.max() + 1)  # of the item that marks the threshold
    out = np.empty((runs, 4))
    for i in range(runs):
        survival = tail.ranks(rng)
        pareto = np.append(tail.power_law(survival), tail.x_min)
        k = survival.size
        umpu = pareto_lognormal_test(pareto, discrete=False, k=k, clusters=labels)
        zipf = zipf_lm_test(np.append(1.0 / survival, 1.0), discrete=False, k=k, clusters=labels)
        out[i] = umpu.p_value, umpu.p_independent, zipf.p_value, zipf.p_independent
    return out


def ratios(
    tail: Tail, quantile: Quantile, rival: str, discrete: bool, runs: int, seed: int
) -> Floats:
    """Return Vuong's ratio with clusters and without, of each run: (runs, 2)."""
    rng = np.random.default_rng((seed, 5))
    out = np.empty((runs, 2))
    for i in range(runs):
        x = quantile(tail.ranks(rng))
        fit = fit_tail(x, x_min=tail.x_min if discrete else 1.0, discrete=discrete)
        (found,) = compare_tail(x, fit, (rival,), clusters=tail.labels)
        out[i] = found.vuong or 0.0, found.vuong_independent or 0.0
    return out


def cohorts_of_owners(recording: Path, measure: str, x_min: float) -> tuple[Ints, Ints]:
    """Return (owner, age cohort) of each model above x_min whose age is known."""
    columns = ["author", "created_at", "downloads", "likes"]
    models = pl.read_parquet(recording, columns=columns)
    dated, _ = hub_ages(
        models.select("downloads", "likes", "author", created_on=pl.col("created_at").dt.date()),
        date(2024, 7, 11),
    )
    by_age = dated.group_by("age").len().sort("age")
    edges = cohort_edges(by_age["age"].to_numpy(), by_age["len"].to_numpy())
    large = dated.filter(pl.col(measure) >= x_min)
    cohort = np.searchsorted(edges, large["age"].to_numpy(), side="right") - 1
    owners = np.unique(large["author"].to_numpy(), return_inverse=True)[1]
    return owners.astype(np.int64), np.minimum(cohort, edges.size - 2).astype(np.int64)


def cohort_tests(
    tail: Tail, owners: Ints, cohort: Ints, runs: int, seed: int
) -> tuple[Floats, float]:
    """Return p of equal exponents with owners and without, (runs, 2), and zetas' coverage."""
    rng = np.random.default_rng((seed, 6))
    edges = np.arange(cohort.max() + 2.0)
    out, hits = np.empty((runs, 2)), []
    for i in range(runs):
        x = tail.counts(dependent_ranks(owners, tail.rho, rng))
        for j, clusters in enumerate((owners, None)):
            found = fit_cohorts(
                x, cohort + 0.5, edges=list(edges), x_min=tail.x_min, clusters=clusters
            )
            out[i, j] = found.p_value
            if clusters is not None:
                hits.append(np.abs(found.zeta - tail.zeta) < 1.96 * found.std_error)
    return out, float(np.mean(hits))


def rows(tail: Tail, runs: int, recording: Path | None) -> Iterator[tuple[str, str]]:
    """Yield what is measured, and the shares."""

    def rejected(p: Floats) -> str:
        return with_error(float(np.mean(p <= LEVEL)), p.size)

    fewer = max(50, runs // 5)
    yield "KS, clustered: size", rejected(distances(tail, tail.counts, runs, 0))
    yield "KS, independent: size", rejected(independent_distances(tail, fewer, 0))
    yield "KS, clustered, x_min scanned: size", rejected(scanned(tail, fewer, 0))
    yield "KS, clustered: power, lognormal", rejected(distances(tail, tail.lognormal, fewer, 1))
    own, profile = covered(tail, runs, 0)
    yield "zeta, jackknife: coverage", with_error(own, runs)
    yield "zeta, profile x design effect: coverage", with_error(profile, runs)
    p = index_tests(tail, runs, 0)
    for j, name in enumerate(("UMPU, clustered", "UMPU, independent",
                              "Zipf LM, clustered", "Zipf LM, independent")):  # fmt: skip
        yield f"{name}: size", rejected(p[:, j])
    laws: dict[str, tuple[Quantile, str, bool, int, int]] = {
        "equal fit: size": (equal_fit(), "exponential", False, runs, 0),
        "power law: lognormal preferred": (tail.counts, "lognormal", True, fewer, 0),
        "lognormal: lognormal preferred": (tail.lognormal, "lognormal", True, fewer, 1),
    }
    for name, law in laws.items():
        z = ratios(tail, *law)
        low = z < -1.96 if "preferred" in name else np.abs(z) > 1.96
        for j, which in enumerate(("clustered", "independent")):
            yield f"Vuong, {which}, {name}", with_error(float(np.mean(low[:, j])), low.shape[0])
    if "left out" in tail.name:
        return
    if recording is None:
        yield "age cohorts", "left out: no --recording"
        return
    owners, cohort = cohorts_of_owners(recording, tail.name, tail.x_min)
    p, coverage = cohort_tests(tail, owners, cohort, runs, 0)
    yield "age cohorts, clustered: size", rejected(p[:, 0])
    yield "age cohorts, independent: size", rejected(p[:, 1])
    yield "age cohorts, clustered errors of zeta: coverage", with_error(coverage, 5 * runs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--tail", type=int, choices=range(3), help="one of the three")
    parser.add_argument("--recording", type=Path, help="listing of models with their authors")
    options = parser.parse_args()
    for tail in tails() if options.tail is None else [tails()[options.tail]]:
        print(f"{tail.name}: {tail.labels.size:,} items, {tail.owners.size:,} owners", flush=True)
        for name, text in rows(tail, options.runs, options.recording):
            print(f"  {name:<52}{text}", flush=True)


if __name__ == "__main__":
    main()
