"""Tables of DeFiLlama as they are published."""

from __future__ import annotations

import polars as pl

from baimo.pipeline.schema.table import Column, Table

DEFILLAMA_PROTOCOLS = Table(
    "defillama_protocols",
    "One row per DeFi protocol and date of observation, as DeFiLlama lists it.",
    ("observed_on", "protocol_id"),
    (
        Column("observed_on", pl.Date, "date of observation"),
        Column("protocol_id", pl.String, "DeFiLlama's id; the name where there is none"),
        Column("slug", pl.String, "DeFiLlama's slug", nullable=True),
        Column("name", pl.String, "name"),
        Column("category", pl.String, "category", nullable=True),
        Column("tvl_usd", pl.Float64, "total value locked; zero where null", unit="USD", low=0),
        Column("tvl_is_null", pl.Boolean, "the source gave no TVL", nullable=True),
        Column("listed_at", pl.Date, "listing; missing means before 2021-10-12", nullable=True),
        Column("parent_protocol", pl.String, "id of the parent, for merging", nullable=True),
        Column("forked_from", pl.String, "protocols it is a fork of, by commas", nullable=True),
        Column("chains", pl.String, "chains it runs on, by commas", nullable=True),
        Column("change_1d", pl.Float64, "change of TVL over a day", "percent", True),
        Column("change_7d", pl.Float64, "change of TVL over seven days", "percent", True),
        Column("mcap_usd", pl.Float64, "market value of the token", "USD", True),
        Column("borrowed_usd", pl.Float64, "lent out, not part of TVL", "USD", True),
        Column("staking_usd", pl.Float64, "own token staked, not part of TVL", "USD", True),
        Column("pool2_usd", pl.Float64, "own token in pools, not part of TVL", "USD", True),
        Column("doublecounted", pl.Boolean, "its TVL is counted elsewhere too", nullable=True),
        Column("outside_parent", pl.Boolean, "not part of its parent's TVL", nullable=True),
        Column("dead_from", pl.Date, "dead from this day on", nullable=True),
        Column("deprecated", pl.Boolean, "given up by its makers", nullable=True),
        Column("rugged", pl.Boolean, "its makers took the deposits", nullable=True),
        Column("source", pl.String, "where the row comes from"),
    ),
    quarantine_repeats=True,
)

DEFILLAMA_CHAINS = Table(
    "defillama_chains",
    "One row per chain, as DeFiLlama lists it.",
    ("chain",),
    (
        Column("chain", pl.String, "name of the chain"),
        Column("tvl_usd", pl.Float64, "total value locked on it", unit="USD", low=0),
        Column("token", pl.String, "symbol of its token", nullable=True),
        Column("gecko_id", pl.String, "CoinGecko's id", nullable=True),
        Column("chain_id", pl.String, "EIP-155 number", nullable=True),
    ),
)

DEFILLAMA_HISTORIES = Table(
    "defillama_histories",
    "TVL of each protocol at the start of each UTC day, as DeFiLlama tells it afterwards.",
    ("protocol_id", "day"),
    (
        Column("protocol_id", pl.String, "DeFiLlama's id"),
        Column("day", pl.Date, "day (UTC)"),
        Column("tvl_usd", pl.Float64, "total value locked", "USD", low=0, high=1e15),
        Column("from_bulk", pl.Boolean, "from the file of all protocols, not the protocol's own"),
    ),
)
