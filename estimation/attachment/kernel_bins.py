"""The kernel of attachment without a formula, and how the noise grows with size (eq 19).

With gains m_k(t) of the n_k(t) items of stock k in interval t, the kernel that makes them most
likely solves

    A_k = Sum_t m_k(t) / Sum_t [m(t) n_k(t) / Sum_j A_j n_j(t)],

which for one interval is m_k/n_k [JeongEtAl2003] and for several is found by iteration
[PhamEtAl2015]. A is known up to a factor.

Eq 19 has additive noise, sigma_i dW_i. If the scatter of the gains around the kernel grows as
d^psi, psi = 0 is additive, 1/2 is counting (Poisson), 1 is proportional.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baimo.estimation.arrays import Floats
from baimo.estimation.attachment.kernel import clustered_square, stock_pair
from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.labels import label_codes

Interval = tuple[ArrayLike, ArrayLike]
EXACT_UP_TO = 8  # smaller stocks have a bin of their own
BINS_PER_DECADE = 6
_ITERATIONS = 10_000


@registered("KernelShapeFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class KernelBinsFit(FitResult):
    """Kernel of attachment by bins of the stock.

    Parameters
    ----------
    low, high : (b,)
        Smallest and largest stock of each bin, both inside.
    middle : (b,)
        Mean stock of the items in it.
    n_items, gains : (b,)
        Items and their gains, over all intervals.
    kernel, std_error : (b,)
        A, scaled so that the items' mean is 1, and its error (clustered where labels were given).
    theta, theta_std_error
        Slope of log A on log(stock + offset), weighted by precision. Its error takes bins as
        independent: NaN with labels, for authors have items in many.
    """

    low: Floats
    high: Floats
    middle: Floats
    n_items: NDArray[np.int64]
    gains: Floats
    kernel: Floats
    std_error: Floats
    theta: float
    theta_std_error: float

    title: ClassVar[str] = (
        "Kernel of attachment by bins (a picture: its slope is biased by -.2 standard errors)"
    )

    def estimates(self) -> dict[str, Estimate]:
        """Return the slope of the kernel in logarithms."""
        known = math.isfinite(self.theta_std_error)
        return {
            "theta_bins": Estimate(
                value=self.theta, std_error=self.theta_std_error if known else None
            )
        }


@dataclass(frozen=True, eq=False)
class _Rows:
    """Items of one interval: bin, gain, exposure, label."""

    where: NDArray[np.int64]
    gain: Floats
    exposure: Floats
    labels: NDArray[np.int64] | None


def _exposure(given: ArrayLike | None, n: int) -> Floats:
    if given is None:
        return np.ones(n)
    exposure = np.asarray(given, dtype=np.float64)
    if exposure.shape != (n,) or np.any(exposure < 0):
        raise DataError(f"exposure must hold {n} numbers that are not negative, one for each item")
    return exposure


def stock_bins(largest: float) -> Floats:
    """Return the lower ends of the bins of a stock, and one beyond the largest.

    Stocks up to 8 stand alone; above, six bins a decade.
    """
    ends = [float(k) for k in range(EXACT_UP_TO + 1)]
    step = 10.0 ** (1.0 / BINS_PER_DECADE)
    while ends[-1] <= largest:
        ends.append(max(ends[-1] + 1.0, math.floor(ends[-1] * step)))
    return np.array(ends)


def fit_kernel_bins(
    intervals: Sequence[Interval],
    *,
    exposure: ArrayLike | None = None,
    offset: float = 0.0,
    clusters: ArrayLike | None = None,
) -> KernelBinsFit:
    """Estimate the kernel by bins of the stock from one interval or several.

    Parameters
    ----------
    intervals
        Pairs (before, after), each of the same items in the same order; NaN where an item is
        not there.
    exposure : (n,), optional
        What else multiplies the rate of each item, known beforehand (age^phi); not negative.
    offset
        Added to the stock for the slope; with 0 the slope is over stocks of at least one.
    clusters : (n,), optional
        Labels (authors) for the errors.

    Raises
    ------
    DataError
        Nothing was gained, or fewer than two bins hold gains.
    """
    if not intervals:
        raise DataError("no interval: give (before, after) of two dates")
    pairs = [stock_pair(before, after) for before, after in intervals]
    if any(before.size != pairs[0][0].size for before, _ in pairs):
        raise DataError("every interval must hold the same items: NaN marks one that is not there")
    largest = max(float(np.nanmax(b)) if np.isfinite(b).any() else 0.0 for b, _ in pairs)
    ends = stock_bins(largest)
    n_bins = ends.size - 1
    labels = label_codes(clusters, pairs[0][0].size)
    at_risk = _exposure(exposure, pairs[0][0].size)
    items = np.zeros((len(pairs), n_bins))
    gains = np.zeros((len(pairs), n_bins))
    sums, held = np.zeros(n_bins), np.zeros(n_bins)
    rows: list[_Rows] = []
    for t, (before, after) in enumerate(pairs):
        used = np.isfinite(before) & np.isfinite(after) & np.isfinite(at_risk)
        where = np.searchsorted(ends, before[used], side="right") - 1
        gain = after[used] - before[used]
        items[t] = np.bincount(where, weights=at_risk[used], minlength=n_bins)
        held += np.bincount(where, minlength=n_bins)
        gains[t] = np.bincount(where, weights=gain, minlength=n_bins)
        sums += np.bincount(where, weights=before[used], minlength=n_bins)
        rows.append(_Rows(where, gain, at_risk[used], None if labels is None else labels[used]))
    total = gains.sum(axis=0)
    kept = (items.sum(axis=0) > 0) & (total > 0)
    if total.sum() <= 0 or kept.sum() < 2:
        raise DataError(
            "fewer than two bins of the stock gained anything between the dates: no kernel"
        )
    gains = np.where(kept, gains, 0.0)  # what left-out bins lost, the others did not gain
    kernel = np.where(kept, _iterate(items, gains, kept), 0.0)
    kernel /= float(kernel @ held) / float(held.sum())
    error = _errors(rows, items, gains, kernel, kept)
    middle = sums / np.maximum(held, 1.0)
    theta, theta_error = _slope(middle[kept] + offset, kernel[kept], error[kept], offset or 1.0)
    if labels is not None:
        theta_error = math.nan
    left_out = int(held[~kept].sum())
    return KernelBinsFit(
        n_obs=int(held.sum()),
        n_used=int(held[kept].sum()),
        notes=(f"{left_out:,} items in bins without a net gain left out",) if left_out else (),
        low=ends[:-1][kept],
        high=ends[1:][kept] - 1.0,
        middle=middle[kept],
        n_items=held[kept].astype(np.int64),
        gains=total[kept],
        kernel=kernel[kept],
        std_error=error[kept],
        theta=theta,
        theta_std_error=theta_error,
    )


def _iterate(items: Floats, gains: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Return A up to a factor, from (intervals, bins) of items and gains."""
    total = gains.sum(axis=0)
    inflow = gains.sum(axis=1)
    kernel = np.where(kept, total / np.maximum(items.sum(axis=0), 1.0), 0.0)
    for _ in range(_ITERATIONS):
        expected = _scale(inflow, items @ kernel)
        new = np.where(kept, total / np.maximum(expected @ items, 1e-300), 0.0)
        new *= kernel.sum() / new.sum()
        if np.max(np.abs(new - kernel)) <= 1e-10 * kernel.max():
            return np.asarray(new)
        kernel = new
    raise ConvergenceError(
        "the kernel did not settle: intervals hardly share bins; take fewer, longer intervals",
        {"kernel": kernel.tolist()},
    )


def _scale(inflow: Floats, attractiveness: Floats) -> Floats:
    """Return the gain per attractiveness of each interval, 0 where no item is there."""
    there = attractiveness > 0
    return np.asarray(np.divide(inflow, attractiveness, out=np.zeros(inflow.size), where=there))


def _errors(
    rows: list[_Rows],
    items: Floats,
    gains: Floats,
    kernel: Floats,
    kept: NDArray[np.bool_],
) -> Floats:
    """Return the error of each bin from the scatter of its gains, at least that of counts."""
    scale = _scale(gains.sum(axis=1), items @ kernel)
    exposure = scale @ items
    error = np.full(kernel.size, np.nan)
    residuals = [r.gain - scale[t] * kernel[r.where] * r.exposure for t, r in enumerate(rows)]
    for b in np.flatnonzero(kept):
        chosen = [r.where == b for r in rows]
        residual = np.concatenate([r[c] for r, c in zip(residuals, chosen, strict=True)])
        labels = [r.labels[c] for r, c in zip(rows, chosen, strict=True) if r.labels is not None]
        if not labels:
            square = float(residual @ residual)
        else:
            codes = np.concatenate(labels)
            square = clustered_square(residual, codes, np.ones(codes.size, dtype=np.bool_))
        # A bin of few items has hardly any residual of its own; counting is the least there is.
        counting = float(gains[:, b].sum())
        error[b] = math.sqrt(max(square, counting)) / float(exposure[b])
    return error


def _slope(middle: Floats, kernel: Floats, error: Floats, smallest: float) -> tuple[float, float]:
    """Return the weighted slope of log A on log stock, over stocks of at least the smallest."""
    good = (middle >= smallest) & (error > 0)
    if good.sum() < 2:
        return math.nan, math.nan
    x, y = np.log(middle[good]), np.log(kernel[good])
    weight = (kernel[good] / error[good]) ** 2
    centred = x - np.average(x, weights=weight)
    information = float(weight @ centred**2)
    return float(weight @ (centred * y)) / information, 1.0 / math.sqrt(information)
