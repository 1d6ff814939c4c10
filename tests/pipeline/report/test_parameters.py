"""Exported parameters: one row an estimate, the same in JSON and CSV, read again as they were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.errors import SourceError
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.report.needs import NEEDS
from baimo.pipeline.report.parameters import (
    collect_parameters,
    export_parameters,
    load_parameters,
)
from baimo.pipeline.schema.results import COMPARISON, PARAMETERS
from baimo.pipeline.variables import VARIABLES
from tests.pipeline.report.measured import SEED, STATED, measured_day, values


@pytest.fixture(scope="module")
def parameters() -> pl.DataFrame:
    return collect_parameters(measured_day().only(NEEDS))


@pytest.fixture(scope="module")
def finite(parameters: pl.DataFrame) -> pl.DataFrame:
    """Return the parameters without those at an infinite limit."""
    found = parameters.filter(pl.col("value").is_null() | pl.col("value").is_finite())
    assert found.height > 0.95 * parameters.height
    return found


@pytest.fixture(scope="module")
def exported(finite: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return export_parameters(tmp_path_factory.mktemp("out"), finite, dict(STATED))


def document(path: Path) -> dict[str, Any]:
    """Read JSON as any parser does: neither NaN nor infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    found: dict[str, Any] = json.loads(path.read_text("utf-8"), parse_constant=refuse)
    return found


def row(parameters: pl.DataFrame, name: str) -> Mapping[str, Any]:
    return parameters.row(by_predicate=pl.col("name") == name, named=True)


def test_rows_fit_their_table_and_no_name_comes_twice(parameters: pl.DataFrame) -> None:
    assert parameters.schema == pl.Schema(PARAMETERS.schema)
    assert parameters["name"].is_unique().all()
    for prefix in ("tail_hub_likes_", "zipf_defi_tvl_", "pa_", "gbm_", "ces_", "simulated_"):
        assert parameters["name"].str.starts_with(prefix).any(), prefix


@pytest.mark.parametrize("variable", VARIABLES.values(), ids=list(VARIABLES))
def test_a_tail_is_exported_as_it_was_fitted(variable: Any, parameters: pl.DataFrame) -> None:
    tail = values()[TAILS[variable.name]].tail
    found = row(parameters, f"tail_{variable.prefix}_zeta")
    interval = tail.conf_int()["zeta"]
    assert found["value"] == pytest.approx(tail.zeta, rel=1e-9)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(interval, rel=1e-9)
    assert (found["n_obs"], found["n_used"]) == (tail.n_obs, tail.n_used)


def test_every_calibration_gives_the_rows_that_it_states(parameters: pl.DataFrame) -> None:
    names = set(parameters["name"])
    for calibration in CALIBRATIONS:
        stated = {r["name"] for r in calibration.parameters(values()[calibration.stored])}
        assert stated <= names
        assert stated or calibration.stored.name in ("birth_fit", "kernel_fit", "sampling_errors")


def test_simulated_exponents_come_from_the_comparison(parameters: pl.DataFrame) -> None:
    simulated = values()[COMPARISON].drop_nulls("simulated_zeta")
    shown = parameters.filter(pl.col("name").str.starts_with("simulated_"))
    assert shown.height == simulated.height > 5
    yule = simulated.row(by_predicate=pl.col("model") == "Yule", named=True)
    found = row(parameters, "simulated_yule_hub_likes_zeta")
    assert found["value"] == pytest.approx(yule["simulated_zeta"], rel=1e-9)
    assert yule["verdict"] in found["notes"]
    assert found["n_used"] is None


def test_numbers_are_those_that_every_machine_agrees_on(parameters: pl.DataFrame) -> None:
    for column in ("value", "std_error", "ci_low", "ci_high"):
        for x in parameters[column].drop_nulls():
            assert x == float(f"{x:.9e}")


def test_json_and_csv_hold_the_same_and_any_parser_reads_them(
    exported: tuple[Path, Path], finite: pl.DataFrame
) -> None:
    as_json, as_csv = exported
    assert (as_json.name, as_csv.name) == ("parameters.json", "parameters.csv")
    listed = document(as_json)["parameters"]
    assert listed == finite.to_dicts()
    table = pl.read_csv(as_csv, schema=PARAMETERS.schema)
    assert table.to_dicts() == listed
    assert "nan" not in as_csv.read_text("utf-8").lower().replace("\n", ",").split(",")


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_is_not_finite_is_null_in_both(
    value: float, finite: pl.DataFrame, tmp_path: Path
) -> None:
    row_of_it = finite.head(1).with_columns(value=pl.lit(value))
    as_json, as_csv = export_parameters(tmp_path, row_of_it, dict(STATED))
    (listed,) = document(as_json)["parameters"]
    assert listed["value"] is None
    assert pl.read_csv(as_csv, schema=PARAMETERS.schema)["value"].to_list() == [None]


def test_it_says_what_went_in_and_with_which_seed(exported: tuple[Path, Path]) -> None:
    stated = document(exported[0])["provenance"]
    assert (stated["seed"], stated["n_replications"]) == (SEED, 3)
    assert stated["inputs"] == STATED["inputs"]
    assert stated["day"] == STATED["day"]
    assert document(exported[0])["schema_version"] == 1


def test_the_same_parameters_have_the_same_bytes(
    exported: tuple[Path, Path], finite: pl.DataFrame, tmp_path: Path
) -> None:
    again = export_parameters(tmp_path, finite, dict(STATED))
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in exported]


def test_they_are_read_again_by_name_from_the_file_or_its_folder(
    exported: tuple[Path, Path], finite: pl.DataFrame
) -> None:
    found = load_parameters(exported[0])
    assert found == load_parameters(exported[0].parent)
    assert list(found) == finite["name"].to_list()
    zeta = row(finite, "tail_hub_likes_zeta")
    assert found["tail_hub_likes_zeta"] == Estimate(
        value=zeta["value"], std_error=zeta["std_error"], unit=zeta["unit"],
        interval=(zeta["ci_low"], zeta["ci_high"]),
    )  # fmt: skip
    unknown = finite.filter(pl.col("value").is_null())["name"]
    assert len(unknown) > 0
    assert all(found[name].value is None and found[name].std_error is None for name in unknown)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema_version": 0, "parameters": []}', '{"schema_version": 1}']
)
def test_what_is_no_export_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "parameters.json").write_text(text)
    with pytest.raises(SourceError, match=r"parameters\.json of baimo run"):
        load_parameters(tmp_path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no exported parameters"):
        load_parameters(tmp_path / "none.json")
