"""`baimo fit growth --loadings --bootstrap N`: what is simulated is found, refusals in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from baimo.simulation.growth.paths import PathParams, simulate_paths
from tests.pipeline.command import baimo, refused

COLUMNS = ("--item", "item", "--date", "date", "--value", "value")
TRUTH = PathParams(mu=0.2, sigma_idiosyncratic=0.8, sigma_common=0.5, loading_sd=0.4)


def written(path: Path, params: PathParams = TRUTH, n: int = 40, t: int = 80) -> Path:
    rng = np.random.default_rng(1)
    times = np.arange(t + 1) * 7 / 365.25
    values = simulate_paths(params, times, rng.normal(15, 2, n), rng)
    frame = {"item": np.repeat(np.arange(n), t + 1), "date": np.tile(times, n)}
    pl.DataFrame(frame | {"value": values.ravel()}).write_parquet(path / "g.parquet")
    return path / "g.parquet"


def answer(*arguments: object) -> dict[str, Any]:
    result = baimo("fit", "growth", *arguments, *COLUMNS, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_loadings_and_slope_net_of_the_market(tmp_path: Path) -> None:
    found = answer(written(tmp_path), "--loadings")
    for name, truth in (("loading_sd", 0.4), ("size_slope_cce", 0.0)):
        low, high = found[f"gbm_{name}_interval"]
        assert low < truth < high
    assert found["gbm_loading_p_value"] < 1e-6
    assert found["gbm_sigma_idiosyncratic_loadings"] < found["gbm_sigma_idiosyncratic"]
    assert found["gbm_size_slope_cce_mean_group"] is not None
    assert any("intercepts of items bias the slope" in note for note in found["notes"])


def test_intervals_by_resampling(tmp_path: Path) -> None:
    file = written(tmp_path)
    found = answer(file, "--bootstrap", 200)
    for name in ("mu", "sigma", "sigma_idiosyncratic", "size_slope"):
        assert found[f"gbm_{name}_bootstrap"] == pytest.approx(found[f"gbm_{name}"], rel=1e-8)
        low, high = found[f"gbm_{name}_bootstrap_interval"]
        assert low < found[f"gbm_{name}"] < high
    assert answer(file, "--bootstrap", 200, "--seed", 0) == found
    assert answer(file, "--bootstrap", 200, "--seed", 1) != found


def test_nothing_is_added_unasked(tmp_path: Path) -> None:
    found = answer(written(tmp_path))
    assert not any("loading" in name or "cce" in name or "bootstrap" in name for name in found)


def test_the_table_holds_both(tmp_path: Path) -> None:
    file = written(tmp_path)
    result = baimo("fit", "growth", file, *COLUMNS, "--loadings", "--bootstrap", 100)
    assert result.exit_code == 0, result.output
    for name in ("gbm_loading_sd", "gbm_size_slope_cce", "gbm_mu_bootstrap"):
        assert name in result.stdout


def test_without_a_common_shock_the_rest_is_answered(tmp_path: Path) -> None:
    file = written(tmp_path, PathParams(mu=0.2, sigma_idiosyncratic=0.8))
    found = answer(file, "--loadings")
    assert "gbm_loading_sd" not in found
    assert found["gbm_sigma"] > 0
    assert any(note.startswith("loadings: ") for note in found["notes"])


def test_refusals(tmp_path: Path) -> None:
    file = written(tmp_path, n=5, t=10)
    command = ("fit", "growth", file, *COLUMNS)
    kept = baimo(*command, "--bootstrap", 100)  # what can be said is said
    assert kept.exit_code == 0
    assert "no bootstrap: 5 items are too few" in kept.output
    assert "gbm_sigma" in kept.stdout
    assert "give --bootstrap N" in refused(baimo(*command, "--seed", 1))
    assert baimo(*command, "--bootstrap", 99).exit_code == 2
