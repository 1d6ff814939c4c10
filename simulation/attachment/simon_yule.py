"""Popularity by preferential attachment: eq 18-19 (section 7.3).

As printed, eq 18: P(y > v) ~ v^-alpha for members' contributions, and

    eq 19:  dd_i = eta d_i / D dt + sigma_i dW_i,   D = sum_k d_k.

Eq 19 does not make a power law. With many items D = D0 + eta t is deterministic, the equation
is linear, and its exact solution is Gaussian:

    d_i(t) = (D0 + eta t) [d_i(0)/D0 + sigma_i Int_0^t dW_i/(D0 + eta s)],
    E = d_i(0) (1 + eta t/D0),   Var = sigma_i^2 t (1 + eta t/D0).

Sizes stay proportional to their start plus a normal error (they may turn negative); eta cancels
from the shares. What does make a tail is entry, as in [Simon1955] and [Yule1925]:

    Simon:  each event founds a new item with probability p, else joins an old one in
            proportion to size:  zeta = 1/(1 - p).
    Yule:   items enter at growing rate n, leave at rate delta, grow at rate gamma in proportion
            to size + a; given its age an item is negative binomial NB(a, exp(-gamma age)):
            zeta = (n + delta)/gamma.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from baimo.simulation.arrays import Ints
from baimo.simulation.errors import ParameterError
from baimo.simulation.numba_kernels import split_urn


@dataclass(frozen=True, kw_only=True)
class SimonParams:
    """Simon's urn.

    Parameters
    ----------
    p
        Probability that an event founds a new item, 0 < p < 1.
    """

    p: float

    def __post_init__(self) -> None:
        if not 0 < self.p < 1:
            raise ParameterError(f"p = {self.p:g} must lie in (0, 1)")

    @property
    def zeta(self) -> float:
        """CCDF exponent of the stationary Yule-Simon law, 1/(1 - p)."""
        return 1.0 / (1.0 - self.p)


@dataclass(frozen=True, kw_only=True)
class YuleParams:
    """Yule process with entry and exit.

    Parameters
    ----------
    entry_plus_exit
        n + delta, growth rate of entry plus exit rate, per year, > 0.
    gamma
        Growth rate of an item, per year, > 0.
    a
        Attractiveness of an item without any success, > 0.
    """

    entry_plus_exit: float
    gamma: float
    a: float = 1.0

    def __post_init__(self) -> None:
        for name in ("entry_plus_exit", "gamma", "a"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ParameterError(f"{name} = {value:g} must be positive and finite")

    @property
    def zeta(self) -> float:
        """CCDF exponent with exponential ages, (n + delta)/gamma."""
        return self.entry_plus_exit / self.gamma


def simulate_simon(params: SimonParams, n_events: int, rng: np.random.Generator) -> Ints:
    """Draw the sizes of all items of Simon's urn after `n_events` events, exactly.

    The cost grows with the number of items founded, not with the number of events, so that
    billions of downloads are no obstacle.

    Returns
    -------
    (items,) int64
        In order of birth; they sum to `n_events`.
    """
    if n_events < 1:
        raise ParameterError(f"n_events = {n_events} must be at least 1")
    expected = params.p * n_events
    births = [np.ones(1, dtype=np.int64)]
    last = 1
    while last <= n_events:
        gaps = rng.geometric(params.p, size=int(expected + 6.0 * math.sqrt(expected + 1.0)) + 8)
        block = last + np.cumsum(gaps)
        births.append(block)
        last = int(block[-1])
    at = np.concatenate(births)
    sizes: Ints = split_urn(at[at <= n_events], n_events, rng)
    return sizes


def simulate_yule(params: YuleParams, ages: ArrayLike, rng: np.random.Generator) -> Ints:
    """Draw the size of each item given its age in years, exactly.

    Parameters
    ----------
    ages : (n,)
        In years, >= 0.

    Returns
    -------
    (n,) int64
    """
    tau = np.asarray(ages, dtype=np.float64)
    if np.any(tau < 0) or not np.all(np.isfinite(tau)):
        raise ParameterError("ages must be finite and not negative")
    # NB(a, e^{-gamma tau}) as a Poisson with gamma-distributed mean; odds (1 - pi)/pi.
    mean = rng.gamma(params.a, np.expm1(params.gamma * tau))
    sizes: Ints = rng.poisson(mean)
    return sizes
