"""Inflow and entry between two dates: eta of eq 19, what enters, and the stock of one crawl."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats
from baimo.estimation.attachment.kernel import clustered_square, refuse_days, stock_pair
from baimo.estimation.errors import DataError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.labels import label_codes


@registered("InflowFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class InflowFit(FitResult):
    """Inflow to what is there, and entry, from two dates (eq 19 with entry).

    Parameters
    ----------
    eta, eta_std_error
        Net gain of the items that are there on both dates, per day.
    entry, entry_std_error
        Items a day that are new on the later date; Poisson error.
    entrant_size
        Mean size of the new items on the later date, NaN without any.
    simon_p
        Share of all gain that founded items, entry d0/(eta + entry d0).
    n_removed
        Items that are gone on the later date.
    days
        Between the dates.
    per
        What rates are per: day, or interval where nobody said how long it is.
    """

    eta: float
    eta_std_error: float
    entry: float
    entry_std_error: float
    entrant_size: float
    n_new: int
    n_removed: int
    days: float
    per: str = "day"

    title: ClassVar[str] = "Inflow and entry (two dates)"

    @property
    def simon_p(self) -> float | None:
        """Share of the gain that founded new items; None without entry or without gain."""
        founded = self.entry * self.entrant_size
        if not self.n_new or self.eta <= 0 or founded <= 0:
            return None
        return founded / (self.eta + founded)

    def estimates(self) -> dict[str, Estimate]:
        """Return eta, entry and what they imply for Simon's urn."""
        p = self.simon_p
        return {
            "eta": Estimate(value=self.eta, std_error=self.eta_std_error, unit=f"1/{self.per}"),
            "entry": Estimate(
                value=self.entry,
                std_error=self.entry_std_error if self.n_new else None,
                unit=f"1/{self.per}",
            ),
            "entrant_size": Estimate(value=self.entrant_size if self.n_new else None),
            "simon_p": Estimate(value=p),
            "simon_zeta": Estimate(value=None if p is None else 1.0 / (1.0 - p)),
        }


def fit_inflow(
    before: ArrayLike,
    after: ArrayLike,
    *,
    days: float,
    per: str = "day",
    clusters: ArrayLike | None = None,
) -> InflowFit:
    """Measure net inflow and entry between two dates.

    Parameters
    ----------
    before, after : (n,)
        Stock of every item on the two dates; NaN where it is not there (new, or removed).
    days
        Between the dates, > 0.
    per
        What the rates are per: day, or interval where `days` is 1 for want of knowing.
    clusters : (n,), optional
        Labels (authors) for the error of eta.
    """
    start, end = stock_pair(before, after)
    both, new = np.isfinite(start) & np.isfinite(end), ~np.isfinite(start) & np.isfinite(end)
    refuse_days(days)
    gains = end[both] - start[both]
    if gains.size < 2:
        raise DataError("fewer than two items are there on both dates: match them by a lasting id")
    labels = label_codes(clusters, start.size)
    n_new = int(new.sum())
    entry = n_new / days
    error = math.sqrt(clustered_square(gains - gains.mean(), labels, both)) / days
    removed = int((np.isfinite(start) & ~np.isfinite(end)).sum())
    notes = [] if n_new else ["no item is new on the later date: no entry to measure"]
    return InflowFit(
        n_obs=start.size,
        n_used=int(both.sum()),
        notes=(*notes, f"{removed:,} items are gone on the later date and count in no rate"),
        eta=float(gains.sum()) / days,
        eta_std_error=error,
        entry=entry,
        entry_std_error=math.sqrt(n_new) / days,
        entrant_size=float(end[new].mean()) if n_new else math.nan,
        n_new=n_new,
        n_removed=removed,
        days=days,
        per=per,
    )


def stock_before(all_time: ArrayLike, window: ArrayLike) -> tuple[Floats, Floats, int]:
    """Return (stock at the start of the window, stock now, items left out) from one crawl.

    `downloadsAllTime` less the downloads of the last 30 days is the stock 30 days ago, so that
    one crawl of items older than the window gives a kernel. The gain is then the window's
    count, which stands on one side only; a stock that would be negative shows a counter that
    was reset and leaves the item out (NaN).
    """
    total, flow = stock_pair(all_time, window)
    stock = total - flow
    bad = stock < 0
    stock[bad] = np.nan
    return stock, total, int(bad.sum())
