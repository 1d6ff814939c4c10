"""Growth of protocols by geometric Brownian motion: eq 36-39 (section 11.2).

    eq 36   dV_i = mu_i V_i dt + sigma_i V_i dW_i
    eq 37   mu_i = r_i + lambda_i      eq 38   lambda_i proportional to V_i / sum V
    eq 39   P(V > v) ~ v^-zeta

Eq 36 alone gives a lognormal whose variance grows for ever; eq 38 with inflow split by size
gives every protocol the same lambda, so it moves no share. A power law needs entry and exit.
With m = mu - sigma^2/2, ages exponential at rate d = exit rate + entry growth, and entrants'
sizes growing at g0 [ReedJorgensen2004] [Luttmer2007]:

    eq 39, corrected   zeta = [-(m - g0) + sqrt((m - g0)^2 + 2 sigma^2 d)] / sigma^2,

and zeta = 1 exactly when mu - g0 = d. With a finite history T the power law holds only below
log V of about (m + sigma^2 zeta) T, so the main prediction is the lognormal mixture over the
observed ages tau_i and entry sizes x_i:

    P(V > v) = mean_i Phi((x_i + m tau_i - log v)/(sigma sqrt(tau_i))).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from baimo.simulation.arrays import Floats
from baimo.simulation.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class GrowthParams:
    """GBM with entry and exit, all rates per year.

    Parameters
    ----------
    mu
        Drift of the level relative to the market, 1/yr.
    sigma
        Idiosyncratic volatility, yr^-1/2, > 0.
    exit_rate
        Hazard of exit, 1/yr, >= 0.
    entry_growth
        Growth rate of the number of entrants, 1/yr.
    entrant_size_growth
        Growth rate g0 of entrants' sizes relative to the market, 1/yr.
    """

    mu: float
    sigma: float
    exit_rate: float = 0.0
    entry_growth: float = 0.0
    entrant_size_growth: float = 0.0

    def __post_init__(self) -> None:
        for name in ("mu", "exit_rate", "entry_growth", "entrant_size_growth"):
            if not math.isfinite(getattr(self, name)):
                raise ParameterError(f"{name} must be finite")
        if not (math.isfinite(self.sigma) and self.sigma > 0):
            raise ParameterError(f"sigma = {self.sigma:g} must be positive and finite")
        if self.exit_rate < 0:
            raise ParameterError(f"exit_rate = {self.exit_rate:g} must not be negative")

    @property
    def m(self) -> float:
        """Drift of the log, mu - sigma^2/2."""
        return self.mu - 0.5 * self.sigma**2

    @property
    def zeta(self) -> float:
        """Asymptotic CCDF exponent (eq 39, corrected); needs exit_rate + entry_growth > 0."""
        rate = self.exit_rate + self.entry_growth
        if rate <= 0:
            raise ParameterError(
                f"exit_rate + entry_growth = {rate:g} must be positive: "
                "without turnover of ages there is no stationary tail"
            )
        drift = self.m - self.entrant_size_growth
        return (-drift + math.sqrt(drift**2 + 2.0 * self.sigma**2 * rate)) / self.sigma**2


def mixture_ccdf(
    params: GrowthParams, v: ArrayLike, log_entry: ArrayLike, ages: ArrayLike
) -> Floats:
    """Return P(V > v) of the lognormal mixture over entry sizes and ages.

    Parameters
    ----------
    v : (n,)
        Sizes, positive.
    log_entry : (e,)
        Log sizes at entry; every age is paired with every entry size.
    ages : (a,)
        In years, > 0.
    """
    x = np.asarray(log_entry, dtype=np.float64)[:, None]
    tau, weight = np.unique(np.asarray(ages, dtype=np.float64), return_counts=True)
    if tau[0] <= 0:
        raise ParameterError("ages must be positive")
    spread = params.sigma * np.sqrt(tau)
    out = [
        float(np.mean(ndtr((x + params.m * tau - lv) / spread), axis=0) @ weight) / weight.sum()
        for lv in np.log(np.atleast_1d(np.asarray(v, dtype=np.float64)))
    ]
    return np.array(out)


def simulate_growth(
    params: GrowthParams, log_entry: ArrayLike, ages: ArrayLike, rng: np.random.Generator
) -> Floats:
    """Draw one size for every age: an entry size at random, then the exact lognormal step.

    Returns
    -------
    (len(ages),) float64
    """
    tau = np.asarray(ages, dtype=np.float64)
    if np.any(tau < 0):
        raise ParameterError("ages must not be negative")
    x = rng.choice(np.asarray(log_entry, dtype=np.float64), size=tau.size)
    steps = params.m * tau + params.sigma * np.sqrt(tau) * rng.standard_normal(tau.size)
    return np.asarray(np.exp(x + steps))
