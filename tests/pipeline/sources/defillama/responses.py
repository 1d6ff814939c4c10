"""What DeFiLlama sends of a protocol, and the file of all protocols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

TODAY = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
DAY_OF_LISTING = date(2026, 3, 10)
YESTERDAY = date(2026, 3, 9)
FIRST = date(2026, 1, 1)


def seconds(day: date, offset: int = 0) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + offset


def point(day: date, usd: Any, offset: int = 0) -> dict[str, Any]:
    return {"date": seconds(day, offset), "totalLiquidityUSD": usd}


def history(scale: float = 1.0, until: date = YESTERDAY) -> list[dict[str, Any]]:
    days = [FIRST + timedelta(days=n) for n in range((until - FIRST).days + 1)]
    return [point(day, scale * (100.0 + n)) for n, day in enumerate(days)]


def grid(rows: Mapping[str, Iterable[Any]], until: date = DAY_OF_LISTING) -> bytes:
    days = [until - timedelta(days=n) for n in range(9, -1, -1)]
    lines: list[list[Any]] = [["Protocol", *(f"{d:%d/%m/%Y}" for d in days)], ["Total", *[9] * 10]]
    lines += [[name, *cells] for name, cells in rows.items()]
    return "\n".join(",".join(map(str, line)) for line in lines).encode()
