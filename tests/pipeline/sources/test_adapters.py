"""First commits of adapters date protocols that have no listing date, where they are births."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.sources.adapters import FILED, date_by_adapter, read_adapters
from baimo.pipeline.sources.recordings import load_recordings
from baimo.pipeline.variables import ADAPTER_FLOOR, HEADLINE, LISTING_FLOOR

BORN = date(2021, 5, 6)


def dated(module: str | None, first: date | None, listed: date | None = None) -> date | None:
    """Return the date that an adapter named `a` gives a protocol of this module."""
    protocols = pl.DataFrame(
        [(module, listed)], schema={"module": pl.String, "listed_at": pl.Date}, orient="row"
    )
    adapters = pl.DataFrame({"adapter": ["a", "b"], "first_commit": [first, date(2021, 1, 1)]})
    found: date | None = date_by_adapter(protocols, read_adapters(adapters))["adapter_at"][0]
    return found


@pytest.mark.parametrize("module", ["a/index.js", "a.js", "a", "a/v2/index.js"])
def test_the_folder_of_the_module_is_the_adapter(module: str) -> None:
    assert dated(module, BORN) == BORN


@pytest.mark.parametrize("module", ["ab/index.js", "A/index.js", "x/a/index.js", "", None])
def test_another_folder_is_another_adapter(module: str | None) -> None:
    assert dated(module, BORN) is None


def test_a_listing_date_needs_no_other() -> None:
    assert dated("a/index.js", BORN, listed=date(2022, 1, 1)) is None


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (ADAPTER_FLOOR, ADAPTER_FLOOR),
        (ADAPTER_FLOOR + FILED - timedelta(days=1), ADAPTER_FLOOR),  # older than the repository
        (ADAPTER_FLOOR + FILED, ADAPTER_FLOOR + FILED),
        (LISTING_FLOOR - timedelta(days=1), LISTING_FLOOR - timedelta(days=1)),
        (LISTING_FLOOR, None),  # it was listed before: the folder was renamed
        (None, None),
    ],
)
def test_a_first_commit_is_a_birth_between_the_two_floors(
    first: date | None, expected: date | None
) -> None:
    assert dated("a/index.js", first) == expected


def test_rows_keep_their_order_and_columns() -> None:
    protocols = pl.DataFrame({"name": ["x", "y", "z"], "module": ["b.js", "none.js", "a.js"]})
    adapters = read_adapters(pl.DataFrame({"adapter": ["a", "b"], "first_commit": [BORN, BORN]}))
    found = date_by_adapter(protocols, adapters)
    assert found["name"].to_list() == ["x", "y", "z"]
    assert found["adapter_at"].to_list() == [BORN, None, BORN]
    assert set(found.columns) == {"name", "module", "listed_at", "adapter_at"}


@pytest.mark.parametrize(
    "days",
    [
        [date(2021, 5, 6), date(2021, 9, 9), None],
        ["2021-05-06", "2021-09-09", "soon"],
        [datetime(2021, 5, 6, 7), datetime(2021, 9, 9), None],
    ],
    ids=["days", "text", "moments"],
)
def test_the_first_of_several_commits_counts(days: list[object]) -> None:
    found = read_adapters(pl.DataFrame({"adapter": ["a", "a", "b"], "first_commit": days}))
    assert found.rows() == [("a", BORN)]


def test_first_commits_are_births_where_both_are_known(recording: Callable[[str], Path]) -> None:
    """The difference to the listing date, of the protocols that have both."""
    adapters = read_adapters(pl.read_parquet(recording("defillama/adapters_births_deaths.parquet")))
    two = [
        str(recording(f"defillama/{name}"))
        for name in ("protocols_2023-06-27.json", "protocols_2025-12_six_snapshots.parquet")
    ]
    listed = load_recordings(*two).frames["defi_day"].drop_nulls("listed_at")
    raw = pl.read_json(recording("defillama/protocols_2023-06-27.json"), infer_schema_length=None)
    folder = pl.col("module").str.split("/").list.first().str.strip_suffix(".js")
    modules = raw.select(protocol_id="id", adapter=folder)
    both = (
        listed.filter(HEADLINE.holds() & (pl.col("tvl_usd") > 0))
        .join(modules, on="protocol_id")
        .join(adapters, on="adapter")
    )
    late = (both["first_commit"] - both["listed_at"]).dt.total_days()
    assert both.height == 1_854
    assert [late.quantile(q, "linear") for q in (0.25, 0.5, 0.75)] == [-1.0, 0.0, 0.0]
    assert (late.abs() <= 7).mean() == pytest.approx(0.923, abs=5e-4)
    assert (late.abs() <= 91).mean() == pytest.approx(0.982, abs=5e-4)
    quarter = both["first_commit"].dt.truncate("1q") == both["listed_at"].dt.truncate("1q")
    assert quarter.mean() == pytest.approx(0.953, abs=5e-4)
    assert (late.abs().mean() or 0) / 365.25 == pytest.approx(0.022, abs=5e-4)  # years
