"""`baimo simulate`: a seed is a file, parameters come from anywhere, nonsense writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from baimo.pipeline.models.registry import FILE_MODELS
from baimo.pipeline.predictive.simulated_files import LARGEST_N
from tests.pipeline.cli.round_trip import simulated
from tests.pipeline.command import baimo, refused


@pytest.mark.parametrize("model", FILE_MODELS)
def test_every_model_is_written_and_the_same_seed_gives_the_same_file(
    model: str, tmp_path: Path
) -> None:
    first = simulated(tmp_path / "1.csv", model, 300).read_bytes()
    assert simulated(tmp_path / "2.csv", model, 300).read_bytes() == first
    other = simulated(tmp_path / "3.csv", model, 300, seed=8).read_bytes()
    assert other != first
    listed = baimo("simulate", model, "--set", "help")
    assert listed.exit_code == 0
    assert all(name in listed.stdout for name in FILE_MODELS[model].defaults)
    assert set(FILE_MODELS[model].meaning) == set(FILE_MODELS[model].defaults)


def test_what_was_fitted_is_simulated(tmp_path: Path) -> None:
    file = simulated(tmp_path / "y.csv", "yule", 5_000, "gamma=1.5")
    fitted = baimo("fit", "attachment", file, "--likes", "likes", "--age", "age", "--json")
    (tmp_path / "fit.json").write_text(fitted.stdout)
    done = baimo("simulate", "yule", "--params", tmp_path / "fit.json", "--n", 100,
                 "--out", tmp_path / "again.csv")  # fmt: skip
    assert done.exit_code == 0, done.output
    gamma = json.loads(fitted.stdout)["pa_gamma"]
    assert f"{gamma:g}" in done.stdout
    assert "horizon                              4  (default)" in done.stdout


def test_exported_parameters_are_read(tmp_path: Path) -> None:
    rows = {"parameters": [{"name": "gbm_mu", "value": -0.25}, {"name": "x", "value": None}]}
    (tmp_path / "parameters.json").write_text(json.dumps(rows))
    done = baimo("simulate", "growth", "--params", tmp_path / "parameters.json", "--n", 3,
                 "--out", tmp_path / "g.csv")  # fmt: skip
    assert "mu                               -0.25\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope", "--out", "x.csv"], "no model is called 'nope'"),
        (["yule"], "say where to write"),
        (["yule", "--out", "x.txt"], "ends in .csv or .parquet"),
        (["yule", "--out", "x.csv", "--set", "gama=1"], "no parameter 'gama'"),
        (["yule", "--out", "x.csv", "--set", "gamma"], "write name=number"),
        (["yule", "--out", "x.csv", "--set", "gamma=-1"], "gamma"),
        (["yule", "--out", "x.csv", "--params", "none.json"], "none.json"),
        (["ces", "--out", "x.csv", "--set", "rho=1"], "rho"),
        (["gbm", "--out", "x.csv", "--set", "step_days=0"], "step"),
        (["gbm", "--out", "x.csv", "--set", "log_entry_mean=1e4"], "beyond what numbers hold"),
        (["gbm", "--out", "x.csv", "--set", "years=inf"], "finite"),
        (["yule", "--out", "x.csv", "--set", "gamma=15"], "cannot be drawn"),
    ],
)
def test_a_wrong_simulation_is_refused_and_writes_nothing(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refused(baimo("simulate", *arguments))
    assert list(tmp_path.iterdir()) == []


def test_the_rows_are_those_of_the_model_with_what_was_set(tmp_path: Path) -> None:
    done = baimo("simulate", "simon", "--set", "simon_p=.25", "--n", 500, "--seed", 3,
                 "--out", tmp_path / "s.parquet")  # fmt: skip
    assert done.exit_code == 0, done.output
    model = FILE_MODELS["simon"]
    drawn = model.sample({**model.defaults, "simon_p": 0.25}, 500, np.random.default_rng(3))
    assert pl.read_parquet(tmp_path / "s.parquet").equals(drawn)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["simon_p", "0.25"]
    assert lines[-2].startswith(f"{drawn.height:,} rows of likes, seed 3: ")
    assert lines[-1] == f"fit it with: {model.refit.replace('FILE', str(tmp_path / 's.parquet'))}"


def test_a_model_answers_to_its_other_names(tmp_path: Path) -> None:
    for name in ("gbm", *FILE_MODELS["gbm"].aliases):
        simulated(tmp_path / f"{name}.csv", name, 20)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    assert len(list(tmp_path.iterdir())) > 1


def test_more_than_fits_into_memory_is_refused(tmp_path: Path) -> None:
    line = refused(baimo("simulate", "yule", "--n", LARGEST_N + 1, "--out", tmp_path / "y.csv"))
    assert f"at most {LARGEST_N:,}" in line
    assert list(tmp_path.iterdir()) == []
