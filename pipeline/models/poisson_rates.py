"""Poisson counts at lognormal rates that differ from entry on and fade with age.

The rival of attachment: whoever has much has a high rate, and success need not breed success.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import EstimationError
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit, fit_poisson_rates
from baimo.estimation.heterogeneity.posterior import RatePosterior, lognormal_rate_posterior
from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.models.ages import AGES, AGES_MEANING, AgedSampler, sample_ages
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import (
    HETEROGENEITY,
    FileModel,
    FittedModel,
    IncrementSampler,
    Prediction,
    Sampler,
    Values,
    file_model,
    fitted_model,
)
from baimo.pipeline.models.increments import MeasuredIncrements, at_observed_total, whole_hub_kernel
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.statistics import KERNEL, SHARE_ZERO, TAIL, TAIL_ITEMS, YOUNG_IN_TAIL, ZETA
from baimo.pipeline.variables import HUB, LIKES, Variable, hub_ages
from baimo.simulation.heterogeneity.poisson_rates import PoissonRateParams, simulate_poisson_rates

RATES_FIT: Stored[dict[str, PoissonRatesFit]] = Stored("birth_fit", dict)
"""By variable; one that cannot be fitted is not there."""


def _parameters(fits: dict[str, PoissonRatesFit]) -> Iterator[Row]:
    method = "Poisson counts at lognormal rates, maximum likelihood over ages"
    for variable, fit in fits.items():
        for name, e in fit.estimates().items():
            yield parameter_row(f"fitness_hub_{variable}_{name}", e, fit, method, "")


@calibration(
    RATES_FIT,
    order=40,
    description="Differences at birth that work over time: Poisson counts at lognormal rates, with "
    "an exponent of age (the rival of attachment).",
    needs=(HUB_FREQUENCY,),
    shown=lambda fits: {
        f"{name}_{p}": e.value for name, fit in fits.items() for p, e in fit.estimates().items()
    },
    parameters=_parameters,
)
def calibrate_rates(day: Day) -> dict[str, PoissonRatesFit]:
    """Fit lognormal rates of downloads and likes."""
    return fit_rates(day.table(HUB_FREQUENCY), day.date)


def fit_rates(frequency: pl.DataFrame, day: date) -> dict[str, PoissonRatesFit]:
    """Fit lognormal rates to downloads and likes over ages, where there is something to fit."""
    dated, _ = hub_ages(frequency, day)
    found = {}
    for name in (v.name for v in HUB):
        pairs = dated.group_by("age", name).agg(pl.col("n_models").sum()).sort("age", name)
        with suppress(EstimationError):
            found[name] = fit_poisson_rates(
                pairs["age"].to_numpy(), pairs[name].to_numpy(), pairs["n_models"].to_numpy()
            )
    return found


@dataclass(frozen=True, eq=False)
class RateIncrements:
    """Draws Poisson gains at rates that are drawn from what likes and age leave of them.

    Parameters
    ----------
    observed
        Numbers of items and the total.
    posterior
        Of the rates so far.
    onward : (cells,)
        Factor of the rate so far in the interval to come.
    """

    observed: KernelCalibration
    posterior: RatePosterior
    onward: Floats

    @classmethod
    def of(cls, c: KernelCalibration, rates: PoissonRateParams) -> RateIncrements:
        """Return the increments of given rates."""
        centre = rates.mu + rates.phi * np.log(c.age)
        posterior = lognormal_rate_posterior(c.stock, centre, rates.sigma)
        return cls(c, posterior, (1.0 + c.years / c.age) ** rates.phi - 1.0)

    def __call__(self, rng: np.random.Generator) -> Ints:
        """Return the increment of each cell."""
        c = self.observed
        rates = self.onward * self.posterior.sample(c.items, rng)
        return rng.poisson(at_observed_total(c, rates))


def rates_at(values: Values) -> PoissonRateParams:
    """Return the law of rates at given parameters."""
    return PoissonRateParams(
        mu=values["fitness_mu"],
        sigma=max(values["fitness_sigma"], 0.0),
        phi=values["fitness_phi"],
    )


@fitted_model
class PoissonRates(FittedModel):
    """Lognormal rates of downloads and likes."""

    name = "poisson_rates"
    label = "fitness"
    colour = "#65a30d"
    equations = "rival of 19"
    order = 60
    family = HETEROGENEITY
    variables = HUB
    judged = (ZETA, SHARE_ZERO, *TAIL, *KERNEL)
    tuned = (SHARE_ZERO, TAIL_ITEMS, ZETA, YOUNG_IN_TAIL)
    needs = (ATTACHMENT_FIT, RATES_FIT, KERNEL_FIT)

    def parameters(self, day: Day, variable: Variable) -> dict[str, Estimate] | None:
        """Return mu, sigma and phi, None where they could not be fitted."""
        fit = day.read(RATES_FIT).get(variable.name)
        if fit is None:
            return None
        return {f"fitness_{name}": e for name, e in fit.estimates().items()}

    def sampler(self, day: Day, variable: Variable, values: Values) -> Sampler:
        """Return counts at the fitted rates."""
        attachment = day.read(ATTACHMENT_FIT)
        params, horizon = rates_at(values), attachment.entry.horizon
        return AgedSampler(simulate_poisson_rates, params, attachment.cohorts, horizon)

    def increments(self, day: Day, variable: Variable, values: Values) -> IncrementSampler | None:
        """Return increments at rates that are drawn from what likes and age say of them."""
        c = whole_hub_kernel(day) if variable == LIKES else None
        if c is None:
            return None
        return MeasuredIncrements(c, RateIncrements.of(c, rates_at(values)))

    def predict(self, day: Day, variable: Variable) -> Prediction:
        """Return no exponent: the rates are fitted to sizes and ages."""
        return Prediction(None, "fitted to sizes and ages")


def _sample(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    ages = sample_ages(v["entry_growth_plus_exit"], v["horizon"], n, rng)
    params = PoissonRateParams(mu=v["mu"], sigma=v["sigma"], phi=v["phi"])
    return pl.DataFrame({LIKES.name: simulate_poisson_rates(params, ages, rng), "age": ages})


file_model(
    FileModel(
        name="fitness",
        order=80,
        prefix="fitness",
        defaults={"mu": -3.0, "sigma": 2.5, "phi": 1.0, **AGES},
        meaning={
            "mu": "mean log rate at one year",
            "sigma": "its sd",
            "phi": "exponent of age",
            **AGES_MEANING,
        },
        refit="baimo fit attachment FILE --likes likes --age age",
        sample=_sample,
        also_called={name: (f"fitness_hub_likes_{name}",) for name in ("mu", "sigma", "phi")},
    )
)
