"""What a claim is: what is said, how it is tested, and the record of what came out.

The criterion's numbers are formatted from the constants that the code compares with, so that words
and rule cannot differ. Criteria were settled before looking, but where `pipeline/README.md` says
otherwise; each can hold and can fail, but of claims that are algebra.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from baimo.estimation.results import registered
from baimo.pipeline.figures.of_claims import ClaimFigure
from baimo.pipeline.lake.results import Day, Named, Stored


class Verdict(StrEnum):
    """What the data say of a claim."""

    HOLDS = "holds"
    PART = "holds in part"
    FAILS = "fails"
    UNTOLD = "cannot be told"


class Paper(StrEnum):
    """Which paper makes a claim."""

    RUAN = "Ruan (2024), The War of Hundreds of Large Models"
    ZHANG = "Zhang & Zhang (2025), Large Language Models as Quasi-Public Goods"


class Kind(StrEnum):
    """On what a verdict rests."""

    MEASURED = "measured"
    ALGEBRA = "algebra"
    """On the paper's own equations: no data could give another verdict."""


@registered("ClaimNumber")
@dataclass(frozen=True, kw_only=True)
class Number:
    """One number on which a verdict rests.

    Parameters
    ----------
    name
        What it is.
    value
        Measured; None where the data do not give one.
    std_error, interval
        Its standard error and 95 % interval, None when unknown.
    held_against
        What the criterion compares it with.
    """

    name: str
    value: float | None
    std_error: float | None = None
    interval: tuple[float, float] | None = None
    held_against: float | None = None


@dataclass(frozen=True)
class Finding:
    """What a test answers.

    Parameters
    ----------
    verdict
        By the criterion.
    evidence, sensitivity
        The numbers in words, and what they are without the outlier or otherwise cut.
    numbers
        The numbers themselves.
    """

    verdict: Verdict
    evidence: str
    sensitivity: str = ""
    numbers: tuple[Number, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim before it is tested.

    Parameters
    ----------
    name
        Of the file.
    order
        Place in tables; steps of ten leave room.
    paper, where, text
        Which paper says it, in which section, and what is said.
    statistic, criterion
        What is measured, and what was settled beforehand to follow from it.
    needs
        What of a day the test reads.
    figure
        What shows it, None for a claim without a picture.
    test
        Decides.
    kind
        Whether it rests on data or on algebra alone.
    """

    name: str
    order: int
    paper: Paper
    where: str
    text: str
    statistic: str
    criterion: str
    needs: tuple[Named, ...]
    figure: ClaimFigure | None
    test: Callable[[Day], Finding]
    kind: Kind = Kind.MEASURED

    def tested(self, day: Day) -> TestedClaim:
        """Test the claim on a day, which need not offer more than the claim's `needs`."""
        found = self.test(day.only(self.needs))
        return TestedClaim(
            name=self.name,
            text=self.text,
            where=self.where,
            statistic=self.statistic,
            criterion=self.criterion,
            verdict=found.verdict,
            evidence=found.evidence,
            sensitivity=found.sensitivity,
            paper=self.paper,
            numbers=found.numbers,
            kind=self.kind,
        )


@registered("Claim")
@dataclass(frozen=True, kw_only=True)
class TestedClaim:
    """A claim with its verdict, as it is stored and published.

    Parameters
    ----------
    name, text, where, statistic, criterion, paper, kind
        As of the claim.
    verdict, evidence, sensitivity, numbers
        As found.
    """

    name: str
    text: str
    where: str
    statistic: str
    criterion: str
    verdict: Verdict
    evidence: str
    sensitivity: str = ""
    paper: Paper = Paper.RUAN
    numbers: tuple[Number, ...] = ()
    kind: Kind = Kind.MEASURED

    def __post_init__(self) -> None:
        """Take the texts of a stored record for what they name."""
        object.__setattr__(self, "verdict", Verdict(self.verdict))
        object.__setattr__(self, "kind", Kind(self.kind))
        object.__setattr__(self, "paper", Paper(self.paper))


AUDIT: Stored[tuple[TestedClaim, ...]] = Stored("audit", tuple)
"""The verdicts of a day."""

_CLAIMS: list[Claim] = []
_ALGEBRA: set[Callable[[Day], Finding]] = set()


def algebra(test: Callable[[Day], Finding]) -> Callable[[Day], Finding]:
    """Mark a test, below `claim`, as one of the paper's own equations: no data can change it."""
    _ALGEBRA.add(test)
    return test


def claim(
    *,
    order: int,
    paper: Paper,
    where: str,
    text: str,
    statistic: str,
    criterion: str,
    needs: tuple[Named, ...] = (),
    figure: ClaimFigure | None = None,
) -> Callable[[Callable[[Day], Finding]], Callable[[Day], Finding]]:
    """Return a decorator that enters a claim under the name of its file; see `Claim`."""

    def enter(test: Callable[[Day], Finding]) -> Callable[[Day], Finding]:
        _CLAIMS.append(
            Claim(
                name=test.__module__.rpartition(".")[2],
                order=order,
                paper=paper,
                where=where,
                text=text,
                statistic=statistic,
                criterion=criterion,
                needs=needs,
                figure=figure,
                test=test,
                kind=Kind.ALGEBRA if test in _ALGEBRA else Kind.MEASURED,
            )
        )
        return test

    return enter


def entered() -> tuple[Claim, ...]:
    """Return what has been entered so far, in order; `registry` loads all."""
    return tuple(sorted(_CLAIMS, key=lambda c: c.order))
