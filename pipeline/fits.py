"""The fits of one size: tail, rank-size lines at every cut-off, rivals, concentration."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from estimation.alternatives import Comparison, compare_tail
from estimation.concentration import Concentration, measure_concentration
from estimation.counts import Counts
from estimation.results import registered
from estimation.tails import TailFit, fit_tail
from estimation.zipf import ZipfFit, fit_zipf
from pipeline.measures import Measure, cutoffs


@registered
@dataclass(frozen=True, eq=False, kw_only=True)
class SizeFits:
    """Everything measured on one size.

    Parameters
    ----------
    counts
        The sample itself, compressed.
    tail, tail_without_largest
        CSN fit of the sample, and of the sample without its largest item.
    zipf
        Rank-size regression by cut-off.
    comparisons
        Power law against each rival on the tail.
    """

    measure: str
    counts: Counts
    tail: TailFit
    tail_without_largest: TailFit
    zipf: dict[str, ZipfFit]
    comparisons: tuple[Comparison, ...]
    concentration: Concentration
    concentration_without_largest: Concentration


def fit_sizes(counts: Counts, measure: Measure, effects: pl.DataFrame | None) -> SizeFits:
    """Fit one size; `effects` (hub_design_effects) makes the intervals clustered."""
    tail = fit_tail(counts, discrete=measure.discrete)
    effect = _effect(effects, measure, "alpha", "x_min", tail.n_tail)
    tail = fit_tail(counts, discrete=measure.discrete, x_min=tail.x_min, design_effect=effect)
    trimmed = counts.without_largest()
    return SizeFits(
        measure=measure.name,
        counts=counts,
        tail=tail,
        tail_without_largest=fit_tail(trimmed, discrete=measure.discrete, design_effect=effect),
        zipf={
            label: fit_zipf(counts, k=k, design_effect=_effect(effects, measure, "slope", label, k))
            for label, k in cutoffs(counts).items()
        },
        comparisons=compare_tail(counts, tail),
        concentration=measure_concentration(counts),
        concentration_without_largest=measure_concentration(trimmed),
    )


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
