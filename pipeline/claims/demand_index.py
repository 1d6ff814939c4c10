"""Demand has the tail index that section 8.3 prints."""

from __future__ import annotations

import math

import numpy as np

from baimo.estimation.tails.tail_index import fit_hill
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, algebra, claim
from baimo.pipeline.lake.results import Day
from baimo.pipeline.settings import SEED
from baimo.simulation.demand.ces import DemandParams
from baimo.simulation.demand.printed import printed_tail_index

TRIED = ((3.0, 0.5), (4.0, 0.6), (2.5, 0.3))  # alpha, rho
N_ITEMS, K = 400_000, 4000
MARGIN = 3.0  # standard errors


@claim(
    order=120,
    paper=Paper.RUAN,
    where="section 8.3",
    text="Demand has the tail index (alpha (1 - rho) - 1)/(1 - rho).",
    statistic="Hill exponent of simulated CES demand at three (alpha, rho)",
    criterion="holds if the printed index is within three standard errors at each",
)
@algebra
def demand_index(_: Day) -> Finding:
    """Whether demand has the exponent that section 8.3 prints."""
    rng = np.random.default_rng([SEED, 24])
    parts, near, numbers = [], [], []
    for alpha, rho in TRIED:
        params = DemandParams(alpha=alpha, rho=rho)
        demand = np.exp(params.kappa * rng.standard_exponential(N_ITEMS) / alpha)
        fit = fit_hill(demand, k=K, discrete=False)
        printed = printed_tail_index(alpha, rho)
        zeta, error = fit.zeta or math.nan, fit.std_error or math.nan
        near.append(abs(zeta - printed) < MARGIN * error)
        parts.append(
            f"alpha {alpha:g}, rho {rho:g}: simulated {zeta:.2f} ({error:.2f}), printed "
            f"{printed:.2f}, alpha (1 - rho)/rho = {params.zeta:.2f}"
        )
        name = f"zeta at alpha {alpha:g}, rho {rho:g}"
        numbers.append(Number(name=name, value=zeta, std_error=error, held_against=printed))
    verdict = Verdict.HOLDS if all(near) else Verdict.PART if any(near) else Verdict.FAILS
    return Finding(verdict, "; ".join(parts), "", tuple(numbers))
