"""The rich get richer where growth rises with size, of all protocols and of those still alive."""

from dataclasses import replace

import polars as pl
import pytest

from baimo.pipeline.analysis.populations import CompanionFits
from baimo.pipeline.analysis.two_dates import growth_of_the_large
from baimo.pipeline.claims.claim import Verdict
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.claims.rich_get_richer import LARGE, SIGNIFICANT
from baimo.pipeline.claims.robustness import growth_of_downloads
from baimo.pipeline.models.gbm import GrowthCalibration, calibrate_growth, slope_under_gbm
from baimo.pipeline.variables import EXIT_THRESHOLD
from tests.pipeline.claims.evidence import FAILS, HOLDS, PART, decided, numbers_in
from tests.pipeline.synthetic import listing, population, weekly

CLAIM = "rich_get_richer"


def moved(g: GrowthCalibration, everyone: float, alive: float) -> GrowthCalibration:
    """Return growth whose slopes on size have these z."""
    return replace(
        g,
        population=replace(g.population, size_slope=everyone / 50, size_slope_std_error=1 / 50),
        alive=replace(g.alive, size_slope=alive / 50, size_slope_std_error=1 / 50),
    )


def test_the_criterion_quotes_the_numbers_of_the_rule() -> None:
    criterion = ALL_CLAIMS[CLAIM].criterion
    assert numbers_in(criterion) == [f"{SIGNIFICANT:g}", f"{EXIT_THRESHOLD:,.0f}"]
    assert numbers_in(criterion) == ["1.96", "10,000"]


@pytest.mark.parametrize(
    ("everyone", "alive", "verdict"),
    [
        (3.0, 3.0, HOLDS),
        (3.0, 0.5, PART),
        (-3.0, 3.0, PART),
        (-3.0, 0.5, FAILS),
        (2.0, 2.0, HOLDS),
        (1.9, 2.0, PART),
        (1.9, 1.9, FAILS),
        (-3.0, -3.0, FAILS),
    ],
)
def test_rich_get_richer(
    growth: GrowthCalibration, everyone: float, alive: float, verdict: Verdict
) -> None:
    found = decided(CLAIM, growth=moved(growth, everyone, alive))
    assert found.verdict is verdict
    assert [n.name for n in found.numbers] == [
        "slope of growth on size, all",
        "slope of growth on size, above 10,000 USD",
    ]
    assert [n.value for n in found.numbers] == pytest.approx([everyone / 50, alive / 50])
    assert [n.std_error for n in found.numbers] == [1 / 50, 1 / 50]
    assert {n.held_against for n in found.numbers} == {0.0}


def test_gibrat_growth_makes_no_one_richer_and_growth_with_size_does(
    growth: GrowthCalibration,
) -> None:
    assert decided(CLAIM, growth=growth).verdict is FAILS
    table = population(800, 7)
    ahead = (pl.col("tvl_before") / 1e7) ** 0.3  # larger ones grow by so much more
    richer = table.with_columns(tvl_after=pl.col("tvl_after") * ahead)
    fit = calibrate_growth(richer, listing(richer), weekly(6))
    found = decided(CLAIM, growth=fit)
    assert found.verdict is HOLDS
    years = fit.population.years
    assert found.numbers[0].value == pytest.approx(
        growth.population.size_slope + 0.3 / years, abs=1e-9
    )


def test_both_slopes_are_said_with_their_errors_and_numbers(growth: GrowthCalibration) -> None:
    shown = decided(CLAIM, growth=growth).evidence
    for title, fit in (("all", growth.population), ("above 10,000 USD", growth.alive)):
        assert (
            f"{title}: {fit.size_slope:+.3f} a year per log USD ({fit.size_slope_std_error:.3f}) "
            f"over {fit.n_used:,} protocols"
        ) in shown


def test_the_large_the_floor_and_downloads_are_said_where_they_are_known(
    growth: GrowthCalibration, protocols: pl.DataFrame, companions: CompanionFits
) -> None:
    alone = decided(CLAIM, growth=growth).sensitivity
    assert alone == "survivors of one interval; a common shock is not in the errors"
    full = decided(CLAIM, growth=growth, protocols=protocols, populations=companions).sensitivity
    large, floor, survivors, shock, downloads = full.split("; ", 4)
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
    assert "; ".join((survivors, shock)) == alone
    assert downloads == growth_of_downloads(companions)


def test_too_few_large_protocols_are_not_said(
    growth: GrowthCalibration, protocols: pl.DataFrame
) -> None:
    smaller = protocols.with_columns(pl.col("tvl_before") / 1e4, pl.col("tvl_after") / 1e4)
    assert growth_of_the_large(smaller, LARGE[1]) is None
    kept = decided(CLAIM, growth=growth, protocols=smaller).sensitivity
    assert "10 million" not in kept
    few = decided(CLAIM, growth=growth, protocols=protocols[:10]).sensitivity
    assert few == "survivors of one interval; a common shock is not in the errors"
