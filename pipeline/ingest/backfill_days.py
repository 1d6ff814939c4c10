"""A walk over past days of one table: what is published stays, what cannot be is noted and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from baimo.pipeline.errors import IncompleteError, LakeError, PipelineError
from baimo.pipeline.ingest.acceptance import RefusedSnapshotError
from baimo.pipeline.ingest.refresh import Clock
from baimo.pipeline.lake.atomic import sweep
from baimo.pipeline.lake.receipts import (
    FAILED,
    MISSING,
    PUBLISHED,
    Receipt,
    is_published,
    read_receipt,
    receipt_path,
    write_receipt,
)
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.sources.http import Notice, RefusedError
from baimo.pipeline.sources.hub.columns import ColumnsError
from baimo.pipeline.sources.hub.parquet import DamagedError

OF_THE_DAY_ALONE = (404, 410, 416)  # statuses that say nothing about other days


class PastError(PipelineError):
    """The days asked for are not past days."""


class NothingError(PipelineError):
    """The source has nothing for a day; the message says why."""


@dataclass(frozen=True)
class BackfillProgress:
    """Where a backfill stands: days done of those wanted, rows read of those of the day."""

    day: date
    done: int
    days: int
    rows: int
    of_rows: int


Progress = Callable[[BackfillProgress], None]


def past_days(first: date, last: date, now: Clock) -> list[date]:
    """Return the days from `first` to `last`.

    Raises
    ------
    PastError
        There are none, or the last is not over.
    """
    yesterday = now().date() - timedelta(days=1)
    if last < first:
        raise PastError(f"{first} is after {last}; give the earlier day first")
    if last > yesterday:
        raise PastError(
            f"{last} is not over in UTC; fill up to {yesterday}, today is for: baimo refresh"
        )
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def last_before(days: Sequence[date], day: date) -> date | None:
    """Return the nearest day before another, None where there is none."""
    return max((d for d in days if d < day), default=None)


@dataclass(eq=False)
class Walk:
    """One walk.

    Parameters
    ----------
    table, source
        What is filled, and from where.
    days
        The days, ascending.
    notice
        Called with one line a day.
    progress
        Called by `show`.
    """

    lake: Lake
    table: str
    source: str
    days: list[date]
    notice: Notice
    progress: Progress = lambda _: None
    done: int = 0

    @property
    def wanted(self) -> list[date]:
        """Return the days that are not published yet."""
        return [day for day in self.days if not is_published(self.lake, self.table, day)]

    @property
    def scratch(self) -> Path:
        """Return a folder for what does not outlive the walk."""
        return self.lake.root / "crawling" / f"{self.table}_backfill"

    def show(self, day: date, rows: int, of_rows: int) -> None:
        """Tell how many rows of a day were read."""
        self.progress(BackfillProgress(day, self.done, len(self.days), rows, of_rows))

    def go(self, publish: Callable[[date], Receipt]) -> list[Receipt]:
        """Let `publish` publish each wanted day; return the receipts of all days.

        Raises
        ------
        PipelineError
            Something that is not of one day alone; what was published before stays.
        """
        receipts = []
        wanted = set(self.wanted)
        for done, day in enumerate(self.days):
            self.done = done
            kept = None if day in wanted else read_receipt(self.lake, self.table, day)
            if kept is not None:
                self.notice(f"{day}: kept, published before from {kept.source}")
            receipts.append(kept or self._attempt(day, publish))
        return receipts

    def _attempt(self, day: date, publish: Callable[[date], Receipt]) -> Receipt:
        path = self.lake.path(self.table, day)
        sweep(path.parent)  # what a killed process left
        sweep(receipt_path(self.lake, self.table, day).parent)
        stood = path.exists()
        try:
            receipt = publish(day)
        except NothingError as error:
            receipt = self._unpublished(day, MISSING, error)
        except PipelineError as error:
            receipt = self._unpublished(day, FAILED, error)
            if not _of_the_day_alone(error, stood):
                with suppress(PipelineError):  # the error on its way says more
                    write_receipt(self.lake, receipt)
                raise
        write_receipt(self.lake, receipt)
        what = f"{receipt.rows:,} rows" if receipt.outcome == PUBLISHED else receipt.why
        self.notice(f"{day}: {receipt.outcome}, {what}")
        return receipt

    def _unpublished(self, day: date, outcome: str, error: PipelineError) -> Receipt:
        receipt = Receipt(self.table, day.isoformat(), self.source, outcome, str(error))
        if not isinstance(error, RefusedSnapshotError):
            return receipt
        checks = {c.name: c.numbers | ({"why": c.why} if c.why else {}) for c in error.checks}
        return replace(receipt, checks=checks)


def _of_the_day_alone(error: PipelineError, stood: bool) -> bool:
    """Say whether the next day may do better.

    A file without a receipt that holds something else is left as it is (`write_blocks` refuses):
    that is no fault of the lake.
    """
    if isinstance(error, RefusedError):
        return error.status in OF_THE_DAY_ALONE
    if isinstance(error, LakeError):
        return stood
    return isinstance(error, DamagedError | ColumnsError | IncompleteError)
