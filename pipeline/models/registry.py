"""All models: every file of this folder is imported here, and nowhere named."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import baimo.pipeline.analysis as analysis_folder
import baimo.pipeline.models as models_folder
from baimo.pipeline.analysis.calibration import Calibration, registered_calibrations
from baimo.pipeline.models.base import FAMILIES, Family, FileModel, FittedModel, Solver, entered
from baimo.pipeline.variables import VARIABLES, Variable

for _folder in (analysis_folder, models_folder):
    for _module in pkgutil.iter_modules(_folder.__path__, _folder.__name__ + "."):
        if _module.name != __name__:
            import_module(_module.name)

MODELS: tuple[FittedModel, ...] = tuple(sorted(entered()[0], key=lambda m: m.order))
SOLVERS: tuple[Solver, ...] = tuple(sorted(entered()[1], key=lambda s: s.order))
FILE_MODELS: dict[str, FileModel] = {m.name: m for m in sorted(entered()[2], key=lambda m: m.order)}
CALIBRATIONS: tuple[Calibration[Any], ...] = registered_calibrations()
COLOURS = {model.label: model.colour for model in MODELS}


def of_family(family: Family) -> tuple[FittedModel, ...]:
    """Return the models of a family, in order."""
    return tuple(model for model in MODELS if model.family is family)


def pairs(family: Family | None = None) -> Iterator[tuple[FittedModel, Variable]]:
    """Give each model with each of its variables: by variable, of a family by file of models."""
    if family is None:
        for variable in VARIABLES.values():
            yield from ((m, variable) for m in MODELS if variable in m.variables)
        return
    models = of_family(family)
    for file in dict.fromkeys(type(m).__module__ for m in models):
        here = [m for m in models if type(m).__module__ == file]
        for variable in VARIABLES.values():
            yield from ((m, variable) for m in here if variable in m.variables)


def labels(families: tuple[Family, ...] = FAMILIES) -> tuple[str, ...]:
    """Return the labels of the models of some families."""
    return tuple(model.label for family in families for model in of_family(family))
