"""Design effects: how much clusters inflate the variance of a tail statistic.

One author's models are not independent draws. With influence values psi_i of a statistic,
summed within clusters c, the variance grows by

    deff = sum_c (sum_{i in c} psi_i)^2 / sum_i psi_i^2,

the ratio of the cluster-robust to the independent sandwich. A design effect is a number, so a
frequency table that carries no authors can still carry clustered intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimation import kernels
from estimation.counts import Counts, Floats
from estimation.errors import DataError

if TYPE_CHECKING:
    from estimation.tails import TailFit
    from estimation.zipf import ZipfFit


def checked_labels(data: Counts | ArrayLike, clusters: ArrayLike) -> NDArray[Any]:
    """Return the labels as an array.

    Raises
    ------
    DataError
        Compressed data, a wrong number of labels, missing labels.
    """
    if isinstance(data, Counts):
        raise DataError("clusters needs the items one by one: pass the array the labels belong to")
    labels = np.asarray(clusters)
    if labels.shape != np.shape(data):
        raise DataError(
            f"{np.size(data)} items but {labels.size} cluster labels; give one label for each"
        )
    missing = 0
    if labels.dtype.kind in "fO":
        missing = sum(1 for label in labels.tolist() if label is None or label != label)
    if missing:
        raise DataError(
            f"{missing} of {labels.size} cluster labels are missing; give an item without a "
            "cluster a label of its own"
        )
    return labels


def design_effect(influence: Floats, clusters: NDArray[Any]) -> float:
    """Return the variance inflation of a mean of influence values.

    Parameters
    ----------
    influence : (n,)
        Influence of each item on the statistic, up to a constant factor.
    clusters : (n,) numbers or text
        Label of each item's cluster.
    """
    if influence.shape != clusters.shape:
        raise DataError(
            f"{influence.size} influence values but {clusters.size} cluster labels; "
            "give one label for each item"
        )
    _, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, weights=influence)
    return float(np.sum(sums**2) / np.sum(influence**2))


def tail_design_effect(
    sizes: NDArray[Any], clusters: NDArray[Any], fit: TailFit
) -> tuple[float, int]:
    """Return (design effect of alpha at fixed x_min, number of clusters in the tail).

    The influence of an item is its score, E[log x] - log x under the fit.
    """
    inside = (sizes >= fit.x_min) & (sizes <= fit.top)
    logs = np.log(sizes[inside] / fit.x_min)
    expected, _ = kernels.log_moments(fit.alpha, fit.x_min, fit.top, fit.discrete)
    chosen = clusters[inside]
    return design_effect(expected - logs, chosen), int(np.unique(chosen).size)


def zipf_design_effect(
    sizes: NDArray[Any], clusters: NDArray[Any], fit: ZipfFit
) -> tuple[float, int]:
    """Return (design effect of the rank-size slope, number of clusters among the k largest).

    The slope is Cov(log R, Y) / Var(Y) with R the empirical survival of Y = log size; its
    influence function has the usual regression part and the part that comes through the
    ranks, (1/k) sum_{y_i <= z} (y_i - mean) / R_i.
    """
    order = np.argsort(-sizes, kind="stable")[: fit.k]
    y = np.log(sizes[order])
    rank = np.arange(1, fit.k + 1) - 0.5
    centred = y - y.mean()
    residual = np.log(rank) - np.log(rank).mean() - fit.slope * centred
    through_ranks = np.cumsum((centred / rank)[::-1])[::-1]
    influence = residual * centred + through_ranks
    chosen = clusters[order]
    influence = influence - influence.mean()
    return design_effect(influence, chosen), int(np.unique(chosen).size)
