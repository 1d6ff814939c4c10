"""Picked models on two days: a leaderboard and a registry joined to the Hub's listing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.datasets.external import days_of, n_items, read_companion
from baimo.pipeline.datasets.picked import (
    PAIRS,
    Pair,
    of_leaderboard,
    of_registry,
    tabulate_picked,
)
from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.sources.reference import load_companions

LISTED = date(2024, 7, 11)
YEAR = 365.25


def leaderboard() -> pl.DataFrame:
    """Return likes of both boards; one model is seen twice on a day, one only on the first."""
    rows = [
        (datetime(2024, 6, 19, 13), "v1", "a/x", 3),
        (datetime(2024, 6, 19, 13), "v1", "a/y", 0),
        (datetime(2024, 6, 19, 13), "v1", "z/gone", 8),
        (datetime(2024, 7, 13, 11), "v1", "a/x", 3),
        (datetime(2025, 1, 13, 9), "v2", "b/w", 1),
        (datetime(2025, 1, 13, 11), "v2", "b/w", 2),
        (datetime(2025, 3, 15, 11), "v2", "b/w", 7),
        (datetime(2025, 3, 21, 11), "v2", "b/w", 9),
        (datetime(2025, 3, 21, 11), "v2", "gpt2", 90),
    ]
    schema = {"observed_at": pl.Datetime("us"), "board": pl.String, "model_id": pl.String,
              "likes": pl.Int32}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def registry(**more: object) -> pl.DataFrame:
    crawled = datetime(2026, 5, 20, 18)
    rows = [
        ("b/w", datetime(2024, 5, 20), crawled, 10, 110, 29),
        ("gpt2", datetime(2022, 3, 2, 23), datetime(2024, 1, 1), 5, 5, 100),
        ("c/new", datetime(2026, 5, 1), datetime(2026, 5, 2), 4, 4, 0),
        ("c/reset", datetime(2023, 5, 1), datetime(2023, 5, 2), 9, 3, 0),
    ]
    names = ("model_id", "created_at", "last_modified", "downloads", "downloads_all_time", "likes")
    frame = pl.DataFrame(rows, schema=names, orient="row")
    return frame.with_columns(
        pl.lit(0.0).alias("trending_score"), *(pl.lit(v).alias(k) for k, v in more.items())
    )


def listing() -> pl.DataFrame:
    made = [datetime(2023, 6, 19, 13, tzinfo=UTC), datetime(2022, 3, 2, 23, tzinfo=UTC)]
    return pl.DataFrame({"model_id": ["a/x", "a/y"], "likes": [5, 0], "created_at": made})


def counted(
    panel: pl.DataFrame | None = None, crawl: pl.DataFrame | None = None
) -> dict[str, list[tuple[object, ...]]]:
    table = tabulate_picked(panel, crawl, listing(), LISTED)
    assert validate(table, TABLES["other_increments"]).good.equals(table)
    assert table.schema == pl.Schema(TABLES["other_increments"].schema)
    return {
        str(name): part.drop("population", "n_models").rows()
        for (name,), part in table.group_by("population", maintain_order=True)
    }


def of_both() -> tuple[pl.DataFrame, pl.DataFrame]:
    return of_leaderboard(leaderboard(), ""), of_registry(registry(), "")


def test_pairs_of_days_are_matched_by_model_and_aged_by_creation() -> None:
    found = counted(*of_both())
    first, second, last = date(2025, 1, 13), date(2025, 3, 15), date(2025, 3, 21)
    crawled = date(2026, 5, 20)
    year = pytest.approx(1.002, abs=5e-4)  # 2023-06-19 to 2024-06-19: a leap day
    assert found["leaderboard_2024"] == [  # z/gone is not in the listing; the floor has no age
        (0, year, 3, 5, date(2024, 6, 19), LISTED),
        (0, None, 0, 0, date(2024, 6, 19), LISTED),
    ]
    # the last of a day; its creation is known from the registry alone
    day = (datetime(2025, 1, 13, 11) - datetime(2024, 5, 20)).total_seconds() / 86400
    assert found["leaderboard_2025"] == [
        (0, pytest.approx(day / YEAR, rel=1e-3), 2, 7, first, second)
    ]
    day = (datetime(2025, 3, 21, 11) - datetime(2024, 5, 20)).total_seconds() / 86400
    assert found["leaderboard_to_2026"] == [
        (0, pytest.approx(day / YEAR, rel=1e-3), 9, 29, last, crawled),
        (None, None, 90, 100, last, crawled),  # gpt2 has no owner, and is of the floor
    ]


def test_one_crawl_gives_the_stock_thirty_days_ago() -> None:
    rows = counted(None, of_registry(registry(), ""))
    before, crawled = date(2026, 4, 20), date(2026, 5, 20)
    age = (datetime(2026, 4, 20, 18) - datetime(2024, 5, 20)).total_seconds() / 86400 / YEAR
    assert rows == {
        "registry_downloads": [  # c/new is younger than the window, c/reset was reset
            (0, pytest.approx(age, rel=1e-3), 100, 110, before, crawled),
            (1, None, 0, 4, before, crawled),
            (None, None, 0, 5, before, crawled),
        ]
    }


def test_a_day_that_is_not_there_gives_no_population() -> None:
    panel = of_leaderboard(leaderboard().filter(pl.col("board") == "v1"), "")
    assert set(counted(panel)) == {"leaderboard_2024"}
    assert set(counted(of_leaderboard(leaderboard(), ""))) == {
        "leaderboard_2024", "leaderboard_2025"
    }  # fmt: skip
    assert tabulate_picked(None, None, listing(), LISTED).is_empty()


def test_names_have_no_part_in_the_numbers_of_owners() -> None:
    renamed = {"a/x": "q/one", "a/y": "q/two", "b/w": "p/w"}
    panel, crawl = (
        f.with_columns(pl.col("model_id").replace(renamed)) for f in (leaderboard(), registry())
    )
    models = listing().with_columns(pl.col("model_id").replace(renamed))
    one = tabulate_picked(*of_both(), listing(), LISTED)
    other = tabulate_picked(of_leaderboard(panel, ""), of_registry(crawl, ""), models, LISTED)
    assert one.equals(other)


def written(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_parquet(path)
    return path


def test_files_are_recognised_and_say_their_days(tmp_path: Path) -> None:
    panel = read_companion(written(leaderboard(), tmp_path / "l.parquet"))
    crawl = read_companion(written(registry(), tmp_path / "r.parquet"))
    assert panel is not None
    assert crawl is not None
    assert (panel.kind, panel.table) == ("leaderboard", "other_increments")
    assert days_of(panel) == "2024-06-19 and 2025-01-13 and 2025-03-15 and 2025-03-21"
    assert n_items(panel) == 5
    assert (crawl.kind, crawl.table) == ("registry", "other_increments")
    assert days_of(crawl) == "2026-05-20"
    assert n_items(crawl) == 4


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (leaderboard().drop("likes"), "column likes is missing"),
        (leaderboard().with_columns(likes=pl.lit(-1)), "likes: 9 counts are missing or negative"),
        (registry().drop("last_modified"), "column last_modified is missing"),
        (registry(downloads=-1), "downloads: 4 counts are missing or negative"),
        (registry(last_modified=None), "no usable last_modified"),
        (pl.concat([registry()] * 2), "has several rows"),
    ],
)
def test_what_is_recognised_but_broken_is_explained(
    frame: pl.DataFrame, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message):
        read_companion(written(frame, tmp_path / "f.parquet"))


def test_the_pairs_are_those_that_were_recorded(recording: Callable[[str], Path]) -> None:
    panel = pl.read_parquet(recording("hub/leaderboard_likes_panel_2024_2025.parquet"))
    days = panel.select("board", pl.col("observed_at").dt.date().alias("day")).unique()
    for pair in PAIRS.values():
        assert isinstance(pair, Pair)
        for day in (pair.before_on, pair.after):
            if isinstance(day, date):
                assert (pair.board, day) in days.rows()


def test_the_bundled_populations_are_matched_models_without_names() -> None:
    table = load_companions()["other_increments"]
    sums = table.group_by("population").agg(
        pl.col("n_models").sum(),
        before=(pl.col("before") * pl.col("n_models")).sum(),
        after=(pl.col("after") * pl.col("n_models")).sum(),
    )
    found = {name: row for name, *row in sums.rows()}
    assert found == {
        "leaderboard_2024": [5_480, 154_716, 159_417],
        "leaderboard_2025": [2_853, 175_980, 186_417],
        "leaderboard_to_2026": [3_482, 189_371, 218_717],
        "registry_downloads": [4_167, 6_899_665_568, 7_411_396_448],
    }
