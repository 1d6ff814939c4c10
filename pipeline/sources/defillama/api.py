"""DeFiLlama's free API: today's protocols and chains.

Every row is in its table with the right types or in quarantine with a reason. Nothing is left out
here: categories that are no DeFi, double counting and parents are views
(`baimo.pipeline.datasets.views`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeVar

import polars as pl

from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.raw import RawRow, RawRows
from baimo.pipeline.settings import defillama_url
from baimo.pipeline.sources.http import (
    Notice,
    Patience,
    Response,
    UnreadableError,
    fetch,
    plain_sender,
    silent,
)

PACE_SECONDS = 0.2
BLOCKED = (403,)  # Cloudflare under load
SOURCE = "defillama"
_FIRST_LISTING = datetime(2009, 1, 3, tzinfo=UTC)  # the first block of Bitcoin
_LARGEST_USD = 1e15
V = TypeVar("V")


@dataclass(frozen=True, eq=False)
class Listing:
    """Rows of one answer: those in the table, those in quarantine, repeats removed."""

    good: pl.DataFrame
    odd: RawRows
    n_rows: int
    n_repeats: int


class DefiLlama:
    """The API behind one polite session.

    Parameters
    ----------
    patience, notice
        See `http.fetch`.
    """

    def __init__(
        self,
        patience: Patience | None = None,
        notice: Notice = silent,
    ) -> None:
        self._patience = patience or Patience(whole=120.0)
        self.notice = notice
        self._send = plain_sender()
        self._last = 0.0
        self.base = defillama_url()
        self.requests = 0

    def get(self, path: str, read: Callable[[Response], V]) -> V:
        """Get a path, at most five a second, and return what `read` makes of it."""

        def paced(url: str, seconds: float) -> Response:
            early = PACE_SECONDS - (time.monotonic() - self._last)
            if early > 0:
                time.sleep(early)
            self._last = time.monotonic()
            self.requests += 1
            return self._send(url, seconds)

        return fetch(
            paced,
            self.base + path,
            read,
            patience=self._patience,
            notice=self.notice,
            blocked=BLOCKED,
        )

    def protocols(self, day: date) -> Listing:
        """Return all protocols: GET /protocols."""
        return read_protocols(self.get("/protocols", _rows), day)

    def chains(self) -> Listing:
        """Return all chains: GET /v2/chains."""
        return _listing(self.get("/v2/chains", _rows), _chain, "defillama_chains", "chain")


def read_protocols(rows: list[object], day: date) -> Listing:
    """Read the rows of an answer to /protocols; never raises for what a row holds."""
    return _listing(rows, lambda row: _protocol(row, day), "defillama_protocols", "protocol_id")


def _rows(answer: Response) -> list[object]:
    try:
        rows = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise UnreadableError("the answer is not JSON") from None
    if not isinstance(rows, list):
        raise UnreadableError("the answer is no list")
    if not rows:
        raise UnreadableError("the list is empty")
    return rows


class _OddError(Exception):
    """A value that is not what its column holds."""


def _listing(
    rows: list[object],
    read: Callable[[RawRow], tuple[RawRow, list[str]]],
    table: str,
    key: str,
) -> Listing:
    good: dict[object, RawRow] = {}
    odd: RawRows = []
    repeats = 0
    for row in rows:
        try:
            if not isinstance(row, dict):
                raise _OddError("the row is no object")
            found, lost = read(row)
        except _OddError as error:
            odd.append({"reason": str(error), "row": json.dumps(row), "kept": False})
            continue
        if found[key] in good:
            repeats += 1
            continue
        good[found[key]] = found
        odd += [{"reason": f"{r}: left empty", "row": json.dumps(row), "kept": True} for r in lost]
    schema = TABLES[table].schema
    frame = pl.DataFrame(list(good.values()), schema=schema, orient="row").sort(key)
    return Listing(frame, odd, len(rows), repeats)


def _protocol(row: RawRow, day: date) -> tuple[RawRow, list[str]]:
    found: RawRow = {
        "observed_on": day,
        "protocol_id": _required(row, "id", _identifier),
        "name": _required(row, "name", _text),
        "source": SOURCE,
    }
    tvl = _usd(row, "tvl")
    if tvl is not None and tvl < 0:
        raise _OddError("tvl is negative")
    found |= {"tvl_usd": tvl or 0.0, "tvl_is_null": tvl is None}
    lost: list[str] = []

    def may(read: Callable[[RawRow, str], V | None], part: RawRow, name: str) -> V | None:
        try:
            return read(part, name)
        except _OddError as error:
            lost.append(str(error))
            return None

    places = may(_object, row, "chainTvls") or {}
    found |= {
        "slug": may(_text, row, "slug"),
        "category": may(_text, row, "category"),
        "listed_at": may(_listed, row, "listedAt"),
        "parent_protocol": may(_text, row, "parentProtocol"),
        "forked_from": may(_joined, row, "forkedFrom"),
        "chains": may(_joined, row, "chains"),
        "change_1d": may(_number, row, "change_1d"),
        "change_7d": may(_number, row, "change_7d"),
        "mcap_usd": may(_usd, row, "mcap"),
        "borrowed_usd": may(_usd, places, "borrowed"),
        "staking_usd": may(_usd, places, "staking"),
        "pool2_usd": may(_usd, places, "pool2"),
        "doublecounted": may(_flag, row, "doublecounted"),
        "outside_parent": may(_flag, row, "excludeTvlFromParent"),
        "dead_from": may(_day, row, "deadFrom"),
        "deprecated": may(_flag, row, "deprecated"),
        "rugged": may(_flag, row, "rugged"),
    }
    return found, lost


def _chain(row: RawRow) -> tuple[RawRow, list[str]]:
    lost: list[str] = []
    tvl = _usd(row, "tvl")
    if tvl is None or tvl < 0:
        raise _OddError("tvl is missing" if tvl is None else "tvl is negative")
    found: RawRow = {"chain": _required(row, "name", _text), "tvl_usd": tvl}
    for column, name, read in (
        ("token", "tokenSymbol", _text),
        ("gecko_id", "gecko_id", _text),
        ("chain_id", "chainId", _identifier),
    ):
        try:
            found[column] = read(row, name)
        except _OddError as error:
            lost.append(str(error))
            found[column] = None
    return found, lost


def _required(row: RawRow, name: str, read: Callable[[RawRow, str], V | None]) -> V:
    value = read(row, name)
    if value is None or value == "":
        raise _OddError(f"{name} is missing")
    return value


def _text(row: RawRow, name: str) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _OddError(f"{name} is not text")
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise _OddError(f"{name} is not valid Unicode")
    return value


def _identifier(row: RawRow, name: str) -> str | None:
    """Return an id, which some endpoints give as a number."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(row, name)


def _number(row: RawRow, name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _OddError(f"{name} is not a number")
    if not abs(value) < 1e300:
        raise _OddError(f"{name} is not finite")
    return float(value)


def _usd(row: RawRow, name: str) -> float | None:
    value = _number(row, name)
    if value is not None and abs(value) > _LARGEST_USD:
        raise _OddError(f"{name} is above a quadrillion USD")
    return value


def _object(row: RawRow, name: str) -> RawRow | None:
    value = row.get(name)
    if value is not None and not isinstance(value, dict):
        raise _OddError(f"{name} has another shape")
    return value


def _joined(row: RawRow, name: str) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise _OddError(f"{name} is not a list of texts")
    texts = [_text({name: v}, name) for v in value]
    return ",".join(t for t in texts if t) or None


def _flag(row: RawRow, name: str) -> bool | None:
    value = row.get(name)
    if value is not None and not isinstance(value, bool):
        raise _OddError(f"{name} is not true or false")
    return value


def _day(row: RawRow, name: str) -> date | None:
    """Return a day that is given as YYYY-MM-DD or in seconds."""
    value = row.get(name)
    if not isinstance(value, str):
        return _listed(row, name)
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        raise _OddError(f"{name} is not a date") from None


def _listed(row: RawRow, name: str) -> date | None:
    seconds = _number(row, name)
    if seconds is None:
        return None
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise _OddError(f"{name} is not a date") from None
    if moment < _FIRST_LISTING or moment.year > 2200:
        raise _OddError(f"{name} is not a date")
    return moment.date()
