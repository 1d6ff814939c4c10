"""A calibration: parameters that are got from the tables of a day, as an asset of the graph.

Whoever writes one decorates the function that fits; the asset, its place in the UI and its rows of
the exported parameters follow from what is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from baimo.estimation.results import Estimate
from baimo.pipeline.lake.results import Day, Named, Stored
from baimo.pipeline.schema.results import Row

T = TypeVar("T")
Shown = Mapping[str, float | int | str | None]
Titled = Iterator[tuple[str, Mapping[str, Estimate]]]

_CALIBRATIONS: list[Calibration[Any]] = []


@dataclass(frozen=True)
class Calibration(Generic[T]):
    """How a result is fitted, and what is shown of it.

    Parameters
    ----------
    stored
        The asset.
    order
        Place among the exported parameters.
    step
        Of the run in which it is made; calibrations that share what they read may share one.
    description
        For the UI.
    needs
        What `fit` reads.
    fit
        Returns the result.
    shown
        Numbers and words of the result for the UI.
    parameters
        Rows of the exported parameters.
    estimates
        Titles and estimates for the report's table of calibrated parameters.
    """

    stored: Stored[T]
    order: int
    step: str
    description: str
    needs: tuple[Named, ...]
    fit: Callable[[Day], T]
    shown: Callable[[T], Shown]
    parameters: Callable[[T], Iterator[Row]]
    estimates: Callable[[T], Titled]


def _nothing(_: Any) -> Iterator[Any]:
    yield from ()


def calibration(
    stored: Stored[T],
    *,
    order: int,
    description: str,
    needs: tuple[Named, ...],
    shown: Callable[[T], Shown],
    step: str = "",
    parameters: Callable[[T], Iterator[Row]] = _nothing,
    estimates: Callable[[T], Titled] = _nothing,
) -> Callable[[Callable[[Day], T]], Callable[[Day], T]]:
    """Return a decorator that makes a function of a `Day` a calibration; see `Calibration`."""

    def register(fit: Callable[[Day], T]) -> Callable[[Day], T]:
        _CALIBRATIONS.append(
            Calibration(
                stored,
                order,
                step or stored.name,
                description,
                needs,
                fit,
                shown,
                parameters,
                estimates,
            )
        )
        return fit

    return register


def registered_calibrations() -> tuple[Calibration[Any], ...]:
    """Return what has been registered so far, in order; the registry of models loads all."""
    return tuple(sorted(_CALIBRATIONS, key=lambda c: c.order))
