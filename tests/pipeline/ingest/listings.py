"""Made-up listings: models of the Hub and protocols, page by page or as a published day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from baimo.pipeline.lake.atomic import file_sha256
from baimo.pipeline.lake.receipts import PUBLISHED, Receipt, write_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.defillama import DEFILLAMA_PROTOCOLS
from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.sources.hub.checkpoint import Checkpoint
from baimo.pipeline.sources.hub.crawl import Walk
from baimo.pipeline.sources.hub.rows import Page

DAY = date(2026, 9, 1)
URL = "https://hub.example/api/models?cursor="


def models(ids: Sequence[int], **columns: Any) -> pl.DataFrame:
    """Return models by number, in this order."""
    given: dict[str, Any] = {
        "hub_id": [f"{i:05}" for i in ids],
        "model_id": [f"owner/{i}" for i in ids],
        "downloads": [i % 50 for i in ids],
        "likes": [i % 3 for i in ids],
        "created_at": [datetime(2026, 8, 31, 12, tzinfo=UTC)] * len(ids),
        "source": ["hub"] * len(ids),
    } | columns
    return filled(pl.DataFrame(given), HUB_MODELS.name)


def protocols(ids: Sequence[int], day: date = DAY, source: str = "defillama") -> pl.DataFrame:
    """Return protocols by number, in this order."""
    return filled(
        pl.DataFrame(
            {
                "observed_on": [day] * len(ids),
                "protocol_id": [f"{i:04}" for i in ids],
                "slug": [f"slug-{i}" for i in ids],
                "name": [f"name {i}" for i in ids],
                "category": ["Dexs" if i % 5 else "CEX" for i in ids],
                "tvl_usd": [1e6 + i for i in ids],
                "tvl_is_null": [False] * len(ids),
                "source": [source] * len(ids),
            }
        ),
        DEFILLAMA_PROTOCOLS.name,
    )


def filled(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Return a frame with all columns of a table, the missing ones empty."""
    schema = TABLES[table].schema
    missing = [pl.lit(None, dtype=t).alias(n) for n, t in schema.items() if n not in frame.columns]
    return frame.with_columns(missing).select(list(schema)).cast(dict(schema))  # type: ignore[arg-type]


def walked(
    folder: Path, pages: Sequence[pl.DataFrame], day: date = DAY, *,
    odd: Sequence[dict[str, Any]] = (), empty_pages: int = 0, proven: bool = True,
) -> Walk:  # fmt: skip
    """Return a walk whose pages are saved as the crawl saves them; the odd rows are of the last."""
    spool, saved = Checkpoint(folder), []
    for i, good in enumerate(pages):
        last = i == len(pages) - 1
        here = list(odd) if last else []
        left_out = sum(not record["kept"] for record in here)
        page = Page(good, here, good.height + left_out)
        onward = None if last else f"{URL}{i + 1}"
        saved.append(spool.save(i, f"{URL}{i}", onward, page, proven and last))
    began = datetime(day.year, day.month, day.day, 6, tzinfo=UTC)
    return Walk(saved, began, day.isoformat(), empty_pages, proven)


def odd(n: int, reason: str = "likes is negative", *, kept: bool = False) -> list[dict[str, Any]]:
    """Return records for quarantine."""
    return [{"reason": reason, "kept": kept, "row": f'{{"n": {i}}}'} for i in range(n)]


def published(lake: Lake, table: str, day: date, frame: pl.DataFrame, source: str = "hub") -> Path:
    """Put a day into a lake with its receipt."""
    path = lake.write_table(table, day, frame)
    sha256 = file_sha256(path)
    write_receipt(
        lake,
        Receipt(table, day.isoformat(), source, PUBLISHED, rows=frame.height, sha256=sha256),
    )
    return path
