"""The limits of the checks, at the limits."""

import polars as pl
import pytest

from baimo.pipeline.ingest.acceptance import (
    RefusedSnapshotError,
    few_in_quarantine,
    fits_the_table,
    no_absurd_total,
    no_gap,
    refuse_if_failed,
    size_against_the_last,
    tolerance,
    zeros_share,
)
from baimo.pipeline.schema.catalog import TABLES


@pytest.mark.parametrize(
    ("n_odd", "n_rows", "passed"),
    [(0, 1, True), (20, 60, True), (21, 60, False), (10, 30, True), (11, 30, False),
     (300, 30_000, True), (301, 30_000, False), (1, 2, False)],
)  # fmt: skip
def test_quarantine_is_limited(n_odd: int, n_rows: int, passed: bool) -> None:
    check = few_in_quarantine({"x is bad": n_odd}, n_rows)
    assert check.passed is passed
    assert check.numbers == {"rows": n_rows, "quarantined": n_odd}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"hub_id": ["a", "a"]}, "key hub_id does not fit hub_models"),
        ({"hub_id": ["a", None]}, "hub_id does not fit hub_models"),
        ({"downloads": [-1, 0]}, "downloads does not fit hub_models"),
        ({"likes": [0, 2**53 + 1]}, "likes does not fit hub_models"),
        ({"likes": [0.5, 1.0]}, "likes does not fit hub_models"),
    ],
)
def test_types_bounds_and_key(changed: dict[str, list[object]], why: str) -> None:
    rows = pl.DataFrame({"hub_id": ["a", "b"], "downloads": [0, 2**53], "likes": [0, 1]} | changed)
    assert fits_the_table(rows, TABLES["hub_models"]).why == why


def test_tolerance_widens_with_the_days_between() -> None:
    assert tolerance(1) == pytest.approx((0.978, 1.06))
    assert tolerance(30) == pytest.approx((0.92, 1.35))
    assert tolerance(10_000)[0] == 0.5


def test_size_is_held_against_the_last() -> None:
    assert size_against_the_last(5, None, 0, "").passed
    assert size_against_the_last(978, 1000, 1, "x").passed
    assert not size_against_the_last(977, 1000, 1, "x").passed
    assert size_against_the_last(1060, 1000, 1, "x").passed
    assert not size_against_the_last(1061, 1000, 1, "x").passed


def test_a_gap_is_a_run_of_neighbours() -> None:
    before = pl.Series([f"{i:04d}" for i in range(1000)])
    scattered = before.filter(pl.Series([i % 3 > 0 for i in range(1000)]))
    assert no_gap(scattered, before, 100, "x").passed
    assert no_gap(before.head(951), before, 100, "x").passed
    assert not no_gap(before.head(950), before, 100, "x").passed
    assert no_gap(before.head(501), before, 1000, "x").passed
    assert no_gap(before, None, 100, "x").passed


def test_zeros_and_totals() -> None:
    half = pl.Series("downloads", [0, 2] * 500)
    assert zeros_share(half, None).passed
    assert not zeros_share(half * 0, None).passed
    assert zeros_share(half.head(10) * 0, None).passed  # too few rows to tell
    some = pl.Series("downloads", [0] * 390 + [1] * 610)
    assert not zeros_share(some, half).passed
    assert no_absurd_total(half, None).passed
    assert not no_absurd_total(pl.concat([half, pl.Series("downloads", [9001])]), None).passed
    assert no_absurd_total(half * 5, half).passed
    assert not no_absurd_total(half * 6, half).passed
    assert not no_absurd_total(half, half * 6).passed


def test_a_refusal_carries_every_check_and_names_those_that_failed() -> None:
    checks = [few_in_quarantine({"a is odd": 50}, 100), size_against_the_last(1, 1, 0, "x")]
    with pytest.raises(RefusedSnapshotError, match=r"50 of 100 rows .* a is odd") as caught:
        refuse_if_failed(checks)
    assert [c.passed for c in caught.value.checks] == [False, True]
