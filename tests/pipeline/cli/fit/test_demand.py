"""`baimo fit demand`: sigma, zeta and alpha of simulated demand are found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.cli.round_trip import answer, near, simulated, write
from tests.pipeline.command import baimo, refused

RNG = np.random.default_rng(3)


def test_demand(tmp_path: Path) -> None:
    file = simulated(tmp_path / "c.csv", "ces", 40_000, "alpha=1.2", "ces_rho=.5",
                     "mean_demand=300")  # fmt: skip
    found = answer("demand", file, "--demand", "demand", "--cost", "cost", "--family", "family")
    near(found, "ces_sigma", 2.0)
    near(found, "ces_zeta", 1.2)
    near(found, "ces_alpha", 1.2)
    alone = answer("demand", file, "--demand", "demand")
    assert alone["ces_sigma"] is None
    assert alone["ces_alpha_rho_0.6"] == pytest.approx(1.5 * alone["ces_zeta"])


def test_negative_demand(tmp_path: Path) -> None:
    file = write(tmp_path / "d.csv", d=[1, -2, 3])
    assert "row 2" in refused(baimo("fit", "demand", file, "--demand", "d"))


def test_one_cost_a_family(tmp_path: Path) -> None:
    file = write(tmp_path / "d.csv", d=list(range(1, 41)), c=[1.0] * 40, f=[1, 2] * 20)
    line = refused(baimo("fit", "demand", file, "--demand", "d", "--cost", "c",
                         "--family", "f"))  # fmt: skip
    assert line.startswith("baimo: ")


def test_demand_that_does_not_move_with_cost(tmp_path: Path) -> None:
    family = np.repeat(np.arange(50), 4)
    file = write(tmp_path / "d.csv", d=(family + 1) * 3, c=RNG.uniform(1, 5, 200), f=family)
    found = answer("demand", file, "--demand", "d", "--cost", "c", "--family", "f")
    assert found["ces_sigma"] == pytest.approx(0.0, abs=1e-9)
    assert found["ces_rho"] is None


WRONG = [
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
