"""The panel gives the movements of models by day; every row left out is counted by reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.schema.table import COUNT_MAX
from baimo.pipeline.sources.hub import daily_downloads
from baimo.pipeline.sources.hub.columns import ColumnsError
from baimo.pipeline.sources.hub.daily_downloads import (
    Characterization,
    PanelColumns,
    panel_columns,
)
from baimo.pipeline.sources.hub.repository import Commit
from tests.pipeline.sources.hub.wire import Shelf, parquet

START = date(2026, 8, 1)
COMMIT = Commit("d" * 40, datetime(2026, 9, 1, tzinfo=UTC))
Mount = Callable[..., Shelf]
D, T, N, S = pl.Date(), pl.Datetime("us", "UTC"), pl.Int64(), pl.String()


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Mount:
    """Return what puts files in the place of the dataset."""

    def put(panel: pl.DataFrame, ids: pl.DataFrame | None = None, **files: bytes) -> Shelf:
        known = pl.DataFrame({"hub_id": ["a", "b"]}) if ids is None else ids
        held = {"downloads.parquet": parquet(panel, 2), "models.parquet": parquet(known)}
        shelf = Shelf((COMMIT, held))
        monkeypatch.setattr(daily_downloads, "Repository", lambda *_: shelf)
        return shelf

    return put


def day(n: int) -> date:
    return START + timedelta(days=n)


def panel(*rows: tuple[Any, Any, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"hub_id": S, "day": D, "downloads": N}, orient="row")


def taken(
    first: date = START, last: date = START + timedelta(days=30)
) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    source = Characterization()
    rows = [row for part in source.daily_downloads(first, last) for row in part.rows()]
    return rows, {why: n for why, n in source.dropped.items() if n}


# --- rows ----------------------------------------------------------------------------------------


def test_movements_of_models_in_the_days_asked_for_come_in_order(mount: Mount) -> None:
    mount(panel(("b", day(0), 1), ("a", day(2), -5), ("a", day(1), 7), ("b", day(4), 9)))
    rows, dropped = taken(day(1), day(2))
    assert rows == [("a", day(2), -5), ("a", day(1), 7)]
    assert dropped == {}


def test_the_columns_have_one_name_and_type_whatever_the_file_calls_them(mount: Mount) -> None:
    at = datetime(2026, 8, 1, 23, 30, tzinfo=UTC)
    frame = pl.DataFrame({"ts": [at], "hub_id": ["a"], "daily_downloads": [3.0], "more": [1]})
    for kind in (pl.col("ts"), pl.col("ts").dt.convert_time_zone("Asia/Tokyo"),
                 pl.col("ts").dt.replace_time_zone(None)):  # fmt: skip
        mount(frame.with_columns(kind))
        (part,) = Characterization().daily_downloads(START, START)
        assert part.schema == pl.Schema({"hub_id": S, "date": D, "downloads": N})
        assert part.rows() == [("a", START, 3)]


def test_days_written_as_text_are_read(mount: Mount) -> None:
    mount(pl.DataFrame({"hub_id": ["a", "b"], "day": ["2026-08-01", "soon"], "downloads": [1, 2]}))
    assert taken() == ([("a", START, 1)], {"the date is missing": 1})


def test_every_row_left_out_is_counted_with_its_reason(mount: Mount) -> None:
    good = ("a", START, 1.0)
    rows = [
        good, (None, START, 1.0), ("", START, 1.0), ("a", START, None), ("a", START, 0.5),
        ("a", START, 1e30), ("b", None, 1.0), ("dataset", START, 4.0), ("zz", START, 4.0),
    ]  # fmt: skip
    schema = {"hub_id": S, "day": D, "downloads": pl.Float64()}
    mount(pl.DataFrame(rows, schema=schema, orient="row"))
    assert taken() == (
        [("a", START, 1)],
        {
            "hub_id is missing": 2,
            "downloads is missing or not a whole number": 2,
            "downloads is beyond 2^53": 1,
            "the date is missing": 1,
            "not a model (the panel counts datasets too)": 2,
        },
    )


def test_the_largest_movement_either_way_is_kept(mount: Mount) -> None:
    mount(panel(("a", START, COUNT_MAX), ("b", START, -COUNT_MAX), ("b", START, COUNT_MAX + 1)))
    rows, dropped = taken()
    assert [row[2] for row in rows] == [COUNT_MAX, -COUNT_MAX]
    assert dropped == {"downloads is beyond 2^53": 1}


def test_counts_of_a_second_reading_do_not_add_to_the_first(mount: Mount) -> None:
    mount(panel(("zz", START, 1)))
    source = Characterization()
    for _ in range(2):
        list(source.daily_downloads(START, START))
        assert sum(source.dropped.values()) == 1


def test_days_outside_all_row_groups_read_nothing_more(mount: Mount) -> None:
    shelf = mount(panel(("a", day(0), 1), ("a", day(1), 1)))
    assert taken(day(5), day(9)) == ([], {})
    assert shelf.opened == ["downloads.parquet"]  # not even the models


def test_without_models_nothing_is_a_model(mount: Mount) -> None:
    mount(panel(("a", START, 1)), ids=pl.DataFrame({"hub_id": []}, schema={"hub_id": S}))
    assert taken() == ([], {"not a model (the panel counts datasets too)": 1})


# --- what is refused -----------------------------------------------------------------------------


def test_a_dataset_without_the_file_is_refused_with_what_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = Shelf((COMMIT, {"README.md": b"#"}))
    monkeypatch.setattr(daily_downloads, "Repository", lambda *_: shelf)
    with pytest.raises(
        ColumnsError, match=r"has no downloads\.parquet; found README\.md: the data"
    ):
        list(Characterization().daily_downloads(START, START))
    monkeypatch.setattr(daily_downloads, "Repository", lambda *_: Shelf())
    with pytest.raises(ColumnsError, match="found nothing"):
        Characterization().file("models.parquet")


def test_models_without_ids_are_refused(mount: Mount) -> None:
    mount(panel(("a", START, 1)), ids=pl.DataFrame({"name": ["a"], "x": [1]}))
    with pytest.raises(
        ColumnsError, match=r"models\.parquet has no column that is clearly hub_id; found name, x: "
    ):
        list(Characterization().daily_downloads(START, START))


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"downloads": N, "date": D, "hub_id": S}, PanelColumns("hub_id", "date", "downloads")),
        ({"hub_id": S, "ds": S, "Downloads": N}, PanelColumns("hub_id", "ds", "Downloads")),
        ({"hub_id": S, "at": T, "date": S, "downloads_daily": N, "downloads_total": N},
         PanelColumns("hub_id", "at", "downloads_daily")),
        ({"hub_id": S, "day": D, "seen": D, "downloads_30d": N, "downloads_new": N},
         PanelColumns("hub_id", "day", "downloads_new")),
    ],
)  # fmt: skip
def test_columns_are_recognised_by_name_and_type(
    schema: dict[str, pl.DataType], expected: PanelColumns
) -> None:
    assert panel_columns(pl.Schema(schema), "p") == expected


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({"id": S, "date": D, "downloads": N}, "hub_id"),
        ({"hub_id": S, "from": D, "to": D, "downloads": N}, "date"),
        ({"hub_id": S, "date": N, "downloads": N}, "date"),
        ({"hub_id": S, "date": D, "downloads": S}, "downloads"),
        ({"hub_id": S, "date": D, "cum_downloads": N}, "downloads"),
        ({"hub_id": S, "date": D, "downloads_x": N, "downloads_y": N}, "downloads"),
    ],
)
def test_what_is_not_clear_is_refused_with_all_that_is_there(
    schema: dict[str, pl.DataType], what: str
) -> None:
    with pytest.raises(ColumnsError, match=f"^p has no column that is clearly {what}; found ") as e:
        panel_columns(pl.Schema(schema), "p")
    assert all(f"{name} ({dtype})" in str(e.value) for name, dtype in schema.items())
