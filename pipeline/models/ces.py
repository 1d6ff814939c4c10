"""CES demand with common Pareto tastes (eq 20-24): the same tail at every age.

One cross-section identifies zeta only; rho is assumed and alpha moves with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.demand.ces import DemandFit, fit_demand
from baimo.estimation.demand.counts import fit_demand_tail, log_smallest_demand
from baimo.estimation.heterogeneity.posterior import pareto_rate_posterior
from baimo.estimation.results import Estimate
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.cohorts import Cohorts
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.analysis.sampling import sampling_error
from baimo.pipeline.analysis.sizes import TAILS, read_tails
from baimo.pipeline.analysis.summary_statistics import CohortSample
from baimo.pipeline.errors import SourceError
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import (
    DEMAND,
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
from baimo.pipeline.schema.derived import HUB_SAMPLING
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.statistics import KERNEL, SHARE_ZERO, TAIL, TAIL_ITEMS, ZETA
from baimo.pipeline.variables import DOWNLOADS, HUB, LIKES, Variable
from baimo.simulation.demand.ces import (
    DemandParams,
    attraction,
    sample_log_tastes,
    simulate_arrivals,
    simulate_counts,
)

_BELOW = 0.99  # of x_min: the law of the counts needs a zeta below it
DEMAND_FIT: Stored[dict[str, DemandFit]] = Stored("demand_fit", dict)
"""By variable."""


def _parameters(fits: dict[str, DemandFit]) -> Iterator[Row]:
    method = "alpha = zeta rho/(1 - rho) from the tail of Poisson counts of a Pareto demand"
    for variable, fit in fits.items():
        found, central = fit.estimates(), fit.params()
        prefix = "ces_" if variable == DOWNLOADS.name else f"ces_{variable}_"
        for name, estimate in found.items():
            e, note = estimate, ""
            if fit.rho is None and name in ("alpha", "rho"):  # not measured: the central case
                at_centre = found[f"alpha_rho_{central.rho:g}"]
                e = at_centre if name == "alpha" else Estimate(value=central.rho)
                note = f"rho = {central.rho:g} assumed"
            yield parameter_row(f"{prefix}{name}", e, fit, method, "22, 24 corrected", note)


@calibration(
    DEMAND_FIT,
    order=20,
    description="CES demand with Pareto tastes (eq 20-24): the taste exponent alpha over a band of "
    "rho; one cross-section identifies only zeta.",
    needs=(HUB_SAMPLING, *(TAILS[v.name] for v in HUB)),
    shown=lambda fits: {f"alpha_{name}": fit.params().alpha for name, fit in fits.items()},
    parameters=_parameters,
)
def calibrate_demand(day: Day) -> dict[str, DemandFit]:
    """Calibrate CES demand of downloads and likes."""
    sampling = day.table(HUB_SAMPLING)
    found = {}
    for name, sizes in read_tails(day, (v.name for v in HUB)).items():
        tail = fit_demand_tail(sizes.counts)
        error = sampling_error(sampling, name, "ces_zeta")
        if error is not None:
            tail = replace(tail, std_error_clustered=error)
        found[name] = fit_demand(sizes.counts, tail)
    return found


@dataclass(frozen=True, eq=False)
class DemandSampler:
    """Draws demand whose tail has the observed exponent and size.

    Parameters
    ----------
    params
        Tastes and substitution; rho is assumed, and moves nothing.
    log_smallest
        Log of the smallest expected demand.
    cohorts
        How many items there are of each age; demand does not depend on it.
    """

    params: DemandParams
    log_smallest: float
    cohorts: Cohorts

    def __call__(self, rng: np.random.Generator) -> CohortSample:
        """Return one sample by cohort."""
        n = self.cohorts.n_all
        return self.cohorts.split(simulate_arrivals(self.params, self.log_smallest, n, rng))


@dataclass(frozen=True, eq=False)
class DemandIncrements:
    """Draws Poisson increments at Pareto rates of no age, given the likes so far.

    Parameters
    ----------
    observed
        Stocks and numbers of items.
    zeta, log_smallest
        Of demand: exponent, and log of the smallest rate.
    """

    observed: KernelCalibration
    zeta: float
    log_smallest: float

    def __call__(self, rng: np.random.Generator) -> Ints:
        """Return the increment of each cell."""
        c = self.observed
        stocks, where = np.unique(c.stock, return_inverse=True)
        posterior = pareto_rate_posterior(stocks, self.zeta, self.log_smallest)
        rates: Floats = posterior.sample(c.items, rng, where)
        return rng.poisson(at_observed_total(c, rates))


def _tail_at(fit: DemandFit, values: Values, n: int) -> tuple[float, float]:
    """Return zeta and the log of the smallest demand of n items at given parameters."""
    zeta = min(max(values["ces_zeta"], 0.05), _BELOW * fit.x_min)
    share = (10.0 ** values["ces_log10_tail"] - 1.0) / n
    return zeta, log_smallest_demand(zeta, fit.x_min, share)


@fitted_model
class Ces(FittedModel):
    """CES demand of downloads and likes."""

    name = "ces"
    label = "CES"
    colour = "#7c3aed"
    equations = "20-24"
    order = 30
    family = DEMAND
    variables = HUB
    judged = (SHARE_ZERO, *TAIL, *KERNEL)
    tuned = (ZETA, TAIL_ITEMS)
    needs = (ATTACHMENT_FIT, DEMAND_FIT, KERNEL_FIT)

    def parameters(self, day: Day, variable: Variable) -> dict[str, Estimate]:
        """Return zeta, and the log of the number of items in the tail."""
        fit = day.read(DEMAND_FIT)[variable.name]
        return {
            "ces_zeta": fit.estimates()["zeta"],
            "ces_log10_tail": Estimate(value=math.log10(1.0 + fit.n_tail)),
        }

    def sampler(self, day: Day, variable: Variable, values: Values) -> Sampler:
        """Return demand for as many items as there are."""
        fit, cohorts = day.read(DEMAND_FIT)[variable.name], day.read(ATTACHMENT_FIT).cohorts
        rho = fit.params().rho
        zeta, least = _tail_at(fit, values, cohorts.n_all)
        return DemandSampler(DemandParams(alpha=zeta * rho / (1.0 - rho), rho=rho), least, cohorts)

    def increments(self, day: Day, variable: Variable, values: Values) -> IncrementSampler | None:
        """Return increments at rates that are drawn from what the likes so far say of them."""
        c = whole_hub_kernel(day) if variable == LIKES else None
        if c is None:
            return None
        fit = day.read(DEMAND_FIT)[variable.name]
        zeta, least = _tail_at(fit, values, fit.n_obs)
        return MeasuredIncrements(c, DemandIncrements(c, zeta, least))

    def predict(self, day: Day, variable: Variable) -> Prediction:
        """Return the fitted zeta, to which alpha is tuned."""
        return Prediction(day.read(DEMAND_FIT)[variable.name].zeta)


def _sample(v: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    params = DemandParams(alpha=v["alpha"], rho=v["rho"])
    size = round(v["family_size"])
    if size < 1:
        raise SourceError("family_size must be at least 1")
    family = np.arange(n) // size
    tastes = sample_log_tastes(params, int(family[-1]) + 1, rng)[family]
    costs = np.exp(v["cost_sd"] * rng.standard_normal(n))
    demand = simulate_counts(attraction(params, tastes, costs), round(v["mean_demand"] * n), rng)
    return pl.DataFrame({"demand": demand, "cost": costs, "family": family})


file_model(
    FileModel(
        name="ces",
        order=50,
        prefix="ces",
        defaults={
            "alpha": 1.0,
            "rho": 0.5,
            "mean_demand": 100.0,
            "cost_sd": 0.5,
            "family_size": 5.0,
        },
        meaning={
            "alpha": "Pareto exponent of tastes",
            "rho": "substitution, (0, 1)",
            "mean_demand": "purchases an item",
            "cost_sd": "sd of log cost",
            "family_size": "items that share a taste",
        },
        refit="baimo fit demand FILE --demand demand --cost cost --family family",
        sample=_sample,
        aliases=("demand",),
    )
)
