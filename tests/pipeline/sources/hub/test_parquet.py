"""A Parquet file is read by columns and groups; whatever is wrong with it is an error by name."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baimo.pipeline.errors import SourceError
from baimo.pipeline.sources.http import UnreachableError
from baimo.pipeline.sources.hub.columns import ColumnsError
from baimo.pipeline.sources.hub.parquet import DamagedError, ParquetOnHub
from baimo.pipeline.sources.hub.repository import Commit, RepoFile
from tests.pipeline.sources.hub.wire import Shelf, parquet

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
COMMIT = Commit("0123456789abcdef", NOW)
PATH = "models.parquet"
ROWS = pl.DataFrame(
    {
        "id": [f"m{i}" for i in range(10)],
        "at": [datetime(2026, 8, 1 + i, tzinfo=UTC) for i in range(10)],
        "base": [{"relation": "merge", "models": [{"id": "a", "_id": "1"}]}] * 10,
    }
)


def opened(data: bytes) -> ParquetOnHub:
    shelf = Shelf((COMMIT, {PATH: data}))
    return ParquetOnHub(shelf, shelf.files(COMMIT.revision)[PATH])  # type: ignore[arg-type]


def of(frame: pl.DataFrame, group_rows: int = 4) -> ParquetOnHub:
    return opened(parquet(frame, group_rows))


# --- what there is -------------------------------------------------------------------------------


def test_rows_groups_and_leaves_are_known_before_anything_is_read() -> None:
    file = of(ROWS)
    assert (file.n_rows, file.n_groups) == (10, 3)
    assert file.leaves[:3] == ["id", "at", "base.relation"]
    assert [leaf.rpartition(".")[2] for leaf in file.leaves[3:]] == ["id", "_id"]


def test_the_schema_is_of_the_columns_asked_for() -> None:
    file = of(ROWS)
    assert file.schema(("at", "nothing")) == pl.Schema({"at": pl.Datetime("us", "UTC")})
    assert file.schema() == ROWS.schema


# --- rows ----------------------------------------------------------------------------------------


def test_all_rows_come_in_order_in_parts_of_bounded_size() -> None:
    parts = list(of(ROWS).batches(["id"], rows=3))
    assert pl.concat(parts).equals(ROWS.select("id"))
    assert max(part.height for part in parts) <= 3


def test_only_the_groups_and_leaves_asked_for_come() -> None:
    (part,) = of(ROWS).batches(["base.relation", "at"], groups=[1])
    assert part["at"].to_list() == ROWS["at"].to_list()[4:8]
    assert part["base"].to_list() == [{"relation": "merge"}] * 4


def test_statistics_are_told_by_group_where_there_are_any() -> None:
    file = of(ROWS)
    assert file.statistics("id") == [("m0", "m3"), ("m4", "m7"), ("m8", "m9")]
    assert of(ROWS.with_columns(id=pl.lit(None, pl.String))).statistics("id") == [None] * 3


# --- the newest moment ---------------------------------------------------------------------------


@pytest.mark.parametrize("before", [date(2026, 8, 6), date(2026, 12, 1)])
@pytest.mark.parametrize("kind", ["moments", "without a zone", "texts"])
def test_the_newest_moment_before_another(kind: str, before: date) -> None:
    at = {
        "moments": pl.col("at"),
        "without a zone": pl.col("at").dt.replace_time_zone(None),
        "texts": pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }[kind]
    moment = datetime(before.year, before.month, before.day, tzinfo=UTC)
    newest = datetime(2026, 8, 5 if before.month == 8 else 10, tzinfo=UTC)
    assert of(ROWS.with_columns(at)).newest("at", moment) == newest


def test_statistics_tell_it_without_reading_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("rows were read")

    file = of(ROWS)
    monkeypatch.setattr(file, "batches", refuse)
    assert file.newest("at", NOW) == datetime(2026, 8, 10, tzinfo=UTC)
    with pytest.raises(AssertionError):
        file.newest("at", datetime(2026, 8, 6, tzinfo=UTC))


def test_a_column_without_moments_has_no_newest() -> None:
    assert of(ROWS).newest("nothing", NOW) is None
    assert of(ROWS.with_columns(at=pl.lit(7))).newest("at", NOW) is None
    assert of(ROWS.with_columns(at=pl.lit("soon"))).newest("at", NOW) is None
    assert of(ROWS).newest("at", datetime(2020, 1, 1, tzinfo=UTC)) is None
    assert of(ROWS.head(0)).newest("at", NOW) is None


# --- damage --------------------------------------------------------------------------------------

WHOLE = parquet(pl.DataFrame({"x": range(5000)}))


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>" * 100, WHOLE[: len(WHOLE) // 2], WHOLE[:-200] + bytes(180) + WHOLE[-20:]],
    ids=["empty", "html", "cut", "footer"],
)
def test_a_file_that_is_no_parquet_is_named_with_its_revision(data: bytes) -> None:
    with pytest.raises(
        DamagedError, match=r"models\.parquet at 0123456789 cannot be read as Parquet \(.*run the"
    ):
        opened(data)
    assert issubclass(DamagedError, SourceError)


def test_damage_that_shows_only_in_the_rows_is_named_too() -> None:
    file = opened(WHOLE[:100] + bytes(3000) + WHOLE[3100:])
    with pytest.raises(DamagedError, match="cannot be read as Parquet"):
        list(file.batches(["x"]))


def test_text_that_is_no_utf8_is_damage() -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"x": pa.array([b"\xff\xfe"]).view(pa.string())}), out)
    with pytest.raises(DamagedError, match="cannot be read as Parquet"):
        list(opened(out.getvalue()).batches(["x"]))


class Unreachable(Shelf):
    def open(self, file: RepoFile) -> io.BytesIO:
        raise UnreachableError(f"{file.path}: no answer in time, 5 times")


def test_what_the_network_does_passes_through() -> None:
    shelf = Unreachable((COMMIT, {PATH: WHOLE}))
    with pytest.raises(UnreachableError, match=r"^models\.parquet: no answer in time"):
        ParquetOnHub(shelf, shelf.files(COMMIT.revision)[PATH])  # type: ignore[arg-type]


def test_columns_of_types_that_cannot_be_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise NotImplementedError("month intervals")

    file = of(ROWS)
    monkeypatch.setattr("baimo.pipeline.sources.hub.parquet.pl.from_arrow", refuse)
    with pytest.raises(ColumnsError, match=r"types that cannot be read \(month intervals\)"):
        file.schema()
