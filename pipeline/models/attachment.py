"""Calibrate preferential attachment and GBM growth on the tables; run eq 19 as printed.

`baimo.pipeline.models.simulate` draws what is calibrated here.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.attachment.cross_section import SimonFit, YuleFit, fit_simon, fit_yule
from baimo.estimation.attachment.entry import EntryFit, fit_entry
from baimo.estimation.errors import ConvergenceWarning
from baimo.estimation.results import registered
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.variables import (
    hub_ages,
)


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
    profile = dated.group_by("age", "likes").agg(pl.col("n_models").sum()).sort("age", "likes")
    by_age = dated.group_by("age").agg(pl.col("n_models").sum()).sort("age")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the report says it in words
        yule = fit_yule(
            profile["age"].to_numpy(),
            profile["likes"].to_numpy(),
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
