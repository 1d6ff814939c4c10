"""Conclusions: comparison, audit, exported parameters, report."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from baimo.pipeline.defs.declare import (
    CONCLUSIONS,
    PARTITIONS,
    day_of,
    numbers,
    picture,
    reads,
    record_out,
    rows,
    table_out,
)
from baimo.pipeline.defs.models import SimulationConfig

TAILS = "downloads_tail likes_tail tvl_tail"
FITS = "attachment_fit demand_fit growth_fit"
REFITS = "attachment_refit demand_refit birth_refit growth_refit"
SIZES = ("downloads", "likes", "tvl")


@dg.multi_asset(
    name="conclusions",
    outs={
        "comparison": table_out("comparison", CONCLUSIONS),
        "audit": record_out("The papers' claims with test, evidence and verdict.", CONCLUSIONS),
    },
    internal_asset_deps=reads(
        comparison=f"{TAILS} {FITS} {REFITS} cohorts hub_frequency kernel_fit defi_population",
        audit=f"{TAILS} {FITS} printed_equation comparison cohorts hub_authors kernel_fit "
        "companion_fits size_variants defi_population",
    ),
    partitions_def=PARTITIONS,
)
def conclusions(
    context: dg.AssetExecutionContext,
    downloads_tail: Any,
    likes_tail: Any,
    tvl_tail: Any,
    attachment_fit: Any,
    demand_fit: Any,
    growth_fit: Any,
    attachment_refit: Any,
    demand_refit: Any,
    birth_refit: Any,
    growth_refit: Any,
    printed_equation: Any,
    cohorts: Any,
    kernel_fit: Any,
    hub_frequency: pl.DataFrame,
    defi_population: pl.DataFrame,
    hub_authors: pl.DataFrame,
    companion_fits: Any,
    size_variants: pl.DataFrame,
) -> Iterator[Any]:
    """Hold the models against the data and the claims against both."""
    from baimo.pipeline.analysis.cohorts import cohort_data
    from baimo.pipeline.analysis.observed import clustered_errors, observed_statistics, seen_later
    from baimo.pipeline.claims.claim import Evidence, audit_claims
    from baimo.pipeline.models.compare import compare_models
    from baimo.pipeline.models.registry import predicted_zetas

    fits = {"downloads": downloads_tail, "likes": likes_tail, "tvl": tvl_tail}
    seen = cohort_data(hub_frequency, attachment_fit, day_of(context))
    compared = compare_models(
        fits,
        seen_later(observed_statistics(seen, fits), kernel_fit, defi_population),
        {**attachment_refit, **demand_refit, **birth_refit, **growth_refit},
        predicted_zetas(attachment_fit, demand_fit, growth_fit),
        clustered_errors(cohorts, kernel_fit, defi_population),
    )
    shown = compared.select(
        "measure", "zeta", "slope", "model", "predicted_zeta", "simulated_zeta", "verdict"
    )
    metadata = rows(compared) | {"verdicts": dg.MetadataValue.md(_markdown(shown))}
    yield dg.Output(compared, output_name="comparison", metadata=metadata)
    claims = audit_claims(
        Evidence(
            fits=fits,
            attachment=attachment_fit,
            growth=growth_fit,
            day=day_of(context),
            printed=printed_equation,
            cohorts=cohorts,
            comparison=compared,
            authors=hub_authors,
            kernel=kernel_fit,
            beside=companion_fits,
            population=defi_population,
            variants=size_variants,
        )
    )
    verdicts = pl.DataFrame([{"claim": c.text, "verdict": c.verdict} for c in claims])
    yield dg.Output(
        claims,
        output_name="audit",
        metadata=numbers({"claims": len(claims)})
        | {"verdicts": dg.MetadataValue.md(_markdown(verdicts))},
    )


class OutputConfig(SimulationConfig):
    """Where report and parameters go (empty: data/out/<date>/), and what was simulated."""

    out: str = ""


@dg.multi_asset(
    name="published",
    outs={
        "parameters": table_out("parameters", CONCLUSIONS),
        "report": record_out("report.html, one file; tables behind every figure.", CONCLUSIONS),
    },
    check_specs=[
        dg.AssetCheckSpec(
            f"steady_{name}",
            asset="parameters",
            description="x_min, zeta and the top 1 % lie where those of the last 30 days lay.",
        )
        for name in SIZES
    ],
    internal_asset_deps=reads(
        parameters=f"{TAILS} {FITS} comparison provenance cohorts birth_fit kernel_fit "
        "companion_fits",
        report=f"{TAILS} attachment_fit growth_fit attachment_simulation demand_simulation "
        "birth_simulation growth_simulation comparison audit provenance hub_totals hub_top cohorts "
        "attachment_refit demand_refit birth_refit kernel_fit companion_fits",
    ),
    partitions_def=PARTITIONS,
)
def published(
    context: dg.AssetExecutionContext,
    config: OutputConfig,
    provenance: Any,
    comparison: pl.DataFrame,
    audit: Any,
    downloads_tail: Any,
    likes_tail: Any,
    tvl_tail: Any,
    attachment_fit: Any,
    demand_fit: Any,
    growth_fit: Any,
    attachment_simulation: pl.DataFrame,
    demand_simulation: pl.DataFrame,
    birth_simulation: pl.DataFrame,
    growth_simulation: pl.DataFrame,
    cohorts: Any,
    birth_fit: Any,
    attachment_refit: Any,
    demand_refit: Any,
    birth_refit: Any,
    kernel_fit: Any,
    companion_fits: Any,
    hub_totals: pl.DataFrame,
    hub_top: pl.DataFrame,
) -> Iterator[Any]:
    """Write the parameters and the report."""
    from baimo.pipeline.analysis.cohorts import cohort_zetas
    from baimo.pipeline.figures.style import to_png
    from baimo.pipeline.lake.atomic import staged
    from baimo.pipeline.report.page import Findings, overview, render_report
    from baimo.pipeline.report.parameters import collect_parameters, export_parameters
    from baimo.pipeline.settings import out_dir

    day = day_of(context)
    provenance = provenance | {"seed": config.seed, "n_replications": config.n_replications}
    out = Path(config.out).expanduser() if config.out else out_dir(day)
    fits = {"downloads": downloads_tail, "likes": likes_tail, "tvl": tvl_tail}
    parameters = collect_parameters(
        fits,
        attachment_fit,
        demand_fit,
        growth_fit,
        comparison,
        cohorts,
        birth_fit,
        kernel_fit,
        companion_fits,
    )
    findings = Findings(
        day=day,
        provenance=provenance,
        comparison=comparison,
        claims=audit,
        fits=fits,
        attachment=attachment_fit,
        growth=growth_fit,
        simulated=pl.concat(
            [attachment_simulation, demand_simulation, birth_simulation, growth_simulation]
        ),
        cohorts=cohorts,
        cohort_zetas=cohort_zetas({**attachment_refit, **demand_refit, **birth_refit}),
        totals=hub_totals,
        top=hub_top,
        kernel=kernel_fit,
        beside=companion_fits,
    )
    with staged(out) as stage:
        export_parameters(stage, parameters, provenance)
        render_report(stage, findings)
    metadata = rows(parameters) | {
        "json": dg.MetadataValue.path(str(out / "parameters.json")),
        "csv": dg.MetadataValue.path(str(out / "parameters.csv")),
    }
    yield dg.Output(parameters, output_name="parameters", metadata=metadata)
    yield from _steadiness(parameters, day)
    yield dg.Output(
        {"path": str(out / "report.html")},
        output_name="report",
        metadata={
            "report": dg.MetadataValue.path(str(out / "report.html")),
            "overview": picture(to_png(overview(findings))),
        },
    )


def _steadiness(parameters: pl.DataFrame, day: date) -> Iterator[dg.AssetCheckResult]:
    """Hold the day's estimates against those of the last thirty days; a drift is a warning."""
    from baimo.pipeline.analysis.drift import measure_drift
    from baimo.pipeline.lake.store import Lake
    from baimo.pipeline.settings import lake_dir
    from baimo.pipeline.variables import MEASURES

    for name in SIZES:
        drifts = measure_drift(Lake(lake_dir()), parameters, day, MEASURES[name])
        told = {d.name: d.value for d in drifts} | {
            f"{d.name}_median": d.median for d in drifts if d.median is not None
        }
        yield dg.AssetCheckResult(
            passed=not any(d.drifted for d in drifts),
            asset_key="parameters",
            check_name=f"steady_{name}",
            severity=dg.AssetCheckSeverity.WARN,
            metadata=numbers(told)
            | {
                "days": max((d.n_days for d in drifts), default=0),
                "drifted": ", ".join(d.name for d in drifts if d.drifted) or "none",
            },
        )


def _markdown(frame: pl.DataFrame) -> str:
    head = "| " + " | ".join(frame.columns) + " |"
    rule = "|" + "---|" * frame.width
    body = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in frame.iter_rows()]
    return "\n".join([head, rule, *body])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
