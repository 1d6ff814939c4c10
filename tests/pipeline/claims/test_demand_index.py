"""Demand has not the tail index that is printed, but at the parameters where both indices meet."""

import pytest

from baimo.pipeline.claims import demand_index as module
from baimo.pipeline.claims.demand_index import MARGIN, TRIED
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.simulation.demand.ces import DemandParams
from baimo.simulation.demand.printed import printed_tail_index
from tests.pipeline.claims.evidence import FAILS, HOLDS, PART, decided

CLAIM = "demand_index"
# (alpha (1 - rho) - 1)/(1 - rho) = alpha (1 - rho)/rho at alpha = rho/((1 - rho)(2 rho - 1)).
MEETING = (7.5, 0.6)


def test_the_criterion_says_the_numbers_of_the_rule_in_words() -> None:
    claim = ALL_CLAIMS[CLAIM]
    assert (MARGIN, len(TRIED)) == (3.0, 3)
    assert "within three standard errors" in claim.criterion
    assert "at three (alpha, rho)" in claim.statistic


def test_the_printed_index_is_not_that_of_demand() -> None:
    found = decided(CLAIM)
    shown = found.evidence
    assert found.verdict is FAILS
    # alpha 3, rho .5: printed (3 x .5 - 1)/.5 = 1, true 3 x .5/.5 = 3
    assert "alpha 3, rho 0.5" in shown
    assert "printed 1.00, alpha (1 - rho)/rho = 3.00" in shown


def test_what_is_simulated_has_the_corrected_index() -> None:
    found = decided(CLAIM)
    assert len(found.numbers) == len(TRIED)
    for number, (alpha, rho) in zip(found.numbers, TRIED, strict=True):
        assert number.name == f"zeta at alpha {alpha:g}, rho {rho:g}"
        assert number.held_against == printed_tail_index(alpha, rho)
        assert number.value is not None
        assert number.std_error is not None
        true = DemandParams(alpha=alpha, rho=rho).zeta
        assert abs(number.value - true) < 4 * number.std_error
        assert number.std_error == pytest.approx(number.value / 4_000**0.5, rel=0.02)
        assert f"simulated {number.value:.2f} ({number.std_error:.2f})" in found.evidence


def test_where_the_two_indices_meet_the_claim_would_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    alpha, rho = MEETING
    assert printed_tail_index(alpha, rho) == pytest.approx(5.0)
    assert DemandParams(alpha=alpha, rho=rho).zeta == pytest.approx(5.0)
    monkeypatch.setattr(module, "TRIED", (MEETING, MEETING))
    assert decided(CLAIM).verdict is HOLDS
    monkeypatch.setattr(module, "TRIED", (MEETING, (3.0, 0.5)))
    assert decided(CLAIM).verdict is PART
    # an index a tenth away is told apart: the standard error is five in sixty-three
    monkeypatch.setattr(module, "TRIED", ((8.5, 0.6),))
    assert decided(CLAIM).verdict is FAILS
