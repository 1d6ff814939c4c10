"""Geometric Brownian growth whose drift changes with the calendar (eq 36-39).

    d log V_i = m(t) dt + sigma dW_i,   m(t) constant within a period

An item born at b has at time t gathered M = int_b^t m(s) ds, so two of one age and different births
would differ, and on one day all of one age are alike. Entry sizes change with the calendar too: the
log size at birth is mean + sd z, with z of one shape for all. On one day then

    P(V > v) = mean_i mean_z Phi((mean_i + sd_i z + M_i - log v)/(sigma sqrt(tau_i))).

`baimo.simulation.growth.gbm` is the case of one period and of one entry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from baimo.simulation.arrays import Floats
from baimo.simulation.errors import ParameterError


@dataclass(frozen=True, eq=False, kw_only=True)
class DriftPath:
    """Drift of the log by calendar period.

    Parameters
    ----------
    starts : (k,)
        Where each period begins, in years, increasing. The first drift also holds before, the last
        for ever.
    drifts : (k,)
        1/yr.
    """

    starts: Floats
    drifts: Floats

    def __post_init__(self) -> None:
        if self.starts.ndim != 1 or self.starts.shape != self.drifts.shape or not self.starts.size:
            raise ParameterError("starts and drifts must be lists of one length, not empty")
        if np.any(np.diff(self.starts) <= 0) or not np.all(np.isfinite(self.starts)):
            raise ParameterError("starts must be finite and increase")
        if not np.all(np.isfinite(self.drifts)):
            raise ParameterError("drifts must be finite")

    def between(self, start: ArrayLike, end: ArrayLike) -> Floats:
        """Return the drift gathered from `start` to `end` (years), of the shape of both."""
        return self._since_first(end) - self._since_first(start)

    def _since_first(self, time: ArrayLike) -> Floats:
        """Return the integral from the first start on, negative before it."""
        t = np.asarray(time, dtype=np.float64)
        knots = np.concatenate([[0.0], np.cumsum(self.drifts[:-1] * np.diff(self.starts))])
        period = np.clip(np.searchsorted(self.starts, t, side="right") - 1, 0, None)
        return np.asarray(knots[period] + self.drifts[period] * (t - self.starts[period]))


@dataclass(frozen=True, eq=False, kw_only=True)
class Lives:
    """What each item was born with and went through, (n,) each.

    Parameters
    ----------
    ages
        Years, > 0.
    drift
        Drift of the log gathered over the life.
    entry_mean, entry_sd
        Mean and standard deviation of the log size at birth.
    """

    ages: Floats
    drift: Floats
    entry_mean: Floats
    entry_sd: Floats

    def __post_init__(self) -> None:
        if not np.all(self.ages > 0):
            raise ParameterError("ages must be positive")
        if not np.all(self.entry_sd >= 0):
            raise ParameterError("entry_sd must not be negative")


def lives_ccdf(lives: Lives, shape: ArrayLike, sigma: float, v: ArrayLike) -> Floats:
    """Return P(V > v) over all lives.

    Parameters
    ----------
    shape : (e,)
        Log sizes at birth, mean 0 and sd 1; every life is paired with every one.
    sigma
        Volatility, yr^-1/2, > 0.
    v : (n,)
        Sizes, positive.
    """
    z, log_v = np.asarray(shape, dtype=np.float64), np.log(np.atleast_1d(v))
    columns = (lives.ages, lives.drift, lives.entry_mean, lives.entry_sd)
    kinds, counts = np.unique(np.column_stack(columns), axis=0, return_counts=True)
    found = np.zeros(log_v.size)
    for (age, drift, mean, sd), count in zip(kinds, counts, strict=True):
        reach = (mean + drift - log_v[:, None] + sd * z) / (sigma * np.sqrt(age))
        found += count * ndtr(reach).mean(axis=1)
    return np.asarray(found / counts.sum())


def simulate_lives(
    lives: Lives, shape: ArrayLike, sigma: float, rng: np.random.Generator
) -> Floats:
    """Draw one size for every life: (n,)."""
    n = lives.ages.size
    born = lives.entry_mean + lives.entry_sd * rng.choice(np.asarray(shape, dtype=np.float64), n)
    noise = sigma * np.sqrt(lives.ages) * rng.standard_normal(n)
    return np.asarray(np.exp(born + lives.drift + noise))
