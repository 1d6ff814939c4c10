"""What is known of a protocol is safe once its file is renamed, and compaction changes no point."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.errors import LakeError
from baimo.pipeline.schema.defillama import DEFILLAMA_HISTORIES
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.sources.defillama.store import State, Store, digest, read_states

TODAY = date(2026, 3, 10)
YESTERDAY = TODAY - timedelta(days=1)


def rows(protocol_id: str, values: dict[date, float]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "protocol_id": [protocol_id] * len(values),
            "day": list(values),
            "tvl_usd": list(values.values()),
            "from_bulk": [False] * len(values),
        },
        schema=DEFILLAMA_HISTORIES.schema,
    )


def points(n: int, usd: float = 5.0, until: date = YESTERDAY) -> dict[date, float]:
    return {until - timedelta(days=k): usd for k in range(n)}


def values(store: Store, protocol_id: str) -> dict[date, float]:
    return dict(store.rows(protocol_id).select("day", "tvl_usd").iter_rows())


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


# --- when a protocol is asked for again ----------------------------------------------------------


def known(
    fetched: date | None = None, last: date | None = None, n: int = 200, recent: float = 1.0
) -> State:
    return State("1", "slug", fetched, last_day=last, n_points=n, recent_usd=recent)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.mark.parametrize(
    ("state", "due"),
    [
        (known(), True),  # never asked
        (known(ago(5), ago(6)), True),  # news since
        (known(TODAY, YESTERDAY), False),  # all that there is
        (known(TODAY, ago(6)), False),  # asked after the day was over
        (known(YESTERDAY, YESTERDAY), False),  # has the day already
        (known(ago(1), ago(100)), False),  # ended: no news for long
        (known(ago(29), ago(129)), False),
        (known(ago(30), ago(130)), True),
        (State("1", "slug", unknown_on=ago(29)), False),
        (State("1", "slug", unknown_on=ago(30)), True),
        (State("1", "old slug", unknown_on=TODAY), True),  # renamed
    ],
)
def test_a_protocol_is_asked_for_when_news_can_be_had(state: State, due: bool) -> None:
    assert state.is_due("slug", 1.0, YESTERDAY, TODAY, bulk=False) is due


def test_the_worthless_are_quiet_until_they_are_listed_with_value() -> None:
    dead = known(ago(2), ago(3), n=100, recent=0.0)
    assert dead.is_quiet(0.0)
    assert dead.is_quiet(None)
    assert not dead.is_quiet(7.0)
    young = known(ago(2), ago(3), n=1, recent=0.0)
    assert not young.is_quiet(0.0)  # not ninety points yet: it may only begin
    assert known(ago(2), n=0, recent=0.0).is_quiet(0.0)
    assert not known(ago(2), ago(3), recent=1.0).is_quiet(0.0)


def test_the_file_of_all_protocols_counts_only_where_it_is_used() -> None:
    state = State("1", "slug", fetched_on=ago(9), bulk_on=ago(2))
    assert state.asked_on(bulk=False) == ago(9)
    assert state.asked_on(bulk=True) == ago(2)
    assert State("1", "slug", bulk_on=ago(2)).asked_on(bulk=False) is None
    assert State("1", "slug").asked_on(bulk=True) is None


# --- what is stored ------------------------------------------------------------------------------


def test_what_is_saved_is_there_at_once_and_for_the_next_process(tmp_path: Path) -> None:
    store = Store(tmp_path)
    given = {YESTERDAY: 3.0, ago(5): 9.0, ago(2): 1.0}
    store.save(State("7", "a-dex", fetched_on=TODAY), rows("7", given), [('{"x": 1}', "odd")])
    state = store.states["7"]
    assert (state.n_points, state.last_day, state.recent_usd) == (3, YESTERDAY, 9.0)
    for again in (store, Store(tmp_path)):
        assert values(again, "7") == given
        assert list(values(again, "7")) == sorted(given)
        assert again.states == again.fresh == {"7": state}
        assert again.rows("7").schema == pl.Schema(DEFILLAMA_HISTORIES.schema)
    assert read_states(tmp_path) == {}  # readers see what was compacted


def test_of_long_histories_only_the_last_ninety_points_tell_the_recent_value(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    early = {YESTERDAY - timedelta(days=90): 1e9}
    store.save(State("7", "x"), rows("7", points(90, 2.0) | early), [])
    assert store.states["7"].recent_usd == 2.0
    store.save(State("8", "y"), rows("8", {}), [])
    empty = store.states["8"]
    assert (empty.n_points, empty.last_day, empty.recent_usd) == (0, None, None)


def test_compaction_moves_everything_and_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for n in range(40):
        store.save(State(str(n), f"p{n}", TODAY), rows(str(n), points(3, n)), [("p", "odd")] * n)
    before, states = {n: values(store, n) for n in store.states}, dict(store.states)
    store.compact()
    assert list((tmp_path / "fresh").iterdir()) == []
    assert store.fresh == {}
    assert read_states(tmp_path) == states
    again = Store(tmp_path)
    assert again.states == states
    assert {n: values(again, n) for n in again.states} == before
    odd = pl.read_parquet(tmp_path / "quarantine.parquet")
    assert dict(odd.group_by("protocol_id").len().iter_rows()) == {str(n): n for n in range(1, 40)}
    shards = sorted(tmp_path.glob("histories-?.parquet"))
    whole = pl.concat([pl.read_parquet(path) for path in shards])
    assert validate(whole, DEFILLAMA_HISTORIES).quarantine.is_empty()
    for path in shards:
        part = pl.read_parquet(path)
        assert part.equals(part.sort("protocol_id", "day"))
        assert {digest(i)[0] for i in part["protocol_id"]} == {path.stem[-1]}


def test_a_later_answer_replaces_the_points_and_what_was_odd(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(State("7", "x"), rows("7", points(5)), [("p", "odd")])
    store.save(State("8", "y"), rows("8", points(2)), [])
    store.compact()
    store.save(State("7", "x"), rows("7", points(2, 6.0)), [])
    assert values(store, "7") == points(2, 6.0)
    store.compact()
    assert values(store, "7") == points(2, 6.0)
    assert values(store, "8") == points(2)
    assert pl.read_parquet(tmp_path / "quarantine.parquet").is_empty()


def test_in_one_go_or_in_two_the_bytes_are_the_same(tmp_path: Path) -> None:
    for folder, stops in ((tmp_path / "one", {5}), (tmp_path / "two", {2, 3, 5})):
        store = Store(folder)
        for n in range(6):
            store.save(State(str(n), f"p{n}", TODAY), rows(str(n), points(4, n)), [("p", "odd")])
            if n in stops:
                store.compact()
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_without_news_a_compaction_writes_nothing(tmp_path: Path) -> None:
    Store(tmp_path).compact()
    assert contents(tmp_path) == {}


# --- damage --------------------------------------------------------------------------------------


def test_a_fresh_file_that_is_damaged_or_half_done_is_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for n in ("7", "8"):
        store.save(State(n, n), rows(n, points(2)), [])
    (tmp_path / "fresh" / f"{digest('7')}.parquet").write_bytes(b"PAR1")
    (tmp_path / "fresh" / ".half.tmp").write_bytes(b"")
    assert set(Store(tmp_path).states) == {"8"}
    assert [p.stem for p in (tmp_path / "fresh").iterdir()] == [digest("8")]


def test_a_large_file_that_is_gone_is_forgotten_with_its_protocols(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for n in range(20):
        store.save(State(str(n), "s"), rows(str(n), points(2)), [])
    store.compact()
    gone = tmp_path / f"histories-{digest('7')[0]}.parquet"
    gone.unlink()
    left = set(Store(tmp_path).states)
    assert left == {str(n) for n in range(20) if digest(str(n))[0] != gone.stem[-1]}


def test_a_large_file_that_is_damaged_is_named_with_the_remedy(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(State("7", "s"), rows("7", points(2)), [])
    store.compact()
    (tmp_path / f"histories-{digest('7')[0]}.parquet").write_bytes(b"PAR1")
    with pytest.raises(LakeError, match=r"histories-.*cannot be read.*remove it, what it held"):
        Store(tmp_path).rows("7")


def test_a_file_is_named_by_the_digest_of_the_id() -> None:
    assert digest("λ/1") == hashlib.sha256("λ/1".encode()).hexdigest()
