"""Preferential attachment from two snapshots: inflow, kernel, shape, noise (eq 19 with entry).

An item of stock L gains Delta between two dates. Under a kernel of attachment

    E[Delta_i] = exp(c + theta log(L_i + a) + phi log(age_i)),

theta = 1, phi = 0 is preferential attachment, theta < 1 saturates, theta > 1 condenses. Items
that differ in quality at birth and never attach give theta between .6 and .9 without age, and
(1, -1) with it: E[Delta | L, age] = h (L + r)/(age + b) exactly for gamma-distributed rates, so
that a kernel with decaying age rejects the attachment of the papers, never all path dependence.

The fit is Poisson pseudo maximum likelihood: consistent when the mean is right, whatever the
variance, for zeros and for negative increments (unlikes), where least squares on log(1 + Delta)
is not. Errors are clustered by author (CR3); those of a Poisson are many times too small.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baimo.estimation.arrays import Floats
from baimo.estimation.attachment._likelihood import KernelLikelihood
from baimo.estimation.errors import ConvergenceError, ConvergenceWarning, DataError
from baimo.estimation.results import Estimate, FitResult, registered, student
from baimo.estimation.samples.labels import label_codes
from baimo.simulation.attachment.kernel import KernelParams

LARGE_SHARE = 0.1  # of the information on theta, in one cluster


@registered("KernelFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class KernelFit(FitResult):
    """Kernel of attachment by Poisson pseudo maximum likelihood.

    Parameters
    ----------
    names : tuple
        Parameters in the order of `values` and `covariance`: constant, theta, then offset and
        phi where they were estimated.
    values, covariance : (k,), (k, k)
        Estimates and their clustered (or heteroskedasticity-robust) covariance, CR3 (or HC3).
    degrees : (k,)
        Degrees of freedom of each error: intervals are Student's, that of the offset on its
        logarithm.
    offset
        Attractiveness a of an item without any success, estimated or given.
    days
        Between the dates; the constant is the log gain over that time.
    dispersion
        Pearson's chi-square over degrees of freedom: 1 for a Poisson.
    nb2_alpha, nb2_theta
        Variance of the rates given the kernel (moment), and theta with the weights that such a
        variance asks for: near theta where the mean is right. None where the sample has no
        excess variance.
    n_negative
        Negative increments; they count in full.
    n_clusters
        Clusters behind the errors, None without labels.
    """

    names: tuple[str, ...]
    values: Floats
    covariance: Floats
    degrees: Floats
    offset: float
    days: float
    dispersion: float
    nb2_alpha: float | None
    nb2_theta: float | None
    n_negative: int
    n_clusters: int | None = None

    title: ClassVar[str] = "Kernel of attachment (Poisson pseudo maximum likelihood)"

    def _of(self, name: str) -> Estimate:
        if name not in self.names:
            return Estimate(value=None)
        i = self.names.index(name)
        value, error = float(self.values[i]), math.sqrt(float(self.covariance[i, i]))
        return student(value, error, float(self.degrees[i]), log=name == "offset")

    @property
    def theta(self) -> float:
        """Exponent of the kernel."""
        return float(self.values[self.names.index("theta")])

    @property
    def phi(self) -> float | None:
        """Exponent of age, None where no ages were given."""
        return float(self.values[self.names.index("phi")]) if "phi" in self.names else None

    def expected(self, stock: ArrayLike, ages: ArrayLike | None = None) -> Floats:
        """Return the expected gain of items of these stocks (and ages); NaN stays NaN."""
        logs = float(self.values[0]) + self.theta * np.log(
            np.asarray(stock, dtype=np.float64) + self.offset
        )
        if self.phi is not None:
            if ages is None:
                raise DataError("the kernel has an exponent of age: give the ages")
            with np.errstate(invalid="ignore", divide="ignore"):
                logs = logs + self.phi * np.log(np.asarray(ages, dtype=np.float64))
        return np.asarray(np.exp(logs))

    @property
    def params(self) -> KernelParams:
        """Return the kernel for `baimo.simulation.attachment.kernel.simulate_kernel`."""
        return KernelParams(theta=self.theta, offset=self.offset, phi=self.phi or 0.0)

    def estimates(self) -> dict[str, Estimate]:
        """Return theta, the offset, phi and the check by a negative binomial."""
        out = {"theta": self._of("theta")}
        known = "offset" in self.names
        out["offset"] = self._of("offset") if known else Estimate(value=self.offset)
        if "phi" in self.names:
            out["phi"] = self._of("phi")
        out["theta_nb2"] = Estimate(value=self.nb2_theta)
        out["dispersion"] = Estimate(value=self.dispersion)
        return out


def fit_attachment_kernel(
    before: ArrayLike,
    after: ArrayLike,
    *,
    ages: ArrayLike | None = None,
    days: float = 1.0,
    offset: float | None = None,
    clusters: ArrayLike | None = None,
) -> KernelFit:
    """Estimate the kernel of attachment from the gains of the items there on both dates.

    Parameters
    ----------
    before, after : (n,)
        Stock on the two dates, `before` not negative; NaN where an item is not there.
    ages : (n,), optional
        Age on the earlier date, > 0, in any unit; NaN leaves the item out (left-censored).
    days
        Between the dates.
    offset
        Attractiveness a > 0 of an item without success; estimated when None. Without items of
        stock 0 to a few it is hardly identified and should be given (1).
    clusters : (n,), optional
        Labels (authors); errors allow for any dependence within them.

    Raises
    ------
    DataError
        Too few items, no gain at all, all stocks equal.
    ConvergenceError
        The likelihood has no optimum; the last iterate is in the error.

    Notes
    -----
    Negative gains enter as they are: the moment condition is that of the mean. An offset that
    runs to the end of its range (a thousandth of the smallest positive stock to a hundred times
    the mean) is held there and said; at the upper end the fit counts as not converged.
    """
    start, end = stock_pair(before, after)
    refuse_days(days)
    used = np.isfinite(start) & np.isfinite(end)
    age = None if ages is None else np.asarray(ages, dtype=np.float64)
    if age is not None:
        if age.shape != start.shape:
            raise DataError(f"{start.size} items but {age.size} ages; give one for each")
        if np.any(age[np.isfinite(age)] <= 0):
            raise DataError("ages must be positive: measure them to the end of the day")
        used &= np.isfinite(age)
    labels = label_codes(clusters, start.size)
    y, stock = (end - start)[used], start[used]
    _refuse_unfit(y, stock)
    log_age = None if age is None else np.log(age[used])
    if log_age is not None and np.ptp(log_age) == 0:
        raise DataError("all items have the same age: gains cannot depend on it; leave ages out")
    if offset is None and np.unique(stock).size < 3:
        raise DataError("the stocks take two values only: they cannot tell theta; give the offset")
    model = KernelLikelihood(y, stock, log_age, offset)
    theta = model.maximise(np.ones(y.size))
    mean = model.mean(theta)
    spread = model.sandwich(theta, None if labels is None else labels[used])
    pearson = float(np.sum((y - mean) ** 2 / mean)) / max(y.size - model.n_free, 1)
    alpha = float(np.sum((y - mean) ** 2 - mean) / np.sum(mean**2))
    notes = _notes(model, y, spread.largest_share)
    nb2 = None
    if alpha > 0:
        again = KernelLikelihood(y, stock, log_age, offset)  # its offset may run elsewhere
        again.held = model.held
        try:
            nb2 = float(again.maximise(1.0 / (1.0 + alpha * mean), start=theta)[1])
        except ConvergenceError:
            notes.append("with the weights of a negative binomial the fit has no optimum")
    return KernelFit(
        n_obs=start.size,
        n_used=y.size,
        converged=model.held is None or model.held == model.ends[0],
        notes=tuple(notes),
        names=model.names,
        values=model.natural(theta),
        covariance=spread.covariance,
        degrees=spread.degrees,
        offset=model.offset_at(theta),
        days=days,
        dispersion=pearson,
        nb2_alpha=alpha if alpha > 0 else None,
        nb2_theta=nb2,
        n_negative=int((y < 0).sum()),
        n_clusters=None if labels is None else int(np.unique(labels[used]).size),
    )


def kernel_point(
    stock: Floats, ages: Floats, gains: Floats, items: Floats
) -> tuple[float, float, float]:
    """Return (theta, offset, phi) of cells of items that share stock and age, without errors.

    Parameters
    ----------
    stock, ages, gains, items : (cells,)
        Stock and age (> 0) of the items of each cell, the sum of their gains, how many they are.

    Returns
    -------
    tuple
        What `fit_attachment_kernel` gives on the items one by one; NaN where it has no optimum.
    """
    model = KernelLikelihood(gains, stock, np.log(ages), None, items)
    try:
        found = model.maximise(np.ones(gains.size))
    except ConvergenceError:
        return math.nan, math.nan, math.nan
    return float(found[1]), model.offset_at(found), float(found[-1])


def stock_pair(before: ArrayLike, after: ArrayLike) -> tuple[Floats, Floats]:
    """Return both stocks as arrays, refused where they are no stocks; NaN is an item not there."""
    start, end = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if start.shape != end.shape or start.ndim != 1:
        raise DataError(f"before and after must match; got shapes {start.shape}, {end.shape}")
    if np.any(start < 0) or np.any(end < 0) or np.any(np.isinf(start)) or np.any(np.isinf(end)):
        raise DataError("stocks must be finite and not negative; NaN marks an item not there")
    return start, end


def clustered_square(
    residual: Floats, labels: NDArray[np.int64] | None, used: NDArray[np.bool_]
) -> float:
    """Return the sum of squares of the residuals, summed by label where there are labels."""
    if labels is None:
        return float(residual @ residual)
    sums = np.bincount(labels[used], weights=residual)
    return float(sums @ sums)


def refuse_days(days: float) -> None:
    """Raise DataError unless the days between two dates are a positive number."""
    if not (math.isfinite(days) and days > 0):
        raise DataError(f"days = {days:g} must be positive: give two different dates")


def _refuse_unfit(y: Floats, stock: Floats) -> None:
    if y.size < 10:
        raise DataError(
            f"only {y.size} items are there on both dates; at least 10 are needed: match them by "
            "a lasting id, and leave new ones out"
        )
    if y.sum() <= 0:
        raise DataError(
            "the items gained nothing in sum between the dates (likes were taken back, or the "
            "columns are exchanged): no kernel can be measured"
        )
    if np.ptp(stock) == 0:
        raise DataError("all items have the same stock: gains cannot depend on it")


def _notes(model: KernelLikelihood, y: Floats, largest_share: float) -> list[str]:
    notes = []
    n_negative = int((y < 0).sum())
    if n_negative:
        notes.append(f"{n_negative:,} of {y.size:,} gains are negative and count as they are")
    if largest_share > LARGE_SHARE:
        notes.append(
            f"one item (or cluster) holds {largest_share:.0%} of what is known of theta: its "
            "interval is wide for that"
        )
    if model.held is not None:
        notes.append(
            f"the offset runs to the end of its range and is held at {model.held:g}: "
            + (
                "stocks near zero do not identify it"
                if model.held == model.ends[0]
                else "gains hardly curve over these stocks, and theta depends on where it is held"
            )
        )
        warnings.warn(notes[-1], ConvergenceWarning, stacklevel=3)
    return notes
