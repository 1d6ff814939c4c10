"""Puts resources and assets together; `build_defs` gives the same graph with other resources."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import dagster as dg

from pipeline.defs import fits, outputs, simulations, snapshots
from pipeline.defs.lake_io import LakeIOManager
from pipeline.defs.shared import daily_partitions
from pipeline.settings import lake_dir

JOB = "measure_and_audit"


def build_defs(
    last_day: date | None = None, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Return the whole graph.

    Parameters
    ----------
    last_day
        Last partition; None means the newest day in the lake.
    resource_overrides
        Resources by key, in place of the default lake: the graph can be merged into another
        code location with `Definitions.merge`.
    """
    partitions = daily_partitions(last_day)
    assets = dg.load_assets_from_modules([snapshots, fits, simulations, outputs])
    dated = dg.map_asset_specs(
        lambda spec: spec.replace_attributes(partitions_def=partitions),
        [a for a in assets if isinstance(a, dg.AssetsDefinition)],
    )
    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(*dated),
        description="Snapshots, fits, simulations, refits, audit and report of one day.",
        executor_def=dg.in_process_executor,
    )
    return dg.Definitions(
        assets=list(dated),
        jobs=[job],
        resources={"io_manager": LakeIOManager(root=str(lake_dir())), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


defs = build_defs()
