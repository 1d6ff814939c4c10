"""The later size against the earlier: a power of it, those that vanished included.

    E[s_i'] = exp(c + b log s_i)

by Poisson pseudo maximum likelihood, right when the mean is, whatever the variance
[GourierouxEtAl1984], and with a later size of zero [SantosSilvaTenreyro2006]. b = 1 is growth in
proportion *in the mean*; the slope of log growth, of survivors alone, is another number wherever
the spread of growth or the share of exits depends on size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.results import registered
from baimo.estimation.samples.clusters import jackknife_covariance
from baimo.estimation.samples.labels import label_codes

FEWEST = 20
_STEPS = 100
_HALVINGS = 40


@registered("LaterSize")
@dataclass(frozen=True, kw_only=True)
class LaterSize:
    """Power of the earlier size to which the later one is proportional in the mean.

    Parameters
    ----------
    exponent, std_error
        b, and its error: one-step jackknife over clusters, or over items without labels. Normal
        intervals of 95 % cover .945 of lognormal sizes (sd .5 in logs), .92 of a Pareto of 2.5.
    n_used, n_gone
        Items chosen by their earlier size, and those among them whose later size is zero.
    n_clusters
        Clusters behind the error, None without labels.
    """

    exponent: float
    std_error: float
    n_used: int
    n_gone: int
    n_clusters: int | None = None


def fit_later_size(
    before: ArrayLike,
    after: ArrayLike,
    *,
    above: float = 0.0,
    clusters: ArrayLike | None = None,
) -> LaterSize:
    """Estimate the power of the earlier size to which the later size is proportional.

    Parameters
    ----------
    before, after : (n,)
        Size on the earlier and the later date, not negative; NaN or 0 in `after`: gone.
    above
        Items beyond this size on the earlier date are chosen, whatever became of them.
    clusters : (n,), optional
        Labels (owners); the error allows for any dependence within them.

    Raises
    ------
    DataError
        Fewer than twenty items, all of one size, or nothing left of any.
    ConvergenceError
        The likelihood has no optimum; the last iterate is in the error.
    """
    start, end = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if start.shape != end.shape or start.ndim != 1:
        raise DataError(f"before and after must match; got shapes {start.shape}, {end.shape}")
    end = np.nan_to_num(end, nan=0.0)
    if np.any(start < 0) or np.any(end < 0) or not (np.isfinite(start).all() and above >= 0):
        raise DataError("sizes must be finite and not negative; NaN in `after` marks one gone")
    chosen = start > above
    n = int(chosen.sum())
    if n < FEWEST:
        raise DataError(f"{n} items exceed {above:g} before; at least {FEWEST} are needed")
    x, y = np.log(start[chosen]), end[chosen]
    if np.ptp(x) == 0:
        raise DataError("all sizes before are equal: the later cannot depend on them")
    if y.sum() == 0:
        raise DataError("all items are gone later: no power can be measured")
    labels = label_codes(clusters, start.size)
    codes = np.arange(n) if labels is None else labels[chosen]
    design = np.column_stack([np.ones(n), x - x.mean()])
    beta = _maximise(design, y / y.mean())
    mean = np.exp(design @ beta)
    covariance = jackknife_covariance(design, mean, y / y.mean() - mean, codes)
    return LaterSize(
        exponent=float(beta[1]),
        std_error=math.sqrt(float(covariance[1, 1])),
        n_used=n,
        n_gone=int((y == 0).sum()),
        n_clusters=None if labels is None else int(np.unique(codes).size),
    )


def _maximise(design: Floats, y: Floats) -> Floats:
    """Return the optimum of the Poisson likelihood, which is concave, by Newton's method."""

    def cost(beta: Floats) -> float:
        eta = design @ beta
        return math.inf if eta.max() > 700.0 else float(np.sum(np.exp(eta) - y * eta))

    beta = np.array([0.0, 1.0])
    beta[0] = -math.log(float(np.exp(design[:, 1]).mean()))
    value = cost(beta)
    for _ in range(_STEPS):
        mean = np.exp(design @ beta)
        score = design.T @ (y - mean)
        step = np.linalg.solve(design.T @ (design * mean[:, None]), score)
        for _ in range(_HALVINGS):
            tried = cost(beta + step)
            if tried <= value + 1e-14 * abs(value):
                break
            step = step / 2.0
        beta, value = beta + step, tried
        if float(step @ score) < 1e-13 * (abs(value) + 1.0):
            return beta
    raise ConvergenceError(
        "the power of the earlier size has no optimum: a few items may hold all of the later sum",
        {"level": float(beta[0]), "exponent": float(beta[1])},
    )
