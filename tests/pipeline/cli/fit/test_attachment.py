"""`baimo fit attachment`: what is simulated is found again, awkward data are told or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import Result

from tests.pipeline.cli.round_trip import answer, near, simulated, write
from tests.pipeline.command import baimo, refused

RNG = np.random.default_rng(3)
STOCK = RNG.poisson(np.exp(RNG.normal(1, 1.5, 500)))


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


WRONG = [
    (["attachment", "f.csv"], "give --likes"),
    (["attachment", "f.csv", "--likes", "a", "--before", "a", "--after", "b"], "give --likes"),
    (["attachment", "f.csv", "--before", "a"], "give --likes"),
    (["attachment", "f.csv", "--likes", "a", "--days", "3"], "two dates"),
    (["attachment", "f.csv", "--likes", "nope"], "no column 'nope'; it has a, b, t"),
    (["attachment", "f.csv", "--likes", "t"], "first other value is 'x' in row 1"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_a_wrong_call_is_refused_in_one_line(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "f.csv", a=[1, 2, 3], b=[2, 3, 4], t=["x", "y", "z"])
    assert words in refused(baimo("fit", *arguments))
