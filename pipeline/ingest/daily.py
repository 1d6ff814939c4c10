"""What the daily job does for one day: fetch today, finish last night's walk, fill the past."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from baimo.pipeline.errors import SourceError
from baimo.pipeline.ingest.backfill import backfill_defillama, backfill_hub
from baimo.pipeline.ingest.refresh import (
    Refreshed,
    finish_hub,
    refresh_defillama,
    refresh_hub,
    utc_now,
)
from baimo.pipeline.lake.receipts import PUBLISHED, Receipt, is_published, read_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.settings import lake_dir
from baimo.pipeline.sources.hub.crawl import Progress

_EVERY_PAGES = 100


def publish_hub(
    day: date, say: Callable[[str], None], *, trust: bool = False
) -> tuple[Receipt, str]:
    """Publish the Hub's listing of `day`; return its receipt and path.

    Raises
    ------
    PipelineError
        Nothing was published.
    """

    def show(at: Progress) -> None:
        if at.pages % _EVERY_PAGES == 0:
            left = "" if at.requests_left is None else f", {at.requests_left:,} requests left"
            say(f"{at.rows:,} models, {at.pages:,} pages{left}")

    return _publish(
        "hub_models",
        day,
        lambda lake: refresh_hub(lake, trust=trust, progress=show, notice=say),
        lambda lake: finish_hub(lake, day, trust=trust, progress=show, notice=say),
        lambda lake: backfill_hub(lake, day, day, notice=say),
    )


def publish_defillama(
    day: date, say: Callable[[str], None], *, trust: bool = False
) -> tuple[Receipt, str]:
    """Publish DeFiLlama's protocols of `day`; return their receipt and path.

    Raises
    ------
    PipelineError
        Nothing was published.
    """
    return _publish(
        "defillama_protocols",
        day,
        lambda lake: refresh_defillama(lake, trust=trust, notice=say),
        lambda _: None,
        lambda lake: backfill_defillama(lake, day, day, notice=say),
    )


def _publish(
    name: str,
    day: date,
    refresh: Callable[[Lake], Refreshed],
    finish: Callable[[Lake], Refreshed | None],
    backfill: Callable[[Lake], list[Receipt]],
) -> tuple[Receipt, str]:
    lake = Lake(lake_dir())
    if is_published(lake, name, day):
        receipt = read_receipt(lake, name, day)
        assert receipt is not None
        return receipt, str(lake.path(name, day))
    over = day != utc_now().date()
    refreshed = finish(lake) if over else refresh(lake)
    if refreshed is None:
        (receipt,) = backfill(lake)
        if receipt.outcome != PUBLISHED:
            raise SourceError(f"{name} of {day} cannot be filled: {receipt.why}")
        return receipt, str(lake.path(name, day))
    if refreshed.receipt.day != day.isoformat():
        raise SourceError(
            f"midnight has passed: {refreshed.receipt.day} is published; run that day"
        )
    return refreshed.receipt, refreshed.path
