"""CES demand with Pareto tastes, measured (eq 20-24; equations in `simulation.demand`).

One cross-section of demand identifies only zeta = alpha/kappa, kappa = rho/(1 - rho). The
taste exponent alpha therefore comes as a band over rho, never as one number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import ArrayLike

from estimation.counts import Counts, as_counts
from estimation.errors import DataError
from estimation.results import Estimate, FitResult, registered
from estimation.tails import TailFit
from simulation.demand import DemandParams

RHO_BAND = (0.3, 0.6, 0.9)


@registered
@dataclass(frozen=True, eq=False, kw_only=True)
class DemandFit(FitResult):
    """Taste exponent over a band of the substitution parameter.

    Parameters
    ----------
    zeta, std_error
        CCDF exponent of demand and its (clustered) standard error.
    rho_band
        Values of rho, each in (0, 1), the middle one the central case.
    total
        Sum of demand over all items, for simulations of the observed size.
    """

    zeta: float
    std_error: float
    rho_band: tuple[float, ...]
    total: int

    title: ClassVar[str] = "CES demand with Pareto tastes"

    def params(self, rho: float | None = None) -> DemandParams:
        """Return the parameters at `rho` (the middle of the band by default).

        Every rho of the band gives the same distribution of demand at equal cost.
        """
        chosen = self.rho_band[len(self.rho_band) // 2] if rho is None else rho
        return DemandParams(alpha=self.zeta * chosen / (1.0 - chosen), rho=chosen)

    def estimates(self) -> dict[str, Estimate]:
        """Return zeta and alpha at each rho of the band."""
        out = {"zeta": Estimate(value=self.zeta, std_error=self.std_error)}
        for rho in self.rho_band:
            kappa = rho / (1.0 - rho)
            out[f"alpha_rho_{rho:g}"] = Estimate(
                value=self.zeta * kappa, std_error=self.std_error * kappa
            )
        return out


def fit_demand(
    data: Counts | ArrayLike, tail: TailFit, *, rho_band: tuple[float, ...] = RHO_BAND
) -> DemandFit:
    """Turn a tail fit of demand into taste exponents alpha = zeta rho/(1 - rho).

    Parameters
    ----------
    data
        Downloads or likes of every item.
    tail
        Their tail fit.
    rho_band
        Values of rho, ascending, each in (0, 1).
    """
    if not rho_band or any(not 0 < rho < 1 for rho in rho_band):
        raise DataError(f"rho_band = {rho_band} must hold values between 0 and 1")
    return DemandFit(
        n_obs=tail.n_obs,
        n_used=tail.n_used,
        notes=("rho is assumed, not estimated: one cross-section identifies only zeta",),
        zeta=tail.zeta,
        std_error=tail.std_error_clustered,
        rho_band=tuple(rho_band),
        total=int(as_counts(data).total),
    )
