"""The bundled reference is what `baimo tabulate` makes of the recordings, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pipeline.bundle import bundle
from pipeline.settings import reference_dir

FILES = (
    "hub/models_2024-07-11.parquet",
    "defillama/protocols_2023-06-27.json",
    "defillama/protocols_2025-12_six_snapshots.parquet",
    "defillama/tvl_daily_top100_2018_2023.parquet",
)


def test_the_reference_is_measured_on_the_recordings(
    recording: Callable[[str], Path], tmp_path: Path
) -> None:
    about = json.loads((reference_dir() / "about.json").read_text("utf-8"))
    made = bundle([str(recording(name)) for name in FILES], tmp_path, about)
    assert len(made) == 9
    for path in made:
        assert path.read_bytes() == (reference_dir() / path.name).read_bytes(), path.name
