"""What a model is, and the lists in which the files of this folder enter theirs.

Three kinds. A `FittedModel` is calibrated on the data, simulated at their size and held against
them. A `Solver` has an equilibrium that is solved, with parameters that are set. A `FileModel` is
simulated into a file by `baimo simulate`. Each is entered by the decorator or call of its kind;
graph, comparison, report, exports and commands iterate over the lists.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
import polars as pl

from baimo.estimation.results import Estimate
from baimo.estimation.samples.curves import Line
from baimo.pipeline.analysis.summary_statistics import CohortSample, Statistics
from baimo.pipeline.lake.results import Day, Named
from baimo.pipeline.statistics import Statistic
from baimo.pipeline.variables import Variable

Sampler = Callable[[np.random.Generator], CohortSample]
"""Draws a sample at the observed size; a frozen object that can be sent to another process."""
Yardstick = Callable[[CohortSample], Statistics]
"""Measures a sample by what one model alone speaks of: its distance from that model's law, say."""
IncrementSampler = Callable[[np.random.Generator], Statistics]
"""Draws what comes next and measures it as the data were."""
Values = Mapping[str, float]
"""Parameters by name."""


def values_of(parameters: Mapping[str, Estimate]) -> dict[str, float]:
    """Return the values of estimates; what has none is left out."""
    return {name: e.value for name, e in parameters.items() if e.value is not None}


@dataclass(frozen=True)
class Family:
    """Models whose samples and refits lie in the same two assets.

    Parameters
    ----------
    name
        `{name}_simulation` and `{name}_refit` are the assets.
    words
        What they are models of.
    """

    name: str
    words: str


ATTACHMENT = Family("attachment", "preferential attachment (Simon's urn, Yule process)")
DEMAND = Family("demand", "CES demand")
HETEROGENEITY = Family(
    "birth",
    "differences at birth (lognormal and double Pareto-lognormal sizes, lognormal rates)",
)
GROWTH = Family(
    "growth",
    "GBM growth over the observed ages from the observed entry sizes, of the population and as if "
    "survivors stood for it",
)
FAMILIES = (ATTACHMENT, DEMAND, HETEROGENEITY, GROWTH)


@dataclass(frozen=True)
class Prediction:
    """What a model says of the tail without being simulated.

    Parameters
    ----------
    zeta
        In closed form, None where there is none.
    remark
        How the parameters were got, where that must be said.
    """

    zeta: float | None
    remark: str = ""


class FittedModel(ABC):
    """A model that is calibrated on the data, simulated at their size and held against them.

    The class attributes say what it is called, what it is of and by what it is judged.
    """

    name: ClassVar[str]
    """One word, as in file names and exports."""
    label: ClassVar[str]
    """As tables and legends show it; part of the seed of its samples."""
    colour: ClassVar[str]
    equations: ClassVar[str]
    order: ClassVar[int]
    """Place in tables; steps of ten leave room."""
    family: ClassVar[Family]
    variables: ClassVar[tuple[Variable, ...]]
    judged: ClassVar[tuple[Statistic, ...]]
    """What it has something to say about and is held to."""
    tuned: ClassVar[tuple[Statistic, ...]] = ()
    """What it was fitted or tuned to: agreement there is no evidence."""
    needs: ClassVar[tuple[Named, ...]]
    """What of a day it reads."""
    in_overview: ClassVar[bool] = True

    @abstractmethod
    def parameters(self, day: Day, variable: Variable) -> dict[str, Estimate] | None:
        """Return what was estimated, by name; None where there is no such model.

        Errors are those of independent items; the covariances of clustered ones are looked up by
        name in what the day's `SAMPLING` knows.
        """

    @abstractmethod
    def sampler(self, day: Day, variable: Variable, values: Values) -> Sampler:
        """Return a draw of the variable at its observed size, at given parameters."""

    def increments(self, day: Day, variable: Variable, values: Values) -> IncrementSampler | None:
        """Return a draw of what comes next, None where the model or the data say nothing of it."""
        return None

    def yardstick(self, day: Day, variable: Variable) -> Yardstick | None:
        """Return what only this model is measured by, in data and samples; None for nothing."""
        return None

    @abstractmethod
    def predict(self, day: Day, variable: Variable) -> Prediction:
        """Return the exponent of the tail in closed form."""

    def predicted_ccdf(self, day: Day, variable: Variable) -> Line | None:
        """Return (x, P(X > x)) of the law in closed form, None where there is none to draw."""
        return None


class Solver(ABC):
    """A model with an equilibrium that is solved at parameters that are set, not fitted."""

    name: ClassVar[str]
    label: ClassVar[str]
    equations: ClassVar[str]
    order: ClassVar[int]
    defaults: ClassVar[Mapping[str, float]]
    """Every parameter with its default."""
    meaning: ClassVar[Mapping[str, str]]
    """Of each parameter, with its unit."""

    @abstractmethod
    def solve(self, values: Values) -> pl.DataFrame:
        """Return the solution as a table; columns are described in the class docstring."""


@dataclass(frozen=True)
class FileModel:
    """A model that `baimo simulate` writes to a file and `baimo fit` reads again.

    Parameters
    ----------
    name
        As it is called on the command line.
    order
        Place in the list that the command prints.
    prefix
        Of its parameters in exported files: pa, ces, gbm, ...
    defaults, meaning
        Every parameter with its default; what it is, with its unit.
    refit
        How `baimo fit` reads the file.
    sample
        Returns the rows, from parameters, number of items and a generator.
    aliases
        Other names for it.
    also_called
        Parameter -> other names under which a file may give it.
    """

    name: str
    order: int
    prefix: str
    defaults: Mapping[str, float]
    meaning: Mapping[str, str]
    refit: str
    sample: Callable[[Values, int, np.random.Generator], pl.DataFrame]
    aliases: tuple[str, ...] = ()
    also_called: Mapping[str, tuple[str, ...]] | None = None


_FITTED: list[FittedModel] = []
_SOLVERS: list[Solver] = []
_FILE_MODELS: list[FileModel] = []
F = TypeVar("F", bound=type[FittedModel])
S = TypeVar("S", bound=type[Solver])


def fitted_model(cls: F) -> F:
    """Class decorator: enter a fitted model."""
    _FITTED.append(cls())
    return cls


def solver(cls: S) -> S:
    """Class decorator: enter a solver."""
    _SOLVERS.append(cls())
    return cls


def file_model(model: FileModel) -> FileModel:
    """Enter a model that can be simulated into a file."""
    _FILE_MODELS.append(model)
    return model


def entered() -> tuple[list[FittedModel], list[Solver], list[FileModel]]:
    """Return what has been entered so far; `baimo.pipeline.models.registry` loads all."""
    return _FITTED, _SOLVERS, _FILE_MODELS
