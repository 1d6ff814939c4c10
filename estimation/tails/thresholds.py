"""Which other x_min fit about as well as the one that the scan chose, and what zeta they give.

The x_min with the smallest Kolmogorov-Smirnov distance is a noisy choice [DreesEtAl2020], and
where a slowly varying factor bends the tail, zeta drifts with it [VoitalovEtAl2019].
`threshold_range` is the curve of `baimo.estimation.tails.power_law.tail_path` in a few numbers: it
applies the one-standard-error rule of [BreimanEtAl1984] to the distance. Near-minimal is every
x_min whose distance exceeds the smallest by no more than the sampling standard deviation of the
distance of a power law that was fitted to as many items, `KS_SPREAD` / sqrt(n_tail).

`KS_SPREAD` is simulated (tests/benchmarks/thresholds.py). Under the law log(x / x_min) zeta is
standard exponential, so that the distance has one distribution for all zeta. The standard deviation
of sqrt(n) times the distance of n exponentials from the exponential of their mean is .194 (n = 10),
.196 (30), .195 (100), .194 (300), .193 (1,000), .193 (3,000); two-sided .184 to .194. Exact power
laws of counts have .18 to .20 from x_min = 5 on (alpha 1.7 to 3) and less below, .09 to .18 at
x_min = 1 and 2, where few values hold most items: there the rule is generous.

Where items come in clusters the distance spreads more. With the labels, `clustered_spread` measures
by how much at each x_min.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baimo.estimation.arrays import Floats
from baimo.estimation.results import registered
from baimo.estimation.samples.clusters import checked_labels
from baimo.estimation.tails.bootstrap import Seed
from baimo.estimation.tails.clustered import clustered_goodness_of_fit
from baimo.estimation.tails.power_law import TailFit, TailPath, fit_tail

KS_SPREAD = 0.19
"""Standard deviation of sqrt(n_tail) times the KS distance of a fitted power law."""


@registered("ThresholdRange")
@dataclass(frozen=True, kw_only=True)
class ThresholdRange:
    """The near-minimal x_min of a scan, and between which values n_tail and zeta lie over them.

    Parameters
    ----------
    x_min_lowest, x_min_highest
        Lowest and highest near-minimal x_min; between them may lie some that fit worse.
    n_tail_lowest, n_tail_highest
        Items in the shortest and in the longest of these tails.
    zeta_lowest, zeta_highest
        Smallest and largest zeta of these tails.
    share
        Share of the candidates of the path, about evenly spaced in log n_tail, in [0, 1].
    """

    x_min_lowest: float
    x_min_highest: float
    n_tail_lowest: int
    n_tail_highest: int
    zeta_lowest: float
    zeta_highest: float
    share: float


def near_minimal(path: TailPath, *, spread: float | Floats = KS_SPREAD) -> NDArray[np.bool_]:
    """Return which candidates of a path have a near-minimal KS distance: (m,) bool.

    Parameters
    ----------
    path
        What `tail_path` returns of the fit.
    spread
        Standard deviation of sqrt(n_tail) times the distance, or one for each candidate, (m,);
        a candidate for which it is NaN is not near.
    """
    near: NDArray[np.bool_] = path.ks - path.ks.min() <= spread / np.sqrt(path.n_tail)
    return near


def threshold_range(path: TailPath, *, spread: float | Floats = KS_SPREAD) -> ThresholdRange:
    """Return between which values x_min, n_tail and zeta lie where the distance is near-minimal.

    A range of estimates, no interval: it holds the true zeta in .35 to .47 of samples, of exact
    power laws above a uniform body (500 to 20,000 items) as of Frechet and Burr laws, whose tail
    bends (1,000 and 10,000 items). From the lowest to the highest end of the 95 % intervals of the
    near-minimal tails it lies in .97 to 1 of the exact ones and .85 to .92 of the bent ones, where
    the interval at the x_min of the scan covers .87 to .94 and .51 to .62
    (tests/benchmarks/README.md). Parameters as `near_minimal`.
    """
    near = near_minimal(path, spread=spread)
    x_min, n_tail, zeta = path.x_min[near], path.n_tail[near], path.alpha[near] - 1.0
    return ThresholdRange(
        x_min_lowest=float(x_min.min()),
        x_min_highest=float(x_min.max()),
        n_tail_lowest=int(n_tail.min()),
        n_tail_highest=int(n_tail.max()),
        zeta_lowest=float(zeta.min()),
        zeta_highest=float(zeta.max()),
        share=float(near.mean()),
    )


def clustered_spread(
    data: ArrayLike,
    fit: TailFit,
    clusters: ArrayLike,
    path: TailPath,
    *,
    n_replications: int = 200,
    seed: Seed = 0,
) -> Floats:
    """Return the spread of the KS distance where items come in clusters: (m,), for `near_minimal`.

    At each candidate of `path` the standard deviation of sqrt(n_tail) times the distances of
    `clustered_goodness_of_fit`; 200 replications give it to a twentieth. NaN for a tail of one
    cluster. It takes half a minute for the 384,000 downloaded models of the Hub's listing.

    Parameters
    ----------
    data : (n,)
        The sample that `fit` was made from, item by item.
    clusters : (n,)
        Label of each item's cluster (its author), numbers or text.
    n_replications, seed
        Sets of signs at each candidate, and what they are drawn from.

    Raises
    ------
    DataError
        Labels that do not match or are missing.
    """
    labels, sizes = checked_labels(data, clusters), np.asarray(data, dtype=np.float64)
    found = np.full(path.x_min.size, np.nan)
    for i, x_min in enumerate(path.x_min):
        inside = (sizes >= x_min) & (sizes <= fit.top)
        items, owners = sizes[inside], labels[inside]
        if np.all(owners == owners[0]):
            continue
        tail = fit_tail(
            items, discrete=fit.discrete, x_min=float(x_min), x_max=fit.x_max, ks=fit.ks_kind
        )
        drawn = clustered_goodness_of_fit(
            items, tail, owners, n_replications=n_replications, seed=seed, keep_distances=True
        ).ks_replicates
        found[i] = np.asarray(drawn, dtype=np.float64).std() * np.sqrt(tail.n_tail)
    return found
