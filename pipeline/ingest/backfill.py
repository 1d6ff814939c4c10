"""Past days: from bulk datasets and histories into the lake, a day at a time.

What `baimo backfill` calls. A day is published once, whole, checked, with a receipt that says
where it comes from and what it lacks; a day that the source has not, or that does not pass, leaves
a receipt with the reason, and the next day follows. Nothing is filled in: no day from its
neighbours, no column that the source lacks. When the network fails, what was done stays, and the
same call goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import polars as pl

from baimo.pipeline.errors import LakeError, SourceError
from baimo.pipeline.ingest.acceptance import (
    few_in_quarantine,
    no_absurd_total,
    refuse_if_failed,
    size_against_the_last,
    zeros_share,
)
from baimo.pipeline.ingest.backfill_days import NothingError, Progress, Walk, last_before, past_days
from baimo.pipeline.ingest.backfill_hub import NEAR_DAYS, first_rows, publish_past_models
from baimo.pipeline.ingest.publish import write_blocks
from baimo.pipeline.ingest.refresh import Clock, utc_now
from baimo.pipeline.lake.atomic import file_sha256, write_parquet
from baimo.pipeline.lake.external_sort import Runs
from baimo.pipeline.lake.lock import locked
from baimo.pipeline.lake.receipts import PUBLISHED, Receipt, published_days, read_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.hub import HUB_DOWNLOADS_DAILY
from baimo.pipeline.sources.defillama.api import SOURCE as LISTED, DefiLlama
from baimo.pipeline.sources.defillama.histories import (
    LACKS as HISTORIES_LACK,
    SOURCE as FROM_HISTORIES,
    HistoriesProgress,
    fetch_histories,
    protocols_of_day,
    scan_histories,
)
from baimo.pipeline.sources.http import Notice, Patience, silent
from baimo.pipeline.sources.hub.daily_downloads import Characterization
from baimo.pipeline.sources.hub.dumps import SOURCES, Available, History

MODELS, PROTOCOLS = "hub_models", "defillama_protocols"
DOWNLOADS = HUB_DOWNLOADS_DAILY.name
SURVIVORS = (
    "survivors only: protocols that are still listed and have a value on that day; what died "
    "before the listing is not in it"
)


def backfill_hub(
    lake: Lake,
    first: date,
    last: date,
    *,
    source: str = "hub-stats",
    patience: Patience | None = None,
    notice: Notice = silent,
    progress: Progress = lambda _: None,
    now: Clock = utc_now,
) -> list[Receipt]:
    """Publish past days of `hub_models` that are not published yet.

    Parameters
    ----------
    first, last
        Days (UTC), both included; at the latest yesterday.
    source
        hub-stats (daily) or weekly.

    Returns
    -------
    list[Receipt]
        One for each day, ascending; for a day published before, the one it has.

    Raises
    ------
    PastError
        The days are not past days.
    UnreachableError, RefusedError, ForeignHostError
        The Hub cannot be read; days done before stay.
    BusyError
        A refresh of the table is under way.
    LakeError
        The lake cannot be written.
    """
    days = past_days(first, last, now)
    if source not in SOURCES:
        raise SourceError(f"no source of past days is called {source}; take {' or '.join(SOURCES)}")
    with locked(lake.root / "crawling" / MODELS):
        walk = Walk(lake, MODELS, source, days, notice, progress)
        history: History = SOURCES[source](patience, notice)
        there: dict[date, Available] = {}
        if wanted := walk.wanted:
            notice(f"looking for {len(wanted):,} day{'s' * (len(wanted) > 1)} in {history.repo_id}")
            there = history.days(wanted[0], wanted[-1])

        def publish(day: date) -> Receipt:
            def show(rows: int, of_rows: int) -> None:
                walk.show(day, rows, of_rows)

            return publish_past_models(lake, history, day, there.get(day), walk.scratch, show)

        return walk.go(publish)


def backfill_downloads(
    lake: Lake,
    first: date,
    last: date,
    *,
    patience: Patience | None = None,
    notice: Notice = silent,
    progress: Progress = lambda _: None,
    now: Clock = utc_now,
) -> list[Receipt]:
    """Publish past days of `hub_downloads_daily` that are not published yet.

    The panel is one file, and not by day: it is read once for all days of the call.

    Raises
    ------
    PastError
        The days are not past days.
    SourceError
        The panel cannot be read; nothing is published then.
    BusyError
        Another process is at it.
    LakeError
        The lake cannot be written.
    """
    walk = Walk(
        lake, DOWNLOADS, Characterization.name, past_days(first, last, now), notice, progress
    )
    with locked(lake.root / "crawling" / DOWNLOADS):
        wanted = walk.wanted
        panel = Characterization(patience, notice)
        # A row is 44 bytes: a run of four millions takes as much memory as one of the Hub's.
        with Runs(walk.scratch, "date", run_rows=4_000_000, batch_rows=8_000) as runs:
            if wanted:
                rows = 0
                for part in panel.daily_downloads(wanted[0], wanted[-1]):
                    runs.add(part.filter(pl.col("date").is_in(wanted)))
                    rows += part.height
                    walk.show(wanted[0], rows, rows)
                runs.flush()
            return walk.go(lambda day: _publish_downloads(lake, panel, runs, day))


def _publish_downloads(lake: Lake, panel: Characterization, runs: Runs, day: date) -> Receipt:
    found = runs.between(day, day + timedelta(days=1))
    if found is None or not found.height:
        raise NothingError(f"{panel.repo_id}: no counter moved on that day; take another day")
    kept = first_rows(found.sort("hub_id", maintain_order=True))
    file, path = panel.file(panel.path), lake.path(DOWNLOADS, day)
    write_parquet(path, kept.rename({"date": "day"}).select(HUB_DOWNLOADS_DAILY.names))
    return Receipt(
        DOWNLOADS,
        day.isoformat(),
        panel.name,
        PUBLISHED,
        rows=kept.height,
        sha256=file_sha256(path),
        details={
            "dataset": panel.repo_id,
            "licence": panel.licence,
            "revision": file.revision,
            "path": file.path,
            "bytes": file.size,
            "source_sha256": file.sha256,
            "repeated": found.height - kept.height,
            "negative": int((kept["downloads"] < 0).sum()),
            "left_out_in_all_days": dict(sorted((+panel.dropped).items())),
        },
    )


def backfill_defillama(
    lake: Lake,
    first: date,
    last: date,
    *,
    patience: Patience | None = None,
    notice: Notice = silent,
    progress: Callable[[HistoriesProgress], None] = lambda _: None,
    now: Clock = utc_now,
    bulk: bool = False,
) -> list[Receipt]:
    """Publish past days of `defillama_protocols` from the histories of today's protocols.

    Parameters
    ----------
    progress
        Called after each protocol whose history was asked for.
    bulk
        See `fetch_histories`.

    Raises
    ------
    PastError
        The days are not past days.
    StoppedError
        DeFiLlama cannot be read; what was fetched stays, the same call goes on from there.
    BusyError
        A refresh of the table is under way.
    LakeError
        There is no listing yet, or the lake cannot be written.
    """
    walk = Walk(lake, PROTOCOLS, FROM_HISTORIES, past_days(first, last, now), notice)
    with locked(lake.root / "crawling" / PROTOCOLS):
        wanted = walk.wanted
        if not wanted:
            return walk.go(lambda day: _publish_protocols(lake, day, pl.DataFrame(), day))
        listing, listed_on = _newest_listing(lake)
        fetch_histories(
            lake,
            DefiLlama(patience, notice),
            listing,
            until=wanted[-1],
            now=now,
            progress=progress,
            bulk=bulk,
        )
        there = _days_with_points(lake, wanted[0], wanted[-1])

        def publish(day: date) -> Receipt:
            if day not in there:
                raise NothingError(f"no protocol's history has a value on {day}; take another day")
            return _publish_protocols(lake, day, listing, listed_on)

        return walk.go(publish)


def _newest_listing(lake: Lake) -> tuple[pl.DataFrame, date]:
    for day in reversed(published_days(lake, PROTOCOLS)):
        receipt = read_receipt(lake, PROTOCOLS, day)
        if receipt is not None and receipt.source == LISTED:
            return lake.read_table(PROTOCOLS, day), day
    raise LakeError(f"no listing of protocols is in {lake.root}; fetch one first: baimo refresh")


def _days_with_points(lake: Lake, first: date, last: date) -> set[date]:
    days = scan_histories(lake).select("day").filter(pl.col("day").is_between(first, last))
    return set(days.unique().collect()["day"].to_list())


def _publish_protocols(lake: Lake, day: date, listing: pl.DataFrame, listed_on: date) -> Receipt:
    rows = protocols_of_day(lake, day, listing)
    # A listing holds the dead too: survivors are compared with survivors.
    alike = [
        d
        for d in published_days(lake, PROTOCOLS)
        if (receipt := read_receipt(lake, PROTOCOLS, d)) and receipt.source == FROM_HISTORIES
    ]
    last = last_before(alike, day)
    apart = (day - last).days if last else 0
    earlier = lake.read_table(PROTOCOLS, last) if last else None
    before = earlier["tvl_usd"] if earlier is not None and apart <= NEAR_DAYS else None
    checks = refuse_if_failed(
        [
            few_in_quarantine({}, rows.height),
            size_against_the_last(
                rows.height, earlier.height if earlier is not None else None, apart, str(last)
            ),
            zeros_share(rows["tvl_usd"], before),
            no_absurd_total(rows["tvl_usd"], before),
        ]
    )
    sha256 = write_blocks(lake.path(PROTOCOLS, day), PROTOCOLS, iter([rows]))
    return Receipt(
        PROTOCOLS,
        day.isoformat(),
        FROM_HISTORIES,
        PUBLISHED,
        rows=rows.height,
        sha256=sha256,
        lacks=dict(HISTORIES_LACK),
        details={
            "survivors": SURVIVORS,
            "listed_on": listed_on.isoformat(),
            "listed": listing.height,
            "compared_with": last.isoformat() if last else None,
        },
        checks={c.name: dict(c.numbers) for c in checks},
    )
