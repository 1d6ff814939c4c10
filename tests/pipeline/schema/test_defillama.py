"""Tables of DeFiLlama hold US dollars that are not negative; a wrong value is left out."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.errors import TableError
from baimo.pipeline.schema.defillama import (
    DEFILLAMA_CHAINS,
    DEFILLAMA_HISTORIES,
    DEFILLAMA_PROTOCOLS,
)
from baimo.pipeline.schema.table import Table
from baimo.pipeline.schema.validate import validate
from tests.pipeline.schema.planted import Row, left_out, reads_back

PROTOCOL: Row = {
    "observed_on": date(2026, 9, 1),
    "protocol_id": "111",
    "slug": "a-dex",
    "name": "A Dex",
    "category": "Dexes",
    "tvl_usd": 1234.5,
    "tvl_is_null": False,
    "listed_at": date(2023, 1, 1),
    "parent_protocol": "parent#a",
    "forked_from": "Uniswap V2",
    "chains": "Base,Ethereum",
    "change_1d": -1.5,
    "change_7d": 250.0,
    "mcap_usd": 5e6,
    "borrowed_usd": 0.0,
    "staking_usd": 7.0,
    "pool2_usd": 1.0,
    "doublecounted": False,
    "outside_parent": True,
    "dead_from": date(2026, 8, 1),
    "deprecated": None,
    "rugged": True,
    "source": "defillama",
}
CHAIN: Row = {
    "chain": "Ethereum", "tvl_usd": 5e10, "token": "ETH", "gecko_id": "ethereum", "chain_id": "1"
}  # fmt: skip
POINT: Row = {
    "protocol_id": "111", "day": date(2026, 3, 9), "tvl_usd": 0.5, "from_bulk": True
}  # fmt: skip
ROWS: dict[str, tuple[Table, Row]] = {
    "defillama_protocols": (DEFILLAMA_PROTOCOLS, PROTOCOL),
    "defillama_chains": (DEFILLAMA_CHAINS, CHAIN),
    "defillama_histories": (DEFILLAMA_HISTORIES, POINT),
}
INFINITE = float("inf")


@pytest.mark.parametrize("name", ROWS)
def test_a_row_comes_back_in_its_types(name: str) -> None:
    table, row = ROWS[name]
    assert table.name == name
    assert reads_back(table, row)


def test_a_protocol_is_known_by_its_id_on_a_day() -> None:
    assert DEFILLAMA_PROTOCOLS.key == ("observed_on", "protocol_id")
    assert DEFILLAMA_CHAINS.key == ("chain",)
    assert DEFILLAMA_HISTORIES.key == ("protocol_id", "day")


@pytest.mark.parametrize(
    ("name", "column", "wrong", "reason"),
    [
        ("defillama_protocols", "observed_on", None, "observed_on is missing"),
        ("defillama_protocols", "protocol_id", None, "protocol_id is missing"),
        ("defillama_protocols", "name", None, "name is missing"),
        ("defillama_protocols", "tvl_usd", -1.0, "tvl_usd is below 0"),
        ("defillama_protocols", "tvl_usd", None, "tvl_usd is missing"),
        ("defillama_protocols", "tvl_usd", "much", "tvl_usd is not a number"),
        ("defillama_protocols", "listed_at", "2023-02-30", "listed_at is not a date"),
        ("defillama_protocols", "change_1d", INFINITE, "change_1d is not finite"),
        ("defillama_protocols", "mcap_usd", float("nan"), "mcap_usd is not finite"),
        ("defillama_protocols", "source", None, "source is missing"),
        ("defillama_chains", "chain", None, "chain is missing"),
        ("defillama_chains", "tvl_usd", -0.01, "tvl_usd is below 0"),
        ("defillama_chains", "tvl_usd", INFINITE, "tvl_usd is not finite"),
        ("defillama_histories", "protocol_id", None, "protocol_id is missing"),
        ("defillama_histories", "day", None, "day is missing"),
        ("defillama_histories", "tvl_usd", -1.0, "tvl_usd is below 0"),
        ("defillama_histories", "tvl_usd", 1.1e15, "tvl_usd is above 1e+15"),
        ("defillama_histories", "from_bulk", None, "from_bulk is missing"),
    ],
)
def test_a_wrong_value_leaves_its_row_out(name: str, column: str, wrong: Any, reason: str) -> None:
    assert left_out(*ROWS[name], **{column: wrong}) == [reason]


def test_money_that_is_not_part_of_tvl_may_be_empty_or_negative() -> None:
    beside = ("mcap_usd", "borrowed_usd", "staking_usd", "pool2_usd", "change_1d", "change_7d")
    assert left_out(DEFILLAMA_PROTOCOLS, PROTOCOL, **dict.fromkeys(beside)) == []
    assert left_out(DEFILLAMA_PROTOCOLS, PROTOCOL, **dict.fromkeys(beside, -1.0)) == []


def test_protocols_that_share_an_id_on_a_day_are_set_aside_together() -> None:
    other = {**PROTOCOL, "name": "another"}
    alone = {**PROTOCOL, "observed_on": date(2026, 9, 2)}
    found = validate(pl.DataFrame([PROTOCOL, other, alone]), DEFILLAMA_PROTOCOLS)
    assert found.good["observed_on"].to_list() == [date(2026, 9, 2)]
    assert found.quarantine["name"].to_list() == ["A Dex", "another"]
    for name in ("defillama_chains", "defillama_histories"):
        table, row = ROWS[name]
        with pytest.raises(TableError, match="must be unique"):
            validate(pl.DataFrame([row, row]), table)


def test_units_are_dollars_and_percent() -> None:
    units = {c.name: c.unit for c in DEFILLAMA_PROTOCOLS.columns if c.unit}
    assert units == {
        "tvl_usd": "USD", "change_1d": "percent", "change_7d": "percent", "mcap_usd": "USD",
        "borrowed_usd": "USD", "staking_usd": "USD", "pool2_usd": "USD",
    }  # fmt: skip
