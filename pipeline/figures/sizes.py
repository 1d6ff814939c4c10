"""Figures: rank-size and CCDF of one size, with fitted, predicted and simulated lines.

The same figure goes into the report (SVG, with names on hover) and into Dagster (PNG).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, LogLocator, NullFormatter
from numpy.typing import NDArray

from baimo.estimation.arrays import Floats
from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.curves import Line, ccdf_series, rank_size_series
from baimo.estimation.tails.power_law import TailFit, tail_ccdf, tail_path
from baimo.estimation.tails.rank_size import ZipfFit
from baimo.estimation.tails.tail_index import index_path
from baimo.estimation.tails.thresholds import KS_SPREAD, near_minimal
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.figures.style import FIT, GUIDE, INK, STYLE
from baimo.pipeline.models.registry import COLOURS
from baimo.pipeline.text import cutoff_title
from baimo.pipeline.variables import SHARES, Variable

POINTS = 400


Panel = tuple[Variable, Counts, TailFit, Mapping[str, Counts]]


def plot_ccdf(
    measure: Variable,
    counts: Counts,
    tail: TailFit,
    simulated: Mapping[str, Counts],
    top: pl.DataFrame | None,
    predicted: Mapping[str, Line] | None = None,
) -> Figure:
    """Draw the CCDF with the fitted tail, predictions (dashed) and one simulated sample each."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 4.2))
        axes = figure.add_axes((0.13, 0.13, 0.85, 0.84))
        _paint_ccdf(axes, measure, counts, tail, simulated, predicted or {})
        _mark_top(axes, f"ccdf-{measure.name}", top, lambda r: r / counts.n_obs)
        axes.legend(loc="upper right" if measure.discrete else "lower left")
    return figure


def plot_overview(panels: Sequence[Panel]) -> Figure:
    """Draw the CCDF of every size side by side: data, fitted tail, simulated models."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(12.6, 4.0))
        for i, (measure, counts, tail, simulated) in enumerate(panels):
            width = 1.0 / len(panels)
            axes = figure.add_axes((width * i + 0.055, 0.14, width - 0.07, 0.76))
            _paint_ccdf(axes, measure, counts, tail, simulated, {})
            axes.set_title(f"{measure.title}, N = {counts.n_obs:,}", fontsize=11, loc="left")
            if i:
                axes.set_ylabel("")
            axes.legend(loc="upper right" if measure.discrete else "lower left")
    return figure


def _paint_ccdf(
    axes: Axes,
    measure: Variable,
    counts: Counts,
    tail: TailFit,
    simulated: Mapping[str, Counts],
    predicted: Mapping[str, Line],
) -> None:
    _log_scales(axes, measure.unit, "share of items at least as large")
    x, y = ccdf_series(counts, POINTS)
    axes.plot(x, y, ".", color=INK, ms=3.5, label="observed", zorder=3)
    grid = np.geomspace(tail.x_min, counts.values[-1], 60)
    level = tail.n_tail / counts.n_obs
    label = f"fitted tail, ζ = {tail.zeta:.2f}"
    axes.plot(grid, level * tail_ccdf(tail, grid), color=FIT, lw=2, label=label, zorder=4)
    axes.axvline(tail.x_min, color=FIT, lw=0.8, ls=":")
    for model, sample in simulated.items():
        xs, ys = ccdf_series(sample, POINTS)
        ys = ys * (sample.n_obs / counts.n_obs)  # shares of the observed number of items
        axes.plot(xs, ys, color=COLOURS[model], lw=1.3, label=model)
    for model, (xs, ys) in predicted.items():
        axes.plot(xs, ys, color=COLOURS[model], lw=1.1, ls="--", label=f"{model}, predicted")
    axes.set_ylim(0.5 / counts.n_obs, 2.0)
    _clip(axes, counts)


def plot_rank_size(
    measure: Variable,
    counts: Counts,
    lines: Mapping[str, ZipfFit],
    simulated: Mapping[str, Counts],
    top: pl.DataFrame | None,
) -> Figure:
    """Draw log rank against log size with the regression at each cut-off and Zipf's slope."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 4.2))
        axes = figure.add_axes((0.13, 0.13, 0.85, 0.84))
        _log_scales(axes, measure.unit, "rank")
        size, rank = rank_size_series(counts, POINTS)
        axes.plot(size, rank, ".", color=INK, ms=3.5, label="observed", zorder=3)
        largest = float(counts.values[-1])
        anchor = counts.largest(min(100, counts.n_obs - counts.n_zero))
        zipf = np.geomspace(anchor[-1] / 1e3, largest, 20)
        axes.plot(zipf, anchor.size * anchor[-1] / zipf, color=GUIDE, lw=1, label="slope −1 (Zipf)")
        shades = ("#fdba74", "#f97316", "#c2410c", "#7c2d12")
        base = "all" if measure.discrete else "positive"
        chosen = [f"{share}_{base}" for share in SHARES] + ["top100"]
        for label, shade in zip(chosen, shades, strict=True):
            line = lines.get(label)
            if line is None:
                continue
            xs = np.geomspace(line.threshold, largest, 20)
            ys = np.exp(line.intercept + line.slope * np.log(xs)) + 0.5
            axes.plot(
                xs,
                ys,
                color=shade,
                lw=1.8,
                zorder=4,
                label=f"{cutoff_title(label)}: {line.slope:.2f}",
            )
        for model, sample in simulated.items():
            xs, ys = rank_size_series(sample, POINTS)
            axes.plot(xs, ys, color=COLOURS[model], lw=1.1, label=f"{model}, simulated")
        _mark_top(axes, f"rank-{measure.name}", top, lambda r: r)
        axes.set_ylim(0.7, 2.0 * counts.n_obs)
        _clip(axes, counts)
        axes.legend(loc="lower left")
    return figure


def plot_index_path(measure: Variable, fits: SizeFits) -> Figure:
    """Draw zeta over the number of items in the tail: Hill, bias-corrected, moment."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.4))
        axes = figure.add_axes((0.13, 0.16, 0.85, 0.80))
        colours = {"hill": INK, "hill_corrected": FIT, "moment": "#2563eb"}
        top = 0.0
        for method, colour in colours.items():
            path = index_path(fits.counts, discrete=measure.discrete, method=method)
            keep = (path.k >= 20) & np.isfinite(path.zeta)
            k, zeta, error = path.k[keep], path.zeta[keep], path.std_error[keep]
            axes.plot(k, zeta, color=colour, lw=1.4, label=method.replace("_", ", "))
            if method == "hill":
                axes.fill_between(
                    k, zeta - 1.96 * error, zeta + 1.96 * error, color=colour, alpha=0.12, lw=0
                )
                top = float(zeta.max(initial=1.0))
        axes.axhline(1.0, color=GUIDE, lw=1, label="Zipf, ζ = 1")
        axes.axvline(fits.tail.n_tail, color=FIT, lw=0.8, ls=":")
        _log_axis(axes, "x")
        axes.set_ylim(0, 1.4 * top)
        axes.set_xlabel("items in the tail (dotted: the fitted one)")
        axes.set_ylabel("ζ")
        axes.legend(loc="upper right")
    return figure


def plot_tail_path(measure: Variable, fits: SizeFits) -> Figure:
    """Draw the KS distance and zeta of the CSN fit over the candidates for x_min.

    Where the distance is near-minimal the ground is shaded; dashed lines bound the zetas there.
    """
    path = tail_path(fits.counts, fits.tail)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.4))
        axes = figure.add_axes((0.13, 0.16, 0.74, 0.80))
        axes.plot(path.x_min, path.ks, color=INK, lw=1.2)
        axes.axvline(fits.tail.x_min, color=FIT, lw=0.8, ls=":")
        _log_axis(axes, "x")
        _log_axis(axes, "y")
        spread = KS_SPREAD if fits.threshold_spread is None else fits.threshold_spread
        _shade(axes, path.x_min, near_minimal(path, spread=spread))
        axes.set_xlabel(f"x_min, {measure.unit} (dotted: smallest distance; shaded: near it)")
        axes.set_ylabel("KS distance")
        axes.yaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(2, 0.8)))
        _clip(axes, fits.counts)
        other = axes.twinx()
        zeta, error = path.alpha - 1.0, path.std_error
        other.plot(path.x_min, zeta, color=FIT, lw=1.2)
        other.fill_between(
            path.x_min, zeta - 1.96 * error, zeta + 1.96 * error, color=FIT, alpha=0.12, lw=0
        )
        near = fits.thresholds
        for bound in (near.zeta_lowest, near.zeta_highest):
            other.axhline(bound, color=FIT, lw=0.8, ls="--")
        other.spines["right"].set_visible(True)
        other.set_ylim(0, 1.2 * float(zeta[path.n_tail >= 50].max(initial=1.0)))
        other.set_ylabel("ζ", color=FIT)
    return figure


def _shade(axes: Axes, x: Floats, inside: NDArray[np.bool_]) -> None:
    """Shade each run of points that are inside; one that is alone gets a line."""
    ends = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False]))))
    for start, stop in ends.reshape(-1, 2):
        axes.axvspan(x[start], x[stop - 1], facecolor=GUIDE, edgecolor=GUIDE, lw=1, alpha=0.3)


def _log_scales(axes: Axes, x_label: str, y_label: str) -> None:
    _log_axis(axes, "x")
    _log_axis(axes, "y")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)


def _log_axis(axes: Axes, which: str) -> None:
    scale, axis = (axes.set_xscale, axes.xaxis) if which == "x" else (axes.set_yscale, axes.yaxis)
    scale("log")
    axis.set_major_locator(LogLocator(numticks=9))
    axis.set_major_formatter(FuncFormatter(_tick))
    axis.set_minor_formatter(NullFormatter())


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _tick(value: float, _: int) -> str:
    """Write 1, 100, 10k, 1M, 1B; small shares as powers of ten."""
    if value < 1:
        power = str(round(math.log10(value)))
        return f"10{power.translate(_SUPERSCRIPT)}"
    for unit, name in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def _clip(axes: Axes, counts: Counts) -> None:
    low = max(float(counts.positive().values[0]), float(counts.values[-1]) * 1e-11)
    axes.set_xlim(0.7 * low, 30.0 * float(counts.values[-1]))


def _mark_top(axes: Axes, prefix: str, top: pl.DataFrame | None, place: object) -> None:
    """Put an invisible handle with a name on each of the largest items."""
    if top is None:
        return
    for row in top.iter_rows(named=True):
        axes.plot(
            row["size"],
            place(row["rank"]),  # type: ignore[operator]
            "o",
            ms=7,
            color=FIT,
            alpha=0.0,
            gid=f"{prefix}-{row['rank']}",
            zorder=6,
        )
