"""GBM growth explains TVL where the population's GBM does; that of survivors decides nothing."""

from dataclasses import replace

import pytest

from baimo.pipeline.claims.claim import Finding, Verdict
from baimo.pipeline.models.gbm import GrowthCalibration
from tests.pipeline.claims.evidence import (
    CONTRADICTED,
    EXPLAINS,
    FAILS,
    HOLDS,
    UNDECIDED,
    UNTOLD,
    decided,
)
from tests.pipeline.synthetic import comparison_of, judged

CLAIM = "growth_explains"


def found(growth: GrowthCalibration, outcome: str | None, of_survivors: str) -> Finding:
    survivors = judged("GBM survivors", "tvl", of_survivors, "zeta")
    table = comparison_of(judged("GBM", "tvl", outcome, "zeta"), survivors)
    return decided(CLAIM, growth=growth, comparison=table)


@pytest.mark.parametrize("of_survivors", [EXPLAINS, CONTRADICTED])
@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [(EXPLAINS, HOLDS), (CONTRADICTED, FAILS), (UNDECIDED, UNTOLD), (None, UNTOLD)],
)
def test_growth(
    growth: GrowthCalibration, outcome: str | None, verdict: Verdict, of_survivors: str
) -> None:
    assert found(growth, outcome, of_survivors).verdict is verdict


def test_without_a_simulation_of_the_population_it_cannot_be_told(
    growth: GrowthCalibration,
) -> None:
    table = comparison_of(judged("GBM survivors", "tvl", EXPLAINS, "zeta"))
    assert decided(CLAIM, growth=growth, comparison=table).verdict is UNTOLD


def test_the_survivors_are_said_beside_and_not_as_evidence(growth: GrowthCalibration) -> None:
    said = found(growth, EXPLAINS, CONTRADICTED)
    assert said.evidence.startswith("GBM of tvl: explains zeta (zeta 1 / 2); ")
    assert "survivors" not in said.evidence
    assert said.sensitivity == (
        "growth is that of the interval after the snapshot; "
        "GBM survivors of tvl: contradicted zeta (zeta 1 / 2)"
    )


def test_the_distance_of_the_mixture_is_held_against_that_of_entry_alone(
    growth: GrowthCalibration,
) -> None:
    moved = replace(growth, ks_growth=0.125, ks_entry_only=0.25)
    said = found(moved, EXPLAINS, EXPLAINS)
    assert "distance of the mixture 0.125, of the entry" in said.evidence
    assert "as if nothing had grown 0.250" in said.evidence
    zeta, distance = said.numbers
    assert zeta.name == "zeta of tvl under GBM"
    assert distance.name == "Kolmogorov-Smirnov distance of the mixture"
    assert (distance.value, distance.held_against) == (0.125, 0.25)
