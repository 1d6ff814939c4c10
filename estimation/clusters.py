"""Design effects: how much clusters inflate the variance of a tail statistic.

One author's models are not independent draws. With influence values psi_i of a statistic,
summed within clusters c, the variance grows by

    deff = sum_c (sum_{i in c} psi_i)^2 / sum_i psi_i^2,

the ratio of the cluster-robust to the independent sandwich. A design effect is a number, so a
frequency table that carries no authors can still carry clustered intervals. The psi_i of an
optimum sum to zero: one cluster would always give 0 and a few give too little, so the first is
refused and the second noted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baimo.estimation import kernels
from baimo.estimation.counts import Counts, Floats
from baimo.estimation.errors import DataError

if TYPE_CHECKING:
    from baimo.estimation.tail_index import IndexFit
    from baimo.estimation.tails import TailFit
    from baimo.estimation.zipf import ZipfFit


FEWEST = 2
FEW = 30  # below, the spread between clusters is itself badly known


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
    effect, _ = _effect(influence, clusters, "the sample")
    return effect


def _effect(influence: Floats, clusters: NDArray[Any], where: str) -> tuple[float, int]:
    """Return (variance inflation, number of clusters)."""
    if influence.shape != clusters.shape:
        raise DataError(
            f"{influence.size} influence values but {clusters.size} cluster labels; "
            "give one label for each item"
        )
    _, codes = np.unique(clusters, return_inverse=True)
    sums = np.bincount(codes, weights=influence)
    refuse_few(int(sums.size), clusters.size, where)
    return float(np.sum(sums**2) / np.sum(influence**2)), int(sums.size)


def refuse_few(n_clusters: int, n_items: int, where: str) -> None:
    """Refuse a single cluster.

    Raises
    ------
    DataError
        All items in one cluster.
    """
    if n_clusters < FEWEST:
        raise DataError(
            f"all {n_items:,} items of {where} are in one cluster, which says nothing about the "
            "spread between clusters: leave the clusters out, or choose labels that differ"
        )


def cluster_notes(n_clusters: int) -> tuple[str, ...]:
    """Say so where the clusters are too few for a reliable error."""
    if n_clusters >= FEW:
        return ()
    return (f"only {n_clusters} clusters in the tail: the clustered error is itself uncertain",)


def tail_design_effect(
    sizes: NDArray[Any], clusters: NDArray[Any], fit: TailFit
) -> tuple[float, int]:
    """Return (design effect of alpha at fixed x_min, number of clusters in the tail).

    The influence of an item is its score, E[log x] - log x under the fit.
    """
    inside = (sizes >= fit.x_min) & (sizes <= fit.top)
    logs = np.log(sizes[inside] / fit.x_min)
    expected, _ = kernels.log_moments(fit.alpha, fit.x_min, fit.top, fit.discrete)
    return _effect(expected - logs, clusters[inside], "the tail")


def index_design_effect(
    sizes: NDArray[Any], clusters: NDArray[Any], fit: IndexFit
) -> tuple[float, int]:
    """Return (design effect of zeta, number of clusters among the k largest).

    Raises
    ------
    DataError
        One cluster, or a method without a known influence function (Pickands).
    """
    inside = sizes > fit.threshold
    logs = np.log(sizes[inside] / fit.threshold)
    return _effect(index_influence(logs, fit.method), clusters[inside], "the tail")


def index_influence(logs: Floats, method: str) -> Floats:
    """Return each item's influence on gamma, given its log excess over the threshold.

    Hill (and the corrected one, whose factor is taken as given): y - M_1. Moment: the delta
    method on M_1 and M_2. Kernel: with phi(s) = s K(s) gamma is int phi(S(z)) dz, S(z) the share
    of the tail above z, so that the influence of y is int_0^y phi'(S(z)) dz less its mean.
    """
    m1, m2 = float(np.mean(logs)), float(np.mean(logs**2))
    if method in ("hill", "hill_corrected"):
        influence = logs.copy()
    elif method == "moment":
        bend = 0.5 / (1.0 - m1**2 / m2) ** 2
        influence = (1.0 - bend * 2.0 * m1 / m2) * logs + bend * (m1 / m2) ** 2 * logs**2
    elif method == "kernel":
        order = np.argsort(-logs, kind="stable")
        gaps = -np.diff(logs[order], append=0.0)
        share = np.arange(1, logs.size + 1) / logs.size
        slope = 15.0 / 8.0 * (1.0 - share**2) * (1.0 - 5.0 * share**2)
        influence = np.empty_like(logs)
        influence[order] = np.cumsum((slope * gaps)[::-1])[::-1]
    else:
        raise DataError(f"no design effect is known for {method!r}: take its items as independent")
    centred: Floats = influence - influence.mean()
    return centred


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
    return _effect(influence - influence.mean(), clusters[order], "the tail")
