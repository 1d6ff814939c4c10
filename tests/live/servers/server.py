"""A loopback HTTP server that answers as told and fails as told, on real sockets.

A subclass of `Loopback` makes the good reply to a request; a fault planned for that request takes
the reply and does its damage on the wire (`faults`). `times=None` is for ever:

    with HubServer(synthetic_models(5000)) as hub:
        hub.inject(2, CutShort())
        hub.inject("/api/models", Status(503), times=None)
"""

from __future__ import annotations

import json
import socket
import socketserver
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import parse_qsl, unquote, urlsplit

ANY = "*"  # the selector of every request


@dataclass(frozen=True)
class Request:
    """A request as it came: header names in lower case, `where` the selectors it answers to."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    at: float = 0.0
    where: tuple[Hashable, ...] = ()

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def segments(self) -> list[str]:
        """Parts of the path, each unquoted on its own (a revision may hold a slash)."""
        return [unquote(part) for part in urlsplit(self.target).path.split("/")[1:]]

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    def ask(self, name: str) -> str | None:
        """Return the first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)


@dataclass(frozen=True)
class Reply:
    """A whole answer; Content-Length comes with the sending."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def json(cls, value: object, status: int = 200, **headers: str) -> Reply:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        kind = {"Content-Type": "application/json; charset=utf-8"}
        body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        return cls(status, kind | named, body)

    @classmethod
    def text(cls, value: str, status: int = 200, kind: str = "text/plain") -> Reply:
        return cls(status, {"Content-Type": f"{kind}; charset=utf-8"}, value.encode())

    def having(self, body: bytes | None = None, **headers: str | None) -> Reply:
        """Return a copy with another body or headers (`Content_Type=`); None drops a header."""
        kept = dict(self.headers)
        for name, text in headers.items():
            kept.pop(name.replace("_", "-"), None)
            if text is not None:
                kept[name.replace("_", "-")] = text
        return replace(self, headers=kept, body=self.body if body is None else body)


class Fault(Protocol):
    """Damage to one answer."""

    def strike(self, wire: Wire, reply: Reply) -> None: ...


class Wire(BaseHTTPRequestHandler):
    """One connection; the methods below are the tools of the faults."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    request_seen: Request

    @property
    def loopback(self) -> Loopback:
        return self.server.owner

    def head(self, reply: Reply, length: int | None = None, *, close: bool = False) -> bytes:
        """Return status line and headers; `length` None sends no Content-Length."""
        phrase = self.responses.get(reply.status, ("",))[0]
        lines = [f"HTTP/1.1 {reply.status} {phrase}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {text}" for name, text in reply.headers.items()]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        if close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def send(self, reply: Reply) -> None:
        """Send the reply whole and in order."""
        bodiless = self.command == "HEAD" or reply.status in (204, 304)
        length = None if reply.status == 204 else len(reply.body)
        if reply.status == 304:
            length = None
        self.raw(self.head(reply, length) + (b"" if bodiless else reply.body))

    def raw(self, data: bytes) -> None:
        self.connection.sendall(data)

    def drop(self) -> None:
        """Close the connection in the ordinary way (FIN), whatever was promised."""
        self.close_connection = True

    def reset(self) -> None:
        """Close the connection with RST."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server.forget(self.connection)
        socket.close(self.connection.detach())

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until the server closes; return whether it is still open."""
        return not self.server.closing.wait(seconds)

    def _answer(self) -> None:
        try:
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(
                method=self.command,
                target=self.path,
                headers={name.lower(): text for name, text in self.headers.items()},
                body=self.rfile.read(length) if length else b"",
                at=time.monotonic(),
            )
        except (OSError, ValueError):
            return self.drop()
        try:
            self.request_seen, reply, fault = self.loopback.receive(request)
            if fault is None:
                self.send(reply)
            else:
                fault.strike(self, reply)
        except OSError:  # the client has gone
            self.drop()
        except Exception:
            self.loopback.errors.append(traceback.format_exc())
            self.drop()
        return None

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: Loopback, port: int) -> None:
        self.owner = owner
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Wire)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # without a look-up of the host's name
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.forget(request)
        super().shutdown_request(request)

    def forget(self, request: socket.socket) -> None:
        with self._lock:
            self._open.discard(request)

    def hang_up(self) -> None:
        """End every connection: a kept one must not outlive the server."""
        self.closing.set()
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            self.owner.errors.append(traceback.format_exc())


class Loopback:
    """A server on 127.0.0.1; a context manager.

    Parameters
    ----------
    port
        0 takes a free one; the port of a closed server brings it back under its address.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.port = port
        self.errors: list[str] = []
        self._requests: list[Request] = []
        self._plan: dict[Hashable, list[list[Any]]] = {}  # selector -> [[fault, times left]]
        self._lock = threading.Lock()
        self._server: _Server | None = None

    # what a subclass says

    def answer(self, request: Request) -> Reply:
        """Return the good reply."""
        raise NotImplementedError

    def selectors(self, request: Request) -> tuple[Hashable, ...]:
        """Return what a fault may be planned for, the most particular first."""
        return (f"{request.method} {request.path}", request.path)

    # what a test says

    def inject(self, where: Hashable, fault: Fault, times: int | None = 1) -> None:
        """Plan a fault for the next `times` good replies at `where`, after those planned before.

        A reply that refuses (400 and above) uses up no fault.
        """
        with self._lock:
            self._plan.setdefault(where, []).append([fault, times])

    def calm(self) -> None:
        """Drop all planned faults."""
        with self._lock:
            self._plan.clear()

    def pending(self) -> int:
        """Return how many planned faults have not struck yet; those for ever are not counted."""
        with self._lock:
            return sum(left or 0 for faults in self._plan.values() for _, left in faults)

    @property
    def requests(self) -> list[Request]:
        """A copy of the requests so far."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget the requests so far."""
        with self._lock:
            self._requests.clear()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # the running

    def receive(self, request: Request) -> tuple[Request, Reply, Fault | None]:
        """Record a request; return it with its reply and the fault that awaits it."""
        request = replace(request, where=(*self.selectors(request), ANY))
        with self._lock:
            self._requests.append(request)
        reply = self.answer(request)
        return request, reply, None if reply.status >= 400 else self._next_fault(request)

    def _next_fault(self, request: Request) -> Fault | None:
        with self._lock:
            for where in request.where:
                planned = self._plan.get(where)
                if not planned:
                    continue
                fault, left = planned[0]
                if left == 1:
                    planned.pop(0)
                elif left is not None:
                    planned[0][1] = left - 1
                found: Fault = fault
                return found
        return None

    def start(self) -> Self:
        self._server = _Server(self, self.port)
        self.port = self._server.server_port
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def close(self) -> None:
        """Refuse new connections and end those that are open, hanging and dripping ones too."""
        if self._server is not None:
            self._server.closing.set()
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if kind is None and self.errors:  # an error of the kit must not pass for a fault
            raise AssertionError("".join(self.errors))


class Scripted(Loopback):
    """A server that answers what a function says."""

    def __init__(self, script: Callable[[Request], Reply], *, port: int = 0) -> None:
        super().__init__(port=port)
        self.script = script

    def answer(self, request: Request) -> Reply:
        return self.script(request)
