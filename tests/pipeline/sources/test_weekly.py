"""Weekly growth is taken between two positive values seven days apart, and nowhere else."""

from __future__ import annotations

import math
from datetime import date, timedelta

import polars as pl
import pytest

from baimo.pipeline.schema.derived import TVL_WEEKLY
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.sources.weekly import weekly_growth

START = date(2022, 1, 1)


def history(**protocols: dict[int, float]) -> pl.DataFrame:
    """Return daily TVL by protocol and day after the start."""
    rows = [
        (START + timedelta(days=day), name, usd)
        for name, values in protocols.items()
        for day, usd in values.items()
    ]
    schema = {"date": pl.Date, "protocol": pl.String, "tvl_usd": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def weeks(frame: pl.DataFrame) -> list[tuple[int, int]]:
    """Return number of the protocol and day after the start of every row."""
    days = (frame["week"] - START).dt.total_days()
    return list(zip(frame["protocol_number"], days, strict=True))


def test_weekly_growth_skips_zeros_and_gaps() -> None:
    days = pl.date_range(date(2022, 1, 1), date(2022, 3, 5), interval="1d", eager=True)
    values = [100.0 * 2 ** (i / 7) for i in range(days.len())]
    values[14] = 0.0
    history = pl.DataFrame({"date": days, "protocol": "a", "tvl_usd": values})
    weekly = weekly_growth(history)
    # Weeks start on days 0, 7, ..., 63; those that touch day 14 are gaps.
    assert weekly["week"].to_list() == [
        date(2022, 1, 1), *(days[7 * k] for k in range(3, 9))
    ]  # fmt: skip
    assert weekly["log_growth"].to_list() == pytest.approx([0.6931471805599453] * 7)


def test_growth_and_size_are_logarithms_of_the_week() -> None:
    found = weekly_growth(history(a={0: 10.0, 3: 1e9, 7: 30.0, 14: 15.0}))
    assert found["log_growth"].to_list() == pytest.approx([math.log(3.0), -math.log(2.0)])
    assert found["log_size"].to_list() == pytest.approx([math.log(10.0), math.log(30.0)])


def test_the_rows_fit_their_table() -> None:
    found = weekly_growth(history(a={0: 10.0, 7: 30.0}))
    assert found.schema == pl.Schema(TVL_WEEKLY.schema)
    assert validate(found, TVL_WEEKLY).quarantine.is_empty()


def test_protocols_are_numbered_by_name_and_never_joined() -> None:
    found = weekly_growth(history(b={0: 1.0, 7: 2.0}, a={7: 8.0, 14: 4.0}))
    assert weeks(found) == [(0, 7), (1, 0)]
    assert found["log_growth"].to_list() == pytest.approx([-math.log(2.0), math.log(2.0)])


def test_weeks_of_all_protocols_begin_on_the_same_days() -> None:
    found = weekly_growth(history(a={0: 1.0, 7: 1.0}, b=dict.fromkeys(range(3, 30), 1.0)))
    assert weeks(found) == [(0, 0), (1, 7), (1, 14), (1, 21)]


def test_age_counts_whole_weeks_from_the_first_positive_value() -> None:
    found = weekly_growth(history(a={0: 0.0, 3: 5.0, 7: 1.0, 14: 1.0, 21: 1.0}, b={0: 1.0}))
    assert weeks(found) == [(0, 7), (0, 14)]
    assert found["age_weeks"].to_list() == [0, 1]


def test_a_missing_week_is_a_gap_and_not_growth_over_two() -> None:
    found = weekly_growth(history(a={0: 1.0, 7: 2.0, 21: 8.0, 28: 16.0}))
    assert weeks(found) == [(0, 0), (0, 21)]


def test_without_two_values_there_is_no_growth() -> None:
    assert weekly_growth(history(a={0: 1.0}, b={7: 1.0, 20: 2.0})).is_empty()
