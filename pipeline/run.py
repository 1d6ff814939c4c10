"""Run the whole graph in process: the job behind `baimo run`, visible in the UI afterwards."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from baimo.estimation.errors import EstimationError
from baimo.pipeline.analysis.sizes import TAILS
from baimo.pipeline.claims.claim import AUDIT
from baimo.pipeline.datasets.from_lake import published_day
from baimo.pipeline.datasets.load import PROVENANCE, load_snapshots
from baimo.pipeline.errors import LakeError, PipelineError, SourceError
from baimo.pipeline.lake.atomic import check_writable, write_text
from baimo.pipeline.lake.results import Day, Named
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.schema.results import COMPARISON
from baimo.pipeline.settings import FIRST_DAY, dagster_home, lake_dir, out_dir
from baimo.pipeline.sources.reference import read_manifest
from baimo.pipeline.sources.snapshot import LAKE, REFERENCE
from baimo.simulation.errors import ParameterError

Step = Callable[[str, float | None], None]
"""Called with a step's name when it starts (None) and when it is done (seconds)."""

_INSTANCE = """\
# One machine: state in SQLite beside this file. The README has the lines for Postgres.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 2
    tag_concurrency_limits:
      - key: dagster/partition    # one run a day at a time
        value: {applyLimitPerUniqueValue: true}
        limit: 1
  pools:
    granularity: run              # one run a source at a time
    default_limit: 1
run_retries:
  enabled: true
  max_retries: 1
  retry_on_asset_or_op_failure: false   # steps retry themselves; this is for lost processes
run_monitoring:
  enabled: true                   # a run whose process died is marked failed
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days: {skipped: 7, failure: 30, success: 90}
"""


SHOWN: tuple[Named, ...] = (*TAILS.values(), COMPARISON, AUDIT, PROVENANCE)


@dataclass(frozen=True, eq=False)
class Finished:
    """What a run leaves behind.

    Parameters
    ----------
    day, out
        The day that was measured, and the folder of report and parameters.
    results
        Reader of what a summary shows: `SHOWN`.
    """

    day: date
    out: Path
    results: Day


class RunError(PipelineError):
    """A step of the run failed; the message names the step."""


def prepare_instance() -> Path:
    """Create DAGSTER_HOME with telemetry and pop-ups off, and point Dagster to it."""
    home = dagster_home().resolve()
    config = home / "dagster.yaml"
    if not config.exists():
        write_text(config, _INSTANCE)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def snapshot_day(source: str, day: date | None = None) -> date:
    """Return the day that a source is filed under; of the lake, `day` or the newest."""
    if day is not None and source != LAKE:
        raise SourceError(f"--day goes with --source lake; {source} has its own day")
    if source == REFERENCE:
        return date.fromisoformat(read_manifest()["day"])
    if source == LAKE:
        return published_day(Lake(lake_dir()), day)
    day = load_snapshots(source).day  # of recordings only the rows tell it
    if not FIRST_DAY <= day <= date.today() + timedelta(days=1):
        raise SourceError(
            f"the model listing is of {day}: the calendar runs from {FIRST_DAY} to today; "
            "put the right date in the file's name, or leave the listing out"
        )
    return day


def run_graph(
    source: str,
    out: Path | None,
    *,
    seed: int,
    n_replications: int,
    step: Step,
    day: date | None = None,
) -> Finished:
    """Materialise every asset for one source.

    Raises
    ------
    PipelineError, EstimationError
        What a step refused, or RunError for anything unforeseen.
    """
    lake = Lake(lake_dir())
    day = snapshot_day(source, day)
    chosen = out if out is not None else out_dir(day)
    for folder in (chosen, lake.root):
        check_writable(folder)
    if (chosen / "tables").exists() and not (chosen / "tables").is_dir():
        raise LakeError(f"{chosen / 'tables'} is no folder; move it or choose another --out")
    prepare_instance()
    import dagster as dg

    from baimo.pipeline.definitions import JOB, build_defs

    simulation = {"config": {"seed": seed, "n_replications": n_replications}}
    config = {
        "ops": {
            "tables": {"config": {"source": source}},
            "simulations": simulation,
            "published": {"config": simulation["config"] | {"out": str(chosen.resolve())}},
        },
        "loggers": {"steps": {}},
    }
    definitions = dg.Definitions.merge(
        build_defs(last_day=day), dg.Definitions(loggers={"steps": _step_logger(step)})
    )
    with dg.DagsterInstance.get() as instance:
        try:
            definitions.resolve_job_def(JOB).execute_in_process(
                run_config=config,
                partition_key=day.isoformat(),
                instance=instance,
                tags={"baimo/source": source},
            )
        except dg.Failure as failure:
            raise RunError(failure.description or "a step failed; see `baimo ui`") from failure
        except (PipelineError, EstimationError, ParameterError):
            raise
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as stop:
            raise RunError("interrupted; what was published before is as it was") from stop
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            raise RunError(
                f"unforeseen {type(error).__name__}: {first}; the trace is in `baimo ui`, Runs"
            ) from error
    return Finished(day=day, out=chosen, results=Day.of_lake(lake, day, SHOWN))


def _step_logger(step: Step) -> Any:
    """Return a Dagster logger that reports steps and swallows everything else."""
    import dagster as dg

    class StepHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            event = getattr(record, "dagster_event", None)
            if event is None:
                return
            if event.event_type_value == "STEP_START":
                step(event.step_key, None)
            elif event.event_type_value == "STEP_SUCCESS":
                step(event.step_key, event.step_success_data.duration_ms / 1e3)

    @dg.logger({})
    def steps(_: Any) -> logging.Logger:
        logger = logging.Logger("baimo.steps", logging.DEBUG)
        logger.addHandler(StepHandler())
        return logger

    return steps
