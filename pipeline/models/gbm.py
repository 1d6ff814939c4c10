"""Geometric Brownian growth of TVL with entry and exit (eq 36-39).

Calibrated on the population between two dates, on the listings and on a weekly panel of survivors;
beside it the same with what the survivors alone would say, which shows what their choice does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats
from baimo.estimation.growth.asymptotic_zeta import (
    ZetaBootstrap,
    asymptotic_zeta,
    bootstrap_asymptotic_zeta,
)
from baimo.estimation.growth.censored import CensoredGrowthFit, fit_censored_growth
from baimo.estimation.growth.entry import EntryTrendFit, fit_entry_growth
from baimo.estimation.growth.size_exponent import SizeExponent
from baimo.estimation.growth.survivors import PanelGrowthFit, fit_panel_growth
from baimo.estimation.growth.two_dates import PopulationGrowthFit, fit_population_growth
from baimo.estimation.results import Estimate, registered
from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.curves import Line, ks_of_cdf
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import UNDATED, CohortSample, Statistics
from baimo.pipeline.analysis.tvl_statistics import Mixture
from baimo.pipeline.analysis.two_dates import measure_growth, size_exponent, two_dates
from baimo.pipeline.datasets.defi import (
    category_codes,
    category_rows,
    is_dated_by_adapter,
    protocol_ages,
)
from baimo.pipeline.errors import SourceError
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.models.base import (
    GROWTH,
    FileModel,
    FittedModel,
    IncrementSampler,
    Prediction,
    Sampler,
    Values,
    Yardstick,
    file_model,
    fitted_model,
)
from baimo.pipeline.schema.derived import DEFI_LISTING, DEFI_POPULATION, TVL_WEEKLY
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.settings import SEED
from baimo.pipeline.statistics import (
    EXIT_SHARE,
    GROWTH as GROWTH_STATISTICS,
    MIXTURE_KS,
    SIZE_SLOPE,
    TAIL_ITEMS,
    TOP_1PCT,
    UPPER,
    ZETA,
)
from baimo.pipeline.variables import (
    BIRTH_TRANSIENT_WEEKS,
    DAYS_PER_YEAR,
    EXIT_THRESHOLD,
    LISTING_FLOOR,
    TVL,
    Variable,
    expand,
)
from baimo.simulation.growth.gbm import GrowthParams, mixture_ccdf, simulate_growth
from baimo.simulation.growth.paths import PathParams, simulate_paths

SLOPE_DRAWS = 100
LARGEST = tuple(statistic for statistic, _ in UPPER[TVL.name])
FIRST_DATE = date(2020, 1, 1)  # of simulated files


@registered("GrowthCalibration")
@dataclass(frozen=True, eq=False, kw_only=True)
class GrowthCalibration:
    """GBM on DeFi: population, survivors' panel, entry, and the start of every path.

    Parameters
    ----------
    population, alive
        Growth of all protocols positive on both dates, and of those above the exit threshold
        on both.
    at_risk
        Growth and exit of all above the exit threshold on the first, those that fell below it
        censored, categories as clusters: what the simulations use.
    entry
        Trend of listings, None with fewer than four whole quarters.
    log_entry : (e,)
        Log TVL of protocols listed in the last quarter: observed entry sizes.
    ages : (n,)
        Age of each protocol with a positive TVL on the earlier date, in years: from its listing
        date, else from the first commit of its adapter, else assumed (`protocol_ages`).
    n_age_by_adapter, n_age_assumed
        How many of them have no listing date but that of their adapter, and how many neither.
    ks_growth, ks_entry_only
        Kolmogorov-Smirnov distance of the positive sizes from the lognormal mixture, and from
        the entry sizes alone, as if nothing had grown.
    exponent, exponent_error
        How expected later size grows with earlier size, of those above the exit threshold on the
        earlier date, the gone as zeros (1: Gibrat's law), and its error: the larger of the robust
        one and a jackknife over categories. None and NaN with too few.
    zeta_bootstrap
        The asymptotic zeta over resamples of whole categories of protocols; None where fewer
        than a hundred of four hundred have a tail, or one cannot be measured.
    """

    population: PopulationGrowthFit
    alive: PopulationGrowthFit
    at_risk: CensoredGrowthFit
    panel: PanelGrowthFit
    entry: EntryTrendFit | None
    log_entry: Floats
    ages: Floats
    n_age_by_adapter: int
    n_age_assumed: int
    ks_growth: float = math.nan
    ks_entry_only: float = math.nan
    zeta_bootstrap: ZetaBootstrap | None = None
    exponent: SizeExponent | None = None
    exponent_error: float = math.nan

    @property
    def params(self) -> GrowthParams:
        """Return the calibrated GBM, entry growth included."""
        return self.at_risk.params(entry_growth=self.entry.rate if self.entry else 0.0)

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
        return asymptotic_zeta(self.at_risk, self.entry)


GROWTH_FIT: Stored[GrowthCalibration] = Stored("growth_fit", GrowthCalibration)


def _shown(fit: GrowthCalibration) -> dict[str, float | None]:
    return {
        "mu_per_year": fit.at_risk.mu,
        "sigma_per_root_year": fit.at_risk.sigma,
        "exit_rate_per_year": fit.at_risk.exit_rate,
        "size_slope_per_year": fit.population.size_slope,
        "factor_share": fit.panel.factor_share,
        "asymptotic_zeta": fit.zeta.value,
    }


def _parameters(fit: GrowthCalibration) -> Iterator[Row]:
    floor = f"{fit.at_risk.floor:,.0f} USD"
    used = f"all above {floor} on the first of two dates; what the simulations use"
    method = "maximum likelihood, falls below the floor censored"
    for name, e in fit.at_risk.estimates().items():
        yield parameter_row(f"gbm_{name}", e, fit.at_risk, method, "36", used)
    method = "matched population, two dates"
    of_alive = fit.alive.estimates()
    for name in ("mu", "sigma", "log_drift"):
        yield parameter_row(
            f"gbm_{name}_both_dates",
            of_alive[name],
            fit.alive,
            method,
            "36",
            f"above {floor} on both dates",
        )
    yield parameter_row("gbm_size_slope", of_alive["size_slope"], fit.alive, method, "38", "")
    for name, e in fit.population.estimates().items():
        parameter = "gbm_exit_rate_all" if name == "exit_rate" else f"gbm_{name}_all_positive"
        row = parameter_row(parameter, e, fit.population, method, "36-38")
        if name == "exit_rate":
            n = fit.population.n_at_risk
            row |= {"n_obs": n, "n_used": n, "notes": "all that are gone, falls as well"}
        yield row
    if fit.exponent is not None:
        e = Estimate(value=fit.exponent.exponent, std_error=fit.exponent_error)
        row = parameter_row("gbm_size_exponent", e, fit.population, "Poisson PML, two dates", "38")
        gone = f"{fit.exponent.n_gone} that are gone count as zero"
        yield row | {"n_used": fit.exponent.n_used, "notes": gone}
    for name, e in fit.panel.estimates().items():
        yield parameter_row(
            "gbm_sigma_idiosyncratic" if name == "sigma_idiosyncratic" else f"gbm_panel_{name}",
            e,
            fit.panel,
            "weekly panel of survivors",
            "36",
        )
    if fit.entry is not None:
        e = fit.entry.estimates()["entry_growth"]
        yield parameter_row("gbm_entry_growth", e, fit.entry, "Poisson trend of listings", "39")
    for name, ks in (("growth", fit.ks_growth), ("entry_only", fit.ks_entry_only)):
        row = parameter_row(
            f"gbm_ks_{name}",
            Estimate(value=ks),
            fit.at_risk,
            "distance of the positive TVL from the lognormal mixture, or from entry sizes alone",
            "39",
        )
        yield row | {"n_obs": fit.ages.size, "n_used": fit.ages.size, "notes": ""}
    yield parameter_row(
        "gbm_zeta_asymptotic",
        fit.zeta,
        fit.at_risk,
        "root of the corrected eq 39, delta method",
        "39 corrected",
        "holds only for a long history; entrants' sizes taken as not growing",
    )
    if (drawn := fit.zeta_bootstrap) is not None:
        yield parameter_row(
            "gbm_zeta_asymptotic_bootstrap",
            Estimate(value=fit.zeta.value, interval=(drawn.low, drawn.high)),
            fit.at_risk,
            "the same, protocols resampled by category",
            "39 corrected",
            f"of resamples with a tail; {drawn.without_tail:.0%} have none: turnover of ages "
            "not above zero",
        )


def _estimates(fit: GrowthCalibration) -> Iterator[tuple[str, Mapping[str, Estimate]]]:
    yield "GBM: above the exit threshold at first", fit.at_risk.estimates()
    yield "GBM: above the exit threshold on both dates", fit.alive.estimates()
    yield "GBM: all positive", fit.population.estimates()
    yield "GBM: survivors' panel", fit.panel.estimates()
    yield "GBM: entry", fit.entry.estimates() if fit.entry else {}
    asymptotic = {"zeta": fit.zeta}
    if (drawn := fit.zeta_bootstrap) is not None:
        name = f"zeta resampled ({drawn.without_tail:.0%} of resamples without a tail)"
        asymptotic[name] = Estimate(value=fit.zeta.value, interval=(drawn.low, drawn.high))
    yield "GBM: asymptotic", asymptotic


@calibration(
    GROWTH_FIT,
    order=30,
    description="GBM growth (eq 36-39): drift, dispersion, exit and size dependence of the "
    "population; common factor and noise of the survivors' panel; entry.",
    needs=(DEFI_POPULATION, DEFI_LISTING, TVL_WEEKLY),
    shown=_shown,
    parameters=_parameters,
    estimates=_estimates,
)
def calibrate_growth_of(day: Day) -> GrowthCalibration:
    """Calibrate the GBM on the tables of a day."""
    return calibrate_growth(
        day.table(DEFI_POPULATION), day.table(DEFI_LISTING), day.table(TVL_WEEKLY)
    )


def calibrate_growth(
    population: pl.DataFrame, listing: pl.DataFrame, weekly: pl.DataFrame, *, resampled: bool = True
) -> GrowthCalibration:
    """Calibrate the GBM from two dates of the population, one day's ages and a weekly panel.

    Not resampled, it lacks `zeta_bootstrap`, which takes half of the time.
    """
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
    n_by_adapter = alive.filter(is_dated_by_adapter()).height
    listings = rows.drop_nulls("listed_on")
    newest = listings["listed_on"].max()
    entry_sizes = alive.filter(pl.col("listed_on") == newest)["tvl_usd"].log()
    calibration = GrowthCalibration(
        population=fit_population_growth(before, after, years=years),
        alive=fit_population_growth(
            before, after, years=years, exit_threshold=EXIT_THRESHOLD, floor=EXIT_THRESHOLD
        ),
        at_risk=fit_censored_growth(
            before,
            after,
            years=years,
            floor=EXIT_THRESHOLD,
            clusters=category_codes(moved),
        ),
        panel=panel,
        entry=_entry_growth(listings, observed_on),
        log_entry=entry_sizes.sort().to_numpy(),
        ages=protocol_ages(alive),
        n_age_by_adapter=n_by_adapter,
        n_age_assumed=alive["listed_on"].null_count() - n_by_adapter,
    )
    exponent, exponent_error = size_exponent(population)
    sizes = alive["tvl_usd"].sort().to_numpy()
    mixture = 1.0 - mixture_ccdf(calibration.params, sizes, calibration.log_entry, calibration.ages)
    entry = np.searchsorted(calibration.log_entry, np.log(sizes), side="right")
    return replace(
        calibration,
        exponent=exponent,
        exponent_error=exponent_error,
        ks_growth=ks_of_cdf(mixture),
        ks_entry_only=ks_of_cdf(entry / calibration.log_entry.size),
        zeta_bootstrap=bootstrap_asymptotic_zeta(
            before,
            after,
            category_rows(moved),
            calibration.entry,
            years=years,
            floor=EXIT_THRESHOLD,
            rng=np.random.default_rng([SEED, 39]),
        )
        if resampled
        else None,
    )


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


def population_growth(values: Values) -> GrowthParams:
    """Return GBM at a given log drift, squared volatility and hazard of exit."""
    s2, exit_rate = max(values["gbm_sigma2"], 1e-6), max(values["gbm_exit_rate"], 0.0)
    return GrowthParams(mu=values["gbm_m"] + 0.5 * s2, sigma=math.sqrt(s2), exit_rate=exit_rate)


@dataclass(frozen=True, eq=False)
class GrowthSampler:
    """Draws sizes grown over the observed ages from entry sizes like the observed ones.

    Parameters
    ----------
    params
        Of the growth.
    log_entry, ages : (e,), (n,)
        Log entry sizes, resampled in each draw: they are a sample too; and the age of each item in
        years.
    """

    params: GrowthParams
    log_entry: Floats
    ages: Floats

    def __call__(self, rng: np.random.Generator) -> CohortSample:
        """Return one sample; ages are in it and make no cohorts."""
        entry = rng.choice(self.log_entry, self.log_entry.size)
        sizes = simulate_growth(self.params, entry, self.ages, rng)
        return {UNDATED: Counts.from_sample(sizes)}


@dataclass(frozen=True, eq=False)
class NextDate:
    """Draws growth over an interval from the observed sizes, measured as the data were.

    Parameters
    ----------
    params
        Of the growth.
    before : (n,)
        Sizes at the beginning, USD.
    years
        Length of the interval.
    """

    params: GrowthParams
    before: Floats
    years: float

    def __call__(self, rng: np.random.Generator) -> Statistics:
        """Return the statistics of growth against size."""
        p, n = self.params, self.before.size
        growth = p.m * self.years + p.sigma * math.sqrt(self.years) * rng.standard_normal(n)
        gone = rng.random(n) < -math.expm1(-p.exit_rate * self.years)
        after = np.where(gone, math.nan, self.before * np.exp(growth))
        return measure_growth(self.before, after, self.years)


def next_date(params: GrowthParams, population: pl.DataFrame) -> NextDate:
    """Return a draw of growth from the first of two dates of a population."""
    before, _, years = two_dates(population)
    return NextDate(params, before, years)


def slope_under_gbm(calibration: GrowthCalibration, population: pl.DataFrame) -> float:
    """Return the mean slope of a GBM, which has none, measured with the floor on both dates."""
    draw = next_date(calibration.params, population)
    samples = (draw(np.random.default_rng([SEED, 38, i])) for i in range(SLOPE_DRAWS))
    found = [s[SIZE_SLOPE.name] for s in samples if s]
    return float(np.mean(found)) if found else math.nan


@fitted_model
class Gbm(FittedModel):
    """Growth of the population, exits included."""

    name = "gbm"
    label = "GBM"
    colour = "#15803d"
    equations = "36-39"
    order = 70
    family = GROWTH
    variables = (TVL,)
    judged = (ZETA, TOP_1PCT, TAIL_ITEMS, *LARGEST, MIXTURE_KS, *GROWTH_STATISTICS)
    tuned = (EXIT_SHARE,)
    needs = (GROWTH_FIT, DEFI_POPULATION, TAILS[TVL.name])

    def parameters(self, day: Day, variable: Variable) -> dict[str, Estimate]:
        """Return log drift, squared volatility and hazard of those above the exit threshold."""
        fit = day.read(GROWTH_FIT).at_risk
        of_m, of_sigma2, of_exit = fit.std_errors
        return {
            "gbm_m": Estimate(value=fit.m, std_error=of_m),
            "gbm_sigma2": Estimate(value=fit.sigma**2, std_error=of_sigma2),
            "gbm_exit_rate": Estimate(value=fit.exit_rate, std_error=of_exit),
        }

    def sampler(self, day: Day, variable: Variable, values: Values) -> Sampler:
        """Return growth over the observed ages."""
        fit = day.read(GROWTH_FIT)
        return GrowthSampler(population_growth(values), fit.log_entry, fit.ages)

    def yardstick(self, day: Day, variable: Variable) -> Yardstick:
        """Return the distance from the lognormal mixture at the estimate."""
        fit = day.read(GROWTH_FIT)
        return Mixture.of(fit.params, fit.log_entry, fit.ages)

    def increments(self, day: Day, variable: Variable, values: Values) -> IncrementSampler:
        """Return growth from the first of the two dates to the second."""
        return next_date(population_growth(values), day.table(DEFI_POPULATION))

    def predict(self, day: Day, variable: Variable) -> Prediction:
        """Return the asymptotic zeta."""
        return Prediction(day.read(GROWTH_FIT).zeta.value)

    def predicted_ccdf(self, day: Day, variable: Variable) -> Line:
        """Return the lognormal mixture over the observed ages and entry sizes."""
        fit, largest = day.read(GROWTH_FIT), float(day.read(TAILS[variable.name]).counts.values[-1])
        x = np.geomspace(largest * 1e-10, largest, 60)
        return x, mixture_ccdf(fit.params, x, fit.log_entry, fit.ages)


@fitted_model
class GbmSurvivors(FittedModel):
    """Growth as the survivors' panel alone would have it."""

    name = "gbm_survivors"
    label = "GBM survivors"
    colour = "#a16207"
    equations = "36-39"
    order = 80
    family = GROWTH
    variables = (TVL,)
    judged = (ZETA, TOP_1PCT, TAIL_ITEMS, *LARGEST)
    needs = (GROWTH_FIT,)
    in_overview = False

    def parameters(self, day: Day, variable: Variable) -> dict[str, Estimate]:
        """Return the drift of the survivors; its error is that of a panel with common shocks."""
        fit = day.read(GROWTH_FIT)
        error = fit.panel.drift_survivors_std_error
        return {"gbm_survivors_mu": Estimate(value=fit.survivors.mu, std_error=error)}

    def sampler(self, day: Day, variable: Variable, values: Values) -> Sampler:
        """Return growth over the observed ages with the winners' drift and no exit."""
        fit = day.read(GROWTH_FIT)
        params = GrowthParams(mu=values["gbm_survivors_mu"], sigma=fit.survivors.sigma)
        return GrowthSampler(params, fit.log_entry, fit.ages)

    def predict(self, day: Day, variable: Variable) -> Prediction:
        """Return the asymptotic zeta of the survivors' growth."""
        p = day.read(GROWTH_FIT).survivors
        exists = p.exit_rate + p.entry_growth > 0
        return Prediction(p.zeta if exists else None, "drift of today's largest, no exits")


def _sample(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    params = PathParams(
        mu=v["mu"],
        sigma_idiosyncratic=v["sigma_idiosyncratic"],
        sigma_common=v["sigma_common"],
        exit_rate=v["exit_rate"],
    )
    step = round(v["step_days"])
    steps = round(v["years"] * DAYS_PER_YEAR / step) if step >= 1 else 0
    if steps < 1:
        raise SourceError("years and step_days must give at least one step of a day or more")
    days = np.arange(steps + 1) * step
    log_entry = v["log_entry_mean"] + v["log_entry_sd"] * rng.standard_normal(n)
    paths = np.asarray(simulate_paths(params, days / DAYS_PER_YEAR, log_entry, rng))
    if np.isinf(paths).any() or not np.isfinite(paths).any():
        raise SourceError("sizes beyond what numbers hold: lower mu, years or log_entry_mean")
    item, when = np.nonzero(np.isfinite(paths))
    dates = pl.Series([FIRST_DATE + timedelta(days=int(d)) for d in days])
    return pl.DataFrame({"item": item, "date": dates[when], "value": paths[item, when]})


file_model(
    FileModel(
        name="gbm",
        order=60,
        prefix="gbm",
        defaults={
            "mu": 0.1,
            "sigma_idiosyncratic": 0.9,
            "sigma_common": 0.0,
            "exit_rate": 0.0,
            "years": 3.0,
            "step_days": 7.0,
            "log_entry_mean": 14.0,
            "log_entry_sd": 2.0,
        },
        meaning={
            "mu": "drift of the level, 1/yr",
            "sigma_idiosyncratic": "own volatility, yr^-1/2",
            "sigma_common": "common volatility, yr^-1/2",
            "exit_rate": "hazard, 1/yr",
            "years": "horizon",
            "step_days": "days between dates",
            "log_entry_mean": "mean log size at first",
            "log_entry_sd": "its sd",
        },
        refit="baimo fit growth FILE --item item --date date --value value",
        sample=_sample,
        aliases=("growth",),
        also_called={"sigma_idiosyncratic": ("sigma", "gbm_sigma")},
    )
)
