"""Likes gained between two days: the kernel of attachment, its noise and its shape, as observed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from types import NoneType

import numpy as np
import polars as pl
from numpy.typing import NDArray

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.attachment.inflow import InflowFit, fit_inflow
from baimo.estimation.attachment.kernel import KernelFit, fit_attachment_kernel
from baimo.estimation.attachment.kernel_bins import KernelBinsFit
from baimo.estimation.attachment.noise import NoiseFit, around_kernel
from baimo.estimation.errors import EstimationError
from baimo.estimation.results import registered
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.summary_statistics import Statistics
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.schema.derived import HUB_FREQUENCY, HUB_INCREMENTS
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.statistics import KERNEL
from baimo.pipeline.variables import DAYS_PER_YEAR, expand, own_labels

WHOLE = 0.9  # of the models of a day: then they stand for all
LARGEST_AUTHORS = 10  # left out to see how much hangs on them
ALONE_FROM = 10.0  # likes from which an item is a cell of its own (its scatter is measured)

_KERNEL_NAMES = frozenset(s.name for s in KERNEL)


@registered("KernelCalibration")
@dataclass(frozen=True, eq=False, kw_only=True)
class KernelCalibration:
    """Kernel of attachment between two days.

    Parameters
    ----------
    before_on, after_on
        The two days, ISO.
    whole
        Whether the models stand for the whole Hub of the later day.
    inflow, kernel, noise, shape
        Fits, author-clustered; None where the data refuse one, with the reason in `notes`.
    without_largest
        The kernel without the ten authors of the largest gains.
    stock, age, items : (cells,)
        Likes on the earlier day and age in years of models of known age, and how many share them.
    total_gain
        What these gained in sum.
    """

    before_on: str
    after_on: str
    whole: bool
    inflow: InflowFit
    kernel: KernelFit | None
    noise: NoiseFit | None
    shape: KernelBinsFit | None
    without_largest: KernelFit | None
    stock: Floats
    age: Floats
    items: Ints
    total_gain: float
    notes: tuple[str, ...] = ()

    @property
    def years(self) -> float:
        """Time between the two days."""
        return self.days / DAYS_PER_YEAR

    @property
    def days(self) -> int:
        """Days between the two."""
        return (date.fromisoformat(self.after_on) - date.fromisoformat(self.before_on)).days

    @property
    def median_age_days(self) -> float:
        """Median age in days of the models of known age."""
        order = np.argsort(self.age, kind="stable")
        reached = np.cumsum(self.items[order])
        middle = int(np.searchsorted(reached, reached[-1] / 2.0)) if reached.size else 0
        return float(self.age[order][middle]) * DAYS_PER_YEAR if reached.size else math.nan

    @property
    def share_without(self) -> float:
        """Share of the models of known age that had nothing on the earlier day."""
        total = int(self.items.sum())
        return float(self.items[self.stock == 0].sum()) / total if total else math.nan

    def statistics(self) -> tuple[Statistics, dict[str, float]]:
        """Return theta, phi and psi as far as they are known, and their standard errors."""
        found: Statistics = {}
        errors: dict[str, float] = {}
        for fit in (self.kernel, self.noise):
            for name, e in fit.estimates().items() if fit else ():
                if name in _KERNEL_NAMES and e.value is not None:
                    found[name], errors[name] = e.value, e.std_error or 0.0
        return found, errors


KERNEL_FIT: Stored[KernelCalibration | None] = Stored("kernel_fit", KernelCalibration, NoneType)
"""None where the source has no likes of two days."""


def _shown(found: KernelCalibration | None) -> dict[str, float | str | None]:
    if found is None:
        return {"kernel": "no likes of two days"}
    return {**found.statistics()[0], "days": f"{found.before_on} to {found.after_on}"}


def _parameters(found: KernelCalibration | None) -> Iterator[Row]:
    if found is None:
        return
    who = "the whole Hub" if found.whole else "not the whole Hub of the day"
    note = f"{found.before_on} to {found.after_on}, {who}"
    method = "Poisson pseudo maximum likelihood of gains, author-clustered (CR3, Student's t)"
    if found.kernel is not None:
        for name, e in found.kernel.estimates().items():
            yield parameter_row(f"pa_{name}", e, found.kernel, method, "19 with entry", note)
    if found.noise is not None:
        e = found.noise.estimates()["psi"]
        yield parameter_row("pa_psi", e, found.noise, "log |residual| on log likes", "19", note)
    if found.whole:  # of others the days between are not the time that passed
        for name, e in found.inflow.estimates().items():
            yield parameter_row(
                f"pa_{name}", e, found.inflow, "gains and entry of two days", "19", note
            )


@calibration(
    KERNEL_FIT,
    order=50,
    step="attachment_kernels",
    description="Kernel of attachment (eq 19 with entry) from likes of the same models on two "
    "days: theta, phi, psi, inflow and entry.",
    needs=(HUB_INCREMENTS, HUB_FREQUENCY),
    shown=_shown,
    parameters=_parameters,
)
def calibrate_kernel(day: Day) -> KernelCalibration | None:
    """Fit the kernel of attachment, where the source has two days."""
    return fit_increments(day.table(HUB_INCREMENTS), day.table(HUB_FREQUENCY), day.date)


def fit_increments(
    increments: pl.DataFrame, frequency: pl.DataFrame, day: date
) -> KernelCalibration | None:
    """Fit the kernel to the likes of two days, None without such a table.

    Parameters
    ----------
    increments
        `hub_increments`.
    frequency
        `hub_frequency` of `day`: what the models are held against to see if they are all.
    """
    if increments.is_empty():
        return None
    found = calibrate_increments(increments)
    there = int(increments.drop_nulls("likes_before")["n_models"].sum())
    before_on = date.fromisoformat(found.before_on)
    then = int(frequency.filter(pl.col("created_on") <= before_on)["n_models"].sum())
    whole = found.after_on == day.isoformat() and there >= WHOLE * then
    return replace(found, whole=whole)


def calibrate_increments(increments: pl.DataFrame) -> KernelCalibration:
    """Fit the kernel to the likes of two days, of models that do not stand for the whole Hub.

    Raises
    ------
    DataError
        Fewer than two models are there on both days.
    """
    before_on, after_on = increments["before_on"][0], increments["after_on"][0]
    rows = expand(increments, "n_models")
    before, after = (_floats(rows[f"likes_{side}"]) for side in ("before", "after"))
    ages, authors = _floats(rows["age"]), own_labels(rows["author"])
    days = (after_on - before_on).days
    notes: list[str] = []

    def kernel(what: str, keep: NDArray[np.bool_]) -> KernelFit | None:
        try:
            return fit_attachment_kernel(
                before[keep], after[keep], ages=ages[keep], days=days, clusters=authors[keep]
            )
        except EstimationError as error:
            notes.append(f"no {what}: {error}")
            return None

    fit = kernel("kernel", np.ones(before.size, dtype=np.bool_))
    shape = noise = trimmed = None
    if fit is not None:
        shape, noise, refused = around_kernel(fit, before, after, ages=ages, clusters=authors)
        notes += refused
        trimmed = kernel("kernel without the largest", ~_largest(authors, after - before))
    cells, gain = _cells(before, after, ages)
    return KernelCalibration(
        before_on=before_on.isoformat(),
        after_on=after_on.isoformat(),
        whole=False,
        inflow=fit_inflow(before, after, days=days, clusters=authors),
        kernel=fit,
        noise=noise,
        shape=shape,
        without_largest=trimmed,
        stock=cells[0],
        age=cells[1],
        items=cells[2].astype(np.int64),
        total_gain=gain,
        notes=tuple(notes),
    )


def _floats(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).fill_null(math.nan).to_numpy()


def _largest(authors: Ints, gains: Floats) -> NDArray[np.bool_]:
    """Mark the models of the authors of the largest gains."""
    _, codes = np.unique(authors, return_inverse=True)
    sums = np.bincount(codes, weights=np.nan_to_num(gains))
    return np.isin(codes, np.argsort(-sums, kind="stable")[:LARGEST_AUTHORS])


def _cells(before: Floats, after: Floats, ages: Floats) -> tuple[Floats, float]:
    """Return (stock, age, items) of cells as rows, small stocks together, and the total gain."""
    used = np.isfinite(before) & np.isfinite(after) & np.isfinite(ages)
    small = used & (before < ALONE_FROM)
    keys, n = np.unique(np.column_stack([before, ages])[small], axis=0, return_counts=True)
    alone = used & ~small
    rows = np.column_stack([np.append(keys[:, i], v[alone]) for i, v in enumerate((before, ages))])
    items = np.append(n, np.ones(int(alone.sum())))
    return np.vstack([rows.T, items]), float((after - before)[used].sum())
