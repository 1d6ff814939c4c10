"""Members' contributions follow a power law with alpha > 1."""

from __future__ import annotations

import math

from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.bootstrap import goodness_of_fit
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.claims.robustness import slopes_at
from baimo.pipeline.lake.results import Day
from baimo.pipeline.schema.derived import HUB_AUTHORS
from baimo.pipeline.settings import SEED
from baimo.pipeline.text import bare

CLAIMED = 1.0  # the exponent exceeds it
P_REPLICATIONS, P_LEVEL = 1000, 0.1


@claim(
    order=80,
    paper=Paper.RUAN,
    where="section 7.3, eq 18",
    text=f"Members' contributions follow a power law with alpha > {CLAIMED:g}.",
    statistic=f"CSN fit of models per author, its p from {P_REPLICATIONS:,} replications",
    criterion=f"holds if zeta exceeds {CLAIMED:g} (95 %) and p >= {bare(P_LEVEL)}; in part if only "
    "the first",
    needs=(HUB_AUTHORS,),
)
def contributions(day: Day) -> Finding:
    """Whether models per author have a Pareto tail with alpha > 1."""
    authors = day.table(HUB_AUTHORS)
    if authors.height < 2:
        return Finding(Verdict.UNTOLD, "the snapshot names no authors")
    counts = Counts.from_pairs(authors["n_models"].to_numpy(), authors["n_authors"].to_numpy())
    fit = fit_tail(counts)
    p = goodness_of_fit(counts, fit, n_replications=P_REPLICATIONS, seed=SEED)
    low, high = fit.conf_int()["zeta"] or (math.nan, math.nan)
    shown = (
        f"models per author, {counts.n_obs:,} authors: zeta {fit.zeta:.2f} [{low:.2f}, {high:.2f}] "
        f"from {fit.x_min:,.0f} models on ({fit.n_tail:,} authors), p {p.shown}"
    )
    lines = slopes_at(counts, {f"top {k:,}": k for k in (100, 1000) if k < fit.n_obs})
    slopes = [f"{label} {line.slope:.2f}" for label, line in lines]
    kept = f"rank-size slope: {', '.join(slopes)}" if slopes else ""
    numbers = (
        Number(name="zeta", value=fit.zeta, interval=(low, high), held_against=CLAIMED),
        Number(name="p", value=p.p_value, std_error=p.mc_error, held_against=P_LEVEL),
    )
    if low <= CLAIMED:
        return Finding(Verdict.FAILS, shown, kept, numbers)
    return Finding(Verdict.PART if p.rejected else Verdict.HOLDS, shown, kept, numbers)
