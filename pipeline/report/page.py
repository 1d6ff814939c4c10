"""The report: one HTML file without external requests, and the tables behind its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from matplotlib.figure import Figure

from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.curves import Line
from baimo.estimation.tails.cohorts import CohortsFit
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.populations import POPULATIONS, CompanionFits
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims.claim import Claim
from baimo.pipeline.figures import models as mechanism_figures
from baimo.pipeline.figures import sizes as figures
from baimo.pipeline.figures.style import to_svg
from baimo.pipeline.lake.atomic import write_parquet, write_text
from baimo.pipeline.models.attachment import AttachmentCalibration
from baimo.pipeline.models.gbm import GrowthCalibration
from baimo.pipeline.report import tables as words
from baimo.pipeline.variables import MEASURES, Measure
from baimo.simulation.growth.gbm import mixture_ccdf


@dataclass(frozen=True, eq=False)
class Findings:
    """All that the report shows."""

    day: date
    provenance: dict[str, Any]
    comparison: pl.DataFrame
    claims: tuple[Claim, ...]
    fits: dict[str, SizeFits]
    attachment: AttachmentCalibration
    growth: GrowthCalibration
    simulated: pl.DataFrame
    cohorts: dict[str, CohortsFit]
    cohort_zetas: dict[tuple[str, str], tuple[float, ...]]
    totals: pl.DataFrame
    top: pl.DataFrame
    kernel: KernelCalibration | None
    beside: CompanionFits


def render_report(out: Path, findings: Findings) -> Path:
    """Write report.html, overview.svg and tables/*.parquet; return the page's path."""
    picture = to_svg(overview(findings), "overview", {})
    sections = [_section(MEASURES[name], findings) for name in findings.fits]
    environment = Environment(
        loader=PackageLoader("baimo.pipeline.report", "."),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html").render(
        day=findings.day,
        version=version("baimo"),
        provenance=findings.provenance,
        overview=Markup(picture),
        lead=words.lead(findings.claims),
        header=words.TABLE_HEADER,
        rows=words.table_rows(findings.comparison),
        tail_header=words.TAIL_HEADER,
        tail_rows=words.tail_rows(findings.fits),
        sections=sections,
        claims=findings.claims,
        cohorts=Markup(_cohorts_picture(findings)) if findings.cohorts else "",
        undated=words.undated(findings.cohorts, findings.fits),
        kernel=Markup(_kernel_picture(findings.kernel)),
        kernel_text=words.kernel_text(findings.kernel),
        beside=words.tail_rows(findings.beside.sizes, POPULATIONS),
        beside_text=words.beside_text(findings.beside),
        mechanisms=words.mechanism_rows(findings.comparison),
        calibration=words.calibration_rows(findings.attachment, findings.growth),
        totals=words.totals_rows(findings.totals),
        distrust=words.distrust(findings.fits, findings.growth, findings.provenance),
    )
    write_text(out / "overview.svg", picture)
    for name, table in _tables(findings).items():
        write_parquet(out / "tables" / f"{name}.parquet", table)
    path = out / "report.html"
    write_text(path, page)
    return path


def overview(findings: Findings) -> Figure:
    """Draw the three sizes side by side."""
    return figures.draw_overview(
        [
            (
                MEASURES[name],
                fits.counts,
                fits.tail,
                {
                    model: sample
                    for model, sample in first_replicates(findings.simulated, name).items()
                    if model not in ("lognormal", "dPlN", "GBM survivors")
                },
            )
            for name, fits in findings.fits.items()
        ]
    )


def _section(measure: Measure, findings: Findings) -> dict[str, Any]:
    fits = findings.fits[measure.name]
    counts = fits.counts
    simulated = first_replicates(findings.simulated, measure.name)
    top = findings.top.filter(pl.col("measure") == measure.name)
    labels = top if top.height else None
    ccdf = figures.draw_ccdf(
        measure, counts, fits.tail, simulated, labels, _predicted(measure, findings)
    )
    rank = figures.draw_rank_size(measure, counts, fits.zipf, simulated, labels)
    return {
        "title": measure.title,
        "text": words.section_text(measure, fits),
        "figures": [
            Markup(to_svg(rank, f"{measure.name} rank-size", _names(top, "rank", measure))),
            Markup(to_svg(ccdf, f"{measure.name} CCDF", _names(top, "ccdf", measure))),
        ],
        "paths": [
            Markup(to_svg(figures.draw_index_path(measure, fits), f"{measure.name} index", {})),
            Markup(to_svg(figures.draw_tail_path(measure, fits), f"{measure.name} scan", {})),
        ],
        "rivals": words.rival_rows(fits),
        "whole": words.whole_rows(fits),
        "slopes": words.slope_rows(fits),
    }


def _cohorts_picture(findings: Findings) -> str:
    figure = mechanism_figures.draw_cohorts(findings.cohorts, findings.cohort_zetas)
    return to_svg(figure, "tails of age cohorts", {})


def _kernel_picture(kernel: KernelCalibration | None) -> str:
    if kernel is None or kernel.shape is None:
        return ""
    return to_svg(mechanism_figures.draw_kernel(kernel), "kernel of attachment", {})


def _names(top: pl.DataFrame, kind: str, measure: Measure) -> Mapping[str, str]:
    return {
        f"{kind}-{measure.name}-{row['rank']}": (
            f"{row['rank']}. {row['model_id']}: {row['size']:,} {measure.name}"
        )
        for row in top.iter_rows(named=True)
    }


def first_replicates(simulated: pl.DataFrame, measure: str) -> dict[str, Counts]:
    """Return the first simulated sample of every model of one size."""
    rows = simulated.filter((pl.col("measure") == measure) & (pl.col("replicate") == 0))
    return {
        str(model): Counts.from_pairs(part["value"].to_numpy(), part["n_items"].to_numpy())
        for (model,), part in rows.group_by("model", maintain_order=True)
    }


def _predicted(measure: Measure, findings: Findings) -> dict[str, Line]:
    counts = findings.fits[measure.name].counts
    largest = float(counts.values[-1])
    if measure.name == "tvl":
        x = np.geomspace(largest * 1e-10, largest, 60)
        growth = findings.growth
        return {"GBM": (x, mixture_ccdf(growth.params, x, growth.log_entry, growth.ages))}
    simon = getattr(findings.attachment, f"simon_{measure.name}")
    share = 1.0 - counts.n_zero / counts.n_obs
    return {"Simon": figures.yule_simon_ccdf(simon.params.zeta, share, largest)}


def _tables(findings: Findings) -> dict[str, pl.DataFrame]:
    tables = {"comparison": findings.comparison, "simulated": findings.simulated}
    for name, fits in findings.fits.items():
        counts = fits.counts
        tables[f"{name}_frequency"] = pl.DataFrame(
            {"value": counts.values, "n_items": counts.multiplicities}
        )
        for model, (x, y) in _predicted(MEASURES[name], findings).items():
            tables[f"{name}_predicted_{model.lower()}"] = pl.DataFrame({"value": x, "ccdf": y})
    tables["zipf"] = pl.DataFrame(
        [
            {
                "measure": name,
                "cutoff": label,
                "k": line.k,
                "threshold": line.threshold,
                "slope": line.slope,
                "intercept": line.intercept,
                "std_error": line.std_error,
                "design_effect": line.design_effect,
            }
            for name, fits in findings.fits.items()
            for label, line in fits.zipf.items()
        ],
        infer_schema_length=None,
    )
    return tables
