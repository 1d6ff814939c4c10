"""What other cuts of the sizes and other populations say, in words: sensitivities of the claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

import polars as pl

from baimo.estimation.errors import EstimationError
from baimo.estimation.growth.two_windows import SizeSlope
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.estimation.tails.rank_size import ZipfFit, fit_zipf
from baimo.pipeline.analysis.populations import (
    WINDOW_NOISE,
    CompanionFits,
    definition_of,
    variant,
)
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.text import cutoff_words, joined
from baimo.pipeline.variables import HEADLINE, Variable, cutoffs

CUTOFFS = ("top1pct_all", "top0.1pct_all", "top100")
NO_SLOPE = "too few different sizes for a slope"


def slopes_at(counts: Counts, ks: Mapping[str, int]) -> list[tuple[str, ZipfFit]]:
    """Fit the rank-size slope of the k largest, by label; equal sizes alone have none."""
    found = []
    for label, k in ks.items():
        with suppress(EstimationError):
            found.append((label, fit_zipf(counts, k=k)))
    return found


def slope_words(lines: Iterable[tuple[str, ZipfFit]]) -> str:
    """Say rank-size slopes by cut-off."""
    return ", ".join(f"{cutoff_words(label)} {line.slope:.3f}" for label, line in lines)


def slopes_without_largest(fits: SizeFits) -> str:
    """Say the slopes at the same cut-offs when the largest item is left out."""
    trimmed = fits.counts.without_largest()
    n_positive = trimmed.n_obs - trimmed.n_zero
    same = {label: fits.zipf[label].k for label in CUTOFFS if label in fits.zipf}
    kept = slopes_at(trimmed, {label: k for label, k in same.items() if k <= n_positive})
    return f"without the largest item: {slope_words(kept)}" if kept else ""


def slopes_of_families(variants: pl.DataFrame, variable: Variable) -> str:
    """Say the slopes when derived models are counted with their base."""
    counts = variant(variants, f"{variable.name}_families")
    if counts is None:
        return ""
    found = slopes_at(counts, {c: k for c, k in cutoffs(counts).items() if c in CUTOFFS})
    words = slope_words(found) or NO_SLOPE
    return f"families merged with their base model ({counts.n_obs:,}): {words}"


def slopes_of_datasets(populations: CompanionFits, variable: Variable) -> str:
    """Say the slopes of the Hub's datasets."""
    name = f"datasets_{variable.name}"
    if name not in populations.sizes:
        return ""
    lines = populations.sizes[name].zipf
    found = slope_words((label, lines[label]) for label in CUTOFFS if label in lines) or NO_SLOPE
    return f"the Hub's datasets on {populations.taken_on[name]}: {found}"


def slopes_cut_otherwise(
    fits: SizeFits, variants: pl.DataFrame, populations: CompanionFits, variable: Variable
) -> str:
    """Say the slopes without the largest item, of families, and of the Hub's datasets."""
    return joined(
        (
            slopes_without_largest(fits),
            slopes_of_families(variants, variable),
            slopes_of_datasets(populations, variable),
        )
    )


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


def other_tvl(populations: CompanionFits) -> str:
    """Say zeta of TVL by the other definition of DeFi, on the later date, and of chains."""
    parts = []
    for name, tail in populations.definitions.items():
        if definition_of(name) is HEADLINE:
            continue
        day = f" on {populations.taken_on['tvl_later']}" if name.startswith("tvl_later") else ""
        parts.append(
            f"{definition_of(name).words}{day}: "
            f"{populations.totals_usd[name] / 1e9:,.1f} billion USD, zeta {tail.zeta:.2f} "
            f"({tail.std_error_clustered:.2f}) from {tail.x_min / 1e6:,.0f} million on"
        )
    for name, words in (("tvl_later", "DeFi"), ("chains_tvl", "chains")):
        if name in populations.sizes:
            fits = populations.sizes[name]
            parts.append(
                f"{words} on {populations.taken_on[name]}: zeta {fits.tail.zeta:.2f} "
                f"({fits.tail.std_error_clustered:.2f}) from {fits.tail.x_min / 1e6:,.0f} million "
                f"USD on, {fits.tail.n_tail:,} of {fits.tail.n_obs:,}, support "
                f"{fits.judged.support.level}"
            )
    for date, fits_at in populations.equal_cutoffs.items():
        day = populations.taken_on.get(date, date)
        each = ", ".join(
            f"{t.zeta:.2f} ({t.std_error_clustered:.2f}) from {t.x_min / 1e6:,.0f} million on"
            for t in fits_at
        )
        if each:
            parts.append(f"zeta at equal cut-offs, {day}: {each}")
    return joined(parts)


def growth_of_downloads(populations: CompanionFits) -> str:
    """Say how downloads of the same models and datasets grew with their size between two windows.

    Log slopes of survivors, their value without the noise of the earlier window, and the power of
    the earlier count to which the later is proportional, all chosen by the earlier count included.
    """
    parts = []
    for of, waves in populations.waves.items():
        each = [
            f"{s.value:+.3f} ({s.std_error:.3f}) of {s.n_models:,} {name.replace('_', ' ')}"
            f"{_power_words(s)}, without noise {waves.without_noise(name, WINDOW_NOISE):+.3f}"
            for name, s in waves.slopes.items()
        ]
        if each:
            taken_on = populations.taken_on[f"waves_{of}"]
            parts.append(
                f"downloads of the Hub's {of}, {taken_on}, slope a year, owners as clusters "
                f"[power of the earlier count], without window noise of {WINDOW_NOISE:g} in logs: "
                + ", ".join(each)
            )
    return joined(parts)


def _power_words(slope: SizeSlope) -> str:
    if slope.later is None:
        return ""
    return f" [as size^{slope.later.exponent:.2f} ({slope.later.std_error:.2f})]"
