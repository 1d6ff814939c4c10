"""Files that `baimo simulate` writes and `baimo fit` reads: parameters chosen, rows written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from baimo.pipeline.errors import SourceError
from baimo.pipeline.lake.atomic import write_atomically
from baimo.pipeline.models.base import FileModel, Values
from baimo.pipeline.models.registry import FILE_MODELS

LARGEST_N = 100_000_000


def find_model(name: str) -> FileModel:
    """Return the model that is called so.

    Raises
    ------
    SourceError
        There is none.
    """
    for model in FILE_MODELS.values():
        if name == model.name or name in model.aliases:
            return model
    raise SourceError(f"no model is called {name!r}; there are {', '.join(FILE_MODELS)}")


def read_parameters(path: Path) -> dict[str, float]:
    """Read parameters by name from a JSON object, or from an exported parameters.json.

    Raises
    ------
    SourceError
        The file cannot be read, or holds no numbers by name.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read as JSON ({error}); give a JSON object") from None
    rows = data.get("parameters", data) if isinstance(data, dict) else data
    if isinstance(data, dict) and isinstance(data.get("whole_sample"), dict):
        rows = _size_at_birth(data["whole_sample"]) or rows  # alpha there is another, of the tail
    if isinstance(rows, list):
        named = {
            r["name"]: r.get("value")
            for r in rows
            if isinstance(r, dict) and isinstance(r.get("name"), str)
        }
    else:
        named = rows if isinstance(rows, dict) else {}
    found = {
        str(name): float(value)
        for name, value in named.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    }
    if not found:
        raise SourceError(f"{path} holds no parameter by name: give an object of numbers")
    return found


def _size_at_birth(models: dict[str, Any]) -> dict[str, Any]:
    """Return mu, sigma (and alpha, beta) of the best law that has them, of `fit compare --json`."""
    for model in models.values():
        parameters = model.get("parameters") if isinstance(model, dict) else None
        if isinstance(parameters, dict) and {"mu", "sigma"} <= parameters.keys():
            return parameters
    return {}


def choose_parameters(
    model: FileModel, files: Values, settings: Iterable[str]
) -> tuple[dict[str, float], list[str]]:
    """Return the parameters of a model: defaults, those of a file, those set; and what was taken.

    Names may bear the model's prefix (pa_theta) or not (theta).

    Raises
    ------
    SourceError
        A setting that is no name=value, or names no parameter of the model.
    """
    values = dict(model.defaults)
    taken = []
    for parameter in values:
        for spelled in _spellings(model, parameter):
            if spelled in files:
                values[parameter] = files[spelled]
                taken.append(parameter)
                break
    if files and not taken:
        raise SourceError(
            f"the file has no parameter of {model.name}: {', '.join(model.defaults)}, with or "
            f"without {model.prefix}_"
        )
    for setting in settings:
        spelled, equals, text = setting.partition("=")
        known = {s: p for p in values for s in _spellings(model, p)}
        parameter = known.get(spelled.strip(), "")
        try:
            number = float(text)
        except ValueError:
            equals, number = "", math.nan
        if not equals or math.isnan(number):
            raise SourceError(f"--set {setting}: write name=number")
        if math.isinf(number) and not math.isinf(model.defaults.get(parameter, 0.0)):
            raise SourceError(f"--set {setting}: give a finite number")
        if not parameter:
            raise SourceError(
                f"{model.name} has no parameter {spelled.strip()!r}; it has {', '.join(values)}"
            )
        values[parameter] = number
        taken.append(parameter)
    return values, sorted(set(taken))


def _spellings(model: FileModel, parameter: str) -> tuple[str, ...]:
    """Return the names under which a parameter may be given, the exported one first."""
    also = (model.also_called or {}).get(parameter, ())
    return (f"{model.prefix}_{parameter}", parameter, *also)


def write_simulated(frame: pl.DataFrame, out: Path) -> None:
    """Write CSV, or Parquet by the suffix, atomically."""
    if out.suffix.lower() in (".parquet", ".pq"):
        write_atomically(out, lambda temporary: frame.write_parquet(temporary))
    elif out.suffix.lower() == ".csv":
        write_atomically(out, lambda temporary: frame.write_csv(temporary))
    else:
        raise SourceError(f"{out}: give a name that ends in .csv or .parquet")
