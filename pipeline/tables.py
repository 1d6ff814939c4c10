"""Each table described once: column, type, unit, key, bounds, meaning.

The description drives the Parquet schema, the blocking checks (`baimo.pipeline.validation`), the
column documentation in the Dagster UI and the README's table.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

Dtype = type[pl.DataType] | pl.DataType
UTC = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Column:
    """One column: bounds are inclusive, None means unbounded."""

    name: str
    dtype: Dtype
    meaning: str
    unit: str = ""
    nullable: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Table:
    """One table; `key` columns are unique together.

    A repeated key is refused (nothing tells which row is right), or, with
    `quarantine_repeats`, all rows that share one go to quarantine.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    quarantine_repeats: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Return the column names in order."""
        return tuple(c.name for c in self.columns)

    @property
    def schema(self) -> dict[str, Dtype]:
        """Return name -> Polars type."""
        return {c.name: c.dtype for c in self.columns}


COUNT_MAX = 2**53

HUB_MODELS = Table(
    "hub_models",
    "One row per model repository of the Hugging Face Hub on the snapshot's day.",
    ("hub_id",),
    (
        Column("hub_id", pl.String, "identifier that survives renames (the API's _id)"),
        Column("model_id", pl.String, "name of the repository, owner/name"),
        Column(
            "downloads",
            pl.Int64,
            "downloads over the last 30 days, a rolling flow",
            unit="downloads per 30 days",
            low=0,
            high=COUNT_MAX,
        ),
        Column(
            "downloads_all_time",
            pl.Int64,
            "downloads since creation; may fall when the Hub removes spam",
            unit="downloads",
            nullable=True,
            low=0,
            high=COUNT_MAX,
        ),
        Column("likes", pl.Int64, "net likes so far", unit="likes", low=0, high=COUNT_MAX),
        Column("created_at", UTC, "creation; floored at 2022-03-02 by the Hub", unit="UTC"),
        Column("last_modified", UTC, "last commit", unit="UTC", nullable=True),
        Column("author", pl.String, "owner of the repository", nullable=True),
        Column("pipeline_tag", pl.String, "task", nullable=True),
        Column("library_name", pl.String, "library", nullable=True),
        Column("license", pl.String, "licence as declared", nullable=True),
        Column("base_model", pl.String, "models it derives from, by commas", nullable=True),
        Column("base_relation", pl.String, "adapter, finetune, merge, quantized", nullable=True),
        Column("n_children", pl.Int64, "declared derivatives", "models", True, low=0),
        Column("gated", pl.String, "access: false, auto, manual", nullable=True),
        Column("private", pl.Boolean, "seen by its owner only", nullable=True),
        Column("disabled", pl.Boolean, "switched off by the Hub", nullable=True),
        Column("inference", pl.String, "state at the Hub's inference service", nullable=True),
        Column("parameters", pl.Int64, "parameters by safetensors", "1", True, low=0),
        Column("n_spaces", pl.Int64, "Spaces that use it", "spaces", True, low=0),
        Column("trending_score", pl.Float64, "the Hub's trending score", nullable=True),
        Column("source", pl.String, "where from: reference, recording, hub, hub-stats, weekly"),
    ),
)

HUB_DOWNLOADS_DAILY = Table(
    "hub_downloads_daily",
    "Downloads of each Hub model on one day; a model without a row had no movement that day.",
    ("day", "hub_id"),
    (
        Column("hub_id", pl.String, "identifier that survives renames (the API's _id)"),
        Column("day", pl.Date, "day (UTC); `date`, the name of the partition, says the same"),
        Column(
            "downloads",
            pl.Int64,
            "movement of the download counter on that day; negative where the Hub recounted",
            unit="downloads per day",
            low=-COUNT_MAX,
            high=COUNT_MAX,
        ),
    ),
)

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

TVL_WEEKLY = Table(
    "tvl_weekly",
    "Weekly growth of today's largest protocols: survivors only.",
    ("protocol_number", "week"),
    (
        Column("protocol_number", pl.Int32, "anonymous number of the protocol", low=0),
        Column("week", pl.Date, "first day of the week"),
        Column("log_growth", pl.Float64, "log growth over the week", low=-50, high=50),
        Column("log_size", pl.Float64, "log TVL at the start of the week", unit="log USD"),
        Column("age_weeks", pl.Int32, "weeks since the first positive value", unit="wk", low=0),
    ),
)

HUB_FREQUENCY = Table(
    "hub_frequency",
    "How many models share a day of creation, a download count and a like count.",
    ("created_on", "downloads", "likes"),
    (
        Column("created_on", pl.Date, "day of creation (UTC)"),
        Column("downloads", pl.Int64, "30-day downloads", low=0, high=COUNT_MAX),
        Column("likes", pl.Int64, "net likes", low=0, high=COUNT_MAX),
        Column("n_models", pl.Int64, "models with these three values", unit="models", low=1),
    ),
)

HUB_AUTHORS = Table(
    "hub_authors",
    "How many authors own a given number of models.",
    ("n_models",),
    (
        Column("n_models", pl.Int64, "models of one author", unit="models", low=1),
        Column("n_authors", pl.Int64, "authors with that many", unit="authors", low=1),
    ),
)

HUB_DESIGN_EFFECTS = Table(
    "hub_design_effects",
    "Variance inflation of each statistic because one author's models are not independent.",
    ("measure", "statistic", "cutoff"),
    (
        Column("measure", pl.String, "downloads, likes or age"),
        Column("statistic", pl.String, "alpha (CSN), slope (rank-size) or mean"),
        Column("cutoff", pl.String, "which items: x_min, top1pct_all, ..."),
        Column("k", pl.Int64, "items used", low=1),
        Column("threshold", pl.Float64, "smallest item used"),
        Column("design_effect", pl.Float64, "clustered over independent variance", low=0),
        Column("n_clusters", pl.Int64, "authors among the items used", low=1),
    ),
)

HUB_DERIVATIVES = Table(
    "hub_derivatives",
    "How many base models have a given number of declared derivatives.",
    ("n_derivatives",),
    (
        Column("n_derivatives", pl.Int64, "models that name this base", unit="models", low=1),
        Column("n_bases", pl.Int64, "bases with that many", unit="models", low=1),
    ),
)

HUB_TOTALS = Table(
    "hub_totals",
    "Models, downloads and likes by licence family and by task (groups of 20 models or more).",
    ("kind", "name"),
    (
        Column("kind", pl.String, "licence_family or pipeline_tag"),
        Column("name", pl.String, "group; 'other' holds the small ones, 'none' the undeclared"),
        Column("n_models", pl.Int64, "models", low=1),
        Column("downloads", pl.Int64, "sum of 30-day downloads", low=0),
        Column("likes", pl.Int64, "sum of likes", low=0),
    ),
)

HUB_TOP = Table(
    "hub_top",
    "The 50 most downloaded and the 50 most liked models by name, for labels.",
    ("measure", "rank"),
    (
        Column("measure", pl.String, "downloads or likes"),
        Column("rank", pl.Int64, "1 is the largest", low=1),
        Column("model_id", pl.String, "name of the repository"),
        Column("size", pl.Int64, "the measure's value", low=0),
    ),
)

DEFI_POPULATION = Table(
    "defi_population",
    "DeFi protocols of two dates joined by name, deaths and births included.",
    ("category", "listed_on", "tvl_before", "tvl_after", "entrant", "unmatched"),
    (
        Column("category", pl.String, "category on the earlier date, or the later", nullable=True),
        Column("listed_on", pl.Date, "first day of the quarter of listing", nullable=True),
        Column("tvl_before", pl.Float64, "TVL on the earlier date", "USD", True, low=0),
        Column("tvl_after", pl.Float64, "TVL on the later date", "USD", True, low=0),
        Column("entrant", pl.Boolean, "only on the later date"),
        Column("unmatched", pl.Boolean, "only on the earlier date: gone, or renamed"),
        Column("before_on", pl.Date, "the earlier date"),
        Column("after_on", pl.Date, "the later date"),
        Column("n_protocols", pl.Int64, "protocols with these values", low=1),
    ),
)

DEFI_LISTING = Table(
    "defi_listing",
    "DeFi protocols of one day by category, quarter of listing and TVL: what is fitted.",
    ("category", "listed_on", "tvl_usd"),
    (
        Column("category", pl.String, "category", nullable=True),
        Column("listed_on", pl.Date, "first day of the quarter of listing", nullable=True),
        Column("tvl_usd", pl.Float64, "total value locked", unit="USD", low=0),
        Column("observed_on", pl.Date, "the day"),
        Column("n_protocols", pl.Int64, "protocols with these values", low=1),
    ),
)

HUB_INCREMENTS = Table(
    "hub_increments",
    "Likes of the same models on two days: how many models share author, age and both counts.",
    ("author", "age", "likes_before", "likes_after"),
    (
        Column("author", pl.Int64, "anonymous number of the author; null: none", nullable=True),
        Column("age", pl.Float64, "age when seen on the earlier day, four digits", "yr", True, 0),
        Column(
            "likes_before", pl.Int64, "likes on the earlier day; null: not there", "likes", True
        ),
        Column("likes_after", pl.Int64, "likes on the later day; null: gone", "likes", True),
        Column("before_on", pl.Date, "the earlier day"),
        Column("after_on", pl.Date, "the later day"),
        Column("n_models", pl.Int64, "models with these values", unit="models", low=1),
    ),
)

HUB_WAVES = Table(
    "hub_waves",
    "Downloads of the same models in two windows of 30 days that lie far apart.",
    ("downloads_before", "downloads_after"),
    (
        Column("downloads_before", pl.Int64, "30-day downloads, earlier", low=0, high=COUNT_MAX),
        Column("downloads_after", pl.Int64, "30-day downloads, later", low=0, high=COUNT_MAX),
        Column("before_on", pl.Date, "the earlier day"),
        Column("after_on", pl.Date, "the later day"),
        Column("n_models", pl.Int64, "models with these values", unit="models", low=1),
    ),
)

OTHER_SIZES = Table(
    "other_sizes",
    "Sizes of other populations, to hold beside models and protocols.",
    ("population", "size"),
    (
        Column("population", pl.String, "datasets_downloads, datasets_likes or chains_tvl"),
        Column("size", pl.Float64, "downloads per 30 days, likes, or USD", low=0),
        Column("taken_on", pl.Date, "the day"),
        Column("n_items", pl.Int64, "items of that size", low=1),
    ),
)

SIZE_VARIANTS = Table(
    "size_variants",
    "The sizes of the day cut otherwise: families merged, exchanges included.",
    ("population", "size"),
    (
        Column(
            "population",
            pl.String,
            "downloads_families, likes_families, tvl_families or tvl_with_exchanges",
        ),
        Column("size", pl.Float64, "downloads per 30 days, likes, or USD", low=0),
        Column("n_items", pl.Int64, "families or protocols of that size", low=1),
    ),
)

COMPARISON = Table(
    "comparison",
    "The headline table: each size against each model, one row a pair.",
    ("measure", "model"),
    (
        Column("measure", pl.String, "downloads, likes or tvl"),
        Column("n_obs", pl.Int64, "items", low=1),
        Column("x_min", pl.Float64, "lower end of the fitted tail", unit="data"),
        Column("n_tail", pl.Int64, "items in the tail", low=1),
        Column("zeta", pl.Float64, "CCDF exponent of the tail"),
        Column("zeta_low", pl.Float64, "its 95 % interval, lower end", nullable=True),
        Column("zeta_high", pl.Float64, "its 95 % interval, upper end", nullable=True),
        Column("slope_cutoff", pl.String, "items of the rank-size regression"),
        Column("slope", pl.Float64, "slope of log(rank - 1/2) on log(size)", nullable=True),
        Column("slope_low", pl.Float64, "its 95 % interval, lower end", nullable=True),
        Column("slope_high", pl.Float64, "its 95 % interval, upper end", nullable=True),
        Column("model", pl.String, "Simon, Yule, CES or GBM"),
        Column("predicted_zeta", pl.Float64, "zeta in closed form", nullable=True),
        Column("simulated_zeta", pl.Float64, "mean zeta of refitted samples", nullable=True),
        Column("simulated_sd", pl.Float64, "its spread over samples", nullable=True),
        Column("verdict", pl.String, "what the model reproduces or misses"),
        Column("evidence", pl.String, "observed and simulated statistics"),
    ),
)

PARAMETERS = Table(
    "parameters",
    "Every estimate with error, interval, unit, method and equation; also parameters.json, .csv.",
    ("name",),
    (
        Column("name", pl.String, "model or statistic, measure, parameter"),
        Column("value", pl.Float64, "estimate, null when the data give none", nullable=True),
        Column("std_error", pl.Float64, "standard error, null when unknown", nullable=True),
        Column("ci_low", pl.Float64, "95 % interval, lower end", nullable=True),
        Column("ci_high", pl.Float64, "95 % interval, upper end", nullable=True),
        Column("unit", pl.String, "unit; 1 for a pure number"),
        Column("method", pl.String, "how it was estimated"),
        Column("equation", pl.String, "equation of the paper"),
        Column("n_obs", pl.Int64, "observations given", nullable=True),
        Column("n_used", pl.Int64, "observations used", nullable=True),
        Column("converged", pl.Boolean, "false marks a doubtful optimum", nullable=True),
        Column("notes", pl.String, "what to know before using it"),
    ),
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        HUB_MODELS,
        HUB_DOWNLOADS_DAILY,
        DEFILLAMA_PROTOCOLS,
        DEFILLAMA_CHAINS,
        DEFILLAMA_HISTORIES,
        TVL_WEEKLY,
        HUB_FREQUENCY,
        HUB_AUTHORS,
        HUB_DESIGN_EFFECTS,
        HUB_DERIVATIVES,
        HUB_TOTALS,
        HUB_TOP,
        DEFI_POPULATION,
        DEFI_LISTING,
        HUB_INCREMENTS,
        HUB_WAVES,
        OTHER_SIZES,
        SIZE_VARIANTS,
        COMPARISON,
        PARAMETERS,
    )
}
