"""Simulations: each calibrated model at full size, then the same fits on what it gives."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from pipeline.defs.shared import (
    PARTITIONS,
    REFIT,
    SIMULATION,
    numbers,
    reads,
    record_out,
    rows,
)
from pipeline.settings import N_REPLICATIONS, SEED


class SimulationConfig(dg.Config):
    """Seed and number of replications; the same seed gives the same numbers anywhere."""

    seed: int = SEED
    n_replications: int = N_REPLICATIONS


def _histograms(description: str) -> dg.AssetOut:
    return dg.AssetOut(description=description, group_name=SIMULATION, kinds={"parquet"})


@dg.multi_asset(
    name="attachment_simulation",
    outs={
        "attachment_simulation": _histograms(
            "Simon's urn (exact) and, where calibrated, the Yule process at the observed size: "
            "histogram of every replicate."
        ),
        "printed_equation": record_out(
            "Eq 19 exactly as printed, from equal starts at full size: does it make a tail?",
            SIMULATION,
        ),
    },
    partitions_def=PARTITIONS,
)
def attachment_simulation(config: SimulationConfig, attachment_fit: Any) -> Iterator[Any]:
    """Simulate preferential attachment."""
    from pipeline.models import draw_attachment, simulate_models, simulate_printed_equation

    drawn = simulate_models(
        draw_attachment(attachment_fit), n_replications=config.n_replications, seed=config.seed
    )
    yield dg.Output(drawn, output_name="attachment_simulation", metadata=rows(drawn))
    printed = simulate_printed_equation(attachment_fit, config.seed)
    metadata = numbers({"smallest_zeta": min(printed.zetas)})
    yield dg.Output(printed, output_name="printed_equation", metadata=metadata)


@dg.multi_asset(
    name="demand_simulation",
    outs={
        "demand_simulation": _histograms(
            "CES demand at the observed number of models and total: histogram of every replicate."
        )
    },
    partitions_def=PARTITIONS,
)
def demand_simulation(config: SimulationConfig, demand_fit: Any) -> Iterator[Any]:
    """Simulate CES demand."""
    from pipeline.models import draw_demand, simulate_models

    drawn = simulate_models(
        draw_demand(demand_fit), n_replications=config.n_replications, seed=config.seed
    )
    yield dg.Output(drawn, output_name="demand_simulation", metadata=rows(drawn))


@dg.multi_asset(
    name="growth_simulation",
    outs={
        "growth_simulation": _histograms(
            "GBM over the observed ages from the observed entry sizes: every replicate."
        )
    },
    partitions_def=PARTITIONS,
)
def growth_simulation(config: SimulationConfig, growth_fit: Any) -> Iterator[Any]:
    """Simulate GBM growth."""
    from pipeline.models import draw_growth, simulate_models

    drawn = simulate_models(
        draw_growth(growth_fit), n_replications=config.n_replications, seed=config.seed
    )
    yield dg.Output(drawn, output_name="growth_simulation", metadata=rows(drawn))


MODELS = {
    "attachment": "preferential attachment",
    "demand": "CES demand",
    "growth": "GBM growth",
}


@dg.multi_asset(
    name="refits",
    outs={
        f"{name}_refit": record_out(
            f"The fits of the data, run on every simulated sample of {what}.", REFIT
        )
        for name, what in MODELS.items()
    },
    internal_asset_deps=reads(**{f"{name}_refit": f"{name}_simulation" for name in MODELS}),
    partitions_def=PARTITIONS,
)
def refits(
    attachment_simulation: pl.DataFrame,
    demand_simulation: pl.DataFrame,
    growth_simulation: pl.DataFrame,
) -> Iterator[Any]:
    """Refit every simulated sample with the code that fitted the data."""
    from pipeline.comparison import refit_models

    for name, simulated in (
        ("attachment", attachment_simulation),
        ("demand", demand_simulation),
        ("growth", growth_simulation),
    ):
        refitted = refit_models(simulated)
        metadata = numbers(
            {
                f"{model}_{measure}_mean_zeta": sum(s["zeta"] for s in drawn) / len(drawn)
                for (model, measure), drawn in refitted.items()
            }
        )
        yield dg.Output(refitted, output_name=f"{name}_refit", metadata=metadata)
