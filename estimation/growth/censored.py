"""Growth of items that are gone once they fall below a floor: one likelihood for growth and exit.

Over the time T between two dates log growth is normal, N(m T, sigma^2 T), and an item vanishes with
hazard delta whatever its size. It is still there if it did not vanish and did not fall below the
floor L, so that with x the log size on the first date

    P(there) = exp(-delta T) Phi((x + m T - log L)/(sigma sqrt(T))),

and its growth, where it is there, has the normal density (a censored regression [Tobin1958] with a
second way out). Growth of those that are there on both dates alone is that of the luckier, and the
share that is gone holds those that fell: drift, spread and hazard taken from them one by one let a
simulated population lose more than was lost. What fell and rose again between the dates is there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.errors import ConvergenceError, DataError
from baimo.estimation.growth.two_dates import FEWEST, checked_dates
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.clusters import refuse_few
from baimo.simulation.growth.gbm import GrowthParams

_STEP = 1e-5  # of the differences of the score
_NEWTON_STEPS = 50
_HALVINGS = 30
_STATIONARY = 1e-7  # largest mean score at an optimum


@registered("CensoredGrowthFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class CensoredGrowthFit(FitResult):
    """Drift, dispersion and hazard of exit of a population with a floor.

    Parameters
    ----------
    years
        Time between the two dates.
    m
        Drift of the log of all at risk, the gone included, 1/yr.
    sigma
        Dispersion across items, yr^-1/2; the common shock is not in it.
    exit_rate
        Hazard of vanishing, 1/yr, over and above falling below the floor; 0 where the falls
        explain all that are gone.
    covariance : (3, 3)
        Of (m, sigma^2, exit_rate), robust to other shapes of growth, clustered where clusters were
        given; zeros for an exit_rate at 0.
    floor
        Size below which an item is gone.
    gone, gone_expected, fallen_expected
        Share of those at risk that are gone; the same under the fit; and what falls alone would
        make of it.
    n_clusters
        Number of clusters, None where items are independent.
    """

    years: float
    m: float
    sigma: float
    exit_rate: float
    covariance: Floats
    floor: float
    gone: float
    gone_expected: float
    fallen_expected: float
    n_clusters: int | None = None

    title: ClassVar[str] = "Growth and exit above a floor (two matched dates)"

    @property
    def mu(self) -> float:
        """Drift of the level, m + sigma^2/2, 1/yr."""
        return self.m + 0.5 * self.sigma**2

    @property
    def std_errors(self) -> tuple[float, float, float | None]:
        """Errors of m, sigma^2 and the hazard, None for a hazard at 0."""
        m, sigma2, exit_rate = np.sqrt(np.diag(self.covariance))
        return float(m), float(sigma2), float(exit_rate) if self.exit_rate > 0 else None

    def params(self, *, entry_growth: float = 0.0) -> GrowthParams:
        """Return the parameters for `baimo.simulation.growth.gbm`."""
        return GrowthParams(
            mu=self.mu, sigma=self.sigma, exit_rate=self.exit_rate, entry_growth=entry_growth
        )

    def estimates(self) -> dict[str, Estimate]:
        """Return mu, sigma, m and the hazard."""
        of_m, of_sigma2, of_exit = self.std_errors
        to_mu = np.array([1.0, 0.5, 0.0])
        of_mu = math.sqrt(float(to_mu @ self.covariance @ to_mu))
        return {
            "mu": Estimate(value=self.mu, std_error=of_mu, unit="1/yr"),
            "sigma": Estimate(
                value=self.sigma, std_error=of_sigma2 / (2.0 * self.sigma), unit="yr^-1/2"
            ),
            "log_drift": Estimate(value=self.m, std_error=of_m, unit="1/yr"),
            "exit_rate": Estimate(value=self.exit_rate, std_error=of_exit, unit="1/yr"),
        }


def fit_censored_growth(
    before: ArrayLike,
    after: ArrayLike,
    *,
    years: float,
    floor: float,
    clusters: ArrayLike | None = None,
) -> CensoredGrowthFit:
    """Fit drift, dispersion and hazard of exit by maximum likelihood.

    Parameters
    ----------
    before, after : (n,)
        Size on the two dates; NaN in `after` means that the item is gone. Items with
        non-positive `before` must be left out; those at or below the floor are not at risk.
    years
        Time between the dates, > 0.
    floor
        Size below which an item is gone, > 0.
    clusters : (n,)
        Label of each item's cluster; each item is its own where None.

    Raises
    ------
    DataError
        Shapes that differ, fewer than ten items above the floor on both dates, all gone, growth
        without spread, one cluster only.
    ConvergenceError
        The likelihood has no optimum that can be found.
    """
    start, end = checked_dates(before, after, years)
    if not (math.isfinite(floor) and floor > 0):
        raise DataError(f"floor = {floor:g} must be positive: the size below which items are gone")
    at_risk = start > floor
    start, end = start[at_risk], end[at_risk]
    there = end >= floor
    if int(there.sum()) < FEWEST:
        raise DataError(
            f"only {int(there.sum())} items exceed {floor:g} on both dates; at least {FEWEST} are "
            "needed"
        )
    items = _Items(
        growth=np.log(end[there] / start[there]),
        above=np.log(start / floor),
        there=there,
    )
    if items.growth.std() == 0:
        raise DataError("every item grew by the same factor: no dispersion; check the two dates")
    at, free = _maximum(items)
    labels = np.arange(at_risk.size) if clusters is None else np.asarray(clusters)
    if labels.shape != at_risk.shape:
        raise DataError(f"{labels.size} cluster labels for {at_risk.size} items; give one for each")
    _, codes = np.unique(labels[at_risk], return_inverse=True)
    refuse_few(int(codes.max()) + 1, codes.size, "the population")
    n = start.size
    per_year = np.array([1.0 / years, 2.0 * math.exp(2.0 * at[1]) / years, 1.0 / years])
    covariance = _sandwich(items, at, free, codes) * np.outer(per_year, per_year)
    spread = math.exp(at[1])
    fallen = special.ndtr(-(items.above + at[0]) / spread)
    stays = math.exp(-at[2])
    return CensoredGrowthFit(
        n_obs=at_risk.size,
        n_used=n,
        notes=(
            f"{at_risk.size - n} of {at_risk.size} items do not exceed {floor:g} on the first date",
            "errors are conditional on the market of this one interval: no common shock in them",
            "an item renamed between the dates looks like an exit",
        ),
        years=years,
        m=float(at[0]) / years,
        sigma=spread / math.sqrt(years),
        exit_rate=float(at[2]) / years,
        covariance=covariance,
        floor=floor,
        gone=float(np.mean(~there)),
        gone_expected=float(np.mean(1.0 - stays * (1.0 - fallen))),
        fallen_expected=float(fallen.mean()),
        n_clusters=None if clusters is None else int(codes.max()) + 1,
    )


@dataclass(frozen=True, eq=False)
class _Items:
    """Log growth of those that are there, log of size over floor and whether there of all."""

    growth: Floats
    above: Floats
    there: NDArray[np.bool_]

    def log_likelihood(self, at: Floats) -> float:
        """Return that of (M, log S, Lambda): drift, spread and hazard over the whole interval."""
        drift, spread, hazard = at[0], math.exp(at[1]), at[2]
        z = (self.growth - drift) / spread
        seen = -0.5 * float(z @ z) - z.size * (at[1] + 0.5 * math.log(2.0 * math.pi) + hazard)
        return float(seen + np.sum(np.log(self._gone(drift, spread, hazard)[0])))

    def scores(self, at: Floats) -> Floats:
        """Return the derivative of the log-likelihood of each item: (n, 3)."""
        drift, spread, hazard = at[0], math.exp(at[1]), at[2]
        z = (self.growth - drift) / spread
        found = np.empty((self.above.size, 3))
        found[self.there] = np.column_stack([z / spread, z**2 - 1.0, np.full(z.size, -1.0)])
        gone, reach = self._gone(drift, spread, hazard)
        pull = -math.exp(-hazard) * np.exp(-0.5 * reach**2) / math.sqrt(2.0 * math.pi)
        stays = math.exp(-hazard) * special.ndtr(reach)
        found[~self.there] = np.column_stack([pull / spread, -pull * reach, stays]) / gone[:, None]
        return found

    def _gone(self, drift: float, spread: float, hazard: float) -> tuple[Floats, Floats]:
        """Return P(gone) of those that are, and their distance to the floor in spreads."""
        reach = (self.above[~self.there] + drift) / spread
        gone = -np.expm1(-hazard) + math.exp(-hazard) * special.ndtr(-reach)
        return np.maximum(gone, 1e-300), reach


def _maximum(items: _Items) -> tuple[Floats, list[int]]:
    """Return the optimum and which parameters are inside their range: the hazard may be at 0.

    Newton's steps, halved until the likelihood rises and with the hazard cut at 0.
    """
    gone = 1.0 - items.growth.size / items.above.size
    at = np.array([items.growth.mean(), math.log(items.growth.std()), -math.log1p(-0.5 * gone)])
    reached, free = items.log_likelihood(at), [0, 1, 2]
    for _ in range(_NEWTON_STEPS):
        scores = items.scores(at)
        free = [0, 1, 2] if at[2] > 0.0 or scores[:, 2].sum() > 0.0 else [0, 1]
        step = _step(items, at, scores[:, free], free)
        found, moved = reached, np.zeros(3)
        for halving in range(_HALVINGS):
            trial = at.copy()
            trial[free] += step / 2.0**halving
            trial[2] = max(trial[2], 0.0)
            found = items.log_likelihood(trial)
            if found > reached:
                moved = trial - at
                break
        if found <= reached or float(np.max(np.abs(moved))) < 1e-11:
            break
        at, reached = at + moved, found
    if at[2] > 0.0 or 2 not in free:  # the likelihood is flat to eight digits there
        at[free] += _step(items, at, items.scores(at)[:, free], free)
    score = items.scores(at)[:, free].sum(axis=0)
    if not float(np.max(np.abs(score))) < _STATIONARY * items.above.size:
        raise ConvergenceError(
            "growth and exits have no optimum together: too few items grew, or all that are gone "
            "were close to the floor; choose another floor"
        )
    return at, [i for i in free if i < 2 or at[2] > 0.0]


def _step(items: _Items, at: Floats, scores: Floats, free: list[int]) -> Floats:
    """Return Newton's step, or with an information that is none that of the scores' products."""
    information = _information(items, at, free)
    if float(np.linalg.eigvalsh(information)[0]) <= 0.0:
        information = scores.T @ scores
    return np.asarray(np.linalg.solve(information, scores.sum(axis=0)))


def _information(items: _Items, at: Floats, free: list[int]) -> Floats:
    """Return minus the derivative of the total score by the free parameters."""
    columns = []
    for i in free:
        step = np.zeros(3)
        step[i] = _STEP * max(1.0, abs(at[i]))
        change = items.scores(at + step).sum(axis=0) - items.scores(at - step).sum(axis=0)
        columns.append(-change[free] / (2.0 * step[i]))
    found = np.column_stack(columns)
    return np.asarray((found + found.T) / 2.0)


def _sandwich(items: _Items, at: Floats, free: list[int], codes: Ints) -> Floats:
    """Return the covariance of (M, log S, Lambda) from scores summed by cluster."""
    scores = items.scores(at)[:, free]
    sums = np.stack([np.bincount(codes, weights=s) for s in scores.T], axis=1)
    bread = np.linalg.inv(_information(items, at, free))
    g = sums.shape[0]
    covariance = np.zeros((3, 3))
    covariance[np.ix_(free, free)] = bread @ (sums.T @ sums) @ bread * (g / (g - 1.0))
    return covariance
