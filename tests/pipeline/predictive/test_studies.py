"""What the studies of size, power and coverage draw is what they say; they go on where they ended.

The studies themselves are scripts in tests/benchmarks, their tables stand in its README.
"""

import json
import math
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import special

from baimo.estimation.distributions.densities import DoubleParetoLognormal
from baimo.simulation.demand.ces import DemandParams, simulate_arrivals
from tests.benchmarks._growing_protocols import (
    GBM,
    DeFi,
    draw_defi,
    growth_truth,
    reference_defi,
)
from tests.benchmarks._owned_hub import (
    Hub,
    demand_truth,
    rates_truth,
    static_truth,
    with_sizes,
    yule_truth,
)
from tests.benchmarks._restartable import Found, Job, run
from tests.benchmarks.coverage_of_errors import table

N = 40_000
ALPHA, BETA, MU, SIGMA = 0.8, 1.5, 1.0, 1.2
DAY = date(2024, 7, 11)


def share_error(p: float) -> float:
    return 4.0 * math.sqrt(p * (1.0 - p) / N)


class TestTruths:
    @pytest.mark.parametrize(("alpha", "beta"), [(ALPHA, BETA), (math.inf, math.inf)])
    def test_a_static_size_is_the_quantile_of_its_score(self, alpha: float, beta: float) -> None:
        z = np.linspace(-4.0, 5.0, 200)
        sizes = static_truth(MU, SIGMA, alpha, beta)(z, z, np.random.default_rng(0))
        law, rank = DoubleParetoLognormal(MU, SIGMA, alpha, beta), special.ndtr(z)
        near = 1e-4 * np.minimum(rank, 1.0 - rank)  # the grid's
        assert np.all(rank <= law.cdf(sizes + 0.5) + near)
        some = sizes > 0
        assert np.all(law.cdf(sizes[some] - 0.5) <= rank[some] + near[some])

    def test_without_a_normal_part_sizes_are_a_difference_of_exponentials(self) -> None:
        z = np.linspace(-4.0, 5.0, 200)
        found, near = (
            static_truth(5.0, sigma, ALPHA, BETA)(z, z, np.random.default_rng(0))
            for sigma in (0.0, 1e-2)
        )
        # a normal part of variance s^2 moves the tails by alpha s^2/2 and beta s^2/2, and by less
        # than s/sqrt(2 pi) where they meet
        assert np.all(np.abs(found - near) <= 0.5 + 0.5 + 0.01 * found)

    def test_lognormal_rates_fade_with_age(self) -> None:
        rng = np.random.default_rng(1)
        ages, z = np.full(N, 0.5), rng.standard_normal(N)
        rates = np.exp(1.0 - 0.4 * math.log(0.5) + 0.3 * z)
        sizes = rates_truth(1.0, 0.3, -0.4)(ages, z, rng)
        assert abs(np.sum(sizes - rates)) < 4.0 * math.sqrt(rates.sum())

    def test_a_yule_process_is_negative_binomial_given_age(self) -> None:
        rng = np.random.default_rng(2)
        sizes = yule_truth(0.7, 0.9)(np.full(N, 2.0), rng.standard_normal(N), rng)
        nothing = math.exp(-0.9 * 2.0 * 0.7)
        assert abs(np.mean(sizes == 0) - nothing) < share_error(nothing)
        odds = math.expm1(0.9 * 2.0)
        error = 4.0 * math.sqrt(0.7 * odds * (1.0 + odds) / N)
        assert abs(sizes.mean() - 0.7 * odds) < error

    def test_demand_is_that_of_the_simulator(self) -> None:
        rng = np.random.default_rng(3)
        z = rng.standard_normal(N)
        sizes = demand_truth(0.9, -1.0)(z, z, rng)
        other = simulate_arrivals(DemandParams(alpha=0.9, rho=0.5), -1.0, N, rng)
        for cut in (1, 5, 50):
            p = float(np.mean(other >= cut))
            assert abs(np.mean(sizes >= cut) - p) < math.sqrt(2.0) * share_error(p)


OWNERS = [1, 2, 3, 10, 1, 4, 2]


@pytest.fixture
def hub() -> Hub:
    owner = np.random.default_rng(4).permutation(np.repeat(np.arange(len(OWNERS)), OWNERS))
    day = np.arange(owner.size)  # tells the models apart
    return Hub(DAY, 19_500 + day, owner, {"likes": 100 * day})


def models_of(listing: pl.DataFrame, hub: Hub) -> dict[int, list[int]]:
    """Return, by owner in a listing, which models of the Hub these are."""
    rows = (listing["created_on"].cast(pl.Int32) - 19_500).to_numpy()
    return {int(o): sorted(rows[listing["owner"].to_numpy() == o]) for o in listing["owner"]}


class TestOwners:
    def test_owners_come_with_all_that_is_theirs(self, hub: Hub) -> None:
        found = models_of(hub.owned(23, np.random.default_rng(0)), hub)
        whole = [sorted(np.flatnonzero(hub.owner == o)) for o in range(len(OWNERS))]
        assert sorted(found.values()) == sorted(whole)
        part = models_of(hub.owned(12, np.random.default_rng(5)), hub)
        assert sum(map(len, part.values())) == 12
        assert all(models in whole for models in list(part.values())[:-1])

    def test_owners_drawn_twice_are_two_and_keep_their_sizes(self, hub: Hub) -> None:
        seen: Counter[int] = Counter()
        for seed in range(200):
            listing = hub.resampled(23, np.random.default_rng(seed))
            rows = (listing["created_on"].cast(pl.Int32) - 19_500).to_numpy()
            assert np.array_equal(listing["likes"].to_numpy(), 100 * rows)
            first = models_of(listing, hub)[0]
            seen[len(first)] += 1
            assert len(set(first)) == len(first)
        # the first owner is each of seven at random: two in seven have one model
        assert abs(seen[1] / 200 - 2 / 7) < 4 * math.sqrt(2 / 7 * 5 / 7 / 200)

    def test_models_of_one_owner_are_alike_and_keep_their_law(self) -> None:
        rho, n = 0.6, 20_000
        listing = pl.DataFrame(
            {"created_on": [DAY - timedelta(days=9)] * n, "owner": np.arange(n) // 2}
        )
        truth = static_truth(8.0, 1.0, math.inf, math.inf)
        sized = with_sizes(listing, truth, DAY, rho, np.random.default_rng(6))
        logs = np.log(sized["likes"].to_numpy()) - 8.0
        assert abs(logs.mean()) < 4.0 * math.sqrt((1.0 + rho) / n)
        pairs = logs.reshape(-1, 2)
        error = 4.0 * (1.0 - rho**2) / math.sqrt(n / 2)
        assert abs(np.corrcoef(pairs.T)[0, 1] - rho) < error


@pytest.fixture(scope="module")
def drawn() -> DeFi:
    return draw_defi(GBM, np.random.default_rng(7))


class TestProtocols:
    def test_categories_and_days_are_those_of_the_listing(self, drawn: DeFi) -> None:
        tables = reference_defi()[0]
        for column in ("category", "listed_on"):
            old, new = (
                t.listing.group_by(column).agg(pl.col("n_protocols").sum()).sort(column)
                for t in (tables, drawn)
            )
            assert old.equals(new)

    def test_growth_refitted_is_that_of_the_truth(self, drawn: DeFi) -> None:
        onward, (growth, _) = growth_truth(GBM).onward, drawn.calibrated()
        fit = growth.at_risk
        truth = (onward.m, onward.sigma**2, onward.exit_rate)
        found = (fit.m, fit.sigma**2, fit.exit_rate)
        for value, true, error in zip(found, truth, fit.std_errors, strict=True):
            assert abs(value - true) < 4.0 * (error or 0.0)

    def test_periods_before_the_cross_section_are_measured_with_their_errors(
        self, drawn: DeFi
    ) -> None:
        _, growth, calendar = reference_defi()
        _, fit = drawn.calibrated()
        begun = calendar.starts < calendar.now
        off = (fit.drifts - growth.params.m) / calendar.drift_errors
        assert np.all(np.abs(off[begun]) < 4.0)
        assert np.any(fit.drifts[begun] != calendar.drifts[begun])
        assert np.array_equal(fit.drifts[~begun], calendar.drifts[~begun])


def squared(job: Job) -> Found:
    return {"square": job[0] ** 2}


def never(job: Job) -> Found:
    raise AssertionError(f"{job} was done before")


def test_a_study_goes_on_where_it_ended(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    first = list(run([(1, "a"), (2, "a")], squared, processes=1, file=file))
    with file.open("a") as out:
        out.write('{"job": [3, "a"], "fou')  # stopped here
    again = list(run([(2, "a"), (1, "a")], never, processes=1, file=file))
    assert [line["job"] for line in again] == [[2, "a"], [1, "a"]]
    assert {json.dumps(line) for line in again} == {json.dumps(line) for line in first}
    more = list(run([(1, "a"), (3, "a")], squared, processes=1, file=file))
    assert [line["found"]["square"] for line in more] == [1, 9]
    assert next(run([(3, "a")], never, processes=1, file=file))["found"] == {"square": 9}


def test_coverage_is_the_share_of_intervals_that_hold_the_truth() -> None:
    lines = [
        {
            "found": {
                "value": {"zeta": value},
                "truth": {"zeta": 1.0},
                "truth_error": {"zeta": 0.0},
                "std_error": {"zeta": 0.1},
                "design_effect": {"zeta": 2.0},
            }
        }
        for value in (1.0, 1.19, 0.81, 1.3)
    ]
    (_, row) = table(lines, "tvl").splitlines()
    assert row.split()[:2] == ["zeta", "4"]
    assert "0.750" in row
