"""Models are drawn alike from a seed, measured as the data, and told apart where truth is known."""

import pickle

import numpy as np
import polars as pl
import pytest

from baimo.estimation.demand.ces import fit_demand
from baimo.estimation.distributions.fit import fit_whole_sample
from baimo.estimation.predictive.joint import JointVerdict, Outcome
from baimo.estimation.predictive.replicate import compare_replicates, replicate
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.cohorts import observed_by_cohort
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.analysis.summary_statistics import measure_sample, pooled
from baimo.pipeline.lake.results import UndeclaredError
from baimo.pipeline.models.attachment import ATTACHMENT_FIT
from baimo.pipeline.models.base import ATTACHMENT, FAMILIES, GROWTH, Sampler
from baimo.pipeline.models.ces import DEMAND_FIT
from baimo.pipeline.models.poisson_rates import RATES_FIT
from baimo.pipeline.models.registry import MODELS, of_family, pairs
from baimo.pipeline.predictive.compare import judge
from baimo.pipeline.predictive.simulate import (
    REFITS,
    SIMULATIONS,
    first_samples,
    in_overview,
    increments_of,
    needs_of,
    read_refits,
    read_simulations,
    refit_increments,
    refit_models,
    samplers_of,
    seed_of,
    simulate_models,
)
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from baimo.pipeline.variables import DOWNLOADS, LIKES, hub_counts
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
Draws = dict[tuple[str, str], Sampler]


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
        assert {n.name for n in declared} == {n.name for m in of_family(family) for n in m.needs}
        found = samplers_of(day.only(declared), family)
        assert list(found) == [
            (m.label, v.name) for m, v in pairs(family) if (m.label, v.name) in draws
        ]
        assert increments_of(day.only(declared), family).keys() <= found.keys()
    with pytest.raises(UndeclaredError, match="growth_fit is read but not declared"):
        samplers_of(day.only(needs_of(ATTACHMENT)), GROWTH)


class TestSimulated:
    def test_every_sampler_can_be_sent_to_another_process_and_is_small(self, draws: Draws) -> None:
        for key, draw in draws.items():
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
            assert len(found) == 2
            for i, statistics in enumerate(found):
                rows = table.filter(
                    (pl.col("model") == model) & (pl.col("replicate") == i)
                )  # fmt: skip
                drawn = {
                    c: Counts(
                        values=r["value"].to_numpy(), multiplicities=r["n_items"].to_numpy()
                    )
                    for (c,), r in rows.group_by("cohort", maintain_order=True)
                }  # fmt: skip
                again = measure_sample(drawn, discrete=measure == "likes", x_min=x_min[measure])
                assert statistics == pytest.approx(again, nan_ok=True)

    def test_what_comes_next_is_added_to_the_first_fifty_samples(self) -> None:
        day = day_of(results_of_a_day())
        increments = increments_of(day, ATTACHMENT)
        assert list(increments) == [("Simon", "likes"), ("Yule", "likes")]
        refits = {
            ("Yule", "likes"): tuple({"zeta": float(i)} for i in range(52)),
            ("Simon", "downloads"): ({"zeta": 1.0},),
        }
        found = refit_increments(refits, increments, seed=1)
        assert list(found) == list(refits)  # Simon's likes were not drawn
        assert found["Simon", "downloads"] == refits["Simon", "downloads"]
        both = found["Yule", "likes"]
        assert [s["zeta"] for s in both] == [float(i) for i in range(52)]
        assert [set(s) - {"zeta"} for s in both] == [{"theta", "phi", "psi"}] * 50 + [set()] * 2
        assert len({s["theta"] for s in both[:50]}) == 50
        again = refit_increments(refits, increments, seed=1)
        other = refit_increments(refits, increments, seed=2)
        assert again == found
        assert other["Yule", "likes"][0]["theta"] != both[0]["theta"]

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
                draws[model, "likes"], n_replications=2, seed=seed_of(1, (model, "likes"))
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
        found = {f: {(f.name, "likes"): ({"zeta": float(i)},)} for i, f in enumerate(FAMILIES)}
        day = day_of({REFITS[f.name]: refits for f, refits in found.items()})
        assert read_refits(day) == {(f.name, "likes"): r[f.name, "likes"] for f, r in found.items()}
        assert read_refits(day, (ATTACHMENT,)) == found[ATTACHMENT]

    def test_the_overview_shows_the_papers_models_and_the_rival_of_attachment(self) -> None:
        assert in_overview() == {"Simon", "Yule", "CES", "GBM", "fitness"}


class TestToldApart:
    """Data of a known mechanism, through the whole chain: fitted, drawn, refitted, judged."""

    RUNS = 40

    def verdicts(self, frequency: pl.DataFrame, x_min: float) -> dict[str, JointVerdict]:
        attachment = calibrated(frequency)
        seen = observed_by_cohort(frequency, attachment.cohorts, DAY)
        likes = hub_counts(frequency, LIKES)
        demand = {
            "downloads": demand_of(hub_counts(frequency, DOWNLOADS)),
            "likes": fit_demand(likes, fit_tail(likes, x_min=x_min)),
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
        observed = measure_sample(seen["likes"], discrete=True, x_min=x_min)
        refits = refit_models(chosen, {"likes": x_min}, n_replications=self.RUNS, seed=9)
        found = {}
        for (model, _), drawn in refits.items():
            joint = judge(MODEL[model], compare_replicates(observed, drawn), {})
            assert joint is not None
            found[model] = joint
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
