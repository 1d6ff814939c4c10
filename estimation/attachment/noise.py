"""Noise around the kernel of attachment: how the scatter of gains grows with the stock (psi)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats
from baimo.estimation.attachment.kernel import KernelFit, stock_pair
from baimo.estimation.attachment.kernel_bins import KernelBinsFit, fit_kernel_bins, stock_bins
from baimo.estimation.errors import DataError, EstimationError
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.clusters import refuse_few
from baimo.estimation.samples.labels import label_codes


@registered("NoiseFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class NoiseFit(FitResult):
    """Growth of the scatter with size.

    Parameters
    ----------
    psi, std_error
        Slope of log |gain - fitted| on log stock, error clustered or heteroskedasticity-robust.
    middle, scatter : (b,)
        Mean stock and root mean square residual of bins.
    """

    psi: float
    std_error: float
    middle: Floats
    scatter: Floats

    title: ClassVar[str] = "Noise against size"

    def estimates(self) -> dict[str, Estimate]:
        """Return psi: 0 additive, 1/2 counting, 1 proportional."""
        return {"psi": Estimate(value=self.psi, std_error=self.std_error)}


def fit_noise(
    before: ArrayLike,
    after: ArrayLike,
    expected: ArrayLike,
    *,
    smallest: float = 10.0,
    clusters: ArrayLike | None = None,
) -> NoiseFit:
    """Measure how the scatter of gains around their expectation grows with the stock.

    Parameters
    ----------
    before, after : (n,)
        Stock on two dates; NaN where an item is not there.
    expected : (n,)
        Expected gain of each item (of a kernel fit).
    smallest
        Items below this stock are left out: a gain of nothing says little of their scatter.
    clusters : (n,), optional
        Labels for the error.

    Notes
    -----
    The slope of log |residual| is that of the scatter only when the shape of the residual does
    not change with size. Counts of mean far below one violate this (most residuals equal minus
    the mean), so that items expected to gain less than one are left out as well.
    """
    from statsmodels.api import OLS, add_constant

    start, end = stock_pair(before, after)
    mean = np.asarray(expected, dtype=np.float64)
    residual = end - start - mean
    used = np.isfinite(residual) & (start >= smallest) & (mean >= 1.0) & (residual != 0)
    if used.sum() < 10:
        raise DataError(
            f"only {int(used.sum())} items of stock {smallest:g} and more are expected to gain at "
            "least one: take dates further apart"
        )
    x, y = np.log(start[used]), np.log(np.abs(residual[used]))
    if np.ptp(x) == 0:
        raise DataError("all items have the same stock: scatter cannot depend on it")
    model = OLS(y, add_constant(x))
    labels = label_codes(clusters, start.size)
    if labels is None:
        fitted = model.fit(cov_type="HC1")
    else:
        refuse_few(int(np.unique(labels[used]).size), int(used.sum()), "the sample")
        fitted = model.fit(cov_type="cluster", cov_kwds={"groups": labels[used]})
    ends = stock_bins(float(start[used].max()))
    where = np.searchsorted(ends, start[used], side="right") - 1
    held = np.bincount(where, minlength=ends.size)
    full = held >= 5
    square = np.bincount(where, weights=residual[used] ** 2, minlength=ends.size)
    sums = np.bincount(where, weights=start[used], minlength=ends.size)
    return NoiseFit(
        n_obs=start.size,
        n_used=int(used.sum()),
        psi=float(fitted.params[1]),
        std_error=float(fitted.bse[1]),
        middle=sums[full] / held[full],
        scatter=np.sqrt(square[full] / held[full]),
    )


def around_kernel(
    kernel: KernelFit,
    before: ArrayLike,
    after: ArrayLike,
    *,
    ages: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> tuple[KernelBinsFit | None, NoiseFit | None, list[str]]:
    """Measure the kernel by bins and the noise around a fitted kernel, on the items it used.

    Parameters
    ----------
    before, after, ages, clusters : (n,)
        What the kernel was fitted to.

    Returns
    -------
    tuple
        Kernel by bins and noise, None where the data refuse one, and the reasons.
    """
    expected = kernel.expected(before, ages)
    used = np.where(np.isfinite(expected), np.asarray(before, dtype=np.float64), np.nan)
    exposure = None
    if ages is not None:
        exposure = np.asarray(ages, dtype=np.float64) ** (kernel.phi or 0.0)
    shape = noise = None
    notes = []
    try:
        shape = fit_kernel_bins(
            [(used, after)], exposure=exposure, offset=kernel.offset, clusters=clusters
        )
    except EstimationError as error:
        notes.append(f"kernel by bins: {error}")
    try:
        noise = fit_noise(before, after, expected, clusters=clusters)
    except EstimationError as error:
        notes.append(f"noise: {error}")
    return shape, noise, notes
