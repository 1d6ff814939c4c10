"""Preferential attachment on the Hub (eq 18-19): what Simon's urn and the Yule process share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.attachment.cross_section import SimonFit, YuleFit, fit_simon, fit_yule
from baimo.estimation.attachment.entry import EntryFit, fit_entry
from baimo.estimation.errors import ConvergenceWarning
from baimo.estimation.results import Estimate, registered
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.cohorts import Cohorts
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.schema.derived import HUB_DESIGN_EFFECTS, HUB_FREQUENCY
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.text import clustered_words
from baimo.pipeline.variables import DOWNLOADS, HUB, LIKES, Variable, hub_ages, hub_counts


@registered("AttachmentCalibration")
@dataclass(frozen=True, eq=False, kw_only=True)
class AttachmentCalibration:
    """PA on the Hub: entry from the ages, Yule from likes over ages, Simon from each total.

    Parameters
    ----------
    ages, n_models : (a,)
        Age in years of the dated models, and how many have it: what a Yule simulation needs.
    """

    entry: EntryFit
    yule_likes: YuleFit
    simon_downloads: SimonFit
    simon_likes: SimonFit
    ages: Floats
    n_models: Ints

    def simon(self, variable: Variable) -> SimonFit:
        """Return Simon's urn of one variable."""
        return {DOWNLOADS: self.simon_downloads, LIKES: self.simon_likes}[variable]

    @property
    def cohorts(self) -> Cohorts:
        """Age cohorts of all models."""
        undated = self.simon_likes.n_obs - int(self.n_models.sum())
        return Cohorts.cut(self.ages, self.n_models, undated)


ATTACHMENT_FIT: Stored[AttachmentCalibration] = Stored("attachment_fit", AttachmentCalibration)


def _shown(fit: AttachmentCalibration) -> dict[str, float | str | None]:
    yule = fit.yule_likes
    return {
        "entry_growth_plus_exit_per_year": fit.entry.rate,
        "simon_p_downloads": fit.simon_downloads.p,
        "simon_p_likes": fit.simon_likes.p,
        "yule_gamma_per_year": yule.gamma if yule.converged else None,
        "yule": "converged" if yule.converged else "; ".join(yule.notes),
    }


def _parameters(fit: AttachmentCalibration) -> Iterator[Row]:
    yield parameter_row(
        "pa_entry_growth_plus_exit",
        fit.entry.estimates()["entry_growth_plus_exit"],
        fit.entry,
        "truncated-exponential likelihood of ages, floor day left out",
        "19 with entry",
        clustered_words(fit.entry.design_effect),
    )
    for name, e in fit.yule_likes.estimates().items():
        method = "NB likelihood of likes over ages"
        yield parameter_row(f"pa_yule_likes_{name}", e, fit.yule_likes, method, "19")
    for variable in HUB:
        simon = fit.simon(variable)
        for name, e in simon.estimates().items():
            full = f"pa_simon_{variable.name}_{name}"
            yield parameter_row(full, e, simon, "items over total", "19 with entry")


def _estimates(fit: AttachmentCalibration) -> Iterator[tuple[str, Mapping[str, Estimate]]]:
    yield "PA: entry from ages", fit.entry.estimates()
    yield "PA: Yule, likes over ages", fit.yule_likes.estimates()
    for variable in HUB:
        yield f"PA: Simon, {variable.name}", fit.simon(variable).estimates()


@calibration(
    ATTACHMENT_FIT,
    order=10,
    description="Preferential attachment (eq 18-19): growth of entry plus exit, Yule profile of "
    "likes over ages, Simon's p of downloads and likes.",
    needs=(HUB_FREQUENCY, HUB_DESIGN_EFFECTS),
    shown=_shown,
    parameters=_parameters,
    estimates=_estimates,
)
def calibrate_attachment_of(day: Day) -> AttachmentCalibration:
    """Calibrate preferential attachment on the tables of a day."""
    frequency = day.table(HUB_FREQUENCY)
    downloads, likes = (hub_counts(frequency, variable) for variable in HUB)
    return calibrate_attachment(
        frequency, downloads, likes, day.table(HUB_DESIGN_EFFECTS), day.date
    )


def calibrate_attachment(
    frequency: pl.DataFrame, downloads: Counts, likes: Counts, effects: pl.DataFrame, day: date
) -> AttachmentCalibration:
    """Calibrate preferential attachment from one cross-section of the Hub."""
    dated, horizon = hub_ages(frequency, day)
    effect = effects.filter((pl.col("measure") == "age") & (pl.col("statistic") == "mean"))
    entry = fit_entry(
        dated["age"].to_numpy(),
        dated["n_models"].to_numpy(),
        horizon=horizon,
        design_effect=float(effect["design_effect"][0]) if effect.height else None,
    )
    censored = downloads.n_obs - entry.n_used
    entry = replace(
        entry,
        n_obs=downloads.n_obs,
        notes=(f"{censored:,} models of the floor day 2022-03-02 left out: age unknown",),
    )
    size = LIKES.name
    profile = dated.group_by("age", size).agg(pl.col("n_models").sum()).sort("age", size)
    by_age = dated.group_by("age").agg(pl.col("n_models").sum()).sort("age")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the report says it in words
        yule = fit_yule(
            profile["age"].to_numpy(),
            profile[size].to_numpy(),
            profile["n_models"].to_numpy(),
            entry=entry,
        )
    return AttachmentCalibration(
        entry=entry,
        yule_likes=yule,
        simon_downloads=fit_simon(downloads),
        simon_likes=fit_simon(likes),
        ages=by_age["age"].to_numpy(),
        n_models=by_age["n_models"].to_numpy(),
    )
