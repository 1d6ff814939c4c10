"""`baimo refresh`: what it asks of each source, what it says of a receipt, and its exit codes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from baimo.pipeline.errors import SourceError
from baimo.pipeline.ingest import refresh as sources
from baimo.pipeline.ingest.refresh import Refreshed, RefreshOutcome
from baimo.pipeline.lake.receipts import PUBLISHED, Receipt, write_receipt
from baimo.pipeline.lake.store import Lake
from baimo.pipeline.sources.hub.crawl import Progress
from tests.pipeline.command import baimo

DAY = "2026-09-01"
Asked = list[tuple[str, Lake, dict[str, Any]]]
Answers = Callable[..., None]
Answer = Refreshed | BaseException | Callable[[dict[str, Any]], Refreshed]


def refreshed(
    source: str,
    outcome: RefreshOutcome = RefreshOutcome.PUBLISHED,
    why: str = "",
    **details: Any,
) -> Refreshed:
    table = {"hub": "hub_models", "defillama": "defillama_protocols"}[source]
    receipt = Receipt(table, DAY, source, PUBLISHED, rows=2_500, details=details)
    return Refreshed(source, outcome, receipt, f"/lake/{table}.parquet", why)


@pytest.fixture
def asked() -> Asked:
    return []


@pytest.fixture
def answering(asked: Asked, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Return how to let the sources answer or fail; what they are asked for is noted."""

    def put(hub: Answer | None = None, defillama: Answer | None = None) -> None:
        for name, answer in (
            ("hub", hub or refreshed("hub")),
            ("defillama", defillama or refreshed("defillama")),
        ):

            def work(lake: Lake, *, name: str = name, answer: Answer = answer, **more: Any) -> Any:
                asked.append((name, lake, more))
                if isinstance(answer, BaseException):
                    raise answer
                return answer(more) if callable(answer) else answer

            monkeypatch.setattr(sources, f"refresh_{name}", work)

    return put


def test_both_sources_are_published_in_three_columns(answering: Answers, asked: Asked) -> None:
    answering()
    told = baimo("refresh")
    assert told.exit_code == 0, told.output
    assert told.stderr == ""
    assert told.stdout.splitlines() == [
        f"hub         2,500 models of {DAY}, published",
        "            /lake/hub_models.parquet",
        f"defillama   2,500 protocols of {DAY}, published",
        "            /lake/defillama_protocols.parquet",
    ]
    assert [name for name, _, _ in asked] == ["hub", "defillama"]


@pytest.mark.parametrize(
    ("options", "names", "limit", "trust"),
    [
        (("--source", "hub"), ["hub"], None, False),
        (("--source", "defillama", "--trust"), ["defillama"], None, True),
        (("--limit", 30), ["hub"], 30, False),
        (("--trust",), ["hub", "defillama"], None, True),
    ],
)
def test_only_what_is_asked_for_is_fetched(
    options: tuple[object, ...], names: list[str], limit: int | None, trust: bool,
    answering: Answers, asked: Asked, own_home: Path,
) -> None:  # fmt: skip
    answering()
    assert baimo("refresh", *options).exit_code == 0
    assert [name for name, _, _ in asked] == names
    for name, lake, given in asked:
        assert lake.root == own_home / "lake"
        assert given["trust"] is trust
        assert given.get("limit") == (limit if name == "hub" else None)


def test_the_lake_option_goes_before_the_environment(
    answering: Answers, asked: Asked, tmp_path: Path
) -> None:
    answering()
    baimo("refresh", "--lake", tmp_path / "other")
    assert {lake.root for _, lake, _ in asked} == {tmp_path / "other"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--source", "kaggle"), "'kaggle' is not one of"),
        (("--limit", "0"), "0 is not in the range"),
        (("--source", "defillama", "--limit", "5"), "--limit is for the Hub"),
        (("extra",), "unexpected extra argument"),
    ],
)
def test_a_wrong_call_is_two_and_fetches_nothing(
    arguments: tuple[str, ...], message: str, answering: Answers, asked: Asked
) -> None:
    answering()
    told = baimo("refresh", *arguments)
    assert told.exit_code == 2
    assert message in told.stderr
    assert asked == []


def test_a_source_that_fails_does_not_hold_up_the_other(answering: Answers) -> None:
    answering(hub=SourceError("huggingface.co: HTTP 403\n(no)"))
    told = baimo("refresh")
    assert told.exit_code == 1
    assert told.stderr == "hub         failed: huggingface.co: HTTP 403 (no)\n"
    assert told.stdout.startswith("defillama   2,500 protocols")


def test_an_interrupt_ends_it_at_once_and_says_how_to_go_on(
    answering: Answers, asked: Asked
) -> None:
    answering(hub=KeyboardInterrupt())
    told = baimo("refresh")
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr == "hub         interrupted; the same command goes on\n"
    assert [name for name, _, _ in asked] == ["hub"]


@pytest.mark.parametrize(
    ("outcome", "why", "words"),
    [
        (RefreshOutcome.PUBLISHED, "", "published"),
        (RefreshOutcome.ALREADY, "", "already there"),
        (RefreshOutcome.SAMPLE, "", "a sample, no snapshot"),
        (RefreshOutcome.REFUSED, "a page was lost", "refused (a page was lost)"),
    ],
)
def test_an_outcome_is_said_in_words(
    outcome: RefreshOutcome, why: str, words: str, answering: Answers
) -> None:
    answering(hub=refreshed("hub", outcome, why))
    shown = baimo("refresh", "--source", "hub").stdout
    assert shown.splitlines()[0] == f"hub         2,500 models of {DAY}, {words}"


@pytest.mark.parametrize(
    ("source", "details", "note"),
    [
        ("hub", {"repeated": 1_200}, "1,200 repeated rows removed"),
        (
            "hub",
            {"quarantined": {"likes is negative": 3, "createdAt is missing": 2}},
            "5 rows in quarantine (likes is negative: 3, createdAt is missing: 2)",
        ),
        ("hub", {"quarantined": 4}, "4 rows in quarantine"),
        ("hub", {"end_confirmed": False}, "the server does not confirm that the listing ended"),
        ("hub", {"could_not_be_compared": ["x cannot be read"]}, "not held against x cannot be"),
        (
            "defillama",
            {"chains": "not fetched: HTTP 500"},
            "chains not fetched: HTTP 500; the same",
        ),
    ],
)
def test_what_is_to_be_known_stands_under_the_outcome(
    source: str, details: dict[str, Any], note: str, answering: Answers
) -> None:
    answering(**{source: refreshed(source, **details)})
    _, line, path = baimo("refresh", "--source", source).stdout.splitlines()
    assert line.startswith(" " * 12 + note)
    assert path.endswith(".parquet")


def test_what_is_as_it_should_be_is_not_said(answering: Answers) -> None:
    fine = refreshed("hub", repeated=0, quarantined={}, end_confirmed=True)
    answering(hub=fine, defillama=refreshed("defillama", chains=300))
    assert len(baimo("refresh").stdout.splitlines()) == 4


@pytest.mark.parametrize("before", [3_000, None])
def test_the_time_to_go_is_told_from_the_size_of_the_last_snapshot(
    before: int | None, answering: Answers, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baimo.pipeline.console.ProgressLine._EVERY", 0.0)
    lake, day = Lake(own_home / "lake"), date(2026, 8, 31)
    if before is not None:
        path = lake.path("hub_models", day)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        write_receipt(lake, Receipt("hub_models", str(day), "hub", PUBLISHED, rows=before))

    def walk(given: dict[str, Any]) -> Refreshed:
        given["progress"](Progress(1_000, 1, 400, 60.0, 0))
        given["notice"]("waiting for the server")
        return refreshed("hub")

    answering(hub=walk)
    shown, notice = baimo("refresh", "--source", "hub").stderr.splitlines()
    # 60 s for 1,000 of 3,000 rows
    to_go = ", about 2 min to go" if before else ""
    assert shown == f"hub: 1,000 rows, 1 pages, 400 requests left in this window{to_go}"
    assert notice == "hub: waiting for the server"


def test_a_damaged_receipt_only_hides_the_time_to_go(
    answering: Answers, asked: Asked, own_home: Path
) -> None:
    day = Lake(own_home / "lake").path("hub_models", date(2026, 8, 31))
    day.parent.mkdir(parents=True)
    day.write_bytes(b"")
    folder = own_home / "lake" / "receipts" / "hub_models"
    folder.mkdir(parents=True)
    (folder / "2026-08-31.json").write_text("{")
    answering()
    assert baimo("refresh", "--source", "hub").exit_code == 0
    assert [name for name, _, _ in asked] == ["hub"]
