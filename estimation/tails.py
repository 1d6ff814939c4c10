"""Power-law tails by Clauset, Shalizi & Newman (2009, SIAM Review 51, 661-703).

For every candidate x_min the exact maximum-likelihood alpha (discrete: Hurwitz zeta, their
eq. 3.5; continuous: their eq. 3.1), then the x_min with the smallest Kolmogorov-Smirnov
distance, then, on request, the semi-parametric bootstrap p-value (their section 4.1).

KS convention (it decides the answer on tied data): for counts |P(X <= x) - ECDF(x)| at the
distinct values; for continuous data per observation i/n with i from 0, ties not collapsed.
alpha is the exponent of the density, zeta = alpha - 1 that of the CCDF.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from estimation import kernels
from estimation.counts import Counts, Floats, Ints, as_counts
from estimation.errors import DataError
from estimation.results import Estimate, FitResult, Progress, registered


@registered
@dataclass(frozen=True, eq=False, kw_only=True)
class TailFit(FitResult):
    """A fitted power-law tail.

    Parameters
    ----------
    alpha
        Exponent of the density, > 1.
    std_error
        Standard error of alpha (and of zeta) from the information at fixed x_min, items taken
        as independent; the choice of x_min is not in it.
    x_min, n_tail
        Lower end of the tail and number of items at or above it.
    ks
        Kolmogorov-Smirnov distance above x_min.
    log_likelihood
        Of the tail items.
    discrete
        Whether the exact discrete likelihood was used.
    n_zero
        Items that are zero: counted in n_obs, outside every tail.
    n_distinct
        Distinct values in the tail, None where unknown; the other items are ties.
    design_effect
        Variance inflation by clusters (authors), None where unknown. Intervals use it where it
        exceeds 1: a value below 1 is luck of few clusters and narrows nothing.
    """

    alpha: float
    std_error: float
    x_min: float
    n_tail: int
    ks: float
    log_likelihood: float
    discrete: bool
    n_zero: int
    n_distinct: int | None = None
    design_effect: float | None = None

    title: ClassVar[str] = "Power-law tail (Clauset-Shalizi-Newman)"

    @property
    def zeta(self) -> float:
        """Exponent of the CCDF, alpha - 1."""
        return self.alpha - 1.0

    @property
    def std_error_clustered(self) -> float:
        """Standard error of alpha and zeta times the square root of the design effect."""
        return self.std_error * math.sqrt(max(1.0, self.design_effect or 1.0))

    def estimates(self) -> dict[str, Estimate]:
        """Return alpha, zeta, x_min, n_tail and ks."""
        return {
            "alpha": Estimate(value=self.alpha, std_error=self.std_error_clustered),
            "zeta": Estimate(value=self.zeta, std_error=self.std_error_clustered),
            "x_min": Estimate(value=self.x_min, unit="data"),
            "n_tail": Estimate(value=float(self.n_tail), unit="items"),
            "n_distinct": Estimate(
                value=None if self.n_distinct is None else float(self.n_distinct), unit="values"
            ),
            "ks": Estimate(value=self.ks),
        }


@registered
@dataclass(frozen=True, eq=False, kw_only=True)
class GoodnessOfFit:
    """Semi-parametric bootstrap of the KS distance.

    Parameters
    ----------
    p_value
        Share of replicates that fit worse than the data; CSN reject the power law below .1.
    mc_error
        Monte Carlo standard error of p_value.
    ks_replicates : (r,) float64
        KS distance of each replicate, x_min and alpha refitted.
    """

    p_value: float
    mc_error: float
    n_replications: int
    ks_replicates: Floats


def fit_tail(
    data: Counts | ArrayLike,
    *,
    discrete: bool = True,
    x_min: float | None = None,
    n_tail_min: int = 2,
    design_effect: float | None = None,
) -> TailFit:
    """Fit a power law to the upper tail.

    Parameters
    ----------
    data
        Counts, or a flat array of non-negative numbers. Zeros are reported, never in the tail.
    discrete
        Exact likelihood for counts (True) or for continuous sizes (False).
    x_min
        Lower end of the tail; None scans every distinct value for the smallest KS distance.
    n_tail_min
        Smallest tail the scan considers, at least 2.
    design_effect
        Variance inflation by clusters, if known (see `estimation.clusters`).

    Raises
    ------
    DataError
        All zeros, fewer than two distinct positive values, fractions given as counts.
    """
    counts = as_counts(data)
    tail = counts.positive()
    if discrete and not tail.is_integer:
        raise DataError(
            "some values are not whole numbers (or exceed 2^53): fit them as continuous sizes"
        )
    if tail.n_unique < 2:
        raise DataError(
            f"all {tail.n_obs} positive values equal {tail.values[0]:g}: "
            "a tail needs at least two distinct values"
        )
    if x_min is None:
        index, _, ks = _scan(tail, discrete, max(2, n_tail_min))
        if index < 0:
            raise DataError(
                f"no x_min leaves a tail of {n_tail_min} items with two distinct values; "
                "lower n_tail_min"
            )
        tail = Counts(values=tail.values[index:], multiplicities=tail.multiplicities[index:])
        x_min = float(tail.values[0])
    else:
        x_min = _checked_x_min(x_min, discrete)
        tail = tail.at_least(x_min)
        ks = math.nan
    return _fit_at(counts, tail, x_min, discrete, ks, design_effect)


def _checked_x_min(x_min: float, discrete: bool) -> float:
    if not math.isfinite(x_min) or x_min <= 0:
        raise DataError(f"x_min = {x_min:g} must be a positive number")
    if discrete and x_min != math.floor(x_min):
        raise DataError(f"x_min = {x_min:g} must be a whole number for counts")
    return float(x_min)


def _suffix_sums(tail: Counts) -> tuple[Ints, Floats]:
    logs: Floats = np.log(tail.values) * tail.multiplicities
    sums: Floats = np.cumsum(logs[::-1], dtype=np.float64)[::-1]
    return tail.exceedances(), sums


def _scan(tail: Counts, discrete: bool, n_tail_min: int) -> tuple[int, float, float]:
    above, log_sums = _suffix_sums(tail)
    found: tuple[int, float, float] = kernels.scan_x_min(
        tail.values, above, log_sums, discrete, n_tail_min, 0
    )
    return found


def _fit_at(
    counts: Counts,
    tail: Counts,
    x_min: float,
    discrete: bool,
    ks: float,
    design_effect: float | None,
) -> TailFit:
    n = tail.n_obs
    mean_log = tail.sum(np.log(tail.values / x_min)) / n
    if mean_log <= 0:
        raise DataError(f"all {n} values from x_min = {x_min:g} on are equal: choose a lower x_min")
    notes: list[str] = []
    if discrete:
        start = kernels.discrete_start(mean_log, x_min)
        alpha, information, steps = kernels.discrete_mle(mean_log, x_min, start)
        if steps < 0:
            raise DataError(
                f"almost all values equal x_min = {x_min:g} (alpha beyond 1000): "
                "this is no power law; choose a lower x_min"
            )
        std_error = 1.0 / math.sqrt(n * information)
        log_z = math.log(kernels.hurwitz_value(alpha, x_min, x_min))
        log_likelihood = -n * (log_z + alpha * mean_log)
    else:
        alpha = 1.0 + 1.0 / mean_log
        std_error = (alpha - 1.0) / math.sqrt(n)
        log_likelihood = n * (math.log((alpha - 1.0) / x_min) - alpha * mean_log)
    if math.isnan(ks):
        ks = _ks_at(tail, x_min, alpha, discrete)
    if n < 50:
        notes.append(f"only {n} items in the tail: the exponent is hardly determined")
    if counts.n_zero:
        notes.append(f"{counts.n_zero:,} of {counts.n_obs:,} items are zero, outside any tail")
    return TailFit(
        n_obs=counts.n_obs,
        n_used=n,
        notes=tuple(notes),
        alpha=float(alpha),
        std_error=std_error,
        x_min=x_min,
        n_tail=n,
        ks=float(ks),
        log_likelihood=log_likelihood,
        discrete=discrete,
        n_zero=counts.n_zero,
        n_distinct=tail.n_unique,
        design_effect=design_effect,
    )


def _ks_at(tail: Counts, x_min: float, alpha: float, discrete: bool) -> float:
    ks = kernels.discrete_ks if discrete else kernels.continuous_ks
    return float(ks(tail.values, tail.exceedances(), 0, x_min, alpha, math.inf))


def tail_ccdf(fit: TailFit, x: ArrayLike) -> Floats:
    """Return the fitted P(X >= x | X >= x_min) at the points x >= x_min."""
    points = np.asarray(x, dtype=np.float64)
    if not fit.discrete:
        continuous: Floats = (points / fit.x_min) ** -fit.zeta
        return continuous
    total = kernels.hurwitz_value(fit.alpha, fit.x_min, fit.x_min)
    ratios = [kernels.hurwitz_value(fit.alpha, q, fit.x_min) / total for q in np.ceil(points)]
    return np.array(ratios)


def draw_tail(fit: TailFit, size: int, rng: np.random.Generator) -> Floats:
    """Draw from the fitted tail, exactly.

    Continuous: inversion. Counts: Devroye's rejection from the floor of a Pareto variable,
    whose acceptance is largest at x_min, so that no table and no truncation is needed.
    """
    if not fit.discrete:
        draws: Floats = fit.x_min * (1.0 - rng.random(size)) ** (-1.0 / fit.zeta)
        return draws
    out = np.empty(size)
    filled = 0
    most = _acceptance(fit.x_min, fit.alpha)
    while filled < size:
        need = size - filled
        x = np.floor(fit.x_min * (1.0 - rng.random(need + need // 2 + 16)) ** (-1.0 / fit.zeta))
        x = x[np.isfinite(x)]
        keep = x[rng.random(x.size) * most <= _acceptance(x, fit.alpha)][:need]
        out[filled : filled + keep.size] = keep
        filled += keep.size
    return out


def _acceptance(x: Floats | float, alpha: float) -> Floats:
    # x^-alpha over the mass that the floored Pareto puts on x, up to a constant; falls in x.
    t = 1.0 / np.asarray(x)
    return np.asarray(t / -np.expm1((1.0 - alpha) * np.log1p(t)))


def goodness_of_fit(
    data: Counts | ArrayLike,
    fit: TailFit,
    *,
    n_replications: int = 2500,
    seed: int | np.random.SeedSequence = 0,
    progress: Progress | None = None,
) -> GoodnessOfFit:
    """Return the p-value of the power law by CSN's semi-parametric bootstrap.

    Each replicate keeps the number of items, draws the body from the data below x_min and the
    tail from the fit, and is fitted with its own x_min. Replicate i uses the i-th child of the
    seed, so the result does not depend on how the work is split.
    """
    if n_replications < 1:
        raise DataError(f"n_replications = {n_replications} must be at least 1")
    positive = as_counts(data).positive()
    below = positive.values < fit.x_min
    body, weights = positive.values[below], positive.multiplicities[below]
    n, n_body = positive.n_obs, int(weights.sum())
    shares = weights / n_body if n_body else weights.astype(np.float64)
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    distances = np.empty(n_replications)
    for i, child in enumerate(root.spawn(n_replications)):
        rng = np.random.default_rng(child)
        n_tail = int(rng.binomial(n, fit.n_tail / n))
        parts_v: list[Floats] = [draw_tail(fit, n_tail, rng)]
        parts_m: list[Ints] = [np.ones(n_tail, dtype=np.int64)]
        if n_body:
            drawn = rng.multinomial(n - n_tail, shares)
            parts_v.append(body[drawn > 0])
            parts_m.append(drawn[drawn > 0])
        replicate = Counts.from_pairs(np.concatenate(parts_v), np.concatenate(parts_m))
        _, _, distances[i] = _scan(replicate, fit.discrete, 2)
        if progress is not None:
            progress(i + 1, n_replications)
    p = float(np.mean(distances >= fit.ks))
    return GoodnessOfFit(
        p_value=p,
        mc_error=math.sqrt(max(p * (1 - p), 1 / n_replications) / n_replications),
        n_replications=n_replications,
        ks_replicates=distances,
    )
