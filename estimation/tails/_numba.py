"""The numba loops of the tail fit. Callers check their input; nothing is checked here.

The Hurwitz zeta is used in the scaled form

    H(a, q, x) = sum_{k>=0} ((q + k) / x)^-a,

which neither over- nor underflows for the alpha and x_min of data (q >= x > 0), computed by
Euler-Maclaurin summation from the first term q + k >= 12 + a on. A tail that ends at `top`
(inf: it does not end) has the mass H(a, q, x) - H(a, top + 1, x) from q on.
"""

from __future__ import annotations

import math

import numpy as np

from baimo.estimation.arrays import Floats, Ints
from baimo.simulation.numba_kernels import jit

Sample = tuple[Floats, Floats, Ints]
Law = tuple[float, float, float, float, float]
Block = tuple[int, int, float, float, float, float]


_COARSE = 64
CSN, TWO_SIDED, LEFT = 0, 1, 2  # conventions of the KS distance

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
def discrete_mle(
    mean_log: float, x_min: float, start: float, top: float = np.inf
) -> tuple[float, float, int]:
    """Solve the discrete power-law likelihood equation by Newton steps inside a bracket.

    Minimises the convex log(mass(a)) + a mean_log over a > 1; mean_log > 0 is the mean of
    log(x / x_min). Returns (alpha, information per item, iterations); iterations is -1 where
    the solution lies beyond alpha = 1000, -2 where a finite top puts it at or below 1.
    """
    a = min(max(start, 1.0 + 1e-6), 1000.0)
    low = 1.0
    high = np.inf
    info = 0.0
    for iteration in range(200):
        z, d1, d2 = hurwitz(a, x_min, x_min)
        if top < np.inf:
            t, t1, t2 = hurwitz(a, top + 1.0, x_min)
            z -= t
            d1 -= t1
            d2 -= t2
        grad = d1 / z + mean_log
        info = d2 / z - (d1 / z) ** 2
        if grad > 0.0:
            high = a
            if a < 1.0 + 1e-5 and top < np.inf:
                return a, info, -2
        else:
            low = a
            if a >= 1000.0:
                return a, info, -1
        new = a - grad / info if info > 0.0 else 2.0 * a
        # Quadratic convergence: after a step of 1e-9 the next would be one of 1e-18.
        if abs(new - a) <= 1e-9 * (a - 1.0) and new > 1.0:
            return new, info, iteration + 1
        if high - low <= 1e-13 * a:
            return new, info, iteration + 1
        if not low < new < high:
            new = 0.5 * (low + high) if high < np.inf else 2.0 * a
        a = min(new, 1000.0)
    return a, info, 200


@jit
def discrete_start(mean_log: float, x_min: float) -> float:
    """Return the continuity-corrected start of the discrete likelihood search."""
    return 1.0 + 1.0 / (mean_log + math.log(x_min / (x_min - 0.5)))


@jit
def continuous_mle(mean_log: float, reach: float) -> float:
    """Return alpha of a Pareto tail that ends at log(top / x_min) = reach (inf: it does not).

    Below reach/2 the mean of log(x / x_min) is that of an exponential cut at reach; above it
    no alpha > 1 exists and 1 is returned.
    """
    if reach == np.inf:
        return 1.0 + 1.0 / mean_log
    if mean_log >= 0.5 * reach:
        return 1.0
    rate = 1.0 / mean_log
    for _ in range(100):
        e = math.expm1(rate * reach)
        ratio = reach / e if e < np.inf else 0.0
        value = 1.0 / rate - ratio - mean_log
        slope = -1.0 / (rate * rate) + ratio * ratio * (e + 1.0 if e < np.inf else 0.0)
        new = rate - value / slope
        if new <= 0.0:
            new = 0.5 * rate
        if abs(new - rate) <= 1e-14 * new:
            return 1.0 + new
        rate = new
    return 1.0 + rate


@jit
def mle_at(
    mean_log: float, x_min: float, start: float, top: float, discrete: bool
) -> tuple[float, bool]:
    """Return (alpha, whether it exists in (1, 1000)) of a tail, from its mean log(x/x_min)."""
    if not discrete:
        alpha = continuous_mle(mean_log, math.log(top / x_min) if top < np.inf else np.inf)
        return alpha, alpha > 1.0
    if start <= 1.0:
        start = discrete_start(mean_log, x_min)
    alpha, _, steps = discrete_mle(mean_log, x_min, start, top)
    return alpha, steps >= 0


@jit
def law_at(alpha: float, x_min: float, top: float, discrete: bool) -> Law:
    """Return (alpha, x_min, log x_min, mass of the tail, mass beyond top) for `survivals`."""
    if discrete:
        beyond = hurwitz_value(alpha, top + 1.0, x_min) if top < np.inf else 0.0
        mass = hurwitz_value(alpha, x_min, x_min) - beyond
    else:
        beyond = (top / x_min) ** (1.0 - alpha) if top < np.inf else 0.0
        mass = 1.0 - beyond
    return alpha, x_min, math.log(x_min), mass, beyond


@jit
def log_moments(alpha: float, x_min: float, top: float, discrete: bool) -> tuple[float, float]:
    """Return mean and variance of log(X / x_min); the variance is the information on alpha."""
    if discrete:
        z, d1, d2 = hurwitz(alpha, x_min, x_min)
        if top < np.inf:
            t, t1, t2 = hurwitz(alpha, top + 1.0, x_min)
            z, d1, d2 = z - t, d1 - t1, d2 - t2
        return -d1 / z, d2 / z - (d1 / z) ** 2
    rate = alpha - 1.0
    if top == np.inf:
        return 1.0 / rate, 1.0 / (rate * rate)
    reach = math.log(top / x_min)
    lost = reach / math.expm1(rate * reach)
    return 1.0 / rate - lost, 1.0 / (rate * rate) - lost * (lost + reach)


@jit
def survivals(x: float, log_x: float, law: Law, discrete: bool) -> tuple[float, float]:
    """Return P(X >= x) and P(X > x) under a law."""
    alpha, x_min, log_x_min, mass, beyond = law
    if not discrete:
        s = (math.exp((1.0 - alpha) * (log_x - log_x_min)) - beyond) / mass
        return s, s
    after = hurwitz_value(alpha, x + 1.0, x_min) - beyond
    return (math.exp(-alpha * (log_x - log_x_min)) + after) / mass, after / mass


@jit
def ccdf(points: Floats, law: Law, discrete: bool) -> Floats:
    """Return P(X >= x) at each point."""
    out = np.empty(points.size)
    for i in range(points.size):
        out[i], _ = survivals(points[i], math.log(points[i]), law, discrete)
    return out


@jit
def levels(above: Ints, n: float, i: int, discrete: bool, kind: int) -> tuple[float, float]:
    """Return the empirical levels held against P(X >= x) and P(X > x) at value i."""
    per_item = 1.0 if kind == CSN and not discrete else 0.0
    return above[i] / n, (above[i + 1] + per_item) / n


@jit
def gap_at(
    sample: Sample, n: float, i: int, law: Law, discrete: bool, kind: int
) -> tuple[float, float, float]:
    """Return (distance at value i, P(X >= value i), P(X > value i))."""
    values, logs, above = sample
    s_left, s_right = survivals(values[i], logs[i], law, discrete)
    e_left, e_right = levels(above, n, i, discrete, kind)
    gap = 0.0
    if kind != CSN or not discrete:
        gap = abs(e_left - s_left)
    if kind != LEFT:
        gap = max(gap, abs(e_right - s_right))
    return gap, s_left, s_right


@jit
def largest_inside(above: Ints, n: float, block: Block, discrete: bool, kind: int) -> float:
    """Return a bound on the distance at the values strictly inside a block.

    Model and empirical survival both fall, so the ends of the block bound what lies between.
    """
    lo, hi, lo_left, lo_right, hi_left, hi_right = block
    el_lo, er_lo = levels(above, n, lo, discrete, kind)
    el_hi, er_hi = levels(above, n, hi, discrete, kind)
    bound = 0.0
    if kind != CSN or not discrete:
        bound = max(el_lo - hi_left, lo_left - el_hi)
    if kind != LEFT:
        bound = max(bound, er_lo - hi_right, lo_right - er_hi)
    return bound


@jit
def ks_distance(
    sample: Sample, start: int, law: Law, discrete: bool, kind: int,
    limit: float, hint: int, stack: Floats,
) -> tuple[float, int]:  # fmt: skip
    """Return (KS distance of the tail from index `start` on, index where it is reached).

    Exact, but halves blocks of values only while they can still hold the maximum, and stops
    as soon as the distance passes `limit`; `hint`, where a neighbour had it, is tried first.

    Parameters
    ----------
    sample
        Distinct values ascending, their logarithms, and (u + 1,) items at or above each, then 0.
    kind
        CSN: counts |P(X > x) - ECCDF| at the values; sizes per item, i/n from 0. TWO_SIDED:
        the supremum over the values. LEFT: left limits at the values.
    stack : (64, 6)
        Working space.
    """
    values, _, above = sample
    n = float(above[start])
    last = values.size - 1
    worst: float = -1.0
    where = start
    if start < hint <= last:
        worst, _, _ = gap_at(sample, n, hint, law, discrete, kind)
        where = hint
        if worst > limit:
            return worst, where
    gap, lo_left, lo_right = gap_at(sample, n, start, law, discrete, kind)
    if gap > worst:
        worst, where = gap, start
    gap, hi_left, hi_right = gap_at(sample, n, last, law, discrete, kind)
    if gap > worst:
        worst, where = gap, last
    lo, hi, depth = start, last, 0
    while worst <= limit:
        block = (lo, hi, lo_left, lo_right, hi_left, hi_right)
        if hi - lo > 1 and largest_inside(above, n, block, discrete, kind) > worst:
            i = (lo + hi) >> 1
            gap, s_left, s_right = gap_at(sample, n, i, law, discrete, kind)
            if gap > worst:
                worst, where = gap, i
            row = stack[depth]
            row[0], row[1], row[2], row[3], row[4], row[5] = (
                i, hi, s_left, s_right, hi_left, hi_right
            )  # fmt: skip
            depth += 1
            hi, hi_left, hi_right = i, s_left, s_right
        elif depth > 0:
            depth -= 1
            row = stack[depth]
            lo, hi = int(row[0]), int(row[1])
            lo_left, lo_right, hi_left, hi_right = row[2], row[3], row[4], row[5]
        else:
            break
    return worst, where


@jit
def scan_x_min(
    sample: Sample, log_sums: Floats, top: float, discrete: bool, kind: int,
    n_tail_min: int, enough: float, first: int,
) -> tuple[int, float, float]:  # fmt: skip
    """Return (index, alpha, ks) of the candidate x_min with the smallest KS distance.

    `log_sums[i]` is the sum of log(value) over the items from i on. Candidates leave at least
    two distinct values and n_tail_min items. A candidate is abandoned once it passes the best
    so far; every 64th, from `first` up and then down, comes before the others, because a good
    bound makes those cheap. With enough >= 0 only candidates below it count and the first one
    ends the search. index is -1 without a candidate.
    """
    values, logs, above = sample
    stack = np.empty((64, 6))
    best = -1
    best_alpha = 0.0
    best_ks = enough if enough >= 0.0 else 2.0
    alpha = 0.0
    hint = -1
    size = values.size
    plain = not discrete and top == np.inf
    up = (size - 1 - first + _COARSE - 1) // _COARSE
    coarse = up + first // _COARSE
    for t in range(coarse + size - 1):
        i = t - coarse
        if t < up:
            i = first + _COARSE * t
        elif t < coarse:
            i = first - _COARSE * (t - up + 1)
        elif (i - first) % _COARSE == 0:
            continue
        if above[i] < n_tail_min:
            continue
        mean_log = log_sums[i] / above[i] - logs[i]
        if mean_log <= 0.0:
            continue
        if plain and hint > i:
            # Sizes without an upper end have a closed form: where the last candidate was farthest
            # off, this one mostly is too. The allowance covers rounding.
            below = 1.0 - above[hint] / above[i]
            off = abs(below + math.expm1((logs[i] - logs[hint]) / mean_log))
            if off > best_ks + 1e-9:
                continue
        alpha, exists = mle_at(mean_log, values[i], alpha, top, discrete)
        if not exists:
            alpha = 0.0
            continue
        law = law_at(alpha, values[i], top, discrete)
        ks, hint = ks_distance(sample, i, law, discrete, kind, best_ks, hint, stack)
        if ks < best_ks or (ks == best_ks and i < best):
            best, best_alpha, best_ks = i, alpha, ks
            if enough >= 0.0:
                break
    return best, best_alpha, best_ks


@jit
def tail_path(
    sample: Sample, log_sums: Floats, top: float, discrete: bool, kind: int, chosen: Ints
) -> tuple[Floats, Floats, Floats]:
    """Return alpha, its standard error and KS at the chosen candidates; NaN where no fit is."""
    values, logs, above = sample
    stack = np.empty((64, 6))
    alphas = np.full(chosen.size, np.nan)
    errors = np.full(chosen.size, np.nan)
    distances = np.full(chosen.size, np.nan)
    alpha = 0.0
    for j in range(chosen.size):
        i = chosen[j]
        mean_log = log_sums[i] / above[i] - logs[i]
        if mean_log <= 0.0:
            continue
        alpha, exists = mle_at(mean_log, values[i], alpha, top, discrete)
        if not exists:
            alpha = 0.0
            continue
        law = law_at(alpha, values[i], top, discrete)
        alphas[j] = alpha
        _, variance = log_moments(alpha, values[i], top, discrete)
        errors[j] = 1.0 / math.sqrt(above[i] * variance)
        distances[j], _ = ks_distance(sample, i, law, discrete, kind, 2.0, -1, stack)
    return alphas, errors, distances
