"""The Hub holds as many models as said if it did on the paper's date."""

from datetime import date, timedelta

import polars as pl
import pytest

from baimo.pipeline.claims.claim import Finding, Verdict
from baimo.pipeline.claims.number_of_models import CLAIMED, MARGIN_PERCENT, PAPER_DATE
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.lake.results import Day
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from tests.pipeline.claims.evidence import FAILS, HOLDS, UNTOLD, decided, numbers_in

CLAIM = "number_of_models"


def of(**created: int) -> Finding:
    """Return the finding on so many models by day of creation."""
    days = {"before": -1, "on": 0, "after": 1}
    rows = [
        {"created_on": PAPER_DATE + timedelta(days=days[k]), "downloads": 0, "likes": 0,
         "n_models": n}
        for k, n in created.items()
    ]  # fmt: skip
    return decided(CLAIM, frequency=pl.DataFrame(rows, schema=HUB_FREQUENCY.schema))


def test_the_words_quote_the_numbers_of_the_rule() -> None:
    claim = ALL_CLAIMS[CLAIM]
    assert numbers_in(claim.criterion) == [str(MARGIN_PERCENT), f"{CLAIMED:,}"]
    assert numbers_in(claim.text) == ["700,000"]
    assert date(2024, 5, 7) == PAPER_DATE
    assert "7 May 2024" in claim.statistic


@pytest.mark.parametrize(
    ("n", "verdict"),
    [(629_999, FAILS), (630_000, HOLDS), (770_000, HOLDS), (770_001, FAILS)],
)
def test_a_tenth_more_or_less_is_about_as_many_to_the_model(n: int, verdict: Verdict) -> None:
    assert of(before=n).verdict is verdict


def test_a_model_of_the_papers_date_was_there_and_one_of_the_day_after_was_not() -> None:
    found = of(before=600_000, on=30_000, after=300_000)
    assert found.verdict is HOLDS
    (number,) = found.numbers
    assert (number.name, number.value) == ("models by 2024-05-07", 630_000.0)
    assert number.held_against == 700_000.0
    assert found.evidence.startswith("630,000 of the models of 2024-07-11 were created by")
    assert found.sensitivity == "930,000 models in all on 2024-07-11"
    # what there is later decides nothing
    assert of(before=600_000, after=100_000).verdict is FAILS


def test_a_day_before_the_paper_cannot_tell() -> None:
    day = Day.of_values(PAPER_DATE - timedelta(days=1), {HUB_FREQUENCY.name: pl.DataFrame()})
    assert ALL_CLAIMS[CLAIM].test(day).verdict is UNTOLD
