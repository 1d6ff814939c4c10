"""Whether a rank-size slope is -1: what the two claims of Zipf's law have in common."""

from __future__ import annotations

from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims.claim import Number, Verdict
from baimo.pipeline.text import cutoff_words, list_cutoffs

CUTOFFS = ("top10pct_all", "top1pct_all", "top0.1pct_all", "top100")
ZIPF, MARGIN = -1.0, 0.1
STATISTIC = "slope of log(rank - 1/2) on log({}), author-clustered 95 % interval"
CRITERION = (
    f"holds if within {MARGIN:g} of {ZIPF:g} at the {list_cutoffs(CUTOFFS)}; in part if at some"
)


def slope_is_one(fits: SizeFits) -> tuple[Verdict, str, tuple[Number, ...]]:
    """Return whether the slope is -1 at every cut-off that exists, in words and numbers."""
    parts, near, numbers = [], [], []
    for label in CUTOFFS:
        line = fits.zipf.get(label)
        if line is None:
            continue
        interval = line.conf_int()["slope"]
        assert interval is not None
        near.append(abs(line.slope - ZIPF) < MARGIN)
        parts.append(
            f"{cutoff_words(label)} ({line.k:,}) {line.slope:.3f} "
            f"[{interval[0]:.2f}, {interval[1]:.2f}]"
        )
        numbers.append(
            Number(
                name=f"slope, {cutoff_words(label)}",
                value=line.slope,
                std_error=line.std_error_clustered,
                interval=interval,
                held_against=ZIPF,
            )
        )
    if not near:
        return Verdict.UNTOLD, "too few sizes at every cut-off", ()
    verdict = Verdict.HOLDS if all(near) else Verdict.PART if any(near) else Verdict.FAILS
    return verdict, "; ".join(parts), tuple(numbers)
