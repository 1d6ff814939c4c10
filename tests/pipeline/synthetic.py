"""Made-up tables whose truth is known: a Hub, protocols on two dates, their weekly growth."""

import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.increments import KernelCalibration, fit_increments
from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.sizes import SizeFits, fit_sizes
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.derived import HUB_INCREMENTS
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.schema.table import Table
from baimo.pipeline.variables import HUB_FLOOR, LIKES, Variable
from baimo.simulation.attachment.kernel import KernelParams, simulate_increments

DAY = date(2024, 7, 11)
BEFORE, AFTER = date(2023, 6, 27), date(2025, 12, 17)
NO_EFFECTS = pl.DataFrame(schema=TABLES["hub_design_effects"].schema)


def hub_frequency(n: int, seed: int) -> pl.DataFrame:
    """Return models with exponential ages (rate 1.3 a year) and Yule likes (gamma 0.8, a 2)."""
    rng = np.random.default_rng(seed)
    history = (DAY - HUB_FLOOR).days
    days = np.floor(rng.exponential(365.25 / 1.3, 4 * n)).astype(int)
    days = days[days < history][:n]
    age = (days + 0.5) / 365.25
    likes = rng.poisson(rng.gamma(2.0, np.expm1(0.8 * age)))
    return (
        pl.DataFrame(
            {
                "created_on": [DAY - timedelta(days=int(d)) for d in days],
                "downloads": rng.zipf(1.8, days.size) - 1,
                "likes": likes,
            }
        )
        .group_by("created_on", "downloads", "likes")
        .agg(n_models=pl.len().cast(pl.Int64))
        .sort("created_on", "downloads", "likes")
    )


def population(n: int, seed: int) -> pl.DataFrame:
    """Return protocols with log drift -.3, sigma .9, a quarter of them undated."""
    rng = np.random.default_rng(seed)
    years = (AFTER - BEFORE).days / 365.25
    before = np.exp(rng.normal(16.0, 2.0, n))
    after = before * np.exp(-0.3 * years + 0.9 * math.sqrt(years) * rng.standard_normal(n))
    quarters = [date(2021, 10, 1), date(2022, 1, 1), date(2022, 4, 1), date(2022, 7, 1),
                date(2022, 10, 1), date(2023, 1, 1), date(2023, 4, 1), None]  # fmt: skip
    listed = [quarters[i] for i in rng.integers(0, 8, n)]
    return pl.DataFrame(
        {
            "category": ["Dexes"] * n,
            "listed_on": pl.Series(listed, dtype=pl.Date),
            "tvl_before": before,
            "tvl_after": after,
            "entrant": [False] * n,
            "unmatched": [False] * n,
            "before_on": [BEFORE] * n,
            "after_on": [AFTER] * n,
            "n_protocols": [1] * n,
        }
    )


def weekly(seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (i, date(2022, 1, 1) + timedelta(weeks=w), g)
        for i in range(6)
        for w, g in enumerate(rng.normal(0, 0.1, 60))
    ]
    return pl.DataFrame(
        rows, schema=["protocol_number", "week", "log_growth"], orient="row"
    ).select("protocol_number", "week", "log_growth", age_weeks=pl.lit(30))


def listing(table: pl.DataFrame) -> pl.DataFrame:
    """Return the cross-section of a population's earlier date."""
    return table.filter(~pl.col("entrant")).select(
        "category", "listed_on", pl.col("tvl_before").alias("tvl_usd"),
        pl.col("before_on").alias("observed_on"), "n_protocols",
    )  # fmt: skip


def fits_of(sizes: np.ndarray, measure: Variable = LIKES) -> SizeFits:
    return fit_sizes(Counts.from_sample(sizes), measure, None, n_replications=50)


def day_of(values: Mapping[Stored[Any] | Table, Any], day: date = DAY) -> Day:
    """Return a day of made-up results and tables."""
    return Day.of_values(day, {what.name: value for what, value in values.items()})


def judged(model: str, measure: str, outcome: str | None, *reasons: str) -> dict[str, Any]:
    """Return a row of the comparison as claims read it."""
    words = "no prediction" if outcome is None else f"{outcome} {', '.join(reasons)}"
    return {
        "model": model, "measure": measure, "verdict": words, "evidence": "zeta 1 / 2",
        "outcome": outcome, "simulated_zeta": 2.0, "simulated_sd": 0.1, "zeta": 1.0,
    }  # fmt: skip


def comparison_of(*rows: dict[str, Any]) -> pl.DataFrame:
    """Return a comparison of some rows."""
    schema = {n: t for n, t in COMPARISON.schema.items() if n in judged("", "", None)}
    return pl.DataFrame(list(rows), schema=schema)


NO_POPULATIONS = CompanionFits(sizes={}, equal_cutoffs={}, waves=None, taken_on={})

A_MONTH_BEFORE = DAY - timedelta(days=30)
N_INCREMENTS = 20_000


def likes_of_two_days(
    theta: float, phi: float, after_on: date = DAY, n: int = N_INCREMENTS
) -> pl.DataFrame:
    """Return likes of two days under a kernel of attachment (offset 1), 500 authors."""
    rng = np.random.default_rng(5)
    stock = rng.poisson(rng.gamma(0.5, 30.0, n))
    age = np.ceil(rng.random(n) * 700) / 365.0
    gains = simulate_increments(KernelParams(theta=theta, phi=phi), stock, 3.0 * n, rng, ages=age)
    return pl.DataFrame(
        {
            "author": rng.integers(0, 2_000, n),
            "age": age,
            "likes_before": stock,
            "likes_after": stock + gains,
            "before_on": A_MONTH_BEFORE,
            "after_on": after_on,
            "n_models": 1,
        },
        schema=HUB_INCREMENTS.schema,
    )


def kernel_of(table: pl.DataFrame, frequency: pl.DataFrame) -> KernelCalibration:
    """Return the kernel of attachment fitted to likes of two days."""
    found = fit_increments(table, frequency, DAY)
    assert found is not None
    return found
