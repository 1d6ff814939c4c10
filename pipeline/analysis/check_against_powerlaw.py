"""An independent second opinion on every tail fit: the `powerlaw` package at the same x_min."""

from __future__ import annotations

import warnings

import numpy as np

from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import TailFit

TOLERANCE = 1e-3  # its optimiser stops about 4e-5 from the exact alpha of counts


def alpha_by_powerlaw(counts: Counts, fit: TailFit) -> float:
    """Return alpha as the powerlaw package finds it on the same tail."""
    import powerlaw

    tail = counts.at_least(fit.x_min)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = powerlaw.Fit(
            np.repeat(tail.values, tail.multiplicities),
            xmin=fit.x_min,
            discrete=fit.discrete,
            estimate_discrete=False,
            parameter_ranges={"alpha": [1.001, 1000.0]},
            verbose=0,
        )
        return float(other.power_law.alpha)
