"""Eq 19 as printed makes no power law; an exponent that a tail may have would say it does."""

from dataclasses import replace

import pytest

from baimo.pipeline.claims.claim import Verdict
from baimo.pipeline.claims.printed_equation import NO_TAIL
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.models.printed import PrintedEquation
from tests.pipeline.claims.evidence import FAILS, HOLDS, decided, numbers_in

CLAIM = "printed_equation"


def test_the_criterion_quotes_the_number_of_the_rule() -> None:
    criterion = ALL_CLAIMS[CLAIM].criterion
    assert numbers_in(criterion) == ["1", f"{NO_TAIL:g}"]
    assert numbers_in(criterion) == ["1", "5"]


def test_the_equation_as_printed_makes_no_tail(printed: PrintedEquation) -> None:
    assert min(printed.zetas) > NO_TAIL
    assert decided(CLAIM, printed=printed).verdict is FAILS


def test_a_printed_equation_with_a_tail_would_hold(printed: PrintedEquation) -> None:
    heavy = replace(printed, zetas=(1.1, 9.0, 9.0))
    assert decided(CLAIM, printed=heavy).verdict is HOLDS


@pytest.mark.parametrize(
    ("zetas", "verdict"),
    [
        ((5.1, 5.1, 5.1), FAILS),
        ((9.0, 4.9, 9.0), HOLDS),
        ((9.0, 9.0, 4.9), HOLDS),
        ((1.0, 1.0, 1.0), HOLDS),
    ],
)
def test_it_fails_only_if_no_volatility_makes_a_tail(
    printed: PrintedEquation, zetas: tuple[float, ...], verdict: Verdict
) -> None:
    assert decided(CLAIM, printed=replace(printed, zetas=zetas)).verdict is verdict


def test_every_volatility_is_said_with_exponent_skewness_and_kurtosis(
    printed: PrintedEquation,
) -> None:
    made_up = replace(
        printed,
        n_items=1_234,
        days=99.6,
        noise=(0.1, 2.0),
        zetas=(41.25, 6.0),
        skewness=(0.0125, -0.5),
        excess_kurtosis=(0.25, 3.0),
    )
    found = decided(CLAIM, printed=made_up)
    assert found.evidence.startswith("1,234 items from equal starts over 100 days; ")
    assert found.evidence.endswith(": 0.1: 41.2, 0.013, 0.250; 2: 6.0, -0.500, 3.000")
    assert [(n.name, n.value, n.held_against) for n in found.numbers] == [
        ("exponent of the top 1 %, noise 0.1", 41.25, 5.0),
        ("exponent of the top 1 %, noise 2", 6.0, 5.0),
    ]
