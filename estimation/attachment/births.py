"""Attachment with ageing, of any power of the stock or from unequal starts, from one cross-section.

The process stands in `baimo.simulation.attachment.births`. From equal starts the exponents of age
and of the stock are estimated or given; from unequal starts the kernel is linear, its strength is
given, and the exponent of age is estimated with the spread of the starts. Strength is given because
one cross-section hardly tells attachment from differences at birth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.simulation.attachment.births import BirthParams, birth_chances

TOP = 256  # births from which on the likelihood of a power kernel no longer tells sizes apart
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(20)
_LOWEST = 1e-300
_NEAR = 0.02  # of what is searched, mostly logarithms; a longer step is no polish
_BOUNDS = {
    "growth": (math.log(1e-3), math.log(30.0)),
    "a": (math.log(1e-8), math.log(1e4)),
    "age": (math.log(0.01), math.log(4.0)),
    "theta": (0.2, 3.0),
}


@registered("BirthsFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class BirthsFit(FitResult):
    """A pure birth process from the age-size profile of a stock.

    Parameters
    ----------
    gamma, a, theta, phi, sigma
        As in `BirthParams`.
    free : (p,)
        Names of those that were estimated.
    covariance : (p, p)
        Of these, inverse of the numerical information, items as independent; NaN where that is
        singular.
    log_likelihood
        At the optimum.
    """

    gamma: float
    a: float
    theta: float
    phi: float
    sigma: float
    free: tuple[str, ...]
    covariance: Floats
    log_likelihood: float

    title: ClassVar[str] = "Pure birth process with ageing"

    @property
    def params(self) -> BirthParams:
        """Return the parameters for `simulate_births`."""
        return BirthParams(
            gamma=self.gamma, a=self.a, theta=self.theta, phi=self.phi, sigma=self.sigma
        )

    def estimates(self) -> dict[str, Estimate]:
        """Return what was estimated."""
        errors = np.sqrt(np.diag(self.covariance))
        return {
            name: Estimate(
                value=getattr(self, name),
                std_error=float(error) if math.isfinite(error) else None,
                unit="1/yr" if name == "gamma" else "1",
            )
            for name, error in zip(self.free, errors, strict=True)
        }


def fit_births(
    ages: ArrayLike,
    sizes: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    theta: float | None = None,
    phi: float | None = None,
) -> BirthsFit:
    """Estimate gamma, a and, unless they are given, theta and phi, from equal starts.

    Parameters
    ----------
    ages, sizes : (n,)
        Age in years, > 0, and stock of each item; left-censored ages taken out before.
    weights : (n,) integers, optional
        Items with this age and size.
    theta, phi
        Exponents of the stock and of age, None to estimate them.

    Raises
    ------
    DataError
        Sizes are no whole numbers or all zero, ages are not positive or all equal.
    ConvergenceError
        The likelihood has no finite optimum.

    Notes
    -----
    Stocks of `TOP` (256) and more are one class of the likelihood, so that the largest are
    predicted, not fitted, and an explosion is no division by nothing.
    """
    t, x, w = _profile(ages, sizes, weights)
    distinct, place = np.unique(t, return_inverse=True)
    state = np.minimum(x, TOP).astype(np.int64)
    given = {"age": None if phi is None else math.log1p(phi), "theta": theta}
    names = [name for name in _BOUNDS if given.get(name) is None]

    def params(v: Floats) -> BirthParams:
        at = given | dict(zip(names, v.tolist(), strict=True))
        power = math.exp(at["age"])
        return BirthParams(
            gamma=math.exp(at["growth"]) * power,
            a=math.exp(at["a"]),
            phi=power - 1.0,
            theta=at["theta"],
        )

    def cost(v: Floats) -> float:
        chances = birth_chances(params(v), distinct, TOP)[place, state]
        return -float(np.sum(w * np.log(np.maximum(chances, _LOWEST))))

    none = float(np.sum(w[x == 0]) / w.sum())
    likely = math.log(max(-math.log(min(max(none, 1e-3), 1.0 - 1e-9)) / 3.0, 2e-8))
    starts = [
        np.array([at[name] for name in names])
        for at in (
            {"growth": math.log(3.0), "a": likely, "age": math.log(0.2), "theta": 1.2},
            {"growth": 0.0, "a": likely, "age": 0.0, "theta": 1.2},
        )
    ]
    start = min(starts, key=cost)
    found = optimize.minimize(
        lambda v: cost(v) / float(w.sum()),
        start,
        method="L-BFGS-B",
        bounds=[_BOUNDS[name] for name in names],
        options={"ftol": 1e-13, "gtol": 1e-8, "eps": 1e-6},
    )
    from statsmodels.tools.numdiff import approx_fprime, approx_hess

    step = np.full(len(names), 2e-3)
    hessian = approx_hess(found.x, cost, epsilon=step)
    at, slope = _polished(
        found.x, hessian, lambda v: approx_fprime(v, cost, epsilon=step, centered=True)
    )
    best = params(at)
    power = 1.0 + best.phi
    slopes = np.diag([best.gamma, best.a, power, 1.0])  # of the parameters in what was searched
    slopes[0, 2] = best.gamma
    kept = [list(_BOUNDS).index(name) for name in names]
    free = tuple(("gamma", "a", "phi", "theta")[i] for i in kept)
    slopes = slopes[np.ix_(kept, kept)]
    return _result(best, free, (-cost(at), float(w.sum())), slope, hessian, slopes)


def fit_unequal_births(
    ages: ArrayLike, sizes: ArrayLike, weights: ArrayLike | None = None, *, growth: float
) -> BirthsFit:
    """Estimate the lognormal starts (a, sigma) and phi of a linear kernel of given strength.

    Parameters
    ----------
    ages, sizes, weights
        As in `fit_births`.
    growth
        gamma/(1 + phi) > 0: the logarithm by which a large stock grows in its first year. Towards
        0 stocks no longer attract, and the fit is `fit_poisson_rates`.

    Raises
    ------
    DataError
        As in `fit_births`, or growth is not positive.
    ConvergenceError
        The likelihood has no finite optimum.
    """
    t, x, w = _profile(ages, sizes, weights)
    if not (math.isfinite(growth) and growth > 0):
        raise DataError(f"growth = {growth:g} must be positive; for none see fit_poisson_rates")

    def cost(v: Floats) -> tuple[float, Floats]:
        mu, sigma, power = float(v[0]) - math.log(growth), math.exp(v[1]), math.exp(v[2])
        times = growth * t**power
        logs, start, spread, by_time = _mixed(x, times, mu, sigma)
        by_age = by_time * times * np.log(t) * power
        slopes = (start / sigma**2, spread / sigma**2 - 1.0, by_age)
        return -float(np.sum(w * logs)), -np.array([float(np.sum(w * s)) for s in slopes])

    n = float(w.sum())
    mean = math.log(float(np.sum(w * x)) / float(np.sum(w * t)))
    found = optimize.minimize(
        lambda v: tuple(part / n for part in cost(v)),
        np.array([mean - 2.0, math.log(2.0), math.log(0.5)]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(mean - 30.0, mean + 5.0), (math.log(0.02), math.log(12.0)), _BOUNDS["age"]],
        options={"ftol": 1e-13, "gtol": 1e-8},
    )
    from statsmodels.tools.numdiff import approx_fprime

    hessian = approx_fprime(found.x, lambda v: cost(v)[1], centered=True)
    at, slope = _polished(found.x, hessian, lambda v: cost(v)[1])
    power, sigma = math.exp(at[2]), math.exp(at[1])
    best = BirthParams(
        gamma=growth * power, a=math.exp(at[0]) / growth, phi=power - 1.0, sigma=sigma
    )
    scales = np.diag([best.a, sigma, power])
    return _result(best, ("a", "sigma", "phi"), (-cost(at)[0], n), slope, hessian, scales)


def _profile(
    ages: ArrayLike, sizes: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    """Return the distinct pairs of age and size, and how many items have each."""
    t, x = np.asarray(ages, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    w = np.ones(t.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not t.size == x.size == w.size:
        raise DataError(f"{t.size} ages, {x.size} sizes, {w.size} weights; give one each")
    if np.any(t <= 0) or not np.all(np.isfinite(t)):
        raise DataError("ages must be positive and finite; leave items of unknown age out")
    if np.any(x < 0) or np.any(x != np.floor(x)):
        raise DataError("sizes must be whole numbers, not negative")
    if x.max(initial=0) == 0:
        raise DataError("all sizes are zero: no growth to measure; check the column")
    if np.ptp(t) == 0:
        raise DataError("all ages are equal: phi cannot be measured; fit the sizes alone")
    pairs, place = np.unique(np.stack([t, x]), axis=1, return_inverse=True)
    items: Floats = np.bincount(place.ravel(), weights=w).astype(np.float64)
    return pairs[0], pairs[1], items


def _mixed(
    x: Floats, times: Floats, mu: float, sigma: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the log pmf of NB(a, e^-s) over log a ~ N(mu, sigma^2), and means given the size.

    These are of log a - mu, of its square, and of the slope of the log pmf in s. By the trapezoid
    rule where there is no birth, for the most weight lies there, and else at Gauss-Hermite nodes
    around the mode of each item: within 1e-6 and 3e-3.
    """
    out = np.empty((4, x.size))
    none = x == 0
    step = 1.0 / (1.0 / (0.85 * sigma) + 1.0 / 0.38)  # against both widths, sigma and 1
    even = np.arange(-9.0 * sigma, 9.0 * sigma, step)
    log_step = math.log(step / sigma) - 0.5 * math.log(2.0 * math.pi)
    nodes = np.broadcast_to(mu + even, (int(none.sum()), even.size))
    out[:, none] = _averaged(x[none], times[none], nodes, np.full(1, log_step), mu, sigma)
    centre, width = _modes(x[~none], times[~none], mu, sigma)
    nodes = centre[:, None] + width[:, None] * _NODES
    weights = 0.5 * _NODES**2 + np.log(_WEIGHTS) + np.log(width / sigma)[:, None]
    weights -= 0.5 * math.log(2.0 * math.pi)
    out[:, ~none] = _averaged(x[~none], times[~none], nodes, weights, mu, sigma)
    return out[0], out[1], out[2], out[3]


def _averaged(
    x: Floats, times: Floats, u: Floats, log_weights: Floats, mu: float, sigma: float
) -> Floats:
    """Return the four rows of `_mixed` by a rule with nodes u of log a for each item."""
    a, k = np.exp(u), x[:, None]
    rising = special.gammaln(k + a) - special.gammaln(a) if np.any(x > 0) else 0.0
    logs = rising - a * times[:, None] - 0.5 * ((u - mu) / sigma) ** 2 + log_weights
    highest = logs.max(axis=1)
    share = np.exp(logs - highest[:, None])
    total = share.sum(axis=1)
    share /= total[:, None]
    constant = x * np.log(-np.expm1(-times)) - special.gammaln(x + 1.0)
    return np.stack(
        [
            highest + np.log(total) + constant,
            np.sum(share * (u - mu), axis=1),
            np.sum(share * (u - mu) ** 2, axis=1),
            x / np.expm1(times) - np.sum(share * a, axis=1),
        ]
    )


def _modes(x: Floats, times: Floats, mu: float, sigma: float) -> tuple[Floats, Floats]:
    """Return the mode of log a given the size, and the width of its density there."""
    precision, known = 1.0 / sigma**2, np.minimum(x, 50.0)
    u = np.log(np.maximum(x, 0.5) / np.expm1(times))
    u = (mu * precision + u * known) / (precision + known)
    curvature = np.full(x.size, precision)
    for _ in range(50):
        a = np.exp(u)
        first = a * (special.digamma(x + a) - special.digamma(a) - times)
        second = first + a**2 * (_trigamma(x + a) - _trigamma(a))
        curvature = np.maximum(precision - second, precision)
        step = np.clip((first - (u - mu) * precision) / curvature, -1.0, 1.0)
        u = u + step
        if np.max(np.abs(step)) < 1e-3:
            break
    return u, 1.0 / np.sqrt(curvature)


def _trigamma(y: Floats) -> Floats:
    """Return psi'(y) within 4 %, as near as the width of a rule asks for."""
    near: Floats = 1.0 / y**2 + 1.0 / (y + 1.0) ** 2 + 1.0 / (y + 1.5)
    return near


def _polished(
    v: Floats, hessian: Floats, slope_of: Callable[[Floats], Floats]
) -> tuple[Floats, Floats]:
    """Return the optimum after a short Newton step from where a search stopped, and its slope."""
    slope = slope_of(v)
    if np.all(np.isfinite(hessian)) and np.linalg.cond(hessian) < 1e12:
        step = np.linalg.solve(0.5 * (hessian + hessian.T), slope)
        if np.max(np.abs(step)) < _NEAR:
            return v - step, slope_of(v - step)
    return v, slope


def _result(
    best: BirthParams,
    free: tuple[str, ...],
    log_likelihood: tuple[float, float],
    slope: Floats,
    hessian: Floats,
    scales: Floats,
) -> BirthsFit:
    """Return the record of an optimum.

    Parameters
    ----------
    log_likelihood
        And the number of items.
    slope, hessian
        Of minus the log likelihood in what was searched.
    scales : (p, p)
        Derivatives of the free parameters in what was searched.

    Notes
    -----
    It has converged where the information is positive and a Newton step would change the log
    likelihood by less than .005: a tenth of a standard error.
    """
    likelihood, n = log_likelihood
    if not math.isfinite(likelihood):
        raise ConvergenceError(
            "the birth process has no finite optimum; check ages and sizes",
            {name: getattr(best, name) for name in free},
        )
    hessian = 0.5 * (hessian + hessian.T)
    regular = bool(np.all(np.isfinite(hessian)) and np.all(np.linalg.eigvalsh(hessian) > 0))
    inverse = np.linalg.inv(hessian) if regular else np.full_like(hessian, np.nan)
    return BirthsFit(
        n_obs=int(n),
        n_used=int(n),
        converged=regular and float(slope @ inverse @ slope) < 0.01,
        gamma=best.gamma,
        a=best.a,
        theta=best.theta,
        phi=best.phi,
        sigma=best.sigma,
        free=free,
        covariance=scales @ inverse @ scales.T,
        log_likelihood=likelihood,
    )
