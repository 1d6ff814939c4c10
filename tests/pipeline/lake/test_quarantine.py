"""What is not in a table, or not in one of its cells, is kept with its reason and counted."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from baimo.pipeline.lake.quarantine import SCHEMA, by_reason, quarantined, write_quarantine
from baimo.pipeline.lake.store import Lake

DAY = date(2026, 9, 1)
RECORDS: list[dict[str, Any]] = [
    {"reason": "likes is missing", "kept": False, "row": '{"id": "a"}'},
    {"reason": "gated is a number", "kept": True, "row": '{"gated": 7}'},
    {"reason": "downloads is negative", "kept": False, "row": '{"id": "b"}'},
    {"reason": "likes is missing", "kept": False, "row": '{"id": "c"}', "more": 1},
]


def test_every_record_is_a_row_in_its_order() -> None:
    odd = quarantined(RECORDS)
    assert odd.schema == pl.Schema(SCHEMA)
    assert odd.rows() == [(r["reason"], r["kept"], r["row"]) for r in RECORDS]


def test_without_records_the_columns_are_there() -> None:
    odd = quarantined([])
    assert odd.schema == pl.Schema({"reason": pl.String, "kept": pl.Boolean, "row": pl.String})
    assert by_reason(odd, kept=False) == {}


def test_rows_left_out_and_values_left_empty_are_counted_apart_by_reason() -> None:
    odd = quarantined(RECORDS)
    left_out = by_reason(odd, kept=False)
    assert left_out == {"downloads is negative": 1, "likes is missing": 2}
    assert list(left_out) == sorted(left_out)
    assert by_reason(odd, kept=True) == {"gated is a number": 1}


def test_it_lies_beside_its_table_and_a_clean_try_takes_it_away(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    write_quarantine(lake, "hub_models", DAY, quarantined(RECORDS))
    assert lake.read_table("hub_models_quarantine", DAY).equals(quarantined(RECORDS))
    write_quarantine(lake, "hub_models", DAY, quarantined([]))
    assert lake.days("hub_models_quarantine") == []
    write_quarantine(lake, "hub_models", DAY, quarantined([]))  # nothing there to take away
