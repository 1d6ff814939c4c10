"""Does growth depend on size? Panel regressions for eq 37-38 and Gibrat's law.

    g_it = a_t + b log s_{i,t-1} + c'K_{i,t-1} + u_it

b = 0 is eq 38 with inflow split by size: the same growth for all, no rich-get-richer. Period
effects a_t take the market out; what is left of it through unequal loadings makes the errors of
one period move together, so errors are clustered by item and by period [CameronEtAl2011] and,
beside them, by [DriscollKraay1998] with lag floor(4 (T/100)^(2/9)). Two things go wrong easily.
Item effects bias b to -3/(T+1) under Gibrat's law [HarrisTzavalis1999]: the within-item noise
of a random walk returns to its own mean. And an error in measured size enters growth with the
opposite sign, which looks like reversion: instrument size by its earlier lag.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.growth.panel import Codes, two_way_effects
from baimo.estimation.laws import t_ppf, t_sf
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.arguments import checked_flag

WEAK_F = 10.0  # [StaigerStock1997]
FEW_CLUSTERS = 10


@registered("SizeDependenceFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class SizeDependenceFit(FitResult):
    """Slope of growth on log size, with period effects.

    Parameters
    ----------
    b, b_std_error
        Slope, in units of growth per unit of log size, and its error clustered by item and
        period; after the bias correction where `item_effects`.
    b_std_error_driscoll_kraay, lag
        The Driscoll-Kraay error, None with item effects (covers 83 %), and its lag in periods.
    b_std_error_naive
        As if all observations were independent: shown to be distrusted.
    b_uncorrected, bias
        Slope as estimated, and the bias -3/(T+1) taken off it (0 without item effects).
    p_value
        Of b = 0, two-sided, Student's t with `degrees`, clustered error.
    mean_growth, mean_growth_std_error
        Mean of growth (r + lambda of eq 37 when b = 0), same clusters.
    control_names, control_values, control_std_errors
        Coefficients c of the controls.
    first_stage_f
        Clustered F of the instrument, None without one.
    n_items, n_periods, degrees
        Items, periods, and min(items, periods) - 1.
    """

    b: float
    b_std_error: float
    b_std_error_driscoll_kraay: float | None
    b_std_error_naive: float
    b_uncorrected: float
    bias: float
    p_value: float
    mean_growth: float
    mean_growth_std_error: float
    control_names: tuple[str, ...]
    control_values: tuple[float, ...]
    control_std_errors: tuple[float, ...]
    first_stage_f: float | None
    item_effects: bool
    lag: int
    n_items: int
    n_periods: int
    degrees: int

    title: ClassVar[str] = "Size dependence of growth (period effects)"

    def estimates(self) -> dict[str, Estimate]:
        """Return the slope with both errors, mean growth and the controls."""
        dk = self.n_periods - 1
        table = {
            "size_slope": _estimate(self.b, self.b_std_error, self.degrees),
            "size_slope_driscoll_kraay": _estimate(self.b, self.b_std_error_driscoll_kraay, dk),
            "mean_growth": _estimate(self.mean_growth, self.mean_growth_std_error, self.degrees),
        }
        names = zip(self.control_names, self.control_values, self.control_std_errors, strict=True)
        return table | {f"control_{k}": _estimate(v, e, self.degrees) for k, v, e in names}


def _estimate(value: float, error: float | None, degrees: int) -> Estimate:
    if error is None:
        return Estimate(value=value, unit="1/period")
    half = t_ppf(0.975, degrees) * error
    return Estimate(
        value=value, std_error=error, interval=(value - half, value + half), unit="1/period"
    )


def fit_size_dependence(
    items: ArrayLike,
    periods: ArrayLike,
    log_size_before: ArrayLike,
    growth: ArrayLike,
    *,
    controls: Mapping[str, ArrayLike] | ArrayLike | None = None,
    item_effects: bool = False,
) -> SizeDependenceFit:
    """Regress growth on log size before, with period effects.

    Parameters
    ----------
    items, periods : (n,) numbers or text; sortable
        Item and period of each observation, no pair twice; periods equally spaced.
    log_size_before : (n,)
        Log size at the beginning of the period.
    growth : (n,)
        Log growth over the period.
    controls : mapping of name to (n,), or (n,) or (n, k)
        What else may explain growth, as of the beginning of the period.
    item_effects
        Add an effect of each item and take the bias -3/(T+1) off the slope. The correction
        holds under b = 0 only, so this is a test of Gibrat's law and no estimate of another b.

    Raises
    ------
    DataError
        Lengths that differ, an item twice in one period, fewer than two items or three
        periods, sizes or controls that do not vary within periods.

    Notes
    -----
    Rows with a missing or infinite number are left out and counted.
    """
    return _fit(items, periods, log_size_before, growth, controls, None, item_effects)


def fit_gibrat(
    items: ArrayLike,
    periods: ArrayLike,
    log_size_before: ArrayLike,
    growth: ArrayLike,
    *,
    instrument: ArrayLike,
    controls: Mapping[str, ArrayLike] | ArrayLike | None = None,
) -> SizeDependenceFit:
    """Regress growth on log size, instrumented against errors in measured size (2SLS).

    Parameters
    ----------
    instrument : (n,)
        Log size one period earlier than `log_size_before`, NaN where there is none: its error of
        measurement is not in growth, provided that errors are not serially correlated.

    Notes
    -----
    The other parameters, refusals and missing rows are those of `fit_size_dependence`; a first
    stage F below 10 marks the fit as doubtful.
    """
    return _fit(items, periods, log_size_before, growth, controls, instrument, False)


def _fit(
    items: ArrayLike,
    periods: ArrayLike,
    log_size_before: ArrayLike,
    growth: ArrayLike,
    controls: Mapping[str, ArrayLike] | ArrayLike | None,
    instrument: ArrayLike | None,
    item_effects: bool,
) -> SizeDependenceFit:
    from statsmodels.api import OLS

    item_effects = checked_flag("item_effects", item_effects)
    names, extra = _controls(controls)
    columns = [growth, log_size_before, *extra, *([] if instrument is None else [instrument])]
    table, item, period = _complete_rows(items, periods, columns)
    n_items, n_periods = _checked_panel(item, period)
    within = _within(table, item, period, item_effects)
    k = 1 + len(names)
    _refuse_constant(table, within, ("growth", "log_size_before", *names, "instrument"), k)
    y, x = within[:, 0], within[:, 1 : 1 + k]
    absorbed = n_periods + (n_items - 1 if item_effects else 0)
    first_f, fitted = None, x
    if instrument is not None:
        z = np.column_stack([within[:, -1], x[:, 1:]])
        stage = OLS(x[:, 0], z).fit()
        v = _clustered(z * stage.resid[:, None], stage.normalized_cov_params, item, period)
        first_f = float(stage.params[0] ** 2 / v[0])
        fitted = np.column_stack([stage.fittedvalues, x[:, 1:]])
    second = OLS(y, fitted).fit()
    beta = np.asarray(second.params, dtype=np.float64)
    # 2SLS: the residual is that of size itself, not of its fitted value.
    residual = y - x @ beta
    bread = np.asarray(second.normalized_cov_params)
    scores = fitted * residual[:, None]
    lag = min(math.floor(4.0 * (n_periods / 100.0) ** (2.0 / 9.0)), n_periods - 2)
    degrees_left = max(y.size - k - absorbed, 1)
    noise, bias = float(residual @ residual) / degrees_left, 0.0
    if item_effects:
        bias, expected = _item_effect_bias(item, period)
        scores[:, 0] -= noise * expected
    cluster = np.sqrt(_clustered(scores, bread, item, period))
    dk = _driscoll_kraay(scores, bread, period, lag)
    degrees, b = min(n_items, n_periods) - 1, float(beta[0]) - bias
    deviation = table[:, 0] - table[:, 0].mean()
    mean_variance = _clustered(deviation[:, None], np.array([[1.0 / y.size]]), item, period)
    return SizeDependenceFit(
        n_obs=np.size(items),
        n_used=y.size,
        converged=first_f is None or first_f >= WEAK_F,
        notes=_notes(np.size(items) - y.size, item_effects, first_f, n_items, n_periods),
        b=b,
        b_std_error=float(cluster[0]),
        b_std_error_driscoll_kraay=None if item_effects else math.sqrt(dk[0, 0]),
        b_std_error_naive=math.sqrt(noise * bread[0, 0]),
        b_uncorrected=float(beta[0]),
        bias=bias,
        p_value=2.0 * t_sf(abs(b) / float(cluster[0]), degrees),
        mean_growth=float(table[:, 0].mean()),
        mean_growth_std_error=math.sqrt(mean_variance[0]),
        control_names=names,
        control_values=tuple(float(v) for v in beta[1:]),
        control_std_errors=tuple(float(e) for e in cluster[1:]),
        first_stage_f=first_f,
        item_effects=item_effects,
        lag=lag,
        n_items=n_items,
        n_periods=n_periods,
        degrees=degrees,
    )


def _complete_rows(
    items: ArrayLike, periods: ArrayLike, columns: Sequence[ArrayLike]
) -> tuple[Floats, Codes, Codes]:
    """Return the rows whose numbers are all finite, and the codes of their items and periods."""
    labels, dates = np.asarray(items), np.asarray(periods)
    numbers = [np.asarray(column, dtype=np.float64) for column in columns]
    if any(c.shape != labels.shape or c.ndim != 1 for c in [dates, *numbers]):
        raise DataError("items, periods, sizes, growth and controls must have one length")
    table = np.column_stack(numbers)
    kept = np.all(np.isfinite(table), axis=1)
    _, item = np.unique(labels[kept], return_inverse=True)
    _, period = np.unique(dates[kept], return_inverse=True)
    return table[kept], item, period


def _refuse_constant(table: Floats, within: Floats, names: Sequence[str], k: int) -> None:
    """Refuse columns that do not vary within periods, and regressors that move as one."""
    for name, spread, whole in zip(names, within.std(axis=0), table.std(axis=0), strict=False):
        if not spread > 1e-10 * whole:
            raise DataError(f"{name} does not vary within periods: no slope; give data that vary")
    x = within[:, 1 : 1 + k]
    if np.linalg.matrix_rank(x / x.std(axis=0), tol=1e-8 * math.sqrt(x.shape[0])) < k:
        raise DataError("size and controls are collinear within periods; leave one control out")


def _controls(
    controls: Mapping[str, ArrayLike] | ArrayLike | None,
) -> tuple[tuple[str, ...], list[Floats]]:
    if controls is None:
        return (), []
    if isinstance(controls, Mapping):
        return tuple(controls), [np.asarray(v, dtype=np.float64) for v in controls.values()]
    block = np.asarray(controls, dtype=np.float64)
    block = block[:, None] if block.ndim == 1 else block
    return tuple(f"k{j + 1}" for j in range(block.shape[1])), list(block.T)


def _checked_panel(item: Codes, period: Codes) -> tuple[int, int]:
    n_items = int(item.max(initial=-1)) + 1
    n_periods = int(period.max(initial=-1)) + 1
    if np.unique(item * max(n_periods, 1) + period).size != item.size:
        raise DataError("an item has two rows in one period; give one row each")
    if n_items < 3 or n_periods < 3:
        raise DataError(f"{n_items} items over {n_periods} periods are too few: at least 3 of each")
    return n_items, n_periods


def _notes(
    missing: int, item_effects: bool, first_f: float | None, n_items: int, n_periods: int
) -> tuple[str, ...]:
    notes = []
    if missing:
        notes.append(f"{missing} rows with a missing number left out")
    if item_effects:
        notes.append(
            "item effects bias the slope to -3/(T+1) under Gibrat's law; this is taken off, which "
            "is right under b = 0 only: a test, no estimate of another b"
        )
    else:
        notes.append("no item effects: with them Gibrat's law itself gives -3/(T+1), not 0")
    if first_f is not None and first_f < WEAK_F:
        notes.append(f"first stage F = {first_f:.2g} below {WEAK_F:g}: the instrument is weak")
    if min(n_items, n_periods) < FEW_CLUSTERS:
        notes.append(
            f"only {min(n_items, n_periods)} clusters on one side: errors are uncertain themselves"
        )
    return tuple(notes)


def _within(table: Floats, item: Codes, period: Codes, item_effects: bool) -> Floats:
    """Return the columns less their period (and item) effects."""
    if item_effects:
        ones = np.ones(item.size)
        return np.column_stack([two_way_effects(c, ones, item, period).residual for c in table.T])
    count = np.bincount(period)
    return np.column_stack([c - (np.bincount(period, weights=c) / count)[period] for c in table.T])


def _clustered(scores: Floats, bread: Floats, item: Codes, period: Codes) -> Floats:
    """Return the variances clustered by item and period.

    Those by item are the floor: what periods add is a difference of noisy sums, and may come out
    negative where errors of one item alternate.
    """
    from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

    both, by_item, _ = cov_cluster_2groups((scores, bread), item, period)
    return np.maximum(np.diag(both), np.diag(by_item))


def _driscoll_kraay(scores: Floats, bread: Floats, period: Codes, lag: int) -> Floats:
    from statsmodels.stats.sandwich_covariance import cov_nw_groupsum

    return np.asarray(cov_nw_groupsum((scores, bread), lag, period, use_correction="cluster"))


def _item_effect_bias(item: Codes, period: Codes) -> tuple[float, Floats]:
    """Return -3/(T+1), or its mean over unequal histories, and the scores it leaves on average.

    Within T steps of a random walk with variance 1, step p adds -(T-1)/(2T) to the numerator and
    `square` to the denominator, (T^2-1)/6 in all. What one bias for all steps leaves is no noise.
    """
    length = np.bincount(item)
    order = np.lexsort((period, item))
    p, t = np.empty(item.size), length[item].astype(np.float64)
    p[order] = np.arange(item.size) - (np.cumsum(length) - length)[item[order]]
    square = (p * (p + 1) * (2 * p + 1) + (t - 1 - p) * (t - p) * (2 * t - 2 * p - 1)) / (6 * t**2)
    numerator = -(t - 1) / (2 * t)
    bias = float(numerator.sum() / square.sum())
    return bias, numerator - bias * square
