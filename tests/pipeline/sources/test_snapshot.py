"""What a source hands over says where it is from, and cannot be changed on its way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.sources.recordings import load_recordings
from baimo.pipeline.sources.reference import load_reference
from baimo.pipeline.sources.snapshot import LAKE, RECORDINGS, REFERENCE, Input, Snapshots

DAY = date(2026, 9, 1)
FILE = Input("hub_models", "models.parquet", "ab" * 32, rows=9, rows_used=7, taken_on="2026-09-01")


@pytest.fixture
def taken() -> Snapshots:
    return Snapshots(DAY, LAKE, {"hub_models": pl.DataFrame({"likes": [1, 2]})}, (FILE,))


def test_the_three_sources_have_three_names() -> None:
    assert len({REFERENCE, LAKE, RECORDINGS}) == 3


@pytest.mark.parametrize(
    "load", [lambda _: load_reference(), load_recordings], ids=[REFERENCE, RECORDINGS]
)
def test_each_source_gives_frames_and_the_files_they_are_from(
    load: Callable[[str], Snapshots], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    row = {"_id": "1", "id": "a/b", "likes": 1, "downloads": 2, "createdAt": "2024-07-11T00:00:00Z"}
    (tmp_path / "models.json").write_text(json.dumps([row]))
    found = load(str(tmp_path))
    assert found.source == request.node.callspec.id
    assert set(found.frames) >= {"hub_models", "defi_day", "defillama_protocols", "tvl_weekly"}
    assert found.inputs
    for file in found.inputs:
        assert len(bytes.fromhex(file.sha256)) == 32
        assert 0 < file.rows_used <= file.rows


def test_nothing_is_ignored_unless_it_is_said() -> None:
    bare = Snapshots(DAY, LAKE, {})
    assert (bare.inputs, bare.ignored) == ((), ())


@pytest.mark.parametrize("name", ["day", "source", "frames", "inputs"])
def test_it_cannot_be_changed(taken: Snapshots, name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(taken, name, None)


def test_snapshots_are_told_apart_without_a_look_at_their_rows(taken: Snapshots) -> None:
    assert taken == taken
    assert taken != replace(taken)
    assert len({taken, replace(taken)}) == 2


def test_a_file_is_a_record_of_plain_values() -> None:
    record: dict[str, Any] = json.loads(json.dumps(asdict(FILE)))
    assert Input(**record) == FILE
    assert replace(FILE, rows_used=6) != FILE
