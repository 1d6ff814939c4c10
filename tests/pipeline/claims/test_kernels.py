"""How an exponent is judged: equivalence with a margin, Holm over populations, all of it said."""

from dataclasses import replace

import numpy as np
import pytest

from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.analysis.kernels import KERNEL_POPULATIONS, KERNELS
from baimo.pipeline.claims._kernels import judge_kernel
from baimo.pipeline.claims.claim import Finding, Verdict
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.models.rates_kernel import kernels_of_rates
from baimo.pipeline.statistics import PHI, THETA
from tests.pipeline.claims.evidence import FAILS, HOLDS, UNTOLD
from tests.pipeline.synthetic import (
    N_INCREMENTS,
    day_of,
    hub_frequency,
    kernel_of,
    likes_of_two_days,
    rates_of,
)

MANY = 1e9  # degrees of freedom: a normal


def found(
    hub: KernelCalibration | None,
    others: dict[str, KernelCalibration] | None = None,
    rates: dict[str, PoissonRatesFit] | None = None,
) -> Finding:
    day = day_of({KERNEL_FIT: hub, KERNELS: others or {}, RATES_FIT: rates or {}})
    return judge_kernel(day, THETA, 1.0)


def with_theta(
    fit: KernelCalibration, theta: float, std_error: float, df: float = MANY
) -> KernelCalibration:
    """Return a calibration whose kernel has this exponent with this error."""
    assert fit.kernel is not None
    i = fit.kernel.names.index("theta")
    values, covariance = fit.kernel.values.copy(), np.zeros_like(fit.kernel.covariance)
    values[i], covariance[i, i] = theta, std_error**2
    degrees = np.full_like(fit.kernel.degrees, df)
    kernel = replace(fit.kernel, values=values, covariance=covariance, degrees=degrees)
    return replace(fit, kernel=kernel)


@pytest.fixture(scope="module")
def whole() -> KernelCalibration:
    return kernel_of(likes_of_two_days(1.0, 0.0), hub_frequency(N_INCREMENTS, 3))


@pytest.mark.parametrize(
    ("theta", "std_error", "verdict"),
    [
        (1.0, 0.01, HOLDS),
        (1.05, 0.01, HOLDS),
        (0.7, 0.01, FAILS),
        (1.3, 0.01, FAILS),
        (0.7, 0.2, UNTOLD),
        (1.0, 0.2, UNTOLD),
        (1.1, 0.01, UNTOLD),
        (1.1 + 1.60 * 0.01, 0.01, UNTOLD),  # 1.645 errors beyond the margin are enough
        (1.1 + 1.69 * 0.01, 0.01, FAILS),
        (1.1 - 1.60 * 0.01, 0.01, UNTOLD),
        (1.1 - 1.69 * 0.01, 0.01, HOLDS),
    ],
)
def test_one_population_is_judged_with_its_margin(
    whole: KernelCalibration, theta: float, std_error: float, verdict: Verdict
) -> None:
    told = found(with_theta(whole, theta, std_error))
    assert told.verdict is verdict
    (number,) = told.numbers
    assert number.value == theta
    assert number.std_error == pytest.approx(std_error)
    assert f"theta {theta:.2f} ({std_error:.2f})" in told.evidence


def test_few_clusters_that_decide_make_it_harder(whole: KernelCalibration) -> None:
    near = 1.1 + 2.0 * 0.01
    assert found(with_theta(whole, near, 0.01)).verdict is FAILS
    assert found(with_theta(whole, near, 0.01, df=2.5)).verdict is UNTOLD


def test_one_of_several_fails_only_when_holm_lets_it(whole: KernelCalibration) -> None:
    part = replace(whole, whole=False)
    good, bad = with_theta(part, 1.0, 0.01), with_theta(part, 1.1 + 2.0 * 0.01, 0.01)
    assert found(None, {"older": bad}).verdict is FAILS  # p .023
    several = dict.fromkeys(KERNEL_POPULATIONS, good) | {"older": bad}
    assert found(None, several).verdict is UNTOLD  # six times .023
    worse = with_theta(part, 1.1 + 3.0 * 0.01, 0.01)
    assert found(None, several | {"older": worse}).verdict is FAILS
    assert found(None, several | {"older": good}).verdict is HOLDS
    # each population must be within its margin: one that cannot be told is enough
    assert found(None, several | {"older": with_theta(part, 1.0, 0.2)}).verdict is UNTOLD


def test_the_whole_hub_decides_alone_where_it_is(whole: KernelCalibration) -> None:
    bad = with_theta(replace(whole, whole=False), 0.5, 0.01)
    assert found(with_theta(whole, 1.0, 0.01), {"older": bad}).verdict is HOLDS
    assert found(replace(whole, whole=False), {"older": bad}).verdict is FAILS


def test_a_kernel_without_ages_says_nothing_of_age(whole: KernelCalibration) -> None:
    assert whole.kernel is not None
    keep = [i for i, name in enumerate(whole.kernel.names) if name != "phi"]
    bare_kernel = replace(
        whole.kernel,
        names=tuple(whole.kernel.names[i] for i in keep),
        values=whole.kernel.values[keep],
        covariance=whole.kernel.covariance[np.ix_(keep, keep)],
        degrees=whole.kernel.degrees[keep],
    )
    ageless = {KERNEL_FIT: replace(whole, kernel=bare_kernel), KERNELS: {}, RATES_FIT: {}}
    assert judge_kernel(day_of(ageless), PHI, 0.0).verdict is UNTOLD


def test_a_kernel_that_could_not_be_fitted_says_why(whole: KernelCalibration) -> None:
    refused = replace(whole, kernel=None, notes=("no kernel: too few gains",))
    assert found(refused).evidence.endswith("two days; no kernel: too few gains")
    assert found(None, {"older": refused}).evidence == found(refused).evidence


def test_who_they_are_is_said(whole: KernelCalibration) -> None:
    kernel = whole.kernel
    assert kernel is not None
    shown = found(replace(whole, whole=False), {"first_days": whole}).evidence
    assert shown == (
        "not the whole Hub, but newly made models up to 14 days old, 2024-06-11 to 2024-07-11 "
        f"({kernel.n_used:,} models of known age, median {whole.median_age_days:,.0f} days, "
        f"{whole.share_without:.0%} with nothing before, {kernel.n_clusters:,} authors as "
        f"clusters): theta {kernel.theta:.2f} ({kernel.estimates()['theta'].std_error:.2f}), within"
    )


def test_what_is_left_without_the_largest_and_what_rates_predict_are_said(
    whole: KernelCalibration,
) -> None:
    small = whole.without_largest
    assert small is not None
    said = found(whole).sensitivity
    error = small.estimates()["theta"].std_error
    assert said == (
        f"without the ten authors of the largest gains theta {small.theta:.2f} ({error:.2f})"
    )
    rates = rates_of(-1.0, 1.5, 0.5)
    predicted = kernels_of_rates({"older": whole}, rates)["older"]
    assert found(whole, {"older": whole}, {"likes": rates}).sensitivity == (
        f"{said}; lognormal rates that fade with age predict theta {predicted.theta:.2f}, phi "
        f"{predicted.phi:.2f} of models of the same recording over 14 days old, without any "
        "attachment"
    )
    assert found(replace(whole, without_largest=None)).sensitivity == ""
