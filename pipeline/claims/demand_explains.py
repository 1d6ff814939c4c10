"""CES demand with Pareto tastes explains the distribution."""

from __future__ import annotations

from baimo.pipeline.analysis.cohorts import COHORTS
from baimo.pipeline.analysis.populations import COMPANION_FITS, WINDOW_NOISE, CompanionFits
from baimo.pipeline.claims._models import cohort_words, verdict_on
from baimo.pipeline.claims.claim import Finding, Paper, claim
from baimo.pipeline.figures.of_claims import AGE_COHORTS
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.base import DEMAND
from baimo.pipeline.models.registry import of_family
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.text import joined


@claim(
    order=110,
    paper=Paper.RUAN,
    where="section 8.3, eq 20-24",
    text="CES demand with Pareto tastes explains the distribution.",
    statistic="CES at full size, fitted to exponent and size of the tail: zeros, numbers of fixed "
    "sizes on, top 1 %, age of the tail and its exponent by age, in one joint test",
    criterion="fails if contradicted for downloads and for likes; holds if both are explained",
    needs=(COMPARISON, COHORTS, COMPANION_FITS),
    figure=AGE_COHORTS,
)
def demand_explains(day: Day) -> Finding:
    """Whether CES demand with common Pareto tastes gives the data."""
    verdict, shown, numbers = verdict_on(of_family(DEMAND), day.table(COMPARISON))
    kept = joined(
        ("the same at every rho: only alpha moves with it", _lasting(day.read(COMPANION_FITS)))
    )
    return Finding(verdict, f"{shown}; {cohort_words(day.read(COHORTS))}", kept, numbers)


def _lasting(populations: CompanionFits) -> str:
    """Say how well downloads of two windows agree, and how well they would if tastes stayed."""
    waves = populations.waves.get("models")
    if waves is None or waves.fixed_tastes_correlation is None:
        return ""
    return (
        f"over {waves.years:.1f} years log downloads of the same {waves.n_obs:,} models correlate "
        f"{waves.log_correlation:.2f}, and would {waves.fixed_tastes_correlation:.2f} if tastes "
        f"stayed as they were and windows held no noise; noise of {waves.lasting_noise:.2f} in the "
        f"logs of each window would make lasting rates look so, about {WINDOW_NOISE:g} is measured"
    )
