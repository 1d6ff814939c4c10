"""Series behind the pictures: rank-size, CCDF, Lorenz curve, thinned in log space.

Three million items have about ten thousand distinct values; a picture needs fewer still. Points
are kept evenly in both logarithms, so that neither the steep nor the flat part thins out. The
path of the tail fit is `baimo.estimation.tails.power_law.tail_path`, those of Hill and its kin
`baimo.estimation.tails.tail_index.index_path`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts, as_counts

POINTS = 2000
Line = tuple[Floats, Floats]


def ccdf_series(data: Counts | ArrayLike, n_points: int = POINTS) -> Line:
    """Return (x, P(X >= x)) at distinct positive values; the share is of all items, zeros too.

    Parameters
    ----------
    n_points
        The most that are returned, at least 2; the ends are always among them.
    """
    counts = as_counts(data)
    x, rank = rank_size_series(counts, n_points)
    return x, rank / counts.n_obs


def rank_size_series(data: Counts | ArrayLike, n_points: int = POINTS) -> Line:
    """Return (size, rank) at the last item of each distinct positive value, sizes ascending."""
    positive = as_counts(data).positive()
    rank = positive.exceedances().astype(np.float64)
    keep = _thinned((np.log(positive.values), np.log(rank)), n_points)
    return positive.values[keep], rank[keep]


def lorenz_series(data: Counts | ArrayLike, n_points: int = POINTS) -> Line:
    """Return (share of items from the smallest on, their share of the total), from (0, 0) on.

    Thinned in the logarithm of what lies above, where heavy tails keep their mass.

    Raises
    ------
    DataError
        The total is zero.
    """
    if n_points < 3:
        raise DataError(f"n_points = {n_points} must be at least 3")
    counts = as_counts(data)
    if counts.total <= 0:
        raise DataError("all values are zero: there is nothing to share out; check the column")
    items = np.cumsum(counts.multiplicities) / counts.n_obs
    mass = np.cumsum(counts.values * counts.multiplicities) / counts.total
    above = counts.exceedances().astype(np.float64)
    keep = _thinned((np.log(above),), n_points - 1)
    return np.append(0.0, items[keep]), np.append(0.0, mass[keep])


def _thinned(logs: tuple[Floats, ...], n_points: int) -> NDArray[np.bool_]:
    """Mark the first element in each of equal cells of every coordinate, and both ends."""
    if n_points < 2:
        raise DataError(f"n_points = {n_points} must be at least 2")
    size = logs[0].size
    keep = np.full(size, size <= n_points)
    keep[[0, -1]] = True
    cells = (n_points - 2) // len(logs)
    if size <= n_points or cells < 1:
        return keep
    for log in logs:
        span = float(log.max() - log.min())
        place = np.minimum(np.floor((log - log.min()) / span * cells), cells - 1)
        keep[np.unique(place, return_index=True)[1]] = True
    return keep


def ks_of_cdf(model_cdf: Floats) -> float:
    """Return the Kolmogorov-Smirnov distance of a model from a sample.

    Parameters
    ----------
    model_cdf : (n,)
        The model's distribution function at the sorted sample.
    """
    n = model_cdf.size
    steps = np.arange(n + 1) / n
    return float(max(np.max(model_cdf - steps[:-1]), np.max(steps[1:] - model_cdf)))
