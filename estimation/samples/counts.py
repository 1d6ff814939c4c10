"""Counts: unique values with multiplicities, the one form every tail routine works on.

A snapshot of millions of downloads has about ten thousand distinct values. Compressing once
makes everything after it a matter of those values, whatever the number of items, and makes
pre-counted tables first-class input.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.arrays import Floats, Ints, Values
from baimo.estimation.errors import DataError
from baimo.estimation.results import registered
from baimo.estimation.samples import _numba

LARGEST_EXACT = 2**53
_BLOCK = 1 << 15


@registered("Counts")
@dataclass(frozen=True, eq=False, kw_only=True)
class Counts:
    """A sample in compressed form.

    Parameters
    ----------
    values : (u,) float64
        Distinct values, ascending, all finite and non-negative.
    multiplicities : (u,) int64
        How often each occurs, all positive.

    Raises
    ------
    DataError
        Empty input; negative, missing or infinite values; multiplicities below one.
    """

    values: Floats
    multiplicities: Ints

    def __post_init__(self) -> None:
        if self.values.shape != self.multiplicities.shape or self.values.ndim != 1:
            raise DataError(
                "values and multiplicities must be two flat arrays of one length; "
                f"got shapes {self.values.shape} and {self.multiplicities.shape}"
            )
        if self.values.size == 0:
            raise DataError("no values: the sample is empty; give at least two observations")
        if self.values[0] < 0 or not np.isfinite(self.values[-1]):
            raise DataError("values must be finite and not negative; remove or correct them first")
        if np.any(np.diff(self.values) <= 0):
            raise DataError("values must be distinct and ascending; use Counts.from_pairs")
        if self.multiplicities.min() < 1:
            raise DataError("multiplicities must be at least 1; drop the values that do not occur")

    @classmethod
    def from_sample(cls, sample: ArrayLike) -> Counts:
        """Compress a sample, one element per item, in one pass.

        Small whole numbers, which most counts are, are tallied; only the others are sorted.

        Parameters
        ----------
        sample : (n,) array of numbers
            Finite and non-negative; counts at most 2^53.
        """
        x = _flat_numbers(sample)
        table, rest = _tally(x)
        _refuse_unusable(rest, x.size)
        low = np.flatnonzero(table)
        high, high_counts = np.unique(rest, return_counts=True)
        values = np.concatenate([low, high]).astype(np.float64)
        multiplicities = np.concatenate([table[low], high_counts]).astype(np.int64)
        if np.issubdtype(x.dtype, np.floating):  # fractions among the small whole numbers
            order = np.argsort(values, kind="stable")
            values, multiplicities = values[order], multiplicities[order]
        return cls(values=values, multiplicities=multiplicities)

    @classmethod
    def from_pairs(cls, values: ArrayLike, multiplicities: ArrayLike) -> Counts:
        """Compress pre-counted data; equal values are merged, in any order.

        Parameters
        ----------
        values : (m,) array of numbers
            Finite and non-negative.
        multiplicities : (m,) array of integers
            How often each value occurs, at least 1.
        """
        given = _flat_numbers(values)
        _refuse_unusable(given, given.size)
        v = given.astype(np.float64)
        m = np.asarray(multiplicities)
        if m.shape != v.shape:
            raise DataError(f"{v.size} values but {m.size} multiplicities; give one for each")
        if not np.issubdtype(m.dtype, np.number) or np.iscomplexobj(m):
            raise DataError(f"multiplicities must be whole numbers, not {m.dtype}")
        if not np.all(np.isfinite(m)) or np.any(m != np.floor(m)):
            raise DataError("multiplicities must be whole numbers; round or rescale them")
        if m.min() < 1:
            raise DataError("multiplicities must be at least 1; drop the values that do not occur")
        if float(np.sum(m, dtype=np.float64)) > LARGEST_EXACT:
            raise DataError("the multiplicities add up to more than 2^53 items; rescale them")
        unique, place = np.unique(v, return_inverse=True)
        merged = np.zeros(unique.size, dtype=np.int64)
        np.add.at(merged, place, m.astype(np.int64))
        return cls(values=unique, multiplicities=merged)

    @property
    def n_obs(self) -> int:
        """Number of items, zeros included."""
        return int(self.multiplicities.sum())

    @property
    def n_zero(self) -> int:
        """Number of items with value 0."""
        return int(self.multiplicities[0]) if self.values[0] == 0 else 0

    @property
    def n_unique(self) -> int:
        """Number of distinct values."""
        return int(self.values.size)

    @property
    def total(self) -> float:
        """Sum over all items."""
        return self.sum(self.values)

    def sum(self, of_values: Floats) -> float:
        """Return the sum over items of a quantity given for each distinct value.

        Not a BLAS product: the same bits on any number of threads.
        """
        return float(np.sum(of_values * self.multiplicities))

    @property
    def is_integer(self) -> bool:
        """Whether every value is a whole number that float64 holds exactly."""
        return bool(np.all(self.values == np.floor(self.values))) and (
            float(self.values[-1]) <= LARGEST_EXACT
        )

    def refuse_fractions(self) -> None:
        """Refuse values that are no counts.

        Raises
        ------
        DataError
            Fractions, or whole numbers beyond 2^53, which float64 does not hold exactly.
        """
        if np.any(self.values != np.floor(self.values)):
            raise DataError(
                "some values are not whole numbers: round them, or fit them as continuous sizes"
            )
        if not self.is_integer:
            raise DataError(
                f"a count of {self.values[-1]:g} is beyond 2^53 and not exact: "
                "rescale the data, or fit them as continuous sizes"
            )

    def positive(self) -> Counts:
        """Return the items above zero."""
        if self.values[0] > 0:
            return self
        if self.values.size == 1:
            raise DataError("all values are zero: there is no tail to fit; check the column")
        return Counts(values=self.values[1:], multiplicities=self.multiplicities[1:])

    def at_least(self, x_min: float) -> Counts:
        """Return the items with value >= x_min."""
        start = int(np.searchsorted(self.values, x_min))
        if start == self.values.size:
            raise DataError(
                f"no value reaches x_min = {x_min:g}; the largest is {self.values[-1]:g}: "
                "choose a lower x_min"
            )
        return Counts(values=self.values[start:], multiplicities=self.multiplicities[start:])

    def at_most(self, x_max: float) -> Counts:
        """Return the items with value <= x_max."""
        end = int(np.searchsorted(self.values, x_max, side="right"))
        if end == 0:
            raise DataError(
                f"no value lies at or below x_max = {x_max:g}; the smallest is "
                f"{self.values[0]:g}: choose a higher x_max"
            )
        return Counts(values=self.values[:end], multiplicities=self.multiplicities[:end])

    def without_largest(self) -> Counts:
        """Return the sample without one item of the largest value."""
        multiplicities = self.multiplicities.copy()
        multiplicities[-1] -= 1
        keep = multiplicities > 0
        return Counts(values=self.values[keep], multiplicities=multiplicities[keep])

    def exceedances(self) -> Ints:
        """Return, for every distinct value, the number of items at least as large."""
        return np.cumsum(self.multiplicities[::-1])[::-1].astype(np.int64)

    def largest(self, k: int) -> Floats:
        """Return the k largest items, descending, ties written out.

        Raises
        ------
        DataError
            k below 1 or above the number of items.
        """
        if not 1 <= k <= self.n_obs:
            raise DataError(f"k = {k} must lie between 1 and the number of items, {self.n_obs}")
        above = self.exceedances()
        start = int(np.searchsorted(-above, -k, side="right")) - 1
        tail = np.repeat(self.values[start:][::-1], self.multiplicities[start:][::-1])
        return tail[:k]

    def quantile(self, p: float) -> float:
        """Return the smallest value with at least a share p of the items at or below it."""
        if not 0 <= p <= 1:
            raise DataError(f"p = {p:g} must lie between 0 and 1")
        cumulative = np.cumsum(self.multiplicities)
        return float(self.values[int(np.searchsorted(cumulative, p * cumulative[-1]))])


def merge(parts: Iterable[Counts]) -> Counts:
    """Pool several samples into one."""
    parts = list(parts)
    return Counts.from_pairs(
        np.concatenate([p.values for p in parts]),
        np.concatenate([p.multiplicities for p in parts]),
    )


def as_counts(data: Counts | ArrayLike) -> Counts:
    """Return `data` if it is Counts already, else compress it."""
    return data if isinstance(data, Counts) else Counts.from_sample(data)


def _flat_numbers(sample: ArrayLike) -> Values:
    if isinstance(sample, np.ma.MaskedArray) and np.ma.is_masked(sample):
        raise DataError("some values are masked: pass .compressed(), or fill them")
    x = np.asarray(sample)
    if x.ndim != 1:
        raise DataError(f"expected a flat array, got shape {x.shape}; use .ravel() if it is meant")
    if x.size == 0:
        raise DataError("no values: the sample is empty; give at least two observations")
    if x.dtype.kind not in "iuf":
        raise DataError(f"expected real numbers, got {x.dtype}; convert the column first")
    if x.dtype == np.uint64 and int(x.max()) > LARGEST_EXACT:
        _refuse_unusable(x, x.size)
    return x


def _refuse_unusable(x: Values, size: int) -> None:
    """Refuse what is missing, negative or too large among the values x of a sample of `size`."""
    if np.issubdtype(x.dtype, np.floating):
        bad = int(np.count_nonzero(~np.isfinite(x)))
        if bad:
            raise DataError(f"{bad} of {size} values are NaN or infinite; drop or fill them")
    negative = int(np.count_nonzero(x < 0))
    if negative:
        raise DataError(
            f"{negative} of {size} values are negative, the smallest {x.min():g}; "
            "a size cannot be: drop or correct them"
        )
    if x.size and np.issubdtype(x.dtype, np.integer) and int(x.max()) > LARGEST_EXACT:
        raise DataError(
            f"a count of {x.max()} is beyond 2^53 and would lose digits; rescale the data"
        )


def _tally(x: Values) -> tuple[Ints, Values]:
    """Return (how often each whole number below DENSE occurs, all other values).

    By blocks that stay in the cache, cast to one of two types: one compiled loop for all input.
    """
    kind = np.int64 if np.issubdtype(x.dtype, np.integer) else np.float64
    table = np.zeros(4 * _numba.DENSE, dtype=np.int64)
    block = np.empty(_BLOCK, dtype=kind)
    rest = np.empty(_BLOCK, dtype=kind)
    others: list[Values] = [np.empty(0, dtype=kind)]
    for start in range(0, x.size, _BLOCK):
        part = block[: min(_BLOCK, x.size - start)]
        part[:] = x[start : start + part.size]
        n_rest = _numba.tally(part, table, rest)
        if n_rest:
            others.append(rest[:n_rest].copy())
    return table.reshape(4, -1).sum(axis=0), np.concatenate(others)
