"""Influence of single items on statistics and estimates, for errors that know clusters.

The influence psi_i of an item is what it adds to an estimate: to first order the estimate moves by
-psi_i when the item is left out, and by the sum over a cluster when the cluster is (one step of the
delete-a-group jackknife), divided by the share 1 - h_c of the information that the others leave:
where one cluster holds a sixth of it, the plain sum is that much too small. These moves give the
covariance of several estimates at once,

    Cov = sum_c m_c m_c',   m_c = sum_{i in c} psi_i/(1 - h_c).

The influences of all items sum to zero. Functions take distinct values with their multiplicities
and return the influence of one item of each value.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import DataError

_OF_AN_ERROR = 0.01  # step of the differences
_TURNS = 2  # of the axes


def share_influence(inside: Floats, within: Floats, multiplicities: Floats) -> tuple[float, Floats]:
    """Return (share, influence) of the items inside among those within.

    Parameters
    ----------
    inside, within : (n,) 0 or 1
        Whether items of a value are counted above, and below, the fraction line.
    multiplicities : (n,)
        Items of each value.

    Raises
    ------
    DataError
        There is no item within.
    """
    n = float(within @ multiplicities)
    if n == 0:
        raise DataError("no item to take the share of")
    share = float((inside * within) @ multiplicities) / n
    return share, within * (inside - share) / n


def log10_number_influence(
    inside: Floats, multiplicities: Floats, scale: float = 1.0
) -> tuple[float, Floats]:
    """Return (log10 of one more than the number of items inside, influence).

    Parameters
    ----------
    inside : (n,) 0 or 1
        Whether items of a value are counted.
    multiplicities : (n,)
        Items of each value.
    scale
        Items of the sample to which the number is brought, for each that is here.
    """
    n = scale * float(inside @ multiplicities)
    share = n / (scale * float(multiplicities.sum()))
    return float(np.log10(1.0 + n)), scale * (inside - share) / ((1.0 + n) * np.log(10.0))


def top_share_influence(
    values: Floats, multiplicities: Floats, share: float
) -> tuple[float, Floats]:
    """Return (share of the total held by the largest positive items, influence).

    Parameters
    ----------
    values, multiplicities : (n,)
        Distinct values, ascending, not negative, and items of each.
    share
        Of the positive items, in (0, 1): how many are the largest.
    """
    positive = values > 0
    total, n = float(values @ multiplicities), float(multiplicities[positive].sum())
    if total <= 0:
        raise DataError("all values are zero: there is nothing to share out; check the column")
    k = max(1.0, round(n * share))
    above = np.cumsum(multiplicities[::-1])[::-1]
    edge = float(values[np.flatnonzero(above >= k)[-1]])
    excess = np.maximum(values - edge, 0.0)
    held = (float(excess @ multiplicities) + edge * k) / total
    return held, (excess + edge * (k / n) * positive - held * values) / total


def zeta_influence(
    values: Floats, multiplicities: Floats, x_min: float, *, alpha: float, discrete: bool
) -> Floats:
    """Return the influence on the exponent of a power-law tail from a given x_min on.

    Parameters
    ----------
    values, multiplicities : (n,)
        Distinct values, and items of each.
    alpha
        Density exponent fitted from x_min on.
    discrete
        Zeta distribution of counts, else Pareto.
    """
    tail = values >= x_min
    logs = np.log(np.where(tail, values, x_min) / x_min)
    n = float(multiplicities[tail].sum())
    mean = float(logs @ multiplicities) / n
    variance = 1.0 / (alpha - 1.0) ** 2
    if discrete:
        steps = np.array([-1e-3, 0.0, 1e-3])
        low, at, high = np.log(special.zeta(alpha + steps, x_min))
        variance = (high - 2.0 * at + low) / 1e-6
    return np.asarray(np.where(tail, (mean - logs) / (n * variance), 0.0))


def likelihood_influence(
    log_likelihood: Callable[[Floats], Floats],
    estimate: Floats,
    std_errors: Floats,
    multiplicities: Floats,
) -> Floats:
    """Return the influence of each value on a maximum-likelihood estimate.

    The score times the inverse of the observed information, both by central differences over a
    hundredth of a standard error along the principal axes of the information: along the axes of the
    parameters, where these hang together, the flat direction would be lost.

    Parameters
    ----------
    log_likelihood
        Returns the log likelihood of every value at given parameters, (n,).
    estimate, std_errors : (p,)
        Parameters at the maximum, and about how far off they are.
    multiplicities : (n,)
        Items of each value.

    Returns
    -------
    (n, p) float64

    Raises
    ------
    DataError
        The information is not positive: the estimate is no maximum.
    """
    axes = _OF_AN_ERROR * np.diag(std_errors)  # one a row
    for _ in range(_TURNS):
        curvature = _curvature(log_likelihood, estimate, axes, multiplicities)
        values, vectors = np.linalg.eigh(curvature)
        if not np.all(np.isfinite(values)) or values[0] <= 0:
            raise DataError("the information is not positive: the estimate is no maximum")
        axes = _OF_AN_ERROR * (vectors / np.sqrt(values)).T @ axes
    curvature = _curvature(log_likelihood, estimate, axes, multiplicities)
    slopes = np.stack(
        [0.5 * (log_likelihood(estimate + e) - log_likelihood(estimate - e)) for e in axes], axis=1
    )
    centred = slopes - multiplicities @ slopes / multiplicities.sum()
    return np.asarray(np.linalg.solve(curvature, centred.T).T @ axes)


def _curvature(
    log_likelihood: Callable[[Floats], Floats], at: Floats, axes: Floats, multiplicities: Floats
) -> Floats:
    """Return minus the second differences of the total along axes, symmetric."""

    def total(x: Floats) -> float:
        return float(np.sum(multiplicities * log_likelihood(x)))

    p, middle = at.size, total(at)
    out = np.empty((p, p))
    for i in range(p):
        out[i, i] = 2.0 * middle - total(at + axes[i]) - total(at - axes[i])
        for j in range(i):
            both, apart = axes[i] + axes[j], axes[i] - axes[j]
            mixed = total(at + apart) + total(at - apart) - total(at + both) - total(at - both)
            out[i, j] = out[j, i] = 0.25 * mixed
    return out


def cluster_moves(
    influence: Floats, cells: Ints, clusters: Ints, information: Floats | None = None
) -> Floats:
    """Return by how much each cluster raises an estimate: what it falls by when left out.

    The sum of the influences of its items, over the share of the information that the others
    leave: exact for a share and for a mean, whose denominators shrink with the cluster.

    Parameters
    ----------
    influence : (n,)
        Of one item of each value.
    cells : (m,)
        Place of each item's value.
    clusters : (m,)
        Number of each item's cluster, from 0.
    information : (n,)
        What one item of each value adds to the denominator of the estimate, up to a factor; None:
        no cluster has a share of it that matters.

    Returns
    -------
    (clusters,) float64
        Infinite where a cluster is all that there is.
    """
    sums = np.bincount(clusters, weights=influence[cells]).astype(np.float64)
    if information is None:
        return sums
    held = np.bincount(clusters, weights=information[cells])
    others = held.sum() - held
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = sums * held.sum() / others
    return np.asarray(np.where(others > 0, moves, np.where(held > 0, np.inf, sums)))
