"""Calibrations: every one that is registered, as an asset of its own; some share a step."""

from typing import Any

import dagster as dg

from baimo.pipeline.analysis.calibration import Calibration
from baimo.pipeline.defs.declare import (
    CALIBRATION,
    PARTITIONS,
    READS_DAY,
    Events,
    day_for,
    dep_keys,
    numbers,
    record_out,
)
from baimo.pipeline.models.registry import CALIBRATIONS


def _assets(step: str, made: list[Calibration[Any]]) -> dg.AssetsDefinition:
    needs = {c.stored.name: {dg.AssetKey(key) for key in dep_keys(c.needs)} for c in made}

    @dg.multi_asset(
        name=step,
        outs={
            c.stored.name: record_out(c.description, CALIBRATION, is_required=len(made) == 1)
            for c in made
        },
        deps=sorted(set().union(*needs.values())),
        internal_asset_deps=needs,
        required_resource_keys=set(READS_DAY),
        partitions_def=PARTITIONS,
        can_subset=len(made) > 1,
    )
    def calibrate(context: dg.AssetExecutionContext) -> Events:
        for c in made:
            if dg.AssetKey(c.stored.name) in context.selected_asset_keys:
                found = c.fit(day_for(context, c.needs))
                yield dg.Output(found, output_name=c.stored.name, metadata=numbers(c.shown(found)))

    return calibrate


def _by_step() -> dict[str, list[Calibration[Any]]]:
    found: dict[str, list[Calibration[Any]]] = {}
    for calibration in CALIBRATIONS:
        found.setdefault(calibration.step, []).append(calibration)
    return found


assets = [_assets(step, made) for step, made in _by_step().items()]
