"""The report: one HTML file without external requests, and the tables behind its figures."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup
from matplotlib.figure import Figure

from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.curves import Line
from baimo.pipeline.analysis.cohorts import COHORTS, cohort_zetas
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.analysis.populations import COMPANION_FITS, POPULATIONS
from baimo.pipeline.analysis.sizes import TAILS, read_tails
from baimo.pipeline.claims.claim import AUDIT
from baimo.pipeline.datasets.load import Provenance
from baimo.pipeline.figures import models as model_figures, sizes as size_figures
from baimo.pipeline.figures.of_claims import BY_AGE
from baimo.pipeline.figures.style import to_svg
from baimo.pipeline.lake.atomic import write_parquet, write_text
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.gbm import GROWTH_FIT
from baimo.pipeline.models.registry import MODELS
from baimo.pipeline.predictive.simulate import (
    first_samples,
    in_overview,
    read_refits,
    read_simulations,
)
from baimo.pipeline.report import tables as cells
from baimo.pipeline.report.references import cited, link_citations
from baimo.pipeline.schema.derived import HUB_TOP, HUB_TOTALS
from baimo.pipeline.schema.results import CLAIM_NUMBERS, CLAIMS, COMPARISON, VERDICTS
from baimo.pipeline.variables import VARIABLES, Variable


def render_report(out: Path, day: Day, provenance: Provenance) -> Path:
    """Write report.html, overview.svg and tables/*.parquet; return the page's path.

    Parameters
    ----------
    provenance
        What went in, with seed and number of replications.
    """
    fits, claims, cohorts = read_tails(day), day.read(AUDIT), day.read(COHORTS)
    comparison, populations = day.table(COMPARISON), day.read(COMPANION_FITS)
    kernel, simulated = day.read(KERNEL_FIT), read_simulations(day)
    picture = to_svg(overview(day, simulated), "overview", {})
    page = _template().render(
        day=day.date,
        version=version("baimo"),
        provenance=provenance,
        overview=Markup(picture),
        lead=cells.lead(claims),
        header=cells.TABLE_HEADER,
        rows=cells.table_rows(comparison),
        tail_header=cells.TAIL_HEADER,
        tail_rows=cells.tail_rows(fits),
        sections=[_section(variable, day, simulated) for variable in VARIABLES.values()],
        claims=claims,
        cohorts=Markup(_cohorts_picture(day)) if cohorts else "",
        undated=cells.undated(cohorts, fits),
        kernel=Markup(_kernel_picture(kernel)),
        kernel_text=cells.kernel_text(kernel),
        populations=cells.tail_rows(populations.sizes, POPULATIONS),
        populations_text=cells.populations_text(populations),
        mechanisms=cells.mechanism_rows(comparison),
        calibration=cells.calibration_rows(day),
        totals=cells.totals_rows(day.table(HUB_TOTALS)),
        distrust=cells.distrust(fits, day.read(GROWTH_FIT), provenance),
    )
    write_text(out / "overview.svg", picture)
    for name, table in _tables(day, simulated).items():
        write_parquet(out / "tables" / f"{name}.parquet", table)
    path = out / "report.html"
    write_text(path, page)
    return path


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("baimo.pipeline.report", "."),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cited"] = cited
    environment.filters["linked"] = lambda html: Markup(link_citations(html))
    return environment.get_template("page.html")


def overview(day: Day, simulated: pl.DataFrame) -> Figure:
    """Draw the three sizes side by side."""
    shown = in_overview()

    def samples(name: str) -> dict[str, Counts]:
        return {m: sample for m, sample in first_samples(simulated, name).items() if m in shown}

    return size_figures.plot_overview(
        [
            (VARIABLES[name], fits.counts, fits.tail, samples(name))
            for name, fits in read_tails(day).items()
        ]
    )


def _section(variable: Variable, day: Day, simulated: pl.DataFrame) -> dict[str, object]:
    fits, name = day.read(TAILS[variable.name]), variable.name
    counts, samples = fits.counts, first_samples(simulated, name)
    top = day.table(HUB_TOP).filter(pl.col("measure") == name)
    labels = top if top.height else None
    predicted = _predicted(variable, day)
    ccdf = size_figures.plot_ccdf(variable, counts, fits.tail, samples, labels, predicted)
    rank = size_figures.plot_rank_size(variable, counts, fits.zipf, samples, labels)
    paths = (
        (size_figures.plot_index_path(variable, fits), f"{name} index"),
        (size_figures.plot_tail_path(variable, fits), f"{name} scan"),
    )
    return {
        "title": variable.title,
        "text": cells.section_text(variable, fits),
        "figures": [
            Markup(to_svg(rank, f"{name} rank-size", _names(top, "rank", variable))),
            Markup(to_svg(ccdf, f"{name} CCDF", _names(top, "ccdf", variable))),
        ],
        "paths": [Markup(to_svg(figure, title, {})) for figure, title in paths],
        "rivals": cells.rival_rows(fits),
        "whole": cells.whole_rows(fits),
        "slopes": cells.slope_rows(fits),
    }


def _cohorts_picture(day: Day) -> str:
    zetas = cohort_zetas(read_refits(day, BY_AGE))
    figure = model_figures.plot_cohorts(day.read(COHORTS), zetas)
    return to_svg(figure, "tails of age cohorts", {})


def _kernel_picture(kernel: KernelCalibration | None) -> str:
    if kernel is None or kernel.shape is None:
        return ""
    return to_svg(model_figures.plot_kernel(kernel), "kernel of attachment", {})


def _names(top: pl.DataFrame, kind: str, variable: Variable) -> Mapping[str, str]:
    return {
        f"{kind}-{variable.name}-{row['rank']}": (
            f"{row['rank']}. {row['model_id']}: {row['size']:,} {variable.name}"
        )
        for row in top.iter_rows(named=True)
    }


def _predicted(variable: Variable, day: Day) -> dict[str, Line]:
    """Return the laws in closed form that are drawn with a variable, by label of the model."""
    found = {}
    for model in MODELS:
        if variable in model.variables:
            line = model.predicted_ccdf(day.only(model.needs), variable)
            if line is not None:
                found[model.label] = line
    return found


def _tables(day: Day, simulated: pl.DataFrame) -> dict[str, pl.DataFrame]:
    fits = read_tails(day)
    published = (COMPARISON, VERDICTS, CLAIMS, CLAIM_NUMBERS)
    tables = {table.name: day.table(table) for table in published} | {"simulated": simulated}
    for name, found in fits.items():
        counts = found.counts
        tables[f"{name}_frequency"] = pl.DataFrame(
            {"value": counts.values, "n_items": counts.multiplicities}
        )
        for model, (x, y) in _predicted(VARIABLES[name], day).items():
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
            for name, found in fits.items()
            for label, line in found.zipf.items()
        ],
        infer_schema_length=None,
    )
    return tables
