"""From a walk to a snapshot: each model once, by id, the same bytes; or nothing, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from baimo.pipeline.errors import LakeError
from baimo.pipeline.ingest import publish
from baimo.pipeline.ingest.acceptance import HUB_CHECKS, RefusedSnapshotError
from baimo.pipeline.ingest.publish import compared_with, publish_models, write_blocks
from baimo.pipeline.lake.atomic import file_sha256
from baimo.pipeline.lake.quarantine import quarantined
from baimo.pipeline.lake.receipts import PUBLISHED, read_receipt
from baimo.pipeline.lake.store import Lake
from tests.pipeline.ingest.listings import DAY, models, odd, protocols, published, walked

NO_ODD = quarantined([])
BEFORE = DAY - timedelta(days=1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


class TestBlocks:
    def test_blocks_become_one_table_in_their_order(self, lake: Lake) -> None:
        path = lake.path("hub_models", DAY)
        parts = [models([1, 2]), models([5]), models([7, 8, 9])]
        sha256 = write_blocks(path, "hub_models", iter(parts))
        assert pl.read_parquet(path, hive_partitioning=False).equals(pl.concat(parts))
        assert sha256 == file_sha256(path)

    @pytest.mark.parametrize(("name", "sorted_by"), [("hub_models", "hub_id"), ("other", None)])
    def test_only_models_are_declared_to_stand_by_id(
        self, name: str, sorted_by: str | None, lake: Lake
    ) -> None:
        table = "hub_models" if sorted_by else "defillama_protocols"
        frame = models([1, 2]) if sorted_by else protocols([1, 2])
        path = lake.path(name, DAY)
        write_blocks(path, table, iter([frame]))
        order = pq.ParquetFile(path).metadata.row_group(0).sorting_columns
        assert [pq.ParquetFile(path).schema[c.column_index].name for c in order] == (
            [sorted_by] if sorted_by else []
        )

    def test_other_rows_never_take_the_place_of_a_published_day(self, lake: Lake) -> None:
        path = lake.path("hub_models", DAY)
        first = write_blocks(path, "hub_models", iter([models([1])]))
        assert write_blocks(path, "hub_models", iter([models([1])])) == first
        with pytest.raises(LakeError, match="is published already and differs; remove it"):
            write_blocks(path, "hub_models", iter([models([2])]))
        assert file_sha256(path) == first
        write_blocks(path, "hub_models", iter([models([2])]), replace=True)
        assert file_sha256(path) != first

    def test_what_fails_half_way_leaves_no_file(self, lake: Lake) -> None:
        def blocks() -> Iterator[pl.DataFrame]:
            yield models([1])
            raise LakeError("a page cannot be read")

        path = lake.path("hub_models", DAY)
        with pytest.raises(LakeError, match="a page cannot be read"):
            write_blocks(path, "hub_models", blocks())
        assert list(path.parent.iterdir()) == []


class TestModels:
    def test_each_model_is_published_once_by_id_with_a_receipt(
        self, lake: Lake, tmp_path: Path
    ) -> None:
        pages = [models([9, 3, 5]), models([5, 1, 9], downloads=[70, 71, 72])]
        walk = walked(tmp_path / "w", pages, odd=odd(2), proven=False)
        receipt = publish_models(lake, walk, quarantined(odd(2)))
        table = lake.read_table("hub_models", DAY)
        assert table["hub_id"].to_list() == ["00001", "00003", "00005", "00009"]
        assert table["downloads"].to_list() == [71, 3, 5, 9]  # what came first stays
        assert (receipt.outcome, receipt.rows, receipt.day) == (PUBLISHED, 4, str(DAY))
        assert receipt.sha256 == file_sha256(lake.path("hub_models", DAY))
        details = receipt.details
        assert details["endpoint"] == "https://hub.example"
        assert (details["pages"], details["rows_received"], details["repeated"]) == (2, 8, 2)
        assert details["quarantined"] == {"likes is negative": 2}
        assert details["end_confirmed"] is False
        assert details["compared_with"] is None
        assert set(receipt.checks) == set(HUB_CHECKS)
        assert read_receipt(lake, "hub_models", DAY) == receipt

    def test_the_same_rows_give_the_same_bytes_however_they_came(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(publish, "BLOCK_ROWS", 16)
        ids = [(i * 37) % 101 for i in range(101)]
        cuts = ([ids], [ids[:40], ids[40:]], [ids[::-1][i : i + 7] for i in range(0, 101, 7)])
        hashes = set()
        for i, cut in enumerate(cuts):
            lake = Lake(tmp_path / f"lake {i}")
            walk = walked(tmp_path / f"walk {i}", [models(part) for part in cut])
            hashes.add(publish_models(lake, walk, NO_ODD).sha256)
            assert lake.read_table("hub_models", DAY)["hub_id"].is_sorted()
        assert len(hashes) == 1

    def test_values_left_empty_are_counted_apart(self, lake: Lake, tmp_path: Path) -> None:
        emptied = quarantined(odd(3, "gated: left empty", kept=True))
        receipt = publish_models(lake, walked(tmp_path / "w", [models([1, 2])]), emptied)
        assert receipt.details["values_left_empty"] == {"gated: left empty": 3}
        assert receipt.details["quarantined"] == {}

    def test_a_listing_that_shrank_is_refused_unless_it_is_trusted(
        self, lake: Lake, tmp_path: Path
    ) -> None:
        published(lake, "hub_models", BEFORE, models(range(1_000)))
        walk = walked(tmp_path / "w", [models(range(0, 1_000, 2))])
        with pytest.raises(RefusedSnapshotError, match=f"500 rows, but 1,000 on {BEFORE}"):
            publish_models(lake, walk, NO_ODD)
        assert not lake.path("hub_models", DAY).exists()
        assert read_receipt(lake, "hub_models", DAY) is None
        receipt = publish_models(lake, walk, NO_ODD, trust=True)
        assert receipt.rows == 500
        assert "as asked" in receipt.details["trusted"]
        assert receipt.details["compared_with"] is None

    def test_a_lost_page_is_a_gap(self, lake: Lake, tmp_path: Path) -> None:
        published(lake, "hub_models", BEFORE, models(range(10_000)))
        kept = [i for i in range(10_000) if not 4_000 <= i < 4_060]
        walk = walked(tmp_path / "w", [models(kept[i : i + 100]) for i in range(0, len(kept), 100)])
        with pytest.raises(RefusedSnapshotError, match=r"60 models in a row .* a page was lost"):
            publish_models(lake, walk, NO_ODD)

    def test_the_last_sound_day_is_compared_with_and_a_damaged_one_named(
        self, lake: Lake, tmp_path: Path
    ) -> None:
        published(lake, "hub_models", BEFORE - timedelta(days=1), models(range(100)))
        published(lake, "hub_models", BEFORE, models(range(100))).write_bytes(b"PAR1")
        receipt = publish_models(lake, walked(tmp_path / "w", [models(range(101))]), NO_ODD)
        assert receipt.details["compared_with"] == str(BEFORE - timedelta(days=1))
        (why,) = receipt.details["could_not_be_compared"]
        assert f"date={BEFORE}" in why

    def test_an_empty_page_in_the_middle_hides_models(self, lake: Lake, tmp_path: Path) -> None:
        walk = walked(tmp_path / "w", [models([1, 2])], empty_pages=2)
        with pytest.raises(RefusedSnapshotError, match="2 pages before the end are empty") as no:
            publish_models(lake, walk, NO_ODD)
        assert [c.name for c in no.value.checks if not c.passed] == ["walked_to_the_end"]
        assert publish_models(lake, walk, NO_ODD, trust=True).rows == 2

    def test_too_many_odd_rows_are_refused(self, lake: Lake, tmp_path: Path) -> None:
        walk = walked(tmp_path / "w", [models([1, 2])], odd=odd(2))
        with pytest.raises(RefusedSnapshotError, match="2 of 4 rows are not valid"):
            publish_models(lake, walk, quarantined(odd(2)))


def test_a_receipt_says_only_what_was_so() -> None:
    assert compared_with(None, [], False) == {"compared_with": None}
    said = compared_with(BEFORE, ["x cannot be read"], True)
    assert said["compared_with"] == str(BEFORE)
    assert said["could_not_be_compared"] == ["x cannot be read"]
    assert "trusted" in said
