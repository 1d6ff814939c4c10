"""Calibrations: every one that is registered, as an asset of its own."""

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


def _asset(calibration: Calibration[Any]) -> dg.AssetsDefinition:
    name = calibration.stored.name

    @dg.multi_asset(
        name=name,
        outs={name: record_out(calibration.description, CALIBRATION)},
        deps=dep_keys(calibration.needs),
        required_resource_keys=set(READS_DAY),
        partitions_def=PARTITIONS,
    )
    def calibrate(context: dg.AssetExecutionContext) -> Events:
        found = calibration.fit(day_for(context, calibration.needs))
        yield dg.Output(found, output_name=name, metadata=numbers(calibration.shown(found)))

    return calibrate


assets = [_asset(calibration) for calibration in CALIBRATIONS]
