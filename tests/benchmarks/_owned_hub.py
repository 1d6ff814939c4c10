"""Listings of the Hub drawn from a law: days of creation and owners like the Hub's.

A truth turns the age of each model and a normal score into its size. Independent scores make
independent models. Scores with a part in common among the models of one owner leave the law of
each model what it is and make those of one owner alike, a Gaussian copula: exactly that of sizes
where they are settled by the score alone (lognormal, double Pareto-lognormal), and that of rates,
expectations or tastes where counts are Poisson given these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from scipy import special

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.demand.counts import fit_demand_tail, log_smallest_demand
from baimo.estimation.distributions.densities import DoubleParetoLognormal
from baimo.estimation.distributions.fit import WholeSampleFit, fit_whole_sample
from baimo.estimation.errors import EstimationError
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit, fit_poisson_rates
from baimo.estimation.samples.counts import LARGEST_EXACT, Counts
from baimo.pipeline.datasets.owner_sampling import LAWS
from baimo.pipeline.models.attachment import AttachmentCalibration, calibrate_attachment
from baimo.pipeline.sources.reference import load_ready, load_reference
from baimo.pipeline.variables import (
    DAYS_PER_YEAR,
    HUB,
    HUB_FLOOR,
    LIKES,
    VARIABLES,
    expand,
    hub_ages,
    hub_counts,
    own_labels,
)
from tests.benchmarks.clustered_size import dependent_scores
from tests.pipeline.synthetic import NO_EFFECTS

Truth = Callable[[Floats, Floats, np.random.Generator], Floats]
"""Sizes of models of given ages (years) and normal scores."""
POINTS = 8_000
REACH = 9.0  # normal scores


@dataclass(frozen=True, eq=False)
class Hub:
    """Who has which models, and of when they are.

    Parameters
    ----------
    day
        Of the listing.
    created_on : (n,) days since 1970
        Of each model.
    owner : (n,)
        Number of its owner, from 0.
    sizes
        Recorded downloads and likes, (n,) each; nothing where owners are dealt at random.
    """

    day: date
    created_on: Ints
    owner: Ints
    sizes: Mapping[str, Ints] = field(default_factory=dict)

    @classmethod
    def published(cls) -> Hub:
        """Return the bundled listing, with owners of the published sizes dealt at random."""
        models, day = reference_models()
        sizes = expand(load_ready()["hub_authors"], "n_authors")["n_models"].to_numpy()
        owner = np.repeat(np.arange(sizes.size), sizes)
        dealt = np.random.default_rng(0).permutation(owner)
        return cls(day, _since_1970(models["created_on"]), dealt[: models.height])

    @classmethod
    def recorded(cls, file: Path) -> Hub:
        """Return a recorded listing: author, created_at, and downloads and likes if it has them."""
        models = pl.read_parquet(file)
        created = models["created_at"].dt.date()
        day = created.max()
        assert isinstance(day, date)
        owner = np.unique(own_labels(models["author"].rank("dense")), return_inverse=True)[1]
        sizes = {v.name: models[v.name].to_numpy() for v in HUB if v.name in models.columns}
        return cls(day, _since_1970(created), owner.astype(np.int64), sizes)

    def independent(self, n: int, rng: np.random.Generator) -> pl.DataFrame:
        """Return created_on and owner of n models at random, each of an owner of its own."""
        rows = np.arange(n)
        if n < self.owner.size:
            rows = rng.choice(self.owner.size, n, replace=False)
        return self._listing(rows, np.arange(n))

    def owned(self, n: int, rng: np.random.Generator) -> pl.DataFrame:
        """Return n models of owners at random with all that is theirs, but for the last."""
        return self._listing(*self._rows_of(rng.permutation(self._n_owners), n))

    def resampled(self, n: int, rng: np.random.Generator) -> pl.DataFrame:
        """Return the same of owners drawn with replacement, with their recorded sizes."""
        chosen = rng.integers(self._n_owners, size=2 * self._n_owners)
        rows, owner = self._rows_of(chosen, n)
        sizes = {name: pl.Series(column[rows]) for name, column in self.sizes.items()}
        return self._listing(rows, owner).with_columns(**sizes)

    def whole(self) -> pl.DataFrame:
        """Return all models with their recorded sizes."""
        rows = self._listing(np.arange(self.owner.size), self.owner)
        return rows.with_columns(**{name: pl.Series(c) for name, c in self.sizes.items()})

    @property
    def _n_owners(self) -> int:
        return int(self.owner.max()) + 1

    def _rows_of(self, chosen: Ints, n: int) -> tuple[Ints, Ints]:
        """Return the first n models of owners one after the other, and whose they are."""
        each = np.bincount(self.owner)
        held = each[chosen]
        last = int(np.searchsorted(np.cumsum(held), n)) + 1
        chosen, held = chosen[:last], held[:last]
        begins = (np.cumsum(each) - each)[chosen]
        within = np.arange(held.sum()) - np.repeat(np.cumsum(held) - held, held)
        rows = np.argsort(self.owner, kind="stable")[np.repeat(begins, held) + within]
        return rows[:n], np.repeat(np.arange(chosen.size), held)[:n]

    def _listing(self, rows: Ints, owner: Ints) -> pl.DataFrame:
        created = pl.Series(self.created_on[rows], dtype=pl.Int32).cast(pl.Date)
        return pl.DataFrame({"created_on": created, "owner": owner.astype(np.int64)})


def _since_1970(days: pl.Series) -> Ints:
    return days.cast(pl.Int32).to_numpy().astype(np.int64)


def with_sizes(
    listing: pl.DataFrame, truth: Truth, day: date, rho: float, rng: np.random.Generator
) -> pl.DataFrame:
    """Give each model of a listing its size by a truth, as downloads and as likes.

    A model whose age is not known has the age of the floor day.
    """
    born = _since_1970(listing["created_on"])
    last, floor = ((of - date(1970, 1, 1)).days for of in (day, HUB_FLOOR))
    ages = (last - np.maximum(born, floor) + 0.5) / DAYS_PER_YEAR
    scores = dependent_scores(listing["owner"].to_numpy(), rho, rng)
    sizes = np.minimum(truth(ages, scores, rng), LARGEST_EXACT).astype(np.int64)
    return listing.with_columns(downloads=pl.Series(sizes), likes=pl.Series(sizes))


@cache
def reference_models() -> tuple[pl.DataFrame, date]:
    """Return the bundled models, one a row, and their day."""
    loaded = load_reference()
    models = loaded.frames["hub_models"]
    columns = {"created_on": pl.col("created_at").dt.date()}
    return models.select("downloads", "likes", **columns), loaded.day


def tabulated(listing: pl.DataFrame) -> pl.DataFrame:
    """Return models by day of creation and sizes."""
    key = ["created_on", "downloads", "likes"]
    return listing.group_by(key).agg(n_models=pl.len().cast(pl.Int64)).sort(key)


def fit_laws(counts: Counts) -> dict[str, WholeSampleFit]:
    """Fit the laws of all sizes, by name; one that cannot be fitted is not there."""
    found = {}
    for name in LAWS.values():
        with suppress(EstimationError):
            found[name] = fit_whole_sample(counts, name)
    return found


def fit_rates_of(frequency: pl.DataFrame, measure: str, day: date) -> PoissonRatesFit | None:
    """Fit lognormal rates to one variable over ages; None where they cannot be fitted."""
    dated, _ = hub_ages(frequency, day)
    pairs = dated.group_by("age", measure).agg(pl.col("n_models").sum()).sort("age", measure)
    with suppress(EstimationError):
        return fit_poisson_rates(*(pairs[name].to_numpy() for name in pairs.columns))
    return None


def static_truth(mu: float, sigma: float, alpha: float, beta: float) -> Truth:
    """Return lognormal sizes (alpha and beta infinite) or double Pareto-lognormal ones, rounded.

    The quantile at a score is read off the law's tails on a grid of log sizes; without a normal
    part it has a formula.
    """
    if sigma == 0:
        return lambda ages, z, rng: np.rint(np.exp(mu + _double_exponential(z, alpha, beta)))
    law = DoubleParetoLognormal(mu, sigma, alpha, beta)
    low = mu - REACH * sigma - (0.5 * REACH**2 + 10.0) / beta
    high = mu + REACH * sigma + (0.5 * REACH**2 + 10.0) / alpha
    grid = np.linspace(low, high, POINTS)
    below, above = law.log_tails(grid)
    scores = np.where(below < above, special.ndtri_exp(below), -special.ndtri_exp(above))
    return lambda ages, z, rng: np.rint(np.exp(np.interp(z, scores, grid)))


def _double_exponential(z: Floats, alpha: float, beta: float) -> Floats:
    """Return the difference of two exponentials at a normal score."""
    below = alpha / (alpha + beta)
    left = (special.log_ndtr(z) - math.log(below)) / beta
    right = (math.log1p(-below) - special.log_ndtr(-z)) / alpha
    return np.asarray(np.where(special.ndtr(z) < below, left, right))


def rates_truth(mu: float, sigma: float, phi: float) -> Truth:
    """Return Poisson counts at lognormal rates that change with age: the score is the rate's."""
    return lambda ages, z, rng: _poisson(np.exp(mu + phi * np.log(ages) + sigma * z), rng)


def demand_truth(zeta: float, log_smallest: float) -> Truth:
    """Return Poisson counts whose expectations are Pareto: the score is that of the taste."""
    return lambda ages, z, rng: _poisson(np.exp(log_smallest - special.log_ndtr(-z) / zeta), rng)


def yule_truth(a: float, gamma: float) -> Truth:
    """Return a Yule process, negative binomial given age: the score is that of its gamma mean."""

    def sizes(ages: Floats, z: Floats, rng: np.random.Generator) -> Floats:
        means = special.gammaincinv(a, special.ndtr(z)) * np.expm1(gamma * ages)
        return _poisson(means, rng)

    return sizes


def _poisson(means: Floats, rng: np.random.Generator) -> Floats:
    return rng.poisson(np.minimum(means, LARGEST_EXACT)).astype(np.float64)


def labels_of(measure: str) -> tuple[str, ...]:
    """Return the labels of the truths of a variable."""
    every = ("lognormal", "dPlN", "fitness", "CES")
    return (*every, "Yule") if measure == LIKES.name else every


@cache
def truth_of(measure: str, label: str) -> Truth:
    """Return a model of a variable at what the reference says of it."""
    models, day = reference_models()
    frequency = tabulated(models)
    counts = hub_counts(frequency, VARIABLES[measure])
    if label in ("lognormal", "dPlN"):
        p = fit_whole_sample(counts, LAWS[label.lower()]).parameters
        return static_truth(p["mu"], p["sigma"], p.get("alpha", math.inf), p.get("beta", math.inf))
    if label == "fitness":
        rates = fit_rates_of(frequency, measure, day)
        assert rates is not None
        return rates_truth(rates.mu, rates.sigma, rates.phi)
    tail = fit_demand_tail(counts)
    if label == "CES":
        smallest = log_smallest_demand(tail.zeta, tail.x_min, tail.n_tail / tail.n_obs)
        return demand_truth(tail.zeta, smallest)
    attachment = attachment_of(frequency, day)
    gamma = attachment.entry.rate / tail.zeta
    growth = float(np.sum(np.expm1(gamma * attachment.ages) * attachment.n_models))
    return yule_truth(attachment.simon_likes.total / growth, gamma)


def attachment_of(frequency: pl.DataFrame, day: date) -> AttachmentCalibration:
    """Calibrate preferential attachment on a listing."""
    downloads, likes = (hub_counts(frequency, VARIABLES[m]) for m in ("downloads", "likes"))
    return calibrate_attachment(frequency, downloads, likes, NO_EFFECTS, day)
