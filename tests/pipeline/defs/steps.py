"""One step of the graph, run in process against a lake of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from baimo.estimation.results import encode
from baimo.pipeline.definitions import build_defs
from baimo.pipeline.defs.io_manager import LakeIOManager
from baimo.pipeline.lake.results import Stored
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.table import Table

DAY = date(2024, 7, 11)
Metadata = Mapping[str, Any]


@cache
def specs() -> dict[str, dg.AssetSpec]:
    """Return the assets of the whole graph by name."""
    found = build_defs(DAY).resolve_all_asset_specs()
    return {spec.key.path[-1]: spec for spec in found}


def reads(name: str) -> set[str]:
    """Return the names of the assets that one is made from."""
    return {dep.asset_key.path[-1] for dep in specs()[name].deps}


def stored(lake: Lake, values: Mapping[Stored[Any] | Table, Any], day: date = DAY) -> None:
    """Put results and tables of a day into a lake, as a run does."""
    for what, value in values.items():
        if isinstance(what, Table) or hasattr(value, "write_parquet"):
            lake.write_table(what.name, day, value)
        else:
            lake.write_record(what.name, day, encode(value))


def run(
    root: Path,
    names: Iterable[str],
    ops: Mapping[str, Any] | None = None,
    day: date = DAY,
    *,
    raise_on_error: bool = True,
) -> dg.ExecuteInProcessResult:
    """Materialise some assets of a day, reading and writing a lake at `root`."""
    defs = build_defs(day, resource_overrides={"io_manager": LakeIOManager(root=str(root))})
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        partition_key=day.isoformat(),
        asset_selection=[dg.AssetKey(name) for name in names],
        run_config={
            "ops": {name: {"config": config} for name, config in (ops or {}).items()},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        raise_on_error=raise_on_error,
    )


def shown(result: dg.ExecuteInProcessResult, node: str, asset: str) -> Metadata:
    """Return the metadata that a person sees of an asset."""
    (event,) = [
        m for m in result.asset_materializations_for_node(node) if m.asset_key == dg.AssetKey(asset)
    ]
    return {name: value.value for name, value in event.metadata.items()}


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Return what each failed step said."""
    found = {}
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            said = data.user_failure_data.description if data.user_failure_data else None
            found[str(event.step_key)] = said or str(data.error.message if data.error else "")
    return found
