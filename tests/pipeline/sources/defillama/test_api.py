"""Rows of /protocols: in the table with the right type, or in quarantine with a reason."""

import json
import math
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.sources.defillama.api import read_protocols

DAY = date(2026, 9, 1)
GOOD = {
    "id": "111",
    "name": "A Dex",
    "slug": "a-dex",
    "category": "Dexes",
    "chains": ["Ethereum", "Base"],
    "tvl": 1234.5,
    "chainTvls": {"Ethereum": 1000.0, "Base": 234.5, "borrowed": 7.0, "staking": 5, "pool2": 1.0},
    "change_1h": None,
    "change_1d": -1.5,
    "change_7d": 5.5e6,
    "mcap": None,
    "listedAt": 1672531200,
    "parentProtocol": "parent#a",
    "forkedFrom": ["Uniswap V2"],
}


def test_a_row_in_order() -> None:
    listing = read_protocols([GOOD], DAY)
    assert listing.odd == []
    assert listing.good.row(0, named=True) == {
        "observed_on": DAY,
        "protocol_id": "111",
        "slug": "a-dex",
        "name": "A Dex",
        "category": "Dexes",
        "tvl_usd": 1234.5,
        "tvl_is_null": False,
        "listed_at": date(2023, 1, 1),
        "parent_protocol": "parent#a",
        "forked_from": "Uniswap V2",
        "chains": "Ethereum,Base",
        "change_1d": -1.5,
        "change_7d": 5.5e6,
        "mcap_usd": None,
        "borrowed_usd": 7.0,
        "staking_usd": 5.0,
        "pool2_usd": 1.0,
        "doublecounted": None,
        "outside_parent": None,
        "dead_from": None,
        "deprecated": None,
        "rugged": None,
        "source": "defillama",
    }


@pytest.mark.parametrize("dead", ["2024-03-05", "2024-03-05T00:00:00Z", 1_709_640_000])
def test_what_the_source_marks_on_a_row_is_kept(dead: str | int) -> None:
    marked = GOOD | {
        "doublecounted": True, "excludeTvlFromParent": True, "deprecated": False, "rugged": True,
        "deadFrom": dead,
    }  # fmt: skip
    found = read_protocols([marked], DAY)
    assert found.odd == []
    row = found.good.row(0, named=True)
    assert (row["doublecounted"], row["outside_parent"]) == (True, True)
    assert (row["deprecated"], row["rugged"]) == (False, True)
    assert row["dead_from"] == date(2024, 3, 5)


@pytest.mark.parametrize("row", [{"tvl": None}, {}])
def test_no_tvl_is_zero_and_marked(row: dict[str, Any]) -> None:
    bare = {"id": "1", "name": "n", **row}
    found = read_protocols([bare], DAY).good.row(0, named=True)
    assert (found["tvl_usd"], found["tvl_is_null"]) == (0.0, True)


def test_dust_and_a_missing_listing_date_stay() -> None:
    listing = read_protocols([GOOD | {"tvl": 8e-20, "listedAt": None}], DAY)
    assert listing.good["tvl_usd"].to_list() == [8e-20]
    assert listing.good["listed_at"].to_list() == [None]
    assert listing.odd == []


def test_ids_are_text_even_when_the_api_gives_a_number() -> None:
    assert read_protocols([GOOD | {"id": 111}], DAY).good["protocol_id"].to_list() == ["111"]


def test_a_repeated_id_is_taken_once_and_counted() -> None:
    listing = read_protocols([GOOD, GOOD | {"name": "again"}], DAY)
    assert listing.good["name"].to_list() == ["A Dex"]
    assert listing.n_repeats == 1


def test_two_protocols_may_share_a_name() -> None:
    assert read_protocols([GOOD, GOOD | {"id": "112"}], DAY).good.height == 2


SPOILT = [
    ("tvl", -1.0, "tvl is negative"),
    ("tvl", math.nan, "tvl is not finite"),
    ("tvl", math.inf, "tvl is not finite"),
    ("tvl", 1e20, "tvl is above a quadrillion USD"),
    ("tvl", 10**400, "tvl is not finite"),
    ("tvl", "12", "tvl is not a number"),
    ("tvl", True, "tvl is not a number"),
    ("tvl", [1], "tvl is not a number"),
    ("id", None, "id is missing"),
    ("id", "", "id is missing"),
    ("id", 1.5, "id is not text"),
    ("name", None, "name is missing"),
    ("name", 7, "name is not text"),
    ("name", "\ud800", "name is not valid Unicode"),
]


@pytest.mark.parametrize(("name", "value", "reason"), SPOILT)
def test_a_spoilt_row_goes_to_quarantine_alone(name: str, value: Any, reason: str) -> None:
    listing = read_protocols([GOOD, GOOD | {"id": "2", name: value}], DAY)
    assert listing.good.height == 1
    assert [(r["reason"], r["kept"]) for r in listing.odd] == [(reason, False)]


ODD_VALUES = [
    ("listedAt", "soon"), ("listedAt", 1e300), ("listedAt", -5), ("listedAt", True),
    ("category", 7), ("slug", []), ("chains", "Ethereum"), ("chains", [1]), ("change_1d", "up"),
    ("mcap", 1e30), ("chainTvls", []), ("chainTvls", {"staking": "x"}), ("forkedFrom", {}),
    ("parentProtocol", False), ("rugged", 1), ("deprecated", "no"), ("doublecounted", []),
    ("excludeTvlFromParent", "true"), ("deadFrom", "long ago"), ("deadFrom", True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), ODD_VALUES)
def test_an_odd_value_costs_the_value_and_not_the_row(name: str, value: Any) -> None:
    listing = read_protocols([GOOD | {name: value}], DAY)
    assert listing.good.height == 1
    assert [r["kept"] for r in listing.odd] == [True]
    assert listing.odd[0]["reason"].endswith("left empty")


# --- fuzz ------------------------------------------------------------------------------------

names = st.text(min_size=1, max_size=10).filter(
    lambda s: not any("\ud800" <= c <= "\udfff" for c in s)
)
usd = st.floats(0, 1e15, allow_subnormal=True)
good_rows = st.fixed_dictionaries(
    {"name": names, "tvl": st.none() | usd | st.integers(0, 10**15)},
    optional={
        "slug": st.none() | names,
        "category": st.none() | names,
        "listedAt": st.none() | st.integers(1231006505, 4_000_000_000),
        "chains": st.none() | st.lists(names, max_size=3),
        "change_1d": st.none() | st.floats(-100, 5.5e6),
        "mcap": st.none() | usd,
        "chainTvls": st.none() | st.dictionaries(names, usd, max_size=3),
        "unknown": st.none() | names,
    },
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
spoilt_rows = st.builds(
    lambda row, how: {**row, how[0]: how[1]},
    good_rows,
    st.sampled_from([(name, value) for name, value, _ in SPOILT]),
) | anything.filter(lambda v: not isinstance(v, dict) or "name" not in v)
mixed = st.lists(
    st.tuples(st.just("good"), good_rows) | st.tuples(st.just("spoilt"), spoilt_rows), max_size=6
)


def _fuzz(rows: list[tuple[str, Any]]) -> None:
    numbered = [
        (kind, {"id": str(i), **row} if isinstance(row, dict) else row)
        for i, (kind, row) in enumerate(rows)
    ]
    sent = json.loads(json.dumps([row for _, row in numbered]))
    listing = read_protocols(sent, DAY)
    expected = {row["id"]: row for kind, row in numbered if kind == "good"}
    assert set(listing.good["protocol_id"]) == set(expected)
    for found in listing.good.iter_rows(named=True):
        assert found["tvl_usd"] == float(expected[found["protocol_id"]]["tvl"] or 0.0)
    dropped = [r for r in listing.odd if not r["kept"]]
    assert len(dropped) == sum(kind == "spoilt" for kind, _ in rows)
    assert all(r["reason"] for r in dropped)
    assert listing.good.schema == pl.Schema(TABLES["defillama_protocols"].schema)


@settings(max_examples=1000, deadline=None)
@given(mixed)
def test_no_row_is_lost_and_no_valid_row_is_quarantined(rows: list[tuple[str, Any]]) -> None:
    _fuzz(rows)


@pytest.mark.full
@settings(max_examples=50_000, deadline=None)
@given(mixed)
def test_no_row_is_lost_in_fifty_thousand_answers(rows: list[tuple[str, Any]]) -> None:
    _fuzz(rows)
