"""Growth of TVL by period: what protocols went through before and after the two fitted dates.

Three kinds of evidence, best where they can be had:

- by DeFiLlama's id, deaths in and renames followed (2022-01 to 2024-03);
- by name to the last date, where a renamed protocol looks like an exit;
- a weekly panel of those that were large in the end, by calendar year: survivors, so its drift is
  an upper bound. Nothing else is known of the years before 2022.

Drift is given twice: that of the protocols above the exit threshold on both dates, and that of all
above it on the first, with those that fell below it or vanished as censored. These are also in the
exit share, and in the exponent of expected later size in earlier size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import EstimationError
from baimo.estimation.growth.censored import CensoredGrowthFit, fit_censored_growth
from baimo.estimation.growth.size_exponent import (
    exponents_without,
    fit_size_exponent,
    jackknife_error,
)
from baimo.estimation.growth.survivors import WEEKS_PER_YEAR
from baimo.estimation.growth.two_dates import fit_population_growth
from baimo.pipeline.datasets._companions import require
from baimo.pipeline.datasets.defi import category_codes, category_rows
from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.derived import TVL_GROWTH_PERIODS
from baimo.pipeline.variables import (
    BIRTH_TRANSIENT_WEEKS,
    DAYS_PER_YEAR,
    DEFINITIONS,
    EXIT_THRESHOLD,
    Definition,
)

PROTOCOLS = "protocols"  # kind of recording
BY_ID, BY_NAME, WEEKS = "id", "name", "weeks"
SURVIVORS = "survivors"
# Of dates within a month of each other one is taken: that of the fitted tables, or the first.
DATES = (date(2022, 1, 10), date(2023, 2, 8), date(2023, 6, 27), date(2024, 3, 13))
QUARTER = timedelta(days=91)
FEWEST_IN_YEAR = 10  # protocols of the weekly panel
DIGITS = 4


class Period(NamedTuple):
    """A row of tvl_growth_periods."""

    population: str
    joined_by: str
    before_on: date
    after_on: date
    n_at_risk: int | None
    n_grown: int
    log_drift: float
    log_drift_std_error: float
    log_drift_std_error_clustered: float
    sigma: float | None
    exit_share: float | None
    exit_std_error: float | None
    gbm_log_drift: float | None
    gbm_log_drift_std_error: float | None
    gbm_sigma: float | None
    gbm_exit_rate: float | None
    size_exponent: float | None
    size_exponent_std_error: float | None
    n_entrants: int | None
    log_entry_mean: float | None
    log_entry_sd: float | None


def of_protocols(frame: pl.DataFrame, _: str) -> pl.DataFrame:
    """Return protocols of several dates by id; those without a TVL have none."""
    require(frame, "name", "listed_at")
    rows = frame.select(
        pl.col("observed_on").cast(pl.Date),
        pl.col("id", "name", "category").cast(pl.String),
        pl.col("listed_at").cast(pl.Date),
        pl.col("tvl_usd").cast(pl.Float64).fill_null(0.0).clip(0.0),
    )
    twice = rows.filter(pl.struct("observed_on", "id").is_duplicated())["id"]
    if twice.len():
        raise SourceError(f"{twice.min()!r} has several rows on one day: keep one")
    return rows


def tabulate_periods(
    by_id: pl.DataFrame,
    later: pl.DataFrame,
    weekly: pl.DataFrame,
    dates: Sequence[date] = DATES,
) -> pl.DataFrame:
    """Measure growth over each period (`tvl_growth_periods`).

    Parameters
    ----------
    by_id
        What `of_protocols` gives.
    later
        Protocols of one later date by name: observed_on, name, category, tvl_usd.
    weekly
        Table tvl_weekly.
    dates
        Which dates of `by_id` bound the periods.

    Raises
    ------
    SourceError
        A date is not there.
    """
    known = _with_categories(by_id, later)
    sides = {day: known.filter(pl.col("observed_on") == day) for day in dates}
    absent = [str(day) for day, rows in sides.items() if rows.is_empty()]
    if absent:
        raise SourceError(f"no protocols by id of {', '.join(absent)}")
    rows = _survivors(weekly)
    for definition in DEFINITIONS:
        for day, next_day in pairwise(dates):
            pair = _joined(sides[day], sides[next_day], "id", definition)
            rows.append(_period(definition, BY_ID, day, next_day, pair, sides[day]))
        last = later["observed_on"][0]
        pair = _joined(sides[dates[-1]], later, "name", definition)
        rows.append(_period(definition, BY_NAME, dates[-1], last, pair, sides[dates[-1]]))
    table = pl.DataFrame(rows, schema=TVL_GROWTH_PERIODS.schema, orient="row")
    return table.with_columns(pl.col(pl.Float64).round_sig_figs(DIGITS)).sort(
        TVL_GROWTH_PERIODS.key
    )


def _with_categories(by_id: pl.DataFrame, later: pl.DataFrame) -> pl.DataFrame:
    """Give each protocol its last known category and listing date: by id, else by name."""
    dated = by_id.sort("observed_on")
    known = dated.group_by("id").agg(
        pl.col("category").drop_nulls().last(), pl.col("listed_at").drop_nulls().last()
    )
    named = later.drop_nulls("category").unique("name", keep="none")
    return (
        by_id.drop("category", "listed_at")
        .join(known, on="id", how="left")
        .join(named.select("name", named="category"), on="name", how="left")
        .with_columns(pl.coalesce("category", "named"))
        .drop("named")
    )


def _joined(
    before: pl.DataFrame, after: pl.DataFrame, key: str, definition: Definition
) -> pl.DataFrame:
    """Return positive DeFi protocols of the earlier date with their later TVL, NaN where gone.

    A key that two protocols of one date share is left out.
    """
    start = before.filter(definition.holds() & (pl.col("tvl_usd") > 0)).unique(key, keep="none")
    end = after.unique(key, keep="none").select(key, later=pl.col("tvl_usd").clip(0.0))
    joined = start.join(end, on=key, how="left", maintain_order="left")
    return joined.with_columns(pl.col("later").fill_null(math.nan))


def _period(
    definition: Definition,
    joined_by: str,
    before_on: date,
    after_on: date,
    pair: pl.DataFrame,
    listing: pl.DataFrame,
) -> Period:
    years = (after_on - before_on).days / DAYS_PER_YEAR
    before, after = pair["tvl_usd"].to_numpy(), pair["later"].to_numpy()
    fit = fit_population_growth(
        before, after, years=years, exit_threshold=EXIT_THRESHOLD, floor=EXIT_THRESHOLD
    )
    groups = category_rows(pair)
    gbm = _censored(before, after, years, category_codes(pair))
    exponent = fit_size_exponent(before, after, above=EXIT_THRESHOLD)
    clustered = jackknife_error(exponents_without(before, after, groups, above=EXIT_THRESHOLD))
    entrants = listing.filter(
        definition.holds()
        & (pl.col("tvl_usd") > 0)
        & pl.col("listed_at").is_between(before_on - QUARTER, before_on, closed="right")
    )["tvl_usd"].log()
    has_entrants = entrants.len() > 1
    return Period(
        population=definition.name,
        joined_by=joined_by,
        before_on=before_on,
        after_on=after_on,
        n_at_risk=fit.n_at_risk,
        n_grown=fit.n_used,
        log_drift=fit.m,
        log_drift_std_error=fit.m_std_error,
        log_drift_std_error_clustered=_drift_error(pair, groups) / years,
        sigma=fit.sigma,
        exit_share=fit.exit_share,
        exit_std_error=math.sqrt(fit.exit_share * (1.0 - fit.exit_share) / fit.n_at_risk),
        gbm_log_drift=gbm.m if gbm else None,
        gbm_log_drift_std_error=gbm.std_errors[0] if gbm else None,
        gbm_sigma=gbm.sigma if gbm else None,
        gbm_exit_rate=gbm.exit_rate if gbm else None,
        size_exponent=exponent.exponent,
        size_exponent_std_error=max(exponent.std_error, clustered),
        n_entrants=entrants.len() if has_entrants else None,
        log_entry_mean=float(entrants.to_numpy().mean()) if has_entrants else None,
        log_entry_sd=float(entrants.to_numpy().std(ddof=1)) if has_entrants else None,
    )


def _censored(
    before: Floats, after: Floats, years: float, categories: Ints
) -> CensoredGrowthFit | None:
    """Return growth and exit of all at risk, categories as clusters; None where there is none."""
    try:
        return fit_censored_growth(
            before, after, years=years, floor=EXIT_THRESHOLD, clusters=categories
        )
    except EstimationError:
        return None


def _drift_error(pair: pl.DataFrame, groups: Sequence[Ints]) -> float:
    """Return the standard error of mean log growth by a jackknife over categories."""
    before, after = pair["tvl_usd"].to_numpy(), pair["later"].to_numpy()
    kept = (before > EXIT_THRESHOLD) & (after > EXIT_THRESHOLD)
    growth = np.where(kept, np.log(np.where(kept, after, 1.0) / np.where(kept, before, 1.0)), 0.0)
    total, n = growth.sum(), kept.sum()
    without = [(total - growth[g].sum()) / (n - kept[g].sum()) for g in groups if kept[g].any()]
    return jackknife_error(np.array(without))


def _survivors(weekly: pl.DataFrame) -> list[Period]:
    """Return the mean weekly growth of the panel by calendar year, launches left out."""
    grown = weekly.filter(pl.col("age_weeks") >= BIRTH_TRANSIENT_WEEKS)
    found = []
    for (year,), rows in grown.group_by(pl.col("week").dt.year(), maintain_order=True):
        items = rows["protocol_number"].n_unique()
        if items < FEWEST_IN_YEAR:
            continue
        growth = rows["log_growth"].to_numpy() * WEEKS_PER_YEAR
        off = rows.select("protocol_number", "week", off=pl.Series(growth - growth.mean()))
        by_item, by_week = (
            float((off.group_by(key).agg(pl.col("off").sum())["off"] ** 2).sum())
            for key in ("protocol_number", "week")
        )
        alone = float(off["off"].to_numpy() @ off["off"].to_numpy())
        two_way = max(by_item + by_week - alone, by_item, by_week)
        found.append(
            Period(
                SURVIVORS,
                WEEKS,
                date(int(str(year)), 1, 1),
                date(int(str(year)) + 1, 1, 1),
                None,
                items,
                float(growth.mean()),
                math.sqrt(alone) / growth.size,
                math.sqrt(two_way) / growth.size,
                *[None] * 12,
            )
        )
    return found
