"""A model is entered once by its decorator or call, and says nothing beyond what it defines."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from baimo.estimation.results import Estimate
from baimo.pipeline.lake.results import Day
from baimo.pipeline.models import base
from baimo.pipeline.models.base import (
    FAMILIES,
    GROWTH,
    FileModel,
    FittedModel,
    Prediction,
    Sampler,
    Solver,
    Values,
    entered,
    file_model,
    fitted_model,
    solver,
    values_of,
)
from baimo.pipeline.statistics import ZETA
from baimo.pipeline.variables import TVL, Variable
from tests.pipeline.synthetic import day_of


@pytest.fixture
def own_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test enter models that nobody else sees."""
    for name in ("_FITTED", "_SOLVERS", "_FILE_MODELS"):
        monkeypatch.setattr(base, name, list(getattr(base, name)))


class Silent(FittedModel):
    """The least that a fitted model may say."""

    name, label, colour, equations, order = "silent", "Silent", "#000000", "none", 5
    family, variables, judged, needs = GROWTH, (TVL,), (ZETA,), ()

    def parameters(self, day: Day, variable: Variable) -> dict[str, Estimate] | None:
        return None

    def sampler(self, day: Day, variable: Variable, values: Values) -> Sampler:
        raise AssertionError("there is nothing to draw")

    def predict(self, day: Day, variable: Variable) -> Prediction:
        return Prediction(2.0)


class Halving(Solver):
    """Half of what is given."""

    name, label, equations, order = "halving", "Halving", "none", 5
    defaults: ClassVar[Mapping[str, float]] = {"whole": 1.0}
    meaning: ClassVar[Mapping[str, str]] = {"whole": "what is halved"}

    def solve(self, values: Values) -> pl.DataFrame:
        return pl.DataFrame({"half": [values["whole"] / 2]})


def ones(values: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    return pl.DataFrame({"size": np.ones(n)})


ONES = FileModel(
    name="ones", order=5, prefix="ones", defaults={}, meaning={}, refit="none", sample=ones
)


@pytest.mark.usefixtures("own_lists")
def test_each_kind_is_entered_once_in_the_list_of_its_kind() -> None:
    before = [list(models) for models in entered()]
    assert fitted_model(Silent) is Silent
    assert solver(Halving) is Halving
    assert file_model(ONES) is ONES
    fitted, solvers, files = entered()
    assert [fitted[:-1], solvers[:-1], files[:-1]] == before
    assert (type(fitted[-1]), type(solvers[-1]), files[-1]) == (Silent, Halving, ONES)


def test_what_a_test_entered_is_gone_again() -> None:
    assert not any(isinstance(m, Silent) for m in entered()[0])
    assert not any(isinstance(m, Halving) for m in entered()[1])
    assert ONES not in entered()[2]


def test_a_model_says_nothing_of_what_comes_next_unless_it_is_written_to() -> None:
    model, day = Silent(), day_of({})
    assert model.increments(day, TVL, {}) is None
    assert model.predicted_ccdf(day, TVL) is None
    assert model.predict(day, TVL) == Prediction(2.0, "")
    assert model.tuned == ()
    assert model.in_overview


def test_what_was_not_estimated_has_no_value() -> None:
    known, unknown = Estimate(value=0.0, std_error=1.0), Estimate(value=None)
    assert values_of({"a": known, "b": unknown, "c": Estimate(value=2.0)}) == {"a": 0.0, "c": 2.0}


def test_a_model_without_a_sampler_or_a_solution_is_no_model() -> None:
    class Mute(FittedModel):
        pass

    class Unsolved(Solver):
        pass

    with pytest.raises(TypeError, match="abstract"):
        fitted_model(Mute)
    with pytest.raises(TypeError, match="abstract"):
        solver(Unsolved)
    assert not any(type(m) is Mute for m in entered()[0])


def test_families_have_names_and_words_of_their_own() -> None:
    assert len({f.name for f in FAMILIES}) == len({f.words for f in FAMILIES}) == len(FAMILIES) == 4
    assert all(f.name.isidentifier() for f in FAMILIES)  # they are parts of names of assets
