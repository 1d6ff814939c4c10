"""Demand with constant elasticity of substitution and Pareto tastes: eq 20-24 (section 8).

    eq 20   U_i = (Int (beta_ij c_ij)^rho dj)^(1/rho),  0 < rho < 1
    eq 21   max U_i subject to Int p_j c_ij dj <= y_i
    eq 24   P(beta > x) = (beta_min / x)^alpha

With sigma = 1/(1 - rho) > 1 (substitutability rises with rho, not falls) and
kappa = sigma - 1 = rho/(1 - rho):

    eq 22, corrected   c_ij = y_i beta_ij^kappa p_j^-sigma P_i^kappa,
                       P_i = (Int (p_k/beta_ik)^-kappa dk)^(-1/kappa),   U_i = y_i/P_i
    eq 23, corrected   C_j = p_j^-sigma Int beta_ij^kappa y_i P_i^kappa di
    tail, corrected    common tastes, equal prices: zeta = alpha/kappa = alpha (1 - rho)/rho

The printed eq 22 belongs to the utility (Int beta c^rho)^(1/rho), its price index has the wrong
degree, and the printed index (alpha (1 - rho) - 1)/(1 - rho) is no tail of demand. With tastes
drawn independently for a continuum of consumers they average out and there is no tail at all:
the taste that makes a tail is the common one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.errors import ParameterError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class DemandParams:
    """CES demand with common Pareto tastes.

    Parameters
    ----------
    alpha
        Pareto exponent of tastes, > 0.
    rho
        Substitution parameter, 0 < rho < 1.
    """

    alpha: float
    rho: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha > 0):
            raise ParameterError(f"alpha = {self.alpha:g} must be positive and finite")
        if not 0 < self.rho < 1:
            raise ParameterError(f"rho = {self.rho:g} must lie in (0, 1)")

    @property
    def sigma(self) -> float:
        """Elasticity of substitution, 1/(1 - rho)."""
        return 1.0 / (1.0 - self.rho)

    @property
    def kappa(self) -> float:
        """Exponent of taste in demand, rho/(1 - rho)."""
        return self.rho / (1.0 - self.rho)

    @property
    def zeta(self) -> float:
        """CCDF exponent of demand, alpha/kappa."""
        return self.alpha / self.kappa


def ces_demand(
    tastes: ArrayLike, prices: ArrayLike, income: float, rho: float
) -> tuple[Floats, float]:
    """Return (demand, utility) of one consumer: eq 22, corrected.

    Parameters
    ----------
    tastes, prices : (n,)
        All positive.
    income
        Positive; spent exactly.
    """
    if not 0 < rho < 1:
        raise ParameterError(f"rho = {rho:g} must lie in (0, 1)")
    beta, p = np.asarray(tastes, dtype=np.float64), np.asarray(prices, dtype=np.float64)
    if np.any(beta <= 0) or np.any(p <= 0) or income <= 0:
        raise ParameterError("tastes, prices and income must be positive; demand at p = 0 is not")
    kappa = rho / (1.0 - rho)
    # Spending shares (p/beta)^-kappa, scaled by the largest: the unit of taste is free.
    log_ratio = np.log(beta / p)
    top = float(log_ratio.max())
    weight = np.exp(kappa * (log_ratio - top))
    total = float(weight.sum())
    demand: Floats = income * (weight / total) / p
    utility = income * math.exp(top + math.log(total) / kappa)
    return demand, utility


def printed_tail_index(alpha: float, rho: float) -> float:
    """Return the exponent that section 8.3 prints, kept for the audit."""
    return (alpha * (1.0 - rho) - 1.0) / (1.0 - rho)


def simulate_demand(
    params: DemandParams, n_items: int, n_purchases: int, rng: np.random.Generator
) -> Ints:
    """Draw purchases (downloads, likes) of each item at equal cost; zeros included.

    Tastes q = U^(-1/alpha) are common, demand is proportional to q^kappa, and the observed
    number of purchases falls on the items by a multinomial draw.

    Returns
    -------
    (n_items,) int64
        They sum to `n_purchases`.
    """
    if n_items < 1 or n_purchases < 0:
        raise ParameterError(
            f"n_items = {n_items} must be at least 1 and n_purchases = {n_purchases} at least 0"
        )
    log_taste = rng.standard_exponential(n_items) / params.alpha
    weight = np.exp(params.kappa * (log_taste - log_taste.max()))
    purchases: Ints = rng.multinomial(n_purchases, weight / weight.sum())
    return purchases
