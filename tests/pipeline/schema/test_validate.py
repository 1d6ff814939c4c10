"""Validation: every row is good or in quarantine with a reason; nothing is lost."""

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from baimo.pipeline.errors import TableError
from baimo.pipeline.schema.defillama import DEFILLAMA_PROTOCOLS
from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.schema.table import Column, Table
from baimo.pipeline.schema.validate import validate

NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)


def models(**columns: list[object]) -> pl.DataFrame:
    n = len(next(iter(columns.values())))
    base: dict[str, list[object]] = {
        "hub_id": [f"id{i}" for i in range(n)],
        "model_id": [f"a/m{i}" for i in range(n)],
        "downloads": [1] * n,
        "likes": [0] * n,
        "created_at": [NOON] * n,
        "source": ["recording"] * n,
    }
    return pl.DataFrame({**base, **columns}, strict=False)


@pytest.mark.parametrize(
    ("column", "bad", "reason"),
    [
        ("downloads", -1, "downloads is below 0"),
        ("downloads", None, "downloads is missing"),
        ("downloads", 2**60, "downloads is above 9.0072e+15"),
        ("likes", -5, "likes is below 0"),
        ("created_at", None, "created_at is missing"),
        ("hub_id", None, "hub_id is missing"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_reason(column: str, bad: object, reason: str) -> None:
    frame = models(downloads=[1, 2, 3])
    good = frame[column].to_list()
    result = validate(models(**{column: [good[0], bad, good[2]]}), HUB_MODELS)
    assert result.good.height == 2
    assert result.quarantine["reason"].to_list() == [reason]


@pytest.mark.parametrize(
    ("texts", "reason"),
    [(["1", "x", "3"], "downloads is not a whole number"), (["1", "2.5", "3"], None)],
    ids=["text", "fraction"],
)
def test_text_columns_are_read_as_numbers_or_quarantined(
    texts: list[str], reason: str | None
) -> None:
    result = validate(models(downloads=list(texts)), HUB_MODELS)
    assert result.good["downloads"].to_list() == [1, 3]
    assert result.quarantine["reason"].to_list() == [reason or "downloads is not a whole number"]


def test_fractional_and_infinite_floats_are_not_counts() -> None:
    result = validate(models(downloads=[1.0, 2.5, float("inf"), float("nan")]), HUB_MODELS)
    assert result.good["downloads"].to_list() == [1]
    assert result.quarantine.height == 3


@pytest.mark.parametrize(
    "text", ["2024-07-01T12:00:00.000Z", "2024-07-01T12:00:00Z", "2024-07-01 12:00:00+00:00"]
)
def test_api_dates_are_read(text: str) -> None:
    result = validate(models(created_at=[text, text]), HUB_MODELS)
    assert result.good["created_at"].to_list() == [NOON, NOON]


def test_a_repeated_id_is_refused_because_nothing_tells_which_row_is_right() -> None:
    with pytest.raises(TableError, match=r"2 rows share one.*'same'.*remove the duplicates"):
        validate(models(hub_id=["same", "same", "other"]), HUB_MODELS)


def test_a_repeated_protocol_goes_to_quarantine_whole() -> None:
    frame = pl.DataFrame(
        {
            "observed_on": [date(2025, 1, 1)] * 3,
            "protocol_id": ["1", "1", "3"],
            "name": ["a", "c", "b"],
            "tvl_usd": [1.0, 2.0, 3.0],
            "source": ["recording"] * 3,
        }
    )
    result = validate(frame, DEFILLAMA_PROTOCOLS)
    assert result.good["name"].to_list() == ["b"]
    reasons = result.quarantine["reason"].unique().to_list()
    assert reasons == ["observed_on, protocol_id occurs twice"]


def test_a_missing_column_is_named_with_the_ones_that_are_there() -> None:
    with pytest.raises(TableError, match=r"column likes is missing; found .*downloads"):
        validate(models(downloads=[1, 2]).drop("likes"), HUB_MODELS)


def test_unknown_columns_are_ignored_with_a_note_and_optional_ones_filled() -> None:
    result = validate(models(downloads=[1, 2], colour=["red", "blue"]), HUB_MODELS)
    assert any("ignored columns colour" in note for note in result.notes)
    assert result.good["author"].null_count() == 2
    assert result.good.columns == list(HUB_MODELS.names)


def test_no_valid_row_is_an_error_not_an_empty_table() -> None:
    with pytest.raises(TableError, match="no valid row"):
        validate(models(downloads=[-1, -2]), HUB_MODELS)


count = st.one_of(st.integers(-5, 2**62), st.none(), st.floats(allow_nan=True), st.text(max_size=3))


@settings(max_examples=200, deadline=None)
@given(st.lists(count, min_size=1, max_size=20))
def test_every_row_is_either_good_or_quarantined(values: list[object]) -> None:
    # As a JSON reader hands them over: mixed types become text.
    texts = [None if v is None else str(v) for v in values]
    whole = [t for t in texts if t is not None and _is_count(t)]
    try:
        result = validate(models(downloads=[*texts, "7"]), HUB_MODELS)
    except TableError:
        pytest.fail("a valid row was there")
    assert result.good.height + result.quarantine.height == len(values) + 1
    assert result.good.height == len(whole) + 1
    assert result.quarantine["reason"].null_count() == 0


def _is_count(text: str) -> bool:
    stripped = text.removeprefix("+")
    return stripped.isascii() and stripped.isdigit() and int(stripped) <= 2**53


def test_truth_given_as_text_is_read_and_other_text_is_not() -> None:
    columns = (Column("id", pl.Int64, "id"), Column("yes", pl.Boolean, "truth", nullable=True))
    table = Table("t", "a table", ("id",), columns)
    frame = pl.DataFrame({"id": [1, 2, 3, 4], "yes": ["true", "False", "perhaps", None]})
    found = validate(frame, table)
    assert found.good["yes"].to_list() == [True, False, None]
    assert found.quarantine["reason"].to_list() == ["yes is not true or false"]
