"""Eq 22, 23 and the tail index of section 8.3 exactly as printed, for the audit.

    eq 22, printed   demand of the utility (Int beta c^rho)^(1/rho), with a price index P of the
                     wrong degree
    tail, printed    (alpha (1 - rho) - 1)/(1 - rho), which is no tail of demand

`baimo.simulation.demand.ces` has the corrected forms.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from baimo.simulation.arrays import Floats
from baimo.simulation.demand.ces import checked_goods
from baimo.simulation.errors import ParameterError


def printed_price_index(tastes: ArrayLike, prices: ArrayLike, rho: float) -> float:
    """Return the price index below eq 22 as printed, kept for the audit.

    P = (Sum beta p^-rho)^(1/(1 - rho)) is of degree -kappa in prices; a price index has degree 1.

    Parameters
    ----------
    tastes, prices : (n,)
        All positive.
    """
    beta, p = checked_goods(tastes, prices, rho)
    return math.pow(float(np.sum(beta * p**-rho)), 1.0 / (1.0 - rho))


def printed_demand(tastes: ArrayLike, prices: ArrayLike, income: float, rho: float) -> Floats:
    """Return eq 22 as printed, (beta/p)^sigma y/P, kept for the audit.

    With a = beta p^-rho it spends the share (Sum a^sigma)/(Sum a)^sigma of income, below 1 for
    two goods or more and n^-kappa for n alike: one half of income for two goods at rho = 1/2,
    one tenth for ten. What is left over buys more of everything: no optimum.

    Parameters
    ----------
    tastes, prices : (n,)
        All positive.
    income
        Positive.
    """
    beta, p = checked_goods(tastes, prices, rho)
    if not income > 0:
        raise ParameterError(f"income = {income:g} must be positive")
    demand: Floats = (beta / p) ** (1.0 / (1.0 - rho)) * income / printed_price_index(beta, p, rho)
    return demand


def printed_condition(alpha: float, rho: float) -> bool:
    """Return whether alpha > sigma, the condition that section 8.3 prints for its tail.

    It says E[beta^sigma] < inf, which is when independent tastes average out: it removes the
    tail that it is meant to secure.
    """
    return alpha > 1.0 / (1.0 - rho)


def printed_tail_index(alpha: float, rho: float) -> float:
    """Return the exponent that section 8.3 prints, alpha - sigma, kept for the audit."""
    return (alpha * (1.0 - rho) - 1.0) / (1.0 - rho)
