"""What other cuts of the sizes and other populations say, in words: sensitivities of the audit."""

from __future__ import annotations

import polars as pl

from baimo.estimation.errors import EstimationError
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.estimation.tails.rank_size import fit_zipf
from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.two_dates import slope_above, two_dates
from baimo.pipeline.models.gbm import GrowthCalibration, slope_under_gbm
from baimo.pipeline.text import cutoff_words, joined
from baimo.pipeline.variables import cutoffs

LARGE = (1e6, 1e7)  # USD
CUTOFFS = ("top1pct_all", "top0.1pct_all", "top100")


def variant(variants: pl.DataFrame, population: str) -> Counts | None:
    """Return one population of `size_variants` as counts, None where it is not there."""
    rows = variants.filter(pl.col("population") == population)
    if rows.is_empty():
        return None
    return Counts.from_pairs(rows["size"].to_numpy(), rows["n_items"].to_numpy())


def slopes(counts: Counts) -> str:
    """Return the rank-size slopes at the usual cut-offs."""
    parts = []
    for label, k in cutoffs(counts).items():
        if label in CUTOFFS:
            parts.append(f"{cutoff_words(label)} {fit_zipf(counts, k=k).slope:.3f}")
    return ", ".join(parts)


def slopes_of_families(variants: pl.DataFrame, measure: str) -> str:
    """Say the slopes when derived models are counted with their base."""
    counts = variant(variants, f"{measure}_families")
    if counts is None:
        return ""
    return f"families merged with their base model ({counts.n_obs:,}): {slopes(counts)}"


def slopes_of_datasets(beside: CompanionFits | None, measure: str) -> str:
    """Say the slopes of the Hub's datasets."""
    name = f"datasets_{measure}"
    if beside is None or name not in beside.sizes:
        return ""
    fits = beside.sizes[name]
    found = [f"{cutoff_words(k)} {fits.zipf[k].slope:.3f}" for k in CUTOFFS if k in fits.zipf]
    return f"the Hub's datasets on {beside.taken_on[name]}: {', '.join(found)}"


def tvl_cut_otherwise(variants: pl.DataFrame) -> str:
    """Say zeta of TVL with exchanges, and with the protocols of one parent as one."""
    parts = []
    for population, words in (
        ("tvl_with_exchanges", "with centralised exchanges"),
        ("tvl_families", "protocols of one parent merged"),
    ):
        counts = variant(variants, population)
        if counts is None:
            continue
        try:
            tail = fit_tail(counts, discrete=False)
        except EstimationError as error:
            parts.append(f"{words}: no tail ({error})")
            continue
        parts.append(
            f"{words} ({counts.n_obs:,}): zeta {tail.zeta:.2f} ({tail.std_error_clustered:.2f}) "
            f"from {tail.x_min / 1e6:,.0f} million on"
        )
    return joined(parts)


def other_tvl(beside: CompanionFits | None) -> str:
    """Say the tails of DeFi on the later date, at equal cut-offs on both, and of chains."""
    if beside is None:
        return ""
    parts = []
    for name, words in (("tvl_later", "DeFi"), ("chains_tvl", "chains")):
        if name in beside.sizes:
            fits = beside.sizes[name]
            parts.append(
                f"{words} on {beside.taken_on[name]}: zeta {fits.tail.zeta:.2f} "
                f"({fits.tail.std_error_clustered:.2f}) from {fits.tail.x_min / 1e6:,.0f} million "
                f"USD on, {fits.tail.n_tail:,} of {fits.tail.n_obs:,}, support "
                f"{fits.judged.support.level}"
            )
    for date, fits_at in beside.equal_cutoffs.items():
        day = beside.taken_on.get(date, date)
        each = ", ".join(
            f"{t.zeta:.2f} ({t.std_error_clustered:.2f}) from {t.x_min / 1e6:,.0f} million on"
            for t in fits_at
        )
        parts.append(f"zeta at equal cut-offs, {day}: {each}")
    return joined(parts)


def floor_on_both_dates(calibration: GrowthCalibration, population: pl.DataFrame) -> str:
    """Say what a floor on both dates does to the slope of a process that has none."""
    if population.is_empty():
        return ""
    slope = slope_under_gbm(calibration, population)
    return f"the floor on both dates alone gives a GBM {slope:+.3f}" if slope == slope else ""


def growth_of_the_large(population: pl.DataFrame) -> str:
    """Say the slope of growth on size among protocols above a size on the earlier date."""
    if population.is_empty():
        return ""
    found = [(c, slope_above(*two_dates(population), c)) for c in LARGE]
    parts = [f"{s[0]:+.3f} ({s[1]:.3f}) above {c / 1e6:,.0f} million USD ({s[2]:,})"
             for c, s in found if s]  # fmt: skip
    return f"chosen by the earlier size alone: {', '.join(parts)}" if parts else ""


def lasting_tastes(beside: CompanionFits | None) -> str:
    """Say how well downloads of two windows agree, and how well they would if tastes stayed."""
    if beside is None or beside.waves is None or beside.waves.fixed_tastes_correlation is None:
        return ""
    waves = beside.waves
    return (
        f"over {waves.years:.1f} years log downloads of the same {waves.n_obs:,} models correlate "
        f"{waves.log_correlation:.2f}, and would {waves.fixed_tastes_correlation:.2f} if tastes "
        "stayed as they were"
    )


def growth_of_downloads(beside: CompanionFits | None) -> str:
    """Say how downloads of the same models grew with their size over two years."""
    if beside is None or beside.waves is None:
        return ""
    parts = [
        f"{s.value:+.3f} ({s.std_error:.3f}) of {s.n_models:,} models {name.replace('_', ' ')}"
        for name, s in beside.waves.slopes.items()
    ]
    return f"the Hub's downloads, {beside.taken_on['waves']}, slope a year: {', '.join(parts)}"
