"""A fat tail is a sign of diversity."""

from __future__ import annotations

from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.figures.of_claims import VERDICTS
from baimo.pipeline.lake.results import Day
from baimo.pipeline.variables import HUB


@claim(
    order=70,
    paper=Paper.RUAN,
    where="sections 1 and 7.3",
    text="A fat tail is a sign of diversity.",
    statistic="concentration (top 1 %, Gini, Herfindahl) of the size with the heavier tail",
    criterion="fails if the size with the smaller zeta has the larger share of its top 1 %",
    needs=tuple(TAILS[v.name] for v in HUB),
    figure=VERDICTS,
)
def fat_tail_diversity(day: Day) -> Finding:
    """Whether the size with the heavier tail is the less concentrated one."""
    heavy, light = sorted((day.read(TAILS[v.name]) for v in HUB), key=lambda f: f.tail.zeta)
    gap = heavy.concentration.top_1pct - light.concentration.top_1pct
    shown = "; ".join(
        f"{f.measure}: zeta {f.tail.zeta:.2f}, top 1 % hold {f.concentration.top_1pct:.1%}, Gini "
        f"{f.concentration.gini:.3f}, effective number {1.0 / f.concentration.hhi:,.0f}"
        for f in (heavy, light)
    )
    trimmed = "without the largest item the top 1 % hold " + ", ".join(
        f"{f.concentration_without_largest.top_1pct:.1%} ({f.measure})" for f in (heavy, light)
    )
    number = Number(
        name=f"share of the top 1 % of {heavy.measure} less that of {light.measure}",
        value=gap,
        held_against=0.0,
    )
    verdict = Verdict.FAILS if gap > 0 else Verdict.HOLDS
    return Finding(verdict, shown + "; of a Pareto, Gini = 1/(2 zeta - 1)", trimmed, (number,))
