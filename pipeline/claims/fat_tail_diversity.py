"""A fat tail is a sign of diversity."""

from __future__ import annotations

import math

import polars as pl

from baimo.estimation.laws import normal_sf
from baimo.estimation.predictive.equivalence import LEVEL
from baimo.estimation.samples.diversity import hill_number
from baimo.pipeline.analysis.sizes import TAILS, SizeFits
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.figures.of_claims import VERDICTS
from baimo.pipeline.lake.results import Day
from baimo.pipeline.schema.derived import HUB_TOTALS
from baimo.pipeline.text import bare, joined
from baimo.pipeline.variables import HUB

ORDERS = (0, 1, 2)  # of Hill's numbers
UNKNOWN = ("none", "other")  # no task, or several


@claim(
    order=70,
    paper=Paper.RUAN,
    where="sections 1 and 7.3",
    text="A fat tail is a sign of diversity.",
    statistic="of the upper tail alone: share of the top 1 % of the size with the heavier tail; "
    "beside it the variety of tasks (Hill numbers)",
    criterion="fails if the size with the smaller zeta has the larger share of its top 1 %, holds "
    "if the smaller, with and without the largest items; cannot be told if that differs or the "
    f"zetas do not (p < {bare(LEVEL)})",
    needs=(*(TAILS[v.name] for v in HUB), HUB_TOTALS),
    figure=VERDICTS,
)
def fat_tail_diversity(day: Day) -> Finding:
    """Whether the size with the heavier tail is the less concentrated one."""
    heavy, light = sorted((day.read(TAILS[v.name]) for v in HUB), key=lambda f: f.tail.zeta)
    gap = heavy.concentration.top_1pct - light.concentration.top_1pct
    gap_trimmed = (
        heavy.concentration_without_largest.top_1pct - light.concentration_without_largest.top_1pct
    )
    shown = "; ".join(
        f"{f.measure}: zeta {f.tail.zeta:.2f}, top 1 % hold {f.concentration.top_1pct:.1%}, Gini "
        f"{f.concentration.gini:.3f}, effective number {f.concentration.effective_number:,.0f}"
        for f in (heavy, light)
    )
    trimmed = "without the largest item the top 1 % hold " + ", ".join(
        f"{f.concentration_without_largest.top_1pct:.1%} ({f.measure})" for f in (heavy, light)
    )
    names = f"of the top 1 % of {heavy.measure} less that of {light.measure}"
    numbers = (
        Number(name=f"share {names}", value=gap, held_against=0.0),
        Number(name=f"share {names}, without the largest", value=gap_trimmed, held_against=0.0),
    )
    words, variety = variety_of_tasks(day.table(HUB_TOTALS))
    verdict = _verdict(heavy, light, (gap, gap_trimmed))
    return Finding(verdict, joined((shown, words)), trimmed, numbers + variety)


def _verdict(heavy: SizeFits, light: SizeFits, gaps: tuple[float, float]) -> Verdict:
    error = math.hypot(heavy.tail.std_error_clustered, light.tail.std_error_clustered)
    if 2.0 * normal_sf((light.tail.zeta - heavy.tail.zeta) / error) >= LEVEL:
        return Verdict.UNTOLD
    if min(gaps) > 0:
        return Verdict.FAILS
    return Verdict.HOLDS if max(gaps) < 0 else Verdict.UNTOLD


def variety_of_tasks(totals: pl.DataFrame) -> tuple[str, tuple[Number, ...]]:
    """Return how varied the tasks of models are, by number, downloads and likes.

    Variety is of what the models are for, which no tail exponent of their sizes says.

    Parameters
    ----------
    totals
        Table `hub_totals`; models without a declared task are left out.
    """
    tasks = totals.filter((pl.col("kind") == "pipeline_tag") & ~pl.col("name").is_in(UNKNOWN)).sort(
        "downloads"
    )
    parts, numbers = [], []
    for column in ("n_models", *(v.name for v in HUB)):
        for what, amounts in (
            ("", tasks[column]),
            (" without the most downloaded", tasks[:-1][column]),
        ):
            if not amounts.sum() > 0 or (what and column != HUB[0].name):
                continue
            hill = [hill_number(amounts.to_numpy(), q) for q in ORDERS]
            name = column.replace("n_models", "models")
            parts.append(f"{name}{what} {', '.join(f'{h:.1f}' for h in hill)}")
            numbers += [
                Number(name=f"tasks of {name}{what}, Hill number of order {q}", value=h)
                for q, h in zip(ORDERS, hill, strict=True)
            ]
    if not parts:
        return "", ()
    orders = ", ".join(str(q) for q in ORDERS)
    return f"effective number of tasks (order {orders}) by {'; by '.join(parts)}", tuple(numbers)
