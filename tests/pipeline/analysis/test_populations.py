"""Other populations, both dates of DeFi and two windows of downloads are fitted where they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import stats

from baimo.estimation.errors import DataError
from baimo.estimation.growth.two_windows import TwoWindowsFit
from baimo.estimation.results import decode, encode
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.estimation.tails.rank_size import fit_zipf
from baimo.pipeline.analysis.populations import (
    COMPANION_FITS,
    EQUAL_CUTOFFS,
    WINDOW_NOISE,
    companion_counts,
    definition_of,
    fit_companions,
    fit_equal_cutoffs,
    fit_waves,
    positive_tvl,
    variant,
)
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.datasets.external import tabulate_sizes
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.models.registry import CALIBRATIONS
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.derived import (
    DEFI_POPULATION,
    HUB_BEFORE_FLOOR,
    HUB_WAVES,
    OTHER_DESIGN_EFFECTS,
    OTHER_SIZES,
    SIZE_VARIANTS,
)
from baimo.pipeline.settings import reference_dir
from baimo.pipeline.sources.reference import load_companions
from baimo.pipeline.variables import (
    AS_DEFILLAMA,
    BROAD,
    DOWNLOADS,
    LIKES,
    Definition,
    expand,
    own_labels,
)
from tests.pipeline.claims.evidence import variants_of
from tests.pipeline.synthetic import AFTER, NO_EFFECTS, day_of, fits_of, two_windows

YEAR = 365.25
NO_VARIANTS = pl.DataFrame(schema=TABLES["size_variants"].schema)


class TestWaves:
    YEARS = 731 / YEAR

    def made_up(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(2)
        before = np.floor(rng.pareto(0.7, 600) * 20).astype(int)
        after = np.floor(before**0.9 * rng.lognormal(0, 1, 600)).astype(int)
        return before, after

    def test_slopes_are_those_of_statsmodels(self) -> None:
        before, after = self.made_up()
        fit = fit_waves(two_windows(before.tolist(), after.tolist()))
        chosen = {
            "positive": (before > 0) & (after > 0),
            "above_100_earlier": (before > 100) & (after > 0),
            "above_100_both": (before > 100) & (after > 100),
        }
        assert fit.slopes.keys() - {"above_1000_earlier", "above_10000_earlier"} == chosen.keys()
        for name, kept in chosen.items():
            x = np.log(before[kept])
            growth = np.log(after[kept] / before[kept]) / self.YEARS
            other = sm.OLS(growth, sm.add_constant(x)).fit(cov_type="HC3")
            assert fit.slopes[name].value == pytest.approx(other.params[1], rel=1e-9)
            # without owners each model is a cluster of its own: the jackknife over models
            n = kept.sum()
            own = other.bse[1] * math.sqrt((n - 1) / n)
            assert fit.slopes[name].std_error == pytest.approx(own, rel=1e-9)
            assert fit.slopes[name].n_models == kept.sum()
        assert fit.n_obs == 600
        assert fit.n_used == chosen["positive"].sum()
        assert fit.years == pytest.approx(self.YEARS)

    def test_correlations_are_of_all_models(self) -> None:
        before, after = self.made_up()
        fit = fit_waves(two_windows(before.tolist(), after.tolist()))
        ranks = stats.rankdata(before), stats.rankdata(after)
        assert fit.rank_correlation == pytest.approx(np.corrcoef(*ranks)[0, 1])
        logs = np.corrcoef(np.log(1 + before), np.log(1 + after))[0, 1]
        assert fit.log_correlation == pytest.approx(logs)

    def test_tastes_that_stay_are_told_from_tastes_that_change(self) -> None:
        rng = np.random.default_rng(6)
        tastes = 2.0 * (1.0 - rng.random(4_000)) ** (-1.0 / 1.3)
        before, after = rng.poisson(tastes), rng.poisson(2.0 * tastes)
        fit = fit_waves(two_windows(before.tolist(), after.tolist()))
        assert fit.fixed_tastes_correlation is not None
        # of one sample about the law: (1 - r^2)/sqrt(n), and as much for the zeta that is fitted
        spread = (1 - fit.log_correlation**2) / math.sqrt(4_000) * math.sqrt(2)
        assert abs(fit.log_correlation - fit.fixed_tastes_correlation) < 4 * spread
        other = rng.poisson(2.0 * rng.permutation(tastes))
        fit = fit_waves(two_windows(before.tolist(), other.tolist()))
        assert fit.fixed_tastes_correlation is not None
        assert fit.log_correlation < 0.1 < 0.7 < fit.fixed_tastes_correlation

    def test_tenths_never_part_equal_downloads(self) -> None:
        # Of 40 models, 12 have one download: the first tenth and the second have the same upper
        # end and are one group; the third ends there too. Growth is +-g around a mean of zero.
        before = [1] * 12 + [10] * 20 + [100] * 8
        after = [b * (2 if i % 2 else 1) for i, b in enumerate(before)]
        fit = fit_waves(two_windows(before, after))
        assert fit.decile_low.tolist() == [1.0, 10.0, 100.0]
        assert fit.decile_models.tolist() == [12, 20, 8]
        half = math.log(2) / 2 / self.YEARS
        assert fit.decile_mean == pytest.approx([half] * 3)
        assert fit.decile_sd == pytest.approx([half * math.sqrt(n / (n - 1)) for n in (12, 20, 8)])

    def test_the_error_of_the_spread_is_that_of_a_normal(self) -> None:
        rng = np.random.default_rng(3)
        before = np.full(40_000, 10**6)
        before[:20_000] = 10**4
        after = np.round(before * np.exp(rng.normal(0, 0.5, 40_000))).astype(int)
        fit = fit_waves(two_windows(before.tolist(), after.tolist()))
        assert fit.decile_sd_std_error == pytest.approx(
            fit.decile_sd / np.sqrt(2 * fit.decile_models), rel=0.05
        )

    def test_too_few_models_are_refused(self) -> None:
        with pytest.raises(DataError, match="3 models have downloads in both windows"):
            fit_waves(two_windows([1, 2, 3, 0], [1, 2, 3, 4]))
        with pytest.raises(DataError, match="of different size"):
            fit_waves(two_windows([5] * 30, list(range(1, 31))))


def population(sizes: list[float]) -> pl.DataFrame:
    n = len(sizes)
    return pl.DataFrame(
        {
            "category": ["Dexes"] * n,
            "tvl_before": sizes,
            "tvl_after": [2 * s for s in sizes],
            "before_on": [date(2023, 6, 27)] * n,
            "after_on": [date(2025, 12, 17)] * n,
            "n_protocols": [1] * n,
        }
    )


class TestFits:
    def test_equal_cutoffs_are_maximum_likelihood(self) -> None:
        sizes = 1e6 * (1 - np.random.default_rng(4).random(3000)) ** (-1 / 0.8)
        notes: list[str] = []
        fits = fit_equal_cutoffs(population(sizes.tolist()), notes)
        for name, factor in (("tvl_before", 1.0), ("tvl_later", 2.0)):
            for fit, cutoff in zip(fits[name], (21e6, 1.2e9), strict=True):
                tail = factor * sizes[factor * sizes >= cutoff]
                zeta = tail.size / np.log(tail / cutoff).sum()
                assert fit.zeta == pytest.approx(zeta, rel=1e-6)
                assert fit.std_error == pytest.approx(zeta / math.sqrt(tail.size), rel=0.01)
                assert fit.n_tail == tail.size
        assert notes == []

    def test_what_cannot_be_fitted_is_said(self) -> None:
        nothing = pl.DataFrame(schema=TABLES["hub_waves"].schema)
        sizes = pl.DataFrame(schema=TABLES["other_sizes"].schema)
        fits = fit_companions(nothing, sizes, population([5.0]), NO_VARIANTS, n_replications=10)
        assert fits.sizes == {}
        assert fits.waves == {}
        assert fits.equal_cutoffs == {"tvl_before": (), "tvl_later": ()}
        assert any(n.startswith("DeFi TVL, later date: ") for n in fits.notes)
        assert sum("USD on: " in n for n in fits.notes) == 4
        few_waves = two_windows([1], [2])
        few = fit_companions(few_waves, sizes, population([5.0]), NO_VARIANTS, n_replications=10)
        assert any(n.startswith("downloads of models in two windows: ") for n in few.notes)

    @pytest.mark.filterwarnings("ignore::baimo.estimation.errors.ConvergenceWarning")
    def test_owners_of_datasets_make_their_errors(self) -> None:
        sizes = np.floor(1.0 / (1.0 - np.random.default_rng(7).random(2_000)))
        rows = pl.DataFrame(
            {"population": "datasets_likes", "size": sizes, "taken_on": date(2024, 7, 9)}
        )
        table, n_tail = tabulate_sizes(rows), fit_tail(sizes).n_tail
        effects = pl.DataFrame(
            [("datasets_likes", "alpha", "x_min", n_tail, 1.0, 2.0, 0.3, 4.0, 50, 9.0, None)],
            schema=OTHER_DESIGN_EFFECTS.schema,
            orient="row",
        )
        waves, nothing = (
            pl.DataFrame(schema=TABLES[name].schema) for name in ("hub_waves", "defi_population")
        )
        one, other = (
            fit_companions(waves, table, nothing, NO_VARIANTS, effects=e, n_replications=10)
            for e in (None, effects)
        )
        alone, clustered = (f.tails["datasets_likes"] for f in (one, other))
        assert alone.std_error_clustered == alone.std_error
        assert clustered.std_error_clustered == 0.3

    def test_empty_tables_give_an_empty_record(self) -> None:
        empty = (
            pl.DataFrame(schema=TABLES[name].schema)
            for name in ("hub_waves", "other_sizes", "defi_population", "size_variants")
        )
        fits = fit_companions(*empty)
        assert (fits.sizes, fits.equal_cutoffs, fits.waves, fits.notes) == ({}, {}, {}, ())
        assert fits.taken_on == {}

    @pytest.mark.filterwarnings("ignore::baimo.estimation.errors.ConvergenceWarning")
    def test_the_record_comes_back_from_the_lake(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(5)
        tvl = (1e5 * (1 - rng.random(200)) ** (-1 / 0.8)).tolist()
        rows = pl.DataFrame(
            {"population": "chains_tvl", "size": tvl, "taken_on": date(2023, 5, 12)}
        )
        waves = two_windows(list(range(1, 61)), list(range(2, 62)))
        fits = fit_companions(
            waves, tabulate_sizes(rows), population(tvl), NO_VARIANTS, n_replications=20
        )
        assert set(fits.tails) == {"chains_tvl", "tvl_later"}
        assert fits.taken_on == {
            "chains_tvl": "2023-05-12",
            "tvl_before": "2023-06-27",
            "tvl_later": "2025-12-17",
            "waves_models": "2022-07-02 to 2024-07-02",
        }
        lake = Lake(tmp_path)
        lake.write_record("companion_fits", AFTER, encode(fits))
        again = decode(lake.read_record("companion_fits", AFTER))
        assert encode(again) == encode(fits)
        assert again.tails["chains_tvl"].zeta == fits.tails["chains_tvl"].zeta
        assert again.waves["models"].to_dict() == fits.waves["models"].to_dict()


def rounded(fit: TwoWindowsFit) -> dict[str, tuple[float, float, int, float, float]]:
    found = {}
    for name, s in fit.slopes.items():
        assert s.later is not None
        power = round(s.later.exponent, 2), round(s.later.std_error, 2)
        found[name] = (round(s.value, 3), round(s.std_error, 3), s.n_models, *power)
    return found


def test_a_variant_is_its_rows_as_counts_and_none_where_there_are_no_rows() -> None:
    table = variants_of(likes_families=np.array([0.0, 3.0, 3.0, 7.0]), tvl_families=np.array([5.5]))
    counts = variant(table, "likes_families")
    assert counts is not None
    assert counts.values.tolist() == [0.0, 3.0, 7.0]
    assert counts.multiplicities.tolist() == [1, 2, 1]
    assert variant(table, "downloads_families") is None


class TestDefinitions:
    """DeFi by each definition of it: its sum and its tail, where there is one."""

    def test_each_has_its_total_and_the_tail_of_a_direct_fit(self) -> None:
        rng = np.random.default_rng(7)
        wide, narrow = (1e6 * (1 - rng.random(n)) ** (-1 / 0.8) for n in (600, 400))
        table = variants_of(tvl_broad=wide, tvl_later_defillama=narrow, tvl_defillama=narrow[:1])
        empty = [pl.DataFrame(schema=t.schema) for t in (HUB_WAVES, OTHER_SIZES, DEFI_POPULATION)]
        found = fit_companions(*empty, table, n_replications=10)
        assert set(found.definitions) == {"tvl_broad", "tvl_later_defillama"}
        assert [n.partition(":")[0] for n in found.notes] == ["tvl_defillama"]
        calibration = next(c for c in CALIBRATIONS if c.stored is COMPANION_FITS)
        rows = {row["name"]: row for row in calibration.parameters(found)}
        for name, sizes in (("tvl_broad", wide), ("tvl_later_defillama", narrow)):
            direct = fit_tail(sizes, discrete=False)
            assert rows[f"tail_{name}_zeta"]["value"] == direct.zeta
            assert rows[f"total_{name}"]["value"] == pytest.approx(sizes.sum())
            assert rows[f"total_{name}"]["notes"].startswith(definition_of(name).words)

    @pytest.mark.parametrize(
        ("definition", "billion", "zeta", "error"),
        [(BROAD, 298.1, 0.637, 0.032), (AS_DEFILLAMA, 220.1, 0.740, 0.051)],
    )
    def test_the_recording_of_2025(
        self,
        recording: Callable[[str], Path],
        definition: Definition,
        billion: float,
        zeta: float,
        error: float,
    ) -> None:
        rows = pl.read_parquet(recording("defillama/protocols_2025-12_six_snapshots.parquet"))
        latest = rows.filter(pl.col("observed_at") == pl.col("observed_at").max())
        sizes = latest.filter(definition.holds())["tvl_usd"].fill_null(0.0)
        assert sizes.sum() / 1e9 == pytest.approx(billion, abs=0.05)
        tail = fit_tail(sizes.clip(0.0).to_numpy(), discrete=False)
        assert tail.zeta == pytest.approx(zeta, abs=0.0006)
        assert tail.std_error == pytest.approx(error, abs=0.0006)

    @pytest.mark.parametrize(
        ("definition", "zeta", "error"), [(BROAD, 0.7315, 0.047), (AS_DEFILLAMA, 0.7606, 0.053)]
    )
    def test_the_reference_of_2023(self, definition: Definition, zeta: float, error: float) -> None:
        table = pl.read_parquet(reference_dir() / "defi_population.parquet")
        sizes = positive_tvl(table.filter(definition.holds()), "tvl_before")
        assert sizes is not None
        tail = fit_tail(sizes, discrete=False)
        assert tail.zeta == pytest.approx(zeta, abs=0.0006)
        assert tail.std_error == pytest.approx(error, abs=0.0006)

    @pytest.mark.parametrize(("k", "slope", "half"), [(242, -0.752, 0.0005), (24, -1.08, 0.005)])
    def test_the_slopes_listed_with_the_recording_are_those_of_all_defi(
        self, k: int, slope: float, half: float
    ) -> None:
        table = pl.read_parquet(reference_dir() / "defi_population.parquet")
        sizes = positive_tvl(table.filter(BROAD.holds()), "tvl_before")
        assert sizes is not None
        assert fit_zipf(sizes, k=k).slope == pytest.approx(slope, abs=half)

    def test_a_third_of_the_largest_is_no_defi_for_its_source(self) -> None:
        table = pl.read_parquet(reference_dir() / "defi_population.parquet")
        largest = table.sort("tvl_after", descending=True, nulls_last=True).head(40)
        assert largest["n_protocols"].to_list() == [1] * 40
        assert largest.filter(~AS_DEFILLAMA.holds()).height == 13


class TestMeasured:
    """The bundled tables give the figures that were measured on the recordings."""

    def test_downloads_of_two_windows(self) -> None:
        fit = fit_waves(load_companions()["hub_waves"])
        assert (fit.n_obs, fit.n_used, fit.n_clusters) == (51_506, 34_594, 6_835)
        assert rounded(fit) == {
            "positive": (-0.171, 0.035, 34_594, 0.72, 0.03),
            "above_100_earlier": (0.069, 0.022, 5_193, 0.70, 0.04),
            "above_1000_earlier": (0.150, 0.109, 1_853, 0.68, 0.05),
            "above_10000_earlier": (-0.009, 0.036, 577, 0.67, 0.07),
            "above_100_both": (-0.150, 0.014, 2_429, 0.70, 0.04),
        }
        assert round(fit.rank_correlation, 3) == 0.793
        assert round(fit.log_correlation, 3) == 0.750
        assert fit.fixed_tastes_correlation == pytest.approx(0.93, abs=0.005)
        assert fit.decile_sd[[0, -1]].round(2).tolist() == [0.44, 1.58]
        # window noise that is measured takes a third off the fall of the small, and adds to the
        # rise of the large; what would part lasting rates so far is more than is measured
        corrected = [round(fit.without_noise(name, WINDOW_NOISE), 3) for name in fit.slopes]
        assert corrected == [-0.131, 0.092, 0.163, 0.034, -0.130]
        assert round(fit.lasting_noise, 2) == 1.04

    def test_downloads_of_datasets_in_two_windows_of_two_counters(self) -> None:
        fit = fit_waves(load_companions()["hub_waves"], "datasets")
        assert (fit.n_obs, fit.n_used, fit.n_clusters) == (21_134, 6_012, 2_314)
        assert rounded(fit) == {
            "positive": (-0.381, 0.027, 6_012, 0.62, 0.08),
            "above_100_earlier": (0.135, 0.064, 1_883, 0.59, 0.12),
            "above_1000_earlier": (-0.363, 0.145, 199, 0.47, 0.15),
            "above_10000_earlier": (-0.508, 0.439, 37, 0.30, 0.25),
            "above_100_both": (-0.390, 0.070, 491, 0.59, 0.12),
        }

    def test_the_plain_sandwich_over_owners_gives_the_errors_of_the_issue(self) -> None:
        rows = expand(
            load_companions()["hub_waves"].filter(pl.col("population") == "models"), "n_items"
        )
        owners = own_labels(rows["author"])
        before, after = (rows[f"downloads_{s}"].to_numpy() for s in ("before", "after"))
        found = {}
        for above in (0, 100, 1_000, 10_000):
            kept = (before > above) & (after > 0)
            growth = np.log(after[kept] / before[kept]) / (740 / YEAR)
            other = sm.OLS(growth, sm.add_constant(np.log(before[kept]))).fit(
                cov_type="cluster", cov_kwds={"groups": owners[kept]}
            )
            found[above] = round(float(other.bse[1]), 3)
        assert found == {0: 0.032, 100: 0.023, 1_000: 0.088, 10_000: 0.035}

    def test_the_noise_of_windows_is_that_of_a_complete_niche(
        self, recording: Callable[[str], Path]
    ) -> None:
        table = pl.read_parquet(recording("hub/transformersjs_daily_2024_2026.parquet"))
        niche = table.filter(pl.col("date") <= pl.date(2025, 9, 24)).select(
            "model_id", pl.col("date").cast(pl.Date), "downloads"
        )
        assert niche["model_id"].n_unique() == 231

        def spread(days: int) -> float:
            later = niche.with_columns(pl.col("date") - pl.duration(days=days))
            both = niche.join(later, on=["model_id", "date"], suffix="_later").filter(
                (pl.col("downloads") > 0) & (pl.col("downloads_later") > 0)
            )
            growth = both.select("date", g=(pl.col("downloads_later") / pl.col("downloads")).log())
            return float(
                growth.select((pl.col("g") - pl.col("g").mean().over("date")).var()).item()
            )

        assert math.sqrt(spread(60) - spread(120) / 2) == pytest.approx(WINDOW_NOISE, abs=0.005)
        assert math.sqrt(spread(30) - spread(60) / 2) == pytest.approx(0.61, abs=0.005)

    def test_both_dates_of_defi_from_the_same_sizes_on(self) -> None:
        table = pl.read_parquet(reference_dir() / "defi_population.parquet")
        fits = fit_equal_cutoffs(table, [])
        found = {
            name: [(round(f.zeta, 2), round(f.std_error, 2), f.n_tail) for f in tails]
            for name, tails in fits.items()
        }
        assert found == {
            "tvl_before": [(0.73, 0.05, 241), (1.22, 0.30, 17)],
            "tvl_later": [(0.56, 0.02, 524), (1.19, 0.17, 51)],
        }

    def test_tails_of_other_populations(self) -> None:
        table = pl.read_parquet(reference_dir() / "defi_population.parquet")
        counts = companion_counts(load_companions()["other_sizes"], table)
        assert {n: c.n_obs for n, c in counts.items()} == {
            "datasets_downloads": 175_000, "datasets_likes": 175_000, "chains_tvl": 181,
            "tvl_later": 5_113,
        }  # fmt: skip
        found = {
            name: (round(fit.zeta, 3), fit.x_min)
            for name, c in counts.items()
            for fit in [fit_tail(c, discrete=name.startswith("datasets"))]
        }
        assert found == {
            "datasets_downloads": (0.857, 5756.0), "datasets_likes": (0.936, 4.0),
            "chains_tvl": (0.714, 113_780_000.0), "tvl_later": (0.639, 40_480_000.0),
        }  # fmt: skip

    def test_the_recordings_give_the_bundled_samples(
        self, recording: Callable[[str], Path]
    ) -> None:
        datasets = pl.read_parquet(recording("hub/datasets_2024-07-09.parquet"))
        counts = companion_counts(load_companions()["other_sizes"], population([]))
        for column in ("downloads", "likes"):
            whole = Counts.from_sample(datasets[column].to_numpy())
            bundled = counts[f"datasets_{column}"]
            assert np.array_equal(bundled.values, whole.values)
            assert np.array_equal(bundled.multiplicities, whole.multiplicities)


class TestAsset:
    def test_it_is_the_fit_of_the_days_tables_and_exports_it(self) -> None:
        sizes = (1e6 * (1 - np.random.default_rng(4).random(3000)) ** (-1 / 0.8)).tolist()
        # nothing is left on the later date: both dates have a table, and one has a tail
        table = population(sizes).with_columns(tvl_after=0.0)
        waves = two_windows(list(range(1, 61)), list(range(2, 62)))
        nothing = pl.DataFrame(schema=TABLES["other_sizes"].schema)
        calibration = next(c for c in CALIBRATIONS if c.stored is COMPANION_FITS)
        tails = {TAILS[v.name]: fits_of(np.arange(1, 200), v) for v in (DOWNLOADS, LIKES)}
        x_min = tails[TAILS["downloads"]].tail.x_min
        made = np.floor(10.0 * x_min * (1 - np.random.default_rng(6).random(300)) ** -1.0)
        old = pl.DataFrame(
            {"made_in": 2021, "author": np.arange(300) // 2, "downloads": made.astype(int),
             "likes": 0, "n_models": 1},
            schema=HUB_BEFORE_FLOOR.schema,
        )  # fmt: skip
        day = day_of(
            {HUB_WAVES: waves, OTHER_SIZES: nothing, OTHER_DESIGN_EFFECTS: NO_EFFECTS,
             DEFI_POPULATION: table, SIZE_VARIANTS: NO_VARIANTS, HUB_BEFORE_FLOOR: old, **tails}
        )  # fmt: skip
        found = calibration.fit(day.only(calibration.needs))
        assert found.sizes == {}
        assert set(found.equal_cutoffs) == {"tvl_before"}
        rows = {row["name"]: row for row in calibration.parameters(found)}
        zetas = [fit_tail(np.array(sizes), discrete=False, x_min=x).zeta for x in EQUAL_CUTOFFS]
        names = ("tail_tvl_before_zeta_from_2.1e07", "tail_tvl_before_zeta_from_1.2e09")
        assert [rows[name]["value"] for name in names] == zetas
        slope = fit_waves(waves).estimates()
        before = found.before_floor["downloads"]["2021"]
        assert before.x_min == x_min
        assert rows["before_floor_hub_downloads_zeta_2021"]["value"] == before.zeta
        known = {*names, "before_floor_hub_downloads_zeta_2021"}
        assert {name for name in rows if name not in known} == {
            f"waves_hub_downloads_{name}" for name in slope
        }
        for name, e in slope.items():
            row = rows[f"waves_hub_downloads_{name}"]
            assert (row["value"], row["std_error"]) == (e.value, e.std_error)
            assert row["method"] == "two windows of 30 days, 2022-07-02 to 2024-07-02"
        assert calibration.shown(found)["tvl_before_zeta_from_2.1e+07"] == zetas[0]

    @pytest.mark.filterwarnings("ignore::baimo.estimation.errors.ConvergenceWarning")
    def test_rows_of_a_population_say_on_which_day_it_was_taken(self) -> None:
        tvl = (1e5 * (1 - np.random.default_rng(5).random(200)) ** (-1 / 0.8)).tolist()
        rows = pl.DataFrame(
            {"population": "chains_tvl", "size": tvl, "taken_on": date(2023, 5, 12)}
        )
        fits = fit_companions(
            pl.DataFrame(schema=TABLES["hub_waves"].schema),
            tabulate_sizes(rows),
            pl.DataFrame(schema=TABLES["defi_population"].schema),
            NO_VARIANTS,
            n_replications=20,
        )
        calibration = next(c for c in CALIBRATIONS if c.stored is COMPANION_FITS)
        exported = {row["name"]: row for row in calibration.parameters(fits)}
        zeta = exported["tail_chains_tvl_zeta"]
        assert zeta["value"] == fits.tails["chains_tvl"].zeta
        assert zeta["value"] == pytest.approx(fit_tail(np.array(tvl), discrete=False).zeta)
        assert {row["notes"].partition(";")[0] for row in exported.values()} == {
            "taken on 2023-05-12"
        }
        assert "zipf_chains_tvl_logrank_slope_top10pct_positive" in exported
        assert "tail_chains_tvl_p_value_without_largest" in exported
