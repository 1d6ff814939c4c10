"""Tables that are analysed: frequency tables and panels made from the snapshots."""

from __future__ import annotations

import polars as pl

from baimo.pipeline.schema.table import COUNT_MAX, Column, Table

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

HUB_BEFORE_FLOOR = Table(
    "hub_before_floor",
    "Models that the Hub dates on its floor day, by the year of their first commit: how many share "
    "it, author, downloads and likes.",
    ("made_in", "author", "downloads", "likes"),
    (
        Column("made_in", pl.Int64, "year of the first commit; null: not known", nullable=True),
        Column("author", pl.Int64, "anonymous number of the author; null: none", nullable=True),
        Column("downloads", pl.Int64, "30-day downloads", low=0, high=COUNT_MAX),
        Column("likes", pl.Int64, "net likes", low=0, high=COUNT_MAX),
        Column("n_models", pl.Int64, "models with these values", unit="models", low=1),
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
    "How surely each statistic is known when one author's models are not independent, and what it "
    "is without the author who moves it most.",
    ("measure", "statistic", "cutoff"),
    (
        Column("measure", pl.String, "downloads, likes or age"),
        Column(
            "statistic",
            pl.String,
            "alpha (CSN), slope (rank-size), mean; hill, hill_corrected, moment, kernel: zeta",
        ),
        Column("cutoff", pl.String, "which items: x_min, top1pct_all, ..."),
        Column("k", pl.Int64, "items used", low=1),
        Column("threshold", pl.Float64, "smallest item used"),
        Column("value", pl.Float64, "of the statistic"),
        Column("std_error", pl.Float64, "delete-an-author jackknife", low=0),
        Column("design_effect", pl.Float64, "clustered over independent variance", low=0),
        Column("n_clusters", pl.Int64, "authors among the items used", low=1),
        Column("effective_clusters", pl.Float64, "equal ones of shares as uneven", low=1),
        Column("without_largest", pl.Float64, "without that author; null: not defined", "", True),
    ),
)

HUB_SAMPLING = Table(
    "hub_sampling",
    "Statistics of the Hub and parameters of models fitted to it: how surely they are known when "
    "the models of one owner are not independent, and what they are without the largest owner.",
    ("measure", "name"),
    (
        Column("measure", pl.String, "downloads or likes"),
        Column("name", pl.String, "statistic or parameter"),
        Column("value", pl.Float64, "in the data"),
        Column("std_error", pl.Float64, "one-step delete-an-owner jackknife", low=0),
        Column("design_effect", pl.Float64, "its square over the independent variance", low=0),
        Column("effective_owners", pl.Float64, "owners of equal influence with its spread", low=1),
        Column("without_largest", pl.Float64, "without the owner who moves zeta most"),
        Column("std_error_without", pl.Float64, "its error", low=0),
    ),
)

HUB_COVARIANCES = Table(
    "hub_covariances",
    "Covariances of the statistics and parameters of `hub_sampling`, one row a pair.",
    ("measure", "first", "second"),
    (
        Column("measure", pl.String, "downloads or likes"),
        Column("first", pl.String, "statistic or parameter"),
        Column("second", pl.String, "statistic or parameter, the first included"),
        Column("covariance", pl.Float64, "one-step delete-an-owner jackknife"),
        Column("independent", pl.Float64, "as if every model had an owner of its own"),
        Column("without_largest", pl.Float64, "the same without the largest owner"),
    ),
)

HUB_CLUSTERED_TESTS = Table(
    "hub_clustered_tests",
    "Tests of the power-law tail at its x_min that know which models are one author's.",
    ("measure", "left_out", "test"),
    (
        Column("measure", pl.String, "downloads or likes"),
        Column("left_out", pl.String, "none, largest owner (of the variance), or largest item"),
        Column("test", pl.String, "ks, umpu (against lognormal) or vuong_ and the rival"),
        Column("statistic", pl.Float64, "KS distance, coefficient of variation, or ratio"),
        Column("p_value", pl.Float64, "p with authors as clusters, never 0 for ks", high=1, low=0),
        Column("p_independent", pl.Float64, "p if models were independent", high=1, low=0),
        Column("n_clusters", pl.Int64, "authors in the tail", low=1),
        Column("effective_clusters", pl.Float64, "equal authors of variances as uneven", low=1),
        Column("x_min", pl.Float64, "smallest model in the tail: of the whole listing's fit"),
        Column("n_tail", pl.Int64, "models in the tail", unit="models", low=1),
        Column("zeta", pl.Float64, "exponent of the CCDF", low=0),
        Column("std_error", pl.Float64, "of zeta, one author left out at a time", low=0),
    ),
)

HUB_THRESHOLD_SPREADS = Table(
    "hub_threshold_spreads",
    "Sampling spread of the distance between a tail and its power law at other x_min, one author's "
    "models as a cluster.",
    ("measure", "x_min"),
    (
        Column("measure", pl.String, "downloads or likes"),
        Column("x_min", pl.Float64, "smallest model in the tail", low=0),
        Column("n_tail", pl.Int64, "models in the tail", unit="models", low=1),
        Column("spread", pl.Float64, "sd of root n_tail times the KS distance", low=0),
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
    ("category", "listed_on", "adapter_on", "tvl_before", "tvl_after", "entrant", "unmatched"),
    (
        Column("category", pl.String, "category on the earlier date, or the later", nullable=True),
        Column("listed_on", pl.Date, "first day of the quarter of listing", nullable=True),
        Column(
            "adapter_on",
            pl.Date,
            "first day of the quarter of its adapter's first commit, where it has no listing date; "
            "2020-11-14: before that day",
            nullable=True,
        ),
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
    ("category", "listed_on", "adapter_on", "tvl_usd"),
    (
        Column("category", pl.String, "category", nullable=True),
        Column("listed_on", pl.Date, "first day of the quarter of listing", nullable=True),
        Column(
            "adapter_on",
            pl.Date,
            "first day of the quarter of its adapter's first commit, where it has no listing date; "
            "2020-11-14: before that day",
            nullable=True,
        ),
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

OTHER_INCREMENTS = Table(
    "other_increments",
    "Likes or downloads so far of the same picked models on two days: not the Hub, but models that "
    "were sent to a leaderboard or entered in a registry.",
    ("population", "author", "age", "before", "after"),
    (
        Column(
            "population",
            pl.String,
            "leaderboard_2024, leaderboard_2025, leaderboard_to_2026 (likes) or registry_downloads",
        ),
        Column("author", pl.Int64, "anonymous number of the author; null: none", nullable=True),
        Column("age", pl.Float64, "age when seen on the earlier day, four digits", "yr", True, 0),
        Column("before", pl.Int64, "likes or downloads so far, earlier", low=0, high=COUNT_MAX),
        Column("after", pl.Int64, "likes or downloads so far, later", low=0, high=COUNT_MAX),
        Column("before_on", pl.Date, "the earlier day"),
        Column("after_on", pl.Date, "the later day"),
        Column("n_models", pl.Int64, "models with these values", unit="models", low=1),
    ),
)

HUB_WAVES = Table(
    "hub_waves",
    "Downloads of the same models, and of the same datasets, in two windows that lie far apart.",
    ("population", "author", "downloads_before", "downloads_after"),
    (
        Column("population", pl.String, "models or datasets"),
        Column("author", pl.Int64, "anonymous number of the owner; null: none", nullable=True),
        Column("downloads_before", pl.Int64, "30-day downloads, earlier", low=0, high=COUNT_MAX),
        Column("downloads_after", pl.Int64, "30-day downloads, later", low=0, high=COUNT_MAX),
        Column("before_on", pl.Date, "the earlier day"),
        Column("after_on", pl.Date, "the later day"),
        Column("n_items", pl.Int64, "models or datasets with these values", low=1),
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

OTHER_DESIGN_EFFECTS = Table(
    "other_design_effects",
    "Variance inflation of each statistic because one owner's datasets are not independent.",
    ("measure", "statistic", "cutoff"),
    HUB_DESIGN_EFFECTS.columns,
)

SIZE_VARIANTS = Table(
    "size_variants",
    "The sizes cut otherwise: families merged, exchanges in, DeFi by another definition.",
    ("population", "size"),
    (
        Column(
            "population",
            pl.String,
            "downloads_families, likes_families, tvl_families, tvl_with_exchanges, tvl_defillama "
            "or tvl_broad; tvl_later_… on the later date",
        ),
        Column("size", pl.Float64, "downloads per 30 days, likes, or USD", low=0),
        Column("n_items", pl.Int64, "families or protocols of that size", low=1),
    ),
)

TVL_GROWTH_PERIODS = Table(
    "tvl_growth_periods",
    "Growth of TVL by period: drift, exits, and how later size grows with earlier size.",
    ("population", "before_on"),
    (
        Column("population", pl.String, "a definition of DeFi, or survivors (a weekly panel)"),
        Column("joined_by", pl.String, "id, name, or weeks (of the panel)"),
        Column("before_on", pl.Date, "first day of the period"),
        Column("after_on", pl.Date, "its last day"),
        Column("n_at_risk", pl.Int64, "protocols above 10,000 USD on the first", nullable=True),
        Column("n_grown", pl.Int64, "protocols above 10,000 USD on both, or in the panel", low=1),
        Column("log_drift", pl.Float64, "mean log growth of these", "1/yr"),
        Column("log_drift_std_error", pl.Float64, "its error, protocols independent", "1/yr"),
        Column(
            "log_drift_std_error_clustered",
            pl.Float64,
            "its error, categories independent; of the panel protocols and weeks",
            "1/yr",
        ),
        Column("sigma", pl.Float64, "sd of log growth over root years", "yr^-1/2", True, 0),
        Column("exit_share", pl.Float64, "share at risk that is gone or below", "", True, 0, 1),
        Column("exit_std_error", pl.Float64, "its binomial error", nullable=True, low=0),
        Column(
            "gbm_log_drift", pl.Float64, "drift of all at risk, the gone as censored", "1/yr", True
        ),
        Column(
            "gbm_log_drift_std_error",
            pl.Float64,
            "its error, categories independent",
            "1/yr",
            nullable=True,
            low=0,
        ),
        Column("gbm_sigma", pl.Float64, "dispersion of these", "yr^-1/2", True, 0),
        Column("gbm_exit_rate", pl.Float64, "hazard of vanishing, falls apart", "1/yr", True, 0),
        Column("size_exponent", pl.Float64, "of expected later in earlier size; gone: 0", "", True),
        Column(
            "size_exponent_std_error",
            pl.Float64,
            "the larger of its robust and its clustered error",
            nullable=True,
            low=0,
        ),
        Column(
            "n_entrants",
            pl.Int64,
            "protocols listed in the 91 days to the first; null: not known",
            nullable=True,
            low=2,
        ),
        Column("log_entry_mean", pl.Float64, "mean of their log TVL", "log USD", True),
        Column("log_entry_sd", pl.Float64, "its standard deviation", "log USD", True, 0),
    ),
)
