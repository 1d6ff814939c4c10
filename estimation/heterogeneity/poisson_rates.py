"""Differences at birth that work over time: counts at a rate of one's own (a rival of eq 19).

An item of age tau has L ~ Poisson(q tau^phi) with log q ~ N(mu, sigma^2), drawn once: no success
breeds another. phi = 1 is a constant rate; below 1 most of the success comes early, above 1 late.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from baimo.estimation.arrays import Floats
from baimo.estimation.distributions.densities import poisson_lognormal_log_pmf
from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.simulation.heterogeneity.poisson_rates import PoissonRateParams

_NEWTON_STEPS = 2
_NEAR = 1e-3  # a longer step is no polish


@registered("FitnessFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class PoissonRatesFit(FitResult):
    """Lognormal rates and their exponent of age, by maximum likelihood.

    Parameters
    ----------
    mu, sigma
        Mean and standard deviation of the log rate at an age of one year.
    phi
        Exponent of age.
    covariance : (3, 3)
        Of (mu, sigma, phi), inverse of the numerical information; items as independent.
    log_likelihood
        At the optimum, constants included.
    """

    mu: float
    sigma: float
    phi: float
    covariance: Floats
    log_likelihood: float

    title: ClassVar[str] = "Fitness at birth (Poisson counts at lognormal rates)"

    @property
    def params(self) -> PoissonRateParams:
        """Return the parameters for `simulate_poisson_rates`."""
        return PoissonRateParams(mu=self.mu, sigma=self.sigma, phi=self.phi)

    def estimates(self) -> dict[str, Estimate]:
        """Return mu, sigma and phi."""
        errors = np.sqrt(np.diag(self.covariance))
        return {
            name: Estimate(value=value, std_error=float(error))
            for (name, value), error in zip(
                (("mu", self.mu), ("sigma", self.sigma), ("phi", self.phi)), errors, strict=True
            )
        }


def fit_poisson_rates(
    ages: ArrayLike, sizes: ArrayLike, weights: ArrayLike | None = None
) -> PoissonRatesFit:
    """Fit lognormal rates to counts and ages.

    Parameters
    ----------
    ages, sizes : (n,)
        Age in years, > 0, and count of each item; items of unknown age taken out before.
    weights : (n,) integers, optional
        Items with this age and count.

    Raises
    ------
    DataError
        All counts are zero, or all ages are equal.
    ConvergenceError
        The likelihood has no finite optimum.

    Notes
    -----
    The cost is in distinct pairs of age and count; measure ages in days, say, not in seconds.
    """
    tau, x = np.asarray(ages, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    w = np.ones(tau.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not tau.size == x.size == w.size:
        raise DataError(f"{tau.size} ages, {x.size} sizes, {w.size} weights; give one each")
    if np.any(tau <= 0) or not np.all(np.isfinite(tau)):
        raise DataError("ages must be positive and finite; leave items of unknown age out")
    if np.any(x < 0) or np.any(x != np.floor(x)):
        raise DataError("sizes must be whole numbers, not negative")
    if x.max(initial=0) == 0:
        raise DataError("all sizes are zero: there is no rate to measure; check the column")
    if np.ptp(tau) == 0:
        raise DataError("all ages are equal: phi cannot be measured; fit the sizes alone")
    groups = _by_age(tau, x, w)

    def cost(theta: Floats) -> float:  # np.sum: its order, unlike BLAS's, is that of one thread
        mu, sigma, phi = float(theta[0]), math.exp(float(theta[1])), float(theta[2])
        return -sum(
            float(np.sum(weight * poisson_lognormal_log_pmf(values, mu + phi * log_age, sigma)))
            for log_age, values, weight in groups
        )

    mean = math.log(float(np.sum(w * x)) / float(np.sum(w * tau)))
    start = np.array([mean - 2.0, math.log(2.0), 1.0])
    n = float(w.sum())
    found = optimize.minimize(
        lambda theta: cost(theta) / n,
        start,
        method="L-BFGS-B",
        options={"ftol": 1e-13, "gtol": 1e-7, "eps": 1e-6},
    )
    if not math.isfinite(found.fun):
        raise ConvergenceError(
            "the rates have no finite optimum; check ages and sizes",
            dict(zip(("mu", "log_sigma", "phi"), found.x.tolist(), strict=True)),
        )
    optimum, hessian = _polished(cost, found.x)
    return PoissonRatesFit(
        n_obs=int(w.sum()),
        n_used=int(w.sum()),
        converged=bool(found.success) and hessian is not None,
        mu=float(optimum[0]),
        sigma=math.exp(float(optimum[1])),
        phi=float(optimum[2]),
        covariance=np.full((3, 3), np.nan) if hessian is None else _covariance(hessian, optimum),
        log_likelihood=-cost(optimum),
    )


def rates_log_likelihood(parameters: Floats, ages: Floats, sizes: Floats) -> Floats:
    """Return the log likelihood of every item at (mu, sigma, phi).

    Parameters
    ----------
    ages, sizes : (n,)
        In order of age, so that each age is one block.
    """
    mu, sigma, phi = parameters.tolist()
    cuts = np.flatnonzero(np.diff(ages)) + 1
    return np.concatenate(
        [
            poisson_lognormal_log_pmf(block, mu + phi * math.log(float(age[0])), sigma)
            for age, block in zip(np.split(ages, cuts), np.split(sizes, cuts), strict=True)
        ]
    )


def _by_age(tau: Floats, x: Floats, w: Floats) -> list[tuple[float, Floats, Floats]]:
    """Return (log age, distinct counts, how many items have each) of every distinct age."""
    order = np.lexsort((x, tau))
    tau, x, w = tau[order], x[order], w[order]
    new = np.concatenate([[True], (np.diff(tau) != 0) | (np.diff(x) != 0)])
    first = np.flatnonzero(new)
    tau, x, w = tau[first], x[first], np.add.reduceat(w, first)
    cuts = np.flatnonzero(np.diff(tau)) + 1
    return [
        (math.log(float(a[0])), b, c)
        for a, b, c in zip(np.split(tau, cuts), np.split(x, cuts), np.split(w, cuts), strict=True)
    ]


def _polished(cost: Callable[[Floats], float], theta: Floats) -> tuple[Floats, Floats | None]:
    """Return the optimum to nine digits and the Hessian there, None where it is not positive.

    Newton steps from where the search stopped, at the sixth digit.
    """
    from statsmodels.tools.numdiff import approx_fprime, approx_hess

    hessian = approx_hess(theta, cost, epsilon=np.full(3, 2e-3))
    hessian = 0.5 * (hessian + hessian.T)
    if not np.all(np.isfinite(hessian)) or np.any(np.linalg.eigvalsh(hessian) <= 0):
        return theta, None
    for _ in range(_NEWTON_STEPS):
        near, far = (approx_fprime(theta, cost, epsilon=h, centered=True) for h in (4e-3, 8e-3))
        step = np.linalg.solve(hessian, (4.0 * near - far) / 3.0)  # error of order h^4
        if np.max(np.abs(step)) > _NEAR:
            break
        theta = theta - step
    return theta, hessian


def _covariance(hessian: Floats, theta: Floats) -> Floats:
    """Invert the Hessian in (mu, log sigma, phi) and carry it to sigma."""
    scale = np.array([1.0, math.exp(float(theta[1])), 1.0])
    return np.asarray(np.linalg.inv(hessian) * np.outer(scale, scale))
