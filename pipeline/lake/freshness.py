"""Whether the day is there that should be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from baimo.pipeline.lake.receipts import published_days, read_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.settings import DEADLINE_HOUR

DAYS_BACK = 30


@dataclass(frozen=True)
class Freshness:
    """What a table lacks: `missing` of the last thirty days since its first, today if late."""

    last: date | None
    missing: tuple[date, ...]
    late: bool
    verdict: str


def freshness(lake: Lake, table: str, now: datetime) -> Freshness:
    """Look whether today is published, or still has time until the deadline (UTC)."""
    days = published_days(lake, table)
    due = now.date() if now.hour >= DEADLINE_HOUR else now.date() - timedelta(days=1)
    first = max(days[0], due - timedelta(days=DAYS_BACK)) if days else due
    wanted = [first + timedelta(days=i) for i in range((due - first).days + 1)]
    missing = tuple(d for d in wanted if d not in set(days))
    late = due in missing
    verdict = "holds"
    if late:
        receipt = read_receipt(lake, table, due)
        why = receipt.why if receipt and receipt.why else "no refresh was tried"
        verdict = f"{due} is not published: {why}"
    return Freshness(days[-1] if days else None, missing, late, verdict)
