"""What the comparison says of models decides, by the words set beforehand; cohorts are quoted."""

import numpy as np
import pytest

from baimo.estimation.tails.cohorts import CohortsFit, fit_cohorts
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims._models import cohort_words, verdict_on
from baimo.pipeline.claims.claim import Verdict
from baimo.pipeline.models.base import ATTACHMENT, DEMAND
from baimo.pipeline.models.registry import of_family
from baimo.pipeline.report.tables import undated
from tests.pipeline.claims.evidence import (
    CONTRADICTED,
    EXPLAINS,
    FAILS,
    HOLDS,
    PART,
    UNDECIDED,
    UNTOLD,
    ZIPF,
)
from tests.pipeline.synthetic import comparison_of, judged


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ((CONTRADICTED, CONTRADICTED, CONTRADICTED), FAILS),
        ((EXPLAINS, EXPLAINS, EXPLAINS), HOLDS),
        ((CONTRADICTED, CONTRADICTED, EXPLAINS), HOLDS),  # Yule's is a model of likes alone
        ((UNDECIDED, UNDECIDED, EXPLAINS), HOLDS),
        ((CONTRADICTED, EXPLAINS, CONTRADICTED), PART),  # Simon's is one of downloads too
        ((EXPLAINS, EXPLAINS, CONTRADICTED), HOLDS),
        ((CONTRADICTED, CONTRADICTED, UNDECIDED), UNTOLD),
        ((CONTRADICTED, CONTRADICTED, None), UNTOLD),
        ((None, None, None), UNTOLD),
    ],
)
def test_one_model_that_explains_all_of_its_own_is_enough(
    outcomes: tuple[str | None, ...], verdict: Verdict
) -> None:
    keys = [("Simon", "downloads"), ("Simon", "likes"), ("Yule", "likes")]
    rows = [judged(*key, o, "zeta") for key, o in zip(keys, outcomes, strict=True)]
    assert verdict_on(of_family(ATTACHMENT), comparison_of(*rows))[0] is verdict


def test_models_of_others_are_not_asked() -> None:
    rows = [judged("CES", "likes", CONTRADICTED, "zeta"), judged("Yule", "likes", EXPLAINS, "zeta")]
    table = comparison_of(*rows)
    assert verdict_on(of_family(DEMAND), table)[0] is FAILS
    assert verdict_on(of_family(ATTACHMENT), table)[0] is HOLDS
    assert verdict_on((), table) == (UNTOLD, "no model was simulated", ())


def test_words_and_numbers_are_those_of_the_rows() -> None:
    rows = [
        judged("CES", "downloads", CONTRADICTED, "zeros")
        | {"zeta": 1.25, "simulated_zeta": 1.5, "simulated_sd": 0.25},
        judged("CES", "likes", EXPLAINS, "zeros"),
    ]
    _, words, numbers = verdict_on(of_family(DEMAND), comparison_of(*rows))
    assert words == (
        "CES of downloads: contradicted zeros (zeta 1 / 2); "
        "CES of likes: explains zeros (zeta 1 / 2)"
    )
    assert [n.name for n in numbers] == [
        "zeta of downloads under CES",
        "zeta of likes under CES",
    ]
    assert (numbers[0].value, numbers[0].std_error, numbers[0].held_against) == (1.5, 0.25, 1.25)
    assert (numbers[1].value, numbers[1].std_error, numbers[1].held_against) == (2.0, 0.1, 1.0)


def cohorts_of(seed: int, x_min: int = 10) -> CohortsFit:
    rng = np.random.default_rng(seed)
    sizes = np.floor((x_min - 0.5) * (1 - rng.random(900)) ** -1.0 + 0.5)
    return fit_cohorts(sizes, rng.random(900), x_min=x_min, n_cohorts=3)


def test_cohorts_are_said_from_young_to_old_with_their_errors() -> None:
    fit = cohorts_of(5)
    words = cohort_words({"likes": fit})
    assert words.startswith("likes from 10 on, cohorts from young to old: zeta ")
    each = [f"{z:.2f} ({s:.2f})" for z, s in zip(fit.zeta, fit.std_error, strict=True)]
    assert len(each) == 3
    assert ", ".join(each) in words
    assert words.endswith(f"equal with p = {fit.p_value:.2g}")


def test_cohorts_of_two_sizes_are_both_said_and_none_are_said_to_be_too_few() -> None:
    downloads, likes = cohorts_of(5), cohorts_of(6, x_min=40)
    both = cohort_words({"downloads": downloads, "likes": likes})
    assert both == f"{cohort_words({'downloads': downloads})}; {cohort_words({'likes': likes})}"
    assert "; likes from 40 on, cohorts" in both
    assert cohort_words({}) == "too few dated items in the tails for cohorts"


def test_the_report_says_what_the_cohorts_leave_out(zipf_likes: SizeFits) -> None:
    fits = zipf_likes
    dated, x_min = ZIPF[500:], fits.tail.x_min  # the 500 largest have no age
    ages = np.random.default_rng(9).permutation(np.linspace(0.1, 2.0, dated.size))
    fit = fit_cohorts(dated, ages, n_cohorts=3, x_min=x_min)
    lost = int((x_min <= ZIPF).sum() - (dated >= x_min).sum())
    assert lost == 500
    said = undated({"likes": fit}, {"likes": fits})
    assert f"{lost} of the {fits.tail.n_tail:,} of the tail of likes" in said
    assert f"without {fit.pooled_zeta:.2f})" in said
