"""Recordings beside the main ones: recognised, counted without names, fitted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from scipy import stats

from baimo.estimation.errors import DataError
from baimo.estimation.results import decode, encode
from baimo.estimation.samples.counts import Counts
from baimo.estimation.tails.power_law import fit_tail
from baimo.pipeline.analysis.populations import (
    companion_counts,
    fit_companions,
    fit_equal_cutoffs,
    fit_waves,
)
from baimo.pipeline.datasets import external as companions
from baimo.pipeline.datasets.external import (
    read_companion,
    tabulate_companions,
    tabulate_increments,
    tabulate_sizes,
    tabulate_waves,
)
from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.settings import reference_dir
from baimo.pipeline.sources import reference
from baimo.pipeline.sources.reference import COMPANIONS, load_companions, load_reference

BEFORE, AFTER = date(2026, 8, 19), date(2026, 8, 22)
YEAR = 365.25


def two_days(rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
    names = ("author", "age", "likes_before", "likes_after")
    frame = pl.DataFrame(
        rows, schema=dict(zip(names, (pl.String, pl.Float64, pl.Int64, pl.Int64), strict=True)),
        orient="row",
    )  # fmt: skip
    return frame.with_columns(
        hub_id=pl.format("m{}", pl.int_range(pl.len())),
        before_on=pl.lit(BEFORE),
        after_on=pl.lit(AFTER),
    )


class TestIncrements:
    def test_models_that_share_everything_are_counted_together(self) -> None:
        rows = two_days(
            [("zoe", 0.123449, 3, 5), ("zoe", 0.123351, 3, 5), ("zoe", None, None, 1),
             ("adam", 1.0, 0, None), (None, 2.0, 0, 0), (None, 2.0, 0, 0)]
        )  # fmt: skip
        table = tabulate_increments(rows)
        assert table.drop("before_on", "after_on").rows() == [
            (0, 0.1234, 3, 5, 2), (0, None, None, 1, 1), (1, 1.0, 0, None, 1), (None, 2.0, 0, 0, 2)
        ]  # fmt: skip
        assert table["before_on"].unique().to_list() == [BEFORE]
        assert table["after_on"].unique().to_list() == [AFTER]
        checked = validate(table, TABLES["hub_increments"])
        assert checked.good.equals(table)

    def test_names_and_the_order_of_rows_have_no_part_in_the_numbers(self) -> None:
        rng = np.random.default_rng(1)
        sample = [
            (f"author{rng.integers(30)}", float(rng.integers(5)) / 4, int(rng.integers(3)), 4)
            for _ in range(200)
        ]
        made = tabulate_increments(two_days(sample))
        renamed = {f"author{k}": f"name{v}" for k, v in enumerate(rng.permutation(30))}
        other = [(renamed[a], *rest) for a, *rest in sample]
        shuffled = [other[i] for i in rng.permutation(len(other))]
        assert tabulate_increments(two_days(shuffled)).equals(made)
        models = made.group_by("author").agg(pl.col("n_models").sum()).sort("author")
        assert models["n_models"].is_sorted(descending=True)
        assert models["author"].to_list() == list(range(models.height))

    def test_what_is_no_pair_of_days_is_refused(self) -> None:
        rows = two_days([("a", 1.0, 0, 1), ("b", 1.0, 0, 1)])
        with pytest.raises(SourceError, match="'m0' has several rows"):
            tabulate_increments(rows.with_columns(hub_id=pl.lit("m0")))
        several = pl.when(pl.col("author") == "a").then(pl.lit(AFTER)).otherwise("after_on")
        with pytest.raises(SourceError, match="2 pairs of days"):
            tabulate_increments(
                rows.with_columns(after_on=several + pl.duration(days=pl.int_range(2)))
            )
        with pytest.raises(SourceError, match="2026-08-22, is not before the later, 2026-08-22"):
            tabulate_increments(rows.with_columns(before_on=pl.lit(AFTER)))


def panel(**more: object) -> pl.DataFrame:
    """Three snapshots: b leaves, c comes, d was removed before, e is of the Hub's floor."""
    first, middle, last = (
        "2026-08-19T09:36:31+02:00", "2026-08-20T01:00:00+02:00", "2026-08-22T22:00:29+02:00"
    )  # fmt: skip
    rows = [
        ("x/a", "x", "2026-08-18T22:00:00.000Z", 1, False, first),
        ("x/b", "x", "2025-08-20T00:00:00.000Z", 7, False, first),
        ("y/d", "y", "2026-08-18T00:00:00.000Z", 9, True, first),
        ("y/e", "y", "2022-03-02T23:29:04.000Z", 2, False, first),
        ("x/a", "x", "2026-08-18T22:00:00.000Z", 99, False, middle),
        ("x/a", "x", "2026-08-18T22:00:00.000Z", 4, False, last),
        ("x/b", "x", "2025-08-20T00:00:00.000Z", 7, True, last),
        ("z/c", "z", "2026-08-21T00:00:00.000Z", 0, False, last),
        ("y/d", "y", "2026-08-18T00:00:00.000Z", 9, True, last),
        ("y/e", "y", "2022-03-02T23:29:04.000Z", 2, False, last),
    ]
    names = ("id", "author", "created_at", "likes", "removed", "snapshot_at")
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.lit(value).alias(name) for name, value in more.items()
    )


def waves_file() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "model_id": ["a", "b", "c", "d"],
            "downloads_2024_07_11": [5, 0, 5, 1],
            "downloads_2022_07_02": pl.Series([2, 3, 2, 0], dtype=pl.Int32),
        }
    )


def datasets_file() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "dataset_id": ["a", "b", "c"],
            "downloads": [3, 0, 3],
            "likes": [0, 0, 1],
            "created_at": ["2024-01-01T00:00:00.000Z", "2024-07-09T08:12:26.000Z", None],
        }
    )


def chains_file() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "Date": ["2023-05-12", "2023-05-11", "2023-05-13"],
            "Ethereum": [42704.13, 1.0, None],
            "Tron": [0.07, 2.0, None],
            "Coti": [0.0, 3.0, None],
            "Palm": [None, 4.0, None],
            "Total": [42704.2, 10.0, None],
        }
    )


def written(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_parquet(path)
    return path


class TestReading:
    def test_a_cohort_first_against_last(self, tmp_path: Path) -> None:
        found = read_companion(written(panel(), tmp_path / "p.parquet"))
        assert found is not None
        name, rows = found
        assert name == "hub_increments"
        columns = ["hub_id", "author", "age", "likes_before", "likes_after"]
        a, b, c, e = rows.sort("hub_id").sort("author", "hub_id").select(columns).rows()[:4]
        by_id = {row[0]: row for row in (a, b, c, e)}
        end = (9 + 36 / 60 + 31 / 3600) / 24 / YEAR  # the first snapshot, after a was made
        assert by_id["x/a"][1:] == ("x", pytest.approx(end), 1, 4)
        assert by_id["x/b"][1:] == ("x", pytest.approx(1.0, abs=0.003), 7, None)
        assert by_id["z/c"][1:] == ("z", None, None, 0)
        assert by_id["y/e"][1:] == ("y", None, 2, 2)
        assert rows.height == 4  # d is on neither day
        assert rows.select("before_on", "after_on").unique().rows() == [(BEFORE, AFTER)]
        assert companions.days_of(found) == "2026-08-19 and 2026-08-22"
        assert companions.n_items(found) == 4

    def test_two_windows(self, tmp_path: Path) -> None:
        found = read_companion(written(waves_file(), tmp_path / "w.parquet"))
        assert found is not None
        assert found[0] == "hub_waves"
        table = tabulate_waves(found[1])
        days = (date(2022, 7, 2), date(2024, 7, 11))
        assert table.rows() == [(0, 1, *days, 1), (2, 5, *days, 2), (3, 0, *days, 1)]
        assert table.schema == pl.Schema(TABLES["hub_waves"].schema)

    def test_datasets_and_chains_are_one_table(self, tmp_path: Path) -> None:
        files = (
            written(chains_file(), tmp_path / "chains.parquet"),
            written(datasets_file(), tmp_path / "datasets.parquet"),
        )
        found = [c for path in files if (c := read_companion(path)) is not None]
        assert [companions.n_items(c) for c in found] == [2, 3]
        table = tabulate_companions(found)["other_sizes"]
        chains, newest = date(2023, 5, 12), date(2024, 7, 9)
        assert table.rows() == [
            ("chains_tvl", 70_000.0, chains, 1),
            ("chains_tvl", 42_704_130_000.0, chains, 1),
            ("datasets_downloads", 0.0, newest, 1),
            ("datasets_downloads", 3.0, newest, 2),
            ("datasets_likes", 0.0, newest, 2),
            ("datasets_likes", 1.0, newest, 1),
        ]
        assert validate(table, TABLES["other_sizes"]).good.equals(table)

    def test_the_day_in_the_name_of_datasets_comes_first(self, tmp_path: Path) -> None:
        found = read_companion(written(datasets_file(), tmp_path / "d_2024-08-01.parquet"))
        assert found is not None
        assert companions.days_of(found) == "2024-08-01"

    def test_other_files_are_none(self, tmp_path: Path) -> None:
        history = pl.DataFrame({"Date": ["2023-01-01"], "protocol": ["Aave"], "Ethereum": [1.0]})
        models = pl.DataFrame({"model_id": ["a"], "downloads": [1], "likes": [1]})
        assert read_companion(written(history, tmp_path / "h.parquet")) is None
        assert read_companion(written(models, tmp_path / "m.parquet")) is None
        (tmp_path / "broken.parquet").write_text("no Parquet")
        assert read_companion(tmp_path / "broken.parquet") is None
        assert read_companion(tmp_path / "other.csv") is None

    @pytest.mark.parametrize(
        ("frame", "message"),
        [
            (panel().drop("likes"), "column likes is missing"),
            (panel(likes=-1), "likes: 3 counts are missing or negative"),
            (panel(likes="1"), "likes holds no whole numbers"),
            (panel(id="a"), "'a' has several rows"),
            (panel(snapshot_at="soon"), "no usable snapshot_at"),
            (panel().filter(pl.col("snapshot_at").str.contains("09:36")), "is not before"),
            (waves_file().drop("downloads_2022_07_02"), "downloads of two days are needed"),
            (waves_file().rename({"downloads_2022_07_02": "downloads_2022_99_02"}), "is no day"),
            (pl.concat([waves_file()] * 2), "'a' has several rows"),
            (datasets_file().drop("downloads"), "column downloads is missing"),
            (datasets_file().drop("created_at"), "put YYYY-MM-DD in the file's name"),
            (chains_file().tail(1), "no day has a value"),
            (chains_file().with_columns(Tron=-1.0), "values that are no sizes"),
            (chains_file().with_columns(Tron=pl.lit("much")), "conversion"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_is_recognised_but_broken_is_explained(
        self, frame: pl.DataFrame, message: str, tmp_path: Path
    ) -> None:
        with pytest.raises(SourceError, match=message) as refused:
            read_companion(written(frame, tmp_path / "f.parquet"))
        assert str(refused.value).startswith("f.parquet: ")
        assert "\n" not in str(refused.value)

    def test_the_same_twice_is_refused(self, tmp_path: Path) -> None:
        waves = read_companion(written(waves_file(), tmp_path / "w.parquet"))
        chains = read_companion(written(chains_file(), tmp_path / "c.parquet"))
        assert waves is not None
        assert chains is not None
        for found in (waves, chains):
            with pytest.raises(SourceError, match="two recordings of"):
                tabulate_companions([waves, chains, found])
        later = chains[1].with_columns(taken_on=pl.lit(date(2023, 5, 13)))
        with pytest.raises(SourceError, match="chains_tvl: sizes of several days"):
            tabulate_sizes(pl.concat([chains[1], later]))


class TestBundled:
    def test_those_that_the_manifest_names_are_read(self) -> None:
        tables = load_companions()
        assert tuple(tables) == COMPANIONS
        sizes = [Path(reference_dir(), f"{n}.parquet").stat().st_size for n in tables]
        assert sum(sizes) < 300_000
        gains = load_reference().frames["hub_increments"]
        assert gains.equals(tables["hub_increments"])

    def test_one_that_is_not_bundled_is_left_out_and_a_damaged_one_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reference, "reference_dir", lambda: tmp_path)
        (tmp_path / "manifest.json").write_text(json.dumps({"tables": {"hub_waves": {}}}))
        with pytest.raises(SourceError, match=r"hub_waves\.parquet is missing"):
            load_companions()
        table = two_windows([1, 2, 3], [1, 2, 3])
        table.write_parquet(tmp_path / "hub_waves.parquet")
        assert {n: t.rows() for n, t in load_companions().items()} == {"hub_waves": table.rows()}
        bad = table.with_columns(n_models=pl.Series([1, 0, 1]))
        bad.write_parquet(tmp_path / "hub_waves.parquet")
        with pytest.raises(SourceError, match=r"damaged \(n_models is below 1\)"):
            load_companions()


def two_windows(before: list[int], after: list[int]) -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "model_id": [str(i) for i in range(len(before))],
            "downloads_before": before,
            "downloads_after": after,
        }
    )
    return tabulate_waves(
        rows.with_columns(before_on=pl.lit(date(2022, 7, 2)), after_on=pl.lit(date(2024, 7, 2)))
    )


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
        assert fit.slopes.keys() == chosen.keys()
        for name, kept in chosen.items():
            x = np.log(before[kept])
            growth = np.log(after[kept] / before[kept]) / self.YEARS
            other = sm.OLS(growth, sm.add_constant(x)).fit(cov_type="HC3")
            assert fit.slopes[name].value == pytest.approx(other.params[1], rel=1e-9)
            assert fit.slopes[name].std_error == pytest.approx(other.bse[1], rel=1e-9)
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
        fits = fit_companions(nothing, sizes, population([5.0]), n_replications=10)
        assert fits.sizes == {}
        assert fits.waves is None
        assert fits.equal_cutoffs == {"tvl_before": (), "tvl_later": ()}
        assert any(n.startswith("DeFi TVL, later date: ") for n in fits.notes)
        assert sum("USD on: " in n for n in fits.notes) == 4
        few = fit_companions(two_windows([1], [2]), sizes, population([5.0]), n_replications=10)
        assert any(n.startswith("downloads of two windows: ") for n in few.notes)

    def test_empty_tables_give_an_empty_record(self) -> None:
        empty = (
            pl.DataFrame(schema=TABLES[name].schema)
            for name in ("hub_waves", "other_sizes", "defi_population")
        )
        fits = fit_companions(*empty)
        assert (fits.sizes, fits.equal_cutoffs, fits.waves, fits.notes) == ({}, {}, None, ())
        assert fits.taken_on == {}

    @pytest.mark.filterwarnings("ignore::estimation.errors.ConvergenceWarning")
    def test_the_record_comes_back_from_the_lake(self, tmp_path: Path) -> None:
        from baimo.pipeline.lake.store import Lake

        rng = np.random.default_rng(5)
        tvl = (1e5 * (1 - rng.random(200)) ** (-1 / 0.8)).tolist()
        rows = pl.DataFrame(
            {"population": "chains_tvl", "size": tvl, "taken_on": date(2023, 5, 12)}
        )
        waves = two_windows(list(range(1, 61)), list(range(2, 62)))
        fits = fit_companions(waves, tabulate_sizes(rows), population(tvl), n_replications=20)
        assert set(fits.tails) == {"chains_tvl", "tvl_later"}
        assert fits.taken_on == {
            "chains_tvl": "2023-05-12",
            "tvl_before": "2023-06-27",
            "tvl_later": "2025-12-17",
            "waves": "2022-07-02 to 2024-07-02",
        }
        lake = Lake(tmp_path)
        lake.write_record("companion_fits", AFTER, encode(fits))
        again = decode(lake.read_record("companion_fits", AFTER))
        assert encode(again) == encode(fits)
        assert again.tails["chains_tvl"].zeta == fits.tails["chains_tvl"].zeta
        assert again.waves.estimates().keys() == fits.waves.estimates().keys()  # type: ignore[union-attr]


class TestMeasured:
    """The bundled tables give the figures that were measured on the recordings."""

    def test_downloads_of_two_windows(self) -> None:
        fit = fit_waves(load_companions()["hub_waves"])
        assert (fit.n_obs, fit.n_used) == (51_506, 34_594)
        found = {
            name: (round(s.value, 3), round(s.std_error, 3), s.n_models)
            for name, s in fit.slopes.items()
        }
        assert found == {
            "positive": (-0.171, 0.003, 34_594),
            "above_100_earlier": (0.069, 0.010, 5_193),
            "above_100_both": (-0.150, 0.010, 2_429),
        }
        assert round(fit.rank_correlation, 3) == 0.793
        assert round(fit.log_correlation, 3) == 0.750
        assert fit.fixed_tastes_correlation == pytest.approx(0.93, abs=0.005)
        assert fit.decile_sd[[0, -1]].round(2).tolist() == [0.44, 1.58]

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
