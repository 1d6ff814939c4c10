"""Models are drawn alike from a seed, measured as the data, and told apart where truth is known."""

import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from baimo.estimation.demand.ces import fit_demand
from baimo.estimation.demand.counts import fit_demand_tail
from baimo.estimation.distributions.fit import fit_whole_sample
from baimo.estimation.predictive.joint import JointVerdict, Outcome
from baimo.estimation.predictive.replicate import replicate
from baimo.estimation.results import Estimate
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.cohorts import observed_by_cohort
from baimo.pipeline.analysis.sampling import SAMPLING, Sampling
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import (
    UNDATED,
    CohortSample,
    Simulated,
    measure_sample,
    pooled,
)
from baimo.pipeline.lake.results import UndeclaredError
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import ATTACHMENT, FAMILIES, GROWTH, Values
from baimo.pipeline.models.ces import DEMAND_FIT
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.models.registry import MODELS, of_family, pairs
from baimo.pipeline.predictive.compare import contrast_of, judge
from baimo.pipeline.predictive.simulate import (
    REFITS,
    SIMULATIONS,
    SLOPE_SAMPLES,
    Drawn,
    errors_of,
    first_samples,
    in_overview,
    needs_of,
    read_refits,
    read_simulations,
    refit_models,
    samplers_of,
    seed_of,
    simulate_models,
)
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from baimo.pipeline.statistics import GROWTH as GROWTH_STATISTICS, KERNEL
from baimo.pipeline.variables import DOWNLOADS, LIKES, VARIABLES, hub_counts
from baimo.simulation.heterogeneity.static_sizes import StaticSizeParams, simulate_static_counts
from tests.pipeline.synthetic import (
    DAY,
    calibrated,
    day_of,
    demand_of,
    draws_of,
    hub_frequency,
    results_of_a_day,
    some_fits,
    with_laws,
)

MODEL = {model.label: model for model in MODELS}
Draws = dict[tuple[str, str], Drawn]


@pytest.fixture(scope="module")
def draws() -> Draws:
    return draws_of(day_of(results_of_a_day()))


def test_every_model_is_there(draws: Draws) -> None:
    assert set(draws) >= {
        ("Simon", "downloads"), ("Simon", "likes"), ("Yule", "likes"), ("CES", "downloads"),
        ("CES", "likes"), ("dPlN", "likes"), ("fitness", "likes"), ("GBM", "tvl"),
        ("GBM survivors", "tvl"),
    }  # fmt: skip


def test_what_a_family_declares_suffices_to_draw_it(draws: Draws) -> None:
    day = day_of(results_of_a_day())
    for family in FAMILIES:
        declared = needs_of(family)
        read = {n.name for m in of_family(family) for n in m.needs}
        assert {n.name for n in declared} == {SAMPLING.name} | read
        found = samplers_of(day.only(declared), family)
        assert list(found) == [
            (m.label, v.name) for m, v in pairs(family) if (m.label, v.name) in draws
        ]
        for drawn in found.values():  # also what comes next is drawn from what was declared
            drawn.later_at(drawn.values)
    with pytest.raises(UndeclaredError, match="growth_fit is read but not declared"):
        samplers_of(day.only(needs_of(ATTACHMENT)), GROWTH)


N_TOYS = 4_000


class Zeros:
    """Draws counts of which a given share are zero: the mean of that share is the parameter."""

    def __init__(self, values: Values) -> None:
        self.share = values["share"] * values["scale"]

    def __call__(self, rng: np.random.Generator) -> CohortSample:
        sizes = rng.zipf(2.0, N_TOYS)
        return {UNDATED: Counts.from_sample(np.where(rng.random(N_TOYS) < self.share, 0, sizes))}


@dataclass(frozen=True)
class Later:
    """What comes next: a normal around ten times the first parameter."""

    values: Mapping[str, float]

    def __call__(self, rng: np.random.Generator) -> dict[str, float]:
        return {"moves": 10.0 * self.values["share"] + rng.standard_normal()}


def toy(scale: float, share: float = 0.2, step: float = 0.03) -> Drawn:
    """Return a model whose mean share of zeros is scale times its first parameter."""
    return Drawn(
        values={"share": share, "scale": scale, "idle": 1.0},
        steps={"share": step, "idle": 0.5},
        sampler_at=Zeros,
    )


def slopes_of(drawn: Drawn, n_replications: int = 20) -> Mapping[str, dict[str, float]]:
    refits = refit_models(
        {("toy", "likes"): drawn}, {"likes": 1.0}, n_replications=n_replications, seed=4
    )
    return refits["toy", "likes"].slopes


class TestSlopes:
    @pytest.mark.parametrize("scale", [1.0, 2.0, -0.0])
    def test_a_mean_that_is_linear_in_a_parameter_has_its_slope(self, scale: float) -> None:
        step = 0.03
        found = slopes_of(toy(scale, step=step))
        assert found.keys() == {"share", "idle"}  # what has no error is not moved
        # of eight samples on either side, at the same seeds: only those between the ends scatter
        between = abs(2 * step * scale)
        spread = math.sqrt(between * (1 - between) / (N_TOYS * SLOPE_SAMPLES)) / (2 * step)
        assert abs(found["share"]["share_zero"] - scale) <= 4 * spread

    def test_a_parameter_that_does_nothing_has_slopes_of_exactly_none(self) -> None:
        # the same seeds on both sides
        found = slopes_of(toy(1.0))["idle"]
        assert {"share_zero", "zeta", "tail_items", "top_1pct"} <= found.keys()
        assert {v for v in found.values() if math.isfinite(v)} == {0.0}

    def test_no_more_samples_are_drawn_than_there_are(self) -> None:
        (one, other) = (slopes_of(toy(1.0), n)["share"]["share_zero"] for n in (2, SLOPE_SAMPLES))
        assert one != other
        assert slopes_of(toy(1.0), 30)["share"]["share_zero"] == other

    def test_what_one_side_lacks_has_no_slope(self) -> None:
        # above, about four counts are positive: too few for an exponent
        found = slopes_of(toy(1.0, share=0.97, step=0.029))["share"]
        assert math.isnan(found["zeta"])
        assert found["share_zero"] == pytest.approx(1.0, abs=0.05)


class TestErrors:
    ESTIMATES: ClassVar[dict[str, Estimate]] = {
        "a": Estimate(value=1.0, std_error=0.1),
        "b": Estimate(value=2.0, std_error=0.2),
        "c": Estimate(value=3.0),
        "d": Estimate(value=None),
    }

    def test_they_are_clustered_where_that_is_known(self) -> None:
        known = Sampling(
            names=("c", "b", "zeta"),
            covariance=np.diag([9.0, 4.0, 1.0]),
            independent=np.eye(3),
            clusters="owners",
        )
        assert errors_of(self.ESTIMATES, known) == {"a": 0.1, "b": 2.0, "c": 3.0}
        assert errors_of(self.ESTIMATES, None) == {"a": 0.1, "b": 0.2, "c": 0.0}

    def test_a_model_is_moved_by_the_errors_of_clusters(self, draws: Draws) -> None:
        known = Sampling(
            names=("log_total", "simon_p"),
            covariance=np.diag([0.25, 0.0016]),
            independent=np.eye(2),
            clusters="owners",
        )
        day = day_of({**results_of_a_day(), SAMPLING: {"likes": known}})
        found = samplers_of(day, ATTACHMENT)
        assert found["Simon", "likes"].steps == pytest.approx({"simon_p": 0.04, "log_total": 0.5})
        before = draws["Simon", "likes"]
        assert found["Simon", "likes"].values == before.values
        # the total has no error of its own
        assert before.steps.keys() == {"simon_p"}
        assert before.steps["simon_p"] < 0.04
        assert found["Simon", "downloads"].steps == draws["Simon", "downloads"].steps


class TestSimulated:
    def test_every_sampler_can_be_sent_to_another_process_and_is_small(self, draws: Draws) -> None:
        for key, drawn in draws.items():
            draw = drawn.sampler
            sent = pickle.dumps(draw)
            assert len(sent) < 40_000, key  # ages by day, not by item
            one, other = (d(np.random.default_rng(1)) for d in (draw, pickle.loads(sent)))
            assert {c: k.total for c, k in one.items()} == {c: k.total for c, k in other.items()}

    def test_simulations_depend_on_seed_model_and_replicate_only(self, draws: Draws) -> None:
        few = simulate_models(draws, n_replications=2, seed=1)
        many = simulate_models(draws, n_replications=3, seed=1)
        assert many.filter(pl.col("replicate") < 2).equals(few)
        key = ("Simon", "likes")
        alone = simulate_models({key: draws[key]}, n_replications=2, seed=1)
        assert few.filter((pl.col("model") == "Simon") & (pl.col("measure") == "likes")).equals(
            alone
        )
        assert not simulate_models(draws, n_replications=2, seed=2).equals(few)
        assert few.columns == ["model", "measure", "replicate", "cohort", "value", "n_items"]

    def test_refits_measure_the_very_samples_with_the_code_of_the_data(self, draws: Draws) -> None:
        chosen = {key: draws[key] for key in (("Yule", "likes"), ("GBM", "tvl"))}
        x_min = {"likes": 3.0, "tvl": 1e6}
        refits = refit_models(chosen, x_min, n_replications=2, seed=1)
        table = simulate_models(chosen, n_replications=2, seed=1)
        assert list(refits) == list(chosen)
        for (model, measure), found in refits.items():
            assert len(found.samples) == 2
            for i, statistics in enumerate(found.samples):
                rows = table.filter(
                    (pl.col("model") == model) & (pl.col("replicate") == i)
                )  # fmt: skip
                drawn = {
                    c: Counts(
                        values=r["value"].to_numpy(), multiplicities=r["n_items"].to_numpy()
                    )
                    for (c,), r in rows.group_by("cohort", maintain_order=True)
                }  # fmt: skip
                again = measure_sample(drawn, VARIABLES[measure], x_min[measure], scanned=True)
                yardstick = chosen[model, measure].yardstick
                again |= yardstick(drawn) if yardstick else {}
                assert {k: statistics[k] for k in again} == pytest.approx(again, nan_ok=True)
                later = statistics.keys() - again.keys()  # measured on another draw
                of_model = KERNEL if model == "Yule" else GROWTH_STATISTICS
                assert later == {s.name for s in of_model}

    def test_the_tail_is_scanned_for_in_the_first_fifty_samples(self) -> None:
        found = refit_models(
            {("toy", "likes"): toy(2.0)}, {"likes": 1.0}, n_replications=52, seed=1
        )["toy", "likes"]
        scanned = {"zeta_scanned", "x_min", "n_tail", "gini", "effective_number"}
        assert [scanned <= s.keys() for s in found.samples] == [True] * 50 + [False] * 2
        assert all("zeta" in s for s in found.samples)
        # how many are asked for changes none of those before
        fewer = refit_models(
            {("toy", "likes"): toy(2.0)}, {"likes": 1.0}, n_replications=3, seed=1
        )["toy", "likes"]
        assert fewer.samples == found.samples[:3]

    def test_without_a_scan_the_samples_are_the_same(self) -> None:
        key, x_min = ("toy", "likes"), {"likes": 1.0}
        found, plain = (
            refit_models({key: toy(2.0)}, x_min, n_replications=3, seed=1, n_scanned=n)[key]
            for n in (3, 0)
        )
        for with_scan, without in zip(found.samples, plain.samples, strict=True):
            assert without == {name: with_scan[name] for name in without}
            assert not {"zeta_scanned", "x_min"} & without.keys()

    def test_what_comes_next_is_gone_through_again_after_fifty(self) -> None:
        model = replace(toy(2.0), later_at=Later)
        key, x_min = ("toy", "likes"), {"likes": 1.0}
        plain = refit_models({key: toy(2.0)}, x_min, n_replications=52, seed=1)[key]
        found = refit_models({key: model}, x_min, n_replications=52, seed=1)[key]
        moves = [s["moves"] for s in found.samples]
        without = [{k: v for k, v in s.items() if k != "moves"} for s in found.samples]
        assert without == list(plain.samples)
        assert len(set(moves[:50])) == 50
        assert moves[50:] == moves[:2]
        # a normal around ten times the first parameter, the same draws on both sides of a slope
        assert abs(np.mean(moves[:50]) - 2.0) < 4 / math.sqrt(50)
        assert found.slopes["share"]["moves"] == pytest.approx(10.0)
        assert found.slopes["idle"]["moves"] == 0.0
        assert "moves" not in plain.slopes["share"]
        other = refit_models({key: model}, x_min, n_replications=52, seed=2)[key]
        assert other.samples[0]["moves"] != moves[0]

    def test_the_first_sample_of_a_model_is_put_together_from_its_cohorts(
        self, draws: Draws
    ) -> None:
        table = simulate_models(draws, n_replications=2, seed=1)
        found = first_samples(table, "likes")
        known = ["Simon", "Yule", "CES", "dPlN", "fitness"]
        assert [name for name in found if name in known] == known
        assert {"GBM", "GBM survivors"} <= first_samples(table, "tvl").keys()
        for model, sample in found.items():
            (first, _) = replicate(
                draws[model, "likes"].sampler, n_replications=2, seed=seed_of(1, (model, "likes"))
            )
            whole = pooled(first)
            assert np.array_equal(sample.values, whole.values), model
            assert np.array_equal(sample.multiplicities, whole.multiplicities), model

    def test_what_was_stored_by_family_is_read_as_one(self, draws: Draws) -> None:
        tables = {
            f.name: simulate_models(
                {(m.label, v.name): draws[m.label, v.name] for m, v in pairs(f)
                 if (m.label, v.name) in draws},
                n_replications=1,
                seed=1,
            )
            for f in FAMILIES
        }  # fmt: skip
        day = day_of({SIMULATIONS[name]: table for name, table in tables.items()})
        assert read_simulations(day).equals(pl.concat(tables.values()))
        found = {
            f: {(f.name, "likes"): Simulated(samples=({"zeta": float(i)},), slopes={})}
            for i, f in enumerate(FAMILIES)
        }
        day = day_of({REFITS[f.name]: refits for f, refits in found.items()})
        assert read_refits(day) == {(f.name, "likes"): r[f.name, "likes"] for f, r in found.items()}
        assert read_refits(day, (ATTACHMENT,)) == found[ATTACHMENT]

    def test_the_overview_shows_the_papers_models_and_the_rival_of_attachment(self) -> None:
        assert in_overview() == {"Simon", "Yule", "CES", "GBM", "GBM by period", "fitness"}


class TestToldApart:
    """Data of a known mechanism, through the whole chain: fitted, drawn, refitted, judged."""

    RUNS = 40

    def verdicts(self, frequency: pl.DataFrame, x_min: float) -> dict[str, JointVerdict]:
        attachment = calibrated(frequency)
        seen = observed_by_cohort(frequency, attachment.cohorts, DAY)
        likes = hub_counts(frequency, LIKES)
        demand = {
            "downloads": demand_of(hub_counts(frequency, DOWNLOADS)),
            "likes": fit_demand(likes, fit_demand_tail(likes, x_min=x_min)),
        }
        law = fit_whole_sample(likes, "discretised_double_pareto_lognormal")
        day = day_of(
            {
                **results_of_a_day(),
                HUB_FREQUENCY: frequency,
                ATTACHMENT_FIT: attachment,
                DEMAND_FIT: demand,
                RATES_FIT: {},
                TAILS["likes"]: with_laws(some_fits(), law),
            }
        )
        draws = draws_of(day)
        chosen = {key: d for key, d in draws.items() if key[1] == "likes"}
        observed = measure_sample(seen["likes"], LIKES, x_min)
        refits = refit_models(chosen, {"likes": x_min}, n_replications=self.RUNS, seed=9)
        found = {}
        for (label, _), simulated in refits.items():
            model = MODEL[label]
            parameters = model.parameters(day, LIKES) or {}
            contrast = contrast_of(model, simulated, observed, parameters, None)
            found[label] = judge(model, contrast)
        return found

    def test_attachment(self) -> None:
        found = self.verdicts(hub_frequency(12_000, 10), 5.0)
        assert found["Yule"].outcome is not Outcome.CONTRADICTED
        assert "young_in_tail" in found["dPlN"].reasons
        assert found["dPlN"].outcome is Outcome.CONTRADICTED
        assert "young_in_tail" in found["CES"].reasons
        assert found["CES"].outcome is Outcome.CONTRADICTED

    def test_differences_at_birth(self) -> None:
        rng = np.random.default_rng(11)
        table = hub_frequency(12_000, 10)
        rows = table[np.repeat(np.arange(table.height), table["n_models"].to_numpy())]
        born = StaticSizeParams(mu=0.5, sigma=0.8, alpha=1.3, beta=1.5)
        frequency = (
            rows.with_columns(likes=pl.Series(simulate_static_counts(born, rows.height, rng)))
            .group_by("created_on", "downloads", "likes")
            .agg(n_models=pl.len().cast(pl.Int64))
            .sort("created_on", "downloads", "likes")
        )
        found = self.verdicts(frequency, 5.0)
        assert found["dPlN"].outcome is not Outcome.CONTRADICTED
        assert found["Yule"].outcome is Outcome.CONTRADICTED
        assert found["Simon"].outcome is Outcome.CONTRADICTED
