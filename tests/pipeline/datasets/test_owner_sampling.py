"""Errors of the Hub's statistics are those of leaving out its owners one at a time.

Influences over the information that the others leave are one step of that jackknife: exact for
shares, for the other statistics right but for the second order, a few per cent where an owner has a
fiftieth of all models. A bootstrap of whole owners, which knows nothing of influences, finds the
same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from baimo.estimation.arrays import Floats, Ints
from baimo.estimation.attachment.entry import fit_entry
from baimo.estimation.demand.counts import fit_demand_tail
from baimo.estimation.distributions.fit import fit_whole_sample
from baimo.estimation.heterogeneity.poisson_rates import fit_poisson_rates
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.cohorts import cut_cohorts, observed_by_cohort
from baimo.pipeline.analysis.summary_statistics import UNDATED, measure_sample
from baimo.pipeline.datasets.hub import frequency_of_models
from baimo.pipeline.datasets.owner_sampling import measure_owner_sampling
from baimo.pipeline.schema.derived import HUB_COVARIANCES, HUB_SAMPLING
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.statistics import SHARE_ZERO, TAIL_ITEMS, UPPER
from baimo.pipeline.variables import DAYS_PER_YEAR, HUB, HUB_FLOOR, LIKES, Variable, hub_ages

pytestmark = pytest.mark.filterwarnings("ignore::baimo.estimation.errors.ConvergenceWarning")

DAY = date(2024, 7, 11)
N_OWNERS = 150
STATISTICS = (
    "zeta", "share_zero", "top_1pct", "tail_items", "young_in_tail", "zeta_gap",
)  # fmt: skip
CLOSED = ("simon_p", "log_total", "entry_rate", "ces_zeta", "ces_log10_tail")
ONE_STEP, WHOLE_OWNERS = 0.05, 0.1  # relative, of errors: with a formula, and of likelihoods
N_RESAMPLES = 1_000
FEW_MODELS = 30  # below, the logarithm of their number bends within its error
FITTED = (
    "lognormal_mu", "lognormal_sigma", "fitness_mu", "fitness_sigma", "fitness_phi",
)  # fmt: skip


def created(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 7, tzinfo=UTC)


def models_of(
    owners: Ints, sizes: dict[str, Ints], days: Ints, *, undated: int = 0
) -> pl.DataFrame:
    """Return a listing; the first models are from the floor day, so that their age is unknown."""
    born = [created(DAY - timedelta(days=int(d))) for d in days]
    born[:undated] = [created(HUB_FLOOR)] * undated
    return pl.DataFrame(
        {
            "hub_id": [f"id{i:05}" for i in range(owners.size)],
            "author": [f"owner{i:04}" for i in owners],
            "created_at": born,
            **sizes,
        }
    )


def of_unequal_owners() -> pl.DataFrame:
    """Return models with Pareto tails whose owners differ in number, size, age and zeros."""
    rng = np.random.default_rng(2)
    n_models = np.minimum(rng.geometric(0.08, N_OWNERS), 30)
    owners = rng.permutation(np.repeat(np.arange(N_OWNERS), n_models))
    n = owners.size
    better, youth, silent = (
        rng.standard_normal(N_OWNERS),
        rng.random(N_OWNERS),
        rng.random(N_OWNERS),
    )
    sizes = {}
    # scale: a hundredth of all has ten times as many; steps: fewer distinct values fit faster
    for variable, scale, step in (("downloads", 1e5, 500), ("likes", 400.0, 1)):
        share = stats.norm.sf(0.4 * better[owners] + math.sqrt(1 - 0.16) * rng.standard_normal(n))
        drawn = np.floor(scale / np.sqrt(share) / step) * step
        sizes[variable] = np.where(rng.random(n) < 0.6 * silent[owners], 0, drawn).astype(int)
    days = 1 + 20 * np.floor(40 * np.sqrt(youth[owners] * rng.random(n)))
    return models_of(owners, sizes, days.astype(int), undated=40)


@pytest.fixture(scope="module")
def listing() -> pl.DataFrame:
    return of_unequal_owners()


@pytest.fixture(scope="module")
def tables(listing: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return measure_owner_sampling(listing, DAY)


def rows_of(tables: dict[str, pl.DataFrame], variable: Variable) -> dict[str, dict[str, float]]:
    rows = tables[HUB_SAMPLING.name].filter(pl.col("measure") == variable.name)
    return {row["name"]: row for row in rows.iter_rows(named=True)}


def covariance_of(
    tables: dict[str, pl.DataFrame], variable: Variable, names: tuple[str, ...], column: str
) -> Floats:
    rows = tables[HUB_COVARIANCES.name].filter(pl.col("measure") == variable.name)
    found = {(r["first"], r["second"]): r[column] for r in rows.iter_rows(named=True)}
    return np.array([[found[(a, b) if (a, b) in found else (b, a)] for b in names] for a in names])


# --- what is measured ----------------------------------------------------------------------------


class Measured:
    """A listing measured model by model, with the x_min and cohorts of all of it."""

    def __init__(self, listing: pl.DataFrame, variable: Variable) -> None:
        self.variable = variable
        self.sizes = listing[variable.name].to_numpy().astype(float)
        _, self.owners = np.unique(listing["author"].to_numpy(), return_inverse=True)
        days = np.array([(DAY - d.date()).days for d in listing["created_at"]])
        dated = np.array([d.date() > HUB_FLOOR for d in listing["created_at"]])
        self.ages = np.where(dated, (days + 0.5) / DAYS_PER_YEAR, np.nan)
        frequency = frequency_of_models(listing)
        _, self.horizon = hub_ages(frequency, DAY)
        edges = cut_cohorts(frequency, DAY).edges
        where = np.searchsorted(edges, np.nan_to_num(self.ages, nan=-1.0), side="right") - 1
        self.cohorts = np.where(dated, where, UNDATED)
        self.n_whole = self.sizes.size
        self.x_min = fit_tail(self.sizes).x_min
        self.x_demand = fit_demand_tail(self.sizes).x_min

    def at(self, weights: Ints) -> dict[str, float]:
        """Return statistics and parameters where each model is there so many times.

        Numbers of models, and their total, are those of as many models as there are in all.
        """
        there = weights > 0
        sizes, w, n = self.sizes[there], weights[there], self.n_whole
        ages, cohorts = self.ages[there], self.cohorts[there]
        parts = {
            int(c): Counts.from_pairs(sizes[cohorts == c], w[cohorts == c])
            for c in np.unique(cohorts)
        }
        found = measure_sample(parts, self.variable, self.x_min)
        tail = fit_demand_tail(Counts.from_pairs(sizes, w), x_min=self.x_demand)
        dated = np.isfinite(ages)
        cuts = [(TAIL_ITEMS.name, self.x_min), ("ces_log10_tail", self.x_demand)]
        cuts += [(s.name, cut) for s, cut in UPPER[self.variable.name]]
        mean = np.average(sizes, weights=w)
        return {
            **{name: found[name] for name in STATISTICS},
            "simon_p": np.average(sizes > 0, weights=w) / mean,
            "log_total": math.log(n * mean),
            "entry_rate": fit_entry(ages[dated], w[dated], horizon=self.horizon).rate,
            "ces_zeta": tail.zeta,
            **{
                name: math.log10(1.0 + n * np.average(sizes >= cut, weights=w))
                for name, cut in cuts
            },
        }

    @property
    def every(self) -> Ints:
        """Return each model once."""
        return np.ones(self.sizes.size, dtype=np.int64)

    def smooth_at(self, weights: Ints) -> dict[str, float]:
        """Return the same, with a top 1 % that takes in a model by and by.

        It ends within the last model that belongs to it, where the share of the total is smooth
        in the weights.
        """
        positive = self.sizes > 0
        inside = max(1.0, round(0.01 * np.sum(positive))) - 0.2
        order = np.argsort(-self.sizes)
        items = np.cumsum((weights * positive)[order])
        held = np.cumsum((weights * self.sizes)[order])
        number = inside * items[-1] / np.sum(positive)
        top = np.interp(number, [0, *items], [0, *held]) / held[-1]
        return self.at(weights) | {"top_1pct": float(top)}

    def jackknife(self, measured: Callable[[Ints], dict[str, float]]) -> tuple[list[str], Floats]:
        """Return names and covariance of what moves when each owner is left out."""
        n = int(self.owners.max()) + 1
        rows = [measured(1 - (self.owners == owner)) for owner in range(n)]
        moved = np.array([list(row.values()) for row in rows])
        centred = moved - moved.mean(axis=0)
        return list(rows[0]), (n - 1) / n * centred.T @ centred


@pytest.mark.parametrize("variable", HUB, ids=lambda v: v.name)
def test_each_statistic_is_that_which_data_and_simulations_are_measured_in(
    listing: pl.DataFrame, tables: dict[str, pl.DataFrame], variable: Variable
) -> None:
    frequency = frequency_of_models(listing)
    sample = observed_by_cohort(frequency, cut_cohorts(frequency, DAY), DAY)[variable.name]
    x_min = fit_tail(listing[variable.name].to_numpy()).x_min
    expected = measure_sample(sample, variable, x_min)
    found = rows_of(tables, variable)
    judged = [*STATISTICS, *(s.name for s, _ in UPPER[variable.name])]
    assert {name: found[name]["value"] for name in judged} == pytest.approx(
        {name: expected[name] for name in judged}, rel=1e-9
    )
    assert {*judged, *CLOSED, *FITTED} <= found.keys()


@pytest.mark.parametrize("variable", HUB, ids=lambda v: v.name)
def test_errors_are_those_of_leaving_out_each_owner(
    listing: pl.DataFrame, tables: dict[str, pl.DataFrame], variable: Variable
) -> None:
    measured = Measured(listing, variable)
    names, exact = measured.jackknife(measured.smooth_at)
    found = rows_of(tables, variable)
    assert {name: found[name]["value"] for name in names} == pytest.approx(
        measured.at(measured.every), rel=1e-9
    )
    errors = np.sqrt(np.diag(exact))
    for name, error in zip(names, errors, strict=True):
        assert found[name]["std_error"] == pytest.approx(error, rel=ONE_STEP), name
    ours = covariance_of(tables, variable, tuple(names), "covariance")
    assert np.abs((ours - exact) / np.outer(errors, errors)).max() < 2 * ONE_STEP
    for name in (SHARE_ZERO.name, "young_in_tail"):  # exact, but for the mean of the moves
        exact_error = errors[names.index(name)] * math.sqrt(N_OWNERS / (N_OWNERS - 1))
        assert found[name]["std_error"] == pytest.approx(exact_error, rel=1e-3)
    # owners whose models are alike leave less to average over
    assert found[SHARE_ZERO.name]["design_effect"] > 1.5


@pytest.mark.parametrize("variable", HUB, ids=lambda v: v.name)
def test_errors_are_the_spread_of_a_bootstrap_of_whole_owners(
    listing: pl.DataFrame, tables: dict[str, pl.DataFrame], variable: Variable
) -> None:
    """Within four Monte Carlo errors of the spread, and what one step leaves to curvature.

    The standard deviation of R draws of kurtosis k has the relative error sqrt((k - 1) / 4R). One
    step leaves .05, .1 to the logarithm of few models (4,000 resamples: at most .04, and .07).
    """
    measured, found = Measured(listing, variable), rows_of(tables, variable)
    rng = np.random.default_rng(8)
    times = rng.multinomial(N_OWNERS, np.full(N_OWNERS, 1 / N_OWNERS), N_RESAMPLES)
    drawn = [measured.smooth_at(each[measured.owners]) for each in times]
    for name in drawn[0]:
        values = np.array([row[name] for row in drawn])
        spread, error = float(values.std(ddof=1)), found[name]["std_error"]
        monte_carlo = math.sqrt((stats.kurtosis(values, fisher=False) - 1) / (4 * N_RESAMPLES))
        few = name.startswith("items_") and 10 ** found[name]["value"] < FEW_MODELS
        allowed = 4 * monte_carlo + (2 * ONE_STEP if few else ONE_STEP)
        assert abs(spread / error - 1) < allowed, name
        if found[name]["design_effect"] > 2:  # errors of independent models would be found out
            independent = error / math.sqrt(found[name]["design_effect"])
            assert spread / independent - 1 > allowed, name


def test_zeros_have_the_variance_of_a_share_in_clusters(
    listing: pl.DataFrame, tables: dict[str, pl.DataFrame]
) -> None:
    for variable in HUB:
        row = rows_of(tables, variable)[SHARE_ZERO.name]
        owners = listing.group_by("author").agg(
            zeros=(pl.col(variable.name) == 0).sum(), n=pl.len()
        )
        n, share = listing.height, row["value"]
        others = n - owners["n"].to_numpy()
        of_owner = (owners["zeros"] - share * owners["n"]).to_numpy() / others
        assert row["std_error"] ** 2 == pytest.approx(np.sum(of_owner**2), rel=1e-9)
        independent = share * (1 - share) * n / (n - 1) ** 2
        assert row["design_effect"] == pytest.approx(np.sum(of_owner**2) / independent, rel=1e-9)
        # owners of equal influence, as many as have this spread between them
        kish = np.sum(of_owner**2) ** 2 / np.sum(of_owner**4)
        assert row["effective_owners"] == pytest.approx(kish, rel=1e-9)


def test_one_owner_is_left_out_and_all_is_measured_anew(
    listing: pl.DataFrame, tables: dict[str, pl.DataFrame]
) -> None:
    for variable in HUB:
        measured, found = Measured(listing, variable), rows_of(tables, variable)
        whole = found["zeta"]["value"]
        alone = [measured.owners == owner for owner in range(N_OWNERS)]
        moves = [measured.at(1 - own)["zeta"] - whole for own in alone]
        largest = alone[int(np.argmax(np.abs(moves)))]
        rest = Measured(listing, variable)
        for name in ("sizes", "owners", "ages", "cohorts"):
            setattr(rest, name, getattr(rest, name)[~largest])
        expected = rest.at(rest.every)
        assert {name: found[name]["without_largest"] for name in expected} == pytest.approx(
            expected, rel=1e-9
        )
        # its error is that of the rest, the others left out of it, numbers still those of all
        _, rest.owners = np.unique(rest.owners, return_inverse=True)
        names, exact = rest.jackknife(rest.smooth_at)
        for name, error in zip(names, np.sqrt(np.diag(exact)), strict=True):
            assert found[name]["std_error_without"] == pytest.approx(error, rel=ONE_STEP), name
        ours = covariance_of(tables, variable, tuple(names), "without_largest")
        assert np.sqrt(np.diag(ours)) == pytest.approx(
            [found[name]["std_error_without"] for name in names], rel=1e-9
        )


# --- likelihoods ---------------------------------------------------------------------------------


def test_fitted_parameters_have_the_errors_of_refits_without_each_owner() -> None:
    rng, n_owners = np.random.default_rng(4), 60
    owners = rng.permutation(np.repeat(np.arange(n_owners), 15))
    days = rng.integers(1, 6, owners.size) * 120
    better = rng.normal(0, 0.5, n_owners)[owners]
    rate = np.exp(1.5 + better + 0.9 * rng.standard_normal(owners.size))
    likes = rng.poisson(rate * (days + 0.5) / 365.25)
    likes[:8] = 5_000  # of the sizes from which numbers are counted
    listing = models_of(owners, {"likes": likes, "downloads": 250 * likes}, days)
    found = rows_of(measure_owner_sampling(listing, DAY), LIKES)
    measured = Measured(listing, LIKES)

    def refitted(weights: Ints) -> dict[str, float]:
        there = weights > 0
        sizes, w = measured.sizes[there], weights[there]
        law = fit_whole_sample(Counts.from_pairs(sizes, w), "discretised_lognormal").parameters
        fit = fit_poisson_rates(measured.ages[there], sizes, w)
        values = (law["mu"], law["sigma"], fit.mu, fit.sigma, fit.phi)
        return dict(zip(FITTED, values, strict=True))

    whole = refitted(measured.every)
    assert {name: found[name]["value"] for name in FITTED} == pytest.approx(whole, rel=1e-6)
    _, exact = measured.jackknife(refitted)
    for name, error in zip(FITTED, np.sqrt(np.diag(exact)), strict=True):
        assert found[name]["std_error"] == pytest.approx(error, rel=WHOLE_OWNERS), name
    alone = [measured.owners == owner for owner in range(n_owners)]
    moves = [measured.at(1 - own)["zeta"] - found["zeta"]["value"] for own in alone]
    without = refitted(1 - alone[int(np.argmax(np.abs(moves)))])
    for name in FITTED:  # one step, not a refit
        moved = without[name] - whole[name]
        gap = found[name]["without_largest"] - without[name]
        assert abs(gap) < WHOLE_OWNERS * max(abs(moved), found[name]["std_error"]), name


# --- owners --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def few(listing: pl.DataFrame) -> pl.DataFrame:
    """Return the models of sixty owners."""
    return listing.filter(pl.col("author") < "owner0060")


@pytest.fixture(scope="module")
def of_few(few: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return measure_owner_sampling(few, DAY)


@pytest.fixture(scope="module")
def lone(few: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return what is found where each owner has one model only."""
    return measure_owner_sampling(few.with_columns(author="hub_id"), DAY)


def same(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> bool:
    """Whether all tables are alike but for the order of sums."""
    for name, table in one.items():
        left, right = (t.select(pl.exclude(pl.String)) for t in (table, other[name]))
        if table.select(pl.col(pl.String)).equals(other[name].select(pl.col(pl.String))):
            scale = np.abs(left.to_numpy()).max(axis=1, keepdims=True)
            if np.all(np.abs(left.to_numpy() - right.to_numpy()) <= 1e-8 * scale):
                continue
        return False
    return True


def test_models_of_owners_of_their_own_are_independent(lone: dict[str, pl.DataFrame]) -> None:
    sampling, covariances = lone[HUB_SAMPLING.name], lone[HUB_COVARIANCES.name]
    assert sampling["design_effect"].to_numpy() == pytest.approx(np.ones(sampling.height))
    diagonal = covariances.filter(pl.col("first") == pl.col("second"))
    scale = dict(zip(zip(diagonal["measure"], diagonal["first"], strict=True),
                     np.sqrt(diagonal["independent"].to_numpy()), strict=True))  # fmt: skip
    for row in covariances.iter_rows(named=True):
        unit = scale[row["measure"], row["first"]] * scale[row["measure"], row["second"]]
        assert row["covariance"] == pytest.approx(row["independent"], abs=1e-9 * unit)


def test_the_independent_part_does_not_know_of_owners(
    of_few: dict[str, pl.DataFrame], lone: dict[str, pl.DataFrame]
) -> None:
    key = ["measure", "first", "second", "independent"]
    with_owners, without = (t[HUB_COVARIANCES.name].select(key) for t in (of_few, lone))
    assert same({"": with_owners}, {"": without})


def test_owners_may_have_any_names_and_stand_in_any_order(
    few: pl.DataFrame, of_few: dict[str, pl.DataFrame]
) -> None:
    names = np.random.default_rng(5).permutation(60)
    numbers = few["author"].str.slice(5).cast(pl.Int64).to_numpy()
    renamed = few.with_columns(author=pl.Series([f"{names[i]} of them" for i in numbers]))
    shuffled = renamed.sample(fraction=1.0, shuffle=True, seed=6)
    assert same(measure_owner_sampling(shuffled, DAY), of_few)


def test_a_model_without_an_owner_is_one_of_its_own(few: pl.DataFrame) -> None:
    some = pl.int_range(pl.len()) % 5 == 0
    null, own = (
        few.with_columns(author=pl.when(some).then(other).otherwise("author"))
        for other in (None, "hub_id")
    )
    assert same(measure_owner_sampling(null, DAY), measure_owner_sampling(own, DAY))


def test_where_hardly_any_has_an_owner_all_are_of_their_own(
    few: pl.DataFrame, lone: dict[str, pl.DataFrame]
) -> None:
    most = few.with_columns(author=pl.when(pl.int_range(pl.len()) % 5 == 0).then("author"))
    assert same(measure_owner_sampling(most, DAY), lone)


# --- tables --------------------------------------------------------------------------------------


def test_the_tables_are_as_they_are_described_and_name_no_owner(
    tables: dict[str, pl.DataFrame],
) -> None:
    for table in (HUB_SAMPLING, HUB_COVARIANCES):
        found = tables[table.name]
        assert found.schema == pl.Schema(table.schema)
        assert validate(found, table).quarantine.is_empty()
    words = pl.concat([t.select(pl.col(pl.String)).unpivot()["value"] for t in tables.values()])
    assert not words.str.contains("owner|id0").any()


def pairs(names: list[str]) -> Iterator[tuple[str, str]]:
    for i, first in enumerate(names):
        for second in names[i:]:
            yield first, second


def test_each_pair_of_names_is_there_once(tables: dict[str, pl.DataFrame]) -> None:
    for variable in HUB:
        names = list(rows_of(tables, variable))
        rows = tables[HUB_COVARIANCES.name].filter(pl.col("measure") == variable.name)
        assert list(rows.select("first", "second").iter_rows()) == list(pairs(names))
        diagonal = rows.filter(pl.col("first") == pl.col("second"))
        errors = [row["std_error"] for row in rows_of(tables, variable).values()]
        assert np.sqrt(diagonal["covariance"].to_numpy()) == pytest.approx(errors)


def test_too_few_models_say_nothing(listing: pl.DataFrame) -> None:
    found = measure_owner_sampling(listing.tail(30), DAY)
    for table in (HUB_SAMPLING, HUB_COVARIANCES):
        assert found[table.name].is_empty()
        assert found[table.name].schema == pl.Schema(table.schema)
