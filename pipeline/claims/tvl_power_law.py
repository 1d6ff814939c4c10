"""TVL of DeFi protocols is distributed as a power law."""

from __future__ import annotations

from baimo.pipeline.analysis.populations import COMPANION_FITS
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims._power_law import (
    CRITERION,
    STATISTIC,
    TriedTail,
    lognormal_of,
    power_law_of,
)
from baimo.pipeline.claims.claim import Finding, Paper, claim
from baimo.pipeline.claims.robustness import other_tvl, tvl_cut_otherwise
from baimo.pipeline.figures.of_claims import rank_size_of
from baimo.pipeline.lake.results import Day
from baimo.pipeline.schema.derived import SIZE_VARIANTS
from baimo.pipeline.text import cutoff_words, joined
from baimo.pipeline.variables import TVL

TAIL = TAILS[TVL.name]


@claim(
    order=50,
    paper=Paper.RUAN,
    where="section 11.2, eq 39",
    text="TVL of DeFi protocols is distributed as a power law.",
    statistic=STATISTIC.format("TVL"),
    criterion=CRITERION,
    needs=(TAIL, SIZE_VARIANTS, COMPANION_FITS),
    figure=rank_size_of(TVL),
)
def tvl_power_law(day: Day) -> Finding:
    """Whether TVL is a power law."""
    fits = day.read(TAIL)
    scanned = TriedTail(
        tail=fits.tail,
        goodness=fits.judged.goodness,
        lognormal=lognormal_of(fits.comparisons),
    )
    verdict, shown = power_law_of(fits.counts, scanned)
    slopes = ", ".join(
        f"{cutoff_words(label)} {line.slope:.2f}"
        for label, line in fits.zipf.items()
        if label.endswith("_positive")
    )
    judged = fits.judged_without_largest
    kept = joined(
        (
            f"without the largest protocol: zeta {judged.tail.zeta:.2f}, p "
            f"{judged.goodness.shown}, support {judged.support.level}",
            f"rank-size slope by cut-off: {slopes}" if slopes else "",
            tvl_cut_otherwise(day.table(SIZE_VARIANTS)),
            other_tvl(day.read(COMPANION_FITS)),
        )
    )
    return Finding(verdict, shown, kept, scanned.numbers())
