"""Pure birth processes: attachment of any power of the stock, with ageing and unequal starts.

An item of age t with k births has the next at the rate

    gamma (k + a_i)^theta t^phi,   log a_i ~ N(log a, sigma^2), drawn once an item.

phi is a change of time, s = gamma t^(1 + phi)/(1 + phi). What follows from each:

    theta = 1, sigma = 0   negative binomial NB(a, exp(-s)): exponential tails within a cohort; the
                           Yule process [Yule1925] at phi = 0.
    theta > 1              an item can pass any number in finite time ("explode"), and the mean is
                           infinite [KrapivskyRedner2001]: sizes need a limit.
    theta < 1              stretched exponential tails.
    sigma > 0              entrants of unequal appeal. As gamma falls to 0 at a fixed gamma a,
                           stocks no longer attract, and what is left is a Poisson number at
                           lognormal rates (`baimo.simulation.heterogeneity.poisson_rates`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from baimo.simulation.arrays import Floats, Ints
from baimo.simulation.errors import ParameterError
from baimo.simulation.numba_kernels import count_births, pass_on_chances

STEP = 0.02  # of the time s, in one unit of which an item grows e-fold at theta = 1
_LARGEST_MEAN = 2.0**53


@dataclass(frozen=True, kw_only=True)
class BirthParams:
    """A pure birth process.

    Parameters
    ----------
    gamma
        Growth rate, 1/yr at an age of one year, > 0.
    a
        Attractiveness of the median item without any success, > 0.
    theta
        Exponent of the stock, >= 0.
    phi
        Exponent of age, > -1.
    sigma
        Standard deviation of log a_i, >= 0.
    """

    gamma: float
    a: float
    theta: float = 1.0
    phi: float = 0.0
    sigma: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("gamma", 0.0), ("a", 0.0), ("phi", -1.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > least):
                raise ParameterError(f"{name} = {value:g} must be finite and above {least:g}")
        for name in ("theta", "sigma"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ParameterError(f"{name} = {value:g} must be finite and not negative")

    def times(self, ages: ArrayLike) -> Floats:
        """Return s = gamma t^(1 + phi)/(1 + phi) of ages in years, >= 0."""
        t = np.asarray(ages, dtype=np.float64)
        if np.any(t < 0) or not np.all(np.isfinite(t)):
            raise ParameterError("ages must be finite and not negative")
        power = 1.0 + self.phi
        scaled: Floats = self.gamma / power * t**power
        return scaled


def simulate_births(
    params: BirthParams, ages: ArrayLike, rng: np.random.Generator, *, largest: int = 100_000
) -> Ints:
    """Draw the births of each item given its age in years, exactly.

    Parameters
    ----------
    ages : (n,)
        In years, >= 0.
    largest
        Number at which an item is left, exploded or not; the cost grows with it when theta > 1.

    Returns
    -------
    (n,) int64
    """
    if largest < 1:
        raise ParameterError(f"largest = {largest} must be at least 1")
    times = params.times(ages)
    start = params.a * np.exp(params.sigma * rng.standard_normal(times.size))
    if params.theta == 1.0:  # a Poisson number of gamma-distributed mean
        mean = rng.gamma(start, np.expm1(times))
        return np.minimum(rng.poisson(np.minimum(mean, _LARGEST_MEAN)), largest)
    sizes: Ints = count_births(start, times, params.theta, largest, rng)
    return sizes


def birth_chances(params: BirthParams, ages: ArrayLike, n_states: int) -> Floats:
    """Return the chances of 0, 1, ..., n_states - 1 births, and of more, at each age.

    By the forward equations, within 2e-4 of the negative binomial at theta = 1.

    Returns
    -------
    (n, n_states + 1)

    Raises
    ------
    ParameterError
        Starts are unequal, or there is no state.
    """
    if params.sigma > 0:
        raise ParameterError("chances are those of equal starts: sigma must be 0")
    if n_states < 1:
        raise ParameterError(f"n_states = {n_states} must be at least 1")
    times, place = np.unique(params.times(ages), return_inverse=True)
    rates = (np.arange(n_states, dtype=np.float64) + params.a) ** params.theta
    chances: Floats = pass_on_chances(rates, times, STEP)[place]
    return chances
