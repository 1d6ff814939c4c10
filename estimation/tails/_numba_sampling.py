"""The numba loops of the bootstrap: random numbers, compressed samples, refits.

A replicate is never written out item by item. Its body is a multinomial over the distinct
values, drawn as a chain of binomials; the tail of counts is a chain of binomials up the whole
numbers while more than one item is expected at each, then single draws; the tail of sizes is
drawn in order (the spacings of sorted exponentials are independent exponentials, [Renyi1953]).
Every replicate has a generator of its own, so that threads change nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.tails import _numba
from baimo.simulation.numba_kernels import jit

State = NDArray[np.uint64]
_MOST_STEPS = 1 << 20  # whole numbers walked through before the single draws


@jit
def uniform(s: State) -> float:
    """Return the next number in (0, 1) of xoshiro256++ [BlackmanVigna2021], 52 bits."""
    s0, s1, s2, s3 = s[0], s[1], s[2], s[3]
    total = s0 + s3
    out = ((total << np.uint64(23)) | (total >> np.uint64(41))) + s0
    t = s1 << np.uint64(17)
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = (s3 << np.uint64(45)) | (s3 >> np.uint64(19))
    s[0], s[1], s[2], s[3] = s0, s1, s2, s3
    return float((np.float64(out >> np.uint64(12)) + 0.5) * 2.0**-52)


@jit
def binomial(n: int, p: float, s: State) -> int:
    """Draw a binomial number exactly.

    By inversion where fewer than ten are expected, else by transformed rejection
    ([Hormann1993], algorithm BTRS).
    """
    if n <= 0 or p <= 0.0:
        return 0
    if p >= 1.0:
        return n
    if p > 0.5:
        return n - binomial(n, 1.0 - p, s)
    odds = p / (1.0 - p)
    if n * p < 10.0:
        while True:
            mass = math.exp(n * math.log1p(-p))
            u = uniform(s)
            k = 0
            while u > mass and k <= n:
                u -= mass
                k += 1
                mass *= odds * (n + 1 - k) / k
            if k <= n:
                return k
    spread = math.sqrt(n * p * (1.0 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    centre = n * p + 0.5
    v_r = 0.92 - 4.2 / b
    scale = (2.83 + 5.1 / b) * spread
    mode = math.floor((n + 1) * p)
    top = math.lgamma(mode + 1.0) + math.lgamma(n - mode + 1.0)
    while True:
        u = uniform(s) - 0.5
        v = uniform(s)
        us = 0.5 - abs(u)
        x = math.floor((2.0 * a / us + b) * u + centre)
        if x < 0.0 or x > n:
            continue
        if us >= 0.07 and v <= v_r:
            return int(x)
        ratio = top - math.lgamma(x + 1.0) - math.lgamma(n - x + 1.0)
        ratio += (x - mode) * math.log(odds)
        if math.log(v * scale / (a / (us * us) + b)) <= ratio:
            return int(x)


@jit
def multinomial(n: int, weights: Ints, s: State, out: Ints) -> None:
    """Share n items over categories in proportion to their weights, into `out`."""
    left = n
    remaining = float(weights.sum())
    for i in range(weights.size):
        out[i] = binomial(left, weights[i] / remaining, s) if left > 0 else 0
        left -= out[i]
        remaining -= weights[i]


@jit
def sample_counts(
    n: int, alpha: float, x_min: float, top: float, s: State
) -> tuple[Floats, Ints]:  # fmt: skip
    """Draw n items of a discrete tail; return (values ascending, multiplicities)."""
    mass = _numba.hurwitz_value(alpha, x_min, x_min)
    beyond = _numba.hurwitz_value(alpha, top + 1.0, x_min) if top < np.inf else 0.0
    reach = x_min * (n / mass) ** (1.0 / alpha)  # about where less than one item is expected
    steps = int(min(max(reach - x_min, 0.0) + 64.0, float(_MOST_STEPS)))
    values = np.empty(steps)
    multiplicities = np.empty(steps, dtype=np.int64)
    used = 0
    left = n
    x = x_min
    for t in range(steps):
        if left == 0:
            break
        if t % 256 == 0:  # against the drift of repeated subtraction
            mass = _numba.hurwitz_value(alpha, x, x_min)
        here = math.exp(-alpha * math.log(x / x_min))
        share = here / (mass - beyond)
        if left * share < 1.0:
            break
        k = binomial(left, share, s)
        if k > 0:
            values[used], multiplicities[used] = x, k
            used += 1
            left -= k
        mass -= here
        x += 1.0
    singles = np.empty(left)
    for j in range(left):
        singles[j] = sample_count(alpha, x, top, s)
    singles.sort()
    all_values = np.empty(used + left)
    all_multiplicities = np.empty(used + left, dtype=np.int64)
    all_values[:used] = values[:used]
    all_multiplicities[:used] = multiplicities[:used]
    for j in range(left):
        if j > 0 and singles[j] == singles[j - 1]:
            all_multiplicities[used - 1] += 1
        else:
            all_values[used], all_multiplicities[used] = singles[j], 1
            used += 1
    return all_values[:used], all_multiplicities[:used]


@jit
def sample_count(alpha: float, x_min: float, top: float, s: State) -> float:
    """Draw one item from P(X = x) ~ x^-alpha on [x_min, top].

    By rejection from the floor of a Pareto variable ([Devroye1986], section X.6), whose acceptance
    is largest at x_min, so that no table is needed.
    """
    t = 1.0 / x_min
    most = t / -math.expm1((1.0 - alpha) * math.log1p(t))
    while True:
        x = np.floor(x_min * uniform(s) ** (1.0 / (1.0 - alpha)))  # of floats: it may pass 2^63
        if x > top or x == np.inf:
            continue
        t = 1.0 / x
        if uniform(s) * most <= t / -math.expm1((1.0 - alpha) * math.log1p(t)):
            return float(x)


@jit
def sample_items(
    n: int, alpha: float, x_min: float, top: float, discrete: bool, s: State
) -> Floats:  # fmt: skip
    """Draw n independent items of a tail in random order."""
    out = np.empty(n)
    cut = 1.0 - (top / x_min) ** (1.0 - alpha) if top < np.inf else 1.0
    for j in range(n):
        if discrete:
            out[j] = sample_count(alpha, x_min, top, s)
        else:
            out[j] = x_min * (1.0 - cut * uniform(s)) ** (1.0 / (1.0 - alpha))
    return out


@jit
def sample_sizes(n: int, alpha: float, x_min: float, top: float, s: State) -> Floats:
    """Draw n items of a Pareto tail, ascending."""
    values = np.empty(n)
    rate = alpha - 1.0
    if top < np.inf:
        # Sorted uniforms are partial sums of n + 1 exponentials over their total.
        total = 0.0
        for j in range(n):
            total -= math.log(uniform(s))
            values[j] = total
        total -= math.log(uniform(s))
        cut = 1.0 - (top / x_min) ** -rate
        for j in range(n):
            values[j] = x_min * (1.0 - cut * values[j] / total) ** (-1.0 / rate)
        return values
    log_x = 0.0
    for j in range(n):
        log_x -= math.log(uniform(s)) / (n - j)
        values[j] = x_min * math.exp(log_x / rate)
    return values


@jit
def compressed(values: Floats, multiplicities: Ints) -> tuple[Floats, Floats, Ints, Floats]:
    """Return values that occur, their logs, items at or above each, sums of logs from each on."""
    u = 0
    for i in range(values.size):
        u += multiplicities[i] > 0
    kept = np.empty(u)
    logs = np.empty(u)
    above = np.zeros(u + 1, dtype=np.int64)
    log_sums = np.empty(u)
    total = 0.0
    for i in range(values.size - 1, -1, -1):
        if multiplicities[i] > 0:
            u -= 1
            kept[u] = values[i]
            logs[u] = math.log(values[i])
            above[u] = above[u + 1] + multiplicities[i]
            total += logs[u] * multiplicities[i]
            log_sums[u] = total
    return kept, logs, above, log_sums


@jit
def replicate(
    body: Floats, weights: Ints, n: int, n_tail: int, alpha: float, x_min: float, top: float,
    discrete: bool, fixed: bool, s: State,
) -> tuple[Floats, Ints]:  # fmt: skip
    """Draw one sample of the fitted model: (values, multiplicities), some of these zero.

    With a fixed x_min the tail alone, at its own size, is drawn.
    """
    k = n_tail if fixed else binomial(n, n_tail / n, s)
    n_body = 0 if fixed else body.size
    if discrete:
        tail, times = sample_counts(k, alpha, x_min, top, s)
    else:
        tail = sample_sizes(k, alpha, x_min, top, s)
        times = np.ones(k, dtype=np.int64)
    values = np.empty(n_body + tail.size)
    multiplicities = np.zeros(values.size, dtype=np.int64)
    values[n_body:] = tail
    multiplicities[n_body:] = times
    if n_body > 0:
        values[:n_body] = body
        multinomial(n - k, weights, s, multiplicities[:n_body])
    return values, multiplicities


@jit
def null_distances(
    body: Floats, weights: Ints, n: int, n_tail: int, alpha: float, x_min: float, top: float,
    discrete: bool, kind: int, n_tail_min: int, fixed: bool, enough: float,
    states: NDArray[np.uint64], out: Floats,
) -> None:  # fmt: skip
    """Put the KS distance of one refitted replicate for each generator state into `out`.

    With enough >= 0 a replicate stops at its first distance below it and gives that one, or
    `enough` where it has none: all that a p-value needs. A replicate without any fit gets 2,
    farther than any distance.
    """
    for r in range(states.shape[0]):
        values, multiplicities = replicate(
            body, weights, n, n_tail, alpha, x_min, top, discrete, fixed, states[r]
        )
        kept, logs, above, log_sums = compressed(values, multiplicities)
        sample = (kept, logs, above)
        if fixed:
            mean_log = log_sums[0] / above[0] - math.log(x_min)
            if mean_log <= 0.0:
                out[r] = 2.0
                continue
            refit, exists = _numba.mle_at(mean_log, x_min, alpha, top, discrete)
            law = _numba.law_at(refit, x_min, top, discrete)
            ks, _ = _numba.ks_distance(sample, 0, law, discrete, kind, 2.0, -1, np.empty((64, 6)))
            out[r] = ks if exists else 2.0
            continue
        first = max(min(int(np.searchsorted(kept, x_min)), kept.size - 2), 0)
        _, _, out[r] = _numba.scan_x_min(
            sample, log_sums, top, discrete, kind, n_tail_min, enough, first
        )


@jit
def resampled_fits(
    values: Floats, weights: Ints, n_zero: int, starts: Ints, places: Ints, times: Ints,
    top: float, discrete: bool, kind: int, n_tail_min: int,
    states: NDArray[np.uint64], out: Floats,
) -> None:  # fmt: skip
    """Refit one resample of the data for each state; rows of `out` get (alpha, x_min, n_tail).

    Items are drawn independently, zeros among them, or, where `starts` is not empty, whole
    clusters: cluster c holds times[j] items of value places[j] for starts[c] <= j < starts[c+1].
    """
    multiplicities = np.empty(values.size, dtype=np.int64)
    n_positive = weights.sum()
    n = n_positive + n_zero
    clusters = starts.size - 1
    for r in range(states.shape[0]):
        s = states[r]
        if clusters > 0:
            multiplicities[:] = 0
            for _ in range(clusters):
                c = int(uniform(s) * clusters)
                for j in range(starts[c], starts[c + 1]):
                    multiplicities[places[j]] += times[j]
        else:
            multinomial(binomial(n, n_positive / n, s), weights, s, multiplicities)
        kept, logs, above, log_sums = compressed(values, multiplicities)
        best = -1
        alpha = np.nan
        if kept.size > 1:
            best, alpha, _ = _numba.scan_x_min(
                (kept, logs, above), log_sums, top, discrete, kind, n_tail_min, -1.0, 0
            )
        out[r, 0] = alpha if best >= 0 else np.nan
        out[r, 1] = kept[best] if best >= 0 else np.nan
        out[r, 2] = above[best] if best >= 0 else np.nan
