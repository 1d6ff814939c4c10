"""Unequal loadings on the common shock of a long panel (eq 36-37).

Equations in `baimo.simulation.growth.paths`: d log V_i = m_i dt + s_i dW_i + beta_i c dF. The
market of an item is the mean growth of all others over the same step, so the item's own noise is
not in it; the noise of the others is, s^2/(N - 1) of it, and is taken off:

    slope_i = sum F_ik r_ik / (sum F_ik^2 - noise),   beta_i = slope_i/(1 + (slope_i - 1)/N).

The spread of the beta_i is that of [PauleMandel1982], their own errors taken off, with the
Q-profile interval [Viechtbauer2007], widened for heavy tails. Cochran's Q [Cochran1954] tests
equal loadings [Swamy1970].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from baimo.estimation.arrays import Floats, Values
from baimo.estimation.errors import DataError
from baimo.estimation.growth.panel import SizedSteps, sized_steps
from baimo.estimation.growth.volatility import FEW_PERIODS, GrowthPathsFit
from baimo.estimation.laws import chi2_ppf, chi2_sf, t_ppf
from baimo.estimation.results import Estimate, FitResult, registered, student
from baimo.simulation.growth.paths import PathParams

ROUNDS = 5  # of the noise in the market, each N times better than the one before
STILL = 1e-9  # of the variance, below which it is rounding
CALM = 0.1  # least share of an item's market that counts as signal, for those who saw none


@registered("LoadingsFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class LoadingsFit(FitResult):
    """Loadings on the common shock, and volatility around them.

    Parameters
    ----------
    table
        Estimates by name: loading_sd: standard deviation of the true loadings, mean 1;
        loading_p_value: of Cochran's Q, that all are equal; factor_share_loadings: of the
        variance, by the common shock with unequal loadings; sigma_idiosyncratic_loadings:
        around them, yr^-1/2; sigma_common_loadings: of the shock, for a loading of 1, yr^-1/2.
    items, loadings, loadings_std_error : (n_items,)
        Labels, loadings as estimated (their noise still in them), and their errors.
    n_items
        Items used.
    effective_periods
        Independent draws of the common shock: T in a balanced panel.
    strength
        Variance of the market over what idiosyncratic noise alone would give it; 1: no shock.
    """

    table: dict[str, Estimate]
    items: Values
    loadings: Floats
    loadings_std_error: Floats
    n_items: int
    effective_periods: float
    strength: float

    title: ClassVar[str] = "Loadings on the common shock"

    def estimates(self) -> dict[str, Estimate]:
        """Return the estimates by name, as `summary` prints them."""
        return self.table

    def params(self, paths: GrowthPathsFit) -> PathParams:
        """Return the parameters of `paths` with the loadings of this fit."""
        known = {name: e.value or 0.0 for name, e in self.table.items()}
        return replace(
            paths.params(),
            sigma_idiosyncratic=known["sigma_idiosyncratic_loadings"],
            sigma_common=known["sigma_common_loadings"],
            loading_sd=known["loading_sd"],
        )


class _Market(NamedTuple):
    """Items on the market: slope, its variance, own noise; growth off its drift, residual."""

    slope: Floats
    variance: Floats
    own: Floats
    growth: Floats
    residual: Floats
    strength: float


class _Spread(NamedTuple):
    """Mean of true effects, their variance and standard deviation relative to it, and a test."""

    mean: float
    variance: float
    estimate: Estimate
    p_value: float


def fit_loadings(
    items: ArrayLike,
    years: ArrayLike,
    values: ArrayLike,
    *,
    min_items: int = 10,
    min_steps: int = 20,
) -> LoadingsFit:
    """Measure how unequally the items of a long panel follow their common shock.

    Parameters
    ----------
    items, years, values : (n,)
        As for `baimo.estimation.growth.volatility.fit_growth_paths`: label, time in years, size;
        any order, gaps and irregular dates allowed, as long as items share them.
    min_items, min_steps
        Steps between two dates that fewer items share, and items with fewer such steps, are left
        out and counted in the notes. Both at least 5.

    Raises
    ------
    DataError
        What `fit_growth_paths` refuses; no dates in common; a common shock that cannot be told
        from the noise of the mean, where loadings mean nothing.

    Notes
    -----
    Loadings are taken to be constant over time, and one shock to be common: a second one (of a
    chain, of stable coins) stays in sigma_idiosyncratic_loadings. Over 1,000 panels of 100
    items by 150 weeks (own sigma .8, common .5) loading_sd = .4 is found as .400 (spread .035)
    and its interval covers .955; the test rejects equal loadings in .043 at level .05. With
    loadings of Student's t, 5 degrees, the interval covers .90; with growth of 4 degrees those of
    the volatilities and the share cover .88 to .90.
    """
    if min(min_items, min_steps) < 5:
        raise DataError("min_items and min_steps must be at least 5")
    panel = sized_steps(items, years, values).together(min_items, min_steps)
    steps, notes = panel.steps, list(panel.notes)
    count, n = steps.count, steps.n_items
    market = _on_market(panel)
    if market.strength < chi2_ppf(0.999, steps.periods - 1.0) / (steps.periods - 1.0):
        raise DataError(
            f"the mean of all varies {market.strength:.3g} times as much as independent items "
            "would make it: no common shock to load on; do without loadings"
        )
    short = np.bincount(steps.item, weights=1.0 / panel.crowd) / count
    loading = market.slope / (1.0 + (market.slope - 1.0) * short)
    spread = _spread(loading, market.variance)
    own = float(market.own @ (count - 2.0) / (count - 2.0).sum())
    total = float(market.growth @ market.growth / (count - 1.0).sum())
    if spread.variance == 0:
        notes.append("loadings differ no more than noise")
    if steps.periods < FEW_PERIODS:
        notes.append(f"only {steps.periods:.3g} periods of market: errors uncertain or none")
    table = {"loading_sd": spread.estimate, "loading_p_value": Estimate(value=spread.p_value)}
    return LoadingsFit(
        n_obs=panel.n_obs,
        n_used=steps.growth.size + n,
        notes=tuple(notes),
        table=table | _shares(panel, market, own, total, spread.variance),
        items=panel.labels,
        loadings=loading / spread.mean,
        loadings_std_error=np.sqrt(market.variance) / spread.mean,
        n_items=n,
        effective_periods=steps.periods,
        strength=market.strength,
    )


def _on_market(panel: SizedSteps) -> _Market:
    """Regress each item on the mean of the others, the noise of that mean taken off."""
    steps, item = panel.steps, panel.steps.item
    count, crowd, root = steps.count, panel.crowd, np.sqrt(steps.delta)
    growth = steps.growth / root
    others = (crowd * panel.mean(growth) - growth) / (crowd - 1.0)
    y, f = (v - root * (steps.sums(root * v) / steps.span)[item] for v in (growth, others))
    square, own = steps.sums(f * f), np.zeros(steps.n_items)
    for _ in range(ROUNDS):
        noise = (crowd * panel.mean(own[item]) - own[item]) / (crowd - 1.0) ** 2
        noise = steps.sums(noise) / count
        signal = np.maximum(square - noise * (count - 1.0), CALM * square)
        slope = steps.sums(f * y) / signal
        residual = y - slope[item] * f
        around = steps.sums(residual**2) / (count - 2.0)
        own = np.maximum(around - slope**2 * noise, 0.0)
    # Noise that grows with the market: one factor for all, which items alone could not tell.
    free = 1.0 - steps.delta / steps.span[item] - f * f / square[item]
    loud = steps.sums(f**2 * residual**2 / np.maximum(free, CALM)) / square
    noisy = float(loud.sum() / around.sum())
    pooled = float(around.mean())
    if not pooled > STILL * float(y @ y) / y.size:
        raise DataError("all items grow alike, without noise of their own: leave copies out")
    trusted = np.where(around > STILL * pooled, around, pooled)  # a value that never changes
    # (n - 2)/(n - 4): small variances would get too much weight
    variance = noisy * trusted * square / signal**2 * (count - 2.0) / (count - 4.0)
    strength = float(square.sum() / (noise * (count - 1.0)).sum())
    return _Market(slope, variance, own, y, residual, strength)


def _spread(effect: Floats, error2: Floats) -> _Spread:
    """Return the mean and spread of true effects, in units of the mean."""
    from statsmodels.stats.meta_analysis import combine_effects

    n, fit = effect.size, combine_effects(effect, error2, method_re="iterated")
    variance = max(float(fit.tau2), 0.0)
    weight = 1.0 / (error2 + variance)
    mean, mean_error2 = float(effect @ weight / weight.sum()), 1.0 / float(weight.sum())
    if not mean > 0:
        raise DataError("loadings have no positive mean: no common shock to load on")
    sd, squares = math.sqrt(variance), weight * (effect - mean) ** 2
    heavy = math.sqrt(max(float(np.sum((squares - 1.0) ** 2)) / (2.0 * (n - 1.0)), 1.0))
    # Relative to a mean that is estimated too: distances add in squares [ZouDonner2008].
    reach, t = sd * math.sqrt(mean_error2) / mean, t_ppf(0.975, n - 1)
    ends = [_profile(effect, error2, chi2_ppf(p, n - 1)) for p in (0.975, 0.025)]
    low, high = (math.hypot(heavy * (end - sd), t * reach) for end in ends)
    error = heavy * math.sqrt((n - 1.0) / 2.0) * mean_error2  # of the variance, over 2
    estimate = Estimate(
        value=sd / mean,
        std_error=math.hypot(error / sd, reach) / mean if sd > 0 else None,
        interval=(max(sd - low, 0.0) / mean, (sd + high) / mean),
    )
    return _Spread(mean, variance / mean**2, estimate, chi2_sf(fit.q, n - 1))


def _profile(effect: Floats, error2: Floats, quantile: float) -> float:
    """Return the standard deviation at which Cochran's Q equals `quantile`, 0 where none does."""

    def beyond(variance: float) -> float:
        weight = 1.0 / (error2 + variance)
        mean = float(effect @ weight / weight.sum())
        return float(weight @ (effect - mean) ** 2) - quantile

    if beyond(0.0) <= 0:
        return 0.0
    most = float(np.sum((effect - effect.mean()) ** 2)) / quantile  # Q(v) < sum d^2/v
    return math.sqrt(float(optimize.brentq(beyond, 0.0, most)))


def _shares(
    panel: SizedSteps, market: _Market, own: float, total: float, spread: float
) -> dict[str, Estimate]:
    """Split the total variance: own noise, and c^2 (1 + spread) of the common shock."""
    steps = panel.steps
    of_own = _score(panel, market.residual**2, own, 2.0)
    of_total = _score(panel, market.growth**2, total, 1.0)
    share, common = 1.0 - own / total, max(total - own, 0.0) / (1.0 + spread)
    periods = steps.periods - 1.0
    squares = max(periods / 5.0, 1.0)  # scores are skew, as in `baimo.estimation.growth.volatility`
    of_share = steps.variance((own / total * of_total - of_own) / total)
    of_common = steps.variance((of_total - of_own) / (1.0 + spread))
    return {
        "factor_share_loadings": _estimate(share, of_share, periods),
        "sigma_idiosyncratic_loadings": _root(
            own, steps.variance(of_own), min(steps.n_items - 1.0, periods)
        ),
        "sigma_common_loadings": _root(common, of_common, squares),
    }


def _score(panel: SizedSteps, square: Floats, value: float, lost: float) -> Floats:
    """Return what each step adds to a pooled variance, less what is expected of it."""
    free = 1.0 - lost / panel.steps.count[panel.steps.item]
    scaled = square * (value * free.sum() / square.sum())
    return np.asarray((scaled - value * free) / free.sum())


def _estimate(value: float, variance: float | None, degrees: float) -> Estimate:
    """Return a number with Student's t interval, none where the error is unknown."""
    if variance is None or degrees < 1:
        return Estimate(value=value)
    return student(value, math.sqrt(variance), degrees)


def _root(square: float, variance: float | None, degrees: float) -> Estimate:
    """Return a volatility, its interval Student's t of the logarithm."""
    value, unit = math.sqrt(square), "yr^-1/2"
    if variance is None or degrees < 1 or square == 0:
        return Estimate(value=value, unit=unit)
    return student(value, math.sqrt(variance) / (2.0 * value), degrees, unit=unit, log=True)
