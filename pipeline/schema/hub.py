"""Tables of the Hub as they are published."""

from __future__ import annotations

import polars as pl

from baimo.pipeline.schema.table import COUNT_MAX, UTC, Column, Table

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
