"""Popular models gain in proportion to their popularity."""

from __future__ import annotations

from baimo.pipeline.claims._kernels import KERNEL_NEEDS, judge_kernel, kernel_criterion
from baimo.pipeline.claims.claim import Finding, Paper, claim
from baimo.pipeline.figures.of_claims import KERNEL
from baimo.pipeline.lake.results import Day
from baimo.pipeline.statistics import THETA

CLAIMED = 1.0  # theta: in proportion to likes


@claim(
    order=100,
    paper=Paper.RUAN,
    where="section 7.3, eq 19",
    text="Popular models gain in proportion to their popularity.",
    statistic="kernel exponent theta of likes, age held, by Poisson pseudo maximum likelihood",
    criterion=kernel_criterion(THETA, CLAIMED),
    needs=KERNEL_NEEDS,
    figure=KERNEL,
)
def attachment_kernel(day: Day) -> Finding:
    """Whether gains are in proportion to what a model has."""
    return judge_kernel(day, THETA, CLAIMED)
