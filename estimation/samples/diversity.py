"""How many kinds there are, effectively: Hill numbers of shares."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.errors import DataError


def hill_number(amounts: ArrayLike, order: float) -> float:
    """Return the Hill number of an order [Hill1973].

    (sum p^q)^(1/(1-q)): the number of equal kinds as diverse as these. Order 0 counts the kinds,
    1 is the exponential of Shannon's entropy, 2 one over the Herfindahl index.

    Parameters
    ----------
    amounts : (n,)
        Amount of each kind, not negative, in any unit; kinds of amount 0 are not there.
    order
        q, at least 0; the larger, the less rare kinds count.

    Raises
    ------
    DataError
        A negative amount or order, or nothing at all.
    """
    held = np.asarray(amounts, dtype=np.float64)
    if order < 0 or np.any(held < 0) or not held.sum() > 0:
        raise DataError("amounts and the order must not be negative, and some amount positive")
    shares = held[held > 0] / held.sum()
    if order == 1:
        return math.exp(-float(np.sum(shares * np.log(shares))))
    return float(np.sum(shares**order) ** (1.0 / (1.0 - order)))
