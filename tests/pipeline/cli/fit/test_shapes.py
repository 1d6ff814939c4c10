"""`fit shapes`: two files, units of their own, one verdict."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.pipeline.command import baimo, refused


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(1)
    dollars = 1e6 * (1 - rng.random(3_000)) ** (-1 / 0.9)
    likes = np.rint(3 * (1 - rng.random(8_000)) ** (-1 / 0.9)).astype(int)
    one, other = tmp_path / "usd.csv", tmp_path / "likes.parquet"
    pl.DataFrame({"usd": dollars}).write_csv(one)
    authors = rng.integers(0, 4_000, likes.size)
    pl.DataFrame({"likes": likes, "author": authors}).write_parquet(other)
    return one, other


def test_a_law_in_dollars_and_in_counts_is_one(files: tuple[Path, Path]) -> None:
    arguments = ("fit", "shapes", *files, "--other-column", "likes", "--replications", 199)
    shown = baimo(*arguments)
    assert shown.exit_code == 0, shown.output
    assert "verdict: equal within the margin" in shown.stdout
    answer = json.loads(baimo(*arguments, "--json").stdout)
    assert answer["shape_verdict"] == "equal within the margin"
    low, high = answer["shape_scale_interval"]
    assert low < 3e-6 < high  # three likes for a million dollars
    assert answer == json.loads(baimo(*arguments, "--json").stdout)


def test_another_law_is_another(files: tuple[Path, Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    third = tmp_path / "lognormal.csv"
    pl.DataFrame({"usd": np.exp(rng.standard_normal(4_000))}).write_csv(third)
    arguments = ("fit", "shapes", files[0], third, "--replications", 199, "--json")
    assert json.loads(baimo(*arguments).stdout)["shape_verdict"] == "different"


def test_refusals(files: tuple[Path, Path], tmp_path: Path) -> None:
    one, other = files
    assert "no such file" in refused(baimo("fit", "shapes", one, tmp_path / "none.csv"))
    # the second file has two columns and none of the first one's name
    line = refused(baimo("fit", "shapes", one, other, "--column", "usd"))
    assert "usd" in line
    few = tmp_path / "few.csv"
    few.write_text("usd\n1.5\n2.5\n3.5\n")
    assert "20" in refused(baimo("fit", "shapes", one, few))
    negative = tmp_path / "negative.csv"
    negative.write_text("usd\n" + "\n".join(str(0.5 - i) for i in range(40)))
    assert "negative" in refused(baimo("fit", "shapes", one, negative))
