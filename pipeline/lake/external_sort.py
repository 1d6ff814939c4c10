"""More rows than memory holds, in order: sorted runs on disk, read back range by range.

Rows are added in any order; every so many are sorted by the key and written as one run. Because a
run is in order, a range of keys is a few neighbouring batches of each. Memory stays with one run
while adding and with one range while reading, whatever the number of rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from baimo.pipeline.errors import LakeError

RUN_ROWS = 250_000
BATCH_ROWS = 5_000


@dataclass(frozen=True)
class _Run:
    """A run on disk: first and last key of each of its batches."""

    path: Path
    firsts: list[Any]
    lasts: list[Any]


class Runs:
    """Rows on their way into the order of a key; a context manager that removes its folder.

    Rows of the same key keep the order in which they were added.

    Parameters
    ----------
    folder
        A folder of its own; what an earlier process left there is removed.
    key
        Column to sort by: text or dates, without nulls.
    run_rows, batch_rows
        Rows of one run, and of its smallest part that is read.
    """

    def __init__(
        self, folder: Path, key: str, *, run_rows: int = RUN_ROWS, batch_rows: int = BATCH_ROWS
    ) -> None:
        self._folder, self._key = folder, key
        self._run_rows, self._batch_rows = run_rows, batch_rows
        self._waiting: list[pl.DataFrame] = []
        self._n_waiting = 0
        self._runs: list[_Run] = []

    def __enter__(self) -> Self:
        self._clear()
        try:
            self._folder.mkdir(parents=True)
        except OSError as error:
            raise LakeError(
                f"cannot make {self._folder}: {error.strerror or error}; choose another lake"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._waiting = []
        self._clear()

    def add(self, rows: pl.DataFrame) -> None:
        """Add rows; all with the same columns.

        Raises
        ------
        LakeError
            The folder cannot be written.
        """
        self._waiting.append(rows)
        self._n_waiting += rows.height
        if self._n_waiting >= self._run_rows:
            self.flush()

    def flush(self) -> None:
        """Write what waits as a run; needed once before reading."""
        if self._n_waiting == 0:
            return
        rows = pl.concat(self._waiting, rechunk=False)
        self._waiting, self._n_waiting = [], 0
        rows = rows.sort(self._key, maintain_order=True)
        path = self._folder / f"run-{len(self._runs):05d}.arrow"
        try:
            self._write(path, rows)
        except OSError as error:
            raise LakeError(
                f"cannot write {path}: {error.strerror or error}; make room, nothing was published"
            ) from error
        keys = rows[self._key]
        starts = range(0, rows.height, self._batch_rows)
        firsts = [keys[start] for start in starts]
        lasts = [keys[min(start + self._batch_rows, rows.height) - 1] for start in starts]
        self._runs.append(_Run(path, firsts, lasts))

    def between(self, low: Any, high: Any) -> pl.DataFrame | None:
        """Return the rows with low <= key < high in order (None: unbounded, or no rows).

        Raises
        ------
        LakeError
            A run cannot be read.
        """
        import pyarrow as pa

        batches: list[Any] = []
        for run in self._runs:
            wanted = [
                i
                for i, (first, last) in enumerate(zip(run.firsts, run.lasts, strict=True))
                if (high is None or first < high) and (low is None or last >= low)
            ]
            batches += self._read(run.path, wanted)
        if not batches:
            return None
        rows = pl.from_arrow(pa.Table.from_batches(batches), rechunk=False)
        assert isinstance(rows, pl.DataFrame)
        key = pl.col(self._key)
        kept = [key >= pl.lit(low)] if low is not None else []
        kept += [key < pl.lit(high)] if high is not None else []
        return rows.filter(*kept).sort(self._key, maintain_order=True)

    def ranges(self, cuts: Sequence[Any]) -> Iterator[pl.DataFrame]:
        """Yield all rows in order, range by range between the ascending `cuts`."""
        bounds = [None, *cuts, None]
        for low, high in pairwise(bounds):
            rows = self.between(low, high)
            if rows is not None and rows.height:
                yield rows

    def _write(self, path: Path, rows: pl.DataFrame) -> None:
        import pyarrow as pa

        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        with (
            pa.OSFile(str(path), "wb") as sink,
            pa.ipc.new_file(sink, table.schema, options=options) as writer,
        ):
            writer.write_table(table, max_chunksize=self._batch_rows)

    def _read(self, path: Path, wanted: list[int]) -> list[Any]:
        import pyarrow as pa

        if not wanted:
            return []
        try:
            with pa.OSFile(str(path), "rb") as source:
                reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(use_threads=False))
                return [reader.get_batch(i) for i in wanted]
        except (OSError, pa.ArrowException) as error:
            raise LakeError(f"cannot read {path}: {error}; run the same again") from error

    def _clear(self) -> None:
        try:
            if self._folder.exists():
                shutil.rmtree(self._folder)
        except OSError as error:
            raise LakeError(
                f"cannot clear {self._folder}: {error.strerror or error}; remove it by hand"
            ) from error
