"""Heavy-tailed laws of known exponents, for tests to draw from."""

from collections.abc import Callable

import numpy as np


def pareto(zeta: float, n: int, seed: int) -> np.ndarray:
    x: np.ndarray = (1 - np.random.default_rng(seed).random(n)) ** (-1 / zeta)
    return x


LAWS: dict[str, tuple[float, Callable[[np.random.Generator, int], np.ndarray]]] = {
    "frechet": (1.0, lambda rng, n: (-np.log(rng.random(n))) ** -1.0),
    "burr": (1.0, lambda rng, n: rng.random(n) ** -1.0 - 1),
    "student": (3.0, lambda rng, n: np.abs(rng.standard_t(3, n))),
}
