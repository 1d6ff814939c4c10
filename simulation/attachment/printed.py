"""Eq 19 exactly as printed (section 7.3), for the audit: it makes no tail.

    eq 19:  dd_i = eta d_i / D dt + sigma_i dW_i,   D = sum_k d_k.

`baimo.simulation.attachment.simon_yule` has the exact solution and what does make a tail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from baimo.simulation.arrays import Floats
from baimo.simulation.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class PrintedAttachmentParams:
    """Eq 19 as printed.

    Parameters
    ----------
    eta
        Total inflow, items' unit per day, > 0.
    sigma
        Volatility of one item, items' unit per square root of a day, >= 0.
    """

    eta: float
    sigma: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.eta) and self.eta > 0):
            raise ParameterError(f"eta = {self.eta:g} must be positive and finite")
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise ParameterError(f"sigma = {self.sigma:g} must not be negative")


def simulate_printed(
    params: PrintedAttachmentParams, start: ArrayLike, days: float, rng: np.random.Generator
) -> Floats:
    """Draw eq 19 as printed after `days`, from its exact Gaussian solution for many items.

    Parameters
    ----------
    start : (n,)
        Sizes at time 0, all positive.

    Returns
    -------
    (n,) float64
        May be negative: the printed equation does not keep sizes positive.
    """
    d0 = np.asarray(start, dtype=np.float64)
    if np.any(d0 <= 0):
        raise ParameterError("start sizes must be positive")
    growth = 1.0 + params.eta * days / float(d0.sum())
    noise = params.sigma * math.sqrt(days * growth)
    drawn: Floats = d0 * growth + noise * rng.standard_normal(d0.size)
    return drawn


def simulate_printed_steps(
    params: PrintedAttachmentParams,
    start: ArrayLike,
    days: float,
    n_steps: int,
    rng: np.random.Generator,
) -> Floats:
    """Draw eq 19 as printed by Euler steps, the total D taken as it comes.

    Parameters
    ----------
    start : (n,)
        Sizes at time 0, all positive.
    n_steps
        Number of equal steps; the noise is additive, so that few are enough.
    """
    sizes = np.array(start, dtype=np.float64)
    if np.any(sizes <= 0):
        raise ParameterError("start sizes must be positive")
    if n_steps < 1:
        raise ParameterError(f"n_steps = {n_steps} must be at least 1")
    dt = days / n_steps
    for _ in range(n_steps):
        sizes *= 1.0 + params.eta * dt / float(sizes.sum())
        sizes += params.sigma * math.sqrt(dt) * rng.standard_normal(sizes.size)
    return sizes
