"""Beside the three sizes: bundled tables of other populations, and what is measured on them."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from baimo.pipeline.defs.declare import (
    PARTITIONS,
    TABULATED,
    rows,
    table_out,
)

BESIDE = ("hub_waves", "other_sizes")


@dg.multi_asset(
    name="companions",
    outs={name: table_out(name, TABULATED) for name in BESIDE},
    deps=["hub_frequency"],  # in order: a run whose source is refused publishes nothing
    partitions_def=PARTITIONS,
)
def companions() -> Iterator[Any]:
    """Publish the bundled tables, empty where one is not bundled."""
    from baimo.pipeline.schema.catalog import TABLES
    from baimo.pipeline.sources.reference import load_companions, read_manifest

    bundled, stated = load_companions(), read_manifest()["tables"]
    for name in BESIDE:
        table = bundled.get(name, pl.DataFrame(schema=TABLES[name].schema))
        origin = stated.get(name, {"taken_on": "not bundled", "sha256": ""})
        stated = {key: origin[key] for key in ("taken_on", "sha256")}
        yield dg.Output(table, output_name=name, metadata=rows(table) | stated)
