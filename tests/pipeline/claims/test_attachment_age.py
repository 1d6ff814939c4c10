"""Gains that no age changes hold, gains that fade fail."""

import pytest

from baimo.estimation.predictive.equivalence import LEVEL
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.analysis.kernels import KERNELS
from baimo.pipeline.claims.attachment_age import CLAIMED, attachment_age
from baimo.pipeline.claims.claim import Finding, Verdict
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.statistics import PHI
from baimo.pipeline.text import bare
from tests.pipeline.claims.evidence import FAILS, HOLDS, numbers_in
from tests.pipeline.synthetic import (
    N_INCREMENTS,
    day_of,
    hub_frequency,
    kernel_of,
    likes_of_two_days,
)


def found(hub: KernelCalibration | None, **others: KernelCalibration) -> Finding:
    return attachment_age(day_of({KERNEL_FIT: hub, KERNELS: others, RATES_FIT: {}}))


def test_the_criterion_quotes_the_numbers_of_the_rule() -> None:
    claim = ALL_CLAIMS["attachment_age"]
    assert numbers_in(claim.criterion) == [bare(PHI.margin), f"{CLAIMED:g}", bare(LEVEL)]
    assert numbers_in(claim.criterion) == [".1", "0", ".05"]
    assert claim.test is attachment_age


@pytest.mark.parametrize(
    ("theta", "phi", "verdict"),
    [(1.0, 0.0, HOLDS), (0.6, 0.0, HOLDS), (1.0, -1.0, FAILS), (1.0, 0.5, FAILS)],
)
def test_it_holds_whatever_theta_is_and_fails_with_ageing(
    theta: float, phi: float, verdict: Verdict
) -> None:
    fit = kernel_of(likes_of_two_days(theta, phi), hub_frequency(N_INCREMENTS, 3))
    told = found(fit)
    assert told.verdict is verdict
    (number,) = told.numbers
    assert (number.name, number.held_against) == ("phi, all models of the Hub", 0.0)
    assert "theta" not in told.evidence
