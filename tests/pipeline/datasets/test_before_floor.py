"""The floor day's models by the year of their first commit, renamed ones found by their names."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.datasets.before_floor import of_births, tabulate_before_floor
from baimo.pipeline.datasets.external import days_of, n_items, read_companion
from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.sources.reference import load_companions

FLOOR = datetime(2022, 3, 2, 23, 29, tzinfo=UTC)


def births() -> pl.DataFrame:
    rows = [
        ("a/x", datetime(2020, 5, 1)),
        ("a/z", datetime(2022, 3, 2, 12)),  # on the floor day itself
        ("gpt2", datetime(2019, 2, 1)),
        ("twice", datetime(2019, 3, 1)),
        ("a/late", datetime(2022, 4, 1)),
        ("a/nowhere", datetime(2018, 1, 1)),
    ]
    return pl.DataFrame(rows, schema=("model_id", "created_at"), orient="row")


def listing() -> pl.DataFrame:
    rows = [
        ("a/x", 5, 1, FLOOR),
        ("a/y", 5, 0, FLOOR),  # told by nobody
        ("a/z", 7, 0, FLOOR),
        ("openai-community/gpt2", 900, 30, FLOOR),
        ("b/twice", 1, 0, FLOOR),  # two could be the old one: neither is
        ("c/twice", 2, 0, FLOOR),
        ("a/late", 8, 0, datetime(2022, 4, 1, tzinfo=UTC)),
    ]
    names = ("model_id", "downloads", "likes", "created_at")
    return pl.DataFrame(rows, schema=names, orient="row")


def test_names_first_then_old_names_without_an_owner() -> None:
    table = tabulate_before_floor(of_births(births(), ""), listing())
    # authors: a has two models; then by values from above: openai-community, c, b
    assert table.rows() == [
        (2019, 1, 900, 30, 1),
        (2020, 0, 5, 1, 1),
        (None, 0, 5, 0, 1),
        (None, 2, 2, 0, 1),
        (None, 3, 1, 0, 1),
    ]
    assert validate(table, TABLES["hub_before_floor"]).good.equals(table)


def test_the_file_is_recognised_by_its_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "births.parquet"
    births().write_parquet(path)
    found = read_companion(path)
    assert found is not None
    assert (found.kind, found.table) == ("births", "hub_before_floor")
    assert (days_of(found), n_items(found)) == ("2022-04-01", 6)
    pl.concat([births()] * 2).write_parquet(path)
    with pytest.raises(SourceError, match="several rows"):
        read_companion(path)


def test_of_the_bundled_day_nearly_all_have_a_year() -> None:
    table = load_companions()["hub_before_floor"]
    by_year = dict(table.group_by("made_in").agg(pl.col("n_models").sum()).iter_rows())
    assert by_year == {2018: 7, 2019: 82, 2020: 4_409, 2021: 18_494, 2022: 6_290, None: 605}
    unknown = table.filter(pl.col("made_in").is_null())
    share = (unknown["downloads"] * unknown["n_models"]).sum() / (
        table["downloads"] * table["n_models"]
    ).sum()
    assert share == pytest.approx(0.018, abs=5e-4)  # .26 without the renamed ones
