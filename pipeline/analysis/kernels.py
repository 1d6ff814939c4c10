"""The kernel of attachment by age, and of picked models: populations beside the whole Hub.

A kernel that is one power of likes and one of age must be the same at all ages; what a few days of
newly made models say is said of their first days only. The others are models that somebody picked:
entries of a leaderboard, or of a registry.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import polars as pl

from baimo.estimation.errors import EstimationError
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.increments import KernelCalibration, calibrate_increments
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.schema.derived import HUB_INCREMENTS, OTHER_INCREMENTS
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.variables import DAYS_PER_YEAR

FIRST_DAYS = 14
KERNEL_POPULATIONS = {
    "first_days": f"newly made models up to {FIRST_DAYS} days old",
    "older": f"models of the same recording over {FIRST_DAYS} days old",
    "leaderboard_2024": "entries of the Open LLM Leaderboard",
    "leaderboard_2025": "entries of its second list",
    "leaderboard_to_2026": "those of its second list that a registry has",
    "registry_downloads": "downloads of the registry's models, one crawl",
}
"""Name -> what it is; none is the whole Hub."""

KERNELS: Stored[dict[str, KernelCalibration]] = Stored("kernels", dict)
"""By population, those of `KERNEL_POPULATIONS` that there are."""


def _shown(found: dict[str, KernelCalibration]) -> dict[str, float | str | None]:
    return {
        f"{name}_{statistic}": value
        for name, c in found.items()
        for statistic, value in c.statistics()[0].items()
    }


def _parameters(found: dict[str, KernelCalibration]) -> Iterator[Row]:
    method = "Poisson pseudo maximum likelihood of gains, author-clustered (CR3, Student's t)"
    for name, c in found.items():
        note = f"{KERNEL_POPULATIONS[name]}, {c.before_on} to {c.after_on}: not the whole Hub"
        for fit, which in ((c.kernel, ""), (c.without_largest, "_without_largest")):
            if fit is None:
                continue
            for parameter, e in fit.estimates().items():
                full = f"kernel_{name}_{parameter}{which}"
                yield parameter_row(full, e, fit, method, "19 with entry", note)


@calibration(
    KERNELS,
    order=55,
    step="attachment_kernels",
    description="Kernel of attachment by age, and of picked models on two days: a leaderboard's "
    "entries, a registry's.",
    needs=(HUB_INCREMENTS, OTHER_INCREMENTS),
    shown=_shown,
    parameters=_parameters,
)
def calibrate_kernels(day: Day) -> dict[str, KernelCalibration]:
    """Fit the kernel in every population beside the whole Hub."""
    return fit_kernels(day.table(HUB_INCREMENTS), day.table(OTHER_INCREMENTS))


def fit_kernels(hub: pl.DataFrame, others: pl.DataFrame) -> dict[str, KernelCalibration]:
    """Fit the kernel by age and by population; one that is not there, or has too few, is left out.

    Parameters
    ----------
    hub, others
        Tables hub_increments and other_increments.
    """
    old = pl.col("age") > FIRST_DAYS / DAYS_PER_YEAR
    parts = {"first_days": hub.filter(~old), "older": hub.filter(old)}
    names = {"before": "likes_before", "after": "likes_after"}
    for name in KERNEL_POPULATIONS.keys() - parts.keys():
        parts[name] = others.filter(pl.col("population") == name).rename(names)
    found = {}
    for name in KERNEL_POPULATIONS:
        if not parts[name].is_empty():
            with suppress(EstimationError):
                found[name] = calibrate_increments(parts[name])
    return found
