"""How surely observed statistics and fitted parameters are known, together and with clusters.

Models of the Hub come from owners, protocols from categories; neither are independent draws. The
covariance of all that a verdict rests on is the delete-a-cluster jackknife: for the Hub one step
of it, measured where owners were known (`hub_sampling`, `hub_covariances`); for TVL every category
is left out in turn and all is measured anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats
from baimo.estimation.errors import EstimationError
from baimo.estimation.growth.censored import fit_censored_growth
from baimo.estimation.results import registered
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.calibration import calibration
from baimo.pipeline.analysis.increments import KERNEL_FIT, KernelCalibration
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import UNDATED, Statistics, measure_sample
from baimo.pipeline.analysis.two_dates import measure_growth, two_dates
from baimo.pipeline.lake.results import Day, Stored
from baimo.pipeline.schema.derived import (
    DEFI_LISTING,
    DEFI_POPULATION,
    HUB_COVARIANCES,
    HUB_SAMPLING,
)
from baimo.pipeline.settings import SEED
from baimo.pipeline.statistics import TAIL_ITEMS, UPPER
from baimo.pipeline.variables import EXIT_THRESHOLD, HUB, LIKES, TVL, expand

RANDOM_GROUPS = 100  # of protocols, for the errors without clusters
FEWEST_CATEGORIES = 3


@registered("Sampling")
@dataclass(frozen=True, eq=False, kw_only=True)
class Sampling:
    """Sampling errors of statistics and parameters of one variable.

    Parameters
    ----------
    names
        Of k statistics and parameters.
    covariance : (k, k)
        Clusters deleted one at a time.
    independent : (k, k)
        Items deleted one at a time, as if there were no clusters.
    shift : (k,), optional
        Change of each when the largest cluster is left out.
    covariance_without : (k, k), optional
        `covariance` without it.
    clusters
        What they are.
    """

    names: tuple[str, ...]
    covariance: Floats
    independent: Floats
    shift: Floats | None = None
    covariance_without: Floats | None = None
    clusters: str

    @classmethod
    def nothing(cls) -> Sampling:
        """Return the errors of nothing."""
        empty = np.zeros((0, 0))
        return cls(names=(), covariance=empty, independent=empty, clusters="")

    def std_error(self, name: str) -> float | None:
        """Return the error of one, None where it is not known."""
        if name not in self.names:
            return None
        i = self.names.index(name)
        return math.sqrt(max(float(self.covariance[i, i]), 0.0))

    def with_independent(self, errors: Mapping[str, float]) -> Sampling:
        """Return it with independent quantities added."""
        added = np.array(list(errors.values()), dtype=np.float64)
        return Sampling(
            names=(*self.names, *errors),
            covariance=_block(self.covariance, added**2),
            independent=_block(self.independent, added**2),
            shift=None if self.shift is None else np.append(self.shift, np.zeros(added.size)),
            covariance_without=(
                None
                if self.covariance_without is None
                else _block(self.covariance_without, added**2)
            ),
            clusters=self.clusters,
        )


def _block(covariance: Floats, variances: Floats) -> Floats:
    k, m = covariance.shape[0], variances.size
    out = np.zeros((k + m, k + m))
    out[:k, :k] = covariance
    out[k:, k:] = np.diag(variances)
    return out


SAMPLING: Stored[dict[str, Sampling]] = Stored("sampling_errors", dict)
"""By variable; one of which nothing is known is not there."""


def _shown(found: dict[str, Sampling]) -> dict[str, float | None]:
    return {f"{v}_{name}": found[v].std_error(name) for v in found for name in ("zeta", "top_1pct")}


@calibration(
    SAMPLING,
    order=5,
    description="Errors of every statistic and parameter that a verdict rests on, together: owners "
    "of models, and categories of protocols, left out one at a time.",
    needs=(
        HUB_SAMPLING,
        HUB_COVARIANCES,
        DEFI_LISTING,
        DEFI_POPULATION,
        KERNEL_FIT,
        TAILS[TVL.name],
    ),
    shown=_shown,
)
def measure_sampling(day: Day) -> dict[str, Sampling]:
    """Return the sampling errors of every variable."""
    sampling, covariances = day.table(HUB_SAMPLING), day.table(HUB_COVARIANCES)
    found = {
        v.name: hub_errors(sampling, covariances, v.name)
        for v in HUB
        if sampling.filter(pl.col("measure") == v.name).height
    }
    kernel = day.read(KERNEL_FIT)
    if LIKES.name in found and kernel is not None and kernel.whole:
        found[LIKES.name] = found[LIKES.name].with_independent(_kernel_errors(kernel))
    x_min = day.read(TAILS[TVL.name]).tail.x_min
    found[TVL.name] = tvl_errors(day.table(DEFI_LISTING), day.table(DEFI_POPULATION), x_min)
    return found


def _kernel_errors(kernel: KernelCalibration) -> dict[str, float]:
    return kernel.statistics()[1]


def hub_errors(sampling: pl.DataFrame, covariances: pl.DataFrame, measure: str) -> Sampling:
    """Return the errors of one variable of the Hub from the two tables."""
    rows = sampling.filter(pl.col("measure") == measure)
    names = rows["name"].to_list()
    place = {name: i for i, name in enumerate(names)}
    kinds = ("covariance", "independent", "without_largest")
    matrices = {kind: np.zeros((len(names), len(names))) for kind in kinds}
    for row in covariances.filter(pl.col("measure") == measure).iter_rows(named=True):
        i, j = place[row["first"]], place[row["second"]]
        for column, matrix in matrices.items():
            matrix[i, j] = matrix[j, i] = row[column]
    return Sampling(
        names=tuple(names),
        covariance=matrices["covariance"],
        independent=matrices["independent"],
        shift=(rows["without_largest"] - rows["value"]).to_numpy(),
        covariance_without=matrices["without_largest"],
        clusters="owners",
    )


def sampling_error(sampling: pl.DataFrame, measure: str, name: str) -> float | None:
    """Return the error of one statistic or parameter of the Hub, None where it is not there."""
    row = sampling.filter((pl.col("measure") == measure) & (pl.col("name") == name))
    return float(row["std_error"][0]) if row.height else None


def tvl_errors(listing: pl.DataFrame, population: pl.DataFrame, x_min: float) -> Sampling:
    """Return the errors of TVL and of its growth, categories left out one at a time.

    Protocols without a category make one. The largest cluster is the category whose absence moves
    zeta most. Nothing is known with fewer than three categories.
    """
    whole = _measure_tvl(listing, population, x_min)
    n = int(listing["n_protocols"].sum())
    categories = listing["category"].unique().sort().to_list()
    if len(categories) < FEWEST_CATEGORIES:
        return Sampling.nothing()
    others = [pl.col("category").ne_missing(category) for category in categories]
    groups = [_random_groups(table, i) for i, table in enumerate((listing, population))]
    kept = [pl.col("group") != i for i in range(RANDOM_GROUPS)]
    by_category = [(listing.filter(o), population.filter(o)) for o in others]
    at_random = [(groups[0].filter(k), groups[1].filter(k)) for k in kept]
    moved, alone = (_moved(whole, n, tables, x_min) for tables in (by_category, at_random))
    known = np.all(np.isfinite(np.vstack([moved, alone])), axis=0).tolist()
    names = tuple(name for name, is_known in zip(whole, known, strict=True) if is_known)
    moved, alone = moved[:, known], alone[:, known]
    largest = int(np.argmax(np.abs(moved[:, names.index("zeta")]))) if "zeta" in names else 0
    return Sampling(
        names=names,
        covariance=_jackknife(moved),
        independent=_jackknife(alone),
        shift=moved[largest],
        covariance_without=_jackknife(np.delete(moved, largest, axis=0)),
        clusters="categories",
    )


def _random_groups(table: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Deal protocols at random into a hundred groups: groups that share nothing."""
    rows = expand(table, "n_protocols")
    dealt = np.random.default_rng([SEED, 37, seed]).permutation(rows.height) % RANDOM_GROUPS
    return rows.with_columns(group=pl.Series(dealt), n_protocols=pl.lit(1, dtype=pl.Int64))


def _moved(
    whole: Statistics, n: int, tables: list[tuple[pl.DataFrame, pl.DataFrame]], x_min: float
) -> Floats:
    """Return by how much each statistic moves in each reduced sample; numbers brought to n."""
    counted = {TAIL_ITEMS.name, *(statistic.name for statistic, _ in UPPER[TVL.name])}
    rows = []
    for listing, population in tables:
        found = _measure_tvl(listing, population, x_min)
        scale = n / max(int(listing["n_protocols"].sum()), 1)
        for name in counted & found.keys():
            found[name] = math.log10(1.0 + scale * (10.0 ** found[name] - 1.0))
        rows.append([found.get(name, math.nan) - value for name, value in whole.items()])
    return np.array(rows)


def _jackknife(moved: Floats) -> Floats:
    """Return the covariance of estimates that clusters were left out of, one at a time."""
    centred = moved - moved.mean(axis=0)
    n = moved.shape[0]
    return np.asarray((n - 1) / n * centred.T @ centred)


def _measure_tvl(listing: pl.DataFrame, population: pl.DataFrame, x_min: float) -> Statistics:
    counts = Counts.from_pairs(listing["tvl_usd"].to_numpy(), listing["n_protocols"].to_numpy())
    found = measure_sample({UNDATED: counts}, TVL, x_min)
    before, after, years = two_dates(population)
    found |= measure_growth(before, after, years)
    try:
        growth = fit_censored_growth(before, after, years=years, floor=EXIT_THRESHOLD)
    except EstimationError:
        return found
    return found | {
        "gbm_m": growth.m,
        "gbm_sigma2": growth.sigma**2,
        "gbm_exit_rate": growth.exit_rate,
    }
