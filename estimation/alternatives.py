"""Rivals of the power law on the same tail, and Vuong's test between them.

Counts: exact likelihoods of the discretised rivals, P(X = x) = S(x - 1/2) - S(x + 1/2), and the
truncated power law with its exact normaliser; continuous sizes: the distributions of the
`powerlaw` package at the same x_min. Vuong (1989, Econometrica 57, 307-333): the normalised
log-likelihood ratio is standard normal when two non-nested models fit equally well. The power
law lies on the boundary of the truncated one, so that pair also gets the p of the half
chi-square mixture.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from estimation import kernels
from estimation.counts import Counts, Floats, as_counts
from estimation.errors import DataError
from estimation.results import registered
from estimation.tails import TailFit

ALTERNATIVES = ("lognormal", "exponential", "stretched_exponential", "truncated_power_law")
_DEEPEST = 50.0  # how far below log(x_min) the lognormal's mu may lie before it is a boundary


@registered
@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """A power law against one rival on one tail.

    Parameters
    ----------
    alternative
        Name of the rival.
    parameters
        Its maximum-likelihood parameters.
    log_likelihood_ratio
        Log-likelihood of the power law less that of the rival; positive favours the power law.
    vuong
        The ratio over its standard error, standard normal under equal fit; None when nothing
        separates the two models item by item.
    p_value
        Two-sided p of `vuong`.
    p_nested
        Truncated power law only: p of "no cut-off", half chi-square with one degree.
    at_boundary
        The rival's optimum lies on the edge of its domain: it imitates the power law there.
    """

    alternative: str
    parameters: dict[str, float]
    log_likelihood_ratio: float
    vuong: float | None
    p_value: float | None
    p_nested: float | None
    n_tail: int
    at_boundary: bool

    @property
    def verdict(self) -> str:
        """Say in words which of the two the tail prefers at the 10 % level."""
        p = self.p_nested if self.p_nested is not None else self.p_value
        if p is None or p >= 0.1 or self.at_boundary:
            return "cannot tell"
        if self.p_nested is not None or self.log_likelihood_ratio < 0:
            return self.alternative.replace("_", " ")
        return "power law"


def compare_tail(
    data: Counts | ArrayLike, fit: TailFit, alternatives: tuple[str, ...] = ALTERNATIVES
) -> tuple[Comparison, ...]:
    """Compare a fitted power law with its rivals on the same tail.

    Parameters
    ----------
    data
        The sample that `fit` was made from.
    fit
        Result of `estimation.tails.fit_tail`.
    alternatives
        Names from `ALTERNATIVES`.
    """
    unknown = set(alternatives) - set(ALTERNATIVES)
    if unknown:
        raise DataError(f"unknown alternative {sorted(unknown)}; choose from {ALTERNATIVES}")
    tail = as_counts(data).at_least(fit.x_min)
    ours = _power_law_logpdf(tail, fit)
    rival = _fit_count_rival if fit.discrete else _fit_continuous_rival
    return tuple(_compare(tail, ours, name, *rival(name, tail, fit)) for name in alternatives)


def _power_law_logpdf(tail: Counts, fit: TailFit) -> Floats:
    constant = math.log((fit.alpha - 1.0) / fit.x_min)
    if fit.discrete:
        constant = -math.log(kernels.hurwitz_value(fit.alpha, fit.x_min, fit.x_min))
    logs: Floats = constant - fit.alpha * np.log(tail.values / fit.x_min)
    return logs


def _compare(
    tail: Counts,
    ours: Floats,
    name: str,
    parameters: dict[str, float],
    theirs: Floats,
    at_boundary: bool,
) -> Comparison:
    gaps = ours - theirs
    n = tail.n_obs
    ratio = tail.sum(gaps)
    variance = tail.sum((gaps - ratio / n) ** 2) / n
    vuong = p_value = None
    if variance > 1e-12:
        vuong = ratio / math.sqrt(n * variance)
        p_value = float(2.0 * stats.norm.sf(abs(vuong)))
    p_nested = None
    if name == "truncated_power_law":
        p_nested = float(0.5 * stats.chi2.sf(max(0.0, -2.0 * ratio), 1)) if ratio < 0 else 1.0
    return Comparison(
        alternative=name,
        parameters=parameters,
        log_likelihood_ratio=ratio,
        vuong=vuong,
        p_value=p_value,
        p_nested=p_nested,
        n_tail=n,
        at_boundary=at_boundary,
    )


# --- counts: exact -------------------------------------------------------------------------

LogPmf = Callable[[Floats, Floats, float], Floats]


def _log_difference(upper: Floats, lower: Floats) -> Floats:
    """Return log(exp(upper) - exp(lower)) for upper > lower."""
    with np.errstate(divide="ignore"):
        out: Floats = upper + np.log(-np.expm1(np.minimum(lower - upper, 0.0)))
    return out


def _discretised(log_survival: Callable[[Floats], Floats], x: Floats, x_min: float) -> Floats:
    inside = _log_difference(log_survival(x - 0.5), log_survival(x + 0.5))
    logs: Floats = inside - log_survival(np.array([x_min - 0.5]))[0]
    return logs


def _lognormal(theta: Floats, x: Floats, x_min: float) -> Floats:
    mu, sigma = theta[0], math.exp(theta[1])
    return _discretised(lambda q: special.log_ndtr(-(np.log(q) - mu) / sigma), x, x_min)


def _exponential(theta: Floats, x: Floats, x_min: float) -> Floats:
    rate = math.exp(theta[0])
    logs: Floats = math.log(-math.expm1(-rate)) - rate * (x - x_min)
    return logs


def _stretched(theta: Floats, x: Floats, x_min: float) -> Floats:
    # S(q) = exp(-(q/x_min)^beta * b): scaled so that b and beta are of order one.
    b, beta = math.exp(theta[0]), math.exp(theta[1])
    return _discretised(lambda q: -b * (q / x_min) ** beta, x, x_min)


def _truncated(theta: Floats, x: Floats, x_min: float) -> Floats:
    alpha, rate = theta[0], math.exp(theta[1])
    constant = -math.log(_truncated_normaliser(alpha, rate, x_min))
    logs: Floats = constant - alpha * np.log(x / x_min) - rate * (x - x_min)
    return logs


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(240)


def _truncated_normaliser(alpha: float, rate: float, x_min: float) -> float:
    """Return sum_{x >= x_min} (x/x_min)^-alpha exp(-rate (x - x_min)).

    Two hundred terms one by one, the rest by Euler-Maclaurin with the integral over log x.
    """
    head = np.arange(x_min, x_min + 200.0)
    start = head[-1] + 1.0
    total = float(np.sum(np.exp(-alpha * np.log(head / x_min) - rate * (head - x_min))))
    first = math.exp(-alpha * math.log(start / x_min) - rate * (start - x_min))
    if first < 1e-300:
        return total
    reach = math.log1p(750.0 / (rate * start))
    if alpha > 1.0:
        reach = min(reach, 40.0 / (alpha - 1.0))
    u = 0.5 * reach * (_NODES + 1.0)
    inner = np.exp((1.0 - alpha) * u - rate * start * np.expm1(u))
    integral = first * start * 0.5 * reach * float(_WEIGHTS @ inner)
    slope = alpha / start + rate
    return float(total + integral + first * (0.5 + slope / 12.0))


@dataclass(frozen=True)
class _Rival:
    logpmf: LogPmf
    starts: Callable[[Counts, TailFit], list[list[float]]]
    bounds: Callable[[float], list[tuple[float, float]]]
    names: tuple[str, ...]
    report: Callable[[Floats, float], tuple[float, ...]]


def _mean_excess(tail: Counts, fit: TailFit) -> float:
    return max(tail.total / tail.n_obs - fit.x_min, 1e-3)


_RIVALS = {
    "lognormal": _Rival(
        _lognormal,
        lambda t, f: [
            [math.log(f.x_min), 0.5],
            [math.log(f.x_min) - 8.0, 0.5 * math.log(8.0 / f.zeta + 1.0)],
            [math.log(f.x_min) - 25.0, 0.5 * math.log(25.0 / f.zeta)],
        ],
        lambda x_min: [(math.log(x_min) - _DEEPEST, math.log(x_min) + 50.0), (-5.0, 3.5)],
        ("mu", "sigma"),
        lambda th, x_min: (th[0], math.exp(th[1])),
    ),
    "exponential": _Rival(
        _exponential,
        lambda t, f: [[math.log(math.log1p(1.0 / _mean_excess(t, f)))]],
        lambda x_min: [(-60.0, 5.0)],
        ("rate",),
        lambda th, x_min: (math.exp(th[0]),),
    ),
    "stretched_exponential": _Rival(
        _stretched,
        lambda t, f: [[0.0, math.log(0.5)], [math.log(5.0), math.log(0.15)]],
        lambda x_min: [(-12.0, 12.0), (-6.0, 3.0)],
        ("rate", "beta"),
        lambda th, x_min: (math.exp(th[0] - math.exp(th[1]) * math.log(x_min)), math.exp(th[1])),
    ),
    "truncated_power_law": _Rival(
        _truncated,
        lambda t, f: [
            [f.alpha, math.log(0.01 / t.values[-1])],
            [max(0.1, f.alpha - 0.3), math.log(1.0 / t.values[-1])],
            [max(0.1, f.alpha - 1.0), -math.log(_mean_excess(t, f))],
        ],
        lambda x_min: [(0.0, 50.0), (-60.0, 3.0)],
        ("alpha", "rate"),
        lambda th, x_min: (th[0], math.exp(th[1])),
    ),
}


def _fit_count_rival(
    name: str, tail: Counts, fit: TailFit
) -> tuple[dict[str, float], Floats, bool]:
    rival = _RIVALS[name]
    bounds = rival.bounds(fit.x_min)
    low, high = np.array(bounds).T

    def cost(theta: Floats) -> float:
        logs = rival.logpmf(theta, tail.values, fit.x_min)
        value = -tail.sum(logs)
        return value if math.isfinite(value) else 1e300

    best = None
    for start in rival.starts(tail, fit):
        found = optimize.minimize(
            cost,
            np.clip(start, low, high),
            method="Nelder-Mead",
            bounds=bounds,
            options={"xatol": 1e-9, "fatol": 1e-9, "maxiter": 4000, "maxfev": 4000},
        )
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    theta = best.x
    at_boundary = name == "lognormal" and bool(theta[0] < low[0] + 1e-3)
    values = dict(zip(rival.names, map(float, rival.report(theta, fit.x_min)), strict=True))
    return values, rival.logpmf(theta, tail.values, fit.x_min), at_boundary


# --- continuous: the powerlaw package --------------------------------------------------------

_POWERLAW_NAMES = {
    "lognormal": ("mu", "sigma"),
    "exponential": ("Lambda",),
    "stretched_exponential": ("Lambda", "beta"),
    "truncated_power_law": ("alpha", "Lambda"),
}


def _fit_continuous_rival(
    name: str, tail: Counts, fit: TailFit
) -> tuple[dict[str, float], Floats, bool]:
    import powerlaw

    # The package works in the data's own units, which its optimiser likes only near one.
    scaled = np.repeat(tail.values / fit.x_min, tail.multiplicities)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rival = getattr(powerlaw.Fit(scaled, xmin=1.0, discrete=False, verbose=0), name)
        logs = np.asarray(rival.loglikelihoods(tail.values / fit.x_min)) - math.log(fit.x_min)
    found = {key.lower(): float(getattr(rival, key)) for key in _POWERLAW_NAMES[name]}
    if name == "lognormal":
        found["mu"] += math.log(fit.x_min)
    elif name == "stretched_exponential" or "lambda" in found:
        found["lambda"] /= fit.x_min
    at_boundary = name == "lognormal" and found["mu"] < math.log(fit.x_min) - _DEEPEST
    return found, logs, at_boundary
