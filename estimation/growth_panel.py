"""Steps of a long panel with the size before each, and those that many items make together.

A step is two consecutive values of an item. Items that take a step between the same two dates
share its market, so a factor model needs steps in company: `together` keeps the largest set in
which every pair of dates has enough items, and every item enough steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baimo.estimation.counts import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.growth_paths import GrowthTable, Labels, read_panel
from baimo.estimation.growth_regressions import Codes, Steps, recoded


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
    labels: Labels
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
    """Read a long panel as `baimo.estimation.growth_paths.fit_growth_paths` does.

    Raises
    ------
    DataError
        Lengths that differ, missing or repeated times, no item with two positive values, values
        that never change.
    """
    table = GrowthTable()
    labels, item, time, value, times = read_panel(items, years, values, table)
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
        notes=tuple(table.notes),
    )
