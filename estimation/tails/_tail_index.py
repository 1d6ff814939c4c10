"""The formulas of `tail_index` over the distinct values of a sample; no loop over items.

Definitions, papers and what each is good for stand in `tail_index`. Nothing here needs
compiling: cumulative sums over ten thousand distinct values take microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError
from baimo.estimation.laws import normal_cdf
from baimo.estimation.samples.counts import Counts, as_counts

K_MIN = 3
COARSE = 10
K_MIN_BOOTSTRAP = 10
EXPONENTS = (0.8, 0.85, 0.9, 0.95)
RHO_HIGHEST = -0.5  # no smooth law tried gave more, exact Pareto does in every second sample
FIXED_RHO = -1.0
RHO_NIL = -10.0  # (k/n)^10 corrects nothing


class TieEnds:
    """The ends of ties from the largest value down: k items are >= value, u is below them.

    Logs are relative to the largest value: exact under a change of unit, and no digits are lost
    where k is small.
    """

    def __init__(self, data: Counts | ArrayLike, discrete: bool) -> None:
        counts = as_counts(data)
        if discrete:
            counts.refuse_fractions()
        positive = counts.positive()
        self.discrete = discrete
        self.n_obs, self.n = counts.n_obs, positive.n_obs
        value, size = positive.values[::-1], positive.multiplicities[::-1]
        if discrete:
            u = value - 0.5
        else:  # nothing lies below the smallest size
            u, value, size = value[1:], value[:-1], size[:-1]
        self.value, self.size, self.threshold = value, size, u
        self.k: Ints = np.cumsum(size)
        if value.size < 2 or self.k[-1] < K_MIN:
            raise DataError("too few distinct positive values for a tail; give more data")
        # the first end with K_MIN items and two distinct values
        self.first = max(1, int(np.searchsorted(self.k, K_MIN)))
        self.log_value: Floats = np.log(value / value[0])
        self.log_u: Floats = np.log(u / value[0])

    def index(self, k: int) -> tuple[int, tuple[str, ...]]:
        """Return the end nearest to k, and a note where it is not k itself."""
        usable = self.k[self.first :]
        if not K_MIN <= k <= usable[-1]:
            raise DataError(f"k = {k}: choose k between {K_MIN} and {usable[-1]}")
        j = self.first + int(nearest(usable, np.array([k]))[0])
        notes: tuple[str, ...] = ()
        if self.k[j] != k:
            notes += (f"k = {k} is not where a group of ties ends: {self.k[j]} is used",)
        if self.discrete and self.value[j] < COARSE:
            notes += (f"counts below {COARSE} are in the tail: v - 1/2 does not remove all bias",)
        return j, notes

    def place(self, j: int) -> dict[str, Any]:
        """Return the fields that every result has: n_obs, k and threshold."""
        return {
            "n_obs": self.n_obs,
            "k": int(self.k[j]),
            "threshold": float(self.threshold[j]),
        }

    def moment(self, order: int) -> Floats:
        """Return the mean of log(x/u)^order at every end."""
        total = np.zeros(self.k.size)
        for i in range(order + 1):
            sums = np.cumsum(self.size * self.log_value**i)
            total += math.comb(order, i) * (-self.log_u) ** (order - i) * sums / self.k
        return total

    def gaps(self, j: int) -> tuple[Floats, Floats]:
        """Return i/k and i log(X_(i)/X_(i+1)) at the ends i up to k; elsewhere the log is 0."""
        below = np.append(self.log_value[1 : j + 1], self.log_u[j])
        k = self.k[: j + 1]
        return k / self.k[j], k * (self.log_value[: j + 1] - below)

    def order_statistic(self, i: int) -> float:
        """Return X_(i); a group of equal counts is spread evenly over its unit interval."""
        j = int(np.searchsorted(self.k, i))
        value = float(self.value[j])
        if not self.discrete:
            return value
        within = i - float(self.k[j] - self.size[j]) - 0.5
        return value + 0.5 - within / float(self.size[j])

    def thin(self, first: int, n_points: int) -> Ints:
        """Return about n_points indices of ends from `first` on, evenly spaced in log k."""
        if n_points < 2:
            raise DataError(f"n_points = {n_points}: choose at least 2")
        k = self.k[first:]
        return first + np.unique(nearest(k, np.geomspace(k[0], k[-1], n_points)))


def nearest(k: Ints, targets: Floats | Ints) -> Ints:
    """Return the index of the nearest k (ascending) to each target, the smaller at a draw."""
    right = np.minimum(np.searchsorted(k, targets), k.size - 1)
    left = np.maximum(right - 1, 0)
    return np.where(targets - k[left] <= k[right] - targets, left, right)


def moment_gamma(ends: TieEnds) -> Floats:
    """Return M_1 + 1 - 1/2 / (1 - M_1^2/M_2) at every end, NaN where all logs are equal."""
    m1, m2 = ends.moment(1), ends.moment(2)
    gamma: Floats = np.full(m1.size, np.nan)
    spread = 1 - np.divide(m1**2, m2, out=np.ones(m1.size), where=m2 > 0)
    np.divide(0.5, spread, out=gamma, where=spread > 1e-12)
    return m1 + 1 - gamma


class SecondOrder(NamedTuple):
    """beta and rho of U(t) = C t^gamma (1 + gamma beta t^rho / rho + ...), and how they came.

    `estimated_rho` is what the data gave; rho is -1 instead where that cannot be used. `k` is
    the number of items both rest on.
    """

    beta: float
    rho: float
    estimated_rho: float
    k: int


def second_order(ends: TieEnds) -> SecondOrder:
    """Return beta and rho, estimated from the k = n^0.999 largest items.

    rho: [FragaAlvesEtAl2003], tau = 0; beta: [GomesMartins2002]. Above RHO_HIGHEST rho is replaced
    by FIXED_RHO.
    """
    j = ends.first + int(nearest(ends.k[ends.first :], np.array([ends.n**0.999]))[0])
    m1, m2, m3 = (math.log(ends.moment(p)[j] / math.factorial(p)) / p for p in (1, 2, 3))
    t = (m1 - m2) / (m2 - m3) if m2 != m3 else math.nan
    estimated = -abs(3 * (t - 1) / (t - 3)) if t != 3 else math.nan
    rho = estimated if estimated <= RHO_HIGHEST else FIXED_RHO
    k = int(ends.k[j])
    share, gap = ends.gaps(j)
    d0, d1, d2 = (float(np.sum(share ** (-p * rho) * gap)) / k for p in (0, 1, 2))
    # (1/k) sum_i (i/k)^-rho by Euler-Maclaurin: no pass over the items
    mean = 1 / (1 - rho) + 1 / (2 * k) - rho / (12 * k * k)
    beta = (k / ends.n) ** rho * (mean * d0 - d1) / (mean * d1 - d2)
    if not math.isfinite(beta):
        raise DataError("the second-order parameters cannot be estimated; use Hill uncorrected")
    return SecondOrder(beta, rho, estimated, k)


def bias_factor(ends: TieEnds, found: SecondOrder) -> Floats:
    """Return 1 - beta/(1 - rho) (n/k)^rho at every end."""
    return 1 - found.beta / (1 - found.rho) * (ends.n / ends.k) ** found.rho


def corrected_error(found: SecondOrder, k: Floats | Ints) -> Floats:
    """Return the standard error of the corrected gamma over gamma, that of beta in it, rho given.

    Both estimates are linear in the spacings i log(X_(i)/X_(i+1)), exponential with mean gamma.
    With c = k/k1, k1 the items behind beta, and a = -rho the variance is

        gamma^2/k [1 + (1 + 2a)/a^2 c^(1+a) (2 - c^a)]:

    Hill's for c -> 0, gamma^2 ((1 - rho)/rho)^2 / k for c = 1 [GomesMartins2002].
    """
    a, c = -found.rho, np.minimum(k / found.k, 1.0)
    power = c**a
    return np.sqrt((1 + (1 + 2 * a) / a**2 * c * power * (2 - power)) / k)


def hill(ends: TieEnds, j: int) -> tuple[float, float]:
    """Return gamma and its standard error over gamma, as the four below."""
    return float(ends.moment(1)[j]), 1 / math.sqrt(ends.k[j])


def hill_corrected(ends: TieEnds, j: int) -> tuple[float, float]:
    """Return Hill times its bias factor."""
    found = second_order(ends)
    gamma = float(ends.moment(1)[j]) * float(bias_factor(ends, found)[j])
    return gamma, float(corrected_error(found, ends.k[j : j + 1])[0])


def second_order_notes(ends: TieEnds, j: int) -> tuple[str, ...]:
    """Return what a reader must know of the bias correction at end j."""
    found = second_order(ends)
    notes: tuple[str, ...] = (
        f"second-order parameters used: beta = {found.beta:.3g}, rho = {found.rho:.3g}",
    )
    if found.rho != found.estimated_rho:
        notes += (
            f"the bias correction is doubtful: rho was estimated as {found.estimated_rho:.3g}, "
            f"above {RHO_HIGHEST:g}, as it is where the tail is close to an exact Pareto or the "
            f"body is unlike it; rho = {FIXED_RHO:g} is used instead",
        )
    if found.rho < RHO_NIL:
        notes += (f"rho = {found.rho:.3g} leaves nothing to correct: the corrected Hill is Hill",)
    return notes


def moment(ends: TieEnds, j: int) -> tuple[float, float]:
    """Return the moment estimator."""
    gamma = float(moment_gamma(ends)[j])
    return gamma, math.sqrt((1 + gamma**2) / ends.k[j]) / gamma if gamma > 0 else math.nan


def pickands(ends: TieEnds, j: int) -> tuple[float, float]:
    """Return Pickands' estimator; NaN where order statistics coincide."""
    m = int(ends.k[j]) // 4
    if m == 0:
        raise DataError(f"k = {ends.k[j]}: Pickands needs at least 4 items; choose a larger k")
    high, middle, low = (ends.order_statistic(i * m) for i in (1, 2, 4))
    if not high > middle > low:
        return math.nan, math.nan
    gamma = math.log2((high - middle) / (middle - low))
    if gamma <= 0:
        return gamma, math.nan
    spread = math.sqrt(2 ** (2 * gamma + 1) + 1) / (2 * math.log(2) * (2**gamma - 1))
    return gamma, spread / math.sqrt(m)


def biweight(ends: TieEnds, j: int) -> tuple[float, float]:
    """Return the kernel estimator with K(s) = 15/8 (1 - s^2)^2."""
    share, gap = ends.gaps(j)
    k = int(ends.k[j])
    norm = 1 - 15 / (16 * k) - 1 / (16 * k**4)  # (1/k) sum_i K(i/k), exactly
    return float(np.sum(15 / 8 * (1 - share**2) ** 2 * gap)) / k / norm, math.sqrt(10 / 7 / k)


INDEX: dict[str, Callable[[TieEnds, int], tuple[float, float]]] = {
    "hill": hill,
    "hill_corrected": hill_corrected,
    "moment": moment,
    "pickands": pickands,
    "kernel": biweight,
}


class DoubleBootstrap(NamedTuple):
    """One pair of resample sizes with what it implies."""

    n1: int
    n2: int
    k1: float
    k2: float
    k0: float
    rho: float
    criterion: float


def double_bootstrap(
    ends: TieEnds, n_replications: int, seed: int
) -> tuple[list[DoubleBootstrap], dict[int, tuple[float, float]]]:
    """Return the usable pairs of sizes (n1, n2 = n1^2/n), and the minima (k, Q) of all sizes.

    Usable: interior minima at both, k1 > k2 (k must grow with the sample), k0 within the data.
    """
    n = ends.n
    pairs = {round(n**e): round(n ** (2 * e - 1)) for e in EXPONENTS}
    minima = bootstrap_minima(ends, sorted({*pairs, *pairs.values()}), n_replications, seed)
    found = []
    for n1, n2 in pairs.items():
        if n1 not in minima or n2 not in minima:
            continue
        (k1, q1), (k2, q2) = minima[n1], minima[n2]
        log_n, log_k = math.log(n1), math.log(k1)
        k0 = k1**2 / k2 * (log_k / (2 * log_n - log_k)) ** (2 * (log_n - log_k) / log_n)
        if k1 > k2 and K_MIN <= k0 <= ends.k[-1]:
            rho = log_k / (2 * log_k - 2 * log_n)
            found.append(DoubleBootstrap(n1, n2, k1, k2, k0, rho, q1**2 / q2))
    return found, minima


def bootstrap_minima(
    ends: TieEnds, sizes: list[int], n_replications: int, seed: int
) -> dict[int, tuple[float, float]]:
    """Return, for each resample size with an interior minimum of Q, (k, Q) at it.

    Q = mean of (M_2 - 2 M_1^2)^2 at thresholds fixed in the sample, k the expected number of
    items above one, between 10 and half of the size.
    """
    last = int(nearest(ends.k, np.array([ends.n / 2]))[0])
    at = ends.thin(0, 300)
    at = at[at <= last]
    log_x, log_u = ends.log_value[: last + 1], ends.log_u[at]
    p = np.append(ends.size[: last + 1], ends.n - ends.k[last]) / ends.n
    total = {m: np.zeros(at.size) for m in sizes}
    for child in np.random.SeedSequence(seed).spawn(n_replications):
        rng = np.random.default_rng(child)
        for m in sizes:
            drawn = rng.multinomial(m, p)[:-1]
            weighted = drawn * log_x
            k = np.maximum(np.cumsum(drawn)[at], 1)
            s1 = np.cumsum(weighted)[at] / k
            s2 = np.cumsum(weighted * log_x)[at] / k
            total[m] += (s2 - 2 * log_u * s1 + log_u**2 - 2 * (s1 - log_u) ** 2) ** 2
    minima: dict[int, tuple[float, float]] = {}
    for m in sizes:
        k_mean = m / ends.n * ends.k[at]
        inside = k_mean >= K_MIN_BOOTSTRAP
        q, k_mean = total[m][inside], k_mean[inside]
        i = int(np.argmin(q)) if q.size else 0
        if 0 < i < q.size - 1:
            minima[m] = (float(k_mean[i]), float(q[i]) / n_replications)
    return minima


def cv_test(ends: TieEnds, at: Ints) -> tuple[Floats, Floats]:
    """Return the coefficient of variation of log(x/u) at the ends, and P(cv <= it)."""
    ratio = ends.moment(2)[at] / ends.moment(1)[at] ** 2
    k = ends.k[at]
    return np.sqrt(np.maximum(ratio - 1, 0)), greenwood_cdf(ratio / k, k)


def zipf_scores(ends: TieEnds, j: int) -> tuple[float, float]:
    """Return 1 - mean(log(x/u)) and 1/2 - mean(u/x)."""
    inverse = np.exp(ends.log_u[j] - ends.log_value[: j + 1])
    mean = float(np.sum(ends.size[: j + 1] * inverse)) / float(ends.k[j])
    return 1 - float(ends.moment(1)[j]), 0.5 - mean


def greenwood_cdf(g: Floats, n: Floats | Ints) -> Floats:
    """Return P(G <= g), G = sum y^2 / (sum y)^2 of n exponential draws (Greenwood's statistic).

    A shifted lognormal with the exact first three moments of G (integrals of a Dirichlet).
    """
    n = np.asarray(n, dtype=np.float64)
    m1 = 2 / (n + 1)
    m2 = 4 * (n + 5) / ((n + 1) * (n + 2) * (n + 3))
    m3 = 8 * (n**2 + 15 * n + 74) / ((n + 1) * (n + 2) * (n + 3) * (n + 4) * (n + 5))
    variance = 4 * (n - 1) / ((n + 1) ** 2 * (n + 2) * (n + 3))
    skew = (m3 - 3 * m1 * m2 + 2 * m1**3) / variance**1.5
    t = np.cbrt((skew + np.sqrt(skew**2 + 4)) / 2)
    eta = t - 1 / t  # (eta^2 + 3) eta is the skewness of a lognormal of relative deviation eta
    sigma = np.sqrt(np.log1p(eta**2))
    relative = np.maximum(1 + eta * (g - m1) / np.sqrt(variance), 1e-300)
    return np.asarray(normal_cdf((np.log(relative) + sigma**2 / 2) / sigma))
