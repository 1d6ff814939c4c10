"""Demand of many consumers: eq 22-23 (section 8), common and idiosyncratic tastes.

    eq 22, corrected   c_ij = y_i beta_ij^kappa p_j^-sigma P_i^kappa
    eq 23, corrected   C_j = p_j^-sigma Sum_i beta_ij^kappa y_i P_i^kappa
    adopted            beta_ij = q_j eps_ij, q_j Pareto(alpha) common, eps_ij independent

Which tastes make a tail? With q_j = 1 and a continuum of consumers, the mean over consumers of
eps_ij^kappa is the same for every product (law of large numbers): no dispersion, no tail. For I
consumers the coefficient of variation of C_j falls as I^-1/2 when zeta_eps = alpha_eps/kappa
exceeds 2, as I^-(1 - 1/zeta_eps) between 1 and 2. With common q_j the continuum gives
C_j proportional to q_j^kappa p_j^-sigma; finite I multiplies it by an independent mean of
eps^kappa, and by Breiman's lemma the exponent stays alpha/kappa while eps has a moment beyond
alpha. Printed eq 23 (`printed_aggregate_demand`) has one price index for all, of the wrong power.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from baimo.simulation.arrays import Floats
from baimo.simulation.demand.ces import DemandParams
from baimo.simulation.errors import ParameterError

BLOCK = 1 << 21  # tastes held at a time, 16 MB


@dataclass(frozen=True, kw_only=True)
class TasteNoise:
    """Law of idiosyncratic tastes eps_ij.

    Parameters
    ----------
    kind
        "none" (eps = 1), "lognormal" (median 1) or "pareto" (from 1 on).
    spread
        Standard deviation of log eps (lognormal, > 0) or exponent of the CCDF (pareto, > 0);
        0 for "none".
    """

    kind: Literal["none", "lognormal", "pareto"] = "none"
    spread: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("none", "lognormal", "pareto"):
            raise ParameterError(f"kind = {self.kind!r} must be none, lognormal or pareto")
        if self.kind == "none" and self.spread != 0:
            raise ParameterError(f"spread = {self.spread:g} without noise must be 0")
        if self.kind != "none" and not (math.isfinite(self.spread) and self.spread > 0):
            raise ParameterError(f"spread = {self.spread:g} must be positive and finite")

    @property
    def exponent(self) -> float:
        """Exponent of the tail of eps: moments below it exist (inf where all do)."""
        return self.spread if self.kind == "pareto" else math.inf

    def moment(self, power: float) -> float:
        """Return E[eps^power], inf where it does not exist."""
        if self.kind == "none":
            return 1.0
        if self.kind == "lognormal":
            return math.exp(0.5 * (power * self.spread) ** 2)
        return self.spread / (self.spread - power) if power < self.spread else math.inf

    def sample_logs(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        """Draw log eps."""
        if self.kind == "none":
            return np.zeros(shape)
        if self.kind == "lognormal":
            return self.spread * rng.standard_normal(shape)
        return rng.standard_exponential(shape) / self.spread


def consumer_demand(
    tastes: ArrayLike, prices: ArrayLike, incomes: ArrayLike, rho: float
) -> tuple[Floats, Floats]:
    """Return (demand, utility) of every consumer: eq 22, corrected.

    Parameters
    ----------
    tastes : (I, J)
        beta_ij > 0.
    prices : (J,)
        Prices or effective costs, > 0.
    incomes : (I,)
        > 0, spent exactly.

    Returns
    -------
    demand : (I, J)
    utility : (I,)
        y_i/P_i.
    """
    log_beta, p, y = _checked_market(tastes, prices, incomes, rho)
    shares, log_index = _spending(log_beta, np.log(p), rho)
    demand: Floats = y[:, None] * shares / p
    utility: Floats = y * np.exp(-log_index)
    return demand, utility


def price_index(tastes: ArrayLike, prices: ArrayLike, rho: float) -> Floats:
    """Return P_i = (Sum_k (p_k/beta_ik)^-kappa)^(-1/kappa) of every consumer, (I,).

    Of degree 1 in prices and -1 in tastes, as the cost of one unit of utility must be.
    """
    log_beta, p, _ = _checked_market(tastes, prices, None, rho)
    _, log_index = _spending(log_beta, np.log(p), rho)
    index: Floats = np.exp(log_index)
    return index


def aggregate_demand(
    tastes: ArrayLike, prices: ArrayLike, incomes: ArrayLike, rho: float
) -> Floats:
    """Return C_j = p_j^-sigma Sum_i beta_ij^kappa y_i P_i^kappa, (J,): eq 23, corrected.

    Parameters
    ----------
    tastes : (I, J)
    prices : (J,)
    incomes : (I,)
        All positive; prices times demand sum to all income.
    """
    log_beta, p, y = _checked_market(tastes, prices, incomes, rho)
    shares, _ = _spending(log_beta, np.log(p), rho)
    total: Floats = (y @ shares) / p
    return total


def printed_aggregate_demand(
    tastes: ArrayLike, prices: ArrayLike, incomes: ArrayLike, rho: float
) -> Floats:
    """Return eq 23 as printed, (J,), kept for the audit.

    p_j^-sigma/P^rho Sum_i beta_ij^sigma y_i with P = (Sum p^(1-rho))^(1/(1-rho)): twice the
    prices and twice the incomes give 2^(1 - sigma - rho) of the demand instead of the same.
    """
    log_beta, p, y = _checked_market(tastes, prices, incomes, rho)
    sigma = 1.0 / (1.0 - rho)
    index = float(np.sum(p ** (1.0 - rho))) ** sigma
    total: Floats = p**-sigma / index**rho * (y @ np.exp(sigma * log_beta))
    return total


def simulate_market(
    log_tastes: ArrayLike,
    noise: TasteNoise,
    n_consumers: int | None,
    rho: float,
    rng: np.random.Generator,
    *,
    costs: ArrayLike | None = None,
) -> Floats:
    """Return the mean demand of consumers with income 1 and tastes q_j eps_ij, (J,).

    Parameters
    ----------
    log_tastes : (J,)
        log q_j, common to all; zeros leave idiosyncratic tastes alone.
    noise
        Law of eps_ij.
    n_consumers
        I >= 1, or None for the continuum of consumers and many products, where demand is
        proportional to q_j^kappa tau_j^-sigma and the draws of eps no longer matter.
    costs : (J,)
        Effective costs tau_j > 0, 1 when left out.

    Raises
    ------
    ParameterError
        Continuum without E[eps^kappa]: no law of large numbers holds.
    """
    log_q = np.asarray(log_tastes, dtype=np.float64)
    tau = np.ones_like(log_q) if costs is None else np.asarray(costs, dtype=np.float64)
    if log_q.ndim != 1 or log_q.size < 1 or tau.shape != log_q.shape:
        raise ParameterError(f"{log_q.shape} tastes and {tau.shape} costs: give one of each a good")
    if not np.all(np.isfinite(log_q)):
        raise ParameterError("log_tastes must be finite: a taste of 0 is no taste")
    _checked_market(np.ones((1, log_q.size)), tau, None, rho)
    if n_consumers is None:
        kappa = rho / (1.0 - rho)
        if not noise.moment(kappa) < math.inf:
            raise ParameterError(
                f"eps^{kappa:g} has no mean at exponent {noise.exponent:g}: tastes do not average "
                "out; take a finite number of consumers"
            )
        shares, _ = _spending(log_q[None, :], np.log(tau), rho)
        continuum: Floats = shares[0] / tau
        return continuum
    if n_consumers < 1:
        raise ParameterError(f"n_consumers = {n_consumers} must be at least 1, or None for all")
    total = np.zeros_like(log_q)
    for rows in _blocks(n_consumers, log_q.size):
        shares, _ = _spending(log_q + noise.sample_logs((rows, log_q.size), rng), np.log(tau), rho)
        total += shares.sum(axis=0)
    demand: Floats = total / n_consumers / tau
    return demand


def tail_index(params: DemandParams, noise: TasteNoise, n_consumers: int | None = None) -> float:
    """Return zeta of demand at equal cost with tastes q_j eps_ij.

    Continuum: alpha/kappa. Finite I: still alpha/kappa while eps has a moment beyond alpha
    (Breiman), else the heavier eps decides, exponent_eps/kappa, far out where few products are.

    Raises
    ------
    ParameterError
        Equal exponents (the tail has a logarithm in it), or a continuum without E[eps^kappa].
    """
    if n_consumers is None:
        if not noise.exponent > params.kappa:
            raise ParameterError(
                f"eps^{params.kappa:g} has no mean at exponent {noise.exponent:g}: no continuum "
                "limit; take a finite number of consumers"
            )
        return params.zeta
    if noise.exponent == params.alpha:
        raise ParameterError("equal exponents of q and eps give no pure power law: change one")
    return min(params.alpha, noise.exponent) / params.kappa


def breiman_factor(params: DemandParams, noise: TasteNoise) -> float:
    """Return lim P(q eps > x)/P(q > x) = E[eps^alpha], of one consumer's tastes.

    By it the level of the tail moves, not its exponent; inf where the noise has the heavier tail.
    """
    return noise.moment(params.alpha)


def variation_of_demand(zeta: float, n_consumers: int) -> float:
    """Return the coefficient of variation of C_j when only idiosyncratic tastes differ.

    eps^kappa is Pareto(zeta), so the mean over I consumers varies by (zeta (zeta - 2) I)^-1/2;
    many products, equal prices. For zeta <= 2 there is no such number, only the rate at which a
    sample's falls (`variation_rate`).

    Raises
    ------
    ParameterError
        zeta <= 2, or fewer than one consumer.
    """
    if not zeta > 2 or n_consumers < 1:
        raise ParameterError(
            f"zeta = {zeta:g} must exceed 2 and n_consumers = {n_consumers} be at least 1; below "
            "2 use variation_rate"
        )
    return 1.0 / math.sqrt(zeta * (zeta - 2.0) * n_consumers)


def variation_rate(zeta: float) -> float:
    """Return r in CV(C_j) ~ I^-r: 1/2 above zeta = 2, 1 - 1/zeta between 1 and 2, 0 below 1."""
    if not zeta > 0:
        raise ParameterError(f"zeta = {zeta:g} must be positive")
    return min(0.5, max(0.0, 1.0 - 1.0 / zeta))


def _spending(log_beta: Floats, log_price: Floats, rho: float) -> tuple[Floats, Floats]:
    """Return (spending shares, log price index) of each consumer, free of overflow."""
    kappa = rho / (1.0 - rho)
    log_ratio = log_beta - log_price
    top = log_ratio.max(axis=1)
    weight = np.exp(kappa * (log_ratio - top[:, None]))
    total = weight.sum(axis=1)
    weight /= total[:, None]
    log_index: Floats = -top - np.log(total) / kappa
    return weight, log_index


def _blocks(n_rows: int, n_columns: int) -> Iterator[int]:
    rows = max(1, BLOCK // n_columns)
    for start in range(0, n_rows, rows):
        yield min(rows, n_rows - start)


def _checked_market(
    tastes: ArrayLike, prices: ArrayLike, incomes: ArrayLike | None, rho: float
) -> tuple[Floats, Floats, Floats]:
    """Return (log tastes, prices, incomes), incomes 1 when left out."""
    if not 0 < rho < 1:
        raise ParameterError(f"rho = {rho:g} must lie in (0, 1)")
    beta, p = np.asarray(tastes, dtype=np.float64), np.asarray(prices, dtype=np.float64)
    if beta.ndim != 2 or beta.size == 0:
        raise ParameterError(f"tastes of shape {beta.shape} must be consumers by goods, none empty")
    y = np.ones(beta.shape[0]) if incomes is None else np.asarray(incomes, dtype=np.float64)
    if p.shape != beta.shape[1:] or y.shape != beta.shape[:1]:
        raise ParameterError(
            f"{p.shape} prices and {y.shape} incomes do not fit tastes of shape {beta.shape}: "
            "give one price a good and one income a consumer"
        )
    for name, values in (("tastes", beta), ("prices", p), ("incomes", y)):
        if not np.all((values > 0) & np.isfinite(values)):
            raise ParameterError(f"{name} must be positive and finite; demand is undefined at 0")
    return np.log(beta), p, y
