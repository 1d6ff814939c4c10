"""Where histories of protocols are kept: safe after each one, compact at the end of a run.

`<lake>/defillama_histories/` holds

- `histories-[0-9a-f].parquet`: all points, sorted by protocol and day. The digit is the first of
  the SHA-256 of the protocol's id: sixteen small rewrites instead of one of ten million rows;
- `protocols.parquet`: when each protocol was asked for, and what is stored of it;
- `quarantine.parquet`: what was not valid in each protocol's last answer, with the reason;
- `fresh/`: one file a protocol fetched since the last compaction, with all that is known of it.
  Its rename is the only commit. A compaction moves fresh files into the others and removes them
  last: one killed half-way is done again, to the same bytes.

One process at a time writes (`Checkpoint.held`). Readers see what was compacted.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from baimo.pipeline.errors import LakeError
from baimo.pipeline.lake.atomic import sweep, write_atomically, write_parquet
from baimo.pipeline.schema.defillama import DEFILLAMA_HISTORIES
from baimo.pipeline.schema.table import Dtype

QUIET_DAYS = 30  # between requests for a protocol of which nothing is expected
RECENT_POINTS = 90

_POINTS = DEFILLAMA_HISTORIES.schema
_ODD: dict[str, Dtype] = {"protocol_id": pl.String, "point": pl.String, "reason": pl.String}
_DATES = ("fetched_on", "bulk_on", "unknown_on", "last_day")
_STATES: dict[str, Dtype] = {
    "protocol_id": pl.String,
    "slug": pl.String,
    **dict.fromkeys(_DATES, pl.Date),
    "n_points": pl.Int64,
    "recent_usd": pl.Float64,
}
_KEY = "baimo"


@dataclass(frozen=True)
class State:
    """What is known of one protocol.

    `fetched_on` is the UTC day of its own answer, `bulk_on` that of the file of all protocols,
    `unknown_on` that on which DeFiLlama did not know it; `recent_usd` is the largest TVL of its
    last 90 points.
    """

    protocol_id: str
    slug: str
    fetched_on: date | None = None
    bulk_on: date | None = None
    unknown_on: date | None = None
    last_day: date | None = None
    n_points: int = 0
    recent_usd: float | None = None

    def asked_on(self, bulk: bool) -> date | None:
        """Return the day of the last answer; the file of all protocols counts with `bulk`."""
        days = [d for d in (self.fetched_on, self.bulk_on if bulk else None) if d]
        return max(days, default=None)

    def is_quiet(self, listed_usd: float | None) -> bool:
        """Return whether nothing is expected: worth nothing for long, or no news for long."""
        asked = self.asked_on(bulk=True)
        if self.last_day and asked and (asked - self.last_day).days > RECENT_POINTS:
            return True
        return not listed_usd and not self.recent_usd and not 0 < self.n_points < RECENT_POINTS

    def is_due(
        self, slug: str, listed_usd: float | None, until: date, today: date, bulk: bool
    ) -> bool:
        """Return whether asking again could give points up to `until`, a day that is over."""
        if self.unknown_on:
            return slug != self.slug or (today - self.unknown_on).days >= QUIET_DAYS
        asked = self.asked_on(bulk)
        if asked is None:
            return True
        if asked > until or (self.last_day is not None and self.last_day >= until):
            return False
        return not self.is_quiet(listed_usd) or (today - asked).days >= QUIET_DAYS


def digest(protocol_id: str) -> str:
    """Return the name of a protocol's fresh file; its first digit names the large one."""
    return hashlib.sha256(protocol_id.encode()).hexdigest()


def read_states(folder: Path) -> dict[str, State]:
    """Return what was known of each protocol at the last compaction."""
    rows = _read(folder / "protocols.parquet", _STATES).to_dicts()
    return {row["protocol_id"]: State(**row) for row in rows}


class Store:
    """The folder, held by one process.

    `states` is what is known, `fresh` the part of it that is not compacted yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shard: tuple[str, pl.DataFrame] = ("", pl.DataFrame(schema=_POINTS))
        for place in (folder, folder / "fresh"):
            sweep(place)
        here = {path.stem[-1] for path in folder.glob("histories-?.parquet")}
        self.states = {
            state.protocol_id: state
            for state in read_states(folder).values()
            if not state.n_points or digest(state.protocol_id)[0] in here
        }
        found = [_fresh_state(path) for path in sorted((folder / "fresh").glob("*.parquet"))]
        self.fresh = {state.protocol_id: state for state in found if state}
        self.states |= self.fresh

    def rows(self, protocol_id: str) -> pl.DataFrame:
        """Return the stored points of one protocol, in the columns of the table."""
        if protocol_id in self.fresh:
            whole = _read(self._fresh_path(protocol_id), _POINTS | _ODD)
            return whole.filter(pl.col("reason").is_null()).select(list(_POINTS))
        digit = digest(protocol_id)[0]
        if self._shard[0] != digit:
            self._shard = digit, _read(self._shard_path(digit), _POINTS)
        return self._shard[1].filter(pl.col("protocol_id") == protocol_id)

    def save(self, state: State, rows: pl.DataFrame, odd: list[tuple[str, str]]) -> None:
        """Commit all that is known of one protocol: its points, what was odd, its state."""
        good = rows.sort("day")
        recent: Any = good["tvl_usd"].tail(RECENT_POINTS).max()
        last: Any = good["day"].max()
        state = replace(state, n_points=good.height, last_day=last, recent_usd=recent)
        bad = pl.DataFrame([(state.protocol_id, *pair) for pair in odd], schema=_ODD, orient="row")
        whole = pl.concat([good, bad], how="diagonal")
        meta = {_KEY: json.dumps(asdict(state), default=str)}
        write_atomically(
            self._fresh_path(state.protocol_id),
            lambda path: whole.write_parquet(path, compression="zstd", metadata=meta),
        )
        self.fresh[state.protocol_id] = self.states[state.protocol_id] = state

    def compact(self) -> None:
        """Move the fresh files into the others."""
        shards: dict[str, list[str]] = defaultdict(list)
        for protocol_id in self.fresh:
            shards[digest(protocol_id)[0]].append(protocol_id)
        odd = [pl.DataFrame(schema=_ODD)]
        for digit, ids in shards.items():
            whole = pl.concat([_read(self._fresh_path(i), _POINTS | _ODD) for i in ids])
            is_odd = pl.col("reason").is_not_null()
            odd.append(whole.filter(is_odd).select(list(_ODD)))
            good = whole.filter(~is_odd).select(list(_POINTS))
            _put(self._shard_path(digit), good, ids, ["protocol_id", "day"])
        if not shards:
            return
        _put(self.folder / "quarantine.parquet", pl.concat(odd), list(self.fresh), ["protocol_id"])
        states = [asdict(self.states[i]) for i in sorted(self.states)]
        write_parquet(self.folder / "protocols.parquet", pl.DataFrame(states, schema=_STATES))
        for protocol_id in self.fresh:
            self._fresh_path(protocol_id).unlink(missing_ok=True)
        self.fresh = {}
        self._shard = ("", pl.DataFrame(schema=_POINTS))

    def _fresh_path(self, protocol_id: str) -> Path:
        return self.folder / "fresh" / f"{digest(protocol_id)}.parquet"

    def _shard_path(self, digit: str) -> Path:
        return self.folder / f"histories-{digit}.parquet"


def _put(path: Path, new: pl.DataFrame, ids: list[str], order: list[str]) -> None:
    """Put `new` in the place of all rows of the protocols `ids`."""
    before = _read(path, new.schema)
    kept = before.filter(~pl.col("protocol_id").is_in(ids))
    both = pl.concat([kept, new]).sort(order, maintain_order=True).rechunk()
    if both.height or before.height:
        write_parquet(path, both)


def _read(path: Path, schema: Mapping[str, Dtype]) -> pl.DataFrame:
    """Return a file's columns; no file, no rows."""
    try:
        return pl.read_parquet(path, glob=False, hive_partitioning=False).select(list(schema))
    except FileNotFoundError:
        return pl.DataFrame(schema=schema)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise LakeError(
            f"{path} cannot be read ({error}); remove it, what it held is fetched again"
        ) from error


def _fresh_state(path: Path) -> State | None:
    """Return the state in a fresh file; a damaged one is removed, its protocol fetched again."""
    try:
        raw = json.loads(pl.read_parquet_metadata(path)[_KEY])
        days = {name: raw[name] and date.fromisoformat(raw[name]) for name in _DATES}
        return State(**{**raw, **days})
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        path.unlink(missing_ok=True)
        return None
