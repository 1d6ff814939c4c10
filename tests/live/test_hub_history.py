"""Which days the bulk datasets of the Hub have, and what they are of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.sources.http import Patience
from baimo.pipeline.sources.hub.columns import ColumnsError
from baimo.pipeline.sources.hub.daily_downloads import Characterization, panel_columns
from baimo.pipeline.sources.hub.dumps import Available, HubStats, Weekly
from baimo.pipeline.sources.hub.repository import RepoFile
from tests.live.servers.faults import (
    Status,
)
from tests.live.servers.hub import HubDataset, HubServer
from tests.live.servers.hub_bulk import (
    DAY,
    HUB_STATS,
    NEW,
    OLD,
    PANEL,
    WEEKLY,
    daily,
    file_of,
    make_parts_small,
    moment,
    parquet,
    revision,
)
from tests.live.servers.hub_models import synthetic_models
from tests.live.servers.server import Request


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


# --- which days there are ------------------------------------------------------------------------


def dataset(*commits: tuple[date, int, dict[str, bytes]], **options: Any) -> HubDataset:
    return HubDataset(
        HUB_STATS, [(revision(d, h), moment(d, h), files) for d, h, files in commits], **options
    )


def models(data: bytes) -> dict[str, bytes]:
    return {"models.parquet": data}


def test_a_day_is_its_last_commit_in_utc(hub: HubServer, patience: Patience) -> None:
    d = [date(2024, 7, 24) + timedelta(days=n) for n in range(8)]
    hub.mount(
        dataset(
            (d[0], 3, {"models.csv": b"too early"}),
            (d[1], 3, models(b"one")),
            (d[1], 23, models(b"two")),
            (d[2], 0, models(b"three")),
            (d[4], 9, models(b"three") | {"datasets.parquet": b"new"}),  # stale
            (d[5], 9, models(b"five")),
            (d[6], 9, models(b"two")),  # stale too, of longer ago
            per_page=2,
        )
    )
    found = HubStats(patience).days(d[0], d[7])
    assert list(found) == [d[1], d[2], d[4], d[5], d[6]]
    assert [a.file.revision for a in found.values()] == [
        revision(d[1], 23), revision(d[2], 0), revision(d[4], 9), revision(d[5], 9),
        revision(d[6], 9),
    ]  # fmt: skip
    refused = {day: at.refused for day, at in found.items() if at.refused}
    assert refused == {
        d[4]: f"its file is still that of {d[2]}",
        d[6]: f"its file is still that of {d[1]}",
    }
    assert found[d[1]].file.size == 3
    assert found[d[1]].committed_at == moment(d[1], 23)


def test_staleness_is_seen_against_the_day_before_the_first(
    hub: HubServer, patience: Patience
) -> None:
    first = date(2024, 7, 29)
    hub.mount(daily({first: b"same", first + timedelta(days=1): b"same"}))
    second = first + timedelta(days=1)
    assert HubStats(patience).days(second, second)[second].refused


def test_only_as_much_history_is_read_as_is_needed(hub: HubServer, patience: Patience) -> None:
    start = date(2026, 8, 1)
    hub.mount(daily({start + timedelta(days=n): b"%d" % n for n in range(30)}, per_page=5))
    found = HubStats(patience).days(start + timedelta(days=26), start + timedelta(days=40))
    assert len(found) == 4
    pages = [r for r in hub.requests if "/commits/" in r.path]
    assert len(pages) == 1
    assert len(hub.requests) == 1 + 5


def test_a_revision_that_is_gone_is_told_and_the_others_stand(
    hub: HubServer, patience: Patience
) -> None:
    files = daily({DAY: b"one", DAY + timedelta(days=1): b"two"})
    hub.mount(files)
    hub.inject(f"{files.api}/tree/{revision(DAY)}", Status(404))
    found = HubStats(patience).days(DAY, DAY + timedelta(days=1))
    assert "HTTP 404" in found[DAY].refused
    assert found[DAY + timedelta(days=1)].refused == ""


# --- weekly copies -------------------------------------------------------------------------------


def copy_until(day: date, schema: dict[str, Any] = NEW) -> bytes:
    """Return a file whose newest model is of `day`."""
    some = synthetic_models(50, seed=day.toordinal(), end_day=day - timedelta(days=3))
    newest = some[0] | {
        "createdAt": f"{day}T04:00:00.000Z",
        "lastModified": f"{day}T04:30:00.000Z",
    }
    return file_of([newest, *some[1:]], schema)


def weekly(files: dict[str, bytes]) -> HubDataset:
    paths = {f"models/{label}/models.parquet": data for label, data in files.items()}
    return HubDataset(WEEKLY, [("e" * 40, moment(DAY), {"README.md": b"#", **paths})])


@pytest.mark.parametrize("schema", [NEW, OLD], ids=["new", "old"])
def test_a_weekly_copy_is_filed_under_the_day_of_its_newest_model(
    schema: dict[str, Any], hub: HubServer, patience: Patience
) -> None:
    hub.mount(
        weekly({
            "2026-08-03": copy_until(date(2026, 8, 9), schema),
            "2026-08-10": copy_until(date(2026, 8, 15), schema),
            "2026-08-17": copy_until(date(2026, 8, 15), schema),  # repeats the one before
            "2026-08-24": b"no Parquet",
            "2026-08-31": copy_until(date(2026, 9, 6), schema),
            "notes": b"no label",
        })
    )  # fmt: skip
    told: list[str] = []
    found = Weekly(patience, told.append).days(date(2026, 8, 5), date(2026, 8, 31))
    assert {day: at.label for day, at in found.items()} == {
        date(2026, 8, 9): "2026-08-03",
        date(2026, 8, 15): "2026-08-10",
    }
    assert told[0] == "the weekly copy 2026-08-17 repeats that of 2026-08-10: left out"
    assert "models/2026-08-24/models.parquet is left out: " in told[1]
    at = found[date(2026, 8, 9)]
    assert at.file.revision == "e" * 40
    history = Weekly(patience)
    (block,) = history.blocks(at)
    assert block.good.height == 50
    assert set(block.good["source"]) == {"weekly"}


def test_an_odd_date_of_a_change_does_not_date_a_copy(hub: HubServer, patience: Patience) -> None:
    day = date(2026, 8, 9)
    some = synthetic_models(50, seed=1, end_day=day - timedelta(days=3))
    some[0] |= {"createdAt": f"{day}T04:00:00.000Z", "lastModified": "2026-08-13T00:00:00.000Z"}
    some[1] |= {"createdAt": "2031-01-01T00:00:00.000Z"}
    hub.mount(weekly({"2026-08-03": file_of(some, OLD), "2026-08-10": file_of(some, NEW)}))
    found = Weekly(patience).days(date(2026, 8, 1), date(2026, 8, 31))
    assert list(found) == [day]


# --- the panel of daily downloads ----------------------------------------------------------------


START = date(2026, 8, 1)


def panel_rows() -> pl.DataFrame:
    rows = [
        (f"id{i:03d}", START + timedelta(days=d), (i * d) % 7 + 1)
        for i in range(40)
        for d in range(10)
        if (i + d) % 3
    ]
    schema = {"hub_id": pl.String, "day": pl.Date, "downloads": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def panel(rows: pl.DataFrame, known: int = 30, **files: bytes) -> HubDataset:
    ids = pl.DataFrame({"hub_id": [f"id{i:03d}" for i in range(known)], "x": [1] * known})
    held = {
        "downloads.parquet": parquet(rows, 50),
        "models.parquet": parquet(ids),
        "datasets.parquet": b"-",
    }
    return HubDataset(PANEL, [("d" * 40, moment(DAY), {**held, **files})])


def test_the_panel_has_the_days_of_models(hub: HubServer, patience: Patience) -> None:
    hub.mount(panel(panel_rows()))
    source = Characterization(patience)
    first, last = START + timedelta(days=2), START + timedelta(days=5)
    found = pl.concat(list(source.daily_downloads(first, last)))
    expected = panel_rows().filter(
        pl.col("day").is_between(first, last), pl.col("hub_id") < "id030"
    )
    assert found.equals(expected.rename({"day": "date"}))
    assert source.dropped["not a model (the panel counts datasets too)"] > 0


def test_row_groups_of_other_days_are_not_read(
    hub: HubServer, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_parts_small(monkeypatch)
    wide = panel_rows().sort("day")
    big = pl.concat([wide.with_columns(pl.col("hub_id") + f"-{k}") for k in range(400)])
    repo = panel(big.sort("day"))
    hub.mount(repo)
    list(Characterization(patience).daily_downloads(START, START))
    size = repo._history[-1][2]["downloads.parquet"].data  # what reading all would take
    where = repo.cdn_path("downloads.parquet", "d" * 40)
    asked = sum(_length(r) for r in hub.requests if r.path == where)
    assert asked < 0.7 * len(size)


def _length(request: Request) -> int:
    first, last = request.headers["range"].removeprefix("bytes=").split("-")
    return int(last) - int(first) + 1


def test_odd_rows_of_the_panel_are_counted(hub: HubServer, patience: Patience) -> None:
    rows = panel_rows().with_columns(pl.col("downloads").cast(pl.Float64))
    odd = pl.DataFrame(
        [("id001", START, 0.5), (None, START, 1.0), ("", START, 1.0), ("id001", START, 1e30),
         ("id001", None, 1.0), ("id001", START, -4.0)],
        schema=rows.schema, orient="row",
    )  # fmt: skip
    hub.mount(panel(pl.concat([rows, odd])))
    source = Characterization(patience)
    found = pl.concat(list(source.daily_downloads(START, START)))
    assert source.dropped["hub_id is missing"] == 2
    assert source.dropped["downloads is missing or not a whole number"] == 1
    assert source.dropped["downloads is beyond 2^53"] == 1
    assert source.dropped["the date is missing"] == 1
    assert found["downloads"].min() == -4


D, T, N, S = pl.Date(), pl.Datetime("us", "UTC"), pl.Int64(), pl.String()


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"hub_id": S, "date": D, "downloads": N}, ("date", "downloads")),
        ({"hub_id": S, "day": S, "n_downloads": N}, ("day", "n_downloads")),
        ({"hub_id": S, "ts": T, "daily_downloads": N, "cum_downloads": N},
         ("ts", "daily_downloads")),
        ({"hub_id": S, "date": D, "first_seen": D, "downloads": N, "downloads_all_time": N,
          "downloads_new": N}, ("date", "downloads")),
    ],
)  # fmt: skip
def test_the_columns_of_the_panel_are_recognised(
    schema: dict[str, Any], expected: tuple[str, str]
) -> None:
    found = panel_columns(pl.Schema(schema), "downloads.parquet")
    assert (found.date, found.downloads) == expected


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        ({"repo": S, "date": D, "downloads": N}, "hub_id"),
        ({"hub_id": N, "date": D, "downloads": N}, "hub_id"),
        ({"hub_id": S, "when": S, "downloads": N}, "date"),
        ({"hub_id": S, "seen": D, "gone": D, "downloads": N}, "date"),
        ({"hub_id": S, "date": D, "clicks": N}, "downloads"),
        ({"hub_id": S, "date": D, "downloads_all_time": N}, "downloads"),
        ({"hub_id": S, "date": D, "downloads_a": N, "downloads_b": N}, "downloads"),
    ],
)
def test_a_panel_that_is_not_recognised_is_refused_with_what_it_has(
    schema: dict[str, Any], what: str
) -> None:
    with pytest.raises(ColumnsError, match=rf"no column that is clearly {what}; found .*\("):
        panel_columns(pl.Schema(schema), "downloads.parquet")


def test_a_panel_without_its_file_is_refused(hub: HubServer, patience: Patience) -> None:
    hub.mount(HubDataset(PANEL, [("d" * 40, moment(DAY), {"README.md": b"#"})]))
    with pytest.raises(ColumnsError, match=r"has no downloads\.parquet; found README\.md"):
        list(Characterization(patience).daily_downloads(START, START))


def test_available_says_by_default_that_it_is_good() -> None:
    assert Available(DAY, RepoFile("r", "p", 1, "s")).refused == ""
