"""Tails of the models made before the Hub's first date, by the year in which they were made.

A sensitivity of the age cohorts, which hold none of them: the Hub dates them all on 2022-03-02.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from baimo.estimation.errors import EstimationError
from baimo.estimation.tails.power_law import TailFit, fit_tail
from baimo.pipeline.variables import HUB, expand, own_labels

YEARS = {"until_2020": (0, 2020), "2021": (2021, 2021), "2022": (2022, 2022)}
"""Cohort -> first and last year; of 2022 the two months before the floor."""


def fit_before_floor(
    table: pl.DataFrame, x_min: Mapping[str, float]
) -> dict[str, dict[str, TailFit]]:
    """Fit the tail of each year, where it has enough models and authors.

    Parameters
    ----------
    table
        Table hub_before_floor.
    x_min
        Of all models, by variable.
    """
    rows = expand(table, "n_models")
    authors = own_labels(rows["author"])
    years = rows["made_in"].fill_null(-1).to_numpy()
    found: dict[str, dict[str, TailFit]] = {}
    for name in (v.name for v in HUB):
        found[name] = {}
        sizes = rows[name].to_numpy()
        for cohort, (first, last) in YEARS.items():
            inside = (years >= first) & (years <= last)
            try:
                fit = fit_tail(sizes[inside], x_min=x_min[name], clusters=authors[inside])
            except EstimationError:
                continue
            n_authors = int(np.unique(authors[inside]).size)
            note = f"{int(inside.sum()):,} models of {n_authors:,} authors"
            found[name][cohort] = replace(fit, notes=(*fit.notes, note))
    return found
