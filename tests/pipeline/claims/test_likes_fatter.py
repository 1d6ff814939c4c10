"""Likes have the fatter tail where their exponent is the smaller one beyond its error."""

from dataclasses import replace

import pytest

from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims.claim import Finding, Verdict
from baimo.pipeline.claims.likes_fatter import LEVEL, Gap, verdict_on
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.claims.robustness import CUTOFFS
from baimo.pipeline.text import bare, list_cutoffs
from tests.pipeline.claims.evidence import (
    FAILS,
    HOLDS,
    PART,
    UNTOLD,
    decided,
    numbers_in,
    with_slopes,
)

CLAIM = "likes_fatter"


def test_the_criterion_quotes_the_numbers_of_the_rule() -> None:
    wanted = [bare(LEVEL / 2), *numbers_in(list_cutoffs(CUTOFFS))]
    assert numbers_in(ALL_CLAIMS[CLAIM].criterion) == wanted
    assert wanted == [".025", "1", "0.1", "100"]


def test_fatter_likes_are_seen_and_so_are_thinner_ones(
    zipf_downloads: SizeFits,
    thin_downloads: SizeFits,
    zipf_likes: SizeFits,
    thin_likes: SizeFits,
) -> None:
    assert decided(CLAIM, downloads=thin_downloads, likes=zipf_likes).verdict is HOLDS
    assert decided(CLAIM, downloads=zipf_downloads, likes=thin_likes).verdict is FAILS
    assert decided(CLAIM, downloads=zipf_downloads, likes=zipf_likes).verdict is UNTOLD


@pytest.mark.parametrize(
    ("likes", "verdict"),
    [
        ((-1.0, -1.0, -1.0), HOLDS),
        ((-1.0, -2.0, -1.0), PART),
        ((-2.0, -2.0, -4.0), FAILS),
        ((-1.0, -2.0, -4.0), PART),
        ((-2.0, -2.0, -2.0), UNTOLD),
    ],
)
def test_it_holds_at_every_cutoff_or_in_part_at_some(
    thin_downloads: SizeFits, thin_likes: SizeFits, likes: tuple[float, ...], verdict: Verdict
) -> None:
    found = decided(
        CLAIM,
        downloads=with_slopes(thin_downloads, dict.fromkeys(CUTOFFS, -2.0)),
        likes=with_slopes(thin_likes, dict(zip(CUTOFFS, likes, strict=True))),
    )
    assert found.verdict is verdict


def test_authors_widen_the_error_and_may_leave_nothing_to_tell(
    thin_downloads: SizeFits, zipf_likes: SizeFits
) -> None:
    def found(effect: float) -> Finding:
        lines = {c: replace(x, design_effect=effect) for c, x in zipf_likes.zipf.items()}
        return decided(CLAIM, downloads=thin_downloads, likes=replace(zipf_likes, zipf=lines))

    assert found(1.0).verdict is HOLDS
    assert found(400.0).verdict is UNTOLD
    label = "top100"
    d, k = thin_downloads.zipf[label], zipf_likes.zipf[label]
    gap = d.slope - k.slope  # zeta of likes less that of downloads: about -1
    for effect in (1.0, 4.0, 100.0):
        error = (d.std_error**2 + effect * k.std_error**2) ** 0.5
        number = found(effect).numbers[-1]
        assert number.value == pytest.approx(gap)
        assert number.std_error == pytest.approx(error)
        assert found(effect).evidence.endswith(
            f"top 100: zeta likes {-k.slope:.2f} (n_eff {100 / effect:.0f}), downloads "
            f"{-d.slope:.2f} (100), z = {gap / error:.1f}"
        )


def test_few_clusters_make_no_more_items_than_there_are(
    thin_downloads: SizeFits, zipf_likes: SizeFits
) -> None:
    lines = {c: replace(x, design_effect=0.5) for c, x in zipf_likes.zipf.items()}
    found = decided(CLAIM, downloads=thin_downloads, likes=replace(zipf_likes, zipf=lines))
    assert "(n_eff 100), downloads" in found.evidence


def test_a_cutoff_that_is_missing_is_said_and_keeps_the_claim_from_holding(
    thin_downloads: SizeFits, zipf_likes: SizeFits
) -> None:
    lines = {c: x for c, x in zipf_likes.zipf.items() if c != "top0.1pct_all"}
    found = decided(CLAIM, downloads=thin_downloads, likes=replace(zipf_likes, zipf=lines))
    assert found.verdict is PART
    assert "; top 0.1 %: too few positive likes; " in found.evidence
    assert len(found.numbers) == 2


def test_three_cutoffs_are_three_chances_to_be_larger() -> None:
    def found(*z: float) -> Verdict:
        return verdict_on([Gap("top100", value, 1.0) for value in z])

    assert found(2.2, 0.0, 0.0) is UNTOLD  # alone it would be beyond 1.96
    assert found(2.5, 0.0, 0.0) is FAILS
    assert found(-2.2, 0.0, 0.0) is UNTOLD
    assert found(-2.5, 2.5, 0.0) is PART
    assert found(-2.0, -2.0, -2.0) is HOLDS  # at each, not at some of three


def test_the_number_is_negative_where_likes_are_fatter(
    thin_downloads: SizeFits, zipf_likes: SizeFits
) -> None:
    found = decided(CLAIM, downloads=thin_downloads, likes=zipf_likes)
    assert [n.name for n in found.numbers] == [
        f"zeta of likes less that of downloads, {words}"
        for words in ("top 1 %", "top 0.1 %", "top 100")
    ]
    for number, label in zip(found.numbers, CUTOFFS, strict=True):
        gap = thin_downloads.zipf[label].slope - zipf_likes.zipf[label].slope
        assert number.value == pytest.approx(gap)
        assert -1.1 < gap < -0.9
        assert number.held_against == 0.0
    assert found.sensitivity == (
        "zeta of the CSN tails without the largest item: likes "
        f"{zipf_likes.tail_without_largest.zeta:.2f}, downloads "
        f"{thin_downloads.tail_without_largest.zeta:.2f}"
    )


def test_without_a_cutoff_in_common_it_cannot_be_told(
    zipf_downloads: SizeFits, thin_likes: SizeFits
) -> None:
    found = decided(
        CLAIM,
        downloads=with_slopes(zipf_downloads, {"top1pct_all": -1.0}),
        likes=with_slopes(thin_likes, {"top100": -2.0}),
    )
    assert found.verdict is UNTOLD
    assert found.evidence == (
        "top 1 %: too few positive likes; top 0.1 %: too few positive downloads and likes; top "
        "100: too few positive downloads"
    )
    assert found.numbers == ()
