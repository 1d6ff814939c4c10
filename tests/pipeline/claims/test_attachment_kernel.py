"""Gains in proportion to likes hold, gains that saturate fail: in each population, by name."""

import pytest

from baimo.estimation.predictive.equivalence import LEVEL
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.analysis.kernels import KERNELS
from baimo.pipeline.claims.attachment_kernel import CLAIMED, attachment_kernel
from baimo.pipeline.claims.claim import Finding
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.statistics import THETA
from baimo.pipeline.text import bare
from tests.pipeline.claims.evidence import FAILS, HOLDS, UNTOLD, numbers_in
from tests.pipeline.synthetic import (
    N_INCREMENTS,
    day_of,
    hub_frequency,
    kernel_of,
    likes_of_two_days,
)


def found(hub: KernelCalibration | None, **others: KernelCalibration) -> Finding:
    return attachment_kernel(day_of({KERNEL_FIT: hub, KERNELS: others, RATES_FIT: {}}))


@pytest.fixture(scope="module")
def proportional() -> KernelCalibration:
    return kernel_of(likes_of_two_days(1.0, 0.0), hub_frequency(N_INCREMENTS, 3))


@pytest.fixture(scope="module")
def saturating() -> KernelCalibration:
    return kernel_of(likes_of_two_days(0.6, 0.0), hub_frequency(N_INCREMENTS, 3))


def test_the_criterion_quotes_the_numbers_of_the_rule() -> None:
    claim = ALL_CLAIMS["attachment_kernel"]
    assert numbers_in(claim.criterion) == [bare(THETA.margin), f"{CLAIMED:g}", bare(LEVEL)]
    assert numbers_in(claim.criterion) == [".1", "1", ".05"]
    assert claim.test is attachment_kernel


def test_gains_in_proportion_hold(proportional: KernelCalibration) -> None:
    held = found(proportional)
    assert held.verdict is HOLDS
    assert held.evidence.startswith("all models of the Hub, 2024-06-11 to 2024-07-11 (20,000 ")
    assert held.evidence.endswith(", within")
    (number,) = held.numbers
    assert (number.name, number.held_against) == ("theta, all models of the Hub", 1.0)


def test_gains_that_saturate_fail(saturating: KernelCalibration) -> None:
    failed = found(saturating)
    assert failed.verdict is FAILS
    assert failed.evidence.endswith(", beyond")


def test_age_has_no_part_in_it() -> None:
    ageing = kernel_of(likes_of_two_days(1.0, -1.0), hub_frequency(N_INCREMENTS, 3))
    assert found(ageing).verdict is HOLDS


def test_without_the_whole_hub_the_populations_decide_and_are_named(
    proportional: KernelCalibration, saturating: KernelCalibration
) -> None:
    both = {"older": proportional, "leaderboard_2024": proportional}
    assert found(None, **both).verdict is HOLDS
    told = found(None, **{**both, "leaderboard_2024": saturating})
    assert told.verdict is FAILS
    assert told.evidence.startswith("not the whole Hub, but models of the same recording over 14 ")
    assert "entries of the Open LLM Leaderboard, 2024-06-11 to" in told.evidence
    assert [n.name.partition(", ")[2] for n in told.numbers] == [
        "models of the same recording over 14 days old", "entries of the Open LLM Leaderboard"
    ]  # fmt: skip


def test_without_likes_of_two_days_nothing_can_be_told() -> None:
    told = found(None)
    assert told.verdict is UNTOLD
    assert "baimo run --source lake" in told.evidence
    assert told.numbers == ()
