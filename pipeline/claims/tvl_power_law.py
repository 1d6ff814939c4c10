"""TVL of DeFi protocols is distributed as a power law."""

from __future__ import annotations

from baimo.pipeline.analysis.populations import COMPANION_FITS
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.claims.robustness import other_tvl, tvl_cut_otherwise
from baimo.pipeline.figures.of_claims import rank_size_of
from baimo.pipeline.lake.results import Day
from baimo.pipeline.schema.derived import SIZE_VARIANTS
from baimo.pipeline.text import cutoff_words, joined
from baimo.pipeline.variables import TVL

TAIL = TAILS[TVL.name]
LARGEST_BEND = 0.2  # between the slopes of the cut-offs
FEW, HALF = 0.05, 0.5  # of the protocols


@claim(
    order=50,
    paper=Paper.RUAN,
    where="section 11.2, eq 39",
    text="TVL of DeFi protocols is distributed as a power law.",
    statistic="slopes over cut-offs, share of protocols in the CSN tail, Vuong against the "
    "lognormal",
    criterion=f"fails if the lognormal wins, or the slope bends by over {LARGEST_BEND:g} and the "
    f"tail holds under {100 * FEW:g} %; in part if it bends or the tail holds under half",
    needs=(TAIL, SIZE_VARIANTS, COMPANION_FITS),
    figure=rank_size_of(TVL),
)
def tvl_power_law(day: Day) -> Finding:
    """Whether TVL is a power law."""
    fits = day.read(TAIL)
    slopes = {label: line.slope for label, line in fits.zipf.items() if label.endswith("_positive")}
    lognormal = next(c for c in fits.comparisons if c.alternative == "lognormal")
    shown = (
        "rank-size slope by cut-off: "
        + ", ".join(f"{cutoff_words(k)} {v:.2f}" for k, v in slopes.items())
        + f"; CSN tail holds {fits.tail.n_tail:,} of {fits.tail.n_obs:,} protocols"
        + f" (zeta {fits.tail.zeta:.2f}); against a lognormal there: {lognormal.verdict}"
    )
    if lognormal.vuong is not None:
        shown += f" (Vuong {lognormal.vuong:.2f}, p {lognormal.p_value:.2f})"
    judged = fits.judged_without_largest
    trimmed = (
        f"without the largest protocol: zeta {judged.tail.zeta:.2f}, support {judged.support.level}"
    )
    kept = joined(
        (trimmed, tvl_cut_otherwise(day.table(SIZE_VARIANTS)), other_tvl(day.read(COMPANION_FITS)))
    )
    share = fits.tail.n_tail / fits.tail.n_obs
    bend = max(slopes.values()) - min(slopes.values()) if slopes else 0.0
    numbers = (
        Number(name="bend of the slope over cut-offs", value=bend, held_against=LARGEST_BEND),
        Number(name="share of protocols in the CSN tail", value=share, held_against=HALF),
        Number(name="Vuong against a lognormal", value=lognormal.vuong),
    )
    if lognormal.verdict == lognormal.alternative or (bend > LARGEST_BEND and share < FEW):
        return Finding(Verdict.FAILS, shown, kept, numbers)
    part = bend > LARGEST_BEND or share < HALF
    return Finding(Verdict.PART if part else Verdict.HOLDS, shown, kept, numbers)
