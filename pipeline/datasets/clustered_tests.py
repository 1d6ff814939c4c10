"""Tests of the power-law tail that know which models are one author's, kept as a table.

What `baimo fit tail|compare|index --clusters author` finds on a listing, for sources that carry no
authors. All rows of a measure are at the x_min of the whole listing: also with the largest owner or
the largest model left out, so that the same tail is asked again.

Beside them stands by how much the distance of the tail from a power law spreads at other x_min, by
which other x_min are judged to fit about as well.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.tails.alternatives import compare_tail
from baimo.estimation.tails.bootstrap import goodness_of_fit
from baimo.estimation.tails.clustered import clustered_goodness_of_fit
from baimo.estimation.tails.power_law import TailFit, fit_tail, tail_cluster_sums, tail_path
from baimo.estimation.tails.tail_index import pareto_lognormal_test
from baimo.estimation.tails.thresholds import clustered_spread
from baimo.pipeline.datasets.design_effects import FEWEST_CLUSTERS, owner_numbers
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.variables import DOWNLOADS, LIKES, naming

N_REPLICATIONS = 4_999
N_INDEPENDENT = 999
N_THRESHOLDS = 100
DIGITS = 6  # significant ones; those of a rival's optimum beyond differ between processors
LEFT_OUT = ("none", "largest owner", "largest item")


Test = tuple[str | float | None, ...]
"""A row of hub_clustered_tests from the name of the test on."""


def measure_clustered_tests(models: pl.DataFrame) -> pl.DataFrame:
    """Test the tails of downloads and likes with authors as clusters, and without the largest."""
    rows: list[Test] = []
    owners = owner_numbers(models)
    if owners is not None:
        for measure in (DOWNLOADS, LIKES):
            with naming(measure):
                sizes = models[measure.name].to_numpy().astype(np.float64)
                rows += _tests_of(measure.name, sizes, owners)
    table = pl.DataFrame(rows, schema=TABLES["hub_clustered_tests"].schema, orient="row")
    return table.with_columns(pl.col(pl.Float64).round_sig_figs(DIGITS))


def measure_threshold_spreads(models: pl.DataFrame) -> pl.DataFrame:
    """Measure the spread of the distance with authors as clusters over x_min.

    Tails of fewer than `FEWEST_CLUSTERS` authors have none, and no tail of a measure whose fitted
    one is such.
    """
    rows: list[tuple[str, float, int, float]] = []
    owners = owner_numbers(models)
    if owners is not None:
        for measure in (DOWNLOADS, LIKES):
            with naming(measure):
                sizes = models[measure.name].to_numpy().astype(np.float64)
                rows += _spreads_of(measure.name, sizes, owners)
    table = pl.DataFrame(rows, schema=TABLES["hub_threshold_spreads"].schema, orient="row")
    return table.with_columns(pl.col("spread").round_sig_figs(DIGITS))


def _spreads_of(
    measure: str, sizes: Floats, owners: Ints
) -> Iterator[tuple[str, float, int, float]]:
    whole = fit_tail(sizes)
    path = tail_path(sizes, whole, n_points=N_THRESHOLDS)
    spread = clustered_spread(sizes, whole, owners, path, fewest=FEWEST_CLUSTERS)
    known = np.isfinite(spread)
    if known[path.x_min == whole.x_min].all():
        for i in np.flatnonzero(known):
            yield measure, float(path.x_min[i]), int(path.n_tail[i]), float(spread[i])


def _tests_of(measure: str, sizes: Floats, owners: Ints) -> Iterator[Test]:
    whole = fit_tail(sizes)
    for left_out in LEFT_OUT:
        kept = _kept(left_out, sizes, owners, whole)
        tail = kept & (sizes >= whole.x_min)
        # Fewer owners are too few to learn a variance from.
        if np.unique(sizes[tail]).size < 2 or np.unique(owners[tail]).size < FEWEST_CLUSTERS:
            continue
        for test in _tests_at(sizes[kept], owners[kept], whole.x_min):
            yield measure, left_out, *test


def _kept(left_out: str, sizes: Floats, owners: Ints, whole: TailFit) -> NDArray[np.bool_]:
    """Return which models stay; the largest owner has the largest share of the variance."""
    kept = np.ones(sizes.size, dtype=np.bool_)
    found = np.unique(owners[sizes >= whole.x_min])
    if left_out == "largest item":
        kept[np.argmax(sizes)] = False
    elif left_out == "largest owner" and found.size >= FEWEST_CLUSTERS:
        sums = tail_cluster_sums(sizes, owners, whole)
        kept = owners != sums.labels[sums.largest]
    return kept


def _tests_at(sizes: Floats, owners: Ints, x_min: float) -> Iterator[Test]:
    """Yield the tests of one tail; a rival that is the power law itself has none."""
    fit = fit_tail(sizes, x_min=x_min, clusters=owners)
    at = (x_min, fit.n_tail, fit.zeta, fit.std_error_clustered)
    known = clustered_goodness_of_fit(sizes, fit, owners, n_replications=N_REPLICATIONS)
    alone = goodness_of_fit(sizes, fit, n_replications=N_INDEPENDENT)
    p: tuple[float | None, ...] = (known.p_value, (1 + alone.hits) / (1 + alone.n_replications))
    yield "ks", known.statistic, *p, known.n_clusters, known.effective_clusters, *at
    umpu = pareto_lognormal_test(sizes, discrete=True, threshold=x_min, clusters=owners)
    p = (umpu.p_value, umpu.p_independent)
    yield "umpu", umpu.statistic, *p, umpu.n_clusters, umpu.effective_clusters, *at
    for c in compare_tail(sizes, fit, clusters=owners):
        if c.vuong is not None:
            p = (c.p_value, c.p_independent)
            yield f"vuong_{c.alternative}", c.vuong, *p, c.n_clusters, c.effective_clusters, *at
