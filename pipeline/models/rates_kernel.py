"""What lognormal rates of one cross-section say of the kernel of attachment, by age.

The rates are fitted to likes and ages of the day; applied to the likes and ages of other models,
each of whom has the rate that its likes so far and its age leave, they give gains without any
attachment. The kernel of such gains is what an observed one is held beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from baimo.estimation.attachment.kernel import kernel_point
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.analysis.kernels import KERNEL_POPULATIONS, KERNELS
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.models.poisson_rates import RATES_FIT, RateIncrements
from baimo.pipeline.schema.results import Row, parameter_row
from baimo.pipeline.settings import SEED
from baimo.pipeline.variables import LIKES

DRAWS = 20
BY_AGE = ("first_days", "older")  # of the populations: likes, and of nobody's picking


@registered("RatesKernel")
@dataclass(frozen=True, eq=False, kw_only=True)
class RatesKernel(FitResult):
    """Kernel of gains at fitted rates: means over draws, and standard deviations of one draw.

    Parameters
    ----------
    theta, phi, theta_sd, phi_sd
        Exponents of size and of age.
    """

    theta: float
    phi: float
    theta_sd: float
    phi_sd: float

    title: ClassVar[str] = "Kernel of gains at fitted rates"

    def estimates(self) -> dict[str, Estimate]:
        """Return both exponents; they are predicted, not estimated."""
        return {"theta": Estimate(value=self.theta), "phi": Estimate(value=self.phi)}


def _parameters(found: dict[str, RatesKernel]) -> Iterator[Row]:
    method = f"mean of {DRAWS} draws at the fitted lognormal rates"
    for name, k in found.items():
        for parameter, e in k.estimates().items():
            note = f"predicted of {KERNEL_POPULATIONS[name]}"
            yield parameter_row(f"fitness_kernel_{name}_{parameter}", e, k, method, "", note)


RATES_KERNEL: Stored[dict[str, RatesKernel]] = Stored("rates_kernel", dict)
"""By population, those of `BY_AGE` that there are."""


@calibration(
    RATES_KERNEL,
    order=57,
    description="What the fitted lognormal rates say of the kernel of attachment, by age.",
    needs=(KERNELS, RATES_FIT),
    shown=lambda found: {
        f"{name}_{p}": e.value for name, k in found.items() for p, e in k.estimates().items()
    },
    parameters=_parameters,
)
def predict_kernels(day: Day) -> dict[str, RatesKernel]:
    """Draw gains at the fitted rates, and fit the kernel to them."""
    fit = day.read(RATES_FIT).get(LIKES.name)
    kernels = day.read(KERNELS)
    return {} if fit is None else kernels_of_rates(kernels, fit)


def kernels_of_rates(
    kernels: Mapping[str, KernelCalibration], fit: PoissonRatesFit
) -> dict[str, RatesKernel]:
    """Return what rates predict in each population that has models of known age and gained."""
    found = {}
    for name in BY_AGE:
        c = kernels.get(name)
        if c is None or c.kernel is None or c.total_gain <= 0:
            continue
        sample, items = RateIncrements.of(c, fit), c.items.astype(np.float64)
        drawn = []
        for i in range(DRAWS):
            gains = sample(np.random.default_rng([SEED, 19, i])).astype(np.float64)
            theta, _, phi = kernel_point(c.stock, c.age, gains, items)
            drawn.append((theta, phi))
        mean, sd = np.nanmean(drawn, axis=0), np.nanstd(drawn, axis=0, ddof=1)
        n = int(c.items.sum())
        found[name] = RatesKernel(
            n_obs=n,
            n_used=n,
            theta=float(mean[0]),
            phi=float(mean[1]),
            theta_sd=float(sd[0]),
            phi_sd=float(sd[1]),
        )
    return found
