"""Arguments of the tail routines: checked once, refused by name with the remedy."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from baimo.estimation.errors import DataError


def checked_flag(name: str, value: object) -> bool:
    """Return a true or false; refuse what only looks like one ("no" counts as true)."""
    if not isinstance(value, (bool, np.bool_)):
        raise DataError(f"{name} = {value!r} must be True or False")
    return bool(value)


def _checked_number(name: str, value: Any) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (Real, np.number)):
        raise DataError(f"{name} = {value!r} must be a number")
    return float(value)


def checked_n_tail_min(n_tail_min: Any) -> int:
    """Return the smallest tail a scan may consider."""
    if isinstance(n_tail_min, bool) or not isinstance(n_tail_min, (int, np.integer)):
        raise DataError(f"n_tail_min = {n_tail_min!r} must be a whole number")
    if n_tail_min < 2:
        raise DataError(f"n_tail_min = {n_tail_min} must be at least 2: no fewer items make a tail")
    return int(n_tail_min)


def checked_x_min(x_min: float, discrete: bool) -> float:
    """Return the lower end of a tail."""
    x_min = _checked_number("x_min", x_min)
    if not math.isfinite(x_min) or x_min <= 0:
        raise DataError(f"x_min = {x_min:g} must be a positive number")
    if discrete and x_min != math.floor(x_min):
        raise DataError(f"x_min = {x_min:g} must be a whole number for counts")
    return x_min


def checked_x_max(x_max: float | None, discrete: bool) -> float | None:
    """Return the upper end of a tail, None where it has none."""
    if x_max is None:
        return None
    x_max = _checked_number("x_max", x_max)
    if x_max == math.inf:
        return None
    if not x_max > 0:
        raise DataError(f"x_max = {x_max:g} must be a positive number")
    return math.floor(x_max) if discrete and x_max >= 1 else float(x_max)


def checked_effect(design_effect: float | None, clusters: ArrayLike | None) -> None:
    """Refuse a design effect beside clusters, or one that is no factor."""
    if design_effect is None:
        return
    if clusters is not None:
        raise DataError("give clusters or their design_effect, not both: labels make their own")
    if not (math.isfinite(design_effect) and design_effect > 0):
        raise DataError(f"design_effect = {design_effect:g} must be a positive number")
