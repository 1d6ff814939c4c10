"""Attachment explains the skew where Simon's urn and the Yule process do, of all they speak of."""

import math

import numpy as np

from baimo.estimation.attachment.births import BirthsFit
from baimo.estimation.tails.cohorts import CohortsFit, fit_cohorts
from baimo.pipeline.claims._models import cohort_words
from baimo.pipeline.claims.claim import Finding
from baimo.pipeline.models.attachment_variants import AttachmentVariant, AttachmentVariants
from tests.pipeline.claims.evidence import (
    CONTRADICTED,
    EXPLAINS,
    FAILS,
    HOLDS,
    PART,
    UNDECIDED,
    UNTOLD,
    decided,
)
from tests.pipeline.synthetic import comparison_of, judged

CLAIM = "attachment_explains"
KEYS = [("Simon", "downloads"), ("Simon", "likes"), ("Yule", "likes")]


def found(*outcomes: str, others: str = CONTRADICTED) -> Finding:
    rows = [judged(*key, o, "zeta") for key, o in zip(KEYS, outcomes, strict=True)]
    rows += [judged("CES", m, others, "zeta") for m in ("downloads", "likes")]
    return decided(CLAIM, comparison=comparison_of(*rows))


def test_attachment_has_three_models_to_its_name() -> None:
    assert found(*[CONTRADICTED] * 3).verdict is FAILS
    assert found(*[EXPLAINS] * 3).verdict is HOLDS
    assert found(CONTRADICTED, CONTRADICTED, EXPLAINS).verdict is HOLDS  # Yule, of likes alone
    assert found(CONTRADICTED, EXPLAINS, CONTRADICTED).verdict is PART  # Simon, of one of two
    assert found(CONTRADICTED, CONTRADICTED, UNDECIDED).verdict is UNTOLD


def test_models_that_do_not_attach_decide_nothing() -> None:
    assert found(*[CONTRADICTED] * 3, others=EXPLAINS).verdict is FAILS
    assert found(*[EXPLAINS] * 3, others=CONTRADICTED).verdict is HOLDS
    only_demand = comparison_of(judged("CES", "likes", EXPLAINS, "zeta"))
    without = decided(CLAIM, comparison=only_demand)
    assert without.verdict is UNTOLD
    assert "no model was simulated" in without.evidence


def test_the_numbers_are_the_zetas_of_the_three() -> None:
    assert [n.name for n in found(*[EXPLAINS] * 3).numbers] == [
        f"zeta of {measure} under {label}" for label, measure in KEYS
    ]


def test_cohorts_are_quoted() -> None:
    comparison = comparison_of(judged("Yule", "likes", EXPLAINS, "zeros"))
    assert "too few dated items" in decided(CLAIM, comparison=comparison).evidence
    rng = np.random.default_rng(5)
    fit: CohortsFit = fit_cohorts(
        np.floor(9.5 * (1 - rng.random(900)) ** -1.0 + 0.5), rng.random(900), x_min=10, n_cohorts=3
    )
    shown = decided(CLAIM, comparison=comparison, cohorts={"likes": fit}).evidence
    assert "likes from 10 on, cohorts from young to old: zeta" in shown
    for zeta, error in zip(fit.zeta, fit.std_error, strict=True):
        assert f"{zeta:.2f} ({error:.2f})" in shown
    assert f"equal with p = {fit.p_value:.2g}" in shown
    assert shown == f"Yule of likes: explains zeros (zeta 1 / 2); {cohort_words({'likes': fit})}"


def variant(statistics: dict[str, float], sigma: float = 0.0) -> AttachmentVariant:
    fit = BirthsFit(
        n_obs=10,
        n_used=10,
        gamma=0.25,
        a=0.5,
        theta=1.25,
        phi=-0.75,
        sigma=sigma,
        free=(),
        covariance=np.zeros((0, 0)),
        log_likelihood=-1_500.0,
    )
    return AttachmentVariant(name="v", words="a kernel", fit=fit, statistics=statistics)


def test_other_kernels_and_starts_are_said_with_what_they_miss() -> None:
    comparison = comparison_of(judged("Yule", "likes", CONTRADICTED, "zeros"))
    observed = {"share_zero": 0.9, "items_1000": math.log10(1 + 85)}
    near = observed | {"items_1000": math.log10(1 + 60)}
    far = observed | {"items_1000": math.log10(1 + 30), "share_zero": 0.8}
    otherwise = AttachmentVariants(
        observed=observed,
        variants=(variant(near), variant(far, sigma=2.0)),
        largest=11_000,
        without_attachment=-1_000.0,
    )
    found = decided(CLAIM, comparison=comparison, otherwise=otherwise)
    assert found.verdict is decided(CLAIM, comparison=comparison).verdict is FAILS
    lead, first, second = found.sensitivity.split("; ")
    assert lead.endswith("for zeros 0.900, 85 models of 1,000 observed")
    assert "sizes to 11,000" in lead
    assert first == (
        "a kernel (theta 1.25, gamma 0.25, phi -0.75): zeros 0.900, 60 models of 1,000: "
        "within all margins"
    )
    assert second == (
        "a kernel (theta 1.25, gamma 0.25, phi -0.75, sd of log starts 2.00, log likelihood 500 "
        "below that of such starts and no attachment): zeros 0.800, 30 models of 1,000: beyond "
        "the margins of zeros, models of 1,000"
    )
    assert decided(CLAIM, comparison=comparison).sensitivity == ""
