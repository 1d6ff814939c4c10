"""One past day of the Hub: a bulk file becomes a snapshot by id, or it is no file of that day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.errors import IncompleteError
from baimo.pipeline.ingest import backfill_hub
from baimo.pipeline.ingest.acceptance import RefusedSnapshotError
from baimo.pipeline.ingest.backfill_days import NothingError
from baimo.pipeline.ingest.backfill_hub import first_rows, publish_past_models
from baimo.pipeline.lake.atomic import file_sha256
from baimo.pipeline.lake.quarantine import quarantined
from baimo.pipeline.lake.receipts import PUBLISHED
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.sources.hub.columns import Block
from baimo.pipeline.sources.hub.dumps import Available
from baimo.pipeline.sources.hub.repository import RepoFile
from tests.pipeline.ingest.listings import DAY, models, published

FILE = RepoFile("rev1", "models.parquet", 4_321, "a" * 64)


@dataclass
class Bulk:
    """A source with one file, read block by block."""

    parts: list[pl.DataFrame]
    odd: list[str] = field(default_factory=list)
    emptied: dict[str, int] = field(default_factory=dict)
    declared: int | None = None
    name: str = "hub-stats"
    repo_id: str = "somebody/hub-stats"
    licence: str = "Apache-2.0"

    def days(self, first: date, last: date) -> dict[date, Available]:
        return {DAY: Available(DAY, FILE)}

    def lacks(self, available: Available) -> dict[str, str]:
        return {"n_spaces": "the file of that day has no spaces"}

    def n_rows(self, available: Available) -> int:
        held = sum(part.height for part in self.parts) + len(self.odd)
        return held if self.declared is None else self.declared

    def blocks(self, available: Available) -> Iterator[Block]:
        odd = quarantined({"reason": why, "kept": False, "row": "{}"} for why in self.odd)
        for i, part in enumerate(self.parts):
            here = odd if i == 0 else odd.clear()
            lost = self.emptied if i == 0 else {}
            yield Block(part, here, lost, part.height + here.height)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def fill(lake: Lake, bulk: Bulk, available: Available | None = None) -> object:
    given = available or Available(DAY, FILE)
    return publish_past_models(lake, bulk, DAY, given, lake.root / "scratch")


def test_a_file_is_published_by_id_with_where_it_comes_from(lake: Lake) -> None:
    bulk = Bulk(
        [models([8, 2]), models([5, 2], downloads=[70, 71])],
        odd=["likes is negative"] * 2,
        emptied={"gated is odd: left empty": 3},
    )
    at = datetime(2026, 9, 1, 3, tzinfo=UTC)
    shown: list[tuple[int, int]] = []
    receipt = publish_past_models(
        lake, bulk, DAY, Available(DAY, FILE, at, label="2026-08-31"), lake.root / "scratch",
        lambda rows, of_rows: shown.append((rows, of_rows)),
    )  # fmt: skip
    table = lake.read_table("hub_models", DAY)
    assert table["hub_id"].to_list() == ["00002", "00005", "00008"]
    assert table["downloads"].to_list() == [2, 70, 8]  # what came first stays
    assert (receipt.outcome, receipt.source, receipt.rows) == (PUBLISHED, "hub-stats", 3)
    assert receipt.sha256 == file_sha256(lake.path("hub_models", DAY))
    assert receipt.lacks == {"n_spaces": "the file of that day has no spaces"}
    details = receipt.details
    assert details["dataset"] == "somebody/hub-stats"
    assert (details["revision"], details["source_sha256"]) == ("rev1", "a" * 64)
    assert details["committed_at"] == "2026-09-01T03:00:00+00:00"
    assert details["label"] == "2026-08-31"
    assert (details["rows_received"], details["repeated"]) == (6, 1)
    assert details["quarantined"] == {"likes is negative": 2}
    assert details["values_left_empty"] == {"gated is odd: left empty": 3}
    assert lake.read_table("hub_models_quarantine", DAY).height == 2
    assert shown == [(4, 6), (6, 6)]
    assert not (lake.root / "scratch").exists()


def test_the_same_rows_give_the_same_bytes_however_they_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill_hub, "BLOCK_ROWS", 16)
    ids = [(i * 37) % 101 for i in range(101)]
    hashes = set()
    for size in (101, 40, 7):
        lake = Lake(tmp_path / f"lake {size}")
        fill(lake, Bulk([models(ids[i : i + size]) for i in range(0, 101, size)]))
        hashes.add(file_sha256(lake.path("hub_models", DAY)))
        assert lake.read_table("hub_models", DAY)["hub_id"].is_sorted()
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("available", "why"),
    [
        (None, "it has nothing for that day"),
        (Available(DAY, FILE, refused="its file is still that of 2026-08-30"), "is still that of"),
    ],
)
def test_a_day_that_the_source_has_not_is_nothing(
    available: Available | None, why: str, lake: Lake
) -> None:
    with pytest.raises(NothingError, match=f"somebody/hub-stats: .*{why}.*; try another source"):
        publish_past_models(lake, Bulk([models([1])]), DAY, available, lake.root / "scratch")
    assert not lake.root.exists()


@pytest.mark.parametrize(("parts", "declared"), [([[1, 2]], 3), ([[]], 0)])
def test_a_file_that_is_not_whole_is_refused(
    parts: list[list[int]], declared: int, lake: Lake
) -> None:
    bulk = Bulk([models(ids) for ids in parts], declared=declared)
    with pytest.raises(IncompleteError, match=rf"declares {declared}; take another source"):
        fill(lake, bulk)
    assert not lake.path("hub_models", DAY).exists()
    assert not (lake.root / "scratch").exists()


def test_an_old_file_under_a_new_name_is_no_file_of_that_day(lake: Lake) -> None:
    for behind, passed in ((3, True), (4, False)):
        born = datetime(2026, 9, 1, 12, tzinfo=UTC) - timedelta(days=behind)
        bulk = Bulk([models([1, 2], created_at=[born - timedelta(days=99), born])])
        if passed:
            fill(lake, bulk)
            lake.path("hub_models", DAY).unlink()
        else:
            with pytest.raises(RefusedSnapshotError, match=f"newest model is of {born.date()}"):
                fill(lake, bulk)
    assert not lake.path("hub_models", DAY).exists()


def test_too_many_odd_rows_are_refused_and_kept_in_quarantine(lake: Lake) -> None:
    with pytest.raises(RefusedSnapshotError, match="3 of 5 rows are not valid"):
        fill(lake, Bulk([models([1, 2])], odd=["likes is negative"] * 3))
    assert lake.read_table("hub_models_quarantine", DAY).height == 3
    assert not lake.path("hub_models", DAY).exists()


def test_of_many_odd_rows_the_first_are_kept_and_all_counted(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill_hub, "MOST_KEPT_ODD", 4)
    receipt = publish_past_models(
        lake, Bulk([models(range(100))], odd=["x is odd"] * 9), DAY, Available(DAY, FILE),
        lake.root / "scratch",
    )  # fmt: skip
    assert receipt.details["quarantined"] == {"x is odd": 9}
    assert lake.read_table("hub_models_quarantine", DAY).height == 4


def test_it_is_held_against_the_nearest_earlier_day(lake: Lake) -> None:
    for apart in (1, 5):
        published(lake, "hub_models", DAY - timedelta(days=apart), models(range(200)))
    with pytest.raises(RefusedSnapshotError, match="100 rows, but 200 on 2026-08-31"):
        fill(lake, Bulk([models(range(100))]))
    receipt = publish_past_models(
        lake, Bulk([models(range(201))]), DAY, Available(DAY, FILE), lake.root / "scratch"
    )
    assert receipt.details["compared_with"] == "2026-08-31"
    assert receipt.checks["content_of_the_day"] == {"days_behind": 1}


@pytest.mark.parametrize(("apart", "refused"), [(60, True), (61, False)])
def test_sums_of_days_far_apart_are_not_compared(apart: int, refused: bool, lake: Lake) -> None:
    before = models(range(1_000), downloads=[1] * 1_000)
    published(lake, "hub_models", DAY - timedelta(days=apart), before)
    bulk = Bulk([models(range(1_000), downloads=[9] * 1_000)])
    if refused:
        with pytest.raises(RefusedSnapshotError, match="downloads add up to"):
            fill(lake, bulk)
    else:
        fill(lake, bulk)
        assert lake.path("hub_models", DAY).exists()


def test_of_rows_that_share_an_id_the_first_stays() -> None:
    rows = pl.DataFrame({"hub_id": ["a", "a", "b", None, None, "c"], "n": range(6)})
    assert first_rows(rows)["n"].to_list() == [0, 2, 3, 5]
    assert first_rows(rows.clear()).is_empty()
