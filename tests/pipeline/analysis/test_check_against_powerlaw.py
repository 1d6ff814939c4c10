"""The powerlaw package finds the exact alpha of the same tail within the stated tolerance."""

from dataclasses import replace

import numpy as np
import pytest

from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.check_against_powerlaw import TOLERANCE, alpha_by_powerlaw


def test_of_counts_it_is_the_root_of_the_exact_likelihood() -> None:
    counts = Counts.from_sample(np.random.default_rng(1).zipf(2.3, 3_000) - 1)
    for x_min in (1.0, 4.0):
        fit = fit_tail(counts, x_min=x_min)
        assert alpha_by_powerlaw(counts, fit) == pytest.approx(fit.alpha, abs=TOLERANCE)


def test_of_sizes_it_is_the_closed_form() -> None:
    sizes = 5.0 * (1 - np.random.default_rng(2).random(2_000)) ** (-1 / 0.8)
    counts = Counts.from_sample(sizes)
    for x_min in (5.0, 40.0):
        fit = fit_tail(counts, discrete=False, x_min=x_min)
        tail = sizes[sizes >= x_min]
        exact = 1 + tail.size / np.log(tail / x_min).sum()
        assert alpha_by_powerlaw(counts, fit) == pytest.approx(exact, abs=1e-6)


def test_it_has_an_opinion_of_its_own() -> None:
    counts = Counts.from_sample(np.random.default_rng(3).zipf(1.9, 2_000))
    fit = fit_tail(counts, x_min=2.0)
    other = alpha_by_powerlaw(counts, replace(fit, alpha=fit.alpha + 0.1))
    assert other == pytest.approx(fit.alpha, abs=TOLERANCE)


def test_steep_and_flat_tails_lie_within_its_bounds() -> None:
    for alpha in (1.3, 12.0):
        u = (np.arange(2_000) + 0.5) / 2_000
        counts = Counts.from_sample((1 - u) ** (-1 / (alpha - 1)))
        fit = fit_tail(counts, discrete=False, x_min=1.0)
        assert fit.alpha == pytest.approx(alpha, rel=0.01)
        assert alpha_by_powerlaw(counts, fit) == pytest.approx(fit.alpha, abs=TOLERANCE)
