"""Every file of the folder enters its models, they are told apart, and read what they declare."""

import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

import baimo.pipeline.models as models_folder
from baimo.estimation.results import Estimate
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis import calibration
from baimo.pipeline.analysis.sampling import SAMPLING
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import UNDATED, CohortSample
from baimo.pipeline.lake.results import Day, names_of
from baimo.pipeline.models import base, registry
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import (
    FAMILIES,
    HETEROGENEITY,
    Family,
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
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.models.registry import (
    CALIBRATIONS,
    COLOURS,
    FILE_MODELS,
    MODELS,
    SOLVERS,
    labels,
    of_family,
    pairs,
)
from baimo.pipeline.models.simon import Simon
from baimo.pipeline.predictive import simulate, simulated_files
from baimo.pipeline.statistics import SHARE_ZERO, STATISTICS, ZETA
from baimo.pipeline.variables import DOWNLOADS, LIKES, TVL, VARIABLES, Variable
from tests.pipeline.synthetic import day_of, rates_of, results_of_a_day, some_fits

WITHOUT_A_MODEL = {"base", "registry", "ages", "attachment", "attachment_variants", "increments",
                   "rates_kernel"}  # fmt: skip


def files_that_enter() -> set[str]:
    """Return the names of the files that enter a model of any kind."""
    where = chain(
        (type(m).__module__ for m in MODELS),
        (type(s).__module__ for s in SOLVERS),
        (m.sample.__module__ for m in FILE_MODELS.values()),
    )
    return {name.removeprefix(models_folder.__name__ + ".") for name in where}


def test_every_file_enters_a_model() -> None:
    files = {m.name for m in pkgutil.iter_modules(models_folder.__path__)}
    assert files >= WITHOUT_A_MODEL
    assert files_that_enter() == files - WITHOUT_A_MODEL


def test_models_of_a_kind_differ_in_name_label_colour_and_order() -> None:
    for models, names in (
        (MODELS, ("name", "label", "colour", "order")),
        (SOLVERS, ("name", "label", "order")),
        (tuple(FILE_MODELS.values()), ("name", "order")),
    ):
        for name in names:
            values = [getattr(m, name) for m in models]
            assert len(set(values)) == len(values), name
        assert [m.order for m in models] == sorted(m.order for m in models)
    called = [word for m in FILE_MODELS.values() for word in (m.name, *m.aliases)]
    assert len(set(called)) == len(called)
    assert list(FILE_MODELS) == [m.name for m in FILE_MODELS.values()]
    assert {m.label: m.colour for m in MODELS} == COLOURS


def test_calibrations_are_in_order_and_of_results_of_their_own() -> None:
    orders = [c.order for c in CALIBRATIONS]
    assert orders == sorted(set(orders))
    names = [c.stored.name for c in CALIBRATIONS]
    assert len(set(names)) == len(names)
    # what a model reads is a table, a tail, or one of these
    read = {name for m in MODELS for name in names_of(m.needs) if name.endswith("_fit")}
    assert read <= set(names)


def test_every_judged_statistic_is_in_the_table_of_statistics() -> None:
    for model in MODELS:
        assert model.judged, model.name
        for statistic in (*model.judged, *model.tuned):
            assert STATISTICS[statistic.name] is statistic, model.name
        assert len(set(model.judged)) == len(model.judged), model.name


def test_pairs_go_by_variable_and_within_a_family_by_file() -> None:
    every = [(m.label, v.name) for m, v in pairs()]
    assert every == [
        (m.label, v.name) for v in VARIABLES.values() for m in MODELS if v in m.variables
    ]
    assert every[0] == ("Simon", "downloads")
    by_family = [(m.label, v.name) for family in FAMILIES for m, v in pairs(family)]
    assert sorted(by_family) == sorted(every)
    known = [
        ("lognormal", "downloads"), ("dPlN", "downloads"), ("lognormal", "likes"),
        ("dPlN", "likes"), ("fitness", "downloads"), ("fitness", "likes"),
    ]  # fmt: skip
    found = [(m.label, v.name) for m, v in pairs(HETEROGENEITY)]
    assert [pair for pair in found if pair in known] == known  # others may stand between
    named = labels((HETEROGENEITY,))
    assert [label for label in named if label in ("lognormal", "dPlN", "fitness")] == [
        "lognormal", "dPlN", "fitness",
    ]  # fmt: skip
    assert sorted(labels()) == sorted(m.label for m in MODELS)
    assert of_family(HETEROGENEITY) == tuple(m for m in MODELS if m.family is HETEROGENEITY)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_a_model_reads_exactly_what_it_declares(model: FittedModel) -> None:
    results = {
        **results_of_a_day(),
        TAILS["downloads"]: some_fits(),
        TAILS["likes"]: some_fits(),
        RATES_FIT: dict.fromkeys(("downloads", "likes"), rates_of(0.5, 1.0, 1.2)),
    }
    attachment = results[ATTACHMENT_FIT]
    untuned = replace(attachment, yule_likes=replace(attachment.yule_likes, converged=False))
    read: set[str] = set()
    # what is read in place of a likelihood that failed is declared too
    for full in (day_of(results), day_of({**results, ATTACHMENT_FIT: untuned})):

        def load(name: str, full: Day = full) -> Any:
            read.add(name)
            return full.load(name)

        draw_all(model, Day(full.date, load, full.needs).only(model.needs))
    assert read == names_of(model.needs)


def draw_all(model: FittedModel, day: Day) -> None:
    rng = np.random.default_rng(1)
    for variable in model.variables:
        found = model.parameters(day, variable)
        assert found is not None
        increments = model.increments(day, variable, values_of(found))
        sampler = model.sampler(day, variable, values_of(found))
        assert sum(c.n_obs for c in sampler(rng).values()) > 100
        if increments is not None:
            assert {s.name for s in model.judged} >= increments(rng).keys()
        assert isinstance(model.predict(day, variable), Prediction)
        line = model.predicted_ccdf(day, variable)
        if line is not None:
            assert np.all(np.diff(line[0]) > 0)
            assert np.all(np.diff(line[1]) <= 0)


# --- toys: what is written in one place is drawn, solved and simulated ----------------------------

TOYS = Family("toys", "toys")


class OfTens:
    """Draws so many items of ten to a hundred thousand."""

    def __init__(self, items: int) -> None:
        self.items = items

    def __call__(self, rng: np.random.Generator) -> CohortSample:
        return {UNDATED: Counts.from_sample(10.0 ** rng.integers(1, 6, self.items))}


class Toy(FittedModel):
    """Powers of ten, of two variables."""

    name, label, colour, equations, order = "toy", "Toy", "#123456", "none", 15
    family, variables, judged, needs = TOYS, (TVL, LIKES), (ZETA, SHARE_ZERO), ()

    def parameters(self, day: Day, variable: Variable) -> dict[str, Estimate]:
        return {"items": Estimate(value=100.0)}

    def sampler(self, day: Day, variable: Variable, values: Values) -> Sampler:
        return OfTens(int(values["items"]))

    def predict(self, day: Day, variable: Variable) -> Prediction:
        return Prediction(0.5, "a toy")


class Crossing(Solver):
    """The price at which supply meets demand: price, quantity."""

    name, label, equations, order = "crossing", "Crossing", "none", 1
    defaults: ClassVar[Mapping[str, float]] = {"choke": 10.0, "slope": 1.0}
    meaning: ClassVar[Mapping[str, str]] = {"choke": "price of no demand", "slope": "of supply"}

    def solve(self, values: Values) -> pl.DataFrame:
        price = values["choke"] / (1.0 + 1.0 / values["slope"])
        return pl.DataFrame({"price": [price], "quantity": [values["choke"] - price]})


def _toy_rows(values: Values, n: int, rng: np.random.Generator) -> pl.DataFrame:
    return pl.DataFrame({"size": values["scale"] * rng.random(n)})


TOY_FILE = FileModel(
    name="toyfile",
    order=15,
    prefix="toy",
    defaults={"scale": 3.0},
    meaning={"scale": "largest size"},
    refit="baimo fit index FILE --column size",
    sample=_toy_rows,
    aliases=("plaything",),
)


def read_again() -> ModuleType:
    """Return the registry as it would be if it were imported now."""
    spec = importlib.util.find_spec(registry.__name__)
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    return again


@pytest.fixture
def own_lists() -> Iterator[None]:
    """Let a test enter what nobody else sees, and hold it to leaving nothing behind."""
    before = [tuple(models) for models in entered()]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_FITTED", "_SOLVERS", "_FILE_MODELS"):
            patch.setattr(base, name, list(getattr(base, name)))
        patch.setattr(calibration, "_CALIBRATIONS", list(calibration._CALIBRATIONS))
        yield
    assert [tuple(models) for models in entered()] == before


@pytest.mark.usefixtures("own_lists")
class TestToys:
    def test_a_fitted_model_is_in_every_list_and_drawn(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fitted_model(Toy)
        again = read_again()
        assert [m.label for m in again.MODELS] == ["Simon", "Toy", *(m.label for m in MODELS[1:])]
        assert again.COLOURS == {**COLOURS, "Toy": "#123456"}
        assert again.labels((TOYS,)) == ("Toy",)
        assert [(type(m), v) for m, v in again.pairs(TOYS)] == [(Toy, LIKES), (Toy, TVL)]
        monkeypatch.setattr(simulate, "pairs", again.pairs)
        draws = simulate.samplers_of(day_of({SAMPLING: {}}), TOYS)
        assert list(draws) == [("Toy", "likes"), ("Toy", "tvl")]
        refits = simulate.refit_models(
            draws, {"likes": 10.0, "tvl": 10.0}, n_replications=2, seed=1
        )
        assert [found["tail_items"] for found in refits["Toy", "likes"].samples] == [
            pytest.approx(np.log10(101.0))
        ] * 2

    def test_a_solver_is_in_the_list_and_solved(self) -> None:
        solver(Crossing)
        again = read_again()
        (found, *others) = again.SOLVERS
        assert isinstance(found, Crossing)
        assert others == list(SOLVERS)
        assert found.meaning.keys() == found.defaults.keys()
        # 10 - p = 1 p at p = 5, and = 4 p at p = 2
        assert found.solve(found.defaults).rows() == [(5.0, 5.0)]
        assert found.solve({**found.defaults, "slope": 0.25}).rows() == [(2.0, 8.0)]

    def test_a_file_model_is_found_by_its_names_and_written(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file_model(TOY_FILE)
        again = read_again()
        assert list(again.FILE_MODELS) == ["simon", "toyfile", *list(FILE_MODELS)[1:]]
        monkeypatch.setattr(simulated_files, "FILE_MODELS", again.FILE_MODELS)
        assert simulated_files.find_model("plaything") is TOY_FILE
        values, taken = simulated_files.choose_parameters(TOY_FILE, {}, ["toy_scale=7"])
        assert (values, taken) == ({"scale": 7.0}, ["scale"])
        rows = TOY_FILE.sample(values, 500, np.random.default_rng(1))
        assert 6.5 < rows["size"].max() < 7.0  # type: ignore[operator]

    def test_a_file_that_is_put_into_the_folder_is_imported_unnamed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = f"{models_folder.__name__}.dropped_in"
        (tmp_path / "dropped_in.py").write_text(
            "from baimo.pipeline.models.base import fitted_model\n"
            "from baimo.pipeline.models.simon import Simon\n\n\n"
            "@fitted_model\nclass Dropped(Simon):\n    name, label, order = 'in', 'In', 999\n"
        )
        monkeypatch.setattr(models_folder, "__path__", [*models_folder.__path__, str(tmp_path)])
        try:
            last = read_again().MODELS[-1]
            assert (last.label, type(last).__module__) == ("In", name)
            assert isinstance(last, Simon)
            assert last.variables == (DOWNLOADS, LIKES)
        finally:
            sys.modules.pop(name, None)
            vars(models_folder).pop("dropped_in", None)


def test_toys_are_gone_again() -> None:
    again = read_again()
    assert again.MODELS == MODELS == registry.MODELS
    assert again.SOLVERS == SOLVERS
    assert again.FILE_MODELS == FILE_MODELS
    assert again.CALIBRATIONS == CALIBRATIONS
