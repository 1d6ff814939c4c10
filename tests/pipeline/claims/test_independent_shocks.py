"""Shocks are independent unless Pesaran's CD of their correlations lies beyond its bounds."""

import math
from dataclasses import replace

import numpy as np
import pytest

from baimo.estimation.growth.survivors import PanelGrowthFit, fit_panel_growth
from baimo.pipeline.claims.claim import Finding
from baimo.pipeline.claims.independent_shocks import SIGNIFICANT
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.models.gbm import GrowthCalibration
from tests.pipeline.claims.evidence import FAILS, HOLDS, UNTOLD, decided, numbers_in

CLAIM = "independent_shocks"


def of(growth: GrowthCalibration, panel: PanelGrowthFit) -> Finding:
    return decided(CLAIM, growth=replace(growth, panel=panel))


def panel_of(common: float, n_items: int = 20, n_weeks: int = 52) -> PanelGrowthFit:
    """Return the fit of a panel whose weekly growth has a common part of this volatility."""
    rng = np.random.default_rng(11)
    own = rng.standard_normal((n_items, n_weeks))
    growth = own + common * rng.standard_normal(n_weeks)
    item, week = np.indices(growth.shape)
    return fit_panel_growth(item.ravel(), week.ravel(), growth.ravel())


def test_the_criterion_quotes_the_number_of_the_rule() -> None:
    criterion = ALL_CLAIMS[CLAIM].criterion
    assert numbers_in(criterion) == [f"{SIGNIFICANT:g}"]
    assert numbers_in(criterion) == ["1.96"]


def test_independent_shocks_by_hand(growth: GrowthCalibration) -> None:
    # Pesaran: CD = sqrt(2 T/(N (N - 1))) x sum of correlations, of N (N - 1)/2 pairs.
    def found(n: int, mean: float) -> Finding:
        return of(growth, replace(growth.panel, n_items=n, mean_correlation=mean))

    pairs = 10 * 9 / 2
    cd = math.sqrt(2 * 26 / (10 * 9)) * pairs * 0.2
    assert found(10, 0.2).verdict is FAILS
    assert f"at least {cd:.0f}" in found(10, 0.2).evidence
    assert found(10, 0.2).numbers[0].value == pytest.approx(cd)
    assert found(10, 0.01).verdict is HOLDS
    assert found(10, -0.2).verdict is FAILS


def test_a_cd_just_within_the_bounds_holds_and_just_beyond_fails(
    growth: GrowthCalibration,
) -> None:
    unit = math.sqrt(26 * 45)  # CD of ten items with a mean correlation of one
    for cd, verdict in ((1.95, HOLDS), (-1.95, HOLDS), (1.97, FAILS), (-1.97, FAILS)):
        panel = replace(growth.panel, n_items=10, mean_correlation=cd / unit)
        found = of(growth, panel)
        assert found.verdict is verdict
        assert found.numbers[0].value == pytest.approx(cd)
        assert found.numbers[0].held_against == 1.96


def test_a_panel_without_a_common_shock_holds_and_one_with_it_fails(
    growth: GrowthCalibration,
) -> None:
    assert decided(CLAIM, growth=growth).verdict is HOLDS  # six protocols, each on its own
    assert of(growth, panel_of(0.0)).verdict is HOLDS
    shaken = panel_of(1.0)
    assert shaken.mean_correlation == pytest.approx(0.5, abs=0.1)
    assert of(growth, shaken).verdict is FAILS


def test_without_a_pair_that_overlaps_nothing_is_told(growth: GrowthCalibration) -> None:
    found = of(growth, replace(growth.panel, mean_correlation=math.nan))
    assert found.verdict is UNTOLD
    assert "nan" not in found.evidence


def test_the_panel_is_described(growth: GrowthCalibration) -> None:
    panel = panel_of(1.0)
    shown = of(growth, panel).evidence
    assert shown.startswith("20 protocols, 52 weeks: ")
    assert f"mean pairwise correlation {panel.mean_correlation:.2f} " in shown
    assert f"first principal component {panel.factor_share:.0%}, " in shown
    assert shown.endswith(f"excess kurtosis {panel.excess_kurtosis:.0f}")
    assert of(growth, panel).sensitivity == "survivors only"
