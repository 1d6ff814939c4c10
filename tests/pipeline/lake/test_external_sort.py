"""Sorted runs on disk against a plain sort."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.errors import LakeError
from baimo.pipeline.lake.external_sort import Runs


@pytest.mark.parametrize("seed", range(6))
def test_sorted_runs_are_a_plain_sort(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    n = rng.choice((1, 7, 500, 3000))
    keys = [f"{rng.randrange(1 + n // rng.choice((1, 3, 50))):05x}" for _ in range(n)]
    rows = pl.DataFrame({"place": range(n), "hub_id": keys, "tags": [[k] for k in keys]})
    with Runs(tmp_path / "runs", "hub_id", run_rows=rng.choice((1, 40, 700)), batch_rows=9) as runs:
        at = 0
        while at < n:
            size = rng.randrange(1, 300)
            runs.add(rows.slice(at, size))
            at += size
        runs.flush()
        cuts = sorted(set(rng.sample(keys, min(n, rng.randrange(8)))))
        parts = list(runs.ranges(cuts))
        plain = rows.sort("hub_id", maintain_order=True)
        assert pl.concat(parts).equals(plain)
        low, high = sorted(rng.choices(keys, k=2))
        some = runs.between(low, high)
        assert (some is None and low == high) or (
            some is not None
            and some.equals(plain.filter(pl.col("hub_id") >= low, pl.col("hub_id") < high))
        )
    assert not (tmp_path / "runs").exists()


def test_runs_without_rows_and_of_a_killed_process(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "run-00000.arrow").write_bytes(b"left by a killed process")
    with Runs(tmp_path / "runs", "hub_id") as runs:
        runs.flush()
        assert runs.between(None, None) is None
        assert list(runs.ranges(["a"])) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError, match="choose another lake"), Runs(tmp_path / "file/x", "k"):
        pass


def test_memory_does_not_grow_with_the_number_of_runs(tmp_path: Path) -> None:
    """Of many rows, only a run and a range are ever together."""
    largest = 0
    with Runs(tmp_path / "runs", "hub_id", run_rows=1000, batch_rows=50) as runs:
        for k in range(40):
            runs.add(
                pl.DataFrame({"hub_id": [f"{(i * 7919 + k) % 10_007:05d}" for i in range(500)]})
            )
            largest = max(largest, runs._n_waiting)
        runs.flush()
        cuts = [f"{c:05d}" for c in range(500, 10_000, 500)]
        sizes = [part.height for part in runs.ranges(cuts)]
    assert largest < 1000
    assert sum(sizes) == 20_000
    assert max(sizes) < 1500
