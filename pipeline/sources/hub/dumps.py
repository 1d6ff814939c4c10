"""Past days of the Hub, from public bulk datasets on the Hub itself.

- `hub-stats`: one file of all models, uploaded about daily since 2024-07-24. A day is the last
  commit of that UTC day; a day without a commit is missing, one whose file is that of an earlier
  day is stale: neither is ever filled.
- `weekly`: copies of such files under the first day of a week. A copy holds what was uploaded
  last before the next label, so it is filed under the day of the newest model in it.

Daily downloads, which are no snapshots, are in `daily_downloads`. Files are read in parts, only the
columns needed, many rows at a time (`repository`, `parquet`); what a file of some age lacks is
said by column (`columns`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from baimo.pipeline.sources.http import Notice, Patience, RefusedError, silent
from baimo.pipeline.sources.hub.columns import (
    RAW_COLUMNS,
    Block,
    ColumnsError,
    Plan,
    plan,
    read_block,
)
from baimo.pipeline.sources.hub.parquet import DamagedError, ParquetOnHub
from baimo.pipeline.sources.hub.repository import Commit, RepoFile, Repository

WEEK = timedelta(days=7)
GONE = 404


@dataclass(frozen=True)
class Available:
    """A day of a source, or why its file does not stand for that day.

    Parameters
    ----------
    file
        Where its rows lie: revision, path, declared size, identity (LFS sha256).
    committed_at
        Moment of the commit; None where the source does not say.
    label
        What the source calls the file, where that is another day.
    refused
        Why it is not to be used, empty for a good one.
    """

    day: date
    file: RepoFile
    committed_at: datetime | None = None
    label: str = ""
    refused: str = ""


class History(Protocol):
    """A source of past days."""

    name: str
    repo_id: str
    licence: str

    def days(self, first: date, last: date) -> dict[date, Available]:
        """Return the days from `first` to `last` that the source has, ascending."""
        ...

    def lacks(self, available: Available) -> dict[str, str]:
        """Return column of hub_models -> why the file of that day lacks it."""
        ...

    def n_rows(self, available: Available) -> int:
        """Return how many rows the file of that day declares."""
        ...

    def blocks(self, available: Available) -> Iterator[Block]:
        """Read the file of a day, many rows at a time, in its order."""
        ...


class _Bulk:
    """What the sources share: the reading of a file of models."""

    name: str
    repo_id: str
    licence: str

    def __init__(self, patience: Patience | None = None, notice: Notice = silent) -> None:
        self._repository = Repository(self.repo_id, patience, notice)
        self._notice = notice
        self._opened: tuple[RepoFile, ParquetOnHub, Plan] | None = None

    def lacks(self, available: Available) -> dict[str, str]:
        """Return column of hub_models -> why the file of that day lacks it.

        Raises
        ------
        ColumnsError
            It lacks what every row must have.
        SourceError
            It cannot be read.
        """
        return dict(self._open(available.file)[1].lacks)

    def n_rows(self, available: Available) -> int:
        """Return how many rows the file of that day declares.

        Raises
        ------
        SourceError
            It cannot be read.
        """
        return self._open(available.file)[0].n_rows

    def blocks(self, available: Available) -> Iterator[Block]:
        """Read the file of a day, many rows at a time, in its order.

        Raises
        ------
        SourceError
            It cannot be read to its end.
        """
        parquet, how = self._open(available.file)
        latest = datetime.combine(available.day + timedelta(days=2), time(), UTC)
        for raw in parquet.batches(how.leaves):
            yield read_block(raw, how, latest)

    def _open(self, file: RepoFile) -> tuple[ParquetOnHub, Plan]:
        if self._opened is None or self._opened[0] != file:
            parquet = ParquetOnHub(self._repository, file)
            how = plan(parquet.leaves, parquet.schema(RAW_COLUMNS), self.name)
            self._opened = file, parquet, how
        return self._opened[1:]


class HubStats(_Bulk):
    """`cfahlgren1/hub-stats`: every model, about daily."""

    name = "hub-stats"
    repo_id = "cfahlgren1/hub-stats"
    licence = "Apache-2.0"
    path = "models.parquet"

    def days(self, first: date, last: date) -> dict[date, Available]:
        """Return the days on which there was a commit; one that is stale or gone says so.

        Raises
        ------
        SourceError
            The history of the dataset cannot be read.
        """
        by_day: dict[date, Commit] = {}
        for commit in self._repository.commits(first):  # the newest of a day comes first
            by_day.setdefault(commit.at.date(), commit)
        found: dict[date, Available] = {}
        seen: dict[str, date] = {}
        for day in sorted(d for d in by_day if d <= last):
            available = self._of_day(day, by_day[day], seen)
            if available is not None and day >= first:
                found[day] = available
        return found

    def _of_day(self, day: date, commit: Commit, seen: dict[str, date]) -> Available | None:
        try:
            file = self._repository.files(commit.revision).get(self.path)
        except RefusedError as error:
            if error.status != GONE:
                raise
            gone = RepoFile(commit.revision, self.path, 0, "")
            return Available(day, gone, commit.at, refused=str(error))
        if file is None:
            return None
        same = seen.setdefault(file.sha256, day)
        why = "" if same == day else f"its file is still that of {same}"
        return Available(day, file, commit.at, refused=why)


class Weekly(_Bulk):
    """`hfmlsoc/hub_weekly_snapshots`: copies of hub-stats, one a week."""

    name = "weekly"
    repo_id = "hfmlsoc/hub_weekly_snapshots"
    licence = "ODbL"
    folder = "models"

    def days(self, first: date, last: date) -> dict[date, Available]:
        """Return the days of which there is a copy, whatever it is called.

        Each copy whose label lies near is looked into. One that repeats an earlier, or that does
        not tell its day, is left out, and that is said.

        Raises
        ------
        SourceError
            The dataset cannot be read.
        """
        revision = self._repository.commits(date.max)[:1]
        if not revision:
            return {}
        files = self._repository.files(revision[0].revision, self.folder)
        labelled = sorted((d, f.path) for f in files.values() if (d := _label(f.path)))
        found: dict[date, Available] = {}
        seen: dict[str, date] = {}
        for i, (label, path) in enumerate(labelled):
            file = files[path]
            repeated = seen.setdefault(file.sha256, label)
            if repeated != label:
                self._notice(f"the weekly copy {label} repeats that of {repeated}: left out")
            elif first - 2 * WEEK <= label <= last + WEEK:
                until = max([label + WEEK, *(d for d, _ in labelled[i + 1 : i + 2])])
                day = self._content_day(file, until)
                if day is not None and first <= day <= last:
                    found[day] = Available(day, file, label=label.isoformat())
        return dict(sorted(found.items()))

    def _content_day(self, file: RepoFile, until: date) -> date | None:
        """Return the day of the newest model, or of a change up to a day after it."""
        before = datetime.combine(until + timedelta(days=1), time(), UTC)
        why = "it has no createdAt that tells its day"
        try:
            parquet = ParquetOnHub(self._repository, file)
            created, changed = (parquet.newest(n, before) for n in ("createdAt", "lastModified"))
        except (DamagedError, ColumnsError, RefusedError) as error:
            if isinstance(error, RefusedError) and error.status != GONE:
                raise
            created, why = None, str(error)
        if created is None:
            self._notice(f"the weekly copy {file.path} is left out: {why}")
            return None
        # A change dated long after every creation is an odd value, not the day of the copy.
        if changed is not None and timedelta() < changed - created <= timedelta(days=1):
            return changed.date()
        return created.date()


def _label(path: str) -> date | None:
    """Return the day in `models/<YYYY-MM-DD>/models.parquet`."""
    parts = path.split("/")
    if len(parts) != 3 or parts[2] != "models.parquet":
        return None
    try:
        return date.fromisoformat(parts[1])
    except ValueError:
        return None


SOURCES: dict[str, type[HubStats] | type[Weekly]] = {"hub-stats": HubStats, "weekly": Weekly}
"""The sources of snapshots by name."""
