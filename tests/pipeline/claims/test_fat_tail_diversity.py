"""A fat tail is a sign of diversity only where the fatter tail has the smaller top."""

from dataclasses import replace

import polars as pl
import pytest

from baimo.estimation.samples.concentration import measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.diversity import hill_number
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims.fat_tail_diversity import variety_of_tasks
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.schema.derived import HUB_TOTALS
from tests.pipeline.claims.evidence import FAILS, HOLDS, UNTOLD, decided

CLAIM = "fat_tail_diversity"


def with_zeros(fits: SizeFits, n_zeros: int) -> SizeFits:
    """Return fits of the same items and zeros beside them: the same tail, a larger share on top."""
    values, n = [0.0, *fits.counts.values], [n_zeros, *fits.counts.multiplicities]
    counts = Counts.from_pairs(values, n)
    return replace(
        fits,
        counts=counts,
        concentration=measure_concentration(counts),
        concentration_without_largest=measure_concentration(counts.without_largest()),
    )


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
    number, trimmed = found.numbers
    assert trimmed.value is not None
    assert trimmed.value < 0
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
        number, _ = found.numbers
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


def test_tails_that_do_not_differ_tell_nothing(
    zipf_downloads: SizeFits, zipf_likes: SizeFits, thin_likes: SizeFits
) -> None:
    assert decided(CLAIM, downloads=zipf_downloads, likes=zipf_likes).verdict is UNTOLD
    tail = replace(thin_likes.tail, design_effect=1e5)
    unsure = replace(thin_likes, judged=replace(thin_likes.judged, tail=tail))
    assert decided(CLAIM, downloads=zipf_downloads, likes=unsure).verdict is UNTOLD


def test_a_difference_that_hangs_on_the_largest_item_tells_nothing(
    zipf_downloads: SizeFits, thin_likes: SizeFits
) -> None:
    even = replace(zipf_downloads.concentration, top_1pct=0.01)
    hangs = replace(zipf_downloads, concentration_without_largest=even)
    assert decided(CLAIM, downloads=hangs, likes=thin_likes).verdict is UNTOLD


TASKS = pl.DataFrame(
    [
        ("pipeline_tag", "a", 10, 600, 20),
        ("pipeline_tag", "b", 10, 300, 20),
        ("pipeline_tag", "c", 10, 300, 0),
        ("pipeline_tag", "none", 900, 9_000, 500),
        ("pipeline_tag", "other", 5, 5, 5),
        ("licence_family", "permissive", 700, 800, 90),
    ],
    schema=HUB_TOTALS.schema,
    orient="row",
)


def test_the_variety_of_tasks_stands_beside_and_decides_nothing(
    zipf_downloads: SizeFits, thin_likes: SizeFits
) -> None:
    words, numbers = variety_of_tasks(TASKS)
    assert words == (
        "effective number of tasks (order 0, 1, 2) by models 3.0, 3.0, 3.0; by downloads 3.0, "
        "2.8, 2.7; by downloads without the most downloaded 2.0, 2.0, 2.0; by likes 2.0, 2.0, 2.0"
    )
    by_name = {n.name: n.value for n in numbers}
    assert by_name["tasks of downloads, Hill number of order 1"] == pytest.approx(
        hill_number([2, 1, 1], 1)
    )
    assert len(by_name) == len(numbers) == 12
    with_tasks = decided(CLAIM, downloads=zipf_downloads, likes=thin_likes, totals=TASKS)
    without = decided(CLAIM, downloads=zipf_downloads, likes=thin_likes)
    assert with_tasks.verdict is without.verdict
    assert with_tasks.evidence == f"{without.evidence}; {words}"
    assert with_tasks.numbers == without.numbers + numbers
    assert "of the upper tail alone" in ALL_CLAIMS[CLAIM].statistic


def test_a_hub_without_tasks_has_no_variety_to_say() -> None:
    assert variety_of_tasks(TASKS.filter(pl.col("name") == "none")) == ("", ())
    assert variety_of_tasks(TASKS.clear()) == ("", ())
