"""Tails of age cohorts: the test that tells mechanisms apart when tails do not.

Where items start alike and grow at random in proportion to size (Yule, GBM), the tail of all
comes from mixing ages: within a cohort it is light, and heavier than the pooled one in no cohort.
Where items differ from birth (tastes, fitness), every cohort has the tail of all. The exponents
of disjoint cohorts, at one x_min, are compared with each other, never with the pooled sample that
contains them. An author's items may stand in several cohorts, so that the exponents covary; the
errors are those of leaving out one author at a time, jointly. The test of one exponent then takes
the scores at the pooled exponent, summed by author: where one author holds half of a cohort, as on
the Hub, the Wald test rejects .10 to .24 of samples with one exponent at .05, and this .05
(tests/benchmarks/clustered_size.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.laws import chi2_sf
from baimo.estimation.results import Estimate, FitResult, registered
from baimo.estimation.samples.clusters import checked_labels, refuse_few
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import TailFit, fit_tail, tail_information, tail_scores

FEWEST = 50  # items in the tail of a cohort


@registered("CohortsFit")
@dataclass(frozen=True, eq=False, kw_only=True)
class CohortsFit(FitResult):
    """Tail exponents of disjoint age cohorts at one x_min, from young to old.

    Parameters
    ----------
    x_min
        Lower end of every tail.
    pooled_zeta, pooled_std_error
        Of all cohorts together.
    number : (c,)
        Which of all cohorts each is, from 1; those with too few items are left out.
    low, high, mean_age : (c,)
        Ages of each cohort.
    n_items, n_tail : (c,)
        Items, and those at or above x_min.
    zeta : (c,)
        CCDF exponents.
    covariance : (c, c)
        Of zeta, clustered where labels or a covariance were given.
    chi2, df, p_value
        Test that all cohorts have one exponent: of scores at the pooled exponent where labels were
        given, else Wald.
    slope, slope_std_error
        Generalised least squares of zeta on log mean age.
    """

    x_min: float
    pooled_zeta: float
    pooled_std_error: float
    number: NDArray[np.int64]
    low: Floats
    high: Floats
    mean_age: Floats
    n_items: NDArray[np.int64]
    n_tail: NDArray[np.int64]
    zeta: Floats
    covariance: Floats
    chi2: float
    df: int
    p_value: float
    slope: float
    slope_std_error: float

    title: ClassVar[str] = "Tails of age cohorts"

    @property
    def std_error(self) -> Floats:
        """Standard error of each zeta."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    def estimates(self) -> dict[str, Estimate]:
        """Return zeta of each cohort and its trend with age."""
        out = {
            f"zeta_cohort_{i}": Estimate(value=float(z), std_error=float(e))
            for i, z, e in zip(self.number, self.zeta, self.std_error, strict=True)
        }
        out["zeta_by_log_age"] = Estimate(value=self.slope, std_error=self.slope_std_error)
        out["homogeneity_chi2"] = Estimate(value=self.chi2)
        out["homogeneity_p_value"] = Estimate(value=self.p_value)
        return out


def fit_cohorts(
    sizes: ArrayLike,
    ages: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    n_cohorts: int = 5,
    edges: Sequence[float] | None = None,
    x_min: float | None = None,
    discrete: bool = True,
    clusters: ArrayLike | None = None,
    covariance: ArrayLike | None = None,
) -> CohortsFit:
    """Fit the tail of each age cohort and test whether they are one.

    Parameters
    ----------
    sizes, ages : (n,)
        Size and age of each item; items of unknown age (NaN) are left out.
    weights : (n,) integers, optional
        Items with this size and age.
    n_cohorts
        Cohorts of about equal numbers of items, where no edges are given.
    edges
        Ages at which cohorts begin, and the end of the last, ascending.
    x_min
        Common lower end; None takes that of the pooled sample (its scan).
    discrete
        Counts or sizes.
    clusters : (n,), optional
        Labels (authors); not with weights.
    covariance : (cohorts, cohorts)
        Joint covariance of the exponents where it is known without labels; NaN where not, and then
        that of independent items.

    Raises
    ------
    DataError
        Fewer than two cohorts have 50 items in their tails.
    """
    x, tau, w, labels = _dated(sizes, ages, weights, clusters)
    if x_min is None:
        x_min = fit_tail(Counts.from_pairs(x, w), discrete=discrete).x_min
    ends = _edges(tau, w, n_cohorts) if edges is None else np.asarray(edges, dtype=np.float64)
    if ends.size < 3 or np.any(np.diff(ends) <= 0):
        raise DataError("fewer than two cohorts of different age: give other edges, or ages")
    where = np.searchsorted(ends, tau, side="right") - 1
    where[tau == ends[-1]] = ends.size - 2
    chosen, inside, in_tail = _large_enough(x, w, where, x_min, ends.size - 1)
    fits = [fit_tail(Counts.from_pairs(x[i], w[i]), discrete=discrete, x_min=x_min) for i in inside]
    joint = _covariance(x, labels, fits, in_tail)
    if covariance is not None:
        joint = _known_covariance(covariance, clusters, chosen, ends.size - 1, joint)
    zeta = np.array([f.zeta for f in fits])
    mean_age = np.array([np.average(tau[i], weights=w[i]) for i in inside])
    slope, error = _trend(zeta, joint, np.log(mean_age))
    used = np.isin(where, chosen)
    pooled = fit_tail(Counts.from_pairs(x[used], w[used]), discrete=discrete, x_min=x_min)
    if labels is None:
        chi2, p_value = _homogeneity(zeta, joint)
    else:
        chi2, p_value = _homogeneity(*_pooled_scores(x, labels, pooled, in_tail))
    left = ends.size - 1 - len(fits)
    return CohortsFit(
        n_obs=int(np.asarray(np.size(sizes) if weights is None else np.sum(weights))),
        n_used=int(w[used].sum()),
        notes=(f"{left} cohorts with fewer than {FEWEST} items in the tail left out",) * (left > 0),
        x_min=float(x_min),
        pooled_zeta=pooled.zeta,
        pooled_std_error=_pooled_error(x, labels, pooled, used & (x >= x_min)),
        number=np.array(chosen, dtype=np.int64) + 1,
        low=ends[:-1][chosen],
        high=ends[1:][chosen],
        mean_age=mean_age,
        n_items=np.array([w[i].sum() for i in inside], dtype=np.int64),
        n_tail=np.array([w[t].sum() for t in in_tail], dtype=np.int64),
        zeta=zeta,
        covariance=joint,
        chi2=chi2,
        df=len(fits) - 1,
        p_value=p_value,
        slope=slope,
        slope_std_error=error,
    )


def _dated(
    sizes: ArrayLike, ages: ArrayLike, weights: ArrayLike | None, clusters: ArrayLike | None
) -> tuple[Floats, Floats, NDArray[np.int64], NDArray[np.int64] | None]:
    """Return sizes, ages, weights and labels (if any, numbered) of the items of known age."""
    x, tau = np.asarray(sizes, dtype=np.float64), np.asarray(ages, dtype=np.float64)
    w = np.ones(x.size, dtype=np.int64) if weights is None else np.asarray(weights)
    if not x.shape == tau.shape == w.shape:
        raise DataError(f"{x.size} sizes, {tau.size} ages, {w.size} weights; give one each")
    if weights is not None and clusters is not None:
        raise DataError("a frequency table has no clusters: give weights or clusters")
    dated = np.isfinite(tau)
    labels = None
    if clusters is not None:
        labels = np.unique(checked_labels(x, clusters), return_inverse=True)[1][dated]
    if not dated.any():
        raise DataError("no item has a known age: no cohorts; check the ages")
    return x[dated], tau[dated], w[dated], labels


def _large_enough(
    x: Floats, w: NDArray[np.int64], where: NDArray[np.int64], x_min: float, n_cohorts: int
) -> tuple[list[int], list[NDArray[np.bool_]], list[NDArray[np.bool_]]]:
    """Return the cohorts with a tail to fit: their numbers, their items, those of their tails."""
    tails = {c: (where == c) & (x >= x_min) for c in range(n_cohorts)}
    chosen = [c for c, t in tails.items() if w[t].sum() >= FEWEST and np.unique(x[t]).size > 1]
    if len(chosen) < 2:
        raise DataError(
            f"{len(chosen)} of {n_cohorts} cohorts have {FEWEST} items of {x_min:g} and more: "
            "take fewer cohorts or a lower x_min"
        )
    return chosen, [where == c for c in chosen], [tails[c] for c in chosen]


def _edges(ages: Floats, weights: NDArray[np.int64], n_cohorts: int) -> Floats:
    """Return ages that cut the items into cohorts of about equal numbers."""
    if n_cohorts < 2:
        raise DataError(f"n_cohorts = {n_cohorts}: a comparison needs at least 2")
    order = np.argsort(ages, kind="stable")
    cumulative = np.cumsum(weights[order])
    shares = np.arange(1, n_cohorts) / n_cohorts * cumulative[-1]
    inner = ages[order][np.searchsorted(cumulative, shares)]
    return np.unique(np.concatenate([[ages.min()], inner, [ages.max()]]))


def _covariance(
    x: Floats,
    labels: NDArray[np.int64] | None,
    fits: list[TailFit],
    tails: list[NDArray[np.bool_]],
) -> Floats:
    """Return the covariance of the exponents, joint over the cohorts where labels are given.

    One step of the delete-a-cluster jackknife, as `baimo.estimation.samples.clusters` has it: its
    diagonal holds the squares of the errors that the cohorts' own clustered fits have.
    """
    if labels is None:
        return np.diag([f.std_error**2 for f in fits])
    for i, t in enumerate(tails):
        refuse_few(int(np.unique(labels[t]).size), int(t.sum()), f"the tail of cohort {i + 1}")
    n_clusters = int(np.unique(labels[np.any(tails, axis=0)]).size)
    if n_clusters <= len(tails):
        raise DataError(
            f"{n_clusters} clusters in the tails of {len(tails)} cohorts: too few for their joint "
            "errors; take fewer cohorts, or leave the clusters out"
        )
    sums = _influence_sums(x, labels, fits, tails)
    sizes = _by_label(labels, tails, [np.ones(f.n_tail) for f in fits])
    present = np.count_nonzero(sizes, axis=0)
    moves = sums / (sizes.sum(axis=0) - sizes) * np.sqrt((present - 1) / present)
    return np.asarray(moves.T @ moves)


def _known_covariance(
    given: ArrayLike,
    clusters: ArrayLike | None,
    chosen: list[int],
    n_cohorts: int,
    independent: Floats,
) -> Floats:
    """Return the given covariance of the cohorts that have a tail, as far as it is known."""
    known = np.asarray(given, dtype=np.float64)
    if clusters is not None:
        raise DataError("give clusters or the covariance, not both: labels make their own")
    if known.shape != (n_cohorts, n_cohorts):
        raise DataError(
            f"a covariance of shape {known.shape} for {n_cohorts} cohorts: give one row and column "
            "for each"
        )
    part = known[np.ix_(chosen, chosen)]
    return np.asarray(np.where(np.isfinite(part), part, independent))


def _by_label(
    labels: NDArray[np.int64], tails: list[NDArray[np.bool_]], values: list[Floats]
) -> Floats:
    """Return sums of the values of each cohort's tail items by label: (labels, cohorts)."""
    size = int(labels.max()) + 1
    sums = [
        np.bincount(labels[t], weights=v, minlength=size)
        for t, v in zip(tails, values, strict=True)
    ]
    return np.column_stack(sums).astype(np.float64)


def _influence_sums(
    x: Floats, labels: NDArray[np.int64], fits: list[TailFit], tails: list[NDArray[np.bool_]]
) -> Floats:
    """Return the influence of tail items on the alphas of `fits`, summed by label."""
    influence = [
        tail_scores(np.log(x[t] / f.x_min), f) / tail_information(f)
        for t, f in zip(tails, fits, strict=True)
    ]
    return _by_label(labels, tails, influence)


def _pooled_scores(
    x: Floats, labels: NDArray[np.int64], pooled: TailFit, tails: list[NDArray[np.bool_]]
) -> tuple[Floats, Floats]:
    """Return how far each cohort's alpha seems from the pooled one, and the covariance of that.

    The mean influence at the pooled alpha: under one exponent a cohort's estimate has not moved
    towards an author who holds much of it, as its own fit has.
    """
    sums = _influence_sums(x, labels, [pooled] * len(tails), tails)
    means = sums / np.array([np.count_nonzero(t) for t in tails])
    return means.sum(axis=0), np.asarray(means.T @ means)


def _pooled_error(
    x: Floats, labels: NDArray[np.int64] | None, fit: TailFit, tail: NDArray[np.bool_]
) -> float:
    if labels is None:
        return fit.std_error
    return math.sqrt(float(_covariance(x, labels, [fit], [tail])[0, 0]))


def _homogeneity(zeta: Floats, covariance: Floats) -> tuple[float, float]:
    """Return (chi2, p) of the test that all exponents are equal."""
    contrasts = np.diff(np.eye(zeta.size), axis=0)
    gaps = contrasts @ zeta
    chi2 = float(gaps @ np.linalg.solve(contrasts @ covariance @ contrasts.T, gaps))
    return chi2, chi2_sf(chi2, zeta.size - 1)


def _trend(zeta: Floats, covariance: Floats, log_age: Floats) -> tuple[float, float]:
    """Return slope and error of the generalised least squares of zeta on log age."""
    design = np.column_stack([np.ones(zeta.size), log_age])
    weighted = np.linalg.solve(covariance, design)
    bread = np.linalg.inv(design.T @ weighted)
    beta = bread @ (weighted.T @ zeta)
    return float(beta[1]), math.sqrt(float(bread[1, 1]))
