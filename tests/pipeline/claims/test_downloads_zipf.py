"""Downloads follow Zipf's law where their slope is -1, and not where it is -2."""

from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims._slopes import CRITERION, slope_is_one
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.claims.robustness import slopes_cut_otherwise
from baimo.pipeline.variables import DOWNLOADS
from tests.pipeline.claims.evidence import (
    FAILS,
    HOLDS,
    PART,
    THIN,
    ZIPF,
    decided,
    variants_of,
    with_slopes,
)

CLAIM = "downloads_zipf"


def test_zipf_downloads_hold_and_thin_ones_fail(
    zipf_downloads: SizeFits, thin_downloads: SizeFits
) -> None:
    assert decided(CLAIM, downloads=zipf_downloads).verdict is HOLDS
    assert decided(CLAIM, downloads=thin_downloads).verdict is FAILS


def test_a_slope_of_one_at_the_very_top_only_is_part_of_the_claim(
    zipf_downloads: SizeFits,
) -> None:
    bent = with_slopes(zipf_downloads, {"top10pct_all": -0.7, "top1pct_all": -0.8, "top100": -1.0})
    assert decided(CLAIM, downloads=bent).verdict is PART


def test_the_slopes_are_those_of_downloads(zipf_downloads: SizeFits) -> None:
    found = decided(CLAIM, downloads=zipf_downloads)
    assert (found.verdict, found.evidence, found.numbers) == slope_is_one(zipf_downloads)
    claim = ALL_CLAIMS[CLAIM]
    assert claim.criterion is CRITERION
    assert "log(downloads)" in claim.statistic


def test_families_and_datasets_are_those_of_downloads(
    zipf_downloads: SizeFits, companions: CompanionFits
) -> None:
    table = variants_of(downloads_families=ZIPF[:9_000], likes_families=THIN[:8_000])
    found = decided(CLAIM, downloads=zipf_downloads, variants=table, populations=companions)
    assert found.sensitivity == slopes_cut_otherwise(zipf_downloads, table, companions, DOWNLOADS)
    assert "without the largest item: top 1 % -1.039" in found.sensitivity
    assert "families merged with their base model (9,000)" in found.sensitivity
    assert "the Hub's datasets on 2024-01-02: top 1 % -1.999" in found.sensitivity
    assert "8,000" not in found.sensitivity
