"""Preferential attachment, measured: entry, Simon's urn, the Yule age-size profile (eq 18-19).

The equations stand in `baimo.simulation.attachment.simon_yule`. From one cross-section one gets
Simon's p without a free parameter, the growth of entry plus exit from the ages, and the growth rate
of items from the profile of sizes over ages. `downloads` is a 30-day flow, not a stock: Simon's urn
[Simon1955] can be held against it as a distribution, the Yule profile [Yule1925] cannot.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from baimo.estimation.arrays import Floats
from baimo.estimation.attachment.entry import EntryFit
from baimo.estimation.errors import ConvergenceError, ConvergenceWarning, DataError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.counts import Counts, as_counts
from baimo.simulation.attachment.simon_yule import SimonParams, YuleParams

Cost = Callable[[Floats], tuple[float, Floats]]
GAMMA_BOUND = 10.0  # 1/yr; growth rates of items lie within


@registered("SimonFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class SimonFit(FitResult):
    """Simon's urn from one cross-section: no free parameter.

    Parameters
    ----------
    p
        Items with at least one over the sum of all, the share of events that founded an item.
    std_error
        Of p, binomial.
    total
        Sum over all items: the number of events.
    """

    p: float
    std_error: float
    total: int

    title: ClassVar[str] = "Simon's urn (one cross-section)"

    @property
    def params(self) -> SimonParams:
        """Return the parameters for `baimo.simulation.attachment.simon_yule.simulate_simon`."""
        return SimonParams(p=self.p)

    def estimates(self) -> dict[str, Estimate]:
        """Return p and the predicted zeta = 1/(1 - p)."""
        slope = 1.0 / (1.0 - self.p) ** 2
        return {
            "p": Estimate(value=self.p, std_error=self.std_error),
            "zeta": Estimate(value=self.params.zeta, std_error=slope * self.std_error),
        }


@registered("YuleFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class YuleFit(FitResult):
    """Growth rate of items from the age-size profile of a stock (likes).

    Parameters
    ----------
    gamma
        Growth rate, 1/yr.
    a
        Attractiveness of an item without any success.
    covariance : (2, 2) or None
        Of (gamma, a), inverse of the numerical information.
    entry_plus_exit, entry_std_error
        n + delta and its error, from `EntryFit`.
    log_likelihood
        At the optimum, constants included.
    """

    gamma: float
    a: float
    covariance: Floats | None
    entry_plus_exit: float
    entry_std_error: float
    log_likelihood: float
    mean_ratio: float

    title: ClassVar[str] = "Yule process with entry and exit (NB age-size profile)"

    @property
    def params(self) -> YuleParams | None:
        """Return the parameters for `simulate_yule`, None when the fit failed."""
        if not self.converged or self.entry_plus_exit <= 0:
            return None
        return YuleParams(entry_plus_exit=self.entry_plus_exit, gamma=self.gamma, a=self.a)

    def estimates(self) -> dict[str, Estimate]:
        """Return gamma, a and, when converged, zeta = (n + delta)/gamma with its delta error."""
        se = (None, None) if self.covariance is None else tuple(np.sqrt(np.diag(self.covariance)))
        out = {
            "gamma": Estimate(value=self.gamma, std_error=se[0], unit="1/yr"),
            "a": Estimate(value=self.a, std_error=se[1]),
        }
        if not self.converged or self.entry_plus_exit <= 0:
            out["zeta"] = Estimate(value=None)
        else:
            zeta = self.entry_plus_exit / self.gamma
            error = None
            if se[0] is not None:
                error = math.hypot(self.entry_std_error / self.gamma, zeta * se[0] / self.gamma)
            out["zeta"] = Estimate(value=zeta, std_error=error)
        return out


def fit_simon(data: Counts | ArrayLike) -> SimonFit:
    """Estimate Simon's p as items with at least one over the sum of all.

    Raises
    ------
    DataError
        Fractions, all zeros, or every item at exactly one (p = 1: no attachment to see).
    """
    counts = as_counts(data)
    if not counts.is_integer:
        raise DataError("Simon's urn needs whole-number counts; sizes in money have no p")
    positive = counts.positive()
    p = positive.n_obs / positive.total
    if p >= 1.0:
        raise DataError("every positive count is 1: Simon's p would be 1; nothing to attach to")
    return SimonFit(
        n_obs=counts.n_obs,
        n_used=positive.n_obs,
        p=p,
        std_error=math.sqrt(p * (1.0 - p) / positive.total),
        total=int(positive.total),
    )


def fit_yule(
    ages: ArrayLike, sizes: ArrayLike, weights: ArrayLike | None = None, *, entry: EntryFit
) -> YuleFit:
    """Estimate (gamma, a) from sizes given ages: L | age ~ NB(a, exp(-gamma age)).

    Parameters
    ----------
    ages, sizes : (n,)
        Age in years (> 0 for a positive size) and stock of each item; left-censored ages taken
        out before.
    weights : (n,) integers, optional
        Items with this age and size.
    entry
        n + delta of the same items.

    Notes
    -----
    The fit is marked as not converged, and predicts no zeta, when gamma reaches its bound of 10
    a year, when the information is singular, or when the fitted profile misses the mean size of
    the oldest fifth of the items by more than a factor of three: heterogeneity at birth makes
    the likelihood run to explosive growth that the ages contradict.
    """
    tau, x, w = _aged(ages, sizes, weights)
    cost = _yule_cost(tau, x, w)
    log_parameters, least = _minimised(cost)
    gamma, a = float(math.exp(log_parameters[0])), float(math.exp(log_parameters[1]))
    if not math.isfinite(least):
        raise ConvergenceError(
            "the Yule likelihood has no finite optimum; check ages and sizes",
            {"gamma": gamma, "a": a},
        )
    covariance = _covariance(lambda theta: cost(theta)[1], log_parameters, np.array([gamma, a]))
    ratio = _mean_ratio(tau, x, w, gamma, a)
    at_bound = gamma > 0.99 * GAMMA_BOUND
    converged = covariance is not None and not at_bound and 1 / 3 < ratio < 3
    notes = []
    if entry.rate <= 0:
        notes.append(
            "the young are not more than the old: no mixture of ages makes a tail, no zeta"
        )
    if not converged:
        notes.append(
            f"no Yule prediction: at gamma = {gamma:.3g}/yr the profile expects {ratio:.3g} times "
            "the observed total of the oldest fifth of the items"
        )
        warnings.warn(notes[-1], ConvergenceWarning, stacklevel=2)
    return YuleFit(
        n_obs=int(w.sum()),
        n_used=int(w.sum()),
        converged=converged,
        notes=tuple(notes),
        gamma=gamma,
        a=a,
        covariance=covariance,
        entry_plus_exit=entry.rate,
        entry_std_error=entry.std_error,
        log_likelihood=-least,
        mean_ratio=ratio,
    )


def _aged(
    ages: ArrayLike, sizes: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    """Return ages above 0, sizes and weights of the items that have such an age."""
    tau, x = np.asarray(ages, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    w = np.ones(tau.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not tau.size == x.size == w.size:
        raise DataError(f"{tau.size} ages, {x.size} sizes, {w.size} weights; give one each")
    if np.any(x < 0) or np.any(x != np.floor(x)):
        raise DataError("sizes must be whole numbers, not negative")
    usable = tau > 0
    if np.any(x[~usable] > 0):
        raise DataError("an item of age 0 has a positive size: measure ages to the day's end")
    if x.max(initial=0) == 0:
        raise DataError("all sizes are zero: no growth to measure; check the column")
    return tau[usable], x[usable], w[usable]


def _yule_cost(tau: Floats, x: Floats, w: Floats) -> Cost:
    """Return minus the log-likelihood, and its slope, as a function of (log gamma, log a)."""
    constant = float(np.sum(special.gammaln(x + 1.0) * w))

    def cost(theta: Floats) -> tuple[float, Floats]:
        gamma, a = math.exp(theta[0]), math.exp(theta[1])
        growth = gamma * tau
        logs = (
            special.gammaln(x + a)
            - special.gammaln(a)
            - a * growth
            + x * np.log(-np.expm1(-growth))
        )
        by_gamma = (x / np.expm1(growth) - a) * tau
        by_a = special.digamma(x + a) - special.digamma(a) - growth
        slope = np.array([gamma * np.sum(by_gamma * w), a * np.sum(by_a * w)])
        return constant - float(np.sum(logs * w)), -slope

    return cost


def _minimised(cost: Cost) -> tuple[Floats, float]:
    """Return the best of three searches within the bounds, and its cost."""
    bounds = [(math.log(1e-4), math.log(GAMMA_BOUND)), (math.log(1e-6), math.log(1e4))]
    found = [
        optimize.minimize(
            cost,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-15, "gtol": 1e-8},
        )
        for start in ([0.0, 0.0], [0.0, -3.0], [1.5, -3.0])
    ]
    best = min(found, key=lambda one: float(one.fun))
    return np.asarray(best.x), float(best.fun)


def _mean_ratio(tau: Floats, x: Floats, w: Floats, gamma: float, a: float) -> float:
    """Return expected over observed total of the oldest fifth of the items."""
    old = tau >= _weighted_quantile(tau, w, 0.8)
    with np.errstate(over="ignore"):
        expected = float(np.sum(a * np.expm1(gamma * tau[old]) * w[old]))
    return expected / max(float(np.sum(x[old] * w[old])), 1.0)


def _covariance(slope: Callable[[Floats], Floats], theta: Floats, scale: Floats) -> Floats | None:
    """Invert the Hessian in log parameters and carry it to the parameters.

    The Hessian is the central difference of the analytic slope.
    """
    from statsmodels.tools.numdiff import approx_fprime

    hessian = approx_fprime(theta, slope, centered=True)
    hessian = 0.5 * (hessian + hessian.T)
    if not np.all(np.isfinite(hessian)) or np.any(np.linalg.eigvalsh(hessian) <= 0):
        return None
    jacobian = np.diag(scale)
    covariance: Floats = jacobian @ np.linalg.inv(hessian) @ jacobian
    return covariance


def _weighted_quantile(x: Floats, w: Floats, p: float) -> float:
    order = np.argsort(x, kind="stable")
    cumulative = np.cumsum(w[order])
    return float(x[order][int(np.searchsorted(cumulative, p * cumulative[-1]))])
