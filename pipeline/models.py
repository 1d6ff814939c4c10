"""Calibrate preferential attachment and GBM growth on the tables; run eq 19 as printed.

`baimo.pipeline.mechanisms` draws what is calibrated here.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.attachment.cross_section import SimonFit, YuleFit, fit_simon, fit_yule
from baimo.estimation.attachment.entry import EntryFit, fit_entry
from baimo.estimation.errors import ConvergenceWarning, DataError
from baimo.estimation.growth.entry import EntryTrendFit, fit_entry_growth
from baimo.estimation.growth.survivors import PanelGrowthFit, fit_panel_growth
from baimo.estimation.growth.two_dates import PopulationGrowthFit, fit_population_growth
from baimo.estimation.results import Estimate, registered
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.measures import (
    BIRTH_TRANSIENT_WEEKS,
    DAYS_PER_YEAR,
    DEFI_START,
    LISTING_FLOOR,
    expand,
    hub_ages,
)
from baimo.pipeline.settings import SEED
from baimo.simulation.attachment.printed import PrintedAttachmentParams, simulate_printed_steps
from baimo.simulation.growth.gbm import GrowthParams, mixture_ccdf

QUARTER_MIDDLE_DAYS = 45
N_BOOTSTRAP, FEWEST_WITH_TAIL, FEWEST_CATEGORIES = 400, 100, 10
EXIT_THRESHOLD = 1e4  # USD; below it a protocol counts as gone


@registered("AttachmentCalibration")
@dataclass(frozen=True, eq=False, kw_only=True)
class AttachmentCalibration:
    """PA on the Hub: entry from the ages, Yule from likes over ages, Simon from each total.

    Parameters
    ----------
    ages, n_models : (a,)
        Age in years of the dated models, and how many have it: what a Yule simulation needs.
    """

    entry: EntryFit
    yule_likes: YuleFit
    simon_downloads: SimonFit
    simon_likes: SimonFit
    ages: Floats
    n_models: Ints


@registered("ZetaBootstrap")
@dataclass(frozen=True, kw_only=True)
class ZetaBootstrap:
    """95 % interval of the asymptotic zeta over the resamples that have one.

    Parameters
    ----------
    low, high
        Ends, percentiles.
    without_tail
        Share of the resamples in which exit and growing entry sum to nothing: ages then have no
        stationary mixture, and sizes no tail.
    """

    low: float
    high: float
    without_tail: float


@registered("GrowthCalibration")
@dataclass(frozen=True, eq=False, kw_only=True)
class GrowthCalibration:
    """GBM on DeFi: population, survivors' panel, entry, and the start of every path.

    Parameters
    ----------
    population, alive
        Growth of all protocols positive on both dates, and of those above the exit threshold
        on both: the second, with the exit hazard, is what the simulations use.
    entry
        Trend of listings, None with fewer than four whole quarters.
    log_entry : (e,)
        Log TVL of protocols listed in the last quarter: observed entry sizes.
    ages : (n,)
        Age of each protocol with a positive TVL on the earlier date, in years.
    n_age_assumed
        How many of them have no listing date and got the middle of the time before listing
        dates began.
    ks_growth, ks_entry_only
        Kolmogorov-Smirnov distance of the positive sizes from the lognormal mixture, and from
        the entry sizes alone, as if nothing had grown.
    zeta_bootstrap
        The asymptotic zeta over resamples of whole categories of protocols; None where fewer
        than a hundred of four hundred have a tail, or one cannot be measured.
    """

    population: PopulationGrowthFit
    alive: PopulationGrowthFit
    panel: PanelGrowthFit
    entry: EntryTrendFit | None
    log_entry: Floats
    ages: Floats
    n_age_assumed: int
    ks_growth: float = math.nan
    ks_entry_only: float = math.nan
    zeta_bootstrap: ZetaBootstrap | None = None

    @property
    def params(self) -> GrowthParams:
        """Return the calibrated GBM, entry growth included."""
        return self.alive.params(entry_growth=self.entry.rate if self.entry else 0.0)

    @property
    def survivors(self) -> GrowthParams:
        """Return the GBM that the survivors' panel alone would give: no exit, winners' drift."""
        sigma = self.panel.sigma_total
        return GrowthParams(
            mu=self.panel.drift_survivors + 0.5 * sigma**2,
            sigma=sigma,
            entry_growth=self.entry.rate if self.entry else 0.0,
        )

    @property
    def zeta(self) -> Estimate:
        """Return the asymptotic zeta with its delta-method error, None where none exists."""
        p = self.params
        rate = p.exit_rate + p.entry_growth
        if rate <= 0:
            return Estimate(value=None)
        zeta, s2 = p.zeta, p.sigma**2
        slope = s2 * zeta + p.m
        gradient = np.array([-zeta, -(zeta**2) / 2.0]) / slope  # in (m, sigma^2)
        errors = (self.alive.exit_std_error, self.entry.std_error if self.entry else None)
        turnover = sum((error or 0.0) ** 2 for error in errors)
        variance = float(gradient @ self.alive.covariance @ gradient) + turnover / slope**2
        return Estimate(value=zeta, std_error=math.sqrt(variance))


def calibrate_attachment(
    frequency: pl.DataFrame, downloads: Counts, likes: Counts, effects: pl.DataFrame, day: date
) -> AttachmentCalibration:
    """Calibrate preferential attachment from one cross-section of the Hub."""
    dated, horizon = hub_ages(frequency, day)
    effect = effects.filter((pl.col("measure") == "age") & (pl.col("statistic") == "mean"))
    entry = fit_entry(
        dated["age"].to_numpy(),
        dated["n_models"].to_numpy(),
        horizon=horizon,
        design_effect=float(effect["design_effect"][0]) if effect.height else None,
    )
    censored = downloads.n_obs - entry.n_used
    entry = replace(
        entry,
        n_obs=downloads.n_obs,
        notes=(f"{censored:,} models of the floor day 2022-03-02 left out: age unknown",),
    )
    profile = dated.group_by("age", "likes").agg(pl.col("n_models").sum()).sort("age", "likes")
    by_age = dated.group_by("age").agg(pl.col("n_models").sum()).sort("age")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the report says it in words
        yule = fit_yule(
            profile["age"].to_numpy(),
            profile["likes"].to_numpy(),
            profile["n_models"].to_numpy(),
            entry=entry,
        )
    return AttachmentCalibration(
        entry=entry,
        yule_likes=yule,
        simon_downloads=fit_simon(downloads),
        simon_likes=fit_simon(likes),
        ages=by_age["age"].to_numpy(),
        n_models=by_age["n_models"].to_numpy(),
    )


def calibrate_growth(
    population: pl.DataFrame, listing: pl.DataFrame, weekly: pl.DataFrame
) -> GrowthCalibration:
    """Calibrate the GBM from two dates of the population, one day's ages and a weekly panel."""
    pair = expand(population, "n_protocols")
    before_on, after_on = pair["before_on"][0], pair["after_on"][0]
    moved = pair.filter(pl.col("tvl_before") > 0)
    before, after = moved["tvl_before"].to_numpy(), moved["tvl_after"].fill_null(np.nan).to_numpy()
    years = (after_on - before_on).days / DAYS_PER_YEAR
    grown = weekly.filter(pl.col("age_weeks") >= BIRTH_TRANSIENT_WEEKS)
    panel = fit_panel_growth(
        grown["protocol_number"].to_numpy(),
        (grown["week"].cast(pl.Int32) // 7).to_numpy(),
        grown["log_growth"].to_numpy(),
    )
    rows = expand(listing, "n_protocols")
    observed_on = rows["observed_on"][0]
    alive = rows.filter(pl.col("tvl_usd") > 0)
    assumed = (observed_on - (DEFI_START + (LISTING_FLOOR - DEFI_START) / 2)).days
    listed = (pl.lit(observed_on) - pl.col("listed_on")).dt.total_days() - QUARTER_MIDDLE_DAYS
    ages = alive.select(
        pl.max_horizontal(listed, pl.lit(1)).fill_null(assumed) / DAYS_PER_YEAR
    ).to_series()
    listings = rows.drop_nulls("listed_on")
    newest = listings["listed_on"].max()
    entry_sizes = alive.filter(pl.col("listed_on") == newest)["tvl_usd"].log()
    calibration = GrowthCalibration(
        population=fit_population_growth(before, after, years=years),
        alive=fit_population_growth(
            before, after, years=years, exit_threshold=EXIT_THRESHOLD, floor=EXIT_THRESHOLD
        ),
        panel=panel,
        entry=_entry_growth(listings, observed_on),
        log_entry=entry_sizes.sort().to_numpy(),
        ages=np.where(alive["listed_on"].is_null(), assumed / DAYS_PER_YEAR, ages.to_numpy()),
        n_age_assumed=alive["listed_on"].null_count(),
    )
    sizes = alive["tvl_usd"].sort().to_numpy()
    mixture = 1.0 - mixture_ccdf(calibration.params, sizes, calibration.log_entry, calibration.ages)
    entry = np.searchsorted(calibration.log_entry, np.log(sizes), side="right")
    return replace(
        calibration,
        ks_growth=_ks(mixture),
        ks_entry_only=_ks(entry / calibration.log_entry.size),
        zeta_bootstrap=_bootstrap_zeta(calibration, moved, before, after, years),
    )


def _bootstrap_zeta(
    calibration: GrowthCalibration,
    moved: pl.DataFrame,
    before: Floats,
    after: Floats,
    years: float,
) -> ZetaBootstrap | None:
    """Resample protocols by category, and draw the trend of entry from its error."""
    rng = np.random.default_rng([SEED, 39])
    parts = category_rows(moved)
    entry, found = calibration.entry, []
    for _ in range(N_BOOTSTRAP):
        chosen = np.concatenate([parts[i] for i in rng.integers(0, len(parts), len(parts))])
        trend = 0.0 if entry is None else entry.rate + entry.std_error * rng.standard_normal()
        try:
            fit = fit_population_growth(
                before[chosen],
                after[chosen],
                years=years,
                exit_threshold=EXIT_THRESHOLD,
                floor=EXIT_THRESHOLD,
            )
        except DataError:
            return None
        params = fit.params(entry_growth=float(trend))
        if params.exit_rate + params.entry_growth > 0:
            found.append(params.zeta)
    if len(found) < FEWEST_WITH_TAIL:
        return None
    low, high = np.quantile(found, [0.025, 0.975])
    return ZetaBootstrap(
        low=float(low), high=float(high), without_tail=1.0 - len(found) / N_BOOTSTRAP
    )


def category_rows(protocols: pl.DataFrame) -> list[Ints]:
    """Return the rows of each category of protocols, those without one together.

    Fewer than ten categories say little of what they share: each protocol is then its own.
    """
    codes = protocols["category"].fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
    if codes.max(initial=0) + 1 < FEWEST_CATEGORIES:
        return list(np.arange(codes.size)[:, None])
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes))[:-1])


def _ks(model_cdf: Floats) -> float:
    """Return the distance of a model's CDF, taken at the sorted sample, from the sample's."""
    n = model_cdf.size
    steps = np.arange(n + 1) / n
    return float(max(np.max(model_cdf - steps[:-1]), np.max(steps[1:] - model_cdf)))


def _entry_growth(listings: pl.DataFrame, until: date) -> EntryTrendFit | None:
    """Fit the Poisson trend of listings over whole quarters, None with fewer than four."""
    whole = listings.filter(
        (pl.col("listed_on") > LISTING_FLOOR)
        & (pl.col("listed_on").dt.offset_by("1q") <= pl.lit(until).dt.offset_by("7d"))
    )
    per_quarter = whole.group_by("listed_on").len().sort("listed_on")["len"].to_numpy()
    if per_quarter.size < 4:
        return None
    return fit_entry_growth(per_quarter, step_years=0.25)


@registered("PrintedEquation")
@dataclass(frozen=True, kw_only=True)
class PrintedEquation:
    """What eq 19 as printed yields from equal starts, at full size, for several volatilities.

    Parameters
    ----------
    n_items, days
        Size and horizon of the simulation; total inflow is that of the data.
    noise : tuple
        Volatilities, as the standard deviation over the horizon in units of the start.
    zetas : tuple
        CCDF exponent of the largest items for each: large means no tail.
    skewness, excess_kurtosis : tuple
        0 and 0 for the normal distribution that the theory predicts.
    share_negative : tuple
        Share of items driven below zero, which the printed equation allows.
    """

    n_items: int
    days: float
    noise: tuple[float, ...]
    zetas: tuple[float, ...]
    skewness: tuple[float, ...]
    excess_kurtosis: tuple[float, ...]
    share_negative: tuple[float, ...]


PRINTED_NOISE = (0.1, 0.5, 1.0)
PRINTED_STEPS = 24


def simulate_printed_equation(calibration: AttachmentCalibration, seed: int) -> PrintedEquation:
    """Run eq 19 step by step at the Hub's number of models and total likes; measure the result.

    Half of the observed total is there at the start, in equal parts, so that every inequality
    comes from the equation.
    """
    from scipy import stats

    from baimo.estimation.tails.power_law import fit_tail

    n, total = calibration.simon_likes.n_obs, calibration.simon_likes.total
    days = calibration.entry.horizon * DAYS_PER_YEAR
    start = np.full(n, 0.5 * total / n)
    rows = []
    for i, noise in enumerate(PRINTED_NOISE):
        params = PrintedAttachmentParams(
            eta=0.5 * total / days, sigma=noise * float(start[0]) / math.sqrt(days)
        )
        rng = np.random.default_rng([seed, 19, i])
        sizes = simulate_printed_steps(params, start, days, PRINTED_STEPS, rng)
        upper = np.sort(sizes[sizes > 0])[-max(min(n // 2, 100), n // 100) :]
        tail = fit_tail(upper, discrete=False, x_min=float(upper[0]))
        rows.append(
            (
                tail.zeta,
                float(stats.skew(sizes)),
                float(stats.kurtosis(sizes)),
                float(np.mean(sizes < 0)),
            )
        )
    zetas, skewness, kurtosis, negative = zip(*rows, strict=True)
    return PrintedEquation(
        n_items=n,
        days=days,
        noise=PRINTED_NOISE,
        zetas=zetas,
        skewness=skewness,
        excess_kurtosis=kurtosis,
        share_negative=negative,
    )
