"""A failed run is told in one message; the address, which is a key, never is."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from baimo.pipeline.errors import SourceError
from baimo.pipeline.ingest.notify import post_failure

ADDRESS = "https://user:pass@chat.example:8443/hook/secret-key?token=secret-too"
SECRETS = ("secret", "pass", "user", "hook", "token")
Posted = list[tuple[str, dict[str, Any]]]


class Answer:
    """What a chat service answers."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> Posted:
    """Note what is posted, and accept it."""
    calls: Posted = []

    def post(address: str, **more: Any) -> Answer:
        calls.append((address, more))
        return Answer(200)

    monkeypatch.setattr(requests, "post", post)
    return calls


def tell(address: str = ADDRESS, day: str = "2026-09-01", why: list[str] | None = None) -> None:
    post_failure(address, job="daily_refresh", day=day, run_id="r1", why=why or ["HTTP 500"])


def test_one_message_says_job_day_and_reason(posted: Posted) -> None:
    tell(why=["hub: HTTP 404\n  (gone)", "defillama: HTTP 500"])
    ((address, more),) = posted
    assert address == ADDRESS
    assert more["json"] == {
        "text": "baimo: daily_refresh of 2026-09-01 failed: hub: HTTP 404 (gone)",
        "job": "daily_refresh",
        "day": "2026-09-01",
        "run_id": "r1",
        "why": ["hub: HTTP 404 (gone)", "defillama: HTTP 500"],
    }


def test_it_waits_for_no_answer_for_ever_and_follows_nothing(posted: Posted) -> None:
    tell()
    ((_, more),) = posted
    assert all(0 < seconds < 120 for seconds in more["timeout"])
    assert more["allow_redirects"] is False


def test_a_run_without_a_day_and_a_long_reason(posted: Posted) -> None:
    tell(day="", why=["x" * 2_000])
    ((_, more),) = posted
    assert more["json"]["text"].startswith("baimo: daily_refresh of no day failed: xxx")
    assert more["json"]["why"] == ["x" * 500]


@pytest.mark.parametrize("status", [301, 404, 500])
def test_an_answer_that_is_no_yes_is_refused_by_host_alone(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "post", lambda *_, **__: Answer(status))
    with pytest.raises(SourceError) as refused:
        tell()
    assert str(refused.value) == f"chat.example:8443: HTTP {status}; check BAIMO_WEBHOOK"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.ConnectionError(f"Max retries for {ADDRESS}: refused"), "the connection failed"),
        (requests.Timeout(f"{ADDRESS} timed out"), "no answer in time"),
        (OSError(f"no route to {ADDRESS}"), "the connection failed"),
    ],
)
def test_a_service_that_is_not_there_is_named_by_host_alone(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(requests, "post", fail)
    with pytest.raises(SourceError) as refused:
        tell()
    said = str(refused.value)
    assert said.startswith(f"chat.example:8443: {words}")
    assert not any(secret in said for secret in SECRETS)
    assert refused.value.__cause__ is None  # whose text would name the address
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("address", ["secret", "ftp://chat.example/secret", "https:///secret"])
def test_an_address_that_is_none_is_refused_without_a_request(address: str) -> None:
    with pytest.raises(SourceError, match="check BAIMO_WEBHOOK") as refused:
        tell(address)
    assert "secret" not in str(refused.value)
