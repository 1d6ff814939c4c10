"""Figures of mechanisms: cohorts, kernel and verdicts are drawn at the numbers they were given."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D

from baimo.estimation.tails.cohorts import CohortsFit, fit_cohorts
from baimo.pipeline.analysis.increments import KernelCalibration
from baimo.pipeline.figures.models import plot_cohorts, plot_kernel, plot_verdicts
from baimo.pipeline.models.registry import COLOURS
from baimo.pipeline.schema.results import COMPARISON
from tests.pipeline.synthetic import hub_frequency, kernel_of, likes_of_two_days


def points(axes: Axes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y and both ends of the error of the one set of points with errors."""
    (bar,) = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    dots, _, (ends,) = bar
    assert dots is not None
    spans = np.array([segment[:, 1] for segment in ends.get_segments()])
    return np.asarray(dots.get_xdata(), float), np.asarray(dots.get_ydata(), float), spans


def line(axes: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the one line whose label begins so."""
    (found,) = [ln for ln in axes.get_lines() if str(ln.get_label()).startswith(label)]
    return np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)


@pytest.fixture(scope="module")
def cohorts() -> CohortsFit:
    rng = np.random.default_rng(1)
    ages = rng.uniform(0.1, 3.0, 20_000)
    return fit_cohorts(rng.zipf(2.0, 20_000), ages, x_min=5.0)


class TestCohorts:
    def test_every_cohort_stands_at_its_age_with_its_interval(self, cohorts: CohortsFit) -> None:
        figure = plot_cohorts({"likes": cohorts}, {})
        (axes,) = figure.axes
        x, y, spans = points(axes)
        assert x.tolist() == cohorts.mean_age.tolist()
        assert y.tolist() == cohorts.zeta.tolist()
        half = 1.96 * cohorts.std_error
        assert spans[:, 0].tolist() == pytest.approx((cohorts.zeta - half).tolist())
        assert spans[:, 1].tolist() == pytest.approx((cohorts.zeta + half).tolist())
        assert line(axes, "all dated")[1].tolist() == [cohorts.pooled_zeta] * 2
        assert axes.get_title(loc="left") == "Hub likes"
        assert axes.get_ylabel() == "ζ above 5"

    def test_models_of_this_size_are_drawn_where_they_have_a_tail(
        self, cohorts: CohortsFit
    ) -> None:
        simulated = {
            ("Yule", "likes"): (3.0, 2.5, 2.0, math.nan, 1.0),
            ("CES", "downloads"): (1.0,) * 5,
            ("Simon", "likes"): (math.nan,) * 5,
        }
        figure = plot_cohorts({"likes": cohorts, "downloads": cohorts}, simulated)
        likes, downloads = figure.axes
        x, y = line(likes, "Yule")
        assert x.tolist() == cohorts.mean_age.tolist()
        assert y.tolist() == pytest.approx([3.0, 2.5, 2.0, math.nan, 1.0], nan_ok=True)
        labels = [[str(ln.get_label()) for ln in axes.get_lines()] for axes in figure.axes]
        assert "CES" not in labels[0]
        assert "Simon" not in labels[0]
        assert "Yule" not in labels[1]
        assert line(downloads, "CES")[1].tolist() == [1.0] * 5

    def test_without_cohorts_there_is_an_empty_figure(self) -> None:
        assert plot_cohorts({}, {}).axes == []


@pytest.fixture(scope="module")
def kernel() -> KernelCalibration:
    return kernel_of(likes_of_two_days(0.7, -0.3, n=6_000), hub_frequency(500, 1))


class TestKernel:
    def test_gains_by_stock_and_the_fitted_power(self, kernel: KernelCalibration) -> None:
        (axes,) = plot_kernel(kernel).axes
        shape, fit = kernel.shape, kernel.kernel
        assert shape is not None
        assert fit is not None
        x, y, spans = points(axes)
        assert x.tolist() == pytest.approx((shape.middle + fit.offset).tolist())
        assert y.tolist() == shape.kernel.tolist()
        assert (spans[:, 0] > 0).all()  # an interval on a logarithmic axis
        assert spans[:, 1].tolist() == pytest.approx((y + 1.96 * shape.std_error).tolist())
        fitted_x, fitted = line(axes, f"θ = {fit.theta:.2f}")
        slope = np.diff(np.log(fitted)) / np.diff(np.log(fitted_x))
        assert slope.tolist() == pytest.approx([fit.theta] * slope.size)
        # The line holds the mean of all, as the points do.
        mean = np.average(np.interp(np.log(x), np.log(fitted_x), fitted), weights=shape.n_items)
        assert mean == pytest.approx(np.average(y, weights=shape.n_items), rel=0.02)
        one_x, one = line(axes, "θ = 1")
        assert (one / one_x).tolist() == pytest.approx([one[0] / one_x[0]] * one.size)
        assert kernel.before_on in axes.get_title(loc="left")

    def test_without_a_fit_there_is_nothing_to_draw(self, kernel: KernelCalibration) -> None:
        for lacking in (replace(kernel, kernel=None), replace(kernel, shape=None)):
            with pytest.raises(ValueError, match="no kernel to draw"):
                plot_kernel(lacking)


class TestVerdicts:
    ROWS = pl.DataFrame(
        [
            {"measure": "likes", "model": "Yule", "zeta": 0.9, "zeta_low": 0.8, "zeta_high": 1.1,
             "simulated_zeta": 1.4, "simulated_sd": 0.1},
            {"measure": "tvl", "model": "GBM", "zeta": 0.7, "zeta_low": 0.6, "zeta_high": 0.75,
             "simulated_zeta": None, "simulated_sd": None},
        ],
        schema_overrides={n: COMPARISON.schema[n] for n in ("simulated_zeta", "simulated_sd")},
    )  # fmt: skip

    def test_a_line_a_model_from_above_observed_band_and_simulated_dot(self) -> None:
        (axes,) = plot_verdicts(self.ROWS).axes
        assert [t.get_text() for t in axes.get_yticklabels()] == ["Yule, likes", "GBM, tvl"]
        low, high = axes.get_ylim()
        assert low > high  # the first on top
        drawn = [
            (np.asarray(ln.get_xdata()).tolist(), np.asarray(ln.get_ydata()).tolist())
            for ln in axes.get_lines()
        ]
        for at, row in enumerate(self.ROWS.iter_rows(named=True)):
            assert ([row["zeta_low"], row["zeta_high"]], [at, at]) in drawn
            assert ([row["zeta"]], [at]) in drawn
        (bar,) = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
        dot = bar[0]
        assert isinstance(dot, Line2D)
        assert np.asarray(dot.get_xdata()).tolist() == [1.4]
        assert dot.get_color() == COLOURS["Yule"]
        ((ends,),) = ([s[:, 0].tolist() for s in b.get_segments()] for b in bar[2])
        assert ends == pytest.approx([1.4 - 1.96 * 0.1, 1.4 + 1.96 * 0.1])
