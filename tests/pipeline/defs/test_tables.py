"""From a source to the tables that are fitted: all of them, or a named check and none at all."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from baimo.estimation.results import decode
from baimo.pipeline.datasets.load import Dataset
from baimo.pipeline.defs.declare import TABULATED
from baimo.pipeline.defs.tables import DEFI, FEWEST_MATCHED, FITTED, HUB, tables
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.catalog import TABLES
from baimo.pipeline.schema.validate import Validated
from baimo.pipeline.sources.snapshot import Input
from tests.pipeline.defs.steps import DAY, failures, reads, run, shown, specs

NAMES = tuple(key.path[-1] for key in tables.keys)
EMPTY = {name: pl.DataFrame(schema=TABLES[name].schema) for name in (*HUB, *DEFI)}


def frame(n: int) -> pl.DataFrame:
    return pl.DataFrame({"hub_id": [str(i) for i in range(n)]})


def dataset(
    monkeypatch: pytest.MonkeyPatch,
    *,
    n_models: int = 200,
    n_counted: int = 200,
    n_odd: int = 0,
    n_matched: int = FEWEST_MATCHED,
) -> list[tuple[str, date]]:
    """Let a made-up source be loaded; return what is asked for."""
    asked: list[tuple[str, date]] = []
    odd = pl.DataFrame({"reason": ["x"] * n_odd, "hub_id": ["i"] * n_odd})
    good = {name: Validated(frame(100), odd.clear(), ()) for name in FITTED}
    good["hub_models"] = Validated(frame(n_models), odd, ())
    population = pl.DataFrame(
        {"tvl_before": [1.0, 1.0, None], "tvl_after": [2.0, 0.0, 3.0],
         "n_protocols": [n_matched, 1_000, 1_000]}
    )  # fmt: skip
    made = EMPTY | {
        "hub_frequency": pl.DataFrame({"n_models": [n_counted - 1, 1]}),
        "defi_population": population,
    }

    class MadeUp(Dataset):
        def tabulated(self) -> dict[str, pl.DataFrame]:
            return made

    def load(source: str, day: date) -> Dataset:
        asked.append((source, day))
        taken = (Input("hub_models", "models.parquet", "f" * 64, n_models, n_models, str(day)),)
        return MadeUp(source=source, day=day, tables=good, inputs=taken, ignored=("old.csv",))

    monkeypatch.setattr("baimo.pipeline.datasets.load.load_dataset", load)
    return asked


def measured(root: Path, **config: Any) -> dg.ExecuteInProcessResult:
    return run(root, NAMES, {"tables": {"source": "there", **config}}, raise_on_error=False)


def test_each_table_is_described_as_in_the_catalogue() -> None:
    assert set(NAMES) == {*HUB, *DEFI, "quarantine", "provenance"}
    for name in NAMES:
        assert specs()[name].group_name == TABULATED
        assert reads(name) == {"hub_models", "defillama_protocols"}
        if name in TABLES:
            assert specs()[name].description == TABLES[name].meaning


def test_all_tables_are_written_with_where_they_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = dataset(monkeypatch)
    done = measured(tmp_path)
    assert done.success
    assert asked == [("there", DAY)]
    lake = Lake(tmp_path)
    for name in NAMES:
        assert lake.days(name) == [DAY]
    assert lake.read_table("hub_frequency", DAY)["n_models"].sum() == 200
    provenance = decode(lake.read_record("provenance", DAY))
    assert provenance["inputs"][0]["name"] == "models.parquet"
    metadata = shown(done, "tables", "provenance")
    assert (metadata["models"], metadata["protocols_matched"]) == (200, FEWEST_MATCHED)
    assert metadata["files"] == "- models.parquet"
    assert metadata["ignored"] == "- old.csv"
    assert all(check.passed for check in done.get_asset_check_evaluations())


@pytest.mark.parametrize(
    ("wrong", "check", "asset", "why"),
    [
        ({"n_odd": 3}, "rows_fit_the_table", "hub_frequency",
         "3 of 203 rows of hub_models are not valid"),
        ({"n_counted": 199}, "every_model_is_counted", "hub_frequency",
         "199 models counted, 200 in the snapshot"),
        ({"n_matched": FEWEST_MATCHED - 1}, "enough_matched", "defi_population",
         f"only {FEWEST_MATCHED - 1} protocols have a positive TVL on both dates"),
    ],
)  # fmt: skip
def test_a_failed_check_is_shown_on_its_asset_and_nothing_is_written(
    wrong: dict[str, int], check: str, asset: str, why: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    dataset(monkeypatch, **wrong)
    done = measured(tmp_path)
    assert failures(done) == {"tables": f"{why}; nothing was published, correct the source"}
    (failed,) = [c for c in done.get_asset_check_evaluations() if not c.passed]
    assert (failed.check_name, failed.asset_key.path[-1]) == (check, asset)
    assert failed.blocking
    assert failed.metadata["verdict"].value == why
    assert list(tmp_path.rglob("*.parquet")) == []


def test_one_row_in_a_hundred_may_be_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset(monkeypatch, n_models=198, n_counted=198, n_odd=2)
    done = measured(tmp_path)
    assert done.success
    assert Lake(tmp_path).read_table("quarantine", DAY)["reason"].to_list() == ["x", "x"]


def test_a_source_of_another_day_fails_with_the_remedy(own_home: Path) -> None:
    with pytest.raises(Exception, match="choose the partition 2024-07-11"):
        run(own_home / "lake", NAMES, {"tables": {"source": "reference"}}, DAY + timedelta(days=1))
    assert not list((own_home / "lake").rglob("*.parquet"))
