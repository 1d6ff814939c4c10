"""A Parquet file of the Hub, read in parts: only some columns, many rows at a time.

Whatever is wrong with the file is said as an error of the pipeline; what the network does is
`repository`'s business and passes through.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import polars as pl

from baimo.pipeline.errors import PipelineError, SourceError
from baimo.pipeline.sources.hub.casts import parsed_times
from baimo.pipeline.sources.hub.columns import ColumnsError
from baimo.pipeline.sources.hub.repository import BLOCK_BYTES, RepoFile, Repository

BATCH_ROWS = 50_000


class DamagedError(SourceError):
    """A file cannot be read as Parquet."""


class ParquetOnHub:
    """A Parquet file of the Hub.

    Parameters
    ----------
    repository, file
        Where it lies.

    Raises
    ------
    DamagedError
        It is no Parquet file.
    """

    def __init__(self, repository: Repository, file: RepoFile) -> None:
        import pyarrow.parquet as pq

        self.file = file
        remote = repository.open(file)
        with _naming_damage(file):
            self._parquet = pq.ParquetFile(remote, pre_buffer=False, buffer_size=BLOCK_BYTES)
            schema = self._parquet.schema
            self.leaves: list[str] = [schema.column(i).path for i in range(len(schema))]
            self.n_rows: int = self._parquet.metadata.num_rows
            self.n_groups: int = self._parquet.metadata.num_row_groups

    def schema(self, names: tuple[str, ...] | None = None) -> pl.Schema:
        """Return the columns among `names` (default: all) as Polars reads them.

        Raises
        ------
        ColumnsError
            Polars has no such types.
        """
        import pyarrow as pa

        kept = [f for f in self._parquet.schema_arrow if names is None or f.name in names]
        try:
            frame = pl.from_arrow(pa.schema(kept).empty_table())
        except (pl.exceptions.PolarsError, pa.ArrowException, NotImplementedError) as error:
            raise ColumnsError(
                f"{self.file.path} has columns of types that cannot be read ({error}); take "
                "another source"
            ) from error
        assert isinstance(frame, pl.DataFrame)
        return frame.schema

    def batches(
        self, leaves: list[str], groups: list[int] | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of some leaves, and of some row groups.

        Raises
        ------
        DamagedError
            What comes is no Parquet.
        SourceError
            It does not come; see `repository`.
        """
        batches = self._parquet.iter_batches(
            batch_size=rows, row_groups=groups, columns=leaves, use_threads=False
        )
        while True:
            with _naming_damage(self.file):
                batch = next(batches, None)
                if batch is None:
                    return
                batch.validate(full=True)  # text that is no UTF-8 must not reach Polars
                frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield frame

    def statistics(self, name: str) -> list[tuple[object, object] | None]:
        """Return least and largest value of a column by row group, None where none are told."""
        at = self.leaves.index(name)
        found: list[tuple[object, object] | None] = []
        for group in range(self.n_groups):
            stated = self._parquet.metadata.row_group(group).column(at).statistics
            with _naming_damage(self.file):
                known = stated is not None and stated.has_min_max
                found.append((stated.min, stated.max) if known else None)
        return found

    def newest(self, name: str, before: datetime) -> datetime | None:
        """Return the largest moment in a column before another: by its statistics if they do."""
        if name not in self.leaves:
            return None
        stated = self.statistics(name)
        tops = [_aware(pair[1]) if pair is not None else None for pair in stated]
        if tops and all(top is not None and top < before for top in tops):
            return max(top for top in tops if top is not None)
        newest: datetime | None = None
        for frame in self.batches([name]):
            moments = _moments(frame[name])
            if moments is None:
                return None
            top = _aware(moments.filter(moments < before).max())
            if top is not None:
                newest = top if newest is None else max(newest, top)
        return newest


def _moments(values: pl.Series) -> pl.Series | None:
    if values.dtype == pl.String:
        return parsed_times(values)
    if not isinstance(values.dtype, pl.Datetime):
        return None
    return values if values.dtype.time_zone else values.dt.replace_time_zone("UTC")


def _aware(value: object) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


@contextmanager
def _naming_damage(file: RepoFile) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except PipelineError:
        raise
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise DamagedError(
            f"{file.path} at {file.revision[:10]} cannot be read as Parquet ({why}); run the same "
            "again, then take another source"
        ) from error
