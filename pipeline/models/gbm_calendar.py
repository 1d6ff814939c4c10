"""Geometric Brownian growth of TVL with the drift of each period that protocols lived through.

The GBM of `baimo.pipeline.models.gbm` applies the drift of one interval to all ages. Here drift is
a path by calendar, as the table tvl_growth_periods has it: by id from 2022 on, by name to the last
date, and before 2022 that of survivors, an upper bound; sizes at entry are those of the time of
entry, where listing dates tell them. Beside it stands the constant drift that the cross-section
asks for: of all, of those with a listing date, of those dated by the first commit of their adapter
alone, and of those whose age is assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError
from baimo.estimation.growth.mixture_drift import MixtureDriftFit, fit_mixture_drift
from baimo.estimation.results import Estimate, registered
from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.curves import Line, ks_of_cdf
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import UNDATED, CohortSample
from baimo.pipeline.analysis.tvl_statistics import Mixture
from baimo.pipeline.datasets.defi import category_codes, is_dated_by_adapter, is_listed
from baimo.pipeline.datasets.growth_periods import SURVIVORS
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.models.base import (
    GROWTH,
    FittedModel,
    Prediction,
    Sampler,
    Values,
    Yardstick,
    fitted_model,
)
from baimo.pipeline.models.gbm import GROWTH_FIT, LARGEST, GrowthCalibration
from baimo.pipeline.schema.derived import DEFI_LISTING, TVL_GROWTH_PERIODS
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.statistics import MIXTURE_KS, TAIL_ITEMS, TOP_1PCT, ZETA
from baimo.pipeline.variables import DAYS_PER_YEAR, HEADLINE, TVL, Definition, Variable, expand
from baimo.simulation.growth.calendar import DriftPath, Lives, lives_ccdf, simulate_lives

ALL, LISTED, BY_ADAPTER, NOT_DATED = "all", "listed", "by_adapter", "undated"


@registered("CalendarGrowth")
@dataclass(frozen=True, eq=False, kw_only=True)
class CalendarGrowth:
    """Drift by calendar, what each protocol lived through, and the constant drift asked for.

    Parameters
    ----------
    starts, drifts, drift_errors : (k,)
        Years since 1970 at which each period begins; drift of the log and its clustered error,
        1/yr. Empty without the table of periods.
    first_days : (k,)
        The same beginnings as ISO days.
    sigma
        Of the two fitted dates, yr^-1/2.
    now
        The day of the cross-section, years since 1970.
    ages, entry_mean, entry_sd : (n,)
        Of each protocol with a positive TVL: years, and mean and sd of log sizes at its entry.
    shape : (e,)
        Log entry sizes of the last quarter, standardised.
    ks
        Distance of the positive sizes from the mixture along the path; None without one.
    asked
        The constant drift nearest to the sizes of all, of those with a listing date, of those
        dated by their adapter and of the undated, where there are enough of them.
    """

    starts: Floats
    drifts: Floats
    drift_errors: Floats
    first_days: tuple[str, ...]
    sigma: float
    now: float
    ages: Floats
    entry_mean: Floats
    entry_sd: Floats
    shape: Floats
    ks: float | None
    asked: dict[str, MixtureDriftFit]

    def lives(self, drifts: Floats) -> Lives:
        """Return the lives under drifts of the periods."""
        path = DriftPath(starts=self.starts, drifts=drifts)
        return Lives(
            ages=self.ages,
            drift=path.between(self.now - self.ages, self.now),
            entry_mean=self.entry_mean,
            entry_sd=self.entry_sd,
        )


CALENDAR_FIT: Stored[CalendarGrowth] = Stored("calendar_fit", CalendarGrowth)


def _parameters(fit: CalendarGrowth) -> Iterator[Row]:
    for who, asked in fit.asked.items():
        yield parameter_row(
            f"gbm_log_drift_asked_{who}",
            asked.estimates()["log_drift"],
            asked,
            "nearest lognormal mixture over ages and entry sizes",
            "39",
            f"Kolmogorov-Smirnov distance {asked.ks:.4f}",
        )
        if who == ALL and fit.ks is not None:
            e = Estimate(value=fit.ks)
            yield parameter_row("gbm_ks_calendar", e, asked, "mixture along the path", "39")


def _estimates(fit: CalendarGrowth) -> Iterator[tuple[str, Mapping[str, Estimate]]]:
    yield (
        "GBM: drift of the log by period",
        {
            f"from {day}": Estimate(value=float(m), std_error=float(s), unit="1/yr")
            for day, m, s in zip(fit.first_days, fit.drifts, fit.drift_errors, strict=True)
        },
    )
    yield (
        "GBM: constant drift that the sizes ask for",
        {who: asked.estimates()["log_drift"] for who, asked in fit.asked.items()},
    )


@calibration(
    CALENDAR_FIT,
    order=32,
    description="GBM with the drift of each period (eq 36-39), and the constant drift that the "
    "sizes of the day ask for.",
    needs=(GROWTH_FIT, DEFI_LISTING, TVL_GROWTH_PERIODS),
    shown=lambda fit: {
        "ks": fit.ks,
        **{f"log_drift_asked_{who}": asked.m for who, asked in fit.asked.items()},
    },
    parameters=_parameters,
    estimates=_estimates,
)
def calibrate_calendar_of(day: Day) -> CalendarGrowth:
    """Calibrate on the tables of a day."""
    return calibrate_calendar(
        day.read(GROWTH_FIT), day.table(DEFI_LISTING), day.table(TVL_GROWTH_PERIODS)
    )


def calibrate_calendar(
    growth: GrowthCalibration,
    listing: pl.DataFrame,
    periods: pl.DataFrame,
    definition: Definition = HEADLINE,
) -> CalendarGrowth:
    """Calibrate on the growth of two dates, one day's sizes, and the table of periods."""
    own = periods.filter(pl.col("population") == definition.name).sort("before_on")
    alive = expand(listing, "n_protocols").filter(pl.col("tvl_usd") > 0)
    now = _years(alive["observed_on"][0])
    path = _path(periods, own)
    mean, sd = float(growth.log_entry.mean()), float(growth.log_entry.std())
    means, sds = _entries(own, now - growth.ages, (now, mean, sd))
    fit = CalendarGrowth(
        starts=np.array([_years(day) for day in path["before_on"]]),
        drifts=path["drift"].to_numpy(),
        drift_errors=path["error"].to_numpy(),
        first_days=tuple(day.isoformat() for day in path["before_on"]),
        sigma=growth.at_risk.sigma,
        now=now,
        ages=growth.ages,
        entry_mean=means,
        entry_sd=sds,
        shape=(growth.log_entry - mean) / sd,
        ks=None,
        asked=_asked(growth, alive),
    )
    if path.is_empty():
        return fit
    sizes = alive["tvl_usd"].sort().to_numpy()
    cdf = 1.0 - lives_ccdf(fit.lives(fit.drifts), fit.shape, fit.sigma, sizes)
    return CalendarGrowth(**{**vars(fit), "ks": ks_of_cdf(cdf)})


def _years(day: date) -> float:
    return (day - date(1970, 1, 1)).days / DAYS_PER_YEAR


def _path(periods: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Return the periods of the path: the population's own, before them those of survivors.

    Drift is that of all at risk, and of survivors where that is all that is known.
    """
    first = own["before_on"].dt.year().min() if own.height else 0
    before = periods.filter(
        (pl.col("population") == SURVIVORS) & (pl.col("before_on").dt.year() < first)
    )
    return pl.concat([before.sort("before_on"), own]).with_columns(
        drift=pl.coalesce("gbm_log_drift", "log_drift"),
        error=pl.coalesce("gbm_log_drift_std_error", "log_drift_std_error_clustered"),
    )


def _entries(
    own: pl.DataFrame, born: Floats, today: tuple[float, float, float]
) -> tuple[Floats, Floats]:
    """Return mean and sd of log sizes at entry at each birth, between dates by interpolation.

    Before the first date on which they are known they are those of that date.
    """
    known = own.drop_nulls("n_entrants")
    rows = [
        (_years(day), mean, sd)
        for day, mean, sd in known.select("before_on", "log_entry_mean", "log_entry_sd").rows()
        if _years(day) < today[0]
    ]
    when, means, sds = np.array([*rows, today]).T
    return np.interp(born, when, means), np.interp(born, when, sds)


def _asked(growth: GrowthCalibration, alive: pl.DataFrame) -> dict[str, MixtureDriftFit]:
    """Return the constant drift that sizes ask for: of all, and by how their ages are known."""
    cluster = category_codes(alive)
    listed, by_adapter = alive.select(listed=is_listed(), adapter=is_dated_by_adapter())
    known = {LISTED: listed.to_numpy(), BY_ADAPTER: by_adapter.to_numpy()}
    known[NOT_DATED] = ~(known[LISTED] | known[BY_ADAPTER])
    newest = (alive["listed_on"] == alive["listed_on"].max()).fill_null(False).to_numpy()
    sizes = alive["tvl_usd"].to_numpy()
    entries: Ints = np.flatnonzero(newest)
    found = {}
    for who, kept in {ALL: np.full(alive.height, True), **known}.items():
        try:
            found[who] = fit_mixture_drift(
                sizes[kept],
                growth.ages[kept],
                np.log(sizes[entries]),
                sigma=growth.at_risk.sigma,
                clusters=cluster[kept],
                entry_clusters=cluster[entries],
            )
        except DataError:
            continue  # too few of them
    return found


@dataclass(frozen=True, eq=False)
class CalendarSampler:
    """Draws sizes grown along the path of given drifts."""

    fit: CalendarGrowth
    drifts: Floats

    def __call__(self, rng: np.random.Generator) -> CohortSample:
        """Return one sample; ages are in it and make no cohorts."""
        sizes = simulate_lives(self.fit.lives(self.drifts), self.fit.shape, self.fit.sigma, rng)
        return {UNDATED: Counts.from_sample(sizes)}


@fitted_model
class GbmCalendar(FittedModel):
    """Growth over the observed ages with the drift of each period."""

    name = "gbm_calendar"
    label = "GBM by period"
    colour = "#7e22ce"
    equations = "36-39"
    order = 75
    family = GROWTH
    variables = (TVL,)
    judged = (ZETA, TOP_1PCT, TAIL_ITEMS, *LARGEST, MIXTURE_KS)
    needs = (CALENDAR_FIT, TAILS[TVL.name])

    def parameters(self, day: Day, variable: Variable) -> dict[str, Estimate] | None:
        """Return the drift of each period, None without the table of periods."""
        fit = day.read(CALENDAR_FIT)
        if not fit.starts.size:
            return None
        return {
            f"gbm_drift_from_{first}": Estimate(value=float(m), std_error=float(error))
            for first, m, error in zip(fit.first_days, fit.drifts, fit.drift_errors, strict=True)
        }

    def sampler(self, day: Day, variable: Variable, values: Values) -> Sampler:
        """Return growth along the path."""
        fit = day.read(CALENDAR_FIT)
        drifts = np.array([values[f"gbm_drift_from_{first}"] for first in fit.first_days])
        return CalendarSampler(fit, drifts)

    def yardstick(self, day: Day, variable: Variable) -> Yardstick:
        """Return the distance from the mixture along the path."""
        fit = day.read(CALENDAR_FIT)
        return Mixture.of_law(lambda x: lives_ccdf(fit.lives(fit.drifts), fit.shape, fit.sigma, x))

    def predict(self, day: Day, variable: Variable) -> Prediction:
        """Return none: with a drift that changes there is no stationary tail."""
        return Prediction(None, "drift changes by period: no stationary tail")

    def predicted_ccdf(self, day: Day, variable: Variable) -> Line | None:
        """Return the mixture along the path."""
        fit, tail = day.read(CALENDAR_FIT), day.read(TAILS[variable.name])
        if not fit.starts.size:
            return None
        largest = float(tail.counts.values[-1])
        x = np.geomspace(largest * 1e-10, largest, 60)
        return x, lives_ccdf(fit.lives(fit.drifts), fit.shape, fit.sigma, x)
