"""What a recovery must hold: bias and coverage of simulated fits, for tests to assert."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Recovery(NamedTuple):
    """Bias and its limit in standard deviations, coverage and its distance allowed from .95."""

    bias: float
    most_bias: float
    coverage: float
    within: float

    @property
    def holds(self) -> bool:
        """Bias at most three Monte Carlo errors or a tenth of the error; coverage as allowed."""
        return abs(self.bias) <= self.most_bias and abs(self.coverage - 0.95) <= self.within


def recovery(rows: NDArray[np.float64], truth: float, within: float) -> Recovery:
    """Return how well fits found a truth; a row is (value, ..., low, high)."""
    value, low, high = rows[:, 0], rows[:, -2], rows[:, -1]
    spread = float(value.std(ddof=1))
    return Recovery(
        bias=float(value.mean() - truth) / spread,
        most_bias=max(3.0 / math.sqrt(len(rows)), 0.1),
        coverage=float(np.mean((low <= truth) & (truth <= high))),
        within=within,
    )


def check_recovery(
    found: NDArray[np.float64], stated: NDArray[np.float64], truth: float, bias: float = 0.0
) -> None:
    """Mean within four Monte Carlo errors, spread equal to the stated error within four of its."""
    runs, spread = found.size, found.std(ddof=1)
    assert abs(found.mean() - truth) < 4 * spread / math.sqrt(runs) + bias
    assert abs(spread / stated.mean() - 1) < 4 / math.sqrt(2 * (runs - 1))
