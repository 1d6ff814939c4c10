"""How surely the Hub's statistics, and the models fitted to it, are known when owners differ.

One owner's models are not independent draws. Every statistic by which models are judged, and every
parameter of a model of the Hub, has an influence of each model on it; what each owner moves gives
the covariance of all of them together (one step of the delete-an-owner jackknife), and what they
are without the owner who moves the exponent of the tail most. The result is small and carries no
owner.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.attachment.entry import age_variance, fit_entry
from baimo.estimation.demand.counts import demand_tail_influence, fit_demand_tail
from baimo.estimation.distributions.fit import fit_whole_sample, law_influence
from baimo.estimation.errors import ConvergenceWarning, DataError, EstimationError
from baimo.estimation.heterogeneity.poisson_rates import fit_poisson_rates, rates_log_likelihood
from baimo.estimation.samples.counts import Counts
from baimo.estimation.samples.influence import (
    cluster_moves,
    likelihood_influence,
    log10_number_influence,
    share_influence,
    top_share_influence,
    zeta_influence,
)
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.datasets.design_effects import owner_numbers
from baimo.pipeline.schema.derived import HUB_COVARIANCES, HUB_SAMPLING
from baimo.pipeline.statistics import (
    SHARE_ZERO,
    TAIL_ITEMS,
    TOP_1PCT,
    UPPER,
    YOUNG_COHORTS,
    YOUNG_IN_TAIL,
    ZETA,
    ZETA_GAP,
    zeta_of_cohort,
)
from baimo.pipeline.variables import HUB, N_COHORTS, Variable, cohort_edges, hub_ages

LAWS = {"lognormal": "discretised_lognormal", "dpln": "discretised_double_pareto_lognormal"}
"""Short name in parameters -> law of the whole sample."""


class Known(NamedTuple):
    """An estimate, the influence on it of one model of each cell, and what that adds to its base.

    The base is what the estimate is divided by: the models of which a share is taken, or above
    x_min; None where no owner has a share of it that matters. `less` is what is taken off.
    """

    name: str
    value: float
    influence: Floats
    base: Floats | None = None
    less: Known | None = None

    def moves(self, place: Ints, owners: Ints) -> Floats:
        """Return what each owner raises the estimate by."""
        own = cluster_moves(self.influence, place, owners, self.base)
        return own if self.less is None else own - self.less.moves(place, owners)

    def of_each(self, n_models: Floats) -> Floats:
        """Return what one model of each cell, of so many, raises the estimate by."""
        own = self.influence
        if self.base is not None:
            own = own / (1.0 - self.base / float(self.base @ n_models))
        return own if self.less is None else own - self.less.of_each(n_models)


@dataclass(frozen=True, eq=False)
class Cells:
    """Models of the Hub by size and age.

    Parameters
    ----------
    sizes, ages, cohorts : (n,)
        Of each cell; age NaN and cohort -1 where it is not known.
    n_models : (n,)
        Models in each.
    horizon
        Length of history in years.
    n_whole
        Models of the whole listing, to which numbers and totals are brought where some are left
        out: models of the data draw as many.
    """

    sizes: Floats
    ages: Floats
    cohorts: Ints
    n_models: Floats
    horizon: float
    n_whole: float

    @property
    def scale(self) -> float:
        """Models of the whole listing for each that is here."""
        return self.n_whole / float(self.n_models.sum())

    @property
    def counts(self) -> Counts:
        """The sizes of all models."""
        there = self.n_models > 0
        return Counts.from_pairs(self.sizes[there], self.n_models[there])

    def by_size(self) -> tuple[Floats, Floats, Ints]:
        """Return distinct sizes, models of each, and the place of each cell's size."""
        values, place = np.unique(self.sizes, return_inverse=True)
        n_models = np.bincount(place, weights=self.n_models).astype(np.float64)
        return values, n_models, place.astype(np.int64)


def measure_owner_sampling(models: pl.DataFrame, day: date) -> dict[str, pl.DataFrame]:
    """Return the tables `hub_sampling` and `hub_covariances` of a listing.

    A model without an owner is one of its own; where hardly any has one, all are.
    """
    table = models.select(
        pl.col("created_at").dt.date().alias("created_on"), "downloads", "likes", "author", "hub_id"
    )
    named = owner_numbers(table)
    owners = np.arange(table.height) if named is None else named - 1
    found = [
        sampling_of(table.with_columns(owner=pl.Series(owners)), variable, day) for variable in HUB
    ]
    return {
        HUB_SAMPLING.name: pl.concat([sampling for sampling, _ in found]),
        HUB_COVARIANCES.name: pl.concat([covariances for _, covariances in found]),
    }


def sampling_of(
    table: pl.DataFrame, variable: Variable, day: date
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of both tables of one variable, none where it has no tail.

    Parameters
    ----------
    table
        One row a model: created_on, the sizes, and the number of its owner from 0.
    """
    try:
        cells, place = cut_cells(table, variable, day)
        x_min, x_demand = fit_tail(cells.counts).x_min, fit_demand_tail(cells.counts).x_min
    except EstimationError:
        return _sampling(variable, {}), _covariances(variable, [], {})
    owners = table["owner"].to_numpy()
    closed = _closed(cells, variable, x_min, x_demand)
    fitted = {k.name: k for k in _fitted(cells)}
    moves = _moves({**closed, **fitted}, place, owners)
    largest = int(np.argmax(np.abs(moves[ZETA.name])))
    its = np.bincount(place[owners == largest], minlength=cells.sizes.size)
    rest = replace(cells, n_models=cells.n_models - its)
    again = _closed(rest, variable, x_min, x_demand)
    moved = {k.name: k._replace(value=k.value - float(its @ k.influence)) for k in fitted.values()}
    known, without = ({**a, **b} for a, b in ((closed, fitted), (again, moved)))
    kept = owners != largest
    rest_moves = _moves(without, place[kept], owners[kept])
    both = [
        name
        for name, k in known.items()
        if name in without
        and np.any(k.influence)  # else it is known for certain
        and np.all(np.isfinite(moves[name]))  # else one owner is all that there is
        and np.all(np.isfinite(rest_moves[name]))
    ]
    each = np.stack([known[name].of_each(cells.n_models) for name in both], axis=1)
    clustered, alone = (np.stack([m[name] for name in both], axis=1) for m in (moves, rest_moves))
    matrices = {
        "covariance": clustered.T @ clustered,
        "independent": each.T @ (each * cells.n_models[:, None]),
        "without_largest": alone.T @ alone,
    }
    squares = clustered**2
    return (
        _sampling(
            variable,
            {
                "name": both,
                "value": [known[name].value for name in both],
                "std_error": np.sqrt(np.diag(matrices["covariance"])),
                "design_effect": np.diag(matrices["covariance"]) / np.diag(matrices["independent"]),
                "effective_owners": squares.sum(axis=0) ** 2 / (squares**2).sum(axis=0),
                "without_largest": [without[name].value for name in both],
                "std_error_without": np.sqrt(np.diag(matrices["without_largest"])),
            },
        ),
        _covariances(variable, both, matrices),
    )


def _moves(known: Mapping[str, Known], place: Ints, owners: Ints) -> dict[str, Floats]:
    """Return what each owner raises each estimate by."""
    return {name: k.moves(place, owners) for name, k in known.items()}


def cut_cells(table: pl.DataFrame, variable: Variable, day: date) -> tuple[Cells, Ints]:
    """Return the cells of a listing, and the cell of each model.

    Parameters
    ----------
    table
        One row a model: created_on and the sizes.

    Raises
    ------
    DataError
        No model has a known age.
    """
    key = ["created_on", variable.name]
    cells = table.group_by(key).agg(n_models=pl.len().cast(pl.Int64)).sort(key)
    cells = cells.with_row_index("cell")
    place = table.join(cells.select(*key, "cell"), on=key, how="left", maintain_order="left")
    dated, horizon = hub_ages(cells, day)
    if dated.is_empty():
        raise DataError("no model has a known age: there are no cohorts")
    by_age = dated.group_by("age").agg(pl.col("n_models").sum()).sort("age")
    edges = cohort_edges(by_age["age"].to_numpy(), by_age["n_models"].to_numpy())
    ages = np.full(cells.height, np.nan)
    ages[dated["cell"].to_numpy()] = dated["age"].to_numpy()
    cohorts = np.searchsorted(edges, np.nan_to_num(ages, nan=-1.0), side="right") - 1
    return (
        Cells(
            sizes=cells[variable.name].to_numpy().astype(np.float64),
            ages=ages,
            cohorts=cohorts,
            n_models=cells["n_models"].to_numpy().astype(np.float64),
            horizon=horizon,
            n_whole=float(table.height),
        ),
        place["cell"].to_numpy().astype(np.int64),
    )


def statistics_of(cells: Cells, variable: Variable, x_min: float) -> Iterator[Known]:
    """Yield the statistics by which models of a variable are judged, and zeta of each cohort.

    Raises
    ------
    EstimationError
        One does not exist; those before it were yielded.
    """
    sizes, n = cells.sizes, cells.n_models
    every, large = np.ones(sizes.size), (sizes >= x_min).astype(float)
    yield Known(SHARE_ZERO.name, *share_influence((sizes == 0).astype(float), every, n), every)
    yield Known(TAIL_ITEMS.name, *log10_number_influence(large, n, cells.scale), every)
    for statistic, cut in UPPER[variable.name]:
        inside = (sizes >= cut).astype(float)
        yield Known(statistic.name, *log10_number_influence(inside, n, cells.scale), every)
    yield _zeta(cells, ZETA.name, every, x_min)
    values, multiplicities, place = cells.by_size()
    held, influence = top_share_influence(values, multiplicities, 0.01)
    yield Known(TOP_1PCT.name, held, influence[place], sizes)
    dated, young = (cells.cohorts >= 0).astype(float), (cells.cohorts < YOUNG_COHORTS).astype(float)
    within = dated * large
    yield Known(YOUNG_IN_TAIL.name, *share_influence(young, within, n), within)
    by_age = {}
    for c in range(N_COHORTS):
        with suppress(EstimationError):  # a cohort without a tail
            inside = (cells.cohorts == c).astype(float)
            by_age[c] = _zeta(cells, zeta_of_cohort(c), inside, x_min)
    if by_age.keys() >= {0, N_COHORTS - 1}:
        youngest, oldest = by_age[0], by_age[N_COHORTS - 1]
        gap = oldest.value - youngest.value
        yield oldest._replace(name=ZETA_GAP.name, value=gap, less=youngest)
    yield from by_age.values()


def _zeta(cells: Cells, name: str, inside: Floats, x_min: float) -> Known:
    n = cells.n_models * inside
    there = n > 0
    tail = fit_tail(Counts.from_pairs(cells.sizes[there], n[there]), x_min=x_min)
    influence = zeta_influence(cells.sizes, n, x_min, alpha=tail.alpha, discrete=True)
    return Known(name, tail.zeta, inside * influence, inside * (cells.sizes >= x_min))


def _closed(cells: Cells, variable: Variable, x_min: float, x_demand: float) -> dict[str, Known]:
    """Return the statistics, and the parameters that have a formula, as far as they exist."""
    found: dict[str, Known] = {}
    for part in (
        statistics_of(cells, variable, x_min),
        _simon(cells),
        _entry(cells),
        _demand(cells, x_demand),
    ):
        with suppress(EstimationError):
            for known in part:
                found[known.name] = known
    return found


def _simon(cells: Cells) -> Iterator[Known]:
    sizes, n = cells.sizes, cells.n_models
    total, positive = float(sizes @ n), (sizes > 0).astype(float)
    p = float(positive @ n) / total
    yield Known("simon_p", p, (positive - p * sizes) / total, sizes)
    yield Known("log_total", math.log(total * cells.scale), sizes / total - 1.0 / n.sum())


def _entry(cells: Cells) -> Iterator[Known]:
    dated = np.isfinite(cells.ages)
    n = cells.n_models[dated]
    entry = fit_entry(cells.ages[dated], n, horizon=cells.horizon)
    ages = np.where(dated, entry.mean_age - np.nan_to_num(cells.ages), 0.0)
    yield Known(
        "entry_rate",
        entry.rate,
        ages / (n.sum() * age_variance(entry.rate, cells.horizon)),
        dated.astype(float),
    )


def _demand(cells: Cells, x_min: float) -> Iterator[Known]:
    """Yield zeta and size of the tail of demand, above an x_min as given."""
    sizes, n = cells.sizes, cells.n_models
    tail = fit_demand_tail(cells.counts, x_min=x_min)
    large, every = (sizes >= tail.x_min).astype(float), np.ones(sizes.size)
    yield Known("ces_zeta", tail.zeta, demand_tail_influence(sizes, n, tail), large)
    yield Known("ces_log10_tail", *log10_number_influence(large, n, cells.scale), every)


def _fitted(cells: Cells) -> Iterator[Known]:
    """Yield the parameters of the likelihoods of all sizes, and of sizes over ages."""
    values, multiplicities, place = cells.by_size()
    for short, name in LAWS.items():
        with suppress(EstimationError), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # then it has errors of its own
            law = fit_whole_sample(cells.counts, name)
            moved = law_influence(law, values, multiplicities) if law.converged else {}
            for p, column in moved.items():
                yield Known(f"{short}_{p}", law.parameters[p], column[place])
    dated = np.isfinite(cells.ages)
    with suppress(EstimationError):
        ages, sizes, n = cells.ages[dated], cells.sizes[dated], cells.n_models[dated]
        fit = fit_poisson_rates(ages, sizes, n)
        influence = likelihood_influence(
            lambda at: rates_log_likelihood(at, ages, sizes),
            np.array([fit.mu, fit.sigma, fit.phi]),
            np.sqrt(np.diag(fit.covariance)),
            n,
        )
        for i, p in enumerate(("mu", "sigma", "phi")):
            every = np.zeros(cells.sizes.size)
            every[dated] = influence[:, i]
            yield Known(f"fitness_{p}", (fit.mu, fit.sigma, fit.phi)[i], every)


def _sampling(variable: Variable, columns: Mapping[str, Floats | list[Any]]) -> pl.DataFrame:
    if not columns:
        return pl.DataFrame(schema=HUB_SAMPLING.schema)
    measure = [variable.name] * len(columns["name"])
    return pl.DataFrame({"measure": measure, **columns}, schema=HUB_SAMPLING.schema)


def _covariances(
    variable: Variable, names: list[str], matrices: Mapping[str, Floats]
) -> pl.DataFrame:
    rows, columns = np.triu_indices(len(names))
    return pl.DataFrame(
        {
            "measure": [variable.name] * rows.size,
            "first": [names[i] for i in rows],
            "second": [names[j] for j in columns],
            **{kind: matrix[rows, columns] for kind, matrix in matrices.items()},
        }
        if names
        else None,
        schema=HUB_COVARIANCES.schema,
    )
