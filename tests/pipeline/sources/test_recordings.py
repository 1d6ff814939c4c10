"""Sources: the reference becomes rows again; recordings are found, chosen and explained."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from baimo.pipeline.datasets.defi import join_population
from baimo.pipeline.datasets.hub import tabulate_hub
from baimo.pipeline.datasets.load import load_dataset, load_snapshots
from baimo.pipeline.errors import SourceError, TableError
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.validate import validate
from baimo.pipeline.sources.recordings import load_recordings

DAY = date(2024, 7, 11)


def write_models(path: Path, n: int = 40, day: date = DAY) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "_id": [f"id{i}" for i in range(n)],
            "id": [f"author{i % 7}/m{i}" for i in range(n)],
            "downloads": [i * i for i in range(n)],
            "likes": [i // 3 for i in range(n)],
            "createdAt": [datetime(day.year, day.month, day.day, 5, tzinfo=UTC)] * n,
            "pipeline_tag": ["text-generation"] * n,
        }
    )
    frame.write_parquet(path)
    return frame


def protocols(n: int, scale: float = 1.0) -> list[dict[str, object]]:
    return [
        {"id": str(i), "name": f"p{i}", "slug": f"p{i}", "category": "Dexes",
         "tvl": scale * (i + 1) * 1e5, "listedAt": 1672531200, "chainTvls": {"x": 1}}
        for i in range(n)
    ]  # fmt: skip


ADAPTERS = pl.DataFrame(
    {
        "adapter": ["p0", "p1", "p2"],
        "first_commit": [date(2021, 5, 6), date(2021, 5, 6), date(2022, 1, 1)],
        "in_head": True,
    }
)


def write_protocols(folder: Path) -> None:
    """Write protocols of two dates: the first has a listing date, all have modules."""
    for day, scale in (("2023-06-27", 2.0), ("2025-12-17", 3.0)):
        rows = [row | {"module": f"{row['name']}/index.js"} for row in protocols(20, scale)]
        rows = [row | ({} if k == 0 else {"listedAt": None}) for k, row in enumerate(rows)]
        (folder / f"protocols_{day}.json").write_text(json.dumps(rows))


class TestRecordings:
    def test_the_newest_full_listing_wins_over_a_newer_page(self, tmp_path: Path) -> None:
        write_models(tmp_path / "old_2024-01-01.parquet", 50, date(2024, 1, 1))
        write_models(tmp_path / "full_2024-07-11.parquet", 40)
        write_models(tmp_path / "page_2024-08-01.parquet", 5, date(2024, 8, 1))
        found = load_recordings(str(tmp_path))
        assert found.day == DAY
        assert [i.name for i in found.inputs if i.table == "hub_models"] == [
            "full_2024-07-11.parquet"
        ]
        assert sum("newer or fuller" in line for line in found.ignored) == 2

    @pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet"])
    def test_every_format_gives_the_same_rows(self, tmp_path: Path, suffix: str) -> None:
        frame = write_models(tmp_path / "m.parquet")
        if suffix == "csv":
            frame.write_csv(tmp_path / "m.csv")
        elif suffix == "json":
            text = frame.with_columns(pl.col("createdAt").cast(pl.String)).write_json()
            (tmp_path / "m.json").write_text(text)
        elif suffix == "jsonl":
            frame.with_columns(pl.col("createdAt").cast(pl.String)).write_ndjson(
                tmp_path / "m.jsonl"
            )
        loaded = load_recordings(str(tmp_path / f"m.{suffix}"))
        good = validate(loaded.frames["hub_models"], TABLES["hub_models"]).good
        assert loaded.day == DAY
        assert good["downloads"].to_list() == frame["downloads"].to_list()
        assert good["hub_id"].to_list() == frame["_id"].to_list()
        assert good["author"].n_unique() == 7
        assert good["created_at"].dt.date().unique().to_list() == [DAY]

    def test_raw_api_pages_are_read(self, recording: Callable[[str], Path]) -> None:
        loaded = load_recordings(str(recording("hub/api/models_page_001.json")))
        good = validate(loaded.frames["hub_models"], TABLES["hub_models"]).good
        assert good.height == 200
        assert good["downloads"].max() == 680_847_003
        assert good["license"][0] == "bsd-3-clause"
        assert good["author"][0] == "MIT"

    def test_protocols_of_one_month_are_one_observation(self, tmp_path: Path) -> None:
        for day, scale in (("2023-06-08", 1.0), ("2023-06-27", 2.0), ("2025-12-17", 3.0)):
            (tmp_path / f"protocols_{day}.json").write_text(json.dumps(protocols(20, scale)))
        found = load_recordings(str(tmp_path))
        dates = found.frames["defillama_protocols"]["observed_on"].unique().sort().to_list()
        assert dates == [date(2023, 6, 27), date(2025, 12, 17)]
        assert found.day == DAY  # the Hub comes from the bundled reference, and this is said
        assert any("no hub_models among the recordings" in line for line in found.ignored)

    def test_one_protocol_date_is_not_enough_and_said(self, tmp_path: Path) -> None:
        write_models(tmp_path / "m.parquet")
        (tmp_path / "protocols_2025-12-17.json").write_text(json.dumps(protocols(20)))
        found = load_recordings(str(tmp_path))
        assert any("one date only" in line for line in found.ignored)
        assert any("no defillama_protocols" in line for line in found.ignored)

    @pytest.mark.parametrize("suffix", ["parquet", "csv", "json"])
    def test_adapters_date_what_has_no_listing_date(self, tmp_path: Path, suffix: str) -> None:
        write_protocols(tmp_path)
        write = getattr(ADAPTERS, f"write_{suffix}")
        write(tmp_path / f"adapters.{suffix}")
        found = load_recordings(str(tmp_path))
        rows = found.frames["defillama_protocols"]
        dates = rows.filter(pl.col("observed_on") == date(2023, 6, 27)).sort("tvl_usd")
        born = [None, date(2021, 5, 6), *[None] * 18]  # the first has a listing date
        assert dates["adapter_at"].to_list() == born
        assert "module" not in rows.columns
        used = {i.table: (i.name, i.rows, i.taken_on) for i in found.inputs}
        assert used["defillama_adapters"] == (f"adapters.{suffix}", 3, "2022-01-01")
        assert join_population(rows)["adapter_on"].drop_nulls().to_list() == [date(2021, 4, 1)]

    def test_without_adapters_protocols_stay_as_they_are(self, tmp_path: Path) -> None:
        write_protocols(tmp_path)
        taken = load_dataset(str(tmp_path), DAY)
        rows = taken.tables["defillama_protocols"]
        assert rows.good["adapter_at"].null_count() == rows.good.height == 40
        assert rows.quarantine.is_empty()
        assert taken.tabulated()["defi_listing"]["adapter_on"].null_count() == 20

    def test_adapters_alone_date_nothing_and_that_is_said(self, tmp_path: Path) -> None:
        ADAPTERS.write_parquet(tmp_path / "adapters.parquet")
        with pytest.raises(SourceError, match="no model listing, protocol table or TVL history"):
            load_recordings(str(tmp_path))
        write_models(tmp_path / "m.parquet")
        found = load_recordings(str(tmp_path))
        assert "adapters.parquet: no protocols to date" in found.ignored
        assert all(i.table != "defillama_adapters" for i in found.inputs)
        ADAPTERS.with_columns(first_commit=None).write_parquet(tmp_path / "adapters.parquet")
        found = load_recordings(str(tmp_path))
        assert "adapters.parquet: adapters without a first commit" in found.ignored

    @pytest.mark.parametrize(
        ("content", "name", "message"),
        [
            ("", "empty.json", "cannot be read"),
            ('{"a": 1}', "object.json", "no list of records"),
            ("a,b\n1,2\n", "other.csv", "columns not recognised"),
            ("model_id,downloads\na/b,1\n", "models.csv", "created_at, likes missing"),
            ("name,category,tvl\np,Dexes,1\n", "protocols.csv", "put YYYY-MM-DD"),
        ],
    )
    def test_what_cannot_be_used_is_explained(
        self, tmp_path: Path, content: str, name: str, message: str
    ) -> None:
        (tmp_path / name).write_text(content)
        with pytest.raises(SourceError, match=message):
            load_snapshots(str(tmp_path / name))

    def test_a_missing_path_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"nowhere: no such file or folder"):
            load_snapshots(str(tmp_path / "nowhere"))

    def test_mixed_json_types_reach_quarantine_with_their_text(self, tmp_path: Path) -> None:
        rows = [
            {"_id": f"i{k}", "id": f"a/{k}", "downloads": d, "likes": 0,
             "createdAt": "2024-07-01T00:00:00.000Z"}
            for k, d in enumerate([1, "many", None, 2.5, {"x": 1}, True, 4])
        ]  # fmt: skip
        (tmp_path / "m.json").write_text(json.dumps(rows))
        loaded = load_recordings(str(tmp_path / "m.json"))
        result = validate(loaded.frames["hub_models"], TABLES["hub_models"])
        assert result.good["downloads"].to_list() == [1, 4]
        assert result.quarantine["downloads"].to_list() == ["many", None, "2.5", '{"x": 1}', "true"]

    def test_duplicate_ids_stop_the_snapshot(self, tmp_path: Path) -> None:
        frame = write_models(tmp_path / "m.parquet")
        pl.concat([frame, frame.head(1)]).write_parquet(tmp_path / "m.parquet")
        with pytest.raises(TableError, match="must be unique"):
            load_dataset(str(tmp_path / "m.parquet"), DAY)


class TestTabulate:
    def test_counts_stand_for_all_models(self, tmp_path: Path) -> None:
        write_models(tmp_path / "m.parquet", 60)
        loaded = load_recordings(str(tmp_path / "m.parquet"))
        models = validate(loaded.frames["hub_models"], TABLES["hub_models"]).good
        tables = tabulate_hub(models, DAY)
        assert tables["hub_frequency"]["n_models"].sum() == 60
        assert (tables["hub_authors"]["n_models"] * tables["hub_authors"]["n_authors"]).sum() == 60
        assert tables["hub_totals"].group_by("kind").agg(pl.col("n_models").sum())[
            "n_models"
        ].to_list() == [60, 60]
        assert (
            tables["hub_top"]
            .filter(pl.col("measure") == "likes")["size"]
            .is_sorted(descending=True)
        )

    def test_excluded_categories_leave_both_sides(self) -> None:
        rows = pl.DataFrame(
            {
                "observed_on": [date(2023, 1, 1)] * 3 + [date(2025, 1, 1)] * 3,
                "protocol_id": ["a", "b", "c", "a", "b", "d"],
                "name": ["a", "b", "c", "a", "b", "d"],
                "category": ["Dexes", "CEX", "Lending", "Dexes", "CEX", "Canonical Bridge"],
                "tvl_usd": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
                "listed_at": [date(2022, 2, 3), None, None, None, None, None],
            },
            schema_overrides={"listed_at": pl.Date},
        ).with_columns(adapter_at=pl.lit(None, dtype=pl.Date))
        joined = join_population(rows)
        assert joined.select("tvl_before", "tvl_after", "unmatched", "entrant").rows() == [
            (1.0, 4.0, False, False),
            (3.0, None, True, False),
        ]
        assert joined["listed_on"].to_list() == [date(2022, 1, 1), None]


def two_dates(ids: list[str], names: list[str]) -> pl.DataFrame:
    n = len(ids) // 2
    return pl.DataFrame(
        {
            "observed_on": [date(2023, 1, 1)] * n + [date(2025, 1, 1)] * n,
            "protocol_id": ids,
            "name": names,
            "category": ["Dexes"] * 2 * n,
            "tvl_usd": [float(i + 1) for i in range(2 * n)],
            "listed_at": [None] * 2 * n,
        },
        schema_overrides={"listed_at": pl.Date},
    ).with_columns(adapter_at=pl.lit(None, dtype=pl.Date))


def test_a_renamed_protocol_is_joined_by_its_id() -> None:
    joined = join_population(two_dates(["1", "2", "1", "2"], ["old", "b", "new", "b"]))
    assert joined.select("tvl_before", "tvl_after").rows() == [(1.0, 3.0), (2.0, 4.0)]


def test_without_ids_a_name_that_two_protocols_share_is_left_out() -> None:
    ids = ["1", "2", "3", "a", "b", "c"]
    joined = join_population(two_dates(ids, ["a", "a", "b", "a", "b", "c"]))
    assert joined.select("tvl_before", "tvl_after").rows() == [
        (3.0, 5.0), (None, 4.0), (None, 6.0)
    ]  # fmt: skip
