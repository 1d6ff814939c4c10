"""Joint verdicts: whether a simulated model agrees with the data in everything it speaks of.

At hundreds of thousands of items every model is rejected by a test of equality, and a tail
exponent alone never tells mechanisms apart. So each statistic has a margin, fixed before looking,
within which a difference counts as none, and is put to two tests: that the difference is at least
the margin (rejected: it matches) and that it is at most the margin (rejected: it misses). Holm's
correction runs over all statistics of a model at once. A model explains the data when all match,
is contradicted when one misses, and else it cannot be told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from baimo.estimation.errors import DataError
from baimo.estimation.predictive.equivalence import LEVEL, holm, margin_tests
from baimo.estimation.predictive.replicate import Replicated
from baimo.estimation.results import registered


class Agrees(StrEnum):
    """What one statistic says of a model."""

    MATCHES = "matches"
    MISSES = "misses"
    OPEN = "cannot tell"


class Outcome(StrEnum):
    """What all statistics together say of a model."""

    EXPLAINS = "explains"
    CONTRADICTED = "contradicted"
    UNDECIDED = "cannot be told"


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
        Of the observed statistic, 0 where the spread of the simulation is all there is.
    p_matches, p_misses
        Of the two tests, corrected by Holm over the statistics of the model.
    p_matches_alone, p_misses_alone
        The same before the correction.
    level
        Below it a p-value decides.
    """

    name: str
    compared: Replicated
    margin: float
    std_error: float
    p_matches: float
    p_misses: float
    p_matches_alone: float
    p_misses_alone: float
    level: float

    @property
    def agrees(self) -> Agrees:
        """Whether the model matches here, misses, or cannot be told apart from either."""
        if self.p_misses < self.level:
            return Agrees.MISSES
        return Agrees.MATCHES if self.p_matches < self.level else Agrees.OPEN


@registered("JointVerdict")
@dataclass(frozen=True, kw_only=True)
class JointVerdict:
    """All statistics that a model speaks of, and what they say together."""

    agreements: tuple[Agreement, ...]
    level: float

    def _named(self, agrees: Agrees) -> tuple[str, ...]:
        return tuple(a.name for a in self.agreements if a.agrees is agrees)

    @property
    def outcome(self) -> Outcome:
        """What the statistics say together."""
        if self._named(Agrees.MISSES):
            return Outcome.CONTRADICTED
        return Outcome.UNDECIDED if self._named(Agrees.OPEN) else Outcome.EXPLAINS

    @property
    def reasons(self) -> tuple[str, ...]:
        """The statistics on which the outcome rests: those missed, left open, or matched."""
        return self._named(
            {
                Outcome.CONTRADICTED: Agrees.MISSES,
                Outcome.UNDECIDED: Agrees.OPEN,
                Outcome.EXPLAINS: Agrees.MATCHES,
            }[self.outcome]
        )


def judge_jointly(
    compared: Mapping[str, Replicated],
    margins: Mapping[str, float],
    std_errors: Mapping[str, float] | None = None,
    *,
    level: float = LEVEL,
) -> JointVerdict:
    """Hold a model against the data in every statistic that has a margin.

    Each statistic has two tests, each Holm-corrected over all statistics: that the difference is
    at least its margin (if rejected: it matches), and that it is at most its margin (if rejected:
    it misses). One miss contradicts the model; it explains the data where all match; else it
    cannot be told.

    Parameters
    ----------
    compared
        By statistic: observed and simulated.
    margins
        By statistic: largest difference that counts as none, > 0; these are judged.
    std_errors
        Of observed statistics whose sampling error the simulation does not hold (clusters).
    level
        Of both families of tests, between 0 and 1.

    Returns
    -------
    JointVerdict
        The outcome, the statistics on which it rests, and both tests of each.

    Raises
    ------
    DataError
        No margin, one that is not positive, or one whose statistic was not compared.
    """
    missing = [name for name in margins if name not in compared]
    if missing:
        raise DataError(f"{', '.join(missing)} not compared: measure it in data and simulation")
    if any(not margin > 0 for margin in margins.values()):
        raise DataError("a margin must be positive: no difference is exactly none")
    if not margins:
        raise DataError("no statistic has a margin: nothing to judge; give at least one")
    errors = std_errors or {}
    raw = {
        name: _two_tests(compared[name], margin, errors.get(name, 0.0))
        for name, margin in margins.items()
    }
    equal, different = (holm([p[i] for p in raw.values()]) for i in (0, 1))
    return JointVerdict(
        level=level,
        agreements=tuple(
            Agreement(
                name=name,
                compared=compared[name],
                margin=margin,
                std_error=errors.get(name, 0.0),
                p_matches=p_equal,
                p_misses=p_different,
                p_matches_alone=raw[name][0],
                p_misses_alone=raw[name][1],
                level=level,
            )
            for (name, margin), p_equal, p_different in zip(
                margins.items(), equal, different, strict=True
            )
        ),
    )


def _two_tests(compared: Replicated, margin: float, std_error: float) -> tuple[float, float]:
    """Return p of (the difference is at least the margin, it is at most the margin).

    The mean of n replications errs by sd/sqrt(n), and sd itself is known to n - 1 degrees of
    freedom (Welch-Satterthwaite). One replication has no spread: it tells nothing.
    """
    if compared.sd is None:
        return 1.0, 1.0
    n = compared.n_replications
    simulated = compared.sd**2 * (1.0 + 1.0 / n)
    spread = math.hypot(std_error, math.sqrt(simulated))
    df = (n - 1) * (spread**2 / simulated) ** 2 if simulated > 0 else math.inf
    return margin_tests(compared.observed - compared.mean, margin, spread, df=df)
