"""A dataset repository of the Hub: its commits, its files, and parts of a file.

Requests go through `http.fetch` on huggingface_hub's session and headers. Two parts of its own
client are not used: `HfApi.list_repo_commits` sends the token wherever a Link leads and never
ends on one that loops; `HfFileSystem` takes a part of a file that came short for the whole of it
and has no deadline. Large files lie on another host: it is sent no token, and what comes must be
exactly the bytes asked for, of a file of the declared size.
"""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from baimo.pipeline.errors import SourceError
from baimo.pipeline.schema.raw import RawRow, RawRows
from baimo.pipeline.settings import hub_endpoint, hub_token
from baimo.pipeline.sources import http
from baimo.pipeline.sources.http import (
    AttemptError,
    ForeignHostError,
    Notice,
    Patience,
    Response,
    UnreadableError,
    failure_words,
    fetch,
    same_origin,
    shown,
    silent,
    within,
)
from baimo.pipeline.sources.hub.crawl import hub_sender

if TYPE_CHECKING:
    import httpx2

BLOCK_BYTES = 1 << 22  # the smallest part asked for, and what a column is read by
PART_BYTES = 1 << 24  # the largest: a broken one is fetched again alone
KEPT_BLOCKS = 8
_CHUNK = 1 << 18
_MAX_REDIRECTS = 3
_SIGNED = (400, 401, 403)  # of a signed address: it has expired, another may do


@dataclass(frozen=True)
class Commit:
    """One commit: its id and its moment (UTC)."""

    revision: str
    at: datetime


@dataclass(frozen=True)
class RepoFile:
    """A file of one revision; `sha256` is its LFS identity, or git's where it has none."""

    revision: str
    path: str
    size: int
    sha256: str


class Repository:
    """One dataset repository at the endpoint of the moment.

    Parameters
    ----------
    repo_id
        owner/name.
    patience, notice
        See `http.fetch`.
    """

    def __init__(
        self, repo_id: str, patience: Patience | None = None, notice: Notice = silent
    ) -> None:
        self.repo_id = repo_id
        self.endpoint = hub_endpoint()
        self._token = hub_token()  # first of all: it switches telemetry off before the import
        self._patience, self._notice = patience or Patience(), notice
        self._send = hub_sender(self._token)

    def commits(self, since: date) -> list[Commit]:
        """Return the commits, newest first, down to the last one before `since`.

        Raises
        ------
        UnreachableError, RefusedError, ForeignHostError
            See `http.fetch`.
        """
        found: dict[str, Commit] = {}  # one that arrives meanwhile moves others to the next page
        for rows in self._pages("commits/main", lambda: len(found)):
            for row in rows:
                commit = _commit(row)
                found.setdefault(commit.revision, commit)
                if commit.at.date() < since:
                    return list(found.values())
        return list(found.values())

    def files(self, revision: str, folder: str = "") -> dict[str, RepoFile]:
        """Return the files of one revision, those of all folders below `folder` if it is given.

        Raises
        ------
        UnreachableError, RefusedError, ForeignHostError
            See `http.fetch`.
        """
        below = f"/{quote(folder)}?recursive=true" if folder else ""
        pages = self._pages(f"tree/{quote(revision, safe='')}{below}", lambda: 0)
        listed = (row for rows in pages for row in rows if row.get("type") == "file")
        files = (_file(row, revision) for row in listed)
        return {file.path: file for file in files}

    def open(self, file: RepoFile) -> RemoteFile:
        """Open a file for reading parts of it."""
        where = f"{quote(file.revision, safe='')}/{quote(file.path)}"
        url = f"{self.endpoint}/datasets/{self.repo_id}/resolve/{where}"
        return RemoteFile(url, file, self._token, self._patience, self._notice)

    def _pages(self, path: str, so_far: Callable[[], int]) -> Iterator[RawRows]:
        """Yield the pages of a list; it may end only after as many rows as the first announced."""
        url: str | None = f"{self.endpoint}/api/datasets/{self.repo_id}/{path}"
        seen: set[str] = set()
        announced = 0

        def read(answer: Response) -> tuple[RawRows, str | None, int]:
            rows, onward = _rows(answer), _onward(answer, seen)
            total = answer.headers.get("x-total-count", "")
            stated = announced or (int(total) if total.isdigit() else 0)
            if onward is None and so_far() + len(rows) < stated:
                raise UnreadableError("the list ends early")
            return rows, onward, stated

        while url is not None:
            seen.add(url)
            rows, url, announced = fetch(
                self._send, url, read, patience=self._patience, notice=self._notice
            )
            yield rows


def _rows(answer: Response) -> RawRows:
    try:
        rows = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise UnreadableError("the answer is not JSON") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnreadableError("the answer is no list of objects")
    return rows


def _onward(answer: Response, seen: set[str]) -> str | None:
    """Return the address of the next page; a loop or another host is not followed."""
    from requests.utils import parse_header_links

    header = answer.headers.get("link", "")
    links = {link.get("rel"): link["url"] for link in parse_header_links(header)}
    if "next" not in links:
        return None
    target = urljoin(answer.url, links["next"])
    if not same_origin(target, answer.url):
        raise UnreadableError(
            f"the next page is said to be on {urlsplit(target).hostname}; nothing was sent there"
        )
    if target in seen:
        raise UnreadableError("the link to the next page leads back to an earlier one")
    return target


def _commit(row: RawRow) -> Commit:
    try:
        date = row["date"]
        if not isinstance(date, str):
            raise TypeError("the date is no text")
        at = datetime.fromisoformat(date)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return Commit(str(row["id"]), at.astimezone(UTC))
    except (KeyError, TypeError, ValueError):
        raise SourceError(
            f"a commit is not in the known form ({str(row)[:200]}); this version of baimo cannot "
            "read the Hub's list of commits"
        ) from None


def _file(row: RawRow, revision: str) -> RepoFile:
    try:
        lfs, size = row.get("lfs"), row["size"]
        oid = (lfs.get("oid") if isinstance(lfs, dict) else None) or row["oid"]
        if not isinstance(size, int):
            raise TypeError("the size is no whole number")
        return RepoFile(revision, str(row["path"]), size, str(oid))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SourceError(
            f"a file is not in the known form ({str(row)[:200]}); this version of baimo cannot "
            "read the Hub's list of files"
        ) from None


class RemoteFile(io.RawIOBase):
    """A file of the Hub that is read in parts, for pyarrow.

    Small reads are served from blocks that are kept for a while; large ones are fetched in parts.
    """

    def __init__(
        self, url: str, file: RepoFile, token: str | None, patience: Patience, notice: Notice
    ) -> None:
        from huggingface_hub.utils import build_hf_headers

        super().__init__()
        self.url, self.file = url, file
        self._patience, self._notice = patience, notice
        self._token = token
        name, version = http.user_agent().split("/")
        plain = {"Accept-Encoding": "identity"}
        self._with_token, self._without = (
            build_hf_headers(token=t, library_name=name, library_version=version) | plain
            for t in (token or False, False)
        )
        self._blocks: OrderedDict[int, bytearray] = OrderedDict()
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move the position."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.file.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Return as many bytes as asked for, fewer at the end of the file only.

        Raises
        ------
        UnreachableError, RefusedError, ForeignHostError
            See `http.fetch`.
        """
        stop = self.file.size
        if size is not None and size >= 0:
            stop = min(stop, self._at + size)
        found = bytes(self._bytes(self._at, stop)) if stop > self._at else b""
        self._at += len(found)
        return found

    def _bytes(self, start: int, stop: int) -> bytearray:
        if stop - start >= BLOCK_BYTES:
            cuts = [*range(start, stop, PART_BYTES), stop]
            return bytearray().join(self._part(a, b) for a, b in pairwise(cuts))
        numbers = range(start // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES + 1)
        whole = bytearray().join(self._block(number) for number in numbers)
        skip = start - numbers[0] * BLOCK_BYTES
        return whole[skip : skip + stop - start]

    def _block(self, number: int) -> bytearray:
        if number not in self._blocks:
            start = number * BLOCK_BYTES
            self._blocks[number] = self._part(start, min(start + BLOCK_BYTES, self.file.size))
        self._blocks.move_to_end(number)
        while len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return self._blocks[number]

    def _part(self, start: int, stop: int) -> bytearray:
        """Fetch the bytes from `start` to before `stop`."""
        body = bytearray()

        def send(_: str, seconds: float) -> Response:
            nonlocal body
            # Made here and filled there: memory that many short threads take is not given back.
            # New for each attempt, because one that was given up may still be writing.
            body = mine = bytearray(stop - start)
            return within(seconds, lambda: self._attempt(start, mine))

        fetch(send, self.url, lambda _: None, patience=self._patience, notice=self._notice)
        return body

    def _attempt(self, start: int, body: bytearray) -> Response:
        """Ask once and fill `body`; a part that was asked for and came is a whole answer: 200."""
        import httpx2

        try:
            return self._follow(start, body)
        except httpx2.InvalidURL as error:
            raise SourceError(
                f"{shown(self.url)} is no address: {error}; see HF_ENDPOINT"
            ) from None
        except (httpx2.HTTPError, OSError) as error:
            raise AttemptError(failure_words(error)) from None

    def _follow(self, start: int, body: bytearray) -> Response:
        import httpx2
        from huggingface_hub.utils import get_session

        address = self.url  # each time: what it redirects to may be signed for this part alone
        timeout = httpx2.Timeout(http.READ_SECONDS, connect=http.CONNECT_SECONDS)
        for _ in range(_MAX_REDIRECTS + 1):
            mine = same_origin(address, self.url)
            headers = self._with_token if mine else self._without
            ranged = headers | {"Range": f"bytes={start}-{start + len(body) - 1}"}
            with get_session().stream(
                "GET", address, headers=ranged, timeout=timeout, follow_redirects=False
            ) as response:
                status = response.status_code
                if 300 <= status < 400:
                    self._check_identity(response.headers)
                    address = self._redirected(address, response.headers.get("location", ""))
                    continue
                if status in _SIGNED and not mine:
                    raise AttemptError(f"the storage refused the part (HTTP {status})")
                if status in (200, 206):
                    self._fill(body, response, start)
                    return Response(self.url, 200, {}, b"")
                return self._refused(response)
        raise AttemptError("redirected in circles")

    def _fill(self, body: bytearray, response: httpx2.Response, start: int) -> None:
        """Fill `body` if what comes is the part asked for, and all of it."""
        size, stop = self.file.size, start + len(body)
        given = response.headers.get("content-range", "not named")
        if response.status_code == 206 and given != f"bytes {start}-{stop - 1}/{size}":
            raise AttemptError(f"the part that came is {given}, not {start}-{stop - 1} of {size}")
        if response.status_code == 200 and (start, stop) != (0, size):
            raise AttemptError("the whole file came instead of a part")
        at = 0
        for chunk in response.iter_raw(_CHUNK):
            if at + len(chunk) > len(body):
                raise AttemptError("more came than was asked for")
            body[at : at + len(chunk)] = chunk
            at += len(chunk)
        if at < len(body):
            raise AttemptError("the part came short")

    def _refused(self, response: httpx2.Response) -> Response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = response.read()
        if self._token:
            body = body.replace(self._token.encode(), b"***")
        return Response(self.url, response.status_code, headers, body[:1000])

    def _redirected(self, address: str, location: str) -> str:
        target = urljoin(address, location)
        parts = urlsplit(target)
        safe = ("https",) if urlsplit(self.url).scheme == "https" else ("http", "https")
        if parts.scheme not in safe or not parts.hostname:
            raise ForeignHostError(
                f"{shown(self.url)} redirects to {shown(target)}, which is not encrypted; nothing "
                "was sent there: check HF_ENDPOINT, or a proxy in between"
            )
        return target

    def _check_identity(self, headers: Mapping[str, str]) -> None:
        linked = headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
        if len(linked) == len(self.file.sha256) and linked != self.file.sha256:
            raise AttemptError("the server names another file")
