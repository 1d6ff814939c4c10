"""The audit of the newest day that was measured, and a figure for each claim."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baimo.pipeline.audit import Claim
from baimo.pipeline.drawn import Refits
from baimo.pipeline.lake import Lake, write_atomically
from baimo.pipeline.measures import MEASURES, N_COHORTS
from baimo.pipeline.settings import SEED, lake_dir, out_dir

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def newest_audit(*, fresh: bool, n_replications: int) -> tuple[date, tuple[Claim, ...]]:
    """Return the newest day measured and its claims; measure the bundled reference if none is."""
    from baimo.pipeline.defs.lake_io import read_result
    from baimo.pipeline.errors import LakeError
    from baimo.pipeline.run import run_graph

    lake = Lake(lake_dir())
    days = [] if fresh else lake.days("audit")
    if days:
        try:
            claims = read_result(lake, "audit", days[-1])
        except (LakeError, ValueError):
            days = []
        else:
            if all(isinstance(c, Claim) for c in claims):
                return days[-1], claims
    done = run_graph(
        "reference", None, seed=SEED, n_replications=n_replications, step=lambda *_: None
    )
    return done.day, done.claims


def cohort_zetas(refits: Refits) -> dict[tuple[str, str], tuple[float, ...]]:
    """Return the mean zeta of each cohort over the simulated samples of every model."""
    out = {}
    for key, samples in refits.items():
        means = []
        for c in range(N_COHORTS):
            found = [s.get(f"zeta_cohort_{c + 1}", math.nan) for s in samples]
            finite = [z for z in found if math.isfinite(z)]
            means.append(sum(finite) / len(finite) if 2 * len(finite) > len(found) else math.nan)
        if any(math.isfinite(z) for z in means):
            out[key] = tuple(means)
    return out


def draw_claim(name: str, day: date, out: Path | None) -> Path | None:
    """Draw the figure of a claim as SVG and return its path; None for a claim without one."""
    from baimo.pipeline.report.figures import STYLE

    draw = FIGURES.get(name)
    if draw is None:
        return None
    import matplotlib

    figure = draw(Lake(lake_dir()), day)
    if figure is None:
        return None
    path = (out or out_dir(day) / "audit") / f"{name}.svg"
    with matplotlib.rc_context(STYLE):
        write_atomically(path, lambda to: figure.savefig(to, format="svg", metadata={"Date": None}))
    return path


def _read(lake: Lake, name: str, day: date) -> Any:
    from baimo.pipeline.defs.lake_io import read_result

    return read_result(lake, name, day)


def _rank_size(measure: str) -> Callable[[Lake, date], Figure]:
    def draw(lake: Lake, day: date) -> Figure:
        from baimo.pipeline.report.figures import draw_rank_size

        fits = _read(lake, f"{measure}_tail", day)
        return draw_rank_size(MEASURES[measure], fits.counts, fits.zipf, {}, None)

    return draw


def _index_path(measure: str) -> Callable[[Lake, date], Figure]:
    def draw(lake: Lake, day: date) -> Figure:
        from baimo.pipeline.report.figures import draw_index_path

        return draw_index_path(MEASURES[measure], _read(lake, f"{measure}_tail", day))

    return draw


def _cohorts(lake: Lake, day: date) -> Figure:
    from baimo.pipeline.report.mechanism_figures import draw_cohorts

    refits: Refits = {}
    for name in ("attachment", "demand", "birth"):
        refits |= _read(lake, f"{name}_refit", day)
    return draw_cohorts(_read(lake, "cohorts", day), cohort_zetas(refits))


def _kernel(lake: Lake, day: date) -> Figure | None:
    from baimo.pipeline.report.mechanism_figures import draw_kernel

    found = _read(lake, "kernel_fit", day)
    return draw_kernel(found) if found is not None and found.shape is not None else None


def _verdicts(lake: Lake, day: date) -> Figure:
    from baimo.pipeline.report.mechanism_figures import draw_verdicts

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
