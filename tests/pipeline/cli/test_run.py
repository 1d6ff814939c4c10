"""`baimo run`: what it prints of a day, and what it refuses before anything is written."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims import claim as claims
from baimo.pipeline.claims.claim import AUDIT
from baimo.pipeline.claims.registry import ALL_CLAIMS
from baimo.pipeline.datasets.load import PROVENANCE
from baimo.pipeline.run import Finished
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.settings import N_REPLICATIONS, SEED
from tests.pipeline.command import baimo, refused
from tests.pipeline.synthetic import day_of, some_fits


def test_a_source_that_is_not_there(own_home: Path) -> None:
    assert "no such file or folder" in refused(baimo("run", "--source", own_home / "nowhere"))


def test_an_output_folder_that_cannot_be_written(own_home: Path) -> None:
    (own_home / "file").write_text("mine")
    line = refused(baimo("run", "--out", own_home / "file"))
    assert "choose another folder" in line
    assert (own_home / "file").read_text() == "mine"
    assert not (own_home / "lake").exists()


def test_a_run_that_fails_publishes_nothing(own_home: Path) -> None:
    rows = {
        "hub_id": [f"i{k}" for k in range(100)],
        "model_id": [f"a/{k}" for k in range(100)],
        "downloads": [-1] * 50 + list(range(50)),
        "likes": [1] * 100,
        "created_at": ["2024-07-11T00:00:00Z"] * 100,
    }
    pl.DataFrame(rows).write_parquet(own_home / "models.parquet")
    out = own_home / "out"
    result = baimo("run", "--source", own_home / "models.parquet", "--out", out)
    assert result.exit_code == 2
    assert "50 of 100 rows of hub_models are not valid; nothing was published" in result.stderr
    assert list(out.iterdir()) == []
    assert not list((own_home / "lake").rglob("*.parquet"))


DAY = date(2026, 9, 1)
PROVENANCE_OF_DAY = {
    "inputs": [{"name": "models.parquet", "rows": 12_345, "taken_on": "2026-09-01"}],
    "ignored": ["old.parquet: a newer or fuller model listing was taken"],
    "notes": ["hub_models: not in the source, left empty: author"],
    "quarantined": {
        "hub_models": {"rows": 3, "reasons": {"likes is below 0": 2, "likes is missing": 1}},
        "tvl_weekly": {"rows": 0, "reasons": {}},
    },
}


def row(measure: str, model: str, zeta: float) -> dict[str, object]:
    """Return a row of the comparison that holds one number of its own."""
    return {
        "measure": measure, "n_obs": 760_000, "x_min": 23.0, "n_tail": 5_095, "zeta": zeta,
        "zeta_low": zeta - 0.1, "zeta_high": zeta + 0.1, "slope_cutoff": "top1pct_all",
        "slope": -zeta, "slope_low": -zeta - 0.1, "slope_high": -zeta + 0.1, "model": model,
        "predicted_zeta": None, "simulated_zeta": 1.25, "simulated_sd": 0.1,
        "verdict": "contradicted by zeros", "evidence": "", "outcome": "contradicted",
        "reasons": ["share_zero"],
    }  # fmt: skip


@pytest.fixture
def asked(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let a made-up day stand for the run; what was asked for is noted."""
    calls: list[dict[str, Any]] = []
    values: dict[Any, Any] = {
        PROVENANCE: PROVENANCE_OF_DAY,
        COMPARISON: pl.DataFrame(
            [row("likes", "Yule", 0.971), row("likes", "CES", 0.971), row("tvl", "GBM", 0.732)],
            schema=COMPARISON.schema,
        ),
        AUDIT: tuple(
            claims.TestedClaim(
                name=name, text=claim.text, where=claim.where, statistic="", criterion="",
                verdict=claims.Verdict.PART, evidence="",
            )
            for name, claim in ALL_CLAIMS.items()
        ),
        **{stored: some_fits() for stored in TAILS.values()},
    }  # fmt: skip

    def run_graph(source: str, out: Path | None, **more: Any) -> Finished:
        calls.append({"source": source, "out": out, **more})
        more["step"]("tables", None)
        more["step"]("tables", 1.25)
        return Finished(DAY, own_home / "out", day_of(values, DAY))

    monkeypatch.setattr("baimo.pipeline.run.run_graph", run_graph)
    return calls


def test_it_prints_what_went_in_the_tables_the_claims_and_where_the_report_lies(
    asked: list[dict[str, Any]], own_home: Path
) -> None:
    done = baimo("run")
    assert done.exit_code == 0, done.output
    assert done.stderr == "  tables                     1.2 s\n"
    taken, table, tails, said, where = (p.splitlines() for p in done.stdout.split("\n\n"))
    assert taken == [
        "took     models.parquet (12,345 rows, 2026-09-01)",
        "ignored  old.parquet: a newer or fuller model listing was taken",
        "note     hub_models: not in the source, left empty: author",
        "quarantined 3 rows of hub_models (likes is below 0: 2, likes is missing: 1)",
    ]
    assert table[0].split()[:3] == ["measure", "N", "x_min"]
    assert [line.split()[0] for line in table[1:3]] == ["Hub", "CES"]  # a size is named once
    assert "0.971  [0.87, 1.07]" in table[1]
    assert "1.250  contradicted by zeros" in table[1]
    assert "-0.732*" in table[3]
    assert table[4].startswith("slope: log(rank - 1/2)")
    assert [line[:9].strip() for line in tails[1:]] == [
        "Hub downl", "without", "Hub likes", "without", "DeFi TVL", "without", "p: items",
            "UMPU: Par",
    ]  # fmt: skip
    assert said == [f"holds in part  {claim.text}" for claim in ALL_CLAIMS.values()]
    assert where[:2] == [
        f"report      {own_home / 'out' / 'report.html'}",
        f"parameters  {own_home / 'out' / 'parameters.json'}",
    ]
    assert where[2].endswith(" s; look at the graph with: baimo ui")


def test_its_options_reach_the_run(asked: list[dict[str, Any]], tmp_path: Path) -> None:
    baimo("run", "--source", "lake", "--day", DAY, "--out", tmp_path / "o", "--seed", 7,
          "--replications", 3)  # fmt: skip
    baimo("run")
    given, usual = ({k: v for k, v in call.items() if k != "step"} for call in asked)
    assert given == {
        "source": "lake", "out": tmp_path / "o", "seed": 7, "n_replications": 3, "day": DAY
    }  # fmt: skip
    assert usual == {
        "source": "reference", "out": None, "seed": SEED, "n_replications": N_REPLICATIONS,
        "day": None,
    }  # fmt: skip


def test_a_day_goes_with_the_lake(own_home: Path) -> None:
    line = refused(baimo("run", "--day", "2026-09-01"))
    assert "--day goes with --source lake; reference has its own day" in line
    assert "baimo refresh" in refused(baimo("run", "--source", "lake"))
    assert not (own_home / "out").exists()
