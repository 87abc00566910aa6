"""A server that keeps to the contract until it is told to misbehave, and what a run against it takes."""

from __future__ import annotations

import contextlib
import functools
import http.client
import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Self
from urllib.parse import urlsplit

from tests.cli.cli_support import Space
from tests.command import zygote

Send = Callable[[bytes], None]
Misbehave = Callable[[Send], None]
Choose = Callable[[str, str], Misbehave | None]
"""From method and path (with its query): what to do instead of passing the request on to the emulated API."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: req_66\r\n"
CLOSED = HEAD + b"Connection: close\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class Hostile:
    """A server on a thread, for as long as the ``with`` block lasts. ``acts``: it passes the request on, too, first."""

    def __init__(self, target: str) -> None:
        self.choose: Choose = lambda _, __: None
        self.acts = False
        self.asked: list[tuple[str, str]] = []
        host = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    host._serve(self)

        class Server(ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            allow_reuse_address = True

        self._target = urlsplit(target)
        self._server = Server(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self.origin}{self._target.path}"

    def _serve(self, handler: StreamRequestHandler) -> None:
        method, path, _ = handler.rfile.readline().decode().split()
        headers = http.client.parse_headers(handler.rfile)
        body = handler.rfile.read(int(headers.get("Content-Length", 0)))
        path = path.removeprefix(self._target.path)
        self.asked.append((method, path))
        misbehave = self.choose(method, path)
        if misbehave is None or self.acts:
            answer = self._passed_on(method, path, headers, body)
            if misbehave is None:
                handler.wfile.write(answer)
                return
        misbehave(handler.wfile.write)

    def _passed_on(self, method: str, path: str, headers: http.client.HTTPMessage, body: bytes) -> bytes:
        inner = http.client.HTTPConnection(self._target.hostname or "", self._target.port, timeout=60)
        with contextlib.closing(inner):
            named = {name: value for name, value in headers.items() if name.lower() != "host"}
            inner.request(method, self._target.path + path, body, named)
            answer = inner.getresponse()
            data = answer.read()
        head = [f"HTTP/1.1 {answer.status} X", "Connection: close", f"Content-Length: {len(data)}"]
        head += [f"{n}: {v}" for n, v in answer.getheaders() if n.lower() not in ("connection", "content-length")]
        return "\r\n".join(head).encode() + b"\r\n\r\n" + data

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def for_ever(*parts: bytes, head: bytes = CLOSED) -> Misbehave:
    """Sends ``head``, then the parts again and again, as fast as they are taken."""

    def misbehave(send: Send) -> None:
        send(head)
        while True:
            for part in parts:
                send(part)

    return misbehave


def once(body: bytes | Callable[[], bytes], *headers: str) -> Misbehave:
    """Sends one answer. A large body is made when it is sent: most runs of the tests never need it."""
    more = "".join(f"{header}\r\n" for header in headers).encode()

    def misbehave(send: Send) -> None:
        data = body if isinstance(body, bytes) else body()
        send(HEAD + more + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(data) + data)

    return misbehave


@functools.cache
@functools.cache
def bomb(mebibytes: int, *, wbits: int = zlib.MAX_WBITS | 16) -> bytes:
    """A document of white space that unpacks to a thousand times its size."""
    part = b" " * 1024**2
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH)  # after which the next one is packed alike
    checked = zlib.crc32 if wbits > zlib.MAX_WBITS else zlib.adler32
    total = functools.reduce(lambda value, _: checked(part, value), range(mebibytes), checked(b""))
    empty = zlib.compress(b"", 9, wbits=wbits)
    if checked is zlib.crc32:
        return empty[:10] + packed * mebibytes + empty[10:12] + struct.pack("<II", total, mebibytes * len(part))
    return empty[:2] + packed * mebibytes + empty[2:4] + struct.pack(">I", total)


@dataclass
class Took:
    code: int
    out: str
    err: str
    kibibytes: int
    """The most memory that it had at once."""


def measured(space: Space, *args: str) -> Took:
    """Run the command, and see how much memory it took."""
    done = space.run(*args, code=None)
    return Took(done.code, done.out, done.err, zygote().kibibytes)
