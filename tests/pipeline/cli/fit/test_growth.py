"""`baimo fit growth`: what is simulated is found, awkward panels are told or refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import Result

from baimo.simulation.growth.paths import PathParams, simulate_paths
from tests.pipeline.cli.round_trip import answer as fitted, near, simulated
from tests.pipeline.command import baimo, refused

RNG = np.random.default_rng(3)

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


def test_what_is_simulated_is_found(tmp_path: Path) -> None:
    file = simulated(tmp_path / "g.csv", "gbm", 200, "mu=.3", "gbm_sigma_idiosyncratic=.8",
                     "sigma_common=.3", "exit_rate=.1")  # fmt: skip
    found = fitted("growth", file, "--item", "item", "--date", "date", "--value", "value")
    near(found, "gbm_mu", 0.3)
    near(found, "gbm_sigma", math.hypot(0.8, 0.3))
    near(found, "gbm_sigma_idiosyncratic", 0.8)
    near(found, "gbm_sigma_common", 0.3)
    near(found, "gbm_size_slope", 0.0)
    assert found["gbm_cd_p_value"] < 1e-6


def panel(path: Path, rows: list[tuple[str, str, Any]], *options: str) -> Result:
    pl.DataFrame(rows, schema=["p", "d", "v"], orient="row").write_csv(path / "g.csv")
    return baimo("fit", "growth", path / "g.csv", "--item", "p", "--date", "d", "--value", "v",
                 *options)  # fmt: skip


def test_a_panel_of_one_date(tmp_path: Path) -> None:
    rows = [(f"p{k}", "2024-01-01", 10.0 + k) for k in range(20)]
    assert "date" in refused(panel(tmp_path, rows))


def test_two_observations_each(tmp_path: Path) -> None:
    rows = [
        (f"p{k}", day, float(np.exp(RNG.normal(10, 1))))
        for k in range(60)
        for day in ("2024-01-01", "2025-01-01")
    ]
    result = panel(tmp_path, rows)
    assert result.exit_code == 0, result.output
    assert "errors uncertain or none" in result.stdout


def test_constant_series(tmp_path: Path) -> None:
    rows = [(f"p{k}", f"2024-01-{d:02}", 5.0) for k in range(5) for d in range(1, 9)]
    assert panel(tmp_path, rows).exit_code == 2


def test_gaps_and_zeros_are_counted(tmp_path: Path) -> None:
    rows: list[tuple[str, str, Any]] = [
        (f"p{k}", f"2024-{m:02}-01", float(np.exp(10 + RNG.normal())))
        for k in range(30)
        for m in range(1, 13)
    ]
    rows[5] = (*rows[5][:2], 0.0)
    rows[17] = (*rows[17][:2], None)
    result = panel(tmp_path, rows)
    assert result.exit_code == 0, result.output
    assert "1 missing and 1 non-positive values are gaps" in result.stdout


def test_a_date_that_is_none(tmp_path: Path) -> None:
    rows = [("p", "2024-01-01", 1.0), ("p", "soon", 2.0)]
    assert "no dates, the first in row 2" in refused(panel(tmp_path, rows))


@pytest.mark.parametrize(
    "dates",
    [
        ["02/01/2021", "02/02/2021", "02/03/2021"],  # a day may not be taken for a month
        ["02-01-2021", "02-02-2021", "02-03-2021"],
        ["1609459200", "1612137600", "1614556800"],  # seconds
        ["20210101", "20210201", "20210301"],
    ],
)
def test_dates_that_could_be_misread_are_refused(dates: list[str], tmp_path: Path) -> None:
    rows = [(f"p{k}", d, 10.0 + k) for k in range(3) for d in dates]
    assert "YYYY-MM-DD" in refused(panel(tmp_path, rows))


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64])
def test_numbers_that_are_no_years_are_refused_in_parquet_too(dtype: Any, tmp_path: Path) -> None:
    frame = pl.DataFrame({"p": ["a", "a"], "d": [1609459200, 1612137600], "v": [1.0, 2.0]})
    frame.with_columns(pl.col("d").cast(dtype)).write_parquet(tmp_path / "g.parquet")
    line = refused(baimo("fit", "growth", tmp_path / "g.parquet", "--item", "p", "--date", "d",
                         "--value", "v"))  # fmt: skip
    assert "numbers that are no years" in line


def test_times_in_years_are_the_same_in_every_form(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    paths = np.exp(10 + np.cumsum(rng.normal(0, 0.2, (20, 24)), axis=1))
    frame = pl.DataFrame(
        {
            "p": np.repeat(np.arange(20), 24),
            "d": np.tile(np.arange(24) / 12, 20),
            "v": paths.ravel(),
        }
    )
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_csv(tmp_path / "b.csv")
    frame.with_columns(pl.col("d") + 2021).write_csv(tmp_path / "c.csv")
    found = [
        fitted("growth", tmp_path / name, "--item", "p", "--date", "d", "--value", "v")
        for name in ("a.parquet", "b.csv", "c.csv")
    ]
    assert found[0]["gbm_sigma"] == pytest.approx(found[1]["gbm_sigma"], rel=1e-12)
    assert found[0]["gbm_sigma"] == pytest.approx(found[2]["gbm_sigma"], rel=1e-9)
