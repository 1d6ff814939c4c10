"""Snapshots: from a source to validated tables, and from rows to frequency tables."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from pipeline.defs.shared import (
    PARTITIONS,
    SNAPSHOTS,
    TABULATED,
    blocking,
    checked,
    day_of,
    numbers,
    record_out,
    rows,
    table_out,
)

MAX_QUARANTINE = 0.01


class SourceConfig(dg.Config):
    """Where the snapshots come from: "reference" (bundled), or a path to recordings."""

    source: str = "reference"


RAW = ("hub_models", "defillama_protocols", "tvl_weekly")


@dg.multi_asset(
    name="snapshots",
    outs={
        **{name: table_out(name, SNAPSHOTS) for name in RAW},
        "quarantine": dg.AssetOut(
            description="Rows that fit no table, as they came, with the reason.",
            group_name=SNAPSHOTS,
            kinds={"parquet"},
        ),
        "provenance": record_out(
            "Which files went in (sha256, rows, date), what was ignored and why, and how many "
            "rows were quarantined.",
            SNAPSHOTS,
        ),
    },
    check_specs=[
        blocking(
            "rows_fit_the_table",
            name,
            f"Types, bounds and key hold; at most {MAX_QUARANTINE:.0%} in quarantine.",
        )
        for name in RAW
    ],
    partitions_def=PARTITIONS,
)
def snapshots(context: dg.AssetExecutionContext, config: SourceConfig) -> Iterator[Any]:
    """Load the source, validate every row, publish what is whole."""
    from pipeline.snapshots import take_snapshots

    taken = take_snapshots(config.source, day_of(context))
    for name in RAW:
        table = taken.tables[name]
        total = table.good.height + table.quarantine.height
        yield from checked(
            "rows_fit_the_table",
            name,
            passed=table.quarantine.height <= MAX_QUARANTINE * total,
            why=f"{table.quarantine.height:,} of {total:,} rows of {name} are not valid",
            rows=total,
            quarantined=table.quarantine.height,
        )
    for name in RAW:
        table = taken.tables[name]
        metadata = rows(table.good) | numbers({"quarantined": table.quarantine.height})
        metadata["notes"] = "; ".join(table.notes) or "none"
        yield dg.Output(table.good, output_name=name, metadata=metadata)
    quarantined = taken.quarantine()
    yield dg.Output(quarantined, output_name="quarantine", metadata=rows(quarantined))
    yield dg.Output(
        taken.provenance(),
        output_name="provenance",
        metadata={
            "source": config.source,
            "files": dg.MetadataValue.md("\n".join(f"- {i.name}" for i in taken.inputs)),
            "ignored": dg.MetadataValue.md("\n".join(f"- {i}" for i in taken.ignored) or "none"),
        },
    )


HUB = (
    "hub_frequency",
    "hub_authors",
    "hub_design_effects",
    "hub_derivatives",
    "hub_totals",
    "hub_top",
)


@dg.multi_asset(
    name="hub_tables",
    outs={name: table_out(name, TABULATED) for name in HUB},
    check_specs=[
        blocking(
            "every_model_is_counted",
            "hub_frequency",
            "The frequency table stands for exactly the models of the snapshot.",
        )
    ],
    partitions_def=PARTITIONS,
)
def hub_tables(context: dg.AssetExecutionContext, hub_models: pl.DataFrame) -> Iterator[Any]:
    """Count the models by day of creation, downloads and likes; measure author clustering."""
    from pipeline.snapshots import hub_frequency_tables

    tables = hub_frequency_tables(hub_models, day_of(context))
    counted = int(tables["hub_frequency"]["n_models"].sum())
    yield from checked(
        "every_model_is_counted",
        "hub_frequency",
        passed=counted == hub_models.height,
        why=f"{counted:,} models counted, {hub_models.height:,} in the snapshot",
        models=counted,
    )
    for name in HUB:
        yield dg.Output(tables[name], output_name=name, metadata=rows(tables[name]))


@dg.multi_asset(
    name="defi_tables",
    outs={"defi_population": table_out("defi_population", TABULATED)},
    check_specs=[
        blocking(
            "enough_matched",
            "defi_population",
            "At least 50 protocols are positive on both dates.",
        )
    ],
    partitions_def=PARTITIONS,
)
def defi_tables(defillama_protocols: pl.DataFrame) -> Iterator[Any]:
    """Join the two dates of DeFi by name, without CEX, chains and canonical bridges."""
    from pipeline.tabulate import join_population

    population = join_population(defillama_protocols)
    both = population.filter((pl.col("tvl_before") > 0) & (pl.col("tvl_after") > 0))
    matched = int(both["n_protocols"].sum())
    yield from checked(
        "enough_matched",
        "defi_population",
        passed=matched >= 50,
        why=f"only {matched} protocols have a positive TVL on both dates",
        matched=matched,
    )
    metadata = rows(population) | numbers(
        {
            "protocols": int(population["n_protocols"].sum()),
            "positive_on_both_dates": matched,
            "entrants": int(population.filter("entrant")["n_protocols"].sum()),
            "unmatched": int(population.filter("unmatched")["n_protocols"].sum()),
        }
    )
    yield dg.Output(population, output_name="defi_population", metadata=metadata)
