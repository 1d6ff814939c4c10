"""One day's snapshots: fetch, check, publish, leave a receipt.

What `baimo refresh` and the daily job call. A day is published once; a failure leaves the lake
as it was, a receipt that says why, and whatever helps the next try.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import partial

import polars as pl

from baimo.pipeline.datasets.views import totals
from baimo.pipeline.errors import PipelineError
from baimo.pipeline.ingest.acceptance import (
    Check,
    RefusedSnapshotError,
    few_in_quarantine,
    fits_the_table,
    no_absurd_total,
    refuse_if_failed,
    size_against_the_last,
    zeros_share,
)
from baimo.pipeline.ingest.publish import compared_with, publish_models, write_blocks
from baimo.pipeline.lake.atomic import present, read_file, sweep
from baimo.pipeline.lake.lock import locked
from baimo.pipeline.lake.quarantine import by_reason, quarantined, write_quarantine
from baimo.pipeline.lake.receipts import (
    FAILED,
    PUBLISHED,
    Receipt,
    is_published,
    last_sound,
    published_days,
    read_receipt,
    receipt_path,
    write_receipt,
)
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.raw import RawRow
from baimo.pipeline.sources.defillama.api import DefiLlama, Listing
from baimo.pipeline.sources.http import Notice, Patience, shown, silent
from baimo.pipeline.sources.hub.checkpoint import Checkpoint, SavedPage, day_of
from baimo.pipeline.sources.hub.crawl import Progress, Walk, crawl_models

Clock = Callable[[], datetime]
TABLE_OF = {"hub": "hub_models", "defillama": "defillama_protocols"}


def utc_now() -> datetime:
    """Return the time; days are UTC days."""
    return datetime.now(UTC)


class RefreshOutcome(StrEnum):
    """What became of the rows: see `Refreshed`."""

    PUBLISHED = "published"
    ALREADY = "already"
    SAMPLE = "sample"
    REFUSED = "refused"


@dataclass(frozen=True)
class Refreshed:
    """What a refresh of one source came to.

    A day stood there ALREADY; a walk of an earlier day, when nothing waits for it, is REFUSED
    with the reason `why`.
    """

    source: str
    outcome: RefreshOutcome
    receipt: Receipt
    path: str
    why: str = ""

    def words(self) -> str:
        """Say the outcome, and its reason if there is one."""
        words = {
            RefreshOutcome.ALREADY: "already there",
            RefreshOutcome.SAMPLE: "a sample, no snapshot",
        }.get(self.outcome, self.outcome.value)
        return f"{words} ({self.why})" if self.why else words


def refresh_hub(
    lake: Lake,
    *,
    limit: int | None = None,
    trust: bool = False,
    patience: Patience | None = None,
    now: Clock = utc_now,
    progress: Callable[[Progress], None] = lambda _: None,
    notice: Notice = silent,
) -> Refreshed:
    """Publish today's listing of the Hub; a walk of last night is ended and filed first.

    Parameters
    ----------
    limit
        Take only so many of the newest models: written to `<lake>/samples/`, never as a
        snapshot.
    trust
        Do not hold the listing against the last snapshot: after a change that is real.

    Raises
    ------
    PipelineError
        Nothing was published; the message says why and what to do.
    """
    folder = "hub_models" if limit is None else "hub_models_sample"
    spool = Checkpoint(lake.root / "crawling" / folder)
    crawl = partial(crawl_models, patience=patience, now=now, progress=progress, notice=notice)
    with locked(spool.folder):
        today = now().date()
        if limit is not None:
            walk = crawl(spool, limit=limit)
            refreshed = _sample(lake, walk.pages, date.fromisoformat(walk.day), limit)
            spool.clear()
            return refreshed
        _sweep(lake, "hub_models", today)
        if is_published(lake, "hub_models", today):
            spool.clear()  # a process killed after the rename leaves its pages
            return _already(lake, "hub", today)
        if spool.was_refused() and not trust:
            spool.clear()
        for _ in range(2):
            refreshed = _walk_and_publish(lake, spool, today, trust, crawl)
            day = refreshed.receipt.day
            if date.fromisoformat(day) >= today:
                break
            notice(f"the walk begun on {day} is {refreshed.words()}; today's begins")
        return refreshed


def finish_hub(
    lake: Lake,
    day: date,
    *,
    trust: bool = False,
    patience: Patience | None = None,
    now: Clock = utc_now,
    progress: Callable[[Progress], None] = lambda _: None,
    notice: Notice = silent,
) -> Refreshed | None:
    """Publish the walk begun on `day`, a day that is over; None when no such walk is under way.

    Raises
    ------
    PipelineError
        Nothing was published; see `refresh_hub`.
    """
    spool = Checkpoint(lake.root / "crawling" / "hub_models")
    with locked(spool.folder):
        state = spool.under_way(now())
        if state is None or day_of(state) != day:
            return None
        crawl = partial(crawl_models, patience=patience, now=now, progress=progress, notice=notice)
        return _walk_and_publish(lake, spool, day, trust, crawl)


def _walk_and_publish(
    lake: Lake, spool: Checkpoint, today: date, trust: bool, crawl: Callable[[Checkpoint], Walk]
) -> Refreshed:
    """Publish the walk that is under way, or a new one, under the day on which it began."""
    day = today
    try:
        walk = crawl(spool)
        day = date.fromisoformat(walk.day)
        if is_published(lake, "hub_models", day):
            refreshed = _already(lake, "hub", day)
        else:
            odd = spool.odd(walk.pages)
            write_quarantine(lake, "hub_models", day, odd)
            receipt = publish_models(lake, walk, odd, trust=trust)
            path = str(lake.path("hub_models", day))
            refreshed = Refreshed("hub", RefreshOutcome.PUBLISHED, receipt, path)
    except PipelineError as error:
        receipt = _mark_failed(lake, "hub", day, error)
        if isinstance(error, RefusedSnapshotError):
            spool.mark_refused()  # the same pages pass only if they are trusted
            if day != today:
                spool.clear()
                return Refreshed("hub", RefreshOutcome.REFUSED, receipt, "", str(error))
        raise
    spool.clear()
    return refreshed


def refresh_defillama(
    lake: Lake,
    *,
    trust: bool = False,
    patience: Patience | None = None,
    now: Clock = utc_now,
    notice: Notice = silent,
) -> Refreshed:
    """Publish today's protocols and chains of DeFiLlama; `trust` as in `refresh_hub`.

    Raises
    ------
    PipelineError
        Nothing was published; the message says why and what to do.
    """
    day = now().date()
    name = "defillama_protocols"
    with locked(lake.root / "crawling" / name):
        for table in (name, "defillama_chains"):
            _sweep(lake, table, day)
        api = DefiLlama(patience, notice)
        if is_published(lake, name, day):
            return _with_chains(lake, api, day)
        try:
            protocols = api.protocols(day)
            details, checks = _check_protocols(lake, protocols, day, trust)
            chains, details["chains"] = _chains(lake, api, day)
            write_quarantine(lake, name, day, quarantined(protocols.odd))
            _write_if_new(lake, "defillama_chains", day, chains)
            sha256 = write_blocks(lake.path(name, day), name, iter([protocols.good]), replace=True)
        except PipelineError as error:
            _mark_failed(lake, "defillama", day, error)
            raise
        receipt = Receipt(
            name,
            day.isoformat(),
            "defillama",
            PUBLISHED,
            rows=protocols.good.height,
            sha256=sha256,
            details={"endpoint": shown(api.base).rstrip("/"), **details},
            checks={c.name: dict(c.numbers) for c in checks},
        )
        write_receipt(lake, receipt)
        path = str(lake.path(name, day))
        return Refreshed("defillama", RefreshOutcome.PUBLISHED, receipt, path)


def _sweep(lake: Lake, name: str, day: date) -> None:
    """Remove what a killed process left half written."""
    for path in (
        lake.path(name, day),
        lake.path(f"{name}_quarantine", day),
        receipt_path(lake, name, day),
    ):
        sweep(path.parent)


def _already(lake: Lake, source: str, day: date) -> Refreshed:
    name = TABLE_OF[source]
    receipt = read_receipt(lake, name, day)
    assert receipt is not None
    return Refreshed(source, RefreshOutcome.ALREADY, receipt, str(lake.path(name, day)))


def _mark_failed(lake: Lake, source: str, day: date, error: PipelineError) -> Receipt:
    checks = error.checks if isinstance(error, RefusedSnapshotError) else []
    receipt = Receipt(
        TABLE_OF[source],
        day.isoformat(),
        source,
        FAILED,
        str(error),
        checks={c.name: c.numbers | ({"why": c.why} if c.why else {}) for c in checks},
    )
    with suppress(PipelineError):  # the lake cannot be written: the error on its way says so
        write_receipt(lake, receipt)
    return receipt


def _sample(lake: Lake, pages: list[SavedPage], day: date, limit: int) -> Refreshed:
    rows = pl.concat([read_file(p.path) for p in pages]).unique("hub_id", maintain_order=True)
    rows = rows.head(limit)
    samples = Lake(lake.root / "samples")
    path = samples.write_table("hub_models", day, rows)
    receipt = Receipt("hub_models", day.isoformat(), "hub", "sample", rows=rows.height)
    return Refreshed("hub", RefreshOutcome.SAMPLE, receipt, str(path))


def _write_if_new(lake: Lake, name: str, day: date, frame: pl.DataFrame | None) -> None:
    if frame is not None and not present(lake.path(name, day)):
        write_blocks(lake.path(name, day), name, iter([frame]))


def _with_chains(lake: Lake, api: DefiLlama, day: date) -> Refreshed:
    """Return a day that is published, its chains fetched if they could not be before."""
    done = _already(lake, "defillama", day)
    if present(lake.path("defillama_chains", day)):
        return done
    chains, said = _chains(lake, api, day)
    _write_if_new(lake, "defillama_chains", day, chains)
    receipt = replace(done.receipt, details=done.receipt.details | {"chains": said})
    write_receipt(lake, receipt)
    return replace(done, receipt=receipt)


def _chains(lake: Lake, api: DefiLlama, day: date) -> tuple[pl.DataFrame | None, int | str]:
    """Return the chains; protocols do not wait for them."""
    try:
        chains = api.chains()
    except PipelineError as error:
        return None, f"not fetched: {error}"
    odd = quarantined(chains.odd)
    write_quarantine(lake, "defillama_chains", day, odd)
    check = few_in_quarantine(by_reason(odd, kept=False), chains.n_rows)
    return (chains.good, chains.good.height) if check.passed else (None, check.why)


def listed_days(lake: Lake) -> list[date]:
    """Return the days of protocols that were taken live; those of histories hold survivors only."""
    found = (
        (d, read_receipt(lake, "defillama_protocols", d))
        for d in published_days(lake, "defillama_protocols")
    )
    return [d for d, receipt in found if receipt is not None and receipt.source == "defillama"]


def _check_protocols(
    lake: Lake, listing: Listing, day: date, trust: bool
) -> tuple[RawRow, list[Check]]:
    odd = quarantined(listing.odd)
    dropped = by_reason(odd, kept=False)
    before = [d for d in listed_days(lake) if d < day] if not trust else []
    last, earlier, damaged = last_sound(lake, "defillama_protocols", before, ["tvl_usd"])
    tvl, tvl_before = listing.good["tvl_usd"], earlier["tvl_usd"] if earlier is not None else None
    checks = refuse_if_failed(
        [
            fits_the_table(listing.good, TABLES["defillama_protocols"]),
            few_in_quarantine(dropped, listing.n_rows),
            size_against_the_last(
                listing.good.height,
                earlier.height if earlier is not None else None,
                (day - last).days if last else 0,
                str(last),
            ),
            zeros_share(tvl, tvl_before),
            no_absurd_total(tvl, tvl_before),
        ]
    )
    details = {
        "rows_received": listing.n_rows,
        "repeated": listing.n_repeats,
        "quarantined": dropped,
        "values_left_empty": by_reason(odd, kept=True),
        **compared_with(last, damaged, trust),
        "tvl_usd_by_view": dict(totals(listing.good).select("view", "tvl_usd").iter_rows()),
    }
    return details, checks
