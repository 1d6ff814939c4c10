"""Calibration, simulation and verdicts on made-up tables whose truth is known."""

import math
from datetime import date

import numpy as np
import polars as pl
import pytest

from baimo.estimation.predictive.joint import JointVerdict
from baimo.estimation.predictive.replicate import Replicated
from baimo.estimation.samples.counts import Counts
from baimo.pipeline.analysis.sizes import SizeFits
from baimo.pipeline.models.attachment import calibrate_attachment
from baimo.pipeline.models.compare import JUDGED, MARGINS, compare_models, judge
from baimo.pipeline.models.gbm import calibrate_growth
from baimo.pipeline.models.printed import PRINTED_STEPS, simulate_printed_equation
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.variables import (
    DEFI_START,
    DOWNLOADS,
    HUB_FLOOR,
    LIKES,
    LISTING_FLOOR,
    cutoffs,
    expand,
    hub_ages,
    hub_counts,
    tvl_counts,
)
from tests.pipeline.synthetic import (
    BEFORE,
    DAY,
    NO_EFFECTS,
    fits_of,
    hub_frequency,
    listing,
    population,
    weekly,
)


@pytest.fixture(scope="module")
def frequency() -> pl.DataFrame:
    return hub_frequency(20_000, 3)


class TestAttachment:
    def test_a_yule_population_is_recovered(self, frequency: pl.DataFrame) -> None:
        counts = {m.name: hub_counts(frequency, m) for m in (DOWNLOADS, LIKES)}
        fit = calibrate_attachment(frequency, counts["downloads"], counts["likes"], NO_EFFECTS, DAY)
        yule = fit.yule_likes
        assert yule.converged
        assert yule.covariance is not None
        errors = np.sqrt(np.diag(yule.covariance))
        assert abs(yule.gamma - 0.8) < 4 * errors[0]
        assert abs(yule.a - 2.0) < 4 * errors[1]
        assert abs(fit.entry.rate - 1.3) < 4 * fit.entry.std_error

    def test_floor_day_models_are_left_out_and_counted(self, frequency: pl.DataFrame) -> None:
        floor = pl.DataFrame(
            {"created_on": [HUB_FLOOR], "downloads": [5], "likes": [1], "n_models": [300]}
        )
        both = pl.concat([frequency, floor])
        dated, horizon = hub_ages(both, DAY)
        assert dated["n_models"].sum() == frequency["n_models"].sum()
        assert horizon == pytest.approx(((DAY - HUB_FLOOR).days + 0.5) / 365.25)
        fit = calibrate_attachment(
            both, hub_counts(both, DOWNLOADS), hub_counts(both, LIKES), NO_EFFECTS, DAY
        )
        assert fit.entry.n_obs - fit.entry.n_used == 300
        assert "300 models" in fit.entry.notes[0]

    def test_equation_19_as_printed_is_normal(self, frequency: pl.DataFrame) -> None:
        fit = calibrate_attachment(
            frequency,
            hub_counts(frequency, DOWNLOADS),
            hub_counts(frequency, LIKES),
            NO_EFFECTS,
            DAY,
        )
        printed = simulate_printed_equation(fit, seed=1)
        n = printed.n_items
        for skewness, kurtosis in zip(printed.skewness, printed.excess_kurtosis, strict=True):
            assert abs(skewness) < 4 * math.sqrt(6 / n)
            assert abs(kurtosis) < 4 * math.sqrt(24 / n)
        # Sizes end as 2 starts plus normal noise; shock k of K grows by D_T/D_k = 2/(1 + k/K).
        steps = 1.0 + np.arange(1, PRINTED_STEPS + 1) / PRINTED_STEPS
        spread = math.sqrt(np.mean((2.0 / steps) ** 2))
        for noise, negative in zip(printed.noise, printed.share_negative, strict=True):
            expected = 0.5 * math.erfc(2.0 / (noise * spread) / math.sqrt(2))
            assert abs(negative - expected) < 4 * math.sqrt(expected * (1 - expected) / n) + 1 / n


class TestGrowth:
    def test_drift_and_volatility_are_recovered(self) -> None:
        fit = calibrate_growth((table := population(4_000, 5)), listing(table), weekly(6))
        pop = fit.population
        assert abs(pop.m + 0.3) < 4 * pop.m_std_error
        assert abs(pop.sigma - 0.9) < 4 * pop.sigma_std_error
        assert abs(pop.mu - (-0.3 + 0.5 * 0.81)) < 4 * pop.mu_std_error

    def test_ages_come_from_quarters_and_the_undated_get_the_middle(self) -> None:
        table = population(800, 7)
        fit = calibrate_growth(table, listing(table), weekly(6))
        undated = table["listed_on"].is_null().to_numpy()
        assert fit.n_age_assumed == undated.sum()
        middle = DEFI_START + (LISTING_FLOOR - DEFI_START) / 2
        assert np.allclose(fit.ages[undated], (BEFORE - middle).days / 365.25)
        newest = (table["listed_on"] == date(2023, 4, 1)).fill_null(False).to_numpy()
        assert np.allclose(fit.ages[newest], (87 - 45) / 365.25)
        assert fit.log_entry.size == newest.sum()
        assert fit.ages.min() > 0

    def test_whole_quarters_only_enter_the_trend(self) -> None:
        fit = calibrate_growth((table := population(800, 7)), listing(table), weekly(6))
        assert fit.entry is not None
        # 2021-10-01 lies before listing dates began; 2023-04-01 ends within a week of the table.
        assert fit.entry.n_used == 6

    def test_distance_from_entry_sizes_is_that_of_two_samples(self) -> None:
        from scipy import stats

        table = population(600, 8)
        fit = calibrate_growth(table, listing(table), weekly(6))
        sizes = np.log(table["tvl_before"].to_numpy())
        newest = (table["listed_on"] == date(2023, 4, 1)).fill_null(False).to_numpy()
        expected = stats.ks_2samp(sizes, sizes[newest]).statistic
        # Entry sizes are part of the sample; the step of one observation is all that may differ.
        assert fit.ks_entry_only == pytest.approx(expected, abs=1 / 600 + 1e-12)

    def test_zeros_stay_in_the_sample(self) -> None:
        table = population(100, 9).with_columns(
            tvl_before=pl.when(pl.int_range(pl.len()) < 30).then(0.0).otherwise("tvl_before")
        )
        counts = tvl_counts(listing(table))
        assert counts.n_obs == 100
        assert counts.n_zero == 30
        assert calibrate_growth(table, listing(table), weekly(6)).ages.size == 70


def replicated(observed: float, mean: float, sd: float) -> Replicated:
    z = (observed - mean) / sd if sd else None
    return Replicated(observed=observed, mean=mean, sd=sd, z=z, n_replications=20)


@pytest.fixture(scope="module")
def fits() -> SizeFits:
    return fits_of(np.random.default_rng(1).zipf(2.0, 200_000) - 1)


# What every model is judged by, observed: a simulated sample that agrees in all.
SEEN = {
    "zeta": 1.0,
    "share_zero": 0.5,
    "top_1pct": 0.3,
    "tail_items": 3.0,
    "young_in_tail": 0.4,
    "zeta_oldest": 1.0,
}


class TestVerdicts:
    @pytest.mark.parametrize(
        ("model", "simulated", "verdict"),
        [
            ("Yule", {}, "explains share_zero, top_1pct, tail_items, young_in_tail, zeta_oldest"),
            ("Yule", {"zeta": 2.0}, "explains"),  # its zeta is tuned
            ("Yule", {"zeta_oldest": 1.3}, "contradicted by zeta_oldest"),
            ("Yule", {"share_zero": 0.9, "top_1pct": 0.6}, "contradicted by share_zero, top_1pct"),
            ("CES", {"zeta": 2.0}, "explains"),
            ("CES", {"young_in_tail": 0.1}, "contradicted by young_in_tail"),
            ("Simon", {"share_zero": 0.0}, "explains zeta, top_1pct"),  # begins at one
            ("Simon", {"zeta": 1.3}, "contradicted by zeta"),
            ("GBM", {"share_zero": 0.0, "young_in_tail": 0.1}, "explains zeta, top_1pct, tail"),
            ("dPlN", {"tail_items": 3.5}, "contradicted by tail_items"),
            ("fitness", {"zeta": 1.3}, "contradicted by zeta"),
            ("lognormal", {}, "explains zeta, share_zero, top_1pct"),
        ],
    )
    def test_each_model_is_held_to_what_it_speaks_of(
        self, model: str, simulated: dict[str, float], verdict: str
    ) -> None:
        drawn = SEEN | simulated
        compared = {name: replicated(SEEN[name], drawn[name], 0.002) for name in SEEN}
        found = judge(model, compared, {})
        assert isinstance(found, JointVerdict)
        assert found.verdict.startswith(verdict)
        assert tuple(a.name for a in found.agreements) == tuple(
            name for name in JUDGED[model] if name in SEEN
        )
        assert all(a.margin == MARGINS[a.name][1] for a in found.agreements)

    @pytest.mark.parametrize(
        ("model", "name", "gap"),
        [("Yule", "phi", -1.0), ("fitness", "theta", 0.3), ("GBM", "size_slope", -0.08)],
    )
    def test_what_happens_next_is_judged_where_it_is_known(
        self, model: str, name: str, gap: float
    ) -> None:
        values = SEEN | dict.fromkeys(JUDGED[model], 0.5)
        compared = {k: replicated(v, v, 0.002) for k, v in values.items()}
        found = judge(model, compared, {})
        assert found is not None
        assert found.verdict.startswith("explains")
        compared[name] = replicated(0.5 + gap, 0.5, 0.002)
        found = judge(model, compared, {})
        assert found is not None
        assert found.verdict == f"contradicted by {name}"

    def test_a_wide_spread_cannot_tell(self) -> None:
        compared = {name: replicated(v, v, 0.002) for name, v in SEEN.items()}
        compared["share_zero"] = replicated(0.5, 0.5, 0.3)
        found = judge("Yule", compared, {})
        assert found is not None
        assert found.verdict == "cannot be told: share_zero"

    def test_the_errors_of_the_data_count(self) -> None:
        compared = {name: replicated(v, v, 0.002) for name, v in SEEN.items()}
        found = judge("Simon", compared, {"zeta": 0.2})
        assert found is not None
        assert found.verdict == "cannot be told: zeta"

    def test_nothing_to_compare_is_no_verdict(self) -> None:
        assert judge("Yule", {"gini": replicated(0.5, 0.5, 0.1)}, {}) is None

    def test_the_headline_table(self, fits: SizeFits) -> None:
        # Replicates that are the data but for noise explain them; others are contradicted in words.
        observed = SEEN | {"zeta": fits.tail.zeta, "zeta_oldest": fits.tail.zeta}
        rng = np.random.default_rng(3)

        def around(shift: dict[str, float]) -> tuple[dict[str, float], ...]:
            return tuple(
                {k: v + shift.get(k, 0.0) + 0.002 * rng.standard_normal()
                 for k, v in observed.items()}
                for _ in range(30)
            )  # fmt: skip

        table = compare_models(
            {"likes": fits},
            {"likes": observed},
            {
                ("Simon", "likes"): around({}),
                ("Yule", "likes"): around({"zeta_oldest": 0.5, "young_in_tail": -0.3}),
            },
            {("Simon", "likes"): (1.1, ""), ("Yule", "likes"): (1.2, "tuned"),
             ("CES", "likes"): (None, "not run")},
            {"likes": {"zeta_oldest": 0.01}},
        )  # fmt: skip
        assert table.schema == COMPARISON.schema
        by_model = {r["model"]: r for r in table.iter_rows(named=True)}
        assert by_model["Simon"]["verdict"] == (
            "explains zeta, top 1 %, size of the tail, age of the tail, zeta of the oldest"
        )
        assert by_model["Yule"]["verdict"] == "contradicted by age of the tail, zeta of the oldest"
        assert by_model["Yule"]["evidence"].endswith("(observed / mean of 30 simulated); tuned")
        assert by_model["CES"]["verdict"] == "no prediction"
        assert by_model["CES"]["simulated_zeta"] is None
        assert by_model["Simon"]["predicted_zeta"] == 1.1
        assert by_model["Simon"]["simulated_zeta"] == pytest.approx(fits.tail.zeta, abs=0.002)
        assert by_model["Simon"]["zeta"] == fits.tail.zeta

    def test_cut_offs_that_reach_the_zeros_do_not_exist(self) -> None:
        counts = Counts.from_pairs([0, 1, 2, 3], [9_000, 600, 300, 100])
        found = cutoffs(counts)
        assert found["top10pct_all"] == 1_000
        assert found["top10pct_positive"] == 100
        assert "top0.1pct_all" not in found  # ten items are too few
        assert "top10pct_all" not in cutoffs(Counts.from_pairs([0, 1, 2], [9_900, 60, 40]))


def test_expand_writes_a_frequency_table_out() -> None:
    table = pl.DataFrame({"a": [1, 2], "n": [2, 3]})
    assert expand(table, "n")["a"].to_list() == [1, 1, 2, 2, 2]
