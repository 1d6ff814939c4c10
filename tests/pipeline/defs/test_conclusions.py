"""Conclusions: comparison, audit and export are made from the day in the lake, and stay there."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from baimo.pipeline.claims import registry
from baimo.pipeline.claims.claim import AUDIT
from baimo.pipeline.claims.registry import claims_table, numbers_table
from baimo.pipeline.defs.declare import CONCLUSIONS
from baimo.pipeline.lake.results import Day, names_of
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.predictive import compare
from baimo.pipeline.report import needs as report_needs
from baimo.pipeline.report.parameters import collect_parameters
from baimo.pipeline.schema.results import (
    CLAIM_NUMBERS,
    CLAIMS,
    COMPARISON,
    PARAMETERS,
    VERDICTS,
)
from baimo.pipeline.variables import VARIABLES
from tests.pipeline.defs.steps import DAY, reads, run, shown, specs, stored
from tests.pipeline.report.measured import measured_day, values

MADE = (COMPARISON, VERDICTS, AUDIT, CLAIMS, CLAIM_NUMBERS)
ALL = (*(made.name for made in MADE), PARAMETERS.name, "report")
DAYS_BEFORE = 6


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dg.ExecuteInProcessResult]:
    """Draw the conclusions of the made-up day; the page itself is left out."""
    home = tmp_path_factory.mktemp("home")
    lake = Lake(home / "lake")
    stored(lake, {what: value for what, value in values().items() if what not in MADE})
    of_today = collect_parameters(measured_day())
    moved = pl.when(pl.col("name") == "tail_hub_likes_zeta").then(9.0).otherwise("value")
    for n in range(1, DAYS_BEFORE + 1):
        earlier = of_today.with_columns(value=moved)
        lake.write_table(PARAMETERS.name, DAY - timedelta(days=n), earlier)

    def render(out: Path, day: Day, provenance: dict[str, Any]) -> None:
        (out / "report.html").write_text(f"{day.date} with seed {provenance['seed']}")

    config = {"seed": 7, "n_replications": 3, "out": str(home / "out")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAIMO_LAKE", str(lake.root))
        patch.setattr("baimo.pipeline.report.page.render_report", render)
        return home, run(lake.root, ALL, {"published": config})


@pytest.fixture(scope="module")
def day(done: tuple[Path, dg.ExecuteInProcessResult]) -> Day:
    return Day.of_lake(Lake(done[0] / "lake"), DAY, [*MADE, PARAMETERS])


def test_each_is_made_from_what_it_declares() -> None:
    for name, needs in (
        (COMPARISON.name, compare.NEEDS), (VERDICTS.name, compare.NEEDS),
        (AUDIT.name, registry.NEEDS), (CLAIMS.name, registry.NEEDS),
        (PARAMETERS.name, report_needs.NEEDS), ("report", report_needs.NEEDS),
    ):  # fmt: skip
        assert reads(name) == names_of(needs), name
        assert specs()[name].group_name == CONCLUSIONS


def test_the_comparison_is_that_of_the_day(
    day: Day, done: tuple[Path, dg.ExecuteInProcessResult]
) -> None:
    assert day.table(COMPARISON).equals(values()[COMPARISON])
    assert day.table(VERDICTS).equals(values()[VERDICTS])
    text = str(shown(done[1], "comparison", COMPARISON.name)["verdicts"])
    assert text.count("\n") == 1 + day.table(COMPARISON).height
    assert all(model in text for model in day.table(COMPARISON)["model"])


def test_the_audit_stands_as_record_and_as_tables(
    day: Day, done: tuple[Path, dg.ExecuteInProcessResult]
) -> None:
    tested = day.read(AUDIT)
    assert tested == values()[AUDIT]
    assert day.table(CLAIMS).equals(claims_table(tested))
    assert day.table(CLAIM_NUMBERS).equals(numbers_table(tested))
    metadata = shown(done[1], "audit", AUDIT.name)
    assert metadata["claims"] == len(tested)
    assert all(claim.text in metadata["verdicts"] for claim in tested)


def test_the_parameters_are_stored_and_exported_with_seed_and_number(
    day: Day, done: tuple[Path, dg.ExecuteInProcessResult]
) -> None:
    out = done[0] / "out"
    parameters = day.table(PARAMETERS)
    assert parameters.equals(collect_parameters(measured_day()))
    document = json.loads((out / "parameters.json").read_text("utf-8"))
    assert [p["name"] for p in document["parameters"]] == parameters["name"].to_list()
    assert document["provenance"]["seed"] == 7
    assert document["provenance"]["n_replications"] == 3
    metadata = shown(done[1], "published", PARAMETERS.name)
    assert metadata["dagster/row_count"] == parameters.height
    assert metadata["json"] == str(out / "parameters.json")
    assert metadata["csv"] == str(out / "parameters.csv")


def test_the_report_is_written_whole_into_the_folder_asked_for(
    done: tuple[Path, dg.ExecuteInProcessResult],
) -> None:
    out = done[0] / "out"
    assert (out / "report.html").read_text() == f"{DAY} with seed 7"
    assert sorted(p.name for p in out.iterdir()) == [
        "parameters.csv", "parameters.json", "report.html"
    ]  # fmt: skip
    metadata = shown(done[1], "published", "report")
    assert metadata["report"] == str(out / "report.html")
    assert metadata["overview"].startswith("![picture](data:image/png;base64,iVBOR")


def test_what_lies_far_from_the_days_before_is_a_warning_by_name(
    done: tuple[Path, dg.ExecuteInProcessResult],
) -> None:
    checks = {c.check_name: c for c in done[1].get_asset_check_evaluations()}
    assert set(checks) == {f"steady_{name}" for name in VARIABLES}
    assert all(c.severity == dg.AssetCheckSeverity.WARN for c in checks.values())
    assert {name: c.passed for name, c in checks.items()} == {
        "steady_downloads": True, "steady_likes": False, "steady_tvl": True
    }  # fmt: skip
    metadata = {n: v.value for n, v in checks["steady_likes"].metadata.items()}
    assert metadata["drifted"] == "tail_hub_likes_zeta"
    assert metadata["days"] == DAYS_BEFORE
    assert metadata["tail_hub_likes_zeta_median"] == 9.0


def test_a_page_that_cannot_be_made_leaves_the_folder_as_it_was(
    done: tuple[Path, dg.ExecuteInProcessResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no page")

    monkeypatch.setenv("BAIMO_LAKE", str(done[0] / "lake"))
    monkeypatch.setattr("baimo.pipeline.report.page.render_report", fail)
    (tmp_path / "report.html").write_text("of yesterday")
    names = (PARAMETERS.name, "report")
    config = {"published": {"out": str(tmp_path)}}
    result = run(done[0] / "lake", names, config, raise_on_error=False)
    assert not result.success
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "of yesterday"
