"""Problems of demand and the utility they maximise, for tests to draw."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def utility(c: Floats, tastes: Floats, rho: float) -> float:
    """Eq 20 for finitely many goods."""
    return float(np.sum((tastes * c) ** rho) ** (1 / rho))


problems = st.tuples(
    st.integers(0, 10**6), st.integers(1, 8), st.floats(0.05, 0.9), st.floats(0.1, 100)
)


def problem(seed: int, n: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return np.exp(rng.normal(size=n)), np.exp(rng.normal(size=n))
