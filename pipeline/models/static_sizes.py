"""Sizes fixed at entry: lognormal and double Pareto-lognormal, rounded to counts."""

from __future__ import annotations

import math
from collections.abc import Mapping

from baimo.estimation.distributions.fit import WholeSampleFit
from baimo.pipeline.analysis.cohorts import (
    Cohorts,
    split_into_cohorts,
)
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.models.base import Draw
from baimo.simulation.heterogeneity.static_sizes import StaticSizeParams, simulate_static_counts

BORN = {
    "lognormal": "discretised_lognormal",
    "dPlN": "discretised_double_pareto_lognormal",
}


def births(fits: Mapping[str, SizeFits]) -> dict[tuple[str, str], WholeSampleFit]:
    """Return the laws of a size settled at birth, where the whole sample has one."""
    return {
        (model, measure): law
        for measure, fit in fits.items()
        for model, name in BORN.items()
        for law in fit.whole.fits
        if law.model == name
    }


def static_size_params(law: WholeSampleFit) -> StaticSizeParams:
    """Return the law of the size at birth for `simulate_static_counts`."""
    p = law.parameters
    return StaticSizeParams(
        mu=p["mu"],
        sigma=p["sigma"],
        alpha=p.get("alpha", math.inf),
        beta=p.get("beta", math.inf),
    )


def sample_static_sizes(law: WholeSampleFit, cohorts: Cohorts) -> Draw:
    """Return a draw of sizes fixed at entry, by cohort."""
    params = static_size_params(law)
    return lambda rng: split_into_cohorts(
        simulate_static_counts(params, cohorts.n_items, rng), cohorts
    )
