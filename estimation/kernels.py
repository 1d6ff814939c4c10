"""The numba loops, and nothing else. Callers check their input; nothing is checked here.

The Hurwitz zeta is used in the scaled form

    H(a, q, x) = sum_{k>=0} ((q + k) / x)^-a,

which neither over- nor underflows for the alpha and x_min of data (q >= x > 0), computed by
Euler-Maclaurin summation from the first term q + k >= 12 + a on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simulation.kernels import jit

# B_2j / (2j)! for j = 1..8
_EM = np.array(
    [
        1 / 12,
        -1 / 720,
        1 / 30240,
        -1 / 1209600,
        1 / 47900160,
        -691 / 1307674368000,
        1 / 74724249600,
        -3617 / 10670622842880000,
    ]
)


@jit
def hurwitz(a: float, q: float, x: float) -> tuple[float, float, float]:
    """Return H(a, q, x) and its first two derivatives in a."""
    z = 0.0
    d1 = 0.0
    d2 = 0.0
    enough = 12.0 + a
    while q < enough:
        log_r = math.log(q / x)
        term = math.exp(-a * log_r)
        z += term
        d1 -= log_r * term
        d2 += log_r * log_r * term
        q += 1.0
        if term * (q + a) * (1.0 + log_r) ** 2 < 1e-18 * z * (a - 1.0):
            return z, d1, d2
    log_r = math.log(q / x)
    power = math.exp(-a * log_r)
    # integral term q (q/x)^-a / (a - 1)
    inv = 1.0 / (a - 1.0)
    term = power * q * inv
    slope = log_r + inv
    z += term
    d1 -= slope * term
    d2 += (slope * slope + inv * inv) * term
    # half of the first term
    term = 0.5 * power
    z += term
    d1 -= log_r * term
    d2 += log_r * log_r * term
    # corrections B_2j/(2j)! a (a+1) ... (a+2j-2) q^(1-2j) (q/x)^-a
    factor = a / q
    sum1 = 1.0 / a
    sum2 = 1.0 / (a * a)
    for j in range(_EM.size):
        term = _EM[j] * factor * power
        slope = sum1 - log_r
        z += term
        d1 += slope * term
        d2 += (slope * slope - sum2) * term
        if abs(term) < 1e-18 * z:
            break
        r1 = a + 2 * j + 1
        r2 = r1 + 1.0
        factor *= r1 * r2 / (q * q)
        sum1 += 1.0 / r1 + 1.0 / r2
        sum2 += 1.0 / (r1 * r1) + 1.0 / (r2 * r2)
    return z, d1, d2


@jit
def hurwitz_value(a: float, q: float, x: float) -> float:
    """Return H(a, q, x) alone."""
    z = 0.0
    enough = 12.0 + a
    while q < enough:
        term = math.exp(-a * math.log(q / x))
        z += term
        q += 1.0
        if term * (q + a) < 1e-18 * z * (a - 1.0):
            return z
    power = math.exp(-a * math.log(q / x))
    z += power * (q / (a - 1.0) + 0.5)
    factor = a / q
    for j in range(_EM.size):
        term = _EM[j] * factor * power
        z += term
        if abs(term) < 1e-18 * z:
            break
        r1 = a + 2 * j + 1
        factor *= r1 * (r1 + 1.0) / (q * q)
    return z


@jit
def discrete_mle(mean_log: float, x_min: float, start: float) -> tuple[float, float, int]:
    """Solve the discrete power-law likelihood equation by Newton steps inside a bracket.

    Minimises log H(a, x_min, x_min) + a mean_log, convex in a, over a > 1; mean_log > 0 is
    the mean of log(x / x_min). Returns (alpha, information per item, iterations); iterations
    is -1 where the solution lies beyond alpha = 1000.
    """
    a = min(max(start, 1.0 + 1e-9), 1000.0)
    low = 1.0
    high = np.inf
    info = 0.0
    for iteration in range(200):
        z, d1, d2 = hurwitz(a, x_min, x_min)
        grad = d1 / z + mean_log
        info = d2 / z - (d1 / z) ** 2
        if grad > 0.0:
            high = a
        else:
            low = a
            if a >= 1000.0:
                return a, info, -1
        new = a - grad / info if info > 0.0 else 2.0 * a
        if abs(new - a) <= 1e-13 * a or high - low <= 1e-13 * a:
            return new, info, iteration + 1
        if not low < new < high:
            new = 0.5 * (low + high) if high < np.inf else 2.0 * a
        new = min(new, 1000.0)
        a = new
    return a, info, 200


@jit
def discrete_start(mean_log: float, x_min: float) -> float:
    """Return the continuity-corrected start of the discrete likelihood search."""
    return 1.0 + 1.0 / (mean_log + math.log(x_min / (x_min - 0.5)))


@jit
def discrete_ks(
    values: NDArray[np.float64],
    above: NDArray[np.int64],
    start: int,
    x_min: float,
    alpha: float,
    limit: float,
    stride: int = 1,
) -> float:
    """Return max |F(x) - ECDF(x)| over the distinct values from `start`, or stop above limit."""
    total = hurwitz_value(alpha, x_min, x_min)
    n = above[start]
    worst: float = 0.0
    for i in range(start, values.size, stride):
        survival = hurwitz_value(alpha, values[i] + 1.0, x_min) / total
        beyond = above[i + 1] if i + 1 < values.size else 0
        gap = float(abs(beyond / n - survival))
        if gap > worst:
            worst = gap
            if worst > limit:
                return worst
    return worst


@jit
def continuous_ks(
    values: NDArray[np.float64],
    above: NDArray[np.int64],
    start: int,
    x_min: float,
    alpha: float,
    limit: float,
    stride: int = 1,
) -> float:
    """Return CSN's max |F(x_i) - i/n|, i from 0 over items (ties not collapsed)."""
    n = above[start]
    worst: float = 0.0
    for i in range(start, values.size, stride):
        cdf = 1.0 - math.exp((1.0 - alpha) * math.log(values[i] / x_min))
        beyond = above[i + 1] if i + 1 < values.size else 0
        first = (n - above[i]) / n
        last = (n - beyond - 1) / n
        gap = float(max(abs(cdf - first), abs(cdf - last)))
        if gap > worst:
            worst = gap
            if worst > limit:
                return worst
    return worst


@jit
def scan_x_min(
    values: NDArray[np.float64],
    above: NDArray[np.int64],
    log_sums: NDArray[np.float64],
    discrete: bool,
    n_tail_min: int,
    lowest: int,
) -> tuple[int, float, float]:
    """Return (index, alpha, ks) of the candidate x_min with the smallest KS distance.

    `log_sums[i]` is the sum of log(value) over the items from i on. Candidates leave at least
    two distinct values and n_tail_min items. The distance of a candidate is probed at a few
    values first and abandoned once it passes the best so far; the minimum stays exact. index
    is -1 without a candidate.
    """
    best = -1
    best_alpha = 0.0
    best_ks = 2.0
    alpha = 0.0
    # Every 64th candidate first: a good bound early makes most of the others cheap.
    for coarse in (True, False):
        for i in range(lowest, values.size - 1):
            if ((i - lowest) % 64 == 0) != coarse:
                continue
            n = above[i]
            if n < n_tail_min:
                break
            x_min = values[i]
            mean_log = log_sums[i] / n - math.log(x_min)
            if mean_log <= 0.0:
                continue
            if discrete:
                start = alpha if alpha > 1.0 else discrete_start(mean_log, x_min)
                alpha, _, steps = discrete_mle(mean_log, x_min, start)
                if steps < 0:
                    alpha = 0.0
                    continue
            else:
                alpha = 1.0 + 1.0 / mean_log
            left = values.size - i
            ks = 0.0
            for stride in (left // 32, 32, 1):
                if stride != 1 and left <= 1024:
                    continue
                if discrete:
                    ks = discrete_ks(values, above, i, x_min, alpha, best_ks, stride)
                else:
                    ks = continuous_ks(values, above, i, x_min, alpha, best_ks, stride)
                if ks > best_ks:
                    break
            if ks < best_ks or (ks == best_ks and i < best):
                best, best_alpha, best_ks = i, alpha, ks
    return best, best_alpha, best_ks
