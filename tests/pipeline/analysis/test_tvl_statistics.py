"""Statistics of TVL: exits and exponent counted by hand, a mixture on a grid."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from baimo.estimation.growth.size_exponent import fit_size_exponent
from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.curves import ks_of_cdf
from baimo.pipeline.analysis.summary_statistics import UNDATED, CohortSample
from baimo.pipeline.analysis.tvl_statistics import (
    Mixture,
    measure_exit,
)
from baimo.pipeline.datasets.defi import category_rows
from baimo.pipeline.settings import reference_dir
from baimo.pipeline.statistics import EXIT_SHARE, MIXTURE_KS, SIZE_EXPONENT
from baimo.pipeline.variables import BROAD, expand
from baimo.simulation.growth.gbm import GrowthParams, mixture_ccdf, simulate_growth

PARAMS = GrowthParams(mu=0.3, sigma=1.2)


def sample(sizes: NDArray[np.float64]) -> CohortSample:
    return {UNDATED: Counts.from_sample(sizes)}


def test_exits_are_those_gone_or_below_the_threshold_of_those_above_it() -> None:
    before = np.concatenate([np.full(5, 5e3), np.geomspace(2e4, 1e9, 40)])
    after = before * 2.0
    after[5:9], after[9:11], after[0] = math.nan, 9e3, 1e12
    found = measure_exit(before, after)
    assert found[EXIT_SHARE.name] == 6 / 40
    assert found[SIZE_EXPONENT.name] == fit_size_exponent(before, after, above=1e4).exponent
    few = measure_exit(before[:12], after[:12])
    assert few[EXIT_SHARE.name] == 6 / 7
    assert math.isnan(few[SIZE_EXPONENT.name])
    assert math.isnan(measure_exit(before[:5], after[:5])[EXIT_SHARE.name])


def test_the_distance_on_the_grid_is_that_of_the_mixture() -> None:
    rng = np.random.default_rng(1)
    entry, ages = rng.normal(12.0, 4.0, 60), rng.choice([0.1, 1.0, 3.0], 500)
    mixture = Mixture.of(PARAMS, entry, ages)
    for drift in (PARAMS.mu, -1.0):
        params = GrowthParams(mu=drift, sigma=1.2)
        sizes = simulate_growth(params, entry, ages, rng)
        exact = ks_of_cdf(1.0 - mixture_ccdf(PARAMS, np.sort(sizes), entry, ages))
        assert mixture(sample(sizes))[MIXTURE_KS.name] == pytest.approx(exact, abs=2e-4)
    assert mixture(sample(np.append(sizes, [0.0, 0.0]))) == mixture(sample(sizes))


def test_the_exponent_of_the_reference_and_what_its_error_should_be() -> None:
    """.97 is found; its error is .06 only as a sandwich over 31 categories."""
    table = pl.read_parquet(reference_dir() / "defi_population.parquet")
    rows = expand(table.filter(BROAD.holds() & (pl.col("tvl_before") > 1e4)), "n_protocols")
    before = rows["tvl_before"].to_numpy()
    after = rows["tvl_after"].fill_null(math.nan).to_numpy()
    found = measure_exit(before, after)
    assert found[SIZE_EXPONENT.name] == pytest.approx(0.97, abs=0.005)
    assert found[EXIT_SHARE.name] == pytest.approx(0.357, abs=0.0005)
    without = [
        measure_exit(np.delete(before, group), np.delete(after, group))[SIZE_EXPONENT.name]
        for group in category_rows(rows)
    ]
    n = len(without)
    assert math.sqrt((n - 1) * np.var(without)) == pytest.approx(0.096, abs=0.001)
    fit = fit_size_exponent(before, after)
    assert fit.std_error == pytest.approx(0.153, abs=0.001)
    largest = before.argmax()
    alone = fit_size_exponent(np.delete(before, largest), np.delete(after, largest))
    assert alone.exponent == pytest.approx(0.837, abs=0.001)
