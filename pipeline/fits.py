"""The fits of one size: tail and verdict, rank-size lines and tail index, whole sample.

`fit_sizes` is what a run measures; the functions below it are what `baimo fit index` adds for a
file of which nothing is known: every estimate that exists, and a note where one does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from baimo.estimation.distributions.fit import WholeSampleComparison, compare_whole_sample
from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.results import registered, shown
from baimo.estimation.samples.clusters import cluster_notes
from baimo.estimation.samples.concentration import Concentration, measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.alternatives import Comparison, Support, compare_tail, judge_support
from baimo.estimation.tails.bootstrap import GoodnessOfFit, goodness_of_fit
from baimo.estimation.tails.choose_k import choose_k, scan_k
from baimo.estimation.tails.power_law import TailFit, fit_tail
from baimo.estimation.tails.rank_size import ZipfFit, fit_zipf, zipf_design_effect
from baimo.estimation.tails.tail_index import (
    IndexFit,
    IndexTest,
    LognormalPath,
    fit_hill,
    fit_kernel,
    fit_moment,
    fit_pickands,
    index_design_effect,
    pareto_lognormal_path,
    pareto_lognormal_test,
    zipf_lm_test,
)
from baimo.pipeline.measures import Measure, cutoffs
from baimo.pipeline.settings import P_REPLICATIONS, SEED

T = TypeVar("T")
F = TypeVar("F", bound=IndexFit | ZipfFit)

# Zero inflation finds nothing in these data and takes longest; `baimo fit compare` has it.
WHOLE_MODELS = (
    "negative_binomial",
    "poisson_lognormal",
    "discretised_lognormal",
    "discretised_double_pareto_lognormal",
)


@registered("JudgedTail")
@dataclass(frozen=True, eq=False, kw_only=True)
class JudgedTail:
    """A CSN fit with what speaks for and against it.

    Parameters
    ----------
    tail, goodness
        The fit and its bootstrap p.
    comparisons
        Power law against each rival on the tail.
    support
        The verdict in the terms of Clauset, Shalizi and Newman.
    """

    tail: TailFit
    goodness: GoodnessOfFit
    comparisons: tuple[Comparison, ...]
    support: Support


@registered("SizeFits")
@dataclass(frozen=True, eq=False, kw_only=True)
class SizeFits:
    """Everything measured on one size.

    Parameters
    ----------
    counts
        The sample itself, compressed.
    judged, judged_without_largest
        CSN fit and verdict of the sample, and of the sample without its largest item.
    zipf
        Rank-size regression by cut-off.
    index
        Tail index by cut-off and method (hill, hill_corrected, moment, kernel).
    pareto_lognormal
        UMPU test of Pareto against lognormal over thresholds.
    whole
        Models of the whole sample, zeros included (counts) or positive items (sizes).
    """

    measure: str
    counts: Counts
    judged: JudgedTail
    judged_without_largest: JudgedTail
    zipf: dict[str, ZipfFit]
    index: dict[str, dict[str, IndexFit]]
    pareto_lognormal: LognormalPath
    whole: WholeSampleComparison
    concentration: Concentration
    concentration_without_largest: Concentration

    @property
    def tail(self) -> TailFit:
        """The CSN fit."""
        return self.judged.tail

    @property
    def tail_without_largest(self) -> TailFit:
        """The CSN fit without the largest item."""
        return self.judged_without_largest.tail

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The rivals on the tail."""
        return self.judged.comparisons


def fit_sizes(
    counts: Counts,
    measure: Measure,
    effects: pl.DataFrame | None,
    *,
    n_replications: int = P_REPLICATIONS,
) -> SizeFits:
    """Fit one size; `effects` (hub_design_effects) makes the intervals clustered."""
    tail = fit_tail(counts, discrete=measure.discrete)
    effect = _effect(effects, measure, "alpha", "x_min", tail.n_tail)
    trimmed = counts.without_largest()
    lines, index = {}, {}
    for label, k in cutoffs(counts).items():
        slope_effect = _effect(effects, measure, "slope", label, k)
        lines[label] = fit_zipf(counts, k=k, design_effect=slope_effect)
        index[label] = _index(counts, measure.discrete, k, slope_effect)
    with ThreadPoolExecutor() as pool:  # the compiled loops release the interpreter lock
        whole = pool.submit(_whole, counts, measure)
        judged = pool.submit(judge_tail, counts, measure, effect, n_replications)
        judged_without = pool.submit(judge_tail, trimmed, measure, effect, n_replications)
    return SizeFits(
        measure=measure.name,
        counts=counts,
        judged=judged.result(),
        judged_without_largest=judged_without.result(),
        zipf=lines,
        index=index,
        pareto_lognormal=pareto_lognormal_path(counts, discrete=measure.discrete),
        whole=whole.result(),
        concentration=measure_concentration(counts),
        concentration_without_largest=measure_concentration(trimmed),
    )


def _whole(counts: Counts, measure: Measure) -> WholeSampleComparison:
    models = WHOLE_MODELS if measure.discrete else None
    return compare_whole_sample(counts, discrete=measure.discrete, models=models)


def judge_tail(
    counts: Counts, measure: Measure, design_effect: float | None, n_replications: int
) -> JudgedTail:
    """Fit the tail, test it, hold it against its rivals."""
    tail = fit_tail(counts, discrete=measure.discrete, design_effect=design_effect)
    seed = np.random.SeedSequence((SEED, *measure.name.encode()))
    goodness = goodness_of_fit(counts, tail, n_replications=n_replications, seed=seed)
    comparisons = compare_tail(counts, tail)
    return JudgedTail(
        tail=tail,
        goodness=goodness,
        comparisons=comparisons,
        support=judge_support(tail, goodness, comparisons),
    )


def _index(
    counts: Counts, discrete: bool, k: int, design_effect: float | None
) -> dict[str, IndexFit]:
    fits = (
        fit_hill(counts, k=k, discrete=discrete, design_effect=design_effect),
        fit_hill(counts, k=k, discrete=discrete, bias_corrected=True, design_effect=design_effect),
        fit_moment(counts, k=k, discrete=discrete, design_effect=design_effect),
        fit_kernel(counts, k=k, discrete=discrete, design_effect=design_effect),
    )
    return {fit.method: fit for fit in fits}


def _effect(
    effects: pl.DataFrame | None, measure: Measure, statistic: str, cutoff: str, k: int
) -> float | None:
    """Look up the design effect measured on exactly these items, None where there is none."""
    if effects is None:
        return None
    row = effects.filter(
        (pl.col("measure") == measure.name)
        & (pl.col("statistic") == statistic)
        & (pl.col("cutoff") == cutoff)
        & (pl.col("k") == k)
    )
    return float(row["design_effect"][0]) if row.height else None


def chosen_k(
    counts: Counts, discrete: bool, seed: int, notes: list[str]
) -> tuple[int, dict[str, Any]]:
    """Return k and how it was chosen: by the double bootstrap, or where it fails by the scan."""
    try:
        chosen = choose_k(counts, discrete=discrete, seed=seed)
    except (ConvergenceError, DataError) as error:
        k = scan_k(counts, discrete=discrete)
        why = "did not settle" if isinstance(error, ConvergenceError) else "needs more items"
        notes.append(
            f"the double bootstrap {why}: k = {k:,} is the tail that the scan for x_min finds "
            f"(baimo fit tail){', counts from 10 on' if discrete else ''}; give another with --top"
        )
        return k, {"k_chosen": k, "k_method": "scan", "rho": None}
    notes.append("k by the double bootstrap, which is unstable; try --top around it")
    return chosen.k0, {"k_chosen": chosen.k0, "k_method": "double_bootstrap", "rho": chosen.rho}


def index_fits(
    counts: Counts, k: int, discrete: bool, notes: list[str]
) -> dict[str, IndexFit | ZipfFit]:
    """Return every estimate of the tail index that k allows; `notes` says which it does not."""
    hill = fit_hill(counts, k=k, discrete=discrete)  # where this fails, k itself is wrong
    others: dict[str, Callable[[], IndexFit | ZipfFit]] = {
        "hill_corrected": lambda: fit_hill(counts, k=k, discrete=discrete, bias_corrected=True),
        "moment": lambda: fit_moment(counts, k=k, discrete=discrete),
        "kernel": lambda: fit_kernel(counts, k=k, discrete=discrete),
        "pickands": lambda: fit_pickands(counts, k=k, discrete=discrete),
        "rank_size": lambda: fit_zipf(counts, k=k),
    }
    found = {"hill": hill} | _those_that_exist(others, notes)
    for fit in found.values():
        notes += fit.notes
    return found


def index_tests(counts: Counts, k: int, discrete: bool, notes: list[str]) -> dict[str, IndexTest]:
    """Return the tests on the k largest items; `notes` says where a Pareto begins to pass."""
    tests = {
        "pareto_lognormal": lambda: pareto_lognormal_test(counts, k=k, discrete=discrete),
        "zipf": lambda: zipf_lm_test(counts, k=k, discrete=discrete),
    }
    found = _those_that_exist(tests, notes)
    path = _those_that_exist(
        {"Pareto over thresholds": lambda: pareto_lognormal_path(counts, discrete=discrete)}, notes
    )
    for p in path.values():
        where = "at no threshold"
        if p.lowest_k is not None:
            where = f"from {shown(p.lowest_threshold)} on ({p.lowest_k:,} items)"
        notes.append(f"Pareto is not rejected against a lognormal at {p.level:g} {where}")
    return found


def _those_that_exist(calls: Mapping[str, Callable[[], T]], notes: list[str]) -> dict[str, T]:
    found = {}
    for name, call in calls.items():
        try:
            found[name] = call()
        except DataError as error:
            notes.append(f"{name.replace('_', ' ')}: {error}")
    return found


def clustered(fit: F, sizes: NDArray[Any], labels: NDArray[Any], notes: list[str]) -> F:
    """Return a fit with its design effect, itself where none is known, which `notes` then says."""
    if isinstance(fit, ZipfFit):
        effect, n_clusters = zipf_design_effect(sizes, labels, fit)
    elif fit.method == "pickands":
        notes.append(
            "no design effect is known for Pickands: its interval takes items as independent, "
            "and so do the tests"
        )
        return fit
    else:
        effect, n_clusters = index_design_effect(sizes, labels, fit)
    notes += cluster_notes(n_clusters)
    return replace(fit, design_effect=effect)
