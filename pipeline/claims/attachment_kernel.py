"""Popular models gain in proportion to their popularity."""

from __future__ import annotations

from baimo.estimation.predictive.equivalence import LEVEL, holm, margin_tests
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.claims.claim import Finding, Number, Paper, Verdict, claim
from baimo.pipeline.figures.of_claims import KERNEL
from baimo.pipeline.lake.results import Day
from baimo.pipeline.statistics import PHI, THETA
from baimo.pipeline.text import bare

# Proportional to size, and whatever the age.
CLAIMED = {THETA: 1.0, PHI: 0.0}


@claim(
    order=100,
    paper=Paper.RUAN,
    where="section 7.3, eq 19",
    text="Popular models gain in proportion to their popularity.",
    statistic="kernel exponents theta (size) and phi (age) by Poisson pseudo maximum likelihood",
    criterion=f"holds if theta is within {bare(THETA.margin)} of {CLAIMED[THETA]:g} and phi within "
    f"{bare(PHI.margin)} of {CLAIMED[PHI]:g}",
    needs=(KERNEL_FIT,),
    figure=KERNEL,
)
def attachment_kernel(day: Day) -> Finding:
    """Whether likes go to the liked, in proportion, and whatever their age."""
    fit = day.read(KERNEL_FIT)
    wanted = (
        f"theta of all models of {day.date} needs their likes on an earlier day too; with two days "
        "in the lake: baimo run --source lake"
    )
    if fit is None or fit.kernel is None:
        notes = "".join(f"; {note}" for note in (fit.notes if fit else ()))
        return Finding(Verdict.UNTOLD, wanted + notes)
    found, errors = fit.statistics()
    shown = (
        f"{fit.kernel.n_used:,} models of known age, {fit.before_on} to {fit.after_on}: "
        + ", ".join(f"{name} {value:.2f} ({errors[name]:.2f})" for name, value in found.items())
        + f"; {fit.kernel.n_clusters:,} authors as clusters"
    )
    against = {s.name: value for s, value in CLAIMED.items()}
    numbers = tuple(
        Number(name=n, value=v, std_error=errors[n], held_against=against.get(n))
        for n, v in found.items()
    )
    kept = _otherwise(fit)
    if not fit.whole:
        return Finding(Verdict.UNTOLD, f"{wanted}. Of another population: {shown}", kept, numbers)
    tests = [
        margin_tests(found[s.name] - value, s.margin, errors[s.name])
        for s, value in CLAIMED.items()
    ]
    equal, different = (holm([t[i] for t in tests]) for i in (0, 1))
    if any(p < LEVEL for p in different):
        return Finding(Verdict.FAILS, shown, kept, numbers)
    holds = all(p < LEVEL for p in equal)
    return Finding(Verdict.HOLDS if holds else Verdict.UNTOLD, shown, kept, numbers)


def _otherwise(fit: KernelCalibration) -> str:
    """Say the kernel without the largest authors, and with other weights."""
    kept = ""
    if (small := fit.without_largest) is not None:
        kept = (
            f"without the three authors of the largest gains theta {small.theta:.2f}, phi "
            f"{small.phi:.2f}; "
        )
    if fit.kernel is not None and fit.kernel.nb2_theta is not None:
        kept += f"with the weights of a negative binomial theta {fit.kernel.nb2_theta:.2f}"
    return kept
