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
the taste that makes a tail is the common one (many consumers: `baimo.simulation.demand.consumers`).

At p = 0 eq 22 is undefined. What is free still costs its user bytes, memory and time: an
effective cost tau_j takes the place of the price, and demand is proportional to
q_j^kappa tau_j^-sigma. The formulas as printed stay here under `printed_` names, for the audit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from baimo.simulation.arrays import Floats, Ints
from baimo.simulation.errors import ParameterError

CountLaw = Literal["multinomial", "poisson", "negative_binomial"]
MOST_PURCHASES = 2**62  # beyond, counts would leave int64
_LOG_LARGEST = 53.0 * math.log(2.0)


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


def checked_goods(tastes: ArrayLike, prices: ArrayLike, rho: float) -> tuple[Floats, Floats]:
    """Return tastes and prices of goods as arrays.

    Raises
    ------
    ParameterError
        rho is not between 0 and 1, or a taste or price is not positive.
    """
    if not 0 < rho < 1:
        raise ParameterError(f"rho = {rho:g} must lie in (0, 1)")
    beta, p = np.asarray(tastes, dtype=np.float64), np.asarray(prices, dtype=np.float64)
    if not (np.all(beta > 0) and np.all(p > 0)):
        raise ParameterError("tastes and prices must be positive; demand at p = 0 is not defined")
    return beta, p


def demand_share_above(taste: float, alpha: float, power: float) -> float:
    """Return the share of demand that goes to products with a taste above `taste`.

    For Pareto tastes from 1 on and demand proportional to beta^power it is
    taste^-(alpha - power), so alpha - sigma, the printed index, is its exponent under
    power = sigma: a statement about shares and tastes, not about the tail of demand.

    Parameters
    ----------
    taste
        At least 1, the smallest taste.
    alpha, power
        The share exists for alpha > power.
    """
    if not (taste >= 1.0 and alpha > power):
        raise ParameterError(
            f"taste = {taste:g} must be at least 1 and alpha = {alpha:g} above power = {power:g}: "
            "otherwise total demand has no mean"
        )
    return float(taste ** (power - alpha))


def expected_hhi(zeta: float) -> float:
    """Return the limit of E[HHI] of demand at equal cost as the items grow in number.

    Normalised Pareto sizes with zeta < 1 tend to a Poisson-Dirichlet law, whose expected sum of
    squared shares is 1 - zeta; from zeta = 1 on the shares vanish and so does the index. Near 1
    the limit is reached slowly (20,000 items at zeta = .9 give .149, not .10).
    """
    if not zeta > 0:
        raise ParameterError(f"zeta = {zeta:g} must be positive")
    return max(1.0 - zeta, 0.0)


def attraction(params: DemandParams, log_tastes: Floats, costs: ArrayLike | None = None) -> Floats:
    """Return demand up to a common factor, q^kappa tau^-sigma (eq 23, corrected), at most 1.

    Parameters
    ----------
    log_tastes : (n,)
        log q_j.
    costs : (n,)
        Effective costs tau_j > 0 in any one unit; equal when left out.

    Raises
    ------
    ParameterError
        Costs that are not positive and finite, or not one for each item.
    """
    if costs is None:
        weight: Floats = np.exp(params.kappa * (log_tastes - log_tastes.max()))
        return weight
    tau = np.asarray(costs, dtype=np.float64)
    if tau.shape != log_tastes.shape or not np.all((tau > 0) & np.isfinite(tau)):
        raise ParameterError(
            f"costs of shape {tau.shape} for {log_tastes.size} items must be one each, positive "
            "and finite: demand at no cost is not defined"
        )
    log_weight = params.kappa * log_tastes - params.sigma * np.log(tau)
    with_costs: Floats = np.exp(log_weight - log_weight.max())
    return with_costs


def sample_log_tastes(params: DemandParams, n_items: int, rng: np.random.Generator) -> Floats:
    """Draw log q of Pareto(alpha) common tastes from q = 1 on (eq 24): (n_items,), at least 0."""
    if n_items < 1:
        raise ParameterError(f"n_items = {n_items} must be at least 1")
    log_tastes: Floats = rng.standard_exponential(n_items) / params.alpha
    return log_tastes


def simulate_counts(
    weights: ArrayLike,
    n_purchases: int,
    rng: np.random.Generator,
    *,
    law: CountLaw = "multinomial",
    overdispersion: float = 0.0,
) -> Ints:
    """Draw whole purchases for items of given relative demand.

    Parameters
    ----------
    weights : (n,)
        Demand up to a factor, at least 0, their sum positive.
    n_purchases
        Total under "multinomial", expected total under the other laws.
    law
        "multinomial" splits the observed total; "poisson" lets every consumer arrive alone;
        "negative_binomial" multiplies the Poisson mean m by a gamma factor of mean 1 and
        variance `overdispersion` > 0: variance m + overdispersion m^2.

    Returns
    -------
    (n,) int64
    """
    w = np.asarray(weights, dtype=np.float64)
    total = float(w.sum())
    if w.ndim != 1 or not np.all(w >= 0) or not 0 < total < math.inf:
        raise ParameterError("weights must be a row of numbers, at least 0, with a positive sum")
    if not 0 <= n_purchases <= MOST_PURCHASES:
        raise ParameterError(f"n_purchases = {n_purchases} must lie between 0 and 2^62")
    if law not in get_args(CountLaw):
        raise ParameterError(f"law = {law!r} must be one of {get_args(CountLaw)}")
    if (law == "negative_binomial") != (overdispersion > 0):
        raise ParameterError(
            f"overdispersion = {overdispersion:g} must be positive for 'negative_binomial' and is "
            "of no use to the other laws"
        )
    if law == "multinomial":
        split: Ints = rng.multinomial(n_purchases, w / total)
        return split
    mean = n_purchases * (w / total)
    if law == "negative_binomial":
        # Beyond 2^62 a count could not be held; it takes a mean of that order to get there.
        mean = np.minimum(mean * rng.gamma(1 / overdispersion, overdispersion, w.size), 2.0**62)
    drawn: Ints = rng.poisson(mean)
    return drawn


def simulate_arrivals(
    params: DemandParams, log_smallest: float, n_items: int, rng: np.random.Generator
) -> Ints:
    """Draw purchases of items whose expectations are Pareto from a given lower end on.

    Parameters
    ----------
    log_smallest
        Log of the expected purchases of the item with the smallest taste.

    Returns
    -------
    (n_items,) int64
        Poisson given the tastes: their total is not fixed, and below zeta = 1 has no expectation.
    """
    if not math.isfinite(log_smallest):
        raise ParameterError(f"log_smallest = {log_smallest:g} must be finite")
    logs = log_smallest + params.kappa * sample_log_tastes(params, n_items, rng)
    drawn: Ints = rng.poisson(np.exp(np.minimum(logs, _LOG_LARGEST)))
    return drawn


def simulate_demand(
    params: DemandParams,
    n_items: int,
    n_purchases: int,
    rng: np.random.Generator,
    *,
    costs: ArrayLike | None = None,
    law: CountLaw = "multinomial",
    overdispersion: float = 0.0,
) -> Ints:
    """Draw purchases (downloads, likes) of each item; zeros included.

    Tastes q = U^(-1/alpha) are common, demand is proportional to q^kappa tau^-sigma, and the
    purchases fall on the items by `law` (see `simulate_counts`).

    Parameters
    ----------
    costs : (n_items,)
        Effective costs tau_j > 0; equal when left out.
    n_purchases
        Total of the draw; its expectation under Poisson and negative binomial.

    Returns
    -------
    (n_items,) int64
        Under the multinomial law they sum to `n_purchases`.
    """
    if n_items < 1 or n_purchases < 0:
        raise ParameterError(
            f"n_items = {n_items} must be at least 1 and n_purchases = {n_purchases} at least 0"
        )
    weights = attraction(params, sample_log_tastes(params, n_items, rng), costs)
    return simulate_counts(weights, n_purchases, rng, law=law, overdispersion=overdispersion)
