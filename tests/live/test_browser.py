"""The UI in a real browser: a schedule switched on, days filled, a failed check that reads well.

Skipped where no chromium is installed. Screenshots lie in pytest's temporary folder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from baimo.pipeline.lake.receipts import published_days, read_receipt
from baimo.pipeline.lake.store import Lake
from tests.live.servers.defi import DefiServer, synthetic_protocols
from tests.live.servers.faults import EditRows
from tests.live.servers.hub import HubServer
from tests.live.servers.hub_dataset import HubDataset, day_of_dataset
from tests.live.servers.hub_models import synthetic_models

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which(
    "google-chrome"
)  # fmt: skip
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"),
]

ROOT = Path(__file__).resolve().parents[2]
TODAY = datetime.now(UTC).date()
PAST = [TODAY - timedelta(days=n) for n in (3, 2, 1)]
MODELS = synthetic_models(1200, seed=4, end_day=PAST[0])
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Both sources, a lake, and the UI on a port of its own."""
    commits = [
        (f"{i:040x}", datetime(d.year, d.month, d.day, 3, tzinfo=UTC),
         {"models.parquet": day_of_dataset(MODELS, 1150 + 10 * i)})
        for i, d in enumerate(PAST, 1)
    ]  # fmt: skip
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with HubServer(MODELS) as hub, DefiServer(synthetic_protocols(300, seed=4)) as llama:
        hub.mount(HubDataset("cfahlgren1/hub-stats", commits))
        environment = os.environ | {
            "HF_ENDPOINT": hub.url,
            "BAIMO_DEFILLAMA_URL": llama.url,
            "BAIMO_LAKE": str(home / "lake"),
            "DAGSTER_HOME": str(home / "dagster"),
            "HF_HOME": str(home / "hf"),
            "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        }
        with (home / "ui.log").open("w") as log:
            ui = subprocess.Popen(
                [sys.executable, "-m", "baimo.pipeline.cli", "ui", "--port", str(port)],
                cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
            )  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: ui.poll() is not None or answers(url), 120, "the UI answers")
            assert ui.poll() is None, (home / "ui.log").read_text()
            yield {"url": url, "hub": hub, "lake": Lake(home / "lake"), "home": home}
        finally:
            os.killpg(ui.pid, signal.SIGINT)
            try:
                ui.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(ui.pid, signal.SIGKILL)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.5)


def ask(url: str, query: str) -> Any:
    """Put a question to the UI's own GraphQL."""
    request = urllib.request.Request(
        f"{url}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())["data"]


def runs(url: str) -> list[dict[str, Any]]:
    found = ask(url, "{ runsOrError { ... on Runs { results { runId status jobName tags { key "
                     "value } } } } }")  # fmt: skip
    listed: list[dict[str, Any]] = found["runsOrError"]["results"]
    return listed


@pytest.fixture(scope="module")
def page(world: dict[str, Any]) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1500, "height": 1000})
        opened.set_default_timeout(PATIENCE_MS)
        yield opened
        browser.close()


def shoot(page: Any, world: dict[str, Any], name: str) -> None:
    page.screenshot(path=str(world["home"] / f"{name}.png"))


def test_the_schedule_is_switched_on(world: dict[str, Any], page: Any) -> None:
    def status() -> str:
        found = ask(world["url"], '{ scheduleOrError(scheduleSelector: {repositoryName: '
                    '"__repository__", repositoryLocationName: "baimo.pipeline.definitions", '
                    'scheduleName: "every_day"}) { ... on Schedule { scheduleState { status } '
                    "} } }")  # fmt: skip
        state: str = found["scheduleOrError"]["scheduleState"]["status"]
        return state

    assert status() == "STOPPED"
    page.goto(f"{world['url']}/automation")
    page.get_by_text("every_day", exact=True).wait_for()
    for name in ("every_deadline", "tell_of_failures"):
        assert page.get_by_text(name, exact=True).is_visible()
    page.get_by_text("every_day", exact=True).click()
    page.locator("label:has(input[type=checkbox])").first.click()
    until(lambda: status() == "RUNNING", 30, "the schedule runs")
    shoot(page, world, "schedule")


def test_three_past_days_are_filled_from_the_ui(world: dict[str, Any], page: Any) -> None:
    page.goto(f"{world['url']}/assets/hub_models?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    chosen = dialog.locator("input:not([type=checkbox])").first
    chosen.fill(f"[{PAST[0]}...{PAST[-1]}]")
    chosen.press("Enter")
    shoot(page, world, "backfill-dialog")
    dialog.get_by_role("button", name="Launch").click()
    lake: Lake = world["lake"]
    until(lambda: published_days(lake, "hub_models") == PAST, 180, "three days are published")
    assert [lake.read_table("hub_models", d).height for d in PAST] == [1160, 1170, 1180]
    receipt = read_receipt(lake, "hub_models", PAST[0])
    assert receipt is not None
    assert receipt.source == "hub-stats"
    assert "gated" in receipt.lacks
    until(lambda: [r["status"] for r in runs(world["url"])] == ["SUCCESS"] * 3, 60, "runs end")
    page.goto(f"{world['url']}/assets/hub_models?view=partitions")
    page.get_by_text("Materialized (3)").wait_for()
    shoot(page, world, "filled")


def test_a_failed_check_stops_what_is_downstream_and_reads_well(
    world: dict[str, Any], page: Any
) -> None:
    hub: HubServer = world["hub"]
    hub.inject("/api/models", EditRows(lambda rows: rows[:600]), None)
    before = len(runs(world["url"]))
    page.goto(f"{world['url']}/asset-groups")
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Latest").click()
    dialog.get_by_role("button", name="Launch 1 run").click()
    until(
        lambda: len(runs(world["url"])) > before and runs(world["url"])[0]["status"] == "FAILURE",
        180,
        "the run fails",
    )
    run = runs(world["url"])[0]["runId"]
    page.goto(f"{world['url']}/runs/{run}")
    page.get_by_text("nothing published, the last snapshot stays").first.wait_for()
    shoot(page, world, "failed-run")
    asked = "... on Run { stepStats { stepKey status } }"
    question = f'{{ runOrError(runId: "{run}") {{ {asked} }} }}'
    stats = ask(world["url"], question)["runOrError"]["stepStats"]
    status = {s["stepKey"]: s["status"] for s in stats}
    assert status["hub"] == "FAILURE"
    assert status["defillama"] == "SUCCESS"
    assert "tables" not in status  # nothing downstream was begun
    page.goto(f"{world['url']}/assets/hub_models?view=checks")
    page.get_by_text("size_against_the_last").first.click()
    page.get_by_text("rows, but 1,180 on").first.wait_for()
    shoot(page, world, "failed-check")
    assert published_days(world["lake"], "hub_models") == PAST
