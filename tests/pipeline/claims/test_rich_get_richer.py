"""The rich get richer where expected later size rises faster than earlier size, deaths included."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.two_dates import growth_of_the_large
from baimo.pipeline.claims.claim import Verdict
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.claims.rich_get_richer import LARGE, LEVEL, MARGIN
from baimo.pipeline.claims.robustness import growth_of_downloads
from baimo.pipeline.models.gbm import GrowthCalibration, calibrate_growth, slope_under_gbm
from tests.pipeline.claims.evidence import FAILS, HOLDS, UNTOLD, decided, numbers_in
from tests.pipeline.synthetic import listing, periods, population, weekly

CLAIM = "rich_get_richer"


def with_exponent(g: GrowthCalibration, exponent: float, error: float) -> GrowthCalibration:
    """Return growth with another exponent of later in earlier size."""
    assert g.exponent is not None
    return replace(g, exponent=replace(g.exponent, exponent=exponent), exponent_error=error)


def test_the_criterion_quotes_the_numbers_of_the_rule() -> None:
    criterion = ALL_CLAIMS[CLAIM].criterion
    assert numbers_in(criterion) == ["1", f"{MARGIN:g}", "1", f"{LEVEL:g}"]
    assert numbers_in(criterion) == ["1", "0.1", "1", "0.05"]


@pytest.mark.parametrize(
    ("exponent", "error", "verdict"),
    [
        (1.3, 0.05, HOLDS),
        (1.3, 0.2, UNTOLD),  # beyond the margin, by less than its error tells
        (1.0, 0.05, FAILS),  # in proportion
        (0.7, 0.05, FAILS),  # the small grow faster
        (0.97, 0.15, UNTOLD),  # not told from 1, nor from 1.1
        (1.05, 0.01, FAILS),  # faster, by less than counts
        (1.1, 0.001, UNTOLD),
    ],
)
def test_rich_get_richer(
    growth: GrowthCalibration, exponent: float, error: float, verdict: Verdict
) -> None:
    found = decided(CLAIM, growth=with_exponent(growth, exponent, error))
    assert found.verdict is verdict
    (number,) = found.numbers
    assert number.name == "exponent of expected later size in earlier size"
    assert (number.value, number.std_error, number.held_against) == (exponent, error, 1.0)


@pytest.mark.parametrize(
    ("errors", "above", "below"), [(1.65, HOLDS, FAILS), (1.64, UNTOLD, UNTOLD)]
)
def test_the_level_is_that_of_one_side(
    growth: GrowthCalibration, errors: float, above: Verdict, below: Verdict
) -> None:
    for sign, verdict in ((1, above), (-1, below)):
        moved = with_exponent(growth, 1.0 + MARGIN + sign * errors * 0.04, 0.04)
        assert decided(CLAIM, growth=moved).verdict is verdict


def test_too_few_protocols_tell_nothing(growth: GrowthCalibration) -> None:
    found = decided(CLAIM, growth=replace(growth, exponent=None, exponent_error=math.nan))
    assert found.verdict is UNTOLD
    assert found.evidence == "too few protocols above 10,000 USD"


def test_gibrat_growth_makes_no_one_richer_and_growth_with_size_does() -> None:
    """Narrow noise, or eight hundred lognormal sizes tell nothing of their sum."""
    rng = np.random.default_rng(11)
    table = population(800, 7)
    noise = pl.Series(np.exp(0.3 * rng.standard_normal(800)))
    for gain, verdict in ((0.0, FAILS), (0.3, HOLDS)):
        after = pl.col("tvl_before") * (pl.col("tvl_before") / 1e7) ** gain * noise
        moved = table.with_columns(tvl_after=after)
        found = decided(CLAIM, growth=calibrate_growth(moved, listing(moved), weekly(6)))
        assert found.verdict is verdict
        assert found.numbers[0].value == pytest.approx(1.0 + gain, abs=0.06)


def test_what_is_judged_is_said_and_the_slopes_of_logs_beside_it(growth: GrowthCalibration) -> None:
    found = decided(CLAIM, growth=with_exponent(growth, 0.97, 0.15))
    fit = growth.exponent
    assert fit is not None
    assert found.evidence.startswith(
        f"exponent 0.97 (0.15) over {fit.n_used:,} protocols, {fit.n_gone} of them gone; above "
        "1.1: p 0.81, below it: p 0.19, within 0.1 of 1: p 0.32; "
    )
    for title, slope in (("all", growth.population), ("above 10,000 USD", growth.alive)):
        assert (
            f"{title} {slope.size_slope:+.3f} ({slope.size_slope_std_error:.3f}) over "
            f"{slope.n_used:,}"
        ) in found.sensitivity


def test_the_exponent_of_each_period_is_said(growth: GrowthCalibration) -> None:
    said = decided(CLAIM, growth=growth, periods=periods()).sensitivity
    assert said.startswith("by period: 1.00 (0.10) from 2022-01-10, 1.00 (0.10) from 2023-06-27; ")


def test_the_large_the_floor_and_downloads_are_said_where_they_are_known(
    growth: GrowthCalibration, protocols: pl.DataFrame, companions: CompanionFits
) -> None:
    alone = decided(CLAIM, growth=growth).sensitivity
    assert alone.endswith("; a renamed protocol looks gone; a common shock is not in the errors")
    full = decided(CLAIM, growth=growth, protocols=protocols, populations=companions).sensitivity
    slopes, large, floor, renamed, shock, downloads = full.split("; ", 5)
    million, ten = (growth_of_the_large(protocols, cutoff) for cutoff in LARGE)
    assert million is not None
    assert ten is not None
    assert ten.n_used < million.n_used < 800
    assert large == (
        f"chosen by the earlier size alone: {million.slope:+.3f} ({million.std_error:.3f}) above "
        f"1 million USD ({million.n_used}), {ten.slope:+.3f} ({ten.std_error:.3f}) above 10 "
        f"million USD ({ten.n_used})"
    )
    slope = slope_under_gbm(growth, protocols)
    assert floor == f"the floor on both dates alone gives a GBM {slope:+.3f}"
    assert "; ".join((slopes, renamed, shock)) == alone
    assert downloads == growth_of_downloads(companions)


def test_too_few_large_protocols_are_not_said(
    growth: GrowthCalibration, protocols: pl.DataFrame
) -> None:
    smaller = protocols.with_columns(pl.col("tvl_before") / 1e4, pl.col("tvl_after") / 1e4)
    assert growth_of_the_large(smaller, LARGE[1]) is None
    kept = decided(CLAIM, growth=growth, protocols=smaller).sensitivity
    assert "10 million" not in kept
    few = decided(CLAIM, growth=growth, protocols=protocols[:10]).sensitivity
    assert few == decided(CLAIM, growth=growth).sensitivity
