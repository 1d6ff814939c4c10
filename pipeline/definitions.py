"""Puts resources and assets together; `build_defs` gives the same graph with other resources."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import dagster as dg

from baimo.pipeline.defs import (
    calibrations,
    conclusions,
    models,
    populations,
    sizes,
    snapshots,
    tables,
)
from baimo.pipeline.defs.automation import (
    RUN_TAGS,
    every_day,
    every_deadline,
    fresh_checks,
    tell_of_failures,
)
from baimo.pipeline.defs.declare import SNAPSHOTS, daily_partitions
from baimo.pipeline.defs.io_manager import LakeIOManager
from baimo.pipeline.settings import lake_dir

JOB = "measure_and_audit"
DAILY = "daily_refresh"
WATCH = "look_for_today"


def build_defs(
    last_day: date | None = None, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Return the whole graph.

    Parameters
    ----------
    last_day
        Last partition; None means today.
    resource_overrides
        Resources by key, in place of the default lake: the graph can be merged into another
        code location with `Definitions.merge`.
    """
    partitions = daily_partitions(last_day)
    modules = [snapshots, tables, populations, sizes, models, conclusions]
    assets = [*dg.load_assets_from_modules(modules), *calibrations.assets]
    dated = dg.map_asset_specs(
        lambda spec: spec.replace_attributes(partitions_def=partitions),
        [a for a in assets if isinstance(a, dg.AssetsDefinition)],
    )
    everything = dg.AssetSelection.assets(*dated)
    measure = dg.define_asset_job(
        JOB,
        selection=everything - dg.AssetSelection.groups(SNAPSHOTS),
        description="Tables, fits, simulations, refits, audit and report of one day: of the lake, "
        "of the bundled reference, or of recordings.",
        executor_def=dg.in_process_executor,
    )
    daily = dg.define_asset_job(
        DAILY,
        selection=everything,
        description="Fetch both sources, then measure the day and write its report.",
        executor_def=dg.in_process_executor,
        tags=RUN_TAGS,
    )
    fresh = fresh_checks()
    watch = dg.define_asset_job(
        WATCH,
        selection=dg.AssetSelection.checks(*fresh),
        description="Look whether today's snapshots are there.",
        executor_def=dg.in_process_executor,
    )
    return dg.Definitions(
        assets=list(dated),
        asset_checks=fresh,
        jobs=[measure, daily, watch],
        schedules=[every_day(daily), every_deadline(watch)],
        sensors=[tell_of_failures([daily, watch])],
        resources={"io_manager": LakeIOManager(root=str(lake_dir())), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


defs = build_defs()
