"""What runs by itself starts off: it asks for today once, looks in time, tells of failures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest

from baimo.pipeline.defs.automation import (
    every_day,
    every_deadline,
    fresh_checks,
    tell_of_failures,
)
from baimo.pipeline.lake.receipts import FAILED, PUBLISHED, Receipt, write_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.settings import DEADLINE_HOUR, REFRESH_CRON


@dg.op
def fails() -> None:
    raise dg.Failure("HTTP 404 (gone)")


@dg.op
def breaks() -> None:
    raise RuntimeError("unforeseen")


@dg.job
def failing() -> None:
    fails()


@dg.job
def breaking() -> None:
    breaks()


JOBS = {"failing": failing, "breaking": breaking}


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 9, 1, 6, 0, tzinfo=UTC), "2026-09-01"),
        (datetime(2026, 9, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2026-08-31"),
    ],
    ids=["UTC", "elsewhere"],
)
def test_the_schedule_asks_for_the_day_in_utc_once(at: datetime, day: str) -> None:
    schedule = every_day(failing)
    assert (schedule.cron_schedule, schedule.execution_timezone) == (REFRESH_CRON, "UTC")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    with dg.build_schedule_context(scheduled_execution_time=at) as context:
        request = schedule(context)
    assert isinstance(request, dg.RunRequest)
    assert (request.partition_key, request.run_key) == (day, day)


def test_the_look_for_the_day_comes_at_the_deadline() -> None:
    schedule = every_deadline(failing)
    assert schedule.cron_schedule == f"0 {DEADLINE_HOUR} * * *"
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED


@pytest.fixture
def lake(own_home: Path) -> Lake:
    return Lake(own_home / "lake")


def filed(lake: Lake, table: str, day: date) -> None:
    path = lake.path(table, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    write_receipt(lake, Receipt(table, day.isoformat(), "hub", PUBLISHED, rows=1))


def looked(check: dg.AssetChecksDefinition) -> dg.AssetCheckResult:
    found = check()
    assert isinstance(found, dg.AssetCheckResult)
    return found


def values(result: dg.AssetCheckResult) -> dict[str, Any]:
    return {name: value.value for name, value in (result.metadata or {}).items()}


def test_each_source_is_looked_for() -> None:
    keys = [key for check in fresh_checks() for key in check.check_keys]
    assert {(key.asset_key.path[-1], key.name) for key in keys} == {
        ("hub_models", "todays_day_is_there"), ("defillama_protocols", "todays_day_is_there")
    }  # fmt: skip


def test_a_lake_that_holds_nothing_warns(lake: Lake) -> None:
    for check in fresh_checks():
        found = looked(check)
        assert not found.passed
        assert found.severity == dg.AssetCheckSeverity.WARN
        assert values(found)["last_day"] == "none"


def test_a_lake_with_today_is_well_and_names_its_gaps(lake: Lake) -> None:
    today = datetime.now(UTC).date()
    for n in (0, 1, 3, 4):
        filed(lake, "hub_models", today - timedelta(days=n))
    found = looked(fresh_checks()[0])
    assert found.passed
    shown = values(found)
    assert shown["last_day"] == str(today)
    assert shown["missing_of_the_last_30_days"] == str(today - timedelta(days=2))
    assert shown["verdict"] == "holds"


def test_a_day_that_failed_is_told_with_its_reason(lake: Lake) -> None:
    today = datetime.now(UTC).date()
    filed(lake, "hub_models", today - timedelta(days=3))
    for n in (0, 1):
        day = (today - timedelta(days=n)).isoformat()
        write_receipt(lake, Receipt("hub_models", day, "hub", FAILED, "HTTP 500"))
    found = looked(fresh_checks()[0])
    assert not found.passed
    assert values(found)["verdict"].endswith("is not published: HTTP 500")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def told(name: str, instance: dg.DagsterInstance) -> list[Any]:
    """Let the sensor look at a run of a job that fails."""
    sensor = tell_of_failures(list(JOBS.values()))
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    result = JOBS[name].execute_in_process(
        instance=instance, raise_on_error=False, tags={"dagster/partition": "2026-09-01"},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )  # fmt: skip
    event = next(e for e in result.all_events if e.is_failure and e.step_key is None)
    context = dg.build_run_status_sensor_context(
        sensor_name="tell_of_failures", dagster_instance=instance,
        dagster_run=result.dagster_run, dagster_event=event,
    ).for_run_failure()  # fmt: skip
    return list(cast("Iterator[dg.SkipReason]", sensor(context)))


@pytest.mark.parametrize(
    ("job", "reason"), [("failing", "HTTP 404 (gone)"), ("breaking", "RuntimeError: unforeseen")]
)
def test_a_failure_is_posted_with_job_day_and_reason(
    job: str, reason: str, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setenv("BAIMO_WEBHOOK", "https://chat.example/hook/key")
    monkeypatch.setattr(
        "baimo.pipeline.ingest.notify.post_failure",
        lambda address, **said: posted.append((address, said)),
    )
    assert told(job, instance) == []
    ((address, said),) = posted
    assert address == "https://chat.example/hook/key"
    assert (said["job"], said["day"]) == (job, "2026-09-01")
    (why,) = said["why"]
    assert reason in why
    (run,) = instance.get_runs()
    assert said["run_id"] == run.run_id


def test_without_an_address_nothing_is_posted(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BAIMO_WEBHOOK", raising=False)
    (skipped,) = told("failing", instance)
    assert skipped == dg.SkipReason("BAIMO_WEBHOOK is not set")
