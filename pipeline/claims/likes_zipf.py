"""Likes follow Zipf's law as well."""

from __future__ import annotations

from baimo.pipeline.analysis.populations import COMPANION_FITS
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims._slopes import CRITERION, STATISTIC, slope_is_one
from baimo.pipeline.claims.claim import Finding, Number, Paper, claim
from baimo.pipeline.claims.robustness import slopes_cut_otherwise
from baimo.pipeline.figures.of_claims import rank_size_of
from baimo.pipeline.lake.results import Day
from baimo.pipeline.schema.derived import SIZE_VARIANTS
from baimo.pipeline.text import items_words
from baimo.pipeline.variables import LIKES

TAIL = TAILS[LIKES.name]


@claim(
    order=20,
    paper=Paper.RUAN,
    where="section 1 and eq 18-19",
    text="Likes follow Zipf's law as well: their log-log rank-size slope is close to -1.",
    statistic=STATISTIC.format(LIKES.name),
    criterion=CRITERION,
    needs=(TAIL, SIZE_VARIANTS, COMPANION_FITS),
    figure=rank_size_of(LIKES),
)
def likes_zipf(day: Day) -> Finding:
    """Whether the slope of likes is -1 at every cut-off."""
    fits = day.read(TAIL)
    verdict, shown, numbers = slope_is_one(fits)
    rival = next(c for c in fits.comparisons if c.alternative == "lognormal")
    if rival.vuong is not None:
        items = items_words(rival.p_independent is not None)
        shown += (
            f"; on the CSN tail against a lognormal, {items}: {rival.verdict} "
            f"(Vuong {rival.vuong:.2f})"
        )
        numbers += (Number(name="Vuong against a lognormal", value=rival.vuong),)
    kept = slopes_cut_otherwise(fits, day.table(SIZE_VARIANTS), day.read(COMPANION_FITS), LIKES)
    return Finding(verdict, shown, kept, numbers)
