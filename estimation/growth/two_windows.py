"""Counts of the same items in two windows of time: growth against size, and how much lasts.

Growth is the log ratio of the counts a year, of items with both counts positive. Log slopes of
survivors are not means, so beside each stands the power of the earlier count to which the later is
proportional in the mean, exits included. Correlations are of all matched items, zeros included.
Under CES demand whose tastes stay (eq 22-24) both windows are counts from one Pareto of rates, and
their logs correlate as draws of it do.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError, EstimationError
from baimo.estimation.growth.later_size import LaterSize, fit_later_size
from baimo.estimation.growth.on_size import FEWEST, fit_growth_on_size
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.labels import label_codes
from baimo.estimation.tails.power_law import fit_tail
from baimo.simulation.demand.ces import DemandParams, attraction, sample_log_tastes, simulate_counts

FLOOR = 100  # downloads in 30 days
LARGER = (1_000, 10_000)
N_DECILES = 10
NEAR = 0.25  # of the log cut-off: where the hazard is measured
TASTE_DRAWS = 20


@registered("WaveSlope")
@dataclass(frozen=True, eq=False, kw_only=True)
class SizeSlope:
    """Growth against size of the items above some size.

    Parameters
    ----------
    value, std_error
        Slope of yearly log growth on log size, per year and unit of log downloads, among items with
        downloads later, and its error: clustered by owner, or robust (HC3) without owners.
    n_models
        Items in that regression.
    later
        Poisson pseudo maximum likelihood of the later on the earlier size, of the same choice by
        the earlier size, those without downloads later included: 1 is growth in proportion. None
        where it cannot be had.
    attenuation
        How much window noise of variance one (in logs, normal) takes off a power of the earlier
        size; see `TwoWindowsFit.without_noise`.
    """

    value: float
    std_error: float
    n_models: int
    later: LaterSize | None
    attenuation: float


@registered("WavesFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class TwoWindowsFit(FitResult):
    """Growth of downloads between two windows of 30 days.

    Parameters
    ----------
    years
        Between the windows.
    n_clusters
        Owners behind the errors, None where they are not known.
    slopes
        Which models -> slope: `positive` (both windows); `above_100_earlier`, `above_1000_earlier`
        and `above_10000_earlier`, with more downloads than that in the earlier window;
        `above_100_both`, with more than a hundred in both.
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
    lasting_noise
        Standard deviation of noise in the log of each window, independent of all else and counting
        included, with which log rates that stay as they are would correlate as observed:
        sqrt((1 - correlation) x the product of both standard deviations).
    """

    years: float
    n_clusters: int | None
    slopes: dict[str, SizeSlope]
    decile_low: Floats
    decile_models: Ints
    decile_mean: Floats
    decile_sd: Floats
    decile_sd_std_error: Floats
    rank_correlation: float
    log_correlation: float
    fixed_tastes_correlation: float | None
    lasting_noise: float

    title: ClassVar[str] = "Growth of downloads between two windows"

    def without_noise(self, name: str, noise: float) -> float:
        """Return a slope (1/yr) corrected for noise of the earlier window.

        A count that is large in the earlier window by luck of that window alone falls back, which
        looks like growth that falls with size. For normal noise of standard deviation s in logs
        the expected log rate given the log count x of density f is x + s^2 (log f)'(x) (Tweedie's
        formula), so that the power b = 1 + slope x years, among x > t, is taken down to
        b (1 - s^2 A), A = (1 - h e)/var(x | x > t), with the hazard h of x at t and its mean excess
        e. In an exponential tail of x (a Pareto of counts) h e = 1: noise changes no slope there.

        Parameters
        ----------
        name
            Of the slope.
        noise
            Standard deviation s of the log of a window's count about its expectation.

        Returns
        -------
        float
            NaN where such noise would be all the spread there is.
        """
        slope = self.slopes[name]
        left = 1.0 - noise**2 * slope.attenuation
        if left <= 0.0:
            return math.nan
        return ((1.0 + slope.value * self.years) / left - 1.0) / self.years

    def estimates(self) -> dict[str, Estimate]:
        """Return the slopes, the dispersion of growth by size, and the correlations."""
        per_year = {
            f"size_slope_{name}": Estimate(value=s.value, std_error=s.std_error, unit="1/yr")
            for name, s in self.slopes.items()
        }
        powers = {
            f"later_on_earlier_{name}": Estimate(
                value=s.later.exponent, std_error=s.later.std_error
            )
            for name, s in self.slopes.items()
            if s.later is not None
        }
        spread = zip(self.decile_low, self.decile_sd, self.decile_sd_std_error, strict=True)
        return {
            **per_year,
            **powers,
            **{
                f"growth_sd_from_{low:.0f}": Estimate(
                    value=float(sd), std_error=float(error), unit="1/yr"
                )
                for low, sd, error in spread
            },
            "rank_correlation": Estimate(value=self.rank_correlation),
            "log_correlation": Estimate(value=self.log_correlation),
            "fixed_tastes_correlation": Estimate(value=self.fixed_tastes_correlation),
            "lasting_noise": Estimate(value=self.lasting_noise),
        }


def fit_two_windows(
    before: ArrayLike,
    after: ArrayLike,
    *,
    years: float,
    seed: int,
    clusters: ArrayLike | None = None,
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
    clusters : (n,), optional
        Owners of the items; errors allow for any dependence within them.

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
    owners = label_codes(clusters, earlier.size)
    observed = _log_correlation(earlier, later)
    return TwoWindowsFit(
        n_obs=earlier.size,
        n_used=int(both.sum()),
        notes=_notes(earlier, later, owners),
        years=years,
        n_clusters=None if owners is None else int(np.unique(owners[both]).size),
        slopes=_slopes(earlier, later, years, owners),
        **_by_decile(earlier[both], growth),
        rank_correlation=float(spearmanr(earlier, later).statistic),
        log_correlation=observed,
        fixed_tastes_correlation=_under_fixed_tastes(earlier, later, seed),
        lasting_noise=_lasting_noise(earlier, later, observed),
    )


def _slopes(before: Ints, after: Ints, years: float, owners: Ints | None) -> dict[str, SizeSlope]:
    """Return the slope of all items, and those of the large where there are enough of them."""
    slopes = {"positive": _slope(before, after, years, owners, 0, 0)}
    chosen = [(f"above_{n}_earlier", n, 0) for n in (FLOOR, *LARGER)]
    for name, above, floor in (*chosen, (f"above_{FLOOR}_both", FLOOR, FLOOR)):
        with suppress(DataError):
            slopes[name] = _slope(before, after, years, owners, above, floor)
    return slopes


def _slope(
    before: Ints, after: Ints, years: float, owners: Ints | None, above: int, floor: int
) -> SizeSlope:
    fit = fit_growth_on_size(
        before, after, years=years, above=above, floor=floor, fewest=FEWEST, clusters=owners
    )
    later = None
    with suppress(EstimationError):
        later = fit_later_size(before, after, above=above, clusters=owners)
    return SizeSlope(
        value=fit.slope,
        std_error=fit.std_error,
        n_models=fit.n_used,
        later=later,
        attenuation=_attenuation(np.log(before[(before > above) & (after > floor)]), above),
    )


def _attenuation(x: Floats, above: int) -> float:
    """Return (1 - hazard at the cut-off times mean excess) over the variance of log sizes.

    Without a cut-off (the smallest count is one) the hazard counts as zero: an upper bound.
    """
    if not above:
        return float(1.0 / x.var())
    excess = x - math.log(above)
    hazard = float(np.mean(excess <= NEAR)) / NEAR
    return max(1.0 - hazard * float(excess.mean()), 0.0) / float(x.var())


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


def _lasting_noise(before: Ints, after: Ints, correlation: float) -> float:
    """Return the sd of noise a window that parts the logs of rates that stay this far."""
    spread = float(np.log1p(before).std() * np.log1p(after).std())
    return math.sqrt(max(1.0 - correlation, 0.0) * spread)


def _notes(before: Ints, after: Ints, owners: Ints | None) -> tuple[str, ...]:
    there, large, gone = before > 0, before > FLOOR, after == 0
    known = ("owners are not known: errors take models as independent and are too small",)
    return (
        f"{int((there & gone).sum()):,} of {int(there.sum()):,} models with downloads in the "
        f"earlier window have none in the later ({int((large & gone).sum()):,} of the "
        f"{int(large.sum()):,} above {FLOOR}) and no growth: where most are small, the slope of "
        "`positive` is too low",
        f"above_{FLOOR}_both also chooses models by how they grew, which lowers the slope: "
        f"above_{FLOOR}_earlier does not",
        *(known if owners is None else ()),
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
