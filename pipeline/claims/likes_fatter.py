"""Likes have an even fatter tail than downloads."""

from __future__ import annotations

from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.claims.robustness import CUTOFFS
from baimo.pipeline.figures.of_claims import index_path_of
from baimo.pipeline.lake.results import Day
from baimo.pipeline.text import cutoff_words, list_cutoffs
from baimo.pipeline.variables import DOWNLOADS, HUB, LIKES

SIGNIFICANT = 1.96  # |z|


@claim(
    order=30,
    paper=Paper.RUAN,
    where="section 1",
    text="Likes have an even fatter tail than downloads.",
    statistic="difference of the rank-size exponents at equal cut-offs, clustered errors",
    criterion=f"holds if likes' zeta is smaller (|z| > {SIGNIFICANT:g}) at the "
    f"{list_cutoffs(CUTOFFS)}",
    needs=tuple(TAILS[v.name] for v in HUB),
    figure=index_path_of(LIKES),
)
def likes_fatter(day: Day) -> Finding:
    """Whether likes have the smaller exponent."""
    downloads, likes = (day.read(TAILS[v.name]) for v in (DOWNLOADS, LIKES))
    parts, signs, numbers = [], [], []
    for label in CUTOFFS:
        d, k = downloads.zipf.get(label), likes.zipf.get(label)
        if d is None or k is None:
            continue
        gap = k.slope - d.slope  # zeta_downloads - zeta_likes
        error = (d.std_error_clustered**2 + k.std_error_clustered**2) ** 0.5
        signs.append(0 if abs(gap) < SIGNIFICANT * error else (1 if gap > 0 else -1))
        parts.append(
            f"{cutoff_words(label)}: zeta likes {-k.slope:.2f}, downloads {-d.slope:.2f} "
            f"(z = {-gap / error:.1f})"
        )
        name = f"zeta of likes less that of downloads, {cutoff_words(label)}"
        numbers.append(Number(name=name, value=-gap, std_error=error, held_against=0.0))
    if not signs:
        return Finding(Verdict.UNTOLD, "too few items")
    trimmed = (
        f"zeta of the CSN tails without the largest item: likes "
        f"{likes.tail_without_largest.zeta:.2f}, downloads "
        f"{downloads.tail_without_largest.zeta:.2f}"
    )
    return Finding(_verdict(signs), "; ".join(parts), trimmed, tuple(numbers))


def _verdict(signs: list[int]) -> Verdict:
    if all(s > 0 for s in signs):
        return Verdict.HOLDS
    if any(s > 0 for s in signs):
        return Verdict.PART
    return Verdict.FAILS if any(s < 0 for s in signs) else Verdict.UNTOLD
