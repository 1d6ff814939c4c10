"""A slope is -1 where it is so over a decade of ranks, and not where a curve passes through -1."""

import math
from dataclasses import replace

import numpy as np
import pytest

from baimo.estimation.laws import normal_ppf
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.rank_size import ZipfFit, fit_zipf
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims import _slopes as module
from baimo.pipeline.claims._slopes import (
    CRITERION,
    FEWEST,
    MARGIN,
    SMALLEST,
    STATISTIC,
    STEPS,
    ZIPF,
    any_beyond,
    curve,
    judge,
    ranks,
    slope_is_one,
)
from baimo.pipeline.claims.claim import Verdict
from tests.pipeline.claims.evidence import (
    FAILS,
    HOLDS,
    PART,
    UNTOLD,
    bent,
    numbers_in,
    with_sizes,
)

EXACT = bent(100_000, 1e6, 1.0)


def verdict(fits: SizeFits) -> Verdict:
    return slope_is_one(fits)[0]


def test_the_words_quote_the_numbers_of_the_rule() -> None:
    assert numbers_in(CRITERION) == [".1", f"{ZIPF:g}", "5", str(FEWEST)]
    assert numbers_in(STATISTIC)[2:] == [str(STEPS), str(SMALLEST), "10", "1"]
    assert MARGIN == 0.1


def test_so_many_items_of_an_exact_law_can_be_told_and_one_less_can_not() -> None:
    def width(k: int) -> float:
        return normal_ppf(0.95) * math.sqrt(2.0 / k)

    assert width(FEWEST) <= MARGIN < width(FEWEST - 1)


def test_a_slope_of_one_throughout_holds_and_one_of_two_fails(zipf_downloads: SizeFits) -> None:
    assert verdict(with_sizes(zipf_downloads, EXACT)) is HOLDS
    assert verdict(with_sizes(zipf_downloads, EXACT**0.5)) is FAILS
    assert verdict(with_sizes(zipf_downloads, EXACT**1.0 * 7.0)) is HOLDS  # whatever the unit


def test_a_slope_of_one_over_a_decade_is_part_of_the_claim(zipf_downloads: SizeFits) -> None:
    found, shown, _ = slope_is_one(with_sizes(zipf_downloads, bent(400_000, 16_500, 0.3)))
    assert found is PART
    assert "within the margin throughout the top 1,592 to 15,924 (-1.000 to -1.000)" in shown
    short = bent(400_000, 2_000, 0.3)  # less than a decade that can be told
    assert verdict(with_sizes(zipf_downloads, short)) is not PART


def test_a_curve_that_passes_through_one_fails(zipf_downloads: SizeFits) -> None:
    quantiles = [normal_ppf(1.0 - (i + 0.5) / 100_000) for i in range(100_000)]
    fits = with_sizes(zipf_downloads, np.exp(2.6 * np.array(quantiles)))
    slopes = [line.slope for line in curve(fits.counts, ranks(10_000), fits.zipf)]
    assert min(slopes) < -1.1 < -1.0 < max(slopes)
    assert min(abs(slope - ZIPF) for slope in slopes) < 0.5 * MARGIN  # at some cut-off it is near
    assert verdict(fits) is FAILS


def test_owners_may_leave_nothing_to_tell(zipf_downloads: SizeFits) -> None:
    assert verdict(with_sizes(zipf_downloads, EXACT, effect=30.0)) is UNTOLD
    assert verdict(with_sizes(zipf_downloads, EXACT**0.5, effect=30.0)) is not HOLDS


def test_less_than_a_decade_that_can_be_told_is_not_enough(zipf_downloads: SizeFits) -> None:
    assert verdict(zipf_downloads) is UNTOLD  # 4,000 to 400
    found, shown, numbers = slope_is_one(replace(zipf_downloads, zipf={}))
    assert (found, shown, numbers) == (UNTOLD, "less than a decade of ranks", ())
    assert judge([])[0] is UNTOLD


def test_a_verdict_that_hangs_on_the_largest_item_says_so(zipf_downloads: SizeFits) -> None:
    outlier = np.append(EXACT, 1e70)
    found, shown, _ = slope_is_one(with_sizes(zipf_downloads, outlier))
    assert found is not HOLDS
    assert f"{found}, and holds without its largest item: within" in shown
    _, shown, _ = slope_is_one(with_sizes(zipf_downloads, EXACT**0.5))
    assert "so without its largest item: beyond the margin" in shown


def test_cutoffs_are_even_in_logarithms_down_from_the_largest() -> None:
    assert ranks(76_000)[::-STEPS] == [76_000, 7_600, 760]
    assert ranks(76_000)[0] == 120
    assert ranks(1_000) == [100, 158, 251, 398, 631, 1_000]
    assert ranks(SMALLEST) == [SMALLEST]
    assert ranks(SMALLEST - 1) == []


def test_design_effects_are_interpolated_in_logarithms() -> None:
    counts = Counts.from_sample(EXACT)
    line = fit_zipf(counts, k=100)
    known = {
        "a": replace(line, k=100, design_effect=0.8),  # luck of few clusters counts as none
        "b": replace(line, k=10_000, design_effect=16.0),
    }
    effects = [x.design_effect for x in curve(counts, (50, 100, 1_000, 10_000, 20_000), known)]
    assert effects == pytest.approx([1.0, 1.0, 4.0, 16.0, 16.0])
    unknown = curve(counts, (100,), {"a": replace(line, design_effect=None)})
    assert unknown[0].design_effect is None
    assert curve(counts, (100_001,), {}) == []  # no more items than there are


def test_no_more_than_one_in_twenty_slopes_at_the_margin_is_found_beyond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "DRAWS", 4_000)
    runs, n = 600, 10_000
    ks = ranks(n)[-STEPS - 1 :]
    rng = np.random.default_rng(3)
    line = fit_zipf(EXACT, k=100)
    log_rank = np.log(np.arange(1, n + 1) - 0.5)

    def at(logs: np.ndarray, k: int) -> ZipfFit:
        x = logs[:k] - logs[:k].mean()
        slope = float(x @ log_rank[:k] / (x @ x))
        return replace(line, k=k, slope=slope, std_error=abs(slope) * math.sqrt(2.0 / k))

    alarms = 0
    for _ in range(runs):
        logs = np.sort(rng.standard_exponential(n) / (1.0 + MARGIN))[::-1]
        alarms += any_beyond([at(logs, k) for k in ks]) < 0.05
    assert alarms / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    assert alarms > 0
    far = [at(np.sort(rng.standard_exponential(n) / 2.0)[::-1], k) for k in ks]
    assert any_beyond(far) == 0.0


def test_slopes_are_said_with_intervals_that_know_of_authors(zipf_downloads: SizeFits) -> None:
    line = zipf_downloads.zipf["top100"]
    clustered = replace(line, design_effect=4.0)
    _, shown, (number,) = slope_is_one(replace(zipf_downloads, zipf={"top100": clustered}))
    assert number.name == "slope, top 100"
    assert (number.value, number.held_against) == (line.slope, -1.0)
    assert number.std_error == pytest.approx(2 * line.std_error)
    half = 1.959964 * 2 * line.std_error
    assert number.interval == pytest.approx((line.slope - half, line.slope + half), rel=1e-6)
    low, high = line.slope - half, line.slope + half
    assert shown.startswith(f"top 100 (100) {line.slope:.3f} [{low:.2f}, {high:.2f}]; ")


def test_every_cutoff_is_a_number_and_the_old_ones_are_said_in_order(
    zipf_downloads: SizeFits,
) -> None:
    fits = with_sizes(zipf_downloads, EXACT)
    _, shown, numbers = slope_is_one(fits)
    leads = ("top 10 % (10,000) -", "top 1 % (1,000) -", "top 0.1 % (100) -", "top 100 (100) -")
    for part, lead in zip(shown.split("; "), leads, strict=False):
        assert part.startswith(lead)
    assert len({n.name for n in numbers}) == len(numbers) == 4 + len(ranks(10_000)) - 3
    by_name = {n.name: n.value for n in numbers}
    assert by_name["slope, top 3,981"] == fit_zipf(fits.counts, k=3_981).slope
