"""Whether popular models gain in proportion: the claim where the kernel is known."""

from dataclasses import replace

import pytest

from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.claims.attachment_kernel import attachment_kernel
from baimo.pipeline.claims.claim import Finding, Verdict
from tests.pipeline.synthetic import (
    N_INCREMENTS,
    day_of,
    hub_frequency,
    kernel_of,
    likes_of_two_days,
)


def found(kernel: KernelCalibration | None) -> Finding:
    return attachment_kernel(day_of({KERNEL_FIT: kernel}))


@pytest.fixture(scope="module")
def proportional() -> KernelCalibration:
    return kernel_of(likes_of_two_days(1.0, 0.0), hub_frequency(N_INCREMENTS, 3))


def test_in_proportion_and_of_any_age_it_holds(proportional: KernelCalibration) -> None:
    held = found(proportional)
    assert held.verdict is Verdict.HOLDS
    against = {n.name: n.held_against for n in held.numbers}
    assert (against["theta"], against["phi"]) == (1.0, 0.0)


def test_with_ageing_it_fails() -> None:
    ageing = kernel_of(likes_of_two_days(1.0, -1.0), hub_frequency(N_INCREMENTS, 3))
    failed = found(ageing)
    assert failed.verdict is Verdict.FAILS
    assert "phi -1." in failed.evidence or "phi -0.9" in failed.evidence
    assert "without the three authors" in failed.sensitivity


def test_of_another_population_or_of_one_day_it_cannot_be_told(
    proportional: KernelCalibration,
) -> None:
    part = found(replace(proportional, whole=False))
    assert part.verdict is Verdict.UNTOLD
    assert "Of another population" in part.evidence
    assert "baimo run --source lake" in part.evidence
    assert found(None).verdict is Verdict.UNTOLD
