"""The shocks W_i of protocols are independent."""

from __future__ import annotations

import math

from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.gbm import GROWTH_FIT

SIGNIFICANT = 1.96  # |CD|


@claim(
    order=150,
    paper=Paper.RUAN,
    where="section 11.2, eq 36",
    text="The shocks W_i of protocols are independent.",
    statistic="mean pairwise correlation of weekly growth, Pesaran's CD",
    criterion=f"fails if |CD| > {SIGNIFICANT:g}",
    needs=(GROWTH_FIT,),
)
def independent_shocks(day: Day) -> Finding:
    """Whether the W_i of eq 36 are independent."""
    panel = day.read(GROWTH_FIT).panel
    cd = panel.cd_at_least
    if math.isnan(cd):
        return Finding(Verdict.UNTOLD, "no two protocols have enough weeks in common")
    shown = (
        f"{panel.n_items} protocols, {panel.n_weeks} weeks: mean pairwise correlation "
        f"{panel.mean_correlation:.2f} (Pesaran's CD at least {cd:.0f}, standard normal if "
        f"independent), first principal component {panel.factor_share:.0%}, excess kurtosis "
        f"{panel.excess_kurtosis:.0f}"
    )
    number = Number(name="Pesaran's CD, at least", value=cd, held_against=SIGNIFICANT)
    verdict = Verdict.FAILS if abs(cd) > SIGNIFICANT else Verdict.HOLDS
    return Finding(verdict, shown, "survivors only", (number,))
