"""What recordings beside the main ones share: owners as numbers, ages, checks."""

from datetime import UTC, datetime

import polars as pl
import pytest

from baimo.pipeline.datasets._companions import age_at, day_of, moment, numbered, owner_of
from baimo.pipeline.errors import SourceError

VALUES = ("before", "after")


def rows(*sample: tuple[str | None, int, int]) -> pl.DataFrame:
    return pl.DataFrame(sample, schema=("author", *VALUES), orient="row").with_columns(
        population=pl.lit("a")
    )


def test_owners_are_numbered_by_their_items_and_then_by_the_values() -> None:
    table = rows(("zoe", 1, 11), ("adam", 11, 1), ("kim", 5, 5), ("kim", 0, 0), (None, 9, 9))
    found = numbered(table, VALUES, within=("population",))
    by_value = {(b, a): code for b, a, code in found.select(*VALUES, "author").iter_rows()}
    # kim has most; 1, 11 and 11, 1 look alike without a comma between and are told apart by it
    assert by_value == {(5, 5): 0, (0, 0): 0, (11, 1): 1, (1, 11): 2, (9, 9): None}
    swapped = rows(("adam", 1, 11), ("zoe", 11, 1), ("x", 0, 0), ("x", 5, 5), (None, 9, 9))
    again = numbered(swapped, VALUES, within=("population",))
    assert again.sort(VALUES).equals(found.sort(VALUES))


def test_each_population_has_numbers_of_its_own() -> None:
    table = rows(("a", 1, 1), ("b", 2, 2), ("b", 2, 2))
    both = pl.concat([table, table.with_columns(population=pl.lit("b"))])
    found = numbered(both, VALUES, within=("population",))
    for _, part in found.group_by("population"):
        assert part.sort("before")["author"].to_list() == [1, 0, 0]


def test_the_owner_of_an_id_is_what_stands_before_the_slash() -> None:
    ids = pl.DataFrame({"id": ["a/b", "gpt2", "a/b/c"]})
    assert ids.select(owner_of("id")).to_series().to_list() == ["a", None, "a"]


def test_an_age_is_not_known_on_the_floor_nor_before_birth() -> None:
    seen = datetime(2024, 3, 3, tzinfo=UTC)
    born = [datetime(2023, 3, 3), datetime(2022, 3, 2, 23), datetime(2024, 3, 4), None]
    frame = pl.DataFrame({"created": born}, schema={"created": pl.Datetime("us")})
    found = frame.select(age_at(moment("created", frame), seen)).to_series().to_list()
    assert found == [pytest.approx(366 / 365.25), None, None, None]


def test_a_moment_of_text_is_read_with_its_zone() -> None:
    frame = pl.DataFrame({"at": ["2026-08-19T09:36:31+02:00", "soon"]})
    found = frame.select(moment("at", frame)).to_series().to_list()
    assert found == [datetime(2026, 8, 19, 7, 36, 31, tzinfo=UTC), None]


def test_what_is_no_day_is_refused() -> None:
    with pytest.raises(SourceError, match="'2024-13-01' is no day"):
        day_of("2024-13-01")
