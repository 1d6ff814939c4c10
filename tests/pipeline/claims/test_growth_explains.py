"""GBM growth explains TVL where it does with either drift; that of survivors decides nothing."""

from dataclasses import replace

import numpy as np
import pytest

from baimo.pipeline.claims.claim import Finding, Verdict
from baimo.pipeline.claims.growth_explains import WHO
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
from tests.pipeline.synthetic import calendar, comparison_of, judged

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


@pytest.mark.parametrize(
    ("one_drift", "by_period", "verdict"),
    [
        (CONTRADICTED, CONTRADICTED, FAILS),
        (EXPLAINS, EXPLAINS, HOLDS),
        (CONTRADICTED, EXPLAINS, HOLDS),
        (CONTRADICTED, UNDECIDED, UNTOLD),
        (CONTRADICTED, None, UNTOLD),
    ],
)
def test_the_drift_of_each_period_is_judged_beside_that_of_one_interval(
    growth: GrowthCalibration, one_drift: str, by_period: str | None, verdict: Verdict
) -> None:
    table = comparison_of(
        judged("GBM", "tvl", one_drift, "zeta"), judged("GBM by period", "tvl", by_period, "zeta")
    )
    assert decided(CLAIM, growth=growth, comparison=table).verdict is verdict


def test_the_drift_asked_for_is_held_against_those_that_were_measured(
    growth: GrowthCalibration,
) -> None:
    said, fit = found(growth, EXPLAINS, EXPLAINS), calendar()
    for who, words in WHO.items():
        asked = fit.asked[who]
        assert f"{asked.m:+.2f} ({asked.std_error:.2f}) a year of {words}" in said.evidence
    assert f"along the drift of each period {fit.ks:.3f}" in said.evidence
    assert said.evidence.endswith(
        "measured after the snapshot, the gone included, "
        f"{growth.at_risk.m:+.2f} ({growth.at_risk.std_errors[0]:.2f}); by "
        "period +2.00 (0.50) from 2021-01-01, -1.00 (0.20) from 2022-01-10, -0.30 (0.20) from "
        "2023-06-27"
    )
    numbers = {n.name: n for n in said.numbers}
    of_all = numbers["drift of the log that the sizes of all ask for, a year"]
    assert (of_all.value, of_all.std_error) == (fit.asked["all"].m, fit.asked["all"].std_error)
    assert of_all.held_against == growth.at_risk.m


def test_without_the_table_of_periods_none_is_said(growth: GrowthCalibration) -> None:
    nothing = replace(
        calendar(), starts=np.empty(0), drifts=np.empty(0), drift_errors=np.empty(0),
        first_days=(), ks=None, asked={},
    )  # fmt: skip
    table = comparison_of(judged("GBM", "tvl", EXPLAINS, "zeta"))
    said = decided(CLAIM, growth=growth, comparison=table, calendar=nothing).evidence
    assert "period" not in said
    assert "ask" not in said


def test_the_survivors_are_said_beside_and_not_as_evidence(growth: GrowthCalibration) -> None:
    said = found(growth, EXPLAINS, CONTRADICTED)
    assert said.evidence.startswith("GBM of tvl: explains zeta (zeta 1 / 2); ")
    assert "survivors" not in said.evidence
    assert said.sensitivity == (
        "growth is that of the interval after the snapshot, or that of each period; before 2022 "
        "it is known of survivors only, an upper bound; of "
        f"{growth.ages.size} protocols the age is that of the first commit of their adapter for "
        f"{growth.n_age_by_adapter} and assumed for {growth.n_age_assumed}; "
        "GBM survivors of tvl: contradicted zeta (zeta 1 / 2)"
    )


def test_without_adapters_none_is_said(growth: GrowthCalibration) -> None:
    said = found(replace(growth, n_age_by_adapter=0), EXPLAINS, EXPLAINS).sensitivity
    assert f"of {growth.ages.size} protocols the age is assumed for {growth.n_age_assumed};" in said
    assert "adapter" not in said


def test_the_distance_of_the_mixture_is_held_against_that_of_entry_alone(
    growth: GrowthCalibration,
) -> None:
    moved = replace(growth, ks_growth=0.125, ks_entry_only=0.25)
    said = found(moved, EXPLAINS, EXPLAINS)
    assert "distance of the mixture 0.125, along" in said.evidence
    assert ", of the entry sizes as if nothing had grown 0.250" in said.evidence
    zeta, distance, *_ = said.numbers
    assert zeta.name == "zeta of tvl under GBM"
    assert distance.name == "Kolmogorov-Smirnov distance of the mixture"
    assert (distance.value, distance.held_against) == (0.125, 0.25)
