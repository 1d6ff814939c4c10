"""What is simulated into a file and fitted again: the calls, and how near is near."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
from click.testing import Result

from tests.pipeline.command import baimo


def answer(*arguments: object) -> dict[str, Any]:
    result = baimo("fit", *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def simulated(path: Path, model: str, n: int, *settings: str, seed: int = 7) -> Path:
    options = [part for setting in settings for part in ("--set", setting)]
    result = baimo("simulate", model, *options, "--n", n, "--seed", seed, "--out", path)
    assert result.exit_code == 0, result.output
    return path


def near(found: dict[str, Any], name: str, truth: float, errors: float = 4.0) -> None:
    """Assert that an estimate lies within so many of its own standard errors of the truth."""
    value, error, interval = (found[f"{name}{s}"] for s in ("", "_std_error", "_interval"))
    assert abs(value - truth) < errors * error, (name, value, error)
    assert interval[0] < value < interval[1]


def write(path: Path, **columns: Any) -> Path:
    pl.DataFrame(columns).write_csv(path)
    return path


def strict(result: Result) -> dict[str, Any]:
    """Return the JSON that a command printed, which any parser takes."""
    assert result.exit_code == 0, result.output
    return parsed(result.stdout)


def parsed(text: str) -> dict[str, Any]:
    """Return JSON that any parser takes: no NaN, no infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found
