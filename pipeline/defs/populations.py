"""Beside the three sizes: bundled tables of other populations, and what is measured on them."""

import dagster as dg
import polars as pl

from baimo.pipeline.defs.declare import PARTITIONS, TABULATED, Events, rows, table_out

BESIDE = (
    "hub_waves",
    "other_increments",
    "other_sizes",
    "other_design_effects",
    "hub_before_floor",
    "tvl_growth_periods",
)


@dg.multi_asset(
    name="companions",
    outs={name: table_out(name, TABULATED) for name in BESIDE},
    deps=["hub_frequency"],  # in order: a run whose source is refused publishes nothing
    partitions_def=PARTITIONS,
)
def companions() -> Events:
    """Publish the bundled tables, empty where one is not bundled."""
    from baimo.pipeline.schema.catalog import TABLES
    from baimo.pipeline.sources.reference import load_companions, read_manifest

    bundled, stated = load_companions(), read_manifest()["tables"]
    for name in BESIDE:
        table = bundled.get(name, pl.DataFrame(schema=TABLES[name].schema))
        origin = (
            {"taken_on": stated[name]["taken_on"], "sha256": stated[name]["sha256"]}
            if name in stated
            else {"taken_on": "not bundled", "sha256": ""}
        )
        yield dg.Output(table, output_name=name, metadata={**rows(table), **origin})
