"""One exponent of the kernel of attachment, judged in every population with likes of two days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from baimo.estimation.attachment.kernel import KernelFit
from baimo.estimation.predictive.equivalence import LEVEL, holm, margin_tests
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.analysis.kernels import KERNEL_POPULATIONS, KERNELS
from baimo.pipeline.claims.claim import Finding, Number, Verdict
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.models.rates_kernel import kernels_of_rates
from baimo.pipeline.statistics import PHI, THETA, Statistic
from baimo.pipeline.text import bare, joined
from baimo.pipeline.variables import LIKES

KERNEL_NEEDS = (KERNEL_FIT, KERNELS, RATES_FIT)
HUB = "all models of the Hub"
_JUDGED = {Verdict.HOLDS: "within", Verdict.FAILS: "beyond", Verdict.UNTOLD: "cannot be told"}


class Judged(NamedTuple):
    """One population: what it is, its calibration and kernel, and p of both hypotheses.

    Parameters
    ----------
    words, calibration, fit
        Who they are, and what was measured on them.
    equal, different
        p of a difference of at least the margin (small: within it), and of at most the margin
        (small: beyond it), the latter corrected by Holm over populations.
    """

    words: str
    calibration: KernelCalibration
    fit: KernelFit
    equal: float
    different: float

    @property
    def verdict(self) -> Verdict:
        """What this population says alone."""
        if self.different < LEVEL:
            return Verdict.FAILS
        return Verdict.HOLDS if self.equal < LEVEL else Verdict.UNTOLD


def kernel_criterion(statistic: Statistic, claimed: float) -> str:
    """Return the criterion, with its numbers as the rule has them."""
    within = f"{statistic.name} is within {bare(statistic.margin)} of {claimed:g}"
    return (
        f"holds if {within} (equivalence test, {bare(LEVEL)}) in the whole Hub or, where its likes "
        "of two days are not there, in every population that has them; fails if it is further off "
        "in one of them (Holm over populations)"
    )


def judge_kernel(day: Day, statistic: Statistic, claimed: float) -> Finding:
    """Judge one exponent in the whole Hub, or in every population that there is without it."""
    hub, others = day.read(KERNEL_FIT), day.read(KERNELS)
    measured = _whole(hub) or {KERNEL_POPULATIONS[name]: c for name, c in others.items()}
    judged = _judged(measured, statistic, claimed)
    rates = _rates_words(day)
    if not judged:
        notes = [note for c in (hub, *others.values()) if c is not None for note in c.notes]
        wanted = "no likes of the same models on two days: baimo run --source lake, with two days"
        return Finding(Verdict.UNTOLD, joined((wanted, *notes)))
    verdicts = [j.verdict for j in judged]
    if Verdict.FAILS in verdicts:
        verdict = Verdict.FAILS
    else:
        verdict = Verdict.HOLDS if set(verdicts) == {Verdict.HOLDS} else Verdict.UNTOLD
    lead = "" if _whole(hub) else "not the whole Hub, but "
    return Finding(
        verdict,
        lead + "; ".join(_row_words(j, statistic) for j in judged),
        joined((_without_largest(judged, statistic), rates)),
        tuple(_number(j, statistic, claimed) for j in judged),
    )


def _whole(hub: KernelCalibration | None) -> dict[str, KernelCalibration]:
    return {HUB: hub} if hub is not None and hub.whole and hub.kernel is not None else {}


def _judged(
    measured: Mapping[str, KernelCalibration], statistic: Statistic, claimed: float
) -> list[Judged]:
    found = []
    for words, c in measured.items():
        if c.kernel is None or statistic.name not in c.kernel.names:
            continue
        e = c.kernel.estimates()[statistic.name]
        if e.value is None or e.std_error is None:
            continue
        df = float(c.kernel.degrees[c.kernel.names.index(statistic.name)])
        tests = margin_tests(e.value - claimed, statistic.margin, e.std_error, df=df)
        found.append(Judged(words, c, c.kernel, *tests))
    corrected = holm([j.different for j in found])
    return [j._replace(different=p) for j, p in zip(found, corrected, strict=True)]


def _row_words(j: Judged, statistic: Statistic) -> str:
    c, e = j.calibration, j.fit.estimates()[statistic.name]
    return (
        f"{j.words}, {c.before_on} to {c.after_on} ({j.fit.n_used:,} models of known age, median "
        f"{c.median_age_days:,.0f} days, {c.share_without:.0%} with nothing before, "
        f"{j.fit.n_clusters:,} authors as clusters): {statistic.name} {e.value:.2f} "
        f"({e.std_error:.2f}), {_JUDGED[j.verdict]}"
    )


def _number(j: Judged, statistic: Statistic, claimed: float) -> Number:
    e = j.fit.estimates()[statistic.name]
    return Number(
        name=f"{statistic.name}, {j.words}",
        value=e.value,
        std_error=e.std_error,
        interval=e.conf_int(),
        held_against=claimed,
    )


def _without_largest(judged: list[Judged], statistic: Statistic) -> str:
    """Say the exponent without the largest authors, in the same order."""
    values = [
        f"{e.value:.2f} ({e.std_error:.2f})"
        for j in judged
        if (small := j.calibration.without_largest) is not None
        for e in [small.estimates()[statistic.name]]
    ]
    if not values:
        return ""
    return f"without the ten authors of the largest gains {statistic.name} {', '.join(values)}"


def _rates_words(day: Day) -> str:
    """Say what differences at birth predict, by age."""
    return joined(_predictions(day))


def _predictions(day: Day) -> Iterator[str]:
    rates = day.read(RATES_FIT).get(LIKES.name)
    if rates is None:
        return
    for name, k in kernels_of_rates(day.read(KERNELS), rates).items():
        yield (
            f"lognormal rates that fade with age predict {THETA.name} {k.theta:.2f}, {PHI.name} "
            f"{k.phi:.2f} of {KERNEL_POPULATIONS[name]}, without any attachment"
        )
