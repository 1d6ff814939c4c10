"""Differences at birth: the rivals of growth by attachment (no equation of the papers).

An item's size is settled when it enters: X = exp(mu + sigma Z + E1/alpha - E2/beta), with Z
normal and E1, E2 exponential. Without the exponentials it is lognormal; with them it is the double
Pareto-lognormal of [ReedJorgensen2004], whose upper CCDF exponent is alpha. Counts are X rounded to
whole numbers. Age plays no part: every cohort has the tail of all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from baimo.simulation.arrays import Floats, Ints
from baimo.simulation.errors import ParameterError

_LARGEST = 2.0**53  # counts beyond are not exact


@dataclass(frozen=True, kw_only=True)
class StaticSizeParams:
    """Double Pareto-lognormal size at birth.

    Parameters
    ----------
    mu, sigma
        Of the normal part of log size; sigma >= 0.
    alpha, beta
        Upper and lower exponents, > 0; infinite for none.
    """

    mu: float
    sigma: float
    alpha: float = math.inf
    beta: float = math.inf

    def __post_init__(self) -> None:
        if not math.isfinite(self.mu):
            raise ParameterError("mu must be finite")
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise ParameterError(f"sigma = {self.sigma:g} must be finite and not negative")
        for name in ("alpha", "beta"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} = {getattr(self, name):g} must be positive")

    @property
    def zeta(self) -> float:
        """CCDF exponent, alpha; infinite for the lognormal, which has no power law."""
        return self.alpha


def simulate_static_sizes(
    params: StaticSizeParams, n_items: int, rng: np.random.Generator
) -> Floats:
    """Draw sizes.

    Returns
    -------
    (n_items,) float64, positive
    """
    if n_items < 1:
        raise ParameterError(f"n_items = {n_items} must be at least 1")
    logs = params.mu + params.sigma * rng.standard_normal(n_items)
    if math.isfinite(params.alpha):
        logs += rng.standard_exponential(n_items) / params.alpha
    if math.isfinite(params.beta):
        logs -= rng.standard_exponential(n_items) / params.beta
    return np.asarray(np.exp(logs))


def simulate_static_counts(
    params: StaticSizeParams, n_items: int, rng: np.random.Generator
) -> Ints:
    """Draw counts: sizes rounded to whole numbers, at most 2^53."""
    sizes = np.minimum(np.rint(simulate_static_sizes(params, n_items, rng)), _LARGEST)
    return sizes.astype(np.int64)
