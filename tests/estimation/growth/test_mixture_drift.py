"""The drift a cross-section asks for: recovered, with errors that hold, for clusters too."""

from __future__ import annotations

import math

import numpy as np
import pytest

from baimo.estimation.errors import DataError
from baimo.estimation.growth.mixture_drift import MixtureDriftFit, fit_mixture_drift
from baimo.estimation.samples.curves import ks_of_cdf
from baimo.simulation.growth.gbm import GrowthParams, mixture_ccdf

M, SIGMA = -0.4, 1.2
AGES = np.array([0.1, 0.6, 1.5, 3.0])


def drawn(seed: int, n: int = 400, entries: int = 80, luck: float = 0.0) -> MixtureDriftFit:
    """Fit a made-up cross-section of 40 clusters, each with its own luck in growth."""
    rng = np.random.default_rng([7, seed])
    ages, entry = rng.choice(AGES, n), rng.normal(12.0, 2.0, entries)
    cluster, shared = rng.integers(0, 40, n), luck * rng.standard_normal(40)
    growth = (M + shared[cluster]) * ages + SIGMA * np.sqrt(ages) * rng.standard_normal(n)
    sizes = np.exp(rng.normal(12.0, 2.0, n) + growth)
    labels = cluster if luck else np.arange(n)
    return fit_mixture_drift(
        sizes, ages, entry, sigma=SIGMA, clusters=labels, entry_clusters=1_000 + np.arange(entries)
    )


def test_a_sample_at_its_own_quantiles_gives_its_drift() -> None:
    from scipy.stats import norm

    entry = np.zeros(2)
    ages = np.repeat(AGES, 500)
    within = norm.ppf((np.arange(500) + 0.5) / 500)
    sizes = np.exp(np.concatenate([M * a + SIGMA * math.sqrt(a) * within for a in AGES]))
    fit = fit_mixture_drift(
        sizes, ages, entry, sigma=SIGMA, clusters=np.arange(2_000), entry_clusters=[-1, -2]
    )
    assert fit.m == pytest.approx(M, abs=1e-3)
    params = GrowthParams(mu=fit.m + 0.5 * SIGMA**2, sigma=SIGMA)
    cdf = 1.0 - mixture_ccdf(params, np.sort(sizes), entry, ages)
    assert fit.ks == pytest.approx(ks_of_cdf(cdf), abs=1e-12)
    assert fit.ks < 0.002


@pytest.mark.parametrize("luck", [0.0, 0.8])
def test_its_interval_covers_the_truth(luck: float) -> None:
    fits = [drawn(seed, luck=luck) for seed in range(150)]
    z = np.array([(f.m - M) / f.std_error for f in fits])
    # 150 draws: the mean of z has an error of .08, its standard deviation one of .06
    assert abs(z.mean()) < 4 * 0.08
    assert z.std(ddof=1) == pytest.approx(1.0, abs=4 * 0.06)


def test_the_noise_of_few_entry_sizes_is_in_the_error() -> None:
    few, many = (np.mean([drawn(s, entries=e).std_error for s in range(10)]) for e in (20, 2_000))
    assert few > 1.5 * many


def test_dust_does_not_move_it() -> None:
    rng = np.random.default_rng(3)
    ages, entry = rng.choice(AGES, 400), rng.normal(12.0, 2.0, 80)
    sizes = np.exp(rng.normal(12.0, 2.0, 400) + M * ages)
    dust = sizes.copy()
    dust[np.argsort(sizes)[:2]] = 1e-19
    first, second = (
        fit_mixture_drift(s, ages, entry, sigma=SIGMA, clusters=np.arange(400),
                          entry_clusters=-1 - np.arange(80))
        for s in (sizes, dust)
    )  # fmt: skip
    assert abs(first.m - second.m) < 0.05 * first.std_error


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ages": np.ones(29)}, "must match"),
        ({"sizes": np.ones(10), "ages": np.ones(10)}, "too few"),
        ({"ages": np.zeros(30)}, "must be positive"),
        ({"sigma": 0.0}, "must be positive"),
        ({"clusters": np.zeros(29)}, "cluster labels"),
        ({"clusters": np.zeros(30), "entry_clusters": np.zeros(5)}, "one cluster"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change: dict[str, object], why: str) -> None:
    given: dict[str, object] = {
        "sizes": np.arange(1.0, 31.0), "ages": np.ones(30), "log_entry": np.arange(5.0),
        "sigma": 1.0, "clusters": np.arange(30), "entry_clusters": np.arange(5),
    }  # fmt: skip
    with pytest.raises(DataError, match=why):
        fit_mixture_drift(**{**given, **change})  # type: ignore[arg-type]
