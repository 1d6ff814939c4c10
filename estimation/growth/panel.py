"""Steps of a long panel with the size before each, and those that many items make together.

A step is two consecutive values of an item. Items that take a step between the same two dates
share its market, so a factor model needs steps in company: `together` keeps the largest set in
which every pair of dates has enough items, and every item enough steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse import csgraph, linalg

from baimo.estimation.arrays import Floats, Values
from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.laws import t_ppf
from baimo.estimation.results import Estimate


@dataclass(frozen=True, eq=False, kw_only=True)
class SizedSteps:
    """Steps with the log size before each.

    Parameters
    ----------
    steps
        Items, dates, lengths in years, log growth.
    size : (n,)
        Log size at the beginning of each step.
    labels : (n_items,)
        Labels of the items.
    n_obs
        Rows given.
    notes
        What was left out.
    """

    steps: Steps
    size: Floats
    labels: Values
    n_obs: int
    notes: tuple[str, ...]

    @cached_property
    def group(self) -> Codes:
        """Code of the pair of dates of each step."""
        key = self.steps.start * self.steps.times.size + self.steps.end
        return np.asarray(np.unique(key, return_inverse=True)[1])

    @cached_property
    def crowd(self) -> Codes:
        """Items that make each step together."""
        return np.asarray(np.bincount(self.group)[self.group])

    @cached_property
    def usual(self) -> float:
        """Years of the median step."""
        return float(np.median(self.steps.delta))

    def mean(self, values: Floats) -> Floats:
        """Return, for each step, the mean over those of the same pair of dates."""
        total = np.bincount(self.group, weights=values)
        return np.asarray((total / np.bincount(self.group))[self.group])

    def together(self, min_items: int, min_steps: int) -> SizedSteps:
        """Keep steps that `min_items` share, of items with `min_steps` of them.

        Raises
        ------
        DataError
            Nothing left.
        """
        item, kept, last = self.steps.item, np.ones(self.size.size, dtype=bool), -1
        while kept.sum() != last:
            last = int(kept.sum())
            enough = np.bincount(self.group, weights=kept)[self.group] >= min_items
            kept &= enough & (np.bincount(item, weights=kept)[item] >= min_steps)
        if not kept.any():
            raise DataError(
                f"no {min_items} items share {min_steps} steps between the same two dates: give "
                "items on common dates, or lower min_items and min_steps"
            )
        lost = int((~kept).sum())
        note = f"{lost:,} steps left out: fewer than {min_items} items, or {min_steps} of the item"
        return self._part(kept, (note,) if lost else ())

    def _part(self, kept: NDArray[np.bool_], notes: tuple[str, ...]) -> SizedSteps:
        old = self.steps
        item = recoded(old.item[kept])
        return SizedSteps(
            steps=Steps(
                item=item,
                start=old.start[kept],
                end=old.end[kept],
                delta=old.delta[kept],
                growth=old.growth[kept],
                times=old.times,
                n_items=int(item[-1]) + 1,
            ),
            size=self.size[kept],
            labels=self.labels[np.unique(old.item[kept])],
            n_obs=self.n_obs,
            notes=self.notes + notes,
        )


def sized_steps(items: ArrayLike, years: ArrayLike, values: ArrayLike) -> SizedSteps:
    """Read a long panel as `baimo.estimation.growth.volatility.fit_growth_paths` does.

    Raises
    ------
    DataError
        Lengths that differ, missing or repeated times, no item with two positive values, values
        that never change.
    """
    labels, item, time, value, times, notes = read_panel(items, years, values)
    item, time, log = item[value > 0], time[value > 0], np.log(value[value > 0])
    pair = item[1:] == item[:-1]
    growth = np.diff(log)[pair]
    if not np.any(growth):
        raise DataError("no value ever changes on two dates of an item: give more dates")
    index, start, end = item[1:][pair], time[:-1][pair], time[1:][pair]
    code = recoded(index)
    steps = Steps(
        item=code,
        start=start,
        end=end,
        delta=times[end] - times[start],
        growth=growth,
        times=times,
        n_items=int(code[-1]) + 1,
    )
    return SizedSteps(
        steps=steps,
        size=log[:-1][pair],
        labels=labels[np.unique(index)],
        n_obs=int(np.size(values)),
        notes=notes,
    )


Codes = NDArray[np.intp]


def recoded(codes: Codes) -> Codes:
    """Return codes from 0 without holes, in the same order."""
    return np.asarray(np.cumsum(np.bincount(codes) > 0)[codes] - 1)


class TwoWayEffects(NamedTuple):
    """Effects (items' with mean zero in each connected part), residuals, number of free effects."""

    item: Floats
    group: Floats
    residual: Floats
    rank: int


def two_way_effects(y: Floats, x: Floats, item: Codes, group: Codes) -> TwoWayEffects:
    """Fit y_k = e_item(k) x_k + h_group(k) by least squares, for any pattern of gaps.

    Parameters
    ----------
    y, x : (n,)
        Response, and the regressor of the item's slope: one value within a group (ones, or the
        root of the length of the step).
    item, group : (n,)
        Codes from 0.

    Raises
    ------
    ConvergenceError
        Conjugate gradients did not converge.
    """
    shape = (int(item.max()) + 1, int(group.max()) + 1)
    a: Any = sparse.coo_array((x, (item, group)), shape=shape).tocsr()
    at: Any = a.T.tocsr()
    square = np.bincount(item, weights=x * x, minlength=shape[0])
    count = np.bincount(group, minlength=shape[1]).astype(np.float64)
    xy = np.bincount(item, weights=x * y, minlength=shape[0]) / square
    right = np.bincount(group, weights=y, minlength=shape[1]) - at @ xy
    size = (shape[1], shape[1])
    schur = linalg.LinearOperator(
        size, matvec=lambda h: count * h - at @ ((a @ h) / square), dtype=np.float64
    )
    inverse = linalg.LinearOperator(size, matvec=lambda h: h / count, dtype=np.float64)
    # Rounding sets the floor: what is left of `right` in the null space cannot be solved for.
    floor = 1e-13 * float(np.linalg.norm(np.bincount(group, weights=np.abs(y))))
    h, info = linalg.cg(schur, right, rtol=1e-10, atol=floor, maxiter=5000, M=inverse)
    if info:
        raise ConvergenceError("two-way effects did not converge; drop items with few dates")
    links = sparse.coo_array((x, (item, shape[0] + group)), shape=(sum(shape), sum(shape)))
    # One group with every item in it already connects all: the usual panel, and the large one.
    part, label = 1, np.zeros(sum(shape), dtype=np.intp)
    if count.max() < shape[0]:
        part, label = csgraph.connected_components(links.tocsr(), directed=False)
    effect = xy - (a @ h) / square
    component = label[: shape[0]]
    weight = np.bincount(component, weights=square, minlength=part)
    centre = np.bincount(component, weights=square * effect, minlength=part) / weight
    residual = y - effect[item] * x - h[group]
    scale = np.bincount(group, weights=x, minlength=shape[1]) / count
    return TwoWayEffects(
        item=effect - centre[component],
        group=h + centre[label[shape[0] :]] * scale,
        residual=residual,
        rank=shape[0] + shape[1] - part,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Steps:
    """Steps of a panel, sorted by item and time, for `baimo.estimation.growth.volatility`.

    Parameters
    ----------
    item, start, end : (n,)
        Codes of the item and of the two dates of each step.
    delta, growth : (n,)
        Years of a step, and log growth over it.
    times : (t,)
        Year of each date.
    n_items
        Items, each with a step.
    """

    item: Codes
    start: Codes
    end: Codes
    delta: Floats
    growth: Floats
    times: Floats
    n_items: int

    def sums(self, values: Floats) -> Floats:
        """Return the sum over each item's steps."""
        out: Floats = np.add.reduceat(values, np.cumsum(self.count) - self.count)
        return out

    @cached_property
    def count(self) -> Codes:
        """Steps of each item."""
        return np.bincount(self.item, minlength=self.n_items)

    @cached_property
    def span(self) -> Floats:
        """Years of each item."""
        return self.sums(self.delta)

    @cached_property
    def last(self) -> Codes:
        """For each step, the index of the last step of the same item."""
        return np.asarray((np.cumsum(self.count) - 1)[self.item])

    def overlapping(self, score: Floats, end: Codes | None = None) -> float:
        """Return the sum of products of scores over all pairs of steps that overlap in time.

        A step overlaps those begun before it ends, less those over before it begins.
        """
        begins = np.bincount(self.start, weights=score, minlength=self.times.size)
        ends = np.bincount(self.end if end is None else end, score, self.times.size)
        return float(ends[1:] @ np.cumsum(begins)[:-1] - begins @ np.cumsum(ends))

    @cached_property
    def squared_risk(self) -> float:
        """Integral over time of the squared number of items under way."""
        n = self.times.size
        begun, over = np.bincount(self.start, minlength=n), np.bincount(self.end, minlength=n)
        under_way = np.cumsum(begun - over)[:-1].astype(np.float64)
        return float(under_way**2 @ np.diff(self.times))

    @cached_property
    def periods(self) -> float:
        """Number of independent periods of a common shock: T if every item has all T steps."""
        return self.growth.size * float(self.delta.sum()) / self.squared_risk

    def variance(self, score: Floats, reach: int = 0) -> float | None:
        """Return the variance of the sum of scores, clustered by overlap in time and by item.

        With `reach` the score of a step depends on as many later steps of its item. None where
        one period leaves the common shock without spread.
        """
        if self.periods < 1.5:
            return None
        end = None
        if reach:
            end = self.end[np.minimum(np.arange(score.size) + reach, self.last)]
        lost = min(1.0 + reach, 0.5 * self.periods)  # each period tells of its neighbours too
        by_time = self.overlapping(score, end) * self.periods / (self.periods - lost)
        by_item = same = float(score @ score)
        for h in range(1, min(reach, score.size - 1) + 1):
            pair = self.item[h:] == self.item[:-h]
            same += 2.0 * float(np.sum(score[h:] * score[:-h] * pair))
        if self.n_items > 1:
            by_item = float(np.sum(self.sums(score) ** 2)) * self.n_items / (self.n_items - 1.0)
        # A difference of noisy sums can undo either by chance; the common shock must stay.
        return max(by_time, by_time + by_item - same) if by_time > 0 else max(by_item, same)


Maybe = float | None


SAME_DATE = 1e-8  # of a year: 0.3 s


# fmt: off
UNITS = dict.fromkeys(["mu", "log_drift", "drift_sd", "exit_rate"], "1/yr") | {
    f"sigma{kind}": "yr^-1/2" for kind in
    ("", "_idiosyncratic", "_common", "_robust", "_jump_robust", "_error_independent")
} | dict.fromkeys([
    "variance_ratio", "factor_share", "mean_correlation", "excess_kurtosis", "drift_p_value",
    "cd_statistic", "cd_p_value",
], "1")
# fmt: on


class GrowthTable(dict[str, Estimate]):
    """Estimates and notes as they are found."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def put(
        self, name: str, value: float, variance: Maybe = None, degrees: float = 0, log: bool = False
    ) -> None:
        """Keep an estimate; the interval is Student's t, of the logarithm where `log`."""
        error, interval = None, None
        if variance is not None and variance > 0 and degrees >= 1 and (value > 0 or not log):
            error = math.sqrt(variance)
            half = t_ppf(0.975, degrees) * error
            interval = (value - half, value + half)
            if log and half <= 2.0 * value:
                interval = (value * math.exp(-half / value), value * math.exp(half / value))
            elif log:  # too near zero for a logarithm: of the square
                low = math.sqrt(max(value**2 - 2.0 * value * half, 0.0))
                interval = (low, math.sqrt(value**2 + 2.0 * value * half))
        self[name] = Estimate(value=value, std_error=error, interval=interval, unit=UNITS[name])

    def put_root(self, name: str, square: float, variance: Maybe = None, df: float = 0) -> None:
        """Keep the root of a variance; its error from that of the variance."""
        error2 = variance / (4.0 * square) if variance is not None and square > 0 else None
        self.put(name, math.sqrt(max(square, 0.0)), error2, df, True)


class LongPanel(NamedTuple):
    """A long panel in order of item and time.

    Parameters
    ----------
    labels : (n_items,)
        Label of each item.
    item, time : (n,)
        For each row, its index into `labels` and into `times`.
    value : (n,)
        Values, some of them not positive.
    times : (t,)
        Year of each date.
    notes
        What was left out.
    """

    labels: Values
    item: Codes
    time: Codes
    value: Floats
    times: Floats
    notes: tuple[str, ...]


def read_panel(items: ArrayLike, years: ArrayLike, values: ArrayLike) -> LongPanel:
    """Bring a long panel into order; times that differ by less than a second are one.

    Raises
    ------
    DataError
        Lengths that differ, missing labels or times, two values of an item at one time.
    """
    names, dates = np.asarray(items), np.asarray(years)
    names = np.asarray(names.tolist()) if names.dtype == object else names
    if dates.dtype.kind not in "fiu":
        raise DataError(f"years are of type {dates.dtype}; give numbers, such as 2024.5")
    value = np.asarray(values, dtype=np.float64)
    if not (names.shape == dates.shape == value.shape and value.ndim == 1):
        raise DataError("items, years and values must have one length")
    if names.dtype == object or (names.dtype.kind == "f" and np.any(np.isnan(names))):
        raise DataError("labels of items are missing or of mixed type; give numbers or text")
    if not np.all(np.isfinite(dates)):
        raise DataError("years are missing or infinite; leave those rows out")
    seen = np.isfinite(value)
    names, date, value = names[seen], dates[seen].astype(np.float64), value[seen]
    # Long panels come in runs of one label: comparing neighbours is cheaper than sorting all.
    heads = np.flatnonzero(np.append(True, names[1:] != names[:-1])[: names.size])
    labels, code = np.unique(names[heads], return_inverse=True)
    item = np.repeat(code, np.diff(np.append(heads, names.size)))
    exact = np.unique(date)
    apart = np.append(True, np.diff(exact) > SAME_DATE)[: exact.size]
    times, time = exact[apart], (np.cumsum(apart) - 1)[np.searchsorted(exact, date)]
    key = item * max(times.size, 1) + time
    if np.any(np.diff(key) <= 0):
        order = np.argsort(key, kind="stable")
        item, time, value, key = item[order], time[order], value[order], key[order]
        if np.any(np.diff(key) == 0):
            raise DataError("an item has two values at one time; keep one of them")
    gaps, low = int((~seen).sum()), int((value <= 0).sum())
    notes = (f"{gaps} missing and {low} non-positive values are gaps",) if gaps + low else ()
    return LongPanel(labels, item, time, value, times, notes)
