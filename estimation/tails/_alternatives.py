"""Rivals of the power law on the same tail: exact likelihoods and their maxima.

Counts: the discretised rivals, P(X = x) = S(x - 1/2) - S(x + 1/2), and the truncated power law
with its exact normaliser; sizes: exact densities. All conditional on X >= x_min. Parameters are
searched in units of x_min and as logarithms where they are scales, from several starts, inside
bounds that keep them sane; an optimum on a bound imitates another law and is marked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from baimo.estimation.arrays import Floats
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import TailFit

_DEEPEST = 150.0  # how far below log(x_min) the lognormal's mu may lie before it is a boundary
LOWEST_RATE = -60.0  # log of a rate times x_min that no x below e^50 x_min could show
_STEP = 1e-4  # of the differences that give scores and curvature, in units of theta

LogPdf = Callable[[Floats, Floats, float], Floats]


def _log_difference(upper: Floats, lower: Floats) -> Floats:
    """Return log(exp(upper) - exp(lower)) for upper > lower."""
    with np.errstate(divide="ignore"):
        out: Floats = upper + np.log(-np.expm1(np.minimum(lower - upper, 0.0)))
    return out


def _discretised(
    log_survival: Callable[[Floats], Floats],
    log_density: Callable[[Floats], Floats],
    x: Floats,
    x_min: float,
) -> Floats:
    """Return log (S(x - 1/2) - S(x + 1/2)) - log S(x_min - 1/2), x ascending.

    From 10^5 on the density at x stands for the difference: its relative error is of the order
    of 1/x^2, while that of the difference grows with x.
    """
    near = int(np.searchsorted(x, 1e5))
    small, large = x[:near], x[near:]
    inside = _log_difference(log_survival(small - 0.5), log_survival(small + 0.5))
    logs: Floats = np.concatenate([inside, log_density(large)])
    logs -= log_survival(np.array([x_min - 0.5]))[0]
    return logs


def _lognormal_counts(theta: Floats, x: Floats, x_min: float) -> Floats:
    mu, sigma = theta[0] + math.log(x_min), math.exp(theta[1])

    def log_density(q: Floats) -> Floats:
        logs = np.log(q)
        out: Floats = -theta[1] - 0.5 * math.log(2.0 * math.pi) - logs
        out -= 0.5 * ((logs - mu) / sigma) ** 2
        return out

    return _discretised(
        lambda q: special.log_ndtr(-(np.log(q) - mu) / sigma), log_density, x, x_min
    )


def _lognormal_sizes(theta: Floats, y: Floats, _: float) -> Floats:
    mu, sigma = theta[0], math.exp(theta[1])
    logs = np.log(y)
    constant = -theta[1] - 0.5 * math.log(2.0 * math.pi) - float(special.log_ndtr(mu / sigma))
    out: Floats = constant - logs - 0.5 * ((logs - mu) / sigma) ** 2
    return out


def _exponential_counts(theta: Floats, x: Floats, x_min: float) -> Floats:
    rate = math.exp(theta[0]) / x_min
    logs: Floats = math.log(-math.expm1(-rate)) - rate * (x - x_min)
    return logs


def _exponential_sizes(theta: Floats, y: Floats, _: float) -> Floats:
    logs: Floats = theta[0] - math.exp(theta[0]) * (y - 1.0)
    return logs


def _stretched_counts(theta: Floats, x: Floats, x_min: float) -> Floats:
    b, beta = math.exp(theta[0]), math.exp(theta[1])

    def log_density(q: Floats) -> Floats:
        logs = np.log(q / x_min)
        out: Floats = theta[0] + theta[1] - math.log(x_min) + (beta - 1.0) * logs
        out -= b * np.exp(beta * logs)
        return out

    return _discretised(lambda q: -b * (q / x_min) ** beta, log_density, x, x_min)


def _stretched_sizes(theta: Floats, y: Floats, _: float) -> Floats:
    b, beta = math.exp(theta[0]), math.exp(theta[1])
    logs = np.log(y)
    out: Floats = theta[0] + theta[1] + (beta - 1.0) * logs - b * np.expm1(beta * logs)
    return out


def _truncated_counts(theta: Floats, x: Floats, x_min: float) -> Floats:
    alpha, rate = theta[0], math.exp(theta[1]) / x_min
    constant = -math.log(_truncated_sum(alpha, rate, x_min))
    logs: Floats = constant - alpha * np.log(x / x_min) - rate * (x - x_min)
    return logs


def _truncated_sizes(theta: Floats, y: Floats, _: float) -> Floats:
    alpha, rate = theta[0], math.exp(theta[1])
    logs: Floats = (
        -math.log(_truncated_integral(alpha, rate)) - alpha * np.log(y) - rate * (y - 1.0)
    )
    return logs


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(240)


def _truncated_integral(alpha: float, rate: float) -> float:
    """Return Int_1^inf y^-alpha exp(-rate (y - 1)) dy, over log y to where nothing is left."""
    reach = math.log1p(750.0 / rate)
    if alpha > 1.0:
        reach = min(reach, 40.0 / (alpha - 1.0))
    u = 0.5 * reach * (_NODES + 1.0)
    inner = np.exp((1.0 - alpha) * u - rate * np.expm1(u))
    return 0.5 * reach * float(np.sum(_WEIGHTS * inner))


def _truncated_sum(alpha: float, rate: float, x_min: float) -> float:
    """Return sum_{x >= x_min} (x/x_min)^-alpha exp(-rate (x - x_min)).

    Two hundred terms one by one, the rest by Euler-Maclaurin with the integral over log x.
    """
    head = np.arange(x_min, x_min + 200.0)
    start = head[-1] + 1.0
    total = float(np.sum(np.exp(-alpha * np.log(head / x_min) - rate * (head - x_min))))
    first = math.exp(-alpha * math.log(start / x_min) - rate * (start - x_min))
    if first < 1e-300:
        return total
    slope = alpha / start + rate
    integral = start * _truncated_integral(alpha, rate * start)
    return float(total + first * (integral + 0.5 + slope / 12.0))


@dataclass(frozen=True)
class _Rival:
    """Likelihoods and search of one rival; theta is in units of x_min, scales as logs."""

    counts: LogPdf
    sizes: LogPdf
    starts: Callable[[TailFit, float], list[list[float]]]
    bounds: list[tuple[float, float]]
    power_law_edges: list[tuple[bool, bool]]  # low and high end of each: the power law is there
    report: Callable[[Floats, float], dict[str, float]]


# Starts take the fit and the mean of x/x_min - 1.
_RIVALS = {
    "lognormal": _Rival(
        _lognormal_counts,
        _lognormal_sizes,
        lambda f, mean: [
            [0.0, 0.5],
            [-8.0, 0.5 * math.log(8.0 / f.zeta + 1.0)],
            [-25.0, 0.5 * math.log(25.0 / f.zeta)],
            [-80.0, 0.5 * math.log(80.0 / f.zeta)],
        ],
        [(-_DEEPEST, 50.0), (-5.0, 3.5)],
        [(True, False), (False, True)],
        lambda th, x_min: {"mu": th[0] + math.log(x_min), "sigma": math.exp(th[1])},
    ),
    "exponential": _Rival(
        _exponential_counts,
        _exponential_sizes,
        lambda f, mean: [[-math.log(mean)]],
        [(LOWEST_RATE, 30.0)],
        [(False, False)],
        lambda th, x_min: {"rate": math.exp(th[0]) / x_min},
    ),
    "stretched_exponential": _Rival(
        _stretched_counts,
        _stretched_sizes,
        lambda f, mean: [[0.0, -0.7], [1.6, -1.9], [math.log(f.zeta) + 4.0, -4.0]],
        [(-20.0, 20.0), (-9.0, 3.0)],
        [(False, True), (True, False)],
        lambda th, x_min: {
            "rate": math.exp(th[0] - math.exp(th[1]) * math.log(x_min)),
            "beta": math.exp(th[1]),
        },
    ),
    "truncated_power_law": _Rival(
        _truncated_counts,
        _truncated_sizes,
        lambda f, mean: [
            [f.alpha, -50.0],
            [f.alpha, -math.log(mean) - 4.0],
            [max(0.1, f.alpha - 0.3), -math.log(mean) - 2.0],
            [max(0.1, f.alpha - 1.0), -math.log(mean)],
        ],
        [(0.0, 1000.0), (LOWEST_RATE, 10.0)],
        [(False, False), (True, False)],
        lambda th, x_min: {"alpha": th[0], "rate": math.exp(th[1]) / x_min},
    ),
}


@dataclass(frozen=True, eq=False)
class FittedRival:
    """A rival at its maximum.

    Parameters
    ----------
    parameters, std_errors
        As reported; an error is None where the curvature does not give one.
    log_density : (u,)
        Of each distinct value of the tail.
    scores : (u, d), curvature : (d, d)
        Derivatives of the log density along axes in which the scores are uncorrelated and of
        unit variance, and the mean of the second ones; flat directions are left out.
    at_boundary
        The optimum lies on the edge where the rival turns into the power law.
    """

    parameters: dict[str, float]
    std_errors: dict[str, float | None]
    log_density: Floats
    scores: Floats
    curvature: Floats
    at_boundary: bool


def _bounds(rival: _Rival, reach: float) -> list[tuple[float, float]]:
    """Return the bounds of the search, a rate's wider where log(x/x_min) reaches beyond 50."""
    lowest = max(-700.0, -reach - 10.0)
    return [(min(low, lowest) if low == LOWEST_RATE else low, high) for low, high in rival.bounds]


def fit_rival(name: str, tail: Counts, fit: TailFit) -> FittedRival:
    """Maximise the likelihood of one rival on a tail."""
    rival = _RIVALS[name]
    x = tail.values if fit.discrete else tail.values / fit.x_min
    logpdf = rival.counts if fit.discrete else rival.sizes
    bounds = _bounds(rival, float(np.log(tail.values[-1]) - math.log(fit.x_min)))
    low, high = np.array(bounds).T

    def log_density(theta: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            return logpdf(theta, x, fit.x_min)

    def cost(theta: Floats) -> float:
        value = -tail.sum(log_density(theta))
        return value if math.isfinite(value) else 1e300

    mean = max(tail.sum(tail.values / fit.x_min) / tail.n_obs - 1.0, 1e-12)

    def climb(start: ArrayLike, digits: float) -> optimize.OptimizeResult:
        return optimize.minimize(
            cost,
            np.clip(start, low, high),
            method="Nelder-Mead",
            bounds=bounds,
            options={"xatol": digits, "fatol": digits, "maxiter": 4000, "maxfev": 4000},
        )

    roughly = (climb(start, 1e-4) for start in rival.starts(fit, mean))
    best = climb(min(roughly, key=lambda found: float(found.fun)).x, 1e-9)
    theta: Floats = best.x
    edges = np.stack([theta < low + 1e-3, theta > high - 1e-3], axis=1)
    axes, scores, curvature = _derivatives(log_density, theta, tail)
    logs = log_density(theta)
    return FittedRival(
        parameters={k: float(v) for k, v in rival.report(theta, fit.x_min).items()},
        std_errors=_errors(
            rival, theta, axes, curvature * tail.n_obs, fit.x_min, bool(edges.any())
        ),
        log_density=logs if fit.discrete else logs - math.log(fit.x_min),
        scores=scores,
        curvature=curvature,
        at_boundary=bool(np.any(edges & np.array(rival.power_law_edges))),
    )


def _derivatives(
    log_density: Callable[[Floats], Floats], theta: Floats, tail: Counts
) -> tuple[Floats, Floats, Floats]:
    """Return (axes, scores along them, mean second derivatives along them) at theta.

    The axes are those in which the scores are uncorrelated and of unit variance. A ridge of the
    likelihood is then as long as any other direction; steps of a thousandth of a standard error
    keep the second differences above rounding and below the bends of the ridge.
    """
    d = theta.size
    steps = _STEP * np.maximum(1.0, np.abs(theta)) * np.eye(d)
    scores = np.stack(
        [(log_density(theta + h) - log_density(theta - h)) / (2 * h.sum()) for h in steps], axis=1
    )
    products = np.einsum("ui,uj->ij", scores, scores * tail.multiplicities[:, None]) / tail.n_obs
    if not np.all(np.isfinite(products)):
        return np.empty((d, 0)), np.empty((tail.n_unique, 0)), np.empty((0, 0))
    sizes, directions = np.linalg.eigh(products)
    there = sizes > 1e-20
    axes = directions[:, there] / np.sqrt(sizes[there])
    reach = np.max(np.abs(axes), axis=0)
    step = np.minimum(1e-3 / math.sqrt(tail.n_obs), 0.01 / reach)
    curvature = np.empty((there.sum(), there.sum()))
    for i in range(there.sum()):
        for j in range(i + 1):
            a, b = axes[:, i] * step[i], axes[:, j] * step[j]
            corners = log_density(theta + a + b) - log_density(theta + a - b)
            corners += log_density(theta - a - b) - log_density(theta - a + b)
            second = tail.sum(corners) / (4 * step[i] * step[j] * tail.n_obs)
            curvature[i, j] = curvature[j, i] = second
    return axes, scores @ axes, curvature


def _errors(
    rival: _Rival, theta: Floats, axes: Floats, curvature: Floats, x_min: float,
    on_edge: bool,
) -> dict[str, float | None]:  # fmt: skip
    """Return standard errors of the reported parameters by the delta method, None if unknown."""
    names = list(rival.report(theta, x_min))
    known = axes.shape[1] == theta.size and bool(np.all(np.isfinite(curvature)))
    if on_edge or not known or np.any(np.linalg.eigvalsh(-curvature) <= 0.0):
        return dict.fromkeys(names)
    covariance = axes @ np.linalg.inv(-curvature) @ axes.T
    steps = 1e-6 * np.maximum(1.0, np.abs(theta)) * np.eye(theta.size)
    jacobian = np.array(
        [
            [
                (rival.report(theta + h, x_min)[k] - rival.report(theta - h, x_min)[k])
                / (2 * h.sum())
                for h in steps
            ]
            for k in names
        ]
    )
    variances = np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian)
    return {k: float(np.sqrt(v)) for k, v in zip(names, variances, strict=True)}
