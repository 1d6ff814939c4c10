"""What attachment of other kernels and starts expects of the bundled likes, over its parameters.

    uv run python -m tests.benchmarks.attachment_variants

Kernels gamma (k + a)^theta t^phi from equal starts, over theta with phi free and at phi -.95, and
linear kernels from lognormal starts over their strength, the rest fitted to the likes of 2024-07-11
over ages; means of 20 seeded draws, stopped at the largest observed. Prints the table of
tests/benchmarks/README.md; two minutes on one core.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl

from baimo.estimation.attachment.births import fit_births, fit_unequal_births
from baimo.pipeline.analysis.cohorts import Cohorts, cut_cohorts
from baimo.pipeline.analysis.summary_statistics import Statistics, measure_sample
from baimo.pipeline.variables import LIKES, hub_ages
from baimo.simulation.attachment.births import BirthParams, simulate_births
from tests.structure import ROOT

DAY, X_MIN, LARGEST, DRAWS = date(2024, 7, 11), 23, 11_000, 20
THETAS, GROWTHS = (1.0, 1.1, 1.2, 1.25, 1.3, 1.35, 1.4), (1e-3, 0.1, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0)
SHOWN = ("share_zero", "top_1pct", "tail_items", "items_1000", "items_4000", "young_in_tail",
         "zeta_gap")  # fmt: skip


def main() -> None:
    """Print the table."""
    frequency = pl.read_parquet(ROOT / "data" / "reference" / "hub_frequency.parquet")
    dated, horizon = hub_ages(frequency, DAY)
    cohorts = cut_cohorts(frequency, DAY)
    for words, params, log_likelihood in _fitted(dated):
        found = _expected(params, cohorts, horizon)
        cells = [
            f"{10 ** found[name] - 1:,.1f}" if "items" in name else f"{found[name]:.3f}"
            for name in SHOWN
        ]
        print(f"| {words} | {log_likelihood:,.0f} | {' | '.join(cells)} |", flush=True)


def _fitted(dated: pl.DataFrame) -> Iterator[tuple[str, BirthParams, float]]:
    size = LIKES.name
    table = dated.group_by("age", size).agg(pl.col("n_models").sum()).sort("age", size)
    profile = (table["age"].to_numpy(), table[size].to_numpy(), table["n_models"].to_numpy())
    for phi in (None, -0.95):
        for theta in THETAS:
            fit = fit_births(*profile, theta=theta, phi=phi)
            yield f"theta {theta:g}, phi {fit.phi:.2f}", fit.params, fit.log_likelihood
    for growth in GROWTHS:
        fit = fit_unequal_births(*profile, growth=growth)
        words = f"growth {growth:g}, phi {fit.phi:.2f}, sigma {fit.sigma:.2f}"
        yield words, fit.params, fit.log_likelihood


def _expected(params: BirthParams, cohorts: Cohorts, horizon: float) -> Statistics:
    """Return means of draws of all models, undated ones as old as the history."""
    rng, ages = np.random.default_rng(1), cohorts.age_of_each(horizon)
    draws = [
        measure_sample(
            cohorts.split(simulate_births(params, ages, rng, largest=LARGEST)), LIKES, X_MIN
        )
        for _ in range(DRAWS)
    ]
    return {name: float(np.mean([draw[name] for draw in draws])) for name in SHOWN}


if __name__ == "__main__":
    main()
