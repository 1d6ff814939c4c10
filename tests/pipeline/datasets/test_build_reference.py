"""The bundled reference is what `baimo tabulate` makes of the recordings.

Counts, dates and rounded values are equal; what is computed in floating point may differ in the
last bits between processors, so those columns are held to 1e-12 of their value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from baimo.pipeline.datasets.build_reference import bundle
from baimo.pipeline.errors import SourceError
from baimo.pipeline.settings import reference_dir
from baimo.pipeline.sources.reference import BUNDLED

FILES = (
    "hub/models_2024-07-11.parquet",
    "defillama/protocols_2023-06-27.json",
    "defillama/protocols_2025-12_six_snapshots.parquet",
    "defillama/tvl_daily_top100_2018_2023.parquet",
)
OPTIONAL = (
    "hub/new_models_panel_2026-08.parquet",
    "hub/downloads_two_waves.parquet",
    "hub/datasets_2024-07-09.parquet",
    "hub/leaderboard_likes_panel_2024_2025.parquet",
    "hub/registry_2026-05.parquet",
    "hub/datasets_2023-03-16.parquet",
    "hub/creation_dates_2022-10.parquet",
    "defillama/chain_tvl_daily_2020_2023.parquet",
    "defillama/protocols_by_id_2022_2024.parquet",
    "defillama/adapters_births_deaths.parquet",
)


def test_the_reference_is_measured_on_the_recordings(
    recording: Callable[[str], Path], tmp_path: Path
) -> None:
    about = json.loads((reference_dir() / "about.json").read_text("utf-8"))
    made = bundle([str(recording(name)) for name in FILES + OPTIONAL], tmp_path, about)
    assert len(made) == 21
    for path in made:
        bundled = reference_dir() / path.name
        if path.suffix == ".json":
            assert without_hashes(path) == without_hashes(bundled)
        else:
            one, other = pl.read_parquet(path), pl.read_parquet(bundled)
            assert_frame_equal(one, other, rel_tol=1e-12, abs_tol=0.0)


def without_hashes(manifest: Path) -> object:
    stated = json.loads(manifest.read_text("utf-8"))
    for table in stated["tables"].values():
        assert len(table.pop("sha256")) == 64
    return stated


def test_the_manifest_states_the_hash_of_every_bundled_table() -> None:
    stated = json.loads((reference_dir() / "manifest.json").read_text("utf-8"))["tables"]
    assert len(stated) == 20
    for name, table in stated.items():
        found = hashlib.sha256((reference_dir() / f"{name}.parquet").read_bytes()).hexdigest()
        assert found == table["sha256"], name


def test_a_folder_without_the_optional_recordings_gives_no_table_of_them(
    recording: Callable[[str], Path], tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in (*FILES, OPTIONAL[1]):
        (folder / Path(name).name).symlink_to(recording(name))
    made = {path.name for path in bundle([str(folder)], out, {})}
    assert made == {path.name for path in out.iterdir()}
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert set(manifest["tables"]) == {*BUNDLED, "hub_waves"}
    assert manifest["tables"]["hub_waves"]["taken_on"] == "2022-07-02 and 2024-07-11"
    assert [r["rows_used"] for r in manifest["recordings"] if r["table"] == "hub_waves"] == [51_506]


def test_the_optional_recordings_alone_are_not_enough(
    recording: Callable[[str], Path], tmp_path: Path
) -> None:
    # a registry is a model listing too, and protocols by id are a protocol table
    names = [name for name in OPTIONAL if "registry" not in name and "by_id" not in name]
    with pytest.raises(SourceError, match="no model listing"):
        bundle([str(recording(name)) for name in names], tmp_path / "out", {})
