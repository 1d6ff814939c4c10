"""The daily job against live servers: fetch, measure, report; or say why not and leave the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from baimo.pipeline.definitions import DAILY, WATCH, build_defs
from baimo.pipeline.lake.receipts import Receipt, published_days, read_receipt, write_receipt
from baimo.pipeline.lake.store import Lake
from tests.live.servers.defi import DefiServer, synthetic_protocols
from tests.live.servers.faults import EditRows, Status
from tests.live.servers.hub import HubServer
from tests.live.servers.hub_dataset import HubDataset, day_of_dataset
from tests.live.servers.hub_models import synthetic_models
from tests.live.servers.server import Loopback, Reply, Request

MODELS = synthetic_models(3000, seed=4)
PROTOCOLS = synthetic_protocols(600, seed=4)


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[HubServer, DefiServer]]:
    with HubServer(MODELS) as hub, DefiServer(PROTOCOLS) as llama:
        yield hub, llama


@pytest.fixture
def lake(
    servers: tuple[HubServer, DefiServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Lake:
    hub, llama = servers
    hub.calm()
    llama.calm()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("BAIMO_DEFILLAMA_URL", llama.url)
    monkeypatch.setenv("BAIMO_LAKE", str(tmp_path / "lake"))
    monkeypatch.setattr("baimo.pipeline.settings.home_dir", lambda: tmp_path)
    return Lake(tmp_path / "lake")


def run(job: str = DAILY, instance: dg.DagsterInstance | None = None) -> dg.ExecuteInProcessResult:
    return (
        build_defs()
        .resolve_job_def(job)
        .execute_in_process(
            partition_key=today().isoformat() if job == DAILY else None,
            raise_on_error=False,
            instance=instance,
            run_config={
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                **({"ops": SMALL} if job == DAILY else {}),
            },
        )
    )


FEW = {"config": {"n_replications": 2}}
SIMULATED = ("simulations", "published")
SMALL = dict.fromkeys(SIMULATED, FEW)


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    found = {}
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            said = data.user_failure_data.description if data.user_failure_data else None
            found[str(event.step_key)] = said or str(data.error.message if data.error else "")
    return found


def test_in_the_morning_the_report_stands_there(lake: Lake, tmp_path: Path) -> None:
    result = run()
    assert failures(result) == {}
    assert result.success
    out = tmp_path / "data" / "out" / today().isoformat()
    assert (out / "report.html").stat().st_size > 100_000
    document = json.loads((out / "parameters.json").read_text())
    named = {p["name"]: p for p in document["parameters"]}
    assert named["tail_hub_likes_zeta"]["n_obs"] == 3000
    checks = {(c.asset_key.path[-1], c.check_name): c for c in result.get_asset_check_evaluations()}
    assert checks["hub_models", "walked_to_the_end"].passed
    assert checks["defillama_protocols", "total_of_tvl_usd"].passed
    assert checks["parameters", "steady_likes"].metadata["days"].value == 0
    event = result.asset_materializations_for_node("hub")[0]
    assert event.metadata["dagster/row_count"].value == 3000
    assert len(str(event.metadata["sha256"].value)) == 64
    provenance = lake.read_record("provenance", today())
    text = json.dumps(provenance)
    assert f"hub_models/date={today()}/hub_models.parquet" in text
    receipt = read_receipt(lake, "hub_models", today())
    assert receipt is not None
    assert receipt.sha256 in text


@pytest.mark.parametrize("source", ["hub", "defillama"])
def test_a_source_that_fails_marks_the_day_and_leaves_yesterdays_report(
    source: str, servers: tuple[HubServer, DefiServer], lake: Lake, tmp_path: Path
) -> None:
    yesterday = tmp_path / "data" / "out" / (today() - timedelta(days=1)).isoformat()
    yesterday.mkdir(parents=True)
    (yesterday / "report.html").write_text("yesterday")
    server: Loopback = servers[0] if source == "hub" else servers[1]
    where = "/api/models" if source == "hub" else "/protocols"
    server.inject(where, Status(404, body=b"gone"), None)
    result = run()
    assert not result.success
    assert list(failures(result)) == [source]
    assert "HTTP 404 (gone)" in failures(result)[source]
    name = {"hub": "hub_models", "defillama": "defillama_protocols"}[source]
    receipt = read_receipt(lake, name, today())
    assert receipt is not None
    assert receipt.outcome == "failed"
    other = {"hub": "defillama_protocols", "defillama": "hub_models"}[source]
    assert published_days(lake, other) == [today()]
    assert (yesterday / "report.html").read_text() == "yesterday"
    assert not (tmp_path / "data" / "out" / today().isoformat()).exists()


def test_a_failed_check_is_shown_by_name_and_stops_what_is_downstream(
    servers: tuple[HubServer, DefiServer], lake: Lake
) -> None:
    servers[0].inject(
        "/api/models", EditRows(lambda rows: [r | {"downloads": None} for r in rows]), None
    )
    result = run()
    checks = {c.check_name: c for c in result.get_asset_check_evaluations()
              if c.asset_key.path[-1] == "hub_models"}  # fmt: skip
    assert not checks["few_in_quarantine"].passed
    assert "3,000 of 3,000 rows are not valid" in str(checks["few_in_quarantine"].metadata)
    assert checks["few_in_quarantine"].blocking
    assert "nothing published" in failures(result)["hub"]
    assert not result.success
    ran = {e.step_key for e in result.all_events if e.is_step_success}
    assert ran <= {"defillama", "defillama_protocols_todays_day_is_there"}


@pytest.mark.parametrize("code", [403, 404])
def test_a_token_is_in_no_event_and_no_file_of_dagster(
    code: int, servers: tuple[HubServer, DefiServer], lake: Lake, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    token = "hf_neverToBeSeen0123456789"
    monkeypatch.setenv("HF_TOKEN", token)
    servers[0].inject("/api/models", Status(code, body=f"echo {token}".encode()), None)
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        result = run(instance=instance)
        assert servers[0].requests[-1].headers["authorization"] == f"Bearer {token}"
        assert not result.success
        assert token not in "".join(str(e) for e in result.all_events)
        stored = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
        assert str(code).encode() in stored
        assert token.encode() not in stored


def test_a_run_that_is_repeated_takes_what_is_there(
    servers: tuple[HubServer, DefiServer], lake: Lake
) -> None:
    from baimo.pipeline.ingest.daily import publish_hub

    publish_hub(today(), lambda _: None)
    servers[0].clear()
    receipt, path = publish_hub(today(), lambda _: None)
    assert servers[0].requests == []
    assert Path(path) == lake.path("hub_models", today())
    assert receipt.rows == 3000


def test_a_retry_after_midnight_ends_the_walk_of_last_night(
    servers: tuple[HubServer, DefiServer], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from baimo.pipeline.ingest.daily import publish_hub
    from baimo.pipeline.ingest.refresh import refresh_hub
    from baimo.pipeline.sources.http import Patience, UnreachableError

    day, tomorrow = today(), datetime.now(UTC) + timedelta(days=1)
    servers[0].inject(2, Status(500), None)
    with pytest.raises(UnreachableError):
        refresh_hub(lake, patience=Patience(attempts=1, sleep=lambda _: None))
    servers[0].calm()
    servers[0].clear()
    monkeypatch.setattr("baimo.pipeline.ingest.daily.utc_now", lambda: tomorrow)
    receipt, path = publish_hub(day, lambda _: None)
    assert (receipt.day, receipt.rows, receipt.source) == (day.isoformat(), 3000, "hub")
    assert Path(path) == lake.path("hub_models", day)
    assert all("cursor" in r.target for r in servers[0].requests)  # no new walk was begun


def test_a_past_day_is_left_to_the_backfill(lake: Lake) -> None:
    from baimo.pipeline.errors import SourceError
    from baimo.pipeline.ingest.daily import publish_hub

    past = today() - timedelta(days=400)
    with pytest.raises(SourceError, match="hub-stats/commits/main: HTTP 404"):
        publish_hub(past, lambda _: None)


def test_past_partitions_of_the_asset_are_filled_from_the_datasets_history(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a backfill launched in the UI does; `test_browser` clicks it."""
    past = [today() - timedelta(days=n) for n in (3, 2)]
    models = synthetic_models(1170, seed=4, end_day=past[0])
    commits = [
        (f"{i:040x}", datetime(d.year, d.month, d.day, 3, tzinfo=UTC),
         {"models.parquet": day_of_dataset(models, 1150 + 10 * i)})
        for i, d in enumerate(past, 1)
    ]  # fmt: skip
    defs = build_defs()
    with HubServer(models) as hub, dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        hub.mount(HubDataset("cfahlgren1/hub-stats", commits))
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        for day in past:
            done = dg.materialize(
                [defs.get_assets_def("hub_models")],
                instance=instance,
                resources=defs.resources,
                partition_key=day.isoformat(),
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
            assert done.success
    assert published_days(lake, "hub_models") == past
    assert [lake.read_table("hub_models", d).height for d in past] == [1160, 1170]
    receipt = read_receipt(lake, "hub_models", past[0])
    assert receipt is not None
    assert receipt.source == "hub-stats"


def test_the_schedule_asks_for_today_once(lake: Lake) -> None:
    schedule = build_defs().resolve_schedule_def("every_day")
    assert schedule.cron_schedule == "0 6 * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    at = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)
    with dg.build_schedule_context(scheduled_execution_time=at) as context:
        request = schedule(context)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2026-09-01"
    assert request.run_key == "2026-09-01"


def test_freshness_knows_the_days(lake: Lake) -> None:
    from baimo.pipeline.lake.freshness import freshness

    for n in (5, 4, 2):
        day = date(2026, 9, 10) - timedelta(days=n)
        lake.write_table("hub_models", day, pl.DataFrame({"a": [1]}))
        write_receipt(lake, Receipt("hub_models", day.isoformat(), "hub", "published"))
    early = freshness(lake, "hub_models", datetime(2026, 9, 10, 8, 59, tzinfo=UTC))
    assert early.missing == (date(2026, 9, 7), date(2026, 9, 9))
    assert early.late  # of yesterday there is nothing either
    write_receipt(lake, Receipt("hub_models", "2026-09-10", "hub", "failed", "HTTP 500"))
    late = freshness(lake, "hub_models", datetime(2026, 9, 10, 9, 0, tzinfo=UTC))
    assert late.verdict == "2026-09-10 is not published: HTTP 500"
    assert late.last == date(2026, 9, 8)


def test_the_look_for_today_warns(lake: Lake) -> None:
    result = run(WATCH)
    assert result.success
    checks = result.get_asset_check_evaluations()
    assert {c.asset_key.path[-1] for c in checks} == {"hub_models", "defillama_protocols"}
    assert all(c.severity == dg.AssetCheckSeverity.WARN for c in checks)


class Chat(Loopback):
    """A chat service that takes messages."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[dict[str, object]] = []

    def answer(self, request: Request) -> Reply:
        self.posted.append(json.loads(request.body))
        return Reply.text("ok")


def test_a_failure_is_told_to_the_webhook_and_only_when_there_is_one(
    servers: tuple[HubServer, DefiServer], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers[0].inject("/api/models", Status(404, body=b"gone"), None)
    sensor = build_defs().resolve_sensor_def("tell_of_failures")
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    with dg.DagsterInstance.ephemeral() as instance, Chat() as chat:
        result = run(instance=instance)
        event = next(e for e in result.all_events if e.is_failure and e.step_key is None)
        context = dg.build_run_status_sensor_context(
            sensor_name="tell_of_failures",
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            dagster_event=event,
        ).for_run_failure()
        assert "BAIMO_WEBHOOK is not set" in str(list(sensor(context)))  # type: ignore[call-overload]
        monkeypatch.setenv("BAIMO_WEBHOOK", f"{chat.url}/hook/secret")
        assert list(sensor(context)) == []  # type: ignore[call-overload]
        (message,) = chat.posted
    assert message["day"] == today().isoformat()
    assert str(message["text"]).startswith(f"baimo: {DAILY} of {today()} failed: ")
    assert "HTTP 404 (gone)" in str(message["text"])
