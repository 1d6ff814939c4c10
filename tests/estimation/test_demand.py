"""From the tail of demand to taste exponents: algebra of a band, and recovery."""

import math

import numpy as np
import pytest

from estimation.counts import Counts
from estimation.demand import RHO_BAND, fit_demand
from estimation.errors import DataError
from estimation.tails import fit_tail
from simulation.demand import DemandParams, simulate_demand

SAMPLE = Counts.from_pairs([0, 1, 2, 3, 5, 9, 40], [9, 40, 14, 8, 5, 2, 1])


@pytest.mark.parametrize("rho", [0.2, 0.5, 0.9])
def test_alpha_is_zeta_kappa(rho: float) -> None:
    tail = fit_tail(SAMPLE)
    fit = fit_demand(SAMPLE, tail, rho_band=(rho,))
    kappa = rho / (1 - rho)
    found = fit.estimates()[f"alpha_rho_{rho:g}"]
    assert found.value == pytest.approx(tail.zeta * kappa, rel=1e-14)
    assert found.std_error == pytest.approx(tail.std_error * kappa, rel=1e-14)


def test_every_rho_of_the_band_has_the_same_tail() -> None:
    tail = fit_tail(SAMPLE)
    fit = fit_demand(SAMPLE, tail)
    assert fit.rho_band == RHO_BAND
    for rho in RHO_BAND:
        assert fit.params(rho).rho == rho
        assert fit.params(rho).zeta == pytest.approx(tail.zeta, rel=1e-12)
    assert fit.params().rho == RHO_BAND[1]


def test_clustered_errors_carry_over() -> None:
    wide = fit_demand(SAMPLE, fit_tail(SAMPLE, design_effect=4.0))
    plain = fit_demand(SAMPLE, fit_tail(SAMPLE))
    assert wide.std_error == pytest.approx(2 * plain.std_error, rel=1e-14)


def test_totals_and_notes() -> None:
    fit = fit_demand(SAMPLE, fit_tail(SAMPLE))
    assert fit.total == 40 + 28 + 24 + 25 + 18 + 40
    assert fit.n_obs == SAMPLE.n_obs
    assert any("assumed, not estimated" in note for note in fit.notes)


def test_recovery_of_zeta_and_of_alpha_at_the_true_rho() -> None:
    # 40 markets of 4,000 items: tail fitted at the 90 % quantile of demand, where Poisson noise
    # is small; z over the markets.
    truth = DemandParams(alpha=2.1, rho=0.6)
    rng = np.random.default_rng(37)
    z = []
    for _ in range(40):
        sample = Counts.from_sample(simulate_demand(truth, 4000, 10**9, rng))
        tail = fit_tail(sample, x_min=sample.quantile(0.9))
        found = fit_demand(sample, tail, rho_band=(truth.rho,)).estimates()["alpha_rho_0.6"]
        assert found.value is not None
        assert found.std_error is not None
        z.append((found.value - truth.alpha) / found.std_error)
    assert abs(np.mean(z)) < 4 / math.sqrt(40)
    assert abs(np.std(z, ddof=1) - 1) < 4 / math.sqrt(2 * 39)


@pytest.mark.parametrize("band", [(), (0.0,), (0.5, 1.0), (-0.1, 0.5)], ids=str)
def test_bands_outside_zero_and_one(band: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="rho_band"):
        fit_demand(SAMPLE, fit_tail(SAMPLE), rho_band=band)
