"""Simulations: each family drawn from the day in the lake, with the seed and number asked for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from baimo.pipeline.analysis.sizes import TAILS, read_tails
from baimo.pipeline.defs.declare import REFIT, SIMULATION
from baimo.pipeline.defs.models import N_KEPT, NEEDS, SimulationConfig
from baimo.pipeline.lake.results import Day, Stored, names_of
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import FAMILIES
from baimo.pipeline.models.printed import PRINTED_EQUATION, simulate_printed_equation
from baimo.pipeline.predictive.simulate import (
    REFITS,
    SIMULATIONS,
    needs_of,
    refit_models,
    samplers_of,
    simulate_models,
)
from baimo.pipeline.settings import N_REPLICATIONS, SEED
from tests.pipeline.defs.steps import DAY, reads, run, shown, specs, stored
from tests.pipeline.synthetic import results_of_a_day

MADE: tuple[Stored[Any], ...] = (*SIMULATIONS.values(), *REFITS.values(), PRINTED_EQUATION)
N, OTHER_SEED = N_KEPT + 1, 5


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Day, dg.ExecuteInProcessResult]:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    stored(lake, results_of_a_day())
    config = {"seed": OTHER_SEED, "n_replications": N}
    result = run(lake.root, [made.name for made in MADE], {"simulations": config})
    return Day.of_lake(lake, DAY, [*MADE, *NEEDS]), result


def test_each_family_is_made_from_what_its_models_read() -> None:
    tails = names_of(TAILS.values())
    for family in FAMILIES:
        simulation, refit = SIMULATIONS[family.name].name, REFITS[family.name].name
        assert reads(simulation) == names_of(needs_of(family))
        assert reads(refit) == {simulation} | tails
        assert (specs()[simulation].group_name, specs()[refit].group_name) == (SIMULATION, REFIT)
        assert family.words.partition(" ")[2] in (specs()[refit].description or "")
    assert reads(PRINTED_EQUATION.name) == {ATTACHMENT_FIT.name}


def test_samples_and_refits_are_those_of_the_functions_with_this_seed(
    done: tuple[Day, dg.ExecuteInProcessResult],
) -> None:
    day, _ = done
    x_min = {name: fits.tail.x_min for name, fits in read_tails(day).items()}
    for family in FAMILIES:
        draws = samplers_of(day, family)
        kept = simulate_models(draws, n_replications=N_KEPT, seed=OTHER_SEED)
        assert day.read(SIMULATIONS[family.name]).equals(kept)
        refits = refit_models(draws, x_min, n_replications=N, seed=OTHER_SEED)
        found = day.read(REFITS[family.name])
        assert found.keys() == refits.keys()
        for key, simulated in refits.items():
            assert len(found[key].samples) == N
            for one, other in zip(found[key].samples, simulated.samples, strict=True):
                assert one == pytest.approx(other, nan_ok=True)
            assert found[key].slopes.keys() == simulated.slopes.keys()
            for name, slope in simulated.slopes.items():
                assert found[key].slopes[name] == pytest.approx(slope, nan_ok=True)


def test_the_printed_equation_is_drawn_with_the_same_seed(
    done: tuple[Day, dg.ExecuteInProcessResult],
) -> None:
    day, result = done
    printed = day.read(PRINTED_EQUATION)
    assert printed.zetas == simulate_printed_equation(day.read(ATTACHMENT_FIT), OTHER_SEED).zetas
    metadata = shown(result, "simulations", PRINTED_EQUATION.name)
    assert metadata["smallest_zeta"] == pytest.approx(min(printed.zetas), rel=1e-5)


def test_the_mean_exponent_of_each_model_is_shown(
    done: tuple[Day, dg.ExecuteInProcessResult],
) -> None:
    day, result = done
    for family in FAMILIES:
        metadata = shown(result, "simulations", REFITS[family.name].name)
        for (model, variable), simulated in day.read(REFITS[family.name]).items():
            found = [s["zeta"] for s in simulated.samples if math.isfinite(s["zeta"])]
            mean = sum(found) / len(found) if found else math.nan
            assert metadata[f"{model}_{variable}_mean_zeta"] == pytest.approx(
                mean, rel=1e-5, nan_ok=True
            )


def test_nothing_said_it_is_the_usual_seed_and_number() -> None:
    usual = SimulationConfig()
    assert (usual.seed, usual.n_replications) == (SEED, N_REPLICATIONS)


def test_it_reads_the_lake_of_its_io_manager_only(own_home: Path) -> None:
    stored(Lake(own_home / "lake"), results_of_a_day())  # the default one, which is not asked
    with pytest.raises(Exception, match=r"is not in the lake \(.*/another/"):
        run(own_home / "another", [made.name for made in MADE])
