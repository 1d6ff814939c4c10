"""Eq 19 as printed makes a normal distribution."""

import math

import numpy as np

from baimo.pipeline.models.attachment import calibrate_attachment
from baimo.pipeline.models.printed import PRINTED_STEPS, simulate_printed_equation
from baimo.pipeline.variables import DOWNLOADS, LIKES, hub_counts
from tests.pipeline.synthetic import DAY, NO_EFFECTS, hub_frequency


def test_equation_19_as_printed_is_normal() -> None:
    frequency = hub_frequency(20_000, 3)
    fit = calibrate_attachment(
        frequency,
        hub_counts(frequency, DOWNLOADS),
        hub_counts(frequency, LIKES),
        NO_EFFECTS,
        DAY,
    )
    printed = simulate_printed_equation(fit, seed=1)
    n = printed.n_items
    for skewness, kurtosis in zip(printed.skewness, printed.excess_kurtosis, strict=True):
        assert abs(skewness) < 4 * math.sqrt(6 / n)
        assert abs(kurtosis) < 4 * math.sqrt(24 / n)
    # Sizes end as 2 starts plus normal noise; shock k of K grows by D_T/D_k = 2/(1 + k/K).
    steps = 1.0 + np.arange(1, PRINTED_STEPS + 1) / PRINTED_STEPS
    spread = math.sqrt(np.mean((2.0 / steps) ** 2))
    for noise, negative in zip(printed.noise, printed.share_negative, strict=True):
        expected = 0.5 * math.erfc(2.0 / (noise * spread) / math.sqrt(2))
        assert abs(negative - expected) < 4 * math.sqrt(expected * (1 - expected) / n) + 1 / n
