"""A lower rho does not make models more substitutable, though under another demand it would."""

import numpy as np
import pytest

from baimo.estimation.arrays import Floats
from baimo.pipeline.claims import rho_substitution as module
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.claims.rho_substitution import RHOS
from tests.pipeline.claims.evidence import FAILS, HOLDS, decided, numbers_in

CLAIM = "rho_substitution"


def falling(_: list[float], prices: list[float], income: float, rho: float) -> tuple[Floats, float]:
    """Return a demand whose elasticity of substitution is 1/rho: it falls as rho rises."""
    weight = np.asarray(prices) ** (1.0 - 1.0 / rho)
    return income * weight / weight.sum() / np.asarray(prices), 0.0


def humped(_: list[float], prices: list[float], income: float, rho: float) -> tuple[Floats, float]:
    """Return a demand whose elasticity of substitution is largest at a rho of .6."""
    weight = np.asarray(prices) ** (1.0 - (3.0 - abs(rho - 0.6)))
    return income * weight / weight.sum() / np.asarray(prices), 0.0


def level(_: list[float], prices: list[float], income: float, rho: float) -> tuple[Floats, float]:
    """Return a Cobb-Douglas demand: its elasticity is one whatever rho."""
    return income / len(prices) / np.asarray(prices), 0.0 * rho


def test_the_statistic_quotes_the_rhos_that_are_tried() -> None:
    statistic = ALL_CLAIMS[CLAIM].statistic
    assert [float(number) for number in numbers_in(statistic)] == list(RHOS)
    assert statistic.endswith("at rho .3, .6, .9")


def test_substitution_rises_with_rho() -> None:
    found = decided(CLAIM)
    shown = found.evidence
    assert found.verdict is FAILS
    for rho in (0.3, 0.6, 0.9):
        assert f"{1 / (1 - rho):.2f} at rho {rho:g}" in shown


def test_the_elasticity_is_that_of_the_demand_system() -> None:
    for number, rho in zip(decided(CLAIM).numbers, RHOS, strict=True):
        assert number.name == f"elasticity of substitution at rho {rho:g}"
        assert number.value == pytest.approx(1 / (1 - rho), rel=1e-9)


def test_a_demand_whose_elasticity_falls_with_rho_would_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ces_demand", falling)
    found = decided(CLAIM)
    assert found.verdict is HOLDS
    assert [n.value for n in found.numbers] == pytest.approx([1 / rho for rho in RHOS])


def test_a_demand_whose_elasticity_does_not_rise_throughout_would_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ces_demand", humped)
    found = decided(CLAIM)
    assert found.verdict is HOLDS
    assert [n.value for n in found.numbers] == pytest.approx([2.7, 3.0, 2.7])
    monkeypatch.setattr(module, "ces_demand", level)
    found = decided(CLAIM)
    assert [n.value for n in found.numbers] == pytest.approx([1.0, 1.0, 1.0])
