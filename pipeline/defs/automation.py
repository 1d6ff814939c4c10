"""What runs by itself: the daily schedule and the message when a run fails. Both start off."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from baimo.pipeline.settings import DEADLINE_HOUR, REFRESH_CRON, lake_dir, webhook

RUN_TAGS = {"baimo/source": "lake", "dagster/max_retries": "1"}


Job = Any
"""A job whose assets are not resolved yet: Dagster exports no name of its type."""


def every_day(job: Job) -> dg.ScheduleDefinition:
    """Return the schedule of the daily job: today's partition, at the time set in `settings`."""

    @dg.schedule(
        name="every_day",
        job=job,
        cron_schedule=REFRESH_CRON,
        execution_timezone="UTC",
        description="Fetch both sources and measure the day.",
    )
    def every_day_(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        at = context.scheduled_execution_time or datetime.now(UTC)
        day = at.astimezone(UTC).date().isoformat()
        return dg.RunRequest(run_key=day, partition_key=day)

    return every_day_


def fresh_checks() -> list[dg.AssetChecksDefinition]:
    """Return the checks that today's partition of each source is published by the deadline."""

    def made(table: str) -> dg.AssetChecksDefinition:
        @dg.asset_check(
            asset=table,
            name="todays_day_is_there",
            description=f"Today is published by {DEADLINE_HOUR}:00 UTC; days missing of the last "
            "thirty are named.",
        )
        def todays_day_is_there() -> dg.AssetCheckResult:
            from baimo.pipeline.lake.freshness import freshness
            from baimo.pipeline.lake.store import Lake

            state = freshness(Lake(lake_dir()), table, datetime.now(UTC))
            return dg.AssetCheckResult(
                passed=not state.late,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "last_day": state.last.isoformat() if state.last else "none",
                    "missing_of_the_last_30_days": ", ".join(map(str, state.missing)) or "none",
                    "verdict": state.verdict,
                },
            )

        return todays_day_is_there

    return [made("hub_models"), made("defillama_protocols")]


def every_deadline(job: Job) -> dg.ScheduleDefinition:
    """Return the schedule that looks whether the day came in; it starts off."""
    return dg.ScheduleDefinition(
        name="every_deadline",
        job=job,
        cron_schedule=f"0 {DEADLINE_HOUR} * * *",
        execution_timezone="UTC",
        description="Look whether today's snapshots are there.",
    )


def tell_of_failures(jobs: Sequence[Job]) -> dg.SensorDefinition:
    """Return the sensor that posts a failed run to BAIMO_WEBHOOK; without one it skips."""

    @dg.run_failure_sensor(
        name="tell_of_failures",
        monitored_jobs=list(jobs),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="Post job, day and reason of a failed run to the address in BAIMO_WEBHOOK.",
    )
    def tell(context: dg.RunFailureSensorContext) -> Iterator[dg.SkipReason]:
        address = webhook()
        if address is None:
            yield dg.SkipReason("BAIMO_WEBHOOK is not set")
            return
        from baimo.pipeline.ingest.notify import post_failure

        run = context.dagster_run
        reasons = [_reason(event) for event in context.get_step_failure_events()]
        post_failure(
            address,
            job=run.job_name,
            day=run.tags.get("dagster/partition", ""),
            run_id=run.run_id,
            why=reasons or [context.failure_event.message or "no reason given"],
        )

    return tell


def _reason(event: dg.DagsterEvent) -> str:
    """Return what a failed step said: the description of a Failure, else the first cause's line."""
    failed = event.step_failure_data
    said = failed.user_failure_data.description if failed.user_failure_data else None
    error = failed.error
    while error is not None and error.cause is not None:
        error = error.cause
    return said or (error.message if error else None) or "no reason given"
