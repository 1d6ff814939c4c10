"""Sizes fixed at entry: lognormal and double Pareto-lognormal, rounded to counts.

Rivals of attachment that say nothing of age, nor of what is gained later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.cohorts import Cohorts
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import CohortSample
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import (
    HETEROGENEITY,
    FileModel,
    FittedModel,
    Prediction,
    Sampler,
    Values,
    file_model,
    fitted_model,
)
from baimo.pipeline.statistics import SHARE_ZERO, TAIL, TAIL_ITEMS, ZETA
from baimo.pipeline.variables import HUB, Variable
from baimo.simulation.heterogeneity.static_sizes import StaticSizeParams, simulate_static_counts


@dataclass(frozen=True, eq=False)
class StaticSizeSampler:
    """Draws sizes that do not depend on age."""

    params: StaticSizeParams
    cohorts: Cohorts

    def __call__(self, rng: np.random.Generator) -> CohortSample:
        """Return one sample by cohort."""
        return self.cohorts.split(simulate_static_counts(self.params, self.cohorts.n_all, rng))


class StaticSizes(FittedModel):
    """A law of the whole sample, fitted to sizes of all ages together."""

    law: str
    """Name of the law among those of the whole sample."""
    equations = "rival of 19"
    family = HETEROGENEITY
    variables = HUB
    judged = (ZETA, SHARE_ZERO, *TAIL)
    tuned = (SHARE_ZERO, TAIL_ITEMS, ZETA)
    needs = (ATTACHMENT_FIT, *(TAILS[v.name] for v in HUB))
    in_overview = False

    def parameters(self, day: Day, variable: Variable) -> dict[str, Estimate] | None:
        """Return the parameters of the fitted law, None where it could not be fitted."""
        for law in day.read(TAILS[variable.name]).whole.fits:
            if law.model == self.law:
                found = law.estimates()
                return {f"{self.name}_{name}": found[name] for name in law.parameters}
        return None

    def sampler(self, day: Day, variable: Variable, values: Values) -> Sampler:
        """Return draws of the fitted law."""
        p = {name.removeprefix(f"{self.name}_"): value for name, value in values.items()}
        params = StaticSizeParams(
            mu=p["mu"],
            sigma=max(p["sigma"], 0.0),
            alpha=p.get("alpha", math.inf),
            beta=p.get("beta", math.inf),
        )
        return StaticSizeSampler(params, day.read(ATTACHMENT_FIT).cohorts)

    def predict(self, day: Day, variable: Variable) -> Prediction:
        """Return no exponent: the law is fitted to the whole sample."""
        return Prediction(None, "fitted to the whole sample")


@fitted_model
class Lognormal(StaticSizes):
    """Lognormal sizes, rounded to counts."""

    name = "lognormal"
    label = "lognormal"
    colour = "#64748b"
    order = 40
    law = "discretised_lognormal"


@fitted_model
class DoubleParetoLognormal(StaticSizes):
    """Double Pareto-lognormal sizes, rounded to counts."""

    name = "dpln"
    label = "dPlN"
    colour = "#db2777"
    order = 50
    law = "discretised_double_pareto_lognormal"


def _sample(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    params = StaticSizeParams(mu=v["mu"], sigma=v["sigma"], alpha=v["alpha"], beta=v["beta"])
    return pl.DataFrame({"size": simulate_static_counts(params, n, rng)})


_EXPORTED = "whole_hub_likes_discretised_double_pareto_lognormal_"

file_model(
    FileModel(
        name="birth",
        order=70,
        prefix="birth",
        defaults={"mu": 0.0, "sigma": 2.0, "alpha": math.inf, "beta": math.inf},
        meaning={
            "mu": "mean log size",
            "sigma": "its sd",
            "alpha": "upper exponent (inf: lognormal)",
            "beta": "lower exponent (inf: lognormal)",
        },
        refit="baimo fit compare FILE --column size",
        sample=_sample,
        also_called={name: (_EXPORTED + name,) for name in ("mu", "sigma", "alpha", "beta")},
    )
)
