"""Size dependence of growth net of a common shock with unequal loadings (eq 37-38).

    r_i = a + b x_i + beta_i f + e_i,   x the log size before a step, f not observed.

Averages over the items of one step show f (common correlated effects, [Pesaran2006]): f = mean r -
a - b mean x. Growth and size net of the market, each item with its own loading,

    r_i - beta_i mean r = a (1 - beta_i) + b (x_i - beta_i mean x) + noise,

give (a, b, beta_i) by non-linear least squares; the mean of f over the sample is zero up to its
standard error c/sqrt(T). This is the pooled slope: no intercept of an item returns to its mean, so
b is without bias to O(1/T^2). The slope of `baimo.estimation.growth.size_dependence` leaves (beta_i
- 1) f in the errors, which large sizes with large loadings turn into variance and, where the market
has a trend, into bias.

Pesaran's own regressions, item by item on (1, mean r, mean x), do have intercepts, and the noise of
a random walk returns to its own mean. With P the projection on the regressors, M = 1 - P and L
summing the past, e'M L e has mean -s^2 tr(P L) under b = 0: for the intercept alone this is the
-3/(T+1) of [HarrisTzavalis1999]. Here it is taken off the pooled slope, and off each item's the
mean of its ratio (e'M L e)/(e'L'M L e), an integral [Sawa1978]. Both are right under b = 0 only and
hardly move with b: they test b = 0 and estimate no other b. A half-panel jackknife removes the bias
on average, but the spread over items then covers 57 % instead of 95 %: items share the path of
their regressors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats, Values
from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.growth.panel import SizedSteps, sized_steps
from baimo.estimation.growth.volatility import FEW_PERIODS
from baimo.estimation.laws import t_sf
from baimo.estimation.results import Estimate, FitResult, registered, student
from baimo.estimation.samples.arguments import checked_flag

MOST_ROUNDS, PRECISION = 500, 1e-6  # of Gauss-Newton; precision in standard errors
FEWEST_STEPS = 10  # of an item: four coefficients of its own, and noise
LONGEST = 200  # rows of a null mean: beyond the scale 1/T it depends on T by O(1/T)
LOG_NODES = np.linspace(-18.0, 25.0, 200)  # of an integral over [0, inf), in logarithms


@registered("SizeSlopeFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class SizeSlopeFit(FitResult):
    """Slope of growth on log size net of the common shock, growth per usual step.

    Parameters
    ----------
    b, b_std_error
        Pooled slope, clustered by item and time; with `item_effects` Pesaran's, its bias under
        b = 0 taken off, the error from the spread over items.
    b_uncorrected, bias
        The pooled slope before the bias was taken off, and the bias (0 without item effects).
    b_mean_group, b_mean_group_std_error
        Mean of Pesaran's slopes by item, each less its mean under b = 0, and the error from their
        spread over items. Only a test of b = 0.
    p_value
        Of b = 0, two-sided, Student's t with `degrees`, pooled slope.
    item_effects
        Whether items have intercepts in the pooled slope.
    items, item_slope, item_bias : (n_items,)
        Labels, Pesaran's slope of each item as estimated, and its mean under b = 0.
    n_items, effective_periods, degrees
        Items, independent draws of the common shock, and degrees of freedom of `b`.
    period_years
        Years of the usual step, the median one.
    """

    b: float
    b_std_error: float
    b_uncorrected: float
    bias: float
    b_mean_group: float
    b_mean_group_std_error: float
    p_value: float
    item_effects: bool
    items: Values
    item_slope: Floats
    item_bias: Floats
    n_items: int
    effective_periods: float
    degrees: float
    period_years: float

    title: ClassVar[str] = "Size slope net of the common shock (mean group: a test of b = 0 only)"

    def summary(self) -> str:
        """Return the table; its first line says what is no estimate."""
        text = super().summary()
        if self.item_effects:
            return text.replace("(mean group:", "(item effects and mean group:", 1)
        return text

    def estimates(self) -> dict[str, Estimate]:
        """Return the pooled and the mean-group slope."""
        group = student(
            self.b_mean_group, self.b_mean_group_std_error, self.n_items - 1.0, unit="1/period"
        )
        return {
            "size_slope_cce": student(self.b, self.b_std_error, self.degrees, unit="1/period"),
            "size_slope_cce_mean_group": group,
        }


class _Slope(NamedTuple):
    """A slope with its error, what was taken off, and the degrees of freedom."""

    value: float
    error: float
    bias: float
    degrees: float


class _ByItem(NamedTuple):
    """Pesaran's regressions: x'M r, x'M x, s^2 under b = 0, tr(P L), mean ratio under b = 0."""

    product: Floats
    square: Floats
    noise: Floats
    trace: Floats
    mean: Floats


def fit_size_slope_cce(
    items: ArrayLike,
    years: ArrayLike,
    values: ArrayLike,
    *,
    item_effects: bool = False,
    min_items: int = 10,
    min_steps: int = 20,
) -> SizeSlopeFit:
    """Regress growth on log size before, net of a common shock with unequal loadings.

    Parameters
    ----------
    items, years, values : (n,)
        As for `baimo.estimation.growth.volatility.fit_growth_paths`: label, time in years, size;
        any order, gaps and irregular dates allowed, as long as items share them.
    item_effects
        Give each item an intercept in the pooled slope too, and take off the bias that it has
        under b = 0: a test of Gibrat's law and no estimate of another b.
    min_items, min_steps
        Steps between two dates that fewer items share, and items with fewer such steps, are left
        out and counted in the notes. At least 5 and 10.

    Raises
    ------
    DataError
        What `fit_growth_paths` refuses; no dates in common; sizes that do not differ.
    ConvergenceError
        No slope was found; carries the last one.

    Notes
    -----
    The slope is per usual (median) step; steps of other lengths count in proportion. Over 1,000
    panels of 100 items by 150 weeks (own sigma .8, common .5, loading_sd 0 and .5) the pooled
    slope has a bias below .1 of its error and covers .95 to .96, under b = 0 and b = -.02. Where
    the market rises by 1/yr (400 panels of 80, loading_sd .5) its bias is .15 of its error and it
    covers .92; the plain slope's bias is then 1.4 and it covers .61. The mean group covers .95
    under b = 0; its error is eight times larger, and under b = -.02 it does not cover. Drifts that
    differ between items bias the pooled slope upward, as they do the plain one: those who grow get
    large (+.6 of its error where drift_sd is .3).
    """
    item_effects = checked_flag("item_effects", item_effects)
    if min_items < 5 or min_steps < FEWEST_STEPS:
        raise DataError(f"min_items and min_steps must be at least 5 and {FEWEST_STEPS}")
    panel = sized_steps(items, years, values).together(min_items, min_steps)
    found = _by_item(panel)
    slope = _with_item_effects(found) if item_effects else _net_of_market(panel)
    own, n = found.product / found.square, panel.steps.n_items
    group = own - found.mean
    return SizeSlopeFit(
        n_obs=panel.n_obs,
        n_used=panel.size.size + n,
        notes=(*panel.notes, *_notes(panel, item_effects)),
        b=slope.value,
        b_std_error=slope.error,
        b_uncorrected=slope.value + slope.bias,
        bias=slope.bias,
        b_mean_group=float(group.mean()),
        b_mean_group_std_error=float(group.std(ddof=1)) / math.sqrt(n),
        p_value=2.0 * t_sf(abs(slope.value) / slope.error, slope.degrees),
        item_effects=item_effects,
        items=panel.labels,
        item_slope=own,
        item_bias=found.mean,
        n_items=n,
        effective_periods=panel.steps.periods,
        degrees=slope.degrees,
        period_years=panel.usual,
    )


def _notes(panel: SizedSteps, item_effects: bool) -> list[str]:
    notes = [
        "intercepts of items bias the slope even under Gibrat's law; what they do under b = 0 is "
        f"taken off{' the pooled slope and' if item_effects else ''} the mean group, which tests "
        "b = 0 and estimates no other b"
    ]
    if panel.steps.periods < FEW_PERIODS:
        notes.append(f"only {panel.steps.periods:.3g} periods of market: errors uncertain")
    return notes


def _net_of_market(panel: SizedSteps) -> _Slope:
    """Return the pooled slope without item effects, by Gauss-Newton in (b, a)."""
    steps, item = panel.steps, panel.steps.item
    root = np.sqrt(steps.delta / panel.usual)
    growth, size = steps.growth / root, panel.size - float(panel.size.mean())
    mean_growth, mean_size = panel.mean(growth), panel.mean(size) * root
    y, x = growth - mean_growth, size * root - mean_size
    if not float(x @ x) > 1e-20 * float(panel.size @ panel.size):
        raise DataError("sizes do not differ between items: no slope; give items that differ")
    b, a = 0.0, float(mean_growth @ root / (root @ root))
    for _ in range(MOST_ROUNDS):
        f = mean_growth - a * root - b * mean_size
        square = steps.sums(f * f)
        loading = (steps.sums(f * (y - b * x)) / square)[item]  # beyond 1
        noise = y - b * x - loading * f
        both = np.column_stack([x - loading * mean_size, -loading * root])
        both -= np.column_stack([f * (steps.sums(f * v) / square)[item] for v in both.T])
        # One row more: the mean of f is zero, with variance c^2/T.
        mean = float(f @ root / (root @ root))
        weight = float(noise @ noise) / noise.size * steps.periods / float(np.mean(f * f))
        bread = np.linalg.inv(both.T @ both + np.diag([0.0, weight]))
        move = bread @ (both.T @ noise + np.array([0.0, weight * mean]))
        b, a = b + float(move[0]), a + float(move[1])
        score = noise * (both @ bread[0])
        variance = steps.variance(score) or float(score @ score)
        if abs(move[0]) <= PRECISION * math.sqrt(variance):
            degrees = min(steps.n_items, max(steps.periods, 2.0)) - 1.0
            return _Slope(b, math.sqrt(variance), 0.0, degrees)
    raise ConvergenceError("no slope found: leave out items with few steps", {"b": b, "a": a})


def _with_item_effects(found: _ByItem) -> _Slope:
    """Return Pesaran's pooled slope less its bias under b = 0, error from the spread over items."""
    n, square = found.square.size, float(found.square.sum())
    score = found.product + found.noise * found.trace
    error = math.sqrt(float(score @ score) * n / (n - 1.0)) / square
    bias = -float(found.noise @ found.trace) / square
    return _Slope(float(score.sum()) / square, error, bias, n - 1.0)


def _by_item(panel: SizedSteps) -> _ByItem:
    """Return Pesaran's regressions, item by item."""
    steps = panel.steps
    root = np.sqrt(steps.delta / panel.usual)
    y, x = steps.growth / root, panel.size * root
    regressors = np.column_stack([root, panel.mean(y), _index(panel, root) * root])
    begins, ends = (steps.times[code] / panel.usual for code in (steps.start, steps.end))
    rows, means = np.split(np.arange(y.size), np.cumsum(steps.count)[:-1]), dict[bytes, float]()
    found = np.empty((5, steps.n_items))
    for i, k in enumerate(rows):
        q = np.linalg.qr(regressors[k])[0]
        left, growth = (v[k] - q @ (q.T @ v[k]) for v in (x, y))
        after = np.append(begins[k][1:] - ends[k][:-1], 0.0)
        key = regressors[k].tobytes() + after.tobytes()
        if key not in means:
            means[key] = _mean_ratio(regressors[k], begins[k], ends[k])
        found[:, i] = (
            left @ growth,
            left @ left,
            growth @ growth / (k.size - 3.0),
            _trace(q, root[k]),
            means[key],
        )
    return _ByItem(*found)


def _index(panel: SizedSteps, root: Floats) -> Floats:
    """Return, for each step, the mean log size at its beginning, chained from mean growth.

    In a balanced panel this is the mean of log size less a constant. Where items come and go the
    mean jumps with them, and no longer follows the market.
    """
    steps, growth = panel.steps, np.zeros(panel.steps.times.size)
    next_date = steps.end == steps.start + 1
    mean = panel.mean(steps.growth / root) * root
    growth[steps.end[next_date]] = mean[next_date]
    index = np.cumsum(growth)[steps.start]
    return np.asarray(index - index.mean())


def _trace(q: Floats, root: Floats) -> float:
    """Return tr(P L) for the projection on the columns of `q`, steps weighted by their roots."""
    weighted = q * root[:, None]
    later = np.cumsum(weighted[::-1], axis=0)[::-1] - weighted
    return float(np.sum(weighted * later))


def _mean_ratio(regressors: Floats, begins: Floats, ends: Floats) -> float:
    """Return E[e'M x / x'M x] of a random walk x with steps e: the slope of an item under b = 0.

    With eigenvalues l_j and vectors v_j of the form below the line, and a_j = v_j' (form above)
    v_j, this is the integral over t > 0 of prod_k (1 + 2 t l_k)^-1/2 sum_j a_j/(1 + 2 t l_j).
    """
    thin = slice(None, None, -(-begins.size // LONGEST))
    begins, regressors = begins[thin], regressors[thin]
    if begins.size < ends.size:  # longer steps, each up to the next
        ends = np.append(begins[1:], ends[-1])
    length, gap = ends - begins, np.append(begins[1:], ends[-1]) - ends
    root, n = np.sqrt(length), begins.size
    past, holes = np.tril(np.ones((n, n)), -1), gap > 1e-9
    walk = np.hstack([past * root, (past * np.sqrt(np.maximum(gap, 0.0)))[:, holes]])
    walk *= root[:, None]
    q = np.linalg.qr(regressors)[0]
    left = walk - q @ (q.T @ walk)
    value, vector = np.linalg.eigh(left.T @ left)
    above = np.sum((left @ vector) * vector[:n], axis=0)
    scale = float(value.sum()) / n
    t = np.exp(LOG_NODES)
    grown = 1.0 + 2.0 * np.outer(t, np.maximum(value, 0.0) / scale)
    integrand = t * np.exp(-0.5 * np.log(grown).sum(axis=1)) * (above / grown).sum(axis=1)
    return float(np.trapezoid(integrand, LOG_NODES)) / scale
