"""The whole-sample models: parameters and their ranges, where a search starts, what nests what.

A sample of counts without any zero (words of a text: one that never occurs is not in the list)
says nothing about zeros; its models are those of the positive counts, P(x)/(1 - P(0)).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from baimo.estimation.arrays import Floats
from baimo.estimation.distributions.densities import (
    DoubleParetoLognormal,
    negative_binomial_cdf,
    negative_binomial_log_pmf,
    negative_binomial_log_positive,
    poisson_lognormal_cdf,
    poisson_lognormal_log_pmf,
    poisson_lognormal_log_positive,
)
from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts

Vector = tuple[float, ...]


@dataclass(frozen=True)
class Parameter:
    """One parameter: its working scale, its range there, and the limits that its ends stand for."""

    name: str
    scale: str
    low: float
    high: float
    at_low: float | None = None
    at_high: float | None = None

    def natural(self, t: float) -> float:
        """Return the value on the reported scale."""
        if self.scale == "log":
            return math.exp(t)
        return float(special.expit(t)) if self.scale == "logit" else t

    def working(self, value: float) -> float:
        """Return the value on the scale of the search, within its range."""
        if self.scale == "log":
            value = math.log(value) if value > 0 else -math.inf
        elif self.scale == "logit":
            value = float(special.logit(value))
        return min(max(value, self.low), self.high)

    def slope(self, t: float) -> float:
        """Return the derivative of `natural`."""
        value = self.natural(t)
        return {"log": value, "logit": value * (1.0 - value)}.get(self.scale, 1.0)

    def reported(self, t: float) -> float:
        """Return the natural value; at or beyond an end, what that end stands for."""
        if t <= self.low and self.at_low is not None:
            return self.at_low
        if t >= self.high and self.at_high is not None:
            return self.at_high
        return self.natural(min(max(t, self.low), self.high))


@dataclass(frozen=True)
class Model:
    """Log pmf (or density) and cdf of natural parameters, and where to start the search."""

    parameters: tuple[Parameter, ...]
    log_probability: Callable[[Vector, Floats], Floats]
    cdf: Callable[[Vector, Floats], Floats]
    starts: Callable[[Counts], list[list[float]]]
    nested: str | None = None  # the smaller model inside
    log_positive: Callable[[Vector], float] | None = None  # log P(X > 0), where zeros count
    discrete: bool = True
    zero_truncated: bool = False

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.parameters)

    def truncated(self) -> Model:
        """Return the law of X given X > 0."""
        log_positive = self.log_positive
        if log_positive is None:
            says = "a sample without zeros does not tell extra zeros from others"
            raise DataError(f"{says}; leave the zero-inflated models out")

        def log_probability(p: Vector, x: Floats) -> Floats:
            return np.where(x > 0.0, self.log_probability(p, x) - log_positive(p), -np.inf)

        def cdf(p: Vector, x: Floats) -> Floats:
            beyond = (1.0 - self.cdf(p, x)) / math.exp(log_positive(p))
            return np.where(x > 0.0, 1.0 - beyond, 0.0)

        return replace(self, log_probability=log_probability, cdf=cdf, zero_truncated=True)

    def inside(self) -> Model | None:
        """Return the smaller model inside, of the same sample."""
        return None if self.nested is None else model_of(self.nested, self.zero_truncated)


_MEAN = Parameter("mean", "log", -40.0, 40.0)
_DISPERSION = Parameter("dispersion", "log", -23.0, 12.0, at_low=0.0)
_MU = Parameter("mu", "identity", -400.0, 60.0)
_SIGMA = Parameter("sigma", "log", -9.5, 4.0, at_low=0.0)
_SPREAD = Parameter("sigma", "log", -9.5, 4.0)  # a lognormal alone needs one
# Sizes may be anything that float64 holds: |log x| < 746, and so is their spread.
_MU_OF_SIZES = replace(_MU, low=-800.0, high=800.0)
_SIGMA_OF_SIZES, _SPREAD_OF_SIZES = (replace(p, high=7.0) for p in (_SIGMA, _SPREAD))
_PI = Parameter("pi", "logit", -25.0, 25.0, at_low=0.0)
_ALPHA = Parameter("alpha", "log", -5.0, math.log(1e6), at_high=math.inf)
_BETA = Parameter("beta", "log", -5.0, math.log(1e6), at_high=math.inf)


def _start_negative_binomial(c: Counts) -> list[list[float]]:
    mean = c.total / c.n_obs
    extra = c.sum((c.values - mean) ** 2) / c.n_obs - mean
    return [[mean, max(extra, 1e-3 * mean) / mean**2], [mean, 10.0]]


def _start_lognormal(c: Counts) -> list[list[float]]:
    """Two quantiles, and the moments of the log with zeros a quarter."""
    logs = np.log(np.where(c.values > 0.0, c.values, 0.25))
    mu = c.sum(logs) / c.n_obs
    out = [[mu, max(math.sqrt(c.sum((logs - mu) ** 2) / c.n_obs), 0.05)]]
    below = np.cumsum(c.multiplicities) / c.n_obs
    i = int(np.searchsorted(below, 0.25)) if c.n_zero < 0.25 * c.n_obs else 0
    j = max(int(np.searchsorted(below, 1.0 - 0.1 * (1.0 - below[i]))), i + 1)
    z = special.ndtri(np.minimum(below[[i, j]], 1.0 - 0.5 / c.n_obs))
    y = np.log(c.values[[i, j]] + (0.5 if c.n_zero else 0.0))
    sigma = float((y[1] - y[0]) / (z[1] - z[0])) if z[1] > z[0] else 1.0
    return [[float(y[0] - sigma * z[0]), sigma], *out]


def _start_double_pareto(c: Counts) -> list[list[float]]:
    (mu, sigma), (mu2, sigma2) = _start_lognormal(c)
    top = c.at_least(max(c.quantile(0.95), float(c.values[c.values > 0][0])))
    excess = top.sum(np.log(top.values) - np.log(top.values[0])) / top.n_obs
    hill = min(max(1.0 / max(excess, 1e-3), 0.1), 20.0)
    return [
        [mu, 0.8 * sigma, 2.0 / sigma, 2.0 / sigma],
        [mu2, 0.5 * sigma2, hill, 1.5 / sigma2],
        [mu, 0.3 * sigma, hill, 1.2 / sigma],
        [mu - sigma, 0.7 * sigma, hill, 20.0 / sigma],
    ]


def _with_extra_zeros(base: Model, name: str) -> Model:
    def log_probability(p: Vector, x: Floats) -> Floats:
        logs = base.log_probability(p[:-1], x) + math.log1p(-p[-1])
        return np.where(x == 0.0, np.logaddexp(math.log(p[-1]), logs), logs)

    def starts(c: Counts) -> list[list[float]]:
        zeros = max(c.n_zero, 0.5) / c.n_obs
        out = []
        for share in (0.1 * zeros, 0.8 * zeros):
            n = round(share * c.n_zero / zeros) if c.n_zero > 1 else 0
            m = c.multiplicities.copy()
            m[0] -= min(n, m[0] - 1)
            rest = Counts(values=c.values, multiplicities=m)
            out += [[*start, share] for start in base.starts(rest)[:2]]
        return out

    return Model(
        (*base.parameters, _PI),
        log_probability,
        lambda p, x: p[-1] + (1.0 - p[-1]) * base.cdf(p[:-1], x),
        starts,
        nested=name,
    )


_NB = Model(
    (_MEAN, _DISPERSION),
    lambda p, x: negative_binomial_log_pmf(x, *p),
    lambda p, x: negative_binomial_cdf(x, *p),
    _start_negative_binomial,
    log_positive=lambda p: negative_binomial_log_positive(*p),
)
_PLN = Model(
    (_MU, _SIGMA),
    lambda p, x: poisson_lognormal_log_pmf(x, *p),
    lambda p, x: poisson_lognormal_cdf(x, *p),
    _start_lognormal,
    log_positive=lambda p: poisson_lognormal_log_positive(*p),
)


def _lognormal(tails: bool, discrete: bool) -> Model:
    """Return the (double Pareto-)lognormal, rounded to counts or as a density."""

    def log_probability(p: Vector, x: Floats) -> Floats:
        one = DoubleParetoLognormal(*p)
        return one.log_rounded(x) if discrete else one.log_density(np.log(x)) - np.log(x)

    def log_positive(p: Vector) -> float:
        return float(DoubleParetoLognormal(*p).log_tails(np.array([math.log(0.5)]))[1, 0])

    prefix, shift = ("discretised_", 0.5) if discrete else ("", 0.0)
    mu, sigma, spread = _MU, _SIGMA, _SPREAD
    if not discrete:
        mu, sigma, spread = _MU_OF_SIZES, _SIGMA_OF_SIZES, _SPREAD_OF_SIZES
    return Model(
        (mu, sigma, _ALPHA, _BETA) if tails else (mu, spread),
        log_probability,
        lambda p, x: DoubleParetoLognormal(*p).cdf(x + shift),
        _start_double_pareto if tails else _start_lognormal,
        nested=f"{prefix}lognormal" if tails else None,
        log_positive=log_positive if discrete else None,
        discrete=discrete,
    )


MODELS = {
    "negative_binomial": _NB,
    "zero_inflated_negative_binomial": _with_extra_zeros(_NB, "negative_binomial"),
    "poisson_lognormal": _PLN,
    "zero_inflated_poisson_lognormal": _with_extra_zeros(_PLN, "poisson_lognormal"),
    "discretised_lognormal": _lognormal(tails=False, discrete=True),
    "discretised_double_pareto_lognormal": _lognormal(tails=True, discrete=True),
    "lognormal": _lognormal(tails=False, discrete=False),
    "double_pareto_lognormal": _lognormal(tails=True, discrete=False),
}

COUNT_MODELS = tuple(name for name, model in MODELS.items() if model.discrete)
SIZE_MODELS = tuple(name for name, model in MODELS.items() if not model.discrete)
ZERO_INFLATED = tuple(name for name, model in MODELS.items() if _PI in model.parameters)


def model_of(name: str, zero_truncated: bool = False) -> Model:
    """Return a model by name, of all counts or of the positive ones."""
    return MODELS[name].truncated() if zero_truncated else MODELS[name]
