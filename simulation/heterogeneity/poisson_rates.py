"""Differences at birth that work over time (no equation of the papers; a rival of eq 19).

L | age ~ Poisson(q age^phi), log q ~ N(mu, sigma^2) drawn once an item: success breeds no success.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from baimo.simulation.arrays import Ints
from baimo.simulation.errors import ParameterError

_LARGEST_RATE = 2.0**53


@dataclass(frozen=True, kw_only=True)
class PoissonRateParams:
    """Lognormal rates.

    Parameters
    ----------
    mu, sigma
        Of the log rate at an age of one year; sigma >= 0.
    phi
        Exponent of age, finite.
    """

    mu: float
    sigma: float
    phi: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mu) and math.isfinite(self.phi)):
            raise ParameterError("mu and phi must be finite")
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise ParameterError(f"sigma = {self.sigma:g} must be finite and not negative")


def simulate_poisson_rates(
    params: PoissonRateParams, ages: ArrayLike, rng: np.random.Generator
) -> Ints:
    """Draw the count of each item given its age in years, exactly.

    Parameters
    ----------
    ages : (n,)
        In years, > 0.

    Returns
    -------
    (n,) int64
    """
    tau = np.asarray(ages, dtype=np.float64)
    if np.any(tau <= 0) or not np.all(np.isfinite(tau)):
        raise ParameterError("ages must be positive and finite")
    logs = params.mu + params.phi * np.log(tau) + params.sigma * rng.standard_normal(tau.size)
    rate = np.minimum(np.exp(np.minimum(logs, 700.0)), _LARGEST_RATE)
    sizes: Ints = rng.poisson(rate)
    return sizes
