"""From what DeFiLlama answers to valid daily points of TVL; everything else with a reason.

A point is the TVL at the start of its UTC day; days that are not over are left for later. An
answer ends with the newest hourly value: it is left out where its day has another point.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Required, TypedDict

import polars as pl

from baimo.pipeline.sources.http import Response, UnreadableError

LARGEST_USD = 1e15
FIRST_DAY = date(2009, 1, 3)  # the first block of Bitcoin
_DAY = 86_400


class OddError(Exception):
    """A point or a file that is not what it should be."""


@dataclass(frozen=True)
class Points:
    """Points of one protocol.

    `good` maps UTC day to USD; `odd` holds what is not valid as it came, and why; `unfinished`
    counts points of days that were not over.
    """

    good: dict[date, float]
    odd: list[tuple[str, str]]
    unfinished: int = 0

    def frame(self) -> pl.DataFrame:
        """Return columns day (Date) and new (Float64, USD)."""
        days = {"day": list(self.good), "new": list(self.good.values())}
        return pl.DataFrame(days, schema={"day": pl.Date, "new": pl.Float64})


class HistoryBody(TypedDict, total=False):
    """The fields that are read of the answer to GET /protocol/{slug}."""

    id: object
    name: object
    tvl: Required[list[object]]


def read_response(answer: Response) -> HistoryBody:
    """Return the body of GET /protocol/{slug}.

    Raises
    ------
    UnreadableError
        It is not JSON, or holds no list of points.
    """
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise UnreadableError("the answer is not JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get("tvl"), list):
        raise UnreadableError("the answer holds no list of points")
    return {"id": body.get("id"), "name": body.get("name"), "tvl": body["tvl"]}


def read_points(points: list[object], today: date) -> Points:
    """Return the daily points among `points` ({date: seconds, totalLiquidityUSD: USD})."""
    found: list[tuple[float, date, float]] = []
    odd: list[tuple[str, str]] = []
    for point in points:
        try:
            found.append(_point(point, today))
        except OddError as error:
            odd.append((json.dumps(point), str(error)))
    found.sort(key=lambda p: p[0])  # stable: of one moment, the later in the answer stands
    n_found = len(found)
    if n_found > 1 and found[-1][0] % _DAY and found[-1][1] == found[-2][1]:
        found.pop()
    finished = [p for p in found if p[1] < today]
    return Points({day: usd for _, day, usd in finished}, odd, n_found - len(finished))


def _point(point: object, today: date) -> tuple[float, date, float]:
    if not isinstance(point, dict):
        raise OddError("the point is no object")
    seconds = point.get("date")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise OddError("date is not a number of seconds")
    try:
        day = datetime.fromtimestamp(seconds, UTC).date()
    except (OverflowError, OSError, ValueError):
        raise OddError("date is not a date") from None
    if day > today:
        raise OddError("date lies in the future")
    if day < FIRST_DAY:
        raise OddError(f"date is before {FIRST_DAY}")
    return seconds, day, _usd(point.get("totalLiquidityUSD"))


def _usd(value: object) -> float:
    if value is None:
        raise OddError("TVL is missing")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OddError("TVL is not a number")
    if not abs(value) < math.inf:
        raise OddError("TVL is not finite")
    if value < 0:
        raise OddError("TVL is negative")
    if value > LARGEST_USD:
        raise OddError("TVL is above a quadrillion USD")
    return float(value)


def read_grid(body: bytes) -> tuple[list[date], dict[str, str]]:
    """Return the days (columns) and, for each name that occurs once, its line.

    Lines stay as they are until `read_row`: their cells together would take a gigabyte.

    Raises
    ------
    OddError
        The file is not the table known: `Protocol,<dd/mm/yyyy>,…`.
    """
    try:
        header, *lines = body.decode("utf-8-sig").replace("\r\n", "\n").rstrip("\n").split("\n")
        head = header.split(",")
        days = [datetime.strptime(cell, "%d/%m/%Y").date() for cell in head[1:]]
    except ValueError:
        raise OddError("it is not the known table") from None
    if head[0] != "Protocol" or len(days) < 2 or days != sorted(set(days)):
        raise OddError("its header is not the known one")
    if lines and len(_cells(lines[-1])) <= len(days):
        lines.pop()  # nothing tells a last line that ends early from one that was cut
    named = [
        (_cells(line[:1000])[0] if line[:1] == '"' else line.split(",", 1)[0], line)
        for line in lines
    ]
    times = Counter(name for name, _ in named)
    return days, {name: line for name, line in named if times[name] == 1 and name != "Total"}


def _cells(line: str) -> list[str]:
    return next(csv.reader([line]), [""])


def read_row(days: list[date], line: str, today: date) -> Points | None:
    """Return the points of one line, None where it cannot be trusted.

    DeFiLlama's server writes names without quotes, repeats the last value of a history that has
    ended, and puts the newest hourly value into the last column: neither is the point of its day.
    """
    cells = _cells(line)[1:]
    if len(cells) > len(days):
        return None  # shifted by a comma in the name
    given: list[tuple[date, float]] = []
    for day, cell in zip(days, cells, strict=False):
        try:
            if cell.strip():
                given.append((day, float(cell)))
        except ValueError:
            return None
    while len(given) > 1 and given[-1][1] == given[-2][1]:
        given.pop()
    good: dict[date, float] = {}
    odd: list[tuple[str, str]] = []
    for day, value in given:
        if day >= min(today, days[-1]):
            continue
        try:
            good[day] = _usd(value)
        except OddError as error:
            odd.append((f"{day} {value}", str(error)))
    return Points(good, odd)
