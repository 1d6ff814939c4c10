"""Made-up tables whose truth is known: a Hub, protocols on two dates, their weekly growth."""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl

from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.sizes import SizeFits, fit_sizes
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.variables import HUB_FLOOR, LIKES, Measure

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


def fits_of(sizes: np.ndarray, measure: Measure = LIKES) -> SizeFits:
    return fit_sizes(Counts.from_sample(sizes), measure, None, n_replications=50)
