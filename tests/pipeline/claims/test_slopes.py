"""Whether a rank-size slope is -1 is decided at every cut-off that exists, and said in numbers."""

from dataclasses import replace

import pytest

from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.claims._slopes import CRITERION, CUTOFFS, MARGIN, ZIPF, slope_is_one
from baimo.pipeline.claims.claim import Verdict
from baimo.pipeline.text import list_cutoffs
from tests.pipeline.claims.evidence import FAILS, HOLDS, PART, UNTOLD, numbers_in, with_slopes


def test_the_criterion_quotes_the_numbers_of_the_rule() -> None:
    assert numbers_in(CRITERION) == [f"{MARGIN:g}", f"{ZIPF:g}", *numbers_in(list_cutoffs(CUTOFFS))]
    assert numbers_in(CRITERION) == ["0.1", "-1", "10", "1", "0.1", "100"]


def test_zipf_sizes_have_the_slope_and_thin_ones_have_not(
    zipf_downloads: SizeFits, thin_downloads: SizeFits
) -> None:
    assert slope_is_one(zipf_downloads)[0] is HOLDS
    assert slope_is_one(thin_downloads)[0] is FAILS


@pytest.mark.parametrize(
    ("slopes", "verdict"),
    [
        ((-1.0, -1.0, -1.0, -1.0), HOLDS),
        ((-1.09, -0.91, -1.09, -0.91), HOLDS),
        ((-1.11, -1.0, -1.0, -1.0), PART),
        ((-1.0, -1.0, -1.0, -0.89), PART),
        ((-1.11, -0.89, -0.5, -1.0), PART),
        ((-1.11, -0.89, -1.11, -0.89), FAILS),
        ((1.0, 1.0, 1.0, 1.0), FAILS),
    ],
)
def test_it_holds_at_every_cutoff_or_in_part_at_some(
    zipf_downloads: SizeFits, slopes: tuple[float, ...], verdict: Verdict
) -> None:
    fits = with_slopes(zipf_downloads, dict(zip(CUTOFFS, slopes, strict=True)))
    assert slope_is_one(fits)[0] is verdict


def test_other_cutoffs_decide_nothing_and_those_that_do_not_exist_are_left_out(
    zipf_downloads: SizeFits,
) -> None:
    fits = with_slopes(zipf_downloads, {"top1pct_all": -1.0, "top1pct_positive": -3.0})
    verdict, shown, numbers = slope_is_one(fits)
    assert verdict is HOLDS
    assert shown.startswith("top 1 % (")
    assert [n.name for n in numbers] == ["slope, top 1 %"]


def test_no_cutoff_decides_nothing(zipf_downloads: SizeFits) -> None:
    fits = replace(zipf_downloads, zipf={})
    assert slope_is_one(fits) == (UNTOLD, "too few sizes at every cut-off", ())


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
    assert shown == f"top 100 (100) {line.slope:.3f} [{low:.2f}, {high:.2f}]"


def test_every_cutoff_is_said_in_order(zipf_downloads: SizeFits) -> None:
    _, shown, numbers = slope_is_one(zipf_downloads)
    parts = shown.split("; ")
    for part, lead in zip(
        parts,
        ("top 10 % (4,000) -0.9", "top 1 % (400) -", "top 0.1 % (40) -", "top 100 (100) -"),
        strict=True,
    ):
        assert part.startswith(lead)
    assert [n.value for n in numbers] == [zipf_downloads.zipf[c].slope for c in CUTOFFS]
