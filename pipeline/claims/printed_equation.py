"""The preferential-attachment process of eq 19, as printed, generates a power law."""

from __future__ import annotations

from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, algebra, claim
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.printed import PRINTED_EQUATION

NO_TAIL = 5.0  # an exponent beyond it is no tail to speak of


@claim(
    order=60,
    paper=Paper.RUAN,
    where="section 7.3, eq 19",
    text="The preferential-attachment process of eq 19 generates a power law.",
    statistic="Hill exponent, skewness and kurtosis of the printed equation, stepped at full size",
    criterion=f"fails if the exponent of the top 1 % exceeds {NO_TAIL:g} at every volatility tried",
    needs=(PRINTED_EQUATION,),
)
@algebra
def printed_equation(day: Day) -> Finding:
    """Whether eq 19 as printed makes a tail."""
    p = day.read(PRINTED_EQUATION)
    each = zip(p.noise, p.zetas, p.skewness, p.excess_kurtosis, strict=True)
    shown = (
        f"{p.n_items:,} items from equal starts over {p.days:.0f} days; noise (in starts), "
        "exponent of the top 1 %, skewness, excess kurtosis (a normal distribution has 0 and 0): "
        + "; ".join(f"{s:g}: {z:.1f}, {a:.3f}, {k:.3f}" for s, z, a, k in each)
    )
    numbers = tuple(
        Number(name=f"exponent of the top 1 %, noise {s:g}", value=z, held_against=NO_TAIL)
        for s, z in zip(p.noise, p.zetas, strict=True)
    )
    verdict = Verdict.FAILS if min(p.zetas) > NO_TAIL else Verdict.HOLDS
    return Finding(verdict, shown, "", numbers)
