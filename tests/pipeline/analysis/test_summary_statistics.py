"""A sample by cohorts is measured by one function, and by hand it gives the same."""

import math

import numpy as np
import pytest

from baimo.estimation.predictive.replicate import measure_sizes
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.summary_statistics import (
    UNDATED,
    measure_sample,
    pooled,
    zeta_of_cohort,
)


class TestStatistics:
    def sample(self, sizes: list[int]) -> Counts:
        return Counts.from_sample(np.array(sizes))

    def test_by_hand(self) -> None:
        rng = np.random.default_rng(7)
        old = np.floor(9.5 * (1 - rng.random(60)) ** -1.0 + 0.5).astype(int)
        drawn = {
            UNDATED: self.sample([0, 99, 1_000]),
            0: self.sample([0] * 10 + [1, 12]),
            1: self.sample([3, 10, 11, 9]),
            4: self.sample(old.tolist()),
        }
        found = measure_sample(drawn, discrete=True, x_min=10.0)
        # of 10 and more: 2 undated, 1 and 2 of the younger two fifths, all 60 of the oldest
        assert found["tail_items"] == pytest.approx(math.log10(1 + 65))
        assert found["young_in_tail"] == pytest.approx(3 / 63)
        assert found["zeta_oldest"] == fit_tail(old, x_min=10).zeta
        assert math.isnan(found["zeta_cohort_1"])  # fewer than twenty
        whole = measure_sizes(pooled(drawn), discrete=True)
        assert {k: found[k] for k in whole} == pytest.approx(whole, nan_ok=True)
        assert found["share_zero"] == 11 / 79

    def test_without_ages_there_is_no_cohort(self) -> None:
        counts = self.sample([1, 2, 3, 9, 20])
        found = measure_sample({UNDATED: counts}, discrete=True, x_min=1.0)
        assert found.keys() == {*measure_sizes(counts, discrete=True), "tail_items"}

    def test_nobody_in_the_tail(self) -> None:
        found = measure_sample(
            {0: self.sample([1, 2]), 4: self.sample([1, 3])}, discrete=True, x_min=50.0
        )
        assert found["tail_items"] == 0.0
        assert math.isnan(found["young_in_tail"])
        assert math.isnan(found["zeta_oldest"])

    def test_equal_sizes_have_no_exponent(self) -> None:
        found = measure_sample(
            {0: self.sample([1, 2, 3]), 4: self.sample([50] * 30)}, discrete=False, x_min=50.0
        )
        assert found["tail_items"] == pytest.approx(math.log10(31))
        assert math.isnan(found["zeta_oldest"])

    def test_sizes_and_counts_have_likelihoods_of_their_own(self) -> None:
        sizes = 10.0 * (1 - np.random.default_rng(8).random(200)) ** (-1 / 1.5)
        drawn = {0: Counts.from_sample(sizes[:100]), 1: Counts.from_sample(sizes[100:])}
        found = measure_sample(drawn, discrete=False, x_min=10.0)
        for c, part in enumerate((sizes[:100], sizes[100:])):
            assert found[zeta_of_cohort(c)] == pytest.approx(100 / np.log(part / 10.0).sum())


def test_pooled_cohorts_hold_every_item_once() -> None:
    one, other = Counts.from_sample(np.array([1, 1, 7])), Counts.from_sample(np.array([0, 1]))
    both = pooled({UNDATED: one, 3: other})
    assert both.values.tolist() == [0, 1, 7]
    assert both.multiplicities.tolist() == [1, 3, 1]
    assert pooled({3: other}) is other


def test_cohorts_are_counted_from_one() -> None:
    assert [zeta_of_cohort(c) for c in (0, 4)] == ["zeta_cohort_1", "zeta_cohort_5"]
