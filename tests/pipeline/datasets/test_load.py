"""A source becomes tables: of the right day only, every row counted or quarantined, traced."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.datasets import load
from baimo.pipeline.datasets.defi import list_protocols
from baimo.pipeline.datasets.load import (
    ROWS_OF,
    Dataset,
    hub_frequency_tables,
    load_dataset,
    load_snapshots,
)
from baimo.pipeline.errors import SourceError, TableError
from baimo.pipeline.schema.defillama import DEFILLAMA_PROTOCOLS
from baimo.pipeline.settings import reference_dir
from baimo.pipeline.sources.snapshot import LAKE, Input, Snapshots
from baimo.pipeline.variables import HEADLINE

DAY = date(2024, 7, 11)
BY_DEFINITION = pl.col("population").str.contains("_(broad|defillama)$")
FITTED = {
    "hub_frequency", "hub_authors", "hub_design_effects", "hub_sampling", "hub_covariances",
    "hub_clustered_tests", "hub_threshold_spreads", "hub_derivatives", "hub_totals", "hub_top",
    "defi_population", "defi_listing", "tvl_weekly", "hub_increments", "size_variants",
}  # fmt: skip


@pytest.fixture(scope="module")
def reference() -> Dataset:
    return load_dataset("reference", DAY)


def earliest(dataset: Dataset) -> pl.DataFrame:
    """Return the protocols of the day that is fitted."""
    return dataset.tables["defi_day"].good


def rows(n: int = 40, **columns: list[Any]) -> pl.DataFrame:
    """Return a recorded listing of models."""
    given: dict[str, Any] = {
        "_id": [f"id{i}" for i in range(n)],
        "id": [f"author{i % 7}/m{i}" for i in range(n)],
        "downloads": [i * i for i in range(n)],
        "likes": [i // 3 for i in range(n)],
        "createdAt": [datetime(2024, 7, 11, 5, tzinfo=UTC)] * n,
        "pipeline_tag": ["text-generation"] * n,
    }
    return pl.DataFrame(given | columns)


@pytest.fixture
def recorded(tmp_path: Path) -> Dataset:
    """Return a dataset of a recorded listing, two rows of which are not valid."""
    rows(likes=[-1, -2, *range(38)]).write_parquet(tmp_path / "models_2024-07-11.parquet")
    return load_dataset(str(tmp_path), DAY)


def test_the_date_of_an_adapter_stands_beside_what_is_published() -> None:
    published = DEFILLAMA_PROTOCOLS.names
    assert ROWS_OF["defi_day"] is ROWS_OF["defillama_protocols"]
    assert ROWS_OF["defi_day"].names == (*published, "adapter_at")
    assert ROWS_OF["defi_day"].name == DEFILLAMA_PROTOCOLS.name


class TestReference:
    def test_its_rows_count_back_to_the_bundled_tables(self, reference: Dataset) -> None:
        tables = reference.tabulated()
        assert set(tables) == FITTED
        for name in FITTED - {"defi_listing", "defi_population"}:  # these by definition
            bundled = pl.read_parquet(reference_dir() / f"{name}.parquet")
            made = tables[name].select(bundled.columns)
            if name == "size_variants":  # definitions of DeFi are counted from the rows
                made = made.filter(~BY_DEFINITION)
            assert made.equals(bundled), name
        population = pl.read_parquet(reference_dir() / "defi_population.parquet")
        assert tables["defi_population"].equals(population.filter(HEADLINE.holds()))
        assert tables["defi_listing"].equals(list_protocols(earliest(reference), HEADLINE))

    def test_both_definitions_of_defi_are_in_the_variants(self, reference: Dataset) -> None:
        variants = reference.tabulated()["size_variants"].filter(BY_DEFINITION)
        sums = variants.group_by("population").agg(
            (pl.col("size") * pl.col("n_items")).sum() / 1e9, pl.col("n_items").sum()
        )
        found = {name: (round(usd, 1), n) for name, usd, n in sums.iter_rows()}
        assert found == {
            "tvl_broad": (85.7, 2_910), "tvl_defillama": (73.9, 2_833),
            # two names that two protocols share are not in the bundled pair of dates
            "tvl_later_broad": (297.1, 6_584), "tvl_later_defillama": (218.9, 6_230),
        }  # fmt: skip

    def test_nothing_of_it_is_quarantined_and_everything_is_traced(
        self, reference: Dataset
    ) -> None:
        assert reference.quarantine().is_empty()
        stated = reference.provenance()
        assert (stated["source"], stated["day"]) == ("reference", "2024-07-11")
        assert stated["notes"] == []
        manifest = json.loads((reference_dir() / "manifest.json").read_text("utf-8"))["tables"]
        for taken in stated["inputs"]:
            assert taken["sha256"] == manifest[taken["table"]]["sha256"]
        json.dumps(stated, allow_nan=False)

    def test_another_day_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(SourceError, match=r"of 2024-07-11, not of 2024-07-12: choose"):
            load_dataset("reference", date(2024, 7, 12))


class TestRecordings:
    def test_every_valid_row_is_counted_and_what_is_lacking_comes_from_the_bundle(
        self, recorded: Dataset
    ) -> None:
        assert recorded.source == "recordings"
        tables = recorded.tabulated()
        assert tables["hub_frequency"]["n_models"].sum() == 38
        assert (tables["hub_authors"]["n_models"] * tables["hub_authors"]["n_authors"]).sum() == 38
        assert tables["hub_increments"].is_empty()
        bundled = pl.read_parquet(reference_dir() / "defi_population.parquet")
        assert tables["defi_population"].equals(bundled.filter(HEADLINE.holds()))
        assert any("the bundled reference stands in" in line for line in recorded.ignored)

    def test_what_does_not_fit_is_kept_as_it_came_with_the_reason(self, recorded: Dataset) -> None:
        odd = recorded.quarantine()
        assert odd.select("table", "reason").rows() == [("hub_models", "likes is below 0")] * 2
        assert [json.loads(row)["likes"] for row in odd["row"]] == ["-1", "-2"]
        stated = recorded.provenance()
        assert stated["quarantined"]["hub_models"] == {
            "rows": 2, "reasons": {"likes is below 0": 2}
        }  # fmt: skip
        assert stated["quarantined"]["tvl_weekly"]["rows"] == 0
        assert "defi_day" not in stated["quarantined"]

    def test_what_a_recording_lacks_is_noted_once(self, recorded: Dataset) -> None:
        notes = recorded.provenance()["notes"]
        assert len(notes) == len(set(notes))
        assert any(n.startswith("hub_models: not in the source, left empty") for n in notes)

    def test_a_repeated_id_stops_it(self, tmp_path: Path) -> None:
        frame = rows()
        pl.concat([frame, frame.head(1)]).write_parquet(tmp_path / "m.parquet")
        with pytest.raises(TableError, match="must be unique"):
            load_dataset(str(tmp_path / "m.parquet"), DAY)

    def test_variants_are_made_from_the_rows_where_these_tell_them(self, tmp_path: Path) -> None:
        frame = rows(baseModels=[None, *["author0/m0"] * 39])
        frame.write_parquet(tmp_path / "models_2024-07-11.parquet")
        variants = load_dataset(str(tmp_path), DAY).tabulated()["size_variants"]
        families = variants.filter(pl.col("population") == "downloads_families")
        total = float(frame["downloads"].to_numpy().sum())
        assert families.select("size", "n_items").rows() == [(total, 1)]
        bundled = pl.read_parquet(reference_dir() / "size_variants.parquet")
        of_tvl = pl.col("population").str.starts_with("tvl")
        assert variants.filter(of_tvl & ~BY_DEFINITION).equals(bundled.filter(of_tvl))


class TestLake:
    def test_rows_of_the_lake_are_not_validated_again_but_its_protocols_are(
        self, reference: Dataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        frames = {name: table.good for name, table in reference.tables.items()}
        asked: list[date | None] = []

        def published(day: date | None) -> Snapshots:
            asked.append(day)
            return Snapshots(DAY, LAKE, frames, (Input("t", "n", "f", 1, 1, "d"),), ("a note",))

        monkeypatch.setattr(load, "load_published", published)
        found = load_dataset("lake", DAY)
        assert asked == [DAY]
        assert found.tables["hub_models"].good is frames["hub_models"]
        assert found.tables["defi_day"].good.schema == pl.Schema(ROWS_OF["defi_day"].schema)
        assert found.provenance()["ignored"] == ["a note"]
        assert found.quarantine().is_empty()


def test_each_source_has_its_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = {name: Snapshots(DAY, name, {}) for name in ("lake", "reference", "recordings")}
    monkeypatch.setattr(load, "load_published", lambda day: marks["lake"])
    monkeypatch.setattr(load, "load_reference", lambda: marks["reference"])
    monkeypatch.setattr(load, "load_recordings", lambda path: marks["recordings"])
    assert load_snapshots("lake", DAY) is marks["lake"]
    assert load_snapshots("reference") is marks["reference"]
    assert load_snapshots(str(tmp_path)) is marks["recordings"]


def test_rows_without_names_take_what_names_give_from_the_bundle(reference: Dataset) -> None:
    models = reference.tables["hub_models"].good.head(1_000)
    tables = hub_frequency_tables(models, DAY)
    assert tables["hub_frequency"]["n_models"].sum() == 1_000
    bundled = pl.read_parquet(reference_dir() / "hub_authors.parquet")
    assert tables["hub_authors"].equals(bundled)
