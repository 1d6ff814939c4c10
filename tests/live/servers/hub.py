"""The Hub on a loopback socket: the listing of models, its limits, and dataset repositories."""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import math
import threading
import time
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from tests.live.servers.hub_dataset import HubDataset, refusal
from tests.live.servers.hub_models import BulkRows, synthetic_models, synthetic_pages
from tests.live.servers.server import Loopback, Reply, Request

__all__ = ["BigHubServer", "HubDataset", "HubServer", "synthetic_models", "synthetic_pages"]

LISTING = "/api/models"
ALWAYS = ("_id", "id", "modelId")
UNASKED = (
    "_id", "id", "likes", "trendingScore", "private", "downloads", "tags", "pipeline_tag",
    "library_name", "createdAt", "modelId",
)  # fmt: skip


class _BadCursorError(ValueError):
    pass


class HubServer(Loopback):
    """The listing of `models`, page by page, newest first; datasets once mounted.

    The selectors of a request for the listing are its page (the place of its first row // its
    limit), "GET /api/models" and "/api/models"; of any other its path, with and without method.

    Parameters
    ----------
    models
        Rows with all fields, in any order; see `synthetic_models`.
    page_cap
        The most rows of a page, whatever the limit asked for; the limit when none is asked for.
    token
        When given, any other `Authorization` is answered with 401; a request without is anonymous.
    window
        (limit, seconds): requests to /api/ are counted and answered with 429 beyond the limit,
        in fixed windows. Without it the headers say that nearly all are left.
    """

    def __init__(
        self,
        models: Iterable[Mapping[str, Any]] = (),
        *,
        page_cap: int = 1000,
        token: str | None = None,
        window: tuple[int, float] | None = None,
        datasets: Iterable[HubDataset] = (),
        port: int = 0,
    ) -> None:
        super().__init__(port=port)
        self.page_cap, self.token, self.window = page_cap, token, window
        self.datasets = list(datasets)
        self._used, self._since = 0, time.monotonic()
        self._state = threading.RLock()
        self.replace(models)

    # what a test says

    def mount(self, dataset: HubDataset) -> None:
        self.datasets.append(dataset)

    def replace(self, models: Iterable[Mapping[str, Any]]) -> None:
        """Serve other models from now on; cursors given out stay good (they hold a key)."""
        rows = sorted(models, key=_key, reverse=True)
        with self._state:
            self._rows: list[Mapping[str, Any]] = rows
            self._keys = [_key(row) for row in reversed(rows)]
            self._texts: dict[frozenset[str], list[bytes]] = {}
            self._pages: dict[tuple[frozenset[str], int, int], bytes] = {}

    # the listing: what BigHubServer does in another way

    def n_models(self) -> int:
        return len(self._rows)

    def cursor(self, stop: int) -> str:
        """Return the cursor of the page that begins at `stop`."""
        created, row_id = _key(self._rows[stop - 1])
        text = json.dumps({"createdAt": created, "_id": row_id}, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode()

    def place(self, cursor: str) -> int:
        """Return where the page of a cursor begins."""
        try:
            key = json.loads(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True))
            after = (key["createdAt"], key["_id"])
        except (ValueError, TypeError, KeyError) as error:
            raise _BadCursorError(cursor) from error
        return len(self._keys) - bisect_left(self._keys, after)

    def page(self, start: int, stop: int, fields: frozenset[str]) -> bytes:
        """Return the body of a page, rendered once."""
        found = self._pages.get((fields, start, stop))
        if found is None:
            if fields not in self._texts:
                self._texts[fields] = [_text(row, fields) for row in self._rows]
            found = b"[" + b",".join(self._texts[fields][start:stop]) + b"]"
            self._pages[fields, start, stop] = found
        return found

    # answers

    def selectors(self, request: Request) -> tuple[Hashable, ...]:
        common = super().selectors(request)
        if request.path != LISTING:
            return common
        try:
            with self._state:
                start, limit = self._range(request)
        except ValueError:
            return common
        return (start // limit, *common)

    def _range(self, request: Request) -> tuple[int, int]:
        limit = min(self.page_cap, int(request.ask("limit") or self.page_cap))
        if limit < 1:
            raise ValueError("limit")
        cursor = request.ask("cursor")
        return self.place(cursor) if cursor else 0, limit

    def answer(self, request: Request) -> Reply:
        given = request.headers.get("authorization")
        mine = self.token is not None and given == f"Bearer {self.token}"
        if self.token is not None and given is not None and not mine:
            return refusal(401, "Invalid credentials in Authorization header")
        if not request.path.startswith("/api/"):
            return self._of_dataset(request)
        headers, over = self._count(1000 if mine else 500)
        if over:
            reply = refusal(429, "We had to rate limit you; try again later")
        elif request.path == LISTING:
            with self._state:
                reply = self._listing(request)
        else:
            reply = self._of_dataset(request)
        return Reply(reply.status, {**reply.headers, **headers}, reply.body)

    def _count(self, usual: int) -> tuple[dict[str, str], bool]:
        """Count a request; return the headers of the limit and whether it is beyond it."""
        limit, seconds = self.window or (usual, 300.0)
        with self._state:
            now = time.monotonic()
            if now - self._since >= seconds:
                self._since += (now - self._since) // seconds * seconds
                self._used = 0
            self._used += 1
            left = limit - (self._used if self.window else 1)
            wait = math.ceil(self._since + seconds - now)
        headers = {
            "RateLimit": f'"api";r={max(0, left)};t={wait}',
            "RateLimit-Policy": f'"fixed window";"api";q={limit};w={math.ceil(seconds)}',
        }
        return headers, left < 0

    def _listing(self, request: Request) -> Reply:
        if request.method == "POST":
            return refusal(405, "Method not allowed")
        if request.ask("sort") != "createdAt":
            return refusal(400, "only sort=createdAt is served here")
        try:
            start, limit = self._range(request)
        except _BadCursorError:
            return refusal(400, "Invalid cursor")
        except ValueError:
            return refusal(400, "Invalid limit")
        asked = frozenset(v for k, v in request.query if k in ("expand", "expand[]"))
        fields = asked.union(ALWAYS) if asked else frozenset(UNASKED)
        stop = min(start + limit, self.n_models())
        kind = {"Content-Type": "application/json; charset=utf-8"}
        reply = Reply(200, kind, self.page(start, stop, fields))
        if stop >= self.n_models():
            return reply
        query = [(key, value) for key, value in request.query if key != "cursor"]
        target = f"{self.url}{LISTING}?{urlencode([*query, ('cursor', self.cursor(stop))])}"
        return reply.having(Link=f'<{target}>; rel="next"')

    def _of_dataset(self, request: Request) -> Reply:
        for dataset in self.datasets:
            if dataset.owns(request):
                return dataset.reply(request, self.url)
        if request.path.startswith(("/api/datasets/", "/datasets/")):
            return refusal(404, "Repository not found", "RepoNotFound")
        return refusal(404, "Sorry, we can't find the page you are looking for.")


class BigHubServer(HubServer):
    """Millions of models, rendered as they are asked for: no list of rows, cursors are places.

    Rows hold every field whatever `expand` says.

    Parameters
    ----------
    n
        How many models.
    seed
        Rows depend on it and on their place.
    in_memory
        Render all pages of `page_cap` rows before the first request (about 550 bytes a row).
    """

    def __init__(self, n: int, *, seed: int = 0, in_memory: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.bulk = BulkRows(n, seed)
        self._ready: dict[int, bytes] = {}
        if in_memory:
            for start in range(0, n, self.page_cap):
                self._ready[start] = self.bulk.render(start, start + self.page_cap)

    def n_models(self) -> int:
        return self.bulk.n

    def cursor(self, stop: int) -> str:
        return str(stop)

    def place(self, cursor: str) -> int:
        if not cursor.isdecimal() or int(cursor) > self.bulk.n:
            raise _BadCursorError(cursor)
        return int(cursor)

    def page(self, start: int, stop: int, fields: frozenset[str]) -> bytes:
        whole = stop - start == self.page_cap or stop == self.bulk.n
        ready = self._ready.get(start) if whole else None
        return ready or self.bulk.render(start, stop)


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row.get("createdAt") or ""), str(row.get("_id") or "")


def _text(row: Mapping[str, Any], fields: frozenset[str]) -> bytes:
    shown = {key: value for key, value in row.items() if key in fields}
    if "id" in row:
        shown["modelId"] = row["id"]
    return json.dumps(shown, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def main() -> None:
    """Serve many models from a process of its own: `python -m tests.live.servers.hub --models
    3000000`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--models", type=int, default=3_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--page-cap", type=int, default=1000)
    parser.add_argument("--in-memory", action="store_true")
    given = parser.parse_args()
    with BigHubServer(
        given.models,
        seed=given.seed,
        in_memory=given.in_memory,
        port=given.port,
        page_cap=given.page_cap,
    ) as server:
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
