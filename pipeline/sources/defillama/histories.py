"""Daily TVL histories of DeFiLlama's protocols: one request each, only for what is new.

`fetch_histories` asks for each protocol that can have new points and keeps every answer at once
(`store`); `protocols_of_day` makes the listing of a past day from them. A value that a
later answer changes is replaced, one that it lacks is kept, gaps stay gaps; what is no valid
point is in quarantine with its reason (`points`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote

import polars as pl

from baimo.pipeline.errors import IncompleteError, LakeError, SourceError
from baimo.pipeline.lake.lock import locked
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.defillama import DEFILLAMA_HISTORIES
from baimo.pipeline.sources.defillama.api import DefiLlama
from baimo.pipeline.sources.defillama.points import (
    HistoryBody,
    OddError,
    Points,
    read_grid,
    read_points,
    read_response,
    read_row,
)
from baimo.pipeline.sources.defillama.store import State, Store, digest, read_states
from baimo.pipeline.sources.http import RefusedError, shown

MOST_FAILURES, LONGEST_FAILURE = 20, 600.0  # protocols in a row; seconds
COVERAGE = 0.95
SOURCE = "defillama_history"
# Without the two options the file leaves out double-counted protocols and liquid staking
# (DefiLlama/defillama-server, defi/src/getSimpleChainDataset.ts).
BULK_PATH = "/simpleChainDataset/All.csv?doublecounted=true&liquidstaking=true"

LACKS = {
    "change_1d": "histories do not hold the change shown that day; compute it from tvl_usd",
    "change_7d": "histories do not hold the change shown that day; compute it from tvl_usd",
    "mcap_usd": "histories do not hold the market value of the token",
    "borrowed_usd": "only the total of a day is kept",
    "staking_usd": "only the total of a day is kept",
    "pool2_usd": "only the total of a day is kept",
    "deprecated": "the listing tells what was so on its own day",
    "rugged": "the listing tells what was so on its own day",
}
"""Column of defillama_protocols -> why `protocols_of_day` leaves it empty."""

Clock = Callable[[], datetime]


class StoppedError(SourceError):
    """Too many protocols in a row gave nothing; what was fetched before is kept."""


@dataclass(frozen=True)
class HistoriesProgress:
    """Where a run stands: protocols done of those due, how many failed, points of its answers."""

    done: int
    due: int
    failed: int
    points: int
    slug: str


@dataclass(frozen=True, kw_only=True)
class HistoriesReport:
    """What a run came to; each protocol is in one of the first six (unknown, failed: by slug).

    Points are those of this run: `revised` have another value than before, `withdrawn` are
    stored but no longer in the answer, `odd` are in quarantine, `unfinished` belong to a day that
    was not over. `notes` say what else a reader should know.
    """

    up_to_date: int
    fetched: int
    from_bulk: int
    without_slug: int
    unknown: tuple[str, ...]
    failed: Mapping[str, str]
    points_new: int
    points_revised: int
    points_withdrawn: int
    points_odd: int
    points_unfinished: int
    requests: int
    notes: tuple[str, ...]


def fetch_histories(
    lake: Lake,
    api: DefiLlama,
    protocols: pl.DataFrame,
    *,
    until: date,
    now: Clock = lambda: datetime.now(UTC),
    progress: Callable[[HistoriesProgress], None] = lambda _: None,
    refetch: bool = False,
    bulk: bool = False,
) -> HistoriesReport:
    """Fetch what is new of the histories of `protocols` into the lake.

    A protocol is asked for if it never was, or if its history ends before `until` (at the latest
    yesterday) and it was last asked before that day was over. Every 30 days only: one worth
    nothing in the listing and in its last 90 points, one without a point for 90 days, one that
    DeFiLlama does not know.

    Parameters
    ----------
    protocols
        Rows of defillama_protocols: protocol_id and slug; tvl_usd (USD) tells the dead, name is
        needed for `bulk`.
    until
        Last day wanted (UTC).
    refetch
        Ask for all again; after a kill, for those not yet asked again that day.
    bulk
        Take what the file of all protocols holds, one undocumented request, and ask for the
        others only. Its points never replace those of a protocol's own answer.

    Raises
    ------
    StoppedError
        Twenty protocols in a row, or all for ten minutes, gave nothing.
    BusyError
        Another process fetches histories.
    LakeError
        The lake cannot be read or written.
    """
    folder = lake.root / DEFILLAMA_HISTORIES.name
    with locked(folder):
        run = _Run(Store(folder), api, now, progress)
        try:
            run.fetch(protocols, until, refetch, bulk)
        except SourceError:
            run.store.compact()
            raise
        run.store.compact()
        return run.report()


class _GaveNothingError(Exception):
    """An answer that is valid but of no use; says why."""


class _Listed(NamedTuple):
    """What is needed of a row of the listing."""

    protocol_id: str
    slug: str
    name: str | None
    tvl_usd: float | None


class _Run:
    def __init__(
        self,
        store: Store,
        api: DefiLlama,
        now: Clock,
        progress: Callable[[HistoriesProgress], None],
    ) -> None:
        self.store, self._api, self._now = store, api, now
        self._progress, self._notice = progress, api.notice
        self._requests = api.requests
        self._count: Counter[str] = Counter()
        self._failed: dict[str, str] = {}
        self._unknown: list[str] = []
        self._notes: list[str] = []
        self._unsure: list[State] = []  # unknown, but perhaps only the address is wrong
        self._in_a_row = 0
        self._last_success = time.monotonic()

    def fetch(self, protocols: pl.DataFrame, until: date, refetch: bool, bulk: bool) -> None:
        today = self._now().date()
        until = min(until, today - timedelta(days=1))
        listed = _rows_of(protocols)
        rows = [row for row in listed if row.slug]
        again = {i for i, s in self.store.fresh.items() if s.fetched_on == today}
        due = [
            row
            for row in rows
            if (refetch and row.protocol_id not in again)
            or (not refetch and self._is_due(row, until, today, bulk))
        ]
        self._count["without_slug"] = len(listed) - len(rows)
        self._count["up_to_date"] = len(rows) - len(due)
        if bulk and due:
            due = self._take_bulk(due, Counter(row.name for row in listed), today)
        # Neighbours in the listing have no say in what fails in a row, and one large file of the
        # store is in memory at a time.
        due.sort(key=lambda row: digest(row.protocol_id))
        for done, row in enumerate(due, 1):
            self._ask(row.protocol_id, row.slug)
            n_points = self._count["new"] + self._count["same"]
            self._progress(HistoriesProgress(done, len(due), len(self._failed), n_points, row.slug))
        self._believe_unknown()

    def report(self) -> HistoriesReport:
        count = self._count
        return HistoriesReport(
            up_to_date=count["up_to_date"],
            fetched=count["fetched"],
            from_bulk=count["from_bulk"],
            without_slug=count["without_slug"],
            unknown=tuple(sorted(self._unknown)),
            failed=dict(sorted(self._failed.items())),
            points_new=count["new"],
            points_revised=count["revised"],
            points_withdrawn=count["withdrawn"],
            points_odd=count["odd"],
            points_unfinished=count["unfinished"],
            requests=self._api.requests - self._requests,
            notes=tuple(self._notes),
        )

    def _is_due(self, row: _Listed, until: date, today: date, bulk: bool) -> bool:
        state = self.store.states.get(row.protocol_id)
        return state is None or state.is_due(row.slug, row.tvl_usd, until, today, bulk)

    def _ask(self, protocol_id: str, slug: str) -> None:
        try:
            body = self._api.get(f"/protocol/{quote(slug, safe='')}", read_response)
            points = _points_of(body, protocol_id, self._now().date())
        except RefusedError as error:
            if error.status == 404 or (error.status == 400 and "not found" in str(error).lower()):
                self._note_unknown(protocol_id, slug)
            else:
                self._note_failed(slug, str(error))
        except (SourceError, _GaveNothingError) as error:
            self._note_failed(slug, str(error))
        else:
            self._keep(protocol_id, slug, points, bulk=False)
            self._count["fetched"] += 1
            self._in_a_row, self._last_success = 0, time.monotonic()
            self._believe_unknown()

    def _keep(self, protocol_id: str, slug: str, points: Points, *, bulk: bool) -> None:
        today = self._now().date()
        rows, counts = _merged(protocol_id, self.store.rows(protocol_id), points, bulk)
        state = self.store.states.get(protocol_id, State(protocol_id, slug))
        if bulk:
            state = replace(state, slug=slug, bulk_on=today)
        else:
            state = replace(state, slug=slug, fetched_on=today, unknown_on=None)
        self.store.save(state, rows, points.odd)
        self._count += counts

    def _note_failed(self, slug: str, why: str) -> None:
        self._failed[slug] = why
        self._notice(f"{slug}: {why}")
        self._check_row(f"{slug}: {why}")

    def _note_unknown(self, protocol_id: str, slug: str) -> None:
        before = self.store.states.get(protocol_id, State(protocol_id, slug))
        self._unknown.append(slug)
        self._unsure.append(replace(before, slug=slug, unknown_on=self._now().date()))
        if before.unknown_on is None:
            self._check_row(f"{slug} is not known at {shown(self._api.base)}")

    def _believe_unknown(self) -> None:
        for state in self._unsure:
            self.store.save(state, self.store.rows(state.protocol_id), [])
        self._unsure.clear()

    def _check_row(self, why: str) -> None:
        self._in_a_row += 1
        lasts = time.monotonic() - self._last_success > LONGEST_FAILURE and self._in_a_row > 2
        if self._in_a_row >= MOST_FAILURES or lasts:
            raise StoppedError(
                f"{self._in_a_row} protocols in a row gave nothing, the last {why}. Stopped: what "
                "was fetched is kept; run the same again later, it goes on from there"
            )

    def _take_bulk(
        self, due: list[_Listed], names: Counter[str | None], today: date
    ) -> list[_Listed]:
        """Keep what the file of all protocols has; return the protocols that it has not."""
        left: list[_Listed] = []
        try:
            days, lines = read_grid(self._api.get(BULK_PATH, lambda answer: answer.body))
        except (SourceError, OddError) as error:
            self._note(f"no file of all protocols ({error}); asking for each protocol")
            return due
        for row in due:
            line = lines.get(row.name) if row.name and names[row.name] == 1 else None
            points = read_row(days, line, today) if line else None
            if points is None or not points.good:
                left.append(row)
                continue
            self._keep(row.protocol_id, row.slug, points, bulk=True)
            self._count["from_bulk"] += 1
        self._note(
            f"the file of all protocols has {len(due) - len(left):,} of {len(due):,}; it leaves "
            "out zeros, and its dates are taken as days of UTC"
        )
        return left

    def _note(self, text: str) -> None:
        self._notes.append(text)
        self._notice(text)


def _rows_of(protocols: pl.DataFrame) -> list[_Listed]:
    """Return the first row of each protocol; a column that the frame has not is None."""
    rows = protocols.unique("protocol_id", keep="first", maintain_order=True)
    absent = [pl.lit(None).alias(c) for c in _Listed._fields if c not in rows.columns]
    return [_Listed(*row) for row in rows.with_columns(absent).select(_Listed._fields).rows()]


def _points_of(body: HistoryBody, protocol_id: str, today: date) -> Points:
    """Return the points of an answer that is of this protocol and not all odd."""
    given = body.get("id")
    if given is not None and protocol_id not in (str(given), body.get("name")):
        raise _GaveNothingError(f"the answer is of another protocol ({given}), not {protocol_id}")
    points = read_points(body["tvl"], today)
    if len(points.odd) >= 20 and len(points.odd) == len(body["tvl"]):
        raise _GaveNothingError(
            f"none of {len(points.odd):,} points is valid (first: {points.odd[0][1]})"
        )
    return points


def _merged(
    protocol_id: str, stored: pl.DataFrame, points: Points, bulk: bool
) -> tuple[pl.DataFrame, Counter[str]]:
    """Return stored and new points of a protocol as one, and how many are of which kind."""
    both = stored.join(points.frame(), on="day", how="full", coalesce=True)
    old, new = pl.col("tvl_usd"), pl.col("new")
    own = old.is_not_null() & ~pl.col("from_bulk")
    counts = both.select(
        new=old.is_null().sum(),
        same=(old == new).sum(),
        revised=(own & (old != new)).sum(),
        withdrawn=(own & new.is_null()).sum(),
    ).row(0, named=True)
    if bulk:
        value = pl.when(own).then(old).otherwise(pl.coalesce(new, old))
        from_bulk = ~own
        counts |= {"revised": 0, "withdrawn": 0}
    else:
        value = pl.coalesce(new, old)
        from_bulk = new.is_null() & ~own
    rows = both.select(
        pl.lit(protocol_id).alias("protocol_id"), "day", tvl_usd=value, from_bulk=from_bulk
    )
    return rows, Counter({**counts, "odd": len(points.odd), "unfinished": points.unfinished})


def scan_histories(lake: Lake) -> pl.LazyFrame:
    """Return all stored points: protocol_id, day, tvl_usd (USD), from_bulk.

    Raises
    ------
    LakeError
        None are stored.
    """
    folder = lake.root / DEFILLAMA_HISTORIES.name
    files = sorted(folder.glob("histories-?.parquet"))
    if not files:
        raise LakeError(f"no histories in {folder}; fetch them first: baimo backfill")
    return pl.scan_parquet(files, glob=False, hive_partitioning=False)


def protocols_of_day(lake: Lake, day: date, listing: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the protocols of a past day under the columns of defillama_protocols.

    Survivors only: protocols of `listing` that have a point on `day`; gaps are not filled. What
    does not change is taken from the listing; `LACKS` names what is left empty.

    Parameters
    ----------
    listing
        A frame of defillama_protocols; by default the newest listing in the lake.

    Raises
    ------
    IncompleteError
        Under 95 % of the listed protocols were asked since that day, or none has a point on it.
    LakeError
        No listing or no histories are in the lake.
    """
    table = TABLES["defillama_protocols"]
    listing = _newest_listing(lake) if listing is None else listing
    points = scan_histories(lake).filter(pl.col("day") == day).drop("day", "from_bulk").collect()
    _check_coverage(lake, listing, day)
    empty = {*LACKS, *table.names} - ({*listing.columns} - {*LACKS})  # older listings have fewer
    own = {"observed_on", "tvl_usd", "tvl_is_null", "source", *empty}
    kept = listing.select(name for name in table.names if name not in own)
    found = kept.join(points, on="protocol_id", how="inner")
    if found.is_empty():
        raise IncompleteError(f"no stored history has a point on {day}; choose another day")
    return (
        found.with_columns(
            pl.lit(day).alias("observed_on"),
            pl.lit(False).alias("tvl_is_null"),
            pl.lit(SOURCE).alias("source"),
            *(pl.lit(None, table.schema[name]).alias(name) for name in empty),
        )
        .select(table.names)
        .sort("protocol_id")
    )


def _newest_listing(lake: Lake) -> pl.DataFrame:
    """Return the newest listing that was not itself made from histories."""
    name = "defillama_protocols"
    for day in reversed(lake.days(name)):
        listing = lake.read_table(name, day)
        if not (listing["source"] == SOURCE).any():
            return listing
    raise LakeError(f"no listing of protocols is in {lake.root}; fetch one first: baimo refresh")


def _check_coverage(lake: Lake, listing: pl.DataFrame, day: date) -> None:
    states = read_states(lake.root / DEFILLAMA_HISTORIES.name)
    with_slug = listing.filter(pl.col("slug").is_not_null())
    n_asked = 0
    for protocol_id, usd in with_slug.select("protocol_id", "tvl_usd").iter_rows():
        state = states.get(protocol_id)
        asked = state.asked_on(bulk=True) if state else None
        if state and (state.unknown_on or (asked and (asked > day or state.is_quiet(usd)))):
            n_asked += 1
    if n_asked < COVERAGE * with_slug.height:
        raise IncompleteError(
            f"of {with_slug.height:,} listed protocols only {n_asked:,} were asked for their "
            f"history since {day}; fetch the rest first: baimo backfill"
        )
