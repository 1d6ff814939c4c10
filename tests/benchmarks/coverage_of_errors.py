"""Coverage of 95 % intervals of every judged statistic where items come in clusters.

    uv run python -m tests.benchmarks.coverage_of_errors [--measure downloads] [--law fitness]
        [--items 76000] [--draws 200] [--independent 200] [--recording FILE] [--rho .3]
        [--x-min 9326] [--processes 2] [--results FILE]

    uv run python -m tests.benchmarks.coverage_of_errors --law recorded --recording FILE

Intervals are value +- 1.96 errors as the pipeline has them: of downloads and likes by leaving out
owners, of TVL by leaving out categories. Draws are of a law fitted to the bundled reference: of the
Hub lognormal rates given age or sizes settled at birth, of TVL a model of growth. The Hub's models
are owned as they are in a recording, a Parquet file with the columns author and created_at, a row
a model; without one owners have the published numbers of models, with days of creation at random.
`--items` of 760,000 takes all; fewer are whole owners, others in each draw. The models of an owner
are correlated in their normal scores (.30 for downloads, .19 for likes), so are the sizes and the
growth of one category by `--rho` (0 when left out: categories dealt at random).

With `--law recorded` nothing is drawn from a law: whole owners of the recording are drawn with
replacement, with their downloads and likes, until there are as many models as asked for. What
owners have in common is then as it is, and the truth is the recording's own.

A draw's tail begins where the scan of that draw says, or at `--x-min`. The truth is the mean of
each statistic, at this x_min, over draws of independent items of the same law and ages; its error
is that of the mean. What is not covered is thus also what the scan's choice or the form of a
statistic biases.

With `--results FILE` each draw is a line of a file, and a run goes on where the last one ended.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable, Iterable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import ConvergenceWarning, DataError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import TailFit, fit_tail
from baimo.pipeline.analysis.cohorts import cut_cohorts, observed_by_cohort
from baimo.pipeline.analysis.sampling import tvl_errors
from baimo.pipeline.analysis.summary_statistics import Statistics, measure_sample
from baimo.pipeline.datasets import owner_sampling
from baimo.pipeline.statistics import (
    GROWTH,
    SHARE_ZERO,
    TAIL_ITEMS,
    TOP_1PCT,
    UPPER,
    YOUNG_IN_TAIL,
    ZETA,
    ZETA_GAP,
)
from baimo.pipeline.variables import TVL, VARIABLES, hub_counts
from tests.benchmarks._growing_protocols import GBM, LABELS, draw_defi, reference_defi
from tests.benchmarks._owned_hub import tabulated, truth_of, with_sizes
from tests.benchmarks._restartable import Found, Job, Line, run, with_error
from tests.benchmarks.clustered_size import RHO
from tests.benchmarks.joint_test import hub_of

NORMAL = 1.959964
LAWS = ("fitness", "lognormal", "dPlN")
RECORDED = "recorded"
Measured = Callable[[float], Statistics]
"""The statistics of one draw at a given x_min."""


def judged_names(measure: str) -> tuple[str, ...]:
    """Return the names of the statistics that are judged."""
    upper = (s for s, _ in UPPER[measure])
    if measure == TVL.name:
        found = (ZETA, TOP_1PCT, TAIL_ITEMS, *upper, *GROWTH)
    else:
        found = (SHARE_ZERO, TAIL_ITEMS, *upper, ZETA, TOP_1PCT, YOUNG_IN_TAIL, ZETA_GAP)
    return tuple(s.name for s in found)


def one(job: Job) -> Found:
    """Return x_min, values, errors and design effects of one draw, and the truths there."""
    measure, label, recording, rho, x_min, n, n_independent, i = job
    rng = np.random.default_rng([i, 1, *label.encode()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = _of_tvl(label, rho, x_min, rng) if measure == TVL.name else _of_hub(job, rng)
        truths = [
            at(found["x_min"]) for at in independent(measure, label, recording, n, n_independent)
        ]
    names = [name for name in judged_names(measure) if name in found["value"]]
    drawn = np.array([[truth.get(name, math.nan) for name in names] for truth in truths])
    means, errors = np.nanmean(drawn, axis=0), np.nanstd(drawn, axis=0) / math.sqrt(len(truths))
    found["truth"] = dict(zip(names, means.tolist(), strict=True))
    found["truth_error"] = dict(zip(names, errors.tolist(), strict=True))
    return found


def _of_hub(job: Job, rng: np.random.Generator) -> Found:
    """Draw owned models; the laws of all sizes are not fitted, which takes most of the time."""
    measure, label, recording, rho, x_min, n, _, _ = job
    hub = hub_of(recording)
    if label == RECORDED:
        listing = hub.resampled(n, rng)
    else:
        listing = with_sizes(hub.owned(n, rng), truth_of(measure, label), hub.day, rho, rng)
    frequency = tabulated(listing)
    with (
        patch.object(owner_sampling, "fit_whole_sample", side_effect=DataError("not fitted")),
        patch.object(owner_sampling, "fit_tail", from_on(x_min)),
        patch.object(owner_sampling, "fit_poisson_rates", side_effect=DataError("not fitted")),
    ):
        rows = owner_sampling.sampling_of(listing, VARIABLES[measure], hub.day)[0]
    return {
        "x_min": from_on(x_min)(hub_counts(frequency, VARIABLES[measure])).x_min,
        **{
            column: dict(zip(rows["name"], rows[column], strict=True))
            for column in ("value", "std_error", "design_effect", "effective_owners")
        },
    }


def from_on(given: float | None) -> Callable[..., TailFit]:
    """Return what fits a tail, from a given x_min on instead of one that is scanned for."""

    def fitted(data: Counts, *, x_min: float | None = None, **others: Any) -> TailFit:
        return fit_tail(data, x_min=given if x_min is None else x_min, **others)

    return fitted


def _of_tvl(label: str, rho: float, given: float | None, rng: np.random.Generator) -> Found:
    defi = draw_defi(label, rng, rho)
    x_min = from_on(given)(defi.counts, discrete=False).x_min
    errors = tvl_errors(defi.listing, defi.population, x_min)
    value = {k: v for k, v in defi.measured(x_min).items() if k in errors.names}
    own = dict(zip(errors.names, np.diag(errors.independent).tolist(), strict=True))
    std_error = {name: errors.std_error(name) or 0.0 for name in value}
    effect = {name: std_error[name] ** 2 / max(own[name], 1e-300) for name in value}
    return {"x_min": x_min, "value": value, "std_error": std_error, "design_effect": effect}


@cache
def independent(
    measure: str, label: str, recording: str, n: int, n_draws: int
) -> tuple[Measured, ...]:
    """Return what measures each of some draws of independent items."""
    seeds = (np.random.default_rng([j, 2, *label.encode()]) for j in range(n_draws))
    if measure == TVL.name:
        return tuple(cache(draw_defi(label, rng).measured) for rng in seeds)
    if label == RECORDED:
        return (_whole_hub(measure, recording, n),)
    return tuple(_independent_hub(measure, label, recording, n, rng) for rng in seeds)


def _independent_hub(
    measure: str, label: str, recording: str, n: int, rng: np.random.Generator
) -> Measured:
    hub = hub_of(recording)
    listing = with_sizes(hub.independent(n, rng), truth_of(measure, label), hub.day, 0.0, rng)
    return _measured(listing, hub.day, measure)


def _measured(listing: pl.DataFrame, day: date, measure: str) -> Measured:
    frequency = tabulated(listing)
    sample = observed_by_cohort(frequency, cut_cohorts(frequency, day), day)[measure]
    return cache(lambda x_min: measure_sample(sample, VARIABLES[measure], x_min))


def _whole_hub(measure: str, recording: str, n: int) -> Measured:
    """Return what measures the recording, its numbers of models brought to n."""
    hub = hub_of(recording)
    at, scale = _measured(hub.whole(), hub.day, measure), n / hub.owner.size
    numbers = {TAIL_ITEMS.name, *(s.name for s, _ in UPPER[measure])}

    def brought(x_min: float) -> Statistics:
        return {
            name: math.log10(1.0 + scale * (10.0**v - 1.0)) if name in numbers else v
            for name, v in at(x_min).items()
        }

    return brought


def table(lines: Iterable[Line], measure: str) -> str:
    """Return truth, bias, spread, mean error, design effect and coverage, a row a statistic."""
    found = [line["found"] for line in lines]
    head = ("statistic", "draws", "truth", "its error", "bias", "spread", "error", "d. effect")
    rows = ["".join(f"{h:>{18 if i == 0 else 10}}" for i, h in enumerate(head)) + "    coverage"]
    for name in judged_names(measure):
        kept = [f for f in found if _is_known(f, name)]
        if kept:
            rows.append(_row(name, kept))
    return "\n".join(rows)


def _is_known(found: Found, name: str) -> bool:
    return all(math.isfinite(found[of].get(name, math.nan)) for of in ("value", "truth"))


def _row(name: str, kept: list[Found]) -> str:
    def column(of: str) -> Floats:
        return np.array([f[of][name] for f in kept])

    off, error = column("value") - column("truth"), column("std_error")
    covered = float(np.mean(np.abs(off) <= NORMAL * error))
    numbers = (
        column("truth").mean(),
        column("truth_error").mean(),
        off.mean(),
        off.std(),
        error.mean(),
        np.median(column("design_effect")),
    )
    cells = "".join(f"{v:>10.4g}" for v in numbers)
    return f"{name:>18}{off.size:>10}{cells}    {with_error(covered, off.size)}"


def main() -> None:
    """Run the study and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--measure", choices=list(VARIABLES), default="downloads")
    parser.add_argument("--law", choices=[*LAWS, RECORDED, *LABELS], help="fitness, of TVL GBM")
    parser.add_argument("--items", type=int, default=76_000)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--independent", type=int, default=200, help="draws of the truth")
    parser.add_argument("--recording", type=Path, help="listing with author and created_at")
    parser.add_argument("--rho", type=float, help="correlation within owners or categories")
    parser.add_argument("--x-min", type=float, help="lower end of the tail; scanned for without")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--results", type=Path, help="lines of what is done, to go on from")
    given = parser.parse_args()
    is_tvl = given.measure == TVL.name
    label = given.law or (GBM if is_tvl else LAWS[0])
    if (label in LABELS) != is_tvl:
        parser.error(f"{label} is no law of {given.measure}")
    if label == RECORDED and not given.recording:
        parser.error("--law recorded needs a --recording")
    recording = str(given.recording.resolve()) if given.recording else ""
    rho = given.rho if given.rho is not None else RHO.get(given.measure, 0.0)
    n = reference_defi()[1].ages.size if is_tvl else given.items
    jobs: list[Job] = [
        (given.measure, label, recording, rho, given.x_min, n, given.independent, i)
        for i in range(given.draws)
    ]
    lines = list(run(jobs, one, processes=given.processes, file=given.results))
    print(f"{given.measure}, {label}, rho {rho}, {len(lines)} draws of {n:,} items")
    print(table(lines, given.measure))
    each = sorted(line["seconds"] for line in lines)
    print(
        f"a draw takes {each[len(each) // 2]:.1f} s of a processor (median), the first of a "
        f"process {max(each):.0f} s"
    )


if __name__ == "__main__":
    main()
