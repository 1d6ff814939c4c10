"""Trend of entry: a Poisson regression of the number of entrants on time (eq 39)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.errors import DataError
from baimo.estimation.laws import t_ppf
from baimo.estimation.results import Estimate, FitResult, registered


@registered("EntryTrendFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class EntryTrendFit(FitResult):
    """Growth rate of entry, from a Poisson trend over equal periods.

    Parameters
    ----------
    rate, std_error
        1/yr; the error is scaled for overdispersion.
    interval
        95 % interval with Student's t of n_used - 2 degrees.
    """

    rate: float
    std_error: float
    interval: tuple[float, float]

    title: ClassVar[str] = "Growth of entry (Poisson trend)"

    def estimates(self) -> dict[str, Estimate]:
        """Return the growth rate of entry."""
        return {
            "entry_growth": Estimate(
                value=self.rate, std_error=self.std_error, interval=self.interval, unit="1/yr"
            )
        }


def fit_entry_growth(entries: ArrayLike, *, step_years: float) -> EntryTrendFit:
    """Estimate the growth rate of entry by a Poisson trend over equal periods.

    Parameters
    ----------
    entries : (t,) integers
        Number of entrants in each period, oldest first.
    step_years
        Length of a period.
    """
    from statsmodels.api import GLM, add_constant
    from statsmodels.genmod.families import Poisson

    y = np.asarray(entries, dtype=np.float64)
    if y.size < 4:
        raise DataError(f"{y.size} periods of entry are too few for a trend; at least 4 needed")
    if not np.all(np.isfinite(y)) or np.any(y < 0) or not np.any(y > 0):
        raise DataError("entries must be counts, not negative, and not all zero")
    time = np.arange(y.size) * step_years
    fitted = GLM(y, add_constant(time), family=Poisson()).fit(scale="X2")
    rate, error = float(fitted.params[1]), float(fitted.bse[1])
    half = t_ppf(0.975, y.size - 2) * error
    return EntryTrendFit(
        n_obs=y.size,
        n_used=y.size,
        notes=(f"a trend over {y.size} periods only",),
        rate=rate,
        std_error=error,
        interval=(rate - half, rate + half),
    )
