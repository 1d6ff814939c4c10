"""Tables: from a source's rows to the frequency tables that are fitted."""

import dagster as dg

from baimo.pipeline.defs.declare import (
    PARTITIONS,
    TABULATED,
    Events,
    blocking,
    checked,
    day_of,
    numbers,
    record_out,
    rows,
    table_out,
)

MAX_QUARANTINE = 0.01
FEWEST_MATCHED = 50
HUB = (
    "hub_frequency",
    "hub_authors",
    "hub_design_effects",
    "hub_sampling",
    "hub_covariances",
    "hub_clustered_tests",
    "hub_threshold_spreads",
    "hub_derivatives",
    "hub_totals",
    "hub_top",
    "hub_increments",
    "size_variants",
)
DEFI = ("defi_population", "defi_listing", "tvl_weekly")
FITTED = {
    "hub_models": "hub_frequency",
    "defillama_protocols": "defi_listing",
    "tvl_weekly": "tvl_weekly",
}


class SourceConfig(dg.Config):
    """What is measured: "lake" (the day's published snapshots), "reference" (bundled), a path."""

    source: str = "lake"


@dg.multi_asset(
    name="tables",
    outs={
        **{name: table_out(name, TABULATED) for name in (*HUB, *DEFI)},
        "quarantine": dg.AssetOut(
            description="Rows that fit no table, as they came, with the reason.",
            group_name=TABULATED,
            kinds={"parquet"},
        ),
        "provenance": record_out(
            "Which files went in (sha256, rows, date), what was ignored and why, and how many "
            "rows were quarantined.",
            TABULATED,
        ),
    },
    deps=["hub_models", "defillama_protocols"],
    check_specs=[
        *(
            blocking(
                "rows_fit_the_table",
                asset,
                f"Types, bounds and key of {name} hold; at most {MAX_QUARANTINE:.0%} in "
                "quarantine.",
            )
            for name, asset in FITTED.items()
        ),
        blocking(
            "every_model_is_counted",
            "hub_frequency",
            "The frequency table stands for exactly the models of the snapshot.",
        ),
        blocking(
            "enough_matched",
            "defi_population",
            f"At least {FEWEST_MATCHED} protocols are positive on both dates.",
        ),
    ],
    partitions_def=PARTITIONS,
)
def tables(context: dg.AssetExecutionContext, config: SourceConfig) -> Events:
    """Load the source, validate every row, count models and protocols."""
    import polars as pl

    from baimo.pipeline.datasets.load import load_dataset

    taken = load_dataset(config.source, day_of(context))
    for name, asset in FITTED.items():
        table = taken.tables[name]
        total = table.good.height + table.quarantine.height
        yield from checked(
            "rows_fit_the_table",
            asset,
            passed=table.quarantine.height <= MAX_QUARANTINE * total,
            why=f"{table.quarantine.height:,} of {total:,} rows of {name} are not valid",
            rows=total,
            quarantined=table.quarantine.height,
        )
    made = taken.tabulated()
    models, counted = (
        taken.tables["hub_models"].good.height,
        made["hub_frequency"]["n_models"].sum(),
    )
    yield from checked(
        "every_model_is_counted",
        "hub_frequency",
        passed=counted == models,
        why=f"{counted:,} models counted, {models:,} in the snapshot",
        models=int(counted),
    )
    population = made["defi_population"]
    both = population.filter((pl.col("tvl_before") > 0) & (pl.col("tvl_after") > 0))
    matched = int(both["n_protocols"].sum())
    yield from checked(
        "enough_matched",
        "defi_population",
        passed=matched >= FEWEST_MATCHED,
        why=f"only {matched} protocols have a positive TVL on both dates",
        matched=matched,
    )
    for name in (*HUB, *DEFI):
        yield dg.Output(made[name], output_name=name, metadata=rows(made[name]))
    quarantined = taken.quarantine()
    yield dg.Output(quarantined, output_name="quarantine", metadata=rows(quarantined))
    yield dg.Output(
        taken.provenance(),
        output_name="provenance",
        metadata=numbers({"models": models, "protocols_matched": matched})
        | {
            "source": config.source,
            "files": dg.MetadataValue.md("\n".join(f"- {i.name}" for i in taken.inputs)),
            "ignored": dg.MetadataValue.md("\n".join(f"- {i}" for i in taken.ignored) or "none"),
        },
    )
