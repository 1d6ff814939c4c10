"""Snapshots: a published day is shown with its checks, a refused one says which check and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from baimo.pipeline.defs.declare import SNAPSHOTS
from baimo.pipeline.defs.snapshots import TrustConfig, defillama, hub
from baimo.pipeline.errors import LakeError, PipelineError, SourceError
from baimo.pipeline.ingest import daily
from baimo.pipeline.ingest.acceptance import (
    DEFILLAMA_CHECKS,
    HUB_CHECKS,
    Check,
    RefusedSnapshotError,
)
from baimo.pipeline.lake.receipts import PUBLISHED, Receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.settings import RETRY_SECONDS
from baimo.pipeline.sources.http import UnreachableError
from tests.pipeline.defs.steps import DAY, failures, reads, run, shown, specs

OPS = {"hub": ("hub_models",), "defillama": ("defillama_protocols", "defillama_chains")}
CHECKS = {"hub": HUB_CHECKS, "defillama": DEFILLAMA_CHECKS}
Publish = Callable[..., tuple[Receipt, str]]
Asked = list[tuple[str, Any, bool]]


@pytest.fixture
def lake(own_home: Path) -> Lake:
    return Lake(own_home / "lake")


@pytest.fixture
def asked() -> Asked:
    return []


@pytest.fixture
def publishing(
    lake: Lake, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Receipt | Exception], None]:
    """Return how to let both sources publish, or fail; what they are asked for is noted."""

    def put(answer: Receipt | Exception) -> None:
        for name in OPS:

            def publish(
                day: Any, say: Any, *, trust: bool = False, name: str = name
            ) -> tuple[Receipt, str]:
                asked.append((name, day, trust))
                if isinstance(answer, Exception):
                    raise answer
                table = OPS[name][0]
                return answer, str(lake.write_table(table, day, pl.DataFrame({"a": [1, 2]})))

            monkeypatch.setattr(daily, f"publish_{name}", publish)

    return put


def receipt(**known: Any) -> Receipt:
    return Receipt("t", DAY.isoformat(), "hub-stats", PUBLISHED, **known)


@pytest.mark.parametrize("op", OPS)
def test_each_source_is_a_step_of_its_own_with_nothing_above_it(op: str) -> None:
    for name in OPS[op]:
        assert specs()[name].group_name == SNAPSHOTS
        assert reads(name) == set()


@pytest.mark.parametrize("op", OPS)
def test_a_published_day_is_shown_with_what_its_receipt_says(
    op: str, publishing: Callable[[Receipt], None], asked: Asked, lake: Lake
) -> None:
    lake_of_results = lake.root.parent / "results"
    publishing(
        receipt(
            rows=2, sha256="f" * 64, checks={"fits_the_table": {"rows": 2}},
            details={"pages": 3, "quarantined": {"x is bad": 1}, "nothing": None, "none": {}},
            lacks={"author": "the file has none"},
        )
    )  # fmt: skip
    done = run(lake_of_results, OPS[op])
    assert asked == [(op, DAY, False)]
    metadata = shown(done, op, OPS[op][0])
    assert metadata["dagster/row_count"] == 2
    assert (metadata["source"], metadata["sha256"]) == ("hub-stats", "f" * 64)
    assert metadata["pages"] == 3
    assert metadata["quarantined"] == "- x is bad: 1"
    assert metadata["lacks"] == "- author: the file has none"
    assert metadata.keys().isdisjoint({"nothing", "none"})
    assert metadata["path"] == str(lake.path(OPS[op][0], DAY))
    assert not lake_of_results.exists()  # the step has published: nothing is written again
    checks = {c.check_name: c for c in done.get_asset_check_evaluations()}
    checks.pop("todays_day_is_there")  # looks at every day, whatever is run
    assert set(checks) == set(CHECKS[op])
    assert all(c.passed and c.blocking for c in checks.values())
    verdicts = {name: c.metadata["verdict"].value for name, c in checks.items()}
    assert verdicts.pop("fits_the_table") == "holds"
    assert set(verdicts.values()) == {"not applied to this source"}


def test_chains_are_an_output_only_where_they_were_fetched(
    publishing: Callable[[Receipt], None], lake: Lake, tmp_path: Path
) -> None:
    publishing(receipt(rows=2))
    done = run(tmp_path / "r", OPS["defillama"])
    made = {m.asset_key.path[-1] for m in done.asset_materializations_for_node("defillama")}
    assert made == {"defillama_protocols"}
    path = lake.write_table("defillama_chains", DAY, pl.DataFrame({"chain": ["a"]}))
    done = run(tmp_path / "r", OPS["defillama"])
    assert shown(done, "defillama", "defillama_chains")["path"] == str(path)


@pytest.mark.parametrize("op", OPS)
def test_a_refused_day_fails_the_check_that_refused_it(
    op: str, publishing: Callable[[Exception], None], lake: Lake, tmp_path: Path
) -> None:
    why = "30 of 40 rows are not valid"
    publishing(
        RefusedSnapshotError(
            [Check("fits_the_table", "", {"rows": 40}), Check("few_in_quarantine", why, {"n": 30})]
        )
    )
    done = run(tmp_path, OPS[op], raise_on_error=False)
    assert failures(done) == {op: f"{why}; nothing published, the last snapshot stays"}
    checks = {c.check_name: c for c in done.get_asset_check_evaluations()}
    assert {name: c.passed for name, c in checks.items()} == {
        "fits_the_table": True, "few_in_quarantine": False
    }  # fmt: skip
    failed = {name: v.value for name, v in checks["few_in_quarantine"].metadata.items()}
    assert failed == {"n": 30, "verdict": why}
    assert checks["few_in_quarantine"].blocking
    assert not any(e.event_type_value == "STEP_UP_FOR_RETRY" for e in done.all_events)


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (UnreachableError("no answer in time"), True),
        (SourceError("HTTP 404"), False),
        (LakeError("cannot write"), False),
    ],
)
def test_only_a_source_that_is_down_is_asked_again(
    error: PipelineError, again: bool, publishing: Callable[[Exception], None]
) -> None:
    publishing(error)
    compute: Any = hub.op.compute_fn
    with pytest.raises(dg.Failure) as failed:
        list(compute.decorated_fn(context(), TrustConfig()))
    assert failed.value.description == str(error)
    assert failed.value.allow_retries is again


def context() -> dg.AssetExecutionContext:
    """Return what a step is told of its run."""
    return dg.build_asset_context(partition_key=DAY.isoformat())


@pytest.mark.parametrize("step", [hub, defillama])
def test_a_source_is_asked_again_later_and_later(step: dg.AssetsDefinition) -> None:
    policy = step.op.retry_policy
    assert policy is not None
    assert (policy.max_retries, policy.delay) == (3, RETRY_SECONDS)
    assert policy.backoff == dg.Backoff.EXPONENTIAL
    assert step.op.pool == step.op.name  # one run a source at a time


def test_a_change_that_is_real_is_trusted_where_that_is_asked(
    publishing: Callable[[Receipt], None], asked: Asked, tmp_path: Path
) -> None:
    publishing(receipt(rows=2))
    run(tmp_path, ["hub_models"], {"hub": {"trust": True}})
    assert asked == [("hub", DAY, True)]
