"""A dataset repository of the Hub, held in memory: commits, files, ranges, for its own client."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote

import polars as pl

from tests.live.servers.hub_models import stamp
from tests.live.servers.server import Reply, Request

Commit = tuple[str, datetime, Mapping[str, bytes]]
History = list[tuple[str, datetime, dict[str, "File"]]]
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


@dataclass(frozen=True)
class File:
    """A file with the digests that the Hub shows."""

    path: str
    data: bytes
    blob: str
    sha256: str | None  # None: no LFS

    @property
    def etag(self) -> str:
        return f'"{self.sha256 or self.blob}"'

    def listed(self) -> dict[str, object]:
        row: dict[str, object] = {
            "type": "file",
            "oid": self.blob,
            "size": len(self.data),
            "path": self.path,
        }
        if self.sha256:
            pointer = len(_POINTER.format(self.sha256, len(self.data)))
            row["lfs"] = {
                "oid": self.sha256,
                "size": len(self.data),
                "pointerSize": pointer,
            }
        return row


def _file(path: str, data: bytes, lfs: bool) -> File:
    sha256 = hashlib.sha256(data).hexdigest() if lfs else None
    content = _POINTER.format(sha256, len(data)).encode() if lfs else data
    return File(path, data, hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(), sha256)


class HubDataset:
    """A repository with its whole history; mount it with `HubServer.mount`.

    Parameters
    ----------
    commits
        (commit id of 40 hex digits, moment in UTC, all files of that commit), in any order.
    lfs
        Endings of the names of large files: these have a SHA-256 and are sent from `/cdn/`.
    redirects
        Whether `resolve` sends the client to `/cdn/` for a large file, as the Hub does; a text is
        the address of another server that has the dataset mounted, as the Hub's CDN is another.
    per_page
        Commits of one page of the history.
    """

    def __init__(
        self,
        repo_id: str,
        commits: Iterable[Commit] = (),
        *,
        lfs: tuple[str, ...] = (".parquet", ".bin", ".zip"),
        redirects: bool | str = True,
        per_page: int = 50,
    ) -> None:
        self.repo_id, self.lfs, self.redirects, self.per_page = repo_id, lfs, redirects, per_page
        self._history: History = []
        self._known: dict[tuple[str, bytes], File] = {}
        for commit_id, when, files in commits:
            self.push(commit_id, when, files)

    def push(self, commit_id: str, when: datetime, files: Mapping[str, bytes]) -> None:
        """Add a commit; `main` is the newest."""
        if not re.fullmatch("[0-9a-f]{40}", commit_id) or when.tzinfo is None:
            raise ValueError("a commit has an id of 40 hex digits and a moment with a time zone")
        made = {}
        for path, data in files.items():
            key = (path, data)
            self._known[key] = self._known.get(key) or _file(path, data, path.endswith(self.lfs))
            made[path] = self._known[key]
        self._history = sorted([*self._history, (commit_id, when, made)], key=lambda c: c[1])

    @property
    def api(self) -> str:
        """The path before `/commits/main` and the like."""
        return f"/api/datasets/{self.repo_id}"

    def resolve_path(self, path: str, revision: str = "main") -> str:
        """Return where a file is asked for (for planning faults)."""
        return f"/datasets/{self.repo_id}/resolve/{revision}/{path}"

    def cdn_path(self, path: str, revision: str = "main") -> str:
        """Return where a large file is sent from (for planning faults)."""
        found = self._upto(revision)
        if not found:
            raise KeyError(revision)
        return f"/cdn/{self.repo_id}/{found[-1][0]}/{path}"

    def owns(self, request: Request) -> bool:
        parts = request.segments
        skip = 2 if parts[0] == "api" else 1
        return (
            parts[:skip] in (["api", "datasets"], ["datasets"], ["cdn"])
            and "/".join(parts[skip : skip + 2]) == self.repo_id
        )

    def reply(self, request: Request, base: str) -> Reply:
        """Answer a request for this repository."""
        parts = request.segments
        if parts[0] != "api":
            parts = parts[3:]
            if request.segments[0] == "datasets":
                parts = parts[1:] if parts[:1] == ["resolve"] else []
            if len(parts) < 2:
                return refusal(404, "Not found")
            revision, path = parts[0], "/".join(parts[1:])
            return self._resolve(request, base, revision, path)
        kind, revision, *rest = [*parts[4:], "", ""][: max(2, len(parts) - 4)]
        history = self._upto(revision or "main")
        if not history:
            return refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        path = "/".join(rest)
        if kind in ("", "revision"):
            return Reply.json(self._info(history[-1]))
        if kind == "commits":
            return self._commits(request, base, history)
        if kind == "tree":
            return self._tree(request, history, path)
        if kind == "paths-info" and request.method == "POST":
            return self._paths_info(request, history)
        return refusal(404, "Not found")

    def _upto(self, revision: str) -> History:
        """Return the history that ends with a revision; empty when there is none."""
        if revision in ("main", "refs/heads/main"):
            return self._history
        ids = [commit_id for commit_id, _, _ in self._history]
        return self._history[: ids.index(revision) + 1] if revision in ids else []

    def _info(self, commit: tuple[str, datetime, dict[str, File]]) -> dict[str, object]:
        commit_id, when, files = commit
        return {
            "_id": hashlib.sha1(self.repo_id.encode()).hexdigest()[:24],
            "id": self.repo_id,
            "author": self.repo_id.split("/")[0],
            "sha": commit_id,
            "createdAt": stamp(self._history[0][1]),
            "lastModified": stamp(when),
            "private": False,
            "gated": False,
            "disabled": False,
            "tags": ["license:apache-2.0", "region:us"],
            "downloads": 12,
            "likes": 3,
            "siblings": [{"rfilename": path} for path in sorted(files)],
        }

    def _commits(self, request: Request, base: str, history: History) -> Reply:
        page = int(request.ask("p") or 0)
        newest_first = history[::-1][page * self.per_page :]
        rows = [
            {
                "id": commit_id,
                "title": f"Upload {len(files)} files",
                "message": "",
                "authors": [{"user": self.repo_id.split("/")[0], "avatar": ""}],
                "date": stamp(when),
            }
            for commit_id, when, files in newest_first[: self.per_page]
        ]
        reply = Reply.json(rows, X_Total_Count=str(len(history)))
        if len(newest_first) > self.per_page:
            link = f'<{base}{request.path}?p={page + 1}>; rel="next"'
            reply = reply.having(Link=link)
        return reply

    def _listed(self, path: str, history: History, expand: bool) -> dict[str, object] | None:
        """Return what the Hub says of a file or a folder."""
        files = history[-1][2]
        inside = sorted(f.blob for name, f in files.items() if name.startswith(path + "/"))
        if path in files:
            row = files[path].listed()
        elif inside:
            oid = hashlib.sha1("".join(inside).encode()).hexdigest()
            row = {"type": "directory", "oid": oid, "size": 0, "path": path}
        else:
            return None
        if expand:
            last = history[-1]
            for older in reversed(history[:-1]):
                if older[2].get(path) != files.get(path):
                    break
                last = older
            row["lastCommit"] = {"id": last[0], "title": "Upload", "date": stamp(last[1])}
        return row

    def _tree(self, request: Request, history: History, path: str) -> Reply:
        recursive = (request.ask("recursive") or "").lower() in ("true", "1")
        expand = (request.ask("expand") or "").lower() in ("true", "1")
        prefix = f"{path}/" if path else ""
        names = set()
        for name in history[-1][2]:
            if name.startswith(prefix):
                parts = name[len(prefix) :].split("/")
                depth = len(parts) if recursive else 1
                names |= {prefix + "/".join(parts[: i + 1]) for i in range(depth)}
        if not names and path:
            return refusal(404, f"{path} does not exist on this revision", "EntryNotFound")
        return Reply.json([self._listed(name, history, expand) for name in sorted(names)])

    def _paths_info(self, request: Request, history: History) -> Reply:
        form = parse_qsl(request.body.decode())
        expand = any(key == "expand" and value.lower() == "true" for key, value in form)
        paths = [value.strip("/") for key, value in form if key == "paths"]
        rows = [self._listed(path, history, expand) for path in paths]
        return Reply.json([row for row in rows if row])

    def _resolve(self, request: Request, base: str, revision: str, path: str) -> Reply:
        history = self._upto(revision)
        if not history:
            return refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        commit = {"X-Repo-Commit": history[-1][0]}
        file = history[-1][2].get(path)
        if file is None:
            reply = refusal(404, "Entry not found", "EntryNotFound")
            return Reply(reply.status, {**reply.headers, **commit}, reply.body)
        headers = {
            **commit,
            "Content-Type": "application/octet-stream",
            "Accept-Ranges": "bytes",
            "ETag": file.etag,
            "X-Linked-Size": str(len(file.data)),
            "X-Linked-Etag": file.etag,
        }
        from_cdn = request.segments[0] == "cdn"
        if file.sha256 and self.redirects and not from_cdn:
            host = self.redirects if isinstance(self.redirects, str) else base
            where = f"{host}{quote(self.cdn_path(path, revision))}"
            return Reply(302, {**headers, "Location": where, "Content-Type": "text/plain"})
        return ranged(request, Reply(200, headers, file.data))


def ranged(request: Request, whole: Reply) -> Reply:
    """Return the bytes that the request's Range asks for."""
    size, asked = len(whole.body), request.headers.get("range")
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked or "")
    if found is None or found.groups() == ("", ""):
        return whole
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= stop:
        return Reply(416, {"Content-Range": f"bytes */{size}"})
    headers = {**whole.headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    return Reply(206, headers, whole.body[start:stop])


def refusal(status: int, message: str, code: str | None = None) -> Reply:
    """Return an error as the Hub words it."""
    reply = Reply.json({"error": message}, status)
    reply = reply.having(X_Error_Message=message)
    return reply.having(X_Error_Code=code) if code else reply


def day_of_dataset(models: list[dict[str, Any]], n: int) -> bytes:
    """Return a day of the bulk dataset, in its own columns: the newest n models."""
    names = ("_id", "id", "author", "createdAt", "lastModified", "downloads", "downloadsAllTime",
             "likes", "tags", "pipeline_tag", "library_name")  # fmt: skip
    newest_first = sorted(models, key=lambda m: m["createdAt"], reverse=True)
    frame = pl.DataFrame([{k: m.get(k) for k in names} for m in newest_first[:n]])
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()
