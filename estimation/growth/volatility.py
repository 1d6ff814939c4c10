"""Growth measured on a stranger's long panel: item, time, value (eq 36-37).

Equations and simulator in `baimo.simulation.growth.paths`. A step k of an item is two consecutive
values: log growth r_k over Delta_k years, any sampling. Exact maximum likelihood for each item:

    m_i = sum r / sum Delta,   sigma_i^2 = sum (r - m_i Delta)^2/Delta / (n_i - 1),

pooled over items, and mu = m + sigma^2/2. The common shock moves items together, so a variance
sums the products of scores over all pairs of steps that overlap in time or belong to one item:
with common dates, clustering by item and date. Errors that ignore it cover 23 % instead of 95 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baimo.estimation.arrays import Floats, Values
from baimo.estimation.errors import DataError
from baimo.estimation.growth.panel import (
    UNITS,
    Codes,
    GrowthTable,
    Steps,
    read_panel,
    recoded,
    two_way_effects,
)
from baimo.estimation.laws import chi2_sf, normal_pdf, normal_ppf, normal_sf
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.simulation.growth.paths import PathParams

MOST_PAIRED, MOST_DATES = 500, 5000  # of the correlation matrix: below a second
MIN_OVERLAP, FEW_PERIODS = 8, 20  # dates a pair must share; below which errors are noted
OWN_SIGMA_FROM = 30  # steps from which an item's own sigma serves its error, else the pooled one


QUARTILE = normal_ppf(0.75)


@registered("GrowthPathsFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class GrowthPathsFit(FitResult):
    """Drift, volatility, common shock, heterogeneity and exit of a population of paths.

    Parameters
    ----------
    table
        Estimates by name, value None where the data are silent:
        mu, log_drift: pooled drift of the level and of the log; exit_rate: hazard;
        drift_sd: spread of true drifts [PauleMandel1982] (0: individual mu are not estimable);
        sigma: total volatility of an item, sigma_idiosyncratic: around the mean of all on the
        same date (unequal loadings are in it), sigma_common: of that mean;
        sigma_robust, sigma_jump_robust: from quartiles, and bipower (ignores rare jumps);
        variance_ratio: variance per year of `variance_ratio_lag` steps over that of one: below
        1 where prices are noisy; factor_share: sigma_common^2/sigma^2;
        mean_correlation: of pairs of items, over the dates they share;
        excess_kurtosis: of growth standardised by each item's volatility;
        sigma_error_independent: sqrt((kurtosis - 1)/n) sigma/2, heavy tails but no common shock;
        drift_p_value: of Cochran's Q, that all items have one drift;
        cd_statistic, cd_p_value: Pesaran's CD test of independent W_i, N(0, 1) under it.
    n_items, n_dates
        Items used, and dates in the panel.
    effective_periods
        Independent draws of the common shock: T in a balanced panel.
    n_exits, exposure
        Events and years at risk, with an exit floor.
    items, item_drift, item_sigma, item_drift_shrunk, item_drift_std_error : (n_items,)
        Labels, log drifts (market taken out where dates are shared), sigma_i (NaN with one
        step), empirical Bayes log drifts and their errors.
    """

    table: dict[str, Estimate]
    n_items: int
    n_dates: int
    effective_periods: float
    variance_ratio_lag: int
    n_exits: int | None
    exposure: float | None
    items: Values
    item_drift: Floats
    item_sigma: Floats
    item_drift_shrunk: Floats
    item_drift_std_error: Floats

    title: ClassVar[str] = "Growth of paths"

    def estimates(self) -> dict[str, Estimate]:
        """Return the table."""
        return self.table

    def params(self) -> PathParams:
        """Return the parameters of the simulator; DataError where mu is unknown."""
        names = ("mu", "sigma_idiosyncratic", "sigma_common", "exit_rate", "drift_sd")
        known = {name: self.table[name].value for name in names}
        if known["mu"] is None or not known["sigma_idiosyncratic"]:
            raise DataError("mu and sigma_idiosyncratic are not known: give more dates and items")
        return PathParams(**{name: value or 0.0 for name, value in known.items()})


class _Own(NamedTuple):
    """Growth around the mean of all on the same date: variance, scores, and by item."""

    square: float
    score: Floats
    effect: Floats
    span: Floats
    variance: Floats


def fit_growth_paths(
    items: ArrayLike,
    years: ArrayLike,
    values: ArrayLike,
    *,
    exit_floor: float | None = None,
    min_observations: int = 2,
    variance_ratio_lag: int = 4,
) -> GrowthPathsFit:
    """Measure growth on a long panel, in any order and at any times.

    Parameters
    ----------
    items : (n,) numbers or text
        Label of the item.
    years : (n,)
        Time in years; no item twice at one time (times within 0.3 s are one).
    values : (n,)
        Size; missing, infinite and non-positive ones are gaps, counted in the notes.
    exit_floor
        Value below which an item is gone. Each is then followed from its first value at or above
        the floor to the first below it; ending before the panel does is exit too.
    min_observations, variance_ratio_lag
        Items with fewer positive values are left out and counted; steps in the long variance of
        the variance ratio. Both at least 2.

    Raises
    ------
    DataError
        Lengths that differ, missing or repeated times, a single date, values that never change.

    Notes
    -----
    Time, not frequency, sharpens mu: its error is at least sigma_common over the root of years.
    Without an exit floor drift is that of survivors. Price noise raises sigma: see variance_ratio.
    """
    if not (min_observations >= 2 and variance_ratio_lag >= 2):
        raise DataError("min_observations and variance_ratio_lag must be at least 2")
    n_exits, exposure, table = None, None, GrowthTable()
    labels, item, time, value, times, notes = read_panel(items, years, values)
    table.notes += notes
    if exit_floor is not None:
        kept, n_exits, exposure = _follow(item, time, value, times, exit_floor)
        table.notes.append(f"{int((~kept).sum())} values before reaching the floor or after exit")
        item, time, value = item[kept], time[kept], value[kept]
        table.put("exit_rate", n_exits / exposure, n_exits / exposure**2, math.inf, True)
        if not n_exits:  # Poisson: exp(-most exposure) = 2.5 %
            most = (0.0, -math.log(0.025) / exposure)
            table["exit_rate"] = Estimate(value=0.0, interval=most, unit="1/yr")
    steps, present = _steps(item, time, value, times, min_observations, table)
    drift = steps.sums(steps.growth) / steps.span
    off = steps.growth - drift[steps.item] * steps.delta
    squares = steps.sums(off**2 / steps.delta)
    m = float(steps.growth.sum() / steps.span.sum())
    own = _own_noise(steps, drift - m)
    _volatility(steps, off, own, m, table)
    _robust(steps, off, variance_ratio_lag, table)
    _pairs(steps, off, table)
    if own is not None:
        drift = np.where(own.span > 0, own.effect + m, drift)
    shrunk, shrunk_error = _shrink(steps, drift, own, squares, table)
    if still := int(np.sum((squares == 0) & (steps.count > 1))):
        table.notes.append(f"{still} items grow at one rate or never change: stale values?")
    if steps.periods < FEW_PERIODS:
        table.notes.append(f"only {steps.periods:.3g} periods of market: errors uncertain or none")
    return GrowthPathsFit(
        n_obs=np.size(values),
        n_used=steps.growth.size + steps.n_items,
        notes=tuple(table.notes),
        table={k: table.get(k, Estimate(value=None, unit=unit)) for k, unit in UNITS.items()},
        n_items=steps.n_items,
        n_dates=times.size,
        effective_periods=steps.periods,
        variance_ratio_lag=variance_ratio_lag,
        n_exits=n_exits,
        exposure=exposure,
        items=labels[present],
        item_drift=drift,
        item_sigma=np.sqrt(squares / np.where(steps.count > 1, steps.count - 1.0, np.nan)),
        item_drift_shrunk=shrunk,
        item_drift_std_error=shrunk_error,
    )


def _follow(
    item: Codes, time: Codes, value: Floats, times: Floats, floor: float
) -> tuple[NDArray[np.bool_], int, float]:
    """Return (rows from reaching the floor to falling below it, exits, years at risk)."""
    if not (math.isfinite(floor) and floor >= 0):
        raise DataError(f"exit_floor = {floor:g} must be a finite size, not negative")
    rows = np.arange(item.size)
    above = value >= floor if floor > 0 else value > 0
    last = np.searchsorted(item, np.arange(int(item.max(initial=-1)) + 1), side="right") - 1
    enters, falls = np.full(last.size, item.size), np.full(last.size, item.size)
    chosen = rows[above][::-1]
    enters[item[chosen]] = chosen  # the last writing stays, here the first row
    chosen = rows[(rows > enters[item]) & ~above][::-1]
    falls[item[chosen]] = chosen
    kept = (rows >= enters[item]) & (rows <= falls[item])
    pair = kept[1:] & (item[1:] == item[:-1])
    gap = np.diff(time)[pair]
    if gap.size == 0:
        raise DataError(f"no item has two values from the floor {floor:g} on: lower exit_floor")
    usual = int(np.median(gap))
    # Silence is exit only where it is longer than gaps of the living; nothing later is judged.
    close = times.size - 1 - max(int(np.quantile(gap, 0.999)) - usual, 0)
    enters, falls, last = (v[enters < item.size] for v in (enters, falls, last))
    fell = falls < item.size
    ends = time[np.where(fell, falls, last)]
    gone = np.where(fell, ends <= close, ends < close)
    # An exit lies, on average, half-way from the last value before it to the next date.
    before = np.where(fell, time[np.where(fell, falls - 1, last)], ends)
    after = np.where(fell, ends, np.minimum(ends + usual, close))
    end = np.where(gone, 0.5 * (times[before] + times[after]), times[np.minimum(ends, close)])
    risk = np.maximum(end - times[time[enters]], 0.0)
    if not risk.sum() > 0:
        raise DataError("no time at risk of exit; give a longer panel")
    return kept, int(np.sum(gone & (risk > 0))), float(risk.sum())


def _steps(
    item: Codes, time: Codes, value: Floats, times: Floats, fewest: int, table: GrowthTable
) -> tuple[Steps, Codes]:
    """Return the steps between positive values, and the codes of the items that have them."""
    item, time, value = item[value > 0], time[value > 0], value[value > 0]
    count = np.bincount(item)
    enough = count >= fewest
    if short := int(np.sum(~enough[count > 0])):
        table.notes.append(f"{short} items with fewer than {fewest} values left out")
        kept = enough[item]
        item, time, value = item[kept], time[kept], value[kept]
    if item.size == 0:
        raise DataError(f"no item has {fewest} positive values on as many dates: give more dates")
    pair = item[1:] == item[:-1]
    growth = np.diff(np.log(value))[pair]
    if not np.any(growth):
        raise DataError("no value ever changes: there is no growth to measure; check the column")
    index, start, end = recoded(item[1:][pair]), time[:-1][pair], time[1:][pair]
    delta, n = times[end] - times[start], int(enough.sum())
    steps = Steps(
        item=index, start=start, end=end, delta=delta, growth=growth, times=times, n_items=n
    )
    return steps, np.flatnonzero(enough)


def _own_noise(steps: Steps, effect: Floats) -> _Own | None:
    """Take out item and date effects; None where most steps share their dates with no other."""
    width = int((steps.end - steps.start).max())
    key = steps.start * width + steps.end - steps.start - 1
    if steps.times.size * width > 10_000_000:
        key = np.unique(key, return_inverse=True)[1]
    shared = (np.bincount(key) > 1)[key]
    if shared.mean() < 0.5:
        return None
    item, group = recoded(steps.item[shared]), recoded(key[shared])
    root = np.sqrt(steps.delta[shared])
    y, crowd = steps.growth[shared] / root, np.bincount(group).astype(np.float64)
    span = np.bincount(steps.item[shared], root**2, steps.n_items).astype(np.float64)
    fit = two_way_effects(y, root, item, group)
    residual, df = fit.residual, y.size - fit.rank
    free = 1.0 - 1.0 / crowd[group] - root**2 / span[steps.item[shared]]
    if df >= 2:
        effect = effect.copy()
        effect[span > 0] = fit.item
    else:  # one step each: differences of drift stay in the noise
        residual = y - (np.bincount(group, weights=y) / crowd)[group]
        df, free = y.size - crowd.size, 1.0 - 1.0 / crowd[group]
    free *= df / free.sum()
    square = float(residual @ residual) / df
    score = np.zeros(shared.size)
    score[shared] = (residual**2 - square * free) / df
    sums = [np.bincount(steps.item[shared], w, steps.n_items) for w in (residual**2, free)]
    return _Own(square, score, effect, span, sums[0] / np.maximum(sums[1], 1e-300))


def _volatility(steps: Steps, off: Floats, own: _Own | None, m: float, table: GrowthTable) -> None:
    """Put mu and the total variance, split into own and common part."""
    periods, df = steps.periods, off.size - steps.n_items
    around = steps.growth - m * steps.delta
    drift_score = around / steps.span.sum()
    table.put("log_drift", m, steps.variance(drift_score), periods - 1.0)
    if own is not None:
        variance = steps.variance(own.score) or float(own.score @ own.score)
        degrees = min(steps.n_items, max(periods, 2.0)) - 1.0
        table.put_root("sigma_idiosyncratic", own.square, variance, degrees)
    if df == 0:
        return
    square = off**2 / steps.delta
    total = float(square.sum()) / df
    score = (square - total * (1.0 - steps.delta / steps.span[steps.item])) / df
    squares = max((periods - 1.0) / 5.0, 1.0)  # scores are skew: kurtosis 15, a Gaussian has 3
    table.put_root("sigma", total, steps.variance(score), squares)
    table.put("mu", m + 0.5 * total, steps.variance(drift_score + 0.5 * score), periods - 1.0)
    overlap = steps.squared_risk - float(steps.delta.sum())
    if steps.n_items < 2 or total == 0 or (own is None and (overlap <= 0 or periods < 1.5)):
        return
    if own is not None:
        common, ratio = total - own.square, (own.square / total * score - own.score) / total
        table.put_root("sigma_common", common, steps.variance(score - own.score), squares)
        table.put("factor_share", max(common, 0.0) / total, steps.variance(ratio), periods - 1.0)
    else:
        # Products of steps that overlap are unbiased for the covariance [HayashiYoshida2005].
        common = (steps.overlapping(around) - float(around @ around)) / overlap
        common *= periods / (periods - 1.0)
        table.put_root("sigma_common", common)
        table.put_root("sigma_idiosyncratic", total - max(common, 0.0))
        table.put("factor_share", max(common, 0.0) / total)
        table.notes.append("few dates are shared: the common shock is from overlaps, without error")
    if common <= 0:
        table.notes.append("no common shock: its variance is estimated at or below zero")


def _robust(steps: Steps, off: Floats, lag: int, table: GrowthTable) -> None:
    """Put quartile and bipower sigma, kurtosis, the independent error, variance ratio."""
    item, count, degrees = steps.item, steps.count, steps.periods - 1.0
    many = (count > 1)[item]
    if not many.any():
        return
    share = np.where(many, steps.delta / steps.span[item], 0.0)
    free = 1.0 - share
    z = off / np.sqrt(steps.delta * free)
    low, high = np.quantile(z[many], [0.25, 0.75])
    scale = float(high - low) / (2.0 * QUARTILE)
    score = (((z > high) | (z < low)) - 0.5) * many
    score *= scale / (normal_pdf(QUARTILE) * 2.0 * QUARTILE * many.sum())
    table.put("sigma_robust", scale, steps.variance(score), degrees, True)
    pair = (item[1:] == item[:-1]) & (count > 2)[item[1:]]
    if pair.any():
        rho = np.where(pair, -np.sqrt(share[1:] * share[:-1] / (free[1:] * free[:-1])), 0.0)
        expected = (np.sqrt(1.0 - rho**2) + rho * np.arcsin(rho)) * pair * 2.0 / math.pi
        product = np.abs(z[1:] * z[:-1]) * pair
        square = float(product.sum() / expected.sum())
        score = np.append(product - square * expected, 0.0) / expected.sum()
        table.put_root("sigma_jump_robust", square, steps.variance(score, reach=1), degrees / 5)
    z2 = z**2
    second, fourth = steps.sums(z2) / count, steps.sums(z2**2) / count
    known = (count >= MIN_OVERLAP) & (second > 0)
    if known.any():
        n, excess = count[known], fourth[known] / second[known] ** 2 - 3.0
        # Fisher's k statistics: without bias for normal growth
        excess = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * excess + 6.0)
        table.put("excess_kurtosis", float(excess @ n / n.sum()))
    mean2, mean4 = float(z2[many].mean()), float((z2[many] ** 2).mean())
    if mean2 > 0:  # (kurtosis - 1) sigma^4/n for the variance, over (2 sigma)^2 for its root
        table.put("sigma_error_independent", math.sqrt((mean4 / mean2 - mean2) / many.sum()) / 2.0)
    used = np.where((count > lag)[item], free, 0.0)
    window = (item[lag - 1 :] == item[: off.size - lag + 1]) & (used[lag - 1 :] > 0)
    if mean2 > 0 and window.any() and float(used.sum()) > 0.5:
        base = float(used @ z2 / used.sum())
        sums = [np.append(0.0, np.cumsum(v)) for v in (off, steps.delta, share)]
        far, years, part = (c[lag:] - c[:-lag] for c in sums)
        long, weight = np.where(window, far**2 / years, 0.0), np.where(window, 1.0 - part, 0.0)
        ratio = float(long.sum() / weight.sum()) / base
        score = used * (base - z2) * ratio / used.sum()
        score[: long.size] += (long - ratio * base * weight) / weight.sum()
        variance = steps.variance(score / base, lag - 1)
        table.put("variance_ratio", ratio, variance, degrees / (3.0 * lag), True)  # squares: skew


def _shrink(
    steps: Steps, drift: Floats, own: _Own | None, squares: Floats, table: GrowthTable
) -> tuple[Floats, Floats]:
    """Return (empirical Bayes drifts, their errors)."""
    from statsmodels.stats.meta_analysis import combine_effects

    n = steps.count
    pooled = own.square if own else float(squares.sum()) / max(steps.growth.size - drift.size, 1)
    if pooled <= 0 or drift.size < 2:
        return drift, np.full(drift.size, np.nan)
    single = own.variance if own is not None else squares / np.maximum(n - 1.0, 1.0)
    single = single * (n - 1.0) / np.maximum(n - 3.0, 1.0)  # small ones get too much weight
    trusted = (n >= OWN_SIGMA_FROM) & (single > 1e-9 * pooled)
    span = steps.span if own is None else np.where(own.span > 0, own.span, steps.span)
    error2 = np.where(trusted, single, pooled) / span
    fit = combine_effects(drift, error2, method_re="iterated")
    tau2 = max(float(fit.tau2), 0.0)
    table.put("drift_sd", math.sqrt(tau2))
    table.put("drift_p_value", chi2_sf(fit.q, drift.size - 1))
    if tau2 == 0:
        table.notes.append("drifts differ no more than noise: individual mu are not estimable")
    weight = 1.0 / (error2 + tau2)
    centre = float(drift @ weight / weight.sum())
    keep = tau2 * weight
    error = np.sqrt(keep * error2 + (1.0 - keep) ** 2 / weight.sum())
    return centre + keep * (drift - centre), error


def _pairs(steps: Steps, off: Floats, table: GrowthTable) -> None:
    """Put correlations of those with the longest histories, and Pesaran's CD."""
    chosen = np.sort(np.argsort(-steps.count, kind="stable")[:MOST_PAIRED])
    row = np.full(steps.n_items, -1)
    row[chosen] = np.arange(chosen.size)
    here = row[steps.item] >= 0
    key = steps.start[here] * steps.times.size + steps.end[here]
    _, column, crowd = np.unique(key, return_inverse=True, return_counts=True)
    busy = np.argsort(-crowd, kind="stable")[:MOST_DATES]
    place = np.full(crowd.size, -1)
    place[busy[crowd[busy] > 1]] = np.arange(int(np.sum(crowd[busy] > 1)))
    kept = place[column] >= 0
    x = np.zeros((chosen.size, int(place.max(initial=-1)) + 1))
    p = np.zeros_like(x)
    at = (row[steps.item[here]][kept], place[column[kept]])
    x[at] = (off[here] / np.sqrt(steps.delta[here]))[kept]
    p[at] = 1.0
    overlap, sum_x, sum_xx = p @ p.T, x @ p.T, x**2 @ p.T
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(sum_xx / overlap - (sum_x / overlap) ** 2)
        covariance = x @ x.T / overlap - sum_x * sum_x.T / overlap**2
        # Rounding leaves a constant series a little spread, which correlates with nothing.
        usable = (overlap >= MIN_OVERLAP) & (spread > 1e-9 * np.nanmax(spread, initial=0.0))
        r = np.where(usable & usable.T, covariance / (spread * spread.T), np.nan)
    upper = np.triu_indices(chosen.size, 1)
    known = np.isfinite(r[upper])
    if not known.any():
        return
    values, shared = r[upper][known], overlap[upper][known]
    table.put("mean_correlation", float(values.mean()))
    cd = float(np.sqrt(shared) @ values) / math.sqrt(values.size)
    table.put("cd_statistic", cd)
    table.put("cd_p_value", 2.0 * normal_sf(abs(cd)))
