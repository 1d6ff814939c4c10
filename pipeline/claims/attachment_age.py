"""What a model gains depends on its popularity, whatever its age."""

from __future__ import annotations

from baimo.pipeline.claims._kernels import KERNEL_NEEDS, judge_kernel, kernel_criterion
from baimo.pipeline.claims.claim import Finding, Paper, claim
from baimo.pipeline.figures.of_claims import KERNEL
from baimo.pipeline.lake.results import Day
from baimo.pipeline.statistics import PHI

CLAIMED = 0.0  # phi: eq 19 has no age


@claim(
    order=105,
    paper=Paper.RUAN,
    where="section 7.3, eq 19",
    text="What a model gains depends on its popularity, whatever its age.",
    statistic="kernel exponent phi of age, likes held, by Poisson pseudo maximum likelihood",
    criterion=kernel_criterion(PHI, CLAIMED),
    needs=KERNEL_NEEDS,
    figure=KERNEL,
)
def attachment_age(day: Day) -> Finding:
    """Whether gains are the same at every age, likes held equal."""
    return judge_kernel(day, PHI, CLAIMED)
