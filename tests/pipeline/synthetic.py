"""Made-up tables whose truth is known: a Hub, protocols on two dates, their weekly growth."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from baimo.estimation.demand.ces import DemandFit, fit_demand
from baimo.estimation.demand.counts import fit_demand_tail
from baimo.estimation.distributions.fit import WholeSampleFit, fit_whole_sample
from baimo.estimation.errors import ConvergenceWarning
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration, fit_increments
from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.sampling import SAMPLING
from baimo.pipeline.analysis.sizes import TAILS, SizeFits, fit_sizes
from baimo.pipeline.datasets.external import tabulate_waves
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.models.attachment import (
    ATTACHMENT_FIT,
    AttachmentCalibration,
    calibrate_attachment,
)
from baimo.pipeline.models.base import FAMILIES
from baimo.pipeline.models.ces import DEMAND_FIT
from baimo.pipeline.models.gbm import GROWTH_FIT, calibrate_growth
from baimo.pipeline.models.gbm_calendar import CALENDAR_FIT, CalendarGrowth, calibrate_calendar
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.predictive.simulate import Drawn, samplers_of
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.derived import (
    DEFI_POPULATION,
    HUB_COVARIANCES,
    HUB_FREQUENCY,
    HUB_INCREMENTS,
    HUB_SAMPLING,
    TVL_GROWTH_PERIODS,
)
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.schema.table import Table
from baimo.pipeline.variables import (
    ADAPTER_FLOOR,
    DEFINITIONS,
    DOWNLOADS,
    HUB,
    HUB_FLOOR,
    LIKES,
    TVL,
    Variable,
    hub_counts,
)
from baimo.simulation.attachment.kernel import KernelParams, simulate_increments

DAY = date(2024, 7, 11)
BEFORE, AFTER = date(2023, 6, 27), date(2025, 12, 17)
NO_EFFECTS = pl.DataFrame(schema=TABLES["hub_design_effects"].schema)
NO_OWNERS: dict[Stored[Any] | Table, Any] = {
    table: pl.DataFrame(schema=table.schema) for table in (HUB_SAMPLING, HUB_COVARIANCES)
}


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
    """Return protocols with log drift -.3, sigma .9, some dated by adapter or not at all."""
    rng = np.random.default_rng(seed)
    years = (AFTER - BEFORE).days / 365.25
    before = np.exp(rng.normal(16.0, 2.0, n))
    after = before * np.exp(-0.3 * years + 0.9 * math.sqrt(years) * rng.standard_normal(n))
    quarters = [date(2021, 10, 1), date(2022, 1, 1), date(2022, 4, 1), date(2022, 7, 1),
                date(2022, 10, 1), date(2023, 1, 1), date(2023, 4, 1), None]  # fmt: skip
    listed = [quarters[i] for i in rng.integers(0, 8, n)]
    adapters = [date(2021, 4, 1), None, ADAPTER_FLOOR]  # known, not known, before
    began = [None if day else adapters[i % 3] for i, day in enumerate(listed)]
    return pl.DataFrame(
        {
            "category": ["Dexes"] * n,
            "listed_on": pl.Series(listed, dtype=pl.Date),
            "adapter_on": pl.Series(began, dtype=pl.Date),
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


def periods() -> pl.DataFrame:
    """Return a path of drifts: survivors at +2 in 2021, then -1 and -.3 by id, for all of DeFi."""
    own = [
        (
            d.name, "id", first, last, 500, 400,
            m + 0.1, 0.1, 0.3, 0.9,  # of those on both dates: the luckier
            0.1, 0.01, m, 0.2, 1.0, 0.05, 1.0, 0.1, n, mean, sd,
        )
        for d in DEFINITIONS
        for first, last, m, n, mean, sd in (
            (date(2022, 1, 10), BEFORE, -1.0, 90, 17.0, 1.0),
            (BEFORE, AFTER, -0.3, None, None, None),
        )
    ]  # fmt: skip
    panel = [
        (
            "survivors",
            "weeks",
            date(y, 1, 1),
            date(y + 1, 1, 1),
            None,
            50,
            m,
            0.1,
            0.5,
            *[None] * 12,
        )
        for y, m in ((2021, 2.0), (2022, -0.5))
    ]
    return pl.DataFrame([*own, *panel], schema=TVL_GROWTH_PERIODS.schema, orient="row")


@cache
def calendar() -> CalendarGrowth:
    """Return the calibration by period of the protocols of `results_of_a_day`, to be read only."""
    table = population(800, 7)
    return calibrate_calendar(
        calibrate_growth(table, listing(table), weekly(6)), listing(table), periods()
    )


def listing(table: pl.DataFrame) -> pl.DataFrame:
    """Return the cross-section of a population's earlier date."""
    return table.filter(~pl.col("entrant")).select(
        "category", "listed_on", "adapter_on", pl.col("tvl_before").alias("tvl_usd"),
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


NO_POPULATIONS = CompanionFits(sizes={}, equal_cutoffs={}, waves={}, taken_on={})

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


def two_windows(before: list[int], after: list[int]) -> pl.DataFrame:
    """Return downloads of the same models in two windows two years apart, each of its own owner."""
    rows = pl.DataFrame(
        {
            "population": "models",
            "item_id": [str(i) for i in range(len(before))],
            "author": pl.Series([None] * len(before), dtype=pl.String),
            "downloads_before": before,
            "downloads_after": after,
        }
    )
    return tabulate_waves(
        rows.with_columns(before_on=pl.lit(date(2022, 7, 2)), after_on=pl.lit(date(2024, 7, 2)))
    )


N_OLD = 700  # models of the floor day, whose age is not known


def hub_with_old(n: int, seed: int) -> pl.DataFrame:
    """Return a Hub with 700 models of the floor day, of which 300 have 40 likes."""
    floor = pl.DataFrame(
        {
            "created_on": [HUB_FLOOR] * 2,
            "downloads": [5, 0],
            "likes": [40, 0],
            "n_models": [300, N_OLD - 300],
        }
    )
    return pl.concat([hub_frequency(n, seed), floor])


def calibrated(frequency: pl.DataFrame) -> AttachmentCalibration:
    return calibrate_attachment(
        frequency, hub_counts(frequency, DOWNLOADS), hub_counts(frequency, LIKES), NO_EFFECTS, DAY
    )


def demand_of(counts: Counts) -> DemandFit:
    return fit_demand(counts, fit_demand_tail(counts))


def rates_of(mu: float, sigma: float, phi: float) -> PoissonRatesFit:
    return PoissonRatesFit(
        n_obs=1, n_used=1, mu=mu, sigma=sigma, phi=phi, covariance=np.eye(3), log_likelihood=0.0
    )


def with_laws(fits: SizeFits, *laws: WholeSampleFit) -> SizeFits:
    """Return fits of a size with other laws of the whole sample."""
    return replace(fits, whole=replace(fits.whole, fits=laws))


@cache
def some_fits() -> SizeFits:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of a law that is hardly theirs
        return fits_of(np.arange(1, 200))


@cache
def results_of_a_day() -> Mapping[Stored[Any] | Table, Any]:
    """Return what the models read of a made-up day, to be read only.

    A law of sizes at entry and lognormal rates are there of likes alone.
    """
    frequency, table = hub_with_old(6_000, 3), population(800, 7)
    likes = hub_counts(frequency, LIKES)
    law = fit_whole_sample(likes, "discretised_double_pareto_lognormal")
    return {
        HUB_FREQUENCY: frequency,
        DEFI_POPULATION: table,
        ATTACHMENT_FIT: calibrated(frequency),
        DEMAND_FIT: {v.name: demand_of(hub_counts(frequency, v)) for v in HUB},
        GROWTH_FIT: calibrate_growth(table, listing(table), weekly(6)),
        CALENDAR_FIT: calendar(),
        RATES_FIT: {"likes": rates_of(0.5, 1.0, 1.2)},
        TAILS["downloads"]: with_laws(some_fits()),
        TAILS["likes"]: with_laws(some_fits(), law),
        TAILS["tvl"]: fits_of(table["tvl_before"].to_numpy(), TVL),
        KERNEL_FIT: kernel_of(likes_of_two_days(1.0, 0.0, n=6_000), frequency),
        SAMPLING: {},
    }


def draws_of(day: Day) -> dict[tuple[str, str], Drawn]:
    """Return all models ready to be drawn, by label and variable."""
    found: dict[tuple[str, str], Drawn] = {}
    for family in FAMILIES:
        found |= samplers_of(day, family)
    return found
