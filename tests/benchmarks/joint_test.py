"""Size and power of the joint predictive test: truth by suspect.

    uv run python -m tests.benchmarks.joint_test [--measure likes] [--items 76000] [--truths 100]
        [--replications 99] [--owners] [--recording FILE] [--rho .19] [--only LABEL ...]
        [--processes 2] [--results FILE]

A truth is a model of the bundled reference at its fitted parameters. It is drawn as a whole data
set; every model is fitted to the draw as to data, drawn at its estimate, and judged. Where truth
and suspect are the same, what is contradicted is an error (at most .05, less where the margins
leave room); elsewhere it is power.

Of downloads and likes the draw has as many models as `--items` with the Hub's days of creation,
each an owner of its own. With `--owners` it has whole owners of the Hub, with as many models as
they have, whose scores are correlated (.30 for downloads, .19 for likes); errors are then those of
leaving out owners, and a model is contradicted only if it is without the largest owner as well.
Owners have the published numbers of models, and days of creation at random, or come with their
days from a recording: a Parquet file with the columns author and created_at, a row a model.

Of TVL it has the listing's protocols and ages, and all else that growth is calibrated on (see
`_growing_protocols`). Categories are dealt at random, unless `--rho` makes them alike.

With `--results FILE` each truth is a line of a file, and a run goes on where the last one ended.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl

from baimo.estimation.demand.ces import fit_demand
from baimo.estimation.demand.counts import fit_demand_tail
from baimo.estimation.distributions.fit import WholeSampleFit
from baimo.estimation.errors import ConvergenceWarning, DataError
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.cohorts import cut_cohorts, observed_by_cohort
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.analysis.sampling import SAMPLING, Sampling, hub_errors, tvl_errors
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import (
    UNDATED,
    CohortSample,
    Statistics,
    measure_sample,
)
from baimo.pipeline.datasets import owner_sampling
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import ATTACHMENT, DEMAND, GROWTH, HETEROGENEITY, Family
from baimo.pipeline.models.ces import DEMAND_FIT
from baimo.pipeline.models.gbm import GROWTH_FIT
from baimo.pipeline.models.gbm_calendar import CALENDAR_FIT
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.models.registry import MODELS
from baimo.pipeline.predictive.compare import contrast_of, judge
from baimo.pipeline.predictive.simulate import refit_models, samplers_of
from baimo.pipeline.schema.derived import DEFI_POPULATION, HUB_FREQUENCY
from baimo.pipeline.variables import HUB, TVL, VARIABLES, Variable, hub_counts
from tests.benchmarks._growing_protocols import LABELS, DeFi, draw_defi, reference_defi
from tests.benchmarks._owned_hub import (
    Hub,
    attachment_of,
    fit_laws,
    fit_rates_of,
    labels_of,
    tabulated,
    truth_of,
    with_sizes,
)
from tests.benchmarks._restartable import Found, Job, Line, run
from tests.benchmarks.clustered_size import RHO
from tests.pipeline.synthetic import day_of, some_fits, with_laws

MODEL = {model.label: model for model in MODELS}
ALONE, OWNED = "alone", "owned"


def outcomes_of_hub(
    listing: pl.DataFrame,
    measure: str,
    day: date,
    *,
    owned: bool,
    n_replications: int,
    seed: int,
) -> Found:
    """Fit every model to a listing as to data, and return what the joint test says of each."""
    variable = VARIABLES[measure]
    frequency = tabulated(listing)
    counts = hub_counts(frequency, variable)
    x_min = fit_tail(counts).x_min
    demand = fit_demand(counts, fit_demand_tail(counts))
    laws, rates = fit_laws(counts), fit_rates_of(frequency, measure, day)
    errors = errors_of_owners(listing, variable, day, laws, rates)
    if not owned:
        errors = replace(errors, shift=None, covariance_without=None)
    values: dict[Any, Any] = {
        HUB_FREQUENCY: frequency,
        KERNEL_FIT: None,
        ATTACHMENT_FIT: attachment_of(frequency, day),
        DEMAND_FIT: {v.name: demand for v in HUB},
        RATES_FIT: {measure: rates} if rates else {},
        SAMPLING: {measure: errors},
        **{TAILS[v.name]: with_laws(some_fits(), *laws.values()) for v in HUB},
    }
    sample = observed_by_cohort(frequency, cut_cohorts(frequency, day), day)[measure]
    return judged(
        day_of(values, day),
        (ATTACHMENT, DEMAND, HETEROGENEITY),
        variable,
        sample,
        measure_sample(sample, variable, x_min),
        x_min=x_min,
        n_replications=n_replications,
        seed=seed,
    )


def errors_of_owners(
    listing: pl.DataFrame,
    variable: Variable,
    day: date,
    laws: Mapping[str, WholeSampleFit],
    rates: PoissonRatesFit | None,
) -> Sampling:
    """Return the errors of leaving out owners, at fits that are at hand: half of the time."""

    def law(_: Counts, name: str) -> WholeSampleFit:
        if name not in laws:
            raise DataError(f"{name} could not be fitted")
        return laws[name]

    def of_ages(*_: object) -> PoissonRatesFit:
        if rates is None:
            raise DataError("rates could not be fitted")
        return rates

    with (
        patch.object(owner_sampling, "fit_whole_sample", law),
        patch.object(owner_sampling, "fit_poisson_rates", of_ages),
    ):
        return hub_errors(*owner_sampling.sampling_of(listing, variable, day), variable.name)


def outcomes_of_tvl(defi: DeFi, *, n_replications: int, seed: int) -> Found:
    """Fit every model of growth to tables as to data, and return what the test says of each."""
    growth, calendar = defi.calibrated()
    x_min = fit_tail(defi.counts, discrete=False).x_min
    values: dict[Any, Any] = {
        DEFI_POPULATION: defi.population,
        GROWTH_FIT: growth,
        CALENDAR_FIT: calendar,
        SAMPLING: {TVL.name: tvl_errors(defi.listing, defi.population, x_min)},
    }
    return judged(
        day_of(values),
        (GROWTH,),
        TVL,
        {UNDATED: defi.counts},
        defi.measured(x_min),
        x_min=x_min,
        n_replications=n_replications,
        seed=seed,
    )


def judged(
    day: Day,
    families: Sequence[Family],
    variable: Variable,
    sample: CohortSample,
    observed: Statistics,
    *,
    x_min: float,
    n_replications: int,
    seed: int,
) -> Found:
    """Return outcome and p of every model of some families, drawn at its estimate and judged."""
    known: Sampling = day.read(SAMPLING)[variable.name]
    found: Found = {}
    for family in families:
        models = {k: m for k, m in samplers_of(day, family).items() if k[1] == variable.name}
        refits = refit_models(
            models, {variable.name: x_min}, n_replications=n_replications, seed=seed, n_scanned=0
        )
        for (label, _), simulated in refits.items():
            model, yardstick = MODEL[label], models[label, variable.name].yardstick
            estimates = model.parameters(day.only(model.needs), variable) or {}
            seen = observed | (yardstick(sample) if yardstick else {})
            verdict = judge(model, contrast_of(model, simulated, seen, estimates, known))
            found[label] = {
                "outcome": verdict.outcome.value,
                "p": verdict.p_value,
                "p_equal": verdict.p_equal,
                "p_without_largest": verdict.p_without_largest,
                "reasons": verdict.reasons,
            }
    return found


@cache
def hub_of(recording: str) -> Hub:
    """Return the owners and days of a recording, of the published numbers without one."""
    return Hub.recorded(Path(recording)) if recording else Hub.published()


def one(job: Job) -> Found:
    """Draw one truth and judge every model on it."""
    measure, label, design, recording, rho, n, n_replications, i = job
    rng = np.random.default_rng([i, *label.encode()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if measure == TVL.name:
            drawn = draw_defi(label, rng, rho)
            return outcomes_of_tvl(drawn, n_replications=n_replications, seed=i)
        hub = hub_of(recording)
        owned = design == OWNED
        rows = hub.owned(n, rng) if owned else hub.independent(n, rng)
        listing = with_sizes(rows, truth_of(measure, label), hub.day, rho, rng)
        return outcomes_of_hub(
            listing, measure, hub.day, owned=owned, n_replications=n_replications, seed=i
        )


def jobs_of(given: argparse.Namespace) -> list[Job]:
    """Return a job for each truth and draw."""
    measure, is_tvl = given.measure, given.measure == TVL.name
    design = OWNED if given.owners else ALONE
    recording = str(given.recording.resolve()) if given.recording else ""
    rho = given.rho if given.rho is not None else RHO[measure] if given.owners else 0.0
    n = len(reference_defi()[1].ages) if is_tvl else given.items
    return [
        (measure, label, design, recording, rho, n, given.replications, i)
        for i in range(given.truths)
        for label in given.only or (LABELS if is_tvl else labels_of(measure))
    ]


def table(lines: Iterable[Line]) -> str:
    """Return shares contradicted (explained), a row a truth."""
    counted: dict[str, dict[str, Counter[str]]] = {}
    for line in lines:
        row = counted.setdefault(line["job"][1], {})
        for suspect, verdict in line["found"].items():
            row.setdefault(suspect, Counter())[verdict["outcome"]] += 1
    suspects = list(dict.fromkeys(s for row in counted.values() for s in row))
    head = f"{'truth':<16}{'draws':>6}" + "".join(f"{s:>16}" for s in suspects)
    return "\n".join([head, *(_row(label, row, suspects) for label, row in counted.items())])


def _row(label: str, row: Mapping[str, Counter[str]], suspects: Sequence[str]) -> str:
    cells = []
    for suspect in suspects:
        found = row.get(suspect, Counter())
        n = max(found.total(), 1)
        cells.append(f"{found['contradicted'] / n:.2f} ({found['explains'] / n:.2f})")
    draws = max(found.total() for found in row.values())
    return f"{label:<16}{draws:>6}" + "".join(f"{cell:>16}" for cell in cells)


def main() -> None:
    """Run the study and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--measure", choices=list(VARIABLES), default="likes")
    parser.add_argument("--items", type=int, default=76_000)
    parser.add_argument("--truths", type=int, default=100, help="draws of each")
    parser.add_argument("--replications", type=int, default=99)
    parser.add_argument("--owners", action="store_true", help="whole owners, who are alike")
    parser.add_argument("--recording", type=Path, help="listing with author and created_at")
    parser.add_argument("--rho", type=float, help="correlation within owners or categories")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="truths to draw")
    parser.add_argument("--results", type=Path, help="lines of what is done, to go on from")
    given = parser.parse_args()
    if given.owners and given.measure == TVL.name:
        parser.error("--owners are of the Hub; categories of protocols are made alike by --rho")
    start = time.perf_counter()
    lines = list(run(jobs_of(given), one, processes=given.processes, file=given.results))
    print(f"{given.measure}, {lines[0]['job'][5]:,} items: contradicted (explains)")
    print(table(lines))
    each = sorted(line["seconds"] for line in lines)
    print(
        f"a truth takes {each[len(each) // 2]:.1f} s of a processor (median), the first of a "
        f"process {max(each):.0f} s; {time.perf_counter() - start:,.0f} s in all"
    )


if __name__ == "__main__":
    main()
