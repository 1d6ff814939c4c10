"""One policy for every request: wait as asked, try again, or refuse, and never ask another host."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version

import pytest
import requests

from baimo.pipeline.errors import SourceError
from baimo.pipeline.sources.http import (
    AttemptError,
    ForeignHostError,
    Patience,
    RefusedError,
    Response,
    UnreachableError,
    UnreadableError,
    failure_words,
    fetch,
    host,
    plain_sender,
    same_origin,
    shown,
    user_agent,
    within,
)

URL = "https://a.example/x"


@pytest.fixture(autouse=True)
def usual_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BAIMO_DEFILLAMA_URL", raising=False)


# --- addresses and words -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/x", "https://a.example:443/y?z", True),
        ("https://a.example/x", "http://a.example/x", False),
        ("http://a.example:80/x", "http://a.example/", True),
        ("http://a.example:81/x", "http://a.example/", False),
        ("https://a.example/", "https://a.example.evil.example/", False),
        ("https://a.example/", "https://a.example@evil.example/", False),
        ("https://A.example/", "https://a.example/", True),
    ],
)
def test_origins(one: str, other: str, same: bool) -> None:
    assert same_origin(one, other) is same


def test_addresses_are_shown_without_passwords_and_questions() -> None:
    assert shown("https://user:secret@a.example:1/p?token=t#f") == "https://a.example:1/p"


def test_failures_are_spoken_without_objects() -> None:
    assert failure_words(TimeoutError("timed out")) == "no answer in time"
    assert failure_words(KeyError("<object at 0x7f>")) == "the connection failed (KeyError)"


def test_dates_of_retry_after() -> None:
    from email.utils import format_datetime

    from baimo.pipeline.sources.http import _asked_pause

    soon = datetime.fromtimestamp(datetime.now(UTC).timestamp() + 30, UTC)
    pause = _asked_pause({"retry-after": format_datetime(soon, usegmt=True)})
    assert pause is not None
    assert 28 <= pause <= 32
    assert _asked_pause({"retry-after": "soon"}) is None
    assert _asked_pause({"retry-after": "0"}) == 1.0
    assert _asked_pause({"ratelimit": '"api";r=5;t=9', "retry-after": "3"}) == 4.0


def test_host_and_port_are_named_without_the_user() -> None:
    assert host("https://user:secret@a.example:81/p") == "a.example:81"
    assert host("http://b.example") == "b.example"


@pytest.mark.parametrize("port", ["99999", "x"])
def test_an_address_with_an_impossible_port_is_of_no_known_origin(port: str) -> None:
    assert not same_origin(f"https://a.example:{port}/", "https://a.example/")


def test_the_key_of_the_paid_api_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAIMO_DEFILLAMA_URL", "https://pro.example/SECRET/api")
    assert (
        shown("https://pro.example/SECRET/api/protocols?x=1") == "https://pro.example/***/protocols"
    )
    assert shown("https://other.example/SECRET") == "https://other.example/SECRET"
    monkeypatch.setenv("BAIMO_DEFILLAMA_URL", "no address")  # hides nothing, is refused elsewhere
    assert shown(URL) == URL


def test_requests_introduce_themselves_by_name_and_version() -> None:
    assert user_agent() == f"baimo/{version('baimo')}"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("Name or service not known"), "the name of the host cannot be resolved"),
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (ConnectionResetError(104, "Connection reset by peer"), "the connection broke"),
        (OSError("peer closed connection without sending complete message body"),
         "the answer was cut short"),
        (OSError("SSL: CERTIFICATE_VERIFY_FAILED"), "the certificate of the server is not valid"),
        (ValueError("Error -3 while decompressing data"), "the answer could not be unpacked"),
    ],
)  # fmt: skip
def test_each_failure_has_its_words(error: Exception, words: str) -> None:
    assert failure_words(error) == words


# --- what is done with an answer -----------------------------------------------------------------


class Server:
    """Gives one answer after another, the last for ever, and remembers what was asked."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.waits: list[float] = []
        self.notices: list[str] = []

    def send(self, url: str, seconds: float) -> Response:
        self.asked.append(url)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def fetch(
        self,
        read: Callable[[Response], bytes] = lambda answer: answer.body,
        blocked: tuple[int, ...] = (),
        **options: float,
    ) -> bytes:
        patience = Patience(sleep=self.waits.append, **options)  # type: ignore[arg-type]
        return fetch(
            self.send, URL, read, patience=patience, notice=self.notices.append, blocked=blocked
        )


def answer(status: int, body: bytes = b"", url: str = URL, **headers: str) -> Response:
    lower = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(url, status, lower, body)


GOOD = answer(200, b"good")


def test_a_good_answer_is_read_and_nothing_is_said() -> None:
    server = Server(GOOD)
    assert server.fetch(lambda found: found.body[::-1]) == b"doog"
    assert (server.asked, server.waits, server.notices) == ([URL], [], [])


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(status: int) -> None:
    server = Server(answer(status), GOOD)
    assert server.fetch() == b"good"
    assert len(server.waits) == 1
    assert server.notices[0].startswith(f"HTTP {status}, trying again in ")


def test_waits_are_doubled_up_to_the_longest_and_a_little_uneven() -> None:
    server = Server(AttemptError("no answer in time"))
    with pytest.raises(
        UnreachableError,
        match=r"^https://a\.example/x: no answer in time, 7 times; try again later$",
    ):
        server.fetch(attempts=7, first_wait=1.0, longest_wait=8.0)
    assert len(server.asked) == 7
    for wait, usual in zip(server.waits, [1, 2, 4, 8, 8, 8], strict=True):
        assert 0.75 * usual <= wait <= 1.25 * usual


def test_a_busy_server_is_left_alone_as_long_as_it_asks_within_reason() -> None:
    server = Server(answer(503, retry_after="20"), GOOD)
    server.fetch(first_wait=1.0)
    assert server.waits == [21.0]
    server = Server(answer(503, retry_after="86400"), GOOD)
    server.fetch(longest_wait=10.0)
    assert server.waits == [50.0]


def test_a_body_that_cannot_be_read_is_fetched_again() -> None:
    def read(found: Response) -> bytes:
        if found.body != b"good":
            raise UnreadableError("the answer is not JSON")
        return found.body

    server = Server(answer(200, b"<html>"), GOOD)
    assert server.fetch(read) == b"good"
    server = Server(answer(200, b"<html>"))
    with pytest.raises(UnreachableError, match="the answer is not JSON, 5 times"):
        server.fetch(read)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "check the request"),
        (401, "check the token"),
        (402, "a paid endpoint"),
        (403, "the token may not read this, or the address is blocked"),
        (404, "check the address"),
        (422, "check the request"),
    ],
)
def test_a_refusal_is_not_tried_again_and_says_what_to_check(status: int, advice: str) -> None:
    server = Server(answer(status, b"no\n  way\xff", url=f"{URL}?token=secret"))
    with pytest.raises(RefusedError) as caught:
        server.fetch()
    assert str(caught.value) == f"{URL}: HTTP {status} (no way\ufffd); {advice}"
    assert caught.value.status == status
    assert len(server.asked) == 1


def test_a_status_that_passes_with_time_is_borne_where_that_is_known() -> None:
    server = Server(answer(403), GOOD)
    assert server.fetch(blocked=(403,)) == b"good"
    assert "blocked for a while, or no longer allowed" in server.notices[0]


# --- too many requests ---------------------------------------------------------------------------


def test_a_limit_is_waited_for_as_long_as_the_server_says_and_costs_no_attempt() -> None:
    told = answer(429, ratelimit='"api";r=0;t=7')
    server = Server(*[told] * 9, GOOD)
    assert server.fetch(attempts=2) == b"good"
    assert server.waits == [8.0] * 9
    assert server.notices == ["rate limit reached, waiting 8 s"] * 9


def test_a_limit_without_a_time_is_waited_for_longer_each_time() -> None:
    server = Server(*[answer(429)] * 4, GOOD)
    server.fetch(first_wait=2.0, longest_wait=10.0)
    assert server.waits == [2.0, 4.0, 8.0, 10.0]


def test_a_limit_that_never_ends_is_given_up() -> None:
    server = Server(answer(429, retry_after="599"))
    with pytest.raises(
        UnreachableError, match="told to wait for more than 1800 s; another program"
    ):
        server.fetch(throttled=1800.0)
    assert server.waits == [600.0] * 3


# --- redirects -----------------------------------------------------------------------------------


@pytest.mark.parametrize("location", ["/y?z=1", "https://a.example/y?z=1", "//a.example/y?z=1"])
def test_a_redirect_within_the_origin_is_followed(location: str) -> None:
    server = Server(answer(302, location=location), GOOD)
    assert server.fetch() == b"good"
    assert server.asked == [URL, "https://a.example/y?z=1"]
    assert server.waits == []


@pytest.mark.parametrize(
    "location", ["https://evil.example/x", "http://a.example/x", "https://a.example:444/x"]
)
def test_a_redirect_to_another_origin_is_refused_and_nothing_sent_there(location: str) -> None:
    server = Server(answer(301, location=location))
    with pytest.raises(ForeignHostError, match=r"redirects to .*; nothing was sent there"):
        server.fetch()
    assert server.asked == [URL]


def test_a_redirect_to_no_address_is_refused() -> None:
    with pytest.raises(ForeignHostError, match="redirects to no address"):
        Server(answer(302, location="https://[::1/x")).fetch()


def test_redirects_in_circles_end() -> None:
    server = Server(answer(302, location="/x"))
    with pytest.raises(UnreachableError, match="redirected in circles"):
        server.fetch()
    assert len(server.asked) == 4


def test_after_a_failure_the_first_address_is_asked_again() -> None:
    server = Server(answer(302, location="/y"), answer(500), GOOD)
    server.fetch()
    assert server.asked == [URL, "https://a.example/y", URL]


def test_every_refusal_is_an_error_of_a_source() -> None:
    for kind in (UnreachableError, RefusedError, ForeignHostError):
        assert issubclass(kind, SourceError)
    for inner in (UnreadableError, AttemptError):  # never leave a fetch
        assert not issubclass(inner, SourceError)


# --- one attempt ---------------------------------------------------------------------------------


def test_a_call_has_a_deadline_however_long_it_takes() -> None:
    end = threading.Event()
    began = time.monotonic()
    with pytest.raises(AttemptError, match="no whole answer within 0 s"):
        within(0.05, lambda: end.wait(10))
    assert time.monotonic() - began < 5
    end.set()


def test_what_a_call_returns_or_raises_comes_through() -> None:
    assert within(5.0, lambda: "value") == "value"

    def fail() -> None:
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        within(5.0, fail)


@pytest.mark.parametrize("url", ["http://", "http://a b.example/", "https://a.example:x/"])
def test_an_address_that_is_none_is_refused_without_an_attempt(url: str) -> None:
    with pytest.raises(SourceError, match=r"no request can be made to .*check BAIMO_DEFILLAMA_URL"):
        plain_sender()(url, 5.0)


class Adapter(requests.adapters.HTTPAdapter):
    """Answers requests without a network, and remembers how they were sent."""

    def __init__(self, *answers: tuple[int, bytes] | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.sent: list[tuple[requests.PreparedRequest, dict[str, object]]] = []

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **options: object
    ) -> requests.Response:
        self.sent.append((request, options))
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        response = requests.Response()
        response.status_code, body = found
        response.raw, response.url = io.BytesIO(body), str(request.url)
        response.request = request
        response.headers["Retry-After"] = "7"
        response.headers["Location"] = "https://evil.example/"
        return response


def test_one_attempt_brings_whatever_was_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = Adapter(
        (200, b"x" * 200_000),
        (302, b""),
        (503, b"busy"),
        requests.ConnectionError("Connection refused"),
    )
    monkeypatch.setattr(requests.Session, "get_adapter", lambda *_, **__: adapter)
    send = plain_sender()
    whole = send(f"{URL}?q=1", 5.0)
    assert (whole.url, whole.status, whole.body) == (f"{URL}?q=1", 200, b"x" * 200_000)
    assert whole.headers["retry-after"] == "7"
    assert [send(URL, 5.0).status for _ in range(2)] == [302, 503]  # no redirect is followed
    with pytest.raises(AttemptError, match=r"^connection refused$"):
        send(URL, 5.0)
    assert len(adapter.sent) == 4
    for request, options in adapter.sent:
        assert request.headers["User-Agent"] == user_agent()
        assert "Authorization" not in request.headers
        assert options["timeout"] == (10.0, 20.0)
