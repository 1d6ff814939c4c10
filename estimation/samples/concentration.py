"""Concentration of a sample: Gini, top shares, Herfindahl, effective number of items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.errors import DataError
from baimo.estimation.results import registered
from baimo.estimation.samples.counts import Counts, as_counts


@registered("Concentration")
@dataclass(frozen=True, kw_only=True)
class Concentration:
    """How unequal a sample is; all zeros included.

    Parameters
    ----------
    gini
        Gini coefficient, 0 equal to 1 - 1/n.
    top_1pct, top_01pct
        Share of the total held by the largest 1 % and 0.1 % of the items.
    hhi
        Herfindahl index, sum of squared shares; 1 / hhi is the effective number of items.
    share_zero
        Share of items that are zero.
    largest_share
        Share of the total held by the largest item.
    """

    gini: float
    top_1pct: float
    top_01pct: float
    hhi: float
    share_zero: float
    largest_share: float

    @property
    def effective_number(self) -> float:
        """Return 1 / hhi."""
        return 1.0 / self.hhi


def measure_concentration(data: Counts | ArrayLike) -> Concentration:
    """Measure concentration in one pass over the distinct values.

    Raises
    ------
    DataError
        The total is zero.
    """
    counts = as_counts(data)
    n, total = counts.n_obs, counts.total
    if total <= 0:
        raise DataError("all values are zero: there is nothing to share out; check the column")
    mass = counts.values * counts.multiplicities
    before = np.concatenate([[0.0], np.cumsum(mass)[:-1]])
    area = counts.sum(before + 0.5 * mass) / (n * total)
    return Concentration(
        gini=1.0 - 2.0 * area,
        top_1pct=_top_share(counts, 0.01),
        top_01pct=_top_share(counts, 0.001),
        hhi=counts.sum((counts.values / total) ** 2),
        share_zero=counts.n_zero / n,
        largest_share=float(counts.values[-1]) / total,
    )


def _top_share(counts: Counts, share: float) -> float:
    k = max(1, round(counts.n_obs * share))
    above = counts.exceedances()
    taken = np.minimum(counts.multiplicities, np.maximum(k - (above - counts.multiplicities), 0))
    return float(np.sum(counts.values * taken)) / counts.total
