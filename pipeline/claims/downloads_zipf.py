"""Downloads follow Zipf's law."""

from __future__ import annotations

from baimo.pipeline.analysis.populations import COMPANION_FITS
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims._slopes import CRITERION, STATISTIC, slope_is_one
from baimo.pipeline.claims.claim import Finding, Paper, claim
from baimo.pipeline.claims.robustness import slopes_cut_otherwise
from baimo.pipeline.figures.of_claims import rank_size_of
from baimo.pipeline.lake.results import Day
from baimo.pipeline.schema.derived import SIZE_VARIANTS
from baimo.pipeline.variables import DOWNLOADS

TAIL = TAILS[DOWNLOADS.name]


@claim(
    order=10,
    paper=Paper.RUAN,
    where="section 1",
    text="Downloads of open models follow Zipf's law: the log-log rank-size slope is close to -1.",
    statistic=STATISTIC.format(DOWNLOADS.name),
    criterion=CRITERION,
    needs=(TAIL, SIZE_VARIANTS, COMPANION_FITS),
    figure=rank_size_of(DOWNLOADS),
)
def downloads_zipf(day: Day) -> Finding:
    """Whether the slope of downloads is -1 at every cut-off."""
    fits = day.read(TAIL)
    verdict, shown, numbers = slope_is_one(fits)
    kept = slopes_cut_otherwise(fits, day.table(SIZE_VARIANTS), day.read(COMPANION_FITS), DOWNLOADS)
    return Finding(verdict, shown, kept, numbers)
