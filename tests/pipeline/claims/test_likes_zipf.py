"""Likes follow Zipf's law where their slope is -1; a lognormal is held against their tail."""

from dataclasses import replace

from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims._slopes import CRITERION, slope_is_one
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.claims.robustness import slopes_cut_otherwise
from baimo.pipeline.variables import LIKES
from tests.pipeline.claims.evidence import (
    FAILS,
    HOLDS,
    PART,
    THIN,
    ZIPF,
    bent,
    decided,
    variants_of,
    with_sizes,
)

CLAIM = "likes_zipf"


def test_zipf_likes_hold_and_thin_ones_fail(zipf_likes: SizeFits) -> None:
    sizes = bent(100_000, 1e6, 1.0)
    assert decided(CLAIM, likes=with_sizes(zipf_likes, sizes)).verdict is HOLDS
    assert decided(CLAIM, likes=with_sizes(zipf_likes, sizes**0.5)).verdict is FAILS
    some = with_sizes(zipf_likes, bent(400_000, 16_500, 0.3))
    assert decided(CLAIM, likes=some).verdict is PART


def test_the_slopes_are_those_of_likes(zipf_likes: SizeFits) -> None:
    found = decided(CLAIM, likes=zipf_likes)
    verdict, shown, numbers = slope_is_one(zipf_likes)
    assert found.verdict is verdict
    assert found.evidence.startswith(shown + "; ")
    assert found.numbers[:-1] == numbers
    claim = ALL_CLAIMS[CLAIM]
    assert claim.criterion is CRITERION
    assert "log(likes)" in claim.statistic


def test_the_lognormal_is_said_with_its_vuong_where_there_is_one(zipf_likes: SizeFits) -> None:
    rival = next(c for c in zipf_likes.comparisons if c.alternative == "lognormal")
    found = decided(CLAIM, likes=zipf_likes)
    assert rival.vuong is not None
    assert f"against a lognormal, items as independent: {rival.verdict}" in found.evidence
    assert found.evidence.endswith(f"(Vuong {rival.vuong:.2f})")
    assert found.numbers[-1].name == "Vuong against a lognormal"
    assert found.numbers[-1].value == rival.vuong
    known = tuple(replace(c, p_independent=0.5) for c in zipf_likes.comparisons)
    by_owner = replace(zipf_likes, judged=replace(zipf_likes.judged, comparisons=known))
    assert "against a lognormal, owners as clusters" in decided(CLAIM, likes=by_owner).evidence
    blind = tuple(replace(c, vuong=None, p_value=None) for c in zipf_likes.comparisons)
    without = replace(zipf_likes, judged=replace(zipf_likes.judged, comparisons=blind))
    assert "lognormal" not in decided(CLAIM, likes=without).evidence
    assert decided(CLAIM, likes=without).numbers == found.numbers[:-1]


def test_families_and_datasets_are_those_of_likes(
    zipf_likes: SizeFits, companions: CompanionFits
) -> None:
    table = variants_of(downloads_families=ZIPF[:9_000], likes_families=THIN[:8_000])
    found = decided(CLAIM, likes=zipf_likes, variants=table, populations=companions)
    assert found.sensitivity == slopes_cut_otherwise(zipf_likes, table, companions, LIKES)
    assert "families merged with their base model (8,000)" in found.sensitivity
    assert "the Hub's datasets on 2024-01-03: top 1 % -0.999" in found.sensitivity
    assert "9,000" not in found.sensitivity
