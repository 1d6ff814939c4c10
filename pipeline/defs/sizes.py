"""Tails and Zipf slopes of the three sizes."""

import dagster as dg

from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.defs import declare
from baimo.pipeline.defs.declare import (
    PARTITIONS,
    READS_DAY,
    Events,
    day_for,
    dep_keys,
    numbers,
    picture,
    record_out,
)
from baimo.pipeline.schema.derived import (
    DEFI_LISTING,
    HUB_CLUSTERED_TESTS,
    HUB_DESIGN_EFFECTS,
    HUB_FREQUENCY,
    HUB_THRESHOLD_SPREADS,
)
from baimo.pipeline.schema.table import Table
from baimo.pipeline.variables import DOWNLOADS, LIKES, TVL, VARIABLES, Variable

OF_OWNERS = (HUB_DESIGN_EFFECTS, HUB_CLUSTERED_TESTS, HUB_THRESHOLD_SPREADS)
NEEDS: dict[Variable, tuple[Table, ...]] = {
    DOWNLOADS: (HUB_FREQUENCY, *OF_OWNERS),
    LIKES: (HUB_FREQUENCY, *OF_OWNERS),
    TVL: (DEFI_LISTING,),
}
ALL_NEEDS = tuple(table for tables in NEEDS.values() for table in tables)
TITLES = {
    DOWNLOADS: "30-day downloads (author-clustered intervals)",
    LIKES: "likes (author-clustered intervals)",
    TVL: "DeFi TVL of the day",
}


@dg.multi_asset(
    name="tails",
    outs={
        TAILS[variable.name].name: record_out(
            f"Tail of {title}: CSN fit with its p, Vuong tests against four rivals, slopes and "
            "tail index at every cut-off, models of the whole sample, concentration.",
            declare.TAILS,
        )
        for variable, title in TITLES.items()
    },
    deps=dep_keys(ALL_NEEDS),
    internal_asset_deps={
        TAILS[variable.name].name: {dg.AssetKey(key) for key in dep_keys(tables)}
        for variable, tables in NEEDS.items()
    },
    check_specs=[
        dg.AssetCheckSpec(
            "agrees_with_powerlaw",
            asset=stored.name,
            description="The powerlaw package finds the same alpha at the same x_min.",
        )
        for stored in TAILS.values()
    ],
    required_resource_keys=set(READS_DAY),
    partitions_def=PARTITIONS,
)
def tails(context: dg.AssetExecutionContext) -> Events:
    """Fit the tails of downloads, likes and TVL."""
    from baimo.pipeline.analysis.check_against_powerlaw import TOLERANCE, alpha_by_powerlaw
    from baimo.pipeline.analysis.sizes import fit_sizes
    from baimo.pipeline.figures.sizes import plot_ccdf
    from baimo.pipeline.figures.style import to_png
    from baimo.pipeline.variables import naming, observed_sizes

    day = day_for(context, ALL_NEEDS)
    effects, tests, spreads = (day.table(table) for table in OF_OWNERS)
    sizes = observed_sizes(day.table(HUB_FREQUENCY), day.table(DEFI_LISTING))
    for name, counts in sizes.items():
        variable, asset = VARIABLES[name], TAILS[name].name
        with naming(variable):
            if variable.discrete:
                fits = fit_sizes(counts, variable, effects, tests=tests, spreads=spreads)
            else:
                fits = fit_sizes(counts, variable, None)
        shown: dict[str, float | str | None] = {
            "zeta": fits.tail.zeta,
            "std_error": fits.tail.std_error_clustered,
            "x_min": fits.tail.x_min,
            "n_tail": fits.tail.n_tail,
            "items": counts.n_obs,
            "items_zero": counts.n_zero,
            "p_value": fits.judged.goodness.p_value,
            "p_value_clustered": fits.judged.clustered_p,
            "support": f"{fits.judged.support.level}: {fits.judged.support.reason}",
        }
        ccdf = picture(to_png(plot_ccdf(variable, counts, fits.tail, {}, None)))
        yield dg.Output(fits, output_name=asset, metadata=numbers(shown) | {"ccdf": ccdf})
        other = alpha_by_powerlaw(counts, fits.tail)
        yield dg.AssetCheckResult(
            passed=abs(other - fits.tail.alpha) < TOLERANCE,
            asset_key=asset,
            check_name="agrees_with_powerlaw",
            severity=dg.AssetCheckSeverity.WARN,
            metadata=numbers({"alpha": fits.tail.alpha, "alpha_powerlaw": other}),
        )
