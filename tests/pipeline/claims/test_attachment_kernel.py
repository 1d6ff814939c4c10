"""Whether popular models gain in proportion: the claim where the kernel is known."""

from dataclasses import replace

import numpy as np
import pytest

from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.claims.attachment_kernel import CLAIMED, attachment_kernel
from baimo.pipeline.claims.claim import Finding, Verdict
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.statistics import PHI, THETA
from baimo.pipeline.text import bare
from tests.pipeline.claims.evidence import FAILS, HOLDS, UNTOLD, numbers_in
from tests.pipeline.synthetic import (
    N_INCREMENTS,
    day_of,
    hub_frequency,
    kernel_of,
    likes_of_two_days,
)


def found(kernel: KernelCalibration | None) -> Finding:
    return attachment_kernel(day_of({KERNEL_FIT: kernel}))


def with_kernel(
    fit: KernelCalibration, theta: float, phi: float, std_error: float
) -> KernelCalibration:
    """Return a calibration whose kernel has these exponents, each with this error."""
    assert fit.kernel is not None
    values, covariance = fit.kernel.values.copy(), np.zeros_like(fit.kernel.covariance)
    for name, value in (("theta", theta), ("phi", phi)):
        i = fit.kernel.names.index(name)
        values[i], covariance[i, i] = value, std_error**2
    return replace(fit, kernel=replace(fit.kernel, values=values, covariance=covariance))


@pytest.fixture(scope="module")
def proportional() -> KernelCalibration:
    return kernel_of(likes_of_two_days(1.0, 0.0), hub_frequency(N_INCREMENTS, 3))


def test_the_criterion_quotes_the_numbers_of_the_rule() -> None:
    criterion = ALL_CLAIMS["attachment_kernel"].criterion
    wanted = [part for s in (THETA, PHI) for part in (bare(s.margin), f"{CLAIMED[s]:g}")]
    assert numbers_in(criterion) == wanted
    assert wanted == [".1", "1", ".1", "0"]
    assert ALL_CLAIMS["attachment_kernel"].test is attachment_kernel


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


@pytest.mark.parametrize(
    ("theta", "phi", "std_error", "verdict"),
    [
        (1.0, 0.0, 0.01, HOLDS),
        (1.05, -0.05, 0.01, HOLDS),
        (0.7, 0.0, 0.01, FAILS),
        (1.3, 0.0, 0.01, FAILS),
        (1.0, 0.3, 0.01, FAILS),
        (0.7, 0.0, 0.2, UNTOLD),
        (1.0, 0.0, 0.2, UNTOLD),
        (1.1, 0.0, 0.01, UNTOLD),
        # Holm doubles the smaller p: 1.9 errors beyond the margin are too few, 2.1 are enough.
        (1.0, 0.12, 0.0105, UNTOLD),
        (1.0, 0.1221, 0.0105, FAILS),
    ],
)
def test_both_exponents_must_lie_within_their_margins_and_one_beyond_is_enough(
    proportional: KernelCalibration, theta: float, phi: float, std_error: float, verdict: Verdict
) -> None:
    told = found(with_kernel(proportional, theta, phi, std_error))
    assert told.verdict is verdict
    numbers = {n.name: n for n in told.numbers}
    assert numbers["theta"].value == theta
    assert numbers["phi"].std_error == pytest.approx(std_error)
    assert f"theta {theta:.2f} ({std_error:.2f}), phi {phi:.2f} ({std_error:.2f})" in told.evidence


def test_of_another_population_or_of_one_day_it_cannot_be_told(
    proportional: KernelCalibration,
) -> None:
    part = found(replace(proportional, whole=False))
    assert part.verdict is Verdict.UNTOLD
    assert "Of another population" in part.evidence
    assert "baimo run --source lake" in part.evidence
    assert found(None).verdict is Verdict.UNTOLD


def test_what_is_known_of_another_population_is_said_all_the_same(
    proportional: KernelCalibration,
) -> None:
    whole, part = found(proportional), found(replace(proportional, whole=False))
    assert part.numbers == whole.numbers
    assert part.evidence.endswith(whole.evidence)
    assert part.sensitivity == whole.sensitivity


def test_a_kernel_that_could_not_be_fitted_says_why(proportional: KernelCalibration) -> None:
    refused = replace(proportional, kernel=None, notes=("no kernel: too few gains",))
    told = found(refused)
    assert told.verdict is UNTOLD
    assert told.evidence.startswith("theta of all models of 2024-07-11 needs their likes")
    assert told.evidence.endswith("; no kernel: too few gains")
    assert told.numbers == ()
    assert found(None).evidence == told.evidence.removesuffix("; no kernel: too few gains")


def test_days_models_and_authors_are_said(proportional: KernelCalibration) -> None:
    kernel = proportional.kernel
    assert kernel is not None
    shown = found(proportional).evidence
    assert shown.startswith(
        f"{kernel.n_used:,} models of known age, 2024-06-11 to 2024-07-11: theta {kernel.theta:.2f}"
    )
    assert shown.endswith(f"; {kernel.n_clusters:,} authors as clusters")


def test_other_weights_and_other_authors_are_said_where_they_are_known(
    proportional: KernelCalibration,
) -> None:
    kernel, small = proportional.kernel, proportional.without_largest
    assert kernel is not None
    assert small is not None
    lead = (
        f"without the three authors of the largest gains theta {small.theta:.2f}, phi "
        f"{small.phi:.2f}; "
    )
    weighted = replace(proportional, kernel=replace(kernel, nb2_theta=0.875))
    tail = "with the weights of a negative binomial theta 0.88"
    assert found(weighted).sensitivity == lead + tail
    assert found(replace(weighted, without_largest=None)).sensitivity == tail
    plain = replace(proportional, kernel=replace(kernel, nb2_theta=None), without_largest=None)
    assert found(plain).sensitivity == ""
