"""Series behind the pictures: the right numbers, few points, nothing lost at the ends."""

from collections.abc import Callable

import numpy as np
import pytest

from baimo.estimation.errors import DataError
from baimo.estimation.samples.concentration import measure_concentration
from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.curves import Line, ccdf_series, lorenz_series, rank_size_series

SERIES = pytest.mark.parametrize("series", [ccdf_series, rank_size_series, lorenz_series])


def test_by_hand() -> None:
    data = [0, 1, 1, 3]
    assert [a.tolist() for a in rank_size_series(data)] == [[1, 3], [3, 1]]
    assert [a.tolist() for a in ccdf_series(data)] == [[1, 3], [0.75, 0.25]]
    items, mass = lorenz_series(data)
    assert items.tolist() == [0, 0.25, 0.75, 1]
    assert mass == pytest.approx([0, 0, 0.4, 1])


@SERIES
def test_three_million_points_draw_as_two_thousand(series: Callable[..., Line]) -> None:
    rng = np.random.default_rng(1)
    counts = Counts.from_sample(np.floor((1 - rng.random(3_000_000)) ** (-1 / 0.7)))
    assert counts.n_unique > 10_000
    x, y = series(counts)
    assert 500 < x.size <= 2000
    assert x.size == y.size
    every = dict(zip(*series(counts, 10**9), strict=True))
    assert all(every[a] == b for a, b in zip(x, y, strict=True))  # a subset of the points
    whole_x, whole_y = series(counts, 10**9)
    assert (x[0], y[0]) == (whole_x[0], whole_y[0])
    assert (x[-1], y[-1]) == (whole_x[-1], whole_y[-1])


def test_thinning_leaves_no_gap_in_either_logarithm() -> None:
    rng = np.random.default_rng(2)
    counts = Counts.from_sample((1 - rng.random(50_000)) ** (-1 / 1.2))
    x, rank = rank_size_series(counts, 400)
    whole_x, whole_rank = rank_size_series(counts, 10**9)
    for thin, whole in ((x, whole_x), (rank, whole_rank)):
        steps = np.abs(np.diff(np.log(thin)))
        cell = abs(np.log(whole[-1] / whole[0])) / 199
        natural = np.abs(np.diff(np.log(whole))).max()
        assert steps.max() <= 2 * cell + natural


def test_the_lorenz_curve_has_the_gini_and_the_top_share() -> None:
    rng = np.random.default_rng(3)
    data = np.floor(rng.lognormal(1.0, 2.0, 5000))
    items, mass = lorenz_series(data, 10**6)
    held = measure_concentration(data)
    assert 1 - 2 * np.trapezoid(mass, items) == pytest.approx(held.gini, abs=1e-12)
    assert np.all(np.diff(items) > 0)
    assert np.all(np.diff(mass) >= 0)
    assert np.all(mass <= items + 1e-12)


@SERIES
def test_one_point_is_no_picture(series: Callable[..., Line]) -> None:
    with pytest.raises(DataError, match="n_points"):
        series([1, 2, 3], 1)


@SERIES
def test_all_zeros(series: Callable[..., Line]) -> None:
    with pytest.raises(DataError, match="zero"):
        series([0, 0])
