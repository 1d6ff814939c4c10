"""Made-up evidence for claims, on which their verdicts are known."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from scipy.special import zeta as hurwitz

from baimo.estimation.arrays import Floats
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.rank_size import fit_zipf
from baimo.pipeline.analysis.cohorts import COHORTS
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.analysis.kernels import KERNELS
from baimo.pipeline.analysis.populations import COMPANION_FITS
from baimo.pipeline.analysis.sizes import TAILS, SizeFits
from baimo.pipeline.claims.claim import Finding, Verdict
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.lake.results import Stored
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.attachment_variants import ATTACHMENT_VARIANTS
from baimo.pipeline.models.gbm import GROWTH_FIT
from baimo.pipeline.models.gbm_calendar import CALENDAR_FIT
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.models.printed import PRINTED_EQUATION
from baimo.pipeline.schema.derived import (
    DEFI_POPULATION,
    HUB_AUTHORS,
    HUB_FREQUENCY,
    HUB_TOTALS,
    SIZE_VARIANTS,
    TVL_GROWTH_PERIODS,
)
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.schema.table import Table
from baimo.pipeline.variables import DOWNLOADS, LIKES, TVL, cutoffs
from tests.pipeline.synthetic import NO_POPULATIONS, calendar, day_of

HOLDS, PART, FAILS, UNTOLD = Verdict.HOLDS, Verdict.PART, Verdict.FAILS, Verdict.UNTOLD
EXPLAINS, CONTRADICTED, UNDECIDED = "explains", "contradicted", "cannot be told"
Evidence = Mapping[Stored[Any] | Table, Any]

# Sizes at the quantiles of P(X > x) = 1/x and x^-2: no sampling error.
RANK = np.arange(1, 40_001) - 0.5
ZIPF, THIN = np.floor(4e4 / RANK), np.floor((4e4 / RANK) ** 0.5 * 50)

NAMED: dict[str, Stored[Any] | Table] = {
    "downloads": TAILS[DOWNLOADS.name],
    "likes": TAILS[LIKES.name],
    "tvl": TAILS[TVL.name],
    "attachment": ATTACHMENT_FIT,
    "otherwise": ATTACHMENT_VARIANTS,
    "growth": GROWTH_FIT,
    "calendar": CALENDAR_FIT,
    "printed": PRINTED_EQUATION,
    "cohorts": COHORTS,
    "comparison": COMPARISON,
    "authors": HUB_AUTHORS,
    "kernel": KERNEL_FIT,
    "kernels": KERNELS,
    "rates": RATES_FIT,
    "populations": COMPANION_FITS,
    "protocols": DEFI_POPULATION,
    "variants": SIZE_VARIANTS,
    "periods": TVL_GROWTH_PERIODS,
    "frequency": HUB_FREQUENCY,
    "totals": HUB_TOTALS,
}
NOTHING_BESIDE: Evidence = {
    COHORTS: {},
    ATTACHMENT_VARIANTS: None,
    KERNEL_FIT: None,
    KERNELS: {},
    RATES_FIT: {},
    CALENDAR_FIT: calendar(),
    COMPANION_FITS: NO_POPULATIONS,
    DEFI_POPULATION: pl.DataFrame(),
    SIZE_VARIANTS: pl.DataFrame(schema=SIZE_VARIANTS.schema),
    TVL_GROWTH_PERIODS: pl.DataFrame(schema=TVL_GROWTH_PERIODS.schema),
    HUB_TOTALS: pl.DataFrame(schema=HUB_TOTALS.schema),
}


def decided(claim_name: str, **given: Any) -> Finding:
    """Return what a claim finds on evidence that is given by its name in `NAMED`.

    Populations, variants and cohorts of which nothing is said are not there; anything else that
    the claim reads must be given.
    """
    values = {**NOTHING_BESIDE, **{NAMED[name]: value for name, value in given.items()}}
    claim = ALL_CLAIMS[claim_name]
    return claim.test(day_of(values).only(claim.needs))


def numbers_in(text: str) -> list[str]:
    """Return the numbers of a sentence as they are written."""
    return re.findall(r"-?\d*[\d,]*\.?\d+", text)


def with_slopes(fits: SizeFits, slopes: Mapping[str, float]) -> SizeFits:
    """Return fits whose rank-size lines have these slopes at these cut-offs, and no others."""
    line = next(iter(fits.zipf.values()))
    return replace(fits, zipf={label: replace(line, slope=s) for label, s in slopes.items()})


def with_sizes(fits: SizeFits, sizes: Floats, effect: float | None = None) -> SizeFits:
    """Return fits whose sample and rank-size lines are those of these sizes, the rest as it was."""
    counts = Counts.from_sample(sizes)
    lines = {c: fit_zipf(counts, k=k, design_effect=effect) for c, k in cutoffs(counts).items()}
    return replace(fits, counts=counts, zipf=lines)


def bent(n: int, rank: float, below: float) -> Floats:
    """Return sizes of rank-size slope -1 down to a rank, and of another below it."""
    ranks = np.arange(1, n + 1) - 0.5
    return np.where(ranks < rank, 1e9 / ranks, 1e9 / rank * (ranks / rank) ** (-1.0 / below))


def zeta_quantiles(zeta: float, n: int) -> Floats:
    """Return counts at the quantiles of P(X >= k) = zeta(1 + zeta, k) / zeta(1 + zeta, 1)."""
    ks = np.unique(np.floor(np.geomspace(1, (2.0 * n) ** (1 / zeta) * 10, 400_000)))
    above = hurwitz(1.0 + zeta, ks) / hurwitz(1.0 + zeta, 1.0)
    places = (np.arange(n) + 0.5) / n
    return np.asarray(ks[np.searchsorted(-above, -places, side="right") - 1])


def variants_of(**populations: Floats) -> pl.DataFrame:
    """Return samples by name as the table of sizes that are cut otherwise."""
    parts = []
    for name, sizes in populations.items():
        counts = Counts.from_sample(sizes)
        columns = {"size": counts.values, "n_items": counts.multiplicities}
        parts.append(
            pl.DataFrame(columns).select(pl.lit(name).alias("population"), "size", "n_items")
        )
    return pl.concat(parts).cast(pl.Schema(SIZE_VARIANTS.schema))
