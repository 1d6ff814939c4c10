"""Statistics of TVL: exits and exponent counted by hand, a mixture on a grid, a jackknife."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from baimo.estimation.errors import DataError
from baimo.estimation.growth.size_exponent import fit_size_exponent
from baimo.estimation.samples.curves import ks_of_cdf
from baimo.pipeline.analysis.tvl_statistics import (
    EXIT_SHARE,
    MIXTURE_KS,
    SIZE_EXPONENT,
    Mixture,
    jackknife_covariance,
    measure_exit,
    without_each,
)
from baimo.pipeline.datasets.defi import category_rows
from baimo.pipeline.settings import reference_dir
from baimo.pipeline.variables import BROAD, expand
from baimo.simulation.growth.gbm import GrowthParams, mixture_ccdf, simulate_growth

PARAMS = GrowthParams(mu=0.3, sigma=1.2)


def test_exits_are_those_gone_or_below_the_threshold_of_those_above_it() -> None:
    before = np.concatenate([np.full(5, 5e3), np.geomspace(2e4, 1e9, 40)])
    after = before * 2.0
    after[5:9], after[9:11], after[0] = math.nan, 9e3, 1e12
    found = measure_exit(before, after)
    assert found[EXIT_SHARE] == 6 / 40
    assert found[SIZE_EXPONENT] == fit_size_exponent(before, after, above=1e4).exponent
    few = measure_exit(before[:12], after[:12])
    assert few[EXIT_SHARE] == 6 / 7
    assert math.isnan(few[SIZE_EXPONENT])
    assert math.isnan(measure_exit(before[:5], after[:5])[EXIT_SHARE])


def test_the_distance_on_the_grid_is_that_of_the_mixture() -> None:
    rng = np.random.default_rng(1)
    entry, ages = rng.normal(12.0, 4.0, 60), rng.choice([0.1, 1.0, 3.0], 500)
    mixture = Mixture.of(PARAMS, entry, ages)
    for drift in (PARAMS.mu, -1.0):
        params = GrowthParams(mu=drift, sigma=1.2)
        sizes = simulate_growth(params, entry, ages, rng)
        exact = ks_of_cdf(1.0 - mixture_ccdf(PARAMS, np.sort(sizes), entry, ages))
        assert mixture.measure(sizes)[MIXTURE_KS] == pytest.approx(exact, abs=2e-5)
    zeros = np.append(sizes, [0.0, 0.0])
    assert mixture.measure(zeros) == mixture.measure(sizes)
    assert math.isnan(mixture.measure(np.zeros(3))[MIXTURE_KS])


def test_without_each_measures_the_rest() -> None:
    values = np.arange(6.0)
    groups = [np.array([0, 5]), np.array([1]), np.array([2, 3, 4])]
    found = without_each(lambda rows: {"sum": float(values[rows].sum())}, 6, groups)
    assert found == ({"sum": 10.0}, {"sum": 14.0}, {"sum": 6.0})


def test_the_covariance_of_two_means_is_that_of_the_sample() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(80, 2)) @ np.array([[1.0, 0.6], [0.0, 0.5]])
    without = without_each(
        lambda rows: {"a": float(x[rows, 0].mean()), "b": float(x[rows, 1].mean())},
        80,
        list(np.arange(80)[:, None]),
    )
    found = jackknife_covariance(without, ("b", "a"))
    assert found == pytest.approx(np.cov(x[:, ::-1].T) / 80, rel=1e-9)


def test_what_is_not_known_without_a_cluster_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="b: not known"):
        jackknife_covariance(({"a": 1.0, "b": math.nan}, {"a": 2.0, "b": 0.0}), ("a", "b"))
    with pytest.raises(DataError, match="at least two"):
        jackknife_covariance(({"a": 1.0},), ("a",))


def test_the_exponent_of_the_reference_and_what_its_error_should_be() -> None:
    """.97 is found; its error is .06 only as a sandwich over 31 categories."""
    table = pl.read_parquet(reference_dir() / "defi_population.parquet")
    rows = expand(table.filter(BROAD.holds() & (pl.col("tvl_before") > 1e4)), "n_protocols")
    before = rows["tvl_before"].to_numpy()
    after = rows["tvl_after"].fill_null(math.nan).to_numpy()
    found = measure_exit(before, after)
    assert found[SIZE_EXPONENT] == pytest.approx(0.97, abs=0.005)
    assert found[EXIT_SHARE] == pytest.approx(0.357, abs=0.0005)
    without = without_each(lambda i: measure_exit(before[i], after[i]), before.size,
                           category_rows(rows))  # fmt: skip
    covariance = jackknife_covariance(without, (EXIT_SHARE, SIZE_EXPONENT))
    assert math.sqrt(covariance[1, 1]) == pytest.approx(0.096, abs=0.001)
    fit = fit_size_exponent(before, after)
    assert fit.std_error == pytest.approx(0.153, abs=0.001)
    largest = before.argmax()
    alone = fit_size_exponent(np.delete(before, largest), np.delete(after, largest))
    assert alone.exponent == pytest.approx(0.837, abs=0.001)
