"""A decorated function is a calibration with all that was said of it, in its place among others."""

import pytest

from baimo.estimation.results import Estimate
from baimo.pipeline.analysis import calibration as module
from baimo.pipeline.analysis.calibration import (
    Calibration,
    calibration,
    registered_calibrations,
)
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models.printed import PRINTED_EQUATION
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from tests.pipeline.synthetic import day_of


@pytest.fixture
def own_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test register what nobody else sees."""
    monkeypatch.setattr(module, "_CALIBRATIONS", list(module._CALIBRATIONS))


@pytest.mark.usefixtures("own_list")
def test_the_decorator_registers_the_function_and_returns_it() -> None:
    def fit(day: Day) -> object:
        return day.table(HUB_FREQUENCY)

    decorate = calibration(
        PRINTED_EQUATION,
        order=15,
        description="A toy.",
        needs=(HUB_FREQUENCY,),
        shown=lambda found: {"n": str(found)},
        parameters=lambda found: iter([{"name": str(found)}]),
        estimates=lambda found: iter([("A toy", {"x": Estimate(value=2.0)})]),
    )
    before = registered_calibrations()
    assert decorate(fit) is fit  # type: ignore[arg-type]
    (added,) = (c for c in registered_calibrations() if c not in before)
    assert isinstance(added, Calibration)
    assert (added.stored, added.order, added.description) == (PRINTED_EQUATION, 15, "A toy.")
    assert added.needs == (HUB_FREQUENCY,)
    assert added.fit(day_of({HUB_FREQUENCY: "a table"})) == "a table"
    assert added.shown("seven") == {"n": "seven"}
    assert list(added.parameters("seven")) == [{"name": "seven"}]
    assert list(added.estimates("seven")) == [("A toy", {"x": Estimate(value=2.0)})]


@pytest.mark.usefixtures("own_list")
def test_calibrations_come_in_order_whatever_the_order_of_registration() -> None:
    def fit(day: Day) -> object:
        return day

    for order in (75, 4):
        calibration(
            PRINTED_EQUATION, order=order, description=f"toy {order}", needs=(), shown=lambda _: {}
        )(fit)  # type: ignore[arg-type]
    found = registered_calibrations()
    assert [c.order for c in found] == sorted([*(c.order for c in CALIBRATIONS), 4, 75])
    assert found[0].description == "toy 4"
    assert next(c for c in found if c.order == 75).description == "toy 75"


@pytest.mark.usefixtures("own_list")
def test_without_more_said_nothing_is_exported_and_nothing_reported() -> None:
    decorate = calibration(
        PRINTED_EQUATION, order=1, description="mute", needs=(), shown=lambda _: {}
    )
    decorate(lambda day: None)  # type: ignore[arg-type, return-value]
    mute = registered_calibrations()[0]
    assert mute.description == "mute"
    assert list(mute.parameters("anything")) == []
    assert list(mute.estimates("anything")) == []


def test_what_tests_registered_is_gone_again() -> None:
    assert registered_calibrations() == CALIBRATIONS
