"""The lake as a source: which day, which pair of days, what stands in for what is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.datasets.from_lake import load_published
from baimo.pipeline.errors import SourceError
from baimo.pipeline.lake.receipts import FAILED, PUBLISHED, Receipt, write_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.validate import validate

DAY = date(2026, 9, 1)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setenv("BAIMO_LAKE", str(tmp_path))
    return Lake(tmp_path)


def file(lake: Lake, table: str, day: date, source: str, outcome: str = PUBLISHED) -> None:
    """Put a small table of a day into the lake."""
    if table == "hub_models":
        given = {"hub_id": ["1"], "model_id": ["a/b"], "downloads": [3], "likes": [1],
                 "created_at": [datetime(2025, 1, 1, tzinfo=UTC)], "source": ["hub"]}  # fmt: skip
    else:
        given = {"observed_on": [day], "protocol_id": ["7"], "name": ["x"], "tvl_usd": [1e6],
                 "category": ["Dexes"], "source": [source]}  # fmt: skip
    schema = TABLES[table].schema
    frame = pl.DataFrame(given | {c: [None] for c in schema if c not in given}, schema=schema)
    lake.write_table(table, day, frame)
    write_receipt(lake, Receipt(table, day.isoformat(), source, outcome, rows=1, sha256="f" * 64))


def both(lake: Lake, day: date) -> None:
    file(lake, "hub_models", day, "hub")
    file(lake, "defillama_protocols", day, "defillama")


def test_the_newest_day_with_both_sources_is_taken(lake: Lake) -> None:
    both(lake, DAY)
    file(lake, "hub_models", DAY + timedelta(days=1), "hub")
    assert load_published().day == DAY


def test_a_day_without_a_receipt_of_publication_is_none(lake: Lake) -> None:
    file(lake, "hub_models", DAY, "hub", FAILED)
    file(lake, "defillama_protocols", DAY, "defillama")
    with pytest.raises(SourceError, match="no day with both sources; fill it: baimo refresh"):
        load_published()
    with pytest.raises(SourceError, match="hub_models of 2026-09-01 is not published"):
        load_published(DAY)


def test_growth_is_that_of_the_reference_until_a_month_has_passed(lake: Lake) -> None:
    both(lake, DAY)
    both(lake, DAY - timedelta(days=29))
    found = load_published(DAY)
    assert any("growth is that of the bundled reference" in line for line in found.ignored)
    assert found.frames["defillama_protocols"]["source"].unique().to_list() == ["reference"]
    assert found.frames["defi_day"]["observed_on"].to_list() == [DAY]
    both(lake, DAY - timedelta(days=30))
    found = load_published(DAY)
    dates = found.frames["defillama_protocols"]["observed_on"].unique().sort().to_list()
    assert dates == [DAY - timedelta(days=30), DAY]


def test_the_day_nearest_to_a_year_before_is_taken_if_it_was_live(lake: Lake) -> None:
    both(lake, DAY)
    for n in (40, 300, 380, 700):
        both(lake, DAY - timedelta(days=n))
    file(lake, "defillama_protocols", DAY - timedelta(days=365), "defillama_history")
    found = load_published(DAY)
    assert found.frames["defillama_protocols"]["observed_on"].min() == DAY - timedelta(days=380)
    names = [i.name for i in found.inputs]
    assert f"defillama_protocols/date={DAY - timedelta(days=380)}/" in " ".join(names)
    assert all(i.sha256 for i in found.inputs)


def test_an_earlier_day_may_lack_columns_that_are_read_since(lake: Lake) -> None:
    before = DAY - timedelta(days=365)
    both(lake, DAY)
    both(lake, before)
    older = lake.read_table("defillama_protocols", before).drop("rugged", "dead_from")
    lake.write_table("defillama_protocols", before, older)
    pair = load_published(DAY).frames["defillama_protocols"]
    assert pair["observed_on"].to_list() == [before, DAY]
    assert pair["rugged"].to_list() == [None, None]


def test_likes_of_two_days_are_those_nearest_to_a_month_apart(lake: Lake) -> None:
    both(lake, DAY)
    found = load_published(DAY)
    assert found.frames["hub_increments"]["after_on"].unique().to_list() != [DAY]
    assert any("bundled recording of new models" in line for line in found.ignored)
    for n in (1, 26, 33, 200):
        both(lake, DAY - timedelta(days=n))
    before = DAY - timedelta(days=33)
    found = load_published(DAY)
    gains = found.frames["hub_increments"]
    assert gains.drop("age").rows() == [(None, 1, 1, before, DAY, 1)]
    age = (before + timedelta(days=1) - date(2025, 1, 1)).days / 365.25
    assert gains["age"][0] == pytest.approx(age, rel=1e-3)
    assert f"hub_models/date={before}/hub_models.parquet" in [
        i.name for i in found.inputs if i.table == "hub_increments"
    ]
    assert not any("new models" in line for line in found.ignored)
    validated = validate(gains, TABLES["hub_increments"])
    assert validated.quarantine.is_empty()


def test_a_damaged_earlier_day_is_passed_over_and_named(lake: Lake) -> None:
    for n in (0, 10, 30):
        both(lake, DAY - timedelta(days=n))
    lake.path("hub_models", DAY - timedelta(days=30)).write_bytes(b"PAR1 no more")
    found = load_published(DAY)
    assert found.frames["hub_increments"]["before_on"].to_list() == [DAY - timedelta(days=10)]
    assert any("2026-08-02 passed over for the kernel" in line for line in found.ignored)


def test_histories_in_the_lake_give_the_weekly_panel(lake: Lake) -> None:
    fill_histories(lake, 7 * 45 + 1)
    weekly = load_published(DAY).frames["tvl_weekly"]
    assert weekly["protocol_number"].n_unique() == 25  # no exchange is in it
    assert weekly["log_growth"].to_list() == [0.0] * weekly.height
    assert weekly.height == 25 * 45


def test_short_histories_are_no_panel(lake: Lake) -> None:
    fill_histories(lake, 7 * (9 + 25) + 1)
    assert any("weekly panel stands in" in line for line in load_published(DAY).ignored)


def fill_histories(lake: Lake, n_days: int) -> None:
    both(lake, DAY)
    days = [DAY - timedelta(days=n) for n in range(n_days)]
    schema = TABLES["defillama_histories"].schema
    protocols = pl.DataFrame(
        {"observed_on": [DAY] * 30, "protocol_id": [str(i) for i in range(30)],
         "name": [f"n{i}" for i in range(30)], "category": ["CEX"] * 5 + ["Dexes"] * 25,
         "tvl_usd": [1e6 + i for i in range(30)], "source": ["defillama"] * 30}
    )  # fmt: skip
    lake.write_table("defillama_protocols", DAY, protocols)
    points = pl.DataFrame(
        {"protocol_id": [str(i) for i in range(30) for _ in days], "day": days * 30,
         "tvl_usd": [1e6 * (i + 1) for i in range(30) for _ in days],
         "from_bulk": [False] * 30 * len(days)}, schema=schema,
    )  # fmt: skip
    (lake.root / "defillama_histories").mkdir()
    points.write_parquet(lake.root / "defillama_histories" / "histories-0.parquet")
