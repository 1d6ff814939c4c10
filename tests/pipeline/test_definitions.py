"""The graph: loads without a server, reads left to right, merges, takes other resources."""

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from baimo.pipeline.definitions import DAILY, JOB, build_defs
from baimo.pipeline.defs.io_manager import LakeIOManager
from baimo.pipeline.defs.tables import tables
from baimo.pipeline.schema.catalog import TABLES

DAY = "2024-07-11"


@pytest.fixture(scope="module")
def specs() -> dict[str, dg.AssetSpec]:
    found = build_defs(date(2024, 7, 11)).resolve_all_asset_specs()
    return {spec.key.path[-1]: spec for spec in found}


def test_every_asset_is_described_grouped_and_partitioned_by_day(
    specs: dict[str, dg.AssetSpec],
) -> None:
    assert len(specs) > 25
    for name, spec in specs.items():
        assert spec.description, name
        assert spec.group_name not in (None, "default")
        assert isinstance(spec.partitions_def, dg.DailyPartitionsDefinition)


NO_ASSETS = {
    "defillama_histories",
    "hub_downloads_daily",
}  # filled by `baimo backfill`, across days


@pytest.mark.parametrize("name", sorted(set(TABLES) - NO_ASSETS))
def test_tables_show_their_columns_with_meaning(specs: dict[str, dg.AssetSpec], name: str) -> None:
    schema = specs[name].metadata["dagster/column_schema"]
    columns = getattr(schema, "value", schema).columns
    assert [c.name for c in columns] == list(TABLES[name].names)
    assert all(c.description for c in columns)


def test_groups_follow_one_another_like_the_sentence(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        for dep in spec.deps:
            parent = specs[dep.asset_key.path[-1]]
            assert (parent.group_name or "") <= (spec.group_name or ""), (parent.key, name)


def test_about_fifteen_steps_hold_the_graph() -> None:
    defs = build_defs(date(2024, 7, 11))
    # a step costs .3 s in one process, 5 s where each has its own
    assert 10 <= len(defs.resolve_job_def(JOB).graph.node_defs) <= 16


def test_the_calendar_runs_from_the_reference_to_today() -> None:
    calendar = build_defs().resolve_all_asset_specs()[0].partitions_def
    assert isinstance(calendar, dg.DailyPartitionsDefinition)
    days = calendar.get_partition_keys()
    assert days[0] == DAY
    assert days[-1] == datetime.now(UTC).date().isoformat()


def test_the_job_without_live_sources_never_touches_them() -> None:
    defs = build_defs(date(2024, 7, 11))
    keys = {k.path[-1] for k in defs.resolve_job_def(JOB).asset_layer.selected_asset_keys}
    assert not keys & {"hub_models", "defillama_protocols", "defillama_chains"}
    daily = {k.path[-1] for k in defs.resolve_job_def(DAILY).asset_layer.selected_asset_keys}
    assert daily >= keys | {"hub_models", "defillama_protocols"}


def test_it_merges_into_another_code_location() -> None:
    @dg.asset(deps=["comparison"])
    def my_own_table() -> None: ...

    merged = dg.Definitions.merge(build_defs(), dg.Definitions(assets=[my_own_table]))
    keys = {spec.key.path[-1] for spec in merged.resolve_all_asset_specs()}
    assert {"my_own_table", "comparison", "hub_models"} <= keys


TABLES_OP = tuple(key.path[-1] for key in tables.keys)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def test_a_resource_can_be_replaced(tmp_path: Path) -> None:
    defs = build_defs(resource_overrides={"io_manager": LakeIOManager(root=str(tmp_path))})
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        partition_key=DAY,
        asset_selection=[dg.AssetKey(n) for n in TABLES_OP],
        run_config={"ops": {"tables": {"config": {"source": "reference"}}}, **QUIET},
    )
    assert result.success
    written = pl.read_parquet(tmp_path / "hub_frequency" / f"date={DAY}" / "hub_frequency.parquet")
    assert written["n_models"].sum() == 760_000
    checks = result.get_asset_check_evaluations()
    assert {c.check_name for c in checks} == {
        "rows_fit_the_table", "every_model_is_counted", "enough_matched"
    }  # fmt: skip
    assert all(c.passed for c in checks)
