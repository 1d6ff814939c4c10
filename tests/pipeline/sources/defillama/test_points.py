"""Points of TVL: one valid value a finished day, and a reason for everything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.sources.defillama.points import (
    OddError,
    Points,
    read_grid,
    read_points,
    read_response,
    read_row,
)
from baimo.pipeline.sources.http import Response, UnreadableError
from tests.pipeline.sources.defillama.responses import (
    DAY_OF_LISTING,
    FIRST,
    TODAY,
    YESTERDAY,
    grid,
    history,
    point,
)

DAY = date(2026, 3, 5)

# --- the points of one protocol ------------------------------------------------------------------


def test_which_point_stands_for_a_day() -> None:
    today = TODAY.date()
    day = date(2026, 3, 5)
    both = read_points([point(day, 1.0), point(day, 2.0, 60), point(YESTERDAY, 3.0)], today)
    assert both.good[day] == 2.0  # the last of a day
    unordered = read_points([point(day, 2.0, 60), point(day, 1.0), point(YESTERDAY, 3.0)], today)
    assert unordered.good == both.good
    # The last point of an answer, off midnight, is the newest hourly value.
    newest = read_points([point(day, 1.0), point(day, 2.0, 40_000)], today)
    assert (newest.good, newest.unfinished) == ({day: 1.0}, 1)
    alone = read_points([point(day, 1.0), point(YESTERDAY, 2.0, 40_000)], today)
    assert alone.good == {day: 1.0, YESTERDAY: 2.0}
    unfinished = read_points([point(day, 1.0), point(today, 2.0), point(today, 3.0, 900)], today)
    assert (unfinished.good, unfinished.unfinished) == ({day: 1.0}, 2)
    # Old histories have one point a day, never at midnight.
    shifted = read_points([point(day, 1.0, 80_000), point(YESTERDAY, 2.0, 86_399)], today)
    assert shifted.good == {day: 1.0, YESTERDAY: 2.0}


def test_the_recording_reads_whole(recording: Callable[[str], Path]) -> None:
    body = json.loads(recording("defillama/api/protocol_symmetry.json").read_bytes())
    points = read_points(body["tvl"], date(2025, 12, 20))
    assert (len(points.good), points.odd, points.unfinished) == (1027, [], 1)
    assert max(points.good) == date(2025, 12, 19)
    same_day = read_points(body["tvl"], date(2025, 12, 19))
    assert (len(same_day.good), same_day.unfinished) == (1026, 2)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (None, "the point is no object"),
        ({"totalLiquidityUSD": 1}, "date is not a number of seconds"),
        ({"date": True, "totalLiquidityUSD": 1}, "date is not a number of seconds"),
        ({"date": 10**20, "totalLiquidityUSD": 1}, "date is not a date"),
        ({"date": 0, "totalLiquidityUSD": 1}, "date is before 2009-01-03"),
        (point(date(2026, 3, 11), 1.0), "date lies in the future"),
        (point(DAY, None), "TVL is missing"),
        (point(DAY, "12"), "TVL is not a number"),
        (point(DAY, float("nan")), "TVL is not finite"),
        (point(DAY, -0.5), "TVL is negative"),
        (point(DAY, 1.1e15), "TVL is above a quadrillion USD"),
    ],
)
def test_an_odd_point_is_left_out_with_its_reason(odd: Any, reason: str) -> None:
    found = read_points([point(FIRST, 7), odd, point(YESTERDAY, 8.5)], TODAY.date())
    assert found.good == {FIRST: 7.0, YESTERDAY: 8.5}
    assert found.odd == [(json.dumps(odd), reason)]


def test_the_bounds_themselves_are_valid() -> None:
    found = read_points([point(date(2009, 1, 3), 0), point(DAY, 1e15)], TODAY.date())
    assert (found.good, found.odd) == ({date(2009, 1, 3): 0.0, DAY: 1e15}, [])


def test_a_long_history_comes_whole_in_its_order() -> None:
    found = read_points([*reversed(history())], TODAY.date())
    assert list(found.good) == [FIRST + timedelta(days=n) for n in range(68)]
    assert list(found.good.values()) == [100.0 + n for n in range(68)]
    assert found.frame().rows() == list(found.good.items())


def test_without_points_the_columns_are_there() -> None:
    frame = Points({}, []).frame()
    assert frame.schema == pl.Schema({"day": pl.Date, "new": pl.Float64})
    assert frame.is_empty()


def test_a_response_is_an_object_with_a_list_of_points() -> None:
    def body(data: bytes) -> Mapping[str, Any]:
        return read_response(Response("https://a.example/p", 200, {}, data))

    whole = body(b'{"id": "1", "tvl": [{"date": 1}, 2]}')
    assert (whole["id"], whole["tvl"]) == ("1", [{"date": 1}, 2])
    for data in (b"", b"<html>", b"[" * 100_000):
        with pytest.raises(UnreadableError, match="the answer is not JSON"):
            body(data)
    for data in (b"[]", b"{}", b'{"tvl": {}}', b"null"):
        with pytest.raises(UnreadableError, match="the answer holds no list of points"):
            body(data)


# --- the file of all protocols -------------------------------------------------------------------


def test_a_last_line_that_may_be_cut_is_left_out() -> None:
    body = grid({"A": range(10), "B": range(10)})
    days, lines = read_grid(body[:-4])
    assert list(lines) == ["A"]
    assert read_row(days, lines["A"], TODAY.date()) is not None
    assert list(read_grid(body.replace(b"\n", b"\r\n"))[1]) == ["A", "B"]
    assert list(read_grid(grid({"A": range(10)}) + b"\nA,1")[1]) == ["A"]
    twice = grid({"A": range(10)}) + b"\nA" + b",1" * 10
    assert read_grid(twice)[1] == {}


def test_a_table_of_all_protocols_gives_its_days_and_the_lines_of_single_names() -> None:
    days, lines = read_grid(b"\xef\xbb\xbf" + grid({"A": range(10), "B, C": [1] * 10}))
    assert days == [date(2026, 3, n) for n in range(1, 11)]
    assert list(lines) == ["A", "B"]  # and the second is shifted, which its row tells
    assert read_row(days, lines["B"], TODAY.date()) is None


def test_a_name_in_quotes_keeps_its_comma() -> None:
    days, lines = read_grid(grid({'"B, C"': range(1, 11)}))
    assert list(lines) == ["B, C"]
    row = read_row(days, lines["B, C"], TODAY.date())
    assert row is not None
    assert row.good[days[0]] == 1.0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "its header is not the known one"),
        (b"Protocol,2026-01-01,2026-01-02\nA,1,2", "it is not the known table"),
        (b"\xff\xfe", "it is not the known table"),
        (b"Name,01/01/2026,02/01/2026\nA,1,2", "its header is not the known one"),
        (b"Protocol,01/01/2026\nA,1", "its header is not the known one"),
        (b"Protocol,02/01/2026,01/01/2026\nA,1,2", "its header is not the known one"),
        (b"Protocol,01/01/2026,01/01/2026\nA,1,2", "its header is not the known one"),
    ],
)
def test_a_file_that_is_not_the_known_table_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(OddError, match=reason):
        read_grid(body)


def test_the_newest_column_and_the_repetition_at_the_end_are_no_points() -> None:
    days = [date(2026, 3, n) for n in range(1, 7)]

    def good(line: str, today: date = DAY_OF_LISTING) -> dict[int, float]:
        row = read_row(days, line, today)
        assert row is not None
        return {day.day: usd for day, usd in row.good.items()}

    assert good("A,1,2,3,4,5,6") == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0, 5: 5.0}
    assert good("A,1,2,3,4,5,6", date(2026, 3, 4)) == {1: 1.0, 2: 2.0, 3: 3.0}
    assert good("A,1,2,2,2,2,2") == {1: 1.0, 2: 2.0}
    assert good("A,,,3, ,5,6") == {3: 3.0, 5: 5.0}
    assert good("A,7") == {1: 7.0}
    assert good("A,,,,,,") == {}


def test_a_value_that_is_no_number_spoils_the_line_and_an_odd_number_only_its_day() -> None:
    days = [date(2026, 3, n) for n in range(1, 5)]
    assert read_row(days, "A,1,two,3,4", TODAY.date()) is None
    row = read_row(days, "A,1,-2,nan,4", TODAY.date())
    assert row is not None
    assert row.good == {days[0]: 1.0}
    assert row.odd == [
        ("2026-03-02 -2.0", "TVL is negative"), ("2026-03-03 nan", "TVL is not finite")
    ]  # fmt: skip
