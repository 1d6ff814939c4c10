"""`baimo fit attachment|demand|growth`, `baimo simulate`: what is simulated is found again."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import Result

from baimo.pipeline.models.registry import FILE_MODELS
from tests.pipeline.command import baimo, refused


def answer(*arguments: object) -> dict[str, Any]:
    result = baimo("fit", *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def simulated(path: Path, model: str, n: int, *settings: str, seed: int = 7) -> Path:
    options = [part for setting in settings for part in ("--set", setting)]
    result = baimo("simulate", model, *options, "--n", n, "--seed", seed, "--out", path)
    assert result.exit_code == 0, result.output
    return path


def near(found: dict[str, Any], name: str, truth: float, errors: float = 4.0) -> None:
    """Assert that an estimate lies within so many of its own standard errors of the truth."""
    value, error, interval = (found[f"{name}{s}"] for s in ("", "_std_error", "_interval"))
    assert abs(value - truth) < errors * error, (name, value, error)
    assert interval[0] < value < interval[1]


class TestRoundTrips:
    def test_yule(self, tmp_path: Path) -> None:
        file = simulated(tmp_path / "y.csv", "yule", 40_000, "gamma=.9", "a=.5",
                         "pa_entry_growth_plus_exit=1.1")  # fmt: skip
        found = answer("attachment", file, "--likes", "likes", "--age", "age")
        near(found, "pa_gamma", 0.9)
        near(found, "pa_a", 0.5)
        near(found, "pa_entry_growth_plus_exit", 1.1)
        near(found, "pa_zeta", 1.1 / 0.9)
        assert found["converged"] is True

    def test_cohorts_come_with_ages(self, tmp_path: Path) -> None:
        file = simulated(tmp_path / "f.csv", "fitness", 40_000)
        found = answer("attachment", file, "--likes", "likes", "--age", "age")
        assert all(f"pa_zeta_cohort_{c}" in found for c in range(1, 6))
        assert 0 <= found["pa_homogeneity_p_value"] <= 1

    def test_days_are_years(self, tmp_path: Path) -> None:
        file = simulated(tmp_path / "y.parquet", "yule", 5_000)
        frame = pl.read_parquet(file)
        frame.with_columns(pl.col("age") * 365.25).write_parquet(tmp_path / "d.parquet")
        years = answer("attachment", file, "--likes", "likes", "--age", "age")
        days = answer("attachment", tmp_path / "d.parquet", "--likes", "likes", "--age", "age",
                      "--age-unit", "days")  # fmt: skip
        assert days["pa_gamma"] == pytest.approx(years["pa_gamma"], rel=1e-9)

    def test_kernel(self, tmp_path: Path) -> None:
        file = simulated(tmp_path / "k.csv", "kernel", 40_000, "theta=.7", "phi=-.5", "offset=2")
        found = answer("attachment", file, "--before", "before", "--after", "after", "--age",
                       "age", "--author", "author", "--days", 30)  # fmt: skip
        near(found, "pa_theta", 0.7)
        near(found, "pa_offset", 2.0)
        near(found, "pa_phi", -0.5)
        near(found, "pa_eta", 40_000 / 30)

    def test_simon(self, tmp_path: Path) -> None:
        file = simulated(tmp_path / "s.csv", "simon", 30_000, "simon_p=.2")
        found = answer("attachment", file, "--likes", "likes")
        near(found, "pa_simon_p", 0.2)
        near(found, "pa_simon_zeta", 1.25)
        assert any("give --age" in note for note in found["notes"])

    def test_demand(self, tmp_path: Path) -> None:
        file = simulated(tmp_path / "c.csv", "ces", 40_000, "alpha=1.2", "ces_rho=.5",
                         "mean_demand=300")  # fmt: skip
        found = answer("demand", file, "--demand", "demand", "--cost", "cost", "--family", "family")
        near(found, "ces_sigma", 2.0)
        near(found, "ces_zeta", 1.2)
        near(found, "ces_alpha", 1.2)
        alone = answer("demand", file, "--demand", "demand")
        assert alone["ces_sigma"] is None
        assert alone["ces_alpha_rho_0.6"] == pytest.approx(1.5 * alone["ces_zeta"])

    def test_growth(self, tmp_path: Path) -> None:
        file = simulated(tmp_path / "g.csv", "gbm", 200, "mu=.3", "gbm_sigma_idiosyncratic=.8",
                         "sigma_common=.3", "exit_rate=.1")  # fmt: skip
        found = answer("growth", file, "--item", "item", "--date", "date", "--value", "value")
        near(found, "gbm_mu", 0.3)
        near(found, "gbm_sigma", math.hypot(0.8, 0.3))
        near(found, "gbm_sigma_idiosyncratic", 0.8)
        near(found, "gbm_sigma_common", 0.3)
        near(found, "gbm_size_slope", 0.0)
        assert found["gbm_cd_p_value"] < 1e-6

    def test_one_crawl(self, tmp_path: Path) -> None:
        file = simulated(tmp_path / "k.parquet", "kernel", 40_000, "theta=.8", "author_sd=0")
        crawl = pl.read_parquet(file).select(
            all_time="after",
            window=pl.col("after") - pl.col("before"),
            age=pl.col("age") + 30 / 365.25,
        )
        crawl.write_parquet(tmp_path / "crawl.parquet")
        found = answer("attachment", tmp_path / "crawl.parquet", "--all-time", "all_time",
                       "--window", "window", "--age", "age")  # fmt: skip
        near(found, "pa_theta", 0.8)

    @pytest.mark.parametrize("model", FILE_MODELS)
    def test_every_model_is_written_and_the_same_seed_gives_the_same_file(
        self, model: str, tmp_path: Path
    ) -> None:
        first = simulated(tmp_path / "1.csv", model, 300).read_bytes()
        assert simulated(tmp_path / "2.csv", model, 300).read_bytes() == first
        other = simulated(tmp_path / "3.csv", model, 300, seed=8).read_bytes()
        assert other != first
        listed = baimo("simulate", model, "--set", "help")
        assert listed.exit_code == 0
        assert all(name in listed.stdout for name in FILE_MODELS[model].defaults)
        assert set(FILE_MODELS[model].meaning) == set(FILE_MODELS[model].defaults)

    def test_what_was_fitted_is_simulated(self, tmp_path: Path) -> None:
        file = simulated(tmp_path / "y.csv", "yule", 5_000, "gamma=1.5")
        fitted = baimo("fit", "attachment", file, "--likes", "likes", "--age", "age", "--json")
        (tmp_path / "fit.json").write_text(fitted.stdout)
        done = baimo("simulate", "yule", "--params", tmp_path / "fit.json", "--n", 100,
                     "--out", tmp_path / "again.csv")  # fmt: skip
        assert done.exit_code == 0, done.output
        gamma = json.loads(fitted.stdout)["pa_gamma"]
        assert f"{gamma:g}" in done.stdout
        assert "horizon                              4  (default)" in done.stdout

    def test_exported_parameters_are_read(self, tmp_path: Path) -> None:
        rows = {"parameters": [{"name": "gbm_mu", "value": -0.25}, {"name": "x", "value": None}]}
        (tmp_path / "parameters.json").write_text(json.dumps(rows))
        done = baimo("simulate", "growth", "--params", tmp_path / "parameters.json", "--n", 3,
                     "--out", tmp_path / "g.csv")  # fmt: skip
        assert "mu                               -0.25\n" in done.stdout


def write(path: Path, **columns: Any) -> Path:
    pl.DataFrame(columns).write_csv(path)
    return path


RNG = np.random.default_rng(3)
STOCK = RNG.poisson(np.exp(RNG.normal(1, 1.5, 500)))


class TestLimits:
    """Awkward data: a result with its limits said, or one line that names the trouble."""

    def attachment(self, path: Path, before: Any, after: Any) -> Result:
        file = write(path / "f.csv", before=before, after=after)
        return baimo("fit", "attachment", file, "--before", "before", "--after", "after", "--json")

    def test_negative_increments_count(self, tmp_path: Path) -> None:
        after = STOCK + RNG.poisson(0.3 * STOCK)
        after[:20] = np.maximum(STOCK[:20] - 1, 0)
        result = self.attachment(tmp_path, STOCK, after)
        assert result.exit_code == 0, result.output
        assert "gains are negative and count as they are" in result.stdout

    def test_no_entry(self, tmp_path: Path) -> None:
        result = self.attachment(tmp_path, STOCK, STOCK + RNG.poisson(0.3 * STOCK + 0.1))
        found = json.loads(result.stdout)
        assert (found["pa_entry"], found["pa_entry_std_error"]) == (0.0, None)
        assert any("no item is new" in note for note in found["notes"])

    def test_items_that_come_and_go(self, tmp_path: Path) -> None:
        before: list[Any] = STOCK.tolist()
        after: list[Any] = (STOCK + RNG.poisson(0.3 * STOCK + 0.1)).tolist()
        before[:50], after[50:60] = [None] * 50, [None] * 10
        found = json.loads(self.attachment(tmp_path, before, after).stdout)
        assert found["pa_entry"] == 50.0
        assert found["n_used"] == 440
        assert any("10 items are gone" in note for note in found["notes"])

    def test_all_items_new(self, tmp_path: Path) -> None:
        line = refused(self.attachment(tmp_path, [None] * 20, list(range(20))))
        assert "only 0 items are there on both dates" in line

    def test_nothing_gained(self, tmp_path: Path) -> None:
        assert "gained nothing" in refused(self.attachment(tmp_path, STOCK, STOCK))

    def test_one_stock(self, tmp_path: Path) -> None:
        line = refused(self.attachment(tmp_path, [3] * 50, list(range(3, 53))))
        assert "same stock" in line

    def growth(self, path: Path, rows: list[tuple[str, str, Any]], *options: str) -> Result:
        pl.DataFrame(rows, schema=["p", "d", "v"], orient="row").write_csv(path / "g.csv")
        return baimo("fit", "growth", path / "g.csv", "--item", "p", "--date", "d", "--value", "v",
                     *options)  # fmt: skip

    def test_a_panel_of_one_date(self, tmp_path: Path) -> None:
        rows = [(f"p{k}", "2024-01-01", 10.0 + k) for k in range(20)]
        assert "date" in refused(self.growth(tmp_path, rows))

    def test_two_observations_each(self, tmp_path: Path) -> None:
        rows = [
            (f"p{k}", day, float(np.exp(RNG.normal(10, 1))))
            for k in range(60)
            for day in ("2024-01-01", "2025-01-01")
        ]
        result = self.growth(tmp_path, rows)
        assert result.exit_code == 0, result.output
        assert "errors uncertain or none" in result.stdout

    def test_constant_series(self, tmp_path: Path) -> None:
        rows = [(f"p{k}", f"2024-01-{d:02}", 5.0) for k in range(5) for d in range(1, 9)]
        assert self.growth(tmp_path, rows).exit_code == 2

    def test_gaps_and_zeros_are_counted(self, tmp_path: Path) -> None:
        rows: list[tuple[str, str, Any]] = [
            (f"p{k}", f"2024-{m:02}-01", float(np.exp(10 + RNG.normal())))
            for k in range(30)
            for m in range(1, 13)
        ]
        rows[5] = (*rows[5][:2], 0.0)
        rows[17] = (*rows[17][:2], None)
        result = self.growth(tmp_path, rows)
        assert result.exit_code == 0, result.output
        assert "1 missing and 1 non-positive values are gaps" in result.stdout

    def test_a_date_that_is_none(self, tmp_path: Path) -> None:
        rows = [("p", "2024-01-01", 1.0), ("p", "soon", 2.0)]
        assert "no dates, the first in row 2" in refused(self.growth(tmp_path, rows))

    def test_negative_demand(self, tmp_path: Path) -> None:
        file = write(tmp_path / "d.csv", d=[1, -2, 3])
        assert "row 2" in refused(baimo("fit", "demand", file, "--demand", "d"))

    def test_one_cost_a_family(self, tmp_path: Path) -> None:
        file = write(tmp_path / "d.csv", d=list(range(1, 41)), c=[1.0] * 40, f=[1, 2] * 20)
        line = refused(baimo("fit", "demand", file, "--demand", "d", "--cost", "c",
                             "--family", "f"))  # fmt: skip
        assert line.startswith("baimo: ")

    @pytest.mark.parametrize(
        "dates",
        [
            ["02/01/2021", "02/02/2021", "02/03/2021"],  # a day may not be taken for a month
            ["02-01-2021", "02-02-2021", "02-03-2021"],
            ["1609459200", "1612137600", "1614556800"],  # seconds
            ["20210101", "20210201", "20210301"],
        ],
    )
    def test_dates_that_could_be_misread_are_refused(
        self, dates: list[str], tmp_path: Path
    ) -> None:
        rows = [(f"p{k}", d, 10.0 + k) for k in range(3) for d in dates]
        assert "YYYY-MM-DD" in refused(self.growth(tmp_path, rows))

    @pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64])
    def test_numbers_that_are_no_years_are_refused_in_parquet_too(
        self, dtype: Any, tmp_path: Path
    ) -> None:
        frame = pl.DataFrame({"p": ["a", "a"], "d": [1609459200, 1612137600], "v": [1.0, 2.0]})
        frame.with_columns(pl.col("d").cast(dtype)).write_parquet(tmp_path / "g.parquet")
        line = refused(baimo("fit", "growth", tmp_path / "g.parquet", "--item", "p", "--date", "d",
                             "--value", "v"))  # fmt: skip
        assert "numbers that are no years" in line

    def test_times_in_years_are_the_same_in_every_form(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(2)
        paths = np.exp(10 + np.cumsum(rng.normal(0, 0.2, (20, 24)), axis=1))
        frame = pl.DataFrame(
            {
                "p": np.repeat(np.arange(20), 24),
                "d": np.tile(np.arange(24) / 12, 20),
                "v": paths.ravel(),
            }
        )
        frame.write_parquet(tmp_path / "a.parquet")
        frame.write_csv(tmp_path / "b.csv")
        frame.with_columns(pl.col("d") + 2021).write_csv(tmp_path / "c.csv")
        found = [
            answer("growth", tmp_path / name, "--item", "p", "--date", "d", "--value", "v")
            for name in ("a.parquet", "b.csv", "c.csv")
        ]
        assert found[0]["gbm_sigma"] == pytest.approx(found[1]["gbm_sigma"], rel=1e-12)
        assert found[0]["gbm_sigma"] == pytest.approx(found[2]["gbm_sigma"], rel=1e-9)

    @pytest.mark.parametrize("blank", ["", "NA", "null", " "])
    def test_a_blank_label_is_a_label_of_its_own(self, blank: str, tmp_path: Path) -> None:
        from baimo.pipeline.cli.fit.read_columns import read_table

        pl.DataFrame({"f": ["a", blank, "b", blank, "a"], "x": range(5)}).write_csv(
            tmp_path / "f.csv", quote_style="always"
        )
        labels = read_table(tmp_path / "f.csv").labels("f")
        assert labels[0] == labels[4]
        assert len(set(labels.tolist())) == 4

    def test_ages_in_another_unit_are_refused(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", n=STOCK, age=RNG.uniform(1, 1500, 500))
        line = refused(baimo("fit", "attachment", file, "--likes", "n", "--age", "age"))
        assert "--age-unit days" in line

    def test_one_lone_old_item_is_told(self, tmp_path: Path) -> None:
        ages = RNG.uniform(0.1, 4.0, 5_000)
        likes = RNG.negative_binomial(1.0, np.exp(-0.5 * ages))
        ages[0] = 8.0
        file = write(tmp_path / "a.csv", n=likes, age=ages)
        command = ["attachment", file, "--likes", "n", "--age", "age"]
        notes = answer(*command)["notes"]
        assert any("hang on the few oldest" in note for note in notes)
        given = answer(*command, "--horizon", 8)["notes"]
        assert not any("hang on" in note for note in given)

    def test_no_tail_without_growing_entry(self, tmp_path: Path) -> None:
        ages = 4.0 - RNG.exponential(0.8, 5_000).clip(max=3.9)  # most are old
        likes = RNG.negative_binomial(1.0, np.exp(-0.5 * ages))
        file = write(tmp_path / "a.csv", n=likes, age=ages)
        found = answer("attachment", file, "--likes", "n", "--age", "age")
        assert found["pa_entry_growth_plus_exit"] < 0
        assert found["pa_zeta"] is None
        assert any("no mixture of ages makes a tail" in note for note in found["notes"])

    def test_items_that_start_at_one_are_told(self, tmp_path: Path) -> None:
        file = write(tmp_path / "a.csv", n=STOCK + 1, age=RNG.uniform(0.1, 4, 500))
        found = answer("attachment", file, "--likes", "n", "--age", "age")
        assert any("subtract one" in note for note in found["notes"])

    def test_rates_are_per_interval_where_nobody_says_how_long(self, tmp_path: Path) -> None:
        file = write(tmp_path / "f.csv", b=STOCK, a=STOCK + RNG.poisson(0.3 * STOCK + 0.1))
        command = ["fit", "attachment", file, "--before", "b", "--after", "a"]
        assert "1/interval" in baimo(*command).stdout
        assert "1/day" in baimo(*command, "--days", 7).stdout

    def test_demand_that_does_not_move_with_cost(self, tmp_path: Path) -> None:
        family = np.repeat(np.arange(50), 4)
        file = write(tmp_path / "d.csv", d=(family + 1) * 3, c=RNG.uniform(1, 5, 200), f=family)
        found = answer("demand", file, "--demand", "d", "--cost", "c", "--family", "f")
        assert found["ces_sigma"] == pytest.approx(0.0, abs=1e-9)
        assert found["ces_rho"] is None


WRONG = [
    (["attachment", "f.csv"], "give --likes"),
    (["attachment", "f.csv", "--likes", "a", "--before", "a", "--after", "b"], "give --likes"),
    (["attachment", "f.csv", "--before", "a"], "give --likes"),
    (["attachment", "f.csv", "--likes", "a", "--days", "3"], "two dates"),
    (["attachment", "f.csv", "--likes", "nope"], "no column 'nope'; it has a, b, t"),
    (["attachment", "f.csv", "--likes", "t"], "first other value is 'x' in row 1"),
    (["demand", "f.csv", "--demand", "a", "--cost", "b"], "--cost and --family"),
    (["demand", "nowhere.csv", "--demand", "a"], "no such file"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_a_wrong_call_is_refused_in_one_line(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "f.csv", a=[1, 2, 3], b=[2, 3, 4], t=["x", "y", "z"])
    assert words in refused(baimo("fit", *arguments))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope", "--out", "x.csv"], "no model is called 'nope'"),
        (["yule"], "say where to write"),
        (["yule", "--out", "x.txt"], "ends in .csv or .parquet"),
        (["yule", "--out", "x.csv", "--set", "gama=1"], "no parameter 'gama'"),
        (["yule", "--out", "x.csv", "--set", "gamma"], "write name=number"),
        (["yule", "--out", "x.csv", "--set", "gamma=-1"], "gamma"),
        (["yule", "--out", "x.csv", "--params", "none.json"], "none.json"),
        (["ces", "--out", "x.csv", "--set", "rho=1"], "rho"),
        (["gbm", "--out", "x.csv", "--set", "step_days=0"], "step"),
        (["gbm", "--out", "x.csv", "--set", "log_entry_mean=1e4"], "beyond what numbers hold"),
        (["gbm", "--out", "x.csv", "--set", "years=inf"], "finite"),
        (["yule", "--out", "x.csv", "--set", "gamma=15"], "cannot be drawn"),
    ],
)
def test_a_wrong_simulation_is_refused_and_writes_nothing(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refused(baimo("simulate", *arguments))
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_is_none() -> None:
    line = refused(baimo("audit", "nope"))
    assert "there are downloads_zipf" in line
