"""The fits of one size: tail and verdict, rank-size lines and tail index, whole sample.

`fit_sizes` is what a run measures of a variable of the snapshot.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats
from baimo.estimation.distributions.fit import WholeSampleComparison, compare_whole_sample
from baimo.estimation.errors import DataError, EstimationError
from baimo.estimation.results import registered
from baimo.estimation.samples.concentration import Concentration, measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.alternatives import Comparison, Support, compare_tail, judge_support
from baimo.estimation.tails.bootstrap import GoodnessOfFit, goodness_of_fit
from baimo.estimation.tails.power_law import TailFit, TailPath, fit_tail, tail_path
from baimo.estimation.tails.rank_size import ZipfFit, fit_zipf
from baimo.estimation.tails.tail_index import (
    IndexFit,
    IndexTest,
    LognormalPath,
    pareto_lognormal_path,
    pareto_lognormal_test,
)
from baimo.estimation.tails.thresholds import KS_SPREAD, ThresholdRange, threshold_range
from baimo.pipeline.datasets.clustered_tests import N_REPLICATIONS as CLUSTERED_DRAWS
from baimo.pipeline.datasets.design_effects import INDICES
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.schema.results import Row
from baimo.pipeline.settings import P_REPLICATIONS, SEED
from baimo.pipeline.variables import VARIABLES, Variable, cutoffs

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
        The verdict in the terms of [ClausetEtAl2009], by the p that knows the owners
        where there is one.
    clustered_p
        p of the power law with the items of one owner as one cluster, None where owners are not
        known; `goodness` has items as independent.
    umpu
        Test of Pareto against lognormal above x_min [MalevergneEtAl2011]: p_value knows the owners
        where there is p_independent beside it. None of a tail that is too short.
    """

    tail: TailFit
    goodness: GoodnessOfFit
    comparisons: tuple[Comparison, ...]
    support: Support
    clustered_p: float | None = None
    umpu: IndexTest | None = None


@registered("TailWithoutOwner")
@dataclass(frozen=True, kw_only=True)
class TailWithoutOwner:
    """The tail at the same x_min without the owner of the largest share of the variance of zeta.

    Parameters
    ----------
    zeta, std_error, n_tail
        Of the rest, the error clustered.
    p_value, p_independent
        Of the power law, the other owners as clusters, and models as independent.
    umpu_p, umpu_p_independent
        The same of Pareto against lognormal; None where there is no such test.
    """

    zeta: float
    std_error: float
    n_tail: int
    p_value: float
    p_independent: float
    umpu_p: float | None
    umpu_p_independent: float | None

    @classmethod
    def of(cls, tests: Mapping[str, Row] | None) -> TailWithoutOwner | None:
        """Return it from the tests by name, None where owners are not known."""
        if not tests or "ks" not in tests:
            return None
        ks, umpu = tests["ks"], tests.get("umpu", {})
        return cls(
            zeta=ks["zeta"],
            std_error=ks["std_error"],
            n_tail=ks["n_tail"],
            p_value=ks["p_value"],
            p_independent=ks["p_independent"],
            umpu_p=umpu.get("p_value"),
            umpu_p_independent=umpu.get("p_independent"),
        )


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
    thresholds
        Other x_min at which the power law fits about as well, and what zeta they give.
    threshold_spread
        By how much the KS distance spreads at each candidate of `tail_path`, owners as clusters;
        None where they are not known: `thresholds` has items as independent.
    zipf
        Rank-size regression by cut-off.
    index
        Tail index by cut-off and method (hill, hill_corrected, moment, kernel).
    tail_without_owner
        The tail without the owner who moves zeta most, None where owners are not known.
    without_owner, without_item
        The slopes and indices, by cut-off and name, without the owner who moves each most, and
        without the largest item: as far as they exist, and owners are known.
    pareto_lognormal
        UMPU test of Pareto against lognormal over thresholds [MalevergneEtAl2011].
    whole
        Models of the whole sample, zeros included (counts) or positive items (sizes).
    """

    measure: str
    counts: Counts
    judged: JudgedTail
    judged_without_largest: JudgedTail
    thresholds: ThresholdRange
    zipf: dict[str, ZipfFit]
    index: dict[str, dict[str, IndexFit]]
    pareto_lognormal: LognormalPath
    whole: WholeSampleComparison
    concentration: Concentration
    concentration_without_largest: Concentration
    threshold_spread: Floats | None = None
    tail_without_owner: TailWithoutOwner | None = None
    without_owner: dict[str, dict[str, float]] = field(default_factory=dict)
    without_item: dict[str, dict[str, float]] = field(default_factory=dict)

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
        """The tests of the power law against each other law (lognormal, ...) on the fitted tail."""
        return self.judged.comparisons


F = TypeVar("F", TailFit, ZipfFit, IndexFit)
TAILS: dict[str, Stored[SizeFits]] = {name: Stored(f"{name}_tail", SizeFits) for name in VARIABLES}
"""By variable: everything measured on it."""


def read_tails(day: Day, names: Iterable[str] = VARIABLES) -> dict[str, SizeFits]:
    """Return what was measured on each variable of a day."""
    return {name: day.read(TAILS[name]) for name in names}


def fit_sizes(
    counts: Counts,
    measure: Variable,
    effects: pl.DataFrame | None,
    *,
    tests: pl.DataFrame | None = None,
    spreads: pl.DataFrame | None = None,
    n_replications: int = P_REPLICATIONS,
) -> SizeFits:
    """Fit one size.

    `effects` (hub_design_effects) makes intervals of indices and slopes clustered, `tests`
    (hub_clustered_tests) those of the tail and its p-values, `spreads` (hub_threshold_spreads) the
    range of other thresholds.
    """
    known = _known_effects(effects, measure)
    tail = with_effect(fit_tail(counts, discrete=measure.discrete), known, "alpha", "x_min")
    path = tail_path(counts, tail)
    spread = _threshold_spread(path, tail, spreads, measure)
    trimmed = counts.without_largest()
    lines, index, fewer = {}, {}, {}
    for label, k in cutoffs(counts).items():
        lines[label] = with_effect(fit_zipf(counts, k=k), known, "slope", label)
        index[label] = {
            name: with_effect(fit(counts, k, measure.discrete), known, name, label)
            for name, fit in INDICES.items()
        }
        fewer[label] = _without_largest(trimmed, measure.discrete, k)
    with ThreadPoolExecutor() as pool:  # the compiled loops release the interpreter lock
        whole = pool.submit(_whole, counts, measure)
        judged = pool.submit(
            judge_tail, counts, tail, measure, n_replications, _tests(tests, measure, "none")
        )
        judged_without = pool.submit(
            judge_tail,
            trimmed,
            _tail_like(tail, trimmed),
            measure,
            n_replications,
            _tests(tests, measure, "largest item"),
        )
    return SizeFits(
        measure=measure.name,
        counts=counts,
        judged=judged.result(),
        judged_without_largest=judged_without.result(),
        thresholds=threshold_range(path, spread=KS_SPREAD if spread is None else spread),
        threshold_spread=spread,
        zipf=lines,
        index=index,
        pareto_lognormal=pareto_lognormal_path(counts, discrete=measure.discrete),
        whole=whole.result(),
        concentration=measure_concentration(counts),
        concentration_without_largest=measure_concentration(trimmed),
        tail_without_owner=TailWithoutOwner.of(_tests(tests, measure, "largest owner")),
        without_owner=_without_owner(known),
        without_item=fewer,
    )


def _threshold_spread(
    path: TailPath, tail: TailFit, spreads: pl.DataFrame | None, measure: Variable
) -> Floats | None:
    """Return the spread at each candidate, read between those that were measured.

    NaN for shorter tails than were measured; None where the fitted tail is not among them.
    """
    if spreads is None:
        return None
    rows = spreads.filter(pl.col("measure") == measure.name).sort("n_tail")
    fitted = (pl.col("x_min") == tail.x_min) & (pl.col("n_tail") == tail.n_tail)
    if rows.filter(fitted).is_empty():
        return None
    known, spread = np.log(rows["n_tail"].to_numpy()), rows["spread"].to_numpy()
    return np.asarray(np.interp(np.log(path.n_tail), known, spread, left=np.nan))


def _whole(counts: Counts, measure: Variable) -> WholeSampleComparison:
    models = WHOLE_MODELS if measure.discrete else None
    return compare_whole_sample(counts, discrete=measure.discrete, models=models)


def judge_tail(
    counts: Counts,
    tail: TailFit,
    measure: Variable,
    n_replications: int,
    tests: Mapping[str, Row] | None = None,
) -> JudgedTail:
    """Test a fitted tail and hold it against its rivals.

    `tests`, by name, are what was found where owners were known, at their x_min.
    """
    ks = (tests or {}).get("ks")
    if ks is not None and tail.x_min != ks["x_min"]:  # tested at the x_min of all items
        tail = fit_tail(counts, discrete=measure.discrete, x_min=ks["x_min"])
    seed = np.random.SeedSequence((SEED, *measure.name.encode()))
    goodness = goodness_of_fit(counts, tail, n_replications=n_replications, seed=seed)
    comparisons, umpu = compare_tail(counts, tail), _umpu(counts, tail)
    if tests is None or ks is None or ks["n_tail"] != tail.n_tail:
        support = judge_support(tail, goodness, comparisons)
        return JudgedTail(
            tail=tail, goodness=goodness, comparisons=comparisons, support=support, umpu=umpu
        )
    tail = replace(
        tail,
        cluster_error=ks["std_error"],
        n_clusters=ks["n_clusters"],
        effective_clusters=ks["effective_clusters"],
    )
    known = tuple(_clustered(c, tests.get(f"vuong_{c.alternative}")) for c in comparisons)
    p = ks["p_value"]
    by_owner = replace(goodness, p_value=p, mc_error=math.sqrt(p * (1.0 - p) / CLUSTERED_DRAWS))
    return JudgedTail(
        tail=tail,
        goodness=goodness,
        comparisons=known,
        support=judge_support(tail, replace(by_owner, n_replications=CLUSTERED_DRAWS), known),
        clustered_p=p,
        umpu=None if umpu is None else _umpu_clustered(umpu, tests.get("umpu")),
    )


def _tail_like(tail: TailFit, trimmed: Counts) -> TailFit:
    """Fit the tail of other items, which owners are taken to share as unevenly."""
    fit = fit_tail(trimmed, discrete=tail.discrete)
    return replace(fit, design_effect=tail.design_effect)


def _umpu(counts: Counts, tail: TailFit) -> IndexTest | None:
    """Return the test of Pareto against lognormal at the x_min of the fit, None of a short tail."""
    try:
        return pareto_lognormal_test(counts, discrete=tail.discrete, threshold=tail.x_min)
    except DataError:
        return None


def _umpu_clustered(umpu: IndexTest, test: Row | None) -> IndexTest:
    """Return the test with the p of clustered items before its own."""
    if test is None:
        return umpu
    found = ("p_value", "p_independent", "n_clusters", "effective_clusters")
    return replace(umpu, **{name: test[name] for name in found})


def _clustered(comparison: Comparison, test: Row | None) -> Comparison:
    """Return the comparison with the ratio and p of clustered items."""
    if test is None:
        return comparison
    return replace(
        comparison,
        vuong=test["statistic"],
        p_value=test["p_value"],
        p_independent=test["p_independent"],
    )


def _tests(tests: pl.DataFrame | None, measure: Variable, left_out: str) -> dict[str, Row] | None:
    """Return the tests of one variable by name, None where owners were not known."""
    if tests is None:
        return None
    rows = tests.filter((pl.col("measure") == measure.name) & (pl.col("left_out") == left_out))
    return {row["test"]: row for row in rows.iter_rows(named=True)}


def _without_largest(trimmed: Counts, discrete: bool, k: int) -> dict[str, float]:
    """Return slope and indices of the k - 1 largest that remain, as far as they exist."""
    found: dict[str, float] = {}
    with suppress(EstimationError):
        found["slope"] = fit_zipf(trimmed, k=k - 1).slope
    for name, index in INDICES.items():
        with suppress(EstimationError):
            zeta = index(trimmed, k - 1, discrete).zeta
            if zeta is not None:
                found[name] = zeta
    return found


Known = dict[tuple[str, str], Row]
"""By statistic and cut-off: the row of hub_design_effects."""


def _known_effects(effects: pl.DataFrame | None, measure: Variable) -> Known:
    """Return what is known with owners of one variable; nothing where they are not known."""
    if effects is None:
        return {}
    rows = effects.filter(pl.col("measure") == measure.name).iter_rows(named=True)
    return {(row["statistic"], row["cutoff"]): row for row in rows}


def with_effect(fit: F, known: Known, statistic: str, cutoff: str) -> F:
    """Return a fit with the error that knows owners, itself where none is of these items."""
    row = known.get((statistic, cutoff))
    k = fit.n_tail if isinstance(fit, TailFit) else fit.k
    if row is None or row["k"] != k:
        return fit
    return replace(
        fit,
        design_effect=row["design_effect"],
        cluster_error=row["std_error"],
        n_clusters=row["n_clusters"],
        effective_clusters=row["effective_clusters"],
    )


def _without_owner(known: Known) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for (statistic, cutoff), row in known.items():
        if row["without_largest"] is not None:
            found.setdefault(cutoff, {})[statistic] = row["without_largest"]
    return found
