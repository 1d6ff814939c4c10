"""Bounded, patient HTTP: one policy for both sources.

A sender makes one attempt with the client of its source (`hub_sender` on huggingface_hub's
session, `plain_sender` on requests); `fetch` decides what an answer or a failure means: wait as
the server asks, try again, or refuse with a named error. Redirects are never followed to another
origin, a whole answer has a deadline, and an answer counts only when its reader accepts it, so
that a body cut short is tried again. `huggingface_hub.utils.http_backoff` retries requests but
neither bodies nor hangs, and gives up after five 429; its parts are used, its loop is not.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from baimo.pipeline.errors import SourceError
from baimo.pipeline.settings import defillama_url

T = TypeVar("T")

CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0
_CHUNK = 1 << 16
_MAX_REDIRECTS = 3


class UnreachableError(SourceError):
    """No usable answer after every attempt: the network or the server is down."""


class RefusedError(SourceError):
    """The server understood and said no; trying again would not help."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ForeignHostError(SourceError):
    """The server pointed to another host; nothing is sent there."""


class UnreadableError(Exception):
    """What a reader raises for a body that is not what was asked for: it is fetched again."""


class AttemptError(Exception):
    """What a sender raises when an attempt gives no answer."""


@dataclass(frozen=True)
class Response:
    """One HTTP answer; header names in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Patience:
    """How long to go on.

    Parameters
    ----------
    attempts
        Tries of one request whose answer fails to come or cannot be read.
    first_wait, longest_wait
        Seconds between tries, doubled each time up to the longest.
    whole
        Seconds for one whole answer, however steadily it drips.
    throttled
        Seconds that one request may be told to wait (429) in all.
    sleep
        How to wait; tests that count waits without waiting put their own here.
    """

    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 60.0
    whole: float = 60.0
    throttled: float = 1800.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)


Send = Callable[[str, float], Response]
"""Make one attempt at a URL within so many seconds; raise AttemptError without an answer."""

Notice = Callable[[str], None]
"""Called with one line whenever a request has to wait."""


def silent(_: str) -> None:
    """Swallow notices."""


def fetch(
    send: Send,
    url: str,
    read: Callable[[Response], T],
    *,
    patience: Patience,
    notice: Notice = silent,
    blocked: tuple[int, ...] = (),
) -> T:
    """Get `url` and return what `read` makes of the answer.

    Parameters
    ----------
    read
        Turns an answer of status 200 into a value, or raises UnreadableError: fetched anew.
    blocked
        Statuses besides 429, 408 and 5xx that pass with time (Cloudflare's 403 under load).

    Raises
    ------
    UnreachableError
        Every attempt failed.
    RefusedError
        Any other status of 400 and above.
    ForeignHostError
        A redirect to another origin.
    """
    course = _Course(url, patience, notice)
    target = url
    while True:
        asked: float | None = None
        try:
            answer = send(target, patience.whole)
            if answer.status == 200:
                return read(answer)
            if 300 <= answer.status < 400:
                target = course.redirected(answer)
                continue
            asked = _asked_pause(answer.headers)
            if answer.status == 429:
                course.throttled(asked)
                continue
            if answer.status < 500 and answer.status not in (408, *blocked):
                raise RefusedError(_refusal(answer), answer.status)
            why = f"HTTP {answer.status}"
            if answer.status in blocked:
                why += " (blocked for a while, or no longer allowed)"
        except (UnreadableError, AttemptError) as error:
            why = str(error)
        course.failed(why, asked)
        target = url


@dataclass
class _Course:
    """What one request has met so far, and when it is enough."""

    url: str
    patience: Patience
    notice: Notice
    tries: int = 0
    throttles: int = 0
    waited: float = 0.0
    redirects: int = 0

    def throttled(self, asked: float | None) -> None:
        """Wait as a 429 asks, or longer each time when it does not say."""
        pause = self._growing(self.throttles) if asked is None else asked
        self.throttles += 1
        self.waited += pause
        if self.waited > self.patience.throttled:
            raise UnreachableError(
                f"{shown(self.url)}: told to wait for more than {self.patience.throttled:.0f} s; "
                "another program uses up the limit, try later"
            )
        self.notice(f"rate limit reached, waiting {pause:.0f} s")
        self.patience.sleep(pause)

    def failed(self, why: str, asked: float | None) -> None:
        """Wait before the next try, as long as a server that is busy asks, or give up."""
        self.tries += 1
        if self.tries >= self.patience.attempts:
            raise UnreachableError(f"{shown(self.url)}: {why}, {self.tries} times; try again later")
        pause = self._growing(self.tries - 1) * random.uniform(0.75, 1.25)
        pause = max(pause, min(asked or 0.0, 5 * self.patience.longest_wait))
        self.notice(
            f"{why}, trying again in {pause:.0f} s ({self.tries} of {self.patience.attempts})"
        )
        self.patience.sleep(pause)

    def redirected(self, answer: Response) -> str:
        """Return where a redirect leads, within the same origin."""
        self.redirects += 1
        if self.redirects > _MAX_REDIRECTS:
            raise UnreachableError(f"{shown(self.url)}: redirected in circles; try later")
        return _redirected(answer, self.url)

    def _growing(self, times: int) -> float:
        return min(self.patience.longest_wait, self.patience.first_wait * 2.0**times)


def same_origin(one: str, other: str) -> bool:
    """Return whether two URLs share scheme, host and port."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def shown(url: str) -> str:
    """Return a URL for messages: without user information, query, and the key of a paid API.

    DeFiLlama's paid API has its key in the path of its address.
    """
    parts = urlsplit(url)
    path = parts.path
    with suppress(SourceError):  # an address that is none hides nothing, and is refused elsewhere
        base = urlsplit(defillama_url())
        if base.path and parts.netloc == base.netloc and path.startswith(base.path):
            path = "/***" + path[len(base.path) :]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"


def host(url: str) -> str:
    """Return host and port of a URL, for messages."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _redirected(answer: Response, url: str) -> str:
    try:
        target = urljoin(answer.url, answer.headers.get("location", ""))
        elsewhere = not same_origin(target, url)
    except ValueError:
        raise ForeignHostError(f"{shown(url)} redirects to no address; try later") from None
    if elsewhere:
        raise ForeignHostError(
            f"{shown(url)} redirects to {host(target)}; nothing was sent there: "
            "check the address, or a proxy in between"
        )
    return target


def _refusal(answer: Response) -> str:
    said = " ".join(answer.body[:200].decode("utf-8", "replace").split())
    advice = {
        401: "check the token",
        402: "a paid endpoint",
        403: "the token may not read this, or the address is blocked",
        404: "check the address",
    }.get(answer.status, "check the request")
    return f"{shown(answer.url)}: HTTP {answer.status} ({said or 'no reason given'}); {advice}"


def _asked_pause(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a 429 asks for: RateLimit first, then Retry-After."""
    from huggingface_hub.utils import parse_ratelimit_headers

    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return limit.reset_in_seconds + 1.0
    after = headers.get("retry-after", "").strip()
    if after.isdigit():
        return float(after) + 1.0
    return _seconds_until(after) if after else None


def _seconds_until(moment: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(moment).timestamp() - time.time()) + 1.0
    except ValueError:
        return None


# --- senders ---------------------------------------------------------------------------------


def within(seconds: float, call: Callable[[], T]) -> T:
    """Run `call` in a thread of its own and wait so long: not even a dripping header holds on.

    Raises
    ------
    AttemptError
        The time is up; the thread is left to end with its connection.
    """
    values: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            values.append(call())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise AttemptError(f"no whole answer within {seconds:.0f} s")
    if failures:
        raise failures[0]
    return values[0]


def plain_sender() -> Send:
    """Return a sender on a requests session (connections kept, no redirects, no token)."""
    import requests

    session = requests.Session()
    session.headers.update({"User-Agent": user_agent(), "Accept": "application/json, text/csv"})

    def attempt(url: str) -> Response:
        try:
            with session.get(
                url, timeout=(CONNECT_SECONDS, READ_SECONDS), stream=True, allow_redirects=False
            ) as response:
                body = b"".join(response.iter_content(_CHUNK))
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Response(response.url, response.status_code, headers, body)
        except (requests.exceptions.InvalidURL, UnicodeError):
            raise SourceError(_no_request(url)) from None
        except (requests.RequestException, OSError) as error:
            raise AttemptError(failure_words(error)) from None
        except ValueError:
            raise SourceError(_no_request(url)) from None

    return lambda url, seconds: within(seconds, lambda: attempt(url))


def _no_request(url: str) -> str:
    return f"no request can be made to {shown(url)}: check BAIMO_DEFILLAMA_URL"


def user_agent() -> str:
    """Return how requests introduce themselves."""
    from importlib.metadata import version

    return f"baimo/{version('baimo')}"


_FAILURE_WORDS = (
    ("getaddrinfo", "the name of the host cannot be resolved"),
    ("name resolution", "the name of the host cannot be resolved"),
    ("name or service", "the name of the host cannot be resolved"),
    ("nodename nor", "the name of the host cannot be resolved"),
    ("connection refused", "connection refused"),
    ("timed out", "no answer in time"),
    ("timeout", "no answer in time"),
    ("complete message body", "the answer was cut short"),
    ("incompleteread", "the answer was cut short"),
    ("incomplete", "the answer was cut short"),
    ("without response", "the connection broke"),
    ("without sending", "the connection broke"),
    ("reset by peer", "the connection broke"),
    ("certificate", "the certificate of the server is not valid"),
    ("decod", "the answer could not be unpacked"),
    ("decompress", "the answer could not be unpacked"),
)


def failure_words(error: BaseException) -> str:
    """Say in a few words why an attempt failed, without addresses or objects."""
    text = f"{type(error).__name__} {error}".lower()
    for sign, words in _FAILURE_WORDS:
        if sign in text:
            return words
    return f"the connection failed ({type(error).__name__})"
