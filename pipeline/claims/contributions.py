"""Members' contributions follow a power law with alpha > 1."""

from __future__ import annotations

import math

from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.alternatives import compare_tail
from baimo.estimation.tails.bootstrap import goodness_of_fit
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.claims._power_law import (
    CRITERION,
    P_REPLICATIONS,
    STATISTIC,
    TriedTail,
    lognormal_of,
    power_law_of,
)
from baimo.pipeline.claims.claim import Finding, Paper, Verdict, claim
from baimo.pipeline.claims.robustness import slopes_at
from baimo.pipeline.lake.results import Day
from baimo.pipeline.schema.derived import HUB_AUTHORS
from baimo.pipeline.settings import SEED
from baimo.pipeline.text import joined

CLAIMED = 1.0  # the exponent exceeds it


@claim(
    order=80,
    paper=Paper.RUAN,
    where="section 7.3, eq 18",
    text=f"Members' contributions follow a power law with alpha > {CLAIMED:g}.",
    statistic=STATISTIC.format("models per author"),
    criterion=f"{CRITERION}; fails if zeta lies below {CLAIMED:g} (95 %), and cannot be told if "
    "its interval contains that",
    needs=(HUB_AUTHORS,),
)
def contributions(day: Day) -> Finding:
    """Whether models per author are a power law with alpha > 1."""
    authors = day.table(HUB_AUTHORS)
    if authors.height < 2:
        return Finding(Verdict.UNTOLD, "the snapshot names no authors")
    counts = Counts.from_pairs(authors["n_models"].to_numpy(), authors["n_authors"].to_numpy())
    tail = fit_tail(counts)
    scanned = TriedTail(
        tail=tail,
        goodness=goodness_of_fit(counts, tail, n_replications=P_REPLICATIONS, seed=SEED),
        lognormal=lognormal_of(compare_tail(counts, tail, ("lognormal",))),
    )
    verdict, shown = power_law_of(counts, scanned)
    low, high = tail.conf_int()["zeta"] or (math.nan, math.nan)
    if high < CLAIMED:
        verdict = Verdict.FAILS
    elif not low > CLAIMED and verdict is not Verdict.FAILS:
        verdict = Verdict.UNTOLD
    lines = slopes_at(counts, {f"top {k:,}": k for k in (100, 1000) if k < tail.n_obs})
    slopes = ", ".join(f"{label} {line.slope:.2f}" for label, line in lines)
    return Finding(
        verdict,
        joined((f"models per author, {counts.n_obs:,} authors", shown)),
        f"rank-size slope: {slopes}" if slopes else "",
        scanned.numbers(),
    )
