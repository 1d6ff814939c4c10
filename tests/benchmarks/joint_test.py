"""Size and power of the joint predictive test: truth by suspect.

    uv run python tests/benchmarks/joint_test.py [--measure likes] [--items 76000] [--truths 100]
        [--replications 99] [--processes 2] [--json FILE]

A truth is a model of the bundled reference at its fitted parameters. It is drawn over the ages of
as many models of the Hub; every model is fitted to the draw as to data, every item an owner of its
own, drawn at its estimate, and judged. Where truth and suspect are the same, what is contradicted
is an error (at most .05, less where the margins leave room); elsewhere it is power.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from baimo.estimation.demand.ces import fit_demand
from baimo.estimation.demand.counts import fit_demand_tail, log_smallest_demand
from baimo.estimation.distributions.fit import fit_whole_sample
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.cohorts import cut_cohorts, observed_by_cohort
from baimo.pipeline.analysis.sampling import SAMPLING, hub_errors
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import measure_sample
from baimo.pipeline.datasets.owner_sampling import LAWS, sampling_of
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.attachment import ATTACHMENT_FIT, calibrate_attachment
from baimo.pipeline.models.base import ATTACHMENT, DEMAND, HETEROGENEITY
from baimo.pipeline.models.ces import DEMAND_FIT
from baimo.pipeline.models.poisson_rates import RATES_FIT, fit_rates
from baimo.pipeline.models.registry import MODELS
from baimo.pipeline.predictive.compare import contrast_of, judge
from baimo.pipeline.predictive.simulate import refit_models, samplers_of
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from baimo.pipeline.sources.reference import load_reference
from baimo.pipeline.variables import HUB, VARIABLES, hub_ages, hub_counts
from baimo.simulation.attachment.simon_yule import YuleParams, simulate_yule
from baimo.simulation.demand.ces import DemandParams, simulate_arrivals
from baimo.simulation.heterogeneity.poisson_rates import PoissonRateParams, simulate_poisson_rates
from baimo.simulation.heterogeneity.static_sizes import StaticSizeParams, simulate_static_counts
from tests.pipeline.synthetic import NO_EFFECTS, some_fits, with_laws

Truth = Callable[[np.ndarray, np.random.Generator], np.ndarray]
MODEL = {model.label: model for model in MODELS}


def reference_frequency() -> tuple[pl.DataFrame, date]:
    """Return models by day of creation, downloads and likes, and the day."""
    loaded = load_reference()
    models = loaded.frames["hub_models"]
    key = ["created_on", "downloads", "likes"]
    table = models.with_columns(created_on=pl.col("created_at").dt.date()).group_by(key)
    return table.agg(n_models=pl.len().cast(pl.Int64)).sort(key), loaded.day


def truths_of(frequency: pl.DataFrame, measure: str, day: date) -> dict[str, Truth]:
    """Return the models of a measure at what the reference says of them; they draw over ages."""
    variable = VARIABLES[measure]
    counts = hub_counts(frequency, variable)
    found: dict[str, Truth] = {}
    for label, law in (("lognormal", LAWS["lognormal"]), ("dPlN", LAWS["dpln"])):
        p = fit_whole_sample(counts, law).parameters
        static = StaticSizeParams(
            mu=p["mu"],
            sigma=p["sigma"],
            alpha=p.get("alpha", math.inf),
            beta=p.get("beta", math.inf),
        )
        found[label] = lambda ages, rng, s=static: simulate_static_counts(s, ages.size, rng)
    rates: PoissonRateParams = fit_rates(frequency, day)[measure].params
    found["fitness"] = lambda ages, rng: simulate_poisson_rates(rates, ages, rng)
    tail = fit_demand_tail(counts)
    smallest = log_smallest_demand(tail.zeta, tail.x_min, tail.n_tail / tail.n_obs)
    demand = DemandParams(alpha=tail.zeta, rho=0.5)
    found["CES"] = lambda ages, rng: simulate_arrivals(demand, smallest, ages.size, rng)
    if measure == "likes":
        attachment = calibrate_attachment(frequency, counts, counts, NO_EFFECTS, day)
        gamma = attachment.entry.rate / tail.zeta
        growth = float(np.sum(np.expm1(gamma * attachment.ages) * attachment.n_models))
        yule = YuleParams(
            entry_plus_exit=attachment.entry.rate,
            gamma=gamma,
            a=attachment.simon_likes.total / growth,
        )
        found["Yule"] = lambda ages, rng: simulate_yule(yule, ages, rng)
    return found


def drawn(
    frequency: pl.DataFrame, truth: Truth, n: int, day: date, rng: np.random.Generator
) -> pl.DataFrame:
    """Return a listing: days of creation like the Hub's, sizes by the truth."""
    share = frequency["n_models"].to_numpy() / frequency["n_models"].sum()
    rows = frequency[rng.choice(frequency.height, n, p=share)].select("created_on")
    dated, horizon = hub_ages(rows.with_row_index("row"), day)
    ages = np.full(n, horizon)
    ages[dated["row"].to_numpy()] = dated["age"].to_numpy()
    sizes = pl.Series(truth(ages, rng), dtype=pl.Int64)
    return rows.with_columns(downloads=sizes, likes=sizes, owner=pl.Series(np.arange(n)))


def outcomes(
    listing: pl.DataFrame, measure: str, day: date, *, n_replications: int, seed: int
) -> dict[str, str]:
    """Fit every model to a listing as to data, and return what the joint test says of each."""
    variable = VARIABLES[measure]
    key = ["created_on", "downloads", "likes"]
    frequency = listing.group_by(key).agg(n_models=pl.len().cast(pl.Int64)).sort(key)
    counts = hub_counts(frequency, variable)
    x_min = fit_tail(counts).x_min
    laws = [fit_whole_sample(counts, name) for name in LAWS.values()]
    demand = fit_demand(counts, fit_demand_tail(counts))
    errors = hub_errors(*sampling_of(listing, variable, day), measure)
    values: dict[Any, Any] = {
        HUB_FREQUENCY: frequency,
        ATTACHMENT_FIT: calibrate_attachment(frequency, counts, counts, NO_EFFECTS, day),
        DEMAND_FIT: {v.name: demand for v in HUB},
        RATES_FIT: fit_rates(frequency, day),
        SAMPLING: {measure: replace(errors, shift=None, covariance_without=None)},
        **{TAILS[v.name]: with_laws(some_fits(), *laws) for v in HUB},
    }
    held = Day.of_values(day, {stored.name: value for stored, value in values.items()})
    cohorts = cut_cohorts(frequency, day)
    observed = measure_sample(observed_by_cohort(frequency, cohorts, day)[measure], variable, x_min)
    found = {}
    for family in (ATTACHMENT, DEMAND, HETEROGENEITY):
        models = {k: m for k, m in samplers_of(held, family).items() if k[1] == measure}
        refits = refit_models(models, {measure: x_min}, n_replications=n_replications, seed=seed)
        for (label, _), simulated in refits.items():
            model = MODEL[label]
            estimates = model.parameters(held, variable) or {}
            contrast = contrast_of(model, simulated, observed, estimates, values[SAMPLING][measure])
            found[label] = judge(model, contrast).outcome.value
    return found


def one(job: tuple[str, str, int, int, int]) -> tuple[str, dict[str, str]]:
    """Draw one truth and judge every model on it."""
    measure, label, n, n_replications, i = job
    frequency, day = reference_frequency()
    truth = truths_of(frequency, measure, day)[label]
    rng = np.random.default_rng([i, *label.encode()])
    listing = drawn(frequency, truth, n, day, rng)
    return label, outcomes(listing, measure, day, n_replications=n_replications, seed=i)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--measure", choices=["downloads", "likes"], default="likes")
    parser.add_argument("--items", type=int, default=76_000)
    parser.add_argument("--truths", type=int, default=100)
    parser.add_argument("--replications", type=int, default=99)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="truths to draw")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    labels = given.only or ["lognormal", "dPlN", "fitness", "CES", *(
        ["Yule"] if given.measure == "likes" else []
    )]  # fmt: skip
    jobs = [
        (given.measure, label, given.items, given.replications, i)
        for label in labels
        for i in range(given.truths)
    ]
    start = time.perf_counter()
    counted: dict[str, dict[str, Counter[str]]] = {label: {} for label in labels}
    with ProcessPoolExecutor(given.processes) as pool:
        for label, found in pool.map(one, jobs):
            for suspect, outcome in found.items():
                counted[label].setdefault(suspect, Counter())[outcome] += 1
    if given.json:
        given.json.write_text(json.dumps(counted, indent=1))
    suspects = list(dict.fromkeys(s for found in counted.values() for s in found))
    print(f"{given.measure}, {given.items:,} items, {given.truths} truths, contradicted (explains)")
    print(f"{'truth':<12}" + "".join(f"{s:>16}" for s in suspects))
    for label, found in counted.items():
        cells = []
        for suspect in suspects:
            n = sum(found[suspect].values())
            share = {o: c / n for o, c in found[suspect].items()}
            cells.append(f"{share.get('contradicted', 0.0):.2f} ({share.get('explains', 0.0):.2f})")
        print(f"{label:<12}" + "".join(f"{c:>16}" for c in cells))
    print(f"{time.perf_counter() - start:,.0f} s")


if __name__ == "__main__":
    main()
