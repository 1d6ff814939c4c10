"""What lognormal rates of one cross-section say of the kernel of attachment, by age.

The rates are fitted to likes and ages of the day; applied to the likes and ages of other models,
each of whom has the rate that its likes so far and its age leave, they give gains without any
attachment. The kernel of such gains is what an observed one is held beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from baimo.estimation.attachment.kernel import kernel_point
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.models.poisson_rates import RateIncrements
from baimo.pipeline.settings import SEED

DRAWS = 20
BY_AGE = ("first_days", "older")  # of the populations: likes, and of nobody's picking


@dataclass(frozen=True, kw_only=True)
class RatesKernel:
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


def kernels_of_rates(
    kernels: Mapping[str, KernelCalibration], fit: PoissonRatesFit
) -> dict[str, RatesKernel]:
    """Return what rates predict in each population that has models of known age and gained."""
    found = {}
    for name in BY_AGE:
        c = kernels.get(name)
        if c is None or c.kernel is None or c.total_gain <= 0:
            continue
        sample, items = RateIncrements.of(c, fit.params), c.items.astype(np.float64)
        drawn = []
        for i in range(DRAWS):
            gains = sample(np.random.default_rng([SEED, 19, i])).astype(np.float64)
            theta, _, phi = kernel_point(c.stock, c.age, gains, items)
            drawn.append((theta, phi))
        mean, sd = np.nanmean(drawn, axis=0), np.nanstd(drawn, axis=0, ddof=1)
        found[name] = RatesKernel(
            theta=float(mean[0]),
            phi=float(mean[1]),
            theta_sd=float(sd[0]),
            phi_sd=float(sd[1]),
        )
    return found
