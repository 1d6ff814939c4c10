"""The complete listing of Hub models, page by page.

The walk sorts by `createdAt`, which never changes: a keyset on downloads or likes skips and
repeats rows while they move, and models created during the walk fall before its start. Every page
is saved with the address of the next; a Link that loops or leads to another host is refused, an
empty page with a Link is asked for again, and the end is believed only when a page that stops one
row earlier still leads to the last row.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from baimo.pipeline.errors import IncompleteError, SourceError
from baimo.pipeline.settings import hub_endpoint, hub_token
from baimo.pipeline.sources.http import (
    CONNECT_SECONDS,
    READ_SECONDS,
    AttemptError,
    Notice,
    Patience,
    RefusedError,
    Response,
    Send,
    UnreadableError,
    failure_words,
    fetch,
    host,
    same_origin,
    shown,
    silent,
    within,
)
from baimo.pipeline.sources.hub.checkpoint import Checkpoint, Identity, SavedPage
from baimo.pipeline.sources.hub.rows import EXPAND, Page, read_page

PAGE_ROWS = 1000  # the largest page known
SORT = "createdAt"
DEAD_CURSOR = (400, 404, 410, 422)


@dataclass(frozen=True)
class Progress:
    """Where a walk stands."""

    rows: int
    pages: int
    requests_left: int | None
    seconds: float
    resumed_rows: int


@dataclass(frozen=True)
class Walk:
    """A walk that reached its end, or its limit.

    `proven_end` tells whether the server confirmed that nothing follows; `empty_pages` counts
    pages without rows in the middle, behind which rows may be hidden.
    """

    pages: list[SavedPage]
    started_at: datetime
    day: str
    empty_pages: int
    proven_end: bool


def first_url(endpoint: str, limit: int = PAGE_ROWS) -> str:
    """Return the address of the first page."""
    query = [("sort", SORT), ("limit", str(limit)), *(("expand", field) for field in EXPAND)]
    return f"{endpoint}/api/models?{urlencode(query)}"


def hub_sender(token: str | None) -> Send:
    """Return a sender on huggingface_hub's session: its headers, proxies and offline switch.

    The session has no timeout of its own and follows redirects; both are set on each request.
    """
    import httpx2
    from huggingface_hub.utils import build_hf_headers, get_session

    from baimo.pipeline.sources.http import user_agent

    # Wire-level logs hold headers, and what a server echoes in its own.
    logging.getLogger("httpcore2").setLevel(logging.INFO)
    headers = build_hf_headers(
        token=token or False, library_name="baimo", library_version=user_agent().split("/")[1]
    )
    timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)

    def attempt(url: str) -> Response:
        try:
            response = get_session().get(
                url, headers=headers, timeout=timeout, follow_redirects=False
            )
        except (httpx2.InvalidURL, ValueError):
            raise SourceError(
                f"no request can be made to {shown(url)}: check HF_ENDPOINT and the token"
            ) from None
        except (httpx2.HTTPError, OSError) as error:
            raise AttemptError(failure_words(error)) from None
        lower = {name.lower(): value for name, value in response.headers.items()}
        body = response.content
        if token and token.encode() in body and response.status_code != 200:
            body = body.replace(token.encode(), b"***")
        return Response(url, response.status_code, lower, body)

    return lambda url, seconds: within(seconds, lambda: attempt(url))


def crawl_models(
    spool: Checkpoint,
    *,
    limit: int | None = None,
    patience: Patience | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Callable[[Progress], None] = lambda _: None,
    notice: Notice = silent,
) -> Walk:
    """Walk the listing into `spool`, going on where an earlier walk stopped.

    Parameters
    ----------
    limit
        Stop after so many rows: a sample, never a snapshot of the whole.
    progress, notice
        Called after each page; called with a line when a request has to wait.

    Raises
    ------
    UnreachableError, RefusedError, ForeignHostError
        See `http.fetch`; the pages so far stay in the spool.
    IncompleteError
        The listing ends where it cannot end.
    """
    patience = patience or Patience()
    endpoint = hub_endpoint()
    send = hub_sender(hub_token())
    first = first_url(endpoint, min(limit or PAGE_ROWS, PAGE_ROWS))
    identity: Identity = {"url": first, "limit": limit}
    for restart in (False, True):
        try:
            return _Walker(spool, identity, limit, send, patience, now, progress, notice).walk()
        except RefusedError as error:
            if error.status not in DEAD_CURSOR or restart or len(spool.pages()) == 0:
                raise
            notice("the Hub no longer accepts the saved cursor; starting again from the first page")
            spool.clear()
    raise AssertionError("unreachable")


@dataclass
class _Walker:
    spool: Checkpoint
    identity: Identity
    limit: int | None
    send: Send
    patience: Patience
    now: Callable[[], datetime]
    progress: Callable[[Progress], None]
    notice: Notice
    left: int | None = None
    rest: float = 0.0
    firsts: set[str] = field(default_factory=set)

    def walk(self) -> Walk:
        began = time.monotonic()
        state = self.spool.resume(self.identity, self.now())
        pages = self.spool.pages() if state else []
        if state is None:
            state = self.spool.begin(self.identity, self.now())
        self.started = datetime.fromisoformat(state["started_at"])
        rows = resumed = sum(p.n_rows for p in pages)
        seen = {p.url for p in pages}
        self.firsts = {p.first_id for p in pages if p.first_id}
        url = pages[-1].next_url if pages else self.identity["url"]
        if pages:
            self.notice(f"going on after {rows:,} rows of the walk begun {state['started_at']}")
        proven = bool(pages) and pages[-1].proven
        while url is not None and not (self.limit and rows >= self.limit):
            page, next_url, proven = self._page(url, seen, pages)
            pages.append(self.spool.save(len(pages), url, next_url, page, proven))
            self.firsts.update(page.good["hub_id"].head(1))
            rows += page.n_rows
            self.progress(Progress(rows, len(pages), self.left, time.monotonic() - began, resumed))
            url = next_url
        if rows == 0:
            raise IncompleteError(
                f"{shown(self.identity['url'])} lists no model at all; check HF_ENDPOINT"
            )
        return Walk(
            pages=pages,
            started_at=self.started,
            day=state["day"],
            empty_pages=sum(p.n_rows == 0 and p.next_url is not None for p in pages),
            proven_end=proven,
        )

    def _page(
        self, url: str, seen: set[str], pages: list[SavedPage]
    ) -> tuple[Page, str | None, bool]:
        """Return a page, the address of the next, and whether an end there is proven."""
        seen.add(url)
        page, next_url = self._get(url, seen, bear_empty=False)
        if self.limit:
            return page, next_url, False
        if page.n_rows == 0 and next_url is None and pages:
            return self._after_nothing(url, seen, pages)
        if next_url is not None or page.n_rows == 0:
            return page, next_url, True
        for attempt in range(self.patience.attempts):
            verdict, onward = self._end_after(url, page.n_rows)
            if verdict != "lost":
                return page, onward, verdict == "end"
            self.patience.sleep(self.patience.first_wait * 2**attempt)
            page, next_url = self._get(url, seen, bear_empty=False)
            if next_url is not None:
                return page, next_url, True
        raise IncompleteError(
            f"the listing stops after {sum(p.n_rows for p in pages) + page.n_rows:,} rows on a "
            "page whose link to the next is missing; the pages are kept, try again later"
        )

    def _after_nothing(
        self, url: str, seen: set[str], pages: list[SavedPage]
    ) -> tuple[Page, str | None, bool]:
        """Believe an empty last page only when it stays empty and the page before confirms it."""
        for attempt in range(self.patience.attempts - 1):
            self.patience.sleep(self.patience.first_wait * 2**attempt)
            page, next_url = self._get(url, seen, bear_empty=False)
            if page.n_rows or next_url is not None:
                return page, next_url, next_url is not None
            verdict, onward = self._end_after(pages[-1].url, pages[-1].n_rows)
            if verdict != "more" or onward == url:  # the link to the empty page tells nothing new
                return page, None, verdict == "end"
        raise IncompleteError(
            f"the listing goes on after {sum(p.n_rows for p in pages):,} rows, but the next page "
            "is empty; the pages are kept, try again later"
        )

    def _end_after(self, url: str, n_rows: int) -> tuple[str, str | None]:
        """Ask for the last page again, one row shorter: it must lead on to the last row.

        Returns "end" when nothing follows, "more" with the address of rows that do follow, "lost"
        when the server drops links, "unknown" when it does not page by the number of rows asked
        for.
        """
        if n_rows <= 1:
            _, onward = self._get(url, set(), bear_empty=True)
            return ("more", onward) if onward else ("end", None)
        part, onward = self._get(_with_limit(url, n_rows - 1), set(), bear_empty=True)
        if part.n_rows != n_rows - 1:
            # The limit was ignored, so this was the same page again, perhaps with its link.
            same = part.n_rows == n_rows and onward is not None
            return ("more", onward) if same else ("unknown", None)
        if onward is None:
            return "lost", None
        onward = _with_limit(onward, PAGE_ROWS)
        rest, _ = self._get(onward, set(), bear_empty=True)
        return ("end", None) if rest.n_rows <= 1 else ("more", onward)

    def _get(self, url: str, seen: set[str], *, bear_empty: bool) -> tuple[Page, str | None]:
        tries = 0
        self._rest()

        def read(answer: Response) -> tuple[Page, str | None]:
            nonlocal tries
            tries += 1
            page = read_page(answer.body, self.started)
            if seen and page.good.height and page.good["hub_id"][0] in self.firsts:
                raise UnreadableError("rows of an earlier page come again")
            next_url = _next(answer, url, seen)
            last = tries >= self.patience.attempts
            if page.n_rows == 0 and next_url is not None and not (bear_empty or last):
                raise UnreadableError("an empty page in the middle of the listing")
            self._note_window(answer)
            return page, next_url

        # A token that has read pages may read the next one: a 403 in between passes with time.
        blocked = (403,) if self.firsts else ()
        return fetch(
            self.send, url, read, patience=self.patience, notice=self.notice, blocked=blocked
        )

    def _note_window(self, answer: Response) -> None:
        """Remember how many requests are left, and how long to rest when none is."""
        from huggingface_hub.utils import parse_ratelimit_headers

        window = parse_ratelimit_headers(answer.headers)
        self.left = window.remaining if window else None
        if window is not None and window.remaining == 0:
            self.rest = min(window.reset_in_seconds + 1.0, self.patience.throttled)

    def _rest(self) -> None:
        """Wait for the next window before the next request; what came is saved by then."""
        if self.rest:
            self.notice(f"requests of this window used up, waiting {self.rest:.0f} s")
            self.patience.sleep(self.rest)
            self.rest = 0.0


def _next(answer: Response, url: str, seen: set[str]) -> str | None:
    """Return the address of the next page; a loop or another host is not followed."""
    from requests.utils import parse_header_links

    links: dict[str, str] = {}
    for link in parse_header_links(answer.headers.get("link", "")):
        lower = {name.lower(): value for name, value in link.items()}
        links |= dict.fromkeys(lower.get("rel", "").lower().split(), lower["url"])
    if "next" not in links:
        return None
    try:
        target = urljoin(answer.url, links["next"])
        elsewhere = not same_origin(target, url)
    except ValueError:
        raise UnreadableError("the link to the next page is no address") from None
    if elsewhere:
        raise UnreadableError(
            f"the next page is said to be on {host(target)}; nothing was sent there"
        )
    if target in seen:
        raise UnreadableError("the link to the next page leads back to an earlier one")
    return target


def _with_limit(url: str, limit: int) -> str:
    parts = urlsplit(url)
    query = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if k != "limit"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("limit", str(limit))])))
