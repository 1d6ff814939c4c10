"""A past day is its last commit, or it is missing or stale and says so; nothing is filled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest

from baimo.pipeline.schema.hub import HUB_MODELS
from baimo.pipeline.sources.http import RefusedError
from baimo.pipeline.sources.hub import dumps
from baimo.pipeline.sources.hub.columns import ColumnsError
from baimo.pipeline.sources.hub.dumps import SOURCES, Available, HubStats, Weekly
from baimo.pipeline.sources.hub.parquet import DamagedError
from baimo.pipeline.sources.hub.repository import Commit, RepoFile
from tests.pipeline.sources.hub.wire import Shelf, parquet

Mount = Callable[..., Shelf]


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Mount:
    """Return what puts commits, newest first, in the place of the dataset."""

    def put(*commits: tuple[Commit, dict[str, bytes]], shelf: type[Shelf] = Shelf) -> Shelf:
        found = shelf(*commits)
        monkeypatch.setattr(dumps, "Repository", lambda *_: found)
        return found

    return put


def commit(day: date, hour: int = 5) -> Commit:
    return Commit(f"{day:%m%d}{hour:02d}", datetime.combine(day, time(hour), UTC))


def of(day: date, data: bytes, hour: int = 5) -> tuple[Commit, dict[str, bytes]]:
    return commit(day, hour), {"README.md": b"#", "models.parquet": data}


def models(newest: date, **columns: Any) -> bytes:
    """Return a file whose newest model is of a day."""
    created = [datetime.combine(newest - timedelta(days=n), time(4), UTC) for n in range(3)]
    frame = {
        "_id": ["1", "2", "3"], "id": ["a/x", "b/y", "c/z"], "downloads": [1, 2, 3],
        "likes": [0, 5, 9], "createdAt": created, "tags": [["license:mit"], ["x"], ["y"]],
    }  # fmt: skip
    return parquet(pl.DataFrame({**frame, **columns}))


D = [date(2026, 8, 1) + timedelta(days=n) for n in range(10)]

# --- hub-stats -----------------------------------------------------------------------------------


def test_a_day_is_its_last_commit_and_a_day_without_one_is_missing(mount: Mount) -> None:
    mount(of(D[4], b"five"), of(D[2], b"late", 23), of(D[2], b"early", 1), of(D[1], b"one"))
    found = HubStats().days(D[1], D[9])
    assert list(found) == [D[1], D[2], D[4]]
    assert found[D[2]] == Available(
        D[2], RepoFile("080323", "models.parquet", 4, b"late".hex()), commit(D[2], 23).at
    )
    assert all(day.refused == "" for day in found.values())


def test_only_the_days_asked_for_are_given(mount: Mount) -> None:
    mount(*(of(D[n], b"%d" % n) for n in range(9, -1, -1)))
    assert list(HubStats().days(D[3], D[5])) == D[3:6]
    assert HubStats().days(D[0] - timedelta(days=9), D[0] - timedelta(days=1)) == {}


def test_a_file_that_is_still_that_of_an_earlier_day_is_stale(mount: Mount) -> None:
    mount(of(D[4], b"a"), of(D[3], b"b"), of(D[2], b"a"), of(D[1], b"b"), of(D[0], b"c"))
    found = HubStats().days(D[2], D[4])  # seen against the day before the first
    assert {day: at.refused for day, at in found.items()} == {
        D[2]: "",
        D[3]: f"its file is still that of {D[1]}",
        D[4]: f"its file is still that of {D[2]}",
    }


def test_a_commit_without_the_file_is_no_day(mount: Mount) -> None:
    mount((commit(D[1]), {"datasets.parquet": b"x"}), of(D[0], b"one"))
    assert list(HubStats().days(D[0], D[1])) == [D[0]]


class Gone(Shelf):
    """A dataset of which one revision can no longer be had."""

    status = 404

    def files(self, revision: str, folder: str = "") -> dict[str, RepoFile]:
        if revision == commit(D[1]).revision:
            raise RefusedError(f"HTTP {self.status}", self.status)
        return super().files(revision, folder)


class Forbidden(Gone):
    status = 403


def test_a_revision_that_is_gone_is_said_and_the_others_stand(mount: Mount) -> None:
    mount(of(D[2], b"two"), of(D[1], b"one"), shelf=Gone)
    found = HubStats().days(D[1], D[2])
    assert {day: at.refused for day, at in found.items()} == {D[1]: "HTTP 404", D[2]: ""}
    mount(of(D[2], b"two"), of(D[1], b"one"), shelf=Forbidden)
    with pytest.raises(RefusedError, match="HTTP 403"):
        HubStats().days(D[1], D[2])


# --- the rows of a day ---------------------------------------------------------------------------


def test_the_file_of_a_day_is_read_into_the_table(mount: Mount) -> None:
    shelf = mount(of(D[3], models(D[3])))
    source = HubStats()
    at = source.days(D[3], D[3])[D[3]]
    assert source.n_rows(at) == 3
    assert source.lacks(at)["gated"] == "the file of that day has no gated"
    (block,) = source.blocks(at)
    assert block.good.schema == pl.Schema(HUB_MODELS.schema)
    assert block.good["likes"].to_list() == [0, 5, 9]
    assert set(block.good["source"]) == {"hub-stats"}
    assert shelf.opened == ["models.parquet"]  # once for all three questions


def test_models_of_days_to_come_are_out_of_range(mount: Mount) -> None:
    mount(of(D[0], models(D[3])))
    source = HubStats()
    (block,) = source.blocks(source.days(D[0], D[0])[D[0]])
    assert block.odd["reason"].to_list() == ["createdAt is out of range"] * 2
    assert block.good["hub_id"].to_list() == ["3"]


def test_a_file_that_cannot_be_read_is_refused(mount: Mount) -> None:
    mount(of(D[1], b"no Parquet"), of(D[0], models(D[0], likes=[[1], [2], [3]])))
    source = HubStats()
    days = source.days(D[0], D[1])
    with pytest.raises(DamagedError):
        source.n_rows(days[D[1]])
    with pytest.raises(ColumnsError, match="likes of that day's file is List"):
        source.lacks(days[D[0]])


# --- weekly copies -------------------------------------------------------------------------------


def weekly(files: dict[str, bytes]) -> tuple[Commit, dict[str, bytes]]:
    return commit(D[9]), {f"models/{label}/models.parquet": data for label, data in files.items()}


def test_a_copy_is_filed_under_the_day_of_its_newest_model(mount: Mount) -> None:
    copy = models(date(2026, 8, 9))
    mount(
        weekly({
            "2026-08-03": copy,
            "2026-08-10": copy,
            "2026-08-17": b"no Parquet",
            "2026-08-24": models(date(2026, 8, 30)),
            "notes": b"no label",
            "2026-08-99": b"no day",
        })
    )  # fmt: skip
    notices: list[str] = []
    found = Weekly(notice=notices.append).days(date(2026, 8, 1), date(2026, 8, 31))
    assert {day: at.label for day, at in found.items()} == {
        date(2026, 8, 9): "2026-08-03", date(2026, 8, 30): "2026-08-24"
    }  # fmt: skip
    assert all(at.committed_at is None for at in found.values())
    assert notices[0] == "the weekly copy 2026-08-10 repeats that of 2026-08-03: left out"
    assert notices[1].startswith("the weekly copy models/2026-08-17/models.parquet is left out: ")
    assert len(notices) == 2


def test_a_change_up_to_a_day_after_the_newest_model_dates_the_copy(mount: Mount) -> None:
    day = date(2026, 8, 8)
    for hours, expected in ((23, date(2026, 8, 9)), (25, day), (-5, day)):
        changed = datetime.combine(day, time(4), UTC) + timedelta(hours=hours)
        mount(weekly({"2026-08-03": models(day, lastModified=[changed, None, None])}))
        assert list(Weekly().days(date(2026, 8, 1), date(2026, 8, 31))) == [expected]


def test_a_copy_without_dates_is_left_out(mount: Mount) -> None:
    mount(weekly({"2026-08-03": parquet(pl.DataFrame({"id": ["a/x"]}))}))
    notices: list[str] = []
    assert Weekly(notice=notices.append).days(D[0], D[9]) == {}
    assert notices == [
        "the weekly copy models/2026-08-03/models.parquet is left out: "
        "it has no createdAt that tells its day"
    ]


def test_copies_far_from_the_days_asked_for_are_not_looked_into(mount: Mount) -> None:
    shelf = mount(weekly({"2026-05-04": b"a", "2026-08-03": models(D[5]), "2026-12-07": b"b"}))
    assert list(Weekly().days(D[0], D[9])) == [D[5]]
    assert set(shelf.opened) == {"models/2026-08-03/models.parquet"}


def test_a_dataset_without_a_commit_has_no_days(mount: Mount) -> None:
    mount()
    assert Weekly().days(D[0], D[9]) == {}
    assert HubStats().days(D[0], D[9]) == {}


def test_sources_are_found_by_the_name_that_goes_into_their_rows() -> None:
    assert {name: source.name for name, source in SOURCES.items()} == {
        "hub-stats": "hub-stats", "weekly": "weekly"
    }  # fmt: skip
    assert len({source.repo_id for source in SOURCES.values()}) == 2
