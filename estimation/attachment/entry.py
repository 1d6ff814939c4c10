"""Entry measured from ages of one date: growth of entry plus exit (eq 19 with entry)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from baimo.estimation.errors import DataError
from baimo.estimation.results import Estimate, FitResult, registered


@registered("EntryFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class EntryFit(FitResult):
    """Growth rate of entry plus exit rate, from the ages of the items alive.

    Parameters
    ----------
    rate
        n + delta, 1/yr; negative when the young are rare.
    std_error
        From the information of the truncated exponential, times the square root of the design
        effect where that is known.
    horizon
        Length of history T, years.
    """

    rate: float
    std_error: float
    horizon: float
    mean_age: float
    design_effect: float | None = None

    title: ClassVar[str] = "Entry growth plus exit (truncated exponential ages)"

    def estimates(self) -> dict[str, Estimate]:
        """Return n + delta and the mean age."""
        return {
            "entry_growth_plus_exit": Estimate(
                value=self.rate, std_error=self.std_error, unit="1/yr"
            ),
            "mean_age": Estimate(value=self.mean_age, unit="yr"),
        }


def fit_entry(
    ages: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    horizon: float,
    design_effect: float | None = None,
) -> EntryFit:
    """Estimate n + delta from ages truncated at the length of history.

    Solves 1/r - T/(exp(rT) - 1) = mean age; standard error from the truncated-exponential
    information. The ages of the survivors estimate n + delta, not n.

    Parameters
    ----------
    ages : (n,)
        Years, in [0, horizon]; left-censored items (backfilled dates) taken out before.
    weights : (n,) integers, optional
        Items of each age.
    horizon
        Length of history in years.
    design_effect
        Variance inflation of the mean age by clusters, if known.
    """
    tau = np.asarray(ages, dtype=np.float64)
    w = np.ones(tau.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if tau.size != w.size:
        raise DataError(f"{tau.size} ages but {w.size} weights; give one for each")
    if tau.size == 0 or w.sum() < 2:
        raise DataError("fewer than two ages: entry cannot be measured")
    if np.any(tau < 0) or np.any(tau > horizon) or not np.all(np.isfinite(tau)):
        raise DataError(f"ages must lie between 0 and the horizon, {horizon:g} years")
    n = float(w.sum())
    mean = float(np.sum(tau * w)) / n
    if not 0 < mean < horizon:
        raise DataError("all ages are equal to a bound: entry cannot be measured")
    # Beyond a few horizons the truncation is not felt: there the rate is one over the mean.
    low, high = -2.0 / (horizon - mean) - 500.0 / horizon, 2.0 / mean + 500.0 / horizon
    rate = float(
        optimize.brentq(lambda r: _mean_age(r, horizon) - mean, low, high, xtol=1e-13, rtol=1e-14)
    )
    return EntryFit(
        n_obs=int(n),
        n_used=int(n),
        rate=rate,
        std_error=math.sqrt((design_effect or 1.0) / (n * age_variance(rate, horizon))),
        horizon=horizon,
        mean_age=mean,
        design_effect=design_effect,
    )


def _mean_age(rate: float, horizon: float) -> float:
    x = rate * horizon
    if abs(x) < 1e-3:
        return horizon * (0.5 - x / 12.0 + x**3 / 720.0)
    if abs(x) > 500.0:
        return 1.0 / rate + (horizon if rate < 0 else 0.0)
    return 1.0 / rate - horizon / math.expm1(x)


def age_variance(rate: float, horizon: float) -> float:
    """Return the variance of truncated-exponential ages, years^2; it is d(-mean age)/d(rate)."""
    x = rate * horizon
    if abs(x) < 1e-3:
        return horizon**2 * (1.0 / 12.0 - x**2 / 240.0)
    if abs(x) > 500.0:
        return 1.0 / rate**2
    return 1.0 / rate**2 - (horizon / (2.0 * math.sinh(0.5 * x))) ** 2
