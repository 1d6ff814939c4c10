"""Faults: each takes the good reply and does its damage on the wire."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.live.servers.server import Reply, Wire

__all__ = [
    "Chunked", "CutConsistent", "CutShort", "DictBody", "Do", "Drip", "EditBody", "EditRows",
    "EmptyPage", "ForeignLink", "Garbage", "Gzip", "Hang", "LoopLink", "NoLink", "NotJson",
    "Redirect", "Reset", "Status", "WrongContentType",
]  # fmt: skip


@dataclass(frozen=True)
class Status:
    """Another status, instead of the reply."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def strike(self, wire: Wire, reply: Reply) -> None:
        kind = {} if "Content-Type" in self.headers else {"Content-Type": "text/plain"}
        wire.send(Reply(self.code, {**kind, **self.headers}, self.body))


@dataclass(frozen=True)
class CutShort:
    """The full Content-Length, part of the body, the end of the connection."""

    part: float = 0.5

    def strike(self, wire: Wire, reply: Reply) -> None:
        sent = reply.body[: int(len(reply.body) * self.part)]
        wire.raw(wire.head(reply, len(reply.body)) + sent)
        wire.drop()


@dataclass(frozen=True)
class CutConsistent:
    """Part of the body with the Content-Length of that part."""

    part: float = 0.5

    def strike(self, wire: Wire, reply: Reply) -> None:
        wire.send(reply.having(reply.body[: int(len(reply.body) * self.part)]))


@dataclass(frozen=True)
class NotJson:
    """A page of HTML with status 200, as a proxy or a portal in between sends it."""

    body: bytes = b"<!doctype html><html><title>Just a moment...</title><body>wait</body></html>"

    def strike(self, wire: Wire, reply: Reply) -> None:
        wire.send(reply.having(self.body, Content_Type="text/html; charset=utf-8"))


@dataclass(frozen=True)
class DictBody:
    """A JSON object with status 200 where a list is due."""

    value: Mapping[str, Any] = field(default_factory=lambda: {"error": "Internal Error"})

    def strike(self, wire: Wire, reply: Reply) -> None:
        wire.send(reply.having(json.dumps(dict(self.value)).encode()))


@dataclass(frozen=True)
class EmptyPage:
    """No rows; the Link stays."""

    def strike(self, wire: Wire, reply: Reply) -> None:
        wire.send(reply.having(b"[]"))


@dataclass(frozen=True)
class NoLink:
    """The page without its Link."""

    def strike(self, wire: Wire, reply: Reply) -> None:
        wire.send(reply.having(Link=None))


@dataclass(frozen=True)
class LoopLink:
    """A Link that leads to the page itself, or to the first page."""

    to_first: bool = False

    def strike(self, wire: Wire, reply: Reply) -> None:
        target = wire.request_seen.target
        if self.to_first:
            path, _, query = target.partition("?")
            kept = [part for part in query.split("&") if not part.startswith("cursor=")]
            target = f"{path}?{'&'.join(kept)}"
        wire.send(reply.having(Link=f'<{wire.loopback.url}{target}>; rel="next"'))


@dataclass(frozen=True)
class ForeignLink:
    """A Link to another place."""

    url: str

    def strike(self, wire: Wire, reply: Reply) -> None:
        wire.send(reply.having(Link=f'<{self.url}>; rel="next"'))


@dataclass(frozen=True)
class Redirect:
    """A redirect to `url`, or to `url` and the target of the request."""

    url: str
    code: int = 302
    keep_target: bool = False

    def strike(self, wire: Wire, reply: Reply) -> None:
        target = wire.request_seen.target if self.keep_target else ""
        wire.send(Reply(self.code, {"Location": self.url + target}))


@dataclass(frozen=True)
class Hang:
    """Nothing for so many seconds, or until the server closes; then the good reply."""

    seconds: float = 3600.0

    def strike(self, wire: Wire, reply: Reply) -> None:
        if wire.wait(self.seconds):
            wire.send(reply)
        else:
            wire.drop()


@dataclass(frozen=True)
class Drip:
    """The body a few bytes at a time; the head too if so told."""

    bytes_per_step: int = 1
    pause: float = 0.1
    head_too: bool = False

    def strike(self, wire: Wire, reply: Reply) -> None:
        head = wire.head(reply, len(reply.body))
        data = head + reply.body if self.head_too else reply.body
        if not self.head_too:
            wire.raw(head)
        for start in range(0, len(data), self.bytes_per_step):
            wire.raw(data[start : start + self.bytes_per_step])
            if not wire.wait(self.pause):
                wire.drop()
                return


@dataclass(frozen=True)
class Reset:
    """RST, at once or after part of the reply."""

    part: float = 0.0

    def strike(self, wire: Wire, reply: Reply) -> None:
        if self.part:
            sent = reply.body[: int(len(reply.body) * self.part)]
            wire.raw(wire.head(reply, len(reply.body)) + sent)
        wire.reset()


@dataclass(frozen=True)
class Garbage:
    """Bytes that are not HTTP."""

    data: bytes = b"\x16\x03\x01\x02\x00 this is not HTTP\r\n\r\n"

    def strike(self, wire: Wire, reply: Reply) -> None:
        wire.raw(self.data)
        wire.drop()


@dataclass(frozen=True)
class EditRows:
    """The good JSON, changed: `edit` gets the list and returns another, or changes it in place.

    NaN and Infinity are written as such, which JSON does not know.
    """

    edit: Callable[[list[Any]], Any]

    def strike(self, wire: Wire, reply: Reply) -> None:
        rows = json.loads(reply.body)
        changed = self.edit(rows)
        text = json.dumps(rows if changed is None else changed, separators=(",", ":"))
        wire.send(reply.having(text.encode()))


@dataclass(frozen=True)
class EditBody:
    """The bytes of the body, changed."""

    edit: Callable[[bytes], bytes]

    def strike(self, wire: Wire, reply: Reply) -> None:
        wire.send(reply.having(self.edit(reply.body)))


@dataclass(frozen=True)
class Chunked:
    """Transfer-Encoding: chunked, which ends as it should or half way without a last chunk."""

    early_end: bool = True
    chunk: int = 1 << 14

    def strike(self, wire: Wire, reply: Reply) -> None:
        body = reply.body[: len(reply.body) // 2] if self.early_end else reply.body
        wire.raw(wire.head(reply.having(Transfer_Encoding="chunked")))
        for start in range(0, len(body), self.chunk):
            part = body[start : start + self.chunk]
            wire.raw(b"%x\r\n%b\r\n" % (len(part), part))
        if self.early_end:
            wire.drop()
        else:
            wire.raw(b"0\r\n\r\n")


@dataclass(frozen=True)
class WrongContentType:
    """The good body under another name."""

    kind: str = "text/html"

    def strike(self, wire: Wire, reply: Reply) -> None:
        wire.send(reply.having(Content_Type=self.kind))


@dataclass(frozen=True)
class Gzip:
    """The body in gzip; `broken` changes bytes in its middle, `cut` leaves out its end."""

    broken: bool = False
    cut: bool = False

    def strike(self, wire: Wire, reply: Reply) -> None:
        packed = bytearray(gzip.compress(reply.body, compresslevel=1))
        if self.broken:
            middle = len(packed) // 2
            packed[middle : middle + 8] = bytes(255 - byte for byte in packed[middle : middle + 8])
        if self.cut:
            del packed[len(packed) // 2 :]
        wire.send(reply.having(bytes(packed), Content_Encoding="gzip"))


@dataclass(frozen=True)
class Do:
    """No fault: something happens before the good reply goes out (or half way through it)."""

    action: Callable[[], object]
    half_way: bool = False

    def strike(self, wire: Wire, reply: Reply) -> None:
        if not self.half_way:
            self.action()
            wire.send(reply)
            return
        half = len(reply.body) // 2
        wire.raw(wire.head(reply, len(reply.body)) + reply.body[:half])
        self.action()
        wire.raw(reply.body[half:])
