"""Pages of a walk that is under way: saved as they come, so that a killed walk goes on.

`<lake>/crawling/<table>/` holds `crawl.json` (what is walked, since when), one Parquet file a
page, whose metadata carry the address of the next page, and what the page put in quarantine. A
page counts once its Parquet file stands under its name; that rename is the only commit. One
process at a time holds the folder.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypedDict

import polars as pl

from baimo.pipeline.errors import LakeError
from baimo.pipeline.lake.atomic import (
    listed,
    present,
    read_file,
    sweep,
    write_atomically,
    write_parquet,
    write_text,
)
from baimo.pipeline.lake.quarantine import quarantined
from baimo.pipeline.sources.hub.rows import Page

LONGEST_WALK = timedelta(hours=12)
_KEY = "baimo"
_IN_METADATA = ("url", "next_url", "n_rows", "first_id", "proven")


class Identity(TypedDict):
    """What is walked: the address of the first page, and after how many rows to stop."""

    url: str
    limit: int | None


class WalkState(TypedDict):
    """A walk under way: what it walks, since when and for which day (UTC, ISO)."""

    identity: Identity
    started_at: str
    day: str


@dataclass(frozen=True)
class SavedPage:
    """A page on disk: which address gave it and where the walk goes on (None: the end).

    `proven` tells whether an end there was confirmed.
    """

    number: int
    path: Path
    url: str
    next_url: str | None
    n_rows: int
    first_id: str | None
    proven: bool


@dataclass(frozen=True)
class Checkpoint:
    """The folder of one walk."""

    folder: Path

    def resume(self, identity: Identity, now: datetime) -> WalkState | None:
        """Return the walk under way if it is the same and young, else clear the folder.

        A walk of another address, with other fields, or begun more than half a day ago cannot
        be joined to new pages.
        """
        state = self.under_way(now)
        if state is not None and state["identity"] == identity:
            sweep(self.folder)
            return state
        self.clear()
        return None

    def under_way(self, now: datetime) -> WalkState | None:
        """Return the walk that is under way and young, whatever it walks."""
        try:
            state: WalkState = json.loads((self.folder / "crawl.json").read_text("utf-8"))
            age = now - datetime.fromisoformat(state["started_at"])
            young = timedelta(0) <= age < LONGEST_WALK and bool(day_of(state))
            return state if young and "identity" in state else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def begin(self, identity: Identity, now: datetime) -> WalkState:
        """Start a walk: its day is the UTC day on which it starts, whenever it ends."""
        state: WalkState = {
            "identity": identity,
            "started_at": now.isoformat(timespec="seconds"),
            "day": now.date().isoformat(),
        }
        write_text(self.folder / "crawl.json", json.dumps(state, indent=1) + "\n")
        return state

    def mark_refused(self) -> None:
        """Note that the walk, though whole, was refused: its pages are there to be trusted."""
        write_text(self.folder / "refused", "")

    def was_refused(self) -> bool:
        """Return whether the walk that is here was refused."""
        return present(self.folder / "refused")

    def clear(self) -> None:
        """Remove the walk."""
        try:
            if present(self.folder):
                shutil.rmtree(self.folder)
        except OSError as error:
            raise LakeError(
                f"cannot clear {self.folder}: {error.strerror or error}; remove it by hand"
            ) from error

    def save(
        self, number: int, url: str, next_url: str | None, page: Page, proven: bool
    ) -> SavedPage:
        """Save one page; what it put in quarantine first, so that nothing is lost in between."""
        if page.odd:
            write_parquet(self.odd_path(number), quarantined(page.odd))
        path = self.folder / f"page-{number:06d}.parquet"
        first = page.good["hub_id"][0] if page.good.height else None
        saved = SavedPage(number, path, url, next_url, page.n_rows, first, proven)
        meta = {name: getattr(saved, name) for name in _IN_METADATA}
        write_atomically(
            path,
            lambda temporary: page.good.write_parquet(
                temporary,
                compression="zstd",
                compression_level=1,
                statistics=False,
                metadata={_KEY: json.dumps(meta)},
            ),
        )
        return saved

    def pages(self) -> list[SavedPage]:
        """Return the pages without a gap from the first; what is damaged or beyond is removed."""
        found: list[SavedPage] = []
        for path in listed(self.folder, "page-*.parquet"):
            page = _read_meta(path) if not found or found[-1].next_url else None
            if page is None or page.number != len(found):
                path.unlink()
                continue
            found.append(page)
        return found

    def odd(self, pages: list[SavedPage]) -> pl.DataFrame:
        """Return what the pages put in quarantine."""
        paths = [p for p in (self.odd_path(page.number) for page in pages) if present(p)]
        return pl.concat([quarantined([]), *(read_file(path) for path in paths)])

    def odd_path(self, number: int) -> Path:
        """Return where the quarantine of one page lies."""
        return self.folder / f"quarantine-{number:06d}.parquet"


def day_of(state: WalkState) -> date:
    """Return the day that a walk is filed under."""
    return date.fromisoformat(state["day"])


def _read_meta(path: Path) -> SavedPage | None:
    try:
        meta = json.loads(pl.read_parquet_metadata(path)[_KEY])
        number = int(path.name.removeprefix("page-").removesuffix(".parquet"))
        return SavedPage(number=number, path=path, **meta)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        return None
