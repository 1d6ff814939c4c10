"""Errors and warnings of the measurement room. Each message ends with the remedy."""

from __future__ import annotations

from collections.abc import Mapping


class EstimationError(Exception):
    """Base class of everything that estimation refuses to do."""


class DataError(EstimationError, ValueError):
    """The data cannot be used as they are; the message says which values and what to do."""


class ConvergenceError(EstimationError, RuntimeError):
    """An optimum was not found.

    Attributes
    ----------
    last : dict
        The last iterate, by parameter name, so that a long search is not lost.
    """

    def __init__(self, message: str, last: Mapping[str, float] | None = None) -> None:
        super().__init__(message)
        self.last = dict(last or {})


class ConvergenceWarning(UserWarning):
    """An optimum was found but is doubtful (at a bound, flat, or poorly conditioned)."""


class TooFewError(DataError):
    """Too little of a sample can be compared; the message says of which."""
