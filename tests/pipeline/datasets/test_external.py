"""Recordings beside the main ones: recognised, counted without names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from baimo.pipeline.datasets import external as companions
from baimo.pipeline.datasets._companions import Companion
from baimo.pipeline.datasets.external import (
    read_companion,
    tabulate_companions,
    tabulate_increments,
    tabulate_sizes,
    tabulate_waves,
)
from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.settings import reference_dir
from baimo.pipeline.sources import reference
from baimo.pipeline.sources.reference import COMPANIONS, load_companions, load_reference
from tests.pipeline.synthetic import two_windows

BEFORE, AFTER = date(2026, 8, 19), date(2026, 8, 22)
YEAR = 365.25


def two_days(rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
    names = ("author", "age", "likes_before", "likes_after")
    frame = pl.DataFrame(
        rows, schema=dict(zip(names, (pl.String, pl.Float64, pl.Int64, pl.Int64), strict=True)),
        orient="row",
    )  # fmt: skip
    return frame.with_columns(
        hub_id=pl.format("m{}", pl.int_range(pl.len())),
        before_on=pl.lit(BEFORE),
        after_on=pl.lit(AFTER),
    )


class TestIncrements:
    def test_models_that_share_everything_are_counted_together(self) -> None:
        rows = two_days(
            [("zoe", 0.123449, 3, 5), ("zoe", 0.123351, 3, 5), ("zoe", None, None, 1),
             ("adam", 1.0, 0, None), (None, 2.0, 0, 0), (None, 2.0, 0, 0)]
        )  # fmt: skip
        table = tabulate_increments(rows)
        assert table.drop("before_on", "after_on").rows() == [
            (0, 0.1234, 3, 5, 2), (0, None, None, 1, 1), (1, 1.0, 0, None, 1), (None, 2.0, 0, 0, 2)
        ]  # fmt: skip
        assert table["before_on"].unique().to_list() == [BEFORE]
        assert table["after_on"].unique().to_list() == [AFTER]
        checked = validate(table, TABLES["hub_increments"])
        assert checked.good.equals(table)

    def test_names_and_the_order_of_rows_have_no_part_in_the_numbers(self) -> None:
        rng = np.random.default_rng(1)
        sample = [
            (f"author{rng.integers(30)}", float(rng.integers(5)) / 4, int(rng.integers(3)), 4)
            for _ in range(200)
        ]
        made = tabulate_increments(two_days(sample))
        renamed = {f"author{k}": f"name{v}" for k, v in enumerate(rng.permutation(30))}
        other = [(renamed[a], *rest) for a, *rest in sample]
        shuffled = [other[i] for i in rng.permutation(len(other))]
        assert tabulate_increments(two_days(shuffled)).equals(made)
        models = made.group_by("author").agg(pl.col("n_models").sum()).sort("author")
        assert models["n_models"].is_sorted(descending=True)
        assert models["author"].to_list() == list(range(models.height))

    def test_what_is_no_pair_of_days_is_refused(self) -> None:
        rows = two_days([("a", 1.0, 0, 1), ("b", 1.0, 0, 1)])
        with pytest.raises(SourceError, match="'m0' has several rows"):
            tabulate_increments(rows.with_columns(hub_id=pl.lit("m0")))
        several = pl.when(pl.col("author") == "a").then(pl.lit(AFTER)).otherwise("after_on")
        with pytest.raises(SourceError, match="2 pairs of days"):
            tabulate_increments(
                rows.with_columns(after_on=several + pl.duration(days=pl.int_range(2)))
            )
        with pytest.raises(SourceError, match="2026-08-22, is not before the later, 2026-08-22"):
            tabulate_increments(rows.with_columns(before_on=pl.lit(AFTER)))


def panel(**more: object) -> pl.DataFrame:
    """Three snapshots: b leaves, c comes, d was removed before, e is of the Hub's floor."""
    first, middle, last = (
        "2026-08-19T09:36:31+02:00", "2026-08-20T01:00:00+02:00", "2026-08-22T22:00:29+02:00"
    )  # fmt: skip
    rows = [
        ("x/a", "x", "2026-08-18T22:00:00.000Z", 1, False, first),
        ("x/b", "x", "2025-08-20T00:00:00.000Z", 7, False, first),
        ("y/d", "y", "2026-08-18T00:00:00.000Z", 9, True, first),
        ("y/e", "y", "2022-03-02T23:29:04.000Z", 2, False, first),
        ("x/a", "x", "2026-08-18T22:00:00.000Z", 99, False, middle),
        ("x/a", "x", "2026-08-18T22:00:00.000Z", 4, False, last),
        ("x/b", "x", "2025-08-20T00:00:00.000Z", 7, True, last),
        ("z/c", "z", "2026-08-21T00:00:00.000Z", 0, False, last),
        ("y/d", "y", "2026-08-18T00:00:00.000Z", 9, True, last),
        ("y/e", "y", "2022-03-02T23:29:04.000Z", 2, False, last),
    ]
    names = ("id", "author", "created_at", "likes", "removed", "snapshot_at")
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.lit(value).alias(name) for name, value in more.items()
    )


def waves_file() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "model_id": ["x/a", "y/b", "x/c", "d"],
            "downloads_2024_07_11": [5, 0, 5, 1],
            "downloads_2022_07_02": pl.Series([2, 3, 2, 0], dtype=pl.Int32),
        }
    )


def datasets_file() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "dataset_id": ["a", "b", "c"],
            "downloads": [3, 0, 3],
            "likes": [0, 0, 1],
            "created_at": ["2024-01-01T00:00:00.000Z", "2024-07-09T08:12:26.000Z", None],
        }
    )


def chains_file() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Date": ["2023-05-12", "2023-05-11", "2023-05-13"],
            "Ethereum": [42704.13, 1.0, None],
            "Tron": [0.07, 2.0, None],
            "Coti": [0.0, 3.0, None],
            "Palm": [None, 4.0, None],
            "Total": [42704.2, 10.0, None],
        }
    )


def tabulated(found: Sequence[Companion]) -> dict[str, pl.DataFrame]:
    models = pl.DataFrame(
        schema={"model_id": pl.String, "likes": pl.Int64, "created_at": pl.Datetime("us", "UTC")}
    )
    return tabulate_companions(found, {"hub_models": models}, date(2024, 7, 11))


def written(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_parquet(path)
    return path


class TestReading:
    def test_a_cohort_first_against_last(self, tmp_path: Path) -> None:
        found = read_companion(written(panel(), tmp_path / "p.parquet"))
        assert found is not None
        kind, name, rows = found
        assert (kind, name) == ("panel", "hub_increments")
        columns = ["hub_id", "author", "age", "likes_before", "likes_after"]
        a, b, c, e = rows.sort("hub_id").sort("author", "hub_id").select(columns).rows()[:4]
        by_id = {row[0]: row for row in (a, b, c, e)}
        end = (9 + 36 / 60 + 31 / 3600) / 24 / YEAR  # the first snapshot, after a was made
        assert by_id["x/a"][1:] == ("x", pytest.approx(end), 1, 4)
        assert by_id["x/b"][1:] == ("x", pytest.approx(1.0, abs=0.003), 7, None)
        assert by_id["z/c"][1:] == ("z", None, None, 0)
        assert by_id["y/e"][1:] == ("y", None, 2, 2)
        assert rows.height == 4  # d is on neither day
        assert rows.select("before_on", "after_on").unique().rows() == [(BEFORE, AFTER)]
        assert companions.days_of(found) == "2026-08-19 and 2026-08-22"
        assert companions.n_items(found) == 4

    def test_two_windows(self, tmp_path: Path) -> None:
        found = read_companion(written(waves_file(), tmp_path / "w.parquet"))
        assert found is not None
        assert found.table == "hub_waves"
        table = tabulate_waves(found.rows)
        days = (date(2022, 7, 2), date(2024, 7, 11))
        # x has two models, y one, d has no owner
        assert table.rows() == [
            ("models", 0, 2, 5, *days, 2),
            ("models", 1, 3, 0, *days, 1),
            ("models", None, 0, 1, *days, 1),
        ]
        assert table.schema == pl.Schema(TABLES["hub_waves"].schema)

    def test_datasets_of_two_listings_are_waves(self, tmp_path: Path) -> None:
        early = pl.DataFrame({"dataset_id": ["a", "b", "x/d"], "downloads": [7, 0, 1],
                              "has_card": True})  # fmt: skip
        files = (
            written(early, tmp_path / "d_2023-03-16.parquet"),
            written(datasets_file(), tmp_path / "datasets.parquet"),
            written(waves_file(), tmp_path / "w.parquet"),
        )
        found = [c for path in files if (c := read_companion(path)) is not None]
        assert [c.table for c in found] == ["hub_waves", "other_sizes", "hub_waves"]
        assert [companions.days_of(c) for c in found] == [
            "2023-03-16", "2024-07-09", "2022-07-02 and 2024-07-11"
        ]  # fmt: skip
        table = tabulated(found)["hub_waves"]
        days = (date(2023, 3, 16), date(2024, 7, 9))
        assert table.filter(pl.col("population") == "datasets").rows() == [
            ("datasets", None, 0, 0, *days, 1),
            ("datasets", None, 7, 3, *days, 1),
        ]
        assert table.filter(pl.col("population") == "models").height == 3
        assert "hub_waves" not in tabulated(found[:1])  # without the later listing

    def test_datasets_and_chains_are_one_table(self, tmp_path: Path) -> None:
        files = (
            written(chains_file(), tmp_path / "chains.parquet"),
            written(datasets_file(), tmp_path / "datasets.parquet"),
        )
        found = [c for path in files if (c := read_companion(path)) is not None]
        assert [companions.n_items(c) for c in found] == [2, 3]
        table = tabulated(found)["other_sizes"]
        chains, newest = date(2023, 5, 12), date(2024, 7, 9)
        assert table.rows() == [
            ("chains_tvl", 70_000.0, chains, 1),
            ("chains_tvl", 42_704_130_000.0, chains, 1),
            ("datasets_downloads", 0.0, newest, 1),
            ("datasets_downloads", 3.0, newest, 2),
            ("datasets_likes", 0.0, newest, 2),
            ("datasets_likes", 1.0, newest, 1),
        ]
        assert validate(table, TABLES["other_sizes"]).good.equals(table)

    def test_protocols_of_several_dates_by_id(self, tmp_path: Path) -> None:
        rows = pl.DataFrame(
            {
                "observed_on": [BEFORE, AFTER, date(2026, 8, 20)],
                "id": ["1", "1", "2"],
                "name": ["old", "new", "x"],
                "category": ["Dexs", None, "Dexs"],
                "listed_at": [BEFORE, None, None],
                "tvl_usd": [5.0, None, -1.0],
                "slug": ["a", "a", "b"],
            }
        )
        found = read_companion(written(rows, tmp_path / "p.parquet"))
        assert found is not None
        assert found[:2] == ("protocols", "tvl_growth_periods")
        assert found.rows["tvl_usd"].to_list() == [5.0, 0.0, 0.0]
        assert companions.days_of(found) == "2026-08-19 to 2026-08-22, 3 days"
        assert companions.n_items(found) == 3
        twice = pl.concat([rows, rows[:1]])
        with pytest.raises(SourceError, match="'1' has several rows on one day"):
            read_companion(written(twice, tmp_path / "p.parquet"))

    def test_the_day_in_the_name_of_datasets_comes_first(self, tmp_path: Path) -> None:
        found = read_companion(written(datasets_file(), tmp_path / "d_2024-08-01.parquet"))
        assert found is not None
        assert companions.days_of(found) == "2024-08-01"

    def test_other_files_are_none(self, tmp_path: Path) -> None:
        history = pl.DataFrame({"Date": ["2023-01-01"], "protocol": ["Aave"], "Ethereum": [1.0]})
        models = pl.DataFrame({"model_id": ["a"], "downloads": [1], "likes": [1]})
        assert read_companion(written(history, tmp_path / "h.parquet")) is None
        assert read_companion(written(models, tmp_path / "m.parquet")) is None
        (tmp_path / "broken.parquet").write_text("no Parquet")
        assert read_companion(tmp_path / "broken.parquet") is None
        assert read_companion(tmp_path / "other.csv") is None

    @pytest.mark.parametrize(
        ("frame", "message"),
        [
            (panel().drop("likes"), "column likes is missing"),
            (panel(likes=-1), "likes: 3 counts are missing or negative"),
            (panel(likes="1"), "likes holds no whole numbers"),
            (panel(id="a"), "'a' has several rows"),
            (panel(snapshot_at="soon"), "no usable snapshot_at"),
            (panel().filter(pl.col("snapshot_at").str.contains("09:36")), "is not before"),
            (waves_file().drop("downloads_2022_07_02"), "downloads of two days are needed"),
            (waves_file().rename({"downloads_2022_07_02": "downloads_2022_99_02"}), "is no day"),
            (pl.concat([waves_file()] * 2), "'d' has several rows"),
            (datasets_file().drop("downloads"), "column downloads is missing"),
            (datasets_file().drop("created_at"), "put YYYY-MM-DD in the file's name"),
            (chains_file().tail(1), "no day has a value"),
            (chains_file().with_columns(Tron=-1.0), "values that are no sizes"),
            (chains_file().with_columns(Tron=pl.lit("much")), "conversion"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_is_recognised_but_broken_is_explained(
        self, frame: pl.DataFrame, message: str, tmp_path: Path
    ) -> None:
        with pytest.raises(SourceError, match=message) as refused:
            read_companion(written(frame, tmp_path / "f.parquet"))
        assert str(refused.value).startswith("f.parquet: ")
        assert "\n" not in str(refused.value)

    def test_the_same_twice_is_refused(self, tmp_path: Path) -> None:
        waves = read_companion(written(waves_file(), tmp_path / "w.parquet"))
        chains = read_companion(written(chains_file(), tmp_path / "c.parquet"))
        assert waves is not None
        assert chains is not None
        for found in (waves, chains):
            with pytest.raises(SourceError, match="two recordings of"):
                tabulated([waves, chains, found])
        later = chains.rows.with_columns(taken_on=pl.lit(date(2023, 5, 13)))
        with pytest.raises(SourceError, match="chains_tvl: sizes of several days"):
            tabulate_sizes(pl.concat([chains.rows, later]))


class TestBundled:
    def test_those_that_the_manifest_names_are_read(self) -> None:
        tables = load_companions()
        assert tuple(tables) == COMPANIONS
        sizes = [Path(reference_dir(), f"{n}.parquet").stat().st_size for n in tables]
        assert sum(sizes) < 400_000
        gains = load_reference().frames["hub_increments"]
        assert gains.equals(tables["hub_increments"])

    def test_one_that_is_not_bundled_is_left_out_and_a_damaged_one_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reference, "reference_dir", lambda: tmp_path)
        (tmp_path / "manifest.json").write_text(json.dumps({"tables": {"hub_waves": {}}}))
        with pytest.raises(SourceError, match=r"hub_waves\.parquet is missing"):
            load_companions()
        table = two_windows([1, 2, 3], [1, 2, 3])
        table.write_parquet(tmp_path / "hub_waves.parquet")
        assert {n: t.rows() for n, t in load_companions().items()} == {"hub_waves": table.rows()}
        bad = table.with_columns(n_items=pl.Series([1, 0, 1]))
        bad.write_parquet(tmp_path / "hub_waves.parquet")
        with pytest.raises(SourceError, match=r"damaged \(n_items is below 1\)"):
            load_companions()
