"""Bootstrap of growth on a long panel: items resampled, and blocks of dates (eq 36-39).

Items share the market of a date, and dates of an item its luck, so both are drawn anew: items
singly, dates in circular blocks [PolitisRomano1992], the two independently of each other. A
step of an item counts as often as its item was drawn times how often its date was.

Drawing both at once would take the noise of a single step three times [Owen2007]: it is drawn with
its item, with its date, and once more in their product. So each replicate is evaluated with its
items alone, its dates alone, and both. With D_i, D_t and D_it the three deviations from the
estimate, D_it - D_i - D_t has the variance E of that noise, D_i + D_t holds it twice, and

    estimate + (D_i + D_t) sqrt(1 - E/Var(D_i + D_t))

holds it once, with the skewness of both. Its percentiles are the intervals, stretched for few
items and few blocks: sqrt(n/(n - 1)) and Student's t of n - 1 degrees for items, sqrt(T/(T - l))
and t of T/l degrees for blocks of l dates.

Drifts of items and means of dates stay as fitted: a variance and a slope do not change with them
to first order, and to refit them on repeated items would need other degrees of freedom. The rule
for the length of a block is T^(1/3), rounded up [HallEtAl1995].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.growth.panel import SizedSteps, recoded, sized_steps, two_way_effects
from baimo.estimation.laws import normal_ppf, t_ppf
from baimo.estimation.results import Estimate, FitResult, Progress, registered
from baimo.simulation.growth.gbm import GrowthParams

FEWEST_ITEMS, FEWEST_BLOCKS, FEWEST_REPLICATIONS = 10, 10, 100
CHUNK = 100  # replicates at a time
LOGARITHMIC = ("sigma", "sigma_idiosyncratic", "zeta")
UNITS = {
    "mu": "1/yr",
    "sigma": "yr^-1/2",
    "sigma_idiosyncratic": "yr^-1/2",
    "size_slope": "1/period",
    "zeta": "1",
}


@registered("GrowthBootstrap")
@dataclass(frozen=True, eq=False, kw_only=True)
class GrowthBootstrap(FitResult):
    """Percentile intervals of growth from resampled items and blocks of dates.

    Parameters
    ----------
    table
        Estimates by name: mu_bootstrap, sigma_bootstrap, sigma_idiosyncratic_bootstrap as in
        `baimo.estimation.growth.volatility`; size_slope_bootstrap: pooled slope of growth on log
        size with date effects, per usual step; zeta_bootstrap: the asymptotic exponent of eq 39,
        where rates were given. Errors are standard deviations of the replicates before they are
        stretched.
    n_items, n_dates
        What was resampled: items, and dates on which steps end.
    block_length
        Dates in a block.
    n_replications
        Replicates.
    """

    table: dict[str, Estimate]
    n_items: int
    n_dates: int
    block_length: int
    n_replications: int

    title: ClassVar[str] = (
        "Growth of paths, bootstrap of items and blocks of dates (zeta is .16 of its error high)"
    )

    def estimates(self) -> dict[str, Estimate]:
        """Return the table."""
        return self.table


class _Rates(NamedTuple):
    """What zeta needs beside mu and sigma, 1/yr."""

    exit_rate: float
    entry_growth: float
    entrant_size_growth: float


def bootstrap_growth(
    items: ArrayLike,
    years: ArrayLike,
    values: ArrayLike,
    *,
    n_replications: int = 1000,
    block_length: int | None = None,
    exit_rate: float | None = None,
    entry_growth: float | None = None,
    entrant_size_growth: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> GrowthBootstrap:
    """Resample items and blocks of dates of a long panel.

    Parameters
    ----------
    items, years, values : (n,)
        As for `baimo.estimation.growth.volatility.fit_growth_paths`.
    n_replications
        At least 100.
    block_length
        Dates in a block; None: T^(1/3), rounded up. At least ten blocks must fit.
    exit_rate, entry_growth
        Hazard of exit and growth of entry, 1/yr: either gives zeta, the other is then 0. They
        are taken as known.
    entrant_size_growth
        Growth of the log size of entrants, 1/yr, taken as known; 0 means that entrants do not
        grow with the market, and the market's luck is in zeta.
    seed
        Not negative; the same seed gives the same intervals.
    progress
        Called with (done, total) after each hundred.

    Raises
    ------
    DataError
        What `fit_growth_paths` refuses; fewer than 10 items or 10 blocks; few items share dates;
        sizes that do not differ; rates whose sum is not positive.

    Notes
    -----
    zeta takes the drift of the log and sigma_idiosyncratic: the common shock moves no relative
    size. It is convex in the drift: over short panels its estimate is high, its interval holds.
    Over 1,000 panels of 80 items by 150 weeks, with and without a common shock, the intervals
    cover .93 to .96 and the biases are below .1 of the error, that of zeta .16.
    """
    if n_replications < FEWEST_REPLICATIONS or seed < 0:
        raise DataError(
            f"n_replications = {n_replications} must be at least {FEWEST_REPLICATIONS}, and seed "
            f"= {seed} not negative"
        )
    rates = _rates(exit_rate, entry_growth, entrant_size_growth)
    panel = sized_steps(items, years, values)
    date, n_items = recoded(panel.steps.end), panel.steps.n_items
    n_dates = int(date.max()) + 1
    length = _block(block_length, n_items, n_dates)
    parts = [
        sparse.csr_array((part, (panel.steps.item, date)), shape=(n_items, n_dates))
        for part in _parts(panel)
    ]
    whole = _statistics(np.array([[float(m.sum())] for m in parts]), rates)
    drawn = _statistics(_replicates(parts, length, n_replications, seed, progress), rates)
    stretch = np.array([_stretch(n_items, 1), _stretch(n_dates, length)])
    table = {
        f"{name}_bootstrap": _estimate(name, float(whole[name][0]), draws, stretch)
        for name, draws in drawn.items()
    }
    return GrowthBootstrap(
        n_obs=panel.n_obs,
        n_used=panel.size.size + n_items,
        notes=(*panel.notes, *_notes(n_dates, length, rates)),
        table=table,
        n_items=n_items,
        n_dates=n_dates,
        block_length=length,
        n_replications=n_replications,
    )


def _rates(exit_rate: float | None, entry: float | None, size: float) -> _Rates | None:
    """Return what zeta needs, None where neither rate was given."""
    if exit_rate is None and entry is None:
        return None
    rates = _Rates(exit_rate or 0.0, entry or 0.0, size)
    if not (all(map(math.isfinite, rates)) and rates.exit_rate >= 0):
        raise DataError(
            "rates of exit, entry and entrants' growth must be finite, exit not below 0"
        )
    if not rates.exit_rate + rates.entry_growth > 0:
        raise DataError(
            "exit_rate + entry_growth must be positive: without turnover there is no stationary "
            "tail; leave both out"
        )
    return rates


def _block(length: int | None, n_items: int, n_dates: int) -> int:
    """Return the length of a block; refuse a panel with too little to resample."""
    if n_items < FEWEST_ITEMS:
        raise DataError(f"{n_items} items are too few to resample: at least {FEWEST_ITEMS}")
    chosen = math.ceil(n_dates ** (1.0 / 3.0)) if length is None else length
    if chosen < 1:
        raise DataError(f"block_length = {chosen} must be at least 1")
    if n_dates < FEWEST_BLOCKS * chosen:
        raise DataError(
            f"{n_dates} dates are too few for {FEWEST_BLOCKS} blocks of {chosen}: give a longer "
            "panel, or a shorter block_length"
        )
    return chosen


def _parts(panel: SizedSteps) -> list[Floats]:
    """Return, by step, numerators and denominators: drift, sigma^2, own sigma^2, size slope."""
    steps, item = panel.steps, panel.steps.item
    root = np.sqrt(steps.delta)
    off = steps.growth - (steps.sums(steps.growth) / steps.span)[item] * steps.delta
    shared = panel.crowd > 1
    if shared.mean() < 0.5:
        raise DataError("most steps share their dates with no other: give items on common dates")
    square, free = np.zeros(item.size), np.zeros(item.size)
    group = recoded(panel.group[shared])
    fit = two_way_effects(steps.growth[shared] / root[shared], root[shared],
                          recoded(item[shared]), group)  # fmt: skip
    square[shared] = fit.residual**2
    if not float(square.sum()) > 1e-20 * float(steps.growth @ steps.growth):
        raise DataError("all items grow alike: there is no noise to resample; check the values")
    span = np.bincount(item[shared], steps.delta[shared], steps.n_items)
    free[shared] = 1.0 - 1.0 / panel.crowd[shared] - steps.delta[shared] / span[item[shared]]
    free *= (square[shared].size - fit.rank) / free.sum()
    size = panel.size - panel.mean(panel.size)
    if not float(size @ size) > 1e-20 * float(panel.size @ panel.size):
        raise DataError("sizes do not differ between items: no slope; give items that differ")
    usual = steps.delta / panel.usual
    growth = steps.growth - panel.mean(steps.growth)
    return [
        steps.growth, steps.delta,
        off**2 / steps.delta, 1.0 - steps.delta / steps.span[item],
        square, free,
        size * growth, size**2 * usual,
    ]  # fmt: skip


def _replicates(
    parts: list[sparse.csr_array], length: int, total: int, seed: int, progress: Progress | None
) -> Floats:
    """Return the sums of all parts: part, (items, dates, both) drawn, replicate."""
    rng, chunks = np.random.default_rng(seed), []
    n_items, n_dates = parts[0].shape
    for done in range(0, total, CHUNK):
        size = min(CHUNK, total - done)
        item = rng.multinomial(n_items, np.full(n_items, 1.0 / n_items), size=size).astype(float)
        date = _dates_drawn(rng, size, n_dates, length)
        chunks.append(
            [
                (item @ m.sum(axis=1), date @ m.sum(axis=0), np.sum((item @ m) * date, axis=1))
                for m in parts
            ]
        )
        if progress is not None:
            progress(done + size, total)
    return np.concatenate(chunks, axis=2)


def _dates_drawn(rng: np.random.Generator, size: int, n_dates: int, length: int) -> Floats:
    """Return how often each date is drawn, in circular blocks: (size, n_dates)."""
    first = rng.integers(0, n_dates, (size, -(-n_dates // length), 1))
    chosen = ((first + np.arange(length)) % n_dates).reshape(size, -1)[:, :n_dates]
    times = np.zeros((size, n_dates))
    np.add.at(times, (np.arange(size)[:, None], chosen), 1.0)
    return times


def _statistics(sums: Floats, rates: _Rates | None) -> dict[str, Floats]:
    """Return the statistics by name, those in LOGARITHMIC as logarithms, from sums of the parts."""
    drift, total, own, slope = (sums[k] / sums[k + 1] for k in range(0, 8, 2))
    found = {
        "mu": drift + 0.5 * total,
        "sigma": 0.5 * np.log(total),
        "sigma_idiosyncratic": 0.5 * np.log(own),
        "size_slope": slope,
    }
    if rates is not None:
        found["zeta"] = np.log(_zeta(drift, own, rates))
    return found


def _zeta(drift: Floats, square: Floats, rates: _Rates) -> Floats:
    """Return the exponent of eq 39, corrected, for each drift of the log and own variance."""
    pairs = zip((drift + 0.5 * square).ravel(), np.sqrt(square).ravel(), strict=True)
    found = [GrowthParams(mu=mu, sigma=sigma, **rates._asdict()).zeta for mu, sigma in pairs]
    return np.array(found).reshape(drift.shape)


def _stretch(n: int, length: int) -> float:
    """Return the factor on deviations that n units in blocks of this length call for."""
    t = t_ppf(0.975, n / length - 1.0) / normal_ppf(0.975)
    return t * math.sqrt(n / (n - length))


def _estimate(name: str, value: float, draws: Floats, stretch: Floats) -> Estimate:
    """Return estimate, error and percentile interval; draws: (items, dates, both), replicate."""
    by_item, by_date, both = draws - value
    once = float(np.var(both - by_item - by_date))
    scale = math.sqrt(1.0 - min(once / float(np.var(by_item + by_date)), 0.5))
    sample = value + scale * (by_item + by_date)
    wide = value + scale * (stretch[0] * by_item + stretch[1] * by_date)
    if name in LOGARITHMIC:
        value, sample, wide = math.exp(value), np.exp(sample), np.exp(wide)
    low, high = np.quantile(wide, [0.025, 0.975])
    return Estimate(
        value=value,
        std_error=float(sample.std(ddof=1)),
        interval=(float(low), float(high)),
        unit=UNITS[name],
    )


def _notes(n_dates: int, length: int, rates: _Rates | None) -> list[str]:
    notes = [f"bootstrap: items, and blocks of {length} of {n_dates} dates"]
    if rates is not None:
        notes.append("zeta takes the rates of exit, entry and entrants' growth as known")
    return notes
