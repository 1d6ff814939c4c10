"""Bulk files of Hub models as they were in different years, datasets that hold them, readers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.sources.http import Patience
from baimo.pipeline.sources.hub.dumps import History, HubStats
from baimo.pipeline.sources.hub.rows import read_page
from tests.live.servers.hub import HubDataset, HubServer
from tests.live.servers.hub_dataset import Commit
from tests.live.servers.hub_models import synthetic_models

HUB_STATS = "cfahlgren1/hub-stats"
WEEKLY = "hfmlsoc/hub_weekly_snapshots"
PANEL = "harvardMadsys/hf-hub-characterization"

NEW: dict[str, Any] = {
    "_id": pl.String,
    "id": pl.String,
    "author": pl.String,
    "createdAt": pl.Datetime("us", "UTC"),
    "lastModified": pl.Datetime("us", "UTC"),
    "downloads": pl.Int64,
    "downloadsAllTime": pl.Int64,
    "likes": pl.Int64,
    "trendingScore": pl.Float64,
    "tags": pl.List(pl.String),
    "pipeline_tag": pl.String,
    "library_name": pl.String,
    "baseModels": pl.Struct(
        {
            "relation": pl.String,
            "models": pl.List(pl.Struct({"_id": pl.String, "id": pl.String})),
        }
    ),
    "childrenModelCount": pl.Int64,
    "safetensors": pl.Struct({"parameters": pl.Struct({"F32": pl.Int64}), "total": pl.Int64}),
    "spaces": pl.List(pl.String),
    "private": pl.Boolean,
    "disabled": pl.Boolean,
    "inference": pl.String,
    "config": pl.String,
}
"""Columns of a file of 2026: no `gated`."""

OLD: dict[str, Any] = {
    "_id": pl.String,
    "id": pl.String,
    "author": pl.String,
    "createdAt": pl.String,
    "lastModified": pl.String,
    "downloads": pl.Int64,
    "likes": pl.Int64,
    "tags": pl.List(pl.String),
    "pipeline_tag": pl.String,
    "library_name": pl.String,
}
"""Columns of a file of 2024: dates as text, no `downloadsAllTime`."""


def frame_of(models: Iterable[Mapping[str, Any]], schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return rows of the API in the columns of a file."""
    rows = []
    for model in models:
        row = {name: model.get(name) for name in schema}
        for name in ("createdAt", "lastModified"):
            if isinstance(schema.get(name), pl.Datetime) and row[name] is not None:
                row[name] = datetime.fromisoformat(row[name])
        rows.append(row)
    return pl.DataFrame(rows, schema=dict(schema), orient="row")


def parquet(frame: pl.DataFrame, group_rows: int = 100) -> bytes:
    """Return a Parquet file."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(frame.to_arrow(), out, row_group_size=group_rows, compression="zstd")
    return out.getvalue()


def file_of(
    models: Iterable[Mapping[str, Any]], schema: Mapping[str, Any] = NEW, group_rows: int = 100
) -> bytes:
    """Return the file of some models."""
    return parquet(frame_of(models, schema), group_rows)


def moment(day: date, hour: int = 5) -> datetime:
    return datetime.combine(day, time(hour), UTC)


def revision(day: date, hour: int = 5) -> str:
    """Return the id of the commit of a day and hour."""
    return f"{day:%Y%m%d}{hour:02d}".ljust(40, "0")


def daily(files: Mapping[date, bytes], repo_id: str = HUB_STATS, **options: Any) -> HubDataset:
    """Return a dataset with one commit a day."""
    commits: list[Commit] = [
        (revision(day), moment(day), {"README.md": b"# stats", "models.parquet": data})
        for day, data in files.items()
    ]
    return HubDataset(repo_id, commits, **options)


def growing(first: date, n_days: int, n: int = 400) -> dict[date, list[dict[str, Any]]]:
    """Return the models of each day: each day brings two new ones and other counts."""
    models = synthetic_models(n, seed=7, end_day=first)
    fresh = synthetic_models(2 * n_days, seed=8, end_day=first)
    found = {}
    for k, day in enumerate(days_from(first, n_days)):
        for i, model in enumerate(fresh[2 * k : 2 * k + 2]):
            models.append(model | {"createdAt": f"{day}T0{i + 1}:00:00.000Z"})
        found[day] = [
            m | {"downloads": m["downloads"] + (k if m["downloads"] else 0)} for m in models
        ]
    return found


def days_from(first: date, n: int) -> list[date]:
    return [first + timedelta(days=k) for k in range(n)]


DAY = date(2026, 9, 1)
MODELS = synthetic_models(230, seed=5)


def truth(models: list[dict[str, Any]] = MODELS) -> pl.DataFrame:
    page = read_page(json.dumps(models).encode(), datetime(2026, 9, 2, tzinfo=UTC))
    return page.good


def serve(hub: HubServer, data: bytes, day: date = DAY, **options: Any) -> HubDataset:
    """Mount hub-stats with one file of one day, and another file the day before."""
    dataset = daily({day - timedelta(days=1): b"another", day: data}, **options)
    hub.mount(dataset)
    return dataset


def read(
    patience: Patience, day: date = DAY, source: type[HubStats] = HubStats
) -> tuple[pl.DataFrame, dict[str, str], dict[str, int], list[str]]:
    """Return good rows, what is lacking, values left empty, reasons of quarantine."""
    history: History = source(patience)
    at = history.days(day, day)[day]
    blocks = list(history.blocks(at))
    emptied: dict[str, int] = {}
    for block in blocks:
        for why, n in block.emptied.items():
            emptied[why] = emptied.get(why, 0) + n
    odd = pl.concat([b.odd for b in blocks])
    assert sum(b.n_rows for b in blocks) == history.n_rows(at)
    return (
        pl.concat([b.good for b in blocks]),
        history.lacks(at),
        emptied,
        odd["reason"].to_list(),
    )


def make_parts_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small file be read in many parts."""
    monkeypatch.setattr("baimo.pipeline.sources.hub.repository.BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr("baimo.pipeline.sources.hub.repository.PART_BYTES", 1 << 15)
    monkeypatch.setattr("baimo.pipeline.sources.hub.parquet.BLOCK_BYTES", 1 << 14)
