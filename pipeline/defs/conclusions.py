"""Conclusions: comparison, audit, exported parameters, report."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl

from baimo.pipeline.claims import registry as claims
from baimo.pipeline.claims.claim import AUDIT
from baimo.pipeline.datasets.load import PROVENANCE
from baimo.pipeline.defs.declare import (
    CONCLUSIONS,
    PARTITIONS,
    READS_DAY,
    Events,
    day_for,
    day_of,
    dep_keys,
    markdown,
    numbers,
    picture,
    record_out,
    rows,
    table_out,
)
from baimo.pipeline.defs.models import SimulationConfig
from baimo.pipeline.predictive import compare
from baimo.pipeline.report import needs as report_needs
from baimo.pipeline.schema.results import CLAIM_NUMBERS, CLAIMS, COMPARISON, PARAMETERS, VERDICTS
from baimo.pipeline.variables import VARIABLES


@dg.multi_asset(
    name="comparison",
    outs={table.name: table_out(table.name, CONCLUSIONS) for table in (COMPARISON, VERDICTS)},
    deps=dep_keys(compare.NEEDS),
    required_resource_keys=set(READS_DAY),
    partitions_def=PARTITIONS,
)
def comparison(context: dg.AssetExecutionContext) -> Events:
    """Hold the models against the data."""
    from baimo.pipeline.analysis.sizes import read_tails

    day = day_for(context, compare.NEEDS)
    verdicts = compare.compare_models(day)
    table = compare.comparison_table(verdicts, read_tails(day))
    shown = table.select(
        "measure", "zeta", "slope", "model", "predicted_zeta", "simulated_zeta", "verdict"
    )
    metadata = rows(table) | {"verdicts": markdown(shown)}
    yield dg.Output(table, output_name=COMPARISON.name, metadata=metadata)
    each = compare.verdicts_table(verdicts)
    yield dg.Output(each, output_name=VERDICTS.name, metadata=rows(each))


@dg.multi_asset(
    name="audit",
    outs={
        AUDIT.name: record_out("The papers' claims with test, evidence and verdict.", CONCLUSIONS),
        **{table.name: table_out(table.name, CONCLUSIONS) for table in (CLAIMS, CLAIM_NUMBERS)},
    },
    deps=dep_keys(claims.NEEDS),
    required_resource_keys=set(READS_DAY),
    partitions_def=PARTITIONS,
)
def audit(context: dg.AssetExecutionContext) -> Events:
    """Hold the claims against the data and the models."""
    tested = claims.audit(day_for(context, claims.NEEDS))
    shown = pl.DataFrame([{"claim": c.text, "verdict": c.verdict.value} for c in tested])
    metadata = numbers({"claims": len(tested)}) | {"verdicts": markdown(shown)}
    yield dg.Output(tested, output_name=AUDIT.name, metadata=metadata)
    table, numbers_behind = claims.claims_table(tested), claims.numbers_table(tested)
    yield dg.Output(table, output_name=CLAIMS.name, metadata=rows(table))
    yield dg.Output(numbers_behind, output_name=CLAIM_NUMBERS.name, metadata=rows(numbers_behind))


class OutputConfig(SimulationConfig):
    """Where report and parameters go (empty: data/out/<date>/), and what was simulated."""

    out: str = ""


@dg.multi_asset(
    name="published",
    outs={
        PARAMETERS.name: table_out(PARAMETERS.name, CONCLUSIONS),
        "report": record_out("report.html, one file; tables behind every figure.", CONCLUSIONS),
    },
    check_specs=[
        dg.AssetCheckSpec(
            f"steady_{name}",
            asset=PARAMETERS.name,
            description="x_min, zeta and the top 1 % lie where those of the last 30 days lay.",
        )
        for name in VARIABLES
    ],
    deps=dep_keys(report_needs.NEEDS),
    required_resource_keys=set(READS_DAY),
    partitions_def=PARTITIONS,
)
def published(context: dg.AssetExecutionContext, config: OutputConfig) -> Events:
    """Write the parameters and the report."""
    from baimo.pipeline.figures.style import to_png
    from baimo.pipeline.lake.atomic import staged
    from baimo.pipeline.predictive.simulate import read_simulations
    from baimo.pipeline.report.page import overview, render_report
    from baimo.pipeline.report.parameters import collect_parameters, export_parameters
    from baimo.pipeline.settings import out_dir

    day = day_for(context, report_needs.NEEDS)
    provenance = day.read(PROVENANCE) | {
        "seed": config.seed,
        "n_replications": config.n_replications,
    }
    out = Path(config.out).expanduser() if config.out else out_dir(day.date)
    parameters = collect_parameters(day)
    with staged(out) as stage:
        export_parameters(stage, parameters, provenance)
        render_report(stage, day, provenance)
    metadata = rows(parameters) | {
        "json": dg.MetadataValue.path(str(out / "parameters.json")),
        "csv": dg.MetadataValue.path(str(out / "parameters.csv")),
    }
    yield dg.Output(parameters, output_name=PARAMETERS.name, metadata=metadata)
    yield from _steadiness(parameters, day_of(context))
    yield dg.Output(
        {"path": str(out / "report.html")},
        output_name="report",
        metadata={
            "report": dg.MetadataValue.path(str(out / "report.html")),
            "overview": picture(to_png(overview(day, read_simulations(day)))),
        },
    )


def _steadiness(parameters: pl.DataFrame, day: date) -> Iterator[dg.AssetCheckResult]:
    """Hold the day's estimates against those of the last thirty days; a drift is a warning."""
    from baimo.pipeline.analysis.drift import measure_drift
    from baimo.pipeline.lake.store import Lake
    from baimo.pipeline.settings import lake_dir

    for name, variable in VARIABLES.items():
        drifts = measure_drift(Lake(lake_dir()), parameters, day, variable)
        shown = {d.name: d.value for d in drifts} | {
            f"{d.name}_median": d.median for d in drifts if d.median is not None
        }
        yield dg.AssetCheckResult(
            passed=not any(d.drifted for d in drifts),
            asset_key=PARAMETERS.name,
            check_name=f"steady_{name}",
            severity=dg.AssetCheckSeverity.WARN,
            metadata=numbers(shown)
            | {
                "days": max((d.n_days for d in drifts), default=0),
                "drifted": ", ".join(d.name for d in drifts if d.drifted) or "none",
            },
        )
