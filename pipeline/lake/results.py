"""Fitted results of one day, read back from the lake."""

from datetime import date
from typing import Any

from baimo.pipeline.lake.store import Lake


def read_result(lake: Lake, name: str, day: date) -> Any:
    """Restore a fitted result of one day from the lake."""
    from baimo.estimation.results import decode

    _register_results()
    return decode(lake.read_record(name, day))


def _register_results() -> None:
    """Import every module that defines a result, so that records can be restored."""
    import baimo.estimation.heterogeneity.poisson_rates
    import baimo.estimation.tails.cohorts
    import baimo.pipeline.analysis.increments
    import baimo.pipeline.analysis.populations
    import baimo.pipeline.analysis.sizes
    import baimo.pipeline.claims.claim
    import baimo.pipeline.models.attachment  # noqa: F401
