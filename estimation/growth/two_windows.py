"""Counts of the same items in two windows of time: growth against size, and how much lasts.

Growth is the log ratio of the counts a year, of items with both counts positive; correlations are
of all matched items, zeros included. Under CES demand whose tastes stay (eq 22-24) both windows are
counts from one Pareto of rates, and their logs correlate as draws of it do.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError, EstimationError
from baimo.estimation.growth.on_size import FEWEST, fit_growth_on_size
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.tails.power_law import fit_tail
from baimo.simulation.demand.ces import DemandParams, attraction, sample_log_tastes, simulate_counts

FLOOR = 100  # downloads in 30 days
N_DECILES = 10
TASTE_DRAWS = 20


@registered("WaveSlope")
@dataclass(frozen=True, eq=False, kw_only=True)
class SizeSlope:
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
class TwoWindowsFit(FitResult):
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
    slopes: dict[str, SizeSlope]
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


def fit_two_windows(
    before: ArrayLike, after: ArrayLike, *, years: float, seed: int
) -> TwoWindowsFit:
    """Measure growth and persistence of counts between two windows.

    Parameters
    ----------
    before, after : (n,) whole numbers
        Counts of the same items in the earlier and the later window.
    years
        Between the windows, > 0.
    seed
        Of the draws under fixed tastes.

    Raises
    ------
    DataError
        Fewer than twenty items have counts in both windows, or all, or all but one, have equally
        many in the earlier.
    """
    from scipy.stats import spearmanr

    earlier, later = np.asarray(before), np.asarray(after)
    if earlier.shape != later.shape or earlier.ndim != 1:
        raise DataError(f"before and after must match; got shapes {earlier.shape}, {later.shape}")
    if not (np.all(earlier >= 0) and np.all(later >= 0)):
        raise DataError("counts must be numbers, not negative: take what is missing out")
    both = (earlier > 0) & (later > 0)
    if both.sum() < FEWEST or np.unique(earlier[both]).size < 2:
        raise DataError(
            f"{both.sum()} models have downloads in both windows: at least {FEWEST} of "
            "different size are needed; give more models"
        )
    growth = np.log(later[both] / earlier[both]) / years
    return TwoWindowsFit(
        n_obs=earlier.size,
        n_used=int(both.sum()),
        notes=_notes(earlier, later),
        years=years,
        slopes=_slopes(earlier, later, years),
        **_by_decile(earlier[both], growth),
        rank_correlation=float(spearmanr(earlier, later).statistic),
        log_correlation=_log_correlation(earlier, later),
        fixed_tastes_correlation=_under_fixed_tastes(earlier, later, seed),
    )


def _slopes(before: Ints, after: Ints, years: float) -> dict[str, SizeSlope]:
    """Return the slope of all items, and those of the large where there are enough of them."""
    slopes = {"positive": _slope(before, after, years, 0, 0)}
    for name, above, floor in (("earlier", FLOOR, 0), ("both", FLOOR, FLOOR)):
        with suppress(DataError):
            slopes[f"above_{FLOOR}_{name}"] = _slope(before, after, years, above, floor)
    return slopes


def _slope(before: Ints, after: Ints, years: float, above: int, floor: int) -> SizeSlope:
    fit = fit_growth_on_size(
        before, after, years=years, above=above, floor=floor, errors="HC3", fewest=FEWEST
    )
    return SizeSlope(value=fit.slope, std_error=fit.std_error, n_models=fit.n_used)


def _log_correlation(before: Ints, after: Ints) -> float:
    return float(np.corrcoef(np.log1p(before), np.log1p(after))[0, 1])


def _under_fixed_tastes(before: Ints, after: Ints, seed: int) -> float | None:
    """Draw both windows from one Pareto of tastes, and return the mean correlation of their logs.

    Only shares matter, and with them alpha/kappa: rho is one half.
    """
    try:
        zeta = fit_tail(before).zeta
    except EstimationError:
        return None
    params, found = DemandParams(alpha=zeta, rho=0.5), []
    for i in range(TASTE_DRAWS):
        rng = np.random.default_rng([seed, 23, i])
        weights = attraction(params, sample_log_tastes(params, before.size, rng))
        first, second = (simulate_counts(weights, int(v.sum()), rng) for v in (before, after))
        found.append(_log_correlation(first, second))
    return float(np.mean(found))


def _notes(before: Ints, after: Ints) -> tuple[str, ...]:
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
