"""Simulations: each mechanism at full size, and the same fits on what it gives."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from baimo.pipeline.defs.declare import (
    PARTITIONS,
    REFIT,
    SIMULATION,
    day_of,
    numbers,
    reads,
    record_out,
    rows,
)
from baimo.pipeline.settings import N_REPLICATIONS, SEED


class SimulationConfig(dg.Config):
    """Seed and number of replications; the same seed gives the same numbers anywhere."""

    seed: int = SEED
    n_replications: int = N_REPLICATIONS


MODELS = {
    "attachment": "preferential attachment (Simon's urn, Yule process)",
    "demand": "CES demand",
    "birth": "differences at birth (lognormal and double Pareto-lognormal sizes, lognormal rates)",
    "growth": "GBM growth over the observed ages from the observed entry sizes, of the population "
    "and as if survivors stood for it",
}
N_KEPT = 5  # samples of each model kept for pictures; all go through the fits
OF = {
    "attachment": ("Simon", "Yule"),
    "demand": ("CES",),
    "birth": ("lognormal", "dPlN", "fitness"),
    "growth": ("GBM", "GBM survivors"),
}


@dg.multi_asset(
    name="simulations",
    outs={
        **{
            f"{name}_simulation": dg.AssetOut(
                description=f"{what[0].upper()}{what[1:]}, at the observed size: the first "
                "samples, a histogram for each age cohort.",
                group_name=SIMULATION,
                kinds={"parquet"},
            )
            for name, what in MODELS.items()
        },
        **{
            f"{name}_refit": record_out(
                f"The fits of the data, run on every simulated sample of {what}.", REFIT
            )
            for name, what in MODELS.items()
        },
        "printed_equation": record_out(
            "Eq 19 exactly as printed, from equal starts at full size: does it make a tail?",
            SIMULATION,
        ),
    },
    internal_asset_deps=reads(
        attachment_simulation="attachment_fit demand_fit hub_frequency",
        demand_simulation="attachment_fit demand_fit",
        birth_simulation="attachment_fit downloads_tail likes_tail birth_fit",
        growth_simulation="growth_fit",
        printed_equation="attachment_fit",
        attachment_refit="attachment_simulation downloads_tail likes_tail kernel_fit",
        demand_refit="demand_simulation downloads_tail likes_tail kernel_fit",
        birth_refit="birth_simulation downloads_tail likes_tail kernel_fit",
        growth_refit="growth_simulation tvl_tail defi_population",
    ),
    partitions_def=PARTITIONS,
)
def simulations(
    context: dg.AssetExecutionContext,
    config: SimulationConfig,
    hub_frequency: pl.DataFrame,
    attachment_fit: Any,
    demand_fit: Any,
    growth_fit: Any,
    birth_fit: Any,
    kernel_fit: Any,
    downloads_tail: Any,
    likes_tail: Any,
    tvl_tail: Any,
    defi_population: pl.DataFrame,
) -> Iterator[Any]:
    """Draw every mechanism, parameters anew each time, and refit; run eq 19 as printed."""
    from baimo.pipeline.analysis.cohorts import cohort_data, positive_by_cohort
    from baimo.pipeline.models.gbm import sample_movement
    from baimo.pipeline.models.printed import simulate_printed_equation
    from baimo.pipeline.models.registry import draw_gains, draw_mechanisms
    from baimo.pipeline.models.simulate import refit_later, refit_models, simulate_models
    from baimo.pipeline.models.static_sizes import births

    fits = {"downloads": downloads_tail, "likes": likes_tail}
    x_min = {name: fit.tail.x_min for name, fit in (fits | {"tvl": tvl_tail}).items()}
    seen = cohort_data(hub_frequency, attachment_fit, day_of(context))
    draws = draw_mechanisms(
        attachment_fit, demand_fit, births(fits), birth_fit, positive_by_cohort(seen), growth_fit
    )
    later = draw_gains(kernel_fit, attachment_fit, demand_fit, birth_fit)
    later["GBM", "tvl"] = sample_movement(growth_fit, defi_population)
    n, seed = config.n_replications, config.seed
    for name, models in OF.items():
        chosen = {key: draw for key, draw in draws.items() if key[0] in models}
        samples = simulate_models(chosen, n_replications=min(n, N_KEPT), seed=seed)
        yield dg.Output(samples, output_name=f"{name}_simulation", metadata=rows(samples))
        refitted = refit_models(chosen, x_min, n_replications=n, seed=seed)
        refitted = refit_later(refitted, later, seed=seed)
        context.log.info(f"{name}: {n} samples of each model drawn and refitted")
        told = {
            f"{model}_{measure}_mean_zeta": sum(s["zeta"] for s in drawn) / len(drawn)
            for (model, measure), drawn in refitted.items()
        }
        yield dg.Output(refitted, output_name=f"{name}_refit", metadata=numbers(told))
    printed = simulate_printed_equation(attachment_fit, seed)
    metadata = numbers({"smallest_zeta": min(printed.zetas)})
    yield dg.Output(printed, output_name="printed_equation", metadata=metadata)
