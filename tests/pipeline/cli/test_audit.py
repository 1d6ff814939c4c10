"""`baimo audit`: the stored verdicts of the newest day, and the remedy where there are none."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baimo.estimation.results import encode
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims import claim as claims
from baimo.pipeline.claims.claim import AUDIT, Verdict
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.lake.results import Day
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.run import Finished
from baimo.pipeline.settings import SEED
from baimo.pipeline.variables import DOWNLOADS
from tests.pipeline.command import baimo, refused
from tests.pipeline.synthetic import fits_of

DAY = date(2026, 9, 1)
VERDICTS = tuple(Verdict)


def judged(name: str, verdict: Verdict, evidence: str = "one number") -> claims.TestedClaim:
    """Return a claim with a made-up verdict."""
    said = ALL_CLAIMS[name]
    return claims.TestedClaim(
        name=name, text=said.text, where=said.where, statistic=said.statistic,
        criterion=said.criterion, verdict=verdict, evidence=evidence, paper=said.paper,
        sensitivity="cut otherwise, another number", kind=said.kind,
    )  # fmt: skip


ALL_TESTED = tuple(judged(name, VERDICTS[i % len(VERDICTS)]) for i, name in enumerate(ALL_CLAIMS))


@pytest.fixture
def lake(own_home: Path) -> Lake:
    return Lake(own_home / "lake")


@pytest.fixture
def measured(lake: Lake) -> Lake:
    """Return a lake with the verdicts of two days."""
    lake.write_record(AUDIT.name, DAY, encode(ALL_TESTED))
    earlier = [judged(name, Verdict.HOLDS, "of the day before") for name in ALL_CLAIMS]
    lake.write_record(AUDIT.name, DAY - timedelta(days=1), encode(earlier))
    return lake


@pytest.fixture(autouse=True)
def no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a run is started that nobody asked for."""

    def started(*_: Any, **__: Any) -> None:
        raise AssertionError("a day is measured")

    monkeypatch.setattr("baimo.pipeline.run.run_graph", started)


def test_a_claim_that_is_none() -> None:
    line = refused(baimo("audit", "nope"))
    assert "there are downloads_zipf" in line


@pytest.mark.parametrize("claim", [(), ("downloads_zipf",)])
def test_without_a_run_it_says_how_to_make_one_and_measures_nothing(
    claim: tuple[str, ...], lake: Lake
) -> None:
    line = refused(baimo("audit", *claim))
    assert f"no day has been measured in {lake.root} yet" in line
    assert "baimo run" in line
    assert "baimo audit --fresh" in line
    assert not lake.root.exists()


def test_the_newest_day_is_printed_a_line_a_claim(measured: Lake) -> None:
    told = baimo("audit")
    assert told.exit_code == 0, told.output
    first, *lines, last = told.stdout.splitlines()
    assert first == f"run of {DAY}"
    assert last == "explain one with: baimo audit NAME"
    assert len(lines) == len(ALL_CLAIMS)
    for line, claim in zip(lines, ALL_TESTED, strict=True):
        assert line.startswith(claim.verdict.value)
        assert f" {claim.kind} " in line
        assert f" {claim.name} " in line
        assert line.endswith(claim.text)


def test_one_claim_is_explained_in_lines_that_fit_a_terminal(
    measured: Lake, tmp_path: Path
) -> None:
    name = next(c.name for c in ALL_CLAIMS.values() if c.figure is None)
    told = baimo("audit", name, "--out", tmp_path / "figures")
    assert told.exit_code == 0, told.output
    claim = next(c for c in ALL_TESTED if c.name == name)
    words = " ".join(told.stdout.split())
    for text in (claim.text, claim.where, claim.statistic, claim.criterion, claim.evidence):
        assert " ".join(text.split()) in words
    assert f"verdict {claim.verdict} (run of {DAY})" in words
    assert f"kind {claim.kind} verdict" in words
    assert "sensitivity cut otherwise, another number" in words
    assert max(map(len, told.stdout.splitlines())) <= 100
    assert not (tmp_path / "figures").exists()  # nothing to draw


def test_its_figure_is_drawn_from_the_same_day_in_the_same_bytes(
    measured: Lake, tmp_path: Path
) -> None:
    fits = fits_of(np.random.default_rng(1).zipf(2.0, 5_000) - 1, DOWNLOADS)
    measured.write_record(TAILS[DOWNLOADS.name].name, DAY, encode(fits))
    drawn = []
    for folder in ("one", "two"):
        told = baimo("audit", "downloads_zipf", "--out", tmp_path / folder)
        assert told.exit_code == 0, told.output
        path = tmp_path / folder / "downloads_zipf.svg"
        assert told.stdout.splitlines()[-1] == f"figure       {path}"
        drawn.append(path.read_bytes())
    assert drawn[0] == drawn[1]
    assert b"top 100" in drawn[0]


@pytest.mark.parametrize(
    "record",
    [
        [{"type": "Claim", "schema_version": 0, "name": "downloads_zipf"}],
        [{"type": "Forgotten", "schema_version": 1}],
        [encode(ALL_TESTED[0]) | {"verdict": "perhaps"}],
    ],
    ids=["schema", "class", "verdict"],
)
def test_verdicts_of_another_version_are_to_be_measured_again(lake: Lake, record: object) -> None:
    lake.write_record(AUDIT.name, DAY, record)
    line = refused(baimo("audit"))
    assert f"the audit of {DAY} is not of this version" in line
    assert "baimo run" in line


def test_a_fresh_one_measures_the_reference(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def run_graph(source: str, out: Path | None, *, seed: int, **_: Any) -> Finished:
        asked.append((source, out, seed))
        return Finished(DAY, own_home, Day.of_values(DAY, {AUDIT.name: ALL_TESTED}))

    monkeypatch.setattr("baimo.pipeline.run.run_graph", run_graph)
    told = baimo("audit", "--fresh")
    assert told.exit_code == 0, told.output
    assert asked == [("reference", None, SEED)]
    assert told.stdout.startswith(f"run of {DAY}\n{ALL_TESTED[0].verdict}")
