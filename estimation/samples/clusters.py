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

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats, Ints, Values
from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts

FEWEST = 2
SINGULAR = 1e12  # condition number of an information that says nothing
FEW = 30  # below, the spread between clusters is itself badly known


def checked_labels(data: Counts | ArrayLike, clusters: ArrayLike) -> Values:
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


def design_effect(influence: Floats, clusters: Values) -> float:
    """Return the variance inflation of a mean of influence values.

    Parameters
    ----------
    influence : (n,)
        Influence of each item on the statistic, up to a constant factor.
    clusters : (n,) numbers or text
        Label of each item's cluster.
    """
    effect, _ = clustered_effect(influence, clusters, "the sample")
    return effect


def clustered_effect(influence: Floats, clusters: Values, where: str) -> tuple[float, int]:
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


def jackknife_covariance(
    design: Floats, weights: Floats | float, residual: Floats, codes: Ints
) -> Floats:
    """Return the covariance of an estimate by the jackknife over clusters in one step (CR3).

    Each cluster's score is divided by the information of all others [MacKinnonWhite1985]: with
    heavy-tailed regressors the plain sandwich is too small. With a cluster for each item it is HC3
    of least squares times (n - 1)/n.

    Parameters
    ----------
    design : (n, k)
        Regressors.
    weights : (n,) or 1
        Information of each item: 1 of least squares, the mean of a Poisson.
    residual : (n,)
        Observed less fitted.
    codes : (n,)
        Cluster of each item, whole numbers.

    Raises
    ------
    DataError
        A single cluster, or one without which nothing can be estimated.
    """
    _, own = np.unique(codes, return_inverse=True)
    n, k = int(own.max()) + 1, design.shape[1]
    refuse_few(n, own.size, "the sample")
    held = np.empty((n, k, k))
    for i in range(k):
        for j in range(i + 1):
            products = design[:, i] * design[:, j] * weights
            held[:, i, j] = held[:, j, i] = np.bincount(own, weights=products)
    scores = np.column_stack([np.bincount(own, weights=c * residual) for c in design.T])
    rest = held.sum(axis=0) - held
    if np.linalg.cond(rest).max() > SINGULAR:
        raise DataError(
            "without one cluster (or item) nothing can be estimated: its error is not known; take "
            "more of them"
        )
    moves = np.linalg.solve(rest, scores[:, :, None])[:, :, 0]
    return np.asarray(moves.T @ moves * ((n - 1.0) / n))


def cluster_notes(n_clusters: int) -> tuple[str, ...]:
    """Say so where the clusters are too few for a reliable error."""
    if n_clusters >= FEW:
        return ()
    return (f"only {n_clusters} clusters in the tail: the clustered error is itself uncertain",)
