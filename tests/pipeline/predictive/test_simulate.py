"""Mechanisms by age cohort: cut, drawn, measured, and told apart where the truth is known."""

import math
import pickle
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy import stats

from baimo.estimation.demand.ces import DemandFit, fit_demand
from baimo.estimation.distributions.fit import WholeSampleFit, fit_whole_sample
from baimo.estimation.heterogeneity.poisson_rates import PoissonRatesFit
from baimo.estimation.predictive.joint import JointVerdict, Outcome
from baimo.estimation.predictive.replicate import compare_replicates, measure_sizes
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.cohorts import count_by_cohort, measure_cohorts, observed_by_cohort
from baimo.pipeline.analysis.increments import KERNEL_FIT
from baimo.pipeline.analysis.observed import observed_statistics
from baimo.pipeline.analysis.sizes import TAILS, SizeFits
from baimo.pipeline.analysis.summary_statistics import (
    UNDATED,
    CohortSample,
    measure_sample,
    pooled,
)
from baimo.pipeline.models.attachment import (
    ATTACHMENT_FIT,
    AttachmentCalibration,
    calibrate_attachment,
)
from baimo.pipeline.models.base import FAMILIES, Sampler
from baimo.pipeline.models.ces import DEMAND_FIT
from baimo.pipeline.models.gbm import GROWTH_FIT, GrowthCalibration, calibrate_growth
from baimo.pipeline.models.poisson_rates import RATES_FIT, fit_rates
from baimo.pipeline.models.registry import MODELS
from baimo.pipeline.models.static_sizes import static_size_params
from baimo.pipeline.models.yule import tuned_yule
from baimo.pipeline.predictive.compare import judge
from baimo.pipeline.predictive.simulate import refit_models, samplers_of, simulate_models
from baimo.pipeline.schema.derived import HUB_FREQUENCY
from baimo.pipeline.variables import (
    DOWNLOADS,
    HUB_FLOOR,
    LIKES,
    N_COHORTS,
    cohort_label,
    hub_counts,
)
from baimo.simulation.attachment.simon_yule import YuleParams
from baimo.simulation.heterogeneity.static_sizes import StaticSizeParams, simulate_static_counts
from tests.pipeline.synthetic import (
    DAY,
    NO_EFFECTS,
    day_of,
    fits_of,
    hub_frequency,
    listing,
    population,
    weekly,
)

MODEL = {model.label: model for model in MODELS}
N_OLD = 700  # models of the floor day, whose age is not known


@pytest.fixture(scope="module")
def frequency() -> pl.DataFrame:
    floor = pl.DataFrame(
        {
            "created_on": [HUB_FLOOR] * 2,
            "downloads": [5, 0],
            "likes": [40, 0],
            "n_models": [300, N_OLD - 300],
        }
    )
    return pl.concat([hub_frequency(6_000, 3), floor])


def calibrated(frequency: pl.DataFrame) -> AttachmentCalibration:
    return calibrate_attachment(
        frequency, hub_counts(frequency, DOWNLOADS), hub_counts(frequency, LIKES), NO_EFFECTS, DAY
    )


def demand_of(counts: Counts) -> DemandFit:
    return fit_demand(counts, fit_tail(counts))


@pytest.fixture(scope="module")
def attachment(frequency: pl.DataFrame) -> AttachmentCalibration:
    return calibrated(frequency)


@pytest.fixture(scope="module")
def demand(frequency: pl.DataFrame) -> dict[str, DemandFit]:
    return {m.name: demand_of(hub_counts(frequency, m)) for m in (DOWNLOADS, LIKES)}


@pytest.fixture(scope="module")
def growth() -> GrowthCalibration:
    table = population(800, 7)
    return calibrate_growth(table, listing(table), weekly(6))


@pytest.fixture(scope="module")
def seen(frequency: pl.DataFrame, attachment: AttachmentCalibration) -> dict[str, CohortSample]:
    return observed_by_cohort(frequency, attachment.cohorts, DAY)


def rates_of(mu: float, sigma: float, phi: float) -> PoissonRatesFit:
    return PoissonRatesFit(
        n_obs=1, n_used=1, mu=mu, sigma=sigma, phi=phi, covariance=np.eye(3), log_likelihood=0.0
    )


@pytest.fixture(scope="module")
def law(frequency: pl.DataFrame) -> WholeSampleFit:
    return fit_whole_sample(hub_counts(frequency, LIKES), "discretised_double_pareto_lognormal")


def draws_of(
    frequency: pl.DataFrame,
    attachment: AttachmentCalibration,
    demand: dict[str, DemandFit],
    growth: GrowthCalibration,
    law: WholeSampleFit | None = None,
    rates: PoissonRatesFit | None = None,
) -> dict[tuple[str, str], Sampler]:
    """Return the samplers of all models; of laws at entry that of likes alone."""
    likes = laws_alone(() if law is None else (law,))
    day = day_of(
        {
            HUB_FREQUENCY: frequency, ATTACHMENT_FIT: attachment, DEMAND_FIT: demand,
            GROWTH_FIT: growth, RATES_FIT: {} if rates is None else {"likes": rates},
            TAILS["likes"]: likes, TAILS["downloads"]: laws_alone(()), KERNEL_FIT: None,
        }
    )  # fmt: skip
    found: dict[tuple[str, str], Sampler] = {}
    for family in FAMILIES:
        found |= samplers_of(day, family)
    return found


def laws_alone(laws: tuple[WholeSampleFit, ...]) -> SizeFits:
    """Return fits of a size of which only the laws of the whole sample matter."""
    fits = fits_of(np.arange(1, 200))
    return replace(fits, whole=replace(fits.whole, fits=laws))


@pytest.fixture(scope="module")
def draws(
    frequency: pl.DataFrame,
    attachment: AttachmentCalibration,
    demand: dict[str, DemandFit],
    growth: GrowthCalibration,
    law: WholeSampleFit,
) -> dict[tuple[str, str], Sampler]:
    return draws_of(frequency, attachment, demand, growth, law, rates_of(0.5, 1.0, 1.2))


class TestCohorts:
    def test_dated_items_are_cut_into_fifths(
        self, frequency: pl.DataFrame, attachment: AttachmentCalibration
    ) -> None:
        cut = attachment.cohorts
        n = frequency["n_models"].sum()
        assert cut.n_all == n
        assert cut.n_undated == N_OLD
        ages = cut.age_of_each(-1.0)
        assert np.all(ages[:N_OLD] == -1.0)
        assert np.all(np.diff(ages) >= 0)
        assert ages.size == n
        parts = cut.split(np.arange(n))  # every item with its place: undated first, then by age
        assert list(parts) == [UNDATED, *range(N_COHORTS)]
        places = {c: part.values.astype(int) for c, part in parts.items()}
        assert np.array_equal(np.concatenate(list(places.values())), np.arange(n))
        largest_day = cut.n_items.max()
        for c in range(N_COHORTS):  # each age is in one cohort: from its edge on, below the next
            assert abs(places[c].size - (n - N_OLD) / N_COHORTS) <= largest_day
            inside = ages[places[c]]
            assert cut.edges[c] <= inside.min() <= inside.max() < cut.edges[c + 1]

    def test_the_data_by_cohort_are_the_data(
        self,
        frequency: pl.DataFrame,
        attachment: AttachmentCalibration,
        seen: dict[str, CohortSample],
    ) -> None:
        cut = attachment.cohorts
        for measure in (DOWNLOADS, LIKES):
            drawn = seen[measure.name]
            assert set(drawn) == {UNDATED, *range(N_COHORTS)}
            whole, again = hub_counts(frequency, measure), pooled(drawn)
            assert np.array_equal(again.values, whole.values)
            assert np.array_equal(again.multiplicities, whole.multiplicities)
            cut_alike = cut.split(np.zeros(cut.n_all, dtype=int))
            assert {c: k.n_obs for c, k in drawn.items()} == {
                c: k.n_obs for c, k in cut_alike.items()
            }
            assert drawn[UNDATED].n_obs == N_OLD
        assert seen["likes"][UNDATED].values.tolist() == [0, 40]
        assert seen["likes"][UNDATED].multiplicities.tolist() == [N_OLD - 300, 300]

    def test_a_cohort_by_hand(self, attachment: AttachmentCalibration) -> None:
        cut = attachment.cohorts
        table = pl.DataFrame(
            {
                "age": [None, float(cut.edges[1]), float(cut.edges[1]) - 1e-9, float(cut.ages[-1])],
                "likes": [9, 2, 2, 5],
                "n_models": [1, 2, 3, 4],
            }
        )
        found = count_by_cohort(table, "likes", cut)
        assert {c: (k.values.tolist(), k.multiplicities.tolist()) for c, k in found.items()} == {
            UNDATED: ([9], [1]), 0: ([2], [3]), 1: ([2], [2]), 4: ([5], [4]),
        }  # fmt: skip


class TestDraws:
    def test_every_model_is_there(self, draws: dict) -> None:
        assert set(draws) == {
            ("Simon", "downloads"), ("Simon", "likes"), ("Yule", "likes"), ("CES", "downloads"),
            ("CES", "likes"), ("dPlN", "likes"), ("fitness", "likes"), ("GBM", "tvl"),
            ("GBM survivors", "tvl"),
        }  # fmt: skip

    @pytest.mark.parametrize("model", ["Yule", "CES", "dPlN", "fitness"])
    def test_as_many_items_as_the_data_in_every_cohort(
        self, model: str, draws: dict, seen: dict[str, CohortSample]
    ) -> None:
        drawn = draws[model, "likes"](np.random.default_rng(1))
        assert {c: k.n_obs for c, k in drawn.items()} == {
            c: k.n_obs for c, k in seen["likes"].items()
        }

    def test_simons_urn_has_the_events_of_the_data_and_the_oldest_first(
        self, draws: dict, attachment: AttachmentCalibration, seen: dict[str, CohortSample]
    ) -> None:
        rng = np.random.default_rng(2)
        drawn = [draws["Simon", "likes"](rng) for _ in range(40)]
        fit = attachment.simon_likes
        positive = {c: k.n_obs - k.n_zero for c, k in seen["likes"].items()}
        for one in drawn:
            every = pooled(one)
            assert every.total == fit.total
            assert every.n_zero == 0
            for c, n in positive.items():  # cohorts in the proportions of the data
                assert abs(one[c].n_obs - n / sum(positive.values()) * every.n_obs) <= 1
        # p is drawn anew: the number of items spreads by its error and by that of the urn
        numbers = np.array([pooled(one).n_obs for one in drawn])
        error = math.sqrt(2.0) * fit.std_error * fit.total
        assert abs(numbers.mean() - fit.p * fit.total) < 4 * error / math.sqrt(40)
        assert abs(numbers.std(ddof=1) / error - 1) < 4 / math.sqrt(2 * 39)
        # first comers are larger: mean size falls from the undated to the young
        means = [
            np.mean([one[c].total / one[c].n_obs for one in drawn])
            for c in (UNDATED, 4, 3, 2, 1, 0)
        ]
        assert np.all(np.diff(means) < 0)

    def test_yule_means_grow_with_age(
        self, draws: dict, attachment: AttachmentCalibration
    ) -> None:  # fmt: skip
        params = attachment.yule_likes.params
        assert params is not None
        cut = attachment.cohorts
        ages = np.repeat(cut.ages, cut.n_items)
        rng = np.random.default_rng(3)
        runs = 40
        drawn = [draws["Yule", "likes"](rng) for _ in range(runs)]
        for c in range(N_COHORTS):
            growth = np.expm1(
                params.gamma * ages[(cut.edges[c] <= ages) & (ages < cut.edges[c + 1])]
            )
            mean, variance = params.a * growth, params.a * growth * (1 + growth)
            total = np.mean([one[c].total for one in drawn])
            assert abs(total - mean.sum()) < 4 * math.sqrt(variance.sum() / runs)
        old = params.a * math.expm1(params.gamma * attachment.entry.horizon)
        spread = old + old**2 / params.a  # the undated are as old as the history
        found = np.mean([one[UNDATED].total for one in drawn]) / N_OLD
        assert abs(found - old) < 4 * math.sqrt(spread / N_OLD / runs)

    def test_fitness_means_grow_with_age_and_the_law_at_birth_does_not(self, draws: dict) -> None:
        rng = np.random.default_rng(4)
        grown = [draws["fitness", "likes"](rng) for _ in range(20)]
        means = [np.mean([one[c].total / one[c].n_obs for one in grown]) for c in range(N_COHORTS)]
        assert np.all(np.diff(means) > 0)
        born = [draws["dPlN", "likes"](rng) for _ in range(6)]
        samples = [
            np.concatenate([np.repeat(one[c].values, one[c].multiplicities) for one in born])
            for c in range(N_COHORTS)
        ]
        cuts = np.unique(np.quantile(np.concatenate(samples), np.linspace(0, 1, 9)[1:-1]))
        table = [np.bincount(np.searchsorted(cuts, s), minlength=cuts.size + 1) for s in samples]
        table = np.array(table)[:, np.sum(table, axis=0) > 0]  # type: ignore[assignment]
        assert stats.chi2_contingency(table).pvalue > 1e-3

    def test_demand_has_the_purchases_of_the_data_and_an_uncertain_zeta(
        self,
        frequency: pl.DataFrame,
        attachment: AttachmentCalibration,
        demand: dict[str, DemandFit],
        growth: GrowthCalibration,
    ) -> None:
        def spread(error: float) -> float:
            fits = {k: replace(fit, zeta=1.5, std_error=error) for k, fit in demand.items()}
            draw = draws_of(frequency, attachment, fits, growth)
            drawn = [pooled(draw["CES", "likes"](np.random.default_rng(i))) for i in range(40)]
            assert {d.total for d in drawn} == {attachment.simon_likes.total}
            zetas = [math.log(d.values[-1] / np.quantile(d.values, 0.5)) for d in drawn]
            return float(np.std(zetas, ddof=1))

        assert spread(0.4) > spread(1e-9)

    def test_growth_is_drawn_over_the_observed_ages(
        self, draws: dict, growth: GrowthCalibration
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(5)
        drawn = [draws["GBM", "tvl"](rng) for _ in range(60)]
        assert all(set(one) == {UNDATED} for one in drawn)
        assert {one[UNDATED].n_obs for one in drawn} == {growth.ages.size}
        logs = np.array([
            np.average(np.log(one[UNDATED].values), weights=one[UNDATED].multiplicities)
            for one in drawn
        ])  # fmt: skip
        expected = growth.log_entry.mean() + growth.alive.m * growth.ages.mean()
        assert abs(logs.mean() - expected) < 4 * logs.std(ddof=1) / math.sqrt(60)
        # the drift's own error is in the spread
        assert logs.std(ddof=1) > 0.7 * growth.alive.m_std_error * growth.ages.mean()

    def test_a_yule_without_an_optimum_is_tuned_to_zeta_and_total(
        self, attachment: AttachmentCalibration
    ) -> None:
        assert tuned_yule(attachment, 9.9) == attachment.yule_likes.params
        failed = replace(
            attachment, yule_likes=replace(attachment.yule_likes, converged=False)
        )  # fmt: skip
        assert failed.yule_likes.params is None
        params = tuned_yule(failed, 1.25)
        assert isinstance(params, YuleParams)
        assert params.zeta == pytest.approx(1.25, rel=1e-12)
        expected = np.sum(
            params.a * np.expm1(params.gamma * attachment.ages) * attachment.n_models
        )  # fmt: skip
        assert expected == pytest.approx(attachment.simon_likes.total, rel=1e-12)

    def test_laws_at_birth_carry_their_parameters(self, law: WholeSampleFit) -> None:
        params = static_size_params(law)
        named = law.parameters
        assert (params.mu, params.sigma) == (named["mu"], named["sigma"])
        assert (params.alpha, params.beta) == (named["alpha"], named["beta"])
        sizes = np.random.default_rng(6).lognormal(1.0, 1.0, 500).round()
        plain = static_size_params(fit_whole_sample(sizes, "discretised_lognormal"))
        assert plain.alpha == plain.beta == math.inf


class TestSimulated:
    def test_every_sampler_can_be_sent_to_another_process_and_is_small(self, draws: dict) -> None:
        for key, draw in draws.items():
            sent = pickle.dumps(draw)
            assert len(sent) < 40_000, key  # ages by day, not by item
            one, other = (d(np.random.default_rng(1)) for d in (draw, pickle.loads(sent)))
            assert {c: k.total for c, k in one.items()} == {c: k.total for c, k in other.items()}

    def test_simulations_depend_on_seed_model_and_replicate_only(self, draws: dict) -> None:
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

    def test_refits_measure_the_very_samples_with_the_code_of_the_data(self, draws: dict) -> None:
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


class TestStatistics:
    def sample(self, sizes: list[int]) -> Counts:
        return Counts.from_sample(np.array(sizes))

    def test_by_hand(self) -> None:
        rng = np.random.default_rng(7)
        old = np.floor(9.5 * (1 - rng.random(60)) ** -1.0 + 0.5).astype(int)
        drawn = {
            UNDATED: self.sample([0, 99, 1_000]),
            0: self.sample([0] * 10 + [1, 12]),
            1: self.sample([3, 10, 11, 9]),
            4: self.sample(old.tolist()),
        }
        found = measure_sample(drawn, discrete=True, x_min=10.0)
        # of 10 and more: 2 undated, 1 and 2 of the younger two fifths, all 60 of the oldest
        assert found["tail_items"] == pytest.approx(math.log10(1 + 65))
        assert found["young_in_tail"] == pytest.approx(3 / 63)
        assert found["zeta_oldest"] == fit_tail(old, x_min=10).zeta
        assert math.isnan(found["zeta_cohort_1"])  # fewer than twenty
        whole = measure_sizes(pooled(drawn), discrete=True)
        assert {k: found[k] for k in whole} == pytest.approx(whole, nan_ok=True)
        assert found["share_zero"] == 11 / 79

    def test_without_ages_there_is_no_cohort(self) -> None:
        counts = self.sample([1, 2, 3, 9, 20])
        found = measure_sample({UNDATED: counts}, discrete=True, x_min=1.0)
        assert found.keys() == {*measure_sizes(counts, discrete=True), "tail_items"}

    def test_nobody_in_the_tail(self) -> None:
        found = measure_sample(
            {0: self.sample([1, 2]), 4: self.sample([1, 3])}, discrete=True, x_min=50.0
        )
        assert found["tail_items"] == 0.0
        assert math.isnan(found["young_in_tail"])
        assert math.isnan(found["zeta_oldest"])

    def test_the_data_go_through_the_same_function(
        self, frequency: pl.DataFrame, seen: dict[str, CohortSample]
    ) -> None:
        counts = hub_counts(frequency, LIKES)
        likes = fits_of(np.repeat(counts.values, counts.multiplicities))
        table = population(800, 7)
        found = observed_statistics(seen, {"likes": likes}, None, table)["likes"]
        expected = measure_sample(seen["likes"], discrete=True, x_min=likes.tail.x_min)
        assert found == pytest.approx(expected, nan_ok=True)
        assert found["zeta"] == likes.tail.zeta
        assert found["tail_items"] == pytest.approx(math.log10(1 + likes.tail.n_tail))

    def test_cohorts_of_the_data_carry_the_design_effects(
        self, frequency: pl.DataFrame, attachment: AttachmentCalibration
    ) -> None:
        counts = hub_counts(frequency, LIKES)
        likes = fits_of(np.repeat(counts.values, counts.multiplicities))
        low = replace(likes, judged=replace(likes.judged, tail=fit_tail(counts, x_min=2.0)))
        downloads = replace(low, measure="downloads")
        given = {"likes": low, "downloads": downloads}
        edges = attachment.cohorts.edges
        plain = measure_cohorts(frequency, NO_EFFECTS, edges, given, DAY)["likes"]
        assert plain.x_min == 2.0
        assert plain.n_obs == frequency["n_models"].sum() - N_OLD
        assert plain.n_items.size == N_COHORTS - 1  # hardly any of the youngest has two likes
        effects = pl.DataFrame(
            {
                "measure": "likes",
                "statistic": "cohort_alpha",
                "cutoff": cohort_label(4),
                "k": 1,
                "design_effect": 9.0,
            }
        )
        wide = measure_cohorts(frequency, effects, edges, given, DAY)["likes"]
        assert wide.std_error[-1] == pytest.approx(3 * plain.std_error[-1])
        assert wide.std_error[:-1] == pytest.approx(plain.std_error[:-1])

    def test_rates_are_fitted_where_there_is_something_to_fit(self) -> None:
        # 3,000 models whose likes come at a lognormal rate for as long as they are there.
        rng = np.random.default_rng(8)
        days = rng.integers(1, 60, 3_000) * 10
        rate = np.exp(0.7 + 0.8 * rng.standard_normal(3_000))
        table = pl.DataFrame(
            {
                "created_on": [DAY - timedelta(days=int(d)) for d in days],
                "downloads": 0,
                "likes": rng.poisson(rate * (days + 0.5) / 365.25),
                "n_models": 1,
            }
        )
        found = fit_rates(table, DAY)
        assert set(found) == {"likes"}  # downloads are all zero
        for name, truth in (("mu", 0.7), ("sigma", 0.8), ("phi", 1.0)):
            e = found["likes"].estimates()[name]
            assert abs((e.value or 0) - truth) < 4 * (e.std_error or 0), name


class TestToldApart:
    """Data of a known mechanism, through the whole chain: fitted, drawn, refitted, judged."""

    RUNS = 40

    def verdicts(
        self, frequency: pl.DataFrame, growth: GrowthCalibration, x_min: float
    ) -> dict[str, JointVerdict]:
        attachment = calibrated(frequency)
        seen = observed_by_cohort(frequency, attachment.cohorts, DAY)
        likes = hub_counts(frequency, LIKES)
        demand = {
            "downloads": demand_of(hub_counts(frequency, DOWNLOADS)),
            "likes": fit_demand(likes, fit_tail(likes, x_min=x_min)),
        }
        law = fit_whole_sample(likes, "discretised_double_pareto_lognormal")
        draws = draws_of(frequency, attachment, demand, growth, law)
        chosen = {key: d for key, d in draws.items() if key[1] == "likes"}
        observed = measure_sample(seen["likes"], discrete=True, x_min=x_min)
        refits = refit_models(chosen, {"likes": x_min}, n_replications=self.RUNS, seed=9)
        found = {}
        for (model, _), drawn in refits.items():
            joint = judge(MODEL[model], compare_replicates(observed, drawn), {})
            assert joint is not None
            found[model] = joint
        return found

    def test_attachment(self, growth: GrowthCalibration) -> None:
        found = self.verdicts(hub_frequency(12_000, 10), growth, 5.0)
        assert found["Yule"].outcome is not Outcome.CONTRADICTED
        assert "young_in_tail" in found["dPlN"].reasons
        assert found["dPlN"].outcome is Outcome.CONTRADICTED
        assert "young_in_tail" in found["CES"].reasons
        assert found["CES"].outcome is Outcome.CONTRADICTED

    def test_differences_at_birth(self, growth: GrowthCalibration) -> None:
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
        found = self.verdicts(frequency, growth, 5.0)
        assert found["dPlN"].outcome is not Outcome.CONTRADICTED
        assert found["Yule"].outcome is Outcome.CONTRADICTED
        assert found["Simon"].outcome is Outcome.CONTRADICTED


def test_the_day_of_the_data_is_the_last_on_which_models_have_an_age() -> None:
    # Models created after the day are no items of a known age; they count as undated.
    table = hub_frequency(500, 12)
    future = table[:3].with_columns(created_on=pl.lit(date(2025, 1, 1)))
    n_future = int(future["n_models"].sum())
    both = pl.concat([table, future])
    fit = calibrated(both)
    assert fit.cohorts.n_undated == n_future
    assert observed_by_cohort(both, fit.cohorts, DAY)["likes"][UNDATED].n_obs == n_future
