"""Fits: tails and Zipf slopes of the three sizes; calibration of PA, CES and GBM."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from baimo.pipeline.defs.declare import (
    CALIBRATION,
    PARTITIONS,
    TAILS,
    day_of,
    numbers,
    picture,
    reads,
    record_out,
)


@dg.multi_asset(
    name="tails",
    outs={
        f"{name}_tail": record_out(
            f"Tail of {what}: CSN fit with its p, Vuong tests against four rivals, slopes and tail "
            "index at every cut-off, models of the whole sample, concentration.",
            TAILS,
        )
        for name, what in (
            ("downloads", "30-day downloads (author-clustered intervals)"),
            ("likes", "likes (author-clustered intervals)"),
            ("tvl", "DeFi TVL of the day"),
        )
    },
    internal_asset_deps=reads(
        downloads_tail="hub_frequency hub_design_effects",
        likes_tail="hub_frequency hub_design_effects",
        tvl_tail="defi_listing",
    ),
    check_specs=[
        dg.AssetCheckSpec(
            "agrees_with_powerlaw",
            asset=f"{name}_tail",
            description="The powerlaw package finds the same alpha at the same x_min.",
        )
        for name in ("downloads", "likes", "tvl")
    ],
    partitions_def=PARTITIONS,
)
def tails(
    hub_frequency: pl.DataFrame, hub_design_effects: pl.DataFrame, defi_listing: pl.DataFrame
) -> Iterator[Any]:
    """Fit the tails of downloads, likes and TVL."""
    from baimo.pipeline.analysis.check_against_powerlaw import TOLERANCE, alpha_by_powerlaw
    from baimo.pipeline.analysis.sizes import fit_sizes
    from baimo.pipeline.figures.sizes import draw_ccdf
    from baimo.pipeline.figures.style import to_png
    from baimo.pipeline.variables import MEASURES, naming, observed_sizes

    for name, counts in observed_sizes(hub_frequency, defi_listing).items():
        measure = MEASURES[name]
        with naming(measure):
            fits = fit_sizes(counts, measure, hub_design_effects if measure.discrete else None)
        metadata = numbers(
            {
                "zeta": fits.tail.zeta,
                "std_error": fits.tail.std_error_clustered,
                "x_min": fits.tail.x_min,
                "n_tail": fits.tail.n_tail,
                "items": counts.n_obs,
                "items_zero": counts.n_zero,
                "p_value": fits.judged.goodness.p_value,
            }
        )
        metadata["support"] = f"{fits.judged.support.level}: {fits.judged.support.reason}"
        metadata["ccdf"] = picture(to_png(draw_ccdf(measure, counts, fits.tail, {}, None)))
        yield dg.Output(fits, output_name=f"{name}_tail", metadata=metadata)
        other = alpha_by_powerlaw(counts, fits.tail)
        yield dg.AssetCheckResult(
            passed=abs(other - fits.tail.alpha) < TOLERANCE,
            asset_key=f"{name}_tail",
            check_name="agrees_with_powerlaw",
            severity=dg.AssetCheckSeverity.WARN,
            metadata=numbers({"alpha": fits.tail.alpha, "alpha_powerlaw": other}),
        )


@dg.multi_asset(
    name="attachment_fit",
    outs={
        "attachment_fit": record_out(
            "Preferential attachment (eq 18-19): growth of entry plus exit, Yule profile of likes "
            "over ages, Simon's p of downloads and likes.",
            CALIBRATION,
        )
    },
    partitions_def=PARTITIONS,
)
def attachment_fit(
    context: dg.AssetExecutionContext,
    hub_frequency: pl.DataFrame,
    hub_design_effects: pl.DataFrame,
) -> Iterator[Any]:
    """Calibrate preferential attachment."""
    from baimo.pipeline.models.attachment import calibrate_attachment
    from baimo.pipeline.variables import DOWNLOADS, LIKES, hub_counts

    fit = calibrate_attachment(
        hub_frequency,
        hub_counts(hub_frequency, DOWNLOADS),
        hub_counts(hub_frequency, LIKES),
        hub_design_effects,
        day_of(context),
    )
    yule = fit.yule_likes
    metadata = numbers(
        {
            "entry_growth_plus_exit_per_year": fit.entry.rate,
            "simon_p_downloads": fit.simon_downloads.p,
            "simon_p_likes": fit.simon_likes.p,
            "yule_gamma_per_year": yule.gamma if yule.converged else None,
        }
    )
    metadata["yule"] = "converged" if yule.converged else "; ".join(yule.notes)
    yield dg.Output(fit, output_name="attachment_fit", metadata=metadata)


@dg.multi_asset(
    name="cohorts",
    outs={
        "cohorts": record_out(
            "Tails of five age cohorts above the x_min of all: one exponent, or light tails that "
            "only their mixture makes heavy?",
            CALIBRATION,
        )
    },
    partitions_def=PARTITIONS,
)
def cohorts(
    context: dg.AssetExecutionContext,
    hub_frequency: pl.DataFrame,
    hub_design_effects: pl.DataFrame,
    attachment_fit: Any,
    downloads_tail: Any,
    likes_tail: Any,
) -> Iterator[Any]:
    """Fit the tail of every age cohort."""
    from baimo.pipeline.analysis.cohorts import measure_cohorts

    fits = {"downloads": downloads_tail, "likes": likes_tail}
    found = measure_cohorts(
        hub_frequency, hub_design_effects, attachment_fit, fits, day_of(context)
    )
    told: dict[str, float | None] = {}
    for name, fit in found.items():
        told |= {f"{name}_zeta_{i + 1}": float(z) for i, z in enumerate(fit.zeta)}
        told[f"{name}_homogeneity_p"] = fit.p_value
    yield dg.Output(found, output_name="cohorts", metadata=numbers(told))


@dg.multi_asset(
    name="birth_fit",
    outs={
        "birth_fit": record_out(
            "Differences at birth that work over time: Poisson counts at lognormal rates, with an "
            "exponent of age (the rival of attachment).",
            CALIBRATION,
        )
    },
    partitions_def=PARTITIONS,
)
def birth_fit(context: dg.AssetExecutionContext, hub_frequency: pl.DataFrame) -> Iterator[Any]:
    """Calibrate lognormal rates."""
    from baimo.pipeline.models.poisson_rates import fit_rates

    found = fit_rates(hub_frequency, day_of(context))
    told = {f"{name}_{p}": e.value for name, f in found.items() for p, e in f.estimates().items()}
    yield dg.Output(found, output_name="birth_fit", metadata=numbers(told))


@dg.multi_asset(
    name="kernel_fit",
    outs={
        "kernel_fit": record_out(
            "Kernel of attachment (eq 19 with entry) from likes of the same models on two days: "
            "theta, phi, psi, inflow and entry.",
            CALIBRATION,
        )
    },
    partitions_def=PARTITIONS,
)
def kernel_fit(
    context: dg.AssetExecutionContext, hub_increments: pl.DataFrame, hub_frequency: pl.DataFrame
) -> Iterator[Any]:
    """Fit the kernel of attachment, where the source has two days."""
    from baimo.pipeline.analysis.increments import calibrate_gains

    fit = calibrate_gains(hub_increments, hub_frequency, day_of(context))
    told: dict[str, Any] = {"kernel": "no likes of two days"}
    if fit is not None:
        told = numbers(fit.statistics()[0]) | {"days": f"{fit.before_on} to {fit.after_on}"}
    yield dg.Output(fit, output_name="kernel_fit", metadata=told)


@dg.multi_asset(
    name="demand_fit",
    outs={
        "demand_fit": record_out(
            "CES demand with Pareto tastes (eq 20-24): the taste exponent alpha over a band of "
            "rho; one cross-section identifies only zeta.",
            CALIBRATION,
        )
    },
    partitions_def=PARTITIONS,
)
def demand_fit(downloads_tail: Any, likes_tail: Any) -> Iterator[Any]:
    """Calibrate CES demand."""
    from baimo.estimation.demand.ces import fit_demand

    fits = {
        name: fit_demand(measured.counts, measured.tail)
        for name, measured in (("downloads", downloads_tail), ("likes", likes_tail))
    }
    alphas = {f"alpha_{name}": fit.params().alpha for name, fit in fits.items()}
    yield dg.Output(fits, output_name="demand_fit", metadata=numbers(alphas))


@dg.multi_asset(
    name="growth_fit",
    outs={
        "growth_fit": record_out(
            "GBM growth (eq 36-39): drift, dispersion, exit and size dependence of the population; "
            "common factor and noise of the survivors' panel; entry.",
            CALIBRATION,
        )
    },
    partitions_def=PARTITIONS,
)
def growth_fit(
    defi_population: pl.DataFrame, defi_listing: pl.DataFrame, tvl_weekly: pl.DataFrame
) -> Iterator[Any]:
    """Calibrate the GBM."""
    from baimo.pipeline.models.gbm import calibrate_growth

    fit = calibrate_growth(defi_population, defi_listing, tvl_weekly)
    metadata = numbers(
        {
            "mu_per_year": fit.alive.mu,
            "sigma_per_root_year": fit.alive.sigma,
            "exit_rate_per_year": fit.population.exit_rate,
            "size_slope_per_year": fit.population.size_slope,
            "factor_share": fit.panel.factor_share,
            "asymptotic_zeta": fit.zeta.value,
        }
    )
    yield dg.Output(fit, output_name="growth_fit", metadata=metadata)
