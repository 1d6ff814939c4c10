"""`baimo tabulate`: recordings become frequency tables and a manifest, or it says why not."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.pipeline.command import baimo, refused


def test_tabulate_needs_authors_and_two_dates(own_home: Path) -> None:
    pl.DataFrame(
        {"hub_id": ["a"], "downloads": [1], "likes": [1], "created_at": ["2024-07-11"]}
    ).write_csv(own_home / "models.csv")
    line = refused(baimo("tabulate", own_home / "models.csv", "--out", own_home / "t"))
    assert "cannot tabulate" in line
    assert not (own_home / "t").exists()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what a reference is measured on: 300 models, 60 protocols."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(1)
    pl.DataFrame(
        {
            "_id": [f"i{k}" for k in range(300)],
            "id": [f"owner {k % 60}/m{k}" for k in range(300)],
            "downloads": rng.zipf(1.8, 300),
            "likes": rng.zipf(2.0, 300) - 1,
            "createdAt": [datetime(2023, 1 + k % 12, 1, tzinfo=UTC) for k in range(300)],
            "pipeline_tag": "text-generation",
            "license": "mit",
            "baseModels": [None if k % 3 else "owner 0/m0" for k in range(300)],
        }
    ).write_parquet(folder / "models_2024-07-11.parquet")
    for day, growth in (("2023-06-27", 1.0), ("2025-12-17", 2.0)):
        rows = [
            {"id": str(k), "name": f"p{k}", "category": "Dexes", "listedAt": 1672531200,
             "tvl": growth * (k + 1) * 123_456.0}
            for k in range(60)
        ]  # fmt: skip
        (folder / f"protocols_{day}.json").write_text(json.dumps(rows))
    days = [date(2022, 1, 1) + timedelta(days=n) for n in range(29)]
    pl.DataFrame(
        {"date": days * 2, "protocol": ["a"] * 29 + ["b"] * 29, "tvl_usd": [1e6, *[2e6] * 57]}
    ).write_parquet(folder / "history.parquet")
    return folder


def test_recordings_become_tables_and_a_manifest_that_names_them(
    recordings: Path, tmp_path: Path
) -> None:
    about = tmp_path / "about.json"
    stated = {"history.parquet": {"source": "somewhere", "licence": "CC0"}}
    about.write_text(json.dumps(stated))
    out = tmp_path / "reference"
    told = baimo("tabulate", recordings, "--out", out, "--about", about)
    assert told.exit_code == 0, told.output
    sizes = {p.name: p.stat().st_size for p in out.iterdir()}
    listed = {Path(line.split()[1]).name: line.split()[0] for line in told.stdout.splitlines()}
    assert listed == {name: f"{size:,}" for name, size in sizes.items()}
    manifest = json.loads((out / "manifest.json").read_text())
    assert {f"{name}.parquet" for name in manifest["tables"]} | {"manifest.json"} == set(sizes)
    assert manifest["day"] == "2024-07-11"
    origin = {r["file"]: (r["source"], r["licence"]) for r in manifest["recordings"]}
    assert origin["history.parquet"] == ("somewhere", "CC0")
    assert origin["models_2024-07-11.parquet"] == ("not stated", "not stated")
    assert pl.read_parquet(out / "hub_frequency.parquet")["n_models"].sum() == 300
    population = pl.read_parquet(out / "defi_population.parquet")
    assert (population["tvl_after"] / population["tvl_before"]).to_list() == pytest.approx(
        [2.0] * 60, rel=1e-3
    )


def test_adapters_date_protocols_without_a_listing_date(recordings: Path, tmp_path: Path) -> None:
    for file in recordings.glob("protocols_*.json"):
        rows = json.loads(file.read_text())
        dated = [row | {"module": f"{row['name']}.js", "listedAt": None} for row in rows]
        (tmp_path / file.name).write_text(json.dumps(dated))
    adapters = pl.DataFrame({"adapter": ["p0", "p1"], "first_commit": ["2021-05-06", "2020-11-20"]})
    adapters.write_parquet(tmp_path / "adapters.parquet")
    given = [recordings / "models_2024-07-11.parquet", recordings / "history.parquet", tmp_path]
    told = baimo("tabulate", *given, "--out", tmp_path / "out")
    assert told.exit_code == 0, told.output
    population = pl.read_parquet(tmp_path / "out" / "defi_population.parquet")
    dates = population.sort("tvl_before")["adapter_on"].to_list()
    assert dates == [date(2021, 4, 1), date(2020, 11, 14), *[None] * 58]
    assert population["listed_on"].null_count() == 60
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    (used,) = (r for r in manifest["recordings"] if r["file"] == "adapters.parquet")
    assert (used["table"], used["rows"], used["taken_on"]) == (
        "defillama_adapters", 2, "2021-05-06"
    )  # fmt: skip
    assert manifest["tables"]["defi_population"]["taken_on"] == "2023-06-27 and 2025-12-17"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "expected file name -> {source, licence}"),
        ('{"a": "CC0"}', "expected file name -> {source, licence}"),
        (None, "about.json: cannot be read"),
    ],
    ids=["no JSON", "a list", "no record", "missing"],
)
def test_what_is_stated_must_be_readable(text: str | None, words: str, tmp_path: Path) -> None:
    about = tmp_path / "about.json"
    if text is not None:
        about.write_text(text)
    assert words in refused(baimo("tabulate", tmp_path, "--out", tmp_path / "t", "--about", about))
    assert not (tmp_path / "t").exists()


def test_a_recording_that_is_missing_is_not_taken_from_the_bundle(
    recordings: Path, tmp_path: Path
) -> None:
    models = recordings / "models_2024-07-11.parquet"
    line = refused(baimo("tabulate", models, "--out", tmp_path / "t"))
    assert "cannot tabulate: no defillama_protocols among the recordings" in line
    assert "no tvl_weekly" in line
    assert not (tmp_path / "t").exists()
