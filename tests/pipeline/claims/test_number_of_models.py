"""The Hub holds as many models as said if it does so now, or did on the paper's date."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from baimo.pipeline.claims.claim import Finding, Verdict
from baimo.pipeline.claims.number_of_models import CLAIMED, MARGIN, PAPER_DATE
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.models.attachment import AttachmentCalibration
from tests.pipeline.claims.evidence import FAILS, HOLDS, decided, numbers_in
from tests.pipeline.synthetic import DAY

CLAIM = "number_of_models"


def of(attachment: AttachmentCalibration, n: int) -> Finding:
    simon = replace(attachment.simon_likes, n_obs=n)
    return decided(CLAIM, attachment=replace(attachment, simon_likes=simon))


def test_the_text_and_the_criterion_quote_the_numbers_of_the_rule() -> None:
    claim = ALL_CLAIMS[CLAIM]
    assert numbers_in(claim.criterion) == [f"{100 * MARGIN:g}", f"{CLAIMED:,}"]
    assert numbers_in(claim.text) == ["700,000"]
    assert date(2024, 5, 7) == PAPER_DATE


def test_the_papers_number_of_models(attachment: AttachmentCalibration) -> None:
    def verdict(n: int) -> Verdict:
        return of(attachment, n).verdict

    assert verdict(700_000) is verdict(640_000) is HOLDS
    assert verdict(600_000) is verdict(1_000_000) is FAILS
    # some models came after the paper's date: the number of that date counts as well
    age = 65 / 365.25
    later = int(attachment.n_models[attachment.ages < age].sum())
    assert 0 < later < 1_000
    assert verdict(770_000 + later // 2) is HOLDS


@pytest.mark.parametrize(
    ("n", "verdict"),
    [(629_900, FAILS), (630_100, HOLDS), (769_900, HOLDS), (790_100, FAILS)],
)
def test_a_tenth_more_or_less_is_about_as_many(
    attachment: AttachmentCalibration, n: int, verdict: Verdict
) -> None:
    assert of(attachment, n).verdict is verdict


def test_a_model_of_the_papers_date_was_there_and_one_of_the_day_after_was_not(
    attachment: AttachmentCalibration,
) -> None:
    def ages_of(*days: date) -> np.ndarray:
        return np.array([((DAY - d).days + 0.5) / 365.25 for d in days])

    ages = ages_of(PAPER_DATE + timedelta(days=1), PAPER_DATE, PAPER_DATE - timedelta(days=1))
    simon = replace(attachment.simon_likes, n_obs=900_000)
    fit = replace(
        attachment, simon_likes=simon, ages=ages, n_models=np.array([200_000, 30_000, 4_000])
    )
    found = decided(CLAIM, attachment=fit)
    assert found.verdict is HOLDS
    assert [(n.name, n.value, n.held_against) for n in found.numbers] == [
        ("models on 2024-07-11", 900_000.0, 700_000.0),
        ("models by 2024-05-07", 700_000.0, 700_000.0),
    ]
    assert "900,000 models on 2024-07-11, of which 700,000" in found.evidence
    none_younger = replace(fit, ages=ages + 1.0)
    assert decided(CLAIM, attachment=none_younger).verdict is FAILS
