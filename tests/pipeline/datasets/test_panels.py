"""Panels across days: by hand on small lakes, and against plain Python on random ones."""

import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings, strategies as st
from polars.testing import assert_frame_equal

from baimo.pipeline.datasets import panels
from baimo.pipeline.errors import LakeError, TableError
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.defillama import DEFILLAMA_PROTOCOLS
from baimo.pipeline.schema.hub import HUB_MODELS

D0 = date(2026, 9, 1)  # after the last change of the counting rules
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Row = dict[str, Any]
State = dict[str, Row]  # hub_id -> columns that differ from the defaults


def day(n: int) -> date:
    return D0 + timedelta(days=n)


def models(state: State) -> pl.DataFrame:
    base: Row = {"downloads": 0, "downloads_all_time": 0, "likes": 0, "created_at": NOON}
    rows = [
        {"hub_id": k, "model_id": f"a/{k}", "source": "test", **base, **v} for k, v in state.items()
    ]
    return pl.DataFrame(rows, schema=HUB_MODELS.schema, orient="row")


def lake_of(root: Path, states: dict[int, State]) -> Lake:
    lake = Lake(root)
    for n, state in states.items():
        lake.write_table("hub_models", day(n), models(state).sort("hub_id"))
    return lake


def rows(frame: pl.LazyFrame, *columns: str) -> list[tuple[Any, ...]]:
    return frame.select(*columns).collect(engine="streaming").rows()


class TestScan:
    def test_only_days_that_exist_with_their_date(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {0: {"1": {}}, 2: {"1": {}, "2": {}}, 9: {"3": {}}})
        scanned = panels.scan(lake, "hub_models", day(0), day(5))
        assert scanned.collect_schema()["date"] == pl.Date
        assert rows(scanned, "date", "hub_id") == [(day(0), "1"), (day(2), "1"), (day(2), "2")]
        assert panels.stored_days(lake, "hub_models", day(1), day(9)) == [day(2), day(9)]

    def test_columns_follow_the_table_whatever_a_file_holds(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {0: {"1": {}}})
        older = models({"1": {}}).drop("downloads_all_time", "author").with_columns(extra=1)
        lake.write_table("hub_models", day(1), older)
        scanned = panels.scan(lake, "hub_models", day(0), day(1))
        assert scanned.collect_schema().names() == [*HUB_MODELS.names, "date"]
        assert rows(scanned, "downloads_all_time") == [(0,), (None,)]
        assert rows(panels.increments(lake, day(0), day(1)), "d_downloads_all_time") == [(None,)]

    def test_other_tables_are_read_too(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        protocol = {"observed_on": D0, "protocol_id": "1", "name": "x", "tvl_usd": 1.0}
        frame = pl.DataFrame([protocol | {"source": "t"}], schema=DEFILLAMA_PROTOCOLS.schema)
        lake.write_table("defillama_protocols", D0, frame)
        assert rows(panels.scan(lake, "defillama_protocols", D0, day(3)), "date") == [(D0,)]
        lake.write_table("own", D0, pl.DataFrame({"a": [1]}))
        assert rows(panels.scan(lake, "own", D0, D0), "a", "date") == [(1, D0)]

    def test_a_needed_day_that_is_missing_is_named(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {0: {"1": {}}})
        needed = [day(n) for n in (0, 2, 3, 4, 9)]
        with pytest.raises(
            LakeError,
            match=r"hub_models: 4 of 5 needed days not in the lake: 2026-09-03 to 2026-09-05, "
            r"2026-09-10; fetch it \(baimo refresh, baimo backfill\)",
        ):
            panels.scan(lake, "hub_models", day(0), day(9), needed=needed)

    def test_no_day_at_all_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(LakeError, match="no day of hub_models from 2026-09-01 to 2026-09-02"):
            panels.scan(Lake(tmp_path), "hub_models", day(0), day(1))


class TestIncrements:
    def test_by_hand(self, tmp_path: Path) -> None:
        lake = lake_of(
            tmp_path,
            {
                0: {
                    "1": {"likes": 5, "downloads_all_time": 100},
                    "2": {"likes": 3, "downloads_all_time": 90},
                    "3": {"likes": 1, "downloads_all_time": None},
                    "gone": {},
                },
                7: {
                    "1": {"likes": 9, "downloads_all_time": 160},
                    "2": {"likes": 2, "downloads_all_time": 40},
                    "3": {"likes": 1, "downloads_all_time": 7},
                    "new": {"likes": 50},
                },
            },
        )
        panel = panels.increments(lake, day(0), day(7), step=None).collect()
        assert panel.schema == pl.Schema(panels.INCREMENTS)
        pair = (day(0), day(7), 7)
        assert panel.rows() == [
            ("1", *pair, 5, 9, 4, 100, 160, 60, False),
            ("2", *pair, 3, 2, -1, 90, 40, -50, False),  # unliked, spam removed
            ("3", *pair, 1, 1, 0, None, 7, None, False),
        ]

    @pytest.mark.parametrize(
        ("how", "pairs"),
        [
            ({}, [(0, 1), (1, 2), (2, 3), (3, 4)]),
            ({"step": 2}, [(0, 2), (2, 4)]),
            ({"step": 3}, [(0, 3)]),
            ({"step": None}, [(0, 4)]),
            ({"step": 9}, []),
            ({"days": [day(4), day(0), day(1), day(1)]}, [(0, 1), (1, 4)]),
            ({"days": [day(2)]}, []),
            ({"days": []}, []),
        ],
        ids=str,
    )
    def test_days_are_paired_as_asked(
        self, tmp_path: Path, how: Row, pairs: list[tuple[int, int]]
    ) -> None:
        lake = lake_of(tmp_path, {n: {"1": {"likes": n * n}} for n in range(5)})
        panel = panels.increments(lake, day(0), day(4), **how)
        expected = [(day(a), day(b), b - a, b * b - a * a) for a, b in pairs]
        assert rows(panel, "from_date", "to_date", "elapsed_days", "d_likes") == expected
        assert panel.collect_schema() == pl.Schema(panels.INCREMENTS)

    def test_a_rename_does_not_break_a_pair_and_a_name_passed_on_joins_nothing(
        self, tmp_path: Path
    ) -> None:
        before: State = {"1": {"model_id": "a/x", "likes": 10}}
        after: State = {
            "1": {"model_id": "a/y", "likes": 11},
            "2": {"model_id": "a/x", "likes": 99},
        }
        lake = lake_of(tmp_path, {0: before, 1: after})
        assert rows(panels.increments(lake, day(0), day(1)), "hub_id", "d_likes") == [("1", 1)]

    def test_columns_of_the_earlier_day_are_carried_along(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {0: {"1": {"author": "a"}}, 1: {"1": {"author": "b"}}})
        panel = panels.increments(lake, day(0), day(1), carry=["created_at", "author"])
        assert rows(panel, "created_at", "author") == [(NOON, "a")]
        with pytest.raises(TableError, match="hub_models has no column colour"):
            panels.increments(lake, day(0), day(1), carry=["colour"])

    def test_missing_days_are_listed(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {n: {"1": {}} for n in (0, 3)})
        with pytest.raises(LakeError, match=r"2 of 4 .* 2026-09-02 to 2026-09-03"):
            panels.increments(lake, day(0), day(3))
        stored = panels.stored_days(lake, "hub_models", day(0), day(3))
        panel = panels.increments(lake, day(0), day(3), days=stored)
        assert rows(panel, "elapsed_days") == [(3,)]

    @pytest.mark.parametrize(
        ("first", "last", "how", "message"),
        [
            (1, 0, {}, "2026-09-02, lies after the last, 2026-09-01: exchange"),
            (0, 1, {"step": 0}, "a step of 0 days leads nowhere"),
            (0, 1, {"days": [day(0), day(5)]}, "2026-09-06 not from 2026-09-01 to 2026-09-02"),
        ],
        ids=["reversed", "step", "outside"],
    )
    def test_ranges_that_make_no_sense_are_refused(
        self, tmp_path: Path, first: int, last: int, how: Row, message: str
    ) -> None:
        lake = lake_of(tmp_path, {0: {"1": {}}, 1: {"1": {}}})
        with pytest.raises(LakeError, match=message):
            panels.increments(lake, day(first), day(last), **how)

    @pytest.mark.parametrize(
        "row", [{"source": "reference"}, {"model_id": "1"}], ids=["reference", "names"]
    )
    def test_days_without_lasting_ids_are_refused(self, tmp_path: Path, row: Row) -> None:
        lake = lake_of(tmp_path, {0: {"1": row}, 1: {"1": {}}})
        with pytest.raises(LakeError, match=r"hub_models of 2026-09-01 .* leave it out"):
            panels.increments(lake, day(0), day(1))

    def test_an_empty_day_gives_an_empty_panel(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {0: {}, 1: {"1": {}}, 2: {}})
        panel = panels.increments(lake, day(0), day(2)).collect(engine="streaming")
        assert panel.schema == pl.Schema(panels.INCREMENTS)
        assert panel.is_empty()
        assert rows(panels.entries(lake, day(0), day(2)), "hub_id") == [("1",)]

    def test_more_rows_than_a_frame_holds_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(panels, "MOST_ROWS", 3)
        lake = lake_of(tmp_path, {n: {"1": {}, "2": {}} for n in (0, 1)})
        with pytest.raises(LakeError, match=r"4 rows on 2 days.*take fewer days"):
            panels.increments(lake, day(0), day(1))

    def test_a_panel_is_written_as_it_streams(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {n: {"1": {"likes": n}, "2": {}} for n in range(4)})
        panel = panels.increments(lake, day(0), day(3))
        panel.sink_parquet(tmp_path / "panel.parquet")
        assert_frame_equal(pl.read_parquet(tmp_path / "panel.parquet"), panel.collect())


class TestBreaks:
    @pytest.mark.parametrize(
        ("start", "end", "crosses"),
        [
            ((2025, 7, 24), (2025, 7, 25), True),
            ((2025, 7, 25), (2025, 7, 26), True),  # the hour of the change is unknown
            ((2025, 7, 26), (2025, 8, 26), False),
            ((2025, 7, 1), (2025, 7, 24), False),
            ((2026, 7, 1), (2026, 9, 1), True),
            ((2025, 1, 1), (2026, 12, 31), True),
        ],
    )
    def test_increments_say_whether_they_cross_one(
        self, tmp_path: Path, start: tuple[int, int, int], end: tuple[int, int, int], crosses: bool
    ) -> None:
        lake = Lake(tmp_path)
        first, last = date(*start), date(*end)
        for when in (first, last):
            lake.write_table("hub_models", when, models({"1": {}}))
        panel = panels.increments(lake, first, last, step=None)
        assert rows(panel, "crosses_break") == [(crosses,)]
        assert panels.crosses_break(first, last) is crosses

    def test_windows_say_whether_they_cross_one_and_which_rule_holds(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        first = date(2026, 6, 10)
        for n in range(5):
            lake.write_table("hub_models", first + timedelta(days=30 * n), models({"1": {}}))
        panel = panels.windows(lake, first, first + timedelta(days=120))
        found = rows(panel, "starts_on", "ends_on", "counting_rule", "crosses_break")
        assert [row[2:] for row in found] == [
            (1, False),
            (1, False),
            (2, True),  # 2026-07-11 to 2026-08-09
            (2, False),
            (2, False),
        ]
        assert found[2][:2] == (date(2026, 7, 11), date(2026, 8, 9))


class TestWindows:
    def test_every_thirtieth_day_and_no_other(self, tmp_path: Path) -> None:
        states = {n: {"1": {"downloads": n}, "2": {"downloads": 1}} for n in range(0, 65, 5)}
        lake = lake_of(tmp_path, states | {30: {"1": {"downloads": 30}}})
        panel = panels.windows(lake, day(0), day(64))
        assert panel.collect_schema() == pl.Schema(panels.WINDOWS)
        found = rows(panel, "window", "hub_id", "downloads", "ends_on")
        assert found == [
            (0, "1", 0, day(0)),
            (0, "2", 1, day(0)),
            (1, "1", 30, day(30)),  # 2 is not listed on that day
            (2, "1", 60, day(60)),
            (2, "2", 1, day(60)),
        ]

    def test_missing_days_are_said(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {n: {"1": {}} for n in (0, 29, 60, 91)})
        with pytest.raises(
            LakeError, match=r"no day for 2 of 4 windows, those that end on 2026-10-01, 2026-11-30"
        ):
            panels.windows(lake, day(0), day(91))

    def test_with_a_tolerance_the_nearest_day_that_does_not_overlap(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {n: {"1": {}} for n in (0, 29, 32, 59, 61, 62)})
        days = panels.window_days(lake, day(0), day(62), tolerance=2)
        # 29 and 59 are nearer or as near, but less than 30 days after the one before.
        assert days == [day(0), day(32), day(62)]
        with pytest.raises(LakeError, match=r"\(tolerance 1 days\)"):
            panels.window_days(lake, day(0), day(62), tolerance=1)
        with pytest.raises(LakeError, match="give 0 or more"):
            panels.window_days(lake, day(0), day(62), tolerance=-1)

    def test_of_two_days_as_near_the_earlier(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {n: {"1": {}} for n in (1, 31, 33)})
        days = panels.window_days(lake, day(0), day(33), tolerance=3)
        assert days == [day(1), day(31)]

    @settings(max_examples=60, deadline=None)
    @given(st.sets(st.integers(0, 130), min_size=1), st.integers(0, 12))
    def test_chosen_days_never_overlap_and_stay_within_the_tolerance(
        self, stored: set[int], tolerance: int
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lake = Lake(Path(folder))
            for n in stored:
                path = lake.path("hub_models", day(n))
                path.parent.mkdir(parents=True)
                path.touch()
            try:
                chosen = panels.window_days(lake, day(0), day(130), tolerance=tolerance)
            except LakeError:
                return
        assert len(chosen) == 5
        assert all((b - a).days >= 30 for a, b in pairwise(chosen))
        for k, d in enumerate(chosen):
            assert abs((d - day(30 * k)).days) <= tolerance
            assert (d - D0).days in stored


class TestComingAndGoing:
    def test_a_model_that_comes_back_is_removed_then_enters_again(self, tmp_path: Path) -> None:
        here: State = {"1": {}, "2": {"model_id": "b/old"}}
        back: State = {"1": {}, "2": {"model_id": "b/new"}, "3": {}}
        lake = lake_of(tmp_path, {0: here, 1: {"1": {}}, 2: {"1": {}}, 3: back, 4: {"1": {}}})
        gone = panels.removals(lake, day(0), day(4))
        assert rows(gone, "hub_id", "model_id", "from_date", "to_date", "back_on") == [
            ("2", "b/old", day(0), day(1), day(3)),
            ("2", "b/new", day(3), day(4), None),
            ("3", "a/3", day(3), day(4), None),
        ]
        came = panels.entries(lake, day(0), day(4))
        columns = ("hub_id", "model_id", "from_date", "to_date", "last_seen_on", "model_id_before")
        assert rows(came.filter(pl.col("created_at") == NOON), *columns) == [
            ("2", "b/new", day(2), day(3), day(0), "b/old"),
            ("3", "a/3", day(2), day(3), None, None),
        ]
        named = panels.renames(lake, day(0), day(4))
        assert rows(named, "hub_id", "model_id_from", "model_id_to", "from_date", "to_date") == [
            ("2", "b/old", "b/new", day(0), day(3))
        ]
        # Between the ends alone nothing happened to 3, and 2 left for good.
        assert rows(panels.removals(lake, day(0), day(4), step=None), "hub_id") == [("2",)]
        assert rows(panels.entries(lake, day(0), day(4), step=None), "hub_id") == []

    def test_a_name_that_passes_to_another_model_is_a_rename_and_an_entry(
        self, tmp_path: Path
    ) -> None:
        before: State = {"1": {"model_id": "a/x"}, "2": {"model_id": "a/y"}}
        after: State = {"1": {"model_id": "a/y"}, "2": {"model_id": "a/x"}, "3": {}}
        lake = lake_of(tmp_path, {0: before, 1: after})
        named = panels.renames(lake, day(0), day(1))
        assert rows(named, "hub_id", "model_id_from", "model_id_to") == [
            ("1", "a/x", "a/y"),
            ("2", "a/y", "a/x"),
        ]
        assert rows(panels.entries(lake, day(0), day(1)), "hub_id") == [("3",)]
        assert rows(panels.removals(lake, day(0), day(1)), "hub_id") == []

    def test_nothing_happens(self, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, {0: {"1": {}}, 1: {"1": {}}})
        for find in (panels.entries, panels.removals, panels.renames):
            for last in (0, 1):
                found = find(lake, day(0), day(last)).collect(engine="streaming")
                assert found.is_empty()
                assert found.schema["from_date"] == pl.Date


# Plain Python on random lakes, written as published (sorted, in small blocks) or in disorder.

state = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.fixed_dictionaries(
        {
            "model_id": st.sampled_from(["o/p", "o/q", "o/r"]),
            "likes": st.integers(0, 9),
            "downloads": st.integers(0, 9),
            "downloads_all_time": st.one_of(st.none(), st.integers(0, 9)),
        }
    ),
    max_size=8,
)


def plain_increments(states: Sequence[State]) -> list[tuple[Any, ...]]:
    found = []
    for n, (a, b) in enumerate(pairwise(states)):
        for k in sorted(a.keys() & b.keys()):
            x, y = a[k]["downloads_all_time"], b[k]["downloads_all_time"]
            change = None if x is None or y is None else y - x
            found.append((k, day(n), day(n + 1), b[k]["likes"] - a[k]["likes"], x, y, change))
    return found


def plain_events(states: Sequence[State]) -> dict[str, list[tuple[Any, ...]]]:
    came, gone, named = [], [], []
    for n in range(1, len(states)):
        for k in sorted(states[n].keys() | states[n - 1].keys()):
            seen = [m for m in range(n) if k in states[m]]
            ahead = [m for m in range(n + 1, len(states)) if k in states[m]]
            name_before = states[seen[-1]][k]["model_id"] if seen else None
            if k not in states[n]:
                gone.append((k, day(n - 1), day(n), name_before, day(ahead[0]) if ahead else None))
                continue
            name = states[n][k]["model_id"]
            last = day(seen[-1]) if seen else None
            if k not in states[n - 1]:
                came.append((k, day(n - 1), day(n), name, last, name_before))
            if seen and name != name_before:
                named.append((k, name_before, name, last, day(n)))
    return {"entries": came, "removals": gone, "renames": named}


A_BLOCK_IN_DISORDER = [{k: {"model_id": "o/p", "likes": 0, "downloads": 0,
    "downloads_all_time": None} for k in keys} for keys in ("abcdef", "cdbea")]  # fmt: skip


@settings(max_examples=50, deadline=None)
@example(A_BLOCK_IN_DISORDER, False, 42431092)
@given(st.lists(state, min_size=2, max_size=5), st.booleans(), st.integers(0, 2**32 - 1))
def test_panels_equal_plain_python_in_any_order_of_rows(
    states: list[State], in_order: bool, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        for n, s in enumerate(states):
            frame = models(s)
            shuffled = frame.sample(fraction=1, shuffle=True, seed=seed + n)
            frame = frame.sort("hub_id") if in_order else shuffled
            path = lake.path("hub_models", day(n))
            path.parent.mkdir(parents=True)
            frame.write_parquet(path, row_group_size=3)
        last = day(len(states) - 1)
        columns = ("hub_id", "from_date", "to_date", "d_likes", "downloads_all_time_from",
                   "downloads_all_time_to", "d_downloads_all_time")  # fmt: skip
        found = rows(panels.increments(lake, D0, last), *columns)
        assert found == plain_increments(states)
        plain = plain_events(states)
        names = ("hub_id", "from_date", "to_date", "model_id", "last_seen_on", "model_id_before")
        assert rows(panels.entries(lake, D0, last), *names) == plain["entries"]
        names = ("hub_id", "from_date", "to_date", "model_id", "back_on")
        assert rows(panels.removals(lake, D0, last), *names) == plain["removals"]
        names = ("hub_id", "model_id_from", "model_id_to", "from_date", "to_date")
        assert rows(panels.renames(lake, D0, last), *names) == plain["renames"]
        # Summed within the stream, the panel is the same.
        total = rows(panels.increments(lake, D0, last).select(pl.col("d_likes").sum()), "d_likes")
        assert total == [(sum(row[3] for row in found),)]


class TestOtherReaders:
    def test_pandas(self, tmp_path: Path) -> None:
        lake_of(tmp_path, {0: {"1": {"likes": 3}}, 1: {"1": {"likes": 4}}})
        pandas = pytest.importorskip("pandas")
        frame = pandas.read_parquet(tmp_path / "hub_models")
        assert list(frame["likes"]) == [3, 4]
        assert [str(d) for d in frame["date"]] == ["2026-09-01", "2026-09-02"]

    def test_duckdb(self, tmp_path: Path) -> None:
        lake_of(tmp_path, {0: {"1": {"likes": 3}}, 1: {"1": {"likes": 4}}})
        duckdb = pytest.importorskip("duckdb")
        files = f"read_parquet('{tmp_path}/hub_models/*/*.parquet', hive_partitioning = true)"
        found = duckdb.sql(f"select date, likes from {files} order by date").fetchall()
        assert found == [(day(0), 3), (day(1), 4)]
