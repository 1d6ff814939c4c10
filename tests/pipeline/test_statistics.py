"""The statistics that models are judged by are those measured, each with its margin in its unit."""

import numpy as np
import pytest

from baimo.estimation.shapes.compare import DISTANCE_MARGIN
from baimo.pipeline import statistics
from baimo.pipeline.analysis.summary_statistics import measure_sample
from baimo.pipeline.analysis.two_dates import measure_growth, two_dates
from baimo.pipeline.statistics import (
    GROWTH,
    KERNEL,
    MIXTURE_KS,
    SHARE_ZERO,
    STATISTICS,
    TAIL,
    TAIL_ITEMS,
    UPPER,
    ZETA,
    ZETA_GAP,
    Statistic,
)
from baimo.pipeline.variables import VARIABLES
from tests.pipeline.synthetic import (
    hub_frequency,
    kernel_of,
    likes_of_two_days,
    population,
    some_fits,
)


def test_every_statistic_is_in_the_table_under_its_name() -> None:
    defined = [v for v in vars(statistics).values() if isinstance(v, Statistic)]
    defined += [statistic for cuts in UPPER.values() for statistic, _ in cuts]
    assert sorted(STATISTICS) == sorted(s.name for s in defined)
    assert all(STATISTICS[s.name] is s for s in defined)
    assert len({s.words for s in defined}) == len(defined) == 20


def test_they_are_shown_with_sizes_first_and_what_comes_next_last() -> None:
    assert tuple(STATISTICS.values()) == (ZETA, SHARE_ZERO, *TAIL, MIXTURE_KS, *KERNEL, *GROWTH)


def test_margins_are_those_that_were_set_beforehand() -> None:
    assert {name: s.margin for name, s in STATISTICS.items()} == {
        "zeta": 0.1, "zeta_gap": 0.2, "theta": 0.1, "phi": 0.1, "psi": 0.1,
        "share_zero": 0.05, "top_1pct": 0.05, "young_in_tail": 0.05,
        "tail_items": 0.3, "items_100000": 0.3, "items_1000000": 0.3, "items_1000": 0.3,
        "items_4000": 0.3, "items_1000000000": 0.3,
        "size_slope": 0.02, "spread_slope": 0.05, "autocorrelation": 0.05,
        "exit_share": 0.05, "size_exponent": 0.1, "mixture_ks": 0.05,
    }  # fmt: skip
    logs = [TAIL_ITEMS, *(statistic for cuts in UPPER.values() for statistic, _ in cuts)]
    assert [s for s in STATISTICS.values() if s.is_log10] == logs
    assert {s.margin for s in logs} == {TAIL_ITEMS.margin}
    assert ZETA_GAP.margin == 2 * ZETA.margin  # of two exponents
    assert MIXTURE_KS.margin == DISTANCE_MARGIN  # as between two shapes
    assert 10**TAIL_ITEMS.margin == pytest.approx(2.0, rel=0.01)  # a factor of two


def test_fixed_sizes_ascend_and_are_in_the_name() -> None:
    assert UPPER.keys() == VARIABLES.keys()
    for cuts in UPPER.values():
        assert [s.name for s, _ in cuts] == [f"items_{cut:.0f}" for _, cut in cuts]
        assert [cut for _, cut in cuts] == sorted({cut for _, cut in cuts})


def test_each_is_measured_where_it_is_said_to_be() -> None:
    counts = some_fits().counts
    parts = {0: counts, 4: counts}
    sizes: dict[str, float] = {}
    for variable in VARIABLES.values():
        sizes |= measure_sample(parts, variable, 50.0)
    kernel = kernel_of(likes_of_two_days(1.0, 0.0, n=3_000), hub_frequency(3_000, 3))
    growth = measure_growth(*two_dates(population(200, 1)))
    assert {s.name for s in (ZETA, SHARE_ZERO, *TAIL)} <= sizes.keys()
    assert {s.name for s in KERNEL} == kernel.statistics()[0].keys()
    assert {s.name for s in GROWTH} == growth.keys()
    # the number of items of x_min and more, plus one, as a decimal logarithm
    n = int(counts.multiplicities[counts.values >= 50].sum())
    assert sizes[TAIL_ITEMS.name] == pytest.approx(np.log10(1 + 2 * n))
