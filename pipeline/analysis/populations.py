"""Fits beside the main ones: tails of other populations, equal cut-offs, growth of downloads.

Holds against the tails of models and protocols those of Hub datasets, of chains, and of DeFi
protocols on the later of two dates; measures DeFi's two dates from the same size on; and asks of
the downloads of the same models in two windows whether growth depends on size (Gibrat's law:
it does not) and how much of a model's share of downloads lasts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError, EstimationError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import TailFit, fit_tail
from baimo.pipeline.analysis.sizes import SizeFits, fit_sizes
from baimo.pipeline.settings import P_REPLICATIONS, SEED
from baimo.pipeline.variables import DAYS_PER_YEAR, Measure, expand
from baimo.simulation.demand.ces import DemandParams, attraction, sample_log_tastes, simulate_counts

POPULATIONS = {
    m.name: m
    for m in (
        Measure("datasets_downloads", "Hub datasets, downloads", "downloads", True, "top1pct_all"),
        Measure("datasets_likes", "Hub datasets, likes", "likes", True, "top1pct_all"),
        Measure("chains_tvl", "TVL of chains", "USD", False, "top10pct_positive"),
        Measure("tvl_later", "DeFi TVL, later date", "USD", False, "top10pct_positive"),
    )
}
EQUAL_CUTOFFS = (21e6, 1.2e9)  # USD; about the x_min of 2023, and where the tail steepens
FLOOR = 100  # downloads in 30 days
FEWEST_MODELS = 20
N_DECILES = 10
TASTE_DRAWS = 20


@registered("WaveSlope")
@dataclass(frozen=True, eq=False, kw_only=True)
class WaveSlope:
    """Slope of yearly log growth on log size.

    Parameters
    ----------
    value, std_error
        Per year and unit of log downloads, and its error robust to heteroskedasticity (HC3).
    n_models
        Models in the regression.
    """

    value: float
    std_error: float
    n_models: int


@registered("WavesFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class WavesFit(FitResult):
    """Growth of downloads between two windows of 30 days.

    Parameters
    ----------
    years
        Between the windows.
    slopes
        Which models -> slope: `positive` (both windows); `above_100_earlier` and
        `above_100_both`, with more than a hundred downloads in the earlier window and in both.
    decile_low : (g,)
        Fewest downloads in the earlier window of each tenth of the models that are positive in
        both; equal downloads are never parted, so that there are fewer groups than ten.
    decile_models : (g,)
        Models in each.
    decile_mean, decile_sd, decile_sd_std_error : (g,)
        Mean and standard deviation of yearly log growth, and the error of the latter.
    rank_correlation
        Spearman's, of downloads in the two windows, all matched models.
    log_correlation
        Of log(1 + downloads): how much of the log share lasts, all matched models.
    fixed_tastes_correlation
        The same under CES demand (eq 22-24) whose Pareto tastes stay: mean of twenty draws at the
        zeta and totals of the windows. None where the earlier window has no tail.
    """

    years: float
    slopes: dict[str, WaveSlope]
    decile_low: Floats
    decile_models: Ints
    decile_mean: Floats
    decile_sd: Floats
    decile_sd_std_error: Floats
    rank_correlation: float
    log_correlation: float
    fixed_tastes_correlation: float | None

    title: ClassVar[str] = "Growth of downloads between two windows"

    def estimates(self) -> dict[str, Estimate]:
        """Return the slopes, the dispersion of growth by size, and the correlations."""
        per_year = {
            f"size_slope_{name}": Estimate(value=s.value, std_error=s.std_error, unit="1/yr")
            for name, s in self.slopes.items()
        }
        spread = zip(self.decile_low, self.decile_sd, self.decile_sd_std_error, strict=True)
        return {
            **per_year,
            **{
                f"growth_sd_from_{low:.0f}": Estimate(
                    value=float(sd), std_error=float(error), unit="1/yr"
                )
                for low, sd, error in spread
            },
            "rank_correlation": Estimate(value=self.rank_correlation),
            "log_correlation": Estimate(value=self.log_correlation),
            "fixed_tastes_correlation": Estimate(value=self.fixed_tastes_correlation),
        }


@registered("CompanionFits")
@dataclass(frozen=True, eq=False, kw_only=True)
class CompanionFits:
    """What is measured beside the three sizes.

    Parameters
    ----------
    sizes
        Everything measured on each of `POPULATIONS` that there is. Items count as independent:
        their owners are not known.
    equal_cutoffs
        `tvl_before` and `tvl_later`: the tail of DeFi TVL from each of `EQUAL_CUTOFFS` on.
    waves
        Growth of downloads, None without two windows.
    taken_on
        Sample -> day, or "day to day" (ISO).
    notes
        What could not be measured, and why.
    """

    sizes: dict[str, SizeFits]
    equal_cutoffs: dict[str, tuple[TailFit, ...]]
    waves: WavesFit | None
    taken_on: dict[str, str]
    notes: tuple[str, ...] = field(default=())

    @property
    def tails(self) -> dict[str, TailFit]:
        """The CSN fit of each population."""
        return {name: fits.tail for name, fits in self.sizes.items()}


def fit_companions(
    waves: pl.DataFrame,
    other_sizes: pl.DataFrame,
    population: pl.DataFrame,
    *,
    n_replications: int = P_REPLICATIONS,
) -> CompanionFits:
    """Fit what there is; an empty table is passed over.

    Parameters
    ----------
    waves, other_sizes, population
        Tables hub_waves, other_sizes and defi_population.
    n_replications
        Of the bootstrap p of each tail.
    """
    notes: list[str] = []
    samples = companion_counts(other_sizes, population)
    sizes = {}
    for name, counts in samples.items():
        try:
            sizes[name] = fit_sizes(counts, POPULATIONS[name], None, n_replications=n_replications)
        except EstimationError as error:
            notes.append(f"{POPULATIONS[name].title}: {error}")
    return CompanionFits(
        sizes=sizes,
        equal_cutoffs=fit_equal_cutoffs(population, notes),
        waves=_waves_or_note(waves, notes),
        taken_on=_taken_on(waves, other_sizes, population),
        notes=tuple(notes),
    )


def companion_counts(other_sizes: pl.DataFrame, population: pl.DataFrame) -> dict[str, Counts]:
    """Return the sample of each population that the tables hold, by name.

    Of `tvl_later` the positive protocols; `defi_population` holds no excluded categories.
    """
    found = {}
    for name in POPULATIONS:
        rows = other_sizes.filter(pl.col("population") == name)
        if not rows.is_empty():
            found[name] = Counts.from_pairs(rows["size"].to_numpy(), rows["n_items"].to_numpy())
    later = positive_tvl(population, "tvl_after")
    return found if later is None else found | {"tvl_later": later}


def positive_tvl(population: pl.DataFrame, column: str) -> Counts | None:
    """Return the positive values of `tvl_before` or `tvl_after`, None where there are none."""
    rows = population.filter(pl.col(column) > 0)
    if rows.is_empty():
        return None
    return Counts.from_pairs(rows[column].to_numpy(), rows["n_protocols"].to_numpy())


def fit_equal_cutoffs(population: pl.DataFrame, notes: list[str]) -> dict[str, tuple[TailFit, ...]]:
    """Fit the tail of DeFi TVL on both dates from the same sizes on (USD).

    A cut-off that leaves too few protocols has no fit; `notes` says so.
    """
    found = {}
    for name, column in (("tvl_before", "tvl_before"), ("tvl_later", "tvl_after")):
        counts = positive_tvl(population, column)
        if counts is not None:
            found[name] = _from_cutoffs(counts, name, notes)
    return found


def _from_cutoffs(counts: Counts, name: str, notes: list[str]) -> tuple[TailFit, ...]:
    fits = []
    for cutoff in EQUAL_CUTOFFS:
        try:
            fits.append(fit_tail(counts, discrete=False, x_min=cutoff))
        except EstimationError as error:
            notes.append(f"{name} from {cutoff:g} USD on: {error}")
    return tuple(fits)


def _waves_or_note(waves: pl.DataFrame, notes: list[str]) -> WavesFit | None:
    if waves.is_empty():
        return None
    try:
        return fit_waves(waves)
    except EstimationError as error:
        notes.append(f"downloads of two windows: {error}")
        return None


def fit_waves(waves: pl.DataFrame) -> WavesFit:
    """Measure growth and persistence of downloads between two windows.

    Growth is log(downloads later / earlier) a year, of models with downloads in both windows;
    correlations are of all matched models, zeros included.

    Parameters
    ----------
    waves
        Table hub_waves.

    Raises
    ------
    DataError
        Fewer than twenty models have downloads in both windows, or all have equally many.
    """
    from scipy.stats import spearmanr

    days = waves.select("before_on", "after_on").row(0)
    years = (days[1] - days[0]).days / DAYS_PER_YEAR
    rows = expand(waves, "n_models")
    before, after = (rows[f"downloads_{side}"].to_numpy() for side in ("before", "after"))
    both = (before > 0) & (after > 0)
    if both.sum() < FEWEST_MODELS or np.unique(before[both]).size < 2:
        raise DataError(
            f"{both.sum()} models have downloads in both windows: at least {FEWEST_MODELS} of "
            "different size are needed; give more models"
        )
    log_size = np.log(np.where(both, before, 1))
    growth = (np.log(np.where(both, after, 1)) - log_size) / years
    chosen = {
        "positive": both,
        f"above_{FLOOR}_earlier": both & (before > FLOOR),
        f"above_{FLOOR}_both": (before > FLOOR) & (after > FLOOR),
    }
    return WavesFit(
        n_obs=before.size,
        n_used=int(both.sum()),
        notes=_wave_notes(before, after),
        years=years,
        slopes={
            name: _slope(log_size[kept], growth[kept])
            for name, kept in chosen.items()
            if kept.sum() >= FEWEST_MODELS and np.unique(before[kept]).size > 1
        },
        **_by_decile(before[both], growth[both]),
        rank_correlation=float(spearmanr(before, after).statistic),
        log_correlation=_log_correlation(before, after),
        fixed_tastes_correlation=_under_fixed_tastes(before, after),
    )


def _log_correlation(before: Ints, after: Ints) -> float:
    return float(np.corrcoef(np.log1p(before), np.log1p(after))[0, 1])


def _under_fixed_tastes(before: Ints, after: Ints) -> float | None:
    """Draw both windows from one Pareto of tastes, and return the mean correlation of their logs.

    Only shares matter, and with them alpha/kappa: rho is one half.
    """
    try:
        zeta = fit_tail(before).zeta
    except EstimationError:
        return None
    params, found = DemandParams(alpha=zeta, rho=0.5), []
    for i in range(TASTE_DRAWS):
        rng = np.random.default_rng([SEED, 23, i])
        weights = attraction(params, sample_log_tastes(params, before.size, rng))
        first, second = (simulate_counts(weights, int(v.sum()), rng) for v in (before, after))
        found.append(_log_correlation(first, second))
    return float(np.mean(found))


def _wave_notes(before: Ints, after: Ints) -> tuple[str, ...]:
    there, large, gone = before > 0, before > FLOOR, after == 0
    return (
        f"{int((there & gone).sum()):,} of {int(there.sum()):,} models with downloads in the "
        f"earlier window have none in the later ({int((large & gone).sum()):,} of the "
        f"{int(large.sum()):,} above {FLOOR}) and no growth: where most are small, the slope of "
        "`positive` is too low",
        f"above_{FLOOR}_both also chooses models by how they grew, which lowers the slope: "
        f"above_{FLOOR}_earlier does not",
        "owners are not known: errors take models as independent and are too small",
    )


def _slope(log_size: Floats, growth: Floats) -> WaveSlope:
    from statsmodels.api import OLS

    fit = OLS(growth, np.column_stack([np.ones_like(log_size), log_size])).fit(cov_type="HC3")
    return WaveSlope(value=float(fit.params[1]), std_error=float(fit.bse[1]), n_models=growth.size)


def _by_decile(sizes: Ints, growth: Floats) -> dict[str, Any]:
    """Return mean and standard deviation of growth by tenths of the models in order of size."""
    shares = np.arange(1, N_DECILES) / N_DECILES
    edges = np.unique(np.quantile(sizes, shares, method="inverted_cdf"))
    group = np.searchsorted(edges, sizes)  # a model belongs below the first edge not below it
    present = [group == g for g in np.unique(group)]
    spread = [_spread(growth[inside]) for inside in present]
    return {
        "decile_low": np.array([sizes[inside].min() for inside in present], dtype=np.float64),
        "decile_models": np.array([inside.sum() for inside in present], dtype=np.int64),
        "decile_mean": np.array([growth[inside].mean() for inside in present]),
        "decile_sd": np.array([sd for sd, _ in spread]),
        "decile_sd_std_error": np.array([error for _, error in spread]),
    }


def _spread(growth: Floats) -> tuple[float, float]:
    """Return the standard deviation and its error by the fourth moment; NaN of one model."""
    n = growth.size
    if n < 2:
        return float("nan"), float("nan")
    sd = float(growth.std(ddof=1))
    fourth = float(np.mean((growth - growth.mean()) ** 4))
    error = np.sqrt(max(fourth - sd**4, 0.0) / n) / (2 * sd) if sd > 0 else 0.0
    return sd, float(error)


def _taken_on(
    waves: pl.DataFrame, other_sizes: pl.DataFrame, population: pl.DataFrame
) -> dict[str, str]:
    days = dict(other_sizes.group_by("population").agg(pl.col("taken_on").first()).iter_rows())
    told = {name: str(days[name]) for name in POPULATIONS if name in days}
    for name, column in (("tvl_before", "before_on"), ("tvl_later", "after_on")):
        if not population.is_empty():
            told[name] = str(population[column][0])
    if not waves.is_empty():
        told["waves"] = f"{waves['before_on'][0]} to {waves['after_on'][0]}"
    return told
