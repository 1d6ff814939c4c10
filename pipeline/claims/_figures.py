"""The audit of the newest day that was measured, and a figure for each claim."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

from baimo.pipeline.analysis.summary_statistics import Refits
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.variables import MEASURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from baimo.pipeline.analysis.cohorts import cohort_zetas


def _read(lake: Lake, name: str, day: date) -> Any:
    from baimo.pipeline.lake.results import read_result

    return read_result(lake, name, day)


def _rank_size(measure: str) -> Callable[[Lake, date], Figure]:
    def draw(lake: Lake, day: date) -> Figure:
        from baimo.pipeline.figures.sizes import draw_rank_size

        fits = _read(lake, f"{measure}_tail", day)
        return draw_rank_size(MEASURES[measure], fits.counts, fits.zipf, {}, None)

    return draw


def _index_path(measure: str) -> Callable[[Lake, date], Figure]:
    def draw(lake: Lake, day: date) -> Figure:
        from baimo.pipeline.figures.sizes import draw_index_path

        return draw_index_path(MEASURES[measure], _read(lake, f"{measure}_tail", day))

    return draw


def _cohorts(lake: Lake, day: date) -> Figure:
    from baimo.pipeline.figures.models import draw_cohorts

    refits: Refits = {}
    for name in ("attachment", "demand", "birth"):
        refits |= _read(lake, f"{name}_refit", day)
    return draw_cohorts(_read(lake, "cohorts", day), cohort_zetas(refits))


def _kernel(lake: Lake, day: date) -> Figure | None:
    from baimo.pipeline.figures.models import draw_kernel

    found = _read(lake, "kernel_fit", day)
    return draw_kernel(found) if found is not None and found.shape is not None else None


def _verdicts(lake: Lake, day: date) -> Figure:
    from baimo.pipeline.figures.models import draw_verdicts

    return draw_verdicts(lake.read_table("comparison", day))


FIGURES: dict[str, Callable[[Lake, date], Figure | None]] = {
    "downloads_zipf": _rank_size("downloads"),
    "likes_zipf": _rank_size("likes"),
    "likes_fatter": _index_path("likes"),
    "tvl_power_law": _rank_size("tvl"),
    "attachment_explains": _cohorts,
    "attachment_kernel": _kernel,
    "demand_explains": _cohorts,
    "growth_explains": _verdicts,
    "mirror": _verdicts,
    "fat_tail_diversity": _verdicts,
}
