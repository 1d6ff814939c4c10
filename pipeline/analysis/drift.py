"""Whether today's estimates lie where those of the last thirty days lay.

Watched are x_min (in logs), zeta and the share of the top 1 %. The limit is four times the
spread of the days before (median absolute deviation, as a standard deviation), and at least 5 %
of their median, so that a quiet month does not make noise look like news.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from baimo.pipeline.lake.store import Lake
from baimo.pipeline.variables import Variable

DAYS_BACK = timedelta(days=30)
FEWEST_DAYS = 5
SPREADS, FLOOR = 4.0, 0.05
MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class Drift:
    """One estimate against its last days; `limit` None: too few days to tell."""

    name: str
    value: float
    median: float | None
    limit: float | None
    n_days: int

    @property
    def drifted(self) -> bool:
        """Return whether the estimate left the band of the days before."""
        if self.median is None or self.limit is None:
            return False
        return abs(self.value - self.median) > self.limit


def watched(measure: Variable) -> tuple[str, ...]:
    """Return the names of the watched parameters of one size."""
    prefix = measure.prefix
    return (f"tail_{prefix}_x_min", f"tail_{prefix}_zeta", f"shape_{prefix}_top1pct_share")


def measure_drift(
    lake: Lake, parameters: pl.DataFrame, day: date, measure: Variable
) -> list[Drift]:
    """Compare a day's parameters with those of the thirty days before it in the lake."""
    days = [d for d in lake.days("parameters") if day - DAYS_BACK <= d < day]
    earlier = [lake.read_table("parameters", d) for d in days]
    found = []
    for name in watched(measure):
        value = _value(parameters, name)
        before = [v for table in earlier if (v := _value(table, name)) is not None]
        if value is not None:
            found.append(_drift(name, value, before))
    return found


def _value(parameters: pl.DataFrame, name: str) -> float | None:
    found = parameters.filter(pl.col("name") == name)["value"]
    if found.is_empty() or found[0] is None:
        return None
    return float(np.log(found[0])) if name.endswith("_x_min") else float(found[0])


def _drift(name: str, value: float, before: list[float]) -> Drift:
    if len(before) < FEWEST_DAYS:
        return Drift(name, value, None, None, len(before))
    median = float(np.median(before))
    spread = MAD_TO_SD * float(np.median(np.abs(np.array(before) - median)))
    limit = max(SPREADS * spread, FLOOR * abs(median))
    return Drift(name, value, median, limit, len(before))
