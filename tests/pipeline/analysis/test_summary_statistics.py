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
from baimo.pipeline.statistics import UPPER
from baimo.pipeline.variables import LIKES, TVL, VARIABLES, Variable


class TestStatistics:
    def sample(self, sizes: list[int]) -> Counts:
        return Counts.from_sample(np.array(sizes))

    def test_by_hand(self) -> None:
        rng = np.random.default_rng(7)
        old, new = (
            np.floor(9.5 * (1 - rng.random(n)) ** -1.0 + 0.5).astype(int).tolist() for n in (60, 30)
        )
        drawn = {
            UNDATED: self.sample([0, 99, 1_000]),
            0: self.sample([0] * 10 + [1, *new]),
            1: self.sample([3, 10, 11, 9]),
            4: self.sample(old),
        }
        found = measure_sample(drawn, LIKES, 10.0)
        # of 10 and more: 2 undated, 30 and 2 of the younger two fifths, all 60 of the oldest
        assert found["tail_items"] == pytest.approx(math.log10(1 + 94))
        assert found["young_in_tail"] == pytest.approx(32 / 92)
        oldest, youngest = fit_tail(old, x_min=10).zeta, fit_tail(new, x_min=10).zeta
        assert (found["zeta_cohort_5"], found["zeta_cohort_1"]) == (oldest, youngest)
        assert found["zeta_gap"] == oldest - youngest
        assert math.isnan(found["zeta_cohort_2"])  # fewer than twenty
        whole = [0, 99, 1_000, *[0] * 10, 1, *new, 3, 10, 11, 9, *old]
        assert found["zeta"] == fit_tail(whole, x_min=10).zeta
        assert found["share_zero"] == 11 / 108
        # the top 1 % of 97 positive items is one of them
        assert found["top_1pct"] == pytest.approx(max(whole) / sum(whole))
        for cut in (1_000, 4_000):
            above = sum(size >= cut for size in whole)
            assert found[f"items_{cut}"] == pytest.approx(math.log10(1 + above))
        assert found.keys() == {
            "zeta", "share_zero", "top_1pct", "tail_items", "items_1000", "items_4000",
            "young_in_tail", "zeta_gap", "zeta_cohort_1", "zeta_cohort_2", "zeta_cohort_5",
        }  # fmt: skip

    def test_a_scan_adds_the_tail_at_an_x_min_of_its_own(self) -> None:
        sizes = np.random.default_rng(9).zipf(2.0, 2_000)
        drawn = {0: Counts.from_sample(sizes[:1_000]), 4: Counts.from_sample(sizes[1_000:])}
        plain = measure_sample(drawn, LIKES, 7.0)
        found = measure_sample(drawn, LIKES, 7.0, scanned=True)
        own, given = fit_tail(sizes), fit_tail(sizes, x_min=7.0)
        assert own.x_min != 7.0
        assert (found["zeta_scanned"], found["x_min"]) == (own.zeta, own.x_min)
        assert found["zeta"] == plain["zeta"] == given.zeta
        assert found == plain | measure_sizes(pooled(drawn), discrete=True)
        assert not plain.keys() & measure_sizes(pooled(drawn), discrete=True).keys()

    @pytest.mark.parametrize("variable", VARIABLES.values(), ids=lambda v: v.name)
    def test_numbers_of_items_are_counted_from_the_sizes_of_the_variable(
        self, variable: Variable
    ) -> None:
        cuts = [cut for _, cut in UPPER[variable.name]]
        # two items at each cut count for it, one just below it does not
        sizes = np.array([size for cut in cuts for size in (cut - 1, cut, cut)])
        found = measure_sample({UNDATED: Counts.from_sample(sizes)}, variable, 1.0)
        counted = {s.name: found[s.name] for s, _ in UPPER[variable.name]}
        below = {s.name: np.sum(sizes >= cut) for s, cut in UPPER[variable.name]}
        assert counted == pytest.approx({name: np.log10(1 + n) for name, n in below.items()})
        others = {s.name for v, of in UPPER.items() if v != variable.name for s, _ in of}
        assert not found.keys() & others

    def test_without_ages_there_is_no_cohort(self) -> None:
        counts = self.sample([1, 2, 3, 9, 20])
        found = measure_sample({UNDATED: counts}, LIKES, 1.0, scanned=True)
        assert found.keys() == {
            *measure_sizes(counts, discrete=True), "zeta", "share_zero", "top_1pct", "tail_items",
            "items_1000", "items_4000",
        }  # fmt: skip

    def test_the_gap_needs_the_youngest_and_the_oldest(self) -> None:
        sizes = np.random.default_rng(3).zipf(2.0, 400)
        middle = {c: Counts.from_sample(sizes) for c in (0, 1, 2, 3)}
        assert math.isnan(measure_sample(middle, LIKES, 1.0)["zeta_gap"])
        assert measure_sample({**middle, 4: middle[0]}, LIKES, 1.0)["zeta_gap"] == 0.0

    def test_nobody_in_the_tail(self) -> None:
        found = measure_sample({0: self.sample([1, 2]), 4: self.sample([1, 3])}, LIKES, 50.0)
        assert found["tail_items"] == found["items_1000"] == 0.0
        assert math.isnan(found["young_in_tail"])
        assert math.isnan(found["zeta"])
        assert math.isnan(found["zeta_gap"])

    def test_equal_sizes_have_no_exponent(self) -> None:
        found = measure_sample({0: self.sample([1, 2, 3]), 4: self.sample([50] * 30)}, TVL, 50.0)
        assert found["tail_items"] == pytest.approx(math.log10(31))
        assert math.isnan(found["zeta_cohort_5"])

    def test_sizes_and_counts_have_likelihoods_of_their_own(self) -> None:
        sizes = 10.0 * (1 - np.random.default_rng(8).random(200)) ** (-1 / 1.5)
        drawn = {0: Counts.from_sample(sizes[:100]), 1: Counts.from_sample(sizes[100:])}
        found = measure_sample(drawn, TVL, 10.0)
        for c, part in enumerate((sizes[:100], sizes[100:])):
            assert found[zeta_of_cohort(c)] == pytest.approx(100 / np.log(part / 10.0).sum())
        assert found["zeta"] == pytest.approx(200 / np.log(sizes / 10.0).sum())


def test_pooled_cohorts_hold_every_item_once() -> None:
    one, other = Counts.from_sample(np.array([1, 1, 7])), Counts.from_sample(np.array([0, 1]))
    both = pooled({UNDATED: one, 3: other})
    assert both.values.tolist() == [0, 1, 7]
    assert both.multiplicities.tolist() == [1, 3, 1]
    assert pooled({3: other}) is other


def test_cohorts_are_counted_from_one() -> None:
    assert [zeta_of_cohort(c) for c in (0, 4)] == ["zeta_cohort_1", "zeta_cohort_5"]
