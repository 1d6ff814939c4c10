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
    bent,
    decided,
    variants_of,
    with_sizes,
)

CLAIM = "downloads_zipf"


def test_zipf_downloads_hold_and_thin_ones_fail(zipf_downloads: SizeFits) -> None:
    sizes = bent(100_000, 1e6, 1.0)
    assert decided(CLAIM, downloads=with_sizes(zipf_downloads, sizes)).verdict is HOLDS
    assert decided(CLAIM, downloads=with_sizes(zipf_downloads, sizes**0.5)).verdict is FAILS


def test_a_slope_of_one_over_a_decade_only_is_part_of_the_claim(zipf_downloads: SizeFits) -> None:
    sizes = bent(400_000, 16_500, 0.3)
    assert decided(CLAIM, downloads=with_sizes(zipf_downloads, sizes)).verdict is PART


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
