"""Figures of one size: what is drawn is the sample, its fits and the models' samples."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from baimo.estimation.arrays import Floats
from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.curves import ccdf_series, rank_size_series
from baimo.estimation.tails.power_law import tail_path
from baimo.estimation.tails.tail_index import index_path
from baimo.estimation.tails.thresholds import KS_SPREAD, near_minimal, threshold_range
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.figures.sizes import (
    plot_ccdf,
    plot_index_path,
    plot_overview,
    plot_rank_size,
    plot_tail_path,
)
from baimo.pipeline.variables import DOWNLOADS, LIKES, TVL
from tests.pipeline.synthetic import fits_of

SIMULATED = {"Yule": Counts.from_sample(np.repeat([1, 2, 50], [900, 90, 10]))}
TOP = pl.DataFrame({"rank": [1, 2], "size": [9_000, 7_000]})


@pytest.fixture(scope="module")
def fits() -> SizeFits:
    return fits_of(np.random.default_rng(1).zipf(2.0, 20_000) - 1)


@pytest.fixture(scope="module")
def tvl() -> SizeFits:
    return fits_of(1e5 * (1 - np.random.default_rng(2).random(2_000)) ** -1.2, TVL)


def axes_of(figure: Figure, at: int = 0) -> Axes:
    return figure.axes[at]


def line(axes: Axes, label: str) -> Line2D:
    """Return the one line whose label begins so."""
    (found,) = [ln for ln in axes.get_lines() if str(ln.get_label()).startswith(label)]
    return found


def data(drawn: Line2D) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(drawn.get_xdata(), float), np.asarray(drawn.get_ydata(), float)


def vertical(axes: Axes) -> list[float]:
    """Return where vertical lines stand."""
    found = []
    for drawn in axes.get_lines():
        x, y = data(drawn)
        if x.size == 2 and x[0] == x[1] and y.tolist() == [0.0, 1.0]:
            found.append(float(x[0]))
    return found


class TestCcdf:
    def test_the_sample_its_tail_and_where_it_begins(self, fits: SizeFits) -> None:
        axes = axes_of(plot_ccdf(LIKES, fits.counts, fits.tail, {}, None))
        x, y = data(line(axes, "observed"))
        expected = ccdf_series(fits.counts, 400)
        assert np.array_equal(x, expected[0])
        assert np.array_equal(y, expected[1])
        tail_x, tail_y = data(line(axes, f"fitted tail, ζ = {fits.tail.zeta:.2f}"))
        assert tail_x[0] == pytest.approx(fits.tail.x_min)
        assert tail_y[0] == pytest.approx(fits.tail.n_tail / fits.counts.n_obs)
        assert (np.diff(tail_y) < 0).all()
        assert vertical(axes) == [fits.tail.x_min]
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        assert axes.get_xlabel() == "likes"

    def test_models_as_shares_of_the_observed_number_of_items(self, fits: SizeFits) -> None:
        predicted = {"Simon": (np.array([1.0, 10.0]), np.array([0.5, 0.05]))}
        axes = axes_of(plot_ccdf(LIKES, fits.counts, fits.tail, SIMULATED, None, predicted))
        x, y = data(line(axes, "Yule"))
        assert x.tolist() == [1.0, 2.0, 50.0]
        assert y.tolist() == pytest.approx([1000 / 20_000, 100 / 20_000, 10 / 20_000])
        closed = line(axes, "Simon, predicted")
        assert [v.tolist() for v in data(closed)] == [[1.0, 10.0], [0.5, 0.05]]
        assert closed.get_linestyle() == "--"

    def test_the_largest_have_handles_by_name_that_are_not_seen(self, fits: SizeFits) -> None:
        axes = axes_of(plot_ccdf(LIKES, fits.counts, fits.tail, {}, TOP))
        handles = [ln for ln in axes.get_lines() if ln.get_gid()]
        assert [ln.get_gid() for ln in handles] == ["ccdf-likes-1", "ccdf-likes-2"]
        assert [float(data(ln)[0][0]) for ln in handles] == [9_000.0, 7_000.0]
        assert [float(data(ln)[1][0]) for ln in handles] == [1 / 20_000, 2 / 20_000]
        assert all(ln.get_alpha() == 0.0 for ln in handles)


class TestRankSize:
    def test_the_sample_and_zipf_through_its_hundredth(self, fits: SizeFits) -> None:
        axes = axes_of(plot_rank_size(LIKES, fits.counts, {}, {}, None))
        drawn, expected = data(line(axes, "observed")), rank_size_series(fits.counts, 400)
        assert np.array_equal(drawn[0], expected[0])
        assert np.array_equal(drawn[1], expected[1])
        x, y = data(line(axes, "slope −1"))
        hundredth = float(fits.counts.largest(100)[-1])
        assert (x * y).tolist() == pytest.approx([100 * hundredth] * x.size)

    @pytest.mark.parametrize("measure", [LIKES, TVL])
    def test_each_regression_from_its_threshold_on(
        self, measure: object, fits: SizeFits, tvl: SizeFits
    ) -> None:
        found, variable = (fits, LIKES) if measure is LIKES else (tvl, TVL)
        axes = axes_of(plot_rank_size(variable, found.counts, found.zipf, {}, None))
        base = "all" if variable is LIKES else "positive"
        labels = [name for name in found.zipf if name.endswith(base) or name == "top100"]
        shown = [ln for ln in axes.get_lines() if re.match("top ", str(ln.get_label()))]
        assert len(shown) == len(labels) > 2
        for drawn, name in zip(shown, labels, strict=True):
            fit = found.zipf[name]
            x, y = data(drawn)
            assert x[0] == pytest.approx(fit.threshold)
            assert x[-1] == pytest.approx(float(found.counts.values[-1]))
            slope = np.diff(np.log(y - 0.5)) / np.diff(np.log(x))
            assert slope.tolist() == pytest.approx([fit.slope] * slope.size)
            assert str(drawn.get_label()).endswith(f": {fit.slope:.2f}")

    def test_models_and_handles_stand_at_ranks(self, fits: SizeFits) -> None:
        axes = axes_of(plot_rank_size(LIKES, fits.counts, {}, SIMULATED, TOP))
        x, y = data(line(axes, "Yule, simulated"))
        assert (x.tolist(), y.tolist()) == ([1.0, 2.0, 50.0], [1000.0, 100.0, 10.0])
        handles = {str(ln.get_gid()): data(ln) for ln in axes.get_lines() if ln.get_gid()}
        assert list(handles) == ["rank-likes-1", "rank-likes-2"]
        assert [float(y[0]) for _, y in handles.values()] == [1.0, 2.0]


def test_the_overview_has_a_picture_a_size(fits: SizeFits, tvl: SizeFits) -> None:
    figure = plot_overview(
        [(LIKES, fits.counts, fits.tail, SIMULATED), (TVL, tvl.counts, tvl.tail, {})]
    )
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Hub likes, N = 20,000", "DeFi TVL, N = 2,000"
    ]  # fmt: skip
    assert [axes.get_ylabel() for axes in figure.axes] == ["share of items at least as large", ""]
    for axes, found in zip(figure.axes, (fits, tvl), strict=True):
        assert np.array_equal(data(line(axes, "observed"))[0], ccdf_series(found.counts, 400)[0])
    assert line(figure.axes[0], "Yule")


def test_the_index_over_the_number_of_items_from_twenty_on(fits: SizeFits) -> None:
    axes = axes_of(plot_index_path(LIKES, fits))
    for method, label in (
        ("hill", "hill"), ("hill_corrected", "hill, corrected"), ("moment", "moment")
    ):  # fmt: skip
        path = index_path(fits.counts, discrete=True, method=method)
        keep = (path.k >= 20) & np.isfinite(path.zeta)
        (drawn,) = [ln for ln in axes.get_lines() if ln.get_label() == label]
        k, zeta = data(drawn)
        assert k.tolist() == path.k[keep].tolist()
        assert zeta.tolist() == path.zeta[keep].tolist()
    assert vertical(axes) == [fits.tail.n_tail]
    assert data(line(axes, "Zipf"))[1].tolist() == [1.0, 1.0]
    assert axes.collections  # the interval of Hill


def test_the_scan_has_its_smallest_distance_at_the_fitted_x_min(fits: SizeFits) -> None:
    figure = plot_tail_path(DOWNLOADS, fits)
    distance, zetas = figure.axes
    x, ks = data(distance.get_lines()[0])
    assert x[np.argmin(ks)] == fits.tail.x_min
    assert ks.min() == pytest.approx(fits.tail.ks)
    assert vertical(distance) == [fits.tail.x_min]
    other_x, zeta = data(zetas.get_lines()[0])
    assert np.array_equal(other_x, x)
    assert zeta[np.argmin(ks)] == pytest.approx(fits.tail.zeta, rel=1e-6)


@pytest.mark.parametrize("owners", [False, True])
def test_near_minimal_thresholds_are_shaded_and_their_zetas_bounded(
    fits: SizeFits, owners: bool
) -> None:
    path = tail_path(fits.counts, fits.tail)
    spread: float | Floats = KS_SPREAD
    if owners:
        spread = np.full(path.x_min.size, 3 * KS_SPREAD)
        fits = replace(
            fits, threshold_spread=spread, thresholds=threshold_range(path, spread=spread)
        )
    distance, zetas = plot_tail_path(DOWNLOADS, fits).axes
    x = data(distance.get_lines()[0])[0]
    shaded = np.zeros(x.size, dtype=bool)
    for patch in distance.patches:
        assert isinstance(patch, Rectangle)
        low = patch.get_x()
        shaded |= (x >= low) & (x <= low + patch.get_width())
    assert np.array_equal(shaded, near_minimal(path, spread=spread))
    assert 0 < shaded.sum() < x.size
    bounds = [data(ln)[1].tolist() for ln in zetas.get_lines()[1:]]
    near = fits.thresholds
    assert bounds == [[near.zeta_lowest] * 2, [near.zeta_highest] * 2]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1"), (100.0, "100"), (1e4, "10k"), (1e6, "1M"), (1e9, "1B"), (1e12, "1T"),
     (0.001, "10⁻³")],
)  # fmt: skip
def test_ticks_are_numbers_that_a_reader_says(value: float, shown: str, fits: SizeFits) -> None:
    axes = axes_of(plot_rank_size(LIKES, fits.counts, {}, {}, None))
    assert axes.xaxis.get_major_formatter()(value, 0) == shown
