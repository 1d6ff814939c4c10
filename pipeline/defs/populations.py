"""Beside the three sizes: bundled tables of other populations, and what is measured on them."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from baimo.pipeline.defs.declare import (
    CALIBRATION,
    PARTITIONS,
    TABULATED,
    numbers,
    record_out,
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
        told = {key: origin[key] for key in ("taken_on", "sha256")}
        yield dg.Output(table, output_name=name, metadata=rows(table) | told)


@dg.multi_asset(
    name="companion_fits",
    outs={
        "companion_fits": record_out(
            "Tails of Hub datasets, of chains and of DeFi's later date; both dates of DeFi from "
            "the same sizes on; growth and persistence of downloads between two windows.",
            CALIBRATION,
        )
    },
    partitions_def=PARTITIONS,
)
def companion_fits(
    hub_waves: pl.DataFrame, other_sizes: pl.DataFrame, defi_population: pl.DataFrame
) -> Iterator[Any]:
    """Fit the samples beside the three sizes."""
    from baimo.pipeline.analysis.populations import fit_companions

    fits = fit_companions(hub_waves, other_sizes, defi_population)
    told: dict[str, float | None] = {f"{n}_zeta": tail.zeta for n, tail in fits.tails.items()}
    for name, tails in fits.equal_cutoffs.items():
        told |= {f"{name}_zeta_from_{tail.x_min:.3g}": tail.zeta for tail in tails}
    if fits.waves is not None:
        told |= {f"waves_slope_{n}": s.value for n, s in fits.waves.slopes.items()}
        told["waves_log_correlation"] = fits.waves.log_correlation
    metadata = numbers(told) | {"notes": dg.MetadataValue.md("\n".join(fits.notes) or "none")}
    yield dg.Output(fits, output_name="companion_fits", metadata=metadata)
