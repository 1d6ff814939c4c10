"""A lower rho makes models more substitutable."""

from __future__ import annotations

import math
from itertools import pairwise

from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, algebra, claim
from baimo.pipeline.lake.results import Day
from baimo.simulation.demand.ces import ces_demand

RHOS = (0.3, 0.6, 0.9)
DEARER = 1.01  # factor of one of two prices


@claim(
    order=130,
    paper=Paper.RUAN,
    where="section 8.1",
    text="A lower rho makes models more substitutable.",
    statistic="elasticity of substitution of the demand system at rho "
    + ", ".join(f"{rho:g}".lstrip("0") for rho in RHOS),
    criterion="fails if it rises with rho",
)
@algebra
def rho_substitution(_: Day) -> Finding:
    """Whether goods become more substitutable as rho falls."""
    responses = []
    for rho in RHOS:
        before = ces_demand([1.0, 1.0], [1.0, 1.0], 1.0, rho)[0]
        after = ces_demand([1.0, 1.0], [DEARER, 1.0], 1.0, rho)[0]
        ratio = math.log(after[0] / after[1]) - math.log(before[0] / before[1])
        responses.append((rho, -ratio / math.log(DEARER)))
    values = [s for _, s in responses]
    rising = all(a < b for a, b in pairwise(values))
    shown = "elasticity of substitution of the demand system: " + ", ".join(
        f"{s:.2f} at rho {rho:g}" for rho, s in responses
    )
    numbers = tuple(
        Number(name=f"elasticity of substitution at rho {rho:g}", value=s) for rho, s in responses
    )
    return Finding(Verdict.FAILS if rising else Verdict.HOLDS, shown, "", numbers)
