"""Attachment with any kernel: eq 19 with entry, d^theta, an offset, fitness and ageing.

Each event founds an item with probability p, or goes to one that is there with probability
proportional to

    f_i (d_i + a)^theta age_i^phi.

theta = 1, f = 1, phi = 0 is linear attachment: with entrants of size 0 and m = (1 - p)/p events
an entrant, zeta = 1 + a/m; with entrants of size 1 and a = 0 it is Simon's urn, zeta = 1/(1 - p).
theta < 1 gives a stretched exponential, theta > 1 lets one item take nearly all: only theta = 1
makes a power law [KrapivskyRedner2001]. Fitness [BianconiBarabasi2001] is drawn once an item; with
ageing beside it the kernel is of the kind of [WangEtAl2013].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from baimo.simulation.arrays import Ints
from baimo.simulation.errors import ParameterError
from baimo.simulation.numba_kernels import grow_by_kernel


@dataclass(frozen=True, kw_only=True)
class KernelParams:
    """Kernel of attachment.

    Parameters
    ----------
    theta
        Exponent of size, finite.
    offset
        Attractiveness a of an item without any success, >= 0.
    phi
        Exponent of age; negative when the old lose their appeal.
    """

    theta: float = 1.0
    offset: float = 1.0
    phi: float = 0.0

    def __post_init__(self) -> None:
        for name in ("theta", "offset", "phi"):
            if not math.isfinite(getattr(self, name)):
                raise ParameterError(f"{name} must be finite")
        if self.offset < 0:
            raise ParameterError(f"offset = {self.offset:g} must not be negative")

    def zeta(self, p: float, entrant_size: int = 0) -> float | None:
        """Return the CCDF exponent under entry with probability p, None where there is no tail.

        Linear kernels only: of the attachments m = (1 - p)/p an entrant, an item draws in
        proportion to d + a, so that zeta = 1 + (a + entrant_size)/m.
        """
        if self.theta != 1.0 or self.phi != 0.0:
            return None
        return 1.0 + (self.offset + entrant_size) * p / (1.0 - p)


@dataclass(frozen=True, eq=False, kw_only=True)
class Urn:
    """Items after the last event.

    Parameters
    ----------
    sizes : (items,)
        In order of birth.
    births : (items,)
        Event at which each was founded, from 0.
    """

    sizes: Ints
    births: Ints


def simulate_kernel(
    params: KernelParams,
    n_events: int,
    p: float,
    rng: np.random.Generator,
    *,
    entrant_size: int = 0,
    fitness_sd: float = 0.0,
) -> Urn:
    """Run an urn event by event, exactly.

    Parameters
    ----------
    n_events
        Events after the first item; each founds an item or is one success of an item.
    p
        Probability that an event founds an item, in (0, 1).
    entrant_size
        Size of a new item, 0 (then the offset must be positive) or more.
    fitness_sd
        Standard deviation of log fitness f, drawn once an item.

    Notes
    -----
    Weights stand in a Fenwick tree, so that an event costs the logarithm of the number of items.
    Ageing (phi < 0) is exact by thinning: a stored weight is an upper bound, and a draw is
    accepted with the ratio of the weight now to the one stored. Age counts events, from 1.
    """
    if not 0 < p < 1:
        raise ParameterError(f"p = {p:g} must lie in (0, 1)")
    if n_events < 0 or entrant_size < 0:
        raise ParameterError("n_events and entrant_size must not be negative")
    if entrant_size + params.offset <= 0:
        raise ParameterError("new items would never be found: give an offset or an entrant_size")
    if params.phi > 0:
        raise ParameterError(f"phi = {params.phi:g}: only ageing that lowers appeal (phi <= 0)")
    if not (math.isfinite(fitness_sd) and fitness_sd >= 0):
        raise ParameterError(f"fitness_sd = {fitness_sd:g} must not be negative")
    n_new = int(rng.binomial(n_events, p))
    is_new = np.zeros(n_events, dtype=np.bool_)
    is_new[rng.choice(n_events, size=n_new, replace=False)] = True
    births = np.concatenate([[0], np.flatnonzero(is_new) + 1]).astype(np.int64)
    log_fitness = fitness_sd * rng.standard_normal(n_new + 1)
    sizes = np.full(n_new + 1, entrant_size, dtype=np.int64)
    reach = math.log(entrant_size + n_events + params.offset + 1.0)
    if (abs(params.theta) + abs(params.phi)) * reach + np.abs(log_fitness).max() > 600.0:
        raise ParameterError("weights beyond what numbers hold: lower theta, phi or fitness_sd")
    fitness = np.exp(log_fitness)
    grow_by_kernel(is_new, sizes, births, fitness, params.theta, params.offset, params.phi, rng)
    return Urn(sizes=sizes, births=births)


def simulate_increments(
    params: KernelParams,
    stock: ArrayLike,
    total: float,
    rng: np.random.Generator,
    *,
    ages: ArrayLike | None = None,
    fitness_sd: float = 0.0,
    clusters: ArrayLike | None = None,
) -> Ints:
    """Draw what each item gains over a short interval: Poisson at rates frozen at its start.

    Parameters
    ----------
    stock : (n,)
        Sizes, not negative.
    total
        Expected sum of all gains.
    ages : (n,), optional
        > 0, needed where phi is not 0.
    fitness_sd
        Standard deviation of log fitness, of mean one, drawn once an item, or once a cluster.
    clusters : (n,) integers, optional
        Items that share their fitness.

    Returns
    -------
    (n,) int64
    """
    d = np.asarray(stock, dtype=np.float64)
    if not np.all(d >= 0) or not total >= 0:
        raise ParameterError("stock and total must not be negative")
    if not np.any(d + params.offset > 0):
        raise ParameterError("no item has any attractiveness: give a stock or an offset")
    with np.errstate(divide="ignore"):
        logs = params.theta * np.log(d + params.offset)
    if params.phi != 0.0:
        if ages is None:
            raise ParameterError("phi is not 0: give the ages")
        tau = np.asarray(ages, dtype=np.float64)
        if tau.shape != d.shape or not np.all((tau > 0) & np.isfinite(tau)):
            raise ParameterError(f"ages must be {d.size} numbers, positive and finite")
        logs = logs + params.phi * np.log(tau)
    rate = np.exp(logs - logs.max())
    rate *= total / rate.sum()
    if fitness_sd > 0:
        codes = (
            np.arange(d.size) if clusters is None else np.unique(clusters, return_inverse=True)[1]
        )
        draw = fitness_sd * rng.standard_normal(int(codes.max()) + 1) - 0.5 * fitness_sd**2
        rate = rate * np.exp(draw)[codes]
    gains: Ints = rng.poisson(rate)
    return gains
