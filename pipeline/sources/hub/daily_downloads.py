"""Daily downloads of Hub models since 2025-02-28: a panel, no snapshots.

`harvardMadsys/hf-hub-characterization` has one row per repository and day on which its download
counter moved (`downloads.parquet`) and one row per model (`models.parquet`); they join on hub_id.
Rows of dataset repositories are left out. A day without a row is a day without a movement. The
exact names of the columns are not documented: they are recognised, or refused by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import polars as pl

from baimo.pipeline.schema.table import COUNT_MAX
from baimo.pipeline.sources.http import Notice, Patience, silent
from baimo.pipeline.sources.hub.casts import parsed_times, whole_numbers
from baimo.pipeline.sources.hub.columns import ColumnsError
from baimo.pipeline.sources.hub.parquet import ParquetOnHub
from baimo.pipeline.sources.hub.repository import RepoFile, Repository

BATCH_ROWS = 500_000
_TOTALS = ("all_time", "alltime", "total", "cum", "30")  # counts of more than a day


@dataclass(frozen=True)
class PanelColumns:
    """What the columns of the panel are called."""

    hub_id: str
    date: str
    downloads: str


class Characterization:
    """`harvardMadsys/hf-hub-characterization`: daily downloads.

    `dropped` counts the rows that were left out, by reason.
    """

    name = "characterization"
    repo_id = "harvardMadsys/hf-hub-characterization"
    licence = "CC-BY-4.0"
    path = "downloads.parquet"
    models_path = "models.parquet"

    def __init__(self, patience: Patience | None = None, notice: Notice = silent) -> None:
        self._repository = Repository(self.repo_id, patience, notice)
        self._files: dict[str, RepoFile] = {}
        self.dropped: Counter[str] = Counter()

    def file(self, path: str) -> RepoFile:
        """Return one of its files at the newest revision (looked up once).

        Raises
        ------
        SourceError
            There is none, or the dataset cannot be read.
        """
        if not self._files:
            for commit in self._repository.commits(date.max)[:1]:
                self._files = self._repository.files(commit.revision)
        if path not in self._files:
            raise ColumnsError(
                f"{self.repo_id} has no {path}; found {', '.join(self._files) or 'nothing'}: the "
                "dataset has changed, take hub-stats instead"
            )
        return self._files[path]

    def daily_downloads(self, first: date, last: date) -> Iterator[pl.DataFrame]:
        """Yield the rows of the panel from `first` to `last` in the order of the file.

        Raises
        ------
        ColumnsError
            The columns of a file are not recognised.
        SourceError
            A file cannot be read to its end.
        """
        self.dropped.clear()
        panel = ParquetOnHub(self._repository, self.file(self.path))
        names = panel_columns(panel.schema(), self.path)
        groups = _groups(panel, names.date, first, last)
        if not groups:
            return
        models = self._model_ids()
        leaves = [names.hub_id, names.date, names.downloads]
        for raw in panel.batches(leaves, groups, BATCH_ROWS):
            days = _dates(raw[names.date])
            rows = pl.DataFrame(
                {
                    "hub_id": raw[names.hub_id].cast(pl.String),
                    "date": days,
                    "downloads": whole_numbers(raw[names.downloads]),
                }
            )
            self.dropped["the date is missing"] += days.null_count()
            rows = rows.filter(pl.col("date").is_between(first, last))
            yield self._valid(rows, models)

    def _model_ids(self) -> pl.Series:
        """Return the ids of all models, sorted."""
        parquet = ParquetOnHub(self._repository, self.file(self.models_path))
        if "hub_id" not in parquet.leaves:
            raise ColumnsError(_unknown(self.models_path, "hub_id", parquet.leaves))
        parts = [batch["hub_id"].cast(pl.String) for batch in parquet.batches(["hub_id"])]
        ids = pl.concat(parts) if parts else pl.Series("hub_id", [], dtype=pl.String)
        return ids.drop_nulls().unique().sort()

    def _valid(self, rows: pl.DataFrame, models: pl.Series) -> pl.DataFrame:
        value = pl.col("downloads")
        why = (
            pl.when(pl.col("hub_id").is_null() | (pl.col("hub_id") == ""))
            .then(pl.lit("hub_id is missing"))
            .when(value.is_null())
            .then(pl.lit("downloads is missing or not a whole number"))
            .when(value.abs() > COUNT_MAX)
            .then(pl.lit("downloads is beyond 2^53"))
        )
        reasons = rows.select(reason=why)["reason"]
        if reasons.null_count() < rows.height:
            self.dropped.update(reasons.drop_nulls().to_list())
            rows = rows.filter(reasons.is_null())
        known = _are_among(rows["hub_id"], models)
        others = int((~known).sum())
        if others:
            self.dropped["not a model (the panel counts datasets too)"] += others
            rows = rows.filter(known)
        return rows


def panel_columns(schema: pl.Schema, path: str) -> PanelColumns:
    """Recognise the columns of the panel.

    Raises
    ------
    ColumnsError
        One of them is not there, or several could be it.
    """
    days = [n for n, t in schema.items() if t == pl.Date or isinstance(t, pl.Datetime)]
    days = days or [n for n, t in schema.items() if t == pl.String and n in ("date", "day", "ds")]
    counts = [
        n
        for n, t in schema.items()
        if "download" in n.lower() and t.is_numeric() and not any(w in n.lower() for w in _TOTALS)
    ]
    found = {
        "hub_id": [n for n, t in schema.items() if n == "hub_id" and t == pl.String],
        "date": _one_of(days, ("date", "day")),
        "downloads": _one_of(counts, ("downloads", "daily_downloads", "downloads_daily")),
    }
    for what, names in found.items():
        if len(names) != 1:
            raise ColumnsError(_unknown(path, what, [f"{n} ({t})" for n, t in schema.items()]))
    return PanelColumns(*(names[0] for names in found.values()))


def _one_of(names: list[str], preferred: tuple[str, ...]) -> list[str]:
    """Return the name that is meant if one is called so, else all that could be."""
    return next(([p] for p in preferred if p in names), names)


def _unknown(path: str, what: str, found: list[str]) -> str:
    return (
        f"{path} has no column that is clearly {what}; found {', '.join(found) or 'none'}: the "
        "dataset has changed, this version of baimo cannot read it"
    )


def _groups(panel: ParquetOnHub, name: str, first: date, last: date) -> list[int]:
    """Return the row groups that may hold days of the range."""
    kept = []
    for group, stated in enumerate(panel.statistics(name)):
        low, high = (_day(v) for v in stated) if stated is not None else (None, None)
        if (low is None or low <= last) and (high is None or high >= first):
            kept.append(group)
    return kept


def _day(value: object) -> date | None:
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).date()
    return value if isinstance(value, date) else None


def _dates(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        values = parsed_times(values)
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone not in (None, "UTC"):
        values = values.dt.convert_time_zone("UTC")
    return values.cast(pl.Date)


def _are_among(ids: pl.Series, known: pl.Series) -> pl.Series:
    """Say which ids are known; both many, few of them different, `known` sorted."""
    if not len(known):
        return pl.repeat(False, len(ids), dtype=pl.Boolean, eager=True)
    distinct = ids.unique()
    places = known.search_sorted(distinct, side="left")
    places = places.clip(upper_bound=len(known) - 1)
    return ids.is_in(distinct.filter(known.gather(places) == distinct).implode())
