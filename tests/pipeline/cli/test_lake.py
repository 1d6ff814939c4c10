"""`baimo lake`: what the lake holds, whether it is sound, what models gained between two days."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from baimo.pipeline.lake.atomic import file_sha256
from baimo.pipeline.lake.receipts import FAILED, MISSING, PUBLISHED, Receipt, write_receipt
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
    full.select(HUB_MODELS.names).cast(dict(HUB_MODELS.schema)).sort("hub_id").write_parquet(path)  # type: ignore[arg-type]


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


def filed(lake: Lake, day: date, n: int = 3) -> Path:
    """Publish a small listing with its receipt, and return its path."""
    names = [f"{k:02}" for k in range(n)]
    publish(lake, day, dict.fromkeys(names, 1), dict.fromkeys(names, moment(day)))
    path = lake.path("hub_models", day)
    stated(lake, day, PUBLISHED, rows=n, sha256=file_sha256(path))
    return path


def stated(lake: Lake, day: date, outcome: str, why: str = "", **known: Any) -> None:
    write_receipt(lake, Receipt("hub_models", day.isoformat(), "hub", outcome, why, **known))


def test_the_path_is_that_of_the_option_then_of_the_environment(own_home: Path) -> None:
    assert baimo("lake", "path").stdout == f"{own_home / 'lake'}\n"
    other = own_home / "other"
    assert baimo("lake", "path", "--lake", other).stdout == f"{other}\n"
    assert not other.exists()


def test_the_status_counts_days_by_what_became_of_them(lake: Lake) -> None:
    days = [FIRST + timedelta(days=n) for n in range(6)]
    filed(lake, days[0], 3)
    stated(lake, days[1], FAILED, "HTTP 500")
    stated(lake, days[2], MISSING, "no file of that day")
    filed(lake, days[4], 5)
    stated(lake, days[5], PUBLISHED, rows=7)  # its file is not there
    told = baimo("lake", "status", "--lake", lake.root)
    assert told.exit_code == 0, told.output
    head, hub, defi, *_ = (line.split() for line in told.stdout.splitlines())
    row = dict(zip(head, hub, strict=True))
    assert (row["table"], row["days"], row["rows"]) == ("hub_models", "2", "5")
    assert (row["first"], row["last"]) == (str(days[0]), str(days[4]))
    assert (row["missing"], row["lacking"], row["failed"]) == ("2", "1", "1")
    assert defi[:4] == ["defillama_protocols", "0", "-", "-"]
    lines = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert f"{days[1]} hub_models failed HTTP 500" in lines
    assert f"{days[4]} hub_models published 5 rows, hub" in lines
    assert (
        f"missing days of hub_models: {days[1]}, {days[3]}; fill them with: baimo backfill" in lines
    )
    assert any(line.startswith(f"gone hub_models of {days[5]}:") for line in lines)


def test_the_status_shows_the_newest_days_and_a_walk_that_waits(lake: Lake) -> None:
    for n in range(3):
        filed(lake, FIRST + timedelta(days=n))
    walk = lake.root / "crawling" / "hub_models" / "crawl.json"
    walk.parent.mkdir(parents=True)
    walk.write_text(json.dumps({"started_at": "2026-09-03T06:00:00+00:00"}))
    shown = baimo("lake", "status", "--lake", lake.root, "--days", 1).stdout
    assert shown.count("published") == 1
    assert f"{FIRST + timedelta(days=2)}  hub_models" in shown
    assert "under way  hub_models: 0 pages of a walk begun 2026-09-03T06:00:00" in shown


@pytest.mark.parametrize("command", ["status", "verify"])
def test_a_lake_that_is_not_there_is_not_made(command: str, tmp_path: Path) -> None:
    told = baimo("lake", command, "--lake", tmp_path / "none")
    assert told.exit_code == 1
    assert told.stdout == ""
    assert "there is no lake at" in told.stderr
    assert "make one: baimo refresh" in told.stderr
    assert not (tmp_path / "none").exists()


def test_every_published_file_is_held_against_its_receipt(lake: Lake) -> None:
    path = filed(lake, FIRST)
    filed(lake, LAST)
    sound = baimo("lake", "verify", "--lake", lake.root)
    assert (sound.exit_code, sound.stdout) == (0, "2 files are sound, 0 are not\n")
    path.write_bytes(lake.path("hub_models", LAST).read_bytes() + b" ")
    damaged = baimo("lake", "verify", "--lake", lake.root)
    assert (damaged.exit_code, damaged.stdout) == (1, "1 files are sound, 1 are not\n")
    assert damaged.stderr.startswith(f"{path} differs from its receipt")
