"""What shows a claim: a figure, and what it is drawn from. Matplotlib is loaded to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from baimo.pipeline.analysis.cohorts import COHORTS, cohort_zetas
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.lake.results import Day, Named
from baimo.pipeline.models.base import ATTACHMENT, DEMAND, HETEROGENEITY
from baimo.pipeline.predictive.simulate import REFITS, read_refits
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.variables import Variable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BY_AGE = (ATTACHMENT, DEMAND, HETEROGENEITY)
"""Families of models whose samples have age cohorts."""


@dataclass(frozen=True)
class ClaimFigure:
    """A figure of a claim.

    Parameters
    ----------
    needs
        What of a day it shows.
    plot
        Returns the figure, None where the day has nothing to show.
    """

    needs: tuple[Named, ...]
    plot: Callable[[Day], Figure | None]


def rank_size_of(variable: Variable) -> ClaimFigure:
    """Return the rank-size plot of a variable."""

    def plot(day: Day) -> Figure:
        from baimo.pipeline.figures.sizes import plot_rank_size

        fits = day.read(TAILS[variable.name])
        return plot_rank_size(variable, fits.counts, fits.zipf, {}, None)

    return ClaimFigure((TAILS[variable.name],), plot)


def index_path_of(variable: Variable) -> ClaimFigure:
    """Return the tail indices of a variable over thresholds."""

    def plot(day: Day) -> Figure:
        from baimo.pipeline.figures.sizes import plot_index_path

        return plot_index_path(variable, day.read(TAILS[variable.name]))

    return ClaimFigure((TAILS[variable.name],), plot)


def _plot_cohorts(day: Day) -> Figure:
    from baimo.pipeline.figures.models import plot_cohorts

    return plot_cohorts(day.read(COHORTS), cohort_zetas(read_refits(day, BY_AGE)))


def _plot_kernel(day: Day) -> Figure | None:
    from baimo.pipeline.figures.models import plot_kernel

    found = day.read(KERNEL_FIT)
    return plot_kernel(found) if found is not None and found.shape is not None else None


def _plot_verdicts(day: Day) -> Figure:
    from baimo.pipeline.figures.models import plot_verdicts

    return plot_verdicts(day.table(COMPARISON))


AGE_COHORTS = ClaimFigure((COHORTS, *(REFITS[f.name] for f in BY_AGE)), _plot_cohorts)
"""Tails of the age cohorts, observed and simulated."""
KERNEL = ClaimFigure((KERNEL_FIT,), _plot_kernel)
"""Increments against stocks, age held equal."""
VERDICTS = ClaimFigure((COMPARISON,), _plot_verdicts)
"""The simulated zeta of every model against the observed one."""
