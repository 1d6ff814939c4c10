"""A page counts once its file is renamed; a walk goes on only if it is the same and young."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.errors import LakeError
from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.sources.hub.checkpoint import Checkpoint, Identity, SavedPage, day_of
from baimo.pipeline.sources.hub.rows import Page, read_page
from tests.pipeline.sources.hub.wire import model

NOW = datetime(2026, 9, 1, 23, 30, tzinfo=UTC)
WALK: Identity = {"url": "https://hub.example/api/models", "limit": None}


@pytest.fixture
def spool(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path / "crawling" / "hub_models")


def page(*numbers: int, odd: int = 0) -> Page:
    """Return a page of models, and so many rows that are none."""
    rows: list[Any] = [model(n) for n in numbers]
    return read_page(json.dumps([*rows, *[None] * odd]).encode(), NOW)


def save(spool: Checkpoint, number: int, *, last: bool = False, odd: int = 0) -> SavedPage:
    following = None if last else f"https://hub.example/{number + 1}"
    content = page(2 * number, 2 * number + 1, odd=odd)
    return spool.save(number, f"https://hub.example/{number}", following, content, last)


def names(spool: Checkpoint) -> list[str]:
    return sorted(p.name for p in spool.folder.iterdir())


# --- walks ---------------------------------------------------------------------------------------


def test_a_walk_is_of_the_utc_day_on_which_it_began(spool: Checkpoint) -> None:
    state = spool.begin(WALK, NOW)
    assert state == {"identity": WALK, "started_at": "2026-09-01T23:30:00+00:00",
                     "day": "2026-09-01"}  # fmt: skip
    assert day_of(state) == date(2026, 9, 1)
    assert spool.resume(WALK, NOW + timedelta(hours=11)) == state


@pytest.mark.parametrize(
    ("hours", "young"), [(0, True), (11.9, True), (12, False), (30, False), (-1, False)]
)
def test_a_walk_is_joined_for_half_a_day(spool: Checkpoint, hours: float, young: bool) -> None:
    spool.begin(WALK, NOW)
    save(spool, 0)
    later = NOW + timedelta(hours=hours)
    assert (spool.under_way(later) is not None) is young
    assert (spool.resume(WALK, later) is not None) is young
    assert spool.folder.exists() is young


def test_another_walk_clears_the_folder(spool: Checkpoint) -> None:
    spool.begin(WALK, NOW)
    save(spool, 0)
    other: Identity = {"url": WALK["url"], "limit": 500}
    assert spool.under_way(NOW) is not None  # whatever it walks
    assert spool.resume(other, NOW) is None
    assert not spool.folder.exists()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"started_at": "2026-09-01T23:00:00+00:00", "day": "2026-09-01"}',
     '{"identity": 1, "started_at": "soon", "day": "2026-09-01"}',
     '{"identity": 1, "started_at": "2026-09-01T23:00:00", "day": "2026-09-01"}',
     '{"identity": 1, "started_at": "2026-09-01T23:00:00+00:00", "day": "x"}'],
)  # fmt: skip
def test_a_state_that_cannot_be_read_is_no_walk(spool: Checkpoint, text: str) -> None:
    spool.folder.mkdir(parents=True)
    (spool.folder / "crawl.json").write_text(text)
    assert spool.under_way(NOW) is None


def test_going_on_sweeps_what_a_killed_writer_left(spool: Checkpoint) -> None:
    spool.begin(WALK, NOW)
    (spool.folder / ".page-000000.parquet.x.tmp").write_bytes(b"half")
    assert spool.resume(WALK, NOW) is not None
    assert names(spool) == ["crawl.json"]


def test_a_refusal_is_noted_until_the_walk_is_cleared(spool: Checkpoint) -> None:
    spool.begin(WALK, NOW)
    assert not spool.was_refused()
    spool.mark_refused()
    assert spool.was_refused()
    spool.clear()
    assert not spool.was_refused()
    spool.clear()  # nothing there to remove


def test_a_walk_that_cannot_be_cleared_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError, match=r"cannot clear .*file.*; remove it by hand"):
        Checkpoint(tmp_path / "file").clear()


# --- pages ---------------------------------------------------------------------------------------


def test_pages_come_back_as_they_were_saved(spool: Checkpoint) -> None:
    saved = [save(spool, 0), save(spool, 1, odd=2), save(spool, 2, last=True)]
    assert spool.pages() == saved
    first = saved[0]
    assert (first.number, first.n_rows, first.first_id) == (0, 2, "id0000")
    assert (first.url, first.next_url) == ("https://hub.example/0", "https://hub.example/1")
    assert (saved[1].n_rows, saved[1].first_id) == (4, "id0002")
    assert (saved[2].next_url, saved[2].proven) == (None, True)
    rows = pl.concat([pl.read_parquet(p.path) for p in saved])
    assert rows["likes"].to_list() == list(range(6))
    assert rows.schema == pl.Schema(HUB_MODELS.schema)


def test_an_empty_page_has_no_first_row(spool: Checkpoint) -> None:
    saved = spool.save(0, "u", None, page(), proven=False)
    assert (saved.n_rows, saved.first_id) == (0, None)
    assert spool.pages() == [saved]


def test_pages_behind_a_gap_or_a_damaged_one_are_removed(spool: Checkpoint) -> None:
    saved = [save(spool, n) for n in range(5)]
    saved[2].path.unlink()
    assert spool.pages() == saved[:2]
    assert names(spool) == ["page-000000.parquet", "page-000001.parquet"]
    saved[1].path.write_bytes(b"PAR1")
    assert spool.pages() == saved[:1]
    assert names(spool) == ["page-000000.parquet"]


def test_pages_behind_the_end_are_removed(spool: Checkpoint) -> None:
    last = save(spool, 0, last=True)
    save(spool, 1)
    assert spool.pages() == [last]
    assert names(spool) == ["page-000000.parquet"]


def test_a_parquet_file_of_someone_else_is_no_page(spool: Checkpoint) -> None:
    saved = save(spool, 0)
    pl.DataFrame({"x": [1]}).write_parquet(spool.folder / "page-000001.parquet")
    assert spool.pages() == [saved]


def test_what_pages_put_in_quarantine_is_given_for_those_that_count(spool: Checkpoint) -> None:
    pages = [save(spool, 0, odd=1), save(spool, 1), save(spool, 2, odd=2)]
    assert spool.odd(pages).height == 3
    assert spool.odd(pages[:2])["reason"].to_list() == ["the row is null, not a model"]
    assert spool.odd([]).schema == pl.Schema(
        {"reason": pl.String, "kept": pl.Boolean, "row": pl.String}
    )
