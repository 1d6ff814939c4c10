"""What every estimator returns: a frozen record that prints, serialises and comes back.

A result holds estimates and how they were made, never the data, a clock or a plot. Unknown is
None, never 0. `to_dict` gives plain JSON values with a type tag and a schema version;
`from_dict` restores a result of equal fields.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from baimo.estimation.errors import DataError
from baimo.estimation.laws import normal_ppf, t_ppf

SCHEMA_VERSION = 1
_REGISTRY: dict[str, type[Any]] = {}
_NAMES: dict[type[Any], str] = {}
T = TypeVar("T", bound=type)


def registered(name: str) -> Callable[[T], T]:
    """Return a class decorator that lets `from_dict` find the class under a stated name.

    The name stands in every record written; a class may be renamed, its records keep the name.

    Raises
    ------
    DataError
        Another class has this name.
    """

    def register(cls: T) -> T:
        if name in _REGISTRY:
            raise DataError(f"{_REGISTRY[name]} is registered as {name!r}: give {cls} another name")
        _REGISTRY[name] = cls
        _NAMES[cls] = name
        return cls

    return register


def encode(value: Any) -> Any:
    """Turn results, arrays and containers of them into plain JSON values."""
    if isinstance(value, np.ndarray):
        return {"array": [encode(v) for v in value.tolist()], "dtype": str(value.dtype)}
    if isinstance(value, np.generic):
        return encode(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": _name(value), "schema_version": SCHEMA_VERSION, **fields}
    if isinstance(value, Mapping):
        return {"map": [[encode(k), encode(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    return value


def _name(result: Any) -> str:
    """Return the name under which records of this class are read again."""
    try:
        return _NAMES[type(result)]
    except KeyError:
        raise DataError(
            f"{type(result).__name__} is not registered and could not be read back: decorate it "
            "with @registered(name)"
        ) from None


def decode(value: Any) -> Any:
    """Restore what `encode` made; lists come back as tuples."""
    if isinstance(value, list):
        return tuple(decode(v) for v in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return np.array([decode(v) for v in value["array"]], dtype=value["dtype"])
    if "float" in value:
        return float(value["float"])
    if "map" in value:
        return {decode(k): decode(v) for k, v in value["map"]}
    return from_dict(value)


def plain(value: object) -> object:
    """Return containers of numbers for JSON without tags: null where a number is not finite."""
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def shown(value: float | None, digits: int = 6) -> str:
    """Return a number for a reader: whole ones below 10^11 in full, others to `digits`."""
    if value is None:
        return "-"
    if float(value).is_integer() and abs(value) < 1e11:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def to_dict(result: Any) -> dict[str, Any]:
    """Return a registered result as plain JSON values (see `from_dict`)."""
    encoded: dict[str, Any] = encode(result)
    return encoded


def from_dict(payload: Mapping[str, object]) -> object:
    """Restore what `to_dict` wrote.

    Raises
    ------
    DataError
        Unknown type tag or schema version.
    """
    name, version = payload.get("type"), payload.get("schema_version")
    if name not in _REGISTRY or version != SCHEMA_VERSION:
        raise DataError(
            f"cannot read a result of type {name!r}, schema {version!r}: "
            f"this version reads schema {SCHEMA_VERSION} of {sorted(_REGISTRY)}; rerun the fit"
        )
    cls = _REGISTRY[str(name)]
    names = {f.name for f in dataclasses.fields(cls)}
    return cls(**{key: decode(value) for key, value in payload.items() if key in names})


@registered("Estimate")
@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One parameter with what is known of its error.

    Parameters
    ----------
    value
        Point estimate; None when the data do not give one.
    std_error
        Standard error, or None when unknown.
    interval
        A 95 % interval that is not value ± 1.96 std_error (bootstrap, profile), or None.
    unit
        Unit of value, std_error and interval ("1" for a pure number).
    """

    value: float | None
    std_error: float | None = None
    interval: tuple[float, float] | None = None
    unit: str = "1"

    def conf_int(self, level: float = 0.95) -> tuple[float, float] | None:
        """Return the confidence interval at `level`, or None when the error is unknown."""
        if self.interval is not None and level == 0.95:
            return self.interval
        if self.value is None or self.std_error is None:
            return None
        half = normal_ppf(0.5 + level / 2) * self.std_error
        return (self.value - half, self.value + half)


def student(
    value: float, std_error: float, degrees: float, *, unit: str = "1", log: bool = False
) -> Estimate:
    """Return an estimate whose interval is Student's t, of the logarithm (value > 0) if `log`."""
    half = t_ppf(0.975, degrees) * std_error
    interval = (value - half, value + half)
    if log:
        interval = (value * math.exp(-half / value), value * math.exp(half / value))
    return Estimate(value=value, std_error=std_error, interval=interval, unit=unit)


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """Base of what every estimate and test answers: estimates, intervals, a table, a record."""

    title: ClassVar[str] = "Result"

    def estimates(self) -> dict[str, Estimate]:
        """Return the parameters by name, in the order in which they are printed."""
        raise NotImplementedError

    def conf_int(self, level: float = 0.95) -> dict[str, tuple[float, float] | None]:
        """Return the interval of every parameter at `level`, None where unknown."""
        return {name: e.conf_int(level) for name, e in self.estimates().items()}

    def summary(self) -> str:
        """Return an aligned table for a terminal."""
        return "\n".join([self.title, *self._table()])

    def _table(self) -> list[str]:
        lines = [f"{'':<26}{'estimate':>14}{'std error':>12}{'95% interval':>26}"]
        for name, e in self.estimates().items():
            ci = e.conf_int()
            interval = f"[{ci[0]:.5g}, {ci[1]:.5g}]" if ci else "-"
            lines.append(f"{name:<26}{shown(e.value):>14}{_num(e.std_error):>12}{interval:>26}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` restores a result of equal fields."""
        return to_dict(self)

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> Self:
        """Restore a result written by `to_dict`."""
        result = from_dict(payload)
        if not isinstance(result, cls):
            raise DataError(
                f"the record holds a {type(result).__name__}, not a {cls.__name__}: "
                f"read it with {type(result).__name__}.from_dict"
            )
        return result


@dataclass(frozen=True, eq=False, kw_only=True)
class FitResult(Result):
    """Base of all fits.

    Parameters
    ----------
    n_obs, n_used
        Observations given, and those that entered the estimate.
    converged
        False marks a doubtful optimum; `summary` says so in its first line.
    notes
        Sentences a reader must know before using the numbers.
    """

    n_obs: int
    n_used: int
    converged: bool = True
    notes: tuple[str, ...] = field(default=())

    title: ClassVar[str] = "Fit"

    def summary(self) -> str:
        """Return an aligned table for a terminal."""
        head = self.title if self.converged else f"{self.title}: DID NOT CONVERGE"
        lines = [head, f"{'observations':<26}{self.n_obs:>14,}", f"{'used':<26}{self.n_used:>14,}"]
        return "\n".join([*lines, *self._table(), *(f"note: {note}" for note in self.notes)])


def _num(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


Progress = Callable[[int, int], None]
"""Called with (done, total) by routines that take long."""
