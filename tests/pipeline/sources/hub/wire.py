"""What answers in the place of the Hub: a listing of models, and a dataset with its files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import httpx2
import polars as pl

from baimo.pipeline.sources.hub.repository import Commit, RepoFile

ENDPOINT = "https://hub.example"
Answer = Callable[[httpx2.Request], httpx2.Response]


class Wire:
    """A client whose requests are answered by `answer`; they are all remembered."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.answer: Answer = lambda _: httpx2.Response(404)
        self.client = httpx2.Client(transport=httpx2.MockTransport(self._handle))

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.answer(request)

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]


def listed(rows: Any, *, following: str = "", **headers: str) -> httpx2.Response:
    """Return a page of a list; `following` is the address of the next."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    link = {"Link": f'<{following}>; rel="next"'} if following else {}
    return httpx2.Response(200, content=json.dumps(rows).encode(), headers={**named, **link})


def model(number: int, **fields: Any) -> dict[str, Any]:
    """Return a model as the Hub lists it."""
    return {
        "_id": f"id{number:04d}",
        "id": f"owner/m{number}",
        "downloads": 10 * number,
        "likes": number,
        "createdAt": "2026-08-01T00:00:00.000Z",
        **fields,
    }


class Listing:
    """Pages of `/api/models`, `cap` rows at most: the cursor is the number of rows before."""

    def __init__(self, models: Iterable[Mapping[str, Any]], cap: int = 3) -> None:
        self.models, self.cap = list(models), cap

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        start = int(request.url.params.get("cursor", 0))
        stop = start + min(self.cap, int(request.url.params["limit"]))
        following = str(request.url.copy_set_param("cursor", stop))
        more = stop < len(self.models)
        return listed(self.models[start:stop], following=following if more else "")


def parquet(frame: pl.DataFrame, group_rows: int = 1000) -> bytes:
    """Return a Parquet file."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(frame.to_arrow(), out, row_group_size=group_rows)
    return out.getvalue()


class Shelf:
    """A dataset held in memory: by commit, newest first, its files; stands for a `Repository`."""

    def __init__(self, *commits: tuple[Commit, Mapping[str, bytes]]) -> None:
        self._commits = commits
        self.opened: list[str] = []

    def commits(self, since: date) -> list[Commit]:
        """Return the commits down to the last one before `since`."""
        found: list[Commit] = []
        for commit, _ in self._commits:
            found.append(commit)
            if commit.at.date() < since:
                break
        return found

    def files(self, revision: str, folder: str = "") -> dict[str, RepoFile]:
        """Return the files of a commit; their bytes are their identity."""
        files = next(files for commit, files in self._commits if commit.revision == revision)
        return {
            path: RepoFile(revision, path, len(data), data.hex())
            for path, data in files.items()
            if path.startswith(folder)
        }

    def open(self, file: RepoFile) -> io.BytesIO:
        """Open a file."""
        self.opened.append(file.path)
        return io.BytesIO(bytes.fromhex(file.sha256))
