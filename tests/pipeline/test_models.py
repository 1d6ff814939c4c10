"""Calibration, simulation and verdicts on made-up tables whose truth is known."""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from estimation.counts import Counts
from estimation.recovery import Replicated
from pipeline.audit import Evidence, audit_claims
from pipeline.comparison import JUDGED, judge, refit_models
from pipeline.fits import SizeFits, fit_sizes
from pipeline.measures import (
    DEFI_START,
    DOWNLOADS,
    HUB_FLOOR,
    LIKES,
    LISTING_FLOOR,
    TVL,
    cutoffs,
    expand,
    hub_ages,
    hub_counts,
    tvl_counts,
)
from pipeline.models import (
    PRINTED_STEPS,
    calibrate_attachment,
    calibrate_growth,
    draw_attachment,
    simulate_models,
    simulate_printed_equation,
)
from pipeline.tables import TABLES

DAY = date(2024, 7, 11)
BEFORE, AFTER = date(2023, 6, 27), date(2025, 12, 17)
NO_EFFECTS = pl.DataFrame(schema=TABLES["hub_design_effects"].schema)


def hub_frequency(n: int, seed: int) -> pl.DataFrame:
    """Return models with exponential ages (rate 1.3 a year) and Yule likes (gamma 0.8, a 2)."""
    rng = np.random.default_rng(seed)
    history = (DAY - HUB_FLOOR).days
    days = np.floor(rng.exponential(365.25 / 1.3, 4 * n)).astype(int)
    days = days[days < history][:n]
    age = (days + 0.5) / 365.25
    likes = rng.poisson(rng.gamma(2.0, np.expm1(0.8 * age)))
    return (
        pl.DataFrame(
            {
                "created_on": [DAY - timedelta(days=int(d)) for d in days],
                "downloads": rng.zipf(1.8, days.size) - 1,
                "likes": likes,
            }
        )
        .group_by("created_on", "downloads", "likes")
        .agg(n_models=pl.len().cast(pl.Int64))
        .sort("created_on", "downloads", "likes")
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
        assert ("Yule", "likes") in draw_attachment(fit)

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

    def test_simulations_depend_on_seed_model_and_replicate_only(
        self, frequency: pl.DataFrame
    ) -> None:
        fit = calibrate_attachment(
            frequency,
            hub_counts(frequency, DOWNLOADS),
            hub_counts(frequency, LIKES),
            NO_EFFECTS,
            DAY,
        )
        draws = draw_attachment(fit)
        few = simulate_models(draws, n_replications=2, seed=1)
        many = simulate_models(draws, n_replications=3, seed=1)
        assert many.filter(pl.col("replicate") < 2).equals(few)
        alone = simulate_models({("Simon", "likes"): draws["Simon", "likes"]},
                                n_replications=2, seed=1)  # fmt: skip
        assert few.filter((pl.col("model") == "Simon") & (pl.col("measure") == "likes")).equals(
            alone
        )
        assert not simulate_models(draws, n_replications=2, seed=2).equals(few)

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


def population(n: int, seed: int) -> pl.DataFrame:
    """Return protocols with log drift -.3, sigma .9, a quarter of them undated."""
    rng = np.random.default_rng(seed)
    years = (AFTER - BEFORE).days / 365.25
    before = np.exp(rng.normal(16.0, 2.0, n))
    after = before * np.exp(-0.3 * years + 0.9 * math.sqrt(years) * rng.standard_normal(n))
    quarters = [date(2021, 10, 1), date(2022, 1, 1), date(2022, 4, 1), date(2022, 7, 1),
                date(2022, 10, 1), date(2023, 1, 1), date(2023, 4, 1), None]  # fmt: skip
    listed = [quarters[i] for i in rng.integers(0, 8, n)]
    return pl.DataFrame(
        {
            "category": ["Dexes"] * n,
            "listed_on": pl.Series(listed, dtype=pl.Date),
            "tvl_before": before,
            "tvl_after": after,
            "entrant": [False] * n,
            "unmatched": [False] * n,
            "before_on": [BEFORE] * n,
            "after_on": [AFTER] * n,
            "n_protocols": [1] * n,
        }
    )


def weekly(seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (i, date(2022, 1, 1) + timedelta(weeks=w), g)
        for i in range(6)
        for w, g in enumerate(rng.normal(0, 0.1, 60))
    ]
    return pl.DataFrame(
        rows, schema=["protocol_number", "week", "log_growth"], orient="row"
    ).select("protocol_number", "week", "log_growth", age_weeks=pl.lit(30))


def listing(table: pl.DataFrame) -> pl.DataFrame:
    """Return the cross-section of a population's earlier date."""
    return table.filter(~pl.col("entrant")).select(
        "category", "listed_on", pl.col("tvl_before").alias("tvl_usd"),
        pl.col("before_on").alias("observed_on"), "n_protocols",
    )  # fmt: skip


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


def fits_of(sizes: np.ndarray, measure: object = LIKES) -> SizeFits:
    return fit_sizes(Counts.from_sample(sizes), measure, None, n_replications=50)  # type: ignore[arg-type]


def replicated(observed: float, mean: float, sd: float) -> Replicated:
    z = (observed - mean) / sd if sd else None
    return Replicated(observed=observed, mean=mean, sd=sd, z=z, n_replications=20)


@pytest.fixture(scope="module")
def fits() -> SizeFits:
    return fits_of(np.random.default_rng(1).zipf(2.0, 200_000) - 1)


class TestVerdicts:
    @pytest.mark.parametrize(
        ("model", "zeta", "zeros", "top", "verdict"),
        [
            ("Yule", 1.0, 0.5, 0.3, "reproduces zeta, zeros, top 1 %"),
            ("Yule", 1.3, 0.5, 0.3, "misses zeta"),
            ("Yule", 1.3, 0.9, 0.3, "misses zeta, zeros"),
            ("CES", 1.3, 0.5, 0.3, "reproduces zeros, top 1 %"),
            ("Simon", 1.0, 0.0, 0.3, "reproduces zeta, top 1 %"),
        ],
    )
    def test_each_model_is_held_to_what_it_speaks_of(
        self, fits: SizeFits, model: str, zeta: float, zeros: float, top: float, verdict: str
    ) -> None:
        compared = {
            "zeta": replicated(1.0, zeta, 0.002),
            "share_zero": replicated(0.5, zeros, 0.002),
            "top_1pct": replicated(0.3, top, 0.002),
        }
        assert judge(model, compared, fits)[0] == verdict
        assert set(JUDGED[model]) <= set(compared)

    def test_a_wide_spread_cannot_tell(self, fits: SizeFits) -> None:
        compared = {
            "zeta": replicated(1.0, 1.0, 0.002),
            "share_zero": replicated(0.5, 0.5, 0.3),
            "top_1pct": replicated(0.3, 0.3, 0.002),
        }
        assert judge("Yule", compared, fits)[0] == "cannot tell: zeros"

    def test_refits_use_the_code_of_the_data(self) -> None:
        from estimation.recovery import measure_sizes

        sizes = np.random.default_rng(2).zipf(2.2, 5_000) - 1
        counts = Counts.from_sample(sizes)
        table = pl.DataFrame(
            {
                "model": "Yule",
                "measure": "likes",
                "replicate": 0,
                "value": counts.values,
                "n_items": counts.multiplicities,
            }
        )
        assert refit_models(table)["Yule", "likes"] == (measure_sizes(counts, discrete=True),)

    def test_cut_offs_that_reach_the_zeros_do_not_exist(self) -> None:
        counts = Counts.from_pairs([0, 1, 2, 3], [9_000, 600, 300, 100])
        found = cutoffs(counts)
        assert found["top10pct_all"] == 1_000
        assert found["top10pct_positive"] == 100
        assert "top0.1pct_all" not in found  # ten items are too few
        assert "top10pct_all" not in cutoffs(Counts.from_pairs([0, 1, 2], [9_900, 60, 40]))


class TestAudit:
    def verdicts(self, downloads: np.ndarray, likes: np.ndarray) -> dict[str, str]:
        frequency = hub_frequency(3_000, 11)
        attachment = calibrate_attachment(
            frequency, Counts.from_sample(downloads), Counts.from_sample(likes), NO_EFFECTS, DAY
        )
        tvl = np.exp(np.random.default_rng(4).normal(12, 3, 3_000))
        evidence = Evidence(
            {
                "downloads": fits_of(downloads, DOWNLOADS),
                "likes": fits_of(likes, LIKES),
                "tvl": fits_of(tvl, TVL),
            },
            attachment,
            DAY,
            simulate_printed_equation(attachment, 1),
        )
        return {c.name: c.verdict for c in audit_claims(evidence)}

    def test_an_exact_zipf_law_holds_and_thinner_likes_are_seen(self) -> None:
        # Sizes at the quantiles of P(X > x) = 1/x and x^-2: no sampling error.
        rank = np.arange(1, 200_001) - 0.5
        verdicts = self.verdicts(np.floor(2e5 / rank), np.floor((2e5 / rank) ** 0.5 * 50))
        assert verdicts["downloads_zipf"] == "holds"
        assert verdicts["likes_zipf"] == "fails"
        assert verdicts["likes_fatter"] == "fails"
        assert verdicts["printed_equation"] == "fails"
        assert verdicts["number_of_models"] == "fails"

    def test_fatter_likes_are_seen_too(self) -> None:
        rank = np.arange(1, 200_001) - 0.5
        verdicts = self.verdicts(np.floor((2e5 / rank) ** 0.5 * 50), np.floor(2e5 / rank))
        assert verdicts["likes_fatter"] == "holds"
        assert verdicts["likes_zipf"] == "holds"
        assert verdicts["downloads_zipf"] == "fails"


def test_expand_writes_a_frequency_table_out() -> None:
    table = pl.DataFrame({"a": [1, 2], "n": [2, 3]})
    assert expand(table, "n")["a"].to_list() == [1, 1, 2, 2, 2]
