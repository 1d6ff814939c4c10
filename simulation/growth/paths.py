"""Paths of a population under geometric Brownian motion with entry and exit: eq 36-37.

    d log V_i = m_i dt + s dW_i + beta_i c dF,   m_i = mu_i - (s^2 + beta_i^2 c^2)/2,

with s the idiosyncratic and c the common volatility, one F for all (the paper's eq 36 has
independent W_i, which data reject), beta_i ~ N(1, loading_sd^2) and mu_i ~ N(mu, drift_sd^2).
Steps are lognormal draws, exact for any times; nothing is discretised.

Barriers act on x = log V. Over a step from x to y = x + r of variance v = (s^2 + beta^2 c^2) dt
the minimum of the Brownian bridge is (x + y - sqrt((y - x)^2 - 2 v log U))/2 with U uniform:

    reflecting at L   x' = y + max(0, L - minimum)                  (Skorokhod's map)
    absorbing at L    survives with 1 - exp(-2 (x - L)(y - L)/v), given y > L

Both are exact for each item. Across items the ends of a step share the factor exactly, but
bridges within one step are drawn independently: with sigma_common > 0 barriers touched in the
same step are less synchronous than they should be, the less the shorter the step. A reflecting
barrier with m < 0 gives the stationary tail P(V > v) = (v/e^L)^-zeta, zeta = 1 - 2 mu/sigma^2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baimo.simulation.arrays import Floats
from baimo.simulation.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class PathParams:
    """A population of paths, all rates per year.

    Parameters
    ----------
    mu
        Mean drift of the level, 1/yr.
    sigma_idiosyncratic
        Volatility of each item's own shock, yr^-1/2, > 0.
    sigma_common
        Volatility of the shock shared by all, yr^-1/2, >= 0.
    exit_rate
        Hazard of exit, 1/yr, >= 0; exit does not depend on size.
    loading_sd
        Standard deviation of the loadings beta_i around 1, >= 0.
    drift_sd
        Standard deviation of the drifts mu_i around mu, 1/yr, >= 0.
    noise_sd
        Standard deviation of an error in each observed log value, >= 0; not in the path.
    reflecting_at
        Log value below which no path can go, or None.
    absorbing_at
        Log value at which a path ends, or None. Only one barrier may be given.
    """

    mu: float
    sigma_idiosyncratic: float
    sigma_common: float = 0.0
    exit_rate: float = 0.0
    loading_sd: float = 0.0
    drift_sd: float = 0.0
    noise_sd: float = 0.0
    reflecting_at: float | None = None
    absorbing_at: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.mu):
            raise ParameterError(f"mu = {self.mu:g} must be finite")
        if not (math.isfinite(self.sigma_idiosyncratic) and self.sigma_idiosyncratic > 0):
            raise ParameterError(
                f"sigma_idiosyncratic = {self.sigma_idiosyncratic:g} must be positive and finite"
            )
        for name in ("sigma_common", "exit_rate", "loading_sd", "drift_sd", "noise_sd"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ParameterError(f"{name} = {value:g} must not be negative and must be finite")
        for name in ("reflecting_at", "absorbing_at"):
            level = getattr(self, name)
            if level is not None and not math.isfinite(level):
                raise ParameterError(f"{name} = {level:g} must be a finite log value or None")
        if self.reflecting_at is not None and self.absorbing_at is not None:
            raise ParameterError("reflecting_at and absorbing_at exclude each other: give one")

    @property
    def sigma(self) -> float:
        """Root mean square volatility of an item, own and common shock together, yr^-1/2."""
        return math.hypot(
            self.sigma_idiosyncratic, self.sigma_common, self.sigma_common * self.loading_sd
        )

    @property
    def m(self) -> float:
        """Mean drift of the log, mu - sigma^2/2, 1/yr."""
        return self.mu - 0.5 * self.sigma**2

    @property
    def barrier(self) -> float | None:
        """The one barrier there may be, as a log value."""
        return self.reflecting_at if self.absorbing_at is None else self.absorbing_at


def barrier_zeta(mu: float, sigma: float) -> float:
    """Return the stationary CCDF exponent over a reflecting barrier, 1 - 2 mu/sigma^2.

    Parameters
    ----------
    mu
        Drift of the level relative to the barrier, 1/yr.
    sigma
        Volatility, yr^-1/2, > 0.

    Raises
    ------
    ParameterError
        mu >= sigma^2/2: the log drifts upward and there is no stationary distribution.
    """
    if not (math.isfinite(sigma) and sigma > 0):
        raise ParameterError(f"sigma = {sigma:g} must be positive and finite")
    if not mu < 0.5 * sigma**2:
        raise ParameterError(
            f"mu = {mu:g} must be below sigma^2/2 = {0.5 * sigma**2:g}: "
            "the log must drift towards the barrier"
        )
    return 1.0 - 2.0 * mu / sigma**2


def simulate_paths(
    params: PathParams,
    times: ArrayLike,
    log_entry: ArrayLike,
    rng: np.random.Generator,
    *,
    entry_times: ArrayLike | None = None,
) -> Floats:
    """Draw the values of a population at given times.

    Parameters
    ----------
    times : (t,)
        Years at which all items are observed, strictly increasing, any spacing.
    log_entry : (n,)
        Log size of each item when it enters.
    entry_times : (n,)
        Year of each entry; between two times the first step is the shorter one. None enters
        all at the first time.

    Returns
    -------
    (n, t) float64
        Values; NaN before entry and from exit or absorption on.

    Raises
    ------
    ParameterError
        Times out of order, shapes that do not match, an entry below the barrier or before
        the first time.
    """
    grid = np.asarray(times, dtype=np.float64)
    x = np.array(log_entry, dtype=np.float64)
    if grid.ndim != 1 or grid.size == 0 or not np.all(np.isfinite(grid)):
        raise ParameterError("times must be a list of at least one finite year")
    if np.any(np.diff(grid) <= 0):
        raise ParameterError("times must increase strictly: sort them and drop repeated ones")
    if x.ndim != 1 or not np.all(np.isfinite(x)):
        raise ParameterError("log_entry must be a list of finite log sizes")
    entry = np.full(x.size, grid[0]) if entry_times is None else np.array(entry_times, float)
    if entry.shape != x.shape:
        raise ParameterError(f"{x.size} entry sizes but {entry.size} entry times: give one each")
    if not np.all(entry >= grid[0]):
        raise ParameterError(f"entry_times must be finite and not before times[0] = {grid[0]:g}")
    if params.barrier is not None and np.any(x < params.barrier):
        raise ParameterError(f"log_entry must not lie below the barrier {params.barrier:g}")
    n = x.size
    loading = 1.0 + params.loading_sd * rng.standard_normal(n)
    own, common = params.sigma_idiosyncratic, params.sigma_common
    variance = own**2 + (loading * common) ** 2
    drift = params.mu + params.drift_sd * rng.standard_normal(n) - 0.5 * variance
    gone = np.full(n, np.inf)
    if params.exit_rate > 0:
        gone = entry + rng.exponential(1.0 / params.exit_rate, n)
    factor_grid, factor_entry = _factor(grid, entry, rng)
    out = np.full((n, grid.size), np.nan)
    clock, level = entry.copy(), factor_entry
    for k, now in enumerate(grid):
        live = np.flatnonzero((entry <= now) & (gone > now))
        step = now - clock[live]
        noise = own * np.sqrt(step) * rng.standard_normal(live.size)
        shock = noise + loading[live] * common * (factor_grid[k] - level[live])
        end = x[live] + drift[live] * step + shock
        if params.barrier is not None:
            moved = step > 0
            at = live[moved]
            spread = variance[at] * step[moved]
            ends = end[moved]
            if params.reflecting_at is not None:
                floor = params.reflecting_at
                end[moved] = floor + _reflected(x[at] - floor, ends - floor, spread, rng)
            else:
                absorbed = _absorbed(x[at] - params.barrier, ends - params.barrier, spread, rng)
                gone[at[absorbed]] = now
        x[live], clock[live], level[live] = end, now, factor_grid[k]
        seen = live[gone[live] > now]
        out[seen, k] = x[seen]
    if params.noise_sd > 0:
        out += params.noise_sd * rng.standard_normal(out.shape)
    with np.errstate(over="ignore"):  # refused by the caller where it does not fit a number
        return np.asarray(np.exp(out))


def _factor(grid: Floats, entry: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return one standard Brownian motion at the grid and at the entries."""
    moments = np.union1d(grid, entry)
    steps = np.sqrt(np.diff(moments, prepend=moments[0])) * rng.standard_normal(moments.size)
    path = np.cumsum(steps)
    return path[np.searchsorted(moments, grid)], path[np.searchsorted(moments, entry)]


def _reflected(start: Floats, end: Floats, variance: Floats, rng: np.random.Generator) -> Floats:
    """Return the ends of steps after reflection at 0, given free starts and ends above it."""
    uniform = 1.0 - rng.random(start.size)  # in (0, 1]
    bend = np.sqrt((end - start) ** 2 - 2.0 * variance * np.log(uniform))
    return end + np.maximum(0.0, -0.5 * (start + end - bend))


def _absorbed(
    start: Floats, end: Floats, variance: Floats, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Mark the steps that touched 0 on their way."""
    survival = -np.expm1(-2.0 * start * np.maximum(end, 0.0) / variance)
    return np.asarray(rng.random(start.size) >= survival)
