"""Design effects: how much clusters inflate the variance of a tail statistic.

One author's models are not independent draws. With influence values psi_i of a statistic,
summed within clusters c, the variance grows by

    deff = sum_c (sum_{i in c} psi_i)^2 / sum_i psi_i^2,

the ratio of the cluster-robust to the independent sandwich. A design effect is a number, so a
frequency table that carries no authors can still carry clustered intervals. The psi_i of an
optimum sum to zero: one cluster would always give 0 and a few give too little, so the first is
refused and the second noted.

The error of the statistic itself comes from leaving out one cluster at a time. Clusters that hold
few of the items leave it at the sandwich error; where one holds a sixth of them, the sandwich is
too small, because the estimate has moved towards that cluster, and the jackknife is not. For
statistics that are no means, `refitted_error` leaves out the large clusters in fact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats, Ints, Values
from baimo.estimation.errors import DataError
from baimo.estimation.samples.counts import Counts

FEWEST = 2
SINGULAR = 1e12  # condition number of an information that says nothing
FEW = 30  # below, the spread between clusters is itself badly known
LARGE = 0.01  # share of the items from which on a cluster is left out in fact
LARGEST_SHARE = 1 / 3  # of the items in one cluster: with more, clustered tests reject too often


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


@dataclass(frozen=True, eq=False)
class ClusterSums:
    """Influence values psi_i of a mean, summed within clusters.

    Parameters
    ----------
    labels : (g,)
        Of the clusters, ascending.
    sums : (g,)
        Sum of the influence values of each cluster.
    sizes : (g,)
        Items of each.
    squares
        Sum of the squared influence values of all items.
    """

    labels: Values
    sums: Floats
    sizes: Ints
    squares: float

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return self.sums.size

    @property
    def design_effect(self) -> float:
        """Clustered over independent variance."""
        return float(np.sum(self.sums**2) / self.squares)

    @property
    def effective_clusters(self) -> float:
        """Number of equal clusters whose shares of the variance are as uneven, at least 1."""
        return effective_number(self.sums)

    @property
    def largest(self) -> int:
        """Place of the cluster whose absence moves the mean most."""
        return int(np.argmax(np.abs(self.sums / np.maximum(self.sizes.sum() - self.sizes, 1))))

    @property
    def notes(self) -> tuple[str, ...]:
        """Say so where the clusters are too few, or one of them too large."""
        share = float(self.sizes.max() / self.sizes.sum())
        if share <= LARGEST_SHARE:
            return cluster_notes(self.n_clusters)
        return (
            *cluster_notes(self.n_clusters),
            f"one cluster holds {share:.0%} of the tail: tests that know clusters reject too "
            "often, and intervals are too narrow",
        )

    @property
    def jackknife_error(self) -> float:
        """Standard error of the mean of psi, by leaving out one cluster at a time.

        One step: without a cluster of n_c among n items, whose values sum to S_c, the estimate
        moves by -S_c / (n - n_c).
        """
        left = self.sizes.sum() - self.sizes
        g = self.n_clusters
        return math.sqrt((g - 1) / g * float(np.sum((self.sums / left) ** 2)))


def refitted_error(found: ClusterSums, value: float, again: Callable[[Any], float]) -> float:
    """Return the standard error by leaving out one cluster at a time, the large ones in fact.

    Parameters
    ----------
    found
        Influence values, summed within clusters; small clusters are left out to first order.
    value
        The statistic.
    again
        Returns it without the cluster of a label; asked for those that hold over a hundredth of the
        items, and passed over where it is not finite.
    """
    left = found.sizes.sum() - found.sizes
    moves = -found.sums / left
    for c in np.flatnonzero(found.sizes > LARGE * found.sizes.sum()):
        moved = again(found.labels[c]) - value
        if math.isfinite(moved):
            moves[c] = moved
    g = found.n_clusters
    return math.sqrt((g - 1) / g * float(np.sum(moves**2)))


def effective_number(sums: Floats) -> float:
    """Return the inverse Herfindahl index of the clusters' shares of a variance.

    The share of a cluster is its squared sum over that of all. It is the number of clusters where
    their shares are equal, and 1 where one cluster is all of the variance.
    """
    shares = sums**2 / np.sum(sums**2)
    return float(1.0 / np.sum(shares**2))


def sum_clusters(influence: Floats, clusters: Values, where: str) -> ClusterSums:
    """Sum influence values within clusters.

    Raises
    ------
    DataError
        A wrong number of labels, or a single cluster; `where` names the items in the message.
    """
    if influence.shape != clusters.shape:
        raise DataError(
            f"{influence.size} influence values but {clusters.size} cluster labels; "
            "give one label for each item"
        )
    labels, codes = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(codes)
    refuse_few(int(sizes.size), clusters.size, where)
    return ClusterSums(
        labels=labels,
        sums=np.bincount(codes, weights=influence).astype(np.float64),
        sizes=sizes,
        squares=float(np.sum(influence**2)),
    )


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
