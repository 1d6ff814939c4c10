"""A fat tail is a sign of diversity only where the fatter tail has the smaller top."""

from dataclasses import replace

import pytest

from baimo.estimation.samples.concentration import measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.sizes import SizeFits
from tests.pipeline.claims.evidence import FAILS, HOLDS, decided

CLAIM = "fat_tail_diversity"


def with_zeros(fits: SizeFits, n_zeros: int) -> SizeFits:
    """Return fits of the same items and zeros beside them: the same tail, a larger share on top."""
    values, n = [0.0, *fits.counts.values], [n_zeros, *fits.counts.multiplicities]
    counts = Counts.from_pairs(values, n)
    return replace(fits, counts=counts, concentration=measure_concentration(counts))


def test_with_the_heavier_tail_goes_the_larger_share_of_the_top(
    zipf_downloads: SizeFits,
    thin_downloads: SizeFits,
    zipf_likes: SizeFits,
    thin_likes: SizeFits,
) -> None:
    # No sign of diversity, whichever of the two has the heavier tail.
    assert decided(CLAIM, downloads=thin_downloads, likes=zipf_likes).verdict is FAILS
    assert decided(CLAIM, downloads=zipf_downloads, likes=thin_likes).verdict is FAILS


def test_a_thin_tail_above_many_zeros_is_the_more_concentrated(
    zipf_downloads: SizeFits, thin_likes: SizeFits
) -> None:
    # Of 4 million items one in a hundred is liked at all: these 1 % hold everything.
    likes = with_zeros(thin_likes, 99 * thin_likes.counts.n_obs)
    assert likes.concentration.top_1pct == pytest.approx(1.0)
    found = decided(CLAIM, downloads=zipf_downloads, likes=likes)
    assert found.verdict is HOLDS
    (number,) = found.numbers
    assert number.value == pytest.approx(zipf_downloads.concentration.top_1pct - 1.0)


def test_the_difference_is_that_of_the_heavier_from_the_lighter(
    zipf_downloads: SizeFits,
    thin_downloads: SizeFits,
    zipf_likes: SizeFits,
    thin_likes: SizeFits,
) -> None:
    for heavy, light, given in (
        ("downloads", "likes", {"downloads": zipf_downloads, "likes": thin_likes}),
        ("likes", "downloads", {"downloads": thin_downloads, "likes": zipf_likes}),
    ):
        found = decided(CLAIM, **given)
        (number,) = found.numbers
        assert number.name == f"share of the top 1 % of {heavy} less that of {light}"
        gap = given[heavy].concentration.top_1pct - given[light].concentration.top_1pct
        assert number.value == pytest.approx(gap)
        assert number.held_against == 0.0
        assert gap > 0.4
        assert found.evidence.startswith(f"{heavy}: zeta 1.00, top 1 % hold 65.5%")
        assert f"; {light}: zeta 2.00, top 1 % hold 9.9%" in found.evidence


def test_concentration_is_said_in_four_numbers(
    zipf_downloads: SizeFits, thin_likes: SizeFits
) -> None:
    found = decided(CLAIM, downloads=zipf_downloads, likes=thin_likes)
    for fits in (zipf_downloads, thin_likes):
        c = fits.concentration
        assert (
            f"{fits.measure}: zeta {fits.tail.zeta:.2f}, top 1 % hold {c.top_1pct:.1%}, Gini "
            f"{c.gini:.3f}, effective number {c.effective_number:,.0f}"
        ) in found.evidence
        share = fits.concentration_without_largest.top_1pct
        assert f"{share:.1%} ({fits.measure})" in found.sensitivity
