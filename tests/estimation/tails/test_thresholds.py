"""Near-minimal thresholds: the rule on a made path, its constant, and what clusters do to it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from baimo.estimation.errors import DataError
from baimo.estimation.tails.clustered import clustered_goodness_of_fit
from baimo.estimation.tails.power_law import TailPath, fit_tail, sample_power_law, tail_path
from baimo.estimation.tails.thresholds import (
    KS_SPREAD,
    clustered_spread,
    near_minimal,
    threshold_range,
)
from tests.estimation.tails.laws import LAWS

N_TAIL = np.array([10_000, 1_000, 100, 25])
LEAST = 0.02


def path_of(excess: list[float], zeta: tuple[float, ...] = (0.8, 1.1, 0.9, 2.0)) -> TailPath:
    """Return a path whose KS distances exceed the smallest by so many allowed excesses."""
    return TailPath(
        x_min=np.array([1.0, 7.0, 40.0, 90.0]),
        alpha=np.array(zeta) + 1.0,
        std_error=np.full(4, 0.1),
        ks=LEAST + np.array(excess) * KS_SPREAD / np.sqrt(N_TAIL),
        n_tail=N_TAIL,
    )


def test_near_is_what_exceeds_the_smallest_by_no_more_than_the_spread_of_its_own_tail() -> None:
    assert near_minimal(path_of([1.01, 0.0, 0.99, 1.01])).tolist() == [False, True, True, False]
    assert near_minimal(path_of([0.99, 0.0, 1.01, 0.99])).tolist() == [True, True, False, True]


def test_the_range_is_over_the_near_ones_whatever_lies_between() -> None:
    found = threshold_range(path_of([0.5, 3.0, 0.0, 4.0]))
    assert (found.x_min_lowest, found.x_min_highest) == (1.0, 40.0)
    assert (found.n_tail_lowest, found.n_tail_highest) == (100, 10_000)
    assert (found.zeta_lowest, found.zeta_highest) == pytest.approx((0.8, 0.9))
    assert found.share == 0.5
    alone = threshold_range(path_of([2.0, 2.0, 0.0, 2.0]))
    assert alone.zeta_lowest == alone.zeta_highest == pytest.approx(0.9)
    assert alone.share == 0.25


def test_a_spread_of_its_own_for_each_candidate() -> None:
    path = path_of([1.5, 0.0, 1.5, 1.5])
    spread = KS_SPREAD * np.array([2.0, 1.0, 1.0, np.nan])
    assert near_minimal(path, spread=spread).tolist() == [True, True, False, False]
    assert near_minimal(path, spread=2 * KS_SPREAD).all()
    assert threshold_range(path, spread=spread).x_min_lowest == 1.0


@pytest.mark.parametrize("discrete", [True, False])
def test_the_range_holds_the_fit_of_the_scan(discrete: bool) -> None:
    rng = np.random.default_rng(3)
    tail = sample_power_law(2.1, 9.0, 800, rng, discrete=discrete)
    sample = np.concatenate([rng.integers(1, 9, 800), tail])
    fit = fit_tail(sample, discrete=discrete)
    found = threshold_range(tail_path(sample, fit))
    assert found.zeta_lowest <= fit.zeta <= found.zeta_highest
    assert found.x_min_lowest <= fit.x_min <= found.x_min_highest
    assert found.n_tail_lowest <= fit.n_tail <= found.n_tail_highest
    assert 0 < found.share <= 1


def test_a_scan_of_long_tails_has_no_shorter_ones_near() -> None:
    sample = LAWS["burr"][1](np.random.default_rng(4), 2_000)
    fit = fit_tail(sample, discrete=False, n_tail_min=900)
    path = tail_path(sample, fit)
    assert path.n_tail.min() >= 900
    assert path.ks.min() == pytest.approx(fit.ks)  # no candidate that the scan had not
    assert threshold_range(path).n_tail_lowest >= 900
    assert tail_path(sample, fit_tail(sample, discrete=False)).n_tail.min() == 10


# Relative error of a standard deviation of n draws of kurtosis 3 to 4: sqrt((4 - 1) / 4 / n).
N_DRAWS = 4_000
N_SIGNS = 1_000
TOLERANCE = 4 * math.sqrt(0.75 / N_DRAWS)


@pytest.mark.parametrize("zeta", [0.6, 2.0])
def test_the_constant_is_the_spread_of_the_distance_of_exact_power_laws(zeta: float) -> None:
    """Of any exponent; .005 for what the constant is rounded by, and for tails of 300."""
    rng, n = np.random.default_rng(5), 300
    ks = [
        fit_tail((1.0 - rng.random(n)) ** (-1.0 / zeta), discrete=False, x_min=1.0).ks
        for _ in range(N_DRAWS)
    ]
    found = math.sqrt(n) * float(np.std(ks))
    assert found == pytest.approx(KS_SPREAD, abs=TOLERANCE * KS_SPREAD + 0.005)


class TestClusters:
    RNG = np.random.default_rng(6)
    ITEMS = sample_power_law(2.0, 1.0, 1_000, RNG, discrete=False)

    def spread(self, copies: int, n_replications: int = N_SIGNS) -> np.ndarray:
        """Return the spread where each item comes several times, with one label for all."""
        sizes = np.repeat(self.ITEMS, copies)
        fit = fit_tail(sizes, discrete=False, x_min=1.0, ks="two-sided")
        path = tail_path(sizes, fit, n_points=3)
        assert path.n_tail.max() == 1_000 * copies
        owners = np.repeat(np.arange(self.ITEMS.size), copies)
        return clustered_spread(sizes, fit, owners, path, n_replications=n_replications)

    @pytest.mark.parametrize("discrete", [True, False])
    def test_at_each_candidate_it_is_that_of_the_bootstrap_of_its_own_tail(
        self, discrete: bool
    ) -> None:
        """Which draws other signs: twice the relative error of a standard deviation."""
        rng = np.random.default_rng(8)
        sizes = sample_power_law(1.9, 3.0, 3_000, rng, discrete=discrete)
        owners = np.minimum(rng.zipf(1.6, sizes.size), 200)
        fit = fit_tail(sizes, discrete=discrete, x_max=1e4)
        path = tail_path(sizes, fit, n_points=6)
        found = clustered_spread(sizes, fit, owners, path, n_replications=N_SIGNS)
        for spread, x_min in zip(found, path.x_min, strict=True):
            alone = fit_tail(sizes, discrete=discrete, x_min=x_min, x_max=1e4)
            drawn = clustered_goodness_of_fit(
                sizes, alone, owners, n_replications=N_SIGNS, keep_distances=True, seed=9
            ).ks_replicates
            assert drawn is not None
            expected = math.sqrt(alone.n_tail) * float(np.std(drawn))
            assert spread == pytest.approx(expected, rel=4 * math.sqrt(2 * 0.75 / N_SIGNS))

    def test_sets_of_signs_in_blocks_are_those_of_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at_once = self.spread(2, 50)
        monkeypatch.setattr("baimo.estimation.tails.thresholds._BLOCK", 7_000)
        assert self.spread(2, 50) == pytest.approx(at_once)

    def test_without_clusters_it_is_that_of_independent_items(self) -> None:
        found = self.spread(1)[0]
        assert found == pytest.approx(KS_SPREAD, rel=4 * math.sqrt(0.75 / N_SIGNS) + 0.03)

    def test_copies_of_one_label_double_it_by_each_factor_of_four(self) -> None:
        """The same process of a quarter of the items: sqrt(4) in sqrt(n) times the distance."""
        assert self.spread(4)[0] == pytest.approx(2 * self.spread(1)[0], rel=1e-6)

    def test_a_tail_of_one_label_is_not_near(self) -> None:
        sizes = np.concatenate([np.arange(1.0, 60.0), np.linspace(100.0, 4_000.0, 25)])
        owners = np.where(sizes >= 100.0, -1.0, sizes)
        fit = fit_tail(sizes, discrete=False, x_min=1.0)
        path = tail_path(sizes, fit)
        spread = clustered_spread(sizes, fit, owners, path, n_replications=50)
        alone = path.x_min >= 100.0
        assert alone.any()
        assert np.isnan(spread[alone]).all()
        assert np.isfinite(spread[~alone]).all()
        assert not near_minimal(path, spread=spread)[alone].any()

    def test_tails_of_fewer_labels_than_asked_for_have_none(self) -> None:
        fit = fit_tail(self.ITEMS, discrete=False, x_min=1.0)
        path, own = tail_path(self.ITEMS, fit), np.arange(self.ITEMS.size)
        found = clustered_spread(self.ITEMS, fit, own, path, fewest=100, n_replications=5)
        assert np.array_equal(np.isnan(found), path.n_tail < 100)
        none = clustered_spread(self.ITEMS, fit, own, path, fewest=1_001, n_replications=5)
        assert np.isnan(none).all()
        with pytest.raises(DataError, match="fewest = 1 must be at least 2"):
            clustered_spread(self.ITEMS, fit, own, path, fewest=1)

    def test_labels_must_belong_to_the_items(self) -> None:
        fit = fit_tail(self.ITEMS, discrete=False)
        with pytest.raises(DataError):
            clustered_spread(self.ITEMS, fit, [1, 2], tail_path(self.ITEMS, fit))
