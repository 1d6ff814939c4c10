"""`baimo lake increments`: what each model gained between two days, and the kernel from it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.simulation.attachment.kernel import KernelParams, simulate_increments
from tests.pipeline.command import baimo

FIRST, LAST = date(2026, 9, 1), date(2026, 9, 8)


def publish(lake: Lake, day: date, likes: dict[str, int], created: dict[str, datetime]) -> None:
    frame = pl.DataFrame(
        {
            "hub_id": list(likes),
            "model_id": [f"o/{k}" for k in likes],
            "likes": list(likes.values()),
            "downloads": 0,
            "downloads_all_time": [10 * v for v in likes.values()],
            "created_at": [created[k] for k in likes],
            "author": [f"author {int(k, 36) % 50}" for k in likes],
            "source": "hub",
        },
        schema_overrides={"created_at": pl.Datetime("us", "UTC")},
    )
    missing = [c for c in HUB_MODELS.columns if c.name not in frame.columns]
    full = frame.with_columns(pl.lit(None, dtype=c.dtype).alias(c.name) for c in missing)
    path = lake.path("hub_models", day)
    path.parent.mkdir(parents=True)
    full.select(HUB_MODELS.names).cast(HUB_MODELS.schema).sort("hub_id").write_parquet(path)


def moment(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_items_that_come_and_go_have_empty_cells(lake: Lake, tmp_path: Path) -> None:
    created = {
        "a": moment(date(2025, 9, 1), 0),
        "b": moment(date(2022, 3, 2)),  # the floor: older, nobody knows how much
        "c": moment(date(2026, 9, 1), 18),
        "d": moment(date(2026, 9, 5)),
    }
    publish(lake, FIRST, {"a": 3, "b": 7, "c": 0}, created)
    publish(lake, LAST, {"a": 5, "c": 1, "d": 4}, created)
    out = tmp_path / "gains.parquet"
    done = baimo("lake", "increments", "--lake", lake.root, "--from", FIRST, "--to", LAST,
                 "--out", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "4 models" in done.stdout
    assert f"baimo fit attachment {out} --before likes_from --after likes_to" in done.stdout
    frame = pl.read_parquet(out)
    assert frame.select("hub_id", "likes_from", "likes_to").rows() == [
        ("a", 3, 5), ("b", 7, None), ("c", 0, 1), ("d", None, 4),
    ]  # fmt: skip
    assert frame["downloads_all_time_from"].to_list() == [30, 70, 0, None]
    ages = frame["age"].to_list()
    assert ages[0] == pytest.approx(366 / 365.25)
    assert ages[2] == pytest.approx(0.25 / 365.25)
    assert ages[1] is None
    assert ages[3] is None


def test_the_kernel_is_found_again_from_two_days_of_the_lake(lake: Lake, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    n = 30_000
    stock = rng.poisson(np.exp(rng.normal(1.0, 1.5, n)))
    days = rng.integers(10, 1500, n)
    gains = simulate_increments(KernelParams(theta=0.7, offset=1.0, phi=-0.4), stock, 2.0 * n, rng,
                           ages=days / 365.25)  # fmt: skip
    names = [np.base_repr(k, 36).lower().rjust(6, "0") for k in range(n)]
    end = moment(FIRST + timedelta(days=1), 0)
    created = {k: end - timedelta(days=int(d)) for k, d in zip(names, days, strict=True)}
    publish(lake, FIRST, dict(zip(names, stock.tolist(), strict=True)), created)
    publish(lake, LAST, dict(zip(names, (stock + gains).tolist(), strict=True)), created)
    out = tmp_path / "gains.parquet"
    done = baimo("lake", "increments", "--lake", lake.root, "--from", FIRST, "--to", LAST,
                 "--out", out)  # fmt: skip
    command = done.stdout.split("baimo fit attachment ", 1)[1].split()
    found = json.loads(baimo("fit", "attachment", *command, "--json").stdout)
    for name, truth in (("pa_theta", 0.7), ("pa_phi", -0.4), ("pa_offset", 1.0)):
        assert abs(found[name] - truth) < 4 * found[f"{name}_std_error"], name
    assert found["pa_eta"] == pytest.approx(gains.sum() / 7)


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [(FIRST, FIRST, "twice"), (LAST, FIRST, "lies after"), (FIRST, LAST, "not in the lake")],
)
def test_days_that_cannot_be_compared(
    first: date, last: date, words: str, lake: Lake, tmp_path: Path
) -> None:
    publish(lake, FIRST, {"a": 3}, {"a": moment(date(2025, 9, 1))})
    done = baimo("lake", "increments", "--lake", lake.root, "--from", first, "--to", last,
                 "--out", tmp_path / "x.parquet")  # fmt: skip
    assert done.exit_code == 2
    assert words in done.stderr
    assert not (tmp_path / "x.parquet").exists()
