"""Bundled tables of other populations are published as they are, after the source was taken."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.defs.declare import TABULATED
from baimo.pipeline.defs.populations import BESIDE
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.settings import reference_dir
from baimo.pipeline.sources.reference import COMPANIONS, read_manifest
from tests.pipeline.defs.steps import DAY, reads, run, shown, specs


@pytest.mark.parametrize("bundled", [True, False])
def test_what_is_beside_the_sizes_depends_on_no_source(
    bundled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("hub_waves", "other_sizes", "other_design_effects")
    # in order after the source's checks: a refused source publishes nothing
    assert {above for name in BESIDE for above in reads(name)} == {"hub_frequency"}
    assert reads("companion_fits") == {
        *names, "hub_before_floor", "defi_population", "size_variants", "downloads_tail",
        "likes_tail",
    }  # fmt: skip
    if not bundled:
        monkeypatch.setattr("baimo.pipeline.sources.reference.load_companions", dict)
    run(tmp_path, BESIDE)
    for name in BESIDE:
        written = pl.read_parquet(tmp_path / name / f"date={DAY}" / f"{name}.parquet")
        assert written.schema == pl.Schema(TABLES[name].schema)
        assert written.is_empty() is not bundled


def test_each_is_the_bundled_file_with_its_origin_shown(tmp_path: Path) -> None:
    assert set(BESIDE) < set(COMPANIONS)
    done = run(tmp_path, BESIDE)
    for name in BESIDE:
        written = pl.read_parquet(tmp_path / name / f"date={DAY}" / f"{name}.parquet")
        assert written.equals(pl.read_parquet(reference_dir() / f"{name}.parquet"))
        stated = read_manifest()["tables"][name]
        metadata = shown(done, "companions", name)
        assert metadata["dagster/row_count"] == written.height
        assert metadata["sha256"] == stated["sha256"]
        assert metadata["taken_on"] == stated["taken_on"]


def test_one_that_is_not_bundled_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = read_manifest() | {"tables": {}}
    monkeypatch.setattr("baimo.pipeline.sources.reference.read_manifest", lambda: manifest)
    metadata = shown(run(tmp_path, BESIDE), "companions", "hub_waves")
    assert metadata["taken_on"] == "not bundled"
    assert metadata["dagster/row_count"] == 0


def test_they_stand_among_the_tables() -> None:
    for name in BESIDE:
        assert specs()[name].group_name == TABULATED
        assert specs()[name].description == TABLES[name].meaning
