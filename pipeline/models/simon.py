"""Simon's urn (eq 19 with entry)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.summary_statistics import (
    UNDATED,
    Drawn,
)
from baimo.pipeline.models.base import Draw
from baimo.simulation.attachment.simon_yule import (
    SimonParams,
    simulate_simon,
)


def sample_simon(fit: Any, positive: Mapping[int, int]) -> Draw:
    """Return a draw of Simon's urn, the positive items cut into cohorts in order of entry."""
    # Old to young, undated items (the floor day and before) first.
    order = [UNDATED, *sorted((c for c in positive if c != UNDATED), reverse=True)]
    shares = np.cumsum([positive.get(c, 0) for c in order]) / sum(positive.values())

    def draw(rng: np.random.Generator) -> Drawn:
        p = min(max(rng.normal(fit.p, fit.std_error), 1e-12), 1.0 - 1e-9)
        sizes = simulate_simon(SimonParams(p=p), fit.total, rng)
        ends = [0, *np.rint(shares * sizes.size).astype(int).tolist()]
        parts = {c: sizes[a:b] for c, a, b in zip(order, ends[:-1], ends[1:], strict=True)}
        return {c: Counts.from_sample(part) for c, part in parts.items() if part.size}

    return draw
