"""Joint verdicts: whether a simulated model agrees with the data in all that it predicts.

At hundreds of thousands of items every model is rejected by a test of equality, and a tail
exponent alone never tells mechanisms apart. So several statistics are held against the data at
once, each with a margin, fixed before looking, within which a difference counts as none.

The tested object is the contrast: the observed statistics less the mean of the model's at the
estimated parameters. Under the model it scatters for two reasons, and both are in its cloud of
draws: the scatter of the model's own samples, and what these do not hold: that parameters were
estimated from the same data, and that clusters enlarge the error of both (a covariance matrix,
drawn as normal). The distance is the energy distance [SzekelyRizzo2013] of the whitened contrast
from its cloud, after the nearest point of the box of margins is taken off; p is its rank among the
cloud, 1/(R + 1) at least.

- contradicted: p is at most the level, with all data and without the largest cluster;
- explains: every statistic lies within its margin, an intersection-union test [Berger1982] that
  needs no correction for their number;
- cannot be told: neither; the record says how large a difference would have been seen.

Only what the model was not fitted to decides.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import DataError
from baimo.estimation.predictive.equivalence import LEVEL
from baimo.estimation.predictive.replicate import Replicated, compare_replicates
from baimo.estimation.results import registered

N_REASONS = 3  # named of a contradiction
LEAST_SHARE = 0.01  # of the squared distance, to be named
MOST_ABSENT = 0.05  # share of samples that may lack a statistic that is judged
POWER = 0.8  # with which a difference counts as one that would have been seen
_SWEEPS = 500  # at most, for the nearest point of the box
_SETTLED = 1e-4  # of a margin
_HALVINGS = 8
_MOST_MOVED = 400  # draws whose sight is tried
_CONSTANT = 1e-12


class Agrees(StrEnum):
    """What one statistic says of a model."""

    WITHIN = "within"
    BEYOND = "beyond"
    UNCLEAR = "unclear"


class Outcome(StrEnum):
    """What all statistics together say of a model."""

    EXPLAINS = "explains"
    CONTRADICTED = "contradicted"
    UNDECIDED = "cannot be told"


@dataclass(frozen=True, eq=False, kw_only=True)
class Contrast:
    """Observed statistics, the model's draws of them, and how surely both are known.

    Parameters
    ----------
    names
        Of the k statistics.
    observed : (k,)
        In the data.
    draws : (r, k)
        In samples of the model at the estimated parameters; NaN where a sample has none.
    covariance : (k, k)
        Of observed less expected beyond the scatter that the draws hold: that clusters enlarge it,
        and that parameters were estimated, from the same data. Zero where the draws hold all;
        negative directions count as zero.
    shift : (k,), optional
        Change of observed less expected when the largest cluster is left out.
    covariance_without : (k, k), optional
        `covariance` without the largest cluster.
    """

    names: tuple[str, ...]
    observed: Floats
    draws: Floats
    covariance: Floats
    shift: Floats | None = None
    covariance_without: Floats | None = None

    def compared(self) -> dict[str, Replicated]:
        """Return observed and simulated by statistic; one that no draw has is left out."""
        observed = dict(zip(self.names, self.observed.tolist(), strict=True))
        draws = [dict(zip(self.names, row, strict=True)) for row in self.draws.tolist()]
        return compare_replicates(observed, draws)

    def only(self, names: Collection[str]) -> Contrast:
        """Return the contrast of some of the statistics."""
        at = np.array([i for i, name in enumerate(self.names) if name in names], dtype=np.int64)
        block = np.ix_(at, at)
        return Contrast(
            names=tuple(self.names[i] for i in at),
            observed=self.observed[at],
            draws=self.draws[:, at],
            covariance=self.covariance[block],
            shift=None if self.shift is None else self.shift[at],
            covariance_without=(
                None if self.covariance_without is None else self.covariance_without[block]
            ),
        )


@registered("Agreement")
@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One statistic of one model.

    Parameters
    ----------
    name
        Of the statistic.
    compared
        Observed and simulated.
    margin
        Largest difference that counts as none.
    std_error
        Of observed less expected: spread of its cloud.
    interval
        90 % interval of the difference; within the margins: equal by two one-sided tests at 5 %.
    decides
        Whether the outcome may rest on it: the model was not fitted to it.
    distance_share
        Its share of the squared distance beyond the margins; 0 where it does not decide.
    detectable
        Smallest difference of this statistic alone that the joint test sees four times in five;
        infinite where none is, None where it was not asked.
    """

    name: str
    compared: Replicated
    margin: float
    std_error: float
    interval: tuple[float, float]
    decides: bool
    distance_share: float = 0.0
    detectable: float | None = None

    @property
    def agrees(self) -> Agrees:
        """Whether the difference lies within the margin, beyond it, or neither is sure."""
        low, high = self.interval
        if -self.margin < low and high < self.margin:
            return Agrees.WITHIN
        return Agrees.BEYOND if low > self.margin or high < -self.margin else Agrees.UNCLEAR


@registered("JointVerdict")
@dataclass(frozen=True, kw_only=True)
class JointVerdict:
    """All statistics that a model speaks of, and what they say together.

    Parameters
    ----------
    agreements
        By statistic, those included that do not decide.
    absent
        Statistics of the data that (hardly) any sample of the model has.
    p_value
        Of the distance beyond the margins; NaN where no statistic decides.
    p_equal
        Of the distance from no difference at all, margins left out.
    p_without_largest
        `p_value` without the largest cluster, None where no cluster was left out.
    n_replications
        Samples of the model: no p is below 1/(n + 1).
    level
        At or below it p contradicts.
    """

    agreements: tuple[Agreement, ...]
    absent: tuple[str, ...]
    p_value: float
    p_equal: float
    p_without_largest: float | None
    n_replications: int
    level: float

    @property
    def deciding(self) -> tuple[Agreement, ...]:
        """The statistics on which the outcome may rest."""
        return tuple(a for a in self.agreements if a.decides)

    @property
    def outcome(self) -> Outcome:
        """What the statistics say together."""
        without = self.p_value if self.p_without_largest is None else self.p_without_largest
        if max(self.p_value, without) <= self.level:  # never where p is NaN
            return Outcome.CONTRADICTED
        decided = self.deciding and all(a.agrees is Agrees.WITHIN for a in self.deciding)
        return Outcome.EXPLAINS if decided else Outcome.UNDECIDED

    @property
    def reasons(self) -> tuple[str, ...]:
        """The statistics on which the outcome rests.

        Of a contradiction the three with the largest shares of the distance; else those that lie
        within their margins, or those of which that is not sure.
        """
        if self.outcome is Outcome.CONTRADICTED:
            ranked = sorted(self.deciding, key=lambda a: -a.distance_share)
            return tuple(a.name for a in ranked[:N_REASONS] if a.distance_share > LEAST_SHARE)
        if self.outcome is Outcome.EXPLAINS:
            return tuple(a.name for a in self.deciding)
        return tuple(a.name for a in self.deciding if a.agrees is not Agrees.WITHIN)


def judge_jointly(
    contrast: Contrast,
    margins: Mapping[str, float],
    *,
    in_sample: Collection[str] = (),
    level: float = LEVEL,
    seed: int = 0,
) -> JointVerdict:
    """Hold a model against the data in every statistic that has a margin.

    Parameters
    ----------
    contrast
        Observed and drawn statistics, with the covariance of their difference.
    margins
        By statistic: largest difference that counts as none, > 0; these are judged.
    in_sample
        Statistics to which the model was fitted or tuned: shown, and left out of the test.
    level
        At or below it p contradicts; one less it is the confidence of "explains".
    seed
        Of the draws of the sampling error.

    Raises
    ------
    DataError
        No margin, one that is not positive, or one whose statistic is not in the contrast.

    Notes
    -----
    A sample that lacks a statistic counts as further away than the data. A statistic that more
    than one sample in twenty lacks is not judged: the record names it as absent. One that never
    varies is judged alone: beyond its margin it contradicts.
    """
    _check(contrast, margins)
    n, compared = contrast.draws.shape[0], contrast.compared()
    lacking = np.mean(~np.isfinite(contrast.draws), axis=0) > MOST_ABSENT
    absent = tuple(
        name
        for name, gone in zip(contrast.names, lacking, strict=True)
        if name in margins and (gone or name not in compared)
    )
    judged = contrast.only([m for m in margins if m not in absent])
    cloud = _cloud(judged, judged.covariance, seed)
    deciding = [name not in in_sample for name in judged.names]
    test = _Test.of(judged, cloud, margins, deciding)
    without = None
    if judged.shift is not None and judged.covariance_without is not None:
        moved = _cloud(judged, judged.covariance_without, seed)
        without = _Test.of(judged, moved, margins, deciding, judged.shift).p_value()
    told = max(test.p_value(), test.p_value() if without is None else without) <= level
    seen = {} if told else test.detectable(level)
    shares = test.shares()
    errors = np.nanstd(cloud, axis=0) if judged.names else np.empty(0)
    low, high = _interval(judged, cloud, level)
    return JointVerdict(
        agreements=tuple(
            Agreement(
                name=name,
                compared=compared[name],
                margin=margins[name],
                std_error=float(errors[i]),
                interval=(float(low[i]), float(high[i])),
                decides=deciding[i],
                distance_share=shares.get(name, 0.0),
                detectable=seen.get(name),
            )
            for i, name in enumerate(judged.names)
        ),
        absent=absent,
        p_value=test.p_value(),
        p_equal=test.p_value(margins_off=True),
        p_without_largest=without,
        n_replications=n,
        level=level,
    )


def _check(contrast: Contrast, margins: Mapping[str, float]) -> None:
    missing = [name for name in margins if name not in contrast.names]
    if missing:
        raise DataError(f"{', '.join(missing)} not compared: measure it in data and simulation")
    if any(not margin > 0 for margin in margins.values()):
        raise DataError("a margin must be positive: no difference is exactly none")
    if not margins:
        raise DataError("no statistic has a margin: nothing to judge; give at least one")


def _cloud(contrast: Contrast, covariance: Floats, seed: int) -> Floats:
    """Return draws of the contrast under the model, centred; NaN where a sample has none."""
    n, k = contrast.draws.shape
    centred = contrast.draws - np.nanmean(contrast.draws, axis=0) if k else contrast.draws
    values, vectors = np.linalg.eigh(covariance) if k else (np.empty(0), np.empty((0, 0)))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = np.random.default_rng(seed).standard_normal((n, k))
    return np.asarray(centred + normal @ root.T)


def _interval(contrast: Contrast, cloud: Floats, level: float) -> tuple[Floats, Floats]:
    """Return the ends of the interval of observed less expected, from ranks of the cloud."""
    n, k = cloud.shape
    rank = math.floor(level * (n + 1))
    if k == 0 or rank < 1:  # too few draws for any rank at this level
        return np.full(k, -np.inf), np.full(k, np.inf)
    gap = contrast.observed - np.nanmean(contrast.draws, axis=0)
    up = np.sort(np.where(np.isfinite(cloud), cloud, np.inf), axis=0)
    down = np.sort(np.where(np.isfinite(cloud), cloud, -np.inf), axis=0)
    return gap - up[n - rank], gap - down[rank - 1]


@dataclass(frozen=True, eq=False)
class _Test:
    """The distance of one contrast from its cloud.

    Parameters
    ----------
    names
        Of the k statistics that decide and vary.
    gap : (k,)
        Observed less expected.
    cloud : (r, k)
        Finite draws of it under the model.
    n_lost
        Draws that lack a statistic.
    margins : (k,)
        Half the sides of the box.
    fixed
        Whether a statistic that never varies lies beyond its margin, by name.
    """

    names: tuple[str, ...]
    gap: Floats
    cloud: Floats
    n_lost: int
    margins: Floats
    fixed: Mapping[str, bool]

    @classmethod
    def of(
        cls,
        contrast: Contrast,
        cloud: Floats,
        margins: Mapping[str, float],
        deciding: list[bool],
        shift: Floats | float = 0.0,
    ) -> _Test:
        """Take what decides, and set aside what never varies."""
        gap = contrast.observed - np.nanmean(contrast.draws, axis=0) + shift
        whole = cloud[np.isfinite(cloud).all(axis=1)]
        size = np.array([margins[name] for name in contrast.names])
        spread = whole.std(axis=0) if whole.shape[0] > 1 else np.zeros(size.size)
        varies = spread > _CONSTANT * size
        kept = np.flatnonzero(np.array(deciding, dtype=bool) & varies)
        fixed = {
            name: bool(abs(gap[i]) > size[i])
            for i, name in enumerate(contrast.names)
            if deciding[i] and not varies[i] and whole.shape[0] > 1
        }
        return cls(
            names=tuple(contrast.names[i] for i in kept),
            gap=gap[kept],
            cloud=whole[:, kept],
            n_lost=cloud.shape[0] - whole.shape[0],
            margins=size[kept],
            fixed=fixed,
        )

    @cached_property
    def precision(self) -> Floats:
        """Return the inverse covariance of the cloud, directions without spread left out."""
        scale = self.cloud.std(axis=0)
        correlation = np.atleast_2d(np.cov((self.cloud / scale).T))
        inverse = np.linalg.pinv(correlation, rcond=1e-10, hermitian=True)
        return np.asarray(inverse / np.outer(scale, scale))

    @cached_property
    def whitening(self) -> Floats:
        """Return what turns a point into axes in which the cloud has unit covariance."""
        scale = np.sqrt(np.maximum(np.diag(self.precision), 1e-300))
        values, vectors = np.linalg.eigh(self.precision / np.outer(scale, scale))
        return np.asarray(scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)))

    @cached_property
    def own(self) -> Floats:
        """Return the mean whitened distance of each draw of the cloud from the others."""
        n = self.cloud.shape[0]
        return np.asarray(self._far(self.cloud) * (n / (n - 1)))

    def beyond(self, points: Floats) -> Floats:
        """Return what of each point lies beyond the nearest point of the box of margins."""
        q = self.precision
        free = np.flatnonzero(np.diag(q) > 0)
        rest = points - np.clip(points, -self.margins, self.margins)
        for _ in range(_SWEEPS):  # coordinate descent on a convex quadratic over a box
            before = rest.copy()
            for i in free:
                wanted = points[:, i] + (rest @ q[:, i]) / q[i, i] - rest[:, i]
                rest[:, i] = points[:, i] - np.clip(wanted, -self.margins[i], self.margins[i])
            if np.all(np.abs(rest - before) <= _SETTLED * self.margins):
                break
        return np.asarray(rest)

    def p_value(self, *, margins_off: bool = False) -> float:
        """Return the rank of the distance; NaN where nothing decides or nothing varies."""
        if any(self.fixed.values()) and not margins_off:
            return float(1.0 / (self.cloud.shape[0] + self.n_lost + 1))
        if not self.names or self.cloud.shape[0] < 2:
            return 1.0 if self.fixed else math.nan
        point = self.gap[None, :]
        far = self._far(point if margins_off else self.beyond(point))
        beyond = int(np.sum(self.own >= far[0] * (1.0 - 1e-12))) + self.n_lost
        return float((1 + beyond) / (self.cloud.shape[0] + self.n_lost + 1))

    def _far(self, points: Floats) -> Floats:
        """Return the mean whitened distance of points from the cloud.

        The energy distance less a term that is the same for all.
        """
        from scipy.spatial.distance import cdist

        distances = cdist(points @ self.whitening, self.cloud @ self.whitening)
        return np.asarray(distances.mean(axis=1))

    def shares(self) -> dict[str, float]:
        """Return the share of each statistic in the squared distance beyond the margins."""
        out = {name: 1.0 for name, is_beyond in self.fixed.items() if is_beyond}
        if self.names and self.cloud.shape[0] > 1:
            rest = self.beyond(self.gap[None, :])[0]
            parts = rest * (self.precision @ rest)
            total = float(parts.sum())
            if total > 0:
                out |= dict(zip(self.names, (float(v) for v in parts / total), strict=True))
        return out

    def detectable(self, level: float) -> dict[str, float]:
        """Return the smallest difference of each statistic that is seen with `POWER`."""
        if not self.names or self.cloud.shape[0] < 2:
            return {}
        n = self.cloud.shape[0] + self.n_lost
        allowed = math.floor(level * (n + 1) - 1 - self.n_lost)
        if allowed < 0:
            return dict.fromkeys(self.names, math.inf)
        critical = float(np.sort(self.own)[::-1][min(allowed, self.own.size - 1)])
        return {name: self._seen(i, critical) for i, name in enumerate(self.names)}

    def _seen(self, i: int, critical: float) -> float:
        unit = np.zeros(self.margins.size)
        unit[i] = 1.0
        low, high = 0.0, float(self.margins[i] + 20.0 * self.cloud[:, i].std())

        def is_seen(size: float) -> bool:
            far = self._far(self.beyond(self.cloud[:_MOST_MOVED] + size * unit))
            return bool(np.mean(far > critical) >= POWER)

        if not is_seen(high):
            return math.inf
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if is_seen(middle) else (middle, high)
        return high
