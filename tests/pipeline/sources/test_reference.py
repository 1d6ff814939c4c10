"""The bundled reference is whole, small, and becomes the rows from which its tables were made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.datasets.defi import join_population
from baimo.pipeline.datasets.load import hub_frequency_tables, load_dataset
from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.sources import reference
from baimo.pipeline.sources.recordings import load_recordings
from baimo.pipeline.sources.reference import (
    BUNDLED,
    COMPANIONS,
    READY,
    earliest,
    load_companions,
    load_ready,
    load_reference,
    load_variants,
    read_manifest,
)
from baimo.pipeline.variables import BROAD

DAY = date(2024, 7, 11)


class TestReference:
    def test_rows_tabulate_back_to_the_bundled_tables(self) -> None:
        taken = load_dataset("reference", DAY)
        models = taken.tables["hub_models"].good
        assert models.height == 760_000
        assert models["hub_id"].n_unique() == 760_000
        bundled = pl.read_parquet(Path(_reference_dir(), "hub_frequency.parquet"))
        assert hub_frequency_tables(models, DAY)["hub_frequency"].equals(bundled)
        population = pl.read_parquet(Path(_reference_dir(), "defi_population.parquet"))
        again = join_population(taken.tables["defillama_protocols"].good, BROAD)
        assert again.select(population.columns).equals(population)
        assert all(table.quarantine.is_empty() for table in taken.tables.values())

    def test_manifest_hashes_are_those_of_the_files(self) -> None:
        import hashlib

        manifest = read_manifest()
        assert set(manifest["tables"]) == {*BUNDLED, *COMPANIONS}
        for name in manifest["tables"]:
            data = Path(_reference_dir(), f"{name}.parquet").read_bytes()
            assert hashlib.sha256(data).hexdigest() == manifest["tables"][name]["sha256"]
        assert all(r["sha256"] and r["source"] != "not stated" for r in manifest["recordings"])

    def test_it_is_small(self) -> None:
        sizes = {p.name: p.stat().st_size for p in Path(_reference_dir()).iterdir()}
        assert sizes["hub_frequency.parquet"] < 200_000
        assert sum(sizes.values()) < 3_000_000

    def test_bundled_tables_fit_their_descriptions(self) -> None:
        for name in (*BUNDLED, *COMPANIONS):
            frame = pl.read_parquet(Path(_reference_dir(), f"{name}.parquet"))
            if name != "defi_population":  # its key has nulls, which count as equal
                assert validate(frame, TABLES[name]).quarantine.is_empty()
            assert frame.schema == pl.Schema(TABLES[name].schema)

    def test_another_day_is_refused(self) -> None:
        with pytest.raises(SourceError, match=r"of 2024-07-11, not of 2024-07-12: choose"):
            load_dataset("reference", date(2024, 7, 12))

    @pytest.mark.parametrize("name", ["hub_authors", "hub_derivatives", "hub_totals", "hub_top"])
    def test_the_recording_gives_the_bundled_table(
        self, name: str, recording: Callable[[str], Path]
    ) -> None:
        path = recording("hub/models_2024-07-11.parquet")
        models = validate(load_recordings(str(path)).frames["hub_models"], TABLES["hub_models"])
        bundled = pl.read_parquet(Path(_reference_dir(), f"{name}.parquet"))
        from baimo.pipeline.datasets import hub as tabulate

        measured = {
            "hub_authors": tabulate.frequency_of_authors,
            "hub_derivatives": tabulate.frequency_of_derivatives,
            "hub_totals": tabulate.totals_by_group,
            "hub_top": tabulate.largest_models,
        }[name](models.good)
        assert measured.equals(bundled)


def _reference_dir() -> str:
    from baimo.pipeline.settings import reference_dir

    return str(reference_dir())


def test_reference_loads_without_the_recordings() -> None:
    assert load_reference().day == DAY


# --- its parts -----------------------------------------------------------------------------------


def test_its_rows_say_that_they_are_invented_and_stand_for_dated_counts() -> None:
    found = load_reference()
    models, protocols = found.frames["hub_models"], found.frames["defillama_protocols"]
    assert models["hub_id"].head(2).to_list() == ["reference-0000001", "reference-0000002"]
    assert models["model_id"].str.starts_with("reference/").all()
    assert set(models["source"]) == set(protocols["source"]) == {"reference"}
    stated = read_manifest()["tables"]
    assert {file.table: file.sha256 for file in found.inputs} == {
        name: stated[name]["sha256"] for name in (*BUNDLED, "hub_increments")
    }


def test_what_is_fitted_is_the_earlier_of_the_two_dates() -> None:
    found = load_reference()
    dates = found.frames["defillama_protocols"]["observed_on"].unique().sort().to_list()
    assert len(dates) == 2
    assert found.frames["defi_day"]["observed_on"].unique().to_list() == dates[:1]
    some = pl.DataFrame({"observed_on": [date(2025, 1, 1), date(2023, 1, 1)], "n": [1, 2]})
    assert earliest(some)["n"].to_list() == [2]


def test_what_rows_cannot_give_is_read_as_it_is() -> None:
    ready = load_ready()
    assert tuple(ready) == READY
    assert ready["hub_top"].height == 100
    assert set(load_variants()["population"]) == {
        "downloads_families", "likes_families", "tvl_families", "tvl_with_exchanges"
    }  # fmt: skip
    assert set(load_companions()) == set(COMPANIONS)


# --- a reference that is not whole ---------------------------------------------------------------


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the reference that is the one in use."""
    copy = tmp_path / "reference"
    shutil.copytree(_reference_dir(), copy)
    monkeypatch.setattr(reference, "reference_dir", lambda: copy)
    return copy


def test_without_its_manifest_it_is_missing(copied: Path) -> None:
    (copied / "manifest.json").unlink()
    with pytest.raises(SourceError, match=r"the bundled reference is missing \(.*reinstall baimo"):
        read_manifest()


def test_a_table_that_is_gone_is_named(copied: Path) -> None:
    (copied / "hub_totals.parquet").unlink()
    with pytest.raises(SourceError, match=r"hub_totals\.parquet is missing; reinstall baimo"):
        load_ready()


def test_rows_that_do_not_fit_are_said_to_be_damaged(copied: Path) -> None:
    path = copied / "size_variants.parquet"
    rows = pl.read_parquet(path)
    changed = rows.with_columns(
        n_items=pl.when(pl.int_range(pl.len()) == 3).then(0).otherwise("n_items")
    )
    changed.write_parquet(path)
    with pytest.raises(
        SourceError, match=r"size_variants is damaged \(n_items is below 1\); reinstall baimo"
    ):
        load_variants()


def test_a_companion_that_the_manifest_does_not_name_is_left_out(copied: Path) -> None:
    path = copied / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["tables"]["hub_waves"]
    path.write_text(json.dumps(manifest))
    assert set(load_companions()) == set(COMPANIONS) - {"hub_waves"}
