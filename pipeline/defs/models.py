"""Simulations: each model at full size, and the same fits on what it gives."""

import dagster as dg

from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.defs.declare import (
    PARTITIONS,
    READS_DAY,
    REFIT,
    SIMULATION,
    Events,
    day_for,
    dep_keys,
    numbers,
    record_out,
    rows,
)
from baimo.pipeline.lake.results import Named
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import FAMILIES
from baimo.pipeline.models.printed import PRINTED_EQUATION
from baimo.pipeline.predictive.simulate import REFITS, SIMULATIONS, needs_of
from baimo.pipeline.settings import N_REPLICATIONS, SEED

N_KEPT = 5  # samples of each model kept for pictures; all go through the fits
NEEDS: tuple[Named, ...] = (
    *TAILS.values(),
    ATTACHMENT_FIT,
    *(need for family in FAMILIES for need in needs_of(family)),
)


class SimulationConfig(dg.Config):
    """Seed and number of replications; the same seed gives the same numbers anywhere."""

    seed: int = SEED
    n_replications: int = N_REPLICATIONS


def _outs() -> dict[str, dg.AssetOut]:
    outs = {}
    for family in FAMILIES:
        outs[SIMULATIONS[family.name].name] = dg.AssetOut(
            description=f"{family.words[0].upper()}{family.words[1:]}, at the observed size: the "
            "first samples, a histogram for each age cohort.",
            group_name=SIMULATION,
            kinds={"parquet"},
        )
        outs[REFITS[family.name].name] = record_out(
            f"The fits of the data, run on every simulated sample of {family.words}.", REFIT
        )
    printed = "Eq 19 exactly as printed, from equal starts at full size: does it make a tail?"
    return outs | {PRINTED_EQUATION.name: record_out(printed, SIMULATION)}


def _deps() -> dict[str, set[dg.AssetKey]]:
    """Say which assets each output is made from."""
    tails = {dg.AssetKey(tail.name) for tail in TAILS.values()}
    deps = {PRINTED_EQUATION.name: {dg.AssetKey(ATTACHMENT_FIT.name)}}
    for family in FAMILIES:
        simulation, refit = SIMULATIONS[family.name].name, REFITS[family.name].name
        deps[simulation] = {dg.AssetKey(key) for key in dep_keys(needs_of(family))}
        deps[refit] = {dg.AssetKey(simulation)} | tails
    return deps


@dg.multi_asset(
    name="simulations",
    outs=_outs(),
    deps=dep_keys(NEEDS),
    internal_asset_deps=_deps(),
    required_resource_keys=set(READS_DAY),
    partitions_def=PARTITIONS,
)
def simulations(context: dg.AssetExecutionContext, config: SimulationConfig) -> Events:
    """Draw every model, parameters anew each time where they are drawn, and refit."""
    from baimo.pipeline.analysis.sizes import read_tails
    from baimo.pipeline.models.printed import simulate_printed_equation
    from baimo.pipeline.predictive.simulate import (
        mean_of,
        refit_models,
        samplers_of,
        simulate_models,
    )

    day, n, seed = day_for(context, NEEDS), config.n_replications, config.seed
    x_min = {name: fits.tail.x_min for name, fits in read_tails(day).items()}
    for family in FAMILIES:
        samplers = samplers_of(day, family)
        kept = simulate_models(samplers, n_replications=min(n, N_KEPT), seed=seed)
        yield dg.Output(kept, output_name=SIMULATIONS[family.name].name, metadata=rows(kept))
        refits = refit_models(samplers, x_min, n_replications=n, seed=seed)
        context.log.info(f"{family.name}: {n} samples of each model drawn and refitted")
        zetas = {
            f"{model}_{variable}_mean_zeta": mean_of(found.samples, "zeta")
            for (model, variable), found in refits.items()
        }
        yield dg.Output(refits, output_name=REFITS[family.name].name, metadata=numbers(zetas))
    printed = simulate_printed_equation(day.read(ATTACHMENT_FIT), seed)
    metadata = numbers({"smallest_zeta": min(printed.zetas)})
    yield dg.Output(printed, output_name=PRINTED_EQUATION.name, metadata=metadata)
