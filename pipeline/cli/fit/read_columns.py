"""Read columns from a stranger's file: one sample, or several columns side by side."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from baimo.estimation.samples.counts import LARGEST_EXACT, Counts
from baimo.pipeline.errors import SourceError

if TYPE_CHECKING:
    from baimo.estimation.arrays import Values

STDIN = Path("-")


@dataclass(frozen=True, eq=False)
class FileSample:
    """A column of a file, with what stands beside it.

    Parameters
    ----------
    items
        The values one by one, or compressed where the file is a frequency table.
    labels
        Cluster of each item, None where no column names it.
    counts
        The values compressed.
    """

    items: Values | Counts
    labels: Values | None
    counts: Counts

    @property
    def sizes(self) -> Values:
        """The values one by one, of a sample with labels."""
        return np.asarray(self.items)


def read_sample(
    path: Path, column: str | None, weights: str | None = None, clusters: str | None = None
) -> FileSample:
    """Read a numeric column of a CSV, Parquet, JSON, JSON lines or one-number-a-line file.

    Parameters
    ----------
    path
        The file; - is text on standard input.
    column
        Its name; not needed where only one column is numbers.
    weights
        Column with the number of times each value occurs.
    clusters
        Column with the label of each item's cluster.

    Raises
    ------
    SourceError
        File or column missing, empty, or not all numbers: the message names the first line.
    """
    frame, place = _read(path), str(path) if path != STDIN else "standard input"
    if weights is not None and clusters is not None:
        raise SourceError("a frequency table has no clusters: give --weights or --clusters")
    beside = frame.drop([name for name in (weights, clusters) if name in frame.columns])
    numbers = _sizes(_column(beside if column is None else frame, column, place), place)
    if weights is not None:
        times = _numbers(_column(frame, weights, place), place)
        compressed = Counts.from_pairs(numbers, times)
        return FileSample(items=compressed, labels=None, counts=compressed)
    labels = None
    if clusters is not None:
        series = _column(frame, clusters, place)
        if series.null_count():
            raise SourceError(
                f"{place}: {series.null_count()} of {series.len()} labels of {clusters!r} are "
                "missing; fill them, one label for each item that has no cluster"
            )
        labels = np.asarray(series.rank("dense").to_numpy())
    return FileSample(items=numbers, labels=labels, counts=Counts.from_sample(numbers))


@dataclass(frozen=True, eq=False)
class FileTable:
    """A file read whole, whose columns are asked for by name.

    Parameters
    ----------
    frame
        As it was read; text where the format has no types.
    place
        What the file is called in messages.
    """

    frame: pl.DataFrame
    place: str

    def numbers(self, column: str, *, missing: bool = False) -> NDArray[np.float64]:
        """Return a column of finite numbers, NaN for missing ones where these are borne.

        Raises
        ------
        SourceError
            No such column, or a value that is no finite number: the message names the row.
        """
        series = _column(self.frame, column, self.place)
        if missing:
            series = _blanks_as_missing(series)
            found = np.full(series.len(), np.nan)
            there = series.is_not_null().to_numpy()
            if there.any():
                found[there] = _numbers(series.drop_nulls(), self.place)
        else:
            found = _numbers(series, self.place).astype(np.float64)
        wrong = np.isinf(found) if missing else ~np.isfinite(found)
        if wrong.any():
            raise SourceError(
                f"{self.place}: {int(wrong.sum())} values of {column!r} are no finite numbers, "
                f"the first in row {int(wrong.argmax()) + 1}: drop or correct them"
            )
        return found

    def labels(self, column: str) -> NDArray[np.int64]:
        """Return a column of labels as codes; a missing label is a label of its own."""
        series = _blanks_as_missing(_column(self.frame, column, self.place))
        codes = series.rank("dense").cast(pl.Int64).to_numpy()
        missing = series.is_null().to_numpy()
        found = np.where(missing, 0, np.nan_to_num(np.asarray(codes, dtype=np.float64)))
        own = found.max(initial=0.0) + np.cumsum(missing)
        return np.where(missing, own, found).astype(np.int64)

    def dates(self, column: str) -> NDArray[np.float64]:
        """Return a column of dates, or of times in years, in years.

        Numbers are years of the calendar (1000 to 3000) or years since some beginning (below
        1,000). Text begins with the year, so that no day is taken for a month.

        Raises
        ------
        SourceError
            No such column, or a value that is no date: the message names the row.
        """
        series = _column(self.frame, column, self.place)
        if series.dtype.is_numeric():
            return self._years(self.numbers(column), column)
        if series.dtype == pl.String:
            texts = series.str.strip_chars()
            if texts.cast(pl.Float64, strict=False).null_count() == 0:
                return self._years(self.numbers(column), column)
            dated = texts.str.contains(r"^[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}")
            texts = texts.set(~dated.fill_null(False), None)
            series = texts.str.to_datetime(strict=False, time_unit="us", time_zone="UTC")
            if series.null_count() > texts.null_count():
                series = texts.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
        moments = series.cast(pl.Datetime("us"), strict=False)
        if moments.null_count():
            row = int(moments.is_null().arg_max() or 0)
            raise SourceError(
                f"{self.place}: {moments.null_count()} values of {column!r} are no dates, the "
                f"first in row {row + 1}; write them as YYYY-MM-DD, or as years"
            )
        return np.asarray(moments.dt.epoch("us").to_numpy() / (1e6 * 86400 * 365.25))

    def _years(self, times: NDArray[np.float64], column: str) -> NDArray[np.float64]:
        calendar = (times >= 1000) & (times <= 3000)
        if calendar.all() or bool((np.abs(times) < 1000).all()):
            return times
        row = int(np.argmax(np.abs(times) >= 1000))
        raise SourceError(
            f"{self.place}: {column!r} holds numbers that are no years ({times[row]:.10g} in row "
            f"{row + 1}; seconds since 1970?); write dates as YYYY-MM-DD, or times in years"
        )


def _blanks_as_missing(series: pl.Series) -> pl.Series:
    if series.dtype == pl.String:
        texts = series.str.strip_chars()
        blank = texts.str.to_lowercase().is_in(["", "nan", "null", "na", "none"])
        return texts.set(blank.fill_null(False), None)
    if series.dtype.is_float():
        return series.fill_nan(None)
    return series


def read_table(path: Path) -> FileTable:
    """Read a CSV, Parquet, JSON or JSON lines file whole.

    Raises
    ------
    SourceError
        It is missing, empty or cannot be read.
    """
    frame, place = _read(path), str(path) if path != STDIN else "standard input"
    if frame.height == 0:
        raise SourceError(f"{place} holds no rows; give a file with numbers")
    return FileTable(frame, place)


def _read(path: Path) -> pl.DataFrame:
    if path == STDIN:
        return _read_stdin()
    if not path.exists():
        raise SourceError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise SourceError(f"{path} is a folder; give a file")
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty; give a file with numbers")
    try:
        return _frame(path)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(
            f"{path}: cannot be read ({first}); give UTF-8 text, Parquet, JSON or JSON lines, "
            "not compressed"
        ) from error


def _read_stdin() -> pl.DataFrame:
    data = sys.stdin.buffer.read()
    if not data.strip():
        raise SourceError("standard input is empty; pipe numbers into it, one on a line")
    try:
        return _delimited(data)
    except (ValueError, pl.exceptions.PolarsError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(
            f"standard input cannot be read ({first}); pipe UTF-8 text into it, one number on a "
            "line, or give a file"
        ) from error


def _frame(path: Path) -> pl.DataFrame:
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        return pl.read_parquet(path)
    if suffix in (".jsonl", ".ndjson"):
        lines = path.read_text(encoding="utf-8").splitlines()
        return _records([json.loads(line) for line in lines if line.strip()])
    if suffix == ".json":
        return _records(json.loads(path.read_text(encoding="utf-8")))
    return _delimited(path)


def _records(data: object) -> pl.DataFrame:
    if not isinstance(data, list):
        raise ValueError("expected a list of numbers or records")
    if not data:
        return pl.DataFrame()  # read well, and empty: refused as a table without rows is
    if not isinstance(data[0], dict):
        return pl.DataFrame({"value": _texts(data)})
    names = list(dict.fromkeys(key for row in data if isinstance(row, dict) for key in row))
    rows = [row if isinstance(row, dict) else {} for row in data]
    return pl.DataFrame({name: _texts([row.get(name) for row in rows]) for name in names})


def _texts(values: list[Any]) -> list[str | None]:
    return [None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values]


def _delimited(source: Path | bytes) -> pl.DataFrame:
    opened = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    with io.TextIOWrapper(opened, encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip()), "")
    separator = next((s for s in ("\t", ";", ",") if s in first), ",")
    blanks = first.split()
    if separator not in first and len(blanks) > 1 and all(_is_number(cell) for cell in blanks):
        raise SourceError(
            f"{'standard input' if isinstance(source, bytes) else source}: numbers separated by "
            "blanks; put one on a line, or commas between columns"
        )
    headless = all(_is_number(cell) for cell in first.strip().split(separator))
    frame = pl.read_csv(
        source, separator=separator, has_header=not headless, infer_schema=False, encoding="utf8"
    )
    if headless and frame.width == 1:
        values = frame.to_series().alias("value")
        end = values.len() - int(values.is_not_null().reverse().arg_max() or 0)
        return values.head(end).to_frame()  # without blank lines at the end
    return frame


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().strip('"'))
    except ValueError:
        return False
    return True


def _column(frame: pl.DataFrame, column: str | None, path: str) -> pl.Series:
    if frame.height == 0:
        raise SourceError(f"{path} holds no rows; give a file with numbers")
    if column is not None:
        if column not in frame.columns:
            raise SourceError(f"{path} has no column {column!r}; it has {', '.join(frame.columns)}")
        return frame[column]
    if frame.width == 1:
        return frame.to_series()
    usable = [name for name in frame.columns if _numeric(frame[name])]
    if len(usable) == 1:
        return frame[usable[0]]
    if not usable:
        raise SourceError(
            f"{path}: no column is all numbers (decimal point, no thousands separator); it has "
            f"{', '.join(frame.columns[:8])}: correct the file or choose one with --column"
        )
    raise SourceError(f"{path} has several columns; choose one with --column: {', '.join(usable)}")


def _numeric(series: pl.Series) -> bool:
    if series.dtype == pl.String:
        return (
            series.drop_nulls()
            .head(1000)
            .str.strip_chars()
            .cast(pl.Float64, strict=False)
            .null_count()
            == 0
        )
    return series.dtype.is_numeric()


def _numbers(series: pl.Series, path: str) -> Values:
    if series.dtype == pl.String:
        texts = series.str.strip_chars()
        parsed: pl.Series = texts.cast(pl.Int64, strict=False)
        if parsed.null_count() > texts.null_count():
            parsed = texts.cast(pl.Float64, strict=False)
        if parsed.null_count() > texts.null_count():
            place = int((parsed.is_null() & texts.is_not_null()).arg_max() or 0)
            raise SourceError(
                f"{path}: {series.name!r} is not all numbers; the first other value is "
                f"{texts[place]!r} in row {place + 1}: correct or remove it"
            )
        series = parsed
    if not series.dtype.is_numeric():
        raise SourceError(f"{path}: column {series.name!r} is {series.dtype}, not numbers")
    if series.null_count():
        row = int(series.is_null().arg_max() or 0) + 1
        raise SourceError(
            f"{path}: {series.null_count()} of {series.len()} values of {series.name!r} are "
            f"missing, the first in row {row}; drop or fill them"
        )
    return np.asarray(series.to_numpy())


def _sizes(series: pl.Series, path: str) -> Values:
    """Return numbers that can be sizes, floats where whole numbers go beyond what floats hold."""
    values = _numbers(series, path)
    for wrong, what in (
        (~np.isfinite(values), "NaN or infinite"),
        (values < 0, "negative, a size cannot be"),
    ):
        if wrong.any():
            row = int(wrong.argmax())
            raise SourceError(
                f"{path}: {int(wrong.sum())} of {values.size} values of {series.name!r} are "
                f"{what}; the first is {values[row]} in row {row + 1}: drop or correct them"
            )
    if values.dtype.kind in "iu" and int(values.max()) > LARGEST_EXACT:
        # 2^53 + 1 would round to 2^53, which passes for exact: one step up instead
        beyond = np.nextafter(float(LARGEST_EXACT), np.inf)
        return np.where(values > LARGEST_EXACT, np.maximum(values, beyond), values)
    return values
