"""Figures of the mechanisms: tails of age cohorts, and what each model says against the data."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from baimo.estimation.attachment.kernel import KernelFit
from baimo.estimation.tails.cohorts import CohortsFit
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.figures.style import FIT, GUIDE, INK, STYLE
from baimo.pipeline.models.registry import COLOURS
from baimo.pipeline.variables import VARIABLES

_TICKS = (0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
Oldest = Mapping[tuple[str, str], tuple[float, ...]]
"""By (model, measure): mean zeta of each cohort over the simulated samples, NaN without a tail."""


def plot_cohorts(cohorts: Mapping[str, CohortsFit], simulated: Oldest) -> Figure:
    """Draw zeta of every age cohort: data with 95 % intervals, and the models."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6 * max(len(cohorts), 1), 3.8))
        for i, (name, fit) in enumerate(cohorts.items()):
            width = 1.0 / len(cohorts)
            axes = figure.add_axes((width * i + 0.07, 0.15, width - 0.09, 0.74))
            _paint_cohorts(axes, name, fit, simulated)
        return figure


def _paint_cohorts(axes: Axes, name: str, fit: CohortsFit, simulated: Oldest) -> None:
    axes.errorbar(
        fit.mean_age,
        fit.zeta,
        yerr=1.96 * fit.std_error,
        fmt="o",
        color=INK,
        capsize=3,
        label=f"observed (equal: p = {fit.p_value:.2g})",
        zorder=5,
    )
    axes.axhline(
        fit.pooled_zeta, color=FIT, lw=1, ls=":", label=f"all dated: {fit.pooled_zeta:.2f}"
    )
    for (model, measure), zetas in simulated.items():
        if measure != name:
            continue
        y = np.asarray(zetas)[fit.number - 1]
        if not np.isfinite(y).any():
            continue
        axes.plot(fit.mean_age, y, "-", lw=1.4, marker=".", label=model,
                  color=COLOURS.get(model, GUIDE))  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(0.35, 12.0)
    axes.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("mean age of the cohort, years")
    axes.set_ylabel(f"ζ above {fit.x_min:,.0f}")
    axes.set_title(VARIABLES[name].title, fontsize=11, loc="left")
    axes.legend(loc="upper right", ncols=2, fontsize=8)


def plot_kernel(found: KernelCalibration) -> Figure:
    """Draw what items of each stock gain, ages held equal, and the fitted kernel."""
    shape, fit = found.shape, found.kernel
    if shape is None or fit is None:
        raise ValueError("no kernel to draw")
    offset = fit.offset
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.8))
        axes = figure.add_axes((0.13, 0.15, 0.84, 0.74))
        x = shape.middle + offset
        error = np.minimum(1.96 * shape.std_error, 0.95 * shape.kernel)
        axes.errorbar(x, shape.kernel, yerr=[error, 1.96 * shape.std_error], fmt="o", color=INK,
                      capsize=2, label="gain by likes, 95 % interval")  # fmt: skip
        line = np.geomspace(x.min(), x.max(), 50)
        weight = shape.n_items * 1.0
        level = float(weight @ shape.kernel) / float(weight @ x**fit.theta)
        axes.plot(line, level * line**fit.theta, color=FIT, lw=1.6,
                  label=f"θ = {fit.theta:.2f} ({_error(fit, 'theta')}), "
                  f"φ = {fit.phi or 0.0:.2f} ({_error(fit, 'phi')})")  # fmt: skip
        proportional = float(weight @ shape.kernel) / float(weight @ x)
        axes.plot(line, proportional * line, color=GUIDE, ls="--", lw=1, label="θ = 1")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(f"likes + {offset:.2g}")
        axes.set_ylabel("gain, mean of all = 1, age held equal")
        axes.set_title(f"Kernel of attachment, {found.before_on} to {found.after_on}",
                       fontsize=11, loc="left")  # fmt: skip
        axes.legend(loc="upper left", fontsize=8)
        return figure


def _error(fit: KernelFit, name: str) -> str:
    e = fit.estimates().get(name)
    return "-" if e is None or e.std_error is None else f"{e.std_error:.2f}"


def plot_verdicts(comparison: pl.DataFrame) -> Figure:
    """Draw the simulated zeta of every model against the observed one."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.36 * comparison.height + 1.1))
        axes = figure.add_axes((0.30, 0.5 / (0.36 * comparison.height + 1.1), 0.66, 0.80))
        for y, r in enumerate(comparison.iter_rows(named=True)):
            axes.plot([r["zeta_low"], r["zeta_high"]], [y, y], color=GUIDE, lw=6, alpha=0.5)
            axes.plot(r["zeta"], y, "|", color=INK, ms=12)
            if r["simulated_zeta"] is not None:
                half = 1.96 * (r["simulated_sd"] or 0.0)
                axes.errorbar(r["simulated_zeta"], y, xerr=half, fmt="o", capsize=3,
                              color=COLOURS.get(r["model"], INK))  # fmt: skip
        axes.set_yticks(
            range(comparison.height),
            [f"{r['model']}, {r['measure']}" for r in comparison.iter_rows(named=True)],
        )
        axes.invert_yaxis()
        axes.set_xlim(0, 2.5)
        axes.set_xlabel("ζ: observed (band) and simulated at full size (dots)")
        return figure
