"""Probabilities of whole-sample models: negative binomial, Poisson and double Pareto lognormal.

Var = m + d m^2, r = 1/d, z = (log x - mu)/sigma, Mills' ratio R(t) = (1 - Phi(t))/phi(t).

Negative binomial, in the saddle-point form [Loader2000], exact and free of the cancellation
between log-gamma functions of large arguments: with D(k, M) = k log(k/M) + M - k and S(k) the
error of Stirling's formula for log k!,

    log P(x) = S(x+r) - S(r) - S(x) - D(r, (x+r)r/(m+r)) - D(x, (x+r)m/(m+r))
               + 1/2 log( r / (2 pi x (x+r)) ),            log P(0) = -r log(1 + m/r).

Poisson-lognormal [Bulmer1974]: P(x) = Int Poisson(x | e^u) N(u | mu, sigma^2) du. The integrand is
log-concave and entire in u, so the trapezoid rule with step h errs by its Fourier transform at
2 pi/h, at most that of the gamma part, |Gamma(x + 2 pi i/h)|/Gamma(x), or of the normal part,
exp(-2 pi^2 sigma^2/h^2): below 1e-11 with 1/h = 1/(.85 s) + 1/.38, s the width at the mode. The
mode is Wright's omega function; the exponent is written as exact differences from it. By parts,
F(x) = E Phi((log G - mu)/sigma) with G gamma(x + 1).

Double Pareto-lognormal [ReedJorgensen2004], eq. 8-12: log X = mu + sigma Z + E/alpha - E'/beta
with Z normal, E and E' standard exponential; P(X > x) ~ x^-alpha, P(X < x) ~ x^beta. For y = log x,

    g(y)   = alpha beta / (alpha+beta) phi(z) [R(alpha sigma - z) + R(beta sigma + z)],
    1-G(y) = phi(z) [(1-w)(R(z) + R(alpha sigma - z)) + w (R(z) - R(z + beta sigma))],

w = alpha/(alpha+beta), used for z >= 0; below, G(y) is the same with alpha, beta and the sign of z
exchanged. All on the log scale.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from baimo.estimation.arrays import Floats
from baimo.simulation.numba_kernels import jit

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_HALF_ROOT = math.sqrt(0.5)
_POISSON_BELOW = 1e-8  # dispersion at which the negative binomial is Poisson to 1e-8
_NO_TAIL = 1e6  # an exponent that stands for infinity when only one of the two is


@jit
def _stirling_error(k: float) -> float:
    """Return log k! - [(k + 1/2) log k - k + 1/2 log 2 pi] for k > 0."""
    if k < 16.0:
        return math.lgamma(k + 1.0) - (k + 0.5) * math.log(k) + k - _HALF_LOG_2PI
    c = 1.0 / (k * k)
    return (1 / 12 - c * (1 / 360 - c * (1 / 1260 - c * (1 / 1680 - c / 1188)))) / k


@jit
def _deviance(k: float, mean: float) -> float:
    """Return k log(k/mean) + mean - k >= 0 without cancellation near k = mean, k > 0."""
    gap = k - mean
    v = gap / (k + mean)
    if abs(v) > 0.1:
        return k * (math.log(k) - math.log(mean)) - gap
    square = v * v
    series = 0.0
    for j in range(19, 1, -2):  # atanh(v) - v = v^3/3 + v^5/5 + ...
        series = square * (1.0 / j + series)
    return gap * v + 2.0 * k * v * series


@jit
def _poisson(k: float, mean: float) -> float:
    if k == 0.0:
        return -mean
    return -_deviance(k, mean) - _stirling_error(k) - 0.5 * math.log(k) - _HALF_LOG_2PI


@jit
def negative_binomial_log_pmf(x: Floats, mean: float, dispersion: float) -> Floats:
    """Return the log pmf; dispersion 0 is the Poisson limit."""
    out = np.empty(x.size)
    if dispersion <= 0.0:
        for i in range(x.size):
            out[i] = _poisson(x[i], mean)
        return out
    r = 1.0 / dispersion
    constant = -_stirling_error(r) + 0.5 * math.log(r) - _HALF_LOG_2PI
    p, q = r / (r + mean), mean / (r + mean)
    for i in range(x.size):
        k = x[i]
        total = k + r
        if k == 0.0:
            out[i] = -r * math.log1p(mean / r)
        else:
            errors = _stirling_error(total) - _stirling_error(k)
            deviances = _deviance(r, total * p) + _deviance(k, total * q)
            out[i] = constant + errors - deviances - 0.5 * (math.log(k) + math.log(total))
    return out


def negative_binomial_cdf(x: Floats, mean: float, dispersion: float) -> Floats:
    """Return P(X <= x) for whole x."""
    if dispersion < _POISSON_BELOW:
        return np.asarray(special.gammaincc(x + 1.0, mean))
    return np.asarray(special.betainc(1.0 / dispersion, x + 1.0, 1.0 / (1.0 + mean * dispersion)))


def negative_binomial_log_positive(mean: float, dispersion: float) -> float:
    """Return log P(X > 0)."""
    at_zero = -math.log1p(mean * dispersion) / dispersion if dispersion > 0.0 else -mean
    return math.log(-math.expm1(at_zero)) if at_zero < 0.0 else -math.inf


@jit
def _log_mixture(x: Floats, mode: Floats, mu: float, sigma: float) -> Floats:
    """Return the log pmf, given (near enough) the modes of the integrands."""
    out = np.empty(x.size)
    precision = 1.0 / (sigma * sigma)
    for i in range(x.size):
        u = mode[i]
        rate = math.exp(u)
        slope = x[i] - rate - (u - mu) * precision
        step = 1.0 / (math.sqrt(rate + precision) / 0.85 + 1.0 / 0.38)
        total = 1.0
        for sign in (-1.0, 1.0):
            v = 0.0
            while True:
                v += sign * step
                if abs(v) < 0.01:
                    bend = v * v * (0.5 + v * (1 / 6 + v * (1 / 24 + v * (1 / 120 + v / 720))))
                else:
                    bend = math.expm1(v) - v
                f = slope * v - rate * bend - 0.5 * precision * v * v
                if not f > -32.0:
                    break
                total += math.exp(f)
        at_mode = _poisson(x[i], rate) - 0.5 * precision * (u - mu) ** 2
        out[i] = at_mode + math.log(step * total) - math.log(sigma) - _HALF_LOG_2PI
    return out


def poisson_lognormal_log_pmf(x: Floats, mu: float, sigma: float) -> Floats:
    """Return the log pmf, sigma > 0; within 1e-10 for sigma .1 to 6 and x up to 1e9."""
    argument = 2.0 * math.log(sigma) + x * sigma**2 + mu
    omega = np.asarray(special.wrightomega(argument))
    with np.errstate(divide="ignore"):
        right = np.log(omega) - 2.0 * math.log(sigma)
    mode = np.where(argument < 0.0, mu + x * sigma**2 - omega, right)
    logs: Floats = _log_mixture(x, mode, mu, sigma)
    return logs


@jit
def _mixture_cdf(x: Floats, mu: float, sigma: float) -> Floats:
    out = np.empty(x.size)
    root = math.sqrt(2.0) * sigma
    for i in range(x.size):
        k = x[i] + 1.0
        centre = math.log(k)
        step = min(1.0 / (math.sqrt(k) / 0.85 + 1.0 / 0.38), 0.5 * sigma)
        mass = 1.0
        total = 0.5 * math.erfc((mu - centre) / root)
        for sign in (-1.0, 1.0):
            v = 0.0
            while True:
                v += sign * step
                f = -k * (math.expm1(v) - v)
                if not f > -32.0:
                    break
                weight = math.exp(f)
                mass += weight
                total += weight * 0.5 * math.erfc((mu - centre - v) / root)
        out[i] = total / mass
    return out


_HERMITE, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


def poisson_lognormal_cdf(x: Floats, mu: float, sigma: float) -> Floats:
    """Return P(X <= x) for whole x."""
    out = np.empty_like(x)
    narrow = sigma * np.sqrt(x + 1.0) < 1.0  # against the gamma's relative width
    out[~narrow] = _mixture_cdf(x[~narrow], mu, sigma)
    rates = np.exp(mu + sigma * _HERMITE)
    inner = special.gammaincc(x[narrow][:, None] + 1.0, rates[None, :])
    out[narrow] = np.sum(inner * _HERMITE_WEIGHTS, axis=1) / _HERMITE_WEIGHTS.sum()
    return out


def poisson_lognormal_log_positive(mu: float, sigma: float) -> float:
    """Return log P(X > 0) = log Int (1 - exp(-e^u)) N(u | mu, sigma^2) du, by the same rule."""
    step = 1.0 / (1.0 / (0.85 * sigma) + 1.0 / 0.38)
    u = np.arange(mu - 9.0 * sigma, mu + sigma * (sigma + 9.0), step)
    with np.errstate(under="ignore", divide="ignore"):
        logs = np.log(-np.expm1(-np.exp(np.minimum(u, 700.0)))) - 0.5 * ((u - mu) / sigma) ** 2
    return float(special.logsumexp(logs)) + math.log(step / sigma) - _HALF_LOG_2PI


@jit
def _log_mills(t: float) -> float:
    """Return log R(t), by Laplace's continued fraction from 5 on."""
    if t < 5.0:
        return math.log(0.5 * math.erfc(t * _HALF_ROOT)) + 0.5 * t * t + _HALF_LOG_2PI
    below = t
    for j in range(int(8.0 + 200.0 / (t * t)), 0, -1):
        below = t + j / below
    return -math.log(below)


@jit
def _log_phi_mills(reach: float, z: float) -> float:
    """Return log[phi(z) R(reach - z)]."""
    t = reach - z
    if t > 0.0:
        return _log_mills(t) - 0.5 * z * z - _HALF_LOG_2PI
    return math.log1p(-0.5 * math.erfc(-t * _HALF_ROOT)) + reach * (0.5 * reach - z)


@jit
def _log_sum(a: float, b: float) -> float:
    top = max(a, b)
    return top if top == -math.inf else top + math.log1p(math.exp(-abs(a - b)))


@jit
def _log_less(a: float, b: float) -> float:
    """Return log(exp(a) - exp(b)), b <= a."""
    return a + math.log(-math.expm1(b - a)) if b < a else -math.inf


@jit
def _log_upper(z: float, up: float, down: float) -> float:
    """Return log(1 - G) for z >= 0; up = alpha sigma, down = beta sigma, both infinite: normal."""
    base = _log_mills(z)
    at = -0.5 * z * z - _HALF_LOG_2PI
    if up == math.inf:
        return base + at
    both = _log_sum(base + at, _log_phi_mills(up, z)) + math.log(down / (up + down))
    return _log_sum(both, _log_less(base, _log_mills(z + down)) + at + math.log(up / (up + down)))


@jit
def _log_tails(z: float, up: float, down: float) -> tuple[float, float]:
    """Return log G and log(1 - G)."""
    if z >= 0.0:
        upper = _log_upper(z, up, down)
        return math.log1p(-math.exp(min(upper, 0.0))), upper
    lower = _log_upper(-z, down, up)
    return lower, math.log1p(-math.exp(min(lower, 0.0)))


@jit
def _log_density(z: float, sigma: float, up: float, down: float) -> float:
    if up == math.inf:
        return -0.5 * z * z - math.log(sigma) - _HALF_LOG_2PI
    constant = math.log(up) + math.log(down) - math.log(up + down) - math.log(sigma)
    return constant + _log_sum(_log_phi_mills(up, z), _log_phi_mills(down, -z))


@jit
def _density_loop(y: Floats, mu: float, sigma: float, up: float, down: float) -> Floats:
    out = np.empty(y.size)
    for i in range(y.size):
        out[i] = _log_density((y[i] - mu) / sigma, sigma, up, down)
    return out


@jit
def _tails_loop(y: Floats, mu: float, sigma: float, up: float, down: float) -> Floats:
    out = np.empty((2, y.size))
    for i in range(y.size):
        out[0, i], out[1, i] = _log_tails((y[i] - mu) / sigma, up, down)
    return out


@jit
def _log_middle(k: float, z: float, sigma: float, up: float, down: float) -> float:
    """Return log of [f(k) + f''(k)/24], the mass of the cell of k where f bends little.

    With A and B the two terms of the density g of z: g' = -up A + down B and
    g'' = up^2 A + down^2 B - (up + down) phi, so that the bend costs nothing more.
    """
    at = -0.5 * z * z - _HALF_LOG_2PI
    if up == math.inf:
        log_g, first, second = at, -z, z * z - 1.0
    else:
        a, b = _log_phi_mills(up, z), _log_phi_mills(down, -z)
        both = _log_sum(a, b)
        log_g = both + math.log(up) + math.log(down) - math.log(up + down)
        share = math.exp(a - both)
        first = down * (1.0 - share) - up * share
        second = up * up * share + down * down * (1.0 - share) - (up + down) * math.exp(at - both)
    bend = ((second / sigma - 3.0 * first) / sigma + 2.0) / (24.0 * k * k)
    return log_g - math.log(sigma * k) + math.log1p(bend)


@jit
def _rounded_loop(x: Floats, mu: float, sigma: float, up: float, down: float) -> Floats:
    """Return log P(x - 1/2 < X <= x + 1/2), and log P(X <= 1/2) for 0.

    A difference of tails where the cell is wide; where the log density moves by less than a
    tenth over it, three-point Gauss-Legendre in the density; by less than .003, the density and
    its bend in the middle (relative error of both below 1e-12).
    """
    out = np.empty(x.size)
    steepest = max(up, down)
    half = 0.5 * math.sqrt(0.6)
    for i in range(x.size):
        k = x[i]
        if k == 0.0:
            out[i] = _log_tails((math.log(0.5) - mu) / sigma, up, down)[0]
            continue
        z = (math.log(k) - mu) / sigma
        rough = 1.0 + min(abs(z), steepest) / sigma
        if abs(z) < 12.0 + steepest:
            rough += 1.0 / sigma
        if rough < 0.003 * k:
            out[i] = _log_middle(k, z, sigma, up, down)
        elif rough < 0.1 * k:
            middle = _log_density(z, sigma, up, down) - math.log(k)
            ratio = 0.0
            for s in (-half, half):
                y = math.log(k + s)
                ratio += math.exp(_log_density((y - mu) / sigma, sigma, up, down) - y - middle)
            out[i] = middle + math.log((8.0 + 5.0 * ratio) / 18.0)
        else:
            a, b = (math.log(k - 0.5) - mu) / sigma, (math.log(k + 0.5) - mu) / sigma
            low, high = _log_tails(a, up, down), _log_tails(b, up, down)
            out[i] = _log_less(low[1], high[1]) if a > 0.0 else _log_less(high[0], low[0])
    return out


class DoubleParetoLognormal:
    """The law of X by y = log X; alpha and beta both infinite give the lognormal."""

    def __init__(
        self, mu: float, sigma: float, alpha: float = math.inf, beta: float = math.inf
    ) -> None:
        if not math.isinf(alpha + beta) or alpha != beta:
            alpha, beta = min(alpha, _NO_TAIL), min(beta, _NO_TAIL)
        self._law = (float(mu), float(sigma), float(alpha * sigma), float(beta * sigma))

    def log_density(self, y: Floats) -> Floats:
        """Return the log density of y = log X; less y, that of X."""
        return _density_loop(y, *self._law)

    def log_tails(self, y: Floats) -> Floats:
        """Return log P(log X <= y) and log P(log X > y), one row each."""
        return _tails_loop(y, *self._law)

    def cdf(self, x: Floats) -> Floats:
        """Return P(X <= x)."""
        with np.errstate(divide="ignore"):
            logs: Floats = np.exp(_tails_loop(np.log(x), *self._law)[0])
        return logs

    def log_rounded(self, x: Floats) -> Floats:
        """Return the log pmf of X rounded to a whole number."""
        return _rounded_loop(x, *self._law)
