"""What `baimo fit growth` adds on demand: unequal loadings, and intervals by resampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from baimo.pipeline.terminal import Bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from baimo.estimation.results import Result


def loading_results(
    items: NDArray[Any], years: NDArray[Any], values: NDArray[Any], notes: list[str]
) -> list[Result]:
    """Return the loadings on the common shock, and the size slope net of it."""
    from baimo.estimation.errors import EstimationError
    from baimo.estimation.growth.cce import fit_size_slope_cce
    from baimo.estimation.growth.loadings import fit_loadings

    found: list[Result] = []
    try:
        found.append(fit_loadings(items, years, values))
        found.append(fit_size_slope_cce(items, years, values))
    except EstimationError as error:
        notes.append(f"loadings: {error}")
    return found


def resampled(
    items: NDArray[Any], years: NDArray[Any], values: NDArray[Any], n_replications: int, seed: int
) -> Result:
    """Return growth with intervals from resampled items and blocks of dates."""
    from baimo.estimation.growth.bootstrap import bootstrap_growth

    with Bar(n_replications, "bootstrap") as progress:
        return bootstrap_growth(
            items, years, values, n_replications=n_replications, seed=seed, progress=progress
        )
